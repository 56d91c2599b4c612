//! One second of a run: counters and histograms that add without loss. The unit that is merged over workers,
//! stored as a line of `intervals.jsonl`, and folded into the run result.

use super::fields::FieldCounts;
use crate::client::facts::TransportFacts;
use crate::faults::FaultCounts;
use crate::run_result::streams::add_aligned;
use crate::run_result::{
    Counts, ErrorCount, HealthyBlock, IsolationStep, Iterations, LeakKey, LimitCounts, Messages, Overhead, Times,
    WorkerHealth,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer as HdrDeserializer, Serializer as HdrSerializer, V2DeflateSerializer};
use scenarios::program::Program;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;

/// What happened in one second (`second` counts from the start of the load).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Interval {
    /// Which second.
    pub second: u64,
    /// Steps that had anything, by index.
    pub steps: BTreeMap<usize, StepInterval>,
    /// Groups that ended, by index.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<usize, Recording>,
    /// Iterations.
    pub iterations: Iterations,
    /// Arrivals that found no free user.
    pub dropped: u64,
    /// Of those: with a healthy worker, so the target is to blame.
    pub dropped_by_target: u64,
    /// Starts that the schedule asked for.
    pub asked: u64,
    /// Of those: begun.
    pub started: u64,
    /// Users playing at the end.
    pub users: u64,
    /// Requests in flight at the end.
    pub in_flight: u64,
    /// Latest outcome of the measured part, ns since the start of the load.
    pub last_ns: u64,
    /// Lag of each send.
    pub lag: Recording,
    /// Response times of the warm-up.
    #[serde(skip_serializing_if = "Recording::is_empty")]
    pub warm_up: Recording,
    /// Requests outside the figures.
    pub overhead: Overhead,
    /// Faults provoked.
    #[serde(skip_serializing_if = "FaultCounts::is_empty")]
    pub faults: FaultCounts,
    /// Connections opened.
    #[serde(default, skip_serializing_if = "TransportFacts::is_empty")]
    pub transport: TransportFacts,
    /// By worker index.
    pub workers: BTreeMap<usize, WorkerHealth>,
    /// Errors by step and kind.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "error_list")]
    pub errors: Vec<ErrorCount>,
    /// Leaks by group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<(LeakKey, u64)>,
    /// Isolation counters without a step.
    pub isolation: IsolationInterval,
    /// Who used each target in this second; not stored, only the number of shared targets is.
    #[serde(skip)]
    pub targets: Vec<TargetUse>,
    /// Targets that at least two accounts used in this second.
    pub shared_targets: u64,
    /// Readings of watched series: index, seconds since the start of the load (negative before it), value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<(usize, f64, f64)>,
    /// Watched series that have no value, and why; told when it changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unwatched: Vec<(usize, String)>,
    /// Requests of healthy users by the block in which they fell due, where faults are played in blocks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub healthy: BTreeMap<usize, HealthyBlock>,
    /// What was seen of rate limits, by their place in the header.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<usize, LimitCounts>,
}

/// Isolation counters of a second that belong to no step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IsolationInterval {
    /// Markers planted.
    pub planted: u64,
    /// Accounts seen for the first time.
    pub new_accounts: u64,
    /// Markers of an earlier run.
    pub residue: u64,
    /// Probes without a judgement.
    pub probes_indeterminate: u64,
    /// Probes skipped.
    pub probes_skipped: u64,
    /// Credentials forgotten.
    pub credential_evictions: u64,
    /// Answers to a revoked credential that come without any credential as well: public, no finding.
    pub repeats_public: u64,
    /// Markers of an audience that overlapped with a join or a leave: counted, no alarm.
    pub audience_unclear: u64,
    /// Switches of account that found no free one.
    pub switches_skipped: u64,
    /// Connections that a target closed with a 408 because they were idle.
    pub idle_timeouts: u64,
    /// Line ends behind an answer, and nothing else.
    pub stray_line_ends: u64,
    /// Calibration: put in.
    pub injected: u64,
    /// Calibration: found.
    pub found: u64,
    /// Opportunities by [`TRANSPORTS`](crate::run_result::TRANSPORTS).
    pub transports: [u64; 4],
}

/// Which accounts used a target in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetUse {
    /// None.
    #[default]
    Nobody,
    /// One account.
    One(u32),
    /// Two or more.
    Many,
}

/// One step's second.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StepInterval {
    /// Counters.
    pub counts: Counts,
    /// Response times: ok, and lower bounds.
    #[serde(skip_serializing_if = "Recording::is_empty")]
    pub response: Recording,
    /// Timed-out and unfinished ones alone.
    #[serde(skip_serializing_if = "Recording::is_empty")]
    pub lower_bounds: Recording,
    /// Service times.
    #[serde(skip_serializing_if = "Recording::is_empty")]
    pub service: Recording,
    /// Response times of failed answers.
    #[serde(skip_serializing_if = "Recording::is_empty")]
    pub failed_response: Recording,
    /// Connecting.
    #[serde(skip_serializing_if = "Recording::is_empty")]
    pub connect: Recording,
    /// Ok answers below each of the step's limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<u64>,
    /// Whole answers by status.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<(u16, u64)>,
    /// Isolation counters.
    pub isolation: IsolationStep,
    /// Connections that could not be made.
    #[serde(skip_serializing_if = "is_zero")]
    pub connects_failed: u64,
    /// Times to the first event of a stream.
    #[serde(skip_serializing_if = "Recording::is_empty")]
    pub first_event: Recording,
    /// Times between two events.
    #[serde(skip_serializing_if = "Recording::is_empty")]
    pub event_gap: Recording,
    /// Round trips of messages.
    #[serde(skip_serializing_if = "Recording::is_empty")]
    pub message: Recording,
    /// Messages of a WebSocket.
    #[serde(skip_serializing_if = "Messages::is_empty")]
    pub messages: Messages,
    /// Times of events and messages below each of the step's `stream_limits`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub streams_within: Vec<u64>,
    /// Answers with a marker that the reader may see, by the step that planted it, its lowest 10 bits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub carried: Vec<(u16, u64)>,
    /// The same by the fields of that step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub carried_fields: Vec<(u16, FieldCounts)>,
    /// Markers planted, by field.
    #[serde(skip_serializing_if = "FieldCounts::is_empty")]
    pub planted: FieldCounts,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl StepInterval {
    /// What came back of the fields of step `writer`.
    pub fn field_counts(&mut self, writer: u16) -> &mut FieldCounts {
        let known = self.carried_fields.iter().position(|(known, _)| *known == writer);
        let at = known.unwrap_or_else(|| {
            self.carried_fields.push((writer, FieldCounts::default()));
            self.carried_fields.len() - 1
        });
        &mut self.carried_fields[at].1
    }

    /// Counts `count` whole answers of this status.
    pub fn count_status(&mut self, status: u16, count: u64) {
        match self.statuses.iter_mut().find(|(s, _)| *s == status) {
            Some((_, sum)) => *sum += count,
            None => self.statuses.push((status, count)),
        }
    }

    /// Counts an ok answer's response time against the step's limits.
    pub fn count_within(&mut self, limits_ns: &[u64], response: u64) {
        if self.within.len() < limits_ns.len() {
            self.within.resize(limits_ns.len(), 0);
        }
        for (within, limit) in self.within.iter_mut().zip(limits_ns) {
            *within += u64::from(response < *limit);
        }
    }

    fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.response.add(&other.response);
        self.lower_bounds.add(&other.lower_bounds);
        self.service.add(&other.service);
        self.failed_response.add(&other.failed_response);
        self.connect.add(&other.connect);
        self.connects_failed += other.connects_failed;
        if self.within.len() < other.within.len() {
            self.within.resize(other.within.len(), 0);
        }
        for (mine, theirs) in self.within.iter_mut().zip(&other.within) {
            *mine += theirs;
        }
        for (status, count) in &other.statuses {
            self.count_status(*status, *count);
        }
        self.isolation.add(&other.isolation);
        self.first_event.add(&other.first_event);
        self.event_gap.add(&other.event_gap);
        self.message.add(&other.message);
        self.messages.add(&other.messages);
        add_aligned(&mut self.streams_within, &other.streams_within);
        for (writer, count) in &other.carried {
            match self.carried.iter_mut().find(|(known, _)| known == writer) {
                Some((_, sum)) => *sum += count,
                None => self.carried.push((*writer, *count)),
            }
        }
        for (writer, counts) in &other.carried_fields {
            self.field_counts(*writer).add(counts);
        }
        self.planted.add(&other.planted);
    }
}

impl Interval {
    /// An empty second of `program`.
    pub fn new(second: u64, program: &Program) -> Self {
        Self { second, targets: vec![TargetUse::Nobody; program.targets.len()], ..Self::default() }
    }

    /// The step's part, made when it is first needed.
    pub fn step(&mut self, index: usize) -> &mut StepInterval {
        self.steps.entry(index).or_default()
    }

    /// Adds another worker's part of the same second.
    pub fn add(&mut self, other: &Self) {
        for (index, step) in &other.steps {
            self.step(*index).add(step);
        }
        for (index, times) in &other.groups {
            self.groups.entry(*index).or_default().add(times);
        }
        self.iterations.started += other.iterations.started;
        self.iterations.completed += other.iterations.completed;
        self.iterations.gave_up += other.iterations.gave_up;
        self.iterations.cut += other.iterations.cut;
        self.iterations.failed_before += other.iterations.failed_before;
        self.dropped += other.dropped;
        self.dropped_by_target += other.dropped_by_target;
        self.asked += other.asked;
        self.started += other.started;
        self.users += other.users;
        self.in_flight += other.in_flight;
        self.last_ns = self.last_ns.max(other.last_ns);
        self.faults.add(&other.faults);
        self.transport.add(&other.transport);
        self.lag.add(&other.lag);
        self.warm_up.add(&other.warm_up);
        self.overhead.add(&other.overhead);
        self.workers.extend(other.workers.iter().map(|(k, v)| (*k, *v)));
        for error in &other.errors {
            match self.errors.iter_mut().find(|e| e.step == error.step && e.kind == error.kind) {
                Some(mine) => mine.count += error.count,
                None => self.errors.push(error.clone()),
            }
        }
        for (key, count) in &other.leaks {
            match self.leaks.iter_mut().find(|(k, _)| k == key) {
                Some((_, mine)) => *mine += count,
                None => self.leaks.push((key.clone(), *count)),
            }
        }
        self.isolation.add(&other.isolation);
        self.watched.extend_from_slice(&other.watched);
        self.unwatched.extend_from_slice(&other.unwatched);
        for (block, counts) in &other.healthy {
            self.healthy.entry(*block).or_default().add(counts);
        }
        for (limit, counts) in &other.limits {
            self.limits.entry(*limit).or_default().add(counts);
        }
        for (mine, theirs) in self.targets.iter_mut().zip(&other.targets) {
            match theirs {
                TargetUse::Nobody => {}
                TargetUse::One(account) => mine.note(*account),
                TargetUse::Many => *mine = TargetUse::Many,
            }
        }
    }

    /// Settles what is only known when all workers' parts are in.
    pub fn close(&mut self) {
        self.shared_targets = self.targets.iter().filter(|t| **t == TargetUse::Many).count() as u64;
        self.errors.sort_by(|a, b| (a.step, &a.kind).cmp(&(b.step, &b.kind)));
        self.leaks.sort();
    }

    /// Response times over all steps but probes.
    pub fn response(&self, is_probe: impl Fn(usize) -> bool) -> Times {
        let mut sum = Times::default();
        for (index, step) in &self.steps {
            if !is_probe(*index) {
                step.response.add_to(&mut sum);
            }
        }
        sum
    }
}

impl IsolationInterval {
    fn add(&mut self, other: &Self) {
        self.planted += other.planted;
        self.new_accounts += other.new_accounts;
        self.residue += other.residue;
        self.probes_indeterminate += other.probes_indeterminate;
        self.probes_skipped += other.probes_skipped;
        self.credential_evictions += other.credential_evictions;
        self.repeats_public += other.repeats_public;
        self.audience_unclear += other.audience_unclear;
        self.switches_skipped += other.switches_skipped;
        self.idle_timeouts += other.idle_timeouts;
        self.stray_line_ends += other.stray_line_ends;
        self.injected += other.injected;
        self.found += other.found;
        for (mine, theirs) in self.transports.iter_mut().zip(other.transports) {
            *mine += theirs;
        }
    }
}

impl Overhead {
    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.setup += other.setup;
        self.teardown += other.teardown;
        self.health += other.health;
        self.scrapes += other.scrapes;
        self.warm_up += other.warm_up;
        self.redirect_hops += other.redirect_hops;
    }
}

/// Times of a second: nothing until the first sample. Stored as `{h, min, max, sum}`, `h` being the histogram in
/// HdrHistogram's V2 format, deflated, base64; times in ns, the histogram's values in µs.
#[derive(Clone, Debug, Default)]
pub struct Recording(Option<Box<Times>>);

impl Recording {
    /// Whether it holds no sample.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Adds one sample.
    pub fn record(&mut self, ns: u64) {
        self.0.get_or_insert_default().record(ns);
    }

    /// The times, if any.
    pub fn times(&self) -> Option<&Times> {
        self.0.as_deref()
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.times().map_or(0, Times::count)
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (_, None) => {}
            (Some(mine), Some(theirs)) => mine.add(theirs),
            (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
        }
    }

    /// Adds all of it to `sum`.
    pub fn add_to(&self, sum: &mut Times) {
        if let Some(times) = self.times() {
            sum.add(times);
        }
    }

    /// The histogram in V2 format, deflated, base64.
    pub fn encoded(&self) -> String {
        let mut bytes = Vec::new();
        if let Some(times) = self.times() {
            V2DeflateSerializer::new()
                .serialize(&times.histogram, &mut bytes)
                .expect("writing a histogram to memory cannot fail");
        }
        STANDARD.encode(bytes)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    h: String,
    min: u64,
    max: u64,
    sum: u64,
}

impl Serialize for Recording {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = self.times().map(|times| Stored {
            h: self.encoded(),
            min: times.min_ns,
            max: times.max_ns,
            sum: u64::try_from(times.sum_ns).unwrap_or(u64::MAX),
        });
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Recording {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(stored) = Option::<Stored>::deserialize(deserializer)? else {
            return Ok(Self(None));
        };
        let bytes = STANDARD.decode(&stored.h).map_err(de::Error::custom)?;
        let read: hdrhistogram::Histogram<u64> = HdrDeserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|e| de::Error::custom(format!("histogram: {e}")))?;
        // The house's fixed shape, whatever shape a foreign file claims.
        let mut histogram = crate::run_result::new_histogram();
        histogram.add(&read).map_err(|e| de::Error::custom(format!("histogram: {e:?}")))?;
        let times = Times { histogram, min_ns: stored.min, max_ns: stored.max, sum_ns: u128::from(stored.sum) };
        if times.min_ns > times.max_ns {
            return Err(de::Error::custom("histogram: its smallest value is above its largest"));
        }
        Ok(Self(Some(Box::new(times))))
    }
}

mod error_list {
    //! Errors as `[step, kind, count]`, to keep lines short.
    use super::{Deserialize, Deserializer, ErrorCount, Serialize, Serializer};

    pub fn serialize<S: Serializer>(errors: &[ErrorCount], serializer: S) -> Result<S::Ok, S::Error> {
        let list: Vec<_> = errors.iter().map(|e| (e.step, &e.kind, e.count)).collect();
        list.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ErrorCount>, D::Error> {
        let list = Vec::<(usize, String, u64)>::deserialize(deserializer)?;
        Ok(list.into_iter().map(|(step, kind, count)| ErrorCount { step, kind, count }).collect())
    }
}
