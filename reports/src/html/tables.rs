//! Rows of the report's tables as ready text.
//! In: run result, verdict. Out: plain views for the template.

use super::bars::{self, Scale};
use crate::figures::{self, count, plain};
use crate::rows::{self, StepRow, shown};
use crate::terminal;
use crate::verdict::{IsolationState, JudgedObjective, ObjectiveOutcome, ValidityState, Verdict, margin};
use engine::run_result::{RunResult, WorkerHealth};
use std::collections::BTreeMap;

/// Most rows of a table: the page stays under a megabyte whatever a scenario contains.
const MOST_ROWS: usize = 400;

/// One objective.
#[derive(Debug)]
pub(crate) struct ObjectiveView {
    pub outcome: &'static str,
    pub sign: &'static str,
    pub id: String,
    pub of: String,
    pub limit: String,
    pub warn: String,
    pub measured: String,
    pub interval: String,
    pub n: String,
    pub margin: String,
    pub reason: String,
    pub gauge: String,
    pub must: bool,
    pub line: u32,
}

impl ObjectiveView {
    /// A row without figures.
    fn bare(outcome: ObjectiveOutcome) -> Self {
        let dash = || "–".to_string();
        Self {
            outcome: outcome.key(),
            sign: outcome.sign(),
            id: String::new(),
            of: String::new(),
            limit: String::new(),
            warn: String::new(),
            measured: dash(),
            interval: dash(),
            n: dash(),
            margin: dash(),
            reason: String::new(),
            gauge: String::new(),
            must: true,
            line: 0,
        }
    }

    pub fn new(o: &JudgedObjective) -> Self {
        // A distance to a limit that nobody may judge yet would read as a pass.
        let is_judged = o.outcome != ObjectiveOutcome::Inconclusive;
        let margin = margin(o).filter(|_| is_judged).map_or_else(
            || "–".into(),
            |m| {
                let side = if m < 0.0 { "beyond" } else { "to spare" };
                format!("{} {side}", figures::difference(o.stat, m))
            },
        );
        Self {
            outcome: o.outcome.key(),
            sign: o.outcome.sign(),
            id: plain(&o.id),
            of: plain(&o.of_words()),
            limit: plain(&o.limit.text),
            warn: o.warn.as_ref().map_or_else(String::new, |w| plain(&w.text)),
            measured: terminal::measured(o),
            interval: o.interval.map_or_else(|| "–".into(), |i| terminal::interval(o.stat, i)),
            n: count(o.n),
            margin,
            reason: plain(&o.reason),
            gauge: bars::gauge(o),
            must: o.must,
            line: o.line,
        }
    }
}

/// What decided the run, at most `most` rows: a proven leak and a void generator stand before any objective.
pub(crate) fn deciding(verdict: &Verdict, most: usize) -> Vec<ObjectiveView> {
    let mut rows = Vec::new();
    let isolation = &verdict.isolation;
    if isolation.state == IsolationState::Leaking {
        rows.push(ObjectiveView {
            id: "isolation".into(),
            limit: "no leak".into(),
            measured: figures::counted(isolation.leaks, "leak"),
            n: count(isolation.opportunities),
            reason: plain(&detectors(&isolation.by_detector)),
            ..ObjectiveView::bare(ObjectiveOutcome::Fail)
        });
    }
    if verdict.validity.state == ValidityState::Void {
        rows.push(ObjectiveView {
            id: "generator".into(),
            limit: "ok".into(),
            measured: "void".into(),
            reason: plain(&verdict.validity.reasons.join("; ")),
            ..ObjectiveView::bare(ObjectiveOutcome::Inconclusive)
        });
    }
    let rest = most.saturating_sub(rows.len());
    rows.extend(verdict.deciding(rest).into_iter().map(ObjectiveView::new));
    rows
}

/// `foreign-marker 42, probe 3`.
fn detectors(by_detector: &BTreeMap<String, u64>) -> String {
    let words = by_detector.iter().map(|(name, n)| format!("{name} {}", count(*n)));
    words.collect::<Vec<_>>().join(", ")
}

/// The steps of one journey.
pub(crate) struct JourneyView {
    pub name: String,
    pub steps: Vec<StepView>,
}

/// One step.
pub(crate) struct StepView {
    pub step: String,
    pub target: String,
    pub sent: String,
    pub ok: String,
    pub failed: String,
    pub timed_out: String,
    pub cut: String,
    pub is_bad: bool,
    /// p50, p95, p99, p99.9, max.
    pub times: Vec<String>,
    pub service_p95: String,
    pub spread: String,
}

/// Played steps by journey.
pub(crate) fn journeys(result: &RunResult) -> Vec<JourneyView> {
    let rows = rows::played_steps(result);
    let scale = Scale::of(rows.iter().filter_map(|r| r.response.as_ref()));
    let mut journeys: Vec<JourneyView> = Vec::new();
    for row in rows.iter().take(MOST_ROWS) {
        let view = step(row, &scale);
        match journeys.iter_mut().find(|j| j.name == row.journey) {
            Some(journey) => journey.steps.push(view),
            None => journeys.push(JourneyView { name: row.journey.clone(), steps: vec![view] }),
        }
    }
    journeys
}

fn step(row: &StepRow, scale: &Scale) -> StepView {
    let counts = &row.counts;
    let dash = || "–".to_string();
    let times = match &row.response {
        None => vec![dash(); 5],
        Some(r) => [0, 2, 3, 5].map(|i| r.percentiles[i]).into_iter().chain([r.max]).map(shown).collect(),
    };
    StepView {
        step: row.step.clone(),
        target: row.target.clone(),
        sent: count(counts.sent()),
        ok: count(counts.ok),
        failed: count(counts.failed),
        timed_out: count(counts.timed_out),
        cut: count(counts.abandoned + counts.unfinished),
        is_bad: counts.failed + counts.timed_out > 0,
        times,
        service_p95: row.service.as_ref().map_or_else(dash, |s| shown(s.percentiles[2])),
        spread: row.response.as_ref().map_or_else(String::new, |r| bars::spread(r, scale)),
    }
}

/// One kind of error at one step.
pub(crate) struct ErrorView {
    pub count: String,
    pub share: String,
    pub kind: String,
    pub step: String,
    /// Width of the bar, percent of the most frequent.
    pub width: String,
}

/// Errors, most frequent first, and how many kinds are not shown.
pub(crate) fn errors(result: &RunResult) -> (Vec<ErrorView>, usize) {
    let rows = rows::errors(result);
    let most = rows.first().map_or(1, |r| r.count).max(1) as f64;
    let views = rows.iter().take(MOST_ROWS).map(|row| ErrorView {
        count: count(row.count),
        share: figures::share(row.share),
        kind: row.kind.clone(),
        step: row.step.clone(),
        width: format!("{:.1}", row.count as f64 / most * 100.0),
    });
    (views.collect(), rows.len().saturating_sub(MOST_ROWS))
}

/// The generator.
pub(crate) struct HealthView {
    pub outcome: &'static str,
    pub sign: &'static str,
    pub state: &'static str,
    pub sentence: &'static str,
    pub reasons: Vec<String>,
    /// What, figure, limit.
    pub rows: Vec<(&'static str, String, &'static str)>,
    pub workers: Vec<WorkerView>,
}

/// One worker thread.
pub(crate) struct WorkerView {
    pub number: usize,
    pub cpu: String,
    pub busy: String,
    pub queue: String,
    pub gaps: String,
}

impl HealthView {
    pub fn new(result: &RunResult, verdict: &Verdict) -> Self {
        let validity = &verdict.validity;
        let (outcome, sign, sentence) = match validity.state {
            ValidityState::Ok => ("pass", "✓", "The load generator kept up; the figures are the target's."),
            ValidityState::Degraded => {
                ("warn", "!", "The load generator was under strain; read the figures with care.")
            }
            ValidityState::Void => {
                ("inconclusive", "?", "The load generator itself was the limit; the figures are not the target's.")
            }
        };
        Self {
            outcome,
            sign,
            state: validity.state.key(),
            sentence,
            reasons: validity.reasons.iter().map(|r| plain(r)).collect(),
            rows: health_rows(result),
            workers: result.health.workers.iter().take(MOST_ROWS).enumerate().map(|(i, w)| worker(i + 1, w)).collect(),
        }
    }
}

fn health_rows(result: &RunResult) -> Vec<(&'static str, String, &'static str)> {
    let health = &result.health;
    let lag = |p: f64| {
        let ns = health.lag.percentile_ns(p);
        ns.map_or_else(|| "–".into(), |ns| figures::time(ns as f64))
    };
    vec![
        ("Lag of a send, p50", lag(50.0), ""),
        ("Lag of a send, p99", lag(99.0), "5 ms; void above a tenth of the tightest time limit"),
        ("Lag of a send, largest", lag(100.0), ""),
        ("Starts asked for / made", format!("{} / {}", count(health.asked), count(health.started)), "1% off"),
        ("Arrivals dropped", count(result.dropped), ""),
        ("… because the target kept all users busy", count(health.dropped_by_target), "counted in availability"),
        ("Requests that could not leave this machine", count(result.totals().generator_errors), "0.1% of all"),
        ("Intervals that could not be stored", count(health.store_errors), ""),
    ]
}

fn worker(number: usize, w: &WorkerHealth) -> WorkerView {
    let of_wall = |ns: u64| figures::share(ns as f64 / w.wall_ns.max(1) as f64);
    WorkerView {
        number,
        cpu: of_wall(w.cpu_ns),
        busy: figures::share(w.busy_max),
        queue: figures::share(w.queue_wait_ns as f64 / w.cpu_ns.max(1) as f64),
        gaps: figures::time(w.gaps_ns as f64),
    }
}
