//! Faults at a place: exchanges given up before the head, in mid-body and in mid-stream, and bursts on one URL.
//! In: servers on loopback that say what they saw, scripted targets. Out: counts that agree with both.

use super::faults::{hear, loopback, scenario};
use super::{assert_laws, play};
use engine::client::answer::Outgoing;
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::run_result::RunResult;
use engine::simulate::Reply;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

/// Sends `pieces` one after the other until the client leaves; answers with how it did.
fn serve(mut stream: TcpStream, pieces: &[&str]) -> Option<Result<usize, ErrorKind>> {
    hear(&mut stream)?;
    for piece in pieces {
        if stream.write_all(piece.as_bytes()).is_err() {
            break;
        }
    }
    Some(stream.read(&mut [0; 16]).map_err(|e| e.kind()))
}

/// All requests given up in `order`; the result, and how each connection ended for the server.
fn left(step: &str, order: &str, pieces: &'static [&'static str]) -> (RunResult, Receiver<Result<usize, ErrorKind>>) {
    let (ended, endings) = channel();
    let result = loopback(
        &format!("{{ GET /a: {{ {step} abandon: {{ chance: 100%, {order} }} }} }}, {{ think: 5ms }}"),
        "users: 2, for: 300ms",
        move |stream| {
            if let Some(end) = serve(stream, pieces) {
                let _ = ended.send(end);
            }
        },
    );
    (result, endings)
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n";
const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const EVENT: &str = "9\r\ndata: a\n\n\r\n";

#[test]
fn a_request_is_given_up_where_it_was_asked_to_be() {
    for (step, order, pieces, at) in [
        ("", "at: head, after: 20ms", &[][..], 0),
        ("", "at: head, after: 10s, how: close", &[HEAD, "some of it"][..], 0),
        ("", "at: body", &[HEAD, "some of it"][..], 1),
        ("", "at: body, how: close, after: 3ms", &[HEAD, "some", "more"][..], 1),
        ("events: { until: end },", "at: stream", &[STREAM, EVENT][..], 2),
        ("events: { until: end },", "at: stream, how: close", &[STREAM, EVENT, EVENT][..], 2),
    ] {
        let (result, endings) = left(step, order, pieces);
        let totals = result.totals();
        assert!(totals.abandoned > 2, "{order}: {totals:?} {:?}", result.errors);
        assert_eq!((totals.ok, totals.failed, totals.timed_out), (0, 0, 0), "{order}: {:?}", result.errors);
        let mut expected = [0; 4];
        expected[at] = totals.abandoned;
        assert_eq!((result.faults.abandoned_at, result.faults.abandon), (expected, totals.abandoned), "{order}");
        let polite = order.contains("close");
        for _ in 0..totals.abandoned {
            let end = endings.recv().expect("the server saw each");
            // Whoever closes with unread bytes before him resets as well: TCP knows no other way.
            let is_reset = end == Err(ErrorKind::ConnectionReset);
            assert!(is_reset || polite && end == Ok(0), "{order}: {end:?}");
        }
    }
}

#[test]
fn where_the_place_never_comes_nothing_is_given_up() {
    let whole: &'static [&'static str] = &["HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"];
    for order in ["at: body", "at: stream", "at: message"] {
        let (result, _endings) = left("", order, whole);
        let totals = result.totals();
        assert!(totals.ok > 2 && totals.ok == totals.sent(), "{order}: {totals:?} {:?}", result.errors);
        assert!(result.faults.is_empty(), "{order}: {:?}", result.faults);
    }
}

#[test]
fn in_a_simulation_the_head_is_never_read_and_an_answer_has_no_middle() {
    let count = |at: &str| {
        let profile =
            format!("users: 4, for: 20s, faults: {{ abandon: {{ chance: 50%, after: 0ms..40ms, at: {at} }} }}");
        let result = play(&scenario("GET /a, { think: 50ms }", &profile), 1, |_: &Outgoing, _: Nanos| {
            Reply::ok(20 * MILLISECOND)
        });
        assert_laws(&result);
        (result.totals().abandoned * 10 / result.totals().sent(), result.faults.abandoned_at[0])
    };
    let (tenths, before) = count("head");
    assert!((4..=6).contains(&tenths) && before > 100, "{tenths} {before}");
    assert_eq!(count("body"), (0, 0));
}

/// What was sent, by URL and moment.
fn sent(profile: &str, seed: u64) -> (RunResult, BTreeMap<(String, Nanos), u64>) {
    let seen = Arc::new(Mutex::new(BTreeMap::<(String, Nanos), u64>::new()));
    let notes = Arc::clone(&seen);
    let steps = "GET /board, { think: 100ms..900ms }, { 'GET /mine/{{ user.index }}': {} }, { think: 100ms..900ms }";
    let result = play(&scenario(steps, profile), seed, move |out: &Outgoing, now: Nanos| {
        *notes.lock().expect("nobody panicked").entry((out.uri.path().to_owned(), now)).or_default() += 1;
        Reply::ok(MILLISECOND)
    });
    let seen = seen.lock().expect("nobody panicked").clone();
    (result, seen)
}

#[test]
fn a_burst_brings_several_users_to_one_url_at_one_instant() {
    for (seed, warm_up) in [(1, "0s"), (2, "3s"), (3, "10s")] {
        let (result, seen) =
            sent(&format!("users: 40, warm_up: {warm_up}, for: 20s, faults: {{ same_url_burst: 20% }}"), seed);
        assert_laws(&result);
        assert!(result.faults.same_url_burst > 50, "{:?}", result.faults);
        let at_once: u64 = seen.values().filter(|n| **n > 1).sum();
        assert!(at_once >= result.faults.same_url_burst, "{at_once} {:?}", result.faults);
        assert!(seen.iter().all(|((url, _), n)| url == "/board" || *n == 1), "each has a page of its own");
        assert_eq!(result.totals().failed, 0, "nobody came is no failure: {:?}", result.errors);
        // The wait is nobody's time.
        assert!(result.steps.iter().all(|s| s.response.max_ns < 2 * MILLISECOND));
        assert_eq!(result.timeline.iter().map(|p| p.faults.same_url_burst).sum::<u64>(), result.faults.same_url_burst);
    }
}

#[test]
fn without_a_burst_nobody_waits_and_a_cut_loses_nothing() {
    let (result, seen) = sent("users: 40, for: 20s", 1);
    assert!(result.faults.is_empty());
    assert!(seen.values().filter(|n| **n > 1).count() < 3, "users think independently");
    // One user alone waits in vain, and goes on.
    let (alone, _) = sent("users: 1, for: 20s, faults: { same_url_burst: 100% }", 1);
    assert_laws(&alone);
    assert!(alone.totals().ok > 10 && alone.faults.same_url_burst == 0, "{:?}", alone.totals());
    let (cut, _) =
        sent("arrivals: 100/s, max_users: 200, for: 1s, graceful_stop: 0s, faults: { same_url_burst: 100% }", 1);
    assert_laws(&cut);
    assert!(cut.totals().sent() > 50 && cut.duration_s * SECOND as f64 >= 1e9, "{:?}", cut.totals());
}
