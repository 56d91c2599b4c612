//! Abort rules watched while a run goes: each finished second is added to a sliding window, and the first condition
//! that holds ends the run. Counts only; what the rule means for the verdict is not decided here.
//! In: intervals in order. Out: the reason to end, or the end itself through [`Stop`].

use super::collector::Observer;
use super::interval::Interval;
use crate::clock::SECOND;
use crate::header::{counted_below, step_limits};
use crate::run::Stop;
use crate::run_result::{LeakRecord, RunHeader};
use scenarios::abort::AbortRule;
use scenarios::objective::Stat;
use scenarios::program::{Profile, Program};
use std::collections::BTreeMap;

/// Fewest outcomes in a window: a rule that fires on fewer ends runs by chance.
const LEAST: u64 = 10;

/// All abort rules of a profile.
#[derive(Debug)]
pub struct Guard {
    watches: Vec<Watch>,
    /// The first measured second, and the one in which the load ends.
    seconds: (u64, u64),
}

#[derive(Debug)]
struct Watch {
    rule: AbortRule,
    /// Step, and the place of the limit among its counters.
    steps: Vec<(usize, Option<usize>)>,
    window: BTreeMap<u64, Tally>,
}

/// What a second adds to a window.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Outcomes: of requests for `errors`, of response times else.
    n: u64,
    /// Of those: failed, or not within the limit.
    bad: u64,
    sum_ns: u128,
}

impl Guard {
    /// The rules of `program` that apply to `profile`.
    pub fn new(program: &Program, profile: &Profile) -> Self {
        let limits = step_limits(program);
        let rules = program.abort_rules.iter();
        let watches = rules
            .filter(|r| r.profiles.as_ref().is_none_or(|names| names.contains(&profile.name)))
            .map(|rule| Watch::new(rule, program, &limits));
        let end = profile.load.duration_ns().div_ceil(SECOND);
        Self { watches: watches.collect(), seconds: (profile.warm_up_ns.div_ceil(SECOND), end) }
    }

    /// Adds a second; answers why the run is to end, if it is.
    pub fn see(&mut self, interval: &Interval) -> Option<String> {
        let (first, end) = self.seconds;
        // After the load there is nothing left to spare the target.
        if !(first..end).contains(&interval.second) {
            return None;
        }
        self.watches.iter_mut().find_map(|watch| watch.see(interval, first))
    }
}

impl Watch {
    fn new(rule: &AbortRule, program: &Program, limits: &[Vec<u64>]) -> Self {
        let limit = counted_below(&rule.limit);
        let is_watched = |step: usize| {
            let is_response = !matches!(rule.stat, Stat::Errors);
            (rule.of.is_everything() || rule.of.step_ids.contains(&step)) && !(is_response && program.steps[step].probe)
        };
        let steps = (0..program.steps.len()).filter(|&step| is_watched(step));
        let place = |step: usize| limits.get(step).and_then(|all| all.iter().position(|&l| l == limit));
        Self { steps: steps.map(|step| (step, place(step))).collect(), window: BTreeMap::new(), rule: rule.clone() }
    }

    fn see(&mut self, interval: &Interval, first: u64) -> Option<String> {
        let tally = self.tally(interval);
        // A worker that lags delivers a second in parts.
        let sum = self.window.entry(interval.second).or_default();
        sum.add(&tally);
        let newest = *self.window.last_key_value().expect("a second was just added").0;
        let full = newest + 1 >= first + self.rule.over_s;
        self.window = self.window.split_off(&(newest + 1).saturating_sub(self.rule.over_s));
        if !full {
            return None;
        }
        let mut sum = Tally::default();
        self.window.values().for_each(|t| sum.add(t));
        self.reason(&sum, newest + 1 - first)
    }

    fn tally(&self, interval: &Interval) -> Tally {
        let mut sum = Tally::default();
        for (step, place) in &self.steps {
            let Some(seen) = interval.steps.get(step) else {
                continue;
            };
            if self.rule.stat == Stat::Errors {
                let bad = seen.counts.failed + seen.counts.timed_out + seen.messages.failures();
                sum.add(&Tally { n: bad + seen.counts.ok + seen.messages.matched, bad, sum_ns: 0 });
            } else {
                let n = seen.response.count();
                let within = place.and_then(|p| seen.within.get(p)).copied().unwrap_or(0);
                let sum_ns = seen.response.times().map_or(0, |t| t.sum_ns);
                sum.add(&Tally { n, bad: n - within.min(n), sum_ns });
            }
        }
        sum
    }

    /// Why the run is to end `after_s` seconds into the measured part.
    fn reason(&self, sum: &Tally, after_s: u64) -> Option<String> {
        if sum.n < LEAST {
            return None;
        }
        let n = sum.n as f64;
        let limit = &self.rule.limit;
        let seen = match self.rule.stat {
            Stat::Percentile(p) => {
                // The percentile is beyond the limit when too few are within it.
                let need = (p / 100.0 * n - 1e-6).ceil() as u64;
                if sum.n - sum.bad >= need {
                    return None;
                }
                format!("{} of {} not within {}", sum.bad, sum.n, value_of(&limit.text))
            }
            Stat::Mean if limit.op.holds(sum.sum_ns as f64 / n, limit.value) => {
                format!("mean {:.0} ms of {}", sum.sum_ns as f64 / n / 1e6, sum.n)
            }
            Stat::Errors if limit.op.holds(sum.bad as f64 / n, limit.value) => {
                format!("{} of {} failed or timed out", sum.bad, sum.n)
            }
            _ => return None,
        };
        Some(format!("{}: {seen}, {after_s} s after the start of the measured part", self.rule.text))
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.bad += other.bad;
        self.sum_ns += other.sum_ns;
    }
}

/// `> 5s` → `5s`.
fn value_of(limit: &str) -> &str {
    limit.trim_start_matches(['>', '=', ' '])
}

/// An observer that lets another one see, and ends the run when a rule says so.
pub struct Guarded<'a> {
    /// The rules.
    pub guard: Guard,
    /// Ends the run.
    pub stop: &'a Stop,
    /// Who else looks.
    pub observer: &'a mut dyn Observer,
}

impl Observer for Guarded<'_> {
    fn begins(&mut self, header: &RunHeader) {
        self.observer.begins(header);
    }

    fn interval(&mut self, interval: &Interval) {
        if let Some(reason) = self.guard.see(interval) {
            self.stop.abort(&reason);
        }
        self.observer.interval(interval);
    }

    fn not_stored(&mut self, why: &str) {
        self.observer.not_stored(why);
    }

    fn leak(&mut self, record: &LeakRecord) {
        self.observer.leak(record);
    }
}
