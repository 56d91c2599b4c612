//! The recorder: what one worker writes down while a second goes by. No lock, no message, no allocation per sample
//! (a histogram is made at the first sample of its kind in a second).
//! In: samples of virtual users. Out: one [`Interval`] a second, handed over as a batch.

pub mod abort;
mod beats;
pub mod collector;
pub mod exposure;
pub mod fields;
pub mod fold;
pub mod interval;
pub mod journal;
mod lines;
mod phases;
mod windows;

use crate::client::answer::Times;
use crate::clock::{Nanos, SECOND};
use crate::failure::Failure;
use crate::header::step_stream_limits;
use crate::run_result::{ErrorCount, FailureRecord, IsolationStep, LeakKey, LeakRecord, Messages, StreamTime, Tier};
use collector::{Handover, Message};
use interval::{Interval, StepInterval, TargetUse};
use scenarios::expr::EvalError;
use scenarios::program::Program;
use std::collections::HashMap;
use std::sync::Arc;

/// How a request counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// As expected.
    Ok,
    /// Answered otherwise, or broken.
    Failed,
    /// Not in time.
    TimedOut,
    /// Given up on purpose.
    Abandoned,
    /// Cut by the end of the run.
    Unfinished,
    /// Our own machine could not.
    GeneratorError,
    /// Refused with 429 as a stated rate limit asks for: no error, and no time of an answer either.
    Limited,
}

/// One finished request.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Step index.
    pub step: usize,
    /// How it counts.
    pub class: Class,
    /// Intended start, t_i.
    pub due: Nanos,
    /// The other times.
    pub times: Times,
    /// Whether any byte of it was written.
    pub delivered: bool,
    /// Bytes sent and received.
    pub bytes: (u64, u64),
}

const MOST_FAILURE_RECORDS: u32 = 20;

/// One worker's recorder.
#[derive(Debug)]
pub struct Recorder {
    program: Arc<Program>,
    limits_ns: Arc<Vec<Vec<u64>>>,
    /// By step: limits of times of events and messages.
    stream_limits: Vec<Vec<(StreamTime, u64)>>,
    warm_up_ns: Nanos,
    handover: Handover,
    now: Interval,
    errors: HashMap<(usize, Option<usize>, Failure), u64>,
    leaks: HashMap<LeakKey, u64>,
    /// Examples handed over of each group of leaks. Groups are bounded: detectors, steps and kinds of places are.
    examples: HashMap<LeakKey, usize>,
    failure_records: u32,
    /// Users that play at this moment.
    pub users: u64,
    /// By step: the usual service time of late, 0 before the first answer.
    usual_ns: Vec<Nanos>,
    /// Requests in flight at this moment.
    pub in_flight: u64,
    /// By step: accounts of this worker whose own marker came back there; the strangers that probes may ask for.
    pub controls: Vec<Vec<u32>>,
}

impl Recorder {
    /// A recorder; `limits_ns` are the response-time limits counted exactly, by step.
    pub fn new(program: Arc<Program>, limits_ns: Arc<Vec<Vec<u64>>>, warm_up_ns: Nanos, handover: Handover) -> Self {
        let now = Interval::new(0, &program);
        let stream_limits = step_stream_limits(&program);
        let controls = vec![Vec::new(); program.steps.len()];
        let usual_ns = vec![0; program.steps.len()];
        Self {
            program,
            limits_ns,
            stream_limits,
            warm_up_ns,
            handover,
            now,
            errors: HashMap::new(),
            leaks: HashMap::new(),
            examples: HashMap::new(),
            failure_records: 0,
            users: 0,
            usual_ns,
            in_flight: 0,
            controls,
        }
    }

    /// Whether something due at `due` is judged (not warm-up).
    pub fn is_measured(&self, due: Nanos) -> bool {
        due >= self.warm_up_ns
    }

    /// A request fell due.
    pub fn planned(&mut self, step: usize, due: Nanos) {
        if self.is_measured(due) {
            self.now.step(step).counts.planned += 1;
        }
        self.in_flight += 1;
    }

    /// The schedule of a closed load asked for an iteration, and it began.
    pub fn asked_and_started(&mut self) {
        self.now.asked += 1;
        self.now.started += 1;
    }

    /// An arrival of an open load: whether it found a free user, and whether it was handed over on time.
    /// One that found none with the schedule kept is the target's fault: its users were not answered.
    pub fn arrival(&mut self, due: Nanos, found: bool, on_time: bool) {
        self.now.asked += 1;
        self.now.started += u64::from(found || on_time);
        if !found && self.is_measured(due) {
            self.now.dropped += 1;
            self.now.dropped_by_target += u64::from(on_time);
        }
    }

    /// A request came to its end.
    pub fn sample(&mut self, sample: &Sample) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let held = sample.times.held;
        let response = sample.times.done.saturating_sub(sample.due).saturating_sub(held);
        if let Some(sent) = sample.times.sent {
            // Late to the connecting, if a connection had to be made, and late after it was there.
            let began = sample.times.ready.saturating_sub(sample.times.connect.unwrap_or(0) + sample.times.waited);
            let began = began.max(sample.due);
            let late = began - sample.due + sent.saturating_sub(sample.times.ready.max(sample.due));
            self.now.lag.record(late);
        }
        let service = sample.times.done.saturating_sub(sample.times.sent.unwrap_or(sample.due)).saturating_sub(held);
        if sample.class == Class::Ok {
            self.note_usual(sample.step, service);
        }
        if !self.is_measured(sample.due) {
            self.now.overhead.warm_up += u64::from(sample.delivered);
            if sample.class == Class::Ok {
                self.now.warm_up.record(response);
            }
            return;
        }
        self.now.last_ns = self.now.last_ns.max(sample.times.done);
        let limits = &self.limits_ns[sample.step];
        let step = self.now.step(sample.step);
        if let Some(connect) = sample.times.connect {
            step.connect.record(connect);
        }
        // Time ran out before there was a connection.
        let is_unconnected = sample.class == Class::TimedOut && sample.times.sent.is_none() && !sample.delivered;
        step.connects_failed += u64::from(is_unconnected);
        count(step, sample);
        match sample.class {
            Class::Ok => {
                step.response.record(response);
                step.service.record(service);
                step.count_within(limits, response);
            }
            Class::TimedOut | Class::Unfinished => {
                step.response.record(response);
                step.lower_bounds.record(response);
            }
            Class::Failed => step.failed_response.record(response),
            // What would have come is not known, so it enters no percentile.
            Class::Abandoned => self.now.faults.abandon += 1,
            // So quick a no would flatter the times of the answers.
            Class::Limited | Class::GeneratorError => {}
        }
    }

    /// The usual service time of a step of late; `None` before its first answer.
    pub fn usual_ns(&self, step: usize) -> Option<Nanos> {
        Some(self.usual_ns[step]).filter(|usual| *usual > 0)
    }

    fn note_usual(&mut self, step: usize, service: Nanos) {
        // Follows the median: a mean would be moved by the few slow answers, and most would be there before it.
        let usual = &mut self.usual_ns[step];
        let pace = (*usual / 16).max(1);
        *usual = match *usual {
            0 => service,
            now if service > now => now + pace,
            now => now - pace,
        };
    }

    /// A whole answer came, whatever is thought of it.
    pub fn status(&mut self, step: usize, status: u16, due: Nanos) {
        if self.is_measured(due) {
            self.now.step(step).count_status(status, 1);
        }
    }

    /// Names why a request of `step` failed (`request`: index into the program's requests).
    pub fn failure(&mut self, step: usize, request: usize, failure: Failure, due: Nanos) {
        if self.is_measured(due) {
            self.now.step(step).connects_failed += u64::from(failure.is_of_connecting());
            *self.errors.entry((step, Some(request), failure)).or_default() += 1;
        }
    }

    /// An operation between requests could not be evaluated: counted with the journey's first step.
    pub fn scenario_error(&mut self, journey: usize, user: u32, error: &EvalError, due: Nanos) {
        self.between_requests(journey, user, (Failure::Scenario, &error.0), due);
    }

    /// Something that went otherwise than planned and is no request's failure: counted with the journey's first step.
    pub fn between_requests(&mut self, journey: usize, user: u32, (failure, detail): (Failure, &str), due: Nanos) {
        let Some(step) = self.program.steps.iter().position(|s| s.journey == journey) else {
            return;
        };
        if self.is_measured(due) {
            *self.errors.entry((step, None, failure)).or_default() += 1;
        }
        if self.wants_failure_record() {
            self.failure_record(FailureRecord {
                t_s: due as f64 / SECOND as f64,
                user: u64::from(user),
                journey: self.program.journeys[journey].name.clone(),
                step: "between requests".into(),
                kind: failure.name(&self.program, None),
                request: String::new(),
                detail: detail.to_owned(),
            });
        }
    }

    /// Whether a further sample of a failure is wanted in this second.
    pub fn wants_failure_record(&self) -> bool {
        self.failure_records < MOST_FAILURE_RECORDS
    }

    /// Hands over a sample of a failed request.
    pub fn failure_record(&mut self, record: FailureRecord) {
        self.failure_records += 1;
        self.handover.send(Message::Failure(record));
    }

    /// A leak: counted always, its evidence handed over for the first few of its group, so that a target that leaks in
    /// every answer neither fills a disk nor hides a rarer leak behind its own.
    pub fn leak(&mut self, key: LeakKey, evidence: impl FnOnce() -> LeakRecord) {
        let most = match key.tier {
            // It shows in every answer of its step: one example is enough.
            Tier::Risk => 1,
            Tier::Proven | Tier::Suspect | Tier::Correctness => fold::MOST_EXAMPLES,
        };
        let examples = match self.examples.get_mut(&key) {
            Some(examples) => examples,
            None => self.examples.entry(key.clone()).or_default(),
        };
        if *examples < most {
            *examples += 1;
            self.handover.send(Message::Leak(key.clone(), Box::new(evidence())));
        }
        *self.leaks.entry(key).or_default() += 1;
    }

    /// An answer was scanned to its end; `is_beside`: while another user's request to the target was under way.
    pub fn scanned(&mut self, step: usize, controlled: bool, (after_others, is_beside): (bool, bool)) {
        let seen: &mut IsolationStep = &mut self.now.step(step).isolation;
        seen.scanned += 1;
        seen.controlled += u64::from(controlled);
        seen.after_others += u64::from(after_others);
        seen.after_others_controlled += u64::from(after_others && controlled);
        seen.alone += u64::from(after_others && !is_beside);
        seen.alone_controlled += u64::from(after_others && controlled && !is_beside);
    }

    /// Where the markers stood that the reader may see, and over what they came: what the scanner has been shown to see.
    pub fn seen_at(&mut self, step: usize, places: u8, after_others: bool, transport: usize) {
        if places == 0 {
            return;
        }
        let seen = &mut self.now.step(step).isolation;
        for (at, count) in seen.places.iter_mut().enumerate() {
            *count += u64::from(places >> at & 1);
        }
        self.now.isolation.transports[transport] += u64::from(after_others);
    }

    /// An answer of `step` held a marker that the reader may see and that `writer` planted, in these of its fields, as
    /// bits.
    pub fn carried(&mut self, step: usize, writer: u16, mut fields: u64) {
        let seen = self.now.step(step);
        let counts = seen.field_counts(writer);
        while fields != 0 {
            counts.count(fields.trailing_zeros() as usize, 1);
            fields &= fields - 1;
        }
        let carried = &mut seen.carried;
        match carried.iter_mut().find(|(known, _)| *known == writer) {
            Some((_, count)) => *count += 1,
            None => carried.push((writer, 1)),
        }
    }

    /// A marker was planted in a request of `step`, or in a message there, in this field; in words it has none.
    pub fn planted(&mut self, step: usize, field: Option<u16>) {
        self.now.isolation.planted += 1;
        let seen = self.now.step(step);
        seen.isolation.planted += 1;
        match field {
            Some(field) => seen.planted.count(usize::from(field), 1),
            None => seen.isolation.in_words += 1,
        }
    }

    /// An account used a target.
    pub fn target_used(&mut self, target: usize, account: u32) {
        self.now.targets[target].note(account);
    }

    /// Events of a stream: when the first came, and the times between them. Of a stream on which nothing came before
    /// its time limit, `first` is `Err` with the time until which it was waited for: that lies within no limit.
    pub fn events(
        &mut self,
        step: usize,
        due: Nanos,
        first: Option<Result<Nanos, Nanos>>,
        gaps: impl Iterator<Item = Nanos>,
    ) {
        if self.is_measured(due) {
            let limits = &self.stream_limits[step];
            let step = self.now.step(step);
            if let Some(at) = first {
                let (Ok(ns) | Err(ns)) = at.map(|at| at.saturating_sub(due)).map_err(|at| at.saturating_sub(due));
                step.first_event.record(ns);
                if at.is_ok() {
                    StreamTime::FirstEvent.count(ns, limits, &mut step.streams_within);
                }
            }
            for gap in gaps {
                step.event_gap.record(gap);
                StreamTime::EventGap.count(gap, limits, &mut step.streams_within);
            }
        }
    }

    /// Counts messages of a WebSocket step.
    pub fn messages(&mut self, step: usize, due: Nanos, count: impl FnOnce(&mut Messages)) {
        if self.is_measured(due) {
            count(&mut self.now.step(step).messages);
        }
    }

    /// A message that was due at `due` was answered at `at`, or (`came` is false) not until then, when its time was up:
    /// that lies within no limit.
    pub fn round_trip(&mut self, step: usize, due: Nanos, at: Nanos, came: bool) {
        if self.is_measured(due) {
            let limits = &self.stream_limits[step];
            let step = self.now.step(step);
            let ns = at.saturating_sub(due);
            step.message.record(ns);
            if came {
                StreamTime::Message.count(ns, limits, &mut step.streams_within);
            }
        }
    }

    /// A group of steps came to its end.
    pub fn group(&mut self, group: usize, start: Nanos, end: Nanos) {
        if self.is_measured(start) {
            self.now.groups.entry(group).or_default().record(end.saturating_sub(start));
        }
    }

    /// The counters of the present second that have no other rule.
    pub fn interval(&mut self) -> &mut Interval {
        &mut self.now
    }

    /// Closes the present second and opens `second`.
    pub fn turn(&mut self, second: u64) {
        let mut done = std::mem::replace(&mut self.now, Interval::new(second, &self.program));
        done.users = self.users;
        done.in_flight = self.in_flight;
        done.errors = self
            .errors
            .drain()
            .map(|((step, request, failure), count)| ErrorCount {
                step,
                kind: failure.name(&self.program, request),
                count,
            })
            .collect();
        done.leaks = self.leaks.drain().collect();
        self.failure_records = 0;
        self.handover.send(Message::Interval(Box::new(done)));
    }

    /// Says that this worker records nothing more.
    pub fn finish(mut self, second: u64) {
        self.turn(second);
        self.handover.send(Message::Done);
    }
}

fn count(step: &mut StepInterval, sample: &Sample) {
    let counts = &mut step.counts;
    match sample.class {
        Class::Ok => counts.ok += 1,
        Class::Failed => counts.failed += 1,
        Class::TimedOut => counts.timed_out += 1,
        Class::Abandoned => counts.abandoned += 1,
        Class::Unfinished => counts.unfinished += 1,
        Class::GeneratorError => counts.generator_errors += 1,
        Class::Limited => {
            counts.ok += 1;
            counts.limited += 1;
        }
    }
    if !sample.delivered && sample.class != Class::GeneratorError {
        counts.not_delivered += 1;
    }
    counts.bytes_sent += sample.bytes.0;
    counts.bytes_received += sample.bytes.1;
}

impl TargetUse {
    /// Adds one account to what is known.
    pub fn note(&mut self, account: u32) {
        *self = match *self {
            Self::Nobody => Self::One(account),
            Self::One(first) if first == account => Self::One(first),
            _ => Self::Many,
        };
    }
}
