//! What one user plays before the load and after it: `setup` and `teardown`.
//! In: their programs. Out: the values that the setup leaves behind, how many requests it took, and why it failed, if so.
//! Each is a run of its own, with its own recorder that nobody folds: nothing of it reaches the figures. Its answers go
//! through the same scan, and what is found there is found in the run.

use crate::client::wire::Wire;
use crate::clock::Clock;
use crate::record::Recorder;
use crate::record::collector::{Message, queue};
use crate::record::fold::MOST_EXAMPLES;
use crate::record::interval::Interval;
use crate::run::{Run, Stop};
use crate::run_result::{FailureRecord, Iterations, LeakKey, LeakRecord};
use crate::{READY, RunError, worker};
use scenarios::program::Program;
use scenarios::units::format_duration;
use scenarios::value::Value;
use std::sync::{Arc, OnceLock};

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The variables at its end, by slot; `None` if it did not come to its end.
    pub values: Option<Vec<Value>>,
    /// Of those: what no output may show.
    pub secrets: Vec<Value>,
    /// Requests that the target may have seen.
    pub requests: u64,
    /// Findings, with the step of the load that they are counted with.
    pub leaks: Vec<(LeakKey, u64)>,
    /// Evidence of them.
    pub evidence: Vec<(LeakKey, LeakRecord)>,
    iterations: Iterations,
    failure: Option<FailureRecord>,
    ended_by: Option<String>,
}

impl Outcome {
    /// Why it did not come to its end, in a sentence's second half.
    pub fn why(&self, program: &Program) -> Option<String> {
        if self.values.is_some() && self.ended_by.is_none() {
            return None;
        }
        Some(match (&self.ended_by, &self.failure) {
            (Some(who), _) => format!("ended by {who}"),
            (None, _) if self.iterations.cut > 0 => {
                format!("not over within {}", format_duration(program.profiles[0].load.duration_ns()))
            }
            (None, Some(failure)) => {
                let request =
                    if failure.request.is_empty() { String::new() } else { format!(" ({})", failure.request) };
                let detail = if failure.detail.is_empty() { String::new() } else { format!(": {}", failure.detail) };
                format!("`{}`{request}: {}{detail}", failure.step, failure.kind)
            }
            (None, None) => "no descriptor or port was left for it".into(),
        })
    }
}

/// What it shares with the load.
pub(crate) struct Frame<'a> {
    /// Program of the load.
    pub load: &'a Program,
    /// Id of the run.
    pub id: &'a str,
    pub seed: u64,
    pub key: [u8; 32],
    /// Secrets that the setup left.
    pub secrets: Vec<Value>,
}

/// Plays `program` to its end, or until `stop`. `given` are the values that a setup left.
///
/// # Errors
/// No worker can start.
pub(crate) fn play(
    program: &Arc<Program>,
    given: Option<Arc<Vec<Value>>>,
    frame: &Frame<'_>,
    stop: &Arc<Stop>,
) -> Result<Outcome, RunError> {
    let profile = program.profiles[0].clone();
    let clock = Clock::starting_in(READY);
    // Users draw from streams that are numbered by user: without this it would draw what the load's first user draws.
    let name = blake3::hash(profile.name.as_bytes());
    let seed = frame.seed ^ u64::from_le_bytes(name.as_bytes()[..8].try_into().expect("a hash has 32 bytes"));
    let mut run =
        Run::new(Arc::clone(program), profile, clock, seed, frame.id.to_owned(), frame.key).map_err(RunError::Setup)?;
    run.most_iterations = Some(1);
    run.trace ^= seed;
    run.leaves = Some(OnceLock::new());
    run.given = given;
    run.secrets.extend_from_slice(&frame.secrets);
    let run = Arc::new(run);
    let (handover, messages) = queue();
    let limits = Arc::new(vec![Vec::new(); program.steps.len()]);
    let recorder = Recorder::new(Arc::clone(program), limits, 0, handover);
    let tls = Wire::tls_configs(&program.targets).map_err(RunError::Setup)?;
    Wire::new(clock, &program.targets, &tls).map_err(RunError::Setup)?;
    let (played, halt) = (Arc::clone(&run), Arc::clone(stop));
    let worker = std::thread::Builder::new()
        .name(run.profile.name.clone())
        .spawn(move || worker::work(played, &tls, recorder, &halt, 0, 1))
        .map_err(RunError::Worker)?;
    let mut outcome = Outcome::default();
    for (_, message) in &messages {
        match message {
            Message::Interval(second) => outcome.add(program, frame.load, &second),
            Message::Leak(key, record) if outcome.evidence.len() < MOST_EXAMPLES => {
                outcome.evidence.push((found_at(program, frame.load, key), *record));
            }
            Message::Leak(..) => {}
            // The last one is what it was given up for.
            Message::Failure(record) => outcome.failure = Some(record),
            Message::Done => break,
        }
    }
    let ended = worker.join().unwrap_or_else(|_| Err(std::io::Error::other("it died of an error of its own")));
    ended.map_err(RunError::Worker)?;
    outcome.values = run.leaves.as_ref().and_then(|leaves| leaves.get().cloned());
    let values = outcome.values.iter().flatten();
    let secret = |slot: &usize| run.secret_slots[0].iter().any(|s| usize::from(*s) == *slot);
    outcome.secrets = values.enumerate().filter(|(slot, _)| secret(slot)).map(|(_, value)| value.clone()).collect();
    outcome.ended_by = run.ended_by.get().cloned();
    Ok(outcome)
}

impl Outcome {
    fn add(&mut self, program: &Program, load: &Program, second: &Interval) {
        let sent = second.steps.values().map(|step| step.counts.sent() - step.counts.not_delivered).sum::<u64>();
        self.requests += sent + second.overhead.redirect_hops;
        self.iterations.cut += second.iterations.cut;
        self.leaks.extend(second.leaks.iter().map(|(key, count)| (found_at(program, load, key.clone()), *count)));
    }
}

/// The tables know the steps of the load only: a finding is counted with the one of the same name, else with the first
/// of its target, and its place says where it was.
fn found_at(program: &Program, load: &Program, key: LeakKey) -> LeakKey {
    let Some(step) = program.steps.get(key.step) else { return key };
    let same = load.steps.iter().position(|s| s.name == step.name && s.target == step.target);
    let near = || load.steps.iter().position(|s| s.target == step.target);
    let place = format!("{}, in `{}` at {}", key.place, program.journeys[step.journey].name, step.name);
    LeakKey { step: same.or_else(near).unwrap_or(0), place, ..key }
}
