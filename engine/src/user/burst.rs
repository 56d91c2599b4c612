//! The fault `same_url_burst`: a request waits for other users who ask for the same URL, and goes out with theirs.
//! In: a rendered request, its share. Out: the round that it waits for; the request, due when the round goes on.

use super::{Effect, VirtualUser};
use crate::clock::Nanos;
use crate::meetings::{Release, Round};
use crate::record::Recorder;
use scenarios::program::Request;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// The round that the user's request waits for.
#[derive(Debug, Default)]
pub(super) struct Burst {
    round: Option<(usize, Arc<Round>)>,
}

impl Burst {
    /// The meeting at which the request waits.
    pub fn meeting(&self) -> Option<usize> {
        self.round.as_ref().map(|(meeting, _)| *meeting)
    }
}

impl VirtualUser {
    /// Whether the rendered request waits for others. It is due, and counted as planned, when the round goes on.
    pub(super) fn gathers(&mut self, plan: &Request, now: Nanos) -> bool {
        self.burst.round = None;
        let share = self.run.profile.faults.same_url_burst;
        let is_apart = plan.probe.is_some() || plan.upgrade.is_some() || self.together.is_open || self.trail.is_some();
        if share == 0.0 || is_apart || !self.suffers() {
            return false;
        }
        let opens = self.is_hit(share);
        // Nobody outside chooses what is hashed, and a clash of two URLs does no harm.
        let mut hasher = DefaultHasher::new();
        let path = self.outgoing.uri.path_and_query().map(|path| path.as_str());
        (plan.target, &plan.method, path, &self.outgoing.elsewhere.is_some()).hash(&mut hasher);
        self.burst.round = self.run.meetings.gather(hasher.finish(), opens, now);
        self.burst.round.is_some()
    }

    /// The round that a request waits for at [`Effect::Meet`]; of a `rendezvous` there is none yet.
    pub fn take_round(&mut self) -> Option<Arc<Round>> {
        self.burst.round.take().map(|(_, round)| round)
    }

    /// The round goes on, and the request with it. `None`: it was no burst.
    pub(super) fn burst_over(&mut self, meeting: usize, release: Release, recorder: &mut Recorder) -> Option<Effect> {
        if !self.run.meetings.is_burst(meeting) {
            return None;
        }
        self.due = self.due.max(release.at);
        if release.came > 1 {
            self.count_fault(recorder, |c| c.same_url_burst += 1);
        }
        recorder.planned(self.run.program.requests[self.outgoing.request].step, self.due);
        Some(Effect::Send(self.due))
    }
}
