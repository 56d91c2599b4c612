//! A stated rate limit: 429 with Retry-After comes above it, and only above it.
//! In: run result, the rate as written. Out: an [`Assessment`]. The engine decided about each answer, at every point in
//! favour of the target; so each wrong one counts, and none is too few.

use super::claim::Assessment;
use crate::figures::{self, count, counted};
use crate::stats;
use crate::verdict::ObjectiveOutcome;
use engine::run_result::{LimitCounts, RunResult};
use scenarios::objective::{Limit, Objective};
use scenarios::rate_limit::RateLimit;

/// A pass needs so many answers on each side that at most one in ten can be otherwise, at 95 %: 29.
const MAY_BE_OTHERWISE: f64 = 0.10;

/// Judges the limit of `objective`.
pub fn assess(result: &RunResult, objective: &Objective, limit: &Limit) -> Assessment {
    let is_it = |(text, steps): (&str, &[usize])| text == limit.text && steps == objective.of.step_ids;
    let place = result.header.rate_limits.iter().position(|rule| is_it((&rule.text, &rule.steps)));
    let Some((seen, rate)) = place.and_then(|at| result.limits.get(at)).zip(RateLimit::parse(&limit.text).ok()) else {
        return Assessment::nothing("this limit was not counted in the run");
    };
    let n = seen.within + seen.between + seen.let_through + seen.limited + seen.early + seen.excused;
    let window = figures::duration(rate.per_ns as f64 / 1e9);
    let (outcome, reason) = decide(seen, &limit.text, &window);
    Assessment {
        // What was still answered when the first no came.
        measured: seen.fewest.checked_sub(1).map(|most| most as f64 * 1e9 / rate.per_ns as f64),
        is_at_least: false,
        n,
        interval: None,
        outcome,
        reason,
    }
}

fn decide(seen: &LimitCounts, text: &str, window: &str) -> (ObjectiveOutcome, String) {
    let mut wrong = Vec::new();
    if seen.early > 0 {
        wrong.push(format!(
            "{} refused within {text}, the first of them with {} in {window}",
            counted(seen.early, "request"),
            counted(seen.fewest, "request")
        ));
    }
    if seen.let_through > 0 {
        wrong.push(format!("{} let through above {text}", counted(seen.let_through, "request")));
    }
    if seen.bare > 0 {
        wrong.push(format!("{} without Retry-After", counted(seen.bare, "refusal")));
    }
    if !wrong.is_empty() {
        let also = match seen.limited {
            0 => "; none refused above it".to_owned(),
            n => format!("; {} refused above it", count(n)),
        };
        return (ObjectiveOutcome::Fail, wrong.join("; ") + &also);
    }
    let least = stats::least_n(MAY_BE_OTHERWISE);
    let sides = format!("{} refused above {text}, {} answered within it", count(seen.limited), count(seen.within));
    if seen.limited == 0 {
        let reason = match seen.between {
            0 => format!("nobody asked faster than {text}, so nothing had to be refused"),
            n => format!("{} above {text}, and none so far above it that it had to be refused", counted(n, "request")),
        };
        (ObjectiveOutcome::Inconclusive, reason)
    } else if seen.limited < least || seen.within < least {
        (ObjectiveOutcome::Inconclusive, format!("{sides}; a rate limit needs at least {} of each", count(least)))
    } else {
        (ObjectiveOutcome::Pass, sides)
    }
}
