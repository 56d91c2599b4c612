//! Phases: what was measured in each named part of a run, folded from the same seconds as the whole.
//! In: the phases of the header, intervals. Out: [`PhaseTotals`]; their sums are the totals of the run.

use super::interval::Interval;
use crate::clock::{Nanos, SECOND};
use crate::run_result::{Counts, PhaseHeader, PhaseStep, PhaseTotals};

/// Phases in the making.
#[derive(Clone, Debug)]
pub struct Phases {
    /// End of each phase, ns since the start of the load.
    ends: Vec<Nanos>,
    totals: Vec<PhaseTotals>,
}

impl Phases {
    /// Nothing yet of these phases.
    pub fn new(headers: &[PhaseHeader], steps: usize) -> Self {
        Self {
            ends: headers.iter().map(|p| p.to_ns).collect(),
            totals: headers
                .iter()
                .map(|_| PhaseTotals { steps: vec![PhaseStep::default(); steps], ..PhaseTotals::default() })
                .collect(),
        }
    }

    /// Adds a second to the phase that holds its middle; what comes after the last phase (users finish their
    /// iteration) belongs to the last one. So a request belongs to the phase in which it ended.
    pub fn add(&mut self, interval: &Interval) {
        let middle = interval.second * SECOND + SECOND / 2;
        let last = self.ends.len().saturating_sub(1);
        let place = self.ends.iter().position(|end| middle < *end).unwrap_or(last);
        let Some(phase) = self.totals.get_mut(place) else {
            return;
        };
        for (index, step) in &interval.steps {
            let Some(sum) = phase.steps.get_mut(*index) else {
                continue;
            };
            sum.counts.add(&step.counts);
            sum.response.add(&step.response);
            sum.lower_bounds.add(&step.lower_bounds);
            sum.messages.add(&step.messages);
            if sum.within.len() < step.within.len() {
                sum.within.resize(step.within.len(), 0);
            }
            for (mine, theirs) in sum.within.iter_mut().zip(&step.within) {
                *mine += theirs;
            }
        }
        phase.completed += interval.iterations.completed;
        phase.gave_up += interval.iterations.gave_up;
        phase.dropped += interval.dropped;
        phase.dropped_by_target += interval.dropped_by_target;
    }

    /// The totals. What was planned and has no outcome (the process was killed) is unfinished in the last phase that
    /// was reached, as it is in the whole.
    pub fn finish(mut self) -> Vec<PhaseTotals> {
        let reached = self.totals.iter().rposition(|p| p.counts().planned > 0);
        if let Some(reached) = reached {
            for step in 0..self.totals[reached].steps.len() {
                let mut sum = Counts::default();
                self.totals.iter().for_each(|p| sum.add(&p.steps[step].counts));
                let outcomes = sum.sent() + sum.generator_errors;
                self.totals[reached].steps[step].counts.unfinished += sum.planned.saturating_sub(outcomes);
            }
        }
        self.totals
    }
}
