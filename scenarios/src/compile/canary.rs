//! The new version of a canary: each request to the target that it replaces gets a twin that goes to the new one, recorded
//! on a step of its own, so that old and new can be told apart in every figure.
//! In: the plan's profiles, the program so far. Out: twins of requests and steps; [`Canary`] in the profiles.

use super::unknown;
use crate::canary::Canary;
use crate::diagnostic::Diagnostic;
use crate::plan::{CanaryPlan, Plan};
use crate::program::Program;
use crate::syntax::Scalar;
use std::collections::HashMap;

/// What is replaced by what; `None`: each journey's own target.
type Pair = (Option<usize>, usize);

pub(super) fn lower(plan: &Plan, program: &mut Program, mistakes: &mut Vec<Diagnostic>) {
    let mut pairs: Vec<Pair> = Vec::new();
    for (index, profile) in plan.profiles.iter().enumerate() {
        let Some(written) = &profile.canary else { continue };
        let Some(pair) = resolve(plan, written, mistakes) else { continue };
        let number = match pairs.iter().position(|known| *known == pair) {
            Some(number) => number,
            None => {
                if !twins(plan, program, pairs.len(), pair) {
                    mistakes.push(nothing_replaced(plan, written));
                    continue;
                }
                pairs.push(pair);
                pairs.len() - 1
            }
        };
        program.profiles[index].canary = Some(Canary { number, new: pair.1, shares: written.shares.clone() });
    }
}

fn resolve(plan: &Plan, written: &CanaryPlan, mistakes: &mut Vec<Diagnostic>) -> Option<Pair> {
    let names = || plan.targets.iter().map(|t| t.name.text.as_str());
    let mut find = |name: &Scalar| {
        let found = names().position(|known| known == name.text);
        // That there is no target at all has been said.
        if found.is_none() && !plan.targets.is_empty() {
            mistakes.push(unknown(name, "target", names()));
        }
        found
    };
    let new = find(&written.new);
    let old = written.old.as_ref().map(&mut find);
    let (new, old) = (new?, old.map_or(Some(None), |old| old.map(Some))?);
    if old == Some(new) {
        let message = format!("`{}` would replace itself", written.new.shown());
        mistakes.push(
            Diagnostic::error("bad-value", written.new.span, message)
                .help("`new` is the target with the new version, `old` the one with the version before it"),
        );
        return None;
    }
    Some((old, new))
}

fn nothing_replaced(plan: &Plan, written: &CanaryPlan) -> Diagnostic {
    let own = (0..plan.journeys.len()).filter_map(|j| own_target(plan, j));
    let is_itself = own.clone().any(|t| plan.targets[t].name.text == written.new.text);
    let (at, message) = match &written.old {
        Some(old) => {
            (old.span, format!("no journey makes a request to `{}`: there is nothing to take over", old.shown()))
        }
        None if is_itself => (
            written.new.span,
            format!("`{}` would replace itself: it is the journeys' own target", written.new.shown()),
        ),
        None => (written.new.span, "no journey has a target of its own that could be replaced".to_owned()),
    };
    Diagnostic::error("bad-value", at, message)
        .help("say which target the new version takes over from: `old: NAME`, with `new: NAME` beside it")
}

/// The target that a journey's requests go to unless they say otherwise.
fn own_target(plan: &Plan, journey: usize) -> Option<usize> {
    match &plan.journeys.get(journey)?.target {
        Some(name) => plan.targets.iter().position(|t| t.name.text == name.text),
        None => (plan.targets.len() == 1).then_some(0),
    }
}

/// Makes the twins; answers whether there was any request to replace.
fn twins(plan: &Plan, program: &mut Program, number: usize, (old, new): Pair) -> bool {
    let originals = program.requests.len();
    let mut steps: HashMap<usize, usize> = HashMap::new();
    for index in 0..originals {
        let request = &program.requests[index];
        let journey = program.steps[request.step].journey;
        let replaced = old.or_else(|| own_target(plan, journey));
        // Twins of another pair are no requests of the file.
        let is_twin = program.steps[request.step].twin_of.is_some();
        if is_twin || Some(request.target) != replaced || request.target == new {
            continue;
        }
        let mut twin = request.clone();
        twin.twins.clear();
        twin.target = new;
        let step = twin.step;
        twin.step = *steps.entry(step).or_insert_with(|| {
            let copy = crate::program::Step { target: new, twin_of: Some(step), ..program.steps[step].clone() };
            program.steps.push(copy);
            program.steps.len() - 1
        });
        let place = program.requests.len();
        program.requests.push(twin);
        program.requests[index].twins.push((number, place));
        // The twin of an upgrade opens the same conversation.
        let opened = program.sockets.iter().find(|socket| socket.request == index);
        if let Some(socket) = opened.map(|socket| crate::streams::Socket { request: place, ..socket.clone() }) {
            program.sockets.push(socket);
        }
    }
    // A probe asks the version whose answers its control has seen.
    for request in &mut program.requests[originals..] {
        if let Some(control) = request.probe.as_mut().and_then(|p| p.control_step.as_mut()) {
            *control = steps.get(control).copied().unwrap_or(*control);
        }
    }
    program.requests.len() > originals
}
