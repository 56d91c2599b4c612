//! What a request and its answer are to a virtual user: plain data, the same in a real run and in simulation.
//! In: the client. Out: read by checks, saves, the scanner and the recorder.

use super::events::Heard;
use crate::clock::Nanos;
use crate::failure::Transport;
use crate::faults::Orders;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use scenarios::streams::Events;
use scenarios::value::Value;
use std::sync::Arc;

/// A rendered request.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Index into `Program::requests`.
    pub request: usize,
    /// Index into `Program::targets`.
    pub target: usize,
    /// Method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// Headers without `content-length` and cookies.
    pub headers: HeaderMap,
    /// `host` is among the headers for sure; else it is looked for and set.
    pub names_host: bool,
    /// Body; empty for none. Taken when it is sent.
    pub body: Vec<u8>,
    /// The body as it was sent, and the rendered headers: what comes back of them is no leak.
    pub sent_body: Bytes,
    /// Values of the headers that were rendered for this request.
    pub sent_headers: Vec<HeaderValue>,
    /// Time limit, ns.
    pub timeout_ns: u64,
    /// How many requests its user may have under way at one time; 0 counts as 1.
    pub own: u32,
    /// What it is to suffer.
    pub orders: Orders,
    /// How its answer is read as server-sent events.
    pub events: Option<Arc<Events>>,
    /// It opens a WebSocket, with a ping so often (ns) if at all.
    pub upgrade: Option<Option<u64>>,
    /// The redirects that were followed so far; `None` for a request that was not redirected.
    pub hops: Option<Box<Hops>>,
    /// The cookies that were sent with it, if any.
    pub sent_cookies: Option<HeaderValue>,
    /// Beside the user's own doing: its cookies are neither sent nor changed.
    pub aside: bool,
    /// Scheme, host and port of a whole URL that leads to none of the targets. Taken when it is sent.
    pub elsewhere: Option<Box<str>>,
}

/// What came before a redirected request, all of one sample.
#[derive(Debug, Default)]
pub struct Hops {
    /// Addresses asked so far, as `target path`.
    pub seen: Vec<(usize, Uri)>,
    /// The body goes with it to the next address.
    pub keeps_body: bool,
    /// Times of the first request.
    pub first: Times,
    /// Bytes (sent, received) so far.
    pub bytes: (u64, u64),
    /// The present time limit ends then.
    pub deadline: Nanos,
    /// Cookies set on the way that the step saves, by name; the latest of each.
    pub cookies: Vec<(String, Value)>,
}

/// How the exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A whole answer.
    Complete,
    /// None, or half of one.
    Failed(Transport),
    /// Not within the request's time limit.
    TimedOut,
    /// Given up on purpose.
    Abandoned,
    /// The run ended first.
    Cut,
    /// Our own machine could not (descriptors, ports).
    GeneratorError,
}

/// The times of one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// When a connection was there, t_r; the due time if it was there already.
    pub ready: Nanos,
    /// When the request was handed to the connection, t_s; `None` if it never was.
    pub sent: Option<Nanos>,
    /// Last byte, or when it was given up, t_c.
    pub done: Nanos,
    /// How long connecting took, if a connection was made for this request.
    pub connect: Option<Nanos>,
    /// How long we ourselves kept the answer waiting, reading slowly on purpose; no time of the target's.
    pub held: Nanos,
    /// How long the connection was there but not free for this request: no lateness of ours.
    pub waited: Nanos,
}

/// The connection that an answer came on, for evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Via {
    /// Our port.
    pub local_port: u16,
    /// Number of the request on this connection, from 1.
    pub ordinal: u32,
    /// When the connection was made.
    pub since: Nanos,
    /// Over HTTP/2.
    pub is_http2: bool,
    /// It was another user's before.
    pub handed: Option<Handed>,
    /// Another user's request to the same target was under way meanwhile.
    pub is_beside: bool,
}

/// How a connection came from one user to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handed {
    /// Number of the user who left it.
    pub by: u32,
    /// Number of the first request of its present user on it.
    pub ordinal: u32,
}

/// What came back.
#[derive(Debug)]
pub struct Answer<'a> {
    /// How it ended.
    pub ending: Ending,
    /// Whether any byte of the request may have been written.
    pub delivered: bool,
    /// Status; 0 if no head came.
    pub status: u16,
    /// Reason phrase, if it is not the usual one.
    pub reason: &'a [u8],
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Body after decoding; what there is of it when the exchange broke off.
    pub body: &'a [u8],
    /// The body as it came, where it could not be decoded as its headers say; else empty.
    pub undecoded: &'a [u8],
    /// Content codings taken off, outermost first.
    pub codings: &'a [super::decode::Coding],
    /// Times.
    pub times: Times,
    /// Connection.
    pub via: Via,
    /// Bytes sent, as far as known.
    pub bytes_sent: u64,
    /// Bytes received before decoding, as far as known.
    pub bytes_received: u64,
    /// The events, where the answer was read as some.
    pub heard: Option<&'a Heard>,
}

/// Whether a header of this name is among `headers`. For what is asked of every answer: they have a handful of headers,
/// and comparing those costs less than looking one up that is not there.
pub fn names(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.keys().any(|known| known == name)
}

impl Answer<'_> {
    /// The text that was said: of events their joined pieces or their data, else the body.
    pub fn said(&self) -> &[u8] {
        self.heard.map_or(self.body, Heard::said)
    }

    /// Where JSON paths look: the last event that may be JSON, else the body.
    pub fn document(&self) -> &[u8] {
        self.heard.map_or(self.body, Heard::document)
    }
}
