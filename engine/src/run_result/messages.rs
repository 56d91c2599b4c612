//! Messages over WebSockets, counted apart from requests. `expected = matched + missed + unfinished`.
//! In: the recorder. Out: read by `reports`.

use serde::{Deserialize, Serialize};

/// Messages of one step, or a sum of steps. The warm-up is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Messages {
    /// Said by users.
    pub sent: u64,
    /// Could not be said: the connection was gone, or took nothing in time.
    pub not_sent: u64,
    /// Came, waited for or not; all are scanned.
    pub received: u64,
    /// Waited for.
    pub expected: u64,
    /// Of those: came.
    pub matched: u64,
    /// Of those: did not come in time, or the connection ended first.
    pub missed: u64,
    /// Of those: the run was cut first.
    pub unfinished: u64,
    /// Connections that broke while nobody waited.
    pub lost: u64,
    /// Connections given up on purpose, in the middle.
    pub abandoned: u64,
    /// Bytes of messages sent, without their frames.
    pub bytes_sent: u64,
    /// Bytes of messages received, without their frames.
    pub bytes_received: u64,
}

impl Messages {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Messages of which the outcome says something about the target: those waited for, less what the end of the run cut,
    /// those that could not be said, and connections that broke. That something could be said proves nothing.
    pub fn settled(&self) -> u64 {
        self.matched + self.failures()
    }

    /// What went wrong: not said, not answered, broken off.
    pub fn failures(&self) -> u64 {
        self.not_sent + self.missed + self.lost
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.not_sent += other.not_sent;
        self.received += other.received;
        self.expected += other.expected;
        self.matched += other.matched;
        self.missed += other.missed;
        self.unfinished += other.unfinished;
        self.lost += other.lost;
        self.abandoned += other.abandoned;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
    }
}
