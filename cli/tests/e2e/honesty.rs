//! No data is never a pass: what was not seen is said to be unproven or inconclusive.

use crate::binary::{Desk, Running, shared};
use crate::laws::count;
use crate::{scenario, server};

#[test]
fn an_objective_without_samples_is_inconclusive() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    let text = scenario::plain(&target.url, "{ status: 200 }", "{ of: { step: GET /never }, p95: < 1s }");
    let never = "      - if: 1 > 2\n        then: [ GET /never ]\n      - think: 10ms";
    desk.write("s.yaml", &text.replace("      - think: 10ms", never));
    let ended = desk.run(&["run", "s.yaml", "--out", "r"]);
    let result = desk.result("r");
    assert_eq!(ended.code, 3, "{ended}");
    assert_eq!(result["objectives"][0]["outcome"], "inconclusive");
    assert_eq!(result["objectives"][0]["n"], 0);
    assert!(count(&result["totals"], "ok") > 0);
    assert!(ended.out.contains("INCONCLUSIVE") && ended.out.contains("no sample"), "{ended}");
}

#[test]
fn without_a_marker_isolation_is_unproven() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    desk.write("s.yaml", &scenario::plain(&target.url, "{ status: 200 }", "{ errors: < 50% }"));
    let (ended, result) = desk.run_undisturbed(&["run", "s.yaml"]);
    assert_eq!(ended.code, 0, "{ended}");
    assert_eq!(result["isolation"]["state"], "unproven");
    assert!(ended.out.contains("no marker"), "{ended}");
    // Where isolation is required, that is not enough.
    let text = desk.text("s.yaml").replace("for: 1s,", "for: 1s, isolation: required,");
    desk.write("s.yaml", &text);
    let ended = desk.run(&["run", "s.yaml", "--out", "required"]);
    assert_eq!(ended.code, 3, "{ended}");
    assert_eq!(desk.result("required")["verdict"]["outcome"], "inconclusive");
}

#[test]
fn markers_that_never_come_back_prove_nothing() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    desk.write("s.yaml", &scenario::notes(&target.url, "{ errors: < 50% }"));
    let (ended, result) = desk.run_undisturbed(&["run", "s.yaml"]);
    assert_eq!(ended.code, 0, "{ended}");
    assert_eq!(result["isolation"]["state"], "unproven");
    assert_eq!(count(&result["isolation"], "opportunities"), 0);
}

#[test]
fn a_leak_weighs_more_than_everything_else() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::leaking();
    // The objective cannot be judged for want of samples, and still the answer is no.
    desk.write("s.yaml", &scenario::notes(&target.url, "{ p99.9: < 5s }"));
    let ended = desk.run(&["run", "s.yaml", "--for", "300ms", "--out", "r"]);
    let result = desk.result("r");
    assert_eq!(ended.code, 1, "{ended}");
    assert_eq!(result["isolation"]["state"], "leaking");
    assert_eq!(result["objectives"][0]["outcome"], "inconclusive");
    // A leak is not a failed request.
    assert_eq!(count(&result["totals"], "failed"), 0);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the target is slow")]
fn arrivals_that_find_nobody_free_are_dropped_and_counted() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::Server::answering(|_| {
        std::thread::sleep(std::time::Duration::from_millis(200));
        server::answer("200 OK", "", "{}")
    });
    let text = scenario::plain(&target.url, "{ status: 200 }", "{ availability: \">= 99%\" }");
    let open = "{ arrivals: 50/s, max_users: 2, for: 1s, graceful_stop: 2s }";
    desk.write("s.yaml", &text.replace("{ users: 3, for: 1s, graceful_stop: 2s }", open));
    let (ended, result) = desk.run_undisturbed(&["run", "s.yaml"]);
    // Late starts of a busy machine may make it void; the drops are the target's all the same.
    assert_eq!(ended.code, crate::laws::exit_code(&result), "{ended}");
    assert_eq!(result["objectives"][0]["outcome"], "fail", "{ended}");
    let totals = &result["totals"];
    assert!(count(totals, "dropped") > 0, "{totals}");
    assert_eq!(count(totals, "planned"), 50, "each arrival of the schedule is accounted for: {totals}");
    assert_eq!(count(totals, "ok"), count(totals, "sent"), "{totals}");
}

#[test]
fn requests_cut_by_the_end_are_unfinished_and_not_forgotten() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::Server::start(|mut stream| while server::Request::read(&mut stream).is_some() {});
    let text = scenario::plain(&target.url, "{ status: 200 }", "{ p95: < 100ms }");
    desk.write(
        "s.yaml",
        &text.replace("timeout: 400ms", "timeout: 20s").replace("graceful_stop: 2s", "graceful_stop: 100ms"),
    );
    let (ended, result) = desk.run_undisturbed(&["run", "s.yaml", "--for", "300ms"]);
    let totals = &result["totals"];
    assert_eq!(count(totals, "unfinished"), 3, "{totals}");
    assert_eq!(count(totals, "sent"), 3, "{totals}");
    assert_ne!(ended.code, 0, "{ended}");
    let response = &result["steps"][0]["response"];
    assert_eq!(count(response, "count"), 3, "{response}");
    let lower_bounds = response["at_least"].as_array().unwrap();
    assert!(lower_bounds.contains(&"p95_ms".into()), "{response}");
}

#[test]
fn a_scanner_that_misses_a_layer_makes_the_run_inconclusive() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    desk.write("s.yaml", &scenario::plain(&target.url, "{ status: 200 }", "{ errors: < 50% }"));
    // Of the healthy one only the calibration is looked at: a busy machine may make any run inconclusive.
    for (layer, is_blind) in [("header", true), ("close reason", true), ("no layer", false)] {
        let mut command = desk.command(&["run", "s.yaml", "--out", layer]);
        command.env("WATERTIGHT_TEST_BLIND_TO", layer);
        let ended = Running::new(command).end();
        let result = desk.result(layer);
        let calibration = &result["isolation"]["calibration"];
        let missed = count(calibration, "injected") - count(calibration, "found");
        assert_eq!(missed > 0, is_blind, "{layer}: {calibration}");
        if is_blind {
            assert_eq!(ended.code, 3, "{layer}: {ended}");
            let reasons = result["verdict"]["reasons"].to_string();
            assert!(reasons.contains("so its silence means nothing"), "{reasons}");
        }
    }
}
