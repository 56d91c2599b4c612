//! What stays open, against the clinic: its time limit, its alerts, streams that are read slowly; and `stop: run`.

use crate::binary::{Desk, Ended, shared};
use crate::laws::{count, exit_code};
use practice::{Clinic, Options, PoolLimits, Port, Timing};
use serde_json::Value;
use std::time::Duration;

fn clinic(timing: Timing) -> Clinic {
    let options = Options { port: Port::One(0), defects: Vec::new(), seed: 0 };
    Clinic::start_with(options, PoolLimits::default(), timing).unwrap()
}

/// Two users of `role` (`patient` or `clinician`) who have logged in play `steps`.
fn scenario(clinic: &Clinic, role: &str, steps: &str, profile: &str) -> String {
    format!(
        "watertight: 1
name: Open
targets: {{ it: {{ url: \"{}\", timeout: 20s }} }}
roles:
  {role}:
    accounts: {{ count: 2, values: {{ id: \"{}-{{{{ index }}}}\", username: \"{role}-{{{{ index }}}}\", password: \"pw-{{{{ index }}}}\" }} }}
journeys:
  look:
    as: {role}
    target: it
    before:
      - POST /auth/login:
          json: {{ username: \"{{{{ account.username }}}}\", password: \"{{{{ account.password }}}}\" }}
          save: {{ token: {{ json: $.token, credential: true }} }}
    headers: {{ authorization: \"Bearer {{{{ token }}}}\" }}
    steps:
{steps}
profiles:
  short: {{ {profile} }}
sla:
  - {{ errors: < 1% }}
",
        clinic.urls().patient,
        &role[..1],
    )
}

fn play(text: &str) -> (Ended, Value) {
    let desk = Desk::new();
    desk.write("s.yaml", text);
    let ended = desk.run(&["run", "s.yaml", "--out", "r"]);
    let result = desk.result("r");
    assert_eq!(ended.code, exit_code(&result), "{ended}");
    (ended, result)
}

fn kinds(result: &Value) -> Vec<&str> {
    result["totals"]["errors"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_server_that_closes_after_its_time_is_named() {
    let _processors = shared();
    let clinic = clinic(Timing { longest_connection: Duration::from_millis(200), ..Timing::default() });
    let steps = "      - websocket /ws/blue:
          steps:
            - receive: { $.type: never }
              within: 20s";
    let (ended, result) = play(&scenario(&clinic, "patient", steps, "users: 2, for: 500ms"));
    assert_eq!((ended.code, kinds(&result)), (1, vec!["closed 1001"]), "{ended}");
}

#[test]
fn alerts_come_to_who_listens_even_when_nobody_calls_for_help() {
    let _processors = shared();
    let clinic = clinic(Timing { reminder: Duration::from_millis(50), ..Timing::default() });
    let steps = "      - websocket /alerts/live?token={{ token }}:
          steps:
            - receive: { $.type: alert }
              within: 20s
              save: { alert: $.id }
      - POST /alerts/{{ alert }}/ack: { expect: { json: { $.acknowledged: true } } }";
    let (ended, result) = play(&scenario(&clinic, "clinician", steps, "users: 2, for: 1s"));
    assert_eq!(kinds(&result), Vec::<&str>::new(), "{ended}");
    let acknowledged = result["steps"].as_array().unwrap().iter().find(|s| s["step"] == "POST /alerts/{{ alert }}/ack");
    assert!(count(acknowledged.unwrap(), "ok") > 2, "{ended}");
}

#[test]
fn a_stream_that_is_read_slowly_is_whole() {
    let _processors = shared();
    let clinic = clinic(Timing::default());
    let steps = "      - POST /chat/stream:
          json: { session_id: mine, message: \"hello {{ marker }}\" }
          events: { text: \"$.choices[0].delta.content\", until: \"[DONE]\" }
          expect: { status: 200, marker: own, events: 21 }";
    let profile = "users: 2, for: 1s, faults: { slow_reader: 100% }";
    let (ended, result) = play(&scenario(&clinic, "patient", steps, profile));
    assert_eq!(kinds(&result), Vec::<&str>::new(), "{ended}");
    assert!(count(&result["totals"], "ok") > 2, "{ended}");
    assert!(ended.out.contains("slow_reader"), "{ended}");
}

/// Ten minutes are planned: that the run comes to an end is what is shown.
#[test]
fn stop_run_ends_the_run_for_everybody() {
    let _processors = shared();
    let clinic = clinic(Timing::default());
    let steps = "      - GET /health
      - if: user.index == 1 && user.iteration == 3
        then: [ stop: run ]
      - think: 10ms";
    let (ended, result) = play(&scenario(&clinic, "patient", steps, "users: 2, for: 10m"));
    assert!(ended.to_string().contains("stop: run"), "{ended}");
    assert!(result["run"]["duration_s"].as_f64().unwrap() < 300.0, "{}", result["run"]);
    assert_eq!(count(&result["totals"], "failed"), 0, "{ended}");
}

#[test]
fn a_trace_shows_every_branch_of_parallel() {
    let _processors = shared();
    let clinic = clinic(Timing::default());
    let steps = "      - parallel:
          - GET /health
          - GET /tariff
          - POST /chat/stream:
              json: { session_id: mine, message: \"hello {{ marker }}\" }
              events: { text: \"$.choices[0].delta.content\", until: \"[DONE]\" }
              expect: { marker: own }";
    let desk = Desk::new();
    desk.write("s.yaml", &scenario(&clinic, "patient", steps, "users: 2, for: 1s"));
    let ended = desk.run(&["trace", "s.yaml", "--journey", "look"]);
    assert_eq!(ended.code, 0, "{ended}");
    let shown = ended.to_string();
    for word in ["GET /health", "GET /tariff", "POST /chat/stream"] {
        assert!(shown.contains(word), "{word}: {ended}");
    }
    assert_eq!(clinic.counts(), 4, "the log-in and three branches");
}
