//! WebSockets of targets that misbehave: each costs its own user, by name, a bounded number of bytes, and nobody else
//! anything.

use super::loopback::ok;
use super::sockets::listen;
use super::streams::setup;
use super::{assert_laws, program};
use engine::Unobserved;
use engine::run_result::RunResult;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Two users talk to a server that accepts and then behaves so; a third asks it for a page. All have one worker.
fn run(behave: impl Fn(&mut TcpStream) + Send + Sync + 'static, steps: &str) -> RunResult {
    run_after(b"", behave, steps)
}

/// As [`run`], with bytes that come in one piece with the acceptance.
fn run_after(early: &'static [u8], behave: impl Fn(&mut TcpStream) + Send + Sync + 'static, steps: &str) -> RunResult {
    let port = listen(move |mut stream| {
        while let Some(request) = super::loopback::request(&mut stream) {
            let name = "sec-websocket-key: ";
            let line = request.lines().find(|l| l.to_lowercase().starts_with(name));
            let Some(key) = line.map(|l| &l[name.len()..]) else {
                let _ = stream.write_all(ok("fine").as_bytes());
                continue;
            };
            let accept = derive_accept_key(key.as_bytes());
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
            );
            let _ = stream.write_all(&[head.as_bytes(), early].concat());
            return behave(&mut stream);
        }
    });
    let text = format!(
        "watertight: 1\nname: hostile\ntargets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: 2s }} }}\n\
         journeys:\n  bad:\n    target: t\n    after_failure: 50ms..50ms\n    steps:\n      - websocket /ws:\n          steps: [ {steps} ]\n\
         \x20 good: {{ target: t, steps: [ GET /good, think: 5ms ] }}\n\
         mix: {{ bad: 2, good: 1 }}\nprofiles: {{ p: {{ users: 3, for: 400ms, graceful_stop: 5s }} }}\n"
    );
    let result = engine::run(&program(&text), setup(1), &mut Unobserved).expect("the run starts").result;
    assert_laws(&result);
    let good = result.steps.iter().zip(&result.header.steps).find(|(_, h)| h.name == "GET /good").expect("a step").0;
    assert!(good.counts.ok > 2 && good.counts.ok == good.counts.sent(), "{:?} {:?}", good.counts, result.errors);
    assert_eq!(result.iterations.cut, 0, "nobody hangs: {:?}", result.iterations);
    result
}

const WAIT: &str = "{ receive: { $.type: never }, within: 300ms }";
const NEVER: &str = "no matching message within 300ms";

/// Every WebSocket ends in one of these ways.
#[track_caller]
fn check(kinds: &[&str], behave: impl Fn(&mut TcpStream) + Send + Sync + 'static) {
    let result = run(behave, WAIT);
    assert!(!result.errors.is_empty(), "{kinds:?}: {:?}", result.totals());
    assert!(result.errors.iter().all(|e| kinds.contains(&e.kind.as_str())), "{kinds:?}: {:?}", result.errors);
    let missed: u64 = result.steps.iter().map(|s| s.messages.missed).sum();
    assert_eq!(missed, result.errors.iter().map(|e| e.count).sum::<u64>());
}

/// Says this, and then nothing until the client has gone.
#[track_caller]
fn check_said(kinds: &[&str], bytes: &[u8]) {
    let bytes = bytes.to_vec();
    check(kinds, move |stream| {
        // A client that has gone is no failure of the server.
        let _ = stream.write_all(&bytes);
        heard_out(stream);
    });
}

fn heard_out(stream: &mut TcpStream) {
    while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
}

/// Ends it by a RST.
fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
}

#[test]
fn broken_connections_have_names() {
    let closed = ["connection closed early"];
    let gone = ["connection closed early", "connection reset"];
    check(&closed, |stream| {
        // Half of it: it still listens.
        let _ = stream.shutdown(Shutdown::Write);
        heard_out(stream);
    });
    check(&closed, |stream| {
        let _ = stream.write_all(&[0x81, 100, b'a', b'b']);
        let _ = stream.shutdown(Shutdown::Write);
        heard_out(stream);
    });
    check(&["connection reset"], |stream| {
        let _ = stream.write_all(&[0x81, 100, b'a', b'b']);
        reset(stream);
    });
    check(&gone, |stream| reset(stream));
    // Between two fragments.
    check(&closed, |stream| {
        let _ = stream.write_all(&[0x01, 1, b'a']);
        let _ = stream.shutdown(Shutdown::Both);
    });
}

#[test]
fn frames_that_are_against_the_protocol_have_names() {
    let bad = &["bad websocket frame"][..];
    check_said(bad, &[0x80, 0]);
    // A message begins within another one.
    check_said(bad, &[0x01, 1, b'a', 0x81, 1, b'b']);
    // Compressed, as nobody has agreed to.
    check_said(bad, &[0xc1, 1, b'a']);
    // Masked.
    check_said(bad, &[0x81, 0x81, 1, 2, 3, 4, b'a']);
    // Control frames in pieces, or too long.
    check_said(bad, &[0x09, 1, b'a']);
    check_said(bad, &[&[0x89, 126, 0, 126][..], &[0; 126]].concat());
    check_said(bad, &[0x8b, 0]);
    let too_large = &["message too large"][..];
    check_said(too_large, &[&[0x82, 127][..], &u64::MAX.to_be_bytes()].concat());
    check_said(too_large, &[&[0x82, 127][..], &((1u64 << 20) + 1).to_be_bytes()].concat());
    let no_text = &["message is no UTF-8"][..];
    check_said(no_text, &[0x81, 1, 0xc3]);
    check_said(no_text, &[0x01, 1, 0xc3, 0x80, 1, b'a']);
}

#[test]
fn ends_against_the_protocol_have_names() {
    check_said(&["closed without a code"], &[0x88, 0]);
    check_said(&["bad websocket frame"], &[0x88, 1, 3]);
    check_said(&["message is no UTF-8"], &[0x88, 4, 3, 0xe8, 0xff, 0xfe]);
    check_said(&["closed 4321"], &[0x88, 2, 0x10, 0xe1]);
    // More after the end is nobody's business.
    check_said(&["closed 1000"], &[0x88, 2, 3, 0xe8, 0x81, 1, b'a']);
}

#[test]
fn what_is_odd_but_allowed_is_no_failure() {
    let fine = |result: &RunResult| {
        assert!(result.errors.is_empty(), "{:?}", result.errors);
        let matched: u64 = result.steps.iter().map(|s| s.messages.matched).sum();
        assert!(matched >= 2, "{matched}");
    };
    // In one piece with the acceptance, and a byte at a time.
    fine(&run_after(&[0x81, 2, b'o', b'k'], heard_out, "{ receive: ok, within: 2s }"));
    fine(&run(
        |stream| {
            [0x01, 1, b'o', 0x89, 0, 0x00, 0, 0x80, 1, b'k'].iter().for_each(|b| drop(stream.write_all(&[*b])));
            heard_out(stream);
        },
        "{ receive: ok, within: 2s }",
    ));
    // As much as is allowed.
    fine(&run(
        |stream| {
            let _ = stream.write_all(&[&[0x82, 127][..], &(1u64 << 20).to_be_bytes()].concat());
            let _ = stream.write_all(&vec![b'x'; 1 << 20]);
            heard_out(stream);
        },
        "{ receive: {}, within: 2s }",
    ));
    // A server that never answers a close is waited for a second, and no longer.
    fine(&run(
        |stream| {
            let _ = stream.write_all(&[0x81, 2, b'o', b'k']);
            heard_out(stream);
        },
        "{ receive: ok, within: 2s }, { close: 1000 }",
    ));
}

/// Says the same for ever, and counts the bytes that go.
fn flood(bytes: &'static [u8], repeat: usize) -> (Arc<AtomicU64>, impl Fn(&mut TcpStream) + Send + Sync) {
    let said = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&said);
    let behave = move |stream: &mut TcpStream| {
        let piece = bytes.repeat(repeat);
        while stream.write_all(&piece).is_ok() {
            count.fetch_add(piece.len() as u64, SeqCst);
        }
    };
    (said, behave)
}

#[test]
fn floods_are_borne_by_their_own_user() {
    // Frames without anything in them, as one message that never ends, and as messages.
    check(&[NEVER], |stream| {
        let _ = stream.write_all(&[0x01, 0]);
        flood(&[0x00, 0], 2000).1(stream);
    });
    check(&[NEVER], flood(&[0x81, 0], 2000).1);
    check(&[NEVER], flood(&[0x8a, 0], 2000).1);
    // A frame that never ends, though it fits.
    check(&[NEVER], |stream| {
        let _ = stream.write_all(&[&[0x82, 127][..], &(1u64 << 20).to_be_bytes()].concat());
        for _ in 0..100_000 {
            if stream.write_all(b"x").is_err() {
                return;
            }
        }
        heard_out(stream);
    });
}

#[test]
fn a_head_without_end_is_no_acceptance() {
    let port = listen(|mut stream| {
        let _ = super::loopback::request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n");
        while stream.write_all(b"x-more: and more\r\n").is_ok() {}
    });
    let text = format!(
        "watertight: 1\nname: head\ntargets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: 2s }} }}\n\
         journeys: {{ j: {{ target: t, steps: [ {{ websocket: /ws, steps: [ {WAIT} ] }} ] }} }}\n\
         profiles: {{ p: {{ users: 2, for: 300ms, graceful_stop: 5s }} }}\n"
    );
    let text = text.replace("{ websocket: /ws, steps:", "websocket /ws: { steps:");
    let result = engine::run(&program(&text), setup(1), &mut Unobserved).expect("the run starts").result;
    assert_laws(&result);
    assert!(result.errors.iter().all(|e| e.kind == "answer head too large") && !result.errors.is_empty());
}

#[test]
fn pongs_that_nobody_reads_have_a_limit() {
    // Pings without end by a server that never reads. What waits to be written has a limit, so the flood stops where the
    // buffers of the system are full.
    let ping: &'static [u8] = Box::leak([&[0x89, 125][..], &[b'p'; 125]].concat().into_boxed_slice());
    let (said, behave) = flood(ping, 100);
    let result = run(
        move |stream| {
            let socket = socket2::SockRef::from(&*stream);
            let _ = (socket.set_send_buffer_size(1 << 16), socket.set_recv_buffer_size(1 << 16));
            behave(stream);
        },
        "{ receive: { $.type: never }, within: 3s }",
    );
    assert!(result.errors.iter().all(|e| e.kind == "no matching message within 3s"), "{:?}", result.errors);
    // Two sockets, and what the system takes of each; without the limit it was ten times as much.
    assert!(said.load(SeqCst) < 40 << 20, "{said:?}");
}
