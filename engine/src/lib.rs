//! Program to run result: schedule → virtual users → workers → recorder. Measures, never judges.
//! In: a compiled program, a profile, a seed. Out: [`run_result::RunResult`], and events while it runs.

pub mod allocator;
mod around;
pub mod client;
pub mod clock;
mod excerpt;
pub mod failure;
pub mod faults;
mod header;
pub mod isolation;
pub mod limits;
pub mod load;
mod meetings;
mod overlap;
pub mod preflight;
pub mod record;
pub mod run;
pub mod run_result;
mod runtime;
pub mod scrape;
mod secrets;
pub mod simulate;
mod timer;
pub mod trace;
pub mod user;
mod worker;
pub mod worker_run;

pub use header::{HeaderFacts, step_limits};
pub use preflight::{PreflightError, preflight};
pub use record::collector::{Observer, Unobserved};
pub use record::interval::Interval;
pub use record::journal::{ReadError, read, read_for, rewrite_header};
pub use run::Stop;

use client::wire::Wire;
use clock::Clock;
use isolation::calibration::calibrate;
use record::Recorder;
use record::abort::{Guard, Guarded};
use record::collector::{Handover, collect, queue};
use record::fold::Fold;
use record::journal::Journal;
use run::Run;
use run_result::{Ending, RunHeader, RunResult};
use scenarios::program::{Load, Profile, Program};
use scenarios::value::Value;
use scrape::{Beside, Scraper};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How a program is to be run.
#[derive(Debug)]
pub struct Setup {
    /// Index of the profile.
    pub profile: usize,
    /// Facts for the header that the engine cannot know.
    pub facts: HeaderFacts,
    /// Seed of every random stream.
    pub seed: u64,
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Key of the markers: drawn once per invocation.
    pub key: [u8; 32],
    /// Where the run is stored while it goes; the folder exists. `None`: nowhere.
    pub folder: Option<PathBuf>,
    /// Ends the run from outside.
    pub stop: Arc<Stop>,
    /// Health requests made before.
    pub health_requests: u64,
}

/// Why a run could not be.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The set-up is impossible, in a sentence.
    #[error("{0}")]
    Setup(String),
    /// The results folder cannot be written.
    #[error("the results folder {folder} cannot be written: {source}")]
    Folder {
        /// Which.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// The run's own `setup` failed, so that no load was started.
    #[error("the setup failed, so no load was started: {0}")]
    Before(String),
    /// A worker thread could not start.
    #[error("a worker cannot start: {0}")]
    Worker(std::io::Error),
}

/// What a run came to: the result, and whether all of it could be stored.
#[derive(Debug)]
pub struct Finished {
    /// All that was measured.
    pub result: RunResult,
    /// Why something could not be stored, if so.
    pub store_error: Option<String>,
}

/// Time for all workers to be ready before the load starts.
pub const READY: Duration = Duration::from_millis(100);

/// Runs a profile to its end. Blocks; `observer` is called on this thread.
///
/// # Errors
/// The run could not start. What a target does is never an error here.
pub fn run(program: &Arc<Program>, setup: Setup, observer: &mut dyn Observer) -> Result<Finished, RunError> {
    run_at_most(program, setup, None, observer)
}

/// As [`run()`], but no more than `most` iterations begin (closed load) or arrive (open load), to the iteration.
///
/// # Errors
/// As [`run()`].
pub fn run_at_most(
    program: &Arc<Program>,
    setup: Setup,
    most: Option<u64>,
    observer: &mut dyn Observer,
) -> Result<Finished, RunError> {
    let profile = program
        .profiles
        .get(setup.profile)
        .cloned()
        .ok_or_else(|| RunError::Setup(format!("there is no profile number {}", setup.profile)))?;
    conduct(program, profile, setup, (most, None), observer)
}

/// Plays `profile`, which is one user's, for so many iterations, and tells `tracer` each step. Else as [`run()`].
///
/// # Errors
/// As [`run()`].
pub fn trace(
    program: &Arc<Program>,
    profile: Profile,
    setup: Setup,
    iterations: u64,
    tracer: trace::Tracer,
) -> Result<Finished, RunError> {
    conduct(program, profile, setup, (Some(iterations), Some(tracer)), &mut Unobserved)
}

/// Runs `profile`, which may differ from the program's own: a trial at another rate. Else as [`run()`].
///
/// # Errors
/// As [`run()`].
pub fn run_profile(
    program: &Arc<Program>,
    profile: Profile,
    setup: Setup,
    observer: &mut dyn Observer,
) -> Result<Finished, RunError> {
    conduct(program, profile, setup, (None, None), observer)
}

fn conduct(
    program: &Arc<Program>,
    profile: Profile,
    setup: Setup,
    (most, tracer): (Option<u64>, Option<trace::Tracer>),
    observer: &mut dyn Observer,
) -> Result<Finished, RunError> {
    // Setup, load and teardown are one run: one id.
    let id = header::run_id(setup.seed, clock::unix_now_ns());
    let mut frame = around::Frame { load: program, id: &id, seed: setup.seed, key: setup.key, secrets: Vec::new() };
    let mut before = match &program.around.setup {
        None => around::Outcome::default(),
        Some(once) => play_setup(once, &frame, &setup.stop)?,
    };
    let given = before.values.take().map(Arc::new);
    frame.secrets = std::mem::take(&mut before.secrets);
    // One user step by step is no run whose series anybody judges.
    let scraper = if tracer.is_some() { None } else { Scraper::new(program, &profile).map_err(RunError::Setup)? };
    let watching = scraper.map(|mut scraper| (scraper.before(Clock::starting_in(Duration::ZERO)), scraper));
    let clock = Clock::starting_in(READY);
    let workers = workers(program, &profile.load, setup.workers).min(least_shared(program, &profile));
    let mut header = header::header(program, &profile, &setup, &clock, workers);
    header.id.clone_from(&id);
    let mut run = Run::new(Arc::clone(program), profile, clock, setup.seed, header.id.clone(), setup.key)
        .map_err(RunError::Setup)?;
    run.play_on(workers);
    (run.most_iterations, run.tracer) = (most, tracer);
    run.given.clone_from(&given);
    run.secrets.extend_from_slice(&frame.secrets);
    #[cfg(debug_assertions)]
    blind_for_a_test(&mut run);
    let run = Arc::new(run);
    let mut journal = match &setup.folder {
        None => Journal::none(),
        Some(folder) => Journal::create(folder, &header)
            .map_err(|source| RunError::Folder { folder: folder.display().to_string(), source })?,
    };
    raise_descriptor_limit();
    let (handover, messages) = queue();
    let threads = start_workers(&run, &header, workers, &setup.stop, &handover)?;
    observer.begins(&header);
    let mut fold = Fold::new(header);
    store_aside(&run, setup.health_requests, &mut fold, &mut journal);
    store_around(&run, (&mut before, true), &mut fold, &mut journal);
    let beside = match watching {
        None => None,
        Some((first, scraper)) => {
            store(&first, &mut fold, &mut journal);
            Some(Beside::start(scraper, clock, handover.of(workers)).map_err(RunError::Worker)?)
        }
    };
    drop(handover);
    let guard = Guard::new(program, &run.profile);
    let mut guarded = Guarded { guard, stop: &setup.stop, observer };
    fold = collect(&messages, workers, fold, &mut journal, &mut guarded);
    store_aside(&run, 0, &mut fold, &mut journal);
    if let Some(mut scraper) = beside.and_then(Beside::finish) {
        setup.stop.wait(Duration::from_nanos(run.profile.cool_down_ns));
        store(&scraper.after(clock, fold.latest_second()), &mut fold, &mut journal);
    }
    let problem = play_teardown(&run, given, (&frame, setup.folder.as_deref()), (&mut fold, &mut journal));
    let failed = threads.into_iter().find_map(|t| {
        // A worker that panicked took its counts with it: what is left is no measurement.
        t.join().unwrap_or_else(|_| Err(std::io::Error::other("it died of an error of its own"))).err()
    });
    if let Some(error) = failed {
        return Err(RunError::Worker(error));
    }
    let ending = ending(&setup.stop, &run);
    journal.end(&ending);
    let (errors, first) = journal.errors();
    let store_error = first.map(|e| format!("{errors} writes to the results folder failed: {e}"));
    let last_s = fold.last_ns() as f64 / clock::SECOND as f64;
    let mut result = fold.finish(ending);
    if most.is_some() {
        // It was over with the last of them, not when it might have been at the latest.
        result.duration_s = result.duration_s.min(last_s);
    }
    result.health.store_errors = errors;
    Ok(Finished { result, store_error: store_error.or(problem) })
}

fn ending(stop: &Stop, run: &Run) -> Ending {
    match (stop.reason(), stop.is_asked(), run.ended_by.get()) {
        (Some(reason), ..) => Ending::Aborted(reason),
        (None, true, _) => Ending::Interrupted,
        (None, false, Some(who)) => Ending::Stopped(who.clone()),
        (None, false, None) => Ending::Finished,
    }
}

/// Workers of a run: never more than users. An arrival of an open load goes to one worker's users, so each worker must
/// hold enough of every journey that a free one elsewhere hardly ever matters.
fn workers(program: &Program, load: &Load, asked: usize) -> usize {
    let users = load.most_users();
    let most = match load {
        Load::Closed(_) => users,
        Load::Open { .. } => {
            let smallest = scenarios::deal_users(program, users).into_iter().filter(|n| *n > 0).min();
            smallest.unwrap_or(0) / LEAST_USERS_PER_WORKER
        }
    };
    asked.clamp(1, most.max(1))
}

/// Where connections are shared each worker has at least one of them.
fn least_shared(program: &Program, profile: &Profile) -> usize {
    let shared = program.targets.iter().filter_map(|t| t.transport.share_connections.or(profile.share_connections));
    shared.min().map_or(usize::MAX, |most| most.max(1) as usize)
}

/// Users of one journey that a worker of an open load holds at least.
const LEAST_USERS_PER_WORKER: usize = 32;

fn start_workers(
    run: &Arc<Run>,
    header: &RunHeader,
    workers: usize,
    stop: &Arc<Stop>,
    handover: &Handover,
) -> Result<Vec<JoinHandle<std::io::Result<()>>>, RunError> {
    let targets = &run.program.targets;
    let tls = Wire::tls_configs(targets).map_err(RunError::Setup)?;
    let limits_ns = Arc::new(header.steps.iter().map(|s| s.limits_ns.clone()).collect::<Vec<_>>());
    (0..workers)
        .map(|index| {
            let recorder = Recorder::new(
                Arc::clone(&run.program),
                Arc::clone(&limits_ns),
                run.profile.warm_up_ns,
                handover.of(index),
            );
            let (run, stop, tls) = (Arc::clone(run), Arc::clone(stop), tls.clone());
            let last = handover.of(index).last_word();
            // The wire is made on its own thread: it is not shared with any other.
            Wire::new(run.clock, &run.program.targets, &tls).map_err(RunError::Setup)?;
            std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || {
                    let _last = last;
                    let played = worker::work(run, &tls, recorder, &stop, index, workers);
                    if let Err(error) = &played {
                        // What the others would still measure is no result.
                        stop.abort(&format!("a worker could not go on: {error}"));
                    }
                    played
                })
                .map_err(RunError::Worker)
        })
        .collect()
}

/// Tests of the whole program show that a scanner which misses a layer is noticed. No released program can do this.
#[cfg(debug_assertions)]
fn blind_for_a_test(run: &mut Run) {
    use isolation::scanner::{Blind, Scanner};
    let asked = std::env::var("WATERTIGHT_TEST_BLIND_TO").ok();
    let layer = asked.and_then(|name| isolation::layers::ALL.into_iter().find(|layer| *layer == name));
    if let Some(layer) = layer {
        run.scanner = Scanner::blinded(run.mint.clone(), Blind::Layer(layer));
    }
}

/// Stores what belongs to no worker: health checks before the load, and the calibration at its start and end.
fn store_aside(run: &Run, health: u64, fold: &mut Fold, journal: &mut Journal) {
    let mut aside = Interval::new(fold.latest_second(), &run.program);
    let calibration = calibrate(&run.scanner, &run.mint);
    aside.isolation.injected = calibration.injected;
    aside.isolation.found = calibration.found;
    aside.overhead.health = health;
    store(&aside, fold, journal);
}

/// Plays the setup; whatever it leaves undone is an error, but for an interruption.
fn play_setup(once: &Arc<Program>, frame: &around::Frame<'_>, stop: &Arc<Stop>) -> Result<around::Outcome, RunError> {
    let before = around::play(once, None, frame, stop)?;
    match before.why(once) {
        Some(why) if !stop.is_asked() => Err(RunError::Before(why)),
        _ => Ok(before),
    }
}

/// Plays the teardown, unless the setup did not come to its end; what went wrong is noted in the header. Answers why
/// that could not be stored.
fn play_teardown(
    run: &Run,
    given: Option<Arc<Vec<Value>>>,
    (frame, folder): (&around::Frame<'_>, Option<&std::path::Path>),
    (fold, journal): (&mut Fold, &mut Journal),
) -> Option<String> {
    let once = run.program.around.teardown.as_ref()?;
    if run.program.around.setup.is_some() && given.is_none() {
        return None;
    }
    // What ended the load does not end this: it is bounded in time by itself.
    let why = match around::play(once, given, frame, &Arc::default()) {
        Err(error) => Some(error.to_string()),
        Ok(mut after) => {
            store_around(run, (&mut after, false), fold, journal);
            after.why(once)
        }
    };
    let note = format!("the teardown failed: {}; what it was to clear away may still be there", why?);
    fold.header_mut().notes.push(note);
    let stored = folder.map(|folder| rewrite_header(folder, fold.header_mut()));
    stored.and_then(Result::err).map(|error| format!("the note that the teardown failed: {error}"))
}

/// Stores what was played round the load: its requests, outside the figures, and what was found in them.
fn store_around(run: &Run, (outcome, is_setup): (&mut around::Outcome, bool), fold: &mut Fold, journal: &mut Journal) {
    if outcome.requests == 0 && outcome.leaks.is_empty() {
        return;
    }
    let mut aside = Interval::new(fold.latest_second(), &run.program);
    let place = if is_setup { &mut aside.overhead.setup } else { &mut aside.overhead.teardown };
    *place = outcome.requests;
    aside.leaks = std::mem::take(&mut outcome.leaks);
    store(&aside, fold, journal);
    for (key, record) in outcome.evidence.drain(..) {
        journal.leak(&record);
        fold.leak(&key, record);
    }
}

fn store(part: &Interval, fold: &mut Fold, journal: &mut Journal) {
    journal.interval(part);
    fold.add(part);
}

/// Many users need many descriptors; a limit that cannot be raised shows up as generator errors.
fn raise_descriptor_limit() {
    #[cfg(unix)]
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}
