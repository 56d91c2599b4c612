//! `suite.json`: the answer of a suite for machines, and what is needed to judge it again.
//! In: a judged suite; or the text of a stored one. Out: JSON, format 1; or the facts.

use super::{Chapter, GateVerdict, State, Suite, SuiteFacts};
use crate::verdict::Outcome;
use serde::Deserialize;
use serde_json::{Value, json};

/// Renders `suite.json`.
pub(super) fn render(suite: &Suite) -> String {
    let document = json!({
        "format": 1,
        "verdict": suite.outcome.key(),
        "reasons": suite.reasons,
        "profiles": suite.chapters.iter().map(profile).collect::<Vec<_>>(),
        "gate": gate(suite),
        "isolation": {
            "state": suite.isolation.state.key(),
            "statement": suite.isolation.statement,
            "leaks": suite.isolation.leaks,
            "suspects": suite.isolation.suspects,
            "opportunities": suite.isolation.opportunities,
            "bound95": suite.isolation.bound95,
        },
        "facts": suite.facts,
    });
    let mut text = serde_json::to_string_pretty(&document).expect("a JSON value always serialises");
    text.push('\n');
    text
}

fn profile(chapter: &Chapter) -> Value {
    match &chapter.state {
        State::Ran(ran) => json!({
            "name": chapter.name,
            "outcome": ran.verdict.outcome.key(),
            "dir": chapter.name,
            "ran": true,
            "reason": ran.verdict.reasons.first(),
        }),
        State::NotRun { reason, .. } => json!({
            "name": chapter.name,
            "outcome": Outcome::Inconclusive.key(),
            "dir": chapter.name,
            "ran": false,
            "reason": reason,
        }),
    }
}

fn gate(suite: &Suite) -> Value {
    let signoffs = json!(suite.signoffs);
    match &suite.gate {
        GateVerdict::Absent => json!({"judged": false, "why": "the scenario has none", "signoffs": signoffs}),
        GateVerdict::NotJudged(why) => json!({"judged": false, "why": why, "signoffs": signoffs}),
        GateVerdict::Judged(requirements) => json!({
            "judged": true,
            "requirements": requirements
                .iter()
                .map(|r| json!({"name": r.name, "outcome": r.outcome.key(), "reason": r.reason}))
                .collect::<Vec<_>>(),
            "signoffs": signoffs,
        }),
    }
}

/// The facts of a stored `suite.json`.
///
/// # Errors
/// It is no suite of this version, in a sentence.
pub fn read_facts(text: &str) -> Result<SuiteFacts, String> {
    #[derive(Deserialize)]
    struct Stored {
        format: u32,
        facts: SuiteFacts,
    }
    let stored: Stored = serde_json::from_str(text).map_err(|e| format!("it is no suite of this program: {e}"))?;
    if stored.format != 1 {
        return Err(format!("format {} is not known here (this version reads format 1)", stored.format));
    }
    // A path from a file must not lead out of the folder.
    let leads_out = |name: &str| name.contains(['/', '\\']) || name == ".." || name == "." || name.is_empty();
    if let Some(bad) = stored.facts.asked.iter().find(|a| leads_out(&a.name)) {
        return Err(format!("`{}` is no name of a profile", bad.name));
    }
    Ok(stored.facts)
}
