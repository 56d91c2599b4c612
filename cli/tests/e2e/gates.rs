//! The gate of a suite, its sign-offs, and the combined report.

use crate::binary::{Desk, Ended, shared};
use crate::{scenario, server};
use serde_json::Value;

/// Two short profiles, a gate that requires both and one sign-off, and a third profile that it does not ask for.
fn gated(url: &str) -> String {
    let text = scenario::plain(url, "{ status: 200 }", "{ errors: < 50% }");
    let line = text.lines().find(|l| l.starts_with("  short:")).unwrap();
    let both = line.replace("for: 1s", "for: 400ms");
    let profiles = ["short", "second", "third"].map(|name| both.replace("short", name)).join("\n");
    format!("{}gate: {{ requires: [short, second], signoffs: [security] }}\n", text.replace(line, &profiles))
}

/// Runs until the machine was quiet enough to measure in every profile.
fn suite(desk: &Desk, args: &[&str]) -> (String, Ended, Value) {
    for round in 1..=4 {
        let folder = format!("r{round}");
        let ended = desk.run(&[&["run", "g.yaml", "--out", &folder], args].concat());
        let suite = desk.json(&format!("{folder}/suite.json"));
        let dirs = suite["profiles"].as_array().unwrap().iter().map(|p| p["dir"].as_str().unwrap().to_owned());
        let is_void = |dir: String| desk.result(&format!("{folder}/{dir}"))["validity"]["state"] == "void";
        if round == 4 || !dirs.into_iter().any(is_void) {
            return (folder, ended, suite);
        }
    }
    unreachable!("the last round returns")
}

fn requirement<'a>(suite: &'a Value, name: &str) -> &'a Value {
    let all = suite["gate"]["requirements"].as_array().unwrap_or_else(|| panic!("{suite:#}"));
    all.iter().find(|r| r["name"] == name).unwrap_or_else(|| panic!("{name}: {suite:#}"))
}

#[test]
fn a_missing_sign_off_is_inconclusive_when_it_is_required_and_a_signature_mends_it() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    desk.write("g.yaml", &gated(&target.url));
    let (folder, ended, suite) = suite(&desk, &["--all", "--require-signoffs"]);
    assert_eq!(ended.code, 3, "{ended}");
    assert_eq!(suite["verdict"], "inconclusive");
    assert_eq!(requirement(&suite, "sign-off security")["outcome"], "inconclusive");
    assert_eq!(requirement(&suite, "profile second")["outcome"], "pass");
    let signed = desk.run(&["sign", &folder, "security", "--by", "Ada <ada@example.org>", "--note", "looked at it"]);
    assert_eq!(signed.code, 0, "{signed}");
    let again = desk.run(&["report", &folder]);
    assert_eq!(again.code, 0, "{again}");
    let suite = desk.json(&format!("{folder}/suite.json"));
    assert_eq!(requirement(&suite, "sign-off security")["outcome"], "pass", "{suite:#}");
    assert_eq!(suite["gate"]["signoffs"][0]["by"], "Ada <ada@example.org>");
    let page = desk.text(&format!("{folder}/report.html"));
    assert!(page.contains("looked at it") && page.contains("Ada &#60;ada@example.org&#62;"), "{page}");
    assert!(desk.text(&format!("{folder}/junit.xml")).contains("sign-off security"));
}

#[test]
fn reporting_a_suite_again_gives_the_same_bytes() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    desk.write("g.yaml", &gated(&target.url));
    let ended = desk.run(&["run", "g.yaml", "--all", "--out", "r"]);
    assert_ne!(ended.code, 2, "{ended}");
    let before = desk.files("r");
    let names: Vec<String> = before.iter().map(|(p, _)| p.file_name().unwrap().to_string_lossy().into()).collect();
    for name in ["suite.json", "report.html", "junit.xml", "summary.md"] {
        assert!(names.iter().any(|n| n == name), "{name} is not in {names:?}");
    }
    desk.run(&["report", "r"]);
    for ((path, before), (_, after)) in before.iter().zip(&desk.files("r")) {
        assert!(before == after, "{} changed", path.display());
    }
}

#[test]
fn a_scaled_profile_satisfies_no_gate() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    desk.write("g.yaml", &gated(&target.url));
    let (_, ended, suite) = suite(&desk, &["--all", "--time-scale", "0.9"]);
    assert_eq!(ended.code, 3, "{ended}");
    let first = requirement(&suite, "profile short");
    assert_eq!(first["outcome"], "inconclusive");
    assert!(first["reason"].as_str().unwrap().contains("scaled by 0.9"), "{first}");
}

#[test]
fn a_gate_is_judged_only_when_every_required_profile_was_asked_for() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    desk.write("g.yaml", &gated(&target.url));
    let part = desk.run(&["run", "g.yaml", "-p", "short,third", "--out", "part"]);
    assert!(part.out.contains("Gate not judged: it requires second as well"), "{part}");
    let suite = desk.json("part/suite.json");
    assert_eq!(suite["gate"]["judged"], false);
    assert_eq!(suite["facts"]["not_asked"][0], "second");
    assert!(desk.text("part/report.html").contains("NOT RUN"));
    let one = desk.run(&["run", "g.yaml", "--out", "one"]);
    assert!(one.out.contains("gate not judged"), "{one}");
    // What is no suite is not signed, and nobody signs what the gate does not ask for.
    for (dir, name, why) in [("one", "security", "is no suite"), ("part", "safety", "no sign-off `safety`")] {
        let signed = desk.run(&["sign", dir, name, "--by", "Ada"]);
        assert_eq!(signed.code, 2, "{signed}");
        assert!(signed.err.contains(why), "{signed}");
    }
}
