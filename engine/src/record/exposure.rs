//! Exposure: in how many seconds a leak could have been seen, by step, transport and fault. Leaks come in bursts, so a
//! bound by time stands beside the one by answers.
//! In: intervals, whose parts of a second may come apart. Out: seconds in [`Isolation`].

use super::interval::Interval;
use crate::faults::FAULTS;
use crate::run_result::{Isolation, RunHeader, TRANSPORTS};

/// Seconds counted so far, and the one that is going on.
#[derive(Clone, Debug, Default)]
pub struct Exposure {
    second: u64,
    steps: Vec<bool>,
    transports: [bool; TRANSPORTS.len()],
    provoked: [bool; FAULTS],
    /// An answer came in which a leak could have been seen.
    is_exposed: bool,
}

impl Exposure {
    /// Adds a part of a second.
    pub fn add(&mut self, interval: &Interval, header: &RunHeader, sums: &mut Isolation) {
        if interval.second != self.second {
            self.close(sums);
            self.second = interval.second;
        }
        self.steps.resize(header.steps.len(), false);
        for (index, step) in &interval.steps {
            let (Some(is_seen), Some(header)) = (self.steps.get_mut(*index), header.steps.get(*index)) else {
                continue;
            };
            let seen = &step.isolation;
            // A declared control vouches for all answers of its step, else each must show one.
            *is_seen |= 0 < if header.declared_control { seen.after_others } else { seen.after_others_controlled };
            self.is_exposed |= seen.after_others_controlled > 0;
        }
        for (is_seen, count) in self.transports.iter_mut().zip(interval.isolation.transports) {
            *is_seen |= count > 0;
        }
        for (is_seen, (_, count)) in self.provoked.iter_mut().zip(interval.faults.by_name()) {
            *is_seen |= count > 0;
        }
    }

    /// The second is over.
    pub fn close(&mut self, sums: &mut Isolation) {
        sums.step_seconds.resize(self.steps.len(), 0);
        let counts = sums.step_seconds.iter_mut().chain(&mut sums.transport_seconds);
        for (sum, is_seen) in counts.zip(self.steps.iter().chain(&self.transports)) {
            *sum += u64::from(*is_seen);
        }
        for (sum, is_seen) in sums.stressor_seconds.iter_mut().zip(self.provoked) {
            *sum += u64::from(is_seen && self.is_exposed);
        }
        self.steps.fill(false);
        (self.transports, self.provoked, self.is_exposed) = Default::default();
    }
}
