//! The detectors that need more than one marker, all at once against one misbehaving server: what the terminal, the
//! lines of evidence and the page say, and that the same server, mended, is clean.

use crate::binary::{Desk, shared};
use crate::server::{Request, Server, answer};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Mutex;

const SCENARIO: &str = "watertight: 1
name: everything at once
targets: { t: '${WHERE}' }
roles:
  u: { accounts: { count: 4, values: { id: 'u-{{ index }}' } } }
  r: { accounts: { count: 4, values: { id: 'r-{{ index }}', room: 'room-{{ index % 2 }}' } } }
  s: { accounts: { count: 6, values: { id: 's-{{ index }}' } } }
journeys:
  notes:
    as: u
    target: t
    headers: { x-user: '{{ account.id }}' }
    on_failure: continue
    steps:
      - POST /login: { save: { token: { json: $.token, credential: true } } }
      - POST /notes/{{ account.id }}: { json: { note: '{{ marker }}' } }
      - GET /notes/{{ account.id }}:
          headers: { authorization: '{{ token }}' }
          echo: { send: x-request-id, read: x-request-id }
          expect: { marker: own }
      - POST /logout: { headers: { authorization: '{{ token }}' }, revokes: token }
      - think: 50ms
  rooms:
    as: r
    target: t
    headers: { x-user: '{{ account.id }}', x-room: '{{ account.room }}' }
    before: [ { join: '{{ account.room }}' } ]
    steps:
      - POST /messages: { json: { text: '{{ marker(account.room) }}' } }
      - GET /messages
      - think: 50ms
  seats:
    as: s
    target: t
    before: [ POST /session: { headers: { x-seat: '{{ user.index }}' }, save: { session: { json: $.session, credential: true } } } ]
    headers: { authorization: '{{ session }}' }
    steps: [ GET /nothing, switch_account: next, { think: 50ms } ]
profiles: { p: { users: 12, for: 2s } }
";

#[derive(Default)]
struct Memory {
    tokens: Vec<String>,
    notes: HashMap<String, String>,
    stray: Option<String>,
    messages: HashMap<String, String>,
    ids: HashMap<String, String>,
    count: u64,
}

fn value<'a>(request: &'a Request, name: &str) -> &'a str {
    let lines = request.head.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim()).unwrap_or_default()
}

/// A server with five faults, or without any.
fn server(is_mended: bool) -> Server {
    let memory = Mutex::new(Memory::default());
    Server::answering(move |request: &Request| {
        let memory = &mut *memory.lock().unwrap();
        memory.count += 1;
        let mut words = request.head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (user, id) = (value(request, "x-user").to_owned(), value(request, "x-request-id").to_owned());
        let (body, id) = match (method, path) {
            ("POST", "/login") => {
                let token = format!("token-{:06}", memory.count);
                memory.tokens.push(token.clone());
                (format!("{{\"token\":\"{token}\"}}"), id)
            }
            ("POST", "/session") if is_mended => (format!("{{\"session\":\"session-{:06}\"}}", memory.count), id),
            ("POST", "/session") => (format!("{{\"session\":\"session-of-{}\"}}", value(request, "x-seat")), id),
            ("POST", "/logout") => {
                let token = value(request, "authorization");
                memory.tokens.retain(|t| t != token || !is_mended);
                (String::new(), id)
            }
            ("POST", "/messages") => {
                memory.messages.insert(value(request, "x-room").to_owned(), request.body.clone());
                (String::new(), id)
            }
            (_, "/messages") => {
                let room = if is_mended { value(request, "x-room") } else { "room-0" };
                (memory.messages.get(room).cloned().unwrap_or_default(), id)
            }
            ("POST", _) => {
                // The first note of u-1 is stored with u-0's as well, for good.
                if path.ends_with("u-1") && !is_mended {
                    memory.stray.get_or_insert_with(|| request.body.clone());
                }
                memory.notes.insert(path.to_owned(), request.body.clone());
                (String::new(), id)
            }
            (_, "/nothing") => (String::new(), id),
            _ if !memory.tokens.iter().any(|t| t == value(request, "authorization")) => {
                return answer("401 Unauthorized", "", "");
            }
            _ => {
                let before = memory.ids.insert(user, id.clone());
                let mut notes = memory.notes.get(path).cloned().unwrap_or_default();
                if path.ends_with("u-0") {
                    notes.extend(memory.stray.clone());
                }
                (notes, before.filter(|_| !is_mended).unwrap_or(id))
            }
        };
        answer("200 OK", &format!("cache-control: private, no-store\r\nx-request-id: {id}\r\n"), body)
    })
}

#[test]
fn each_detector_speaks_on_the_terminal_in_the_evidence_and_on_the_page() {
    let _processors = shared();
    let (server, desk) = (server(false), Desk::new());
    desk.write("s.yaml", &SCENARIO.replace("${WHERE}", &server.url));
    let ended = desk.run(&["run", "s.yaml", "--out", "r"]);
    assert_eq!(ended.code, 1, "{ended}");
    let said = format!("{ended}");
    let lines: Vec<Value> = desk.lines("r/leaks.jsonl");
    let page = desk.text("r/report.html");
    for (detector, tier, word) in [
        ("crossed-answer", "correctness", "one late"),
        ("stale-access", "proven", "token"),
        ("wrong-recipient", "proven", "room-0"),
        ("write-contamination", "proven", "u-1"),
        ("session-fixation", "suspect", "session"),
    ] {
        assert!(said.contains(&format!("{tier} {detector}")), "{detector}: {said}");
        assert!(page.contains(detector), "{detector} is not on the page");
        let of_it: Vec<_> = lines.iter().filter(|l| l["detector"] == detector).collect();
        assert!(!of_it.is_empty() && of_it.iter().all(|l| l["tier"] == tier), "{detector}: {of_it:?}");
        assert!(of_it.iter().any(|l| l.to_string().contains(word)), "{word} of {detector}: {of_it:?}");
        let is_said = |line: &Value, member: &str| line[member].as_str().is_some_and(|text| !text.is_empty());
        assert!(of_it.iter().all(|l| is_said(l, "why") && is_said(l, "hint")), "{of_it:?}");
        let text = format!("{of_it:?}");
        assert!(!text.contains("session-of-") && !text.contains("token-0"), "a credential is told to nobody: {text}");
    }
}

#[test]
fn the_same_server_mended_is_clean() {
    let _processors = shared();
    let (server, desk) = (server(true), Desk::new());
    desk.write("s.yaml", &SCENARIO.replace("${WHERE}", &server.url));
    let (ended, result) = desk.run_undisturbed(&["run", "s.yaml"]);
    assert_eq!(result["isolation"]["state"], "intact", "{ended}");
    assert_eq!(result["totals"]["failed"], 0, "{ended}");
}
