//! The layers of what arrives: each place of an answer in which somebody else's data could stand.
//! In: an answer. Out: its spots. The user and the calibration read answers through this one list.

use crate::client::answer::Answer;
use http::header::SET_COOKIE;

/// Kinds of places in an answer, in a stream and on a WebSocket.
pub const ALL: [&str; 8] =
    ["body", "status line", "header", "cookie", "event", "joined text", "message", "close reason"];

/// A bit of its own for each kind of place; none for an unknown one.
pub fn bit(kind: &str) -> u8 {
    ALL.iter().position(|name| *name == kind).map_or(0, |at| 1 << at)
}

/// Where something stood: a place with a name, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Spot<'a> {
    /// What groups leaks: a server that makes up header names must not make up groups.
    pub kind: &'static str,
    /// Which one of its kind: a header's name, a socket's address; empty where there is only one.
    pub name: &'a str,
    /// The text that stood there.
    pub text: &'a [u8],
}

impl<'a> Spot<'a> {
    /// A place of which there is one: `body`, `status line`, `message`, `event`, `close reason`.
    pub fn one(kind: &'static str, text: &'a [u8]) -> Self {
        Self { kind, name: "", text }
    }

    /// One header or trailer.
    pub fn header(name: &'a str, text: &'a [u8]) -> Self {
        Self { kind: "header", name, text }
    }

    /// The place in evidence: `body`, `status line`, `header x-user`.
    pub fn words(self) -> String {
        if self.name.is_empty() { self.kind.to_owned() } else { format!("{} {}", self.kind, self.name) }
    }
}

/// Everything in an answer: body or the part of it that came, status line, headers and trailers, cookies.
pub fn spots<'a>(answer: &'a Answer<'_>) -> impl Iterator<Item = Spot<'a>> {
    let headers = answer.headers.iter().map(|(name, value)| match name {
        name if name == SET_COOKIE => Spot::one("cookie", value.as_bytes()),
        name => Spot::header(name.as_str(), value.as_bytes()),
    });
    // An event may join what lines cut, and the pieces what events cut.
    let streamed = answer.heard.into_iter();
    let streamed = streamed.flat_map(|heard| [Spot::one("event", &heard.data), Spot::one("joined text", &heard.text)]);
    // What says that it is compressed and is not may still hold somebody's words.
    let plain =
        [Spot::one("body", answer.body), Spot::one("body", answer.undecoded), Spot::one("status line", answer.reason)];
    plain.into_iter().chain(streamed).chain(headers)
}
