//! `--every 6h --times 4`: the chosen profiles again and again, each round in a folder of its own.
//! In: a schedule, what to play. Out: `DIR/NN/` (or `DIR/NN/<profile>/`) and `DIR/suite.json`, written anew after each
//! round, so that a killed series keeps what it has.

use super::play::{Table, play_one};
use crate::outcome::Problem;
use crate::schedule::{Now, Schedule};
use crate::screen;
use jiff::{SignedDuration, Timestamp};
use reports::exit_codes::{Cause, combine};
use scenarios::units::format_duration;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Longest wait before the clock is read again: a machine may sleep meanwhile, or its clock be set.
const GLANCE_NS: u64 = 10_000_000_000;

/// What one profile of a round came to.
struct Round {
    profile: String,
    outcome: &'static str,
    cause: Cause,
}

/// One run of a round as listed.
struct Entry {
    played: Round,
    dir: String,
    round: u32,
    due: Timestamp,
    late_ns: u64,
}

/// Plays all rounds; answers the exit code.
///
/// # Errors
/// The results cannot be stored. A round that cannot run is listed, and the next one is played at its time.
pub(super) fn play(table: &Table, schedule: Schedule, folder: &Path) -> Result<u8, Problem> {
    crate::results::create(folder)?;
    warn_of_overlap(table, schedule);
    let start = Timestamp::now();
    let mut entries: Vec<Entry> = Vec::new();
    for round in 0..schedule.times {
        let Some(late_ns) = wait(table, schedule, round, start) else {
            let done = round;
            screen::err(&format!("interrupted while waiting; {done} of {} rounds were played\n", schedule.times));
            break;
        };
        let due = due(start, schedule, round);
        announce(schedule, round, late_ns);
        play_round(table, folder, (round, due, late_ns), &mut entries);
        write(folder, schedule, &entries)?;
        if table.stop.is_asked() {
            break;
        }
    }
    write(folder, schedule, &entries)?;
    let verdict = verdict(schedule, &entries);
    screen::out(&format!("\nSuite: {verdict} ({})\n", folder.join("suite.json").display()));
    let interrupted = table.stop.is_asked() && table.stop.reason().is_none();
    let cut = interrupted.then_some(Cause::Interrupted);
    Ok(combine(entries.iter().map(|e| e.played.cause).chain(cut)).code())
}

/// Waits for a round; how late it starts, or `None` when the series is interrupted.
fn wait(table: &Table, schedule: Schedule, round: u32, start: Timestamp) -> Option<u64> {
    let mut is_said = table.how.quiet;
    loop {
        if table.stop.is_asked() {
            return None;
        }
        let since = Timestamp::now().duration_since(start).as_nanos();
        match schedule.at(round, u64::try_from(since).unwrap_or(0)) {
            Now::Start => return Some(0),
            Now::StartLate(late_ns) => return Some(late_ns),
            Now::Wait(ns) => {
                if !is_said {
                    let at = due(start, schedule, round).strftime("%Y-%m-%d %H:%M:%S UTC");
                    screen::err(&format!("\nround {} of {} starts at {at}\n", round + 1, schedule.times));
                    is_said = true;
                }
                table.stop.wait(Duration::from_nanos(ns.min(GLANCE_NS)));
            }
        }
    }
}

/// A series of centuries ends at the last time that can be written.
fn due(start: Timestamp, schedule: Schedule, round: u32) -> Timestamp {
    let nanos = i64::try_from(schedule.due_ns(round)).unwrap_or(i64::MAX);
    start.checked_add(SignedDuration::from_nanos(nanos)).unwrap_or(Timestamp::MAX)
}

fn announce(schedule: Schedule, round: u32, late_ns: u64) {
    let late = match late_ns {
        0 => String::new(),
        // To the second: nobody plans rounds finer.
        ns => format!(", {} late", format_duration(ns / 1_000_000_000 * 1_000_000_000)),
    };
    screen::err(&format!("\nround {} of {}{late}\n", round + 1, schedule.times));
}

fn play_round(table: &Table, folder: &Path, (round, due, late_ns): (u32, Timestamp, u64), entries: &mut Vec<Entry>) {
    let profiles = &table.program.profiles;
    for (index, profile) in profiles.iter().enumerate() {
        let number = format!("{:02}", round + 1);
        let dir = if profiles.len() == 1 { number } else { format!("{number}/{}", profile.name) };
        let (outcome, cause) = match play_one(table, index, &folder.join(&dir)) {
            Ok(played) => (played.verdict.outcome.key(), played.cause),
            Err(problem) => {
                screen::err(problem.text());
                ("inconclusive", Cause::CouldNotRun)
            }
        };
        let played = Round { profile: profile.name.clone(), outcome, cause };
        entries.push(Entry { played, dir, round: round + 1, due, late_ns });
        if table.stop.is_asked() {
            return;
        }
    }
}

fn warn_of_overlap(table: &Table, schedule: Schedule) {
    let round_ns: u64 = table.program.profiles.iter().map(scenarios::program::Profile::planned_ns).sum();
    if schedule.times > 1 && round_ns > schedule.every_ns && !table.how.quiet {
        screen::err(&format!(
            "a round takes {} at least, longer than --every {}: the later ones will start late\n",
            format_duration(round_ns),
            format_duration(schedule.every_ns)
        ));
    }
}

fn write(folder: &Path, schedule: Schedule, entries: &[Entry]) -> Result<(), Problem> {
    let path = folder.join("suite.json");
    std::fs::write(&path, format!("{:#}\n", suite(schedule, entries)))
        .map_err(|e| Problem::run(format!("{}: {e}", path.display())))
}

/// The word for several runs together.
fn word(entries: &[Entry]) -> &'static str {
    match combine(entries.iter().map(|e| e.played.cause)) {
        Cause::Go if entries.iter().any(|e| e.played.outcome == "go-with-warnings") => "go-with-warnings",
        Cause::Go => "go",
        Cause::Leak | Cause::Missed => "no-go",
        _ => "inconclusive",
    }
}

/// The word for the series. Rounds that were not played are no evidence: without them it is never GO.
fn verdict(schedule: Schedule, entries: &[Entry]) -> &'static str {
    let verdict = word(entries);
    let is_whole = entries.last().is_some_and(|e| e.round == schedule.times);
    if !is_whole && verdict.starts_with("go") { "inconclusive" } else { verdict }
}

fn suite(schedule: Schedule, entries: &[Entry]) -> Value {
    let profiles: Vec<Value> = entries
        .iter()
        .map(|e| {
            json!({
                "name": e.played.profile, "outcome": e.played.outcome, "dir": e.dir,
                "round": e.round, "due": e.due.to_string(), "late_s": e.late_ns as f64 / 1e9,
            })
        })
        .collect();
    json!({
        "format": 1,
        "verdict": verdict(schedule, entries),
        "profiles": profiles,
        "gate": "not judged",
        "rounds": {
            "every_s": schedule.every_ns as f64 / 1e9,
            "times": schedule.times,
            "played": entries.iter().map(|e| e.round).max().unwrap_or(0),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_is_listed_with_its_time() {
        let schedule = Schedule { every_ns: 6 * 3_600_000_000_000, times: 4 };
        let start: Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
        let entry = |round: u32, outcome, cause, late_ns| Entry {
            played: Round { profile: "sustained".into(), outcome, cause },
            dir: format!("{round:02}"),
            round,
            due: due(start, schedule, round - 1),
            late_ns,
        };
        let entries = [entry(1, "go", Cause::Go, 0), entry(2, "inconclusive", Cause::CouldNotRun, 90_000_000_000)];
        let suite = suite(schedule, &entries);
        assert_eq!(suite["verdict"], "inconclusive");
        assert_eq!(suite["profiles"][1]["due"], "2026-11-21T08:00:00Z");
        assert_eq!(suite["profiles"][1]["late_s"], 90.0);
        assert_eq!((&suite["profiles"][0]["name"], &suite["profiles"][0]["dir"]), (&"sustained".into(), &"01".into()));
        assert_eq!((&suite["rounds"]["times"], &suite["rounds"]["played"]), (&4.into(), &2.into()));
    }

    #[test]
    fn a_series_that_was_cut_is_never_go() {
        let schedule = Schedule { every_ns: 1_000_000_000, times: 2 };
        let entry = |round, outcome, cause| Entry {
            played: Round { profile: "a".into(), outcome, cause },
            dir: String::new(),
            round,
            due: Timestamp::MIN,
            late_ns: 0,
        };
        let first = entry(1, "go", Cause::Go);
        assert_eq!(verdict(schedule, &[]), "inconclusive");
        assert_eq!(verdict(schedule, &[entry(1, "no-go", Cause::Missed)]), "no-go");
        let mut both = vec![first];
        assert_eq!(verdict(schedule, &both), "inconclusive");
        both.push(entry(2, "go", Cause::Go));
        assert_eq!(verdict(schedule, &both), "go");
    }

    #[test]
    fn times_beyond_the_calendar_are_no_crash() {
        let schedule = Schedule { every_ns: u64::MAX, times: 3 };
        assert_eq!(due(Timestamp::MAX, schedule, 2), Timestamp::MAX);
    }
}
