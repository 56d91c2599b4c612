//! The gate and the waivers: names of profiles and objectives resolved.
//! In: the plan's `gate` and `waivers`, the objectives. Out: [`Gate`]; each waiver goes to its objective.

use super::unknown;
use crate::diagnostic::Diagnostic;
use crate::gate::{Gate, Waiver};
use crate::objective::Objective;
use crate::plan::Plan;

pub(super) fn lower(plan: &Plan, mistakes: &mut Vec<Diagnostic>) -> Option<Gate> {
    let written = plan.gate.as_ref()?;
    for name in &written.requires {
        let known = || plan.profiles.iter().map(|p| p.name.text.as_str());
        // Profiles that could not be read have been reported; their names still exist in the file.
        if !known().any(|p| p == name.text) && !plan.broken_profiles.contains(&name.text) {
            mistakes.push(unknown(name, "profile", known()));
        }
    }
    Some(Gate {
        requires: written.requires.iter().map(|n| n.text.clone()).collect(),
        isolation_required: written.isolation_required,
        signoffs: written.signoffs.iter().map(|n| n.text.clone()).collect(),
    })
}

/// Hands each waiver to its objective.
pub(super) fn waive(plan: &Plan, objectives: &mut [Objective], mistakes: &mut Vec<Diagnostic>) {
    for written in &plan.waivers {
        let name = &written.objective;
        let Some(place) = objectives.iter().position(|o| o.id == name.text) else {
            mistakes.push(unknown(name, "objective", objectives.iter().map(|o| o.id.as_str())));
            continue;
        };
        let objective = &mut objectives[place];
        if objective.waiver.is_some() {
            mistakes.push(
                Diagnostic::error("duplicate-name", name.span, format!("`{}` is waived twice", name.shown()))
                    .help("remove one"),
            );
        }
        objective.waiver =
            Some(Waiver { reason: written.reason.clone(), by: written.by.clone(), until: written.until.to_string() });
    }
}
