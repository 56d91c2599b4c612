//! Playing: the path from a program to a verdict, for one profile or several.

use super::load::Loaded;
use crate::args::How;
use crate::live::{Display, is_coloured};
use crate::outcome::Problem;
use crate::{results, signals};
use engine::run_result::{Ending, RunResult};
use engine::{HeaderFacts, Setup, Stop};
use reports::Verdict;
use reports::exit_codes::{Cause, cause, combine};
use scenarios::Program;
use std::collections::BTreeMap;
use std::io::stdout;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is to be played.
#[derive(Debug)]
pub struct Game {
    /// Profiles, in order.
    pub profiles: Vec<String>,
    /// Factor by which they were scaled.
    pub scaled: Option<f64>,
    /// Notes for the report.
    pub notes: Vec<String>,
    /// How.
    pub how: How,
}

/// What one profile came to.
struct Played {
    profile: String,
    outcome: &'static str,
    cause: Cause,
}

/// What all profiles of an invocation share.
struct Table {
    program: Arc<Program>,
    facts: HeaderFacts,
    stored_text: String,
    how: How,
    seed: u64,
    key: [u8; 32],
    stop: Arc<Stop>,
}

/// Plays all profiles; answers the exit code.
///
/// # Errors
/// A target is not there, or the results cannot be stored.
pub fn play(loaded: Loaded, game: Game) -> Result<u8, Problem> {
    let first = game.profiles.first().ok_or_else(|| Problem::usage("there is no profile to run"))?;
    let label = if game.profiles.len() == 1 { first.as_str() } else { "suite" };
    let folder = results::folder(game.how.out.as_deref(), &loaded.program.name, label);
    let table = Table {
        facts: facts(&loaded, &game),
        stored_text: loaded.plan.stored_text(),
        program: Arc::new(loaded.program),
        seed: game.how.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
        key: rand::random(),
        stop: Arc::new(Stop::default()),
        how: game.how,
    };
    signals::watch(Arc::clone(&table.stop));
    if game.profiles.len() == 1 {
        return play_one(&table, 0, &folder).map(|played| played.cause.code());
    }
    results::create(&folder)?;
    let mut played = Vec::new();
    for index in 0..table.program.profiles.len() {
        let name = &table.program.profiles[index].name;
        eprintln!("\nprofile {name}");
        played.push(play_one(&table, index, &folder.join(name))?);
        if played.last().is_some_and(|p| p.cause == Cause::Interrupted) {
            break;
        }
    }
    write_suite(&folder, &played)?;
    Ok(combine(played.iter().map(|p| p.cause)).code())
}

fn facts(loaded: &Loaded, game: &Game) -> HeaderFacts {
    HeaderFacts {
        file: loaded.source.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        command: command_line(),
        scaled: game.scaled,
        notes: game.notes.clone(),
        digests: loaded.plan.digests().into_iter().collect::<BTreeMap<_, _>>(),
    }
}

/// The command line without the path of the binary; values given for `${}` may be secrets and are masked.
fn command_line() -> Vec<String> {
    let mut command = vec!["watertight".to_owned()];
    let mut is_env = false;
    for arg in std::env::args().skip(1) {
        let masked = match arg.strip_prefix("--env=").or(is_env.then_some(arg.as_str())) {
            Some(pair) => {
                let name = pair.split('=').next().unwrap_or_default();
                if is_env { format!("{name}=***") } else { format!("--env={name}=***") }
            }
            None => arg.clone(),
        };
        is_env = arg == "--env";
        command.push(masked);
    }
    command
}

fn play_one(table: &Table, profile: usize, folder: &Path) -> Result<Played, Problem> {
    let program = &table.program;
    let health_requests = engine::preflight(&program.targets).map_err(Problem::run)?;
    results::create(folder)?;
    std::fs::write(folder.join("scenario.yaml"), &table.stored_text)
        .map_err(|e| Problem::run(format!("{}: {e}", folder.join("scenario.yaml").display())))?;
    let setup = Setup {
        profile,
        facts: table.facts.clone(),
        seed: table.seed,
        workers: workers(&table.how),
        key: table.key,
        folder: Some(folder.to_path_buf()),
        stop: Arc::clone(&table.stop),
        health_requests,
    };
    let mut display = Display::new(program, &program.profiles[profile], &table.how, Arc::clone(&table.stop));
    let finished = engine::run(program, setup, &mut display).map_err(Problem::run)?;
    display.finish();
    let result = finished.result;
    let verdict = reports::judge(&result, &result.header.objectives);
    let stored = reports::write(&result, &verdict, folder);
    show(&result, &verdict, &table.how, stored.as_ref().ok().map(|written| written.report.as_path()));
    let mut cause = cause(&verdict, &result);
    let problem = finished.store_error.or_else(|| stored.err().map(|e| format!("the report cannot be written: {e}")));
    if let Some(problem) = problem {
        eprintln!("error: {problem}");
        cause = cause.min(Cause::CouldNotRun);
    }
    let profile = program.profiles[profile].name.clone();
    Ok(Played { profile, outcome: verdict.outcome.key(), cause })
}

fn workers(how: &How) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    how.workers.and_then(|n| usize::try_from(n).ok()).unwrap_or(processors)
}

/// Says the verdict; `report` is where the page is, if it could be written.
fn show(result: &RunResult, verdict: &Verdict, how: &How, report: Option<&Path>) {
    if how.quiet {
        println!("{}", verdict.outcome.words());
        return;
    }
    println!();
    print!("{}", reports::terminal_summary(result, verdict, is_coloured(&stdout())));
    if result.ending == Ending::Interrupted {
        println!("The run was interrupted: the figures are of what was measured until then.");
    }
    if let Some(report) = report {
        println!("\nReport: {}", report.display());
    }
}

fn write_suite(folder: &Path, played: &[Played]) -> Result<PathBuf, Problem> {
    let worst = combine(played.iter().map(|p| p.cause));
    let verdict = match worst {
        Cause::Go if played.iter().any(|p| p.outcome == "go-with-warnings") => "go-with-warnings",
        Cause::Go => "go",
        Cause::Leak | Cause::Missed => "no-go",
        _ => "inconclusive",
    };
    let profiles: Vec<_> = played
        .iter()
        .map(|p| serde_json::json!({ "name": p.profile, "outcome": p.outcome, "dir": p.profile }))
        .collect();
    let suite = serde_json::json!({ "format": 1, "verdict": verdict, "profiles": profiles, "gate": "not judged" });
    let path = folder.join("suite.json");
    std::fs::write(&path, format!("{suite:#}\n")).map_err(|e| Problem::run(format!("{}: {e}", path.display())))?;
    println!("\nSuite: {verdict} ({})", path.display());
    Ok(path)
}
