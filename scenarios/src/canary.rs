//! A new version beside the old one: which users it serves, and when.
//! In: a profile with `preset: canary`. Out: read by the engine's virtual users, a pure function of index and time.

use crate::program::Profile;

/// A new version that takes over from an old one, step by step.
#[derive(Debug, Clone, PartialEq)]
pub struct Canary {
    /// Which of the file's replacements it is: the first of the pairs in `Request::twins`.
    pub number: usize,
    /// Index of the target that takes over.
    pub new: usize,
    /// Shares of the users, rising, each above 0 and at most 1: one a stage of the load.
    pub shares: Vec<f64>,
}

impl Canary {
    /// How many of `users` go to the new version at step `step`: never nobody.
    pub fn users_on_new(&self, step: usize, users: usize) -> usize {
        let share = self.shares.get(step).or(self.shares.last()).copied().unwrap_or(0.0);
        users_of(share, users)
    }
}

/// So large a share of so many users, at least one of them.
pub(crate) fn users_of(share: f64, users: usize) -> usize {
    // 5 % of 40 are 2, no matter how 0.05 is rounded.
    ((share * users as f64 - 1e-9).ceil() as usize).clamp(1, users.max(1))
}

impl Profile {
    /// Whether the new version serves user `index` in an iteration that is due then, ns since the start of the load.
    /// The set only grows: whoever is on the new version stays there.
    pub fn is_on_new(&self, index: usize, due_ns: u64) -> bool {
        let Some(canary) = &self.canary else { return false };
        let ends = self.load.stages().iter().scan(0u64, |end, stage| {
            *end = end.saturating_add(stage.duration_ns);
            Some(*end)
        });
        let last = canary.shares.len().saturating_sub(1);
        let step = ends.take_while(|end| due_ns >= *end).count().min(last);
        index < canary.users_on_new(step, self.load.most_users())
    }
}
