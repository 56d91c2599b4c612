//! The commands, one file each.

mod check;
mod demo;
mod hit;
mod load;
mod play;
mod practice;
mod report;
mod run;

use crate::args::{Args, Command};
use crate::outcome::Problem;
use clap::CommandFactory;

/// Does what the command line asks for; answers the exit code.
pub fn dispatch(args: Args) -> Result<u8, Problem> {
    match args.command {
        Command::Demo(args) => demo::demo(&args),
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Hit(args) => hit::hit(&args),
        Command::Report(args) => report::report(&args),
        Command::Practice(args) => practice::practice(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "watertight", &mut std::io::stdout());
            Ok(reports::exit_codes::GO)
        }
    }
}
