//! A suite as text: the last words on screen, `summary.md`, `junit.xml`.
//! In: a judged suite. Out: text; what comes from outside is made harmless.

use super::{Chapter, GateVerdict, State, Suite};
use crate::figures::{self, count, fit, plain, wrap};
use crate::junit;
use crate::rows::shown;
use crate::summary::md;
use crate::verdict::{IsolationState, ObjectiveOutcome, Outcome};
use quick_junit::TestSuite;
use std::fmt::Write;

/// Columns of the screen.
const WIDTH: usize = 100;
/// Most reasons on screen.
const MOST_REASONS: usize = 8;

/// The last words on screen. The caller adds the path of the report.
pub fn terminal(suite: &Suite) -> String {
    let mut out = String::new();
    let _ =
        writeln!(out, "{} {}  suite of {}", suite.outcome.sign(), suite.outcome.words(), plain(&suite.facts.scenario));
    let mut say = |text: &str| {
        for line in wrap(&plain(text), WIDTH - 2, 2) {
            let _ = writeln!(out, "  {}", line.trim_end());
        }
    };
    for reason in suite.reasons.iter().take(MOST_REASONS) {
        say(&format!("· {reason}"));
    }
    if suite.reasons.len() > MOST_REASONS {
        say(&format!("· and {} more, in the report", suite.reasons.len() - MOST_REASONS));
    }
    out.push('\n');
    let _ = writeln!(out, "{:<24}{:<20}{:>10}{:>11}{:>10}  isolation", "Profiles", "", "sent", "p95", "errors");
    for chapter in &suite.chapters {
        let _ = writeln!(out, "{}", row(chapter).trim_end());
    }
    let _ = writeln!(out, "\nIsolation {}", suite.isolation.state.key());
    for line in wrap(&plain(&suite.isolation.statement), WIDTH - 2, 2) {
        let _ = writeln!(out, "  {}", line.trim_end());
    }
    match &suite.gate {
        GateVerdict::Absent => {}
        GateVerdict::NotJudged(why) => {
            let _ = writeln!(out, "\nGate not judged: {}", plain(why));
        }
        GateVerdict::Judged(requirements) => {
            out.push_str("\nGate\n");
            for r in requirements {
                let text = format!("{} {}: {}", r.outcome.sign(), r.name, r.reason);
                for line in wrap(&plain(&text), WIDTH - 2, 2) {
                    let _ = writeln!(out, "  {}", line.trim_end());
                }
            }
        }
    }
    out
}

fn row(chapter: &Chapter) -> String {
    let name = fit(&plain(&chapter.name), 22);
    match &chapter.state {
        State::NotRun { .. } => format!("  {name:<22}{:<20}", "? NOT RUN"),
        State::Ran(ran) => {
            let outcome = format!("{} {}", ran.verdict.outcome.sign(), ran.verdict.outcome.words());
            format!(
                "  {name:<22}{outcome:<20}{:>10}{:>11}{:>10}  {}",
                count(ran.all.sent),
                ran.all.p95.map_or_else(|| "–".into(), shown),
                ran.all.errors.map_or_else(|| "–".into(), figures::share),
                ran.verdict.isolation.state.key()
            )
        }
    }
}

/// Renders `summary.md`.
pub(super) fn summary(suite: &Suite) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "## {} {}: {}, {}\n",
        suite.outcome.sign(),
        suite.outcome.words(),
        md(&suite.facts.scenario),
        figures::counted(suite.chapters.len() as u64, "profile")
    );
    for reason in &suite.reasons {
        let _ = writeln!(out, "- {}", md(reason));
    }
    out.push_str(
        "\n| profile | outcome | load | sent | p95 | errors | isolation |\n|---|---|---|---:|---:|---:|---|\n",
    );
    for chapter in &suite.chapters {
        match &chapter.state {
            State::NotRun { reason, .. } => {
                let _ = writeln!(out, "| {} | ? NOT RUN | {} | | | | |", md(&chapter.name), md(reason));
            }
            State::Ran(ran) => {
                let _ = writeln!(
                    out,
                    "| {} | {} {} | {} | {} | {} | {} | {} |",
                    md(&chapter.name),
                    ran.verdict.outcome.sign(),
                    ran.verdict.outcome.words(),
                    md(&ran.load),
                    count(ran.all.sent),
                    ran.all.p95.map_or_else(|| "–".into(), shown),
                    ran.all.errors.map_or_else(|| "–".into(), figures::share),
                    ran.verdict.isolation.state.key()
                );
            }
        }
    }
    for name in &suite.facts.not_asked {
        let _ = writeln!(out, "| {} | NOT RUN | not asked for | | | | |", md(name));
    }
    let _ = writeln!(out, "\n**Isolation: {}.** {}\n", suite.isolation.state.key(), md(&suite.isolation.statement));
    match &suite.gate {
        GateVerdict::Absent => {}
        GateVerdict::NotJudged(why) => {
            let _ = writeln!(out, "**Gate not judged:** {}\n", md(why));
        }
        GateVerdict::Judged(requirements) => {
            out.push_str("**Gate**\n\n");
            for r in requirements {
                let _ = writeln!(out, "- {} {}: {}", r.outcome.sign(), md(&r.name), md(&r.reason));
            }
            out.push('\n');
        }
    }
    out
}

/// Renders `junit.xml`: a suite of cases for each profile, one for the gate.
pub(super) fn junit(suite: &Suite) -> String {
    let mut suites: Vec<TestSuite> = suite
        .chapters
        .iter()
        .map(|chapter| match &chapter.state {
            State::Ran(ran) => ran.junit.clone(),
            State::NotRun { reason, .. } => {
                let class = format!("all.{}", plain(&chapter.name));
                let outcome = ObjectiveOutcome::Inconclusive;
                let text = format!("did not run: {reason}");
                let mut cases = TestSuite::new(format!("{}.{}", plain(&suite.facts.scenario), plain(&chapter.name)));
                cases.add_test_case(junit::case("profile".into(), class, outcome, &text, &plain(&text)));
                cases
            }
        })
        .collect();
    if let GateVerdict::Judged(requirements) = &suite.gate {
        let mut cases = TestSuite::new(format!("{}.gate", plain(&suite.facts.scenario)));
        for r in requirements {
            let body = plain(&r.reason);
            cases.add_test_case(junit::case(plain(&r.name), "gate".into(), r.outcome, &r.reason, &body));
        }
        suites.push(cases);
    }
    junit::render(suites)
}

/// The badge of an isolation state.
pub(super) fn isolation_outcome(state: IsolationState) -> ObjectiveOutcome {
    match state {
        IsolationState::Intact => ObjectiveOutcome::Pass,
        IsolationState::Leaking => ObjectiveOutcome::Fail,
        IsolationState::Unproven => ObjectiveOutcome::Inconclusive,
    }
}

/// The badge of a run.
pub(super) fn run_outcome(outcome: Outcome) -> ObjectiveOutcome {
    match outcome {
        Outcome::Go => ObjectiveOutcome::Pass,
        Outcome::GoWithWarnings => ObjectiveOutcome::Warn,
        Outcome::NoGo => ObjectiveOutcome::Fail,
        Outcome::Inconclusive => ObjectiveOutcome::Inconclusive,
    }
}
