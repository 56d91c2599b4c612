//! A named part of a run: what was planned of it, what was measured in it, and the part as a run of its own.
//! In: folded by `record::phases`. Out: read by `reports`.

use super::{Counts, Iterations, Messages, Point, RunResult, StepTotals, Times};
use crate::clock::SECOND;
use crate::record::interval::Recording;
use serde::{Deserialize, Serialize};

/// A phase as planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseHeader {
    /// `10 users`; unique in its run.
    pub name: String,
    /// Start, ns since the start of the load.
    pub from_ns: u64,
    /// End, ns since the start of the load.
    pub to_ns: u64,
}

/// What was measured of one step in one phase.
#[derive(Clone, Debug, Default)]
pub struct PhaseStep {
    /// Counters.
    pub counts: Counts,
    /// Response times: ok, and lower bounds.
    pub response: Recording,
    /// Timed-out and unfinished ones alone.
    pub lower_bounds: Recording,
    /// Aligned with the step's `limits_ns`.
    pub within: Vec<u64>,
    /// Messages of a WebSocket.
    pub messages: Messages,
}

/// What was measured in one phase.
#[derive(Clone, Debug, Default)]
pub struct PhaseTotals {
    /// By step index.
    pub steps: Vec<PhaseStep>,
    /// Iterations that came to their end in it.
    pub completed: u64,
    /// Iterations that were given up in it.
    pub gave_up: u64,
    /// Arrivals that found no free user.
    pub dropped: u64,
    /// Of those: because of the target.
    pub dropped_by_target: u64,
}

impl PhaseTotals {
    /// Sum over all steps.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.steps.iter().for_each(|step| sum.add(&step.counts));
        sum
    }
}

impl RunResult {
    /// How long a phase was measured, s: its planned length, less what was not reached of it.
    pub fn phase_duration_s(&self, phase: &PhaseHeader) -> f64 {
        let reached_ns = (self.duration_s * SECOND as f64) as u64 + self.header.warm_up_ns;
        phase.to_ns.min(reached_ns).saturating_sub(phase.from_ns) as f64 / SECOND as f64
    }

    /// A phase as a run of its own, for whoever judges it by the same rules as the whole: its counters, times and part
    /// of the timeline. Iterations are those that ended in it. `None` when there is no such phase.
    pub fn of_phase(&self, index: usize) -> Option<Self> {
        let (header, totals) = (self.header.phases.get(index)?, self.phases.get(index)?);
        let steps = totals.steps.iter().map(|step| StepTotals {
            counts: step.counts,
            response: owned(&step.response),
            lower_bounds: owned(&step.lower_bounds),
            within: step.within.clone(),
            messages: step.messages,
            ..StepTotals::default()
        });
        let ended = totals.completed + totals.gave_up;
        let mut health = self.health.clone();
        health.dropped_by_target = totals.dropped_by_target;
        Some(Self {
            header: self.header.clone(),
            ending: self.ending.clone(),
            duration_s: self.phase_duration_s(header),
            steps: steps.collect(),
            groups: Vec::new(),
            iterations: Iterations {
                started: ended,
                completed: totals.completed,
                gave_up: totals.gave_up,
                ..Iterations::default()
            },
            dropped: totals.dropped,
            overhead: self.overhead,
            faults: self.faults,
            errors: Vec::new(),
            timeline: self.timeline.iter().filter(|p| self.is_in(p, header)).cloned().collect(),
            warm_up: Times::default(),
            health,
            isolation: self.isolation.clone(),
            phases: Vec::new(),
            windows: Vec::new(),
            beats: Vec::new(),
            watched: Vec::new(),
            healthy: Vec::new(),
            limits: Vec::new(),
        })
    }

    fn is_in(&self, point: &Point, phase: &PhaseHeader) -> bool {
        let middle_s = point.t_s + point.every_s / 2.0 + self.header.warm_up_ns as f64 / SECOND as f64;
        let (from_s, to_s) = (phase.from_ns as f64 / SECOND as f64, phase.to_ns as f64 / SECOND as f64);
        (from_s..to_s).contains(&middle_s)
    }
}

fn owned(recording: &Recording) -> Times {
    recording.times().cloned().unwrap_or_default()
}
