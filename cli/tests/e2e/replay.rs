//! A leak played again: reproduced, mended, gone, or not to be had.

use crate::binary::{Desk, shared};
use crate::server::{Request, Server};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const SCENARIO: &str = "watertight: 1
name: notes
targets: { t: '${WHERE}' }
roles: { u: { accounts: { count: 6, values: { id: 'u-{{ index }}' } } } }
journeys:
  write:
    as: u
    target: t
    headers: { authorization: 'Bearer ${TOKEN}' }
    steps:
      - POST /notes/{{ account.id }}: { json: { note: '{{ marker }}' } }
      - GET /notes/{{ account.id }}
      - think: 20ms
  look:
    as: u
    target: t
    steps: [ GET /nothing, { think: 1s } ]
mix: { write: 2, look: 1 }
profiles: { p: { users: 6, for: 1s } }
";

/// Everybody's latest note is anybody's, unless it has been mended; who has no token is refused.
fn notes(is_mended: &Arc<AtomicBool>) -> Server {
    let (is_mended, latest) = (Arc::clone(is_mended), Mutex::new(String::new()));
    Server::answering(move |request: &Request| {
        let body = if request.head.starts_with("POST") {
            latest.lock().unwrap().clone_from(&request.body);
            String::new()
        } else if is_mended.load(Ordering::SeqCst) || request.head.starts_with("GET /nothing") {
            String::new()
        } else {
            latest.lock().unwrap().clone()
        };
        let status = if request.head.contains("Bearer s3cret") || request.head.starts_with("GET /nothing") {
            "200 OK"
        } else {
            "401 Unauthorized"
        };
        let body = if status.starts_with('4') { String::new() } else { body };
        format!("HTTP/1.1 {status}\r\ncache-control: private\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .into_bytes()
    })
}

#[test]
fn a_leak_is_played_again_by_its_two_users_until_it_is_mended() {
    let _processors = shared();
    let is_mended = Arc::new(AtomicBool::new(false));
    let server = notes(&is_mended);
    let desk = Desk::new();
    desk.write("s.yaml", SCENARIO);
    let with_env = |args: &[&str], token: Option<&str>| {
        let mut command = desk.command(args);
        command.env("WHERE", &server.url).env_remove("TOKEN");
        token.map(|t| command.env("TOKEN", t));
        crate::binary::Running::new(command).end()
    };
    let ended = with_env(&["run", "s.yaml", "--out", "r"], Some("s3cret"));
    assert_eq!(ended.code, 1, "{ended}");
    let leak = desk.lines("r/leaks.jsonl").into_iter().find(|l| l["tier"] == "proven").expect("it leaks");
    let group = leak["group"].to_string();
    let again = |out: &str, token, more: &[&str]| {
        with_env(&[&["replay", "r", &group, "--rounds", "2", "--for", "300ms", "--out", out], more].concat(), token)
    };
    // The file is not needed any more; its copy says what was played.
    std::fs::remove_file(desk.path("s.yaml")).unwrap();
    let ended = again("again", Some("s3cret"), &[]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.out.contains("2 of 2 rounds leaked"), "{ended}");
    let mut accounts: Vec<String> =
        desk.lines("again/01/leaks.jsonl").iter().map(|l| l["reader"]["account"].to_string()).collect();
    accounts.sort();
    accounts.dedup();
    let both = [&leak["reader"]["account"], &leak["owner"]["account"]].map(ToString::to_string);
    assert!(accounts.iter().all(|a| both.contains(a)), "only the two of the leak: {accounts:?}");
    assert_eq!(desk.result("again/01")["isolation"]["accounts"], 2);

    let ended = again("no-secret", None, &[]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.err.contains("TOKEN"), "{ended}");
    let ended = again("no-target", Some("s3cret"), &["--target", "t=http://127.0.0.1:1"]);
    assert_eq!(ended.code, 4, "{ended}");

    is_mended.store(true, Ordering::SeqCst);
    let ended = again("mended", Some("s3cret"), &[]);
    assert_eq!(ended.code, 0, "{ended}");
    assert!(ended.out.contains("0 of 2 rounds leaked"), "{ended}");
}

#[test]
fn what_cannot_be_played_again_is_said() {
    let _processors = shared();
    let server = notes(&Arc::new(AtomicBool::new(false)));
    let desk = Desk::new();
    let text = SCENARIO.replace("${WHERE}", &server.url).replace("Bearer ${TOKEN}", "Bearer s3cret");
    desk.write("s.yaml", &text);
    assert_eq!(desk.run(&["run", "s.yaml", "--out", "r"]).code, 1);
    let ended = desk.run(&["replay", "r", "99"]);
    assert!(ended.code == 2 && ended.err.contains("foreign-marker at GET /notes"), "{ended}");
    let ended = desk.run(&["replay", "nowhere", "0"]);
    assert_eq!(ended.code, 4, "{ended}");
    // The copy has the token masked: as long as the file is as it was, that does not matter.
    let group =
        desk.lines("r/leaks.jsonl").iter().find(|l| l["tier"] == "proven").expect("it leaks")["group"].to_string();
    let ended = desk.run(&["replay", "r", &group, "--rounds", "1", "--for", "300ms", "--out", "again"]);
    assert_eq!(ended.code, 1, "{ended}");
    desk.write("s.yaml", &text.replace("think: 20ms", "think: 30ms"));
    let ended = desk.run(&["replay", "r", &group]);
    assert!(ended.code == 2 && ended.err.contains("${NAME}"), "{ended}");
}
