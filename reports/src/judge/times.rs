//! Response times against their limits: "p95 < T" is "at least 95 % finish within T".
//! In: run result, steps, limit. Out: an [`Assessment`]; also the percentiles that every table shows.

use super::claim::{Assessment, Claim};
use crate::blocks::{self, Dependence};
use crate::figures::{self, counted};
use crate::stats;
use crate::verdict::{Interval, ObjectiveOutcome};
use engine::run_result::{RunResult, StepTotals, Times};
use hdrhistogram::Histogram;
use scenarios::objective::{Comparison, LEAST_FOR_MEAN, Limit, Stat};

/// A percentile as printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// Nanoseconds.
    pub ns: f64,
    /// The truth is at least this: cut requests could move it by more than 1 % or 1 ms.
    pub is_at_least: bool,
}

/// Percentiles of one step or of several merged, aware of requests that were cut.
#[derive(Debug)]
pub struct Percentiles<'a> {
    times: &'a Times,
    /// The same times without the lower bounds; `None` if there are none.
    answered: Option<Histogram<u64>>,
}

impl<'a> Percentiles<'a> {
    /// Of response times, with their lower bounds.
    pub fn of_response(totals: &'a StepTotals) -> Self {
        let bounds = &totals.lower_bounds;
        let answered = (bounds.count() > 0).then(|| {
            let mut answered = totals.response.histogram.clone();
            // A result stored by another version may disagree; then every time counts as answered.
            let _ = answered.subtract(&bounds.histogram);
            answered
        });
        Self { times: &totals.response, answered }
    }

    /// Of times without lower bounds.
    pub fn plain(times: &'a Times) -> Self {
        Self { times, answered: None }
    }

    /// Percentile `p` (0..=100); `None` when empty.
    pub fn at(&self, p: f64) -> Option<Shown> {
        let ns = if p >= 100.0 {
            (self.times.count() > 0).then_some(self.times.max_ns)?
        } else {
            self.times.percentile_ns(p)?
        } as f64;
        Some(Shown { ns, is_at_least: self.could_be_more(p, ns) })
    }

    /// Whether the percentile would be more than 1 % (or 1 ms) larger, had every cut request taken for ever.
    fn could_be_more(&self, p: f64, ns: f64) -> bool {
        let Some(answered) = &self.answered else {
            return false;
        };
        let rank = rank(p, self.times.count());
        if rank > answered.len() {
            return true;
        }
        let worst = answered.value_at_quantile(rank as f64 / answered.len() as f64) as f64 * 1e3;
        worst > ns + (ns * 0.01).max(1e6)
    }
}

/// Rank (1-based) of percentile `p` among `n`: ⌈p·n/100⌉, at least 1; p as written, so 99.9 % of 1,000 is 999.
fn rank(p: f64, n: u64) -> u64 {
    ((p / 100.0 * n as f64 - 1e-6).ceil() as u64).clamp(1, n.max(1))
}

/// The steps merged, `within` left out.
pub(super) fn merged(result: &RunResult, ids: &[usize]) -> StepTotals {
    let mut sum = StepTotals::default();
    for &i in ids {
        let step = &result.steps[i];
        sum.counts.add(&step.counts);
        sum.response.add(&step.response);
        sum.lower_bounds.add(&step.lower_bounds);
    }
    sum
}

/// How the samples lie about the limit.
struct Split {
    /// Answered on the near side of the limit.
    within: u64,
    /// Cut before the limit: either side.
    unknown: u64,
    /// Design effect and blocks of the share within; `None` if not counted by interval.
    dependence: Option<Dependence>,
}

/// Judges percentile `p` of the steps `ids`; 100 is the maximum.
pub fn percentile(result: &RunResult, ids: &[usize], p: f64, limit: &Limit) -> Assessment {
    let totals = merged(result, ids);
    let n = totals.response.count();
    let Some(shown) = Percentiles::of_response(&totals).at(p) else {
        return Assessment::nothing(no_times(&totals));
    };
    let split = split(result, ids, &totals, limit);
    let by_mean = blocks::of_response(result, ids, &totals);
    let dependence = stronger(split.dependence, by_mean);
    let stat = if p >= 100.0 { Stat::Max } else { Stat::Percentile(p) };
    let design_effect = dependence.map_or(1.0, |d| d.design_effect);
    let claim = claim(stat, p, limit, (n, split.within, split.unknown), design_effect);
    let name = claim.name.clone();
    let (outcome, reason) = claim.decide();
    let measured = agree(shown.ns, &totals, limit, outcome);
    Assessment {
        measured: Some(measured),
        is_at_least: shown.is_at_least,
        n,
        interval: dependence.filter(|_| p < 100.0).and_then(|d| interval(&totals, p, n, d, measured)),
        outcome,
        reason: if shown.is_at_least && outcome == ObjectiveOutcome::Fail {
            format!("{reason} ({name} is at least {})", figures::time(measured))
        } else {
            reason
        },
    }
}

fn no_times(totals: &StepTotals) -> String {
    match totals.counts.failed {
        0 => "no sample".into(),
        n => format!("no sample: {} failed, none was answered as expected", counted(n, "request")),
    }
}

/// The claim that percentile `p` makes of `n` samples, of which so many lie within the limit and so many on either side.
pub fn claim(stat: Stat, p: f64, limit: &Limit, (n, within, unknown): (u64, u64, u64), design_effect: f64) -> Claim {
    let need = rank(p, n);
    let at_best = within + unknown;
    let is_upper = limit.op.is_upper();
    let q = p / 100.0;
    let name = stat.word();
    let seen = format!(
        "{} of {} within {}; {name} asks for {}",
        figures::share(within as f64 / n.max(1) as f64),
        counted(n, "sample"),
        figures::time(limit.value),
        if is_upper { figures::share(q) } else { format!("less than {}", figures::share(q)) },
    );
    Claim {
        name,
        noun: "sample",
        n,
        bad: if is_upper { n - at_best } else { within },
        unknown,
        allowed: if is_upper { 1.0 - q } else { q },
        holds_at_best: n > 0 && if is_upper { at_best >= need } else { within < need },
        holds_at_worst: n > 0 && if is_upper { within >= need } else { at_best < need },
        design_effect,
        seen,
    }
}

/// A percentile of service times or of connecting, `of` each step: no time-out and no cut request has one, so the
/// histogram tells all. Its interval takes over the dependence of the response times, of which blocks are known.
pub fn plain(result: &RunResult, ids: &[usize], stat: Stat, p: f64, limit: &Limit) -> Assessment {
    let mut times = Times::default();
    for &i in ids {
        let step = &result.steps[i];
        times.add(if matches!(stat, Stat::Connect(_)) { &step.connect } else { &step.service });
    }
    let n = times.count();
    let Some(shown) = Percentiles::plain(&times).at(p) else {
        return Assessment::nothing(if matches!(stat, Stat::Connect(_)) {
            "no connection was made"
        } else {
            "no sample"
        });
    };
    let totals = merged(result, ids);
    let dependence = blocks::of_response(result, ids, &totals);
    let claim = claim(stat, p, limit, (n, times.within(limit), 0), dependence.map_or(1.0, |d| d.design_effect));
    let (outcome, reason) = claim.decide();
    let as_totals = StepTotals { response: times, ..StepTotals::default() };
    let measured = agree(shown.ns, &as_totals, limit, outcome);
    let interval = dependence.and_then(|d| interval(&as_totals, p, n, d, measured));
    Assessment { measured: Some(measured), is_at_least: false, n, interval, outcome, reason }
}

/// Counts the samples within the limit: by the exact counters if every step has one at this limit, else by the
/// histogram, where the bucket that holds the limit counts as missed.
fn split(result: &RunResult, ids: &[usize], totals: &StepTotals, limit: &Limit) -> Split {
    let unknown = totals.lower_bounds.within(limit);
    let places = counter_places(result, ids, limit);
    let Some(places) = places else {
        let bounded = if limit.op.is_upper() { unknown } else { totals.lower_bounds.count() };
        let within = totals.response.within(limit).saturating_sub(bounded);
        return Split { within, unknown, dependence: None };
    };
    let within: u64 =
        places.iter().map(|&(step, place)| result.steps[step].within.get(place).copied().unwrap_or(0)).sum();
    let by_block = blocks::blocks(result, |point| {
        let mut sum = (0.0, 0.0);
        for &(step, place) in &places {
            if let Some(s) = point.steps.get(step) {
                sum.0 += s.within.get(place).copied().unwrap_or(0) as f64;
                sum.1 += s.responses as f64;
            }
        }
        sum
    });
    let n = totals.response.count();
    let within = within.min(n);
    Split { within, unknown: unknown.min(n - within), dependence: blocks::of_share(&by_block) }
}

/// (step, index into its `within`) of every step that has samples; `None` if one of them lacks the limit.
/// A counter is strict, so "at most T" is preferably counted at T + 1 ns.
fn counter_places(result: &RunResult, ids: &[usize], limit: &Limit) -> Option<Vec<(usize, usize)>> {
    let exact = limit.value.round() as u64;
    let includes_limit = matches!(limit.op, Comparison::AtMost | Comparison::More);
    let find = |step: usize| {
        let limits = &result.header.steps[step].limits_ns;
        let at = |ns: u64| limits.iter().position(|&l| l == ns);
        let after = includes_limit.then(|| at(exact + 1)).flatten();
        after.or_else(|| at(exact)).map(|place| (step, place))
    };
    ids.iter().filter(|&&i| result.steps[i].response.count() > 0).map(|&i| find(i)).collect()
}

/// The dependence with the larger design effect: a limit far from all samples shows none of it by itself.
fn stronger(a: Option<Dependence>, b: Option<Dependence>) -> Option<Dependence> {
    match (a, b) {
        (Some(a), Some(b)) if a.design_effect < b.design_effect => Some(b),
        (Some(a), _) => Some(a),
        (None, b) => b,
    }
}

/// The printed percentile, moved inside its own histogram bucket (0.1 %) where needed, so that figure and exact
/// counters tell the same story.
pub(super) fn agree(ns: f64, totals: &StepTotals, limit: &Limit, outcome: ObjectiveOutcome) -> f64 {
    let holds = limit.op.holds(ns, limit.value);
    let bucket = &totals.response.histogram;
    let us = (ns / 1e3) as u64;
    let low = bucket.lowest_equivalent(us) as f64 * 1e3 - 500.0;
    let high = bucket.highest_equivalent(us) as f64 * 1e3 + 500.0;
    let is_near = (low..=high).contains(&limit.value);
    match outcome {
        ObjectiveOutcome::Pass if !holds && is_near && limit.op.is_upper() => low.min(limit.value - 1.0),
        ObjectiveOutcome::Pass if !holds && is_near => high.max(limit.value + 1.0),
        ObjectiveOutcome::Fail if holds && is_near => limit.value,
        _ => ns,
    }
}

pub(super) fn interval(totals: &StepTotals, p: f64, n: u64, d: Dependence, measured: f64) -> Option<Interval> {
    let effective = d.effective_n(n as f64)?.floor().max(1.0) as u64;
    let (low, high) = stats::order_ranks(effective, p / 100.0);
    let percentiles = Percentiles::of_response(totals);
    let at = |rank: u64| percentiles.at(rank as f64 / effective as f64 * 100.0);
    let low = low.and_then(at).map_or(totals.response.min_ns as f64, |s| s.ns);
    let high = high.and_then(at).filter(|s| !s.is_at_least);
    Some(Interval { low: low.min(measured), high: high.map(|s| s.ns.max(measured)) })
}

/// Judges the mean. Its interval is by batch means: mean ± t · √variance over at most 20 blocks.
pub fn mean(result: &RunResult, ids: &[usize], limit: &Limit) -> Assessment {
    let totals = merged(result, ids);
    let Some(mean) = totals.response.mean_ns() else {
        return Assessment::nothing(no_times(&totals));
    };
    let n = totals.response.count();
    let half = blocks::half_width(&blocks::response_blocks(result, ids));
    let interval = half.map(|half| Interval {
        low: (mean - half).max(totals.response.min_ns as f64),
        high: (totals.lower_bounds.count() == 0).then_some(mean + half),
    });
    let holds = limit.op.holds(mean, limit.value);
    let (outcome, reason) = if n < LEAST_FOR_MEAN {
        let reason = format!("{}; a mean needs at least {LEAST_FOR_MEAN}", counted(n, "sample"));
        (ObjectiveOutcome::Inconclusive, reason)
    } else if holds && limit.op.is_upper() && is_open(totals.lower_bounds.count(), n) {
        let reason = "requests that were cut or timed out could move the mean above its limit".to_owned();
        (ObjectiveOutcome::Inconclusive, reason)
    } else {
        let reason = format!("mean {} over {}", figures::time(mean), counted(n, "sample"));
        (if holds { ObjectiveOutcome::Pass } else { ObjectiveOutcome::Fail }, reason)
    };
    Assessment { measured: Some(mean), is_at_least: totals.lower_bounds.count() > 0, n, interval, outcome, reason }
}

/// Share of lower bounds from which on a mean that holds is not believed.
const BOUNDS_SHARE: f64 = 0.01;

/// Whether the cut and timed-out ones are so many that a mean below its limit proves nothing: each is longer than what is
/// known of it.
pub fn is_open(bounds: u64, n: u64) -> bool {
    bounds as f64 / n.max(1) as f64 > BOUNDS_SHARE
}
