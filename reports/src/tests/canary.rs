//! A canary in virtual time: a new version that is good, one that fails at 25 %, and what every output says of it.

use crate::canary::{Watch, rows};
use crate::verdict::{ObjectiveOutcome, Outcome, Verdict};
use crate::{exit_code, judge, render_report, render_result_json, render_summary, terminal_summary};
use engine::Stop;
use engine::client::answer::Outgoing;
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::run_result::{Ending, RunResult};
use engine::simulate::{Reply, Script, simulate_observed};
use scenarios::Source;
use serde_json::Value;
use std::sync::Arc;

/// Index of the target with the new version.
const NEW: usize = 1;

fn played(profile: &str, sla: &str, mut script: impl Script) -> (RunResult, Verdict) {
    let text = format!(
        "watertight: 1\nname: release\n\
         targets: {{ old: 'http://127.0.0.1:1', next: 'http://127.0.0.1:2', other: 'http://127.0.0.1:3' }}\n\
         journeys:\n  j:\n    target: old\n    before: [ POST /in ]\n    steps:\n      - GET /x\n      - think: 1s\n\
        \x20     - GET /y: {{ target: other }}\n    after: [ POST /out ]\n\
         profiles: {{ p: {profile} }}\nsla: [ {sla} ]\n"
    );
    let source = Source { name: "test.yaml".into(), text, folder: ".".into() };
    let told = |d: Vec<_>| -> ! { panic!("{}", scenarios::render(&d, &source, false)) };
    let (plan, _) = scenarios::parse(&source, &|_| None).unwrap_or_else(|d| told(d));
    let program = Arc::new(scenarios::compile(&plan).unwrap_or_else(|d| told(d)));
    let stop = Stop::default();
    let mut nobody = engine::Unobserved;
    let mut watch = Watch::new(&stop, &mut nobody);
    let profile = program.profiles[0].clone();
    let result = simulate_observed(&program, profile, 1, &mut script, (&mut watch, &stop)).expect("HTTP can say it");
    let verdict = judge(&result, &result.header.objectives);
    (result, verdict)
}

const PLAIN: &str = "{ preset: canary, users: 40, new: next, each: 20s }";
const SLA: &str = "{ errors: < 5% }, { p95: < 100ms }";

fn answer(after_ms: u64, status: u16) -> Reply {
    Reply { status, ..Reply::ok(after_ms * MILLISECOND) }
}

#[test]
fn a_good_version_is_given_more_and_more_of_the_users() {
    let mut asked: Vec<(Nanos, usize)> = Vec::new();
    let (result, verdict) = played(PLAIN, SLA, |request: &Outgoing, now: Nanos| {
        if request.uri.path() == "/x" {
            asked.push((now, request.target));
        }
        answer(if request.target == NEW { 20 } else { 10 }, 200)
    });
    assert_eq!(verdict.outcome, Outcome::Go, "{:?}", verdict.reasons);
    assert_eq!(crate::broken_laws(&result), Vec::<String>::new());
    let rows = rows(&result);
    let named: Vec<_> = rows.iter().map(|r| (r.name.as_str(), r.users)).collect();
    assert_eq!(named, [("5%", (2, 40)), ("25%", (10, 40)), ("50%", (20, 40)), ("100%", (40, 40))]);
    // Well inside a step the share of the requests is the share of the users.
    for (step, share) in [0.05, 0.25, 0.5, 1.0].into_iter().enumerate() {
        let from = (step as u64 * 20 + 3) * SECOND;
        let inside: Vec<_> = asked.iter().filter(|(now, _)| (from..from + 15 * SECOND).contains(now)).collect();
        let new = inside.iter().filter(|(_, target)| *target == NEW).count();
        let seen = new as f64 / inside.len() as f64;
        assert!((seen - share).abs() < 0.01, "step {step}: {seen}");
    }
    // Old and new are told apart: 10 ms against 20 ms; what goes elsewhere is of neither.
    let p95 = |side: crate::canary::Side| side.p95.unwrap().ns / 1e6;
    assert!((p95(rows[1].sides[0]) - 10.0).abs() < 0.1 && (p95(rows[1].sides[1]) - 20.0).abs() < 0.1, "{rows:?}");
    let elsewhere = result.header.steps.iter().filter(|s| s.target == 2).count();
    assert_eq!(elsewhere, 1, "a request to a third target has no twin");
    for judged in &verdict.objectives {
        assert_eq!(judged.rungs.len(), 4, "{judged:?}");
    }
}

/// The new version answers 503 from the second step on.
fn bad_from_25(request: &Outgoing, now: Nanos) -> Reply {
    let is_bad = request.target == NEW && now >= 20 * SECOND;
    answer(10, if is_bad { 503 } else { 200 })
}

#[test]
fn the_first_failing_step_ends_the_run() {
    let (result, verdict) = played(PLAIN, SLA, bad_from_25);
    let Ending::Aborted(why) = &result.ending else { panic!("{:?}", result.ending) };
    assert!(
        why.starts_with(
            "the canary's step 25% failed, the new version is to be rolled back: errors < 5%: the new version: "
        ),
        "{why}"
    );
    assert_eq!((verdict.outcome, exit_code(&verdict, &result)), (Outcome::NoGo, 1));
    assert!(verdict.reasons.iter().any(|r| r.contains(why.as_str())), "{:?}", verdict.reasons);
    assert!(verdict.reasons[0].starts_with("errors < 5%: at the step 25%: the new version: "), "{:?}", verdict.reasons);
    assert!((40.0..44.0).contains(&result.duration_s), "stopped when the step was over: {}", result.duration_s);
    let reached: Vec<_> = rows(&result).iter().map(|r| r.is_reached).collect();
    assert_eq!((reached[1], reached[3]), (true, false));
    assert_eq!(crate::broken_laws(&result), Vec::<String>::new());
}

#[test]
fn a_failure_that_all_users_together_hide_is_seen() {
    // Two of forty users wait 300 ms: the p95 of all is 10 ms.
    let slow = |request: &Outgoing, _: Nanos| answer(if request.target == NEW { 300 } else { 10 }, 200);
    let (result, verdict) =
        played("{ preset: canary, new: next, users: 60, each: 60s, steps: [4%, 50%] }", "{ p95: < 100ms }", slow);
    let Ending::Aborted(why) = &result.ending else { panic!("{:?}", result.ending) };
    assert!(why.contains("step 4% failed") && why.contains("p95 < 100ms: the new version: "), "{why}");
    assert_eq!(verdict.outcome, Outcome::NoGo);
    // And the other way round: a new version that spoils the old one's answers.
    let spoils = |request: &Outgoing, now: Nanos| {
        let is_bad = request.target != NEW && now >= 60 * SECOND;
        answer(10, if is_bad { 500 } else { 200 })
    };
    let (result, _) = played("{ preset: canary, new: next, each: 60s }", SLA, spoils);
    let Ending::Aborted(why) = &result.ending else { panic!("{:?}", result.ending) };
    assert!(why.contains("step 25%") || why.contains("step 5%"), "{why}");
    assert!(why.contains("both versions together: "), "{why}");
}

#[test]
fn the_last_step_fails_the_run_without_a_stop() {
    let late = |request: &Outgoing, now: Nanos| {
        answer(10, if request.target == NEW && now >= 61 * SECOND { 503 } else { 200 })
    };
    let (result, verdict) = played(PLAIN, SLA, late);
    assert_eq!(result.ending, Ending::Finished);
    assert_eq!(verdict.outcome, Outcome::NoGo);
    assert!(verdict.reasons[0].contains("at the step 100%: the new version: "), "{:?}", verdict.reasons);
}

#[test]
fn too_few_requests_of_the_new_version_are_no_pass() {
    let good = |_: &Outgoing, _: Nanos| answer(10, 200);
    let (_, verdict) =
        played("{ preset: canary, new: next, users: 40, each: 3s, steps: [5%] }", "{ p99: < 100ms }", good);
    let p99 = &verdict.objectives[0];
    assert_eq!(p99.outcome, ObjectiveOutcome::Inconclusive, "{}", p99.reason);
    assert!(p99.reason.starts_with("no step has enough samples: the new version: "), "{}", p99.reason);
}

#[test]
fn every_output_lays_the_versions_side_by_side() {
    let (result, verdict) = played(PLAIN, SLA, bad_from_25);
    let json: Value = serde_json::from_str(&render_result_json(&result, &verdict)).unwrap();
    assert_eq!(json["canary"].as_array().unwrap().len(), 4);
    assert_eq!((&json["canary"][1]["step"], json["canary"][1]["users"].as_u64()), (&Value::from("25%"), Some(10)));
    assert!(json["canary"][1]["new"]["errors"].as_f64().unwrap() > 0.9, "{}", json["canary"]);
    assert_eq!(json["canary"][1]["old"]["errors"].as_f64(), Some(0.0));
    assert_eq!(json["canary"][3]["played"], false);
    let screen = terminal_summary(&result, &verdict, false);
    assert!(screen.contains("Canary") && screen.contains("10 of 40") && screen.contains("not played"), "{screen}");
    assert!(screen.lines().all(|l| l.chars().count() <= 100), "{screen}");
    let page = render_report(&result, &verdict);
    assert!(page.contains("Canary: old version against new") && page.contains("10 of 40"));
    assert!(render_summary(&result, &verdict).contains("| 25% | 10 of 40 |"));
}
