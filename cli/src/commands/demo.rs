//! `demo`: the practice clinic, loaded with all three journeys, judged and reported.

use super::load;
use super::play::{self, Game};
use super::suite::Ask;
use crate::args::Demo;
use crate::outcome::Problem;
use crate::screen;
use practice::{Clinic, Defect, Options, Port};
use scenarios::faults::{Abandon, GiveUp};
use scenarios::units::parse_duration;
use scenarios::{Overrides, Program};

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
    let provoking = provoke(&mut loaded.program, &args.defect);
    let confusing = confuse(&mut loaded.program, &args.defect);
    let defects: Vec<_> = args.defect.iter().map(ToString::to_string).collect();
    let note = match defects.as_slice() {
        [] => "the target is the practice clinic, without defects".into(),
        _ => format!("the target is the practice clinic with the defects {}", defects.join(", ")),
    };
    let notes: Vec<String> = std::iter::once(note).chain(provoking).chain(confusing).collect();
    let profiles = vec![PROFILE.into()];
    let game = Game { profiles, suite: Ask::default(), scaled: None, notes, rounds: None, how: args.how.clone() };
    let code = play::play(loaded, game);
    clinic.stop();
    code
}

/// Some defects show only when clients give requests up: then the demo does so, and says it.
fn provoke(program: &mut Program, defects: &[Defect]) -> Option<String> {
    let defect = defects.iter().find(|d| d.needs_abandoned_requests())?;
    let mut words = String::new();
    for profile in &mut program.profiles {
        let abandon = profile.faults.abandon.get_or_insert(Abandon {
            chance: 0.05,
            after_ns: None,
            how: GiveUp::Reset,
            at: None,
        });
        words = abandon.in_words();
    }
    let note = format!("{defect} shows only when clients give requests up, so they do: faults: abandon {words}");
    screen::err(&format!("note: {note}\n"));
    Some(note)
}

/// Others show only when clients make up the same ids, as those do that count from 1.
fn confuse(program: &mut Program, defects: &[Defect]) -> Option<String> {
    let defect = defects.iter().find(|d| d.needs_equal_ids())?;
    program.profiles.iter_mut().for_each(|profile| profile.faults.equal_ids = true);
    let note = format!("{defect} shows only when clients make up the same ids, so they do: faults: equal_ids");
    screen::err(&format!("note: {note}\n"));
    Some(note)
}

/// A duration from the command line, ns.
///
/// # Errors
/// It is none.
pub fn duration(text: &str) -> Result<u64, Problem> {
    parse_duration(text).map_err(|e| Problem::usage(format!("--for {text}: {e}")))
}
