//! The benchmark of truth: the engine against small real servers whose response times are known by arithmetic.
//! In: `--quick` for shorter runs, or the letters of some cases. Out: a table of what was measured, the truth, and the
//! difference. Nothing is asserted: a busy machine is seen here, and named.

mod cases;
mod server;
mod table;

use cases::{Case, cases};
use engine::run_result::RunResult;
use engine::{HeaderFacts, Setup, Unobserved};
use scenarios::{Program, Source};
use server::Server;
use std::process::ExitCode;
use std::sync::Arc;

/// The seed of the arrivals; the truth of case C is worked out from the same ones.
const SEED: u64 = 7;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let is_quick = args.iter().any(|a| a == "--quick");
    let chosen: Vec<&String> = args.iter().filter(|a| *a != "--quick").collect();
    let known = cases(is_quick);
    if let Some(wrong) = chosen.iter().find(|letter| known.iter().all(|c| c.letter != letter.as_str())) {
        let letters: Vec<_> = known.iter().map(|c| c.letter).collect();
        eprintln!("error: `{wrong}` is no case; the cases are {}, and --quick shortens them", letters.join(" "));
        return ExitCode::from(2);
    }
    print!("{}", table::head());
    for case in known.iter().filter(|c| chosen.is_empty() || chosen.iter().any(|l| l.as_str() == c.letter)) {
        match play(case) {
            Ok((result, server)) => print!("{}", table::rows(case, &result, &server)),
            Err(why) => {
                eprintln!("error: case {}: {why}", case.letter);
                return ExitCode::from(4);
            }
        }
    }
    ExitCode::SUCCESS
}

/// Starts the case's server and loads it through the engine, as `run` and `hit` do.
fn play(case: &Case) -> Result<(RunResult, Server), String> {
    let server = Server::start((case.model)()).map_err(|e| format!("the server cannot start: {e}"))?;
    let program = program(&case.scenario(server.port))?;
    let setup = Setup {
        profile: 0,
        facts: HeaderFacts::default(),
        seed: SEED,
        // One for the engine, and the other processors for the server.
        workers: 1,
        key: [7; 32],
        folder: None,
        stop: Arc::default(),
        health_requests: 0,
    };
    let finished = engine::run(&program, setup, &mut Unobserved).map_err(|e| e.to_string())?;
    Ok((finished.result, server))
}

fn program(text: &str) -> Result<Arc<Program>, String> {
    let source = Source { name: "truth.yaml".into(), text: text.into(), folder: ".".into() };
    scenarios::parse(&source, &|_| None)
        .and_then(|(plan, _)| scenarios::compile(&plan))
        .map(Arc::new)
        .map_err(|mistakes| scenarios::render(&mistakes, &source, false))
}
