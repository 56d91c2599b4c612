//! What lies on the way to an answer, hops of a redirect and tries of a poll, is scanned; it owes nothing of what is to
//! come back, hides no write and no cookie, and stays out of the request after it.

use super::loopback::{listen, request, run_file};
use super::{assert_laws, play};
use engine::client::answer::Outgoing;
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::run_result::{RunResult, Tier};
use engine::simulate::Reply;
use std::collections::HashMap;
use std::io::{Read, Write};

fn reply(status: u16, headers: &[(&'static str, &str)], body: &str) -> Reply {
    let mut reply = Reply { status, body: body.into(), ..Reply::ok(MILLISECOND) };
    reply.headers.insert("cache-control", "private, no-store".parse().expect("a header"));
    for (name, value) in headers {
        reply.headers.insert(*name, value.parse().expect("a header"));
    }
    reply
}

fn found(result: &RunResult) -> Vec<(&str, Tier)> {
    result.isolation.groups.iter().map(|g| (g.key.detector.as_str(), g.key.tier)).collect()
}

fn kinds(result: &RunResult) -> Vec<&str> {
    result.errors.iter().map(|e| e.kind.as_str()).collect()
}

fn scenario(steps: &str, after: &str) -> String {
    format!(
        "watertight: 1\nname: hops\ntargets: {{ t: 'http://127.0.0.1:1/api', other: 'http://127.0.0.1:2' }}\n\
         roles: {{ u: {{ accounts: {{ count: 3, values: {{ id: 'u-{{{{ index }}}}' }} }} }} }}\n\
         journeys:\n  j:\n    as: u\n    target: t\n    on_failure: continue\n    steps:\n{steps}      - think: 1s\n{after}\
         profiles: {{ p: {{ users: 3, for: 20s }} }}\n"
    )
}

/// Notes written by a form: the answer to a POST sends to a page that shows them. Every fourth write may get lost.
fn forms(steps: &str, loses: bool) -> RunResult {
    let mut notes: HashMap<String, String> = HashMap::new();
    let mut writes = 0;
    let result = play(&scenario(steps, ""), 1, move |out: &Outgoing, _: Nanos| {
        let id = out.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
        if out.method == "POST" {
            writes += 1;
            if !loses || writes % 4 != 0 {
                notes.insert(id.clone(), String::from_utf8_lossy(&out.body).into_owned());
            }
            return reply(303, &[("location", &format!("/api/notes/{id}"))], "");
        }
        reply(200, &[], notes.get(&id).map_or("", String::as_str))
    });
    assert_laws(&result);
    result
}

#[test]
fn a_hop_owes_no_marker_of_a_declared_control() {
    let write = "      - POST /notes/{{ account.id }}: { json: { note: '{{ marker }}' }, expect: { marker: own } }\n";
    let result = forms(write, false);
    assert_eq!((found(&result), kinds(&result)), (vec![], vec![]));
    let (seen, ok) = (result.isolation.steps[0], result.totals().ok);
    assert_eq!(result.overhead.redirect_hops, ok);
    assert_eq!((seen.scanned, seen.controlled), (ok, ok), "each write is shown back at its end");
}

#[test]
fn a_try_that_comes_too_early_owes_no_marker_of_a_declared_control() {
    let steps = "      - POST /notes: { json: { note: '{{ marker }}' } }
      - poll: GET /notes/{{ account.id }}
        every: 1s
        within: 5s
        expect: { marker: own }
";
    let mut note = String::new();
    let mut tries = 0;
    let result = play(&scenario(steps, "").replace("users: 3", "users: 1"), 1, move |out: &Outgoing, _: Nanos| {
        if out.method == "POST" {
            note = String::from_utf8_lossy(&out.body).into_owned();
            return reply(200, &[], "");
        }
        tries += 1;
        if tries % 3 == 0 { reply(200, &[], &note) } else { reply(404, &[], "not yet") }
    });
    assert_laws(&result);
    let (seen, counts) = (result.isolation.steps[1], result.steps[1].counts);
    assert_eq!(kinds(&result), [""; 0]);
    assert!(counts.ok > 10, "each try is a sample: {counts:?}");
    assert_eq!((seen.scanned, seen.controlled), (counts.ok / 3, counts.ok / 3), "of every three tries the last");
}

#[test]
fn an_answer_after_which_the_same_is_asked_once_more_owes_no_marker() {
    let steps = "      - POST /notes: { json: { note: '{{ marker }}' } }
      - GET /notes/{{ account.id }}: { retry: { on: 503, times: 1 }, expect: { marker: own } }
";
    for status in [401, 503] {
        let text = scenario(steps, "").replace("users: 3", "users: 1");
        let text = text.replace("    steps:\n", "    before: { steps: [ POST /in ], on_status: 401 }\n    steps:\n");
        let (mut note, mut tries) = (String::from("{}"), 0);
        let result = play(&text, 1, move |out: &Outgoing, _: Nanos| {
            if out.uri.path() == "/in" {
                return reply(200, &[], "");
            }
            if out.method == "POST" {
                note = String::from_utf8_lossy(&out.body).into_owned();
                return reply(200, &[], "");
            }
            tries += 1;
            if tries % 2 == 0 { reply(200, &[], &note) } else { reply(status, &[], "") }
        });
        assert_laws(&result);
        let step = result.header.steps.iter().position(|s| s.declared_control).expect("it is there");
        let (seen, counts) = (result.isolation.steps[step], result.steps[step].counts);
        assert!(counts.ok > 5 && counts.failed == counts.ok, "{status}: {counts:?}");
        assert_eq!((seen.scanned, seen.controlled), (counts.ok, counts.ok), "{status}: of every two attempts the last");
    }
}

#[test]
fn a_write_that_is_answered_by_a_redirect_is_acknowledged() {
    let steps = "      - POST /notes/{{ account.id }}: { json: { note: '{{ marker }}' } }
      - GET /notes/{{ account.id }}: { expect: { marker: latest } }
";
    assert_eq!(kinds(&forms(steps, false)), [""; 0]);
    let result = forms(steps, true);
    assert_eq!(kinds(&result), ["lost-write"]);
    assert!(result.totals().failed > 4 && result.isolation.steps[1].controlled > 4);
    // The redirect may be the answer that the step asks for. To be sent away unasked is none.
    let expecting = |expect: &str| steps.replacen("' } }", &format!("' }}, {expect} }}"), 1);
    let result = forms(&expecting("expect: { status: 303 }"), true);
    assert_eq!((kinds(&result), result.overhead.redirect_hops), (vec!["lost-write"], 0));
    assert_eq!(kinds(&forms(&expecting("redirects: 0"), true)), [""; 0]);
}

/// Log-ins by a form, whose cookie comes with the redirect; `declared` says at which target a step saves it.
fn form_log_in(declared: &str, is_shared: bool, through: &str) -> RunResult {
    let steps = "      - POST /login: { form: { name: '{{ account.id }}' } }\n";
    let refresh = format!(
        "  refresh:\n    as: u\n    target: {declared}\n    steps:\n      \
         - POST /refresh: {{ save: {{ sid: {{ cookie: sid, credential: true }} }} }}\n      - think: 1s\n"
    );
    let (through, mut count) = (through.to_owned(), 0);
    let result = play(&scenario(steps, &refresh), 1, move |out: &Outgoing, _: Nanos| {
        count += 1;
        let cookie = if is_shared && out.request == 0 { "sid=one-for-all".into() } else { format!("sid=s-{count}") };
        match out.uri.path() {
            "/login" if !through.is_empty() => reply(302, &[("location", &through)], ""),
            "/login" | "/callback" => reply(302, &[("location", "/home"), ("set-cookie", &cookie)], ""),
            "/refresh" => reply(200, &[("set-cookie", &cookie)], ""),
            _ => reply(200, &[], "home"),
        }
    });
    assert_laws(&result);
    assert_eq!(result.totals().failed, 0, "{:?}", result.errors);
    result
}

#[test]
fn a_session_cookie_that_comes_with_a_followed_redirect_is_looked_at() {
    let result = form_log_in("t", true, "");
    assert_eq!(found(&result), [("credential", Tier::Proven)]);
    let group = &result.isolation.groups[0];
    assert_eq!(result.header.steps[group.key.step].name, "POST /login");
    assert!(group.examples[0].why.contains("`sid` was issued to") && !group.examples[0].why.contains("one-for-all"));
    assert_eq!(found(&form_log_in("t", false, "")), []);
    // Set by another service on the way: there its name counts, and nowhere else.
    assert_eq!(found(&form_log_in("other", true, "http://127.0.0.1:2/callback")), [("credential", Tier::Proven)]);
    assert_eq!(found(&form_log_in("t", true, "http://127.0.0.1:2/callback")), []);
    assert_eq!(found(&form_log_in("other", true, "")), []);
}

#[test]
fn a_session_cookie_in_a_head_whose_body_never_came_is_looked_at() {
    let port = listen(|mut stream| {
        if request(&mut stream).is_some() {
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nset-cookie: sid=one-for-all\r\ncontent-length: 9\r\n\r\nhalf");
            let _ = stream.read(&mut [0]);
        }
    });
    let text = format!(
        "watertight: 1\nname: r\ntargets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: 50ms }} }}\n\
         roles: {{ u: {{ accounts: {{ count: 2, values: {{ id: 'u-{{{{ index }}}}' }} }} }} }}\n\
         journeys: {{ j: {{ as: u, target: t, after_failure: 20ms..20ms, steps: [\n\
           {{ POST /login: {{ save: {{ sid: {{ cookie: sid, credential: true }} }} }} }} ] }} }}\n\
         profiles: {{ p: {{ users: 2, for: 200ms }} }}\n"
    );
    let result = run_file(&text);
    assert_eq!(result.totals().timed_out, result.totals().sent(), "{:?}", result.totals());
    assert_eq!(found(&result), [("credential", Tier::Proven)]);
}

/// A log-out that sends to a page; what is asked for afterwards with the old session goes where `gate` says.
fn logging_out(gate: &'static str) -> (RunResult, Vec<String>) {
    let steps = "      - POST /login: { save: { token: { json: $.token, credential: true } } }
      - POST /notes: { headers: { x-token: '{{ token }}' }, json: { note: '{{ marker }}' } }
      - GET /notes: { headers: { x-token: '{{ token }}' }, expect: { marker: own } }
      - POST /logout: { headers: { x-token: '{{ token }}' }, revokes: token }
";
    let mut notes: HashMap<String, String> = HashMap::new();
    let (mut valid, mut count, mut aside) = (Vec::new(), 0, Vec::new());
    let result = play(&scenario(steps, ""), 1, |out: &Outgoing, _: Nanos| {
        if out.aside {
            assert!(out.hops.is_none() && out.elsewhere.is_none() && out.method == "GET", "{out:?}");
            aside.push(out.uri.to_string());
        }
        let token = out.headers.get("x-token").map_or("", |v| v.to_str().expect("text")).to_owned();
        match out.uri.path() {
            "/login" => {
                count += 1;
                valid.push(format!("token-{count:05}"));
                reply(200, &[], &format!("{{\"token\":\"token-{count:05}\"}}"))
            }
            "/logout" => {
                valid.retain(|v| *v != token || gate == "open");
                let later = reply(303, &[("location", "/api/goodbye")], "");
                Reply { after: Some(SECOND), ..later }
            }
            "/notes" if !valid.contains(&token) => reply(302, &[("location", "/api/form")], ""),
            "/notes" if out.method == "POST" => {
                notes.insert(token, String::from_utf8_lossy(&out.body).into_owned());
                reply(200, &[], "")
            }
            "/notes" => reply(200, &[], &notes[&token]),
            _ => reply(200, &[], "a page for everybody"),
        }
    });
    assert_laws(&result);
    assert_eq!(result.totals().failed, 0, "{:?}", result.errors);
    (result, aside)
}

#[test]
fn what_is_asked_for_after_a_redirected_log_out_is_a_request_of_its_own() {
    for (gate, leaks, each) in [("closed", vec![], 1), ("open", vec![("stale-access", Tier::Proven)], 2)] {
        let (result, aside) = logging_out(gate);
        assert_eq!(found(&result), leaks, "{gate}");
        assert!(aside.iter().all(|uri| uri == "/notes"), "sent away is refused, and not followed: {aside:?}");
        let probe = result.header.steps.iter().position(|s| s.probe).expect("it is there");
        let (log_outs, probes) = (result.steps[probe - 1].counts.ok, &result.steps[probe]);
        assert!(log_outs > 10);
        assert_eq!(probes.counts.ok, each * log_outs, "{gate}");
        assert_eq!(probes.service.max_ns, MILLISECOND, "the log-out took a second, this did not");
        assert_eq!(result.overhead.redirect_hops, log_outs, "only the log-outs were sent on");
        assert_eq!(result.isolation.probes_indeterminate, 0);
    }
}

/// A log-in that sets its cookie and sends the user on; `last` is what the page behind it sets.
fn log_in(save: &str, last: &'static str) -> (RunResult, Vec<String>) {
    let steps = format!(
        "      - POST /login: {{ form: {{ user: '{{{{ account.id }}}}' }}, save: {{ session: {save} }} }}\n\
         \x20     - GET /home: {{ headers: {{ x-session: '{{{{ session }}}}' }} }}\n"
    );
    let mut sent = Vec::new();
    let result = play(&scenario(&steps, ""), 1, |out: &Outgoing, _: Nanos| match out.uri.path() {
        "/login" => {
            let cookie = format!("session=of-{}-1; Path=/", String::from_utf8_lossy(&out.body));
            reply(302, &[("location", "/api/welcome"), ("set-cookie", &cookie)], "")
        }
        "/api/welcome" if last.is_empty() => reply(302, &[("location", "/api/hello")], ""),
        "/api/welcome" => reply(200, &[("set-cookie", last)], ""),
        "/home" => {
            sent.push(String::from_utf8_lossy(out.headers["x-session"].as_bytes()).into_owned());
            reply(200, &[], "")
        }
        _ => reply(200, &[], "hello"),
    });
    assert_laws(&result);
    (result, sent)
}

#[test]
fn a_cookie_that_was_set_on_the_way_is_saved() {
    let (result, sent) = log_in("{ cookie: session, credential: true }", "");
    assert_eq!(kinds(&result), [""; 0]);
    assert!(sent.len() > 30 && sent.contains(&"of-user=u-2-1".to_owned()), "{sent:?}");
    assert_eq!(found(&result), [], "each has its own");
    // What the page itself sets is later, and so is what counts; other cookies of it change nothing.
    let (_, sent) = log_in("{ cookie: session }", "session=later");
    assert!(!sent.is_empty() && sent.iter().all(|value| value == "later"), "{sent:?}");
    let (_, sent) = log_in("{ cookie: session }", "another=later");
    assert!(!sent.is_empty() && sent.iter().all(|value| value.starts_with("of-user=u-")), "{sent:?}");
    // One that nobody set is still not there.
    let (result, _) = log_in("{ cookie: other }", "");
    assert!(kinds(&result).contains(&"nothing to save as session"), "{:?}", kinds(&result));
    let (result, sent) = log_in("{ cookie: other, default: none }", "");
    assert!(kinds(&result).is_empty() && sent.iter().all(|value| value == "none"), "{sent:?}");
}

#[test]
fn a_credential_that_a_redirect_sets_for_two_users_is_found_once_saved() {
    let steps = "      - GET /sso: { save: { session: { cookie: session, credential: true } } }\n";
    let result = play(&scenario(steps, ""), 1, |out: &Outgoing, _: Nanos| match out.uri.path() {
        "/sso" => reply(302, &[("location", "/api/in"), ("set-cookie", "session=the-same-for-all")], ""),
        _ => reply(200, &[], ""),
    });
    assert_eq!(found(&result), [("credential", Tier::Proven)]);
    assert_eq!(kinds(&result), [""; 0]);
}

#[test]
fn a_rate_limit_counts_hops_as_the_target_does() {
    let steps = "      - repeat: 6\n        steps: [ GET /old ]\n";
    let text = scenario(steps, "") + "sla: [ { errors: < 100% }, { rate_limit: 10/m } ]\n";
    // Ten requests of each user are answered, whatever it follows.
    let mut asked: HashMap<String, u32> = HashMap::new();
    let result = play(&text, 1, move |out: &Outgoing, _: Nanos| {
        let user = out.headers["traceparent"].to_str().expect("it is text")[19..27].to_owned();
        let asked = asked.entry(user).or_default();
        *asked += 1;
        match (*asked > 10, out.uri.path()) {
            (true, _) => reply(429, &[("retry-after", "60")], ""),
            (false, "/old") => reply(302, &[("location", "/api/new")], ""),
            (false, _) => reply(200, &[], ""),
        }
    });
    let seen = result.limits[0];
    assert_eq!((seen.early, seen.within), (0, 15), "{seen:?}");
    assert!(seen.limited >= 3 && result.totals().limited >= 3, "{seen:?}");
    assert_laws(&result);
}
