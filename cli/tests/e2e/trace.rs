//! `trace`: everything that one user does and gets, no secret, and an exit code that is no verdict.

use crate::binary::{Desk, shared};
use crate::server::{self, Server, answer};

const FILE: &str = r#"watertight: 1
name: Traced
targets: { it: { url: "URL", timeout: 2s } }
roles:
  user:
    accounts:
      count: 3
      values: { id: "u-{{ index }}", password: "pw-{{ index }}-s3cret" }
journeys:
  shop:
    as: user
    target: it
    before:
      - POST /log_in:
          json: { name: "{{ account.id }}", password: "{{ account.password }}" }
          save:
            token: { json: $.t, credential: true }
            ticket: { header: x-ticket, secret: true }
    headers: { authorization: "Bearer {{ token }}", x-house: "${HOUSE_TOKEN}" }
    steps:
      - think: 1h
      - set: { n: "{{ 40 + 2 }}" }
      - if: n == 42
        then:
          - POST /notes/{{ ticket }}:
              json: { text: "hello {{ marker }}" }
              expect: { status: 201, header: { x-kind: note }, marker: own, json: { $.n: "< 3" }, that: n > 0 }
              save: { again: $.text }
      - GET /never
  other:
    target: it
    steps: [ GET /other ]
profiles:
  short: { users: 2, for: 1s }
sla:
  - { errors: < 5% }
"#;

fn target(n: u32) -> Server {
    Server::answering(move |request| match request.head.split(' ').nth(1) {
        Some("/log_in") => answer(
            "200 OK",
            "x-ticket: ticket-of-the-day\r\nset-cookie: sid=c00kie-value\r\n",
            r#"{"t":"issued-t0ken","who":"u-0"}"#,
        ),
        Some(path) if path.starts_with("/notes") => {
            let text = request.body.split('"').nth(3).unwrap_or_default();
            answer("201 Created", "x-kind: note\r\n", format!(r#"{{"n":{n},"text":"{text}","token":"issued-t0ken"}}"#))
        }
        _ => answer("200 OK", "", "x".repeat(100_000)),
    })
}

fn trace(target: &Server, more: &[&str]) -> crate::binary::Ended {
    let desk = Desk::new();
    desk.write("s.yaml", &FILE.replace("URL", &target.url));
    let ended = desk.run(&[&["trace", "s.yaml", "--env", "HOUSE_TOKEN=h0use-token"], more].concat());
    assert!(!desk.path("results").exists(), "a trace stores nothing");
    ended
}

/// Each of `parts` stands in the text, one after the other.
#[track_caller]
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("`{part}` is not there, or too early:\n{text}")).1;
    }
}

#[test]
fn everything_is_shown_in_order_and_no_secret() {
    let _processors = shared();
    let target = target(2);
    let ended = trace(&target, &["--journey", "shop"]);
    assert_eq!(ended.code, 0, "{ended}");
    in_order(
        &ended.out,
        &[
            "journey shop, played by user u-0",
            "── before ──",
            "→ POST /log_in   it http://",
            "\"name\": \"u-0\"",
            "← 200 ",
            "set-cookie: ***",
            "\"who\": \"u-0\"",
            "✓ status below 400",
            "saved token = ***",
            "saved ticket = ***",
            "── steps ──",
            "· think 1h",
            "· set n = {{ 40 + 2 }}: 42",
            "· unless n == 42 go to",
            "→ POST /notes/***",
            "authorization: Bearer ***",
            "x-house: ***",
            "plants a marker",
            "← 201 ",
            "✓ status 201",
            "✓ header x-kind is note",
            "✓ $.n < 3",
            "✓ a marker of my own",
            "✓ that n > 0",
            "saved again = hello wtq7zx1",
            "saw a marker of u-0 in body",
            "→ GET /never",
            "(100000 bytes in all)",
            "iteration 1 completed",
        ],
    );
    for secret in ["s3cret", "issued-t0ken", "ticket-of-the-day", "c00kie-value", "h0use-token", "\u{1b}"] {
        assert!(!ended.out.contains(secret) && !ended.err.contains(secret), "`{secret}` is shown: {ended}");
    }
    assert!(ended.out.len() < 20_000, "bodies are shortened");
}

#[test]
fn a_failed_check_is_shown_with_what_came_and_what_was_not_looked_at() {
    let _processors = shared();
    let target = target(7);
    let ended = trace(&target, &["-j", "shop"]);
    assert_eq!(ended.code, 0, "a failed check is data: {ended}");
    let parts = ["✓ header x-kind is note", "✗ $.n < 3: expected 3; came: 7", "? a marker of my own: not looked at"];
    in_order(&ended.out, &parts);
    assert!(ended.out.contains("iteration 1 given up") && !ended.out.contains("GET /never"), "{ended}");
    assert!(!ended.out.contains("saved again"), "{ended}");
}

#[test]
fn iterations_are_counted_and_the_login_is_made_once() {
    let _processors = shared();
    let target = target(1);
    let ended = trace(&target, &["-j", "shop", "--iterations", "3"]);
    assert_eq!(ended.code, 0, "{ended}");
    let times = |part: &str| ended.out.matches(part).count();
    assert_eq!((times("→ POST /log_in"), times("→ POST /notes/"), times("→ GET /never")), (1, 3, 3), "{ended}");
    assert!(ended.out.contains("iteration 3 completed"), "{ended}");
}

#[test]
fn what_cannot_be_traced_is_said() {
    let _processors = shared();
    let target = server::good();
    let ended = trace(&target, &["-j", "shpo"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended}");
    assert!(ended.err.contains("shpo") && ended.err.contains("shop, other"), "{ended}");
    let ended = trace(&target, &[]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.err.contains("--journey") && ended.err.contains("shop, other"), "{ended}");
    assert_eq!(target.connections(), 0, "nothing was sent");
    let dead = trace(&target, &["-j", "other", "--target", "it=http://127.0.0.1:1"]);
    assert_eq!(dead.code, 4, "{dead}");
    let mute = Server::start(drop);
    let ended = trace(&mute, &["-j", "other"]);
    assert_eq!(ended.code, 4, "{ended}");
    assert!(ended.err.contains("nothing was ever answered"), "{ended}");
}

const WHOSE: &str = r#"
watertight: 1
name: whose
targets: { it: "URL" }
roles: { p: { accounts: { count: 3, values: { id: "p-{{ index }}" } } } }
journeys:
  j:
    as: p
    target: it
    on_failure: continue
    steps:
      - GET /mine: { identity: { $.id: "{{ account.id }}" } }
      - GET /theirs: { identity: { $.id: "{{ account.id }}" } }
      - GET /broken: { identity: { $.id: "{{ account.id }}" }, expect: { status: 201 } }
profiles: { p: { users: 1, for: 1s } }
"#;

#[test]
fn an_answer_about_somebody_else_is_no_check_that_held() {
    let _processors = shared();
    let target = Server::answering(|request| match request.head.split(' ').nth(1) {
        Some("/mine") => answer("200 OK", "", r#"{"id":"p-0"}"#),
        _ => answer("200 OK", "", r#"{"id":"p-1"}"#),
    });
    let desk = Desk::new();
    desk.write("s.yaml", &WHOSE.replace("URL", &target.url));
    let ended = desk.run(&["trace", "s.yaml"]);
    in_order(
        &ended.out,
        &[
            "GET /mine",
            "✓ identity $.id is {{ account.id }}",
            "GET /theirs",
            "✗ identity $.id is {{ account.id }}: came: p-1",
            "GET /broken",
            "✗ status 201",
            "✗ identity $.id is {{ account.id }}: came: p-1",
        ],
    );
}
