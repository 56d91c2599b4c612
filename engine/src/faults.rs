//! Faults provoked on purpose: what the client is asked to do besides sending, and how often each was done.
//! In: the virtual user's draws. Out: [`Orders`] for the client, [`FaultCounts`] for the result.

use crate::clock::Nanos;
use scenarios::faults::{GiveUp, Place};
use serde::{Deserialize, Serialize};

/// What a request is to suffer. Nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Orders {
    /// Give it up.
    pub abandon: Option<Leaving>,
    /// Close the user's connection before it and open a new one.
    pub reconnect: bool,
    /// Read its answer slowly.
    pub slow_reader: bool,
    /// Beside it a stranger sends something that no server should accept.
    pub stranger: Option<Stranger>,
    /// Its body is large and goes a moment after its head.
    pub large_body: bool,
    /// Send it over a connection that another user has left, if there is one; this user's number.
    pub swaps: Option<u32>,
    /// Leave its connection to the next user who swaps, once the answer is there; this user's number.
    pub leaves: Option<u32>,
}

/// When and how a request is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    /// So long after it was sent, or after the first piece or event where `at` says so; an answer that is complete by
    /// then is kept.
    pub after: Nanos,
    /// How.
    pub how: GiveUp,
    /// Where; `None`: wherever it is by then.
    pub at: Option<Place>,
}

/// How far exchanges were when they were given up, in the order of [`FaultCounts::abandoned_at`].
pub const ABANDONED_AT: [&str; 4] = ["before the head", "in the body", "in the stream", "on the WebSocket"];

/// Faults that are counted by name.
pub const FAULTS: usize = 12;

/// A request of the faulty cohort: on a connection of its own, outside all figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// A head or a body that is no HTTP.
    Malformed,
    /// Headers that are far too large.
    OversizeHeaders,
}

/// How often each fault was provoked, the warm-up left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FaultCounts {
    /// Requests given up in mid-flight.
    pub abandon: u64,
    /// Requests before which the connection was closed and opened anew.
    pub reconnect: u64,
    /// Answers read slowly.
    pub slow_reader: u64,
    /// Think times left out.
    pub think_zero: u64,
    /// Requests whose JSON body was sent behind more than 64 KiB of blanks.
    pub large_body: u64,
    /// Requests of the faulty cohort that were no HTTP.
    pub malformed: u64,
    /// Requests of the faulty cohort with far too large headers.
    pub oversize_headers: u64,
    /// Ids made by `client_id()` that other users made as well.
    pub equal_ids: u64,
    /// Users that went on as another account, on the same connections.
    pub switch_account: u64,
    /// Requests that went out at one instant with others for the same URL.
    pub same_url_burst: u64,
    /// Of `abandon`: how far the exchange was, by [`ABANDONED_AT`].
    pub abandoned_at: [u64; 4],
    /// Requests that went out at one instant with other users' to the same target, to be given up and made again.
    pub reload_burst: u64,
    /// Requests that went over a connection which another user had left.
    pub swap_connection: u64,
}

impl FaultCounts {
    /// Whether nothing was provoked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.abandon += other.abandon;
        self.reconnect += other.reconnect;
        self.slow_reader += other.slow_reader;
        self.think_zero += other.think_zero;
        self.large_body += other.large_body;
        self.malformed += other.malformed;
        self.oversize_headers += other.oversize_headers;
        self.equal_ids += other.equal_ids;
        self.switch_account += other.switch_account;
        self.same_url_burst += other.same_url_burst;
        self.reload_burst += other.reload_burst;
        self.swap_connection += other.swap_connection;
        for (mine, theirs) in self.abandoned_at.iter_mut().zip(other.abandoned_at) {
            *mine += theirs;
        }
    }

    /// All of them by the name that the language gives them.
    pub fn by_name(&self) -> [(&'static str, u64); FAULTS] {
        [
            ("abandon", self.abandon),
            ("reconnect", self.reconnect),
            ("slow_reader", self.slow_reader),
            ("think_zero", self.think_zero),
            ("large_body", self.large_body),
            ("malformed", self.malformed),
            ("oversize_headers", self.oversize_headers),
            ("equal_ids", self.equal_ids),
            ("switch_account", self.switch_account),
            ("same_url_burst", self.same_url_burst),
            ("reload_burst", self.reload_burst),
            ("swap_connection", self.swap_connection),
        ]
    }

    /// All of them together.
    pub fn sum(&self) -> u64 {
        self.by_name().iter().map(|(_, n)| n).sum()
    }
}
