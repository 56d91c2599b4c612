//! What real systems did: each mechanism of a public incident as a small target, its mended form, and one user alone.

use super::{assert_laws, play};
use engine::client::answer::Outgoing;
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::run_result::{RunResult, Tier};
use engine::simulate::Reply;
use std::collections::HashMap;

fn found(result: &RunResult) -> Vec<(&str, &str, Tier)> {
    let groups = result.isolation.groups.iter().filter(|g| g.key.tier != Tier::Risk);
    groups.map(|g| (g.key.detector.as_str(), g.key.place.as_str(), g.key.tier)).collect()
}

fn user(request: &Outgoing) -> String {
    request.headers.get("x-user").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
}

fn json(text: String) -> Reply {
    let mut reply = Reply::ok(MILLISECOND);
    reply.headers.insert("cache-control", "private, no-store".parse().expect("a header"));
    reply.body = text.into_bytes();
    reply
}

const CACHED: &str = "watertight: 1
name: a session refreshed at every page
targets: { t: 'http://127.0.0.1:1' }
roles: { u: { accounts: { count: 6, values: { id: 'u-{{ index }}' } } } }
journeys:
  j:
    as: u
    target: t
    before: [ POST /login: { save: { session: { cookie: session, credential: true } } } ]
    headers: { x-user: '{{ account.id }}' }
    steps: [ GET /about, think: 1s ]
profiles: { p: { users: USERS, for: 20s } }
";

/// Every answer renews the session; a cache keeps `/about` for two seconds, with its cookie unless it is mended.
fn cached(is_mended: bool, users: &str) -> RunResult {
    let mut kept: Option<(Nanos, String)> = None;
    let mut count = 0;
    let result = play(&CACHED.replace("USERS", users), 1, move |request: &Outgoing, now: Nanos| {
        count += 1;
        let mut cookie = format!("s-{}-{count:08}", user(request));
        if request.uri.path() == "/about" && !is_mended {
            match &kept {
                Some((at, old)) if now < at + 2 * SECOND => cookie.clone_from(old),
                _ => kept = Some((now, cookie.clone())),
            }
        }
        let mut reply = json("about us".into());
        reply.headers.insert("set-cookie", format!("session={cookie}; Path=/").parse().expect("a header"));
        reply
    });
    assert_laws(&result);
    result
}

#[test]
fn a_cached_session_cookie_is_found_at_the_step_that_hands_it_on() {
    let result = cached(false, "4");
    assert_eq!(found(&result), [("credential", "cookie", Tier::Proven)]);
    let group = &result.isolation.groups[0];
    assert_eq!(result.header.steps[group.key.step].name, "GET /about");
    let example = &group.examples[0];
    assert_ne!(example.reader.account, example.owner.account);
    assert!(example.hint.contains("cached answer"), "{}", example.hint);
    assert!(!example.why.contains("s-u-"), "the cookie itself is told to nobody: {}", example.why);
    assert_eq!(found(&cached(true, "4")), []);
    assert_eq!(found(&cached(false, "1")), []);
}

const OWNERS: &str = "watertight: 1
name: rows with owners
targets: { t: 'http://127.0.0.1:1' }
roles: { u: { accounts: { count: 4, values: { id: 'u-{{ index }}' } } } }
journeys:
  j:
    as: u
    target: t
    headers: { x-user: '{{ account.id }}' }
    on_failure: continue
    steps:
      - GET /rows: { identity: { '$.rows[*].owner': '{{ account.id }}' } EXPECT }
      - think: 1s
profiles: { p: { users: 3, for: 10s } }
";

fn rows(expect: &str, status: u16, owners: fn(&str) -> String) -> RunResult {
    let result = play(&OWNERS.replace("EXPECT", expect), 1, move |request: &Outgoing, _: Nanos| {
        let mut reply = json(format!("{{\"rows\":[{}]}}", owners(&user(request))));
        reply.status = status;
        reply
    });
    assert_laws(&result);
    result
}

#[test]
fn an_identity_of_many_rows_looks_at_each_of_them() {
    assert_eq!(found(&rows("", 200, |me| format!("{{\"owner\":\"{me}\"}},{{\"owner\":\"{me}\"}}"))), []);
    assert_eq!(found(&rows("", 200, |_| String::new())), [], "no row is nobody's");
    let result = rows("", 200, |me| format!("{{\"owner\":\"{me}\"}},{{\"owner\":\"nobody\"}},{{\"owner\":\"u-3\"}}"));
    assert_eq!(found(&result), [("identity", "body", Tier::Proven)]);
    let example = &result.isolation.groups[0].examples[0];
    assert_eq!(example.owner.account, "u-3");
    assert!(example.why.starts_with("$.rows[*].owner says u-3, but the request was made by u-"), "{}", example.why);
    assert_eq!(found(&rows("", 200, |_| "{\"owner\":\"nobody\"}".into())), [("identity", "body", Tier::Suspect)]);
}

#[test]
fn an_answer_that_is_wrong_in_other_ways_too_still_gives_away_whose_it_is() {
    for (expect, status) in
        [(", expect: { marker: own }", 200), (", expect: { body: { contains: x } }", 200), ("", 500)]
    {
        let result = rows(expect, status, |_| "{\"owner\":\"u-3\"}".into());
        assert_eq!(found(&result), [("identity", "body", Tier::Proven)], "{expect} {status}");
        assert_eq!(result.totals().ok, 0);
        let honest = rows(expect, status, |_| "{\"owner\":null}".into());
        assert_eq!(found(&honest), [], "an error about nobody, {expect} {status}");
    }
}

const FIRST: &str = "watertight: 1
name: the first write
targets: { t: { url: 'http://127.0.0.1:1', timeout: 100ms } }
roles: { u: { accounts: { count: 3, values: { id: 'u-{{ index }}' } } } }
journeys:
  j:
    as: u
    target: t
    headers: { x-user: '{{ account.id }}' }
    on_failure: continue
    steps:
      - PUT /note: { json: { note: '{{ marker }}' } }
      - GET /note: { expect: { marker: own } }
      - think: 1s
profiles: { p: { users: 3, for: 10s } }
";

#[test]
fn before_any_write_was_answered_nothing_of_mine_must_come_back() {
    // How many writes of each user break off or fail, and whether what comes back is then demanded.
    for (broken_off, failed, loses, missing) in [(1, 0, false, 0), (0, 1, false, 3), (1, 0, true, 27)] {
        let mut notes: HashMap<String, (u32, String)> = HashMap::new();
        let result = play(FIRST, 1, move |request: &Outgoing, _: Nanos| {
            let (writes, note) = notes.entry(user(request)).or_default();
            if request.method == "GET" {
                return json(if loses { String::new() } else { note.clone() });
            }
            *writes += 1;
            let mut reply = json(String::new());
            if *writes <= broken_off {
                return Reply::ok(SECOND);
            } else if *writes <= broken_off + failed {
                reply.status = 500;
            } else {
                *note = String::from_utf8_lossy(&request.body).into_owned();
            }
            reply
        });
        assert_laws(&result);
        let came: u64 = result.errors.iter().filter(|e| e.kind == "marker missing").map(|e| e.count).sum();
        assert!(
            came.abs_diff(missing) <= missing / 9,
            "{came} for {broken_off}, {failed}, {loses}: {:?}",
            result.errors
        );
    }
}

const UNSURE: &str = "watertight: 1
name: a write that nobody heard of
targets: { t: 'http://127.0.0.1:1' }
roles: { u: { accounts: { count: 4, values: { id: 'u-{{ index }}' } } } }
journeys:
  j:
    as: u
    target: t
    headers: { x-user: '{{ account.id }}' }
    steps:
      - PUT /note: { json: { note: '{{ marker }}' }, abandon: { chance: SHARE, after: 1ms } }
      - GET /note: { expect: { marker: own } }
      - think: 1s
profiles: { p: { users: 4, for: 10s } }
";

/// A target that never keeps anything; answers take 5 ms.
fn forgetful(share: &str) -> RunResult {
    let result = play(&UNSURE.replace("SHARE", share), 1, |_: &Outgoing, _: Nanos| Reply {
        after: Some(5 * MILLISECOND),
        ..json("{}".into())
    });
    assert_laws(&result);
    result
}

#[test]
fn a_step_is_not_blamed_for_what_may_never_have_been_written() {
    let read = |result: &RunResult| {
        let step = result.header.steps.iter().position(|s| s.name == "GET /note").expect("it is there");
        (result.steps[step].counts, result.isolation.steps[step])
    };
    let (counts, seen) = read(&forgetful("100%"));
    assert!(counts.ok > 20 && counts.failed == 0, "{counts:?}");
    assert_eq!((seen.scanned, seen.controlled), (0, 0), "neither for the step nor against it");
    let (counts, seen) = read(&forgetful("0%"));
    assert!(counts.ok == 0 && counts.failed > 5, "{counts:?}");
    assert_eq!(seen.scanned, counts.failed, "an acknowledged write has to come back");
}
