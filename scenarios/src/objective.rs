//! Objectives (`sla:`) as data: what each is of, which statistic, which limit. Judged in `reports`.
//! In: the checked `sla:` list. Out: [`Objective`], stored with the run so that it can be judged again.

use crate::gate::Waiver;
use serde::{Deserialize, Serialize};

/// One objective. All ids and indexes refer to the program that it was compiled with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Stable identity inside the file: `name:` if given, else made from selection, statistic and limit
    /// (`"p95 of target ai < 5s"`); unique in the file.
    pub id: String,
    /// What it is of.
    pub of: Selection,
    /// The statistic.
    pub stat: Stat,
    /// The limit that must hold.
    pub limit: Limit,
    /// A tighter limit whose miss only warns.
    pub warn: Option<Limit>,
    /// Judged only in these profiles; all when `None`.
    pub profiles: Option<Vec<String>>,
    /// `must: false` turns a miss into a warning.
    pub must: bool,
    /// 1-based line in the scenario file, for annotations; 0 for the implicit objective.
    pub line: u32,
    /// Lets a miss through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<Waiver>,
}

/// What an objective is of. Every list empty: everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// Names of targets as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Names of journeys as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub journeys: Vec<String>,
    /// Names of steps as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// Names of tags as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Indexes of the steps (`Program::steps`) that match every non-empty list above.
    pub step_ids: Vec<usize>,
}

impl Selection {
    /// Whether nothing was selected, so that all steps count.
    pub fn is_everything(&self) -> bool {
        self.targets.is_empty() && self.journeys.is_empty() && self.steps.is_empty() && self.tags.is_empty()
    }
}

/// The statistics that an objective can be about.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stat {
    /// Percentile of response time, 50 ≤ p ≤ 99.99.
    Percentile(f64),
    /// Mean response time.
    Mean,
    /// Largest response time.
    Max,
    /// (failed + timed out) / (sent − abandoned − unfinished).
    Errors,
    /// ok / (sent − abandoned − unfinished + drops that the target caused).
    Availability,
    /// Iterations completed / started (less those cut at the end).
    Completed,
    /// Requests answered a second.
    Rate,
    /// Highest rate of arrivals that held, found by a search.
    Capacity,
}

impl Stat {
    /// Whether the statistic is a response time.
    pub fn is_time(self) -> bool {
        matches!(self, Self::Percentile(_) | Self::Mean | Self::Max)
    }

    /// Whether the statistic is a rate a second.
    pub fn is_rate(self) -> bool {
        matches!(self, Self::Rate | Self::Capacity)
    }

    /// Whether the figure of some steps follows from those steps alone and a miss of all of them from a miss of some,
    /// so that it can be told which service is to blame.
    pub fn is_of_steps(self) -> bool {
        matches!(self, Self::Percentile(_) | Self::Mean | Self::Max | Self::Errors | Self::Availability)
    }

    /// The word used in files and tables: `p95`, `p99.9`, `mean`, `errors` …
    pub fn word(self) -> String {
        match self {
            Self::Percentile(p) => format!("p{p}"),
            Self::Mean => "mean".into(),
            Self::Max => "max".into(),
            Self::Errors => "errors".into(),
            Self::Availability => "availability".into(),
            Self::Completed => "completed".into(),
            Self::Rate => "rate".into(),
            Self::Capacity => "capacity".into(),
        }
    }
}

/// A limit: comparison, value in its base unit, and how it was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// The comparison that must hold between the measured value and `value`.
    pub op: Comparison,
    /// Nanoseconds for times, fraction 0..1 for shares, per second for rates.
    pub value: f64,
    /// As written, normalised: `< 200ms`, `>= 99.9%`.
    pub text: String,
}

/// A comparison of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `<`
    #[serde(rename = "<")]
    Less,
    /// `<=`
    #[serde(rename = "<=")]
    AtMost,
    /// `>`
    #[serde(rename = ">")]
    More,
    /// `>=`
    #[serde(rename = ">=")]
    AtLeast,
}

impl Comparison {
    /// Whether `measured (op) limit` holds.
    pub fn holds(self, measured: f64, limit: f64) -> bool {
        match self {
            Self::Less => measured < limit,
            Self::AtMost => measured <= limit,
            Self::More => measured > limit,
            Self::AtLeast => measured >= limit,
        }
    }

    /// Whether larger values are worse.
    pub fn is_upper(self) -> bool {
        matches!(self, Self::Less | Self::AtMost)
    }
}
