//! `run`: profiles of a scenario file, one after the other, judged and reported.

use super::demo::duration;
use super::load::{self, Loaded};
use super::play::{self, Game};
use super::suite::Ask;
use crate::args::Run;
use crate::outcome::Problem;
use crate::schedule::Schedule;
use crate::screen;
use practice::{Clinic, Options, Port};
use scenarios::gate::Gate;
use scenarios::units::{parse_duration, parse_rate};
use scenarios::{Overrides, Program};

/// `--quick` scales each profile to this length at most, ns.
const QUICK_NS: u64 = 60_000_000_000;

/// Shortest distance of two rounds, ns.
const LEAST_EVERY_NS: u64 = 1_000_000_000;

/// Runs.
///
/// # Errors
/// The file or an option is wrong, a target is not there, or the results cannot be stored.
pub fn run(args: &Run) -> Result<u8, Problem> {
    let mut loaded = load::load(load::read(&args.file)?, &args.env)?;
    if !args.how.quiet {
        load::warn(&loaded);
    }
    let profiles = choose(args, &loaded.program)?;
    let rounds = rounds(args)?;
    let others: Vec<String> =
        loaded.program.profiles.iter().map(|p| p.name.clone()).filter(|name| !profiles.contains(name)).collect();
    loaded.program.profiles.retain(|p| profiles.contains(&p.name));
    let overrides = Overrides {
        users: args.users,
        arrivals: args.arrivals.as_deref().map(rate).transpose()?,
        duration_ns: args.duration.as_deref().map(duration).transpose()?,
        targets: args.target.clone(),
        time_scale: args.time_scale,
    };
    loaded.program.with_overrides(&overrides).map_err(Problem::usage)?;
    let scaled = if args.quick { quicken(&mut loaded.program) } else { args.time_scale };
    let mut notes = Vec::new();
    if let ([one], Some(gate)) = (profiles.as_slice(), &loaded.program.gate) {
        notes.push(gate_not_judged(one, gate));
    }
    let clinic = practice_clinic(!args.target.is_empty(), &loaded)?;
    if clinic.is_some() {
        let note = "nothing answered at the default addresses of this library file, so the practice clinic was started";
        screen::err(&format!("{note}\n"));
        notes.push(note.into());
    }
    let suite = Ask { others, altered: altered(args), require_signoffs: args.require_signoffs };
    let game = Game { profiles, suite, scaled, notes, rounds, how: args.how.clone() };
    let code = play::play(loaded, game);
    if let Some(clinic) = clinic {
        clinic.stop();
    }
    code
}

/// Options that make a profile another one than the file says.
fn altered(args: &Run) -> Vec<String> {
    let users = args.users.map(|n| format!("--users {n}"));
    let arrivals = args.arrivals.as_ref().map(|rate| format!("--arrivals {rate}"));
    let duration = args.duration.as_ref().map(|time| format!("--for {time}"));
    [users, arrivals, duration].into_iter().flatten().collect()
}

/// A gate is about a whole suite; one profile says so instead of saying nothing.
fn gate_not_judged(profile: &str, gate: &Gate) -> String {
    let requires = match gate.requires.join(", ") {
        names if names.is_empty() => "a suite".into(),
        names => names,
    };
    format!("gate not judged: it asks for {requires}, and this is a run of {profile} alone")
}

fn choose(args: &Run, program: &Program) -> Result<Vec<String>, Problem> {
    let names: Vec<String> = program.profiles.iter().map(|p| p.name.clone()).collect();
    if let Some(unknown) = args.profile.iter().find(|p| !names.contains(p)) {
        return Err(Problem::usage(format!(
            "{} has no profile `{unknown}`; it has {}",
            args.file.display(),
            names.join(", ")
        )));
    }
    match (args.all, args.profile.is_empty()) {
        (true, _) => Ok(names),
        (false, false) => {
            let mut chosen = Vec::new();
            for name in &args.profile {
                if !chosen.contains(name) {
                    chosen.push(name.clone());
                }
            }
            Ok(chosen)
        }
        (false, true) => match names.into_iter().next() {
            Some(first) => Ok(vec![first]),
            None => Err(Problem::usage(format!("{} has no profile; add one under `profiles:`", args.file.display()))),
        },
    }
}

fn rounds(args: &Run) -> Result<Option<Schedule>, Problem> {
    let (Some(text), Some(times)) = (&args.every, args.times) else {
        return Ok(None);
    };
    let every_ns = parse_duration(text).map_err(|e| Problem::usage(format!("--every {text}: {e}")))?;
    if every_ns < LEAST_EVERY_NS {
        return Err(Problem::usage(format!("--every {text}: rounds are at least 1s apart")));
    }
    Ok(Some(Schedule { every_ns, times }))
}

fn rate(text: &str) -> Result<f64, Problem> {
    parse_rate(text).map_err(|e| Problem::usage(format!("--arrivals {text}: {e}")))
}

/// Scales each profile that is longer than a minute; answers the smallest factor used.
fn quicken(program: &mut Program) -> Option<f64> {
    let mut smallest: Option<f64> = None;
    for profile in &mut program.profiles {
        let factor = QUICK_NS as f64 / profile.planned_ns().max(1) as f64;
        if factor < 1.0 {
            profile.scale_time(factor);
            smallest = Some(smallest.map_or(factor, |s| s.min(factor)));
        }
    }
    smallest
}

/// A file of the library plays against the practice clinic when nothing answers at its default addresses.
pub(super) fn practice_clinic(is_elsewhere: bool, loaded: &Loaded) -> Result<Option<Clinic>, Problem> {
    let is_library = scenarios::library::NAMES
        .iter()
        .filter_map(|name| scenarios::library::source(name))
        .any(|shipped| shipped.text == loaded.source.text);
    let standard = ["http://127.0.0.1:8001", "http://127.0.0.1:8002", "http://127.0.0.1:8005"];
    let is_default = loaded.program.targets.iter().all(|t| standard.contains(&t.url.as_str()));
    if !is_library || !is_default || is_elsewhere {
        return Ok(None);
    }
    let answers = |url: &str| {
        url.strip_prefix("http://").and_then(|address| address.parse().ok()).is_some_and(|address| {
            std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(500)).is_ok()
        })
    };
    if standard.iter().any(|url| answers(url)) {
        return Ok(None);
    }
    Clinic::start(Options { port: Port::Standard, defects: Vec::new(), seed: 0 }).map(Some).map_err(Problem::run)
}
