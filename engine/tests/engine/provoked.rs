//! Faults for leaks that hide at a small load: users who reload together, connections that go from one user to another,
//! a large body behind its head. In: scripted targets, servers on loopback. Out: leaks where there are some, and counts.

use super::loopback::{listen, ok, request, run_file};
use super::{assert_laws, play};
use engine::client::answer::Outgoing;
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::run_result::{RunResult, Tier};
use engine::simulate::Reply;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

const PAGES: &str = "watertight: 1
name: pages
targets: { t: 'http://127.0.0.1:1' }
journeys: { j: { target: t, steps: [ { 'GET /{{ user.index }}': {} }, { think: 300ms..1s }, POST /a, { think: 300ms..1s } ] } }
profiles: { p: { PROFILE } }
";

/// Reads by the moment at which they were sent.
fn reads(profile: &str, seed: u64) -> (RunResult, BTreeMap<Nanos, Vec<String>>) {
    let seen = Arc::new(Mutex::new(BTreeMap::<Nanos, Vec<String>>::new()));
    let notes = Arc::clone(&seen);
    let result = play(&PAGES.replace("PROFILE", profile), seed, move |out: &Outgoing, now: Nanos| {
        if out.method == "GET" {
            notes.lock().expect("nobody panicked").entry(now).or_default().push(out.uri.path().to_owned());
        }
        Reply::ok(4 * MILLISECOND)
    });
    assert_laws(&result);
    let seen = seen.lock().expect("nobody panicked").clone();
    (result, seen)
}

#[test]
fn users_who_reload_go_out_together_give_up_and_are_heard_out_in_the_end() {
    for seed in 0..5 {
        let (result, seen) = reads("users: 12, for: 20s, faults: { reload_burst: 20% }", seed);
        let (faults, totals) = (result.faults, result.totals());
        assert!(faults.reload_burst > 10 && faults.abandon > faults.reload_burst / 4, "{faults:?}");
        assert_eq!((totals.abandoned, totals.failed), (faults.abandon, 0));
        let read = result.header.steps.iter().position(|s| s.name.starts_with("GET")).expect("the step is there");
        let counts = &result.steps[read].counts;
        let iterations = &result.iterations;
        assert!(counts.ok >= iterations.completed, "each is heard out: {counts:?} {iterations:?}");
        assert!(result.steps.iter().all(|s| s.counts.abandoned == 0 || s.counts.abandoned == counts.abandoned));
        // The rounds are of several users, each with a page of its own, and at most one a second begins.
        let rounds: Vec<_> = seen.iter().filter(|(_, pages)| pages.len() > 1).collect();
        assert!(rounds.iter().any(|(_, pages)| pages.len() > 3), "{rounds:?}");
        assert!(rounds.len() <= 21, "{} rounds in 20 s", rounds.len());
        // Nobody asks more than six times for one page.
        assert!(counts.abandoned <= 5 * faults.reload_burst, "{counts:?}");
    }
}

#[test]
fn who_is_alone_never_reloads_and_writes_are_made_once() {
    let (alone, _) = reads("users: 1, for: 20s, faults: { reload_burst: 100% }", 1);
    assert!(alone.faults.is_empty() && alone.totals().ok > 10, "{:?}", alone.faults);
    let (cut, _) =
        reads("arrivals: 50/s, max_users: 200, for: 2s, graceful_stop: 0s, faults: { reload_burst: 100% }", 1);
    assert!(cut.faults.reload_burst > 0 && cut.duration_s * SECOND as f64 >= 2e9, "{:?}", cut.totals());
}

const NOTES: &str = "watertight: 1
name: notes
targets: { t: { url: 'http://127.0.0.1:PORT', timeout: 3s } }
roles: { u: { accounts: { count: 40, values: { id: 'u-{{ index }}' } } } }
journeys:
  j:
    as: u
    target: t
    headers: { x-user: '{{ account.id }}' }
    steps:
      - PUT /note: { json: { note: '{{ marker }}' } }
      - think: 2ms..6ms
      - GET /note: { expect: { marker: own } }
      - think: 2ms..6ms
profiles: { p: { users: USERS, for: 1s, faults: { FAULTS } } }
";

/// Whose note it is a target asks once for each connection, unless it is mended.
fn notes(is_mended: bool, users: &str, faults: &str) -> RunResult {
    let notes: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let port = listen(move |mut stream| {
        let mut first = None;
        while let Some(text) = request(&mut stream) {
            let asks = text.lines().find_map(|l| l.strip_prefix("x-user: ")).unwrap_or_default().to_owned();
            let user = if is_mended { asks } else { first.get_or_insert(asks).clone() };
            let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
            let mut notes = notes.lock().expect("nobody panicked");
            let answer = if head.starts_with("PUT") {
                notes.insert(user, body.trim().to_owned());
                ok("{}")
            } else {
                ok(notes.get(&user).map_or("{}", |note| note))
            };
            drop(notes);
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    let text = NOTES.replace("PORT", &port.to_string()).replace("USERS", users).replace("FAULTS", faults);
    run_file(&text)
}

fn proven(result: &RunResult) -> u64 {
    result.isolation.groups.iter().filter(|g| g.key.tier == Tier::Proven).map(|g| g.count).sum()
}

#[test]
fn what_stays_with_a_connection_shows_once_it_is_handed_on() {
    let leaky = notes(false, "8", "swap_connection: 20%");
    assert!(leaky.faults.swap_connection > 5, "{:?}", leaky.faults);
    assert!(proven(&leaky) > 0, "{:?}", leaky.isolation.groups);
    let examples: Vec<_> = leaky.isolation.groups.iter().flat_map(|g| &g.examples).collect();
    assert!(examples.iter().any(|e| e.connection.contains("taken over from user")), "{examples:?}");
    for (is_mended, users, faults) in [
        (true, "8", "swap_connection: 20%, large_body: 10%"),
        (false, "8", "equal_ids: false"),
        (false, "1", "swap_connection: 20%"),
    ] {
        let result = notes(is_mended, users, faults);
        assert!(result.totals().ok > 20 && result.totals().failed == 0, "{:?}", result.errors);
        assert_eq!(proven(&result), 0, "{is_mended} {users} {faults}");
        assert_eq!(result.faults.swap_connection > 0, is_mended, "{:?}", result.faults);
    }
}

/// Whether anything of the body is there as soon as the head is.
fn comes_with_its_head(stream: &mut TcpStream) -> Option<bool> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    stream.set_nonblocking(true).ok()?;
    let is_there = stream.peek(&mut byte).map_err(|e| e.kind()) != Err(ErrorKind::WouldBlock);
    stream.set_nonblocking(false).ok()?;
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: "))?.parse().ok()?;
    stream.read_exact(&mut vec![0; length]).ok()?;
    Some(is_there)
}

#[test]
fn a_large_body_comes_a_moment_after_its_head() {
    let behind = |faults: &str| {
        let counts: Arc<[AtomicUsize; 2]> = Arc::default();
        let seen = Arc::clone(&counts);
        let port = listen(move |mut stream| {
            while let Some(is_there) = comes_with_its_head(&mut stream) {
                seen[usize::from(is_there)].fetch_add(1, Relaxed);
                if stream.write_all(ok("{}").as_bytes()).is_err() {
                    return;
                }
            }
        });
        let file = format!(
            "watertight: 1\nname: loopback\ntargets: {{ t: 'http://127.0.0.1:{port}' }}\njourneys: {{ j: {{ target: t, steps: \
             [ PUT /a: {{ json: {{ a: 1 }} }}, think: 2ms ] }} }}\nprofiles: {{ p: {{ users: 2, for: 300ms, {faults} }} }}\n"
        );
        let result = run_file(&file);
        assert!(result.totals().ok > 10 && result.totals().failed == 0, "{:?}", result.errors);
        let [behind, with] = [0, 1].map(|at| counts[at].load(Relaxed));
        (behind, with)
    };
    let (held, with) = behind("faults: { large_body: 100% }");
    assert!(held * 2 > with, "{held} came behind their heads, {with} with them");
    let (held, with) = behind("graceful_stop: 1s");
    assert!(held * 10 <= with, "{held} came behind their heads, {with} with them");
}
