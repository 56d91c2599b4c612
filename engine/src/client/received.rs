//! What came of an exchange: the answer while it arrives, and afterwards.
//! In: the head and pieces of a body. Out: [`Answer`], lent to the virtual user.

use super::answer::{Answer, Ending, Times, Via};
use super::decode::{self, Coding};
use super::events::{LARGEST_EVENT, Listener};
use super::leaving::Departure;
use super::wire::Wire;
use crate::clock::Nanos;
use crate::failure::Transport;
use http::{HeaderMap, HeaderValue, header};
use scenarios::streams::Events;
use std::sync::Arc;
use std::task::Context;

/// What came of an exchange. Owns its parts; [`Received::answer`] lends them.
#[derive(Debug)]
pub struct Received {
    pub(super) ending: Ending,
    pub(super) delivered: bool,
    pub(super) status: u16,
    pub(super) reason: Vec<u8>,
    pub(super) headers: HeaderMap,
    pub(super) raw: Vec<u8>,
    pub(super) decoded: Option<Vec<u8>>,
    /// Its codings could not be taken off as a whole.
    pub(super) is_undecodable: bool,
    /// Its codings are none that we know; what came is looked at all the same.
    pub(super) unknown_coding: Option<Transport>,
    pub(super) codings: Vec<Coding>,
    pub(super) times: Times,
    pub(super) via: Via,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    /// How the body is to be read as events, and who does it while it arrives.
    pub(super) events: Option<Arc<Events>>,
    pub(super) listener: Option<Box<Listener>>,
    /// Where it is to be given up, if at a place.
    pub(super) departure: Option<Box<Departure>>,
}

impl Received {
    pub(super) fn new(due: Nanos, buffer: Vec<u8>) -> Self {
        Self {
            ending: Ending::Complete,
            delivered: false,
            status: 0,
            reason: Vec::new(),
            headers: HeaderMap::new(),
            raw: buffer,
            decoded: None,
            is_undecodable: false,
            unknown_coding: None,
            codings: Vec::new(),
            times: Times { ready: due, done: due, ..Times::default() },
            via: Via::default(),
            bytes_sent: 0,
            bytes_received: 0,
            events: None,
            listener: None,
            departure: None,
        }
    }

    /// What is said of a request that could not even be tried.
    pub(super) fn unsent(wire: &Wire, due: Nanos) -> Self {
        let mut received = Self::new(due, wire.take_buffer());
        received.times.done = wire.clock.now().max(due);
        received.ending = Ending::Failed(Transport::Tls);
        received
    }

    /// The answer, lent.
    pub fn answer(&self) -> Answer<'_> {
        Answer {
            ending: self.ending,
            delivered: self.delivered,
            status: self.status,
            reason: &self.reason,
            headers: &self.headers,
            body: self.decoded.as_deref().unwrap_or(&self.raw),
            undecoded: if self.is_undecodable { &self.raw } else { &[] },
            codings: &self.codings,
            times: self.times,
            via: self.via,
            bytes_sent: self.bytes_sent,
            bytes_received: self.bytes_received,
            heard: self.listener.as_ref().map(|listener| &listener.heard),
        }
    }

    /// The head is there: a good answer that is to be read as events has to be some.
    pub(super) fn begin_body(&mut self, most: usize) -> Result<(), Transport> {
        let Some(plan) = self.events.take().filter(|_| (200..300).contains(&self.status)) else {
            return Ok(());
        };
        let kind = self.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let kind = kind.split(|b| *b == b';').next().unwrap_or_default();
        if kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream") {
            self.listener = Some(Box::new(Listener::new(plan, &self.codings, LARGEST_EVENT.min(most), most)?));
        }
        Ok(())
    }

    /// Whether the user leaves before it reads the head that has come.
    pub(super) fn leaves_at_head(&self) -> bool {
        self.departure.as_ref().is_some_and(|departure| departure.is_at_head())
    }

    /// The head is there: which codings are to be taken off its body.
    pub(super) fn read_codings(&mut self) {
        match decode::codings(&self.headers) {
            Ok(codings) => self.codings = codings,
            Err(failure) => self.unknown_coding = Some(failure),
        }
    }

    /// A piece of the body came, and it is not the last.
    pub(super) fn note_piece(&mut self, wire: &Wire) {
        if let Some(departure) = &mut self.departure {
            departure.heard(self.listener.as_ref().map(|l| l.heard.times.len()), wire.clock.now());
        }
    }

    /// Whether the user has left in the middle of the body.
    pub(super) fn has_left(&mut self, wire: &Wire, cx: &Context<'_>) -> bool {
        self.departure.as_mut().is_some_and(|departure| departure.has_left(wire, cx))
    }

    /// A piece of the body came; answers whether more is wanted.
    pub(super) fn take_in(&mut self, wire: &Wire, data: &[u8]) -> Result<bool, Transport> {
        self.raw.extend_from_slice(data);
        match &mut self.listener {
            None => Ok(true),
            Some(listener) => listener.push(data, wire.clock.now()),
        }
    }

    /// Trailers are part of what the user received, so they are scanned like headers: beside those of the same name.
    pub(super) fn add_trailers(&mut self, trailers: HeaderMap) {
        trailers.into_iter().fold(None, |last, (name, value)| {
            let name = name.or(last);
            if let Some(name) = &name {
                self.headers.append(name.clone(), value);
            }
            name
        });
    }

    /// It is over: takes the codings off what there is, to at most `limit` bytes.
    pub(super) fn decode(&mut self, limit: usize) {
        if let (Ending::Complete, Some(failure)) = (self.ending, self.unknown_coding) {
            self.ending = Ending::Failed(failure);
        }
        if self.codings.is_empty() || self.raw.is_empty() {
            return;
        }
        // A stream of events was decoded while it came, and may go on behind its last event.
        if self.ending == Ending::Complete && self.listener.is_none() {
            match decode::decode(&self.codings, &self.raw, limit) {
                Ok(decoded) => self.decoded = decoded,
                Err(failure) => {
                    self.is_undecodable = true;
                    self.ending = Ending::Failed(failure);
                    self.decoded = decode::decode_part(&self.codings, &self.raw, limit);
                }
            }
        } else {
            self.decoded = decode::decode_part(&self.codings, &self.raw, limit);
        }
    }

    /// Gives the body's buffer back.
    pub fn recycle(self, wire: &Wire) {
        wire.give_back(self.raw);
    }
}
