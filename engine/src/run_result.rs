//! The run result: all that was measured, and nothing judged. Folded from stored intervals, so that a
//! finished run, a killed run and a run read back from disk go through the same code.
//! In: `fold`. Out: read by `reports`.

mod canary;
mod capacity;
mod containment;
mod evidence;
mod isolation;
mod limits;
mod messages;
mod phase;
pub(crate) mod streams;
mod watched;
mod windows;

pub use canary::CanaryHeader;
pub use capacity::{Capacity, Trial, TrialOutcome};
pub use containment::{BlockHeader, ContainmentHeader, HealthyBlock};
pub use evidence::{FailureRecord, LeakGroup, LeakKey, LeakRecord, Party, Tier};
pub use isolation::{Isolation, IsolationStep, TRANSPORTS};
pub use limits::LimitCounts;
pub use messages::Messages;
pub use phase::{PhaseHeader, PhaseStep, PhaseTotals};
pub use streams::StreamTime;
pub use watched::WatchedSeries;
pub use windows::{About, Beat, BeatSeries, Window, WindowSeries};

pub use crate::client::facts::TransportFacts;
use crate::faults::FaultCounts;
use crate::limits::Rule;
use crate::record::interval::Recording;
use hdrhistogram::Histogram;
use scenarios::objective::Objective;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known of a run before it starts; stored as `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// Format of the results folder: 1.
    pub format: u32,
    /// Run id: lower-case text, unique per invocation and profile.
    pub id: String,
    /// Scenario name.
    pub scenario: String,
    /// Path of the scenario file as given on the command line.
    pub file: String,
    /// Profile name.
    pub profile: String,
    /// Seed of every random stream.
    pub seed: u64,
    /// Start of the load, nanoseconds since 1970 UTC.
    pub started_unix_ns: u64,
    /// Version of watertight.
    pub version: String,
    /// The command line, secrets masked.
    pub command: Vec<String>,
    /// Worker threads.
    pub workers: usize,
    /// Planned length with warm-up, without graceful stop, ns.
    pub planned_ns: u64,
    /// Warm-up, ns; 0 for none.
    pub warm_up_ns: u64,
    /// How long users may finish their iteration at the end, ns.
    #[serde(default)]
    pub graceful_stop_ns: u64,
    /// Factor by which the profile was scaled (`--quick`, `--time-scale`); `None`: as written.
    pub scaled: Option<f64>,
    /// Whether the load is open (arrivals) rather than closed (users).
    pub open: bool,
    /// The load in words: `20 users for 20s`.
    pub load: String,
    /// Most virtual users.
    pub users: usize,
    /// `isolation: required`.
    pub isolation_required: bool,
    /// What the run provokes on purpose, by name and extent: `(abandon, 5% by reset)`.
    #[serde(default)]
    pub faults: Vec<(String, String)>,
    /// Targets by index.
    pub targets: Vec<TargetHeader>,
    /// Journeys by index.
    pub journeys: Vec<String>,
    /// Steps by index.
    pub steps: Vec<StepHeader>,
    /// Groups by index: (journey, name).
    pub groups: Vec<(usize, String)>,
    /// Objectives of the file (all profiles; the judge picks).
    pub objectives: Vec<Objective>,
    /// Notes that the report must show (say: the practice clinic was started).
    pub notes: Vec<String>,
    /// What was let through on purpose (`may_see` …), in words.
    pub exemptions: Vec<String>,
    /// SHA-256 (hex) of the scenario text and of each data file.
    pub digests: BTreeMap<String, String>,
    /// Operating system, processor count, kernel: for provenance.
    pub machine: String,
    /// Named parts, where the load has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseHeader>,
    /// The phases are the rungs of a ladder: objectives have to hold on each.
    #[serde(default)]
    pub ladder: bool,
    /// The search for the capacity that this run ended; `None` for every other run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// Moments from which on the target has to recover.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<MarkHeader>,
    /// The watched series: expressions, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<String>,
    /// Commands that were run at marks, and what came of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<MarkCommand>,
    /// The phases are the steps of a canary: objectives have to hold at each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryHeader>,
    /// Who suffered the faults and when, where they were played in blocks; `None`: everybody, all the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containment: Option<ContainmentHeader>,
    /// Rate limits that the targets state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<Rule>,
}

/// A moment of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkHeader {
    /// What happened: `the end of 100 users`.
    pub name: String,
    /// When, ns since the start of the load.
    pub at_ns: u64,
}

/// A command that was run at a mark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkCommand {
    /// The mark's name.
    pub mark: String,
    /// When the mark was due, ns since the start of the load.
    pub at_ns: u64,
    /// When it was started in fact, ns since the start of the load.
    pub started_ns: u64,
    /// Program and arguments, secrets masked.
    pub command: String,
    /// Its exit code; `None` if it could not start, or ended by a signal.
    pub exit_code: Option<i32>,
    /// What became of it, in words: `exit code 0`.
    pub outcome: String,
    /// The last line that it wrote, secrets masked, at most 200 characters.
    pub last_line: String,
}

/// A target in the header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetHeader {
    /// Name.
    pub name: String,
    /// Base URL without credentials.
    pub url: String,
}

/// A step in the header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepHeader {
    /// Journey index.
    pub journey: usize,
    /// Name.
    pub name: String,
    /// Target index.
    pub target: usize,
    /// Probes are outside the time objectives.
    pub probe: bool,
    /// Whether a positive control is declared (`expect: { marker: … }`).
    pub declared_control: bool,
    /// Response-time limits of the objectives that this step belongs to, ns ascending; `within` is aligned with it.
    pub limits_ns: Vec<u64>,
    /// It is what this step is on the new version of a canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin_of: Option<usize>,
    /// It opens a WebSocket; its messages are counted apart.
    #[serde(default)]
    pub socket: bool,
    /// Limits of the objectives about its events and messages, ns; `streams_within` is aligned with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stream_limits: Vec<(StreamTime, u64)>,
    /// Fields in which its markers are planted, by number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how", content = "why")]
pub enum Ending {
    /// As planned.
    Finished,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// An abort rule or `--fail-fast` ended it, with the reason.
    Aborted(String),
    /// No end was ever written: the process was killed or the machine stopped.
    Killed,
    /// A `stop: run` step of the scenario ended it, with who asked. No rule was broken.
    Stopped(String),
}

/// Counters of one step, or a sum of steps. `sent()` is never stored: the law `sent = ok + … ` holds by construction,
/// while `planned` is counted on its own when a request falls due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Requests that fell due.
    #[serde(skip_serializing_if = "is_zero")]
    pub planned: u64,
    /// Answered as expected.
    #[serde(skip_serializing_if = "is_zero")]
    pub ok: u64,
    /// Answered otherwise, or broken.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Not answered in time.
    #[serde(skip_serializing_if = "is_zero")]
    pub timed_out: u64,
    /// Given up on purpose (a fault).
    #[serde(skip_serializing_if = "is_zero")]
    pub abandoned: u64,
    /// Cut by the end of the run.
    #[serde(skip_serializing_if = "is_zero")]
    pub unfinished: u64,
    /// Of those above: no byte of the request was written.
    #[serde(skip_serializing_if = "is_zero")]
    pub not_delivered: u64,
    /// Due, but our own generator could not (descriptors, ports).
    #[serde(skip_serializing_if = "is_zero")]
    pub generator_errors: u64,
    /// Bytes of requests (heads and bodies as far as known).
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes_sent: u64,
    /// Bytes of answers (heads as far as known, bodies before decoding).
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes_received: u64,
    /// Of the ok ones: refused with 429 as a stated rate limit asks for. They are in no percentile.
    #[serde(skip_serializing_if = "is_zero")]
    pub limited: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Counts {
    /// Attempts: ok + failed + timed out + abandoned + unfinished.
    pub fn sent(&self) -> u64 {
        self.ok + self.failed + self.timed_out + self.abandoned + self.unfinished
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.planned += other.planned;
        self.limited += other.limited;
        self.ok += other.ok;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.abandoned += other.abandoned;
        self.unfinished += other.unfinished;
        self.not_delivered += other.not_delivered;
        self.generator_errors += other.generator_errors;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
    }
}

/// Times of one kind: an HDR histogram in microseconds (3 significant digits, 1 µs to 60 min, saturating)
/// with exact extremes and sum.
#[derive(Clone, Debug)]
pub struct Times {
    /// Values in µs.
    pub histogram: Histogram<u64>,
    /// Smallest, ns; `u64::MAX` when empty.
    pub min_ns: u64,
    /// Largest, ns; 0 when empty.
    pub max_ns: u64,
    /// Exact sum, ns.
    pub sum_ns: u128,
}

impl Default for Times {
    fn default() -> Self {
        Self { histogram: new_histogram(), min_ns: u64::MAX, max_ns: 0, sum_ns: 0 }
    }
}

/// Largest time that a histogram tells apart: 60 minutes, in µs.
pub const MAX_US: u64 = 3_600_000_000;

/// A histogram of the house's fixed shape: 1 µs to 60 min, 3 significant digits.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_US, 3).expect("constant bounds are valid")
}

impl Times {
    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Adds one sample.
    pub fn record(&mut self, ns: u64) {
        self.histogram.saturating_record(((ns + 500) / 1000).max(1));
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
        self.sum_ns += u128::from(ns);
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("both have the house's fixed shape");
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.sum_ns += other.sum_ns;
    }

    /// Percentile `p` (0..=100) in ns, `None` when empty. Never beyond the exact extremes.
    pub fn percentile_ns(&self, p: f64) -> Option<u64> {
        if self.histogram.is_empty() {
            return None;
        }
        let us = self.histogram.value_at_percentile(p);
        Some((us * 1000).clamp(self.min_ns, self.max_ns))
    }

    /// Exact mean in ns, `None` when empty.
    pub fn mean_ns(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum_ns as f64 / self.count() as f64)
    }
}

/// Everything measured of one step (or merged over steps).
#[derive(Clone, Debug, Default)]
pub struct StepTotals {
    /// Counters.
    pub counts: Counts,
    /// Response time: ok answers, and timed-out and unfinished ones with their time so far.
    pub response: Times,
    /// The timed-out and unfinished ones alone: true times are at least these.
    pub lower_bounds: Times,
    /// Service time of the same ok answers.
    pub service: Times,
    /// Response time of failed answers.
    pub failed_response: Times,
    /// Connecting (DNS, TCP, TLS), one sample per connection made.
    pub connect: Times,
    /// Whole answers by status, expected ones and others.
    pub statuses: BTreeMap<u16, u64>,
    /// For each of the step's `limits_ns`: how many of `response` are below it (strictly), lower bounds counted only if
    /// they are a true miss (that is: never counted as within).
    pub within: Vec<u64>,
    /// Time to the first event of a stream, from its intended start.
    pub first_event: Recording,
    /// Times between two events of a stream.
    pub event_gap: Recording,
    /// Round trips over a WebSocket: from a message's intended time to the one that was waited for.
    pub message: Recording,
    /// Messages of a WebSocket.
    pub messages: Messages,
    /// Connections that could not be made.
    pub connects_failed: u64,
    /// For each of the step's `stream_limits`: how many times lie below it (strictly).
    pub streams_within: Vec<u64>,
}

impl StepTotals {
    /// Adds `other` of the same step (`within` aligned).
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.response.add(&other.response);
        self.lower_bounds.add(&other.lower_bounds);
        self.service.add(&other.service);
        self.failed_response.add(&other.failed_response);
        self.connect.add(&other.connect);
        self.connects_failed += other.connects_failed;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.first_event.add(&other.first_event);
        self.event_gap.add(&other.event_gap);
        self.message.add(&other.message);
        self.messages.add(&other.messages);
        streams::add_aligned(&mut self.streams_within, &other.streams_within);
        self.within.resize(self.within.len().max(other.within.len()), 0);
        for (mine, theirs) in self.within.iter_mut().zip(&other.within) {
            *mine += theirs;
        }
    }

    /// Whether percentile `p` of `response` falls among lower bounds, so that it reads "≥".
    pub fn is_at_least(&self, p: f64) -> bool {
        match (self.response.percentile_ns(p), self.lower_bounds.count()) {
            (Some(v), 1..) => self.lower_bounds.min_ns <= v,
            _ => false,
        }
    }
}

/// Iterations. `started = completed + gave_up + cut`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Iterations {
    /// Begun.
    pub started: u64,
    /// Came to their end.
    pub completed: u64,
    /// A step failed.
    pub gave_up: u64,
    /// Ended by the end of the run.
    pub cut: u64,
    /// Of `gave_up`: `before` failed.
    pub failed_before: u64,
}

/// Requests outside the figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overhead {
    /// Run-wide set-up.
    pub setup: u64,
    /// Run-wide tear-down.
    pub teardown: u64,
    /// Health checks.
    pub health: u64,
    /// Scrapes of watched targets.
    pub scrapes: u64,
    /// During warm-up (delivered ones).
    pub warm_up: u64,
    /// Further requests of one sample.
    pub redirect_hops: u64,
}

/// One point of the timeline: one second, or `every_s` seconds of a long run.
#[derive(Clone, Debug, Default)]
pub struct Point {
    /// Start, seconds since the end of the warm-up (negative inside it).
    pub t_s: f64,
    /// Length in seconds.
    pub every_s: f64,
    /// Sum over all steps. `planned` is by due time, the others by completion.
    pub counts: Counts,
    /// Arrivals that found no free user.
    pub dropped: u64,
    /// Users active at the end of the interval.
    pub users: u64,
    /// Requests in flight at the end of the interval.
    pub in_flight: u64,
    /// Percentiles of response time over all steps but probes, ns: p50, p95, p99, max; `None` without samples.
    pub response_ns: Option<[u64; 4]>,
    /// Leaks proven in it.
    pub leaks: u64,
    /// Faults provoked in it.
    pub faults: FaultCounts,
    /// Per step (by index): counters and `within`, for windows and blocks.
    pub steps: Vec<PointStep>,
}

/// One step's share of a [`Point`].
#[derive(Clone, Debug, Default)]
pub struct PointStep {
    /// Counters.
    pub counts: Counts,
    /// Samples of `response`.
    pub responses: u64,
    /// Sum of `response`, ns.
    pub response_sum_ns: u64,
    /// Aligned with the step's `limits_ns`.
    pub within: Vec<u64>,
    /// Messages of a WebSocket with an outcome.
    pub messages: u64,
    /// Of those: not said, not answered, broken off.
    pub messages_failed: u64,
}

/// A kind of error of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorCount {
    /// Step index.
    pub step: usize,
    /// Named kind: `status 503`, `connection refused`, `check json $.id`.
    pub kind: String,
    /// How often.
    pub count: u64,
}

/// What is known of the generator itself.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Lag of every send: t_s − max(t_i, t_r).
    pub lag: Times,
    /// By worker.
    pub workers: Vec<WorkerHealth>,
    /// Arrivals or iteration starts that the schedule asked for so far.
    pub asked: u64,
    /// Of those: started (late or not), or dropped because of the target.
    pub started: u64,
    /// Drops while the workers were healthy: the target's.
    pub dropped_by_target: u64,
    /// Intervals that could not be stored (disk full); the run went on.
    pub store_errors: u64,
    /// Connections opened, warm-up included.
    pub transport: TransportFacts,
}

/// One worker thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerHealth {
    /// Wall time observed, ns.
    pub wall_ns: u64,
    /// CPU time of the thread, ns.
    pub cpu_ns: u64,
    /// Time ready to run but without a processor, ns (Linux; else 0).
    pub queue_wait_ns: u64,
    /// Sum of pauses of the worker's loop of at least 250 ms each, ns.
    pub gaps_ns: u64,
    /// Largest busy share of any single second.
    pub busy_max: f64,
}

/// Totals of a group of steps timed as one.
#[derive(Clone, Debug, Default)]
pub struct GroupTotals {
    /// From the first due time to the last completion, think time inside included.
    pub times: Times,
}

/// All that was measured.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// What was known before the start.
    pub header: RunHeader,
    /// How it ended.
    pub ending: Ending,
    /// Length of the measured part, s: without warm-up and graceful stop, shorter if the run was ended early.
    pub duration_s: f64,
    /// By step index.
    pub steps: Vec<StepTotals>,
    /// By group index.
    pub groups: Vec<GroupTotals>,
    /// Iterations of the measured part.
    pub iterations: Iterations,
    /// Arrivals that found no free user.
    pub dropped: u64,
    /// Requests outside the figures.
    pub overhead: Overhead,
    /// Faults that were provoked on purpose.
    pub faults: FaultCounts,
    /// Errors by step and kind, most frequent first.
    pub errors: Vec<ErrorCount>,
    /// At most 3,600 points, in order of time.
    pub timeline: Vec<Point>,
    /// Response times inside the warm-up, all steps: shown apart.
    pub warm_up: Times,
    /// The generator.
    pub health: Health,
    /// The isolation check.
    pub isolation: Isolation,
    /// By phase index.
    pub phases: Vec<PhaseTotals>,
    /// Of the objectives that have to hold in every window.
    pub windows: Vec<WindowSeries>,
    /// Of the objectives that ask when it was up.
    pub beats: Vec<BeatSeries>,
    /// What the targets told about themselves.
    pub watched: Vec<WatchedSeries>,
    /// The healthy cohort, by block of the header's `containment`.
    pub healthy: Vec<HealthyBlock>,
    /// What was seen of the header's `rate_limits`.
    pub limits: Vec<LimitCounts>,
}

impl RunResult {
    /// Sum over all steps.
    pub fn totals(&self) -> Counts {
        let mut sum = Counts::default();
        for step in &self.steps {
            sum.add(&step.counts);
        }
        sum
    }

    /// Merges the given steps (all when `ids` is empty), probes left out of the times.
    pub fn merged(&self, ids: &[usize]) -> StepTotals {
        let mut sum = StepTotals::default();
        for (i, step) in self.steps.iter().enumerate() {
            if (ids.is_empty() || ids.contains(&i)) && !self.header.steps[i].probe {
                // `within` is aligned per step, so it is not merged here.
                sum.add(&StepTotals { within: Vec::new(), ..step.clone() });
            }
        }
        sum
    }
}
