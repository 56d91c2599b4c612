//! Broken and hostile targets: each run comes to its end, with the right exit code and a name for what happened.

use crate::binary::{Desk, Ended, shared};
use crate::laws::count;
use crate::scenario;
use crate::server::{Request, Server, answer};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

/// A bad server, and the names that its failures may have.
struct Case {
    name: &'static str,
    server: Server,
    expect: &'static str,
    errors: &'static [&'static str],
}

/// Every request fails; nothing hangs; all of them at once, because they mostly wait.
#[test]
fn every_bad_target_is_a_no_go_with_a_named_error() {
    let _processors = shared();
    let mut problems = Vec::new();
    let cases = cases();
    let desks: Vec<Desk> = cases.iter().map(|_| Desk::new()).collect();
    let started: Vec<_> = cases
        .iter()
        .zip(&desks)
        .map(|(case, desk)| {
            // All at once on few processors: patient, and not in a hurry.
            let text = scenario::plain(&case.server.url, case.expect, "{ errors: < 5% }");
            desk.write("s.yaml", &text.replace("timeout: 400ms", "timeout: 1500ms").replace("10ms", "100ms"));
            desk.start(&["run", "s.yaml", "--out", "r"])
        })
        .collect();
    for ((running, desk), case) in started.into_iter().zip(&desks).zip(&cases) {
        let ended = running.end();
        if let Err(problem) = judge(case, desk, &ended) {
            problems.push(format!("{}: {problem}", case.name));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn judge(case: &Case, desk: &Desk, ended: &Ended) -> Result<(), String> {
    let result: Value = desk.result("r");
    let totals = &result["totals"];
    // Fourteen runs at once may be more than a small machine can measure; then the verdict says so.
    let is_void = result["validity"]["state"] == "void";
    if ended.code != if is_void { 3 } else { 1 } {
        return Err(format!("{ended}"));
    }
    let errors: Vec<&String> = totals["errors"].as_object().unwrap().keys().collect();
    let bad = count(totals, "failed") + count(totals, "timed_out");
    if bad == 0 || count(totals, "ok") > 0 {
        return Err(format!("all requests are bad: {totals}"));
    }
    if !errors.iter().all(|e| case.errors.iter().any(|name| e.starts_with(name))) {
        return Err(format!("expected one of {:?}, found {errors:?}", case.errors));
    }
    let first = desk.lines("r/failures.jsonl").into_iter().next().ok_or("no sample of a failure")?;
    if first["kind"].as_str().is_none_or(|kind| !errors.iter().any(|e| *e == kind)) {
        return Err(format!("the sample names something else: {first}"));
    }
    Ok(())
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    const OK: &str = "{ status: 200 }";
    const CLOSED: &[&str] = &["connection closed early", "connection reset", "connection broken"];
    const HEAD: &[&str] = &["answer head too large", "malformed answer"];
    let bomb = gzip_of_zeros();
    let case = |name, server, expect, errors| Case { name, server, expect, errors };
    vec![
        case("closes at once", Server::start(drop), OK, CLOSED),
        case("closes after the request", Server::closing_after(""), OK, CLOSED),
        case("never answers", Server::start(wait_for_the_end), OK, &["timeout"]),
        case("one byte, then nothing", Server::start(|stream| { let mut s = stream; let _ = s.write_all(b"H"); wait_for_the_end(s); }), OK, &["timeout"]),
        case("garbage", Server::closing_after("\u{1}\u{2}\u{3}garbage without end\r\n\r\n"), OK, &["malformed answer"]),
        case("no status line", Server::closing_after("hello"), OK, &["malformed answer", "connection closed early"]),
        case("half a body", Server::closing_after("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nten bytes."), OK, &["connection closed early"]),
        case("a body shorter than announced", Server::answering(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nten bytes.".to_vec()), OK, &["timeout", "malformed answer"]),
        case("malformed chunks", Server::closing_after("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n"), OK, &["malformed answer"]),
        case("a header of a megabyte", Server::answering(|_| answer("200 OK", &format!("x-big: {}\r\n", "a".repeat(1 << 20)), "")), OK, HEAD),
        case("a hundred thousand headers", Server::answering(|_| answer("200 OK", &"x-many: 1\r\n".repeat(100_000), "")), OK, HEAD),
        case("a flood of cookies", Server::answering(|_| answer("200 OK", &"set-cookie: a=b\r\n".repeat(5_000), "")), OK, HEAD),
        case("an endless body", Server::start(endless_body), OK, &["answer body too large", "timeout"]),
        case("endless interim answers", Server::start(endless_interim_answers), OK, &["timeout", "malformed answer", "answer head too large"]),
        case("a bomb of zeros", Server::answering(move |_| answer("200 OK", "content-encoding: gzip\r\n", &bomb)), OK, &["answer body too large"]),
        case("broken gzip", Server::answering(|_| answer("200 OK", "content-encoding: gzip\r\n", "no gzip at all")), OK, &["broken content coding"]),
        case("unknown coding", Server::answering(|_| answer("200 OK", "content-encoding: rot13\r\n", "uryyb")), OK, &["broken content coding"]),
        case("503", Server::answering(|_| answer("503 Service Unavailable", "retry-after: 1\r\n", "")), OK, &["status 503"]),
        case("status 999", Server::answering(|_| answer("999 Odd", "", "")), OK, &["status 999"]),
        case("redirect to itself", Server::answering(|_| answer("302 Found", "location: /thing\r\n", "")), OK, &["redirect loop"]),
        case("JSON that is none", Server::answering(|_| answer("200 OK", "", b"{\"a\": \"\xff\xfe")), "{ json: { $.a: 1 } }", &["check json"]),
        case("JSON too deep", Server::answering(|_| answer("200 OK", "", "[".repeat(100_000))), "{ json: { $.a: 1 } }", &["check json"]),
    ]
}

/// Reads until the other side closes.
fn wait_for_the_end(mut stream: TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

fn endless_body(mut stream: TcpStream) {
    if Request::read(&mut stream).is_some() {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let mut chunk = b"10000\r\n".to_vec();
        chunk.resize(chunk.len() + 0x10000, b'a');
        chunk.extend_from_slice(b"\r\n");
        while stream.write_all(&chunk).is_ok() {}
    }
}

#[expect(clippy::disallowed_methods, reason = "slow enough to leave the processors to the others")]
fn endless_interim_answers(mut stream: TcpStream) {
    if Request::read(&mut stream).is_some() {
        while stream.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// 64 MiB of zeros in some 300 kB, four times what a body may decode to.
fn gzip_of_zeros() -> Vec<u8> {
    let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    (0..64).for_each(|_| coder.write_all(&zeros).unwrap());
    coder.finish().unwrap()
}

/// What is no fault of the answer: the run goes on as if nothing were.
#[test]
fn odd_but_whole_answers_are_ok() {
    // Said, so that no next request meets the closing connection.
    const CLOSE: &str = "connection: close\r\n";
    let _processors = shared();
    let odd: Vec<(&str, Vec<u8>)> = vec![
        ("bytes after the end", [answer("200 OK", CLOSE, "{}"), b"and more".to_vec()].concat()),
        ("an answer to nobody", [answer("200 OK", CLOSE, "{}"), answer("200 OK", CLOSE, "{}")].concat()),
        ("a body until the close", b"HTTP/1.0 200 OK\r\n\r\nall of it".to_vec()),
        ("lower case and no reason", b"HTTP/1.1 200\r\nCONTENT-LENGTH: 2\r\nCONNECTION: CLOSE\r\n\r\n{}".to_vec()),
    ];
    for (name, bytes) in odd {
        let desk = Desk::new();
        let server = Server::closing_after(bytes);
        desk.write("s.yaml", &scenario::plain(&server.url, "{ status: 200 }", "{ errors: < 5% }"));
        let ended = desk.run(&["run", "s.yaml", "--for", "200ms", "--out", "r"]);
        let result = desk.result("r");
        assert_eq!(ended.code, crate::laws::exit_code(&result), "{name}: {ended}");
        let totals = &result["totals"];
        assert!(count(totals, "ok") > 0 && count(totals, "failed") == 0, "{name}: {totals}");
    }
}

#[test]
fn a_target_that_is_not_there_is_said_at_once() {
    let desk = Desk::new();
    // A port that was free a moment ago: nobody listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    desk.write("s.yaml", &scenario::plain(&format!("http://{address}"), "{ status: 200 }", "{ errors: < 5% }"));
    let ended = desk.run(&["run", "s.yaml", "--out", "r"]);
    assert_eq!(ended.code, 4, "{ended}");
    assert!(ended.err.contains(&address.to_string()) && ended.err.contains("`it`"), "{ended}");
    assert!(!desk.path("r").exists(), "no results without a run");
    desk.write("s.yaml", &scenario::plain("http://nowhere.invalid", "{ status: 200 }", "{ errors: < 5% }"));
    let ended = desk.run(&["run", "s.yaml", "--out", "r"]);
    assert_eq!(ended.code, 4, "{ended}");
    assert!(ended.err.contains("nowhere.invalid"), "{ended}");
}

#[test]
fn a_target_that_is_ill_or_no_tls_is_not_loaded() {
    let _processors = shared();
    let desk = Desk::new();
    let ill = Server::answering(|_| answer("500 Internal Server Error", "", "the database is down"));
    let text = scenario::plain(&ill.url, "{ status: 200 }", "{ errors: < 5% }");
    desk.write("s.yaml", &text.replace("timeout: 400ms", "timeout: 400ms, health: /health"));
    let ended = desk.run(&["run", "s.yaml", "--out", "r"]);
    assert_eq!(ended.code, 4, "{ended}");
    assert!(ended.err.contains("500") && ended.err.contains(&ill.url), "{ended}");
    assert_eq!(ill.connections(), 1, "one question about its health and no load");
    // Plain bytes on a port that is said to speak TLS.
    let plain = Server::start(|mut stream| {
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let url = plain.url.replace("http://", "https://");
    desk.write("s.yaml", &scenario::plain(&url, "{ status: 200 }", "{ errors: < 5% }"));
    let ended = desk.run(&["run", "s.yaml", "--out", "r"]);
    assert_eq!(ended.code, 4, "{ended}");
    assert!(ended.err.contains("tls") && ended.err.contains(&url), "{ended}");
}

#[test]
fn a_target_that_dies_in_the_middle_is_counted_to_the_last_request() {
    let _processors = shared();
    let desk = Desk::new();
    let answered = std::sync::atomic::AtomicU64::new(0);
    // From the hundredth answer on every connection is cut.
    let server = Server::start(move |mut stream| {
        while let Some(_request) = Request::read(&mut stream) {
            let n = answered.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if n >= 100 || stream.write_all(&answer("200 OK", "", "{}")).is_err() {
                return;
            }
        }
    });
    desk.write("s.yaml", &scenario::plain(&server.url, "{ status: 200 }", "{ errors: < 5% }"));
    let (ended, result) = desk.run_undisturbed(&["run", "s.yaml"]);
    assert_eq!(ended.code, crate::laws::exit_code(&result), "{ended}");
    let totals = &result["totals"];
    assert!(count(totals, "ok") <= 100, "{totals}");
    assert!(count(totals, "ok") > 0 && count(totals, "failed") > 0, "{totals}");
}
