//! The laws that hold exactly in every result: whatever fell due is accounted for.
//! In: a run result. Out: the laws that it breaks, in words.

use crate::figures::count;
use engine::run_result::{Ending, RunResult};

/// Everything that fell due: requests of steps, and arrivals that found no free user.
pub fn planned(result: &RunResult) -> u64 {
    result.totals().planned + result.dropped
}

/// The broken laws in words; empty for a sound result. A killed run is not checked: it may have had requests in
/// flight whose outcome was never stored.
pub fn broken_laws(result: &RunResult) -> Vec<String> {
    if result.ending == Ending::Killed {
        return Vec::new();
    }
    let mut broken = Vec::new();
    let totals = result.totals();
    let accounted = totals.sent() + result.dropped + totals.generator_errors;
    if planned(result) != accounted {
        broken.push(format!(
            "the counters do not add up: {} requests fell due, {} are accounted for",
            count(planned(result)),
            count(accounted)
        ));
    }
    let i = &result.iterations;
    let ended = i.completed + i.gave_up + i.cut;
    if i.started != ended {
        broken.push(format!(
            "the counters do not add up: {} iterations started, {} ended",
            count(i.started),
            count(ended)
        ));
    }
    broken
}
