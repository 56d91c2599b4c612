//! The file that shows the whole language, played as it stands against the practice clinic: only the addresses are given.

use crate::binary::{Desk, shared};
use crate::laws::{count, exit_code};
use practice::{Clinic, Options, Port};
use serde_json::Value;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/tests/language/model/whole.yaml");

/// Answers that the file finds too slow: on a machine that does much besides it is right.
fn too_slow(totals: &Value) -> u64 {
    let times =
        ["slower than `under`", "first event later than `first_event`", "events further apart than `event_gap`"];
    times.iter().filter_map(|kind| totals["errors"][*kind].as_u64()).sum()
}

#[test]
fn the_file_of_the_whole_language_plays_unchanged() {
    let _processors = shared();
    let clinic = Clinic::start(Options { port: Port::One(0), defects: Vec::new(), seed: 0 }).unwrap();
    let urls = clinic.urls();
    let addresses = [("PATIENT", &urls.patient), ("CLINICAL", &urls.clinical), ("AI", &urls.ai)];
    let addresses = addresses.map(|(name, url)| format!("{name}_API={url}"));
    let desk = Desk::new();
    // No warm-up: also what is asked before anybody has written anything must be answered and judged rightly.
    let mut args = vec!["run", MODEL, "-p", "burst", "--users", "60", "--time-scale", "0.05", "--out", "r"];
    addresses.iter().for_each(|address| args.extend(["--env", address]));
    let ended = desk.run(&args);
    let result = desk.result("r");
    assert_eq!(ended.code, exit_code(&result), "{ended}");
    // A busy machine, or so short a time, may leave something open, and times are the machine's; nothing else may be missed.
    assert_ne!(ended.code, 4, "{ended}");
    let totals = &result["totals"];
    let slow = too_slow(totals);
    assert_eq!(count(totals, "failed") + count(totals, "timed_out"), slow, "{ended}");
    for objective in result["objectives"].as_array().unwrap().iter().filter(|o| o["outcome"] == "fail") {
        let is_of_times = objective["stat"].as_str().unwrap().contains("p9");
        assert!(is_of_times || slow > 0, "{objective} {ended}");
    }
    let iterations = &totals["iterations"];
    assert!(count(iterations, "gave_up") + count(iterations, "failed_before") <= slow, "{totals}");
    let isolation = &result["isolation"];
    assert_eq!(isolation["state"], "intact", "{isolation}");
    assert_eq!(count(isolation, "leaks") + count(isolation, "suspects"), 0, "{isolation}");
    let steps = result["steps"].as_array().unwrap();
    let ok = |journey: &str, step: &str| {
        let is_it = |s: &&Value| s["journey"] == journey && s["step"].as_str().unwrap().starts_with(step);
        steps.iter().find(is_it).map_or(0, |s| count(s, "ok"))
    };
    let played = [
        ("patient", "POST /sessions"),
        ("patient", "GET /patients/{{ account.id }}/progress"),
        ("patient", "POST /auth/logout"),
        ("clinician", "GET /dashboard"),
        ("clinician", "GET /alerts"),
        ("clinician", "GET /overview"),
        ("chat", "POST /chat/stream"),
    ];
    for (journey, step) in played {
        assert!(ok(journey, step) > 0, "{journey} {step}: {ended}");
    }
    let one_way = ok("clinician", "GET /patients/{{ pick(panel) }}/progress");
    let another = ok("clinician", "websocket /alerts/live");
    assert!(one_way + another > 0, "{ended}");
    assert!(count(totals, "ok") > 300, "{totals}");
}
