//! Bytes that nobody asked for on connections to hosts that are no targets: found like those of a target, wherever the
//! user is by then.

use super::loopback::{listen, request, run_file};
use engine::run_result::{RunResult, Tier};
use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const STRAY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray";

fn host(say: fn(&mut TcpStream)) -> u16 {
    listen(move |mut stream| {
        while request(&mut stream).is_some() {
            say(&mut stream);
        }
    })
}

/// A client that has gone is no failure of the server.
fn well(stream: &mut TcpStream) {
    let _ = stream.write_all(ANSWER);
}

/// In one piece with the answer.
fn at_once(stream: &mut TcpStream) {
    let _ = stream.write_all(&[ANSWER, STRAY].concat());
}

/// When the user has long begun to think.
fn later(stream: &mut TcpStream) {
    well(stream);
    let (_nobody, silence) = channel::<()>();
    assert_eq!(silence.recv_timeout(Duration::from_millis(100)), Err(RecvTimeoutError::Timeout));
    let _ = stream.write_all(STRAY);
}

/// One iteration of one user, whose hosts `A` and `B` are no targets.
fn run(after: fn(&mut TcpStream), steps: &str) -> RunResult {
    let (target, a, b) = (host(well), host(after), host(well));
    let result = run_file(&format!(
        "watertight: 1\nname: elsewhere\ntargets: {{ t: 'http://127.0.0.1:{target}' }}\n\
         journeys: {{ j: {{ target: t, steps: [ {{ set: {{ a: 'http://127.0.0.1:{a}/a', b: 'http://127.0.0.1:{b}/b' }} }}, {steps} ] }} }}\n\
         profiles: {{ p: {{ users: 1, for: 30ms, graceful_stop: 5s }} }}\n"
    ));
    assert_eq!(result.totals().failed, 0, "the answers themselves were whole: {:?}", result.errors);
    result
}

#[track_caller]
fn check(after: fn(&mut TcpStream), steps: &str) {
    let result = run(after, steps);
    let found: Vec<_> = result.isolation.groups.iter().map(|g| (g.key.detector.as_str(), g.key.tier)).collect();
    assert_eq!(found, [("framing", Tier::Proven)], "{steps}");
    let example = &result.isolation.groups[0].examples[0];
    assert!(example.reader.request.starts_with("GET /a, the last"), "{example:?}");
}

#[test]
fn behind_an_answer_and_found_by_the_next_request() {
    check(at_once, "'GET {{ a }}', think: 50ms, 'GET {{ a }}'");
}

#[test]
fn behind_an_answer_before_another_host_is_asked() {
    check(at_once, "'GET {{ a }}', 'GET {{ b }}', think: 50ms");
}

#[test]
fn while_the_user_thinks_before_it_leaves() {
    check(later, "'GET {{ a }}', think: 300ms");
}

#[test]
fn behind_the_last_answer_of_all() {
    check(at_once, "GET /, think: 50ms, 'GET {{ a }}'");
}
