//! HTTP/2 of targets that misbehave: each has a name, costs a bounded number of bytes, and costs nobody else anything.

use super::http2::{GOAWAY, HEADERS, SETTINGS, frame, raw, settings};
use super::loopback::{answer_each, listen, ok};
use super::streams::setup;
use super::{assert_laws, program};
use engine::Unobserved;
use engine::run_result::RunResult;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

const DATA: u8 = 0;
const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Flags.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// `:status: 200`, of the static table.
const OK: &[u8] = &[0x88];

/// What a server does with the stream of a request that it was just asked.
type Answer = fn(&mut TcpStream, u32);

/// A server that greets as it must and leaves the rest to `answer`.
fn greeting(answer: impl Fn(&mut TcpStream, u32) + Send + Sync + 'static) -> u16 {
    listen(move |stream| {
        raw(stream, |stream, kind, id| match kind {
            SETTINGS => say(stream, &[settings(100), frame(SETTINGS, ACK, 0, &[])].concat()),
            HEADERS => answer(stream, id),
            _ => {}
        });
    })
}

/// A client that has gone is no failure of the server.
fn say(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

/// Says the same until the client has gone.
fn flood(stream: &mut TcpStream, bytes: &[u8]) {
    let many = bytes.repeat(4096 / bytes.len().max(1) + 1);
    while stream.write_all(&many).is_ok() {}
}

/// Two users ask the server at `port`, one another that behaves; all have one worker.
fn run(port: u16, timeout: &str, step: &str) -> RunResult {
    let good = listen(|stream| answer_each(stream, |_| ok("fine")));
    let text = format!(
        "watertight: 1\nname: hostile\n\
         targets:\n  bad: {{ url: 'http://127.0.0.1:{port}', http: h2c, timeout: {timeout}, limits: {{ body: 1MB, head: 16kB }} }}\n  good: 'http://127.0.0.1:{good}'\n\
         journeys:\n  bad: {{ target: bad, after_failure: 50ms..50ms, steps: [ {step} ] }}\n  good: {{ target: good, steps: [ GET /good, think: 5ms ] }}\n\
         mix: {{ bad: 2, good: 1 }}\nprofiles: {{ p: {{ users: 3, for: 400ms, graceful_stop: 6s }} }}\n"
    );
    let result = engine::run(&program(&text), setup(1), &mut Unobserved).expect("the run starts").result;
    assert_laws(&result);
    let good = result.steps.iter().zip(&result.header.steps).find(|(_, h)| h.name == "GET /good").expect("a step").0;
    assert!(good.counts.ok > 2 && good.counts.ok == good.counts.sent(), "{:?} {:?}", good.counts, result.errors);
    assert_eq!(result.iterations.cut, 0, "nobody hangs: {:?}", result.iterations);
    result
}

/// No request of those that ask the server goes well, and each for one of these reasons.
#[track_caller]
fn check_step(kinds: &[&str], step: &str, answer: impl Fn(&mut TcpStream, u32) + Send + Sync + 'static) {
    // Whoever is waited for on purpose is not waited for long.
    let waits = kinds.contains(&"timeout");
    let timeout = if waits { "300ms" } else { "4s" };
    let result = run(greeting(answer), timeout, step);
    assert!(!result.errors.is_empty() && result.steps[0].counts.ok == 0, "{kinds:?}: {:?}", result.steps[0].counts);
    assert!(result.errors.iter().all(|e| kinds.contains(&e.kind.as_str())), "{kinds:?}: {:?}", result.errors);
    let counts = result.steps[0].counts;
    // The limits of a body and a head, what a window lets through, and what was read ahead.
    let most = counts.sent() * (4 << 20);
    assert!(waits || counts.bytes_received <= most, "{kinds:?}: {counts:?}");
}

#[track_caller]
fn check(kinds: &[&str], answer: Answer) {
    check_step(kinds, "GET /x", answer);
}

const MALFORMED: &[&str] = &["malformed answer"];
const TOO_LARGE: &[&str] = &["answer head too large"];
const TIMEOUT: &[&str] = &["timeout"];

/// A head that is followed by a body.
fn head(id: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, id, OK)
}

#[test]
fn an_end_in_mid_answer_has_a_name() {
    // What the client says meanwhile makes a RST of it.
    check(&["connection closed early", "connection reset"], |stream, id| {
        say(stream, &[head(id), frame(DATA, 0, id, b"half")].concat());
        let _ = stream.shutdown(Shutdown::Both);
    });
    // Half closed: it still listens.
    check(&["connection closed early"], |stream, id| {
        say(stream, &[head(id), frame(DATA, 0, id, b"half")].concat());
        let _ = stream.shutdown(Shutdown::Write);
    });
    check(&["connection reset"], |stream, id| {
        say(stream, &[head(id), frame(DATA, 0, id, b"half")].concat());
        let _ = socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
        let _ = stream.shutdown(Shutdown::Read);
    });
    check(&["http/2 stream reset: internal error"], |stream, id| {
        say(stream, &[head(id), frame(DATA, 0, id, b"half"), frame(RST_STREAM, 0, id, &[0, 0, 0, 2])].concat());
    });
    // A frame of which the end never comes.
    check(TIMEOUT, |stream, id| say(stream, &[&head(id)[..], &frame(DATA, 0, id, &[b'x'; 100])[..50]].concat()));
}

#[test]
fn a_goodbye_in_mid_answer_lets_it_come_to_its_end_or_names_it() {
    let goodbye = |last: u32| frame(GOAWAY, 0, 0, &[&last.to_be_bytes()[..], &[0, 0, 0, 0]].concat());
    let result = run(
        greeting(move |stream, id| {
            let rest = frame(DATA, END_STREAM, id, b"whole");
            say(stream, &[head(id), frame(DATA, 0, id, b"the "), goodbye(id), rest].concat());
        }),
        "2s",
        "{ GET /x: { expect: { body: { contains: the whole } } } }",
    );
    assert!(result.errors.is_empty() && result.steps[0].counts.ok > 1, "{:?}", result.errors);
    assert_eq!(result.steps[0].connect.count(), result.steps[0].counts.ok, "each needs a connection of its own");
    check(&["http/2 goaway: no error", "connection closed early"], |stream, id| {
        say(stream, &[head(id), frame(DATA, 0, id, b"half"), frame(GOAWAY, 0, 0, &[0; 8])].concat());
    });
    // Goodbye after goodbye, and no answer.
    check(TIMEOUT, |stream, id| flood(stream, &frame(GOAWAY, 0, 0, &[&id.to_be_bytes()[..], &[0, 0, 0, 0]].concat())));
}

#[test]
fn frames_that_are_against_the_protocol_are_malformed() {
    check(MALFORMED, |stream, id| say(stream, &frame(PUSH_PROMISE, END_HEADERS, id, &[0, 0, 0, 2, 0x82])));
    check(MALFORMED, |stream, id| say(stream, &frame(CONTINUATION, END_HEADERS, id, OK)));
    // Something else between the pieces of a head.
    check(MALFORMED, |stream, id| {
        say(stream, &[frame(HEADERS, 0, id, OK), frame(DATA, END_STREAM, id, b"x")].concat())
    });
    // A body before the head; streams that nobody opened.
    check(MALFORMED, |stream, id| say(stream, &frame(DATA, END_STREAM, id, b"x")));
    check(MALFORMED, |stream, id| say(stream, &head(id + 2)));
    check(MALFORMED, |stream, id| say(stream, &frame(HEADERS, 5, id + 1, OK)));
    check(MALFORMED, |stream, id| say(stream, &frame(RST_STREAM, 0, id + 2, &[0; 4])));
    // Wrong sizes.
    check(MALFORMED, |stream, id| say(stream, &[head(id), frame(DATA, END_STREAM, id, &[0; 20_000])].concat()));
    check(MALFORMED, |stream, _| say(stream, &frame(PING, 0, 0, &[0; 7])));
    check(MALFORMED, |stream, _| say(stream, &frame(SETTINGS, 0, 0, &[0; 5])));
    // Windows of more than may be.
    check(MALFORMED, |stream, _| say(stream, &frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()).repeat(2)));
    check(MALFORMED, |stream, _| say(stream, &frame(WINDOW_UPDATE, 0, 0, &[0; 4])));
    check(MALFORMED, |stream, _| say(stream, &frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff])));
    // More than the window that we gave.
    check(&["malformed answer", "answer body too large"], |stream, id| {
        say(stream, &head(id));
        flood(stream, &frame(DATA, 0, id, &[b'x'; 16_000]));
    });
    // No status, or none that is one; a body of another length than the head says.
    check(MALFORMED, |stream, id| say(stream, &frame(HEADERS, 5, id, &[0, 1, b'a', 1, b'b'])));
    check(MALFORMED, |stream, id| say(stream, &frame(HEADERS, 5, id, &[8, 5, b'9', b'9', b'9', b'9', b'9'])));
    check(MALFORMED, |stream, id| {
        // `content-length: 9`, name 28 of the static table.
        let head = frame(HEADERS, END_HEADERS, id, &[OK, &[0x0f, 13, 1, b'9']].concat());
        say(stream, &[head, frame(DATA, END_STREAM, id, b"short")].concat());
    });
}

#[test]
fn heads_that_cannot_be_unpacked_or_are_too_large_have_names() {
    // An index that is nowhere; a number without end; a table beyond what was allowed.
    check(MALFORMED, |stream, id| say(stream, &frame(HEADERS, 5, id, &[0xff, 0x7f])));
    check(MALFORMED, |stream, id| say(stream, &frame(HEADERS, 5, id, &[0xff; 30])));
    check(MALFORMED, |stream, id| say(stream, &frame(HEADERS, 5, id, &[0x3f, 0xff, 0xff, 0x7f])));
    // One header of 4,000 bytes, put into the table, and said ten thousand times by one byte each: 40 MB.
    check(TOO_LARGE, |stream, id| {
        let long = [&[0x40, 1, b'a', 0x7f, 0xa1, 0x1e][..], &[b'x'; 4000]].concat();
        let bomb = [OK, &long, &[0xbe; 10_000]].concat();
        say(stream, &frame(HEADERS, 5, id, &bomb));
    });
    // Pieces of a head without end, empty and full.
    check(TOO_LARGE, |stream, id| {
        say(stream, &frame(HEADERS, 0, id, OK));
        flood(stream, &frame(CONTINUATION, 0, id, &[]));
    });
    check(TOO_LARGE, |stream, id| {
        say(stream, &frame(HEADERS, 0, id, OK));
        let piece = [&[0, 1, b'a', 0x7f, 0xa1, 0x1e][..], &[b'x'; 4000]].concat();
        flood(stream, &frame(CONTINUATION, 0, id, &piece));
    });
}

#[test]
fn floods_are_borne_by_their_own_user() {
    check(TIMEOUT, |stream, _| flood(stream, &frame(0xbb, 0, 0, b"what is this")));
    check(TIMEOUT, |stream, _| flood(stream, &frame(2, 0, 1, &[0, 0, 0, 0, 1])));
    check(TIMEOUT, |stream, _| flood(stream, &frame(PING, 0, 0, &[0; 8])));
    check(TIMEOUT, |stream, _| flood(stream, &settings(100)));
    check(TIMEOUT, |stream, _| flood(stream, &frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(10)));
    // The next request comes to a server that is still busy with it.
    check(&["http/2 stream reset: cancel", "timeout"], |stream, id| {
        flood(stream, &frame(RST_STREAM, 0, id, &[0, 0, 0, 8]))
    });
    let flooded = &["http/2 flood of tiny frames"];
    check(flooded, |stream, id| {
        say(stream, &head(id));
        flood(stream, &frame(DATA, 0, id, &[]));
    });
    // Filled up with nothing.
    check(flooded, |stream, id| {
        say(stream, &head(id));
        flood(stream, &frame(DATA, 8, id, &[&[255][..], &[0; 255]].concat()));
    });
}

#[test]
fn answers_to_pings_and_settings_that_nobody_reads_have_a_limit() {
    for bytes in [frame(PING, 0, 0, &[0; 8]), settings(100)] {
        let said = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&said);
        let port = greeting(move |stream, _| {
            let many = bytes.repeat(1000);
            while stream.write_all(&many).is_ok() {
                count.fetch_add(many.len() as u64, SeqCst);
            }
        });
        let result = run(port, "3s", "GET /x");
        assert!(result.errors.iter().all(|e| e.kind == "timeout") && !result.errors.is_empty(), "{:?}", result.errors);
        // Two connections, and what the system takes of each.
        assert!(said.load(SeqCst) < 100 << 20, "{said:?}");
    }
}

#[test]
fn a_window_that_stays_shut_is_a_timeout() {
    // Nothing of a body may be sent, ever, though the server says that it listens.
    let port = listen(|stream| {
        raw(stream, |stream, kind, _| {
            if kind == SETTINGS {
                say(stream, &[frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]), frame(SETTINGS, ACK, 0, &[])].concat());
            }
        });
    });
    let result = run(port, "300ms", "{ POST /x: { body: nobody reads this } }");
    assert!(result.errors.iter().all(|e| e.kind == "timeout") && !result.errors.is_empty(), "{:?}", result.errors);
    // Shut in the middle of an upload.
    check_step(TIMEOUT, &format!("{{ POST /x: {{ body: {} }} }}", "x".repeat(200_000)), |stream, _| {
        say(stream, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    });
}

#[test]
fn many_small_pieces_are_no_flood() {
    // A whole answer of short words at once, as a server sends that has them at hand.
    let port = greeting(|stream, id| {
        let pieces: Vec<u8> = (0..6000).flat_map(|_| frame(DATA, 0, id, b"data: a word or two\n\n")).collect();
        let last = frame(DATA, END_STREAM, id, b"data: DONE\n\n");
        let head = frame(HEADERS, END_HEADERS, id, &[OK, &[0x0f, 16, 17], b"text/event-stream"].concat());
        say(stream, &[head, pieces, last].concat());
    });
    let result = run(port, "4s", "{ GET /x: { events: { until: DONE }, expect: { events: 6001 } } }");
    assert!(result.errors.is_empty() && result.steps[0].counts.ok > 0, "{:?}", result.errors);
}
