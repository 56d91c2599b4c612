//! What a virtual user looks for in each answer: markers it may not see, identities that are not its own,
//! credentials that another account holds, forbidden reads that succeed.
//! In: an answer, a message or an event. Out: leaks with their evidence to the recorder, and whether a permitted
//! marker was seen.

mod audiences;
pub(super) mod contamination;
mod coverage;
mod credentials;
pub(super) mod echo;
mod evidence;
mod framing;
mod identity;
mod probe;
mod scan;
pub(super) mod stale;
pub(super) mod writes;

use crate::client::answer::{Answer, Ending, Via};
use crate::client::decode::Coding;
use crate::clock::Nanos;
pub(super) use crate::isolation::layers::Spot;
use crate::isolation::marker::Marker;
use crate::isolation::scanner::Form;
use http::HeaderMap;
use scenarios::program::Request;

/// Which markers an answer held.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// One of the reader's own.
    pub own: bool,
    /// One of another account that the reader may see.
    pub permitted: bool,
    /// One of the reader's own, of its newest acknowledged write or later.
    pub latest: bool,
    /// One of another run.
    pub residue: bool,
    /// Where the own and the permitted ones stood: bits of [`crate::isolation::layers::bit`].
    pub places: u8,
}

/// What a spot came with: all that evidence says about the reader's side beside the account.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    /// The step that received it.
    pub step: usize,
    /// Whether the step is a probe.
    pub is_probe: bool,
    /// When it was asked for; for a message when it came.
    pub from: Nanos,
    /// When it was there, t_c.
    pub at: Nanos,
    /// On which connection.
    pub via: Via,
    /// Codings taken off, outermost first.
    pub codings: &'a [Coding],
    /// Headers of the answer; none for a message.
    pub headers: Option<&'a HeaderMap>,
    /// Whether it came as a whole.
    pub is_whole: bool,
    /// What it was, in evidence: `status 200`, `message 3 of the socket`.
    pub what: &'a dyn std::fmt::Display,
    /// What the user has sent on this connection beside the request itself; what comes back of it is no leak.
    pub sent: &'a [&'a [u8]],
}

impl<'a> Origin<'a> {
    /// The origin of everything in an answer.
    pub(super) fn of(plan: &Request, answer: &'a Answer<'a>) -> Self {
        Self {
            step: plan.step,
            is_probe: plan.probe.is_some(),
            from: answer.times.sent.unwrap_or(answer.times.done),
            at: answer.times.done,
            via: answer.via,
            codings: answer.codings,
            headers: Some(answer.headers),
            is_whole: answer.ending == Ending::Complete,
            what: answer,
            sent: &[],
        }
    }
}

/// In evidence an answer is its status.
impl std::fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "status {}", self.status)
    }
}

/// A foreign marker in an answer.
struct Foreign<'a> {
    owner: u32,
    marker: Option<Marker>,
    spot: Spot<'a>,
    offset: usize,
    form: Form,
}
