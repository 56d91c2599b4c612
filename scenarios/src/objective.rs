//! Objectives (`sla:`) as data: what each is of, which statistic, which limit. Judged in `reports`.
//! In: the checked `sla:` list. Out: [`Objective`], stored with the run so that it can be judged again.

use crate::containment::Harm;
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
    /// Has to hold in every window of this length, not only on the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// The watched series that it is about; `None` for what the tester itself measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
    /// `mode: confident`: the whole interval has to lie on the good side of the limit, not the figure alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confident: bool,
}

/// A watched series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The expression as written; also the name of the series in results.
    pub text: String,
    /// Over which time a growth is told, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_ns: Option<u64>,
    /// `for:`, only what lasts so long is a miss, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_ns: Option<u64>,
}

/// What of a watched series is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesStat {
    /// The largest value.
    Max,
    /// The smallest value.
    Min,
    /// The mean.
    Mean,
    /// Coefficient of variation: standard deviation / mean.
    Variation,
    /// Growth over a length of time, as a share of the level at the start.
    Growth,
    /// Distance of the level after the run from that before it, as a share of the latter.
    Returns,
}

/// `each: 10s`, `share: 99%`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Each {
    /// Length of a window, a whole number of seconds, at least 1 s; ns.
    pub every_ns: u64,
    /// Share of the windows in which it has to hold, above 0 and below 1; all when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// A claim from samples may be wrong in this share of cases.
pub const ALPHA: f64 = 0.05;

/// Samples below which a mean says too little: the usual least size for a normal approximation.
pub const LEAST_FOR_MEAN: u64 = 30;

/// Fewest samples with which "at most `allowed` are bad" can be claimed at 95 %, even if none is seen:
/// n ≥ ln 0.05 / ln(1 − allowed). At `allowed` ≤ 0 no number is enough for a proof, and what was seen decides: 1.
pub fn least_n(allowed: f64) -> u64 {
    if allowed <= 0.0 || allowed >= 1.0 {
        return 1;
    }
    // A limit such as 1 − 0.99 is a hair off; the hair must not ask for one sample more.
    (ALPHA.ln() / (-allowed).ln_1p() - 1e-6).ceil().max(1.0) as u64
}

impl Objective {
    /// Fewest samples with which this objective can be judged; 0 where time itself is the sample.
    pub fn least_n(&self) -> u64 {
        let is_upper = self.limit.op.is_upper();
        match self.stat {
            Stat::Percentile(p)
            | Stat::Service(p)
            | Stat::Connect(p)
            | Stat::FirstEvent(p)
            | Stat::EventGap(p)
            | Stat::Message(p) => least_n(if is_upper { 1.0 - p / 100.0 } else { p / 100.0 }),
            Stat::Mean => LEAST_FOR_MEAN,
            Stat::Max => 1,
            Stat::Containment(_) => 0,
            stat if stat.unit() == Unit::Share => {
                least_n(if is_upper { self.limit.value } else { 1.0 - self.limit.value })
            }
            _ => 0,
        }
    }
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
    /// (failed + timed out) / (sent − abandoned − unfinished), with the messages of WebSockets that were waited for and
    /// came or not, could not be said, or broke off.
    Errors,
    /// ok / (sent − abandoned − unfinished + drops that the target caused).
    Availability,
    /// Iterations completed / started (less those cut at the end).
    Completed,
    /// Requests answered a second.
    Rate,
    /// Highest rate of arrivals that held, found by a search.
    Capacity,
    /// Percentile of service time.
    Service(f64),
    /// Percentile of the time that connecting took.
    Connect(f64),
    /// Arrivals that found no free user / arrivals planned.
    Dropped,
    /// Iterations completed a second.
    Iterations,
    /// Connections made / tried; of a WebSocket step, upgrades made / tried.
    ConnectionsOk,
    /// Share of the time in which it was up.
    Uptime,
    /// The longest time in which it was down.
    LongestOutage,
    /// From the end of a spike or a fault until good windows hold.
    Recovery,
    /// 429 with Retry-After comes above this rate per user, and only above it.
    RateLimit,
    /// Of a watched series.
    Watched(SeriesStat),
    /// What the faults of some users do to the others.
    Containment(Harm),
    /// Percentile of the time to the first event of a stream.
    FirstEvent(f64),
    /// Percentile of the times between two events of a stream.
    EventGap(f64),
    /// Percentile of the round trips over a WebSocket.
    Message(f64),
}

/// What a statistic's figure is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Time,
    /// Fraction 0..1.
    Share,
    /// Per second.
    Rate,
    /// Whatever the target says.
    Plain,
}

impl Stat {
    /// Whether the statistic is a time of requests: of their response, service, connecting, events or messages.
    pub fn is_time(self) -> bool {
        matches!(self, Self::Percentile(_) | Self::Mean | Self::Max | Self::Service(_) | Self::Connect(_))
            || self.is_of_streams()
    }

    /// Whether the statistic is a time of events or messages.
    pub fn is_of_streams(self) -> bool {
        matches!(self, Self::FirstEvent(_) | Self::EventGap(_) | Self::Message(_))
    }

    /// Whether the statistic is a rate a second.
    pub fn is_rate(self) -> bool {
        self.unit() == Unit::Rate
    }

    /// What the figure is measured in.
    pub fn unit(self) -> Unit {
        match self {
            Self::Rate | Self::Capacity | Self::Iterations | Self::RateLimit => Unit::Rate,
            Self::LongestOutage | Self::Recovery => Unit::Time,
            Self::Watched(SeriesStat::Max | SeriesStat::Min | SeriesStat::Mean) => Unit::Plain,
            _ if self.is_time() => Unit::Time,
            _ => Unit::Share,
        }
    }

    /// Whether the figure can be told of a window of the run.
    pub fn has_windows(self) -> bool {
        !matches!(self, Self::Capacity | Self::RateLimit | Self::Watched(_) | Self::Containment(_))
            && !self.is_of_outages()
    }

    /// Whether its figure has an interval that `mode: confident` can ask for.
    pub fn has_interval(self) -> bool {
        self.has_windows() && self != Self::Max
    }

    /// Whether the figure follows from when it was up and when down.
    pub fn is_of_outages(self) -> bool {
        matches!(self, Self::Uptime | Self::LongestOutage | Self::Recovery)
    }

    /// Whether the figure belongs to iterations or arrivals, which have no target, step or tag.
    pub fn is_of_iterations(self) -> bool {
        matches!(self, Self::Completed | Self::Dropped | Self::Iterations)
    }

    /// Whether smaller is better.
    pub fn wants_less(self) -> bool {
        self.unit() == Unit::Time || matches!(self, Self::Errors | Self::Dropped | Self::Containment(_))
    }

    /// Whether the figure of some steps follows from those steps alone and a miss of all of them from a miss of some,
    /// so that it can be told which service is to blame.
    pub fn is_of_steps(self) -> bool {
        self.is_time() || matches!(self, Self::Errors | Self::Availability | Self::ConnectionsOk)
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
            Self::Service(p) => format!("service_p{p}"),
            Self::Connect(p) => format!("connect_p{p}"),
            Self::FirstEvent(p) => format!("first_event_p{p}"),
            Self::EventGap(p) => format!("event_gap_p{p}"),
            Self::Message(p) => format!("message_p{p}"),
            Self::Dropped => "dropped".into(),
            Self::Iterations => "iterations".into(),
            Self::ConnectionsOk => "connections_ok".into(),
            Self::Uptime => "uptime".into(),
            Self::LongestOutage => "longest_outage".into(),
            Self::Recovery => "recovery".into(),
            Self::RateLimit => "rate_limit".into(),
            Self::Containment(Harm::Errors) => "containment errors".into(),
            Self::Containment(Harm::Mean) => "containment mean".into(),
            Self::Watched(stat) => match stat {
                SeriesStat::Max => "max",
                SeriesStat::Min => "min",
                SeriesStat::Mean => "mean",
                SeriesStat::Variation => "variation",
                SeriesStat::Growth => "growth",
                SeriesStat::Returns => "returns",
            }
            .into(),
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
