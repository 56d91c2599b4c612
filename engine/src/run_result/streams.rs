//! Times of streams that objectives are about, and their exact counters.
//! In: objectives. Out: which time each is of; counters that are aligned with a step's limits.

use scenarios::objective::Stat;
use serde::{Deserialize, Serialize};

/// A time of an event stream or a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamTime {
    /// To the first event of a stream, from its intended start.
    FirstEvent,
    /// Between two events of a stream.
    EventGap,
    /// From a message's intended time to the one that was waited for.
    Message,
}

impl StreamTime {
    /// The time that a statistic is of; `None` if it is of no stream.
    pub fn of(stat: Stat) -> Option<Self> {
        match stat {
            Stat::FirstEvent(_) => Some(Self::FirstEvent),
            Stat::EventGap(_) => Some(Self::EventGap),
            Stat::Message(_) => Some(Self::Message),
            _ => None,
        }
    }

    /// Counts `ns` in `within` at each limit of this kind that it lies below.
    pub fn count(self, ns: u64, limits: &[(Self, u64)], within: &mut Vec<u64>) {
        if within.len() < limits.len() {
            within.resize(limits.len(), 0);
        }
        for (sum, (kind, limit)) in within.iter_mut().zip(limits) {
            *sum += u64::from(*kind == self && ns < *limit);
        }
    }
}

/// Adds counters to counters that are aligned with the same limits.
pub(crate) fn add_aligned(mine: &mut Vec<u64>, theirs: &[u64]) {
    if mine.len() < theirs.len() {
        mine.resize(theirs.len(), 0);
    }
    for (sum, count) in mine.iter_mut().zip(theirs) {
        *sum += count;
    }
}
