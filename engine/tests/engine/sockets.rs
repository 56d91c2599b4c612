//! WebSockets against servers of every manner: round trips, messages that nobody asked for, ends good and bad.

use super::streams::setup;
use super::{assert_laws, program};
use engine::run_result::{RunResult, Tier};
use engine::simulate::{Reply, simulate};
use engine::{Unobserved, run_result::Messages};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocket};
use tokio_tungstenite::tungstenite::{Message, accept};

type Server = WebSocket<TcpStream>;

pub fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

/// Accepts and behaves.
fn server(behave: impl Fn(&mut Server) + Send + Sync + 'static) -> u16 {
    listen(move |stream| {
        if let Ok(mut socket) = accept(stream) {
            behave(&mut socket);
        }
    })
}

/// Accepts, and then writes raw bytes.
fn raw(bytes: Vec<u8>) -> u16 {
    server(move |socket| {
        let _ = socket.get_mut().write_all(&bytes);
        let _ = socket.get_mut().read(&mut [0; 100]);
    })
}

fn text(profile: &str, port: u16, socket: &str) -> String {
    format!(
        "watertight: 1\nname: sockets\ntargets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: 2s }} }}\n\
         roles: {{ u: {{ accounts: {{ count: 2, values: {{ id: 'u-{{{{ index }}}}' }} }} }} }}\n\
         journeys:\n  j:\n    as: u\n    target: t\n    after_failure: 50ms..50ms\n    steps:\n{socket}\n\
         profiles: {{ p: {profile} }}\n"
    )
}

fn run(port: u16, socket: &str) -> RunResult {
    let text = text("{ users: 2, for: 400ms, graceful_stop: 4s }", port, socket);
    let result = engine::run(&program(&text), setup(1), &mut Unobserved).expect("the run starts").result;
    assert_laws(&result);
    for (header, step) in result.header.steps.iter().zip(&result.steps) {
        let m = step.messages;
        assert_eq!(m.expected, m.matched + m.missed + m.unfinished, "{}: {m:?}", header.name);
        assert!(header.socket || m == Messages::default());
    }
    result
}

const TALK: &str = "      - websocket /ws/{{ account.id }}:
          steps:
            - send: { json: { type: message, text: 'hello {{ marker }}' } }
            - receive: { $.type: reply }
              within: 1s
              save: { said: $.text, n: $.n }
            - think: 5ms
            - send: '{{ said }}'
            - receive: { $.n: '> {{ n }}' }
            - send: { base64: aGVsbG8= }";

/// Answers each message twice: first with a word that nobody waits for.
fn echo(socket: &mut Server) {
    let mut n = 0;
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                n += 1;
                let reply = serde_json::json!({ "type": "reply", "text": text.as_str(), "n": n }).to_string();
                let _ = socket.write(Message::text("{\"type\":\"typing\"}"));
                if socket.send(Message::text(reply)).is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

#[test]
fn a_talk_is_opened_spoken_and_closed() {
    let result = run(server(echo), TALK);
    let step = &result.steps[0];
    let m = step.messages;
    assert!(
        step.counts.ok > 1 && step.counts.failed == 0 && result.errors.is_empty(),
        "{:?} {:?}",
        step.counts,
        result.errors
    );
    assert_eq!((m.sent, m.received, m.matched), (3 * step.counts.ok, 4 * step.counts.ok, 2 * step.counts.ok), "{m:?}");
    assert_eq!(step.message.count(), m.matched);
    assert_eq!(step.connect.count(), step.counts.ok, "each has a connection of its own");
    assert_eq!(result.iterations.completed, step.counts.ok);
    assert_eq!(result.steps[0].statuses.get(&101), Some(&step.counts.ok));
    let seen = result.isolation.steps[0];
    assert!(seen.controlled > 0, "the own marker came back in a message: {seen:?}");
    assert!(result.isolation.groups.is_empty(), "{:?}", result.isolation.groups);
}

#[test]
fn requests_and_think_times_may_stand_between_messages() {
    let port = listen(|stream| {
        let mut first = [0; 4];
        let _ = stream.peek(&mut first);
        if &first == b"GET " {
            if let Ok(mut socket) = accept(stream) {
                echo(&mut socket);
            }
        } else {
            let mut stream = stream;
            while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        }
    });
    let steps = "      - POST /login: {}
      - websocket /ws:
          steps:
            - send: { json: { a: 1 } }
            - POST /login: {}
            - think: 20ms
            - receive: { $.type: reply }
      - POST /login: {}";
    let result = run(port, steps);
    assert!(result.errors.is_empty(), "{:?}", result.errors);
    let login = result.steps.iter().zip(&result.header.steps).find(|(_, h)| h.name == "POST /login").expect("a step").0;
    assert!(login.counts.ok >= 6 && login.connect.count() == 2, "the users' HTTP connections are kept");
    // The reply came in the think time; the round trip is not the user's thinking.
    let trip = result.steps.iter().find(|s| s.message.count() > 0).expect("round trips");
    assert_eq!(trip.messages.matched, trip.message.count());
}

fn check(port: u16, socket: &str, kinds: &[&str]) {
    let result = run(port, socket);
    assert!(!result.errors.is_empty(), "{kinds:?}: {:?}", result.totals());
    assert!(result.errors.iter().all(|e| kinds.contains(&e.kind.as_str())), "{kinds:?}: {:?}", result.errors);
    assert_eq!(result.iterations.completed, 0, "{kinds:?}");
}

fn waits(within: &str) -> String {
    format!(
        "      - websocket /ws:\n          steps:\n            - receive: {{ $.type: never }}\n              within: {within}"
    )
}

#[test]
fn each_bad_end_has_its_name() {
    let close = |code: u16, reason: &'static str| {
        server(move |socket| {
            let _ = socket.close(Some(CloseFrame { code: CloseCode::from(code), reason: reason.into() }));
            while socket.read().is_ok() {}
        })
    };
    check(close(1011, "sorry"), &waits("1s"), &["closed 1011"]);
    check(close(1000, ""), &waits("1s"), &["closed 1000"]);
    check(server(|socket| drop(socket.close(None))), &waits("1s"), &["closed without a code"]);
    check(server(|socket| drop(socket.read())), &waits("50ms"), &["no matching message within 50ms"]);
    check(server(|_| {}), &waits("1s"), &["connection closed early", "connection reset"]);
    check(
        server(|socket| {
            for _ in 0..3 {
                let _ = socket.send(Message::text("{\"type\":\"other\"}"));
            }
        }),
        &waits("1s"),
        &["connection closed early", "connection reset"],
    );
}

#[test]
fn each_bad_accept_has_its_name() {
    let answer = |text: &'static str| {
        listen(move |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(text.as_bytes());
            let _ = stream.read(&mut [0; 100]);
        })
    };
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
    check(answer("HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n"), &waits("1s"), &["status 403"]);
    check(answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), &waits("1s"), &["status 200"]);
    let wrong: &'static str = format!("{upgrade}sec-websocket-accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n").leak();
    check(answer(wrong), &waits("1s"), &["bad websocket accept"]);
    let none: &'static str = format!("{upgrade}\r\n").leak();
    check(answer(none), &waits("1s"), &["bad websocket accept"]);
    check(answer("SSH-2.0-OpenSSH\r\n\r\n"), &waits("1s"), &["malformed answer"]);
}

#[test]
fn hostile_frames_have_names_and_do_no_harm() {
    // A text frame that claims 2^62 bytes.
    let mut huge = vec![0x81, 127];
    huge.extend_from_slice(&(1u64 << 62).to_be_bytes());
    check(raw(huge), &waits("1s"), &["message too large"]);
    // Fragments without end: none may be collected for ever.
    let flood = server(|socket| {
        let first = [&[0x01, 126, 0x40, 0x00][..], &[b'x'; 0x4000]].concat();
        let more = [&[0x00, 126, 0x40, 0x00][..], &[b'x'; 0x4000]].concat();
        let stream = socket.get_mut();
        let _ = stream.write_all(&first);
        while stream.write_all(&more).is_ok() {}
    });
    check(flood, &waits("3s"), &["message too large"]);
    check(raw(vec![0x81, 2, 0xff, 0xfe]), &waits("1s"), &["message is no UTF-8"]);
    check(raw(vec![0x83, 0]), &waits("1s"), &["bad websocket frame"]);
    check(raw(vec![0xf1, 0]), &waits("1s"), &["bad websocket frame"]);
    check(raw(b"HTTP/1.1 200 OK\r\n\r\n".repeat(10)), &waits("1s"), &["bad websocket frame"]);
    // Messages by the thousand that nobody waits for, while the user waits and while it thinks.
    let talker = server(|socket| while socket.send(Message::text("{\"type\":\"noise\"}")).is_ok() {});
    check(talker, &waits("100ms"), &["no matching message within 100ms"]);
    let talker = server(|socket| while socket.send(Message::text("{\"type\":\"noise\"}")).is_ok() {});
    let result = run(talker, "      - websocket /ws:\n          steps: [ { think: 100ms } ]");
    assert!(result.iterations.completed > 1 && result.errors.is_empty(), "{:?}", result.errors);
    assert!(result.steps[0].messages.received > 1000, "{:?}", result.steps[0].messages);
}

#[test]
fn an_end_while_the_user_thinks_is_noticed() {
    let port = server(|socket| {
        let _ = socket.close(Some(CloseFrame { code: CloseCode::Error, reason: "restart".into() }));
        while socket.read().is_ok() {}
    });
    let result = run(port, "      - websocket /ws:\n          steps: [ { think: 50ms } ]");
    assert!(result.errors.iter().all(|e| e.kind == "closed 1011") && !result.errors.is_empty(), "{:?}", result.errors);
    let step = &result.steps[0];
    assert_eq!(step.messages.lost, step.counts.ok);
    assert_eq!(result.iterations.gave_up, step.counts.ok, "{:?}", result.iterations);
    let polite = server(|socket| {
        let _ = socket.close(Some(CloseFrame { code: CloseCode::Away, reason: "".into() }));
        while socket.read().is_ok() {}
    });
    let result = run(polite, "      - websocket /ws:\n          steps: [ { think: 50ms } ]");
    assert!(result.errors.is_empty() && result.iterations.completed > 0, "{:?}", result.errors);
}

#[test]
fn on_failure_continue_plays_on() {
    let port = server(|socket| while socket.read().is_ok() {});
    let socket = "      - websocket /ws:
          on_failure: continue
          steps:
            - receive: { $.type: never }
              within: 20ms
            - send: hello";
    let result = run(port, socket);
    let m = result.steps[0].messages;
    assert!(m.missed > 0 && m.sent == m.missed && result.iterations.gave_up == 0, "{m:?} {:?}", result.iterations);
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let result = run(nobody, socket);
    assert!(result.iterations.gave_up == 0 && result.iterations.completed > 0);
    assert_eq!(result.steps[0].messages, Messages::default(), "without a connection its steps are left out");
}

#[test]
fn a_message_of_somebody_else_is_a_leak_wherever_it_comes() {
    // Everybody who is there hears what anybody says: unasked, and by the close reason.
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let port = server(move |socket| {
        let Ok(Message::Text(text)) = socket.read() else { return };
        let all = {
            let mut heard = heard.lock().expect("nobody panics");
            heard.push(text.as_str().to_owned());
            heard.clone()
        };
        for said in &all {
            let _ = socket.send(Message::text(said.clone()));
        }
        let word = all[0].split('"').find(|w| w.starts_with("hello")).unwrap_or_default().replace("hello ", "");
        let _ = socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: word.into() }));
        while socket.read().is_ok() {}
    });
    let socket = "      - websocket /ws:
          steps:
            - send: { json: { text: 'hello {{ marker }}' } }
            - think: 60ms";
    let result = run(port, socket);
    let places: Vec<_> = result
        .isolation
        .groups
        .iter()
        .filter(|g| g.key.tier == Tier::Proven && g.key.detector == "foreign-marker")
        .map(|g| g.key.place.as_str())
        .collect();
    assert!(places.contains(&"message") && places.contains(&"close reason"), "{:?}", result.isolation.groups);
    let example = &result.isolation.groups[0].examples[0];
    assert!(example.reader.request.contains("GET /ws"), "{example:?}");
}

/// Refuses every other upgrade with 401, and talks on the rest; answers a log-in.
fn forgetful() -> u16 {
    let upgrades = std::sync::atomic::AtomicU32::new(0);
    listen(move |mut stream| {
        let mut first = [0; 4];
        let _ = stream.peek(&mut first);
        if &first == b"POST" {
            while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        } else if upgrades.fetch_add(1, std::sync::atomic::Ordering::SeqCst).is_multiple_of(2) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n");
        } else if let Ok(mut socket) = accept(stream) {
            echo(&mut socket);
        }
    })
}

#[test]
fn a_websocket_that_is_told_to_log_in_is_opened_again_after_it() {
    let socket = "      - websocket /ws:
          steps: [ { send: '{}' }, { receive: { $.type: reply } }, { think: 20ms } ]";
    let before = "    before: { steps: [ POST /in ], on_status: 401 }\n    steps:\n";
    let text = text("{ users: 1, for: 300ms, graceful_stop: 4s }", forgetful(), socket).replace("    steps:\n", before);
    let result = engine::run(&program(&text), setup(1), &mut Unobserved).expect("the run starts").result;
    assert_laws(&result);
    let step = &result.steps[result.header.steps.iter().position(|s| s.socket).expect("it is there")];
    let (counts, m) = (step.counts, step.messages);
    assert!(counts.ok > 1 && counts.failed == counts.ok, "{counts:?} {:?}", result.errors);
    assert_eq!((m.sent, m.matched), (counts.ok, counts.ok), "its steps are played once it is open, {m:?}");
    assert_eq!(result.iterations.completed, counts.ok, "{:?}", result.iterations);
}

#[test]
fn abandon_in_the_middle_of_a_talk() {
    let socket = "      - websocket /ws:
          abandon: { chance: 50%, after: 1ms..5ms }
          steps:
            - repeat: 5
              steps:
                - send: { json: { a: 1 } }
                - receive: { $.type: reply }";
    let result = run(server(echo), socket);
    let step = &result.steps[0];
    assert!(step.messages.abandoned > 0 && result.errors.is_empty(), "{:?} {:?}", step.messages, result.errors);
    assert_eq!(result.faults.abandon, step.messages.abandoned + step.counts.abandoned);
    assert!(result.iterations.completed > 0 && result.iterations.gave_up == 0, "{:?}", result.iterations);
}

#[test]
fn the_end_of_the_run_cuts_a_talk_and_the_laws_hold() {
    let port = server(|socket| while socket.read().is_ok() {});
    let text = text("{ users: 2, for: 200ms, graceful_stop: 100ms }", port, &waits("60s"));
    let result = engine::run(&program(&text), setup(1), &mut Unobserved).expect("the run starts").result;
    assert_laws(&result);
    let m = result.steps[0].messages;
    assert_eq!((m.expected, m.unfinished), (2, 2), "{m:?}");
    assert_eq!(result.iterations.cut, 2);
}

#[test]
fn a_simulation_says_that_it_plays_none() {
    let program = program(&text("{ users: 2, for: 1s }", 1, &waits("1s")));
    let mut script = |_: &engine::client::answer::Outgoing, _: u64| Reply::ok(1);
    let refusal = simulate(&program, 0, 1, &mut script).expect_err("there is no WebSocket in a script");
    assert!(refusal.contains("WebSocket"), "{refusal}");
}

/// Plays `socket` with objectives about round trips, on the whole and by windows.
fn measured(port: u16, socket: &str) -> RunResult {
    let text = text("{ users: 2, for: 400ms, graceful_stop: 4s }", port, socket)
        + "sla: [ { message_p90: < 1s }, { message_p90: < 1s, each: 1s } ]\n";
    let result = engine::run(&program(&text), setup(1), &mut Unobserved).expect("the run starts").result;
    assert_laws(&result);
    result
}

#[test]
fn round_trips_are_counted_at_the_limits_and_one_that_never_came_lies_within_none() {
    let talked = measured(server(echo), TALK);
    let step = &talked.steps[0];
    assert!(step.messages.matched > 1, "{:?}", step.messages);
    assert_eq!(step.streams_within, [step.messages.matched], "one limit, told twice");
    let window = &talked.windows[0].windows[0];
    assert_eq!((window.n, window.about[0].within), (step.messages.matched, step.messages.matched), "{window:?}");

    let unanswered = measured(
        server(|socket| while socket.read().is_ok() {}),
        "      - websocket /ws:
          steps:
            - send: hello
            - receive: { $.type: never }
              within: 20ms",
    );
    let step = &unanswered.steps[0];
    assert!(step.messages.missed > 0 && step.messages.matched == 0, "{:?}", step.messages);
    assert_eq!(step.message.count(), step.messages.missed, "each was waited for, and is among the times");
    assert_eq!(step.streams_within.iter().sum::<u64>(), 0, "20 ms of waiting is no answer within 1 s");
    assert_eq!(unanswered.windows[0].windows[0].about[0].within, 0);
}
