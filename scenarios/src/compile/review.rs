//! What only shows once the whole file is understood: variables that are not there or have the wrong type, what nobody
//! reads, objectives and profiles that cannot mean what they say.
//! In: a program without a mistake so far, and what each journey read. Out: mistakes and warnings.

use super::names::Role;
use super::trail::Trail;
use super::{assignment, types};
use crate::dealing::deal_users;
use crate::diagnostic::{Diagnostic, Span};
use crate::plan::Plan;
use crate::program::{Load, Op, Program, Spacing};
use crate::units::format_duration;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Looks at everything.
pub(super) fn review(
    plan: &Plan,
    program: &Program,
    trails: &[Trail],
    around: &[(&Program, &Trail)],
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let load = program.journeys.iter().zip(trails).map(|(journey, trail)| (program, journey, trail));
    let around = around.iter().map(|(program, trail)| (*program, &program.journeys[0], *trail));
    let all: Vec<_> = load.chain(around).collect();
    for (program, journey, trail) in &all {
        let played_by = journey.role.map_or(Role::Nobody, Role::Known);
        found.extend(assignment::check(journey, program, &trail.places));
        found.extend(types::check(plan, played_by, journey, &program.requests, trail));
    }
    let trails: Vec<&Trail> = all.into_iter().map(|(.., trail)| trail).collect();
    found.extend(unread_variables(plan, &trails));
    found.extend(unread_tables(plan, &trails));
    found.extend(restless(plan, program));
    found.extend(never_meeting(plan, program));
    found.extend(without_samples(plan, program));
    found
}

/// A file of parts for many scenarios holds more than each of them uses.
fn is_own(plan: &Plan, span: Span) -> bool {
    plan.files.part(span.start).is_none()
}

fn unread_variables(plan: &Plan, trails: &[&Trail]) -> Vec<Diagnostic> {
    let mut read: HashSet<Span> = HashSet::new();
    let mut all: BTreeMap<Span, &str> = BTreeMap::new();
    for trail in trails {
        for (slot, name) in &trail.written {
            all.insert(name.span, &name.text);
            if trail.reads.contains(slot) {
                read.insert(name.span);
            }
        }
    }
    all.retain(|span, _| !read.contains(span) && is_own(plan, *span));
    all.into_iter()
        .map(|(span, name)| {
            Diagnostic::warning("unused-variable", span, format!("nothing reads `{name}`")).help(
                "remove it; to make sure only that a value is there, write `expect: { json: { $.path: { exists: true } } }`",
            )
        })
        .collect()
}

fn unread_tables(plan: &Plan, trails: &[&Trail]) -> Vec<Diagnostic> {
    let unread = plan.data.iter().enumerate().filter(|(i, table)| {
        let is_read = trails.iter().any(|trail| trail.tables.contains(i));
        !is_read && is_own(plan, table.name.span)
    });
    unread
        .map(|(_, table)| {
            let name = &table.name;
            Diagnostic::warning("unused", name.span, format!("no step reads the data table `{}`", name.text))
                .help(format!("remove it, or read it as `{{{{ data.{}.COLUMN }}}}`", name.text))
        })
        .collect()
}

/// Journeys that a soak plays without any pause: it would be a sustained burst.
fn restless(plan: &Plan, program: &Program) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let soaks = plan.profiles.iter().filter(|p| p.soak && matches!(p.load, Load::Closed(_)));
    let Some(soak) = soaks.max_by_key(|p| p.load.most_users()) else {
        return found;
    };
    let dealt = deal_users(program, soak.load.most_users());
    for ((journey, written), users) in program.journeys.iter().zip(&plan.journeys).zip(dealt) {
        let waits = |op: &Op| matches!(op, Op::Think(_));
        if users == 0
            || journey.flow.pace.is_some()
            || journey.ops[journey.steps as usize..journey.after as usize].iter().any(waits)
        {
            continue;
        }
        let name = &written.name;
        let length = format_duration(soak.load.duration_ns());
        let message =
            format!("journey `{}` never pauses, and profile `{}` plays it for {length}", name.text, soak.name.text);
        found.push(
            Diagnostic::warning("no-think-in-soak", name.span, message)
                .help("add `- think: 1s..4s` to its steps: a soak is long, not fast"),
        );
    }
    found
}

/// Profiles that look for leaks with arrivals that are evenly spaced: where answers are fast, no two requests ever meet.
fn never_meeting(plan: &Plan, program: &Program) -> Vec<Diagnostic> {
    let has_control = program.steps.iter().any(|step| step.control.is_some());
    let even = plan.profiles.iter().filter(|p| {
        let is_even = matches!(p.load, Load::Open { spacing: Spacing::Even, .. });
        is_even && (p.isolation_required || has_control && !p.faults.is_off()) && is_own(plan, p.name.span)
    });
    even.map(|profile| {
        let message = format!(
            "profile `{}` looks for leaks, and its arrivals are evenly spaced: where answers are fast, no two requests are \
             under way at one moment",
            profile.name.text
        );
        Diagnostic::warning("even-arrivals", profile.name.span, message)
            .help("add `spacing: poisson` to the profile: users come when they like")
    })
    .collect()
}

/// Objectives that a profile can never have a sample for, because it has no user for the journeys they select.
fn without_samples(plan: &Plan, program: &Program) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (written, objective) in plan.sla.iter().zip(&program.objectives) {
        if objective.of.is_everything() || objective.watch.is_some() || objective.of.step_ids.is_empty() {
            continue;
        }
        let journeys: BTreeSet<usize> = objective.of.step_ids.iter().map(|id| program.steps[*id].journey).collect();
        let holds_in = |name: &str| objective.profiles.as_ref().is_none_or(|all| all.iter().any(|p| p == name));
        let empty: Vec<String> = (program.profiles.iter())
            .filter(|profile| holds_in(&profile.name))
            .filter(|profile| {
                let dealt = deal_users(program, profile.load.most_users());
                journeys.iter().all(|journey| dealt[*journey] == 0)
            })
            .map(|profile| format!("`{}`", profile.name))
            .collect();
        if !empty.is_empty() {
            let title = |journey: &usize| format!("`{}`", program.journeys[*journey].name);
            let journeys: Vec<String> = journeys.iter().map(title).collect();
            let message = format!(
                "this objective can have no sample in {}: nobody plays {} there",
                empty.join(", "),
                journeys.join(", ")
            );
            found.push(
                Diagnostic::warning("no-samples", written.span, message)
                    .help("name the profiles where it holds with `in: […]`, or give them users for it"),
            );
        }
    }
    found
}
