//! WebSockets of users that are busy with something else: what comes meanwhile is heard when it comes, pings are answered
//! and the end is noticed, while an HTTP answer takes its time and while the user waits for whatever else.

use super::loopback::{listen, ok, request, run_file};
use engine::run_result::{RunResult, Tier};
use std::collections::HashMap;
use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::{Message, accept, accept_hdr};

/// Longer than anything here takes that works.
const PATIENCE: Duration = Duration::from_secs(4);

/// A user's open WebSocket as the server's HTTP side has it: what it says, and what it hears.
struct Open {
    stream: TcpStream,
    heard: Receiver<Message>,
}

impl Open {
    fn say(&mut self, kind: u8, text: &[u8]) {
        let length = u8::try_from(text.len()).expect("a short frame");
        // A client that has gone is no failure of the test's server.
        let _ = self.stream.write_all(&[&[0x80 | kind, length], text].concat());
    }

    /// Whether the client says such a thing in time.
    fn hears(&self, what: fn(&Message) -> bool) -> bool {
        loop {
            match self.heard.recv_timeout(PATIENCE) {
                Ok(message) if what(&message) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// By the last segment of the path: the WebSocket that is open there.
#[derive(Default)]
struct Lines {
    open: Mutex<HashMap<String, Open>>,
    changed: Condvar,
}

impl Lines {
    fn put(&self, id: &str, open: Open) {
        self.open.lock().expect("nobody dies holding it").insert(id.to_owned(), open);
        self.changed.notify_all();
    }

    fn take(&self, id: &str) -> Option<Open> {
        let open = self.open.lock().expect("nobody dies holding it");
        let (mut open, _) = self.changed.wait_timeout_while(open, PATIENCE, |o| !o.contains_key(id)).expect("as above");
        open.remove(id)
    }
}

/// WebSockets at `/ws/ID`. Any other request to `/…/ID` is answered by `answer`, which has the WebSocket of that id.
fn server(answer: impl Fn(&mut Open, &str, &mut TcpStream) -> String + Send + Sync + 'static) -> u16 {
    let lines = Arc::new(Lines::default());
    listen(move |mut stream| {
        let mut first = [0; 7];
        let _ = stream.peek(&mut first);
        if &first == b"GET /ws" {
            return talk(stream, &lines);
        }
        while let Some(request) = request(&mut stream) {
            let path = request.split([' ', '?']).nth(1).unwrap_or_default();
            let id = path.rsplit('/').next().unwrap_or_default();
            let answer = match lines.take(id) {
                Some(mut open) => {
                    let answer = answer(&mut open, &request, &mut stream);
                    lines.put(id, open);
                    answer
                }
                None => moved_away(),
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

fn moved_away() -> String {
    "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n".to_owned()
}

fn unavailable() -> String {
    "HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n".to_owned()
}

fn talk(stream: TcpStream, lines: &Lines) {
    let mut id = String::new();
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let read_id = |request: &Request, response: Response| {
        id = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        // Whoever asks after the answer to this wants the new one.
        lines.open.lock().expect("nobody dies holding it").remove(&id);
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr(stream, read_id) else { return };
    let (tell, heard) = channel();
    let Ok(stream) = socket.get_ref().try_clone() else { return };
    lines.put(&id, Open { stream, heard });
    while let Ok(message) = socket.read() {
        if tell.send(message).is_err() {
            return;
        }
    }
}

/// Waits for nothing.
fn pause(time: Duration) {
    let (_nobody, silence) = channel::<()>();
    assert_eq!(silence.recv_timeout(time), Err(RecvTimeoutError::Timeout));
}

/// Plays a WebSocket with these steps, one a line; `*` stands for the user's id.
fn run(port: u16, users: u32, steps: &[&str]) -> RunResult {
    run_with(port, users, "", steps)
}

/// As [`run`], with a key more for the WebSocket.
fn run_with(port: u16, users: u32, key: &str, steps: &[&str]) -> RunResult {
    let lines: String =
        steps.iter().map(|step| format!("            - {}\n", step.replace('*', "{{ account.id }}"))).collect();
    let socket = format!("{key}          steps:\n{lines}");
    run_file(&format!(
        "watertight: 1\nname: beside\ntargets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: 10s }} }}\n\
         roles: {{ u: {{ accounts: {{ count: 2, values: {{ id: 'u-{{{{ index }}}}' }} }} }} }}\n\
         journeys:\n  j:\n    as: u\n    target: t\n    after_failure: 1s..1s\n    steps:\n      - websocket /ws/{{{{ account.id }}}}:\n{socket}\
         profiles: {{ p: {{ users: {users}, for: 100ms, graceful_stop: 20s }} }}\n"
    ))
}

#[track_caller]
fn assert_well(result: &RunResult) {
    assert!(result.errors.is_empty() && result.iterations.completed > 0, "{:?} {:?}", result.errors, result.iterations);
}

#[test]
fn a_message_that_comes_during_an_http_answer_has_the_time_at_which_it_came() {
    const ANSWER: Duration = Duration::from_millis(1500);
    let port = server(|open, _, _| {
        open.say(TEXT, b"reply");
        pause(ANSWER);
        ok("")
    });
    let result = run(port, 1, &["send: hello", "GET /slow/*", "receive: reply"]);
    assert_well(&result);
    let socket = &result.steps[0];
    assert!(result.steps[1].service.min_ns >= 1_400_000_000, "the answer took its time");
    let longest = socket.message.times().expect("a round trip").max_ns;
    assert!(socket.messages.matched > 0 && longest < 1_000_000_000, "{longest} ns");
    let port = server(|open, text, _| {
        if text.contains("/slow/") {
            open.say(TEXT, b"reply");
            pause(ANSWER);
        }
        ok("")
    });
    let result = run(port, 1, &["send: hello", "parallel: [ 'GET /slow/*', 'GET /none/*' ]", "receive: reply"]);
    assert_well(&result);
    let socket = &result.steps[0];
    let longest = socket.message.times().expect("a round trip").max_ns;
    assert!(socket.messages.matched > 0 && longest < 1_000_000_000, "{longest} ns");
}

/// Answers once the client has answered a ping.
fn after_a_pong(open: &mut Open) -> String {
    open.say(PING, b"are you there");
    if open.hears(|m| matches!(m, Message::Pong(said) if &said[..] == b"are you there")) {
        ok("")
    } else {
        unavailable()
    }
}

#[test]
fn a_ping_is_answered_while_the_user_waits_for_an_answer() {
    for steps in [
        "GET /slow/*",
        "POST /slow/*: { json: { note: '{{ marker }}' } }",
        "parallel: [ 'GET /slow/*', 'GET /slow/*' ]",
    ] {
        let result = run(server(|open, _, _| after_a_pong(open)), 2, &[steps]);
        assert_well(&result);
    }
}

#[test]
fn a_ping_is_answered_while_a_stream_of_events_goes_on() {
    let port = server(|open, _, stream| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let _ = stream.write_all(format!("{head}b\r\ndata: one\n\n\r\n").as_bytes());
        let last = if after_a_pong(open).contains("200") { "DONE" } else { "lost" };
        format!("c\r\ndata: {last}\n\n\r\n0\r\n\r\n")
    });
    assert_well(&run(port, 2, &["GET /events/*: { events: { until: DONE } }"]));
}

#[test]
fn heartbeats_leave_while_the_user_waits_for_an_answer() {
    let port = server(|open, _, _| {
        let is_ping: fn(&Message) -> bool = |m| matches!(m, Message::Ping(_));
        if open.hears(is_ping) && open.hears(is_ping) { ok("") } else { unavailable() }
    });
    assert_well(&run_with(port, 1, "          heartbeat: 100ms\n", &["GET /slow/*"]));
}

#[test]
fn a_ping_is_answered_while_the_user_waits_to_try_again() {
    for steps in [
        "GET /later/*: { retry: { on: 503, times: 1, wait: 500ms } }",
        "parallel: [ { 'GET /later/*': { retry: { on: 503, times: 1, wait: 500ms } } } ]",
    ] {
        // The first try is sent away, with a ping behind it; by the second its pong has long been there.
        let is_first = Mutex::new(true);
        let port = server(move |open, _, stream| {
            if std::mem::take(&mut *is_first.lock().expect("nobody dies holding it")) {
                let _ = stream.write_all(unavailable().as_bytes());
                pause(Duration::from_millis(100));
                open.say(PING, b"");
                return String::new();
            }
            let has_come = open.heard.try_iter().any(|m| matches!(m, Message::Pong(_)));
            if has_come { ok("") } else { moved_away() }
        });
        let result = run(port, 1, &[steps]);
        assert!(
            result.errors.iter().all(|e| e.kind == "status 503") && result.iterations.completed > 0,
            "{:?}",
            result.errors
        );
    }
}

#[test]
fn an_end_during_an_answer_is_noticed_and_what_it_says_is_scanned() {
    // Everybody is told goodbye with what the other one said; the client's answer to it comes while it still waits.
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let port = server(move |open, _, _| {
        let Ok(Message::Text(text)) = open.heard.recv_timeout(PATIENCE) else { return unavailable() };
        let other = {
            let mut said = said.lock().expect("nobody dies holding it");
            said.push(text.as_str().to_owned());
            said.iter().find(|s| **s != *text.as_str()).cloned().unwrap_or_default()
        };
        open.say(CLOSE, &[&[0x03, 0xf3][..], other.as_bytes()].concat());
        if open.hears(|m| matches!(m, Message::Close(_))) { ok("") } else { unavailable() }
    });
    let result = run(port, 2, &["send: '{{ marker }}'", "GET /slow/*"]);
    assert!(!result.errors.is_empty() && result.errors.iter().all(|e| e.kind == "closed 1011"), "{:?}", result.errors);
    let socket = &result.steps[0];
    assert_eq!(socket.messages.lost, socket.counts.ok, "{:?}", socket.messages);
    assert_eq!(result.steps[1].counts.ok, socket.counts.ok, "the answers themselves were good");
    assert_eq!(result.iterations.gave_up, socket.counts.ok, "{:?}", result.iterations);
    let found = |g: &engine::run_result::LeakGroup| {
        (g.key.detector.as_str(), g.key.tier, g.key.place.as_str()) == ("foreign-marker", Tier::Proven, "close reason")
    };
    assert!(result.isolation.groups.iter().any(found), "{:?}", result.isolation.groups);
}

#[test]
fn a_message_that_repeats_the_request_under_way_is_no_leak() {
    // An answer gives away what the other user said, which is a leak. That whoever then asks with it hears over the
    // WebSocket what it asks for is none; to hear it without having asked is one more.
    for (ask, is_leak) in [("?n={{ note }}", false), ("", true)] {
        let said: Arc<Mutex<HashMap<bool, String>>> = Arc::default();
        let port = server(move |open, text, _| {
            let is_first = text.lines().next().unwrap_or_default().contains("/u-0");
            let others = || said.lock().expect("nobody dies holding it").get(&!is_first).cloned();
            match text.split_once("\r\n\r\n") {
                Some((head, body)) if head.starts_with("POST") => {
                    said.lock().expect("nobody dies holding it").insert(is_first, body.to_owned());
                    ok("")
                }
                _ => {
                    let others = (0..800).find_map(|_| {
                        let others = others();
                        if others.is_none() {
                            pause(Duration::from_millis(5));
                        }
                        others
                    });
                    let others = others.unwrap_or_default();
                    if text.starts_with("GET /peek") {
                        return ok(&others);
                    }
                    open.say(TEXT, others.as_bytes());
                    after_a_pong(open)
                }
            }
        });
        let ask = format!("GET /ask/*{ask}");
        let steps = [
            "POST /tell/*: { body: '{{ marker }}' }",
            "GET /peek/*: { save: { note: { regex: .+ } } }",
            &ask,
            "think: 300ms",
        ];
        let result = run(port, 2, &steps);
        assert_well(&result);
        let places: Vec<_> =
            result.isolation.groups.iter().map(|g| (g.key.detector.as_str(), g.key.place.as_str())).collect();
        assert!(places.contains(&("foreign-marker", "body")), "{places:?}");
        assert_eq!(places.contains(&("foreign-marker", "message")), is_leak, "{ask}: {places:?}");
    }
}

#[test]
fn who_talks_at_length_hears_meanwhile() {
    // The server says twelve megabytes before it reads a byte; its buffers and the client's hold less than either says.
    let port = listen(|stream| {
        let socket = socket2::SockRef::from(&stream);
        let _ = (socket.set_send_buffer_size(1 << 16), socket.set_recv_buffer_size(1 << 16));
        let Ok(mut socket) = accept(stream) else { return };
        let piece = "x".repeat(100_000);
        for _ in 0..120 {
            let _ = socket.write(Message::text(piece.clone()));
        }
        let _ = socket.flush();
        if let Ok(Message::Text(text)) = socket.read() {
            let _ = socket.send(Message::text(text.len().to_string()));
        }
        while socket.read().is_ok() {}
    });
    let long = format!("set: {{ long: {} }}", "x".repeat(1000));
    let double = "repeat: 13\n              steps: [ { set: { long: '{{ long }}{{ long }}' } } ]";
    let result = run(port, 1, &[&long, double, "send: '{{ long }}'", "receive: '8192000'"]);
    assert_well(&result);
    assert!(result.steps[0].messages.received > 120, "{:?}", result.steps[0].messages);
}
