//! A stated rate limit against the practice clinic, which allows each user its tariff ten times a second: the right rate,
//! a page without a limit, and a limit that is lower than stated.

use crate::binary::{Desk, Ended, shared};
use crate::laws::count;
use practice::{Clinic, Options, Port};
use serde_json::Value;

const SCENARIO: &str = "watertight: 1
name: limits
targets: { t: '${WHERE}' }
roles:
  patient:
    accounts: { count: 3, values: { id: 'p-{{ index }}', username: 'patient-{{ index }}', password: 'pw-{{ index }}' } }
journeys:
  j:
    as: patient
    target: t
    before: [ POST /auth/login: { json: { username: '{{ account.username }}', password: '{{ account.password }}' }, save: { token: $.token } } ]
    headers: { authorization: 'Bearer {{ token }}' }
    on_failure: continue
    steps: [ { repeat: 60, steps: [ GET PATH ] }, { think: 1500ms } ]
profiles: { p: { users: 3, for: 5s } }
sla: [ { errors: < 5% }, { of: { step: GET PATH }, rate_limit: RATE } ]
";

fn run(path: &str, rate: &str) -> (Ended, Value) {
    let _processors = shared();
    let clinic = Clinic::start(Options { port: Port::One(0), defects: Vec::new(), seed: 0 }).unwrap();
    let desk = Desk::new();
    desk.write("s.yaml", &SCENARIO.replace("PATH", path).replace("RATE", rate));
    let address = format!("WHERE={}", clinic.urls().patient);
    desk.run_undisturbed(&["run", "s.yaml", "--env", &address])
}

/// Outcome and reason of the rate limit.
fn judged(result: &Value) -> (&str, &str) {
    let objective = &result["objectives"][1];
    (objective["outcome"].as_str().unwrap(), objective["reason"].as_str().unwrap())
}

#[test]
fn the_clinic_keeps_the_limit_that_it_states() {
    let (ended, result) = run("/tariff", "10/s");
    let (outcome, reason) = judged(&result);
    assert_eq!(outcome, "pass", "{reason} {ended}");
    assert_eq!(result["objectives"][1]["measured"], 10.0, "{ended}");
    let totals = &result["totals"];
    assert!(count(totals, "limited") > 100 && count(totals, "failed") == 0, "{totals}");
    assert_eq!(ended.code, 0, "{ended}");
    assert!(ended.out.contains("rate_limit of step GET /tariff 10/s"), "{ended}");
}

#[test]
fn a_page_without_a_limit_is_a_no() {
    let (ended, result) = run("/overview-of-nothing", "10/s");
    assert_eq!(
        judged(&result),
        ("inconclusive", "nobody asked faster than 10/s, so nothing had to be refused"),
        "{ended}"
    );
    let (ended, result) = run("/health", "10/s");
    let (outcome, reason) = judged(&result);
    assert!(outcome == "fail" && reason.contains("let through above 10/s; none refused above it"), "{reason}");
    assert_eq!(ended.code, 1, "{ended}");
}

#[test]
fn a_limit_lower_than_stated_is_a_no_and_says_where_it_begins() {
    let (ended, result) = run("/tariff", "40/s");
    let (outcome, reason) = judged(&result);
    assert!(outcome == "fail" && reason.contains("refused within 40/s"), "{reason}");
    assert!(count(&result["totals"], "failed") > 0, "what is refused and should not be is an error: {ended}");
    assert_eq!(ended.code, 1, "{ended}");
}
