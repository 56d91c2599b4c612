//! Runs that did not come to their end: killed, interrupted, half a line on disk. What was measured is kept.
#![cfg(unix)]

use crate::binary::{Desk, Running, shared, until};
use crate::laws::count;
use crate::{scenario, server};
use serde_json::Value;

/// A run of a minute that has stored some seconds.
fn running(desk: &Desk, text: &str) -> Running {
    desk.write("s.yaml", text);
    let running = desk.start(&["run", "s.yaml", "--for", "60s", "--out", "r"]);
    // The first line is of the calibration.
    until("two stored seconds", || (desk.whole_lines("r/intervals.jsonl") >= 3).then_some(()));
    running
}

/// Requests by the stored seconds, without the code that is under test.
fn stored(desk: &Desk, key: &str) -> u64 {
    let text = desk.text("r/intervals.jsonl");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    let of = |line: Value| -> u64 {
        let steps = line["interval"]["steps"].as_object().cloned().unwrap_or_default();
        steps.values().map(|s| s["counts"][key].as_u64().unwrap_or(0)).sum()
    };
    lines.map(of).sum()
}

#[test]
fn a_killed_run_is_reported_up_to_its_last_second() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    let killed = running(&desk, &scenario::plain(&target.url, "{ status: 200 }", "{ errors: < 50% }"));
    killed.signal("KILL");
    assert_eq!(killed.end().code, -9);
    let ok = stored(&desk, "ok");
    assert!(ok > 0);
    let ended = desk.run(&["report", "r"]);
    assert_eq!(ended.code, 3, "{ended}");
    let result = desk.result("r");
    assert_eq!(result["run"]["ending"], "killed");
    assert_eq!(result["verdict"]["outcome"], "inconclusive");
    assert_eq!(count(&result["totals"], "ok"), ok);
    assert_eq!(count(&result["totals"], "planned"), stored(&desk, "planned"));
    // Half a line at the end, as a full disk or a power cut leaves it.
    let journal = desk.text("r/intervals.jsonl");
    let half = format!("{journal}{{\"interval\":{{\"second\":9,\"ste");
    desk.write("r/intervals.jsonl", &half);
    let ended = desk.run(&["report", "r"]);
    assert_eq!(ended.code, 3, "{ended}");
    let result = desk.result("r");
    assert_eq!(count(&result["totals"], "ok"), ok);
    assert!(result["run"]["notes"].to_string().contains("could not be read"), "{}", result["run"]);
}

#[test]
fn a_leak_on_disk_outlives_the_kill() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::leaking();
    desk.write("s.yaml", &scenario::notes(&target.url, "{ errors: < 50% }"));
    let killed = desk.start(&["run", "s.yaml", "--for", "60s", "--out", "r"]);
    until("a leak on disk", || (desk.whole_lines("r/leaks.jsonl") >= 1).then_some(()));
    killed.signal("KILL");
    assert_eq!(killed.end().code, -9);
    let ended = desk.run(&["report", "r"]);
    assert_eq!(ended.code, 1, "{ended}");
    let result = desk.result("r");
    assert_eq!(result["isolation"]["state"], "leaking");
    assert_eq!(result["run"]["ending"], "killed");
}

#[test]
fn ctrl_c_keeps_what_was_measured() {
    interrupted("INT");
}

#[test]
fn sigterm_keeps_what_was_measured() {
    interrupted("TERM");
}

fn interrupted(signal: &str) {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    let run = running(&desk, &scenario::plain(&target.url, "{ status: 200 }", "{ errors: < 50% }"));
    run.signal(signal);
    let ended = run.end();
    assert_eq!(ended.code, 130, "{ended}");
    let result = desk.result("r");
    assert_eq!(result["run"]["ending"], "interrupted");
    assert_eq!(result["verdict"]["outcome"], "inconclusive");
    assert!(count(&result["totals"], "ok") > 0);
    assert_eq!(count(&result["totals"], "ok"), stored(&desk, "ok"));
    for file in [
        "run.json",
        "scenario.yaml",
        "report.html",
        "junit.xml",
        "summary.md",
        "histograms.hlog",
        "failures.jsonl",
        "leaks.jsonl",
    ] {
        assert!(desk.path("r").join(file).is_file(), "{file}");
    }
    assert!(ended.out.contains("interrupted"), "{ended}");
    // Judged again, it is the same.
    let ended = desk.run(&["report", "r"]);
    assert_eq!(ended.code, 130, "{ended}");
    assert_eq!(desk.result("r"), result);
}

#[test]
fn an_interrupt_does_not_wait_for_a_target_that_never_answers() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::Server::start(|mut stream| while server::Request::read(&mut stream).is_some() {});
    let text =
        scenario::plain(&target.url, "{ status: 200 }", "{ errors: < 50% }").replace("timeout: 400ms", "timeout: 10m");
    let run = running(&desk, &text);
    run.signal("INT");
    let ended = run.end();
    assert_eq!(ended.code, 130, "{ended}");
    assert_eq!(count(&desk.result("r")["totals"], "unfinished"), 3);
}

#[test]
fn a_folder_without_a_run_is_said_to_be_none() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("empty")).unwrap();
    for folder in ["empty", "missing"] {
        let ended = desk.run(&["report", folder]);
        assert_eq!(ended.code, 4, "{ended}");
        assert!(ended.err.contains(folder), "{ended}");
    }
    std::fs::create_dir(desk.path("odd")).unwrap();
    desk.write("odd/run.json", "{\"format\": 7}");
    let ended = desk.run(&["report", "odd"]);
    assert_eq!(ended.code, 4, "{ended}");
    assert!(ended.err.contains("run.json"), "{ended}");
}
