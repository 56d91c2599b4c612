//! The gate judged: required profiles, isolation, sign-offs. Only a suite can be judged by it, and only one that was
//! asked for every required profile.
//! In: facts, chapters, sign-offs. Out: [`GateVerdict`].

use super::{Chapter, SignOff, State, SuiteFacts};
use crate::verdict::{IsolationState, ObjectiveOutcome, Outcome};
use scenarios::gate::Gate;

/// What can be said of the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateVerdict {
    /// The file has none.
    Absent,
    /// It cannot be judged by this suite, for this reason.
    NotJudged(String),
    /// Requirement by requirement.
    Judged(Vec<Requirement>),
}

/// One requirement of the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// What is required: `profile soak`, `isolation`, `sign-off security`.
    pub name: String,
    /// Met, missed, or not shown. A missing sign-off that is not required warns.
    pub outcome: ObjectiveOutcome,
    /// Why, in words.
    pub reason: String,
}

pub(super) fn judge(facts: &SuiteFacts, chapters: &[Chapter], signoffs: &[SignOff]) -> GateVerdict {
    let Some(gate) = &facts.gate else {
        return GateVerdict::Absent;
    };
    let missing: Vec<&str> =
        gate.requires.iter().filter(|r| facts.asked.iter().all(|a| a.name != **r)).map(String::as_str).collect();
    if !missing.is_empty() {
        return GateVerdict::NotJudged(format!(
            "it requires {} as well: name them with --profile, or run --all",
            missing.join(", ")
        ));
    }
    let mut requirements: Vec<Requirement> = gate
        .requires
        .iter()
        .map(|name| profile(name, chapters.iter().find(|c| c.name == *name), &facts.altered))
        .collect();
    if gate.isolation_required {
        requirements.push(isolation(gate, chapters));
    }
    requirements.extend(gate.signoffs.iter().map(|name| sign_off(name, signoffs, facts.require_signoffs)));
    GateVerdict::Judged(requirements)
}

fn profile(name: &str, chapter: Option<&Chapter>, altered: &[String]) -> Requirement {
    let (outcome, reason) = match chapter.map(|c| &c.state) {
        None => (ObjectiveOutcome::Inconclusive, "it did not run".into()),
        Some(State::NotRun { reason, .. }) => (ObjectiveOutcome::Inconclusive, format!("it did not run: {reason}")),
        Some(State::Ran(ran)) => match (ran.verdict.outcome, ran.scaled) {
            (Outcome::NoGo, _) => (ObjectiveOutcome::Fail, "it ended in NO-GO".into()),
            (_, Some(factor)) => (
                ObjectiveOutcome::Inconclusive,
                format!("it ran scaled by {}, which satisfies no gate", crate::figures::factor(factor)),
            ),
            (_, None) if !altered.is_empty() => {
                let reason = format!("it ran with {}, not as written, which satisfies no gate", altered.join(", "));
                (ObjectiveOutcome::Inconclusive, reason)
            }
            (Outcome::Inconclusive, None) => (ObjectiveOutcome::Inconclusive, "it ended INCONCLUSIVE".into()),
            (Outcome::Go | Outcome::GoWithWarnings, None) => {
                (ObjectiveOutcome::Pass, format!("it ended in {}", ran.verdict.outcome.words()))
            }
        },
    };
    Requirement { name: format!("profile {name}"), outcome, reason }
}

/// Isolation in every required profile, or in every one that was asked for if none is required by name.
fn isolation(gate: &Gate, chapters: &[Chapter]) -> Requirement {
    let concerned = || chapters.iter().filter(|c| gate.requires.is_empty() || gate.requires.contains(&c.name));
    let with = |state: IsolationState| {
        let names = concerned().filter(|c| c.run().is_some_and(|r| r.verdict.isolation.state == state));
        names.map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (leaking, unproven) = (with(IsolationState::Leaking), with(IsolationState::Unproven));
    let not_run: Vec<&str> = concerned().filter(|c| c.run().is_none()).map(|c| c.name.as_str()).collect();
    let (outcome, reason) = if !leaking.is_empty() {
        (ObjectiveOutcome::Fail, format!("data leaked in {leaking}"))
    } else if !unproven.is_empty() {
        (ObjectiveOutcome::Inconclusive, format!("it is unproven in {unproven}"))
    } else if !not_run.is_empty() {
        (ObjectiveOutcome::Inconclusive, format!("nothing is known of {}, which did not run", not_run.join(", ")))
    } else {
        (ObjectiveOutcome::Pass, "intact in every required profile".into())
    };
    Requirement { name: "isolation".into(), outcome, reason }
}

fn sign_off(name: &str, signoffs: &[SignOff], is_required: bool) -> Requirement {
    // The newest counts: who signs again has looked again.
    let newest = signoffs.iter().rev().find(|s| s.name == name);
    let (outcome, reason) = match newest {
        Some(signed) => {
            let note = signed.note.as_ref().map_or_else(String::new, |n| format!(": {n}"));
            (ObjectiveOutcome::Pass, format!("signed by {} at {}{note}", signed.by, signed.at))
        }
        None if is_required => (ObjectiveOutcome::Inconclusive, "not signed yet (--require-signoffs)".into()),
        None => (ObjectiveOutcome::Warn, "not signed yet".into()),
    };
    Requirement { name: format!("sign-off {name}"), outcome, reason }
}
