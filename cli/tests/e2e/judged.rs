//! Objectives by windows through the binary: judged at the end, again from the disk, and by another file.

use crate::binary::{Desk, shared};
use crate::{scenario, server};
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn windows_are_judged_again_from_what_is_stored_and_by_another_file() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    let text = scenario::plain(&target.url, "{ status: 200 }", "{ errors: < 50%, each: 1s }");
    desk.write("a.yaml", &text);
    let first = desk.run(&["run", "a.yaml", "--out", "r"]);
    assert_eq!(first.code, 0, "{first}");
    let judged = desk.result("r")["objectives"][0].clone();
    assert_eq!(judged["id"], "errors < 50% each 1s", "{judged}");
    assert_eq!(judged["windows"]["held"], judged["windows"]["count"], "{judged}");
    assert!(first.out.contains("held in "), "{first}");
    let again = desk.run(&["report", "r"]);
    assert_eq!(again.code, 0, "{again}");
    assert_eq!(desk.result("r")["objectives"][0], judged, "the same fold gives the same answer");
    // Objectives that the run did not know: their windows are counted from the stored seconds.
    desk.write("b.yaml", &text.replace("{ errors: < 50%, each: 1s }", "{ rate: \">= 1000000/s\", each: 1s }"));
    let other = desk.run(&["report", "r", "--sla", "b.yaml"]);
    assert_eq!(other.code, 1, "{other}");
    let judged = desk.result("r")["objectives"][0].clone();
    assert_eq!(judged["outcome"], "fail", "{judged}");
    assert_eq!(judged["windows"]["held"], 0, "{judged}");
}

/// A target that counts what it served, and keeps 100 bytes of each request.
fn telling() -> server::Server {
    let served = AtomicU64::new(0);
    server::Server::answering(move |request| {
        let body = if request.head.starts_with("GET /metrics ") {
            let n = served.load(Ordering::SeqCst);
            format!(
                "# TYPE kept_bytes gauge\nkept_bytes {}\nserved_total{{a=\"1\"}} {n}\nserved_total{{a=\"2\"}} {n}\n\
                 no number here\nhits_total {}\nmisses_total {}\n",
                1_000_000 + 100 * n,
                3 * n,
                n
            )
        } else {
            served.fetch_add(1, Ordering::SeqCst);
            "{}".to_owned()
        };
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    })
}

#[test]
fn what_a_target_tells_about_itself_is_watched_judged_and_stored() {
    let _processors = shared();
    let desk = Desk::new();
    let target = telling();
    let sla = [
        "{ errors: < 1% }",
        "{ watch: kept_bytes, max: < 1GB }",
        "{ watch: \"hits_total / (hits_total + misses_total)\", min: \">= 70%\" }",
        "{ watch: \"rate(served_total)\", mean: \"> 1\" }",
        "{ watch: kept_bytes, returns: within 1%, must: false }",
        "{ watch: kept_bytes, growth: < 5% per 24h, must: false }",
        "{ watch: kep_bytes, max: < 1GB, must: false }",
    ];
    let text = scenario::plain(&target.url, "{ status: 200 }", &sla.join("\n  - "))
        .replace("timeout: 400ms", "timeout: 400ms, watch: { path: /metrics, every: 1s }")
        .replace("for: 1s", "for: 4s, cool_down: 500ms");
    desk.write("a.yaml", &text);
    let run = desk.run(&["run", "a.yaml", "--out", "r"]);
    assert_eq!(run.code, 0, "{run}");
    let result = desk.result("r");
    let outcomes: Vec<_> = result["objectives"].as_array().unwrap().iter().map(|o| o["outcome"].clone()).collect();
    assert_eq!(outcomes, ["pass", "pass", "pass", "pass", "warn", "inconclusive", "inconclusive"], "{run}");
    let reason = |i: usize| result["objectives"][i]["reason"].as_str().unwrap().to_owned();
    assert!(reason(5).contains("too few for a trend") || reason(5).contains("cannot be told"), "{}", reason(5));
    assert_eq!(reason(6), "it has no series `kep_bytes`; near are `kept_bytes`");
    let scrapes = result["totals"]["overhead"]["scrapes"].as_u64().unwrap();
    assert!(scrapes >= 4, "before, while and after: {scrapes}");
    let series = result["watched"].as_array().unwrap();
    let kept = series.iter().find(|s| s["series"] == "kept_bytes").unwrap();
    let points = kept["points"].as_array().unwrap();
    assert_eq!(points[0], serde_json::json!([-1.0, 1_000_000.0]), "the level before the load");
    assert!(points.last().unwrap()[0].as_f64().unwrap() > 4.0, "after the cool-down: {points:?}");
    assert!(desk.text("r/report.html").contains("id=\"watched\""), "drawn");
    let again = desk.run(&["report", "r"]);
    assert_eq!(again.code, 0, "{again}");
    assert_eq!(desk.result("r")["watched"], result["watched"]);
    assert_eq!(desk.result("r")["objectives"], result["objectives"]);
}

#[test]
fn a_target_that_tells_nonsense_or_nothing_is_inconclusive_and_breaks_nothing() {
    let _processors = shared();
    let desk = Desk::new();
    for (out, answer, why) in [
        ("absent", "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(), "GET /metrics answered 404"),
        (
            "nonsense",
            format!("HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n{}", "x{{\n\u{0}".repeat(1800)),
            "nor any that is near",
        ),
    ] {
        let target = server::Server::answering(move |request| {
            let is_scrape = request.head.starts_with("GET /metrics ");
            if is_scrape { answer.clone() } else { "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into() }.into_bytes()
        });
        let text = scenario::plain(&target.url, "{ status: 200 }", "{ watch: kept_bytes, max: < 1GB }")
            .replace("timeout: 400ms", "timeout: 400ms, watch: /metrics");
        desk.write("a.yaml", &text);
        let run = desk.run(&["run", "a.yaml", "--out", out]);
        assert_eq!(run.code, 3, "{run}");
        assert!(run.out.contains(why), "{why}: {run}");
    }
}
