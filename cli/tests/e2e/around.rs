//! `setup` and `teardown` through the binary: exit codes, what is said, what is stored, the clinic's own count.

use crate::binary::{Desk, shared, until};
use crate::server::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn scenario(url: &str) -> String {
    format!(
        "watertight: 1\nname: around\ntargets: {{ t: {url} }}\n\
         setup:\n  - POST /wards: {{ json: {{}}, save: {{ ward: $.id }} }}\n\
         teardown:\n  - DELETE /wards/{{{{ ward }}}}\n\
         journeys: {{ j: {{ steps: [ \"GET /wards/{{{{ ward }}}}\", {{ think: 5ms }} ] }} }}\n\
         profiles: {{ short: {{ users: 2, for: 1s }}, long: {{ users: 2, for: 10m }} }}\n\
         sla: [ {{ errors: < 100%, must: false }} ]\n"
    )
}

/// Counts requests in all, and deletions; `made` is the status of the setup's request, `gone` that of the teardown's.
fn wards(made: u16, gone: u16) -> (Server, Arc<[AtomicU64; 2]>) {
    let counts: Arc<[AtomicU64; 2]> = Arc::default();
    let counter = Arc::clone(&counts);
    let server = Server::answering(move |request| {
        counter[0].fetch_add(1, Ordering::SeqCst);
        counter[1].fetch_add(u64::from(request.head.starts_with("DELETE /wards/7 ")), Ordering::SeqCst);
        let status = match &request.head {
            head if head.starts_with("POST") => made,
            head if head.starts_with("DELETE") => gone,
            _ => 200,
        };
        format!("HTTP/1.1 {status} Said\r\ncontent-length: 9\r\n\r\n{{\"id\": 7}}").into_bytes()
    });
    (server, counts)
}

fn read(counts: &[AtomicU64; 2]) -> [u64; 2] {
    [0, 1].map(|i| counts[i].load(Ordering::SeqCst))
}

#[test]
fn what_the_target_counts_is_what_was_sent_and_what_was_beside_it() {
    let _processors = shared();
    let desk = Desk::new();
    let (server, counts) = wards(200, 200);
    desk.write("a.yaml", &scenario(&server.url));
    let checked = desk.run(&["check", "a.yaml"]);
    assert!(checked.out.contains("setup (once, before the load)\n    POST /wards → t\n"), "{checked}");
    assert!(checked.out.contains("teardown (once, after the load)\n    DELETE /wards/{{ ward }} → t\n"), "{checked}");
    desk.run(&["run", "a.yaml", "--profile", "short", "--out", "r"]);
    let result = desk.result("r");
    let totals = &result["totals"];
    assert_eq!((totals["overhead"]["setup"].as_u64(), totals["overhead"]["teardown"].as_u64()), (Some(1), Some(1)));
    assert_eq!(read(&counts), [totals["sent"].as_u64().unwrap() + 2, 1]);
    // One user step by step has the setup's values as well.
    let traced = desk.run(&["trace", "a.yaml"]);
    assert_eq!(traced.code, 0, "{traced}");
    assert!(traced.out.contains("/wards/7"), "{traced}");
    assert_eq!(read(&counts)[1], 2);
}

#[test]
fn a_setup_that_fails_is_code_4_and_a_teardown_that_fails_is_a_note() {
    let _processors = shared();
    let desk = Desk::new();
    let (server, counts) = wards(503, 200);
    desk.write("a.yaml", &scenario(&server.url));
    let ended = desk.run(&["run", "a.yaml", "--profile", "short", "--out", "r"]);
    assert_eq!(ended.code, 4, "{ended}");
    assert!(
        ended.err.contains("the setup failed, so no load was started: `POST /wards` (POST /wards): status 503"),
        "{ended}"
    );
    assert_eq!(read(&counts), [1, 0]);
    let (server, _) = wards(200, 500);
    desk.write("b.yaml", &scenario(&server.url));
    let ended = desk.run(&["run", "b.yaml", "--profile", "short", "--out", "b"]);
    assert!(ended.out.contains("note: the teardown failed"), "{ended}");
    // It is in the stored run too.
    let again = desk.run(&["report", "b"]);
    assert_eq!((again.code, again.out.contains("the teardown failed")), (ended.code, true), "{again}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_is_cleared_away_too() {
    let _processors = shared();
    let desk = Desk::new();
    let (server, counts) = wards(200, 200);
    desk.write("a.yaml", &scenario(&server.url));
    let running = desk.start(&["run", "a.yaml", "--profile", "long", "--out", "r"]);
    until("the load", || (desk.whole_lines("r/intervals.jsonl") > 2).then_some(()));
    running.signal("INT");
    let ended = running.end();
    assert_eq!(ended.code, 130, "{ended}");
    assert_eq!(read(&counts)[1], 1, "the teardown was played");
    assert_eq!(desk.result("r")["totals"]["overhead"]["teardown"], 1);
}
