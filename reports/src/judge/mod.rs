//! The judge: from what was measured to one answer. Each part is judged on its own (generator, isolation, objectives),
//! then the parts are weighed in the fixed order of [`weigh`].
//! In: run result, objectives. Out: [`Verdict`]. Pure.

pub(crate) mod claim;
pub(crate) mod containment;
mod isolation;
mod limits;
mod objectives;
mod outages;
mod rungs;
mod shares;
mod streams;
pub(crate) mod times;
mod validity;
pub(crate) mod watched;
pub(crate) mod windows;

pub(crate) use objectives::{missed_at, outcome_at};

use crate::figures::counted;
use crate::verdict::{IsolationState, JudgedObjective, ObjectiveOutcome, Outcome, ValidityState, Verdict};
use engine::run_result::{Ending, RunResult};
use scenarios::objective::Objective;

/// Judges a run against `objectives`; those of other profiles are left out.
pub fn judge(result: &RunResult, objectives: &[Objective]) -> Verdict {
    let judged = objectives::judge_all(result, objectives);
    let tightest_ns = objectives::tightest_time_limit_ns(result, objectives);
    let mut verdict = Verdict {
        outcome: Outcome::Inconclusive,
        reasons: Vec::new(),
        objectives: judged,
        validity: validity::judge(result, tightest_ns),
        isolation: isolation::judge(result),
    };
    (verdict.outcome, verdict.reasons) = weigh(result, &verdict);
    verdict
}

/// One finding and the outcome that it forces.
type Finding = (Outcome, String);

/// The order of weight. The first finding decides; every later one is still told as a further reason:
/// 1. a proven leak is NO-GO, whatever else is unsure;
/// 2. nothing sent, a void generator or a failed calibration is INCONCLUSIVE: the other figures cannot be trusted;
/// 3. a missed `must` or a fired abort rule is NO-GO;
/// 4. a `must` without enough evidence, isolation required but unproven, nothing judged, or a run cut short by a
///    signal or a crash is INCONCLUSIVE;
/// 5. warnings; 6. GO.
fn weigh(result: &RunResult, verdict: &Verdict) -> (Outcome, Vec<String>) {
    let mut findings: Vec<Finding> = Vec::new();
    leak(verdict, &mut findings);
    untrustworthy(result, verdict, &mut findings);
    missed(result, verdict, &mut findings);
    unsure(result, verdict, &mut findings);
    shortened(result, &mut findings);
    warnings(verdict, &mut findings);
    if findings.is_empty() {
        findings.push((Outcome::Go, all_held(verdict)));
    }
    let outcome = findings[0].0;
    (outcome, findings.into_iter().map(|(_, reason)| reason).collect())
}

fn leak(verdict: &Verdict, findings: &mut Vec<Finding>) {
    if verdict.isolation.state == IsolationState::Leaking {
        findings.push((Outcome::NoGo, verdict.isolation.statement.clone()));
    }
}

fn untrustworthy(result: &RunResult, verdict: &Verdict, findings: &mut Vec<Finding>) {
    if result.totals().sent() == 0 {
        findings.push((Outcome::Inconclusive, "no request was sent, so nothing was measured".into()));
    }
    if verdict.validity.state == ValidityState::Void {
        for reason in &verdict.validity.reasons {
            findings.push((Outcome::Inconclusive, format!("the generator itself was the limit: {reason}")));
        }
    }
    let isolation = &verdict.isolation;
    if isolation.is_calibration_failed() {
        findings.push((
            Outcome::Inconclusive,
            format!(
                "the leak scanner found only {} of {} planted test markers, so its silence means nothing",
                isolation.found, isolation.injected
            ),
        ));
    }
}

fn missed(result: &RunResult, verdict: &Verdict, findings: &mut Vec<Finding>) {
    for objective in verdict.objectives.iter().filter(|o| o.outcome == ObjectiveOutcome::Fail) {
        findings.push((Outcome::NoGo, sentence(objective)));
    }
    if let Ending::Aborted(why) = &result.ending {
        findings.push((Outcome::NoGo, format!("the run was stopped early by its own rule: {why}")));
    }
}

/// A run that its own scenario ended is shorter than its profile says.
fn shortened(result: &RunResult, findings: &mut Vec<Finding>) {
    if let Ending::Stopped(who) = &result.ending {
        findings.push((Outcome::GoWithWarnings, format!("the scenario itself ended the run early: {who}")));
    }
}

fn unsure(result: &RunResult, verdict: &Verdict, findings: &mut Vec<Finding>) {
    let mut add = |reason: String| findings.push((Outcome::Inconclusive, reason));
    match result.ending {
        Ending::Interrupted => {
            add("the run was interrupted; what was measured until then is kept".into());
        }
        Ending::Killed => {
            add("the run never came to its end; what was stored until then is kept".into());
        }
        Ending::Finished | Ending::Aborted(_) | Ending::Stopped(_) => {}
    }
    if verdict.objectives.is_empty() {
        add("no objective applies to this profile, so nothing was judged".into());
    }
    for objective in &verdict.objectives {
        if objective.must && objective.outcome == ObjectiveOutcome::Inconclusive {
            add(sentence(objective));
        }
    }
    if let Some(why) = result.header.capacity.as_ref().and_then(|c| c.cut_short.as_ref()) {
        add(format!("the capacity was not found: {why}"));
    }
    let isolation = &verdict.isolation;
    if result.header.isolation_required && isolation.state == IsolationState::Unproven {
        add(format!("isolation is required: {}", lower_first(&isolation.statement)));
    }
}

fn warnings(verdict: &Verdict, findings: &mut Vec<Finding>) {
    let mut add = |reason: String| findings.push((Outcome::GoWithWarnings, reason));
    for objective in &verdict.objectives {
        let is_soft_gap = objective.outcome == ObjectiveOutcome::Inconclusive && !objective.must;
        let is_let_through = matches!(objective.outcome, ObjectiveOutcome::Warn | ObjectiveOutcome::Waived);
        if is_let_through || is_soft_gap {
            add(sentence(objective));
        }
    }
    if verdict.validity.state == ValidityState::Degraded {
        for reason in &verdict.validity.reasons {
            add(format!("the generator was under strain: {reason}"));
        }
    }
    if verdict.isolation.suspects > 0 {
        add(format!("{} that may be a leak, without proof", counted(verdict.isolation.suspects, "suspect finding")));
    }
}

fn sentence(objective: &JudgedObjective) -> String {
    format!("{}: {}", objective.id, objective.reason)
}

/// `Isolation is …` → `isolation is …`, for use after a colon.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect::<String>())
}

fn all_held(verdict: &Verdict) -> String {
    let objectives = match verdict.objectives.len() {
        1 => "the objective held".into(),
        n => format!("all {n} objectives held"),
    };
    match verdict.isolation.state {
        IsolationState::Intact => format!("{objectives}, and no user received another user's data"),
        IsolationState::Leaking | IsolationState::Unproven => {
            format!("{objectives}; isolation was not proven")
        }
    }
}
