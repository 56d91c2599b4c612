//! `setup` and `teardown` round a load: once each, outside the figures, with their values in every journey.

use super::loopback::{self, answer_each, listen, ok};
use super::{assert_laws, program};
use engine::run_result::{Ending, RunResult};
use engine::{HeaderFacts, RunError, Setup, Stop, Unobserved};
use std::sync::{Arc, Mutex};

/// A server that remembers the first line of each request, in order; `answer` makes the answers.
fn remembering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> (u16, Arc<Mutex<Vec<String>>>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&seen);
    let port = listen(move |stream| {
        answer_each(stream, |request| {
            log.lock().expect("no test panics with it").push(request.lines().next().unwrap_or_default().to_owned());
            answer(request)
        });
    });
    (port, seen)
}

fn scenario(port: u16, around: &str, steps: &str) -> String {
    format!(
        "watertight: 1\nname: around\ntargets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: 2s }} }}\n{around}\
         journeys: {{ j: {{ steps: [ {steps} ] }} }}\nprofiles: {{ p: {{ users: 2, for: 300ms, graceful_stop: 2s }} }}\n"
    )
}

const BOTH: &str = "setup:\n  - POST /wards: { json: {}, save: { ward: $.id, key: { json: $.key, secret: true } } }\n  \
                    - set: { twice: \"{{ ward * 2 }}\" }\n\
                    teardown: [ \"DELETE /wards/{{ ward }}\" ]\n";

fn ward(request: &str) -> String {
    if request.starts_with("POST /wards") { ok("{\"id\": 21, \"key\": \"k3y-of-the-ward\"}") } else { ok("{}") }
}

fn play(text: &str, stop: Arc<Stop>) -> Result<RunResult, RunError> {
    let setup = Setup {
        profile: 0,
        facts: HeaderFacts::default(),
        seed: 1,
        workers: 2,
        key: [1; 32],
        folder: None,
        stop,
        health_requests: 0,
    };
    let result = engine::run(&program(text), setup, &mut Unobserved)?.result;
    assert_laws(&result);
    Ok(result)
}

#[test]
fn both_are_played_once_and_every_user_has_what_the_setup_left() {
    let (port, seen) = remembering(ward);
    let steps = "\"GET /wards/{{ ward }}/{{ twice }}\": { headers: { x-key: \"{{ key }}\" } }";
    let result = loopback::run_file(&scenario(port, BOTH, steps));
    loopback::assert_good(&result);
    let seen = seen.lock().expect("the server does not panic").clone();
    assert_eq!(seen.first().map(String::as_str), Some("POST /wards HTTP/1.1"));
    assert_eq!(seen.last().map(String::as_str), Some("DELETE /wards/21 HTTP/1.1"));
    let load = &seen[1..seen.len() - 1];
    assert!(load.iter().all(|line| line == "GET /wards/21/42 HTTP/1.1"), "{load:?}");
    // The target's own count is what was sent and what was beside it.
    assert_eq!((result.overhead.setup, result.overhead.teardown), (1, 1));
    assert_eq!(result.totals().sent(), load.len() as u64);
    assert_eq!(result.header.steps.len(), 1, "the tables know the load only");
}

#[test]
fn what_a_user_sets_itself_ends_with_it_and_the_setup_s_value_is_back() {
    let (port, seen) = remembering(ward);
    let around = "setup: [ { set: { n: 7 } } ]\n";
    let text = scenario(port, around, "\"GET /n/{{ n }}\", { set: { n: 8 } }, \"GET /m/{{ n }}\"");
    let text = text.replace("{ j: { steps", "{ j: { cookies: per_iteration, steps");
    loopback::assert_good(&loopback::run_file(&text));
    let seen = seen.lock().expect("the server does not panic").clone();
    assert!(seen.len() > 4, "{seen:?}");
    let right = |line: &String| line.starts_with("GET /n/7 ") || line.starts_with("GET /m/8 ");
    assert!(seen.iter().all(right), "{seen:?}");
}

#[test]
fn a_setup_that_fails_is_the_end_and_nothing_else_is_sent() {
    let (port, seen) = remembering(|_| "HTTP/1.1 500 No\r\ncontent-length: 4\r\n\r\nfull".into());
    let error = play(&scenario(port, BOTH, "GET /"), Arc::default()).expect_err("there is no load");
    let text = error.to_string();
    assert!(text.starts_with("the setup failed, so no load was started: `POST /wards`"), "{text}");
    assert!(text.contains("status 500") && text.contains("full"), "{text}");
    assert_eq!(seen.lock().expect("the server does not panic").len(), 1);
    // Nobody is there at all.
    let error = play(&scenario(1, BOTH, "GET /"), Arc::default()).expect_err("there is no load");
    assert!(error.to_string().contains("connection refused"), "{error}");
}

#[test]
fn a_setup_that_takes_too_long_is_cut_and_said() {
    let port = listen(|mut stream| {
        // Reads, and never answers.
        while loopback::request(&mut stream).is_some() {}
    });
    let around = "setup: { within: 200ms, steps: [ GET /slow ] }\n";
    let error = play(&scenario(port, around, "GET /"), Arc::default()).expect_err("there is no load");
    assert_eq!(error.to_string(), "the setup failed, so no load was started: not over within 200ms");
}

#[test]
fn a_teardown_that_fails_is_said_and_spoils_no_figure() {
    let (port, _) = remembering(|request| match request {
        _ if request.starts_with("DELETE") => "HTTP/1.1 409 No\r\ncontent-length: 0\r\n\r\n".into(),
        _ => ward(request),
    });
    let result = loopback::run_file(&scenario(port, BOTH, "\"GET /{{ ward }}/{{ key }}/{{ twice }}\""));
    loopback::assert_good(&result);
    assert_eq!(result.overhead.teardown, 1);
    let [note] = result.header.notes.as_slice() else { panic!("{:?}", result.header.notes) };
    assert!(note.starts_with("the teardown failed: `DELETE /wards/"), "{note}");
    assert!(note.contains("status 409") && !note.contains("k3y"), "{note}");
}

#[test]
fn the_teardown_is_played_after_a_run_that_ends_itself_and_after_one_that_never_began() {
    let (port, seen) = remembering(ward);
    let result = loopback::run_file(&scenario(port, BOTH, "\"GET /{{ ward }}/{{ key }}/{{ twice }}\", { stop: run }"));
    assert!(matches!(result.ending, Ending::Stopped(_)), "{:?}", result.ending);
    let last = |seen: &Mutex<Vec<String>>| seen.lock().expect("the server does not panic").last().cloned();
    assert_eq!(last(&seen).as_deref(), Some("DELETE /wards/21 HTTP/1.1"));
    // Interrupted before the setup could end: no load, and nothing to clear away.
    let before = seen.lock().expect("the server does not panic").len();
    let stop = Arc::new(Stop::default());
    stop.interrupt();
    let result = play(&scenario(port, BOTH, "\"GET /{{ ward }}/{{ key }}/{{ twice }}\""), stop)
        .expect("it is a run all the same");
    assert_eq!((result.ending.clone(), result.totals().sent()), (Ending::Interrupted, 0));
    assert_eq!(seen.lock().expect("the server does not panic").len(), before);
}

#[test]
fn whoever_plays_it_is_scanned_as_well() {
    let (port, _) = remembering(|request| match request {
        _ if request.starts_with("GET /me") => {
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{\"id\": \"b-9\"}".into()
        }
        _ => ok("{}"),
    });
    let around = "roles: { r: { accounts: { count: 3, values: { id: \"a-{{ index }}\" } } } }\n\
                  setup: { as: r, steps: [ GET /me: { identity: { $.id: \"{{ account.id }}\" } } ] }\n";
    let result = loopback::run_file(&scenario(port, around, "GET /"));
    let found: Vec<_> = result.isolation.groups.iter().filter(|g| g.key.detector == "identity").collect();
    let [group] = found.as_slice() else { panic!("{:?}", result.isolation.groups) };
    assert_eq!((group.count, group.examples.len()), (1, 1));
    assert!(group.key.place.ends_with("in `setup` at GET /me"), "{:?}", group.key);
    assert_eq!(group.examples[0].reader.journey, "setup");
}

#[test]
fn what_the_setup_planted_covers_no_step_of_the_load() {
    // The load plants too, in a step of the same number, and what it plants never comes back.
    let seed: Arc<Mutex<String>> = Arc::default();
    let (port, _) = remembering(move |request| {
        let body = request.split("\r\n\r\n").nth(1).unwrap_or_default();
        let mut seed = seed.lock().expect("no test panics with it");
        match request {
            _ if request.starts_with("POST /seed") => body.clone_into(&mut seed),
            _ if request.starts_with("GET /seed") => return ok(&seed),
            _ => {}
        }
        ok("{}")
    });
    let around = "roles: { r: { accounts: { count: 1, values: { id: \"a-{{ index }}\" } }, reuse: wrap } }\n\
                  setup: { as: r, steps: [ POST /seed: { json: { n: \"{{ marker }}\" } } ] }\n";
    let steps = "{ PUT /x: { json: { a: \"{{ marker }}\", b: \"{{ marker }}\" } } }, { GET /seed: { expect: { marker: own } } }";
    let text = scenario(port, around, steps).replace("{ j: { steps", "{ j: { as: r, steps");
    let result = loopback::run_file(&text);
    loopback::assert_good(&result);
    let seen = &result.isolation;
    assert!(seen.steps[1].controlled > 0, "it came back: {:?}", seen.steps);
    assert!(seen.planted_fields[&(0, 0)] > 0 && seen.planted_fields[&(0, 1)] > 0, "{:?}", seen.planted_fields);
    assert!(seen.carried.is_empty() && seen.carried_fields.is_empty(), "{:?}", seen.carried_fields);
}
