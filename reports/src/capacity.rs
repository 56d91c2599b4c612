//! A search for the capacity judged: whether one trial holds, and what the answer is worth against an objective.
//! In: run result and verdict of a trial, or the answer stored with a run. Out: [`Trial`]s and words.

use crate::blocks::measured_points;
use crate::figures;
use crate::judge::claim::Assessment;
use crate::verdict::{Interval, IsolationState, ObjectiveOutcome, ValidityState, Verdict};
use engine::run_result::{Capacity, RunResult, Trial, TrialOutcome};
use scenarios::objective::Limit;

/// Least share of the asked iterations that has to come to its end.
const DONE: f64 = 0.99;
/// Fewest seconds in which a trend can be seen.
const LEAST_POINTS: usize = 3;
/// Requests in flight that come and go without meaning anything.
const NOISE: f64 = 5.0;

/// What is known of a trial before it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// Number, from 1.
    pub number: usize,
    /// Rate of arrivals, a second.
    pub rate: f64,
    /// How long it is held, s.
    pub hold_s: f64,
    /// It confirms an answer.
    pub confirming: bool,
}

/// Judges a trial: it holds if no objective misses, at least 99 % of what was asked is done, and the number in flight
/// does not trend upward. Too few samples for an objective are no miss.
pub fn trial(asked: Asked, result: &RunResult, verdict: &Verdict) -> Trial {
    let done = done(result);
    let (outcome, limit, why) = match broken(asked.hold_s, done, result, verdict) {
        Some((outcome, limit, why)) => (outcome, limit, why),
        None => (TrialOutcome::Held, String::new(), "everything held".into()),
    };
    let times = result.merged(&[]).response;
    let at = |p| times.percentile_ns(p);
    Trial {
        number: asked.number,
        rate: asked.rate,
        hold_s: asked.hold_s,
        confirming: asked.confirming,
        outcome,
        limit,
        why,
        done,
        response_ns: at(50.0).zip(at(95.0)).zip(at(99.0)).map(|((p50, p95), p99)| [p50, p95, p99]),
    }
}

/// Iterations that came to their end, of those that were asked for.
fn done(result: &RunResult) -> Option<f64> {
    let i = &result.iterations;
    let asked = i.started + result.dropped;
    (asked > 0).then(|| (i.completed + i.gave_up) as f64 / asked as f64)
}

fn broken(
    hold_s: f64,
    done: Option<f64>,
    result: &RunResult,
    verdict: &Verdict,
) -> Option<(TrialOutcome, String, String)> {
    let missed = |limit: &str, why: String| Some((TrialOutcome::Missed, limit.to_owned(), why));
    if verdict.validity.state == ValidityState::Void {
        let why = verdict.validity.reasons.join("; ");
        return Some((TrialOutcome::Generator, "the generator".into(), why));
    }
    if verdict.isolation.state == IsolationState::Leaking {
        return missed("isolation", verdict.isolation.statement.clone());
    }
    if let Some(objective) = verdict.objectives.iter().find(|o| o.outcome == ObjectiveOutcome::Fail) {
        return missed(&objective.id, format!("{}: {}", objective.id, objective.reason));
    }
    match done {
        None => return missed("done", "no iteration fell due; hold longer, or start at a higher rate".into()),
        Some(done) if done < DONE => {
            let mut why = format!("only {} of the asked iterations were done", figures::share(done));
            if result.dropped > 0 {
                let users = figures::count(result.header.users as u64);
                why += &format!("; {} found all {users} users busy", figures::counted(result.dropped, "arrival"));
            }
            return missed("done", why);
        }
        Some(_) => {}
    }
    let in_flight: Vec<f64> =
        measured_points(result).filter(|p| p.t_s + p.every_s <= hold_s + 1e-6).map(|p| p.in_flight as f64).collect();
    let rise = growth(&in_flight)?;
    missed("in flight", format!("the number of requests in flight kept growing, by {rise:.0} in the later two thirds"))
}

/// By how much a series grew over its later two thirds, if it did: most pairs of points rise (Kendall), and the rise
/// along the median slope (Theil–Sen) is more than chance and half of the middle value. The first third is where
/// users get going.
pub fn growth(series: &[f64]) -> Option<f64> {
    let later = &series[series.len() / 3..];
    if later.len() < LEAST_POINTS {
        return None;
    }
    let mut slopes = Vec::new();
    let mut balance = 0.0;
    for (i, a) in later.iter().enumerate() {
        for (j, b) in later.iter().enumerate().skip(i + 1) {
            slopes.push((b - a) / (j - i) as f64);
            balance += f64::from(b > a) - f64::from(b < a);
        }
    }
    let tau = balance / slopes.len() as f64;
    let rise = median(&mut slopes) * (later.len() - 1) as f64;
    let middle = median(&mut later.to_vec());
    // Few points rise by chance more easily than many.
    let least_tau = if later.len() < 8 { 0.8 } else { 0.5 };
    (tau >= least_tau && rise > NOISE.max(middle / 2.0)).then_some(rise)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Judges `capacity` against its limit. Where the generator or the range was the limit, a lower answer proves nothing.
pub fn assess(result: &RunResult, limit: &Limit) -> Assessment {
    let Some(capacity) = &result.header.capacity else {
        return Assessment::nothing("this run did not look for the capacity");
    };
    if let Some(why) = &capacity.cut_short {
        return Assessment::nothing(format!("the search has no answer: {why}"));
    }
    let rate = capacity.rate.unwrap_or(0.0);
    let holds = limit.op.holds(rate, limit.value);
    let outcome = match (holds, capacity.at_least && limit.op.is_upper() == holds) {
        (_, true) => ObjectiveOutcome::Inconclusive,
        (true, false) => ObjectiveOutcome::Pass,
        (false, false) => ObjectiveOutcome::Fail,
    };
    Assessment {
        measured: Some(rate),
        is_at_least: capacity.at_least,
        n: capacity.trials.len() as u64,
        interval: Some(Interval { low: rate, high: capacity.missed_at.filter(|_| !capacity.at_least) }),
        outcome,
        reason: statement(capacity),
    }
}

/// The answer in a sentence.
pub fn statement(capacity: &Capacity) -> String {
    let [low, high] = capacity.range;
    let trials = figures::counted(capacity.trials.len() as u64, "trial");
    if let Some(why) = &capacity.cut_short {
        return format!("no answer after {trials}: {why}");
    }
    let limit = &capacity.limited_by;
    match (capacity.rate, capacity.missed_at) {
        (None, _) if capacity.at_least => {
            format!("unknown: {limit} was the limit already at the lower end of the range, {}", figures::rate(low))
        }
        (None, _) => format!("below {}, the lower end of the range, limited by {limit}", figures::rate(low)),
        (Some(rate), Some(missed)) if !capacity.at_least => format!(
            "{} held, confirmed over twice the hold; {} did not, limited by {limit} ({trials})",
            figures::rate(rate),
            figures::rate(missed)
        ),
        (Some(rate), Some(_)) => {
            format!("at least {}; beyond it {limit} was the limit ({trials})", figures::rate(rate))
        }
        (Some(rate), None) => {
            format!("at least {}: the whole range up to {} held ({trials})", figures::rate(rate), figures::rate(high))
        }
    }
}

/// How a trial came out: class, sign and word.
pub fn outcome_words(trial: &Trial) -> (&'static str, &'static str, &'static str) {
    match trial.outcome {
        TrialOutcome::Held => ("pass", "✓", "held"),
        TrialOutcome::Missed => ("fail", "✗", "missed"),
        TrialOutcome::Generator => ("inconclusive", "?", "generator"),
    }
}
