//! A suite: several profiles one after the other, one folder, one verdict, one report.
//! In: the table of [`play`](super::play), or the folder of a suite that was played. Out: the profiles' folders,
//! `suite.json`, `report.html`, `junit.xml`, `summary.md`, and the exit code.

use super::play::{Table, play_one};
use crate::outcome::Problem;
use crate::{results, screen};
use engine::run_result::RunHeader;
use reports::exit_codes::Cause;
use reports::suite::{Asked, Chapter, SignOff, Suite, SuiteFacts, read_facts, terminal, write};
use scenarios::objective::Objective;
use std::io::ErrorKind;
use std::path::Path;

/// Where the sign-offs of a suite are.
pub(super) const SIGNOFFS: &str = "signoffs.jsonl";

/// What the command line says of a suite besides its profiles.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Profiles of the file that are not played.
    pub others: Vec<String>,
    /// Options that change what the profiles are.
    pub altered: Vec<String>,
    /// A missing sign-off makes the suite inconclusive.
    pub require_signoffs: bool,
}

/// Plays every profile. One that cannot run does not hide what the others found.
///
/// # Errors
/// The results cannot be stored.
pub(super) fn play(table: &Table, ask: Ask, folder: &Path) -> Result<u8, Problem> {
    let program = &table.program;
    for profile in &program.profiles {
        results::refuse_taken(&folder.join(&profile.name))?;
    }
    results::create(folder)?;
    let mut facts = SuiteFacts {
        scenario: program.name.clone(),
        file: table.facts.file.clone(),
        version: table.facts.version.clone(),
        targets: program.targets.iter().map(|t| t.name.clone()).collect(),
        asked: program.profiles.iter().map(|p| Asked { name: p.name.clone(), ..Asked::default() }).collect(),
        not_asked: ask.others,
        interrupted: false,
        altered: ask.altered,
        gate: program.gate.clone(),
        require_signoffs: ask.require_signoffs,
    };
    // Stored before the first profile, so that a suite that is killed can be reported as far as it came.
    let mut suite = judge(&facts, Vec::new(), Vec::new());
    store(&suite, folder)?;
    let mut worst = Cause::Go;
    for (index, profile) in program.profiles.iter().enumerate() {
        screen::err(&format!("\nprofile {}\n", profile.name));
        let mut chapters = std::mem::take(&mut suite.chapters);
        chapters.truncate(index);
        chapters.push(match play_one(table, index, &folder.join(&profile.name)) {
            Ok(played) => {
                worst = worst.min(played.cause);
                Chapter::ran(&played.result, played.verdict)
            }
            Err(problem) => {
                screen::err(problem.text());
                let reason = problem.reason().to_owned();
                facts.asked[index] =
                    Asked { name: profile.name.clone(), problem: Some(reason.clone()), is_tried: true };
                Chapter::could_not_run(&profile.name, reason)
            }
        });
        facts.interrupted = table.stop.is_interrupted();
        let why = if facts.interrupted {
            Some("the suite was interrupted before it")
        } else if table.how.fail_fast && chapters.iter().any(Chapter::is_leaking) {
            Some("a leak was proven before it (--fail-fast)")
        } else {
            None
        };
        if let Some(why) = why {
            for asked in facts.asked.iter_mut().skip(index + 1) {
                asked.problem = Some(why.to_owned());
            }
        }
        suite = judge(&facts, chapters, Vec::new());
        store(&suite, folder)?;
        if why.is_some() {
            break;
        }
        // An abort rule ends its profile, not the suite.
        table.stop.clear_abort();
    }
    show(&suite, table.how.quiet, folder);
    Ok(worst.min(suite.cause).code())
}

/// The suite as far as it came: profiles without a chapter were not reached.
fn judge(facts: &SuiteFacts, mut chapters: Vec<Chapter>, signoffs: Vec<SignOff>) -> Suite {
    for asked in facts.asked.iter().skip(chapters.len()) {
        chapters.push(not_run(asked));
    }
    Suite::new(facts.clone(), chapters, signoffs)
}

fn not_run(asked: &Asked) -> Chapter {
    match &asked.problem {
        Some(problem) if asked.is_tried => Chapter::could_not_run(&asked.name, problem),
        Some(problem) => Chapter::not_reached(&asked.name, problem),
        None => Chapter::not_reached(&asked.name, "the suite never came to it"),
    }
}

fn store(suite: &Suite, folder: &Path) -> Result<(), Problem> {
    write(suite, folder).map(drop).map_err(|e| Problem::run(format!("the suite's report cannot be written: {e}")))
}

fn show(suite: &Suite, quiet: bool, folder: &Path) {
    screen::out(&if quiet {
        format!("{}\n", suite.outcome.words())
    } else {
        format!("\n{}\nReport: {}\n", terminal(suite), folder.join("report.html").display())
    });
}

/// Whether `folder` is that of a suite. A series of rounds has a list of the same name, and a verdict for each round.
pub(super) fn is_suite(folder: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(folder.join("suite.json")) else { return false };
    serde_json::from_str::<serde_json::Value>(&text).map_or(true, |list| list.get("rounds").is_none())
}

/// The facts of the suite in `folder`.
///
/// # Errors
/// It cannot be read.
pub(super) fn facts(folder: &Path) -> Result<SuiteFacts, Problem> {
    let path = folder.join("suite.json");
    let text = std::fs::read_to_string(&path).map_err(|e| Problem::run(format!("{}: {e}", path.display())))?;
    read_facts(&text).map_err(|e| Problem::run(format!("{}: {e}", path.display())))
}

/// Judges and renders a stored suite again. `objectives` answers by what a run is judged.
///
/// # Errors
/// The folder holds no suite, or cannot be written.
pub(super) fn report(
    folder: &Path,
    require_signoffs: bool,
    quiet: bool,
    objectives: &dyn Fn(&RunHeader) -> Result<Vec<Objective>, Problem>,
) -> Result<u8, Problem> {
    let mut facts = facts(folder)?;
    facts.require_signoffs |= require_signoffs;
    let mut chapters = Vec::new();
    for asked in &facts.asked {
        let dir = folder.join(&asked.name);
        if !dir.join("run.json").exists() {
            chapters.push(not_run(asked));
            continue;
        }
        chapters.push(match engine::read_for(&dir, objectives) {
            Ok(result) => {
                let verdict = reports::judge(&result, &result.header.objectives);
                reports::write(&result, &verdict, &dir)
                    .map_err(|e| Problem::run(format!("the report cannot be written: {e}")))?;
                Chapter::ran(&result, verdict)
            }
            Err(problem @ Problem::Input(_)) => return Err(problem),
            Err(problem) => Chapter::could_not_run(&asked.name, problem.reason()),
        });
    }
    let suite = judge(&facts, chapters, signoffs(folder)?);
    store(&suite, folder)?;
    show(&suite, quiet, folder);
    Ok(suite.cause.code())
}

/// The sign-offs of a suite, oldest first.
fn signoffs(folder: &Path) -> Result<Vec<SignOff>, Problem> {
    let path = folder.join(SIGNOFFS);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Problem::run(format!("{}: {error}", path.display()))),
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            serde_json::from_str(line)
                .map_err(|e| Problem::run(format!("{}:{}: this is no sign-off: {e}", path.display(), i + 1)))
        })
        .collect()
}
