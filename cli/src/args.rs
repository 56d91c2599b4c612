//! The command line as written. Every option also reads `WATERTIGHT_<OPTION>`; the command line wins.

mod hit;

pub use hit::Hit;

use clap::{Args as ClapArgs, Parser, Subcommand};
use std::path::PathBuf;

/// Load test and leak test: one scenario file in, one verdict out.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    max_term_width = 100,
    after_help = "Exit codes: 0 GO · 1 NO-GO · 2 wrong input, nothing was sent · 3 INCONCLUSIVE · \
                  4 could not run · 130 interrupted"
)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play the practice clinic: start it, load it with all three journeys, judge, report
    Demo(Demo),
    /// Run profiles of a scenario file, judge and report
    Run(Run),
    /// Find every mistake of a scenario file at once; nothing is sent
    Check(Check),
    /// One user, one step after the other: every request, answer, check and saved value
    Trace(Trace),
    /// One request again and again: what oha, wrk or hey would be typed for
    Hit(Hit),
    /// Judge and render again from stored results, also of a run that was killed
    Report(Report),
    /// Play the two users of a leak again, alone: does it leak every time, sometimes, no more?
    Replay(Replay),
    /// Record a sign-off of a suite
    Sign(Sign),
    /// The practice clinic alone
    Practice(Practice),
    /// A commented starter scenario: from nothing, or from what describes your system
    Init(Init),
    /// JSON Schema of the scenario file, for editors
    Schema,
    /// Shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// `watertight demo`
#[derive(Debug, ClapArgs)]
#[command(after_help = defects())]
pub struct Demo {
    /// A defect to switch on, see below; may be given several times
    #[arg(long, value_name = "NAME", env = "WATERTIGHT_DEFECT", value_delimiter = ',')]
    pub defect: Vec<practice::Defect>,
    /// How long, warm-up not counted, such as 20s or 1m30s
    #[arg(long = "for", value_name = "DURATION", env = "WATERTIGHT_FOR")]
    pub duration: Option<String>,
    /// Number of users
    #[arg(long, value_name = "N", env = "WATERTIGHT_USERS")]
    pub users: Option<usize>,
    /// How the run is carried out and shown
    #[command(flatten)]
    pub how: How,
}

/// `watertight run`
#[derive(Debug, ClapArgs)]
pub struct Run {
    /// The scenario file
    pub file: PathBuf,
    /// A profile to run; may be given several times (default: the file's first)
    #[arg(long, short = 'p', value_name = "NAME", env = "WATERTIGHT_PROFILE", value_delimiter = ',')]
    pub profile: Vec<String>,
    /// Run all profiles of the file
    #[arg(long, env = "WATERTIGHT_ALL", conflicts_with = "profile")]
    pub all: bool,
    /// Number of users, for profiles without stages
    #[arg(long, value_name = "N", env = "WATERTIGHT_USERS")]
    pub users: Option<usize>,
    /// Rate of arrivals, such as 20/s, for open profiles
    #[arg(long, value_name = "RATE", env = "WATERTIGHT_ARRIVALS")]
    pub arrivals: Option<String>,
    /// How long, warm-up not counted, such as 20s or 1m30s
    #[arg(long = "for", value_name = "DURATION", env = "WATERTIGHT_FOR")]
    pub duration: Option<String>,
    /// Scale every profile to a minute at most; never satisfies a gate
    #[arg(long, env = "WATERTIGHT_QUICK", conflicts_with = "time_scale")]
    pub quick: bool,
    /// Scale every profile's times by a factor; never satisfies a gate
    #[arg(long, value_name = "F", env = "WATERTIGHT_TIME_SCALE")]
    pub time_scale: Option<f64>,
    /// A sign-off of the gate that is missing makes a suite inconclusive
    #[arg(long, env = "WATERTIGHT_REQUIRE_SIGNOFFS")]
    pub require_signoffs: bool,
    /// A value for ${K} in the file; wins over the environment
    #[arg(long, value_name = "K=V", env = "WATERTIGHT_ENV", value_parser = pair)]
    pub env: Vec<(String, String)>,
    /// Address of a target
    #[arg(long, value_name = "NAME=URL", env = "WATERTIGHT_TARGET", value_parser = pair)]
    pub target: Vec<(String, String)>,
    /// Play again and again, from start to start, such as 6h
    #[arg(long, value_name = "DURATION", env = "WATERTIGHT_EVERY", requires = "times")]
    pub every: Option<String>,
    /// How many rounds, with --every
    #[arg(long, value_name = "N", env = "WATERTIGHT_TIMES", requires = "every",
          value_parser = clap::value_parser!(u32).range(1..=9999))]
    pub times: Option<u32>,
    /// How the run is carried out and shown
    #[command(flatten)]
    pub how: How,
}

/// Options that `demo` and `run` share.
#[derive(Debug, Clone, ClapArgs)]
pub struct How {
    /// Seed of every random choice
    #[arg(long, value_name = "S", env = "WATERTIGHT_SEED")]
    pub seed: Option<u64>,
    /// Folder for the results (default: results/SCENARIO-PROFILE-START)
    #[arg(long, value_name = "DIR", env = "WATERTIGHT_OUT")]
    pub out: Option<PathBuf>,
    /// Worker threads (default: one per processor)
    #[arg(long, value_name = "N", env = "WATERTIGHT_WORKERS", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub workers: Option<u64>,
    /// End the run as soon as a leak is proven
    #[arg(long, env = "WATERTIGHT_FAIL_FAST")]
    pub fail_fast: bool,
    /// Plain lines instead of the live view
    #[arg(long, env = "WATERTIGHT_NO_TUI")]
    pub no_tui: bool,
    /// Only the verdict
    #[arg(long, short, env = "WATERTIGHT_QUIET")]
    pub quiet: bool,
}

/// `watertight check`
#[derive(Debug, ClapArgs)]
pub struct Check {
    /// The scenario file
    pub file: PathBuf,
    /// Print the compiled program too: every operation with its number, templates as written
    #[arg(long, env = "WATERTIGHT_EXPLAIN")]
    pub explain: bool,
    /// Print this journey's state machine as a Mermaid flowchart, and nothing else
    #[arg(long, value_name = "JOURNEY", env = "WATERTIGHT_GRAPH", conflicts_with = "explain")]
    pub graph: Option<String>,
    /// A value for ${K} in the file; wins over the environment
    #[arg(long, value_name = "K=V", env = "WATERTIGHT_ENV", value_parser = pair)]
    pub env: Vec<(String, String)>,
}

/// `watertight trace`
#[derive(Debug, ClapArgs)]
pub struct Trace {
    /// The scenario file
    pub file: PathBuf,
    /// The journey (default: the file's only one)
    #[arg(long, short, value_name = "J", env = "WATERTIGHT_JOURNEY")]
    pub journey: Option<String>,
    /// How many times its steps are played
    #[arg(long, value_name = "N", env = "WATERTIGHT_ITERATIONS", default_value = "1",
          value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub iterations: u64,
    /// Wait for think times as a run does
    #[arg(long, env = "WATERTIGHT_THINK")]
    pub think: bool,
    /// Seed of every random choice
    #[arg(long, value_name = "S", env = "WATERTIGHT_SEED")]
    pub seed: Option<u64>,
    /// A value for ${K} in the file; wins over the environment
    #[arg(long, value_name = "K=V", env = "WATERTIGHT_ENV", value_parser = pair)]
    pub env: Vec<(String, String)>,
    /// Address of a target
    #[arg(long, value_name = "NAME=URL", env = "WATERTIGHT_TARGET", value_parser = pair)]
    pub target: Vec<(String, String)>,
}

/// `watertight init`
#[derive(Debug, ClapArgs)]
pub struct Init {
    /// An OpenAPI 3 description, YAML or JSON
    #[arg(long, value_name = "F", env = "WATERTIGHT_OPENAPI", conflicts_with_all = ["har", "curl"])]
    pub openapi: Option<PathBuf>,
    /// A recording of a browser: the network tab's "save all as HAR"
    #[arg(long, value_name = "F", env = "WATERTIGHT_HAR", conflicts_with = "curl")]
    pub har: Option<PathBuf>,
    /// A curl command in quotes, as browsers copy it
    #[arg(long, value_name = "COMMAND", env = "WATERTIGHT_CURL", allow_hyphen_values = true)]
    pub curl: Option<String>,
    /// Write a new file instead of stdout; one that is there stays as it is
    #[arg(long, short, value_name = "FILE", env = "WATERTIGHT_OUT")]
    pub out: Option<PathBuf>,
}

/// `watertight report`
#[derive(Debug, ClapArgs)]
pub struct Report {
    /// A results folder
    pub dir: PathBuf,
    /// Judge by the `sla:` of this scenario file instead of the stored one
    #[arg(long, value_name = "FILE", env = "WATERTIGHT_SLA")]
    pub sla: Option<PathBuf>,
    /// A sign-off of the gate that is missing makes a suite inconclusive
    #[arg(long, env = "WATERTIGHT_REQUIRE_SIGNOFFS")]
    pub require_signoffs: bool,
    /// Only the verdict
    #[arg(long, short, env = "WATERTIGHT_QUIET")]
    pub quiet: bool,
}

/// `watertight replay`
#[derive(Debug, ClapArgs)]
#[command(after_help = "Exit codes: 0 no round leaked · 1 at least one did · 2 wrong input, nothing was sent · \
                        4 could not run")]
pub struct Replay {
    /// The results folder of the run
    pub dir: PathBuf,
    /// Number of the leak's group, as the report and leaks.jsonl have it
    pub leak: usize,
    /// How many rounds
    #[arg(long, value_name = "N", default_value_t = 5, env = "WATERTIGHT_ROUNDS",
          value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
    /// Length of a round, such as 20s (default: 5s)
    #[arg(long = "for", value_name = "DURATION", env = "WATERTIGHT_FOR")]
    pub duration: Option<String>,
    /// A value for ${K} in the file; wins over the environment
    #[arg(long, value_name = "K=V", env = "WATERTIGHT_ENV", value_parser = pair)]
    pub env: Vec<(String, String)>,
    /// Address of a target, if it is another one than in the run
    #[arg(long, value_name = "NAME=URL", env = "WATERTIGHT_TARGET", value_parser = pair)]
    pub target: Vec<(String, String)>,
    /// How the rounds are carried out
    #[command(flatten)]
    pub how: How,
}

/// `watertight sign`
#[derive(Debug, ClapArgs)]
pub struct Sign {
    /// The results folder of a suite
    pub dir: PathBuf,
    /// What is signed: one of `signoffs` of the scenario's gate
    pub name: String,
    /// Who signs
    #[arg(long, value_name = "WHO", env = "WATERTIGHT_BY")]
    pub by: String,
    /// A remark
    #[arg(long, value_name = "TEXT", env = "WATERTIGHT_NOTE")]
    pub note: Option<String>,
}

/// `watertight practice`
#[derive(Debug, ClapArgs)]
#[command(after_help = defects())]
pub struct Practice {
    /// Everything on one port; 0 takes any free one (default: 8001, 8002 and 8005)
    #[arg(long, value_name = "P", env = "WATERTIGHT_PORT")]
    pub port: Option<u16>,
    /// A defect to switch on, see below; may be given several times
    #[arg(long, value_name = "NAME", env = "WATERTIGHT_DEFECT", value_delimiter = ',')]
    pub defect: Vec<practice::Defect>,
    /// Speak TLS, HTTP/2 and HTTP/1.1, with certificates made for the occasion; their files stand in the printed line
    #[arg(long, env = "WATERTIGHT_TLS")]
    pub tls: bool,
    /// Let in only clients that show a certificate
    #[arg(long, env = "WATERTIGHT_CLIENT_CERTIFICATES", requires = "tls")]
    pub client_certificates: bool,
}

/// What each defect does and after which class of public incident it is built, for the help texts.
fn defects() -> String {
    let mut text = String::from("Defects:\n");
    for defect in practice::Defect::ALL {
        text.push_str(&format!("  {defect}\n      {}\n", defect.description()));
        if let Some(incident) = defect.models() {
            text.push_str(&format!("      models {incident}\n"));
        }
    }
    text
}

/// `NAME=VALUE`
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".into()),
    }
}
