//! The demo: a good clinic is a GO, each defect is a NO-GO that names who received whose data.

use crate::binary::{Desk, Ended, alone, shared};
use crate::laws::{count, exit_code};
use serde_json::Value;

#[test]
fn a_good_clinic_is_a_go() {
    let _processors = alone();
    let desk = Desk::new();
    // More users than as shipped, so that every objective has its evidence in a shorter time.
    let (ended, result) = desk.run_undisturbed(&["demo", "--users", "60", "--for", "4s"]);
    assert_eq!(ended.code, 0, "{ended}");
    assert!(result["verdict"]["outcome"].as_str().unwrap().starts_with("go"));
    assert_eq!(result["isolation"]["state"], "intact");
    assert_eq!(count(&result["totals"], "failed"), 0, "{}", result["totals"]);
    assert!(ended.out.contains("GO") && ended.out.contains("report.html"), "{ended}");
}

/// All at once, because they mostly think.
#[test]
fn every_leaking_defect_is_a_no_go_with_the_evidence() {
    let _processors = shared();
    // Rooms are crossed only once somebody has come again: sooner among many.
    let defects = [
        ("shared-cache", "1s", "20"),
        ("session-mixup", "1s", "20"),
        ("broken-access", "1s", "20"),
        ("wrong-room", "8s", "80"),
        ("stream-crossing", "4s", "20"),
    ]
    .map(|(defect, length, users)| (defect, [length, users], Desk::new()));
    let started = defects.each_ref().map(|(defect, [length, users], desk)| {
        desk.start(&["demo", "--for", length, "--users", users, "--defect", defect, "--out", "r"])
    });
    for ((defect, _, desk), running) in defects.iter().zip(started) {
        println!("{defect}");
        leaks(desk, &running.end());
    }
}

fn leaks(desk: &Desk, ended: &Ended) {
    assert_eq!(ended.code, 1, "{ended}");
    let result = desk.result("r");
    assert_eq!(exit_code(&result), 1);
    assert_eq!(result["isolation"]["state"], "leaking");
    let evidence = desk.lines("r/leaks.jsonl");
    let proven: Vec<&Value> = evidence.iter().filter(|l| l["tier"] == "proven").collect();
    assert!(!proven.is_empty());
    let is_named = |party: &Value| {
        let is_text =
            |key: &str| party[key].as_str().is_some_and(|text| !text.is_empty() && !text.starts_with("unknown"));
        party["user"].is_u64() && ["account", "journey", "step", "request"].into_iter().all(is_text)
    };
    for leak in &proven {
        // The data of somebody whom nobody plays may come, too: then there is no request of theirs to name.
        assert!(is_named(&leak["reader"]) && leak["owner"]["account"] != "", "{leak:#}");
        assert_ne!(leak["reader"]["account"], leak["owner"]["account"], "{leak:#}");
        assert_ne!(leak["why"], "", "{leak:#}");
    }
    assert!(proven.iter().any(|leak| is_named(&leak["owner"])), "both users and both requests: {proven:#?}");
    let account = |party: &str| proven[0][party]["account"].as_str().unwrap();
    assert!(ended.out.contains("NO-GO") && ended.out.contains("Data leaked"), "{ended}");
    assert!(ended.err.contains(account("reader")) && ended.err.contains(account("owner")), "{ended}");
}

#[test]
fn a_stalling_clinic_is_a_no_go_by_its_latency() {
    let _processors = alone();
    let desk = Desk::new();
    let (ended, result) = desk.run_undisturbed(&["demo", "--for", "3s", "--defect", "stall"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert_ne!(result["isolation"]["state"], "leaking");
    let missed = |o: &Value| o["outcome"] == "fail" && o["stat"].as_str().unwrap().starts_with('p');
    assert!(result["objectives"].as_array().unwrap().iter().any(missed), "{}", result["objectives"]);
}

#[test]
fn one_user_alone_receives_nobody_elses_data() {
    let _processors = shared();
    let desk = Desk::new();
    let ended = desk.run(&["demo", "--users", "1", "--for", "1s", "--defect", "shared-cache", "--out", "r"]);
    let result = desk.result("r");
    assert_eq!(ended.code, 3, "{ended}");
    assert_eq!(count(&result["isolation"], "leaks"), 0);
    assert_eq!(count(&result["isolation"], "suspects"), 0);
    assert_eq!(result["isolation"]["state"], "unproven");
    assert_eq!(desk.text("r/leaks.jsonl"), "");
}
