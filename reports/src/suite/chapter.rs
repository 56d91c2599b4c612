//! One profile of a suite, reduced to what the suite's report shows, so that a long run need not stay in memory.
//! In: run result, verdict; or why there is none. Out: [`Chapter`].

use crate::exit_codes::{Cause, cause};
use crate::html::tables::ObjectiveView;
use crate::judge::outcome_at;
use crate::judge::times::{Percentiles, Shown};
use crate::junit;
use crate::rows::target_name;
use crate::verdict::{IsolationState, ObjectiveOutcome, ValidityState, Verdict};
use engine::run_result::{Counts, Ending, RunResult, StepTotals, Tier};
use quick_junit::TestSuite;

/// A profile of a suite.
#[derive(Debug)]
pub struct Chapter {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub state: State,
}

/// What became of a profile.
#[derive(Debug)]
pub enum State {
    /// It ran.
    Ran(Box<Ran>),
    /// It did not.
    NotRun {
        /// Why, in words.
        reason: String,
        /// It was tried and could not be; else it was never reached.
        is_tried: bool,
    },
}

/// What the suite keeps of a run.
#[derive(Debug)]
pub struct Ran {
    /// The verdict.
    pub verdict: Verdict,
    /// Why it ends as it does.
    pub cause: Cause,
    /// How it ended.
    pub ending: Ending,
    /// The load in words.
    pub load: String,
    /// Start, ns since 1970 UTC.
    pub started_unix_ns: u64,
    /// Measured time, s.
    pub duration_s: f64,
    /// Factor by which it was scaled.
    pub scaled: Option<f64>,
    /// Notes that a report must show.
    pub notes: Vec<String>,
    /// Everything together.
    pub all: Cell,
    /// By target of the scenario.
    pub cells: Vec<Cell>,
    /// Who saw whose data.
    pub leaks: Vec<String>,
    /// Its part of `junit.xml`.
    pub(crate) junit: TestSuite,
    pub(crate) deciding: Vec<ObjectiveView>,
    pub(crate) objectives: Vec<ObjectiveView>,
}

/// A service in a profile.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Its name.
    pub target: String,
    /// Requests.
    pub sent: u64,
    /// Share of failed and timed-out requests; `None` without an outcome.
    pub errors: Option<f64>,
    /// p95 of response time; `None` without samples.
    pub p95: Option<Shown>,
    /// Proven leaks at its steps.
    pub leaks: u64,
    /// The most serious outcome of the objectives that it has part in; `None` if it has part in none.
    pub outcome: Option<ObjectiveOutcome>,
}

/// Rows that decided, shown for each profile.
const DECIDING: usize = 3;

impl Chapter {
    /// A profile that ran.
    pub fn ran(result: &RunResult, verdict: Verdict) -> Self {
        let targets = 0..result.header.targets.len();
        let ran = Ran {
            cause: cause(&verdict, result),
            ending: result.ending.clone(),
            load: result.header.load.clone(),
            started_unix_ns: result.header.started_unix_ns,
            duration_s: result.duration_s,
            scaled: result.header.scaled,
            notes: result.header.notes.clone(),
            all: whole(result),
            cells: targets.map(|target| cell(result, &verdict, target)).collect(),
            leaks: leaks(result),
            junit: junit::suite_of(result, &verdict),
            deciding: crate::html::tables::deciding(&verdict, DECIDING),
            objectives: verdict.objectives.iter().map(ObjectiveView::new).collect(),
            verdict,
        };
        Self { name: result.header.profile.clone(), state: State::Ran(Box::new(ran)) }
    }

    /// A profile that was tried and could not run.
    pub fn could_not_run(name: &str, reason: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: State::NotRun { reason: reason.into(), is_tried: true } }
    }

    /// A profile that was never reached.
    pub fn not_reached(name: &str, reason: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: State::NotRun { reason: reason.into(), is_tried: false } }
    }

    /// What is kept of the run, if it ran.
    pub fn run(&self) -> Option<&Ran> {
        match &self.state {
            State::Ran(ran) => Some(ran),
            State::NotRun { .. } => None,
        }
    }

    /// Why it ends as it does.
    pub fn cause(&self) -> Cause {
        match &self.state {
            State::Ran(ran) => ran.cause,
            State::NotRun { is_tried: true, .. } => Cause::CouldNotRun,
            State::NotRun { is_tried: false, .. } => Cause::TooLittle,
        }
    }

    /// Whether a leak is proven in it.
    pub fn is_leaking(&self) -> bool {
        self.run().is_some_and(|ran| ran.verdict.isolation.state == IsolationState::Leaking)
    }
}

fn whole(result: &RunResult) -> Cell {
    let ids: Vec<usize> = (0..result.steps.len()).collect();
    figures(result, "all", &ids)
}

fn cell(result: &RunResult, verdict: &Verdict, target: usize) -> Cell {
    let steps = result.header.steps.iter().enumerate();
    let ids: Vec<usize> = steps.filter(|(_, s)| s.target == target).map(|(i, _)| i).collect();
    let mut cell = figures(result, &target_name(result, target), &ids);
    let judged = verdict.objectives.iter().filter_map(|o| outcome_at(result, o, target));
    cell.outcome = judged.min_by_key(|outcome| seriousness(*outcome));
    // The figures of a generator that was the limit are not the target's.
    if verdict.validity.state == ValidityState::Void {
        cell.outcome = Some(ObjectiveOutcome::Inconclusive);
    }
    if cell.leaks > 0 {
        cell.outcome = Some(ObjectiveOutcome::Fail);
    }
    cell
}

/// The most serious first.
fn seriousness(outcome: ObjectiveOutcome) -> u8 {
    match outcome {
        ObjectiveOutcome::Fail => 0,
        ObjectiveOutcome::Inconclusive => 1,
        ObjectiveOutcome::Warn => 2,
        ObjectiveOutcome::Waived => 3,
        ObjectiveOutcome::Pass => 4,
    }
}

fn figures(result: &RunResult, name: &str, ids: &[usize]) -> Cell {
    let mut counts = Counts::default();
    let mut times = StepTotals::default();
    for &i in ids {
        let step = &result.steps[i];
        counts.add(&step.counts);
        if !result.header.steps[i].probe {
            times.response.add(&step.response);
            times.lower_bounds.add(&step.lower_bounds);
        }
    }
    let settled = counts.ok + counts.failed + counts.timed_out;
    let proven = result.isolation.groups.iter().filter(|g| g.key.tier == Tier::Proven && ids.contains(&g.key.step));
    Cell {
        target: name.to_owned(),
        sent: counts.sent(),
        errors: (settled > 0).then(|| (counts.failed + counts.timed_out) as f64 / settled as f64),
        p95: Percentiles::of_response(&times).at(95.0),
        leaks: proven.map(|g| g.count).sum(),
        outcome: None,
    }
}

/// Leak groups in a sentence each, the most frequent first; at most five.
fn leaks(result: &RunResult) -> Vec<String> {
    let proven = result.isolation.groups.iter().filter(|g| g.key.tier == Tier::Proven);
    proven
        .take(5)
        .map(|group| {
            let who = group.examples.first().map_or_else(String::new, crate::rows::who);
            format!(
                "{who} at {} ({}), {}×",
                crate::rows::step_name(result, group.key.step),
                group.key.detector,
                crate::figures::count(group.count)
            )
        })
        .collect()
}
