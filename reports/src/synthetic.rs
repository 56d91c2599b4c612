//! Test support: run results made by arithmetic, so that a test knows the truth that the judge must find.
//! In: steps as functions of (second, index, chance). Out: a [`RunResult`] whose counters, histograms and timeline agree.

use engine::faults::FaultCounts;
use engine::run_result::*;
use scenarios::objective::{Comparison, Limit, Objective, Selection, Stat};
use std::collections::BTreeMap;

/// Milliseconds in ns.
pub const MS: u64 = 1_000_000;

/// SplitMix64: tiny, portable, seeded.
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Log-normal time around `median_ms`, ns.
    pub fn time(&mut self, median_ms: f64, sigma: f64) -> u64 {
        let (u, v) = (self.unit().max(1e-12), self.unit());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        (median_ms * (sigma * normal).exp() * 1e6) as u64
    }
}

/// The outcome of one request.
#[derive(Clone, Copy, Debug)]
pub enum Sample {
    Ok(u64),
    Failed(u64, &'static str),
    TimedOut(u64),
    Unfinished(u64),
}

type Play = Box<dyn Fn(u64, u64, &mut Chance) -> Sample>;

/// One step of a synthetic run.
pub struct Step {
    name: String,
    journey: &'static str,
    target: &'static str,
    per_second: u64,
    limits_ns: Vec<u64>,
    is_probe: bool,
    is_declared: bool,
    play: Play,
}

impl Step {
    pub fn new(name: &str, per_second: u64, play: impl Fn(u64, u64, &mut Chance) -> Sample + 'static) -> Self {
        Self {
            name: name.into(),
            journey: "patient",
            target: "clinic",
            per_second,
            limits_ns: Vec::new(),
            is_probe: false,
            is_declared: false,
            play: Box::new(play),
        }
    }

    pub fn at(mut self, journey: &'static str, target: &'static str) -> Self {
        (self.journey, self.target) = (journey, target);
        self
    }

    pub fn limits(mut self, limits_ns: &[u64]) -> Self {
        self.limits_ns = limits_ns.to_vec();
        self
    }

    pub fn declared(mut self) -> Self {
        self.is_declared = true;
        self
    }

    pub fn probe(mut self) -> Self {
        self.is_probe = true;
        self
    }
}

fn place(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|n| n == name).unwrap_or_else(|| {
        names.push(name.into());
        names.len() - 1
    })
}

/// A finished run of `seconds` seconds with these steps, isolation intact, the generator healthy.
pub fn run(seconds: u64, steps: Vec<Step>) -> RunResult {
    let mut result = empty();
    result.duration_s = seconds as f64;
    let mut chance = Chance(7);
    let mut targets = Vec::new();
    for step in &steps {
        let journey = place(&mut result.header.journeys, step.journey);
        let target = place(&mut targets, step.target);
        result.header.steps.push(StepHeader {
            twin_of: None,
            journey,
            name: step.name.clone(),
            target,
            probe: step.is_probe,
            declared_control: step.is_declared,
            limits_ns: step.limits_ns.clone(),
            socket: false,
            stream_limits: Vec::new(),
            fields: Vec::new(),
        });
        result.steps.push(StepTotals { within: vec![0; step.limits_ns.len()], ..Default::default() });
    }
    result.header.targets = targets
        .iter()
        .map(|name| TargetHeader { name: name.clone(), url: format!("https://{name}.staging.example") })
        .collect();
    for second in 0..seconds {
        let point = one_second(&mut result, &steps, second, &mut chance);
        result.timeline.push(point);
    }
    result.errors.sort_by_key(|e| std::cmp::Reverse(e.count));
    isolate(&mut result);
    let sent = result.totals().sent();
    result.health.asked = sent;
    result.health.started = sent;
    result.iterations = Iterations { started: sent / 4, completed: sent / 4, ..Default::default() };
    result
}

fn one_second(result: &mut RunResult, steps: &[Step], second: u64, chance: &mut Chance) -> Point {
    let mut all = Times::default();
    let mut point = Point { t_s: second as f64, every_s: 1.0, users: 20, in_flight: 3, ..Default::default() };
    for (index, step) in steps.iter().enumerate() {
        let mut share = PointStep { within: vec![0; step.limits_ns.len()], ..Default::default() };
        for i in 0..step.per_second {
            let sample = (step.play)(second, i, chance);
            record(result, index, &mut share, sample, &mut all);
            result.health.lag.record(80_000 + chance.next() % 100_000);
        }
        point.counts.add(&share.counts);
        point.steps.push(share);
    }
    point.response_ns = all.percentile_ns(50.0).map(|p50| {
        let at = |p| all.percentile_ns(p).unwrap_or(p50);
        [p50, at(95.0), at(99.0), all.max_ns]
    });
    point
}

fn record(result: &mut RunResult, index: usize, share: &mut PointStep, sample: Sample, all: &mut Times) {
    let totals = &mut result.steps[index];
    let mut counts = Counts { planned: 1, bytes_sent: 180, bytes_received: 1100, ..Default::default() };
    let mut responds = |ns: u64, is_answer: bool| {
        totals.response.record(ns);
        all.record(ns);
        share.responses += 1;
        share.response_sum_ns += ns;
        if is_answer {
            totals.service.record(ns - ns / 10);
            for (k, &limit) in result.header.steps[index].limits_ns.iter().enumerate() {
                totals.within[k] += u64::from(ns < limit);
                share.within[k] += u64::from(ns < limit);
            }
        } else {
            totals.lower_bounds.record(ns);
        }
    };
    let mut kind = None;
    match sample {
        Sample::Ok(ns) => {
            responds(ns, true);
            counts.ok = 1;
        }
        Sample::TimedOut(ns) => {
            responds(ns, false);
            counts.timed_out = 1;
            kind = Some("time-out");
        }
        Sample::Unfinished(ns) => {
            responds(ns, false);
            counts.unfinished = 1;
        }
        Sample::Failed(ns, why) => {
            totals.failed_response.record(ns);
            counts.failed = 1;
            kind = Some(why);
        }
    }
    totals.counts.add(&counts);
    share.counts.add(&counts);
    if let Some(kind) = kind {
        add_error(&mut result.errors, index, kind);
    }
}

fn add_error(errors: &mut Vec<ErrorCount>, step: usize, kind: &str) {
    match errors.iter_mut().find(|e| e.step == step && e.kind == kind) {
        Some(known) => known.count += 1,
        None => errors.push(ErrorCount { step, kind: kind.into(), count: 1 }),
    }
}

/// Every answer scanned, controlled, and after another account.
fn isolate(result: &mut RunResult) {
    result.isolation = Isolation {
        steps: result
            .steps
            .iter()
            .map(|s| IsolationStep {
                scanned: s.counts.ok,
                controlled: s.counts.ok,
                after_others: s.counts.ok,
                after_others_controlled: s.counts.ok,
                places: [s.counts.ok, 0, 0, 0, 0, 0, 0, 0],
                planted: 0,
                alone: 0,
                alone_controlled: 0,
                in_words: 0,
            })
            .collect(),
        planted: 400,
        accounts: 20,
        injected: 64,
        found: 64,
        target_minutes: result.duration_s / 60.0,
        ..Default::default()
    };
}

fn well_worker() -> WorkerHealth {
    WorkerHealth { wall_ns: 20_000 * MS, cpu_ns: 4_000 * MS, queue_wait_ns: 40 * MS, gaps_ns: 0, busy_max: 0.41 }
}

/// A finished run in which nothing happened.
pub fn empty() -> RunResult {
    RunResult {
        header: RunHeader {
            format: 1,
            id: "r7k2".into(),
            scenario: "clinic".into(),
            file: "library/clinic.yaml".into(),
            profile: "spike".into(),
            seed: 42,
            started_unix_ns: 1_795_226_400_000_000_000,
            version: "0.1.0".into(),
            command: vec!["watertight".into(), "run".into(), "library/clinic.yaml".into()],
            workers: 2,
            planned_ns: 20_000 * MS,
            warm_up_ns: 0,
            graceful_stop_ns: 0,
            scaled: None,
            open: false,
            load: "20 users for 20s".into(),
            users: 20,
            isolation_required: false,
            faults: Vec::new(),
            targets: Vec::new(),
            journeys: Vec::new(),
            steps: Vec::new(),
            groups: Vec::new(),
            objectives: Vec::new(),
            notes: Vec::new(),
            exemptions: Vec::new(),
            digests: BTreeMap::from([("library/clinic.yaml".into(), "9f2c".repeat(16))]),
            machine: "Linux 6.8, 2 processors".into(),
            phases: Vec::new(),
            ladder: false,
            canary: None,
            capacity: None,
            marks: Vec::new(),
            watched: Vec::new(),
            commands: Vec::new(),
            containment: None,
            rate_limits: Vec::new(),
        },
        ending: Ending::Finished,
        duration_s: 20.0,
        steps: Vec::new(),
        groups: Vec::new(),
        iterations: Iterations::default(),
        dropped: 0,
        overhead: Overhead::default(),
        faults: FaultCounts::default(),
        errors: Vec::new(),
        timeline: Vec::new(),
        warm_up: Times::default(),
        health: Health { workers: vec![well_worker(); 2], ..Default::default() },
        isolation: Isolation::default(),
        phases: Vec::new(),
        windows: Vec::new(),
        beats: Vec::new(),
        watched: Vec::new(),
        healthy: Vec::new(),
        limits: Vec::new(),
    }
}

/// A limit from its text: `< 200ms`, `< 1%`, `>= 99.9%`, `>= 100/s`.
pub fn limit(text: &str) -> Limit {
    let (op, rest) = text.split_once(' ').expect("operator, blank, value");
    let number = rest.trim_end_matches(|c: char| !c.is_ascii_digit());
    let scale = match &rest[number.len()..] {
        "ms" => 1e6,
        "s" => 1e9,
        "/s" => 1.0,
        "%" => 0.01,
        other => panic!("unit {other}"),
    };
    let value: f64 = number.parse().expect("a number");
    Limit {
        op: match op {
            "<" => Comparison::Less,
            "<=" => Comparison::AtMost,
            ">" => Comparison::More,
            ">=" => Comparison::AtLeast,
            other => panic!("operator {other}"),
        },
        value: if scale == 0.01 { value / 100.0 } else { value * scale },
        text: text.into(),
    }
}

/// An objective of everything that must hold.
pub fn objective(stat: Stat, text: &str) -> Objective {
    Objective {
        id: format!("{} {text}", stat.word()),
        of: Selection::default(),
        stat,
        limit: limit(text),
        warn: None,
        profiles: None,
        must: true,
        line: 12,
        waiver: None,
        each: None,
        watch: None,
        confident: false,
    }
}

/// A group of proven leaks with one example.
pub fn leak(step: usize, count: u64, excerpt: &str) -> LeakGroup {
    let party = |account: &str, user, request: &str| Party {
        user: Some(user),
        account: account.into(),
        kind: "patient".into(),
        journey: "patient".into(),
        step: "GET /records".into(),
        request: request.into(),
        ..Party::default()
    };
    LeakGroup {
        key: LeakKey { detector: "foreign-marker".into(), tier: Tier::Proven, step, place: "body".into() },
        count,
        first_s: 3.2,
        examples: vec![LeakRecord {
            detector: "foreign-marker".into(),
            tier: Tier::Proven,
            group: 0,
            reader: party("alice@clinic.example", 3, "GET /records/17 → 200, 3.204 s"),
            owner: party("bob@clinic.example", 9, "POST /records/22 → 201, 1.870 s"),
            t_s: 3.2,
            place: "body".into(),
            decode: vec!["gzip".into()],
            offset: 212,
            excerpt: excerpt.into(),
            connection: "local port 40112, request 17 on it".into(),
            why: "the marker's owner is bob@clinic.example; alice@clinic.example may see only herself".into(),
            hint: "a cached copy: Age: 2 and the same body digest as the owner's answer".into(),
        }],
    }
}
