//! The header of a run: what is known before it starts, stored so that the run can be judged without its scenario file.

use crate::Setup;
use crate::clock::Clock;
use crate::isolation::entitlement::exemptions;
use crate::load::cohorts::Cohorts;
use crate::run_result::{CanaryHeader, MarkHeader, PhaseHeader, RunHeader, StepHeader, StreamTime, TargetHeader};
use scenarios::Shape;
use scenarios::objective::{Comparison, Limit, Selection, Stat};
use scenarios::program::{Load, Profile, Program, Stage};
use std::collections::BTreeMap;

/// Facts of a run that its caller knows and the engine does not.
#[derive(Debug, Clone, Default)]
pub struct HeaderFacts {
    /// Path of the scenario file as given.
    pub file: String,
    /// Version of the binary.
    pub version: String,
    /// Command line, secrets masked.
    pub command: Vec<String>,
    /// Factor by which the profile was scaled.
    pub scaled: Option<f64>,
    /// Notes that the report must show.
    pub notes: Vec<String>,
    /// SHA-256 (hex) of the scenario and its data files.
    pub digests: BTreeMap<String, String>,
}

/// Puts a header together.
pub fn header(program: &Program, profile: &Profile, setup: &Setup, clock: &Clock, workers: usize) -> RunHeader {
    let facts = setup.facts.clone();
    let started_unix_ns = clock.zero_unix_ns();
    RunHeader {
        format: 1,
        id: run_id(setup.seed, started_unix_ns),
        scenario: program.name.clone(),
        file: facts.file,
        profile: profile.name.clone(),
        seed: setup.seed,
        started_unix_ns,
        version: facts.version,
        command: facts.command,
        workers,
        planned_ns: profile.load.duration_ns(),
        warm_up_ns: profile.warm_up_ns,
        graceful_stop_ns: profile.graceful_stop_ns,
        scaled: facts.scaled,
        open: matches!(profile.load, Load::Open { .. }),
        load: load(program, profile),
        users: profile.load.most_users(),
        isolation_required: profile.isolation_required,
        faults: provoked(program, profile),
        targets: program
            .targets
            .iter()
            .map(|t| TargetHeader { name: t.name.clone(), url: without_credentials(&t.url) })
            .collect(),
        journeys: program.journeys.iter().map(|j| j.name.clone()).collect(),
        steps: steps(program),
        groups: program.groups.iter().map(|g| (g.journey, g.name.clone())).collect(),
        objectives: program.objectives.clone(),
        notes: notes(facts.notes, program, profile),
        exemptions: exemptions(program),
        digests: facts.digests,
        machine: machine(),
        phases: profile
            .phases()
            .into_iter()
            .map(|p| PhaseHeader { name: p.name, from_ns: p.from_ns, to_ns: p.to_ns })
            .collect(),
        ladder: profile.shape == Shape::Ladder,
        capacity: None,
        watched: crate::scrape::expressions(program, profile),
        marks: marks(profile),
        commands: Vec::new(),
        canary: canary(profile),
        containment: Cohorts::plan(program, profile, setup.seed).map(|c| c.header(profile.load.most_users())),
        rate_limits: crate::limits::Rules::new(program, profile).rules,
    }
}

/// Under which conditions it is played, for the report.
fn notes(mut notes: Vec<String>, program: &Program, profile: &Profile) -> Vec<String> {
    for target in &program.targets {
        if let Some(most) = target.transport.share_connections.or(profile.share_connections) {
            notes.push(format!(
                "all users share {most} connection{} to `{}`, as no real people do; waiting for one is a part of the response time",
                if most == 1 { "" } else { "s" },
                target.name
            ));
        }
    }
    if let Some(network) = &profile.network {
        notes.push(format!("the users' network: {}; its time is a part of every response time", network.in_words()));
    }
    notes
}

/// The ends of spikes, and the moments that the profile names.
fn marks(profile: &Profile) -> Vec<MarkHeader> {
    let named = profile.moments.iter().map(|m| MarkHeader { name: m.mark.clone(), at_ns: m.at_ns });
    let mut marks: Vec<MarkHeader> = spikes(profile).into_iter().chain(named).collect();
    marks.sort_by_key(|mark| mark.at_ns);
    marks
}

/// The end of each spike: of a stage with more load than the one before it and the one after it.
fn spikes(profile: &Profile) -> Vec<MarkHeader> {
    if profile.shape != Shape::Plain {
        return Vec::new();
    }
    let stages = profile.load.stages();
    let phases = profile.phases();
    let levels = stages.windows(3).zip(phases.iter().skip(1));
    let spikes = levels.filter(|(around, _)| around[1].level > around[0].level && around[1].level > around[2].level);
    spikes.map(|(_, phase)| MarkHeader { name: format!("the end of {}", phase.name), at_ns: phase.to_ns }).collect()
}

/// What is provoked: by the profile, and by steps with an `abandon` of their own.
fn provoked(program: &Program, profile: &Profile) -> Vec<(String, String)> {
    let mut faults: Vec<_> =
        profile.faults.in_words().into_iter().map(|(name, extent)| (name.to_owned(), extent)).collect();
    for request in &program.requests {
        if let Some(abandon) = &request.abandon {
            let step = &program.steps[request.step].name;
            let entry = ("abandon".to_owned(), format!("{} at {step}", abandon.in_words()));
            if !faults.contains(&entry) {
                faults.push(entry);
            }
        }
    }
    faults
}

/// The response-time limits of each step that are counted exactly, ns ascending; aligned with `within`.
pub fn step_limits(program: &Program) -> Vec<Vec<u64>> {
    program.steps.iter().enumerate().map(|(i, step)| limits(program, i, step.probe)).collect()
}

fn steps(program: &Program) -> Vec<StepHeader> {
    program
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| StepHeader {
            journey: step.journey,
            name: step.name.clone(),
            target: step.target,
            probe: step.probe,
            declared_control: step.control.is_some(),
            limits_ns: limits(program, index, step.probe),
            twin_of: step.twin_of,
            socket: step.socket,
            stream_limits: stream_limits(program, index, step.probe),
            fields: step.fields.clone(),
        })
        .collect()
}

/// The percentile limits that a step's samples are counted against, exactly.
fn limits(program: &Program, step: usize, probe: bool) -> Vec<u64> {
    let is_counted = |stat: Stat, of: &Selection| {
        !probe && matches!(stat, Stat::Percentile(_)) && (of.is_everything() || of.step_ids.contains(&step))
    };
    let objectives = program.objectives.iter().filter(|o| is_counted(o.stat, &o.of));
    let aborts = program.abort_rules.iter().filter(|r| is_counted(r.stat, &r.of));
    let mut limits: Vec<u64> = objectives
        .flat_map(|o| std::iter::once(&o.limit).chain(&o.warn))
        .chain(aborts.map(|r| &r.limit))
        .map(counted_below)
        .collect();
    limits.sort_unstable();
    limits.dedup();
    limits
}

/// The limits that the times of each step's events and messages are counted against, exactly.
pub(crate) fn step_stream_limits(program: &Program) -> Vec<Vec<(StreamTime, u64)>> {
    program.steps.iter().enumerate().map(|(i, step)| stream_limits(program, i, step.probe)).collect()
}

fn stream_limits(program: &Program, step: usize, probe: bool) -> Vec<(StreamTime, u64)> {
    let own = program.objectives.iter().filter(|o| !probe && (o.of.is_everything() || o.of.step_ids.contains(&step)));
    let mut limits: Vec<(StreamTime, u64)> = own
        .filter_map(|o| Some((StreamTime::of(o.stat)?, o)))
        .flat_map(|(kind, o)| std::iter::once(&o.limit).chain(&o.warn).map(move |l| (kind, counted_below(l))))
        .collect();
    limits.sort_unstable();
    limits.dedup();
    limits
}

/// `within` counts what is strictly below; "at most T" is below the next nanosecond.
pub(crate) fn counted_below(limit: &Limit) -> u64 {
    limit.value as u64 + u64::from(matches!(limit.op, Comparison::AtMost | Comparison::More))
}

pub(crate) fn run_id(seed: u64, started_unix_ns: u64) -> String {
    let hash = blake3::hash(format!("{seed} {started_unix_ns} {}", std::process::id()).as_bytes());
    hash.to_hex()[..12].to_owned()
}

/// A URL may carry a name and a password; neither belongs in a report.
fn without_credentials(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            // Both can only fail for URLs without a host, which targets are not.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.to_string()
        }
        _ => text.to_owned(),
    }
}

fn canary(profile: &Profile) -> Option<CanaryHeader> {
    let canary = profile.canary.as_ref()?;
    let users = profile.load.most_users();
    let on_new = |step| canary.users_on_new(step, users);
    Some(CanaryHeader { new: canary.new, users: (0..canary.shares.len()).map(on_new).collect() })
}

/// The load in words.
fn load(program: &Program, profile: &Profile) -> String {
    let Some(canary) = &profile.canary else {
        return describe(&profile.load, profile.warm_up_ns);
    };
    let stage = Stage { level: profile.load.most_users() as f64, duration_ns: profile.load.duration_ns(), ramp_ns: 0 };
    let steps: Vec<String> = profile.phases().into_iter().map(|p| p.name).collect();
    let new = program.targets.get(canary.new).map_or("?", |t| t.name.as_str());
    let all = describe(&Load::Closed(vec![stage]), profile.warm_up_ns);
    format!("{all}, of whom {} on {new}", steps.join(" → "))
}

fn describe(load: &Load, warm_up_ns: u64) -> String {
    let seconds = |ns: u64| {
        let s = ns as f64 / 1e9;
        // A scaled profile has odd lengths.
        if s >= 120.0 {
            format!("{} min", (s / 6.0).round() / 10.0)
        } else {
            format!("{} s", (s * 100.0).round() / 100.0)
        }
    };
    let stages = load.stages();
    let unit = match load {
        Load::Closed(_) => "users",
        Load::Open { .. } => "arrivals/s",
    };
    let mut text = match stages {
        [one] => format!("{} {unit} for {}", one.level, seconds(one.duration_ns - warm_up_ns.min(one.duration_ns))),
        _ => {
            let levels: Vec<_> = stages.iter().map(|s| s.level.to_string()).collect();
            format!("{} {unit} in {} stages, {}", levels.join(" → "), stages.len(), seconds(load.duration_ns()))
        }
    };
    if warm_up_ns > 0 {
        text.push_str(&format!(" after {} of warm-up", seconds(warm_up_ns)));
    }
    text
}

fn machine() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{} {} {}, {processors} processors", std::env::consts::OS, kernel.trim(), std::env::consts::ARCH)
}
