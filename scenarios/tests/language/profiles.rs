//! Profiles: what each spelling becomes in stages.

use crate::file::{FILE, program};
use scenarios::program::{Load, Profile, Spacing, Stage};

const S: u64 = 1_000_000_000;

fn profile(written: &str) -> Profile {
    let text = FILE.replacen("{ users: 10, for: 10m }", written, 1);
    let text = text.replacen("count: 50", "count: 1000", 1);
    program(&text).profiles.remove(0)
}

fn stage(level: f64, seconds: u64, ramp: u64) -> Stage {
    Stage { level, duration_ns: seconds * S, ramp_ns: ramp * S }
}

#[test]
fn closed_load_holds_its_warm_up_in_the_first_stage() {
    let table: &[(&str, u64, &[Stage])] = &[
        ("{ users: 10, for: 10m }", 0, &[stage(10.0, 600, 0)]),
        ("{ users: 10, for: 10m, warm_up: 30s }", 30, &[stage(10.0, 630, 0)]),
        ("{ users: 10, for: 10m, ramp: 1m, warm_up: 30s }", 30, &[stage(10.0, 630, 60)]),
        (
            "{ warm_up: 10s, stages: [ { users: 5, for: 30s }, { users: 100, for: 60s, ramp: 2s }, { users: 0, for: 1s } ] }",
            10,
            &[stage(5.0, 40, 0), stage(100.0, 60, 2), stage(0.0, 1, 0)],
        ),
        ("{ preset: smoke }", 0, &[stage(1.0, 10, 0)]),
        ("{ preset: sustained }", 30, &[stage(10.0, 630, 0)]),
        ("{ preset: sustained, users: 20, warm_up: 0s, for: 1m }", 0, &[stage(20.0, 60, 0)]),
        ("{ preset: burst }", 0, &[stage(50.0, 120, 0)]),
        ("{ preset: spike }", 0, &[stage(5.0, 30, 0), stage(100.0, 60, 2), stage(5.0, 30, 2)]),
        (
            "{ preset: spike, users: 40, for: 40s, ramp: 1s }",
            0,
            &[stage(2.0, 10, 0), stage(40.0, 20, 1), stage(2.0, 10, 1)],
        ),
        ("{ preset: soak }", 30, &[stage(5.0, 1830, 0)]),
        ("{ preset: chaos }", 0, &[stage(20.0, 300, 0)]),
    ];
    for (written, warm_up_s, stages) in table {
        let profile = profile(written);
        assert_eq!(profile.load, Load::Closed(stages.to_vec()), "{written}");
        assert_eq!(profile.warm_up_ns, warm_up_s * S, "{written}");
    }
}

#[test]
fn open_load() {
    let open = profile(
        "{ arrivals: 20/s, spacing: poisson, for: 5m, max_users: 400, graceful_stop: 5s, isolation: required }",
    );
    let expected = Load::Open { stages: vec![stage(20.0, 300, 0)], spacing: Spacing::Poisson, max_users: 400 };
    assert_eq!(open.load, expected);
    assert_eq!(open.graceful_stop_ns, 5 * S);
    assert!(open.isolation_required);
    let staged = profile("{ stages: [ { arrivals: 60/m, for: 5s }, { arrivals: 9/s, for: 5s, ramp: 5s } ] }");
    let expected =
        Load::Open { stages: vec![stage(1.0, 5, 0), stage(9.0, 5, 5)], spacing: Spacing::Even, max_users: 1000 };
    assert_eq!(staged.load, expected);
    assert!(!staged.isolation_required);
    assert_eq!(staged.graceful_stop_ns, 30 * S);
}

#[test]
fn estimates_count_thinking_and_loops_and_say_when_they_cannot() {
    let text = FILE.replacen("think: 1s..4s", "think: 2s", 1);
    let text =
        text.replacen("      - if: mood < 3\n        then: [ \"POST /patients/{{ account.id }}/crisis\" ]\n", "", 1);
    let program = program(&text);
    let estimate = program.estimate("sustained").expect("there is one");
    assert_eq!((estimate.duration_s, estimate.users), (600.0, 10));
    // Each iteration thinks 5 × 2 s and asks 8 times: 10 users × 600 s / 10 s × 8, and 10 log-ins.
    assert_eq!(estimate.requests, Some(4810));
    assert_eq!(program.estimate("nothing"), None);
    let restless = text.replacen("        - think: 2s\n", "", 1);
    let restless = crate::file::program(&restless);
    assert_eq!(restless.estimate("sustained").and_then(|e| e.requests), None);
}
