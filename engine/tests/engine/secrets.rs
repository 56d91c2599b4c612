//! What a message, a setup or a `set` brought as a secret stands in no file, and a credential that came as a message is
//! watched like any other.

use super::program;
use super::sockets::listen;
use engine::run_result::{RunResult, Tier};
use engine::{HeaderFacts, Setup, Unobserved};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio_tungstenite::tungstenite::{Message, accept};

/// Over a WebSocket a greeting with a word, by the number of the talk; over HTTP always 500, with all that was asked.
fn target(greeting: impl Fn(usize) -> String + Send + Sync + 'static) -> u16 {
    let count = AtomicUsize::new(0);
    // Everybody hears what anybody said before.
    let said: Mutex<Vec<String>> = Mutex::default();
    listen(move |mut stream: TcpStream| {
        let mut first = [0; 7];
        let _ = stream.peek(&mut first);
        if &first != b"GET /ws" {
            let mut request = [0; 8192];
            while let Ok(n @ 1..) = stream.read(&mut request) {
                let head = format!("HTTP/1.1 500 Oops\r\ncontent-length: {n}\r\n\r\n");
                let _ = stream.write_all(&[head.as_bytes(), &request[..n]].concat());
            }
            return;
        }
        let Ok(mut socket) = accept(stream) else { return };
        while let Ok(message) = socket.read() {
            let Message::Text(text) = message else { continue };
            let mut said = said.lock().expect("nobody panics with it");
            let greeting = greeting(count.fetch_add(1, Ordering::Relaxed));
            let others = said.join(" ");
            said.push(text.to_string());
            drop(said);
            let _ = socket.send(Message::text(greeting.replace("OTHERS", &others)));
        }
    })
}

/// Plays it, and answers all that is stored of it too.
fn shown(text: &str) -> (RunResult, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = Setup {
        profile: 0,
        facts: HeaderFacts::default(),
        seed: 1,
        workers: 1,
        key: [1; 32],
        folder: Some(folder.path().to_path_buf()),
        stop: Arc::default(),
        health_requests: 0,
    };
    let result = engine::run_at_most(&program(text), setup, Some(6), &mut Unobserved).expect("it starts").result;
    let stored = ["run.json", "failures.jsonl", "leaks.jsonl"]
        .map(|file| std::fs::read_to_string(folder.path().join(file)).expect("it is stored"));
    (result, stored.concat())
}

fn file(port: u16, around: &str, steps: &str) -> String {
    format!(
        "watertight: 1\ntargets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: 5s }} }}\n{around}\
         roles: {{ r: {{ accounts: {{ count: 2, values: {{ id: 'u-{{{{ index }}}}', pin: 'pin-of-{{{{ index }}}}-x' }}, columns: {{ pin: {{ secret: true }} }} }} }} }}\n\
         journeys:\n  j:\n    as: r\n    on_failure: continue\n    after_failure: 1ms\n    steps:\n{steps}\
         profiles: {{ p: {{ users: 2, for: 20s }} }}\n"
    )
}

const TALK: &str = "      - websocket /ws:
          steps:
            - send: 'my words {{ marker }}'
            - receive: { $.type: hello }
              save: { word: { json: $.word, SECRET }, rest: $.type }
      - set: { packed: \"{{ base64(word) }}\", pinned: \"{{ base64(account.pin) }}\", is_it: \"{{ word == null ? 'nobody' : 'somebody' }}\" }
      - POST /x/{{ is_it }}: { headers: { x-word: '{{ word }}', x-packed: '{{ packed }}', x-pin: '{{ pinned }}' } }
      - for_each: \"[word + '-1', word + '-2']\"
        as: item
        steps: [ \"GET /item/{{ item }}\", { set: { again: \"{{ base64(item) }}\" } }, \"GET /again/{{ again }}\" ]
";

#[test]
fn what_a_message_brought_as_a_secret_stands_nowhere() {
    let greeting = |n: usize| format!("{{\"type\":\"hello\",\"word\":\"w0rd-{n}-of-mine\",\"others\":\"OTHERS\"}}");
    let (result, shown) = shown(&file(target(greeting), "", &TALK.replace("SECRET", "secret: true")));
    assert!(result.errors.iter().all(|e| e.kind == "status 500") && !result.errors.is_empty(), "{:?}", result.errors);
    let leak =
        result.isolation.groups.iter().find(|g| g.key.detector == "foreign-marker").expect("words of others came");
    assert!(leak.examples[0].excerpt.contains("my words"), "{:?}", leak.examples[0]);
    // `w0rd-` and `pin-of-` in base64, which is the same at each of its starts that is used here.
    for secret in ["w0rd-", "dzByZC", "pin-of-", "cGluLW9m"] {
        assert!(!shown.contains(secret), "`{secret}` in {shown}");
    }
    assert!(shown.contains("POST /x/somebody"), "what is only asked about a secret is none: {shown}");
}

#[test]
fn what_a_message_brought_to_the_setup_stands_nowhere() {
    let greeting = |n: usize| format!("{{\"type\":\"hello\",\"word\":\"w0rd-{n}-of-all\"}}");
    let around = "setup:\n  - websocket /ws:\n      steps:\n        - send: hello\n        - receive: { $.type: hello }\n          \
                  save: { word: { json: $.word, secret: true } }\n";
    let steps = "      - set: { packed: \"{{ base64(word) }}\" }\n      - POST /x: { headers: { x-word: '{{ word }}', x-packed: '{{ packed }}' } }\n";
    let (result, shown) = shown(&file(target(greeting), around, steps));
    assert!(result.totals().failed > 0 && shown.contains("x-word: ***"), "{shown}");
    assert!(!shown.contains("w0rd-") && !shown.contains("dzByZC"), "{shown}");
}

#[test]
fn a_credential_of_a_message_is_watched_and_masked() {
    let found = |result: &RunResult| -> Vec<(String, String, Tier)> {
        let groups = result.isolation.groups.iter().filter(|g| g.key.detector == "credential");
        groups.map(|g| (result.header.steps[g.key.step].name.clone(), g.key.place.clone(), g.key.tier)).collect()
    };
    let talk = TALK.replace("SECRET", "credential: true");
    let (result, shown) =
        shown(&file(target(|_| "{\"type\":\"hello\",\"word\":\"w0rd-for-everybody\"}".into()), "", &talk));
    assert_eq!(found(&result), [("websocket /ws".into(), "message".into(), Tier::Proven)]);
    assert!(!shown.contains("w0rd-") && !shown.contains("dzByZC"), "{shown}");
    let own = |n: usize| format!("{{\"type\":\"hello\",\"word\":\"w0rd-{n}-of-mine\"}}");
    let (result, _) = self::shown(&file(target(own), "", &talk));
    assert_eq!(found(&result), []);
}

#[test]
fn what_an_event_stream_brought_as_a_secret_stands_nowhere() {
    let port = listen(|mut stream: TcpStream| {
        let mut request = [0; 8192];
        while let Ok(n @ 1..) = stream.read(&mut request) {
            let asked = String::from_utf8_lossy(&request[..n]).into_owned();
            let events = "data: {\"n\":1}\n\ndata: {\"ticket\":\"t1ck-of-mine\"}\n\n";
            let answer = if asked.starts_with("GET /events") {
                let kind = "content-type: text/event-stream";
                format!("HTTP/1.1 200 OK\r\n{kind}\r\ncontent-length: {}\r\n\r\n{events}", events.len())
            } else {
                format!("HTTP/1.1 500 Oops\r\ncontent-length: {n}\r\n\r\n{asked}")
            };
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let save = "save: { ticket: { json: $.ticket, secret: true } }";
    // The first is heard but not saved, as there are too few events; the second is saved and sent on.
    let steps = format!(
        "      - GET /events: {{ events: {{}}, name: too few, expect: {{ events: 99 }}, {save} }}\n      - GET /events: {{ events: {{}}, {save} }}\n      \
         - POST /x: {{ json: {{ it: \"{{{{ ticket }}}}\" }} }}\n"
    );
    let (result, shown) = shown(&file(port, "", &steps));
    let kinds: Vec<_> = result.errors.iter().map(|e| e.kind.as_str()).collect();
    assert!(kinds.contains(&"check events") && kinds.contains(&"status 500"), "{kinds:?}");
    assert!(shown.contains("ticket") && !shown.contains("t1ck-"), "{shown}");
}
