//! What the live view knows: sums since the start, the last seconds, each objective's present state.
//! In: intervals. Out: read by `view`.

use engine::Interval;
use engine::run_result::{Counts, Times};
use scenarios::objective::{Objective, Stat};
use scenarios::program::{Profile, Program};
use std::collections::{BTreeMap, VecDeque};

/// Seconds that count as "the last seconds".
const WINDOW: usize = 5;

/// The state of a run as shown.
#[derive(Debug)]
pub struct State {
    /// `scenario · profile`.
    pub title: String,
    /// Planned length, s.
    pub planned_s: f64,
    /// Warm-up, s.
    pub warm_up_s: f64,
    /// Seconds since the start.
    pub elapsed_s: f64,
    /// The latest interval's users and requests in flight.
    pub users: u64,
    /// In flight.
    pub in_flight: u64,
    /// Counters since the start.
    pub counts: Counts,
    /// Dropped arrivals.
    pub dropped: u64,
    /// Response times since the start.
    pub response: Times,
    /// Lag since the start.
    pub lag: Times,
    /// Largest busy share of a worker in the latest second.
    pub busy: f64,
    /// Errors by kind.
    pub errors: BTreeMap<String, u64>,
    /// Proven leaks.
    pub leaks: u64,
    /// The first leak in words.
    pub first_leak: Option<String>,
    /// Objectives of this profile.
    pub objectives: Vec<Watched>,
    recent: VecDeque<(Counts, Times)>,
    probes: Vec<bool>,
    limits: Vec<Vec<u64>>,
}

/// An objective while the run goes.
#[derive(Debug)]
pub struct Watched {
    /// Its id.
    pub id: String,
    objective: Objective,
    good: u64,
    all: u64,
    steps: Vec<usize>,
}

impl Watched {
    /// Whether it holds so far; `None` before there is anything to tell by.
    pub fn holds(&self) -> Option<bool> {
        if self.all == 0 {
            return None;
        }
        let share = self.good as f64 / self.all as f64;
        let limit = &self.objective.limit;
        match self.objective.stat {
            Stat::Percentile(p) => Some(share >= p / 100.0),
            Stat::Errors => Some(limit.op.holds(1.0 - share, limit.value)),
            Stat::Availability => Some(limit.op.holds(share, limit.value)),
            _ => None,
        }
    }
}

impl State {
    /// Nothing has happened yet.
    pub fn new(program: &Program, profile: &Profile) -> Self {
        let of_profile = |o: &&Objective| o.profiles.as_ref().is_none_or(|p| p.contains(&profile.name));
        let objectives = program.objectives.iter().filter(of_profile).map(|o| Watched {
            id: o.id.clone(),
            good: 0,
            all: 0,
            steps: if o.of.is_everything() { (0..program.steps.len()).collect() } else { o.of.step_ids.clone() },
            objective: o.clone(),
        });
        Self {
            title: format!("{} · {}", program.name, profile.name),
            planned_s: profile.load.duration_ns() as f64 / 1e9,
            warm_up_s: profile.warm_up_ns as f64 / 1e9,
            elapsed_s: 0.0,
            users: 0,
            in_flight: 0,
            counts: Counts::default(),
            dropped: 0,
            response: Times::default(),
            lag: Times::default(),
            busy: 0.0,
            errors: BTreeMap::new(),
            leaks: 0,
            first_leak: None,
            objectives: objectives.collect(),
            recent: VecDeque::new(),
            probes: program.steps.iter().map(|s| s.probe).collect(),
            limits: engine::step_limits(program),
        }
    }

    /// Takes in a second.
    pub fn add(&mut self, interval: &Interval) {
        self.elapsed_s = self.elapsed_s.max((interval.second + 1) as f64);
        // What belongs to no worker (health checks, calibration) says nothing of users.
        if !interval.workers.is_empty() {
            self.users = interval.users;
            self.in_flight = interval.in_flight;
        }
        let mut counts = Counts::default();
        for step in interval.steps.values() {
            counts.add(&step.counts);
        }
        self.counts.add(&counts);
        self.dropped += interval.dropped;
        let response = interval.response(|i| self.probes.get(i).copied().unwrap_or(true));
        self.response.add(&response);
        if let Some(lag) = interval.lag.times() {
            self.lag.add(lag);
        }
        self.busy = interval.workers.values().map(|w| w.busy_max).fold(0.0, f64::max);
        for error in &interval.errors {
            *self.errors.entry(error.kind.clone()).or_default() += error.count;
        }
        let proven = interval.leaks.iter().filter(|(key, _)| key.tier == engine::run_result::Tier::Proven);
        self.leaks += proven.map(|(_, n)| n).sum::<u64>();
        self.recent.push_back((counts, response));
        if self.recent.len() > WINDOW {
            self.recent.pop_front();
        }
        for watched in &mut self.objectives {
            count(watched, interval, &self.limits);
        }
    }

    /// Counters and times of the last seconds, and how many those are.
    pub fn recent(&self) -> (Counts, Times, f64) {
        let mut sum = (Counts::default(), Times::default());
        for (counts, times) in &self.recent {
            sum.0.add(counts);
            sum.1.add(times);
        }
        (sum.0, sum.1, self.recent.len().max(1) as f64)
    }
}

fn count(watched: &mut Watched, interval: &Interval, limits: &[Vec<u64>]) {
    for index in &watched.steps {
        let (Some(step), Some(limits)) = (interval.steps.get(index), limits.get(*index)) else {
            continue;
        };
        match watched.objective.stat {
            Stat::Percentile(_) => {
                let limit = watched.objective.limit.value as u64;
                let Some(at) = limits.iter().position(|l| *l == limit || *l == limit + 1) else {
                    continue;
                };
                watched.good += step.within.get(at).copied().unwrap_or(0);
                watched.all += step.response.count();
            }
            Stat::Errors | Stat::Availability => {
                let counts = &step.counts;
                watched.good += counts.ok + step.messages.matched;
                watched.all += counts.ok + counts.failed + counts.timed_out + step.messages.settled();
            }
            _ => {}
        }
    }
}
