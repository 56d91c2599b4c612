//! The shipped files: each is right, begins with a short demo against the practice clinic, can prove isolation, and
//! holds the numbers of its plan.

use scenarios::program::Control;
use scenarios::{Program, compile, library, parse, render};

/// The limits of each plan, as written in its objectives.
const LIMITS: &[(&str, &[&str])] = &[
    ("clinic", &["p95 < 200ms"]),
    (
        "therapeutic-storytelling",
        &[
            "p95 < 200ms",
            "p95 < 2s",
            "p95 < 5s",
            "availability >= 99.9%",
            "rate >= 1000/m",
            "mean < 50ms",
            "mean >= 500",
        ],
    ),
    (
        "agent-platform",
        &[
            "availability > 99.9%",
            "availability > 95%",
            "p95 < 2s",
            "mean < 3s",
            "errors < 1%",
            "variation < 5%",
            "returns within 10%",
            "max < 100%",
        ],
    ),
    ("support-chatbot", &["errors < 5%", "errors < 10%", "p95 < 10s", "mean > 50%", "growth < 5% per 30m"]),
    (
        "realtime-app",
        &["p95 < 2s", "p95 < 500ms", "p95 < 1s", "max < 1%", "max < 500ms", "max < 7GB", "longest_outage < 1m"],
    ),
    ("release-gate", &["p95 < 100ms", "availability >= 99.99%", "uptime >= 99.99%", "longest_outage < 30s"]),
];

fn program(name: &str) -> Program {
    let source = library::source(name).expect("it is shipped");
    match parse(&source, &|_| None) {
        Ok((plan, warnings)) => {
            assert!(warnings.is_empty(), "{name}\n{}", render(&warnings, &source, false));
            compile(&plan).expect("an accepted plan compiles")
        }
        Err(mistakes) => panic!("{name}\n{}", render(&mistakes, &source, false)),
    }
}

#[test]
fn every_shipped_file_is_right_and_begins_with_a_short_demo_at_the_clinic() {
    for name in library::NAMES {
        let program = program(name);
        let demo = &program.profiles[0];
        assert_eq!(demo.name, "demo", "{name}");
        assert!(demo.planned_ns() <= 30_000_000_000, "{name}");
        let estimate = program.estimate("demo").expect("it has a demo");
        assert!(estimate.requests.is_some_and(|n| (300..5_000).contains(&n)), "{name}: {estimate:?}");
        for target in &program.targets {
            let port = target.url.strip_prefix("http://127.0.0.1:").expect("an address of the clinic");
            assert!(["8001", "8002", "8005"].contains(&port), "{name}: {}", target.url);
        }
        assert!(program.gate.as_ref().is_some_and(|gate| gate.isolation_required), "{name}");
    }
}

#[test]
fn every_shipped_file_can_prove_isolation() {
    for name in library::NAMES {
        let program = program(name);
        assert!(program.requests.iter().any(|r| r.plants_marker), "{name} plants no marker");
        let own = |c: &Option<Control>| matches!(c, Some(Control::Own | Control::Latest));
        assert!(program.steps.iter().any(|s| own(&s.control)), "{name} shows nowhere that the scanner works");
        assert!(program.requests.iter().flat_map(|r| &r.saves).any(|s| s.credential), "{name} compares no credential");
        assert!(program.requests.iter().any(|r| !r.identities.is_empty()), "{name} asks for no identity");
        let probes = program.requests.iter().filter_map(|r| r.probe.as_ref());
        assert!(probes.into_iter().all(|p| p.control_step.is_some()), "{name} has a probe without its control");
    }
}

#[test]
fn the_numbers_of_the_plans_are_objectives() {
    assert!(LIMITS.iter().map(|(name, _)| name).eq(library::NAMES), "each file has its row");
    for (name, limits) in LIMITS {
        let program = program(name);
        let found: Vec<String> =
            program.objectives.iter().map(|o| format!("{} {}", o.stat.word(), o.limit.text)).collect();
        for limit in *limits {
            assert!(found.iter().any(|f| f == limit), "{name} has no `{limit}`, but {found:?}");
        }
    }
}
