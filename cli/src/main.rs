//! The binary `watertight`: arguments in, exit code out. Each command is one file under `commands/`.

mod args;
mod commands;
mod live;
mod outcome;
mod results;
mod schedule;
mod screen;
mod search;
mod signals;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: engine::allocator::Allocator = engine::allocator::Allocator;

fn main() -> ExitCode {
    let args = args::Args::parse();
    // An error of our own is in the table of exit codes like everything else; its message has been printed by then.
    let answer = std::panic::catch_unwind(|| commands::dispatch(args));
    let code = match answer {
        Ok(Ok(code)) => code,
        Ok(Err(problem)) => {
            screen::err(problem.text());
            problem.code()
        }
        Err(_panic) => reports::exit_codes::COULD_NOT_RUN,
    };
    ExitCode::from(code)
}
