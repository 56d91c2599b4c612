//! Targets that send too much, too little, or what nobody can read: each costs its own request, a bounded number of
//! bytes, and nobody else anything.

use super::loopback::{assert_good, listen, request, run_file};
use engine::run_result::RunResult;
use std::io::Write;
use std::net::TcpStream;

/// Two users ask for `/bad` and one for `/good`, side by side, with small limits; every request is heard out by `behave`
/// or answered well.
fn run(behave: fn(&mut TcpStream), step: &str) -> RunResult {
    run_for("10s", behave, step)
}

fn run_for(timeout: &str, behave: fn(&mut TcpStream), step: &str) -> RunResult {
    let port = listen(move |mut stream| {
        while let Some(request) = request(&mut stream) {
            if request.starts_with("GET /good") {
                say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            } else {
                behave(&mut stream);
            }
        }
    });
    run_file(&format!(
        "watertight: 1\nname: hostile\n\
         targets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: {timeout}, limits: {{ body: 1MB, head: 64kB }} }} }}\n\
         journeys:\n  bad: {{ target: t, steps: [ {step} ] }}\n  good: {{ target: t, steps: [ GET /good ] }}\n\
         mix: {{ bad: 2, good: 1 }}\nprofiles: {{ p: {{ users: 3, for: 500ms, graceful_stop: 10s }} }}\n"
    ))
}

fn say(stream: &mut TcpStream, text: &[u8]) {
    // A client that has given up is no failure of the test's server.
    let _ = stream.write_all(text);
}

/// Says the same until the client has had enough.
fn flood(stream: &mut TcpStream, text: &[u8]) {
    while stream.write_all(text).is_ok() {}
}

/// What one answer may cost: its limits, of which chunks of four bytes make nine on the wire, and what was read ahead.
const MOST_READ: u64 = 3 << 20;

#[track_caller]
fn check(behave: fn(&mut TcpStream), kind: &str) {
    check_step(behave, "GET /bad", kind);
}

#[track_caller]
fn check_step(behave: fn(&mut TcpStream), step: &str, kind: &str) {
    // Whoever is waited for on purpose is not waited for long.
    let result = run_for(if kind == "timeout" { "300ms" } else { "10s" }, behave, step);
    let (bad, good) = (&result.steps[0].counts, &result.steps[1].counts);
    assert!(bad.ok == 0 && bad.sent() > 0, "{kind}: {bad:?} {:?}", result.errors);
    assert!(result.errors.iter().all(|e| e.kind == kind && e.step == 0), "{kind}: {:?}", result.errors);
    assert!(good.ok > 0 && good.ok == good.sent(), "{kind}: {good:?}");
    // What never ends and is never too large is read as long as the time limit says, and kept by nobody.
    assert!(kind == "timeout" || bad.bytes_received <= bad.sent() * MOST_READ, "{kind}: {bad:?}");
}

#[track_caller]
fn check_fine(behave: fn(&mut TcpStream), step: &str) {
    assert_good(&run(behave, step));
}

fn gzip_bomb() -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..64).for_each(|_| gzip.write_all(&zeros).expect("memory does not fail"));
    gzip.finish().expect("memory does not fail")
}

#[test]
fn too_much_is_cut_off_at_the_limit() {
    check(
        |s| {
            say(s, b"HTTP/1.1 200 OK\r\n\r\n");
            flood(s, &[b'x'; 8192]);
        },
        "answer body too large",
    );
    check(
        |s| {
            say(s, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            flood(s, b"4\r\nabcd\r\n");
        },
        "answer body too large",
    );
    check(
        |s| {
            let bomb = gzip_bomb();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len());
            say(s, &[head.as_bytes(), &bomb].concat());
        },
        "answer body too large",
    );
    // Ten megabytes in one header, and a hundred thousand headers.
    check(
        |s| {
            say(s, b"HTTP/1.1 200 OK\r\nx: ");
            (0..1280).for_each(|_| say(s, &[b'x'; 8192]));
            say(s, b"\r\n\r\n");
        },
        "answer head too large",
    );
    check(
        |s| {
            say(s, b"HTTP/1.1 200 OK\r\n");
            (0..100_000).for_each(|_| say(s, b"x: 1\r\n"));
            say(s, b"\r\n");
        },
        "answer head too large",
    );
}

#[test]
fn too_slow_and_never_is_a_timeout() {
    // A byte at a time, and none after the third: the time limit is the request's, not a read's.
    check(
        |s| {
            say(s, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n");
            for byte in b"abc" {
                say(s, &[*byte]);
            }
        },
        "timeout",
    );
    // Interim answers without end.
    check(|s| flood(s, b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"), "timeout");
}

#[test]
fn what_is_no_http_has_a_name() {
    check(|s| say(s, b"<html>hello from 1991</html>\n"), "malformed answer");
    check(|s| say(s, b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"), "malformed answer");
    check(|s| say(s, b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"), "malformed answer");
    check(
        |s| say(s, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nx"),
        "malformed answer",
    );
    check(|s| say(s, b"HTTP/1.1 200 OK\r\nx y: 1\r\n\r\n"), "malformed answer");
}

#[test]
fn a_reset_in_mid_body_is_a_reset() {
    check(
        |s| {
            say(s, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc");
            let socket = socket2::SockRef::from(&*s);
            let _ = socket.set_linger(Some(std::time::Duration::ZERO));
            // Half of it closed makes the reader leave; with no time to linger its end is a RST.
            let _ = s.shutdown(std::net::Shutdown::Read);
        },
        "connection reset",
    );
}

#[test]
fn bytes_after_the_end_belong_to_nobody() {
    let result = run(
        |s| say(s, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret"),
        "{ GET /bad: { expect: { body: { contains: ok } } } }",
    );
    // The second answer was to nothing: it is read as no request's, and the connection is not used again.
    assert_eq!(result.totals().failed, 0, "{:?}", result.errors);
    assert!(result.totals().ok > 2);
}

#[test]
fn json_that_nobody_can_read_fails_its_check_and_nothing_else() {
    let step = "{ GET /bad: { expect: { json: { $.a: 1 } } } }";
    for behave in [
        (|s| say(s, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\":\"\xff\"}")) as fn(&mut TcpStream),
        |s| {
            let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
            say(s, format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{deep}", deep.len()).as_bytes());
        },
        |s| {
            let deep = format!("{{\"a\":{}", "{\"a\":".repeat(100_000));
            say(s, format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{deep}", deep.len()).as_bytes());
        },
    ] {
        let result = run(behave, step);
        assert!(result.steps[0].counts.ok == 0 && result.steps[0].counts.failed > 0, "{:?}", result.steps[0].counts);
        assert!(result.errors.iter().all(|e| e.kind.starts_with("check json $.a")), "{:?}", result.errors);
        assert!(result.steps[1].counts.ok > 0 && result.steps[1].counts.failed == 0);
    }
}

#[test]
fn a_flood_of_cookies_is_not_sent_back_without_end() {
    check_fine(
        |s| {
            use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
            static NEXT: AtomicU64 = AtomicU64::new(0);
            let cookies: String = (0..80)
                .map(|_| format!("set-cookie: c{}={}\r\n", NEXT.fetch_add(1, Relaxed), "x".repeat(100)))
                .collect();
            say(s, format!("HTTP/1.1 200 OK\r\n{cookies}content-length: 0\r\n\r\n").as_bytes());
        },
        "GET /bad",
    );
}

/// A stream of events that goes on like this.
fn stream(s: &mut TcpStream, text: &[u8]) {
    say(s, b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
    flood(s, &text.repeat(2000));
}

#[test]
fn event_streams_without_end_are_cut_off_at_the_limit() {
    const EVENTS: &str = "{ GET /bad: { events: { until: DONE } } }";
    // Events of nothing, comments, fields that mean nothing, one event of many lines, a line without end.
    check_step(|s| stream(s, b"data\n\n"), EVENTS, "answer body too large");
    check_step(|s| stream(s, b":\n"), EVENTS, "answer body too large");
    check_step(|s| stream(s, b"retry: 99999999999999999999\nid: \0\nevent: \xff\n\n"), EVENTS, "answer body too large");
    check_step(|s| stream(s, b"\r"), EVENTS, "answer body too large");
    check_step(|s| stream(s, b"data: [\n"), EVENTS, "answer body too large");
    check_step(|s| stream(s, b"data: [[[[[[[["), EVENTS, "answer body too large");
    // Broken off in the middle of an event.
    check_step(
        |s| {
            say(s, b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {\"a\":");
            let _ = socket2::SockRef::from(&*s).set_linger(Some(std::time::Duration::ZERO));
            let _ = s.shutdown(std::net::Shutdown::Read);
        },
        EVENTS,
        "connection reset",
    );
}
