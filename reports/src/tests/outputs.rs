//! What is written: the laws of `result.json`, snapshots of the texts, the same bytes twice.

use crate::synthetic::*;
use crate::{judge, render_result_json, terminal_summary};
use engine::run_result::*;
use scenarios::objective::{Objective, Stat};
use serde_json::Value;

/// The samples that the renderings are looked at with.
pub fn objectives() -> Vec<Objective> {
    let mut ai = objective(Stat::Percentile(95.0), "< 5s");
    ai.id = "p95 of target ai < 5s".into();
    ai.of.targets = vec!["ai".into()];
    ai.of.step_ids = vec![3];
    let mut soft = objective(Stat::Percentile(99.0), "< 2s");
    soft.warn = Some(limit("< 1s"));
    vec![
        objective(Stat::Percentile(95.0), "< 1500ms"),
        ai,
        objective(Stat::Errors, "< 1%"),
        soft,
        objective(Stat::Availability, ">= 99%"),
        objective(Stat::Mean, "< 500ms"),
    ]
}

fn rich_steps(bad_every: u64) -> Vec<Step> {
    vec![
        Step::new("POST /auth/login", 10, |_, _, c| Sample::Ok(c.time(40.0, 0.3))).limits(&[200 * MS, 1500 * MS]),
        Step::new("GET /records", 30, move |second, i, c| {
            let index = second * 30 + i;
            if index % bad_every == bad_every - 1 {
                Sample::Failed(c.time(2.0, 0.2), "status 503")
            } else {
                Sample::Ok(c.time(if second % 17 == 5 { 80.0 } else { 12.0 }, 0.4))
            }
        })
        .limits(&[200 * MS, 1500 * MS])
        .declared(),
        Step::new("PUT /records/{id}", 8, |_, _, c| Sample::Ok(c.time(22.0, 0.3)))
            .limits(&[200 * MS, 1500 * MS])
            .at("clinician", "clinic"),
        Step::new("POST /chat", 12, |second, i, c| {
            if second == 55 && i < 3 { Sample::Unfinished(2_000 * MS) } else { Sample::Ok(c.time(700.0, 0.35)) }
        })
        .limits(&[200 * MS, 1500 * MS, 5_000 * MS])
        .at("chat user", "ai"),
    ]
}

/// GO with warnings.
pub fn go() -> RunResult {
    let mut result = run(60, rich_steps(1000));
    result.header.load = "20 users for 60s".into();
    for (i, point) in result.timeline.iter_mut().enumerate() {
        point.users = 20.min(2 + i as u64 * 2);
        point.in_flight = 3 + (i as u64 * 7) % 5;
    }
    result
}

/// NO-GO: a leak, errors, hostile text everywhere.
pub fn no_go() -> RunResult {
    let mut result = run(60, rich_steps(20));
    result.header.scenario = "<script>alert(1)</script>".into();
    result.header.steps[1].name = "GET /records?<img src=x onerror=alert(2)>&\u{1b}[2J|`x`".into();
    result.isolation.groups.push(leak(1, 42, "{\"note\":\"<script>alert(3)</script> wtr1tk0a9b bob's note\"}"));
    let mut suspect = leak(0, 2, "set-cookie: sid=…");
    suspect.key.tier = Tier::Suspect;
    suspect.key.detector = "fragment".into();
    result.isolation.groups.push(suspect);
    result.timeline[3].leaks = 12;
    result.timeline[20].leaks = 30;
    result.header.notes.push("the default addresses answered nothing: the practice clinic was started".into());
    result
}

/// INCONCLUSIVE: too few samples, an interrupted, scaled run, a strained generator.
pub fn inconclusive() -> RunResult {
    let mut result = run(2, vec![Step::new("GET /a", 10, |_, _, c| Sample::Ok(c.time(5.0, 0.3)))]);
    result.header.scaled = Some(0.1);
    result.health.workers[0].gaps_ns = 700 * MS;
    result.isolation.planted = 0;
    result
}

fn each() -> [(&'static str, RunResult); 4] {
    [("go", go()), ("no-go", no_go()), ("inconclusive", inconclusive()), ("empty", empty())]
}

#[test]
fn laws_of_result_json() {
    for (name, result) in each() {
        let verdict = judge(&result, &objectives());
        let json: Value = serde_json::from_str(&render_result_json(&result, &verdict)).unwrap();
        let n = |path: &str| json.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path}"));
        let t = |key: &str| n(&format!("/totals/{key}"));
        assert_eq!(t("planned"), t("sent") + t("dropped") + t("generator_errors"), "{name}");
        assert_eq!(t("sent"), t("ok") + t("failed") + t("timed_out") + t("abandoned") + t("unfinished"), "{name}");
        assert_eq!(t("iterations/started"), t("iterations/completed") + t("iterations/gave_up") + t("iterations/cut"));
        for (step_key, total_key) in [
            ("count", "sent"),
            ("ok", "ok"),
            ("failed", "failed"),
            ("timed_out", "timed_out"),
            ("abandoned", "abandoned"),
            ("unfinished", "unfinished"),
            ("generator_errors", "generator_errors"),
            ("not_delivered", "not_delivered"),
            ("bytes_received", "bytes_received"),
        ] {
            let steps = json["steps"].as_array().unwrap().iter();
            let sum: u64 = steps.map(|s| s[step_key].as_u64().unwrap()).sum();
            assert_eq!(sum, t(total_key), "{name} {step_key}");
        }
        let errors = json["totals"]["errors"].as_object().unwrap().values();
        assert_eq!(errors.map(|v| v.as_u64().unwrap()).sum::<u64>(), t("failed") + t("timed_out"));
        let detectors = json["isolation"]["by_detector"].as_object().unwrap().values();
        assert_eq!(detectors.map(|v| v.as_u64().unwrap()).sum::<u64>(), n("/isolation/leaks"));
    }
}

#[test]
fn result_json_of_a_small_run() {
    let result = inconclusive();
    let verdict = judge(&result, &objectives()[..3]);
    insta::assert_snapshot!(render_result_json(&result, &verdict));
}

#[test]
fn terminal_summaries() {
    for (name, result) in each() {
        let text = terminal_summary(&result, &judge(&result, &objectives()), false);
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
        }
        assert!(!text.contains('\u{1b}'), "{name}");
        insta::assert_snapshot!(format!("terminal_{name}"), text);
    }
}

#[test]
fn colours_only_add_escapes() {
    let result = no_go();
    let verdict = judge(&result, &objectives());
    let coloured = terminal_summary(&result, &verdict, true);
    let mut bare = String::new();
    let mut rest = coloured.as_str();
    while let Some(start) = rest.find("\u{1b}[") {
        bare.push_str(&rest[..start]);
        let end = rest[start..].find('m').expect("every escape ends in m");
        rest = &rest[start + end + 1..];
    }
    bare.push_str(rest);
    assert_eq!(bare, terminal_summary(&result, &verdict, false));
}

#[test]
fn the_same_bytes_twice() {
    for (_, result) in each() {
        let again = result.clone();
        let (a, b) = (judge(&result, &objectives()), judge(&again, &objectives()));
        assert_eq!(render_result_json(&result, &a), render_result_json(&again, &b));
        assert_eq!(terminal_summary(&result, &a, true), terminal_summary(&again, &b, true));
    }
}

#[test]
fn junit_and_summary() {
    for (name, result) in each() {
        let verdict = judge(&result, &objectives());
        insta::assert_snapshot!(format!("junit_{name}"), crate::render_junit(&result, &verdict));
        insta::assert_snapshot!(format!("summary_{name}"), crate::render_summary(&result, &verdict));
        insta::assert_snapshot!(format!("annotations_{name}"), crate::github_annotations(&result, &verdict));
    }
}

#[test]
fn text_from_outside_never_becomes_markup() {
    let result = no_go();
    let verdict = judge(&result, &objectives());
    for text in [crate::render_junit(&result, &verdict), crate::render_summary(&result, &verdict)] {
        assert!(!text.contains("<script") && !text.contains("<img") && !text.contains('\u{1b}'));
    }
}

#[test]
fn files_appear_in_a_folder_that_did_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("results/spike");
    let result = go();
    let verdict = judge(&result, &objectives());
    let written = crate::write(&result, &verdict, &dir).unwrap();
    let stored = std::fs::read_to_string(&written.result).unwrap();
    assert_eq!(stored, render_result_json(&result, &verdict));
    for path in [&written.result, &written.junit, &written.summary] {
        assert!(path.is_file(), "{}", path.display());
    }
    let blocked = crate::write(&result, &verdict, &written.result).unwrap_err();
    assert!(blocked.to_string().contains("result.json"), "{blocked}");
}

#[test]
fn reports_hold_the_key_parts() {
    for (name, result) in each() {
        let verdict = judge(&result, &objectives());
        let page = crate::render_report(&result, &verdict);
        assert!(page.len() < 1_000_000, "{name}: {} bytes", page.len());
        assert!(page.contains(verdict.outcome.words()), "{name}");
        assert_eq!(page, crate::render_report(&result.clone(), &verdict), "{name}: the same bytes twice");
        for part in [
            "What decided it",
            "Isolation",
            "Timeline",
            "Steps",
            "Objectives in full",
            "Generator health",
            "Method",
            "--seed 42",
        ] {
            assert!(page.contains(part), "{name}: {part}");
        }
        for id in
            ["timeline", "latency", "steps", "errors", "objectives", "coverage", "generator", "method", "provenance"]
        {
            assert!(page.contains(&format!("id=\"{id}\"")), "{name}: {id}");
        }
    }
}

#[test]
fn a_report_loads_nothing_and_runs_nothing() {
    for (name, result) in each() {
        let page = crate::render_report(&result, &judge(&result, &objectives()));
        for loader in
            ["src=\"", "<script", "<img", "<link", "<iframe", "@import", "url(", "xmlns", "srcset", "onerror=alert(2)>"]
        {
            assert!(!page.contains(loader), "{name}: {loader}");
        }
        let links = page.match_indices("href=\"").filter(|(at, _)| !page[at + 6..].starts_with('#'));
        assert_eq!(links.count(), 0, "{name}: only links inside the page");
    }
}

#[test]
fn a_report_shows_leak_evidence_of_both_users() {
    let result = no_go();
    let page = crate::render_report(&result, &judge(&result, &objectives()));
    for part in [
        "Whose data it is",
        "bob@clinic.example",
        "POST /records/22",
        "Who received it",
        "alice@clinic.example",
        "GET /records/17",
        "&#60;script&#62;alert(3)&#60;/script&#62;",
        "a cached copy",
        "<text",
        "var(--first)",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("#00000"), "every colour is a variable");
}

/// What was provoked is said everywhere, with how often and how much was asked for; nothing of a run without faults.
#[test]
fn faults_are_shown_as_stressors() {
    let mut result = go();
    let quiet = judge(&result, &objectives());
    assert!(!terminal_summary(&result, &quiet, false).contains("Provoked"));
    assert!(!crate::render_report(&result, &quiet).contains("rovoked"));
    result.header.faults = vec![("abandon".into(), "5% by reset".into()), ("reconnect".into(), "2%".into())];
    result.faults.abandon = 1_234;
    result.faults.abandoned_at = [1_200, 0, 34, 0];
    result.timeline[7].faults.abandon = 1_234;
    let verdict = judge(&result, &objectives());
    let json: Value = serde_json::from_str(&render_result_json(&result, &verdict)).unwrap();
    assert_eq!(json["faults"], serde_json::json!({"abandon": 1_234, "reconnect": 0}));
    assert_eq!(json["abandoned_at"], serde_json::json!({"before the head": 1_200, "in the stream": 34}));
    assert_eq!(json["timeline"][7]["faults_by_name"], serde_json::json!({"abandon": 1_234}));
    assert_eq!((&json["timeline"][7]["faults"], &json["timeline"][8]["faults"]), (&1_234.into(), &0.into()));
    let words = "abandon: 1,234, 1,200 before the head, 34 in the stream (5% by reset), reconnect: 0 (2%)";
    let terminal = terminal_summary(&result, &verdict, false);
    assert!(terminal.contains(words), "{terminal}");
    let page = crate::render_report(&result, &verdict);
    assert!(page.contains(words) && page.contains("Faults provoked a second"));
}

/// A risk gates nothing, warns of nothing, and names nobody as a receiver.
#[test]
fn a_risk_is_shown_apart() {
    let mut result = go();
    let before = judge(&result, &objectives());
    let mut risk = leak(0, 1, "own data");
    risk.key.detector = "cache-lint".into();
    risk.key.tier = Tier::Risk;
    for example in &mut risk.examples {
        example.tier = Tier::Risk;
    }
    result.isolation.groups.push(risk);
    let verdict = judge(&result, &objectives());
    assert_eq!((verdict.outcome, &verdict.reasons), (before.outcome, &before.reasons));
    assert_eq!((verdict.isolation.leaks, verdict.isolation.suspects), (0, 0));
    assert!(verdict.isolation.risks > 0);
    let terminal = terminal_summary(&result, &verdict, false);
    assert!(terminal.contains("cache-lint") && !terminal.contains("    owner"), "{terminal}");
    assert!(!crate::render_report(&result, &verdict).contains("may have received"));
}

#[test]
fn a_huge_run_stays_under_a_megabyte() {
    let long = "x".repeat(3_000);
    let steps = (0..300).map(|i| {
        Step::new(&format!("GET /{i}"), 1, |_, i, c| match i {
            _ if c.unit() < 0.5 => Sample::Failed(MS, "status 500"),
            _ => Sample::Ok(c.time(10.0, 1.0)),
        })
    });
    let mut result = run(20, steps.collect());
    let point = result.timeline[3].clone();
    result.timeline = (0..3_600)
        .map(|i| Point {
            t_s: f64::from(i),
            response_ns: Some([MS + i as u64, MS * 3, MS * (5 + i as u64 % 90), MS * 100]),
            ..point.clone()
        })
        .collect();
    for i in 0..200 {
        result.isolation.groups.push(leak(i, 5, &long));
    }
    let page = crate::render_report(&result, &judge(&result, &objectives()));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}

/// Every sample is written whole; with `WATERTIGHT_SAMPLES=DIR` they stay there, for a look in a browser.
#[test]
fn samples() {
    let kept = std::env::var_os("WATERTIGHT_SAMPLES").map(std::path::PathBuf::from);
    let scratch = tempfile::tempdir().unwrap();
    let folder = kept.unwrap_or_else(|| scratch.path().to_path_buf());
    for (name, result) in each() {
        let written = crate::write(&result, &judge(&result, &objectives()), &folder.join(name)).unwrap();
        for file in [written.report, written.result, written.junit, written.summary] {
            assert!(file.metadata().unwrap().len() > 0, "{}", file.display());
        }
    }
}

#[test]
fn figures_read_well() {
    use crate::figures::*;
    for (ns, text) in [
        (0.0, "0 ms"),
        (4.2e5, "0.42 ms"),
        (9.994e6, "9.99 ms"),
        (9.996e6, "10.0 ms"),
        (9.999e8, "1.00 s"),
        (8.12e8, "812 ms"),
        (5.94e9, "5.94 s"),
        (2e11, "3 min 20 s"),
        (3.6e12, "1 h"),
    ] {
        assert_eq!(time(ns), text);
    }
    for (fraction, text) in [
        (0.0, "0%"),
        (1.0, "100%"),
        (0.0125, "1.25%"),
        (0.5, "50%"),
        (0.000_31, "0.031%"),
        (0.999_3, "99.93%"),
        (1e-9, "0%"),
    ] {
        assert_eq!(share(fraction), text);
    }
    for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(count(n), text);
    }
    assert_eq!(plain("a\u{1b}[2J\u{202e}b\nc"), "a\\u{1b}[2J\\u{202e}b␊c");
    assert_eq!(wrap("aa bb cccccccc d", 5, 1), ["aa bb", " cccc", " cccc", " d"]);
    assert_eq!(fit("abcdef", 4), "abc…");
}

#[test]
fn silence_is_shown_with_its_bounds_by_time_and_with_what_nobody_read_back() {
    let mut result = go();
    let steps = result.steps.len();
    result.isolation.step_seconds = vec![30; steps];
    (result.isolation.transports[0], result.isolation.transport_seconds[0]) = (600, 90);
    (result.isolation.stressors[0], result.isolation.stressor_seconds[0]) = (60, 6);
    result.isolation.steps[0].planted = 400;
    result.isolation.steps[1].planted = 7;
    result.isolation.carried = [((0, 1), 350), ((0, 0), 12)].into();
    let verdict = judge(&result, &objectives());
    let json: Value = serde_json::from_str(&render_result_json(&result, &verdict)).unwrap();
    let isolation = &json["isolation"];
    assert_eq!(
        (&isolation["coverage"][0]["minutes"], &isolation["coverage"][0]["bound95_minutes"]),
        (&0.5.into(), &6.0.into())
    );
    assert_eq!(isolation["by_transport"]["http/1.1"]["bound95_minutes"], 2.0);
    assert_eq!(isolation["by_stressor"]["abandon"]["bound95_minutes"], 30.0);
    let names: Vec<&str> =
        isolation["written"][0]["read_at"].as_array().unwrap().iter().map(|r| r["step"].as_str().unwrap()).collect();
    assert_eq!(names, [result.header.steps[1].name.as_str(), &result.header.steps[0].name], "most often first");
    assert_eq!(isolation["written"][1]["read_at"], serde_json::json!([]));
    let terminal = terminal_summary(&result, &verdict, false);
    let lost = format!("planted and read back by nobody: {}", result.header.steps[1].name);
    assert!(terminal.contains(&lost) && terminal.contains("beside abandon: 60 answers, at most 1 in 20"), "{terminal}");
    let page = crate::render_report(&result, &verdict);
    assert!(page.contains("nowhere: nobody looked at it") && page.contains("Leaks a minute"));
}

#[test]
fn the_matrix_says_which_field_of_a_step_nobody_read_back() {
    let mut result = go();
    let names: Vec<String> = result.header.steps.iter().map(|s| s.name.clone()).collect();
    result.header.steps[0].fields = vec!["$.note".into(), "$.<title>".into()];
    result.isolation.steps[0].planted = 80;
    result.isolation.steps[1].planted = 5;
    result.isolation.steps[1].in_words = 5;
    result.isolation.carried = [((0, 1), 35)].into();
    result.isolation.planted_fields = [((0, 0), 40), ((0, 1), 40)].into();
    result.isolation.carried_fields = [((0, 0, 1), 35)].into();
    let verdict = judge(&result, &objectives());
    let json: Value = serde_json::from_str(&render_result_json(&result, &verdict)).unwrap();
    let written = &json["isolation"]["written"];
    assert_eq!(written[0]["read_at"], serde_json::json!([{"step": names[1], "answers": 35}]), "by step as before");
    assert_eq!(
        written[0]["fields"],
        serde_json::json!([
            {"field": "$.note", "planted": 40, "read_at": [{"step": names[1], "answers": 35}]},
            {"field": "$.<title>", "planted": 40, "read_at": []},
        ])
    );
    assert_eq!(written[1]["fields"], serde_json::json!([]), "words do not say where they were planted");
    let terminal = terminal_summary(&result, &verdict, false);
    let lost = format!("planted and read back by nobody: {} · $.<title>", names[0]);
    assert!(terminal.contains(&lost) && !terminal.contains("$.note"), "{terminal}");
    let page = crate::render_report(&result, &verdict);
    assert!(page.contains("· $.note") && page.contains("nowhere: nobody looked at it"));
    assert!(page.contains("words do not say their step") && !page.contains("$.<title>"), "names are escaped");
}

#[test]
fn a_leaking_run_bounds_nothing() {
    let mut result = go();
    result.isolation.groups = vec![crate::synthetic::leak(0, 3, "somebody else")];
    result.isolation.step_seconds = vec![30; result.steps.len()];
    (result.isolation.transports[0], result.isolation.transport_seconds[0]) = (600, 90);
    let verdict = judge(&result, &objectives());
    let json: Value = serde_json::from_str(&render_result_json(&result, &verdict)).unwrap();
    assert_eq!(json["isolation"]["by_transport"]["http/1.1"]["bound95"], Value::Null);
    assert_eq!(json["isolation"]["by_transport"]["http/1.1"]["bound95_minutes"], Value::Null);
    let group = result.isolation.groups.iter().find(|g| !g.examples.is_empty()).expect("it has evidence");
    let replay = format!("watertight replay RESULTS_FOLDER {}", group.examples[0].group);
    assert!(crate::render_report(&result, &verdict).contains(&replay));
}
