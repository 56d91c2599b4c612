//! `replay`: the users of a leak once more, alone and without pauses, round after round.
//! In: a results folder, and which leak of it. Out: how many rounds leaked again; a folder with the evidence of each.

use super::load::{self, Loaded};
use super::play::{self, Table};
use super::suite::Ask;
use crate::args::Replay;
use crate::outcome::Problem;
use crate::{results, screen};
use engine::run_result::{LeakRecord, Party, RunHeader, RunResult, Tier};
use reports::exit_codes::{COULD_NOT_RUN, GO, NO_GO};
use scenarios::program::{Load, Profile, Program, Stage};
use scenarios::{Overrides, Shape, Source};
use std::path::{Path, PathBuf};

/// Length of a round, if none is asked for, ns.
const ROUND_NS: u64 = 5_000_000_000;

/// Plays the leak again; answers the exit code.
///
/// # Errors
/// The folder holds no run or no such leak, the scenario cannot be had as it was, or a target is not there.
pub fn replay(args: &Replay) -> Result<u8, Problem> {
    let header = engine::read_for(&args.dir, |header| Ok::<_, Problem>(header.objectives.clone()))?.header;
    let leak = find(&args.dir, args.leak)?;
    let mut loaded = load::load(scenario(&args.dir, &header)?, &args.env)?;
    restore_targets(&mut loaded.program, &header, &args.target)?;
    let round_ns = args.duration.as_deref().map(super::demo::duration).transpose()?.unwrap_or(ROUND_NS);
    focus(&mut loaded.program, &header, &leak, round_ns)?;
    let note = format!(
        "a replay of leak {} of run {}: {}, without think times",
        leak.group,
        header.id,
        Cast::of(&leak).words(&leak)
    );
    let first_seed = args.how.seed.unwrap_or(header.seed);
    let label = format!("replay-{}", leak.group);
    let folder = results::folder(args.how.out.as_deref(), &loaded.program.name, &label);
    say(args, &format!("{}\n  {} at {}: {}\n", note, leak.detector, leak.reader.step, leak.why));
    let mut table = table(loaded, note, args);
    let (mut leaked, mut played) = (0, 0);
    for round in 1..=args.rounds {
        table.seed = first_seed.wrapping_add(u64::from(round) - 1);
        let profile = table.program.profiles[0].clone();
        let into = folder.join(format!("{round:02}"));
        let finished = play::play_run(&table, 0, profile, &into).inspect_err(|_| {
            if args.how.out.is_none() {
                results::leave(&folder);
            }
        })?;
        let verdict = reports::judge(&finished.result, &finished.result.header.objectives);
        reports::write(&finished.result, &verdict, &into)
            .map_err(|e| Problem::run(format!("the report cannot be written: {e}")))?;
        played += u32::from(finished.result.totals().ok > 0);
        leaked += u32::from(outcome(args, &finished.result, &leak, round));
        if table.stop.is_interrupted() {
            break;
        }
    }
    conclude(&folder, leaked, played)
}

/// Says what a round came to; answers whether it leaked as before.
fn outcome(args: &Replay, result: &RunResult, leak: &LeakRecord, round: u32) -> bool {
    // A cache, say, may show another detector first; a proof is a proof.
    let is_such = |g: &&engine::run_result::LeakGroup| g.key.tier == Tier::Proven || g.key.detector == leak.detector;
    let groups: Vec<_> = result.isolation.groups.iter().filter(is_such).collect();
    let words: Vec<String> = groups
        .iter()
        .map(|g| {
            let step = result.header.steps.get(g.key.step).map_or("", |s| s.name.as_str());
            format!("{} × {} at {step}", g.count, g.key.detector)
        })
        .collect();
    let totals = result.totals();
    let what = match words.as_slice() {
        [] if totals.ok == 0 => "no request succeeded, so it says nothing".to_owned(),
        [] => format!("no leak in {} answers", totals.ok),
        words => words.join(", "),
    };
    say(args, &format!("round {round}: {what}\n"));
    !groups.is_empty()
}

fn conclude(folder: &Path, leaked: u32, played: u32) -> Result<u8, Problem> {
    screen::out(&format!("{leaked} of {played} rounds leaked; their evidence is in {}\n", folder.display()));
    Ok(match (leaked, played) {
        (0, 0) => COULD_NOT_RUN,
        (0, _) => GO,
        _ => NO_GO,
    })
}

fn say(args: &Replay, text: &str) {
    if !args.how.quiet {
        screen::out(text);
    }
}

/// The leak with this group number: its first kept example.
fn find(dir: &Path, group: usize) -> Result<LeakRecord, Problem> {
    let path = dir.join("leaks.jsonl");
    let text = std::fs::read_to_string(&path).map_err(|e| Problem::usage(format!("{}: {e}", path.display())))?;
    // A run that was killed may have left half a line.
    let records: Vec<LeakRecord> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if let Some(found) = records.iter().find(|r| r.group == group) {
        return if found.tier == Tier::Risk {
            Err(Problem::usage(format!("group {group} is a risk (`{}`): nothing has leaked in it", found.detector)))
        } else {
            Ok(found.clone())
        };
    }
    let mut known: Vec<(usize, String)> = records
        .iter()
        .filter(|r| r.tier != Tier::Risk)
        .map(|r| (r.group, format!("  {}: {} at {}", r.group, r.detector, r.reader.step)))
        .collect();
    known.sort();
    known.dedup_by_key(|k| k.0);
    let list: Vec<String> = known.into_iter().map(|k| k.1).collect();
    Err(Problem::usage(match list.as_slice() {
        [] => format!("{} has no leak to play again", dir.display()),
        list => format!("there is no leak {group}; the run has\n{}", list.join("\n")),
    }))
}

/// The scenario as it was played: the stored copy, or the file itself where the copy had to be masked.
fn scenario(dir: &Path, header: &RunHeader) -> Result<Source, Problem> {
    let stored = dir.join("scenario.yaml");
    let text = std::fs::read_to_string(&stored).map_err(|e| Problem::run(format!("{}: {e}", stored.display())))?;
    let file = PathBuf::from(&header.file);
    let digest = header.digests.get(&header.file);
    let is_played = |text: &str| digest.is_some_and(|d| *d == scenarios::text_digest(text));
    // Data files and certificates are named from where the file was.
    let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
    if is_played(&text) {
        return Ok(Source { name: stored.display().to_string(), text, folder });
    }
    match std::fs::read_to_string(&file) {
        Ok(text) if is_played(&text) => Ok(Source { name: header.file.clone(), text, folder }),
        _ => Err(Problem::usage(format!(
            "{} has its secrets masked, and {} is not there any more as it was played; \
             put the file back, or write its secrets as ${{NAME}} so that the copy is complete",
            stored.display(),
            header.file
        ))),
    }
}

/// The addresses of the run, and those of the command line before them.
fn restore_targets(program: &mut Program, header: &RunHeader, given: &[(String, String)]) -> Result<(), Problem> {
    let mut targets: Vec<(String, String)> = header
        .targets
        .iter()
        // Credentials of an address are stored nowhere; the file still has them.
        .filter(|t| program.targets.iter().any(|p| p.name == t.name && !p.url.contains('@')))
        .map(|t| (t.name.clone(), t.url.clone()))
        .collect();
    targets.extend_from_slice(given);
    program.profiles.retain(|p| p.name == header.profile);
    if program.profiles.is_empty() {
        return Err(Problem::usage(format!("the scenario has no profile `{}` any more", header.profile)));
    }
    let overrides = Overrides { targets, ..Overrides::default() };
    program.with_overrides(&overrides).map_err(Problem::usage)
}

/// Who plays a leak again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cast {
    /// Its two users.
    Both,
    /// One user: nobody else is in it, such as after a log-out, or where bytes came that belong to no answer. A second
    /// one of the same account would be handed the same credentials, and that would look like a leak.
    Alone,
    /// One user who goes on as the other account on the same connections, as in the run.
    Switching,
}

impl Cast {
    fn of(leak: &LeakRecord) -> Self {
        let is_one_user = leak.reader.user.is_some() && leak.reader.user == leak.owner.user;
        let is_same = leak.owner.account == leak.reader.account && leak.owner.kind == leak.reader.kind;
        if leak.owner.account.is_empty() || is_same {
            Self::Alone
        } else if is_one_user && leak.owner.kind == leak.reader.kind {
            Self::Switching
        } else {
            Self::Both
        }
    }

    /// `only p-1 and p-2`.
    fn words(self, leak: &LeakRecord) -> String {
        let (reader, owner) = (&leak.reader.account, &leak.owner.account);
        match self {
            Self::Both => format!("only {reader} and {owner}"),
            Self::Alone => format!("only {reader}"),
            Self::Switching => format!("only one user, who is {reader} and {owner} by turns"),
        }
    }
}

/// The other side of a leak of a room's data is whoever wrote it: an account of the journey that did, if there is one.
fn writer_of(program: &Program, leak: &LeakRecord) -> Result<Party, Problem> {
    if leak.owner.kind != "audience" {
        return Ok(leak.owner.clone());
    }
    // `p-3 wrote marker 7 to it at 2.134 s`.
    let writer = leak.owner.request.split_once(" wrote marker ").map(|(writer, _)| writer);
    let role = program.journeys.iter().find(|j| j.name == leak.owner.journey).and_then(|j| j.role);
    match (writer, role) {
        (Some(writer), Some(role)) => {
            Ok(Party { account: writer.to_owned(), kind: program.roles[role].name.clone(), ..leak.owner.clone() })
        }
        _ => Err(Problem::usage(format!(
            "the evidence does not say which account wrote to `{}`, so there is no second user to play it with; \
             play the whole run again",
            leak.owner.account
        ))),
    }
}

/// Leaves the users of the leak, who play what they played, with their accounts, and nothing else.
fn focus(program: &mut Program, header: &RunHeader, leak: &LeakRecord, round_ns: u64) -> Result<(), Problem> {
    let cast = Cast::of(leak);
    let writer = writer_of(program, leak)?;
    let parties = [&leak.reader, if cast == Cast::Alone { &leak.reader } else { &writer }];
    let mut journeys = parties.map(|party| program.journeys.iter().position(|j| j.name == party.journey));
    // Of an owner that wrote nothing yet only the account is known.
    journeys[1] = journeys[1].or_else(|| {
        let plays = |j: &scenarios::program::Journey| j.role.is_some_and(|r| program.roles[r].name == writer.kind);
        program.journeys.iter().position(plays)
    });
    let [Some(reader), Some(owner)] = journeys else {
        return Err(Problem::usage(format!(
            "the evidence does not say which journeys the two users played; play it again with --seed {}",
            header.seed
        )));
    };
    let plays = |index: usize| index == reader || index == owner && cast == Cast::Both;
    for (index, journey) in program.journeys.iter_mut().enumerate() {
        journey.weight = u32::from(plays(index));
    }
    keep_accounts(program, if cast == Cast::Alone { &parties[..1] } else { &parties[..] })?;
    program.abort_rules.clear();
    program.gate = None;
    let users = if cast == Cast::Both { 2.0 } else { 1.0 };
    let profile: &mut Profile = &mut program.profiles[0];
    profile.name = format!("replay of {}", profile.name);
    profile.load = Load::Closed(vec![Stage { level: users, duration_ns: round_ns, ramp_ns: 0 }]);
    profile.shape = Shape::Plain;
    profile.warm_up_ns = 0;
    profile.isolation_required = false;
    profile.moments.clear();
    // Few users meet often enough only if they do not rest.
    profile.faults.think_zero = 1.0;
    if cast == Cast::Switching && profile.faults.switch_account > 0.0 {
        // Back and forth: also to the account that was played before.
        (profile.faults.switch_account, profile.faults.switch_unplayed) = (1.0, false);
    }
    Ok(())
}

/// Of the two users' roles only their rows stay, in the order in which the users are dealt.
fn keep_accounts(program: &mut Program, parties: &[&Party]) -> Result<(), Problem> {
    let mut rows = Vec::new();
    for party in parties {
        let Some(role) = program.roles.iter().position(|r| r.name == party.kind) else {
            // Users without an account are told apart by their number alone.
            continue;
        };
        let first = program.first_account(role);
        let row = (0..program.roles[role].accounts.len()).find(|r| program.account_name(first + r) == party.account);
        let row = row.ok_or_else(|| {
            Problem::usage(format!("role `{}` has no account `{}` any more", party.kind, party.account))
        })?;
        let journey = program.journeys.iter().position(|j| j.name == party.journey);
        rows.push((journey, role, program.roles[role].accounts[row].clone()));
    }
    // Users are dealt by journey; those of one journey in the order of the rows.
    rows.sort_by_key(|(journey, _, _)| *journey);
    for (_, role, _) in &rows {
        program.roles[*role].accounts.clear();
    }
    for (_, role, row) in rows {
        program.roles[role].accounts.push(row);
    }
    Ok(())
}

fn table(loaded: Loaded, note: String, args: &Replay) -> Table {
    play::table(
        loaded,
        play::Game {
            profiles: Vec::new(),
            suite: Ask::default(),
            scaled: None,
            notes: vec![note],
            rounds: None,
            how: crate::args::How { quiet: true, ..args.how.clone() },
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(account: &str, kind: &str, user: Option<u64>) -> Party {
        Party { account: account.into(), kind: kind.into(), user, ..Party::default() }
    }

    #[test]
    fn one_account_is_never_played_twice() {
        let (patient, other) = (party("p-1", "patient", Some(1)), party("p-2", "patient", Some(2)));
        let switched = Party { user: Some(1), ..other.clone() };
        for (owner, expected) in [
            (&other, Cast::Both),
            (&switched, Cast::Switching),
            (&patient, Cast::Alone),
            (&Party::default(), Cast::Alone),
            (&party("room-7", "audience", Some(1)), Cast::Both),
            (&party("p-1", "clinician", Some(1)), Cast::Both),
        ] {
            let text = serde_json::json!({
                "detector": "d", "tier": "proven", "group": 1, "reader": patient, "owner": owner, "t_s": 0.0,
                "where": "body", "place": "body", "decode": [], "offset": 0, "excerpt": "", "connection": "", "why": "", "hint": "",
            });
            let leak: LeakRecord = serde_json::from_value(text).expect("a record as it is stored");
            assert_eq!(Cast::of(&leak), expected, "{owner:?}");
        }
    }
}
