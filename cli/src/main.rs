//! The binary `watertight`: arguments in, exit code out. Each command is one file under `commands/`.

mod args;
mod commands;
mod live;
mod outcome;
mod results;
mod screen;
mod signals;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let code = match commands::dispatch(args) {
        Ok(code) => code,
        Err(problem) => {
            eprint!("{}", problem.text());
            problem.code()
        }
    };
    ExitCode::from(code)
}
