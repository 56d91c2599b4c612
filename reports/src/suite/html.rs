//! The combined `report.html` of a suite: the first screen is for the release meeting, then a section for each profile
//! with a link to its own report.
//! In: a judged suite. Out: HTML without scripts and without anything to load.

use super::texts::{isolation_outcome, run_outcome};
use super::{Cell, Chapter, GateVerdict, State, Suite};
use crate::figures::{self, count, plain};
use crate::html::class_of;
use crate::html::tables::ObjectiveView;
use crate::rows::shown;
use crate::verdict::ObjectiveOutcome;
use askama::Template;
use engine::run_result::Ending;

/// Reasons shown beside the first.
const FURTHER: usize = 6;
/// Reasons shown of each profile.
const REASONS: usize = 12;
/// Rows of objectives in each profile: the page stays under a megabyte.
const MOST_OBJECTIVES: usize = 100;

#[derive(Template)]
#[template(path = "suite.html")]
struct Page<'a> {
    title: String,
    outcome: &'static str,
    sign: &'static str,
    words: &'static str,
    why: String,
    further: Vec<String>,
    /// Reasons that are only shown below.
    unsaid: usize,
    notices: Vec<String>,
    facts: Vec<(&'static str, String)>,
    columns: Vec<ColumnView>,
    services: Vec<(String, Vec<CellView>)>,
    isolation: Badge,
    isolation_statement: String,
    isolation_profiles: Vec<(Badge, String, String)>,
    leaks: Vec<(String, String)>,
    gate: Option<GateView>,
    /// When, what, who, note.
    signoffs: Vec<(String, String, String, String)>,
    /// Profile, objective, why.
    waived: Vec<(String, String, String)>,
    chapters: Vec<ChapterView<'a>>,
    file: String,
    version: String,
}

struct Badge {
    class: &'static str,
    sign: &'static str,
    word: String,
}

impl Badge {
    fn new(outcome: ObjectiveOutcome, word: impl Into<String>) -> Self {
        Self { class: outcome.key(), sign: outcome.sign(), word: word.into() }
    }
}

/// A profile at the head of the matrix.
struct ColumnView {
    name: String,
    /// Link to its section; empty if there is none.
    link: String,
    load: String,
}

/// A service in a profile.
struct CellView {
    badge: Option<Badge>,
    p95: String,
    errors: String,
    sent: String,
}

struct GateView {
    not_judged: Option<String>,
    requirements: Vec<(Badge, String, String)>,
}

struct ChapterView<'a> {
    name: String,
    id: String,
    badge: Badge,
    reasons: Vec<String>,
    facts: Vec<(&'static str, String)>,
    notices: Vec<String>,
    deciding: &'a [ObjectiveView],
    objectives: &'a [ObjectiveView],
    /// Its own report, relative; empty if it did not run.
    report: String,
}

/// Renders the page.
pub(super) fn render(suite: &Suite) -> String {
    let mut reasons = suite.reasons.iter().map(|r| plain(r));
    let ran = || suite.chapters.iter().filter_map(|c| c.run().map(|r| (c, r)));
    let page = Page {
        title: format!("{}: {}", suite.outcome.words(), plain(&suite.facts.scenario)),
        outcome: class_of(suite.outcome),
        sign: suite.outcome.sign(),
        words: suite.outcome.words(),
        why: reasons.next().unwrap_or_default(),
        further: reasons.by_ref().take(FURTHER).collect(),
        unsaid: suite.reasons.len().saturating_sub(FURTHER + 1),
        notices: notices(suite),
        facts: facts(suite),
        columns: columns(suite),
        services: services(suite),
        isolation: Badge::new(isolation_outcome(suite.isolation.state), suite.isolation.state.key()),
        isolation_statement: plain(&suite.isolation.statement),
        isolation_profiles: suite
            .isolation
            .profiles
            .iter()
            .map(|(name, state, text)| (Badge::new(isolation_outcome(*state), state.key()), plain(name), plain(text)))
            .collect(),
        leaks: ran().flat_map(|(c, r)| r.leaks.iter().map(|l| (plain(&c.name), plain(l)))).collect(),
        gate: gate(suite),
        signoffs: suite
            .signoffs
            .iter()
            .map(|s| (plain(&s.at), plain(&s.name), plain(&s.by), plain(s.note.as_deref().unwrap_or_default())))
            .collect(),
        waived: ran()
            .flat_map(|(c, r)| r.verdict.objectives.iter().map(move |o| (c, o)))
            .filter(|(_, o)| o.outcome == ObjectiveOutcome::Waived)
            .map(|(c, o)| (plain(&c.name), plain(&o.id), plain(&o.reason)))
            .collect(),
        chapters: suite.chapters.iter().enumerate().map(|(i, c)| chapter(i, c)).collect(),
        file: plain(&suite.facts.file),
        version: plain(&suite.facts.version),
    };
    page.render().expect("the template writes into memory, and its parts cannot fail")
}

fn section_id(index: usize) -> String {
    format!("profile-{}", index + 1)
}

fn notices(suite: &Suite) -> Vec<String> {
    let mut notices = Vec::new();
    let scaled: Vec<&str> = suite
        .chapters
        .iter()
        .filter(|c| c.run().is_some_and(|r| r.scaled.is_some()))
        .map(|c| c.name.as_str())
        .collect();
    if !scaled.is_empty() {
        let names = plain(&scaled.join(", "));
        notices.push(format!("Scaled to be quicker than written: {names}. A scaled profile satisfies no gate."));
    }
    for note in suite.chapters.iter().filter_map(Chapter::run).flat_map(|r| &r.notes) {
        let note = plain(note);
        if !notices.contains(&note) {
            notices.push(note);
        }
    }
    notices
}

fn facts(suite: &Suite) -> Vec<(&'static str, String)> {
    let runs = || suite.chapters.iter().filter_map(Chapter::run);
    let started = runs().map(|r| r.started_unix_ns).min();
    let sent: u64 = runs().map(|r| r.all.sent).sum();
    vec![
        ("Scenario", plain(&suite.facts.scenario)),
        ("Profiles run", format!("{} of {}", runs().count(), suite.chapters.len() + suite.facts.not_asked.len())),
        ("Started", started.map_or_else(|| "–".into(), |ns| figures::utc(ns).replace('T', " ").replace('Z', " UTC"))),
        ("Measured for", figures::duration(runs().map(|r| r.duration_s).sum())),
        ("Requests", count(sent)),
        ("Leaks", count(suite.isolation.leaks)),
    ]
}

fn columns(suite: &Suite) -> Vec<ColumnView> {
    let asked = suite.chapters.iter().enumerate().map(|(i, c)| ColumnView {
        name: plain(&c.name),
        link: section_id(i),
        load: c.run().map_or_else(String::new, |r| plain(&r.load)),
    });
    let rest = suite.facts.not_asked.iter().map(|name| ColumnView {
        name: plain(name),
        link: String::new(),
        load: String::new(),
    });
    asked.chain(rest).collect()
}

/// A row for each service, and one for everything together.
fn services(suite: &Suite) -> Vec<(String, Vec<CellView>)> {
    let untested = suite.facts.not_asked.len();
    let row = |find: &dyn Fn(&Chapter) -> CellView| -> Vec<CellView> {
        suite.chapters.iter().map(find).chain((0..untested).map(|_| cell(None))).collect()
    };
    let mut rows: Vec<(String, Vec<CellView>)> = suite
        .facts
        .targets
        .iter()
        .map(|name| {
            let of = |c: &Chapter| {
                let found = c.run().and_then(|r| r.cells.iter().find(|cell| cell.target == plain(name)));
                cell(found)
            };
            (plain(name), row(&of))
        })
        .collect();
    let whole = |c: &Chapter| {
        let mut view = cell(c.run().map(|r| &r.all));
        view.badge = c.run().map(|r| Badge::new(run_outcome(r.verdict.outcome), r.verdict.outcome.words()));
        view
    };
    rows.push(("everything".into(), row(&whole)));
    rows
}

/// `badge: None` says NOT RUN: a service without a request in a profile was not tested by it.
fn cell(cell: Option<&Cell>) -> CellView {
    let Some(cell) = cell.filter(|c| c.sent > 0) else {
        return CellView { badge: None, p95: String::new(), errors: String::new(), sent: String::new() };
    };
    let badge = match cell.outcome {
        _ if cell.leaks > 0 => Badge::new(ObjectiveOutcome::Fail, figures::counted(cell.leaks, "leak")),
        Some(outcome) => Badge::new(outcome, outcome.key()),
        None => Badge { class: "none", sign: "·", word: "no objective".into() },
    };
    CellView {
        badge: Some(badge),
        p95: cell.p95.map_or_else(|| "–".into(), shown),
        errors: cell.errors.map_or_else(|| "–".into(), figures::share),
        sent: count(cell.sent),
    }
}

fn gate(suite: &Suite) -> Option<GateView> {
    match &suite.gate {
        GateVerdict::Absent => None,
        GateVerdict::NotJudged(why) => Some(GateView { not_judged: Some(plain(why)), requirements: Vec::new() }),
        GateVerdict::Judged(requirements) => Some(GateView {
            not_judged: None,
            requirements: requirements
                .iter()
                .map(|r| {
                    let word = if r.outcome == ObjectiveOutcome::Pass { "met" } else { r.outcome.key() };
                    (Badge::new(r.outcome, word), plain(&r.name), plain(&r.reason))
                })
                .collect(),
        }),
    }
}

fn chapter(index: usize, chapter: &Chapter) -> ChapterView<'_> {
    let name = plain(&chapter.name);
    match &chapter.state {
        State::NotRun { reason, .. } => ChapterView {
            id: section_id(index),
            name,
            badge: Badge::new(ObjectiveOutcome::Inconclusive, "NOT RUN"),
            reasons: vec![plain(reason)],
            facts: Vec::new(),
            notices: Vec::new(),
            deciding: &[],
            objectives: &[],
            report: String::new(),
        },
        State::Ran(ran) => ChapterView {
            id: section_id(index),
            report: format!("{}/report.html", path_segment(&chapter.name)),
            name,
            badge: Badge::new(run_outcome(ran.verdict.outcome), ran.verdict.outcome.words()),
            reasons: ran.verdict.reasons.iter().take(REASONS).map(|r| plain(r)).collect(),
            facts: vec![
                ("Load", plain(&ran.load)),
                ("Measured for", figures::duration(ran.duration_s)),
                ("Requests", count(ran.all.sent)),
                ("p95", ran.all.p95.map_or_else(|| "–".into(), shown)),
                ("Errors", ran.all.errors.map_or_else(|| "–".into(), figures::share)),
                ("Isolation", ran.verdict.isolation.state.key().into()),
                ("Generator", ran.verdict.validity.state.key().into()),
            ],
            notices: ending(&ran.ending).into_iter().collect(),
            deciding: &ran.deciding,
            objectives: &ran.objectives[..ran.objectives.len().min(MOST_OBJECTIVES)],
        },
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

/// A folder's name in a relative link.
fn path_segment(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
