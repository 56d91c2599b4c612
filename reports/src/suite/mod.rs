//! A suite: several profiles of one scenario, and one answer for the release meeting.
//! In: [`SuiteFacts`] as stored, a [`Chapter`] for each profile, the sign-offs. Out: [`Suite`], and from it `suite.json`,
//! `junit.xml`, `summary.md`, `report.html` and the last words on screen. Pure, so that rendering again gives the same
//! bytes.

mod chapter;
mod gate;
mod html;
mod isolation;
mod json;
mod texts;
mod write;

pub use chapter::{Cell, Chapter, Ran, State};
pub use gate::{GateVerdict, Requirement};
pub use isolation::SuiteIsolation;
pub use json::read_facts;
pub use texts::terminal;
pub use write::write;

use crate::exit_codes::{Cause, combine};
use crate::figures::counted;
use crate::verdict::{IsolationState, ObjectiveOutcome, Outcome};
use scenarios::gate::Gate;
use serde::{Deserialize, Serialize};

/// Most reasons that one profile adds to those of the suite; its own report has all.
const MOST_REASONS: usize = 3;

/// What is known of a suite besides its runs; stored in `suite.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SuiteFacts {
    /// Scenario name.
    pub scenario: String,
    /// Path of the scenario file as given.
    pub file: String,
    /// Version of watertight.
    pub version: String,
    /// Names of all targets of the file.
    pub targets: Vec<String>,
    /// Profiles that were asked for, in order.
    pub asked: Vec<Asked>,
    /// Profiles of the file that were not asked for.
    pub not_asked: Vec<String>,
    /// A signal ended the suite.
    pub interrupted: bool,
    /// Options of the command line that change what the profiles are: `--users 5`. Such a run satisfies no gate.
    #[serde(default)]
    pub altered: Vec<String>,
    /// The gate of the file.
    pub gate: Option<Gate>,
    /// A missing sign-off makes the suite inconclusive.
    pub require_signoffs: bool,
}

/// A profile that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Its name, and that of its folder.
    pub name: String,
    /// Why it could not run, if so.
    pub problem: Option<String>,
    /// It was tried; else the suite never came to it.
    #[serde(default)]
    pub is_tried: bool,
}

/// A sign-off: one line of `signoffs.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOff {
    /// The role that signs, as in `gate: { signoffs: […] }`.
    pub name: String,
    /// Who signed.
    pub by: String,
    /// What they said with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When, UTC.
    pub at: String,
}

/// A suite, judged.
#[derive(Debug)]
pub struct Suite {
    /// What is known besides the runs.
    pub facts: SuiteFacts,
    /// One for each profile that was asked for, in that order.
    pub chapters: Vec<Chapter>,
    /// Sign-offs, oldest first.
    pub signoffs: Vec<SignOff>,
    /// The answer.
    pub outcome: Outcome,
    /// Why it ends as it does, for the exit code.
    pub cause: Cause,
    /// Why, in words, the deciding reason first; never empty.
    pub reasons: Vec<String>,
    /// The gate.
    pub gate: GateVerdict,
    /// Isolation over all profiles.
    pub isolation: SuiteIsolation,
}

impl Suite {
    /// Judges a suite.
    pub fn new(facts: SuiteFacts, chapters: Vec<Chapter>, signoffs: Vec<SignOff>) -> Self {
        let gate = gate::judge(&facts, &chapters, &signoffs);
        let mut findings = findings(&facts, &chapters, &gate);
        // The sort is stable: among equals the order of the profiles stays.
        findings.sort_by_key(|(cause, _)| *cause);
        let cause = combine(findings.iter().map(|(cause, _)| *cause).chain(chapters.iter().map(Chapter::cause)));
        let mut suite = Self {
            outcome: outcome(cause, !findings.is_empty(), &chapters),
            cause,
            reasons: findings.into_iter().map(|(_, reason)| reason).collect(),
            isolation: SuiteIsolation::new(&chapters),
            facts,
            chapters,
            signoffs,
            gate,
        };
        if suite.reasons.is_empty() {
            suite.reasons.push(suite.all_held());
        }
        suite
    }

    fn all_held(&self) -> String {
        let held = match self.chapters.len() {
            1 => "the only profile held".to_owned(),
            n => format!("all {n} profiles held"),
        };
        let gate = match &self.gate {
            GateVerdict::Judged(_) => ", the gate is met",
            GateVerdict::Absent | GateVerdict::NotJudged(_) => "",
        };
        match self.isolation.state {
            IsolationState::Intact => format!("{held}{gate}, and no user received another user's data"),
            _ => format!("{held}{gate}; isolation was not proven"),
        }
    }
}

/// The word for the strongest cause. A leak is NO-GO even if the suite was interrupted after it.
fn outcome(cause: Cause, has_warnings: bool, chapters: &[Chapter]) -> Outcome {
    if chapters.iter().any(|c| c.cause() == Cause::Leak || c.is_leaking()) {
        return Outcome::NoGo;
    }
    match cause {
        Cause::Leak | Cause::Missed => Outcome::NoGo,
        Cause::Interrupted | Cause::CouldNotRun | Cause::Void | Cause::TooLittle => Outcome::Inconclusive,
        Cause::Go if has_warnings => Outcome::GoWithWarnings,
        Cause::Go => Outcome::Go,
    }
}

/// Everything that speaks against a plain GO, with its weight.
fn findings(facts: &SuiteFacts, chapters: &[Chapter], gate: &GateVerdict) -> Vec<(Cause, String)> {
    let mut findings = Vec::new();
    if facts.interrupted {
        findings.push((Cause::Interrupted, "the suite was interrupted; what was measured until then is kept".into()));
    }
    for chapter in chapters {
        let cause = chapter.cause();
        match &chapter.state {
            State::NotRun { reason, .. } => findings.push((cause, format!("{} did not run: {reason}", chapter.name))),
            State::Ran(ran) if ran.verdict.outcome == Outcome::Go => {}
            State::Ran(ran) => {
                // Of a run that was interrupted the leak still comes first.
                let weight = if chapter.is_leaking() { cause.min(Cause::Leak) } else { cause };
                let said = ran.verdict.reasons.iter().take(MOST_REASONS);
                findings.extend(said.map(|reason| (weight, format!("{}: {reason}", chapter.name))));
                let more = ran.verdict.reasons.len().saturating_sub(MOST_REASONS);
                if more > 0 {
                    let text = format!("{}: and {}", chapter.name, counted(more as u64, "further reason"));
                    findings.push((weight, text));
                }
            }
        }
    }
    if let GateVerdict::Judged(requirements) = gate {
        // What a profile came to has been said with the profile.
        let is_said =
            |name: &str| chapters.iter().any(|c| c.cause() != Cause::Go && name == format!("profile {}", c.name));
        let unmet = requirements.iter().filter(|r| r.outcome != ObjectiveOutcome::Pass && !is_said(&r.name));
        findings.extend(unmet.map(|r| {
            let cause = match r.outcome {
                ObjectiveOutcome::Fail => Cause::Missed,
                ObjectiveOutcome::Inconclusive => Cause::TooLittle,
                _ => Cause::Go,
            };
            (cause, format!("gate: {}: {}", r.name, r.reason))
        }));
    }
    findings
}
