//! Isolation coverage: for each step, transport and stressor how often a leak could have been seen, and what that bounds.
//! In: run result, verdict. Out: rows for `result.json` and the page.

use crate::figures::{self, counted};
use crate::verdict::{IsolationState, Verdict};
use engine::isolation::layers;
use engine::run_result::{IsolationStep, RunResult, TRANSPORTS, Tier};
use serde_json::{Map, Value, json};

/// −ln 0.05: with none seen in N, at most 3/N at 95 %.
const RULE_OF_THREE: f64 = 3.0;
/// Fields named of those whose markers nobody read back.
const MOST_LOST: usize = 3;

/// Where markers stood that the reader may see, with the number of answers; only places where one did.
pub(crate) fn places(step: &IsolationStep) -> impl Iterator<Item = (&'static str, u64)> {
    layers::ALL.into_iter().zip(step.places).filter(|(_, n)| *n > 0)
}

/// With 95 % confidence at most this share of a step's opportunities leaks; `None` without opportunities, or if the
/// step leaks.
pub(crate) fn bound(result: &RunResult, step: usize, opportunities: u64) -> Option<f64> {
    let leaks = result.isolation.groups.iter().any(|g| g.key.step == step && g.key.tier == Tier::Proven);
    of(opportunities).filter(|_| !leaks)
}

fn of(opportunities: u64) -> Option<f64> {
    (opportunities > 0).then(|| (RULE_OF_THREE / opportunities as f64).min(1.0))
}

/// Whether a foreign marker in the step's answers would have been seen: a declared control was good, or a marker that
/// the reader may see came at all.
pub(crate) fn is_observable(declared: bool, seen: &IsolationStep, opportunities: u64) -> bool {
    if declared { opportunities > 0 || seen.after_others == 0 && seen.controlled > 0 } else { seen.controlled > 0 }
}

/// How often and how long a leak could have been seen, and what finding none bounds.
pub(crate) struct Row {
    /// Transport or fault.
    pub name: &'static str,
    /// Answers in which a leak could have been seen.
    pub opportunities: u64,
    /// At most this share of them leaks, with 95 % confidence; a leaking run has no bounds, since a leak may have come
    /// over any of them.
    pub bound: Option<f64>,
    /// Minutes in which there was an opportunity.
    pub minutes: f64,
    /// At most so many leaks a minute.
    pub bound_minutes: Option<f64>,
}

/// By transport; only those over which there was an opportunity.
pub(crate) fn by_transport(result: &RunResult, verdict: &Verdict) -> Vec<Row> {
    let seen = &result.isolation;
    rows(TRANSPORTS.into_iter().zip(seen.transports).zip(seen.transport_seconds), verdict)
}

/// By fault, in the seconds in which it was provoked.
pub(crate) fn by_stressor(result: &RunResult, verdict: &Verdict) -> Vec<Row> {
    let seen = &result.isolation;
    let names = result.faults.by_name().map(|(name, _)| name);
    rows(names.into_iter().zip(seen.stressors).zip(seen.stressor_seconds), verdict)
}

fn rows(counts: impl Iterator<Item = ((&'static str, u64), u64)>, verdict: &Verdict) -> Vec<Row> {
    let leaks = verdict.isolation.state == IsolationState::Leaking;
    counts
        .filter(|((_, n), _)| *n > 0)
        .map(|((name, opportunities), seconds)| Row {
            name,
            opportunities,
            bound: of(opportunities).filter(|_| !leaks),
            minutes: seconds as f64 / 60.0,
            bound_minutes: by_time(seconds).filter(|_| !leaks),
        })
        .collect()
}

/// At most so many leaks a minute, with 95 % confidence, where none came in so many seconds with an opportunity.
pub(crate) fn by_time(seconds: u64) -> Option<f64> {
    (seconds > 0).then(|| RULE_OF_THREE * 60.0 / seconds as f64)
}

/// Rows as an object: `{ "http/1.1": { opportunities, bound95, minutes, bound95_minutes } }`.
pub(crate) fn json(rows: Vec<Row>) -> Value {
    let rows = rows.into_iter().map(|row| {
        let figures = json!({
            "opportunities": row.opportunities, "bound95": row.bound,
            "minutes": row.minutes, "bound95_minutes": row.bound_minutes,
        });
        (row.name.to_owned(), figures)
    });
    Value::Object(rows.collect::<Map<_, _>>())
}

/// What a step planted, and where it came back.
pub(crate) struct Written {
    /// Index of the step.
    pub step: usize,
    /// Markers.
    pub planted: u64,
    /// Index of a step that read some of it, and in how many answers; most often first.
    pub read_at: Vec<(usize, u64)>,
}

/// Steps that planted markers, and where their readers, who may, got them back. What comes back nowhere was looked at by
/// nobody: if it leaks, it does so where no step of the scenario reads.
pub(crate) fn written(result: &RunResult) -> Vec<Written> {
    let seen = &result.isolation;
    let planted = seen.steps.iter().enumerate().filter(|(_, s)| s.planted > 0);
    planted
        .map(|(step, counts)| {
            let mut read_at: Vec<(usize, u64)> =
                seen.carried.range((step, 0)..=(step, usize::MAX)).map(|((_, reader), n)| (*reader, *n)).collect();
            read_at.sort_by_key(|(reader, n)| (std::cmp::Reverse(*n), *reader));
            Written { step, planted: counts.planted, read_at }
        })
        .collect()
}

/// A field of a step in which markers were planted, and where they came back: a row of the matrix.
pub(crate) struct Planted {
    /// Index of the step.
    pub step: usize,
    /// The field as the step's header names it; `None` where a result of an earlier version, or words, do not say it.
    pub field: Option<String>,
    /// Markers.
    pub planted: u64,
    /// Index of a step that read some of it, and in how many answers; most often first.
    pub read_at: Vec<(usize, u64)>,
    /// All of it in words, which do not say where they were planted.
    pub in_words: bool,
}

impl Planted {
    /// Nobody who may see it got it back, so nobody looked at it.
    pub fn is_lost(&self) -> bool {
        self.read_at.is_empty() && !self.in_words
    }

    /// `POST /notes · $.note`
    pub fn name(&self, result: &RunResult) -> String {
        let step = crate::rows::step_name(result, self.step);
        match &self.field {
            Some(field) => format!("{step} · {}", figures::plain(field)),
            None => step,
        }
    }
}

/// The rows of the matrix field × step: each field in which something was planted; of steps whose fields are not known,
/// the step as a whole.
pub(crate) fn planted(result: &RunResult) -> Vec<Planted> {
    written(result).into_iter().flat_map(|written| of_step(result, written)).collect()
}

/// The same of one step.
pub(crate) fn of_step(result: &RunResult, written: Written) -> Vec<Planted> {
    let seen = &result.isolation;
    let step = written.step;
    let names = result.header.steps.get(step).map_or(&[][..], |header| &header.fields);
    let rows: Vec<Planted> = seen
        .planted_fields
        .range((step, 0)..=(step, usize::MAX))
        .map(|((_, field), planted)| {
            let read = seen.carried_fields.range((step, *field, 0)..=(step, *field, usize::MAX));
            let mut read_at: Vec<(usize, u64)> = read.map(|((.., reader), n)| (*reader, *n)).collect();
            read_at.sort_by_key(|(reader, n)| (std::cmp::Reverse(*n), *reader));
            Planted { step, field: names.get(*field).cloned(), planted: *planted, read_at, in_words: false }
        })
        .collect();
    if !rows.is_empty() {
        return rows;
    }
    let in_words = seen.steps.get(step).is_some_and(|s| s.in_words == written.planted);
    vec![Planted { step, field: None, planted: written.planted, read_at: written.read_at, in_words }]
}

/// What the terminal says of it: the bounds by transport and by fault, and what nobody read back.
pub(crate) fn in_words(result: &RunResult, verdict: &Verdict) -> Vec<String> {
    let mut lines = Vec::new();
    let of = |word: &'static str| {
        move |row: Row| {
            let bound = row.bound.map_or(String::new(), |b| format!(", at most {}", figures::one_in(b)));
            format!("{word} {}: {}{bound}", row.name, counted(row.opportunities, "answer"))
        }
    };
    let over: Vec<String> = by_transport(result, verdict).into_iter().map(of("over")).collect();
    let beside: Vec<String> = by_stressor(result, verdict).into_iter().map(of("beside")).collect();
    // One transport and no fault say what the statement has said.
    if over.len() + beside.len() > 1 {
        lines.extend([over, beside].into_iter().filter(|rows| !rows.is_empty()).map(|rows| rows.join("; ")));
    }
    let judged = &verdict.isolation;
    if judged.opportunities > judged.beside() && judged.beside() > 0 {
        let share = figures::share(judged.beside() as f64 / judged.opportunities as f64);
        let of = figures::count(judged.opportunities);
        let beside = figures::count(judged.beside());
        lines.push(format!("another user's request to the same target was under way in {beside} of {of} ({share})"));
    }
    let lost: Vec<String> = planted(result).iter().filter(|p| p.is_lost()).map(|p| p.name(result)).collect();
    if !lost.is_empty() && verdict.isolation.state != IsolationState::Leaking {
        let more = lost.len().saturating_sub(MOST_LOST);
        let names = lost[..lost.len().min(MOST_LOST)].join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        lines.push(format!("coverage gap, planted and read back by nobody: {names}{more}"));
    }
    lines
}
