//! `report.html`: one self-contained page. The first screen is for the release meeting, the rest for engineers.
//! In: run result, verdict. Out: HTML without scripts, links to other machines or anything to load. All text passes the
//! template's escaping; only our own drawings are put in as they are.

mod bars;
mod curves;
mod evidence;
mod matrix;
mod panel;
mod phases;
mod provenance;
mod streams;
pub(crate) mod tables;
mod timeline;
mod trials;
pub(crate) mod watched;
mod windows;

use crate::figures::{self, plain};
use crate::verdict::{Outcome, Verdict};
use askama::Template;
use engine::run_result::{Ending, RunResult};
use evidence::{CoverageView, IsolationView};
use panel::Ink;
use phases::PhaseView;
use provenance::ProvenanceView;
use streams::{SocketView, StreamView};
use tables::{ErrorView, HealthView, JourneyView, ObjectiveView};
use trials::CapacityView;
use windows::WindowsView;

/// Rows that decided, on the first screen.
const DECIDING: usize = 5;

/// One entry of a legend.
pub(crate) struct Key {
    class: &'static str,
    dashes: &'static str,
    label: &'static str,
}

impl Key {
    fn new(ink: Ink, label: &'static str) -> Self {
        Self { class: ink.class(), dashes: ink.dashes(), label }
    }
}

/// One chart with its words.
pub(crate) struct ChartView {
    title: String,
    note: String,
    keys: Vec<Key>,
    pub(crate) svg: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    title: String,
    outcome: &'static str,
    sign: &'static str,
    words: &'static str,
    why: String,
    further: Vec<String>,
    scaled: Option<String>,
    ending: Option<String>,
    notes: Vec<String>,
    stressors: Vec<String>,
    facts: Vec<(&'static str, String)>,
    deciding: Vec<ObjectiveView>,
    objectives: Vec<ObjectiveView>,
    isolation: IsolationView,
    coverage: Vec<CoverageView>,
    timeline: Vec<ChartView>,
    curves: Vec<ChartView>,
    capacity: Option<CapacityView>,
    is_ladder: bool,
    canary: Vec<(String, [String; 7])>,
    phases: Vec<PhaseView>,
    journeys: Vec<JourneyView>,
    unplayed: usize,
    streams: Vec<StreamView>,
    sockets: Vec<SocketView>,
    errors: Vec<ErrorView>,
    further_errors: usize,
    health: HealthView,
    provenance: ProvenanceView,
    windows: Vec<WindowsView>,
    watched: Vec<ChartView>,
}

/// Renders `report.html`.
pub fn render_report(result: &RunResult, verdict: &Verdict) -> String {
    let header = &result.header;
    let mut reasons = verdict.reasons.iter().map(|r| plain(r));
    let journeys = tables::journeys(result);
    let (errors, further_errors) = tables::errors(result);
    let played: usize = journeys.iter().map(|j| j.steps.len()).sum();
    let page = Page {
        title: format!("{}: {} / {}", verdict.outcome.words(), plain(&header.scenario), plain(&header.profile)),
        outcome: class_of(verdict.outcome),
        sign: verdict.outcome.sign(),
        words: verdict.outcome.words(),
        why: capital(&reasons.next().unwrap_or_default()),
        further: reasons.take(12).collect(),
        scaled: header.scaled.map(|f| {
            format!(
                "This run was scaled by {}: it is quicker than the profile as written, and satisfies no gate.",
                figures::factor(f)
            )
        }),
        ending: ending(&result.ending),
        notes: header.notes.iter().chain(&crate::moments::lines(result)).map(|n| plain(n)).collect(),
        stressors: crate::rows::stressors(result).iter().map(|s| plain(s)).collect(),
        facts: facts(result),
        deciding: tables::deciding(verdict, DECIDING),
        objectives: verdict.objectives.iter().map(ObjectiveView::new).collect(),
        isolation: IsolationView::new(result, verdict),
        coverage: evidence::coverage(result, verdict),
        timeline: timeline::charts(result, verdict),
        curves: curves::charts(result, verdict),
        capacity: trials::capacity(result),
        is_ladder: header.ladder,
        canary: crate::canary::rows(result).iter().map(|row| (row.name.clone(), row.cells())).collect(),
        phases: phases::phases(result, verdict),
        unplayed: unplayed(result, played),
        journeys,
        streams: streams::streams(result),
        sockets: streams::sockets(result),
        errors,
        further_errors,
        health: HealthView::new(result, verdict),
        provenance: ProvenanceView::new(result),
        windows: windows::windows(verdict),
        watched: watched::charts(result, verdict),
    };
    page.render().expect("the template writes into memory, and its parts cannot fail")
}

/// Steps of the file that were never played; what only a canary plays is missing nowhere else.
fn unplayed(result: &RunResult, played: usize) -> usize {
    let own = result.header.steps.iter().filter(|s| s.twin_of.is_none() || result.header.canary.is_some()).count();
    own.saturating_sub(played)
}

pub(crate) fn class_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Go => "pass",
        Outcome::GoWithWarnings => "warn",
        Outcome::NoGo => "fail",
        Outcome::Inconclusive => "inconclusive",
    }
}

/// The first letter large: a reason that opens the page is a sentence.
fn capital(text: &str) -> String {
    // An objective's name stays as written: `p99 < 2s`.
    let is_word = text.chars().nth(1).is_some_and(|c| c.is_alphabetic() || c == ' ');
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if is_word && !text.contains(" < ") => first.to_uppercase().chain(chars).collect(),
        _ => text.into(),
    }
}

fn ending(ending: &Ending) -> Option<String> {
    match ending {
        Ending::Finished => None,
        Ending::Interrupted => Some("The run was interrupted before its end.".into()),
        Ending::Aborted(why) => Some(format!("The run was stopped early: {}", plain(why))),
        Ending::Stopped(who) => Some(format!("The scenario itself ended the run early: {}", plain(who))),
        Ending::Killed => Some("The run was killed before its end; this is what was stored until then.".into()),
    }
}

fn facts(result: &RunResult) -> Vec<(&'static str, String)> {
    let header = &result.header;
    let totals = result.totals();
    let targets: Vec<String> =
        header.targets.iter().map(|t| format!("{} ({})", plain(&t.name), plain(&t.url))).collect();
    let mut facts = vec![
        ("Scenario", plain(&header.scenario)),
        ("Profile", plain(&header.profile)),
        ("Load", plain(&header.load)),
        ("Started", figures::utc(header.started_unix_ns).replace('T', " ").replace('Z', " UTC")),
        (
            "Measured for",
            match header.warm_up_ns {
                0 => figures::duration(result.duration_s),
                ns => format!(
                    "{} after {} of warm-up",
                    figures::duration(result.duration_s),
                    figures::duration(ns as f64 / 1e9)
                ),
            },
        ),
        ("Requests", figures::count(totals.sent())),
        (
            "Run as",
            match header.scaled {
                None => "written".into(),
                Some(f) => format!("scaled by {}", figures::factor(f)),
            },
        ),
    ];
    if !targets.is_empty() {
        facts.push(("Targets", targets.join(", ")));
    }
    facts
}
