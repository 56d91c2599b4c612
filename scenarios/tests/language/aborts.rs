//! Abort rules: read, resolved, and each mistake at its place.

use crate::file::{self, FILE, program};
use scenarios::objective::{Comparison, Stat};

fn with(entry: &str) -> String {
    FILE.replacen("  - { errors: < 1% }", &format!("  - {entry}\n  - {{ errors: < 1% }}"), 1)
}

/// Entry, statistic, comparison, value in base units, window.
#[rustfmt::skip]
const RULES: &[(&str, Stat, Comparison, f64, u64)] = &[
    ("{ abort_when: errors > 50% over 10s }", Stat::Errors, Comparison::More, 0.5, 10),
    ("{ abort_when: p95 >= 5s over 1m }", Stat::Percentile(95.0), Comparison::AtLeast, 5e9, 60),
    ("{ abort_when: p(99.9)>1s over 30s, in: sustained }", Stat::Percentile(99.9), Comparison::More, 1e9, 30),
    ("abort_when: mean > 300ms over 1h", Stat::Mean, Comparison::More, 3e8, 3600),
];

#[test]
fn spellings_of_a_rule() {
    for (entry, stat, op, value, over_s) in RULES {
        let program = program(&with(entry));
        let [rule] = program.abort_rules.as_slice() else { panic!("{entry}") };
        assert_eq!((rule.stat, rule.limit.op, rule.limit.value, rule.over_s), (*stat, *op, *value, *over_s), "{entry}");
        assert_eq!(program.objectives.len(), 2, "a rule is no objective: {entry}");
    }
    let one = &program(&with("{ abort_when: errors > 50% over 1m, of: { journey: patient } }")).abort_rules[0];
    assert_eq!(one.text, "errors > 50% over 60s");
    assert_eq!(one.of.step_ids.len(), 6);
}

/// Entry in line 47, the one diagnostic that comes of it, and a part of what it says.
#[rustfmt::skip]
const CASES: &[(&str, &str, &str)] = &[
    ("{ abort_when: errors > 50% }", "47:19 bad-value", "over which time"),
    ("{ abort_when: errors > 50% over soon }", "47:19 bad-value", "`soon` does not start with a number"),
    ("{ abort_when: errors > 50% over 1500ms }", "47:19 bad-value", "whole number of seconds"),
    ("{ abort_when: errors > 50% over 0s }", "47:19 bad-value", "whole number of seconds"),
    ("{ abort_when: errors > 50% over 2h }", "47:19 bad-value", "from 1s to 1h"),
    ("{ abort_when: errors < 50% over 10s }", "47:19 bad-value", "what is too much"),
    ("{ abort_when: rate > 5/s over 10s }", "47:19 bad-value", "an abort rule watches"),
    ("{ abort_when: over 10s }", "47:19 bad-value", "over which time"),
    ("{ abort_when: errors 50% over 10s }", "47:19 bad-value", "an abort rule watches"),
    ("{ abort_when: errors > much over 10s }", "47:19 bad-limit", "write for example"),
    ("{ abort_when: p42 > 1s over 10s }", "47:19 bad-value", "no percentile that can be judged"),
    ("{ abort_when: p95 > 50% over 10s }", "47:19 bad-limit", "has no unit"),
    ("{ abort_when: errors > 50% over 10s, must: false }", "47:42 unknown-key", "an abort rule has no key `must`"),
    ("{ abort_when: errors > 50% over 10s, in: [sustaned] }", "47:47 unknown-name", "did you mean `sustained`"),
    ("{ abort_when: errors > 50% over 10s, of: { target: nobody } }", "47:56 unknown-name", "there is no target"),
    ("{ abort_when: [1] }", "47:19 wrong-type", "`abort_when` is text"),
];

#[test]
fn each_mistake_has_its_place_and_its_help() {
    for (entry, place, said) in CASES {
        let text = with(entry);
        let found = file::diagnostics(&text);
        let rendered = file::rendered(&text);
        assert_eq!(found.len(), 1, "{rendered}");
        let one = &found[0];
        assert_eq!(format!("{}:{} {}", one.line, one.column, one.code), *place, "{rendered}");
        assert!(rendered.contains(said), "{said}: {rendered}");
    }
}
