//! Faults provoked on purpose: counted, seeded, outside the figures; in virtual time, and on loopback where the bytes
//! themselves matter.

use super::{assert_laws, play, program};
use engine::client::answer::Outgoing;
use engine::clock::{MILLISECOND, Nanos};
use engine::run_result::{RunResult, Tier};
use engine::simulate::Reply;
use engine::{HeaderFacts, Setup, Unobserved};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

pub(super) fn scenario(steps: &str, profile: &str) -> String {
    format!(
        "watertight: 1\nname: faults\ntargets: {{ t: 'http://127.0.0.1:1' }}\n\
         journeys: {{ j: {{ target: t, steps: [ {steps} ] }} }}\nprofiles: {{ p: {{ {profile} }} }}\n"
    )
}

fn count(result: &RunResult, step: &str) -> engine::run_result::Counts {
    let index = result.header.steps.iter().position(|s| s.name == step).expect("the step is there");
    result.steps[index].counts
}

#[test]
fn nothing_is_provoked_unless_asked_for() {
    let text = scenario("{ POST /a: { json: { a: 1 } } }, { think: 100ms }", "users: 5, for: 10s");
    let result = play(&text, 1, |_: &Outgoing, _: Nanos| Reply::ok(MILLISECOND));
    assert!(result.faults.is_empty() && result.header.faults.is_empty());
    assert_eq!(result.totals().abandoned, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn what_is_given_up_is_counted_and_enters_no_figure(seed in 0u64..1000, chance in 1u32..100, warm_up in 0u32..4) {
        let profile = format!(
            "users: 20, for: 20s, warm_up: {warm_up}s, graceful_stop: 1s, faults: {{ abandon: {{ chance: {chance}%, after: 0ms..40ms }} }}"
        );
        let text = scenario("GET /a, { GET /b: { save: { x: $.x } } }, GET /c, { think: 50ms }", &profile);
        let result = play(&text, seed, |out: &Outgoing, now: Nanos| match now % 7 {
            0 => Reply { after: None, ..Reply::ok(0) },
            1 => Reply { status: 503, ..Reply::ok(30 * MILLISECOND) },
            _ => Reply { body: out.uri.path().replace("/b", "{\"x\":1}").into_bytes(), ..Reply::ok(20 * MILLISECOND) },
        });
        assert_laws(&result);
        prop_assert_eq!(result.faults.abandon, result.totals().abandoned);
        prop_assert_eq!(result.timeline.iter().map(|p| p.faults.abandon).sum::<u64>(), result.faults.abandon);
        // Half of them come before an answer that takes 20 ms, and all before one that never comes.
        prop_assert!(chance < 50 || result.faults.abandon > 0);
        prop_assert!(result.errors.iter().all(|e| e.kind == "status 503" || e.kind == "timeout"), "{:?}", result.errors);
    }
}

#[test]
fn the_seed_says_what_is_given_up() {
    let text = scenario("GET /a, { think: 100ms..1s }", "users: 10, for: 30s, faults: { abandon: 20% }");
    let ask = |seed| play(&text, seed, |_: &Outgoing, _: Nanos| Reply::ok(20 * MILLISECOND)).totals();
    assert_eq!(ask(1), ask(1));
    assert_ne!(ask(1).abandoned, 0);
    assert_ne!(ask(1), ask(2));
}

#[test]
fn faults_move_no_other_draw() {
    // The same thoughts with and without a fault that costs no time: ids that are counted.
    let sent = |profile: &str| {
        let text = scenario("GET /a, { think: 100ms..1s }", profile);
        play(&text, 7, |_: &Outgoing, _: Nanos| Reply::ok(MILLISECOND)).totals().sent()
    };
    assert_eq!(sent("users: 10, for: 30s"), sent("users: 10, for: 30s, faults: { reconnect: 50%, slow_reader: 50% }"));
}

#[test]
fn a_user_goes_on_as_if_it_had_reloaded_unless_something_had_to_be_saved() {
    let abandon = "abandon: { chance: 100%, after: 1ms }";
    let answer = |_: &Outgoing, _: Nanos| Reply { body: b"{\"x\":1}".to_vec(), ..Reply::ok(10 * MILLISECOND) };
    let goes_on = play(
        &scenario(&format!("{{ GET /a: {{ {abandon} }} }}, GET /b, {{ think: 1s }}"), "users: 1, for: 10s"),
        1,
        answer,
    );
    assert_laws(&goes_on);
    assert_eq!(count(&goes_on, "GET /a").abandoned, count(&goes_on, "GET /a").sent());
    assert_eq!(count(&goes_on, "GET /b").ok, count(&goes_on, "GET /a").abandoned);
    assert_eq!(goes_on.iterations.gave_up, 0);
    let save = "save: { x: $.x }";
    let gives_up = play(
        &scenario(&format!("{{ GET /a: {{ {abandon}, {save} }} }}, GET /b, {{ think: 1s }}"), "users: 1, for: 10s"),
        1,
        answer,
    );
    assert_laws(&gives_up);
    assert_eq!(count(&gives_up, "GET /b").sent(), 0);
    assert_eq!(gives_up.iterations.gave_up, count(&gives_up, "GET /a").abandoned);
    assert!(gives_up.header.faults.iter().any(|(name, extent)| name == "abandon" && extent.contains("at GET /a")));
}

#[test]
fn what_later_steps_build_on_is_asked_for_again_and_heard_out() {
    let everything = "users: 20, for: 10s, faults: { abandon: { chance: 100%, after: 1ms } }";
    let text = scenario("GET /a, { think: 1s }", everything).replace("steps:", "before: [ POST /log-in ], steps:");
    let result = play(&text, 1, |_: &Outgoing, _: Nanos| Reply::ok(10 * MILLISECOND));
    assert_laws(&result);
    let login = count(&result, "POST /log-in");
    assert_eq!((login.abandoned, login.ok), (20, 20), "nobody goes on without having logged in");
    assert_eq!(count(&result, "GET /a").ok, 0, "nothing builds on this");

    let saved = "{ GET /a: { save: { x: $.x } } }, 'GET /b?x={{ x }}', { think: 1s }";
    let answer = |_: &Outgoing, _: Nanos| Reply { body: b"{\"x\":1}".to_vec(), ..Reply::ok(10 * MILLISECOND) };
    let result = play(&scenario(saved, everything), 1, answer);
    assert_laws(&result);
    let a = count(&result, "GET /a");
    assert_eq!((a.ok, result.iterations.gave_up), (a.abandoned, 0), "a fault costs no iteration");
    assert_eq!(a.ok, count(&result, "GET /b?x={{ x }}").sent());

    let some = "users: 1, for: 60s, faults: { abandon: { chance: 30%, after: 1ms } }";
    let result = play(&scenario("POST /log-in, GET /b, { think: 1s }", some), 1, |out: &Outgoing, _: Nanos| {
        let mut reply = Reply::ok(10 * MILLISECOND);
        if out.uri.path() == "/log-in" {
            reply.headers.insert("set-cookie", http::HeaderValue::from_static("sid=1"));
        }
        reply
    });
    assert_laws(&result);
    let (login, b) = (count(&result, "POST /log-in"), count(&result, "GET /b"));
    assert!(login.abandoned > 5 && b.abandoned > 5, "{login:?} {b:?}");
    assert!(b.sent() - login.ok <= 1, "but for the first, whose cookie nobody knows of: {login:?} {b:?}");
}

#[test]
fn thinking_left_out_is_counted() {
    let rounds = |share: &str| {
        let text =
            scenario("GET /a, { think: 900ms }", &format!("users: 1, for: 10s, faults: {{ think_zero: {share} }}"));
        let result = play(&text, 1, |_: &Outgoing, _: Nanos| Reply::ok(100 * MILLISECOND));
        (result.iterations.completed, result.faults.think_zero)
    };
    assert_eq!(rounds("0%"), (10, 0));
    assert_eq!(rounds("100%"), (100, 100));
}

#[test]
fn large_bodies_say_the_same_and_counted_ids_are_alike() {
    let text = scenario(
        "{ POST /a: { json: { id: '{{ client_id() }}', note: hello } } }, { think: 1s }",
        "users: 3, for: 20s, faults: { large_body: 50%, equal_ids: true }",
    );
    let seen = Arc::new(Mutex::new((0u64, BTreeMap::<String, u64>::new())));
    let notes = Arc::clone(&seen);
    let result = play(&text, 1, move |out: &Outgoing, _: Nanos| {
        let body: serde_json::Value = serde_json::from_slice(&out.body).expect("a strict parser takes it");
        assert_eq!(body["note"], "hello");
        let mut notes = notes.lock().expect("nobody panicked");
        notes.0 += u64::from(out.body.len() > 64 << 10);
        *notes.1.entry(body["id"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        Reply::ok(MILLISECOND)
    });
    let (large, ids) = seen.lock().expect("nobody panicked").clone();
    assert_eq!(result.faults.large_body, large);
    assert!(large > 10 && large < result.totals().sent());
    assert_eq!(result.faults.equal_ids, result.totals().sent());
    assert_eq!(ids.get("1"), Some(&3), "each of three users has a 1: {ids:?}");
}

/// Plays `steps` against a server on loopback that serves each connection with `serve`.
pub(super) fn loopback(steps: &str, profile: &str, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> RunResult {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    let text = scenario(steps, profile).replace("127.0.0.1:1'", &format!("127.0.0.1:{port}'"));
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

/// Reads a request's head and as much body as came with it; `None` at the end of the connection.
pub(super) fn hear(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = vec![0; 256 << 10];
    let n = stream.read(&mut bytes).ok().filter(|n| *n > 0)?;
    Some(String::from_utf8_lossy(&bytes[..n]).into_owned())
}

/// How each connection ended, as the server saw it, when all requests are given up in `how`.
fn endings(how: &str) -> (RunResult, Receiver<Result<usize, ErrorKind>>) {
    let (ended, endings) = channel();
    let result = loopback(
        &format!("{{ GET /a: {{ abandon: {{ chance: 100%, after: 2ms, how: {how} }} }} }}"),
        "users: 2, for: 300ms",
        move |mut stream| {
            let Some(_) = hear(&mut stream) else { return };
            // Nothing is answered; the next thing heard is how the client leaves.
            let end = stream.read(&mut [0; 16]).map_err(|e| e.kind());
            let _ = ended.send(end);
        },
    );
    (result, endings)
}

#[test]
fn a_reset_is_really_sent_and_a_close_is_polite() {
    for (how, expected) in [("reset", Err(ErrorKind::ConnectionReset)), ("close", Ok(0))] {
        let (result, endings) = endings(how);
        let totals = result.totals();
        assert!(totals.abandoned > 4, "{how}: {totals:?}");
        assert_eq!((totals.ok, totals.failed, totals.timed_out), (0, 0, 0), "{how}");
        assert_eq!(result.faults.abandon, totals.abandoned);
        for _ in 0..totals.abandoned {
            assert_eq!(endings.recv().expect("the server saw each"), expected, "{how}");
        }
    }
}

#[test]
fn what_came_of_an_answer_that_was_given_up_is_scanned() {
    let latest = Mutex::new(String::new());
    let result = loopback(
        "{ POST /notes: { json: { note: '{{ marker }}' } } }, { GET /a: { abandon: { chance: 100%, after: 100ms } } }",
        "users: 4, for: 1s",
        move |mut stream| {
            while let Some(heard) = hear(&mut stream) {
                let mut latest = latest.lock().expect("nobody panicked");
                let answer = if let Some((_, body)) = heard.split_once("\r\n\r\n").filter(|_| heard.starts_with("POST"))
                {
                    *latest = body.to_owned();
                    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned()
                } else {
                    // A part of an answer that never ends: somebody's note, perhaps another one's.
                    format!("HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n{latest}")
                };
                let _ = stream.write_all(answer.as_bytes());
            }
        },
    );
    assert!(result.totals().abandoned > 4, "{:?}", result.totals());
    let found: Vec<_> = result.isolation.groups.iter().map(|g| (g.key.detector.as_str(), g.key.tier)).collect();
    // The users of this scenario have no role, so nobody could say whose data they may see.
    assert_eq!(found, [("foreign-marker", Tier::Suspect)]);
    assert_eq!(result.header.steps[result.isolation.groups[0].key.step].name, "GET /a");
}

const SMALL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[test]
fn reconnecting_opens_a_connection_for_each_request() {
    let result = loopback("GET /a", "users: 2, for: 200ms, faults: { reconnect: 100% }", |mut stream| {
        while hear(&mut stream).is_some() {
            let _ = stream.write_all(SMALL.as_bytes());
        }
    });
    let step = &result.steps[0];
    assert!(step.counts.ok > 4, "{:?} {:?}", step.counts, result.errors);
    assert_eq!(step.connect.count(), step.counts.ok);
    assert_eq!(result.faults.reconnect, step.counts.ok - 2, "a user's first request opens one anyway");
}

#[test]
fn an_answer_that_is_read_slowly_comes_whole() {
    let result = loopback(
        "{ GET /a: { expect: { body: { contains: the end } } } }",
        "users: 2, for: 300ms, faults: { slow_reader: 100% }",
        |mut stream| {
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: 3007\r\n\r\n{}the end", "x".repeat(3000));
            while hear(&mut stream).is_some() {
                let _ = stream.write_all(text.as_bytes());
            }
        },
    );
    let totals = result.totals();
    assert!(totals.ok > 0 && totals.ok == totals.sent(), "{totals:?} {:?}", result.errors);
    assert_eq!(result.faults.slow_reader, totals.sent());
}

#[test]
fn strangers_come_beside_the_load_and_enter_no_figure() {
    let seen = Arc::new([const { AtomicU64::new(0) }; 3]);
    let counted = Arc::clone(&seen);
    let result = loopback(
        "GET /a, { think: 5ms }",
        "users: 2, for: 400ms, faults: { malformed: 50%, oversize_headers: 50% }",
        move |mut stream| {
            while let Some(heard) = hear(&mut stream) {
                if heard.contains("zz\r\n") {
                    counted[0].fetch_add(1, Relaxed);
                    return;
                }
                if heard.contains("x-oversize-0") {
                    counted[1].fetch_add(1, Relaxed);
                    return;
                }
                counted[2].fetch_add(1, Relaxed);
                let _ = stream.write_all(SMALL.as_bytes());
            }
        },
    );
    let [malformed, oversize, ordinary] = [0, 1, 2].map(|i| seen[i].load(Relaxed));
    let totals = result.totals();
    assert_eq!((totals.ok, totals.sent()), (ordinary, ordinary), "{:?}", result.errors);
    assert!(malformed > 0 && malformed <= result.faults.malformed, "{malformed} {:?}", result.faults);
    assert!(oversize > 0 && oversize <= result.faults.oversize_headers, "{oversize} {:?}", result.faults);
}

/// Logs in and out by cookie; keeps what came with each request.
fn by_cookie(seen: Arc<Mutex<Vec<(String, bool)>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut head) {
                    let text = String::from_utf8_lossy(&head[..n]).to_lowercase();
                    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                    let set = if path == "/login" { "set-cookie: sid=7\r\n" } else { "" };
                    seen.lock().expect("nobody died").push((path, text.contains("\r\ncookie: sid=7")));
                    let answer = format!("HTTP/1.1 200 OK\r\n{set}content-length: 2\r\n\r\nok");
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn who_sits_down_without_a_log_out_has_no_cookies_and_chaos_never_hands_any_on() {
    for (after, faults, keeps) in [
        ("", "faults: { switch_account: 100% }", false),
        (", after: [ GET /logout ]", "faults: { switch_account: 100% }", true),
        (", after: [ GET /logout ]", "preset: chaos", false),
    ] {
        let seen = Arc::default();
        let port = by_cookie(Arc::clone(&seen));
        let text = format!(
            "watertight: 1\nname: switch\ntargets: {{ t: 'http://127.0.0.1:{port}' }}\n\
             roles: {{ u: {{ accounts: {{ count: 12, values: {{ id: 'u{{{{ index }}}}' }} }} }} }}\n\
             journeys: {{ j: {{ as: u, target: t, before: [ GET /login ], steps: [ GET /a ]{after} }} }}\n\
             profiles: {{ p: {{ users: 2, for: 60s, {faults} }} }}\n"
        );
        let setup = Setup {
            profile: 0,
            facts: HeaderFacts::default(),
            seed: 1,
            workers: 1,
            key: [1; 32],
            folder: None,
            stop: Arc::default(),
            health_requests: 0,
        };
        let most = if faults.starts_with("preset") { 400 } else { 20 };
        let result =
            engine::run_at_most(&program(&text), setup, Some(most), &mut Unobserved).expect("it starts").result;
        assert!(result.faults.switch_account > 3, "{:?}", result.faults);
        let seen = seen.lock().expect("nobody died");
        let with = |path: &str| seen.iter().filter(|(p, cookie)| p == path && *cookie).count();
        let count = |path: &str| seen.iter().filter(|(p, _)| p == path).count();
        assert_eq!(with("/login") > 0, keeps, "{after} {faults}: {seen:?}");
        assert_eq!((with("/a"), with("/logout")), (count("/a"), count("/logout")), "logged in all the time: {seen:?}");
    }
}
