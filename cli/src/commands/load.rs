//! Loading a scenario: source → plan → program, warnings shown, mistakes as a problem.

use crate::live::is_coloured;
use crate::outcome::Problem;
use crate::screen;
use scenarios::{Diagnostic, Plan, Program, Source};
use std::io::stderr;
use std::path::Path;

/// A scenario that is right.
#[derive(Debug)]
pub struct Loaded {
    /// Where it came from.
    pub source: Source,
    /// The checked plan.
    pub plan: Plan,
    /// The program.
    pub program: Program,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
}

/// Reads the file at `path`.
///
/// # Errors
/// It cannot be read: the command line is wrong.
pub fn read(path: &Path) -> Result<Source, Problem> {
    Source::read(path).map_err(|e| Problem::usage(format!("{}: {e}", path.display())))
}

/// Parses and compiles. `env` wins over the environment.
///
/// # Errors
/// Every mistake of the file, rendered.
pub fn load(source: Source, env: &[(String, String)]) -> Result<Loaded, Problem> {
    let lookup = |name: &str| {
        env.iter().rev().find(|(k, _)| k == name).map(|(_, v)| v.clone()).or_else(|| std::env::var(name).ok())
    };
    let loaded = scenarios::parse(&source, &lookup)
        .and_then(|(plan, warnings)| Ok((scenarios::compile(&plan)?, plan, warnings)));
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let loaded = loaded.and_then(|loaded| match loaded.1.waivers_out_of_date(today) {
        late if late.is_empty() => Ok(loaded),
        late => Err(late),
    });
    match loaded {
        // Certificates that do not fit are a mistake of the file, found before anything is sent.
        Ok((program, ..)) if let Err(why) = engine::client::tls::check(&program.targets) => {
            Err(Problem::usage(format!("{}: {why}; nothing was sent", source.name)))
        }
        Ok((program, plan, warnings)) => Ok(Loaded { source, plan, program, warnings }),
        Err(mistakes) => Err(Problem::Input(refusal(&mistakes, &source))),
    }
}

fn refusal(mistakes: &[Diagnostic], source: &Source) -> String {
    let text = scenarios::render(mistakes, source, is_coloured(&stderr()));
    let errors = mistakes.iter().filter(|d| d.severity == scenarios::Severity::Error).count();
    let plural = if errors == 1 { "mistake" } else { "mistakes" };
    format!("{text}{}: {errors} {plural}; nothing was sent\n", source.name)
}

/// The command line names a journey that is not there.
pub fn no_journey(program: &Program, name: &str) -> Problem {
    let known: Vec<_> = program.journeys.iter().map(|j| j.name.as_str()).collect();
    Problem::usage(format!("there is no journey `{name}`; the file has {}", known.join(", ")))
}

/// Shows warnings on stderr.
pub fn warn(loaded: &Loaded) {
    if !loaded.warnings.is_empty() {
        screen::err(&scenarios::render(&loaded.warnings, &loaded.source, is_coloured(&stderr())));
    }
}
