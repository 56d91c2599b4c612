//! Suites by tables: which word, which reasons, which exit code; the gate; what the files hold.

use super::judging::{P95, requests};
use super::outputs;
use crate::exit_codes::Cause;
use crate::judge;
use crate::suite::*;
use crate::synthetic::*;
use crate::verdict::*;
use engine::run_result::*;
use scenarios::gate::{Gate, Waiver};
use scenarios::objective::Stat;

fn facts(names: &[&str], gate: Option<Gate>) -> SuiteFacts {
    SuiteFacts {
        scenario: "clinic".into(),
        file: "clinic.yaml".into(),
        version: "0.1.0".into(),
        targets: vec!["clinic".into(), "ai".into()],
        asked: names.iter().map(|n| Asked { name: (*n).into(), ..Asked::default() }).collect(),
        gate,
        ..SuiteFacts::default()
    }
}

fn gate(requires: &[&str]) -> Gate {
    Gate { requires: requires.iter().map(|n| (*n).into()).collect(), isolation_required: true, signoffs: Vec::new() }
}

/// A profile as `change` leaves it; without a change it is GO.
fn ran(name: &str, change: impl Fn(&mut RunResult)) -> Chapter {
    let mut result = requests(1000, 50);
    result.header.profile = name.into();
    change(&mut result);
    let verdict = judge(&result, &[objective(P95, "< 200ms"), objective(Stat::Errors, "< 50%")]);
    Chapter::ran(&result, verdict)
}

fn good(name: &str) -> Chapter {
    ran(name, |_| {})
}

fn slow(name: &str) -> Chapter {
    let mut result = requests(1000, 2);
    result.header.profile = name.into();
    Chapter::ran(&result, judge(&result, &[objective(P95, "< 200ms")]))
}

fn leaking(result: &mut RunResult) {
    result.isolation.groups.push(leak(0, 42, "x"));
}

#[test]
fn the_strongest_cause_decides() {
    let void = |r: &mut RunResult| r.health.workers[1].gaps_ns = 900 * MS;
    let late = |r: &mut RunResult| r.health.workers[0].queue_wait_ns = 1_700 * MS;
    let stopped = |r: &mut RunResult| r.ending = Ending::Interrupted;
    #[rustfmt::skip]
    let table = [
        (vec![good("a"), good("b")], Outcome::Go, Cause::Go, "all 2 profiles held, and no user received another user's data"),
        (vec![good("a"), ran("b", late)], Outcome::GoWithWarnings, Cause::Go, "b: the generator was under strain"),
        (vec![good("a"), slow("b")], Outcome::NoGo, Cause::Missed, "b: p95 < 200ms: 50% of 1,000"),
        (vec![slow("a"), ran("b", void)], Outcome::Inconclusive, Cause::Void, "b: the generator itself was the limit"),
        (vec![slow("a"), Chapter::could_not_run("b", "target gone")], Outcome::Inconclusive, Cause::CouldNotRun, "b did not run: target gone"),
        (vec![Chapter::could_not_run("a", "gone"), ran("b", leaking)], Outcome::NoGo, Cause::Leak, "b: Data leaked 42 times"),
        (vec![good("a"), Chapter::not_reached("b", "killed")], Outcome::Inconclusive, Cause::TooLittle, "b did not run: killed"),
        (vec![ran("a", stopped), Chapter::not_reached("b", "stopped")], Outcome::Inconclusive, Cause::Interrupted, "a: the run was interrupted"),
    ];
    for (chapters, outcome, cause, reason) in table {
        let suite = Suite::new(facts(&["a", "b"], None), chapters, Vec::new());
        assert_eq!((suite.outcome, suite.cause), (outcome, cause), "{reason}: {:?}", suite.reasons);
        assert!(suite.reasons[0].starts_with(reason), "{:?}", suite.reasons);
        assert_eq!(suite.gate, GateVerdict::Absent);
    }
}

#[test]
fn a_leak_stays_a_no_go_when_the_suite_is_interrupted_after_it() {
    let mut facts = facts(&["a", "b"], None);
    facts.interrupted = true;
    let suite = Suite::new(facts, vec![ran("a", leaking), Chapter::not_reached("b", "stopped")], Vec::new());
    assert_eq!((suite.outcome, suite.cause), (Outcome::NoGo, Cause::Interrupted));
}

fn requirements(suite: &Suite) -> Vec<(String, ObjectiveOutcome)> {
    match &suite.gate {
        GateVerdict::Judged(all) => all.iter().map(|r| (r.name.clone(), r.outcome)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_gate_by_requirement() {
    use ObjectiveOutcome::{Fail, Inconclusive, Pass};
    let scaled = |r: &mut RunResult| r.header.scaled = Some(0.1);
    let unproven = |r: &mut RunResult| r.isolation.planted = 0;
    let table = [
        (good("a"), Pass, Pass, Outcome::Go),
        (slow("a"), Fail, Pass, Outcome::NoGo),
        (ran("a", scaled), Inconclusive, Pass, Outcome::Inconclusive),
        (ran("a", unproven), Pass, Inconclusive, Outcome::Inconclusive),
        (ran("a", leaking), Fail, Fail, Outcome::NoGo),
        (Chapter::could_not_run("a", "gone"), Inconclusive, Inconclusive, Outcome::Inconclusive),
    ];
    for (chapter, profile, isolation, outcome) in table {
        let suite = Suite::new(facts(&["a", "b"], Some(gate(&["a"]))), vec![chapter, good("b")], Vec::new());
        let expected = vec![("profile a".to_owned(), profile), ("isolation".to_owned(), isolation)];
        assert_eq!(requirements(&suite), expected);
        assert_eq!(suite.outcome, outcome, "{:?}", suite.reasons);
    }
}

#[test]
fn profiles_that_the_command_line_changed_satisfy_no_gate() {
    let mut facts = facts(&["a"], Some(gate(&["a"])));
    facts.altered = vec!["--users 5".into()];
    let suite = Suite::new(facts, vec![good("a")], Vec::new());
    assert_eq!(suite.outcome, Outcome::Inconclusive);
    let reason = "gate: profile a: it ran with --users 5, not as written, which satisfies no gate";
    assert_eq!(suite.reasons, [reason]);
}

#[test]
fn a_gate_that_asks_for_more_is_not_judged() {
    let suite = Suite::new(facts(&["a"], Some(gate(&["a", "soak"]))), vec![good("a")], Vec::new());
    assert_eq!(suite.outcome, Outcome::Go);
    let GateVerdict::NotJudged(why) = &suite.gate else { panic!("{:?}", suite.gate) };
    assert_eq!(why, "it requires soak as well: name them with --profile, or run --all");
}

#[test]
fn sign_offs() {
    let asks = Gate { signoffs: vec!["security".into()], ..gate(&["a"]) };
    let signed = SignOff {
        name: "security".into(),
        by: "Ada".into(),
        note: Some("looked".into()),
        at: "2026-11-21T02:00:00Z".into(),
    };
    let table = [
        (false, Vec::new(), ObjectiveOutcome::Warn, Outcome::GoWithWarnings),
        (true, Vec::new(), ObjectiveOutcome::Inconclusive, Outcome::Inconclusive),
        (true, vec![signed], ObjectiveOutcome::Pass, Outcome::Go),
    ];
    for (is_required, signoffs, requirement, outcome) in table {
        let mut facts = facts(&["a"], Some(asks.clone()));
        facts.require_signoffs = is_required;
        let suite = Suite::new(facts, vec![good("a")], signoffs);
        assert_eq!(requirements(&suite)[2], ("sign-off security".to_owned(), requirement));
        assert_eq!(suite.outcome, outcome);
    }
}

#[test]
fn a_waived_miss_warns_and_is_skipped_in_junit() {
    let result = requests(1000, 2);
    let mut waived = objective(P95, "< 200ms");
    waived.waiver = Some(Waiver { reason: "ticket 4711".into(), by: "Ada".into(), until: "2026-12-31".into() });
    let verdict = judge(&result, &[waived.clone()]);
    assert_eq!((verdict.objectives[0].outcome, verdict.outcome), (ObjectiveOutcome::Waived, Outcome::GoWithWarnings));
    assert!(verdict.objectives[0].reason.ends_with("; waived by Ada until 2026-12-31: ticket 4711"));
    assert!(crate::render_junit(&result, &verdict).contains("<skipped"));
    // What holds needs no waiver.
    assert_eq!(judge(&requests(1000, 50), &[waived]).objectives[0].outcome, ObjectiveOutcome::Pass);
}

#[test]
fn a_miss_is_held_against_the_service_that_misses() {
    let mut result = run(
        10,
        vec![
            Step::new("GET /a", 100, |_, _, _| Sample::Ok(10 * MS)),
            Step::new("POST /chat", 100, |_, _, _| Sample::Ok(900 * MS)).at("chat", "ai"),
        ],
    );
    result.header.profile = "a".into();
    let chapter = Chapter::ran(&result, judge(&result, &[objective(P95, "< 200ms"), objective(Stat::Errors, "< 1%")]));
    let cells = &chapter.run().unwrap().cells;
    let found: Vec<_> = cells.iter().map(|c| (c.target.as_str(), c.outcome)).collect();
    assert_eq!(found, [("clinic", Some(ObjectiveOutcome::Pass)), ("ai", Some(ObjectiveOutcome::Fail))]);
}

/// A suite with every kind of row.
fn rich() -> Suite {
    let chapter = |name: &str, mut result: RunResult| {
        result.header.profile = name.into();
        let mut objectives = outputs::objectives();
        if name == "burst" {
            objectives[2].waiver =
                Some(Waiver { reason: "ticket 4711".into(), by: "Ada".into(), until: "2026-12-31".into() });
        }
        let verdict = judge(&result, &objectives);
        Chapter::ran(&result, verdict)
    };
    let asks = Gate { signoffs: vec!["security".into(), "clinical-safety".into()], ..gate(&["sustained", "soak"]) };
    let mut facts = facts(&["sustained", "burst", "spike", "quick", "soak"], Some(asks));
    facts.targets.push("<b>unused</b>".into());
    facts.not_asked = vec!["chaos".into()];
    let chapters = vec![
        chapter("sustained", outputs::go()),
        chapter("burst", {
            let mut result = outputs::no_go();
            result.isolation.groups.clear();
            result
        }),
        chapter("spike", outputs::no_go()),
        chapter("quick", outputs::inconclusive()),
        Chapter::could_not_run("soak", "target ai at https://ai.staging.example is not healthy: <status 503>"),
    ];
    let signed = SignOff {
        name: "security".into(),
        by: "Ada <ada@example.org>".into(),
        note: Some("\u{1b}[2J fine".into()),
        at: "2026-11-21T02:00:00Z".into(),
    };
    Suite::new(facts, chapters, vec![signed])
}

#[test]
fn the_words_on_screen() {
    let text = terminal(&rich());
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn files_of_a_suite() {
    let kept = std::env::var_os("WATERTIGHT_SAMPLES").map(std::path::PathBuf::from);
    let scratch = tempfile::tempdir().unwrap();
    let dir = kept.unwrap_or_else(|| scratch.path().to_path_buf()).join("suite");
    std::fs::create_dir_all(&dir).unwrap();
    write(&rich(), &dir).unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let page = read("report.html");
    for part in [
        "NO-GO",
        "Services × profiles",
        "NOT RUN",
        "Isolation over all profiles",
        "42 leaks",
        "Sign-offs",
        "Waived",
        "spike/report.html",
        "&#60;status 503&#62;",
        "&#60;b&#62;unused",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for bad in ["<script", "<img", "<link", "url(", "@import", "<b>unused"] {
        assert!(!page.contains(bad), "{bad}");
    }
    assert!(page.len() < 1_000_000);
    insta::assert_snapshot!("suite_summary", read("summary.md"));
    insta::assert_snapshot!("suite_json", read("suite.json"));
    let junit = read("junit.xml");
    assert_eq!(junit.matches("<testsuite ").count(), 6, "five profiles and the gate");
    assert!(junit.contains("did not run: target ai"));
    let again = read_facts(&read("suite.json")).unwrap();
    assert_eq!(again, rich().facts);
    write(&rich(), &dir).unwrap();
    assert_eq!(page, read("report.html"), "the same bytes twice");
}

#[test]
fn a_stored_suite_that_is_none_is_refused() {
    for (text, why) in [("{", "it is no suite of this program"), ("{\"format\": 1}", "it is no suite of this program")]
    {
        assert!(read_facts(text).unwrap_err().starts_with(why), "{text}");
    }
    let stored = |name: &str, format: u32| {
        let facts = facts(&[name], None);
        serde_json::json!({"format": format, "facts": facts}).to_string()
    };
    assert!(read_facts(&stored("a", 2)).unwrap_err().contains("format 2"));
    assert!(read_facts(&stored("../../etc", 1)).unwrap_err().contains("is no name of a profile"));
    assert!(read_facts(&stored("a", 1)).is_ok());
}
