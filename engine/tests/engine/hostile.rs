//! The real client against servers that misbehave: each becomes a named error, nothing hangs, the laws hold.

use super::{assert_laws, program};
use engine::run_result::RunResult;
use engine::{HeaderFacts, Setup, Unobserved};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Serves each connection with `behave` until the process ends; answers the port.
fn server(behave: fn(&mut TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                while stream.read(&mut head).is_ok_and(|n| n > 0) {
                    behave(&mut stream);
                }
            });
        }
    });
    port
}

fn run(port: u16, target: &str, step: &str) -> RunResult {
    let text = format!(
        "watertight: 1\nname: hostile\ntargets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: 300ms{target} }} }}\n\
         journeys: {{ j: {{ target: t, steps: [ {step} ] }} }}\n\
         profiles: {{ p: {{ users: 2, for: 400ms, graceful_stop: 2s }} }}\n"
    );
    let setup = Setup {
        profile: 0,
        facts: HeaderFacts::default(),
        seed: 1,
        workers: 2,
        key: [1; 32],
        folder: None,
        stop: Arc::default(),
        health_requests: 0,
    };
    let result = engine::run(&program(&text), setup, &mut Unobserved).expect("the run starts").result;
    assert_laws(&result);
    result
}

fn check(behave: fn(&mut TcpStream), kind: &str) {
    let result = run(server(behave), "", "GET /x");
    assert!(result.totals().ok == 0, "{kind}: {:?}", result.totals());
    assert!(!result.errors.is_empty() && result.errors.iter().all(|e| e.kind == kind), "{kind}: {:?}", result.errors);
}

fn say(stream: &mut TcpStream, text: &[u8]) {
    // A client that has given up is no failure of the test's server.
    let _ = stream.write_all(text);
}

fn close(stream: &mut TcpStream) {
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

#[test]
fn each_misbehaviour_has_its_name() {
    check(close, "connection closed early");
    check(|_| {}, "timeout");
    check(|s| say(s, b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "malformed answer");
    check(|s| say(s, b"HTTP/1.1 999999 Odd\r\n\r\n"), "malformed answer");
    check(|s| say(s, b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"), "status 503");
    check(|s| say(s, b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n"), "status 999");
    check(|s| say(s, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"), "timeout");
    check(
        |s| {
            say(s, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
            close(s);
        },
        "connection closed early",
    );
    check(|s| say(s, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc"), "malformed answer");
    check(
        |s| say(s, b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 7\r\n\r\nnotgzip"),
        "broken content coding",
    );
}

#[test]
fn sizes_have_limits() {
    check(
        |s| {
            say(s, b"HTTP/1.1 200 OK\r\n");
            let line = format!("x-filler: {}\r\n", "x".repeat(8000));
            (0..200).for_each(|_| say(s, line.as_bytes()));
        },
        "answer head too large",
    );
    check(
        |s| {
            say(s, b"HTTP/1.1 200 OK\r\n");
            (0..2000).for_each(|i| say(s, format!("x-{i}: 1\r\n").as_bytes()));
            say(s, b"\r\n");
        },
        "answer head too large",
    );
}

#[test]
fn one_byte_at_a_time_is_put_together() {
    let port = server(|s| {
        for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" {
            say(s, &[*byte]);
        }
    });
    let result = run(port, "", "{ GET /x: { expect: { body: { contains: ok } } } }");
    assert!(result.totals().ok > 0 && result.totals().failed == 0, "{:?}", result.errors);
}

#[test]
fn a_server_that_closes_politely_costs_a_connection_and_no_error() {
    let port = server(|s| {
        say(s, b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        close(s);
    });
    let result = run(port, "", "GET /x");
    let step = &result.steps[0];
    assert!(step.counts.ok > 1 && step.counts.failed == 0, "{:?} {:?}", step.counts, result.errors);
    assert_eq!(step.connect.count(), step.counts.ok);
}

#[test]
fn every_coding_line_is_taken_off() {
    let port = server(|s| {
        use std::io::Write as _;
        let squeeze = |data: &[u8]| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(data).and_then(|()| gzip.finish()).expect("memory does not fail")
        };
        let body = squeeze(&squeeze(b"hello"));
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        say(s, &[head.as_bytes(), &body].concat());
    });
    let result = run(port, "", "{ GET /x: { expect: { body: { contains: hello } } } }");
    assert!(result.totals().ok > 0 && result.totals().failed == 0, "{:?}", result.errors);
}

#[test]
fn nobody_there_is_counted_and_not_delivered() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let result = run(port, "", "GET /x");
    let totals = result.totals();
    assert!(totals.failed > 0);
    assert_eq!(totals.not_delivered, totals.sent());
    assert!(result.errors.iter().all(|e| e.kind == "connection refused"), "{:?}", result.errors);
}

/// What the isolation check makes of bytes that follow a whole answer.
fn strays(behave: fn(&mut TcpStream)) -> (Vec<(String, engine::run_result::Tier)>, RunResult) {
    let result = run(server(behave), "", "GET /x, think: 20ms");
    let groups = result.isolation.groups.iter().filter(|g| g.key.detector != "cache-lint");
    (groups.map(|g| (g.key.detector.clone(), g.key.tier)).collect(), result)
}

#[test]
fn bytes_that_nobody_asked_for_are_a_fault_of_the_protocol() {
    use engine::run_result::Tier::{Proven, Suspect};
    let too_long: fn(&mut TcpStream) = |s| say(s, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokand more");
    let second: fn(&mut TcpStream) = |s| {
        say(s, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno");
    };
    let goodbye: fn(&mut TcpStream) = |s| {
        say(s, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    };
    for (behave, tier, excerpt) in
        [(too_long, Proven, "and more"), (second, Proven, "200 OK"), (goodbye, Suspect, "400")]
    {
        let (found, result) = strays(behave);
        assert_eq!(found, [("framing".to_owned(), tier)], "{excerpt}");
        let group = &result.isolation.groups[0];
        assert!(group.count > 1 && group.examples[0].excerpt.contains(excerpt), "{:?}", group.examples[0]);
        assert!(group.examples[0].reader.request.starts_with("GET /x, the last"), "{:?}", group.examples[0].reader);
        assert_eq!(result.totals().failed, 0, "the answers themselves were whole: {:?}", result.errors);
    }
}

#[test]
fn honest_ends_of_a_connection_are_no_findings() {
    let closed: fn(&mut TcpStream) = |s| {
        say(s, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        close(s);
    };
    let timed_out: fn(&mut TcpStream) = |s| {
        say(
            s,
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n",
        );
    };
    let line_end: fn(&mut TcpStream) = |s| say(s, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok\r\n");
    let good: fn(&mut TcpStream) = |s| say(s, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    for behave in [closed, timed_out, line_end, good] {
        let (found, result) = strays(behave);
        assert_eq!(found, []);
        assert!(result.totals().ok > 2, "{:?}", result.errors);
    }
    assert!(strays(timed_out).1.isolation.idle_timeouts > 0);
    assert!(strays(line_end).1.isolation.stray_line_ends > 0);
}
