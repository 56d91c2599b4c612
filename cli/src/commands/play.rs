//! Playing: the path from a program to a verdict, for one profile or several.

use super::capacity;
use super::load::Loaded;
use super::moments::Moments;
use super::rounds;
use super::suite::{self, Ask};
use crate::args::How;
use crate::live::{Display, is_coloured};
use crate::outcome::Problem;
use crate::schedule::Schedule;
use crate::{results, screen, signals};
use engine::run_result::{Ending, RunResult};
use engine::{Finished, HeaderFacts, Setup, Stop};
use reports::Verdict;
use reports::exit_codes::{Cause, cause};
use scenarios::program::Profile;
use scenarios::{Program, Shape};
use std::collections::BTreeMap;
use std::io::stdout;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is to be played.
#[derive(Debug)]
pub struct Game {
    /// Profiles, in order.
    pub profiles: Vec<String>,
    /// What is said of a suite besides.
    pub suite: Ask,
    /// Factor by which they were scaled.
    pub scaled: Option<f64>,
    /// Notes for the report.
    pub notes: Vec<String>,
    /// Rounds, if the profiles are played several times.
    pub rounds: Option<Schedule>,
    /// How.
    pub how: How,
}

/// What one profile came to.
pub(super) struct Played {
    pub result: RunResult,
    pub verdict: Verdict,
    /// Why it ends as it does, results that could not be stored included.
    pub cause: Cause,
}

/// What all profiles of an invocation share.
pub(super) struct Table {
    pub program: Arc<Program>,
    pub facts: HeaderFacts,
    stored_text: String,
    /// Where commands of the scenario are started.
    folder: PathBuf,
    pub how: How,
    /// Of the next run.
    pub seed: u64,
    key: [u8; 32],
    pub stop: Arc<Stop>,
}

/// Plays all profiles; answers the exit code.
///
/// # Errors
/// A target is not there, or the results cannot be stored.
pub fn play(loaded: Loaded, game: Game) -> Result<u8, Problem> {
    let first = game.profiles.first().ok_or_else(|| Problem::usage("there is no profile to run"))?;
    let label = if game.profiles.len() == 1 { first.as_str() } else { "suite" };
    let folder = results::folder(game.how.out.as_deref(), &loaded.program.name, label);
    let (rounds, ask, is_one) = (game.rounds, game.suite.clone(), game.profiles.len() == 1);
    let is_named = game.how.out.is_some();
    let table = table(loaded, game);
    let played = match rounds {
        Some(schedule) => rounds::play(&table, schedule, &folder),
        None if is_one => play_one(&table, 0, &folder).map(|played| played.cause.code()),
        None => suite::play(&table, ask, &folder),
    };
    if played.is_err() && !is_named {
        results::leave(&folder);
    }
    played
}

/// What the runs of an invocation share; from here on a signal stops them.
pub(super) fn table(loaded: Loaded, game: Game) -> Table {
    let table = Table {
        facts: facts(&loaded, &game),
        stored_text: loaded.plan.stored_text(),
        folder: loaded.source.folder.clone(),
        program: Arc::new(loaded.program),
        seed: game.how.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
        key: rand::random(),
        stop: Arc::new(Stop::default()),
        how: game.how,
    };
    signals::watch(Arc::clone(&table.stop));
    table
}

fn facts(loaded: &Loaded, game: &Game) -> HeaderFacts {
    HeaderFacts {
        file: loaded.source.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        command: command_line(std::env::args()),
        scaled: game.scaled,
        notes: game.notes.clone(),
        digests: loaded.plan.digests().into_iter().collect::<BTreeMap<_, _>>(),
    }
}

/// The command line without the path of the binary. Values given for `${}` and credentials in addresses are masked.
fn command_line(args: impl Iterator<Item = String>) -> Vec<String> {
    let mut command = vec!["watertight".to_owned()];
    let mut is_env = false;
    for arg in args.skip(1) {
        let masked = if is_env {
            mask_value(&arg)
        } else if let Some(pair) = arg.strip_prefix("--env=") {
            format!("--env={}", mask_value(pair))
        } else {
            mask_credentials(&arg)
        };
        is_env = arg == "--env";
        command.push(masked);
    }
    command
}

fn mask_value(pair: &str) -> String {
    format!("{}=***", pair.split('=').next().unwrap_or_default())
}

/// `https://name:password@host` → `https://***@host`.
fn mask_credentials(arg: &str) -> String {
    let Some((before, rest)) = arg.split_once("://") else { return arg.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => format!("{before}://***{}", &rest[at..]),
        None => arg.to_owned(),
    }
}

/// Plays profile `index` into `folder`, as its shape asks for.
///
/// # Errors
/// A target is not there, or the results cannot be stored.
pub fn play_one(table: &Table, index: usize, folder: &Path) -> Result<Played, Problem> {
    let profile = &table.program.profiles[index];
    if let Shape::Capacity(range) = profile.shape {
        return capacity::play(table, index, range, folder);
    }
    let finished = play_run(table, index, profile.clone(), folder)?;
    Ok(conclude(table, finished, folder))
}

/// Plays one run of `profile`, which may differ from the file's profile `index`, into `folder`.
///
/// # Errors
/// A target is not there, or the results cannot be stored.
pub fn play_run(table: &Table, index: usize, profile: Profile, folder: &Path) -> Result<Finished, Problem> {
    let program = &table.program;
    let health_requests = engine::preflight(&program.targets).map_err(Problem::run)?;
    results::create(folder)?;
    std::fs::write(folder.join("scenario.yaml"), &table.stored_text)
        .map_err(|e| Problem::run(format!("{}: {e}", folder.join("scenario.yaml").display())))?;
    let setup = Setup {
        profile: index,
        facts: table.facts.clone(),
        seed: table.seed,
        workers: workers(&table.how),
        key: table.key,
        folder: Some(folder.to_path_buf()),
        stop: Arc::clone(&table.stop),
        health_requests,
    };
    let mut display = Display::new(program, &profile, &table.how, Arc::clone(&table.stop));
    let moments = Moments::start(program, &profile, &table.folder);
    let mut watch = reports::canary::Watch::new(&table.stop, &mut display);
    let finished = engine::run_profile(program, profile, setup, &mut watch);
    let commands = moments.end(finished.as_ref().map_or(0, |f| f.result.header.started_unix_ns));
    display.finish();
    let mut finished = finished.map_err(Problem::run)?;
    if !commands.is_empty() {
        finished.result.header.commands = commands;
        if let Err(error) = engine::rewrite_header(folder, &finished.result.header) {
            finished.store_error.get_or_insert_with(|| format!("what the commands came to: {error}"));
        }
    }
    Ok(finished)
}

/// Judges a run, stores and shows the verdict.
pub(super) fn conclude(table: &Table, finished: Finished, folder: &Path) -> Played {
    let result = finished.result;
    let verdict = reports::judge(&result, &result.header.objectives);
    let stored = reports::write(&result, &verdict, folder);
    show(&result, &verdict, &table.how, stored.as_ref().ok().map(|written| written.report.as_path()));
    let mut cause = cause(&verdict, &result);
    let problem = finished.store_error.or_else(|| stored.err().map(|e| format!("the report cannot be written: {e}")));
    if let Some(problem) = problem {
        screen::err(&format!("error: {problem}\n"));
        cause = cause.min(Cause::CouldNotRun);
    }
    Played { result, verdict, cause }
}

fn workers(how: &How) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    how.workers.and_then(|n| usize::try_from(n).ok()).unwrap_or(processors)
}

/// Says the verdict; `report` is where the page is, if it could be written.
fn show(result: &RunResult, verdict: &Verdict, how: &How, report: Option<&Path>) {
    if how.quiet {
        screen::out(&format!("{}\n", verdict.outcome.words()));
        return;
    }
    let interrupted = match result.ending {
        Ending::Interrupted => "The run was interrupted: the figures are of what was measured until then.\n",
        _ => "",
    };
    let page = report.map(|path| format!("\nReport: {}\n", path.display())).unwrap_or_default();
    let summary = reports::terminal_summary(result, verdict, is_coloured(&stdout()));
    screen::out(&format!("\n{summary}{interrupted}{page}"));
}
#[cfg(test)]
mod tests {
    use super::command_line;

    #[test]
    fn secrets_on_the_command_line_are_masked() {
        let typed = [
            "/bin/w",
            "run",
            "f.yaml",
            "--env",
            "TOKEN=s3cret=x",
            "--env=A=b",
            "--target",
            "api=https://me:pw@h:1/x@y",
        ];
        let kept = command_line(typed.iter().map(ToString::to_string));
        assert_eq!(
            kept,
            ["watertight", "run", "f.yaml", "--env", "TOKEN=***", "--env=A=***", "--target", "api=https://***@h:1/x@y"]
        );
    }
}
