//! Redirects: one sample with several requests, counted, scanned, bounded.

use super::loopback::{answer_each, assert_all, assert_good, listen, moved, ok, run, run_file};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// A server that answers by path and counts its requests.
fn server(answer: fn(&str, &str) -> String) -> (u16, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    let port = listen(move |stream| {
        answer_each(stream, |request| {
            counter.fetch_add(1, SeqCst);
            let line = request.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1");
            answer(line, request)
        });
    });
    (port, count)
}

fn target(port: u16) -> String {
    format!("url: 'http://127.0.0.1:{port}', timeout: 1s")
}

#[test]
fn hops_are_one_sample_and_the_targets_own_count_agrees() {
    let (port, count) = server(|line, _| match line {
        "GET /a" => moved(302, "/b?x=1"),
        "GET /b?x=1" => moved(301, "c"),
        "GET /c" => ok("here"),
        _ => moved(500, "/"),
    });
    let result = run(&target(port), "{ GET /a: { expect: { status: 200, body: { contains: here } } } }");
    assert_good(&result);
    let totals = result.totals();
    assert_eq!(result.overhead.redirect_hops, 2 * totals.ok);
    assert_eq!(count.load(SeqCst), totals.sent() + result.overhead.redirect_hops);
    assert_eq!(result.steps[0].statuses.get(&200), Some(&totals.ok));
    assert_eq!(result.steps[0].statuses.len(), 1);
    assert_eq!(result.steps[0].connect.count(), 2);
}

#[test]
fn in_the_warm_up_hops_are_counted_too() {
    let (port, count) = server(|line, _| if line == "GET /a" { moved(302, "/b") } else { ok("x") });
    let text = format!(
        "watertight: 1\nname: r\ntargets: {{ t: 'http://127.0.0.1:{port}' }}\n\
         journeys: {{ j: {{ target: t, steps: [ GET /a ] }} }}\n\
         profiles: {{ p: {{ users: 1, for: 200ms, warm_up: 200ms }} }}\n"
    );
    let result = run_file(&text);
    let o = result.overhead;
    assert!(o.warm_up > 0);
    assert_eq!(count.load(SeqCst), result.totals().sent() + o.warm_up + o.redirect_hops);
}

#[test]
fn methods_and_bodies_change_as_in_browsers() {
    let (port, _) = server(|line, request| match line {
        "POST /303" => moved(303, "/get"),
        "POST /302" => moved(302, "/get"),
        "PUT /302" => moved(302, "/put"),
        "POST /307" => moved(307, "/post"),
        "POST /308" => moved(308, "/303-after"),
        "POST /303-after" => moved(303, "/get"),
        "GET /get" if !request.contains("secret") && !request.contains("content-type") => ok("as a get"),
        "PUT /put" if request.ends_with("secret") => ok("as a put"),
        "POST /post" if request.ends_with("secret") && request.contains("x-own: 7") => ok("as a post"),
        _ => moved(500, "/"),
    });
    let step = |key: &str, end: &str| {
        format!(
            "{{ {key}: {{ body: secret, headers: {{ x-own: \"{{{{ 3 + 4 }}}}\" }}, expect: {{ body: {{ contains: {end} }} }} }} }}"
        )
    };
    let steps = [
        step("POST /303", "as a get"),
        step("POST /302", "as a get"),
        step("PUT /302", "as a put"),
        step("POST /307", "as a post"),
        step("POST /308", "as a get"),
    ];
    assert_good(&run(&target(port), &steps.join(", ")));
}

#[test]
fn credentials_stay_with_their_service_and_cookies_come_along() {
    let (other, _) = server(|line, request| {
        let clean = !request.to_lowercase().contains("authorization") && !request.contains("cookie");
        if line == "GET /landed" && clean { ok("clean") } else { moved(500, "/") }
    });
    let (port, _) = server(|line, request| match line {
        "GET /same" => moved(302, "/kept").replace("\r\n\r\n", "\r\nset-cookie: hop=1; Path=/\r\n\r\n"),
        "GET /kept" if request.contains("authorization: Bearer x") && request.contains("cookie: hop=1") => ok("kept"),
        _ if line.starts_with("GET /to/") => moved(302, &format!("http://127.0.0.1:{}/landed", &line[8..])),
        _ => moved(500, "/"),
    });
    // Another port is another origin; a cookie's host knows no port, so it is another name that keeps it.
    let text = format!(
        "watertight: 1\nname: r\ntargets: {{ t: 'http://localhost:{port}', o: 'http://127.0.0.1:{other}' }}\n\
         journeys: {{ j: {{ target: t, headers: {{ authorization: Bearer x }}, steps: [\n\
           {{ GET /same: {{ expect: {{ body: {{ contains: kept }} }} }} }},\n\
           {{ GET /to/{other}: {{ expect: {{ body: {{ contains: clean }} }} }} }} ] }} }}\n\
         profiles: {{ p: {{ users: 1, for: 200ms }} }}\n"
    );
    assert_good(&run_file(&text));
}

#[test]
fn circles_chains_and_strange_places_have_names() {
    let (port, count) = server(|line, _| match line {
        "GET /loop" => moved(302, "/pool"),
        "GET /pool" => moved(302, "/loop"),
        "GET /away" => moved(302, "http://elsewhere.invalid/"),
        "GET /scheme" => moved(302, "javascript:alert(1)"),
        "GET /rubbish" => moved(302, "http://[::"),
        "GET /nowhere" => ok("").replace("200 OK", "302 Found"),
        _ => moved(302, &format!("{}x", line.trim_start_matches("GET "))),
    });
    let t = target(port);
    assert_all(&run(&t, "{ GET /loop: { redirects: 4 } }"), "redirect loop");
    let before = count.load(SeqCst);
    let result = run(&t, "GET /chain");
    assert_all(&result, "too many redirects");
    assert_eq!(count.load(SeqCst) - before, 11 * result.totals().sent());
    for place in ["away", "scheme", "rubbish"] {
        assert_all(&run(&t, &format!("GET /{place}")), "redirect to no target of the scenario");
    }
    // An answer without a place is an answer, and so is one that was asked for.
    assert_good(&run(&t, "GET /nowhere"));
    assert_good(&run(&t, "{ GET /chain: { expect: { status: 302 } } }"));
    assert_good(&run(&t, "{ GET /chain: { redirects: 0, expect: { header: { location: /chainx } } } }"));
    assert_good(&run(&format!("{t}, redirects: 0"), "GET /chain"));
}

#[test]
fn what_a_hop_says_is_scanned() {
    // The first answer gives every user what the one before wrote; the last is clean.
    let port = {
        let last = std::sync::Mutex::new(String::new());
        listen(move |stream| {
            answer_each(stream, |request| {
                if !request.starts_with("POST") {
                    return ok("clean");
                }
                let body = request.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
                let before = std::mem::replace(&mut *last.lock().expect("nobody panics"), body);
                format!("HTTP/1.1 303 See\r\nlocation: /done\r\ncontent-length: {}\r\n\r\n{before}", before.len())
            });
        })
    };
    let text = format!(
        "watertight: 1\nname: r\ntargets: {{ t: 'http://127.0.0.1:{port}' }}\n\
         roles: {{ r: {{ accounts: {{ count: 4, values: {{ id: \"u{{{{ index }}}}\" }} }} }} }}\n\
         journeys: {{ j: {{ as: r, target: t, steps: [ {{ POST /write: {{ body: \"{{{{ marker }}}}\" }} }} ] }} }}\n\
         profiles: {{ p: {{ users: 4, for: 300ms }} }}\n"
    );
    let result = run_file(&text);
    assert_eq!(result.totals().failed, 0, "{:?}", result.errors);
    assert!(
        result.isolation.groups.iter().any(|g| g.key.detector == "foreign-marker"),
        "{:?}",
        result.isolation.groups
    );
}

#[test]
fn branches_of_a_parallel_are_redirected_each_for_itself() {
    let (port, count) = server(|line, _| match line {
        "GET /a" => moved(302, "/b"),
        "GET /b" => moved(307, "/c"),
        "GET /c" => ok("here"),
        "GET /d" => moved(303, "/e"),
        "GET /e" => ok("there"),
        _ => moved(500, "/"),
    });
    let steps = "{ parallel: [ { GET /a: { expect: { body: { contains: here } } } }, { GET /d: { expect: { body: { contains: there } } } } ] }";
    let result = run(&target(port), steps);
    assert_good(&result);
    let (a, d) = (result.steps[0].counts.ok, result.steps[1].counts.ok);
    assert!(a > 1 && d > 1, "{:?}", result.totals());
    assert_eq!(result.overhead.redirect_hops, 2 * a + d);
    assert_eq!(count.load(SeqCst), result.totals().sent() + result.overhead.redirect_hops);
}
