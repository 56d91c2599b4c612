//! A search for the capacity: which trials hold, and how the answer is shown.

use crate::capacity::{Asked, growth, statement, trial};
use crate::synthetic::*;
use crate::verdict::Outcome;
use crate::{judge, render_report, render_result_json, terminal_summary};
use engine::run_result::*;
use scenarios::objective::Stat;
use serde_json::Value;

const ASKED: Asked = Asked { number: 1, rate: 100.0, hold_s: 20.0, confirming: false };

/// A trial of 20 s in which everything holds.
fn good() -> RunResult {
    let mut result = run(20, vec![Step::new("a", 100, |_, _, _| Sample::Ok(10 * MS)).limits(&[200 * MS])]);
    result.header.open = true;
    result
}

fn judged(result: &RunResult) -> (TrialOutcome, String) {
    let verdict = judge(result, &[objective(Stat::Percentile(95.0), "< 200ms")]);
    let trial = trial(ASKED, result, &verdict);
    (trial.outcome, trial.limit)
}

#[test]
fn a_trial_holds_if_nothing_speaks_against_it() {
    let held = trial(ASKED, &good(), &judge(&good(), &[objective(Stat::Percentile(95.0), "< 200ms")]));
    assert_eq!((held.outcome, held.limit.as_str(), held.done), (TrialOutcome::Held, "", Some(1.0)));
    assert_eq!(held.response_ns.map(|r| r[0] / MS), Some(10));
}

#[test]
fn each_way_to_miss_is_named() {
    let missed = |limit: &str| (TrialOutcome::Missed, limit.to_owned());
    let slow = run(20, vec![Step::new("a", 100, |_, _, _| Sample::Ok(300 * MS)).limits(&[200 * MS])]);
    assert_eq!(judged(&slow), missed("p95 < 200ms"));
    let mut dropped = good();
    dropped.dropped = dropped.iterations.started / 50;
    dropped.health.asked += dropped.dropped;
    dropped.health.started += dropped.dropped;
    assert_eq!(judged(&dropped), missed("done"));
    let why = trial(ASKED, &dropped, &judge(&dropped, &[])).why;
    assert_eq!(why, "only 98.04% of the asked iterations were done; 10 arrivals found all 20 users busy");
    let mut growing = good();
    for (i, point) in growing.timeline.iter_mut().enumerate() {
        point.in_flight = 3 + i as u64 * 4;
    }
    assert_eq!(judged(&growing), missed("in flight"));
    assert_eq!(judged(&empty()).1, "done", "nothing fell due, so nothing is known");
}

#[test]
fn the_generator_is_told_from_the_target() {
    let mut strained = good();
    strained.health.workers[0].gaps_ns = 700 * MS;
    assert_eq!(judged(&strained), (TrialOutcome::Generator, "the generator".into()));
}

#[test]
fn growth_is_more_than_ups_and_downs() {
    let rising: Vec<f64> = (0..30).map(|i| 2.0 + f64::from(i)).collect();
    let settling: Vec<f64> = (0..30).map(|i| f64::from(i.min(9)) * 5.0).collect();
    let waves: Vec<f64> = (0..30).map(|i| 20.0 + f64::from(i % 7)).collect();
    let small: Vec<f64> = (0..30).map(|i| f64::from(i) / 10.0).collect();
    let falling: Vec<f64> = (0..30).map(|i| 100.0 - f64::from(i)).collect();
    assert!(growth(&rising).is_some_and(|rise| (rise - 19.0).abs() < 1e-9), "{:?}", growth(&rising));
    for (name, series) in [("settling", settling), ("waves", waves), ("small", small), ("falling", falling)] {
        assert_eq!(growth(&series), None, "{name}");
    }
    assert_eq!(growth(&[]), None);
    assert_eq!(growth(&[1.0, 100.0]), None, "two points are no trend");
    // A slow climb on a high level is no queue: 100 → 130 over the later two thirds.
    let level: Vec<f64> = (0..30).map(|i| 100.0 + 1.5 * f64::from(i)).collect();
    assert_eq!(growth(&level), None);
}

fn searched() -> RunResult {
    let mut result = good();
    let trial = |number, rate, outcome, limit: &str| Trial {
        number,
        rate,
        hold_s: 20.0,
        confirming: number == 3,
        outcome,
        limit: limit.into(),
        why: "<b>why</b>".into(),
        done: Some(1.0),
        response_ns: Some([10 * MS, 20 * MS, 30 * MS]),
    };
    result.header.capacity = Some(Capacity {
        rate: Some(500.0),
        missed_at: Some(508.0),
        limited_by: "p95 < 200ms".into(),
        at_least: false,
        cut_short: None,
        range: [1.0, 1000.0],
        trials: vec![
            trial(1, 500.0, TrialOutcome::Held, ""),
            trial(2, 508.0, TrialOutcome::Missed, "p95 < 200ms"),
            trial(3, 500.0, TrialOutcome::Held, ""),
        ],
    });
    result
}

#[test]
fn every_output_shows_the_search() {
    let result = searched();
    let verdict = judge(&result, &[objective(Stat::Capacity, ">= 450/s")]);
    assert_eq!(verdict.objectives[0].outcome.key(), "pass");
    let json: Value = serde_json::from_str(&render_result_json(&result, &verdict)).unwrap();
    assert_eq!(json["capacity"]["rate"], 500.0);
    assert_eq!(json["capacity"]["limited_by"], "p95 < 200ms");
    assert_eq!(json["capacity"]["interval"], serde_json::json!([500.0, 508.0]));
    assert_eq!(json["capacity"]["trials"][1]["outcome"], "missed");
    assert_eq!((&json["objectives"][0]["unit"], &json["objectives"][0]["measured"]), (&"/s".into(), &500.0.into()));
    let screen = terminal_summary(&result, &verdict, false);
    assert!(screen.contains("500.0/s held, confirmed over twice the hold; 508.0/s did not"), "{screen}");
    assert!(screen.contains("✗ missed: p95 < 200ms") && screen.contains("✓ held, confirming"), "{screen}");
    assert!(screen.lines().all(|l| l.chars().count() <= 100), "{screen}");
    let page = render_report(&result, &verdict);
    assert!(page.contains("id=\"capacity\"") && !page.contains("<b>why</b>"));
}

#[test]
fn what_the_answer_is_worth() {
    let mut result = searched();
    let outcome = |result: &RunResult, limit: &str| {
        judge(result, &[objective(Stat::Capacity, limit)]).objectives[0].outcome.key()
    };
    assert_eq!((outcome(&result, ">= 500/s"), outcome(&result, ">= 501/s")), ("pass", "fail"));
    let capacity = result.header.capacity.as_mut().unwrap();
    (capacity.at_least, capacity.limited_by) = (true, "the generator".into());
    assert!(statement(capacity).starts_with("at least 500.0/s; beyond it the generator was the limit"));
    assert_eq!((outcome(&result, ">= 500/s"), outcome(&result, ">= 501/s")), ("pass", "inconclusive"));
    let capacity = result.header.capacity.as_mut().unwrap();
    (capacity.rate, capacity.cut_short) = (None, Some("the search was interrupted".into()));
    assert_eq!(outcome(&result, ">= 1/s"), "inconclusive");
    let verdict = judge(&result, &[objective(Stat::Percentile(95.0), "< 200ms")]);
    assert_eq!(verdict.outcome, Outcome::Inconclusive, "{:?}", verdict.reasons);
    result.header.capacity = None;
    assert!(judge(&result, &[objective(Stat::Capacity, ">= 1/s")]).objectives.is_empty());
}
