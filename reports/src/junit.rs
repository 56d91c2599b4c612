//! `junit.xml`: one case an objective, and one each for isolation and the generator, so that a CI system shows why.
//! In: run result, verdict. Out: XML. Inconclusive is an error, a warning passes with its reason in the output.

use crate::figures::{self, plain};
use crate::terminal;
use crate::verdict::{IsolationState, JudgedObjective, ObjectiveOutcome, ValidityState, Verdict, margin};
use engine::run_result::RunResult;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// Renders `junit.xml`.
pub fn render_junit(result: &RunResult, verdict: &Verdict) -> String {
    render([suite_of(result, verdict)])
}

/// `junit.xml` of these suites.
pub(crate) fn render(suites: impl IntoIterator<Item = TestSuite>) -> String {
    let mut report = Report::new("watertight");
    report.add_test_suites(suites);
    // The only failure of the writer is one of its sink, and a String has none.
    report.to_string().expect("XML into memory always succeeds")
}

/// One run as a suite of cases.
pub(crate) fn suite_of(result: &RunResult, verdict: &Verdict) -> TestSuite {
    let header = &result.header;
    let mut suite = TestSuite::new(format!("{}.{}", plain(&header.scenario), plain(&header.profile)));
    for objective in &verdict.objectives {
        suite.add_test_case(objective_case(result, objective));
    }
    suite.add_test_case(isolation_case(result, verdict));
    suite.add_test_case(generator_case(result, verdict));
    suite
}

fn class(result: &RunResult, target: &str) -> String {
    format!("{}.{}", plain(target), plain(&result.header.profile))
}

/// A case: outcome, one line, and the figures in the element's body.
pub(crate) fn case(name: String, class: String, outcome: ObjectiveOutcome, message: &str, body: &str) -> TestCase {
    let kind = match outcome {
        ObjectiveOutcome::Fail => Some(NonSuccessKind::Failure),
        ObjectiveOutcome::Inconclusive => Some(NonSuccessKind::Error),
        _ => None,
    };
    let mut status = match (kind, outcome) {
        (Some(kind), _) => TestCaseStatus::non_success(kind),
        (None, ObjectiveOutcome::Waived) => TestCaseStatus::skipped(),
        (None, _) => TestCaseStatus::success(),
    };
    let is_silent = matches!(outcome, ObjectiveOutcome::Pass | ObjectiveOutcome::Warn);
    if !is_silent {
        status.set_message(plain(message));
        status.set_type(outcome.key());
        status.set_description(body);
    }
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    if is_silent {
        case.set_system_out(body);
    }
    case
}

fn objective_case(result: &RunResult, o: &JudgedObjective) -> TestCase {
    let target = match o.of.targets.as_slice() {
        [] => "all".to_string(),
        names => names.join("+"),
    };
    case(plain(&o.id), class(result, &target), o.outcome, &o.reason, &body(result, o))
}

fn body(result: &RunResult, o: &JudgedObjective) -> String {
    let interval = o.interval.map_or_else(|| "none".into(), |i| terminal::interval(o.stat, i));
    let mut lines = vec![
        format!("outcome: {}", o.outcome.key()),
        format!("limit: {}", o.limit.text),
        format!("measured: {}", terminal::measured(o)),
        format!("95% interval: {interval}"),
        format!("n: {}", figures::count(o.n)),
        format!("of: {}", plain(&o.of_words())),
    ];
    if let Some(margin) = margin(o) {
        let sign = if margin < 0.0 { "-" } else { "" };
        lines.push(format!("margin: {sign}{}", figures::difference(o.stat, margin)));
    }
    lines.push(format!("reason: {}", plain(&o.reason)));
    if o.line > 0 {
        lines.push(format!("at: {}:{}", plain(&result.header.file), o.line));
    }
    lines.join("\n")
}

fn isolation_case(result: &RunResult, verdict: &Verdict) -> TestCase {
    let judged = &verdict.isolation;
    let outcome = match judged.state {
        IsolationState::Leaking => ObjectiveOutcome::Fail,
        IsolationState::Unproven if result.header.isolation_required => ObjectiveOutcome::Inconclusive,
        IsolationState::Unproven => ObjectiveOutcome::Warn,
        IsolationState::Intact => ObjectiveOutcome::Pass,
    };
    case("isolation".into(), class(result, "all"), outcome, &judged.statement, &plain(&judged.statement))
}

fn generator_case(result: &RunResult, verdict: &Verdict) -> TestCase {
    let validity = &verdict.validity;
    let outcome = match validity.state {
        ValidityState::Ok => ObjectiveOutcome::Pass,
        ValidityState::Degraded => ObjectiveOutcome::Warn,
        ValidityState::Void => ObjectiveOutcome::Inconclusive,
    };
    let mut body = terminal::generator_figures(result, verdict);
    for reason in &validity.reasons {
        body.push('\n');
        body.push_str(&plain(reason));
    }
    let message = validity.reasons.join("; ");
    case("generator".into(), class(result, "all"), outcome, &message, &body)
}
