//! Server-sent events against servers of every manner: what is counted, what is found in them, what is refused.

use super::{assert_laws, play, program};
use engine::run_result::{RunResult, Tier};
use engine::simulate::Reply;
use engine::{HeaderFacts, Setup, Unobserved};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";

/// Serves each request of each connection with `behave`.
pub fn server(behave: impl Fn(&mut TcpStream, &[u8]) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let behave = Arc::new(behave);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let behave = Arc::clone(&behave);
            std::thread::spawn(move || {
                let mut head = [0; 8192];
                while let Ok(n @ 1..) = stream.read(&mut head) {
                    behave(&mut stream, &head[..n]);
                }
            });
        }
    });
    port
}

/// One chunk of a body; a client that has gone is no failure of the server.
fn chunk(stream: &mut TcpStream, text: &[u8]) {
    let _ = stream.write_all(&[format!("{:x}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat());
}

pub fn setup(seed: u64) -> Setup {
    Setup {
        profile: 0,
        facts: HeaderFacts::default(),
        seed,
        workers: 1,
        key: [1; 32],
        folder: None,
        stop: Arc::default(),
        health_requests: 0,
    }
}

/// Plays `steps` with two users against `port`.
fn run(port: u16, timeout: &str, steps: &str) -> RunResult {
    let text = format!(
        "watertight: 1\nname: streams\ntargets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: {timeout} }} }}\n\
         roles: {{ u: {{ accounts: {{ count: 2, values: {{ id: 'u-{{{{ index }}}}' }} }} }} }}\n\
         journeys: {{ j: {{ as: u, target: t, steps: [ {steps} ] }} }}\n\
         profiles: {{ p: {{ users: 2, for: 400ms, graceful_stop: 3s }} }}\n"
    );
    let result = engine::run(&program(&text), setup(1), &mut Unobserved).expect("the run starts").result;
    assert_laws(&result);
    result
}

fn say_ten(stream: &mut TcpStream) {
    let _ = stream.write_all(HEAD);
    for n in 0..10 {
        chunk(stream, format!("data: {{\"c\":\"{n}\",\"last\":{}}}\n\n", n == 9).as_bytes());
    }
    chunk(stream, b"data: [DONE]\n\n");
    let _ = stream.write_all(b"0\r\n\r\n");
}

#[test]
fn events_are_counted_checked_and_saved_and_the_connection_is_kept() {
    let port = server(|s, _| say_ten(s));
    let result = run(
        port,
        "2s",
        "{ GET /s: { events: { text: $.c, until: '[DONE]' }, expect: { first_event: < 1s, event_gap: < 1s, events: 11, \
         json: { $.last: true }, body: { contains: '0123456789' } }, save: { final: $.c, all: { regex: '^(\\d+)$' } } } }, \
         { POST /t: { body: '{{ final }} {{ all }}' } }",
    );
    let step = &result.steps[0];
    assert!(step.counts.ok > 1 && step.counts.failed == 0, "{:?} {:?}", step.counts, result.errors);
    assert_eq!(step.first_event.count(), step.counts.ok);
    assert_eq!(step.event_gap.count(), step.counts.ok * 10);
    assert_eq!(step.connect.count(), 2, "one connection a user: what follows the last event is read away");
}

fn check(behave: impl Fn(&mut TcpStream, &[u8]) + Send + Sync + 'static, options: &str, kind: &str) {
    let result = run(server(behave), "300ms", &format!("{{ GET /s: {{ {options} }} }}"));
    assert!(result.totals().ok == 0, "{kind}: {:?}", result.totals());
    assert!(!result.errors.is_empty() && result.errors.iter().all(|e| e.kind == kind), "{kind}: {:?}", result.errors);
}

#[test]
fn each_broken_stream_has_its_name() {
    let until = "events: { until: '[DONE]' }";
    check(
        |s, _| drop(s.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")),
        until,
        "answer is no event stream",
    );
    check(|s, _| drop(s.write_all(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")), until, "status 503");
    let ends_early = |s: &mut TcpStream, _: &[u8]| {
        let _ = s.write_all(HEAD);
        chunk(s, b"data: 1\n\n");
        let _ = s.write_all(b"0\r\n\r\n");
    };
    check(ends_early, until, "event stream ended before `until`");
    let silent = |s: &mut TcpStream, _: &[u8]| {
        let _ = s.write_all(HEAD);
        chunk(s, b"data: 1\n\n: still there\n\n");
    };
    check(silent, until, "timeout");
    let breaks = |s: &mut TcpStream, _: &[u8]| {
        let _ = s.write_all(HEAD);
        chunk(s, b"data: 1\n\n");
        let _ = s.shutdown(std::net::Shutdown::Both);
    };
    check(breaks, until, "connection closed early");
    check(|s, _| say_ten(s), "events: { until: '[DONE]' }, expect: { events: '> 11' }", "check events");
    check(|s, _| say_ten(s), "events: {}, expect: { first_event: 1us }", "first event later than `first_event`");
    let huge = |s: &mut TcpStream, _: &[u8]| {
        let _ = s.write_all(HEAD);
        let piece = [b'x'; 1 << 16];
        // 100 MB are offered; whoever has heard enough hangs up long before.
        for _ in 0..1600 {
            let size = format!("{:x}\r\n", piece.len());
            if s.write_all(&[size.as_bytes(), &piece, b"\r\n"].concat()).is_err() {
                return;
            }
        }
    };
    check(huge, "events: {}, timeout: 5s", "event too large");
    let endless = |s: &mut TcpStream, _: &[u8]| {
        let _ = s.write_all(HEAD);
        let many = "data: and on and on and on and on\n\n".repeat(1000);
        let whole = [format!("{:x}\r\n", many.len()).as_bytes(), many.as_bytes(), b"\r\n"].concat();
        while s.write_all(&whole).is_ok() {}
    };
    check(endless, "events: {}, timeout: 5s", "answer body too large");
}

#[test]
fn bytes_that_are_no_utf8_are_survived() {
    let port = server(|s, _| {
        let _ = s.write_all(HEAD);
        chunk(s, b"data: \xff\xfe{\"c\":\"\xff\"}\n\ndata: {\"c\":\"ok\"}\n\ndata: [DONE]\n\n");
        let _ = s.write_all(b"0\r\n\r\n");
    });
    let step = "{ GET /s: { events: { text: $.c, until: '[DONE]' }, expect: { body: { contains: ok } } } }";
    let result = run(port, "2s", step);
    assert!(result.totals().ok > 0 && result.totals().failed == 0, "{:?}", result.errors);
}

#[test]
fn a_compressed_stream_is_read_while_it_comes() {
    let port = server(|s, _| {
        let head = [&HEAD[..HEAD.len() - 2], b"content-encoding: gzip\r\n\r\n"].concat();
        let _ = s.write_all(&head);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut sent = 0;
        for text in ["data: {\"c\":\"one\"}\n\n", "data: {\"c\":\"two\"}\n\ndata: [DONE]\n\n"] {
            gzip.write_all(text.as_bytes()).and_then(|()| gzip.flush()).expect("memory does not fail");
            chunk(s, &gzip.get_ref()[sent..]);
            sent = gzip.get_ref().len();
        }
        // No end: the last event is the end.
    });
    let step =
        "{ GET /s: { events: { text: $.c, until: '[DONE]' }, expect: { body: { contains: onetwo }, events: 3 } } }";
    let result = run(port, "2s", step);
    assert!(result.totals().ok > 0 && result.totals().failed == 0, "{:?}", result.errors);
}

const CHAT: &str = "watertight: 1
name: chat
targets: { t: 'http://127.0.0.1:1' }
roles: { u: { accounts: { count: 2, values: { id: 'u-{{ index }}' } } } }
journeys:
  j:
    as: u
    target: t
    steps:
      - POST /chat:
          json: { text: '{{ marker }}' }
          events: { text: $.c, until: '[DONE]' }
      - think: 1s
profiles: { p: { users: 2, for: 10s } }
";

/// The text of a request's JSON, cut into pieces of five, an event each.
fn pieces(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in text.as_bytes().chunks(5) {
        let piece = String::from_utf8_lossy(piece);
        out.extend_from_slice(format!("data: {{\"c\":\"{piece}\"}}\n\n").as_bytes());
    }
    out.extend_from_slice(b"data: [DONE]\n\n");
    out
}

#[test]
fn a_marker_cut_over_many_events_is_found() {
    let mut previous = String::new();
    let result = play(CHAT, 7, |request: &engine::client::answer::Outgoing, _: u64| {
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("it is JSON");
        let own = body["text"].as_str().expect("a text").to_owned();
        let told = std::mem::replace(&mut previous, own);
        let mut reply = Reply::ok(1_000_000);
        reply.headers.insert("content-type", http::HeaderValue::from_static("text/event-stream"));
        reply.body = pieces(&told);
        reply
    });
    assert_laws(&result);
    let leaks: Vec<_> = result.isolation.groups.iter().filter(|g| g.key.tier == Tier::Proven).collect();
    assert_eq!(leaks.len(), 1, "{leaks:?}");
    assert_eq!((leaks[0].key.detector.as_str(), leaks[0].key.place.as_str()), ("foreign-marker", "joined text"));
    assert!(leaks[0].count > 5);
}

#[test]
fn the_same_pieces_of_ones_own_marker_are_the_positive_control() {
    let result = play(CHAT, 7, |request: &engine::client::answer::Outgoing, _: u64| {
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("it is JSON");
        let mut reply = Reply::ok(1_000_000);
        reply.body = pieces(body["text"].as_str().expect("a text"));
        reply
    });
    assert!(result.isolation.groups.is_empty(), "{:?}", result.isolation.groups);
    let seen = result.isolation.steps[0];
    assert!(seen.scanned > 10 && seen.controlled == seen.scanned, "{seen:?}");
}

#[test]
fn a_stream_given_up_in_the_middle_is_a_fault_and_no_failure() {
    let port = server(|s, _| {
        let _ = s.write_all(HEAD);
        chunk(s, b"data: 1\n\n");
    });
    let step = "{ GET /s: { events: { until: '[DONE]' }, abandon: { chance: 100%, after: 20ms..30ms } } }";
    let result = run(port, "5s", step);
    let step = &result.steps[0];
    assert!(step.counts.abandoned > 2 && step.counts.failed == 0, "{:?}", step.counts);
    assert_eq!(result.faults.abandon, step.counts.abandoned);
    // On a busy machine one or the other is given up before its first event.
    let first = step.first_event.count();
    assert!(first > 0 && first <= step.counts.abandoned, "the first event came all the same: {first}");
}

#[test]
fn first_events_and_gaps_are_counted_at_the_limits() {
    let steps = "POST /chat: { name: chat, events: { text: $.c, until: '[DONE]' } }";
    let play = |port: u16, timeout: &str| {
        let text = format!(
            "watertight: 1\nname: streams\ntargets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: {timeout} }} }}\n\
             roles: {{ u: {{ accounts: {{ count: 2, values: {{ id: '{{{{ index }}}}' }} }} }} }}\n\
             journeys: {{ j: {{ as: u, target: t, steps: [ {steps} ] }} }}\n\
             profiles: {{ p: {{ users: 2, for: 400ms, graceful_stop: 3s }} }}\n\
             sla: [ {{ of: {{ journey: j }}, first_event_p95: < 2s }}, {{ event_gap_p99: < 50ms }} ]\n"
        );
        let result = engine::run(&program(&text), setup(1), &mut Unobserved).expect("the run starts").result;
        assert_laws(&result);
        result
    };
    let well = play(server(|stream, _| say_ten(stream)), "2s");
    let step = &well.steps[0];
    assert!(step.first_event.count() > 1);
    assert_eq!(step.streams_within[0], step.first_event.count());
    assert!(
        step.streams_within[1] <= step.event_gap.count() && step.event_gap.count() == 10 * step.first_event.count()
    );

    // Nothing comes before the time limit of 60 ms: not within 2 s, though it was waited for less.
    let silent = play(server(|stream, _| drop(stream.write_all(HEAD))), "60ms");
    let step = &silent.steps[0];
    assert!(step.first_event.count() > 0 && step.counts.ok == 0, "{:?}", step.counts);
    assert_eq!(step.streams_within.iter().sum::<u64>(), 0);

    // One event, and then silence: the silence is a gap.
    let stalls = |stream: &mut TcpStream, _: &[u8]| {
        let _ = stream.write_all(HEAD);
        chunk(stream, b"data: {\"c\":\"1\"}\n\n");
    };
    let stalled = play(server(stalls), "150ms");
    let step = &stalled.steps[0];
    assert!(step.counts.timed_out > 0 && step.event_gap.count() >= step.counts.timed_out, "{:?}", step.counts);
    assert_eq!(step.streams_within[0], step.first_event.count());
    assert_eq!(step.streams_within[1], 0, "none of the silences was shorter than 50 ms");
}
