//! The commands, one file each.

mod capacity;
mod check;
mod demo;
mod hit;
mod init;
mod load;
mod moments;
mod play;
mod practice;
mod replay;
mod report;
mod rounds;
mod run;
mod schema;
mod sign;
mod suite;
mod trace;

use crate::args::{Args, Command};
use crate::outcome::Problem;
use crate::screen;
use clap::CommandFactory;

/// Does what the command line asks for; answers the exit code.
pub fn dispatch(args: Args) -> Result<u8, Problem> {
    match args.command {
        Command::Demo(args) => demo::demo(&args),
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Trace(args) => trace::trace(&args),
        Command::Hit(args) => hit::hit(&args),
        Command::Replay(args) => replay::replay(&args),
        Command::Report(args) => report::report(&args),
        Command::Sign(args) => sign::sign(&args),
        Command::Practice(args) => practice::practice(&args),
        Command::Init(args) => init::init(&args),
        Command::Schema => Ok(schema::schema()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "watertight", &mut script);
            screen::out(&String::from_utf8_lossy(&script));
            Ok(reports::exit_codes::GO)
        }
    }
}
