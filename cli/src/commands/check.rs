//! `check`: every mistake of a file at once; what it holds when there is none.

use super::load;
use crate::args::Check;
use crate::outcome::Problem;
use crate::screen;
use scenarios::Program;
use scenarios::gate::Gate;
use scenarios::units::format_duration;

/// Checks a file.
///
/// # Errors
/// The file cannot be read, or holds mistakes.
pub fn check(args: &Check) -> Result<u8, Problem> {
    let loaded = load::load(load::read(&args.file)?, &args.env)?;
    load::warn(&loaded);
    let program = &loaded.program;
    if let Some(journey) = &args.graph {
        let graph = scenarios::explain::graph(program, journey).ok_or_else(|| load::no_journey(program, journey))?;
        screen::out(&graph);
        return Ok(reports::exit_codes::GO);
    }
    screen::out(&describe(program));
    if args.explain {
        screen::out(&format!("\nProgram\n{}", scenarios::explain::listing(program)));
    }
    Ok(reports::exit_codes::GO)
}

fn describe(program: &Program) -> String {
    let mut text = format!("{}: no mistakes\n\nJourneys\n", program.name);
    for (index, journey) in program.journeys.iter().enumerate() {
        let role = journey.role.map_or("nobody in particular", |r| &program.roles[r].name);
        text.push_str(&format!("  {} (played by {role}, weight {})\n", journey.name, journey.weight));
        for step in program.steps.iter().filter(|s| s.journey == index && s.twin_of.is_none()) {
            let kind = if step.probe { "probe " } else { "" };
            text.push_str(&format!("    {kind}{} → {}\n", step.name, program.targets[step.target].name));
        }
    }
    for (when, once) in [("before", &program.around.setup), ("after", &program.around.teardown)] {
        let Some(once) = once else { continue };
        text.push_str(&format!("\n{} (once, {when} the load)\n", once.journeys[0].name));
        for step in &once.steps {
            text.push_str(&format!("    {} → {}\n", step.name, once.targets[step.target].name));
        }
    }
    text.push_str("\nProfiles\n");
    for profile in &program.profiles {
        let Some(estimate) = program.estimate(&profile.name) else {
            continue;
        };
        let requests = estimate.requests.map_or_else(
            || "as many requests as the target answers".into(),
            |n| format!("about {n} requests if answers are fast"),
        );
        let duration = format_duration(profile.planned_ns());
        text.push_str(&format!("  {}: {duration}, up to {} users, {requests}\n", profile.name, estimate.users));
        let faults: Vec<_> =
            profile.faults.in_words().iter().map(|(name, extent)| format!("{name} {extent}")).collect();
        if !faults.is_empty() {
            text.push_str(&format!("    provokes {}\n", faults.join(", ")));
        }
    }
    let objectives: Vec<_> = program.objectives.iter().map(|o| format!("  {}\n", o.id)).collect();
    text.push_str(&format!("\nObjectives\n{}", objectives.concat()));
    for rule in &program.abort_rules {
        text.push_str(&format!("  ends the run: {}\n", rule.text));
    }
    text.push_str("\nIsolation\n");
    for line in scenarios::explain::isolation(program) {
        text.push_str(&format!("  {line}\n"));
    }
    if let Some(gate) = &program.gate {
        text.push_str(&format!("\nGate, judged for a suite\n  {}\n", describe_gate(gate)));
    }
    text
}

fn describe_gate(gate: &Gate) -> String {
    let mut parts = Vec::new();
    if !gate.requires.is_empty() {
        parts.push(format!("profiles {}", gate.requires.join(", ")));
    }
    if gate.isolation_required {
        parts.push("isolation proven".into());
    }
    if !gate.signoffs.is_empty() {
        parts.push(format!("signed by {}", gate.signoffs.join(", ")));
    }
    parts.join("; ")
}
