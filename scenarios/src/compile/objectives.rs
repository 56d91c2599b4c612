//! Objectives: names in `of` and `in` resolved, steps selected, ids made, the implicit objective added.
//! In: the plan's `sla` and the program so far. Out: [`Objective`]s.

use super::unknown;
use crate::abort::AbortRule;
use crate::containment::{LEAST_PAIRS, blocks, least_ns};
use crate::diagnostic::{Diagnostic, position};
use crate::objective::{Comparison, Limit, Objective, Selection, Stat, Watch};
use crate::plan::{Limits, ObjectivePlan, Plan};
use crate::program::Program;
use crate::shape::Shape;
use crate::syntax::Scalar;
use crate::units::format_duration;
use crate::watched::WatchExpr;

pub(super) fn lower(plan: &Plan, program: &Program, mistakes: &mut Vec<Diagnostic>) -> Vec<Objective> {
    let mut objectives: Vec<Objective> = Vec::new();
    for written in &plan.sla {
        let of = selection(plan, program, written, mistakes);
        let profiles = profiles(plan, written, mistakes);
        let id = identity(written, &of, profiles.as_deref(), &objectives, mistakes);
        objectives.push(Objective {
            id,
            of,
            stat: written.limits.stat,
            limit: written.limits.limit.clone(),
            warn: written.limits.warn.clone(),
            profiles,
            must: written.must,
            line: position(&plan.source.text, written.span.start).0,
            waiver: None,
            each: written.each.clone(),
            watch: watched(plan, written, mistakes),
            confident: written.confident,
        });
    }
    contained(plan, mistakes);
    objectives.extend(implicit(program, &objectives));
    objectives
}

pub(super) fn abort_rules(plan: &Plan, program: &Program, mistakes: &mut Vec<Diagnostic>) -> Vec<AbortRule> {
    plan.aborts
        .iter()
        .map(|written| {
            let Limits { stat, limit, .. } = &written.rule.limits;
            AbortRule {
                text: format!("{} {} over {}s", stat.word(), limit.text, written.over_s),
                of: selection(plan, program, &written.rule, mistakes),
                stat: *stat,
                limit: limit.clone(),
                over_s: written.over_s,
                profiles: profiles(plan, &written.rule, mistakes),
            }
        })
        .collect()
}

/// `errors < 5%` for every profile of which nothing must hold about the errors or the availability of all requests:
/// a run in which everything fails is never a pass.
fn implicit(program: &Program, objectives: &[Objective]) -> Option<Objective> {
    let covers = |o: &&Objective| matches!(o.stat, Stat::Errors | Stat::Availability) && o.of.is_everything() && o.must;
    let covering: Vec<&Objective> = objectives.iter().filter(covers).collect();
    let is_covered = |profile: &str| {
        covering.iter().any(|o| o.profiles.as_ref().is_none_or(|names| names.iter().any(|n| n == profile)))
    };
    let open: Vec<String> = program.profiles.iter().map(|p| p.name.clone()).filter(|name| !is_covered(name)).collect();
    if open.is_empty() && !(program.profiles.is_empty() && covering.is_empty()) {
        return None;
    }
    let mut id = String::from("errors < 5%");
    if objectives.iter().any(|o| o.id == id) {
        id.push_str(" (implicit)");
    }
    let profiles = (open.len() < program.profiles.len()).then_some(open);
    Some(Objective {
        id,
        of: Selection { step_ids: (0..program.steps.len()).collect(), ..Selection::default() },
        stat: Stat::Errors,
        limit: Limit { op: Comparison::Less, value: 0.05, text: "< 5%".into() },
        warn: None,
        profiles,
        must: true,
        line: 0,
        waiver: None,
        each: None,
        watch: None,
        confident: false,
    })
}

fn selection(plan: &Plan, program: &Program, written: &ObjectivePlan, mistakes: &mut Vec<Diagnostic>) -> Selection {
    let mut of = Selection::default();
    let mut good = true;
    for (kind, names) in &written.of {
        for name in names {
            good &= check_name(plan, program, kind, name, mistakes);
        }
        let texts: Vec<String> = names.iter().map(|n| n.text.clone()).collect();
        match *kind {
            "target" => of.targets = texts,
            "journey" => of.journeys = texts,
            "step" => of.steps = texts,
            _ => of.tags = texts,
        }
    }
    let stat = written.limits.stat;
    if stat.is_of_iterations() && !(of.targets.is_empty() && of.steps.is_empty() && of.tags.is_empty()) {
        mistakes.push(
            Diagnostic::error(
                "bad-value",
                written.span,
                format!("`{}` counts iterations, which have a journey but no target, step or tag", stat.word()),
            )
            .help("use `of: { journey: … }`"),
        );
    }
    if stat == Stat::Capacity {
        capacity(plan, written, &of, mistakes);
    }
    of.step_ids = matching(program, &of, stat);
    if good && of.step_ids.is_empty() && !program.steps.is_empty() {
        mistakes.push(Diagnostic::error("selects-nothing", written.span, "no step is selected by this `of`").help(
            match stat {
                Stat::FirstEvent(_) | Stat::EventGap(_) => "only a request with `events` has times of events",
                Stat::Message(_) => "only a `websocket` step has round trips of messages",
                _ => "an objective without data can never pass; probes do not count for times",
            },
        ));
    }
    of
}

/// The watched series, whose expression is read here for its mistakes.
fn watched(plan: &Plan, written: &ObjectivePlan, mistakes: &mut Vec<Diagnostic>) -> Option<Watch> {
    let (watch, place) = written.watch.as_ref()?;
    let names: Vec<&str> = plan.targets.iter().filter(|t| t.watch.is_some()).map(|t| t.name.text.as_str()).collect();
    if let Err(error) = WatchExpr::parse(&watch.text, &names) {
        let shown: String = watch.text.chars().take(80).collect();
        let message = format!("`{shown}` is no watched series, at its character {}: {}", error.at + 1, error.message);
        mistakes.push(
            Diagnostic::error("bad-value", place.span, message)
                .help("write for example `watch: \"patient.process_resident_memory_bytes\"`"),
        );
    }
    Some(Watch { text: watch.text.trim().to_owned(), ..watch.clone() })
}

/// Containment needs faults to contain, and time for its blocks.
fn contained(plan: &Plan, mistakes: &mut Vec<Diagnostic>) {
    let mut seen = None;
    for written in plan.sla.iter().filter(|o| matches!(o.limits.stat, Stat::Containment(_))) {
        // Its two limits are two objectives of one entry.
        if seen.replace(written.span.start) == Some(written.span.start) {
            continue;
        }
        let is_named = |name: &str| written.profiles.as_ref().is_none_or(|names| names.iter().any(|n| n.text == name));
        let named: Vec<_> = plan.profiles.iter().filter(|p| is_named(&p.name.text)).collect();
        let faulty: Vec<_> = named.iter().filter(|p| !p.faults.is_off()).collect();
        if faulty.is_empty() && !named.is_empty() {
            let message = "no profile of this objective provokes faults, so there is nothing to contain";
            mistakes.push(
                Diagnostic::error("bad-value", written.span, message)
                    .help("give one `faults`, for example `faults: { abandon: 20%, cohort: 20% }`"),
            );
        }
        for profile in faulty {
            let load_ns = profile.load.duration_ns();
            let has_time = blocks(profile.warm_up_ns, load_ns).is_some_and(|b| b.pairs >= LEAST_PAIRS);
            if !has_time {
                let message = format!(
                    "containment cannot be judged in `{}`: {} blocks with faults and as many without need {} of load after the warm-up",
                    profile.name.shown(),
                    LEAST_PAIRS,
                    format_duration(least_ns())
                );
                mistakes.push(Diagnostic::warning("too-short", written.span, message).help("let it run longer"));
            }
        }
    }
}

/// A capacity is of the whole system, and somebody has to look for it.
fn capacity(plan: &Plan, written: &ObjectivePlan, of: &Selection, mistakes: &mut Vec<Diagnostic>) {
    if !of.is_everything() {
        let message = "`capacity` is of the whole run: the rate of arrivals has no target, journey or step";
        mistakes.push(Diagnostic::error("bad-value", written.span, message).help("take `of` out"));
    }
    let is_sought = plan.profiles.iter().any(|p| matches!(p.shape, Shape::Capacity(_)));
    if !is_sought && plan.broken_profiles.is_empty() {
        mistakes.push(
            Diagnostic::error("bad-value", written.span, "no profile looks for the capacity")
                .help("add one, for example `capacity: { preset: capacity, arrivals: 1/s..100/s }`"),
        );
    }
}

/// Steps that match every list; probes only where no time is judged.
fn matching(program: &Program, of: &Selection, stat: Stat) -> Vec<usize> {
    let within = |list: &[String], name: &str| list.is_empty() || list.iter().any(|n| n == name);
    let steps = program.steps.iter().enumerate();
    let with_events: Vec<usize> = program.requests.iter().filter(|r| r.events.is_some()).map(|r| r.step).collect();
    steps
        .filter(|(_, step)| !(step.probe && stat.is_time()))
        .filter(|(index, step)| match stat {
            Stat::FirstEvent(_) | Stat::EventGap(_) => with_events.contains(index),
            Stat::Message(_) => step.socket,
            _ => true,
        })
        .filter(|(_, step)| {
            let target = program.targets.get(step.target).map_or("", |t| &t.name);
            within(&of.targets, target)
                && within(&of.journeys, &program.journeys[step.journey].name)
                && within(&of.steps, &step.name)
                && (of.tags.is_empty() || step.tags.iter().any(|t| of.tags.contains(t)))
        })
        .map(|(i, _)| i)
        .collect()
}

fn check_name(plan: &Plan, program: &Program, kind: &str, name: &Scalar, mistakes: &mut Vec<Diagnostic>) -> bool {
    let known: Vec<&str> = match kind {
        "target" => plan.targets.iter().map(|t| t.name.text.as_str()).collect(),
        "journey" => plan.journeys.iter().map(|j| j.name.text.as_str()).collect(),
        "step" => program.steps.iter().map(|s| s.name.as_str()).collect(),
        _ => {
            let tags = program.steps.iter().flat_map(|s| &s.tags);
            tags.map(String::as_str).collect()
        }
    };
    let found = known.contains(&name.text.as_str());
    if !found {
        let mut unique = known;
        unique.sort_unstable();
        unique.dedup();
        mistakes.push(unknown(name, kind, unique.into_iter()));
    }
    found
}

fn profiles(plan: &Plan, written: &ObjectivePlan, mistakes: &mut Vec<Diagnostic>) -> Option<Vec<String>> {
    let names = written.profiles.as_ref()?;
    for name in names {
        let known = || plan.profiles.iter().map(|p| p.name.text.as_str());
        // Profiles that could not be read have been reported; their names still exist in the file.
        if !known().any(|p| p == name.text) && !plan.broken_profiles.contains(&name.text) {
            mistakes.push(unknown(name, "profile", known()));
        }
    }
    Some(names.iter().map(|n| n.text.clone()).collect())
}

/// `name:` if given, else made from selection, statistic and limit; unique in the file.
fn identity(
    written: &ObjectivePlan,
    of: &Selection,
    profiles: Option<&[String]>,
    before: &[Objective],
    mistakes: &mut Vec<Diagnostic>,
) -> String {
    let taken = |id: &str| before.iter().any(|o| o.id == id);
    if let Some(name) = &written.name {
        if taken(&name.text) {
            mistakes.push(
                Diagnostic::error(
                    "duplicate-name",
                    name.span,
                    format!("another objective is named `{}`", name.shown()),
                )
                .help("choose another name"),
            );
        }
        return name.text.clone();
    }
    let mut id = written.limits.stat.word();
    if let Some((watch, _)) = &written.watch {
        id.push_str(&format!(" of {}", watch.text.trim()));
    }
    for (kind, names) in [("target", &of.targets), ("journey", &of.journeys), ("step", &of.steps), ("tag", &of.tags)] {
        if !names.is_empty() {
            id.push_str(&format!(" of {kind} {}", names.join(", ")));
        }
    }
    id.push_str(&format!(" {}", written.limits.limit.text));
    if let Some(hold_ns) = written.watch.as_ref().and_then(|(watch, _)| watch.hold_ns) {
        id.push_str(&format!(" for {}", format_duration(hold_ns)));
    }
    if let Some(each) = &written.each {
        id.push_str(&format!(" each {}", format_duration(each.every_ns)));
    }
    if taken(&id)
        && let Some(profiles) = profiles
    {
        id.push_str(&format!(" in {}", profiles.join(", ")));
    }
    if taken(&id) {
        mistakes.push(
            Diagnostic::error("duplicate-name", written.span, format!("`{id}` stands here twice"))
                .help("remove one, or give one a `name:`"),
        );
    }
    id
}
