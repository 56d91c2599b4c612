//! `trace`: one user plays a journey, one step after the other, and everything is shown. The user, the client and the
//! loop are those of a run. In: a scenario file and a journey. Out: text on stdout, secrets masked; nothing is stored.

mod print;

use super::{load, run};
use crate::args::Trace;
use crate::live::is_coloured;
use crate::outcome::Problem;
use crate::{screen, signals};
use engine::run_result::Ending;
use engine::trace::{Event, Tracer};
use engine::{HeaderFacts, Setup, Stop};
use print::Printer;
use reports::exit_codes::{COULD_NOT_RUN, GO, INTERRUPTED};
use scenarios::faults::Faults;
use scenarios::program::{Load, Profile, Stage, Target};
use scenarios::units::LONGEST_NS;
use scenarios::{Overrides, Program, Shape};
use std::io::stdout;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

const SECOND_NS: u64 = 1_000_000_000;
/// Time for the last answer when the trace is interrupted.
const GRACE_NS: u64 = 5 * SECOND_NS;

/// Traces.
///
/// # Errors
/// The file or an option is wrong, or a target is not there.
pub fn trace(args: &Trace) -> Result<u8, Problem> {
    let mut loaded = load::load(load::read(&args.file)?, &args.env)?;
    load::warn(&loaded);
    let journey = journey(&loaded.program, args.journey.as_deref())?;
    let overrides = Overrides { targets: args.target.clone(), ..Overrides::default() };
    loaded.program.with_overrides(&overrides).map_err(Problem::usage)?;
    let clinic = run::practice_clinic(!args.target.is_empty(), &loaded)?;
    if clinic.is_some() {
        screen::err(
            "nothing answered at the default addresses of this library file: the practice clinic was started\n",
        );
    }
    let code = play(args, loaded.program, journey);
    if let Some(clinic) = clinic {
        clinic.stop();
    }
    code
}

/// The journey that is asked for; a file with one journey needs no name.
fn journey(program: &Program, name: Option<&str>) -> Result<usize, Problem> {
    let known = || program.journeys.iter().map(|j| j.name.as_str()).collect::<Vec<_>>().join(", ");
    match name {
        Some(name) => {
            program.journeys.iter().position(|j| j.name == name).ok_or_else(|| load::no_journey(program, name))
        }
        None if program.journeys.len() == 1 => Ok(0),
        None => Err(Problem::usage(format!("--journey says which journey to trace: {}", known()))),
    }
}

fn play(args: &Trace, mut program: Program, journey: usize) -> Result<u8, Problem> {
    for (index, other) in program.journeys.iter_mut().enumerate() {
        other.weight = u32::from(index == journey);
    }
    let targets = targets(&program, journey);
    let health_requests = engine::preflight(&targets).map_err(Problem::run)?;
    let program = Arc::new(program);
    let stop = Arc::new(Stop::default());
    signals::watch(Arc::clone(&stop));
    let setup = Setup {
        profile: 0,
        facts: HeaderFacts { version: env!("CARGO_PKG_VERSION").into(), ..HeaderFacts::default() },
        seed: args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
        workers: 1,
        key: rand::random(),
        folder: None,
        stop,
        health_requests,
    };
    let answered = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&answered);
    let printer = Printer::new(is_coloured(&stdout()), args.think);
    screen::out(&printer.head(&program, journey));
    let (events, told) = mpsc::channel();
    let listener = move |event: Event| {
        if let Event::Answer(answer) = &event
            && answer.status != 0
        {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        // Sent on and printed elsewhere: a slow screen is no slow answer. It holds the events of 1,000 iterations.
        let _ = events.send(event);
    };
    let tracer = Tracer::new(Box::new(listener));
    let finished = std::thread::scope(|scope| {
        scope.spawn(move || told.iter().for_each(|event| screen::out(&printer.event(&event))));
        engine::trace(&program, profile(args.think), setup, args.iterations, tracer)
    });
    let result = finished.map_err(Problem::run)?.result;
    screen::out(&print::findings(&result, is_coloured(&stdout())));
    if result.ending == Ending::Interrupted {
        return Ok(INTERRUPTED);
    }
    // A journey may be without requests; one whose requests were never answered shows nothing.
    if answered.load(Ordering::Relaxed) == 0 && program.steps.iter().any(|s| s.journey == journey) {
        screen::err("error: nothing was ever answered\n");
        return Ok(COULD_NOT_RUN);
    }
    Ok(GO)
}

/// The targets that the journey asks.
fn targets(program: &Program, journey: usize) -> Vec<Target> {
    let is_asked = |index: usize| program.steps.iter().any(|s| s.journey == journey && s.target == index);
    program.targets.iter().enumerate().filter(|(i, _)| is_asked(*i)).map(|(_, t)| t.clone()).collect()
}

/// One user, as long as it takes; think times are left out unless they are asked for.
fn profile(think: bool) -> Profile {
    Profile {
        name: "trace".into(),
        load: Load::Closed(vec![Stage { level: 1.0, duration_ns: LONGEST_NS, ramp_ns: 0 }]),
        shape: Shape::Plain,
        warm_up_ns: 0,
        graceful_stop_ns: GRACE_NS,
        cool_down_ns: 0,
        isolation_required: false,
        faults: Faults { think_zero: if think { 0.0 } else { 1.0 }, ..Faults::default() },
        fresh: scenarios::conditions::Fresh::default(),
        network: None,
        moments: Vec::new(),
        canary: None,
        share_connections: None,
    }
}
