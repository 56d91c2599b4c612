//! Small servers on loopback, and runs against them. Every result passes the laws.

use super::{assert_laws, program};
use engine::run_result::RunResult;
use engine::{HeaderFacts, Setup, Unobserved};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Hands each connection to `serve`, on a thread of its own, until the process ends; answers the port.
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

/// Answers each request of a connection with what `answer` makes of its text (head and body).
pub fn answer_each(mut stream: impl Read + Write, answer: impl Fn(&str) -> String) {
    while let Some(request) = request(&mut stream) {
        if stream.write_all(answer(&request).as_bytes()).is_err() {
            return;
        }
    }
}

/// One request, head and body; `None` at the end of the connection.
pub fn request(stream: &mut impl Read) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&text).to_lowercase();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap_or(0));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    text.extend(body);
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// An answer with a body.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A redirect.
pub fn moved(status: u16, to: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
}

/// Two users for 300 ms against `target`, a target's map without braces.
pub fn run(target: &str, step: &str) -> RunResult {
    run_profile(target, step, "users: 2, for: 300ms, graceful_stop: 2s")
}

/// As [`run`], with a profile of its own.
pub fn run_profile(target: &str, step: &str, profile: &str) -> RunResult {
    run_file(&format!(
        "watertight: 1\nname: loopback\ntargets: {{ t: {{ {target} }} }}\n\
         journeys: {{ j: {{ target: t, steps: [ {step} ] }} }}\nprofiles: {{ p: {{ {profile} }} }}\n"
    ))
}

/// Runs the first profile of a file.
pub fn run_file(text: &str) -> RunResult {
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
    let result = engine::run(&program(text), setup, &mut Unobserved).expect("the run starts").result;
    assert_laws(&result);
    result
}

/// All requests went well, and there were some.
#[track_caller]
pub fn assert_good(result: &RunResult) {
    let totals = result.totals();
    assert!(totals.ok > 0 && totals.ok == totals.sent(), "{totals:?} {:?}", result.errors);
}

/// No request went well, and each for this reason.
#[track_caller]
pub fn assert_all(result: &RunResult, kind: &str) {
    assert_eq!(result.totals().ok, 0, "{kind}");
    assert!(!result.errors.is_empty() && result.errors.iter().all(|e| e.kind == kind), "{kind}: {:?}", result.errors);
}
