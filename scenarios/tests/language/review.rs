//! What only shows once the whole file is understood: each finding at its place, and none where all is well.

use scenarios::{Diagnostic, Source, parse, render};
use std::path::PathBuf;

fn source(text: &str) -> Source {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/language/model"));
    Source { name: "review.yaml".into(), text: text.into(), folder }
}

fn diagnostics(text: &str) -> Vec<Diagnostic> {
    parse(&source(text), &|_| None).map_or_else(|mistakes| mistakes, |(_, warnings)| warnings)
}

fn rendered(text: &str) -> String {
    render(&diagnostics(text), &source(text), false)
}

/// A file whose journey has these lines; the first of them is line 15.
fn whole(journey: &str, rest: &str) -> String {
    let rest = if rest.is_empty() { "profiles: { short: { users: 5, for: 10s } }\n" } else { rest };
    format!(
        "watertight: 1
targets: {{ api: \"http://127.0.0.1:9\" }}
roles:
  user:
    accounts: {{ count: 10, values: {{ id: \"u-{{{{ index }}}}\" }} }}
data:
  words: {{ file: words.csv }}
fragments:
  log_in:
    - POST /log_in: {{ save: {{ token: {{ header: x-token }} }} }}
    - GET /?t={{{{ token }}}}&w={{{{ data.words.text }}}}
journeys:
  j:
    as: user
{journey}{rest}"
    )
}

/// Each finding as `line:column code`, with what it says.
fn found(text: &str) -> Vec<(String, String)> {
    let all = diagnostics(text);
    all.iter()
        .map(|d| {
            let said = format!("{} {}", d.message, d.help.as_deref().unwrap_or(""));
            (format!("{}:{} {}", d.line, d.column, d.code), said)
        })
        .collect()
}

/// Steps, what must be found in them, and a part of what is said.
fn check(steps: &[(&str, &[(&str, &str)])]) {
    let mut wrong = String::new();
    for (lines, expected) in steps {
        let text = whole(lines, "");
        let found = found(&text);
        let fits = found.len() == expected.len()
            && found.iter().zip(*expected).all(|((place, said), (at, part))| place == at && said.contains(part));
        if !fits {
            wrong.push_str(&format!("{lines}expected {expected:?}\n{found:?}\n{}\n", rendered(&text)));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

const CALLS: &str = "    before: [ { call: log_in } ]\n";

fn with(steps: &str) -> String {
    format!("{CALLS}    steps:\n{steps}")
}

#[test]
fn a_variable_that_nothing_has_set_is_a_mistake() {
    for (steps, place, part) in [
        ("      - GET /{{ x }}\n      - POST /a: { save: { x: $.x } }\n", "17:17 unset-variable", "earlier step"),
        ("      - GET /a: { headers: { a: \"b {{ x }}\" }, save: { x: $.x } }\n", "17:39 unset-variable", "`x`"),
        (
            "      - POST /a: { save: { y: $.x }, expect: { that: x < 3 && y < 3 } }\n      - set: { x: 1 }\n",
            "17:54 unset-variable",
            "`x`",
        ),
        ("      - if: x < 3\n        then: [ GET /a ]\n      - set: { x: 1 }\n", "17:13 unset-variable", "`x`"),
        ("      - set: { n: \"{{ n + 1 }}\" }\n", "17:23 unset-variable", "`n`"),
        (
            "      - repeat: \"{{ n }}\"\n        steps: [ GET /a ]\n      - set: { n: 1 }\n",
            "17:21 unset-variable",
            "`n`",
        ),
    ] {
        let text = whole(&with(steps), "");
        let found = found(&text);
        assert!(
            matches!(found.as_slice(), [(at, said)] if at == place && said.contains(part)),
            "{steps}{found:?}\n{}",
            rendered(&text)
        );
    }
}

#[test]
fn a_variable_that_is_set_on_some_ways_only_is_a_warning() {
    for (steps, place) in [
        (
            "      - if: user.index < 3\n        then: [ { set: { x: 1 } } ]\n      - GET /{{ x }}\n",
            "19:17 maybe-unset",
        ),
        (
            "      - choose: [ { steps: [ { set: { x: 1 } } ] }, { steps: [ GET /a ] } ]\n      - GET /{{ x }}\n",
            "18:17 maybe-unset",
        ),
        (
            "      - repeat: \"{{ random(0, 3) }}\"\n        steps: [ { set: { x: 1 } } ]\n      - GET /{{ x }}\n",
            "19:17 maybe-unset",
        ),
        (
            "      - while: last.status != 200\n        steps: [ { POST /a: { save: { x: $.x } } } ]\n      - GET /{{ x }}\n",
            "19:17 maybe-unset",
        ),
        (
            "      - GET /a: { save: { all: $.all } }\n      - for_each: all\n        as: one\n        steps: [ GET /b ]\n      - GET /{{ one }}\n",
            "21:17 maybe-unset",
        ),
        ("      - while: n < 3\n        steps: [ { set: { n: 1 } } ]\n", "17:16 maybe-unset"),
        ("      - POST /a: { on_failure: continue, save: { x: $.x } }\n      - GET /{{ x }}\n", "18:17 maybe-unset"),
        ("      - POST /a: { save: { x: $.x } }\n    after: [ \"DELETE /{{ x }}\" ]\n", "18:26 maybe-unset"),
    ] {
        let text = whole(&with(steps), "");
        let found = found(&text);
        assert!(
            matches!(found.as_slice(), [(at, said)] if at == place && said.contains(" != null`")),
            "{steps}{found:?}\n{}",
            rendered(&text)
        );
    }
}

#[test]
fn what_is_always_there_or_asked_for_first_is_fine() {
    for steps in [
        "      - POST /a: { save: { x: $.x } }\n      - GET /{{ x }}?t={{ token }}\n    after: [ \"GET /{{ token }}\" ]\n",
        "      - repeat: 2\n        steps: [ { set: { x: 1 } } ]\n      - GET /{{ x }}\n",
        "      - choose: [ { steps: [ { set: { x: 1 } } ] }, { steps: [ { set: { x: 2 } } ] } ]\n      - GET /{{ x }}\n",
        "      - choose: [ { steps: [ { set: { x: 1 } } ] }, { weight: 0, steps: [ GET /a ] } ]\n      - GET /{{ x }}\n",
        "      - if: user.index < 3\n        then: [ { set: { x: 1 } } ]\n        else: [ { set: { x: 2 } } ]\n      - GET /{{ x }}\n",
        "      - while: last.status != 200\n        steps: [ { POST /a: { save: { x: $.x } } } ]\n      - if: x != null && x > 3\n        then: [ \"GET /{{ x }}\" ]\n",
        "      - \"GET /{{ x == null ? 'first' : x }}\": { save: { x: $.x } }\n",
        "      - if: \"!(x == null)\"\n        then: [ \"DELETE /{{ x }}\" ]\n        else: [ { POST /a: { save: { x: $.x } } } ]\n",
        "      - GET /a: { save: { all: $.all } }\n      - for_each: all\n        as: one\n        steps: [ \"GET /{{ one }}\" ]\n",
        "      - poll: GET /a\n        save: { done: { json: $.done, default: null } }\n        until: done == true\n        every: 1s\n        within: 5s\n",
        "      - parallel: [ { GET /a: { save: { x: $.x } } }, GET /b ]\n      - GET /{{ x }}\n",
        "      - websocket /ws:\n          steps:\n            - receive: { $.a: 1 }\n              save: { x: $.x }\n      - GET /{{ x }}\n",
        "      - set: { n: 0, next: \"\" }\n      - while: n < 3 && next != null\n        steps:\n          - GET /{{ next }}: { save: { next: { json: $.next, default: null } } }\n          - set: { n: \"{{ n + 1 }}\" }\n",
    ] {
        let text = whole(&with(steps), "");
        assert!(found(&text).is_empty(), "{steps}\n{}", rendered(&text));
    }
}

#[test]
fn types_that_are_known_are_checked() {
    check(&[
        (
            &with("      - if: token == 3\n        then: [ GET /a ]\n"),
            &[("17:13 type-mismatch", "write `int(token)` to compare numbers")],
        ),
        (
            &with("      - if: token\n        then: [ GET /a ]\n"),
            &[("17:13 wrong-type", "compare it, as in `token != ''`")],
        ),
        (&with("      - GET /{{ token - 1 }}\n"), &[("17:17 type-mismatch", "write `int(token)`")]),
        (
            &with(
                "      - set: { n: 0 }\n      - set: { n: \"{{ n + 1 }}\" }\n      - GET /a: { headers: { x: \"{{ n + 'a' }}\" } }\n",
            ),
            &[("19:37 type-mismatch", "string(n)")],
        ),
        (
            &with(
                "      - set: { n: 0, m: \"{{ [1] }}\" }\n      - while: n < 'a' && size(m) > 1\n        steps: [ { set: { n: 1 } } ]\n",
            ),
            &[("18:16 type-mismatch", "a number without quotes")],
        ),
        // Once text, once a number; from JSON; a number that becomes text when it is saved.
        (
            &with(
                "      - set: { n: 0 }\n      - if: n == 'a' || user.index > 1\n        then: [ { set: { n: b } } ]\n",
            ),
            &[],
        ),
        (
            &with("      - GET /a: { save: { n: $.n } }\n      - if: n == 'a' || n == 3\n        then: [ GET /a ]\n"),
            &[],
        ),
    ]);
}

#[test]
fn what_nobody_reads_is_told() {
    check(&[
        (&with("      - POST /a: { save: { x: $.x } }\n"), &[("17:28 unused-variable", "nothing reads `x`")]),
        (&with("      - set: { x: 1 }\n"), &[("17:16 unused-variable", "nothing reads `x`")]),
        // A credential is watched, and what is revoked is used.
        (&with("      - POST /a: { save: { x: { json: $.x, credential: true } } }\n"), &[]),
        ("    steps: [ GET /a ]\n", &[("7:3 unused", "data.words.COLUMN"), ("9:3 unused", "the fragment `log_in`")]),
    ]);
}

#[test]
fn a_soak_without_pauses_is_told() {
    let steps = with("      - GET /a\n");
    let soak = |profile: &str| found(&whole(&steps, profile));
    for profile in ["soak: { users: 5, for: 30m }", "long: { preset: soak }"] {
        let found = soak(&format!("profiles: {{ {profile} }}\n"));
        assert!(
            matches!(found.as_slice(), [(at, said)] if at == "13:3 no-think-in-soak" && said.contains("30m")),
            "{found:?}"
        );
    }
    for profile in ["sustained: { users: 5, for: 30m }", "soak: { arrivals: 1/s, for: 30m, max_users: 5 }"] {
        assert_eq!(soak(&format!("profiles: {{ {profile} }}\n")), []);
    }
    let calm = with("      - repeat: 2\n        steps: [ GET /a, { think: 1s } ]\n");
    assert_eq!(found(&whole(&calm, "profiles: { soak: { users: 5, for: 30m } }\n")), []);
}

#[test]
fn arrivals_that_never_meet_are_told_where_leaks_are_looked_for() {
    let plain = with("      - GET /a\n");
    let marked = with("      - POST /a: { json: { x: '{{ marker }}' }, expect: { marker: own } }\n");
    let told = |steps: &str, profile: &str| {
        let found = found(&whole(steps, &format!("profiles: {{ p: {{ {profile} }} }}\n")));
        found.into_iter().map(|(at, _)| at).collect::<Vec<_>>()
    };
    let even = "arrivals: 5/s, for: 1m, max_users: 9";
    assert_eq!(told(&marked, &format!("{even}, isolation: required")), ["18:13 even-arrivals"]);
    assert_eq!(told(&marked, &format!("{even}, faults: {{ abandon: 5% }}")), ["18:13 even-arrivals"]);
    for (steps, more) in
        [(&marked, ""), (&marked, ", spacing: poisson, isolation: required"), (&plain, ", faults: { abandon: 5% }")]
    {
        assert_eq!(told(steps, &format!("{even}{more}")), [] as [String; 0], "{more}");
    }
    assert_eq!(told(&marked, "users: 5, for: 1m, isolation: required"), [] as [String; 0]);
}

#[test]
fn an_objective_that_can_have_no_sample_is_told() {
    let steps = with("      - GET /a\n") + "  rare:\n    steps: [ GET /b ]\nmix: { j: 9, rare: 1 }\n";
    let rest = |sla: &str| {
        format!("profiles: {{ one: {{ users: 1, for: 10s }}, ten: {{ users: 10, for: 10s }} }}\nsla: [ {sla} ]\n")
    };
    let found = found(&whole(&steps, &rest("{ of: { journey: rare }, p95: < 1s }")));
    assert!(
        matches!(found.as_slice(), [(_, said)] if said.contains("no sample in `one`: nobody plays `rare`")),
        "{found:?}"
    );
    assert!(found[0].0.ends_with(" no-samples"));
    for sla in
        ["{ of: { journey: rare }, p95: < 1s, in: [ten] }", "{ of: { journey: j }, p95: < 1s }", "{ errors: < 1% }"]
    {
        assert!(self::found(&whole(&steps, &rest(sla))).is_empty(), "{sla}");
    }
}
