//! `demo`: the practice clinic, loaded with all three journeys, judged and reported.

use super::load;
use super::play::{self, Game};
use super::suite::Ask;
use crate::args::Demo;
use crate::outcome::Problem;
use practice::{Clinic, Options, Port};
use scenarios::Overrides;
use scenarios::units::parse_duration;

/// The profile of the library's clinic file that the demo plays.
const PROFILE: &str = "demo";

/// Plays the demo.
///
/// # Errors
/// The clinic cannot start, an option makes no sense, or the results cannot be stored.
pub fn demo(args: &Demo) -> Result<u8, Problem> {
    let source =
        scenarios::library::source("clinic").ok_or_else(|| Problem::run("the clinic scenario is not shipped"))?;
    let mut loaded = load::load(source, &[])?;
    let duration_ns = args.duration.as_deref().map(duration).transpose()?;
    let clinic =
        Clinic::start(Options { port: Port::One(0), defects: args.defect.clone(), seed: 0 }).map_err(Problem::run)?;
    let urls = clinic.urls();
    let targets = [("patient", urls.patient), ("clinical", urls.clinical), ("ai", urls.ai)];
    let overrides = Overrides {
        users: args.users,
        duration_ns,
        targets: targets.map(|(name, url)| (name.to_owned(), url)).into(),
        ..Overrides::default()
    };
    loaded.program.profiles.retain(|p| p.name == PROFILE);
    loaded.program.with_overrides(&overrides).map_err(Problem::usage)?;
    let defects: Vec<_> = args.defect.iter().map(ToString::to_string).collect();
    let note = match defects.as_slice() {
        [] => "the target is the practice clinic, without defects".into(),
        _ => format!("the target is the practice clinic with the defects {}", defects.join(", ")),
    };
    let code = play::play(
        loaded,
        Game {
            profiles: vec![PROFILE.into()],
            suite: Ask::default(),
            scaled: None,
            notes: vec![note],
            how: args.how.clone(),
        },
    );
    clinic.stop();
    code
}

/// A duration from the command line, ns.
///
/// # Errors
/// It is none.
pub fn duration(text: &str) -> Result<u64, Problem> {
    parse_duration(text).map_err(|e| Problem::usage(format!("--for {text}: {e}")))
}
