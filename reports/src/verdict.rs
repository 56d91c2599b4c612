//! The verdict: what was judged, how each judgement came out, and why, in words.
//! In: built by [`judge`](crate::judge::judge). Out: read by every renderer and by the exit-code table.

use scenarios::gate::Waiver;
use scenarios::objective::{Each, Limit, Objective, Selection, Stat, Watch};
use std::collections::BTreeMap;

/// The answer to "go or no-go?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that had to hold, held, with enough evidence.
    Go,
    /// As [`Go`](Self::Go), but something deserves a look.
    GoWithWarnings,
    /// An objective was missed, an abort rule fired, or a leak is proven.
    NoGo,
    /// Too little evidence, or evidence that cannot be trusted.
    Inconclusive,
}

impl Outcome {
    /// The word of `result.json`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::GoWithWarnings => "go-with-warnings",
            Self::NoGo => "no-go",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// The words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Go => "GO",
            Self::GoWithWarnings => "GO WITH WARNINGS",
            Self::NoGo => "NO-GO",
            Self::Inconclusive => "INCONCLUSIVE",
        }
    }

    /// A sign beside the words, because colour alone tells nothing to many readers.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Go => "✓",
            Self::GoWithWarnings => "!",
            Self::NoGo => "✗",
            Self::Inconclusive => "?",
        }
    }
}

/// The outcome of one objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectiveOutcome {
    /// Holds, with enough evidence.
    Pass,
    /// Holds but misses its tighter `warn` limit, or is missed and `must: false`.
    Warn,
    /// Missed.
    Fail,
    /// The evidence does not allow a judgement.
    Inconclusive,
    /// Missed, and let through by a named, dated waiver.
    Waived,
}

impl ObjectiveOutcome {
    /// The word of `result.json` and of tables.
    pub fn key(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Waived => "waived",
        }
    }

    /// The sign of tables.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Pass => "✓",
            Self::Warn | Self::Waived => "!",
            Self::Fail => "✗",
            Self::Inconclusive => "?",
        }
    }
}

/// A 95 % interval in the objective's base unit. `high: None`: the evidence sets no upper end
/// (too few samples in the tail, or the tail consists of lower bounds).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: Option<f64>,
}

/// One objective after judgement.
#[derive(Clone, Debug)]
pub struct JudgedObjective {
    /// Id of the objective.
    pub id: String,
    /// What it is of.
    pub of: Selection,
    /// The statistic.
    pub stat: Stat,
    /// The limit.
    pub limit: Limit,
    /// The tighter limit that only warns.
    pub warn: Option<Limit>,
    /// Whether a miss gates.
    pub must: bool,
    /// 1-based line in the scenario file; 0 for the implicit objective.
    pub line: u32,
    /// The figure in its base unit (ns, fraction, per second); `None` without samples.
    pub measured: Option<f64>,
    /// The figure is a lower bound: the truth is at least this.
    pub is_at_least: bool,
    /// Samples behind the figure.
    pub n: u64,
    /// 95 % interval of the figure; `None` where none can be given (maximum, run shorter than two blocks).
    pub interval: Option<Interval>,
    /// The outcome.
    pub outcome: ObjectiveOutcome,
    /// Why, in words.
    pub reason: String,
    /// What was found on each rung of a ladder or step of a canary that was reached; empty for other runs.
    pub rungs: Vec<JudgedRung>,
    /// What lets a miss through.
    pub waiver: Option<Waiver>,
    /// It has to hold in every window of this length.
    pub each: Option<Each>,
    /// The watched series that it is about.
    pub watch: Option<Watch>,
    /// What was found in each window; `None` for what is judged on the whole.
    pub windows: Option<JudgedWindows>,
    /// The whole interval has to keep the limit.
    pub confident: bool,
}

/// An objective window by window.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedWindows {
    /// Length of a window, s.
    pub every_s: f64,
    /// Share of the windows in which it has to hold; all when `None`.
    pub share: Option<f64>,
    /// Windows in which it held.
    pub held: usize,
    /// Windows in which it was missed.
    pub missed: usize,
    /// The window with the worst figure; among the missed ones if there are any.
    pub worst: Option<JudgedWindow>,
    /// In order.
    pub all: Vec<JudgedWindow>,
}

/// An objective in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedWindow {
    /// Start, s since the end of the warm-up.
    pub from_s: f64,
    /// End.
    pub to_s: f64,
    /// Samples.
    pub n: u64,
    /// The figure in its base unit; `None` without samples.
    pub figure: Option<f64>,
    /// The figure may be a lower bound.
    pub is_at_least: bool,
    /// The outcome of this window alone.
    pub outcome: ObjectiveOutcome,
}

/// An objective on one rung of a ladder.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedRung {
    /// Name of the phase.
    pub phase: String,
    /// The figure in its base unit; `None` without samples.
    pub measured: Option<f64>,
    /// The figure is a lower bound.
    pub is_at_least: bool,
    /// Samples behind the figure.
    pub n: u64,
    /// The outcome on this rung alone.
    pub outcome: ObjectiveOutcome,
}

impl JudgedObjective {
    /// The objective that was judged.
    pub fn objective(&self) -> Objective {
        Objective {
            id: self.id.clone(),
            of: self.of.clone(),
            stat: self.stat,
            limit: self.limit.clone(),
            warn: self.warn.clone(),
            profiles: None,
            must: self.must,
            line: self.line,
            waiver: self.waiver.clone(),
            each: self.each.clone(),
            watch: self.watch.clone(),
            confident: self.confident,
        }
    }

    /// What it is of, in words: `everything`, `target ai`, `journey patient, step POST /login`.
    pub fn of_words(&self) -> String {
        let mut parts = Vec::new();
        for (word, names) in [
            ("target", &self.of.targets),
            ("journey", &self.of.journeys),
            ("step", &self.of.steps),
            ("tag", &self.of.tags),
        ] {
            if !names.is_empty() {
                parts.push(format!("{word} {}", names.join(" or ")));
            }
        }
        if let Some(watch) = &self.watch {
            parts.push(watch.text.clone());
        }
        if matches!(self.stat, Stat::Containment(_)) {
            return "the healthy users".into();
        }
        if parts.is_empty() { "everything".into() } else { parts.join(", ") }
    }
}

/// Whether the generator's own figures can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValidityState {
    /// Yes.
    Ok,
    /// Yes, with care: GO becomes GO WITH WARNINGS.
    Degraded,
    /// No: the run is INCONCLUSIVE unless a leak is proven.
    Void,
}

impl ValidityState {
    /// The word of `result.json`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Void => "void",
        }
    }
}

/// The generator judged.
#[derive(Clone, Debug)]
pub struct Validity {
    /// The state.
    pub state: ValidityState,
    /// Why it is not `ok`, in words; void reasons first.
    pub reasons: Vec<String>,
    /// p99 of the generator's own lag, ns; `None` when nothing was sent.
    pub lag_p99_ns: Option<u64>,
    /// Largest busy share of any worker in any second, 0..1.
    pub busy_max: f64,
}

/// What can be said about isolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationState {
    /// No leak in a stated number of opportunities, and the detector was shown to work.
    Intact,
    /// At least one proven leak.
    Leaking,
    /// Nothing found, and that means nothing.
    Unproven,
}

impl IsolationState {
    /// The word of `result.json`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Leaking => "leaking",
            Self::Unproven => "unproven",
        }
    }
}

/// Isolation judged.
#[derive(Clone, Debug)]
pub struct IsolationVerdict {
    /// The state.
    pub state: IsolationState,
    /// One sentence: the statement with its bound, or why there is none.
    pub statement: String,
    /// Proven occurrences.
    pub leaks: u64,
    /// Suspect occurrences: shown, never gating.
    pub suspects: u64,
    /// Occurrences of a risk (`cache-lint`): shown, never gating.
    pub risks: u64,
    /// Answers in which a leak would have been seen and could have happened.
    pub opportunities: u64,
    /// Opportunities by step index.
    pub opportunities_by_step: Vec<u64>,
    /// Of those: another user's request to the same target was under way meanwhile; by step index.
    pub beside_by_step: Vec<u64>,
    /// With 95 % confidence at most this share of the opportunities leaks; `None` if leaking or without opportunities.
    pub bound95: Option<f64>,
    /// With 95 % confidence at most this many leaks a target-minute; `None` as above.
    pub bound95_minutes: Option<f64>,
    /// Proven occurrences by detector; sums to `leaks`.
    pub by_detector: BTreeMap<String, u64>,
    /// Suspect and risk occurrences by detector.
    pub unproven_by_detector: BTreeMap<String, u64>,
    /// Steps whose declared control failed, in words.
    pub gaps: Vec<String>,
    /// Known foreign markers put through the scanner.
    pub injected: u64,
    /// Of those: found.
    pub found: u64,
}

impl IsolationVerdict {
    /// Opportunities beside another user's request.
    pub fn beside(&self) -> u64 {
        self.beside_by_step.iter().sum()
    }

    /// Whether the scanner missed a marker that it was given: then its silence means nothing.
    pub fn is_calibration_failed(&self) -> bool {
        self.found != self.injected
    }
}

/// The whole verdict of one run.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The answer.
    pub outcome: Outcome,
    /// Why, in words, the deciding reason first; never empty.
    pub reasons: Vec<String>,
    /// Every objective of this profile, in the order of the file.
    pub objectives: Vec<JudgedObjective>,
    /// The generator.
    pub validity: Validity,
    /// The isolation check.
    pub isolation: IsolationVerdict,
}

impl Verdict {
    /// The objectives that decided, most serious first, then those closest to their limit; at most `most`.
    pub fn deciding(&self, most: usize) -> Vec<&JudgedObjective> {
        let mut all: Vec<&JudgedObjective> = self.objectives.iter().collect();
        all.sort_by(|a, b| {
            (rank(a), relative_margin(a))
                .partial_cmp(&(rank(b), relative_margin(b)))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        all.truncate(most);
        all
    }
}

/// Order of seriousness: a missed `must` first, a pass last.
fn rank(objective: &JudgedObjective) -> u8 {
    match (objective.outcome, objective.must) {
        (ObjectiveOutcome::Fail, _) => 0,
        (ObjectiveOutcome::Inconclusive, true) => 1,
        (ObjectiveOutcome::Warn, _) => 2,
        (ObjectiveOutcome::Inconclusive, false) => 3,
        (ObjectiveOutcome::Waived, _) => 4,
        (ObjectiveOutcome::Pass, _) => 5,
    }
}

/// Distance to the limit as a share of it, negative when missed; 0 when unknown.
fn relative_margin(objective: &JudgedObjective) -> f64 {
    margin(objective).map_or(0.0, |m| m / objective.limit.value.abs().max(f64::MIN_POSITIVE))
}

/// Distance to the limit in the base unit: positive on the good side.
pub fn margin(objective: &JudgedObjective) -> Option<f64> {
    // A stated rate is met or not: whoever refuses at half of it has no room left, but keeps no promise.
    let measured = objective.measured.filter(|_| objective.stat != Stat::RateLimit)?;
    Some(if objective.limit.op.is_upper() {
        objective.limit.value - measured
    } else {
        measured - objective.limit.value
    })
}
