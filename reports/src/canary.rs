//! A canary: each step is judged when it ends, and the run is stopped at the first that fails; then the two versions are
//! laid side by side.
//! In: intervals of a run that goes, or a run result. Out: the order to stop, rows for every rendering.

use crate::figures::{self, count as number};
use crate::judge::missed_at;
use crate::judge::times::{Percentiles, Shown};
use crate::rows::shown;
use engine::clock::SECOND;
use engine::record::fold::Fold;
use engine::run_result::{Counts, Ending, LeakRecord, RunHeader, RunResult, StepTotals, Tier};
use engine::{Interval, Observer, Stop};
use serde_json::{Value, json};

/// Looks on while a run goes, lets another one look on too, and stops a canary at its first failing step. Of other runs
/// it does nothing.
pub struct Watch<'a> {
    fold: Option<Box<Fold>>,
    header: Option<RunHeader>,
    /// The step that is judged next.
    step: usize,
    stop: &'a Stop,
    observer: &'a mut dyn Observer,
}

impl<'a> Watch<'a> {
    /// Stops through `stop`, and tells `observer` everything.
    pub fn new(stop: &'a Stop, observer: &'a mut dyn Observer) -> Self {
        Self { fold: None, header: None, step: 0, stop, observer }
    }

    /// Adds a second; answers why the run is to end, if a step ended with it and failed.
    fn see(&mut self, interval: &Interval) -> Option<String> {
        let (fold, header) = (self.fold.as_mut()?, self.header.as_ref()?);
        fold.add(interval);
        let end_ns = (interval.second + 1).saturating_mul(SECOND);
        // After the last step there is nothing left to be spared.
        while self.step + 1 < header.phases.len() && end_ns >= header.phases[self.step].to_ns {
            let step = self.step;
            self.step += 1;
            let so_far = Fold::clone(fold).finish(Ending::Finished);
            if let Some(why) = failed(&so_far, step) {
                let name = &header.phases[step].name;
                return Some(format!("the canary's step {name} failed, the new version is to be rolled back: {why}"));
            }
        }
        None
    }
}

/// Why step `step` fails: a leak, or the first objective that is missed.
fn failed(so_far: &RunResult, step: usize) -> Option<String> {
    let leaks: u64 = so_far.isolation.groups.iter().filter(|g| g.key.tier == Tier::Proven).map(|g| g.count).sum();
    if leaks > 0 {
        return Some("a user received another user's data".into());
    }
    missed_at(so_far, step, &so_far.header.objectives).into_iter().next()
}

impl Observer for Watch<'_> {
    fn begins(&mut self, header: &RunHeader) {
        if header.canary.is_some() {
            self.fold = Some(Box::new(Fold::new(header.clone())));
            self.header = Some(header.clone());
        }
        self.observer.begins(header);
    }

    fn interval(&mut self, interval: &Interval) {
        self.observer.interval(interval);
        if let Some(why) = self.see(interval) {
            self.stop.abort(&why);
        }
    }

    fn not_stored(&mut self, why: &str) {
        self.observer.not_stored(why);
    }

    fn leak(&mut self, record: &LeakRecord) {
        self.observer.leak(record);
    }
}

/// One step of a canary: what the old version did, and the new one.
#[derive(Clone, Debug)]
pub(crate) struct StepRow {
    /// `25%`.
    pub name: String,
    /// Users on the new version, of so many.
    pub users: (usize, usize),
    /// Whether it was played.
    pub is_reached: bool,
    /// The old version, then the new one.
    pub sides: [Side; 2],
}

impl StepRow {
    /// As words: users on the new version, then requests, errors and p95 of the old version and of the new one in turn.
    pub fn cells(&self) -> [String; 7] {
        let dash = || "–".to_owned();
        let [old, new] = self.sides;
        let errors = |side: Side| side.errors.map_or_else(dash, figures::share);
        let p95 = |side: Side| side.p95.map_or_else(dash, shown);
        let users = if self.is_reached {
            format!("{} of {}", number(self.users.0 as u64), number(self.users.1 as u64))
        } else {
            "not played".to_owned()
        };
        [users, number(old.sent), number(new.sent), errors(old), errors(new), p95(old), p95(new)]
    }

    /// For `result.json`.
    pub fn json(&self) -> Value {
        let side = |side: Side| json!({ "sent": side.sent, "errors": side.errors, "p95_ms": side.p95.map(|s| (s.ns / 100.0).round() / 1e4) });
        json!({
            "step": self.name, "users": self.users.0, "played": self.is_reached,
            "old": side(self.sides[0]), "new": side(self.sides[1]),
        })
    }
}

/// What one version did at one step. The old one's figures are of the requests that the new one takes over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    /// Requests.
    pub sent: u64,
    /// Failed and timed out, of those that have an outcome; `None` when there is none.
    pub errors: Option<f64>,
    /// p95 of the response time, ns.
    pub p95: Option<Shown>,
}

/// The steps in order; empty for a run that is no canary.
pub(crate) fn rows(result: &RunResult) -> Vec<StepRow> {
    let Some(canary) = &result.header.canary else { return Vec::new() };
    let twins: Vec<(usize, usize)> =
        result.header.steps.iter().enumerate().filter_map(|(i, s)| Some((s.twin_of?, i))).collect();
    let count = result.header.steps.len();
    // A file may hold the twins of several canaries; this one's go to its own target.
    let own: Vec<_> =
        twins.into_iter().filter(|(old, new)| *old < count && result.header.steps[*new].target == canary.new).collect();
    let phases = result.header.phases.iter().enumerate();
    phases
        .map(|(index, phase)| StepRow {
            name: crate::figures::plain(&phase.name),
            users: (canary.users.get(index).copied().unwrap_or(0), result.header.users),
            is_reached: result.phase_duration_s(phase) > 0.0,
            sides: [
                side(result, index, own.iter().map(|(old, _)| *old)),
                side(result, index, own.iter().map(|(_, new)| *new)),
            ],
        })
        .collect()
}

fn side(result: &RunResult, phase: usize, steps: impl Iterator<Item = usize>) -> Side {
    let mut counts = Counts::default();
    let mut times = StepTotals::default();
    for step in steps {
        let seen = result.phases.get(phase).and_then(|p| p.steps.get(step));
        let Some(seen) = seen else { continue };
        counts.add(&seen.counts);
        if !result.header.steps[step].probe {
            seen.response.add_to(&mut times.response);
            seen.lower_bounds.add_to(&mut times.lower_bounds);
        }
    }
    let bad = counts.failed + counts.timed_out;
    let settled = counts.ok + bad;
    Side {
        sent: counts.sent(),
        errors: (settled > 0).then(|| bad as f64 / settled as f64),
        p95: Percentiles::of_response(&times).at(95.0),
    }
}
