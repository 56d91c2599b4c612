//! Objectives: ids, limits, selections, the implicit one.

use crate::file::{FILE, program};
use scenarios::objective::{Comparison, Objective, Stat};

fn objectives(entries: &[&str]) -> Vec<Objective> {
    let at = FILE.find("sla:").expect("there is one");
    let list: String = entries.iter().map(|e| format!("  - {e}\n")).collect();
    program(&format!("{}sla:\n{list}", &FILE[..at])).objectives
}

/// Entry, statistic, comparison, value in base units, id.
#[rustfmt::skip]
const SPELLINGS: &[(&str, Stat, Comparison, f64, &str)] = &[
    ("{ p95: < 200ms }", Stat::Percentile(95.0), Comparison::Less, 2e8, "p95 < 200ms"),
    ("{ p99.9: <= 1s }", Stat::Percentile(99.9), Comparison::AtMost, 1e9, "p99.9 <= 1s"),
    ("p(95)<500", Stat::Percentile(95.0), Comparison::Less, 5e8, "p95 < 500ms"),
    ("p(99.9) <= 1500", Stat::Percentile(99.9), Comparison::AtMost, 1.5e9, "p99.9 <= 1500ms"),
    ("{ p(90): < 1s }", Stat::Percentile(90.0), Comparison::Less, 1e9, "p90 < 1s"),
    ("mean < 20ms", Stat::Mean, Comparison::Less, 2e7, "mean < 20ms"),
    ("{ max: <1m30s }", Stat::Max, Comparison::Less, 9e10, "max < 1m30s"),
    ("{ errors: < 0.5% }", Stat::Errors, Comparison::Less, 0.005, "errors < 0.5%"),
    ("{ errors: < 0.01 }", Stat::Errors, Comparison::Less, 0.01, "errors < 0.01"),
    ("{ availability: \">= 99.9%\" }", Stat::Availability, Comparison::AtLeast, 0.999, "availability >= 99.9%"),
    ("{ completed: \"> 95%\" }", Stat::Completed, Comparison::More, 0.95, "completed > 95%"),
    ("{ rate: \">= 600/m\" }", Stat::Rate, Comparison::AtLeast, 10.0, "rate >= 600/m"),
    ("{ rate_limit: 10/s }", Stat::RateLimit, Comparison::AtMost, 10.0, "rate_limit 10/s"),
    ("{ rate_limit: 60 / m }", Stat::RateLimit, Comparison::AtMost, 1.0, "rate_limit 60/m"),
];

#[test]
fn spellings_of_a_limit() {
    for (entry, stat, op, value, id) in SPELLINGS {
        let all = objectives(&[entry]);
        let one = &all[0];
        assert_eq!((one.stat, one.limit.op, one.id.as_str()), (*stat, *op, *id), "{entry}");
        assert!((one.limit.value - value).abs() < 1e-9 * value.abs(), "{entry}: {}", one.limit.value);
        assert!(one.must);
    }
}

#[test]
fn errors_below_five_percent_are_implied_when_nothing_is_said() {
    let all = objectives(&["{ p95: < 1s }"]);
    assert_eq!(all.len(), 2);
    assert_eq!((all[1].id.as_str(), all[1].line), ("errors < 5%", 0));
    assert_eq!(all[1].limit.value, 0.05);
    for said in ["{ errors: < 9% }", "{ availability: \">= 90%\" }"] {
        assert_eq!(objectives(&[said]).len(), 1, "{said}");
    }
}

#[test]
fn selections_name_steps_and_leave_probes_out_of_times() {
    let all = objectives(&[
        "{ of: { target: patient }, p95: < 1s, warn: < 500ms, must: false, in: sustained }",
        "{ of: { journey: [patient], step: POST /sessions }, p95: < 1s }",
        "{ of: { target: patient }, errors: < 1%, name: few errors }",
        "{ p50: < 1s }",
    ]);
    assert_eq!(all[0].id, "p95 of target patient < 1s");
    assert_eq!(all[0].warn.as_ref().map(|w| w.value), Some(5e8));
    assert_eq!(all[0].profiles.as_deref(), Some(&["sustained".to_owned()][..]));
    assert!(!all[0].must);
    assert_eq!(all[0].line, 46);
    assert_eq!(all[1].id, "p95 of journey patient of step POST /sessions < 1s");
    assert_eq!(all[1].of.step_ids.len(), 1);
    assert_eq!(all[2].id, "few errors");
    // The probe is the last step: it counts for errors, not for times.
    assert_eq!(all[0].of.step_ids, [0, 1, 2, 3, 4]);
    assert_eq!(all[2].of.step_ids, [0, 1, 2, 3, 4, 5]);
    assert!(all[3].of.is_everything());
}
