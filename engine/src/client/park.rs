//! Parking: while its user thinks, an HTTP/1.1 connection is only a socket. The parser and its buffers, two thirds of
//! what a thinking user costs, are given back, and made again for the next request; nothing goes over the wire for it.
//! In: an idle connection. Out: the same one, smaller; bytes that come to it meanwhile are kept as unasked.

use super::connect::{Connection, Line, Stream, speak};
use super::wire::Endpoint;
use crate::clock::{MILLISECOND, Nanos};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

/// A pause from which on parking is worth its price, some microseconds.
pub const WORTH_PARKING: Nanos = 200 * MILLISECOND;
/// Unasked bytes that are kept for the report.
const MOST_KEPT: usize = 512;

/// A connection without its parser.
#[derive(Debug)]
pub struct Parked {
    stream: Stream,
    /// What came without having been asked for.
    pub unasked: Vec<u8>,
}

impl Parked {
    /// Ready when the other side has ended it, or sent something that it should not have.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; MOST_KEPT];
        let mut buffer = ReadBuf::new(&mut bytes);
        // An error ends it as the end does: it carries nothing any more.
        let _ = std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        self.unasked.extend_from_slice(buffer.filled());
        Poll::Ready(())
    }
}

impl Connection {
    /// Gives the parser back, if the connection is idle and speaks HTTP/1.1.
    pub fn park(self) -> Self {
        // With the parser would go what it has not written yet.
        if !self.is_usable() || self.may_hold_back {
            return self;
        }
        let line = match self.line {
            Line::One { driver, .. } => {
                let parts = Pin::into_inner(driver).into_parts();
                Line::Parked(Box::new(Parked { stream: parts.io.into_inner(), unasked: parts.read_buf.to_vec() }))
            }
            other => other,
        };
        let has_stray = matches!(&line, Line::Parked(parked) if !parked.unasked.is_empty());
        Self { line, ended: has_stray, is_unasked: self.is_unasked || has_stray, ..self }
    }

    /// Whether it is parked and can be used again.
    pub fn is_parked(&self) -> bool {
        self.is_usable() && matches!(self.line, Line::Parked(_))
    }
}

/// Gives a parked connection a parser again. No byte is sent or read for it.
pub async fn unpark(connection: Option<Connection>, endpoint: &Endpoint) -> Option<Connection> {
    let connection = connection?;
    let line = match connection.line {
        Line::Parked(parked) => speak(parked.stream, endpoint).await.ok()?,
        other => other,
    };
    Some(Connection { line, ..connection })
}
