//! Detectors that need more than one marker: answers bound to their requests, writes that must be there, credentials
//! that must no longer work. For each the defect, and the honest behaviour that looks like it and must stay silent.

use super::{assert_laws, play};
use engine::client::answer::Outgoing;
use engine::clock::{MILLISECOND, Nanos};
use engine::run_result::{RunResult, Tier};
use engine::simulate::Reply;
use std::collections::HashMap;

fn found(result: &RunResult) -> Vec<(&str, Tier)> {
    result.isolation.groups.iter().map(|g| (g.key.detector.as_str(), g.key.tier)).collect()
}

fn kinds(result: &RunResult) -> Vec<&str> {
    let mut kinds: Vec<_> = result.errors.iter().map(|e| e.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn header<'a>(request: &'a Outgoing, name: &str) -> &'a str {
    request.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

fn private(mut reply: Reply) -> Reply {
    reply.headers.insert("cache-control", "private, no-store".parse().expect("a header"));
    reply
}

const ECHO: &str = "watertight: 1
name: echo
targets: { t: 'http://127.0.0.1:1' }
roles: { u: { accounts: { count: 6, values: { id: 'u-{{ index }}' } } } }
journeys:
  j:
    as: u
    target: t
    headers: { x-user: '{{ account.id }}' }
    on_failure: continue
    steps:
      - GET /a: { echo: { send: X-Request-Id, read: READ } }
      - think: 1s
profiles: { p: { users: USERS, for: 20s FAULTS } }
";

/// A target that repeats ids, each in its own way.
fn echoing(defect: &'static str, users: &str, read: &str, faults: &str) -> RunResult {
    let text = ECHO.replace("READ", read).replace("USERS", users).replace("FAULTS", faults);
    let mut before: HashMap<String, String> = HashMap::new();
    let (mut last_of_all, mut count) = (String::from("first"), 0);
    let result = play(&text, 1, move |request: &Outgoing, _: Nanos| {
        count += 1;
        let id = header(request, "x-request-id").to_owned();
        let user = header(request, "x-user").to_owned();
        let mut reply = private(Reply::ok(MILLISECOND));
        let mine = before.insert(user, id.clone());
        let others = std::mem::replace(&mut last_of_all, id.clone());
        let (echo, status) = match defect {
            "one-late" => (mine.unwrap_or_else(|| id.clone()), 200),
            "anothers" if count > 3 => (others, 200),
            "own-numbers" => (format!("{}", 1_000_000 + count), 200),
            "own-uuid" => (format!("{count:08x}-1111-4222-8333-444444444444"), 200),
            "error-page" => (String::new(), 502),
            "upper-case" => (id.to_ascii_uppercase(), 200),
            "decorated" => (format!("gateway-7; {id}; hop=2"), 200),
            "cached" => {
                reply.headers.insert("age", "7".parse().expect("a header"));
                (others, 200)
            }
            _ => (id, 200),
        };
        reply.status = status;
        if !echo.is_empty() {
            reply.headers.insert("x-request-id", echo.parse().expect("a header"));
            reply.body = format!("{{\"request_id\":\"{echo}\"}}").into_bytes();
        }
        reply
    });
    assert_laws(&result);
    result
}

#[test]
fn an_answer_to_another_request_is_a_crossed_answer_also_of_the_same_user() {
    for read in ["X-Request-Id", "$.request_id"] {
        let result = echoing("one-late", "1", read, "");
        assert_eq!(found(&result), [("crossed-answer", Tier::Correctness)], "{read}");
        assert_eq!(kinds(&result), ["crossed answer"]);
        let group = &result.isolation.groups[0];
        assert_eq!(group.count, result.totals().failed);
        assert!(group.count > 10 && result.totals().ok == 1, "{:?}", result.totals());
        assert!(group.examples[0].hint.starts_with("one late"), "{}", group.examples[0].hint);
        let hint = &group.examples[3].hint;
        assert!(hint.starts_with("pool desync: on this connection answers come one late, 4 times"), "{hint}");
    }
    let result = echoing("anothers", "3", "X-Request-Id", "");
    assert_eq!(found(&result), [("crossed-answer", Tier::Correctness)]);
    let example = &result.isolation.groups[0].examples[0];
    assert_ne!(example.reader.user, example.owner.user);
    assert!(example.hint.starts_with("crossed connection behind the target"), "{}", example.hint);
}

#[test]
fn under_equal_ids_what_was_sent_last_tells_how_late_it_comes() {
    let faults = ", faults: { equal_ids: true }";
    let result = echoing("one-late", "3", "X-Request-Id", faults);
    assert_eq!(found(&result), [("crossed-answer", Tier::Correctness)]);
    assert!(result.isolation.groups[0].examples.iter().any(|e| e.hint.starts_with("one late")));
    for honest in ["none", "own-numbers", "own-uuid"] {
        assert_eq!(found(&echoing(honest, "3", "X-Request-Id", faults)), [], "{honest}");
    }
}

#[test]
fn honest_ways_with_ids_are_no_crossed_answers() {
    for (honest, expected) in [
        ("none", &[][..]),
        ("upper-case", &[]),
        ("decorated", &[]),
        ("own-numbers", &["echo missing"]),
        ("own-uuid", &["echo missing"]),
        ("error-page", &["status 502"]),
        ("cached", &["echo missing"]),
    ] {
        let result = echoing(honest, "4", "X-Request-Id", "");
        assert_eq!(found(&result).iter().filter(|(d, _)| *d != "cache-lint").count(), 0, "{honest}");
        assert_eq!(kinds(&result), expected, "{honest}");
    }
}

const NOTES: &str = "watertight: 1
name: notes
targets: { t: 'http://127.0.0.1:1' }
roles: { u: { accounts: { count: ROWS, values: { id: 'u-{{ index }}' } } REUSE } }
journeys:
  j:
    as: u
    target: t
    on_failure: continue
    steps:
      - GET /notes/{{ account.id }}?first: { expect: { marker: latest } }
      - POST /notes/{{ account.id }}: { json: { note: 'hello {{ marker }}' } }
      - GET /notes/{{ account.id }}: { expect: { marker: latest } }
      - think: 1s
profiles: { p: { users: 3, for: 20s FAULTS } }
";

/// A target that keeps notes.
fn noting(defect: &'static str, faults: &str, rows: &str, reuse: &str) -> RunResult {
    let text = NOTES.replace("ROWS", rows).replace("REUSE", reuse).replace("FAULTS", faults);
    let mut notes: HashMap<String, Vec<String>> = HashMap::new();
    let mut writes = 0;
    let result = play(&text, 1, move |request: &Outgoing, _: Nanos| {
        let mut reply = private(Reply::ok(10 * MILLISECOND));
        let list = notes.entry(request.uri.path().to_owned()).or_default();
        let body = String::from_utf8_lossy(&request.body).into_owned();
        if request.method == "POST" {
            writes += 1;
            let lost = writes % 4 == 0;
            match defect {
                "lost" if lost => {}
                "refused" if lost => reply.status = 503,
                "queued" if lost => reply.status = 202,
                _ => list.push(body),
            }
        } else {
            let shown = match defect {
                "newest-only" => list.last().cloned().unwrap_or_default(),
                _ => list.join(","),
            };
            reply.body = format!("[{shown}]").into_bytes();
        }
        reply
    });
    assert_laws(&result);
    result
}

#[test]
fn an_acknowledged_write_that_is_not_there_is_a_lost_write() {
    let result = noting("lost", "", "3", "");
    assert_eq!(found(&result), []);
    assert_eq!(kinds(&result), ["lost-write"]);
    assert!(result.totals().failed > 4);
}

#[test]
fn what_was_never_acknowledged_may_be_missing_and_may_be_there() {
    assert_eq!(kinds(&noting("none", "", "3", "")), [""; 0]);
    assert_eq!(kinds(&noting("newest-only", "", "3", "")), [""; 0]);
    assert_eq!(kinds(&noting("refused", "", "3", "")), ["status 503"]);
    assert_eq!(kinds(&noting("queued", "", "3", "")), [""; 0]);
    let given_up = ", faults: { abandon: { chance: 40%, after: 1ms..20ms } }";
    assert_eq!(kinds(&noting("newest-only", given_up, "3", "")), [""; 0], "an abandoned write was stored all the same");
    assert_eq!(kinds(&noting("newest-only", "", "1", ", reuse: wrap")), [""; 0], "users of one account overtake");
}

const LOG_OUT: &str = "watertight: 1
name: out
targets: { t: 'http://127.0.0.1:1' }
roles: { u: { accounts: { count: 3, values: { id: 'u-{{ index }}' } } REUSE } }
journeys:
  j:
    as: u
    target: t
    steps:
      - POST /login: { save: { token: { json: $.token, credential: true } } }
      - POST /notes: { headers: { authorization: 'Bearer {{ token }}' }, json: { note: '{{ marker }}', id: '{{ account.id }}' } }
      - GET /notes/{{ account.id }}: { headers: { authorization: 'Bearer {{ token }}' }, expect: { marker: own } }
      RELOGIN
      - POST /logout: { headers: { authorization: 'Bearer {{ token }}' }, revokes: token, on_failure: continue }
      - think: 1s
profiles: { p: { users: 3, for: 20s } }
";

/// A target with log-ins and log-outs.
fn logging(defect: &'static str, extra: &str, reuse: &str) -> RunResult {
    let text = LOG_OUT.replace("RELOGIN", extra).replace("REUSE", reuse);
    let mut notes: HashMap<String, String> = HashMap::new();
    let mut valid: Vec<String> = Vec::new();
    let mut count = 0;
    let result = play(&text, 1, move |request: &Outgoing, _: Nanos| {
        let mut reply = private(Reply::ok(MILLISECOND));
        let bearer = header(request, "authorization").trim_start_matches("Bearer ").to_owned();
        let is_in = valid.contains(&bearer);
        let path = request.uri.path();
        let text = match path {
            "/login" => {
                count += 1;
                let token = format!("token-{count:06}");
                valid.push(token.clone());
                format!("{{\"token\":\"{token}\"}}")
            }
            "/notes" => {
                let json: serde_json::Value = serde_json::from_slice(&request.body).expect("we sent JSON");
                notes.insert(format!("/notes/{}", json["id"].as_str().unwrap_or_default()), json.to_string());
                "{}".into()
            }
            "/logout" => {
                match defect {
                    "keeps" => {}
                    "fails" => reply.status = 500,
                    _ => valid.retain(|token| *token != bearer),
                }
                "{}".into()
            }
            _ if is_in || defect == "public" => notes.get(path).cloned().unwrap_or_default(),
            _ if defect == "log-in page" => "<form>log in</form>".into(),
            _ if defect == "busy" => {
                reply.status = 503;
                String::new()
            }
            _ => {
                reply.status = 401;
                "{}".into()
            }
        };
        reply.body = text.into_bytes();
        reply
    });
    assert_laws(&result);
    result
}

#[test]
fn a_credential_that_works_after_the_log_out_is_stale_access() {
    let result = logging("keeps", "", "");
    assert_eq!(found(&result), [("stale-access", Tier::Proven)]);
    let group = &result.isolation.groups[0];
    let step = &result.header.steps[group.key.step];
    assert!(step.probe && step.name == "POST /logout, then again with the revoked token", "{step:?}");
    assert!(group.count > 20);
    let example = &group.examples[0];
    assert!(example.why.contains("`token` was revoked") && !example.excerpt.contains("token-0"), "{example:?}");
    assert_eq!(result.totals().failed, 0, "a leak fails no request: {:?}", result.errors);
}

#[test]
fn what_only_looks_like_stale_access_is_none() {
    let again = "- POST /login: { save: { token: { json: $.token, credential: true } } }";
    for (honest, extra, reuse) in [
        ("none", "", ""),
        ("public", "", ""),
        ("log-in page", "", ""),
        ("busy", "", ""),
        ("fails", "", ""),
        ("none", again, ""),
        ("none", "", ", reuse: wrap"),
    ] {
        let result = logging(honest, extra, reuse);
        assert_eq!(found(&result), [], "{honest} {extra} {reuse}");
        let seen = &result.isolation;
        match honest {
            "public" => assert!(seen.repeats_public > 20, "{seen:?}"),
            "busy" | "log-in page" => assert!(seen.probes_indeterminate > 20, "{seen:?}"),
            "fails" => assert!(seen.probes_skipped > 5, "{seen:?}"),
            _ if extra.is_empty() && reuse.is_empty() => {
                let repeated = &result.steps[result.header.steps.iter().position(|s| s.probe).expect("it is there")];
                assert!(repeated.counts.ok > 20, "{:?}", repeated.counts);
            }
            _ => assert!(seen.probes_skipped > 20, "{seen:?}"),
        }
    }
}
