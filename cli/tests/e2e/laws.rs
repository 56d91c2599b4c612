//! What holds in every `result.json`, whatever happened. In: the document. Out: a panic that names the broken law.

use serde_json::Value;

/// Checks the laws of the results and that verdict, isolation and figures do not contradict each other.
pub fn assert_laws(result: &Value) {
    assert_eq!(result["format"], 1);
    conservation(result);
    steps_add_up(result);
    timeline_adds_up(result);
    let is_killed = result["run"]["ending"] == "killed";
    result["steps"].as_array().unwrap().iter().for_each(|step| times(step, is_killed));
    verdict(result);
    isolation(result);
}

/// A count; a key that is missing or no count is a broken promise.
pub fn count(of: &Value, key: &str) -> u64 {
    of[key].as_u64().unwrap_or_else(|| panic!("`{key}` is no count in {of}"))
}

fn sum(list: &Value, key: &str) -> u64 {
    list.as_array().unwrap().iter().map(|one| count(one, key)).sum()
}

fn conservation(result: &Value) {
    let totals = &result["totals"];
    let of = |keys: &[&str]| keys.iter().map(|key| count(totals, key)).sum::<u64>();
    assert_eq!(of(&["planned"]), of(&["sent", "dropped", "generator_errors"]), "planned: {totals}");
    assert_eq!(of(&["sent"]), of(&["ok", "failed", "timed_out", "abandoned", "unfinished"]), "sent: {totals}");
    assert!(of(&["not_delivered"]) <= of(&["sent"]), "not_delivered: {totals}");
    let iterations = &totals["iterations"];
    let ended: u64 = ["completed", "gave_up", "cut"].iter().map(|key| count(iterations, key)).sum();
    assert_eq!(count(iterations, "started"), ended, "iterations: {totals}");
    let errors = totals["errors"].as_object().unwrap();
    if !errors.keys().any(|kind| kind.starts_with("scenario:")) {
        let named: u64 = errors.values().map(|n| n.as_u64().unwrap()).sum();
        let messages: u64 =
            ["not_sent", "missed", "connections_lost"].iter().map(|key| sum(&result["messages"], key)).sum();
        let bad = of(&["failed", "timed_out"]) + messages;
        assert_eq!(named, bad, "each bad answer and message has one named reason: {totals} {}", result["messages"]);
    }
}

fn steps_add_up(result: &Value) {
    let (totals, steps) = (&result["totals"], &result["steps"]);
    assert_eq!(sum(steps, "count"), count(totals, "sent"), "steps");
    assert_eq!(sum(steps, "planned") + count(totals, "dropped"), count(totals, "planned"), "steps");
    for key in [
        "ok",
        "failed",
        "timed_out",
        "abandoned",
        "unfinished",
        "generator_errors",
        "not_delivered",
        "bytes_sent",
        "bytes_received",
    ] {
        assert_eq!(sum(steps, key), count(totals, key), "`{key}` of the steps");
    }
}

fn timeline_adds_up(result: &Value) {
    let (totals, timeline) = (&result["totals"], &result["timeline"]);
    assert!(timeline.as_array().unwrap().len() <= 3600);
    for key in ["ok", "failed", "timed_out", "dropped"] {
        assert_eq!(sum(timeline, key), count(totals, key), "`{key}` of the timeline");
    }
    let seconds: Vec<f64> = timeline.as_array().unwrap().iter().map(|p| p["t_s"].as_f64().unwrap()).collect();
    assert!(seconds.is_sorted_by(|a, b| a < b), "timeline: {seconds:?}");
}

fn times(step: &Value, is_killed: bool) {
    let response = &step["response"];
    // What a stated rate limit refuses is no error, and no time of an answer either.
    let ended = count(step, "ok") + count(step, "timed_out") - count(step, "limited");
    let sampled = response["count"].as_u64().unwrap_or(0);
    // What was in flight at a kill is known to be unfinished, but not since when.
    let least = if is_killed { ended } else { ended + count(step, "unfinished") };
    assert!((least..=ended + count(step, "unfinished")).contains(&sampled), "samples: {step}");
    let at = |key: &&str| response[*key].as_f64();
    let ordered: Vec<f64> =
        ["p50_ms", "p90_ms", "p95_ms", "p99_ms", "p995_ms", "p999_ms", "max_ms"].iter().filter_map(at).collect();
    assert!(ordered.is_sorted(), "percentiles: {step}");
    assert!(ordered.is_empty() || ordered.len() == 7, "percentiles: {step}");
}

fn verdict(result: &Value) {
    let outcome = result["verdict"]["outcome"].as_str().unwrap();
    assert!(!result["verdict"]["reasons"].as_array().unwrap().is_empty(), "a verdict has a reason");
    let is_leaking = result["isolation"]["state"] == "leaking";
    let is_void = result["validity"]["state"] == "void";
    let ending = result["run"]["ending"].as_str().unwrap();
    let missed = |o: &Value| o["must"] == true && (o["outcome"] == "fail" || o["outcome"] == "inconclusive");
    match outcome {
        "go" | "go-with-warnings" => {
            assert!(!is_leaking && !is_void, "{outcome}: {}", result["verdict"]);
            assert_eq!(ending, "finished", "only a run that came to its end is a GO");
            assert!(count(&result["totals"], "sent") > 0, "no data is never a pass");
            assert!(!result["objectives"].as_array().unwrap().iter().any(missed), "{}", result["objectives"]);
        }
        "no-go" => assert!(is_leaking || !is_void, "a void generator never says no"),
        "inconclusive" => assert!(!is_leaking, "a proven leak is a no"),
        other => panic!("no such outcome: {other}"),
    }
}

fn isolation(result: &Value) {
    let isolation = &result["isolation"];
    let state = isolation["state"].as_str().unwrap();
    assert_eq!(state == "leaking", count(isolation, "leaks") > 0, "{isolation}");
    if state == "intact" {
        assert!(count(isolation, "opportunities") > 0, "{isolation}");
        assert_eq!(isolation["calibration"]["injected"], isolation["calibration"]["found"], "{isolation}");
    }
    let by_detector: u64 = isolation["by_detector"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(by_detector, count(isolation, "leaks"), "{isolation}");
    assert_eq!(sum(&isolation["coverage"], "opportunities"), count(isolation, "opportunities"), "{isolation}");
}

/// The exit code that a result asks for; a store error (4) is none of its business.
pub fn exit_code(result: &Value) -> i32 {
    if result["run"]["ending"] == "interrupted" {
        return 130;
    }
    match result["verdict"]["outcome"].as_str().unwrap() {
        "go" | "go-with-warnings" => 0,
        "no-go" => 1,
        _ => 3,
    }
}
