//! Isolation on the page: the statement, who saw whose data, the evidence side by side, and what could be observed.
//! In: run result, verdict. Out: views for the template.

use super::matrix::Matrix;
use crate::coverage;
use crate::figures::{self, count, plain};
use crate::rows::{self, tier_word};
use crate::verdict::{IsolationState, Verdict};
use engine::run_result::{LeakGroup, LeakRecord, Party, RunResult, Tier};

/// Most groups and examples shown; `leaks.jsonl` has more, the counts are always whole.
const MOST_GROUPS: usize = 30;
const MOST_EXAMPLES: usize = 3;
/// Most characters of a text in the evidence.
const MOST_TEXT: usize = 600;

/// Isolation on the first screen and in its own section.
pub(crate) struct IsolationView {
    pub outcome: &'static str,
    pub sign: &'static str,
    pub state: &'static str,
    pub statement: String,
    /// What, figure.
    pub facts: Vec<(&'static str, String)>,
    pub gaps: Vec<String>,
    /// Transports and stressors: name, opportunities, bound, minutes, bound by time.
    pub besides: Vec<[String; 5]>,
    /// What was planted in which field, and which steps read it back.
    pub matrix: Matrix,
    pub exemptions: Vec<String>,
    pub groups: Vec<GroupView>,
    pub further: usize,
}

/// One group of leaks.
pub(crate) struct GroupView {
    pub outcome: &'static str,
    pub sign: &'static str,
    pub tier: &'static str,
    pub why_title: &'static str,
    pub detector: String,
    /// Its number, as `replay` and `leaks.jsonl` have it; empty for a risk, in which nothing has leaked.
    pub number: String,
    pub count: String,
    pub step: String,
    pub place: String,
    pub since: String,
    pub who: String,
    pub examples: Vec<ExampleView>,
}

/// One example.
pub(crate) struct ExampleView {
    pub owner: PartyView,
    pub reader: PartyView,
    pub at: String,
    pub place: String,
    pub decode: String,
    pub offset: String,
    pub excerpt: String,
    pub connection: String,
    pub why: String,
    pub hint: String,
}

/// One of the two users.
pub(crate) struct PartyView {
    pub account: String,
    pub about: String,
    pub request: String,
}

/// One step's positive control.
pub(crate) struct CoverageView {
    pub step: String,
    pub declared: bool,
    pub is_gap: bool,
    pub scanned: String,
    pub control: String,
    pub opportunities: String,
    pub beside: String,
    /// Places in which markers stood that the reader may see.
    pub places: String,
    pub bound: String,
    /// Minutes with an opportunity, and the bound by them.
    pub minutes: String,
    pub bound_minutes: String,
}

pub(super) fn text(from: &str) -> String {
    figures::fit(&plain(from), MOST_TEXT)
}

impl IsolationView {
    pub fn new(result: &RunResult, verdict: &Verdict) -> Self {
        let judged = &verdict.isolation;
        let (outcome, sign) = match judged.state {
            IsolationState::Intact => ("pass", "✓"),
            IsolationState::Leaking => ("fail", "✗"),
            IsolationState::Unproven => ("inconclusive", "?"),
        };
        let groups = &result.isolation.groups;
        Self {
            outcome,
            sign,
            state: judged.state.key(),
            statement: text(&judged.statement),
            facts: facts(result, verdict),
            gaps: judged.gaps.iter().take(MOST_GROUPS).map(|g| text(g)).collect(),
            besides: besides(result, verdict),
            matrix: Matrix::of(result),
            exemptions: result.header.exemptions.iter().map(|e| text(e)).collect(),
            groups: groups.iter().take(MOST_GROUPS).map(|g| group(result, g)).collect(),
            further: groups.len().saturating_sub(MOST_GROUPS),
        }
    }
}

/// Opportunities by transport and by stressor.
fn besides(result: &RunResult, verdict: &Verdict) -> Vec<[String; 5]> {
    let row = |what: &'static str| {
        move |row: coverage::Row| {
            [
                format!("{what} {}", row.name),
                count(row.opportunities),
                row.bound.map_or_else(|| "–".into(), figures::one_in),
                minutes(row.minutes),
                row.bound_minutes.map_or_else(|| "–".into(), a_minute),
            ]
        }
    };
    let transports = coverage::by_transport(result, verdict).into_iter().map(row("over"));
    transports.chain(coverage::by_stressor(result, verdict).into_iter().map(row("beside"))).collect()
}

/// Minutes with an opportunity.
fn minutes(minutes: f64) -> String {
    if minutes > 0.0 { format!("{minutes:.2}") } else { "–".into() }
}

/// Leaks a minute at most.
fn a_minute(bound: f64) -> String {
    if bound < 0.1 { format!("{bound:.3}") } else { format!("{bound:.2}") }
}

fn facts(result: &RunResult, verdict: &Verdict) -> Vec<(&'static str, String)> {
    let judged = &verdict.isolation;
    let seen = &result.isolation;
    let mut facts = vec![
        ("Opportunities", count(judged.opportunities)),
        ("Accounts", count(seen.accounts)),
        ("Markers planted", count(seen.planted)),
        ("Scanner calibration", format!("{} of {} found", count(judged.found), count(judged.injected))),
    ];
    if judged.state == IsolationState::Intact {
        if let Some(bound) = judged.bound95 {
            let words = format!("{} opportunities, with 95% confidence", figures::one_in(bound));
            facts.insert(0, ("At most", words));
        }
        if let Some(bound) = judged.bound95_minutes {
            facts.insert(1, ("By time, at most", format!("{bound:.2} a target-minute")));
        }
    }
    if let Some(seen) = crate::judge::containment::words(result) {
        facts.push(("Containment", seen));
    }
    for (what, n) in [
        ("Suspect findings", judged.suspects),
        ("Risks", judged.risks),
        ("Markers of an earlier run", seen.residue),
        ("Probes that could not be judged", seen.probes_indeterminate),
        ("Probes skipped for want of a control", seen.probes_skipped),
        ("Credentials no longer remembered", seen.credential_evictions),
        ("Answers to a revoked credential that anybody gets", seen.repeats_public),
        ("Markers of an audience that came round a join or a leave", seen.audience_unclear),
        ("Switches of account that found none free", seen.switches_skipped),
        ("Idle connections closed with a 408: no finding", seen.idle_timeouts),
        ("Line ends behind an answer: no finding", seen.stray_line_ends),
    ] {
        if n > 0 {
            facts.push((what, count(n)));
        }
    }
    facts
}

fn group(result: &RunResult, group: &LeakGroup) -> GroupView {
    let (outcome, sign) = match group.key.tier {
        Tier::Proven => ("fail", "✗"),
        Tier::Suspect => ("warn", "!"),
        Tier::Risk => ("inconclusive", "?"),
        Tier::Correctness => ("fail", "✗"),
    };
    let who = group.examples.first().map_or_else(String::new, |e| text(&rows::who(e)));
    GroupView {
        outcome,
        sign,
        tier: tier_word(group.key.tier),
        why_title: match group.key.tier {
            Tier::Proven => "Why this is a leak",
            Tier::Suspect => "Why it is suspect",
            Tier::Risk => "Why it is a risk",
            Tier::Correctness => "Why it is a wrong answer",
        },
        detector: text(&group.key.detector),
        number: match (group.key.tier, group.examples.first()) {
            (Tier::Risk, _) | (_, None) => String::new(),
            (_, Some(example)) => example.group.to_string(),
        },
        count: count(group.count),
        step: text(&rows::step_name(result, group.key.step)),
        place: text(&group.key.place),
        since: rows::since(group.first_s),
        who,
        examples: group.examples.iter().take(MOST_EXAMPLES).map(example).collect(),
    }
}

fn example(e: &LeakRecord) -> ExampleView {
    ExampleView {
        owner: party(&e.owner),
        reader: party(&e.reader),
        at: figures::duration(e.t_s.max(0.0)),
        place: text(&e.place),
        decode: if e.decode.is_empty() { "as it came".into() } else { text(&e.decode.join(" → ")) },
        offset: count(e.offset),
        excerpt: text(&e.excerpt),
        connection: text(&e.connection),
        why: text(&e.why),
        hint: text(&e.hint),
    }
}

fn party(p: &Party) -> PartyView {
    let mut about = Vec::new();
    if !p.kind.is_empty() {
        about.push(text(&p.kind));
    }
    if let Some(user) = p.user {
        about.push(format!("user {user}"));
    }
    if !p.step.is_empty() {
        about.push(text(&format!("{} / {}", p.journey, p.step)));
    }
    PartyView {
        account: if p.account.is_empty() { "an unknown account".into() } else { text(&p.account) },
        about: about.join(", "),
        request: text(&p.request),
    }
}

/// Positive controls of the played steps.
pub(crate) fn coverage(result: &RunResult, verdict: &Verdict) -> Vec<CoverageView> {
    let opportunities = &verdict.isolation.opportunities_by_step;
    rows::played_steps(result)
        .into_iter()
        .take(400)
        .map(|row| {
            let seen = result.isolation.steps.get(row.index).copied();
            let seen = seen.unwrap_or_default();
            let declared = result.header.steps[row.index].declared_control;
            let n = opportunities.get(row.index).copied().unwrap_or(0);
            let seconds = result.isolation.step_seconds.get(row.index).copied().unwrap_or(0);
            CoverageView {
                step: format!("{} / {}", row.journey, row.step),
                declared,
                is_gap: declared && seen.scanned > 0 && n == 0,
                scanned: count(seen.scanned),
                control: if seen.scanned == 0 {
                    "–".into()
                } else {
                    figures::share(seen.controlled as f64 / seen.scanned as f64)
                },
                opportunities: count(n),
                beside: count(verdict.isolation.beside_by_step.get(row.index).copied().unwrap_or(0)),
                places: coverage::places(&seen).map(|(place, _)| place).collect::<Vec<_>>().join(", "),
                bound: coverage::bound(result, row.index, n).map_or_else(|| "–".into(), figures::one_in),
                minutes: minutes(seconds as f64 / 60.0),
                bound_minutes: coverage::bound(result, row.index, n)
                    .and_then(|_| coverage::by_time(seconds))
                    .map_or_else(|| "–".into(), a_minute),
            }
        })
        .collect()
}
