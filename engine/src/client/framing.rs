//! Bytes that nobody asked for: what a target sends on an idle HTTP/1.1 connection, or behind the declared length of an
//! answer. The library ends such a connection; here its last bytes are kept for the report.
//! In: how a connection ended. Out: [`Stray`].

use super::answer::Via;
use super::connect::{Connection, Line};
use super::tail::Tail;
use crate::clock::Nanos;
use http::uri::PathAndQuery;
use std::pin::Pin;
use std::task::Poll;

/// What came without having been asked for.
#[derive(Debug)]
pub struct Stray {
    /// The bytes that the parser had not used.
    pub bytes: Vec<u8>,
    /// Nobody had asked for them. Else they stood where an answer's head should have been, or behind a stream's last
    /// event: no fault of the framing, but perhaps somebody's data.
    pub is_unasked: bool,
    /// Index into `Program::requests` of the last request on the connection, and what it asked for.
    pub last: (usize, Option<PathAndQuery>),
    /// The connection.
    pub via: Via,
    /// When that request was made: whoever the user is by now, it asked as who it was then.
    pub asked: Nanos,
}

/// Whether the driver has ended; `is_unasked` says whether because of such bytes.
pub fn has_ended(driver: Poll<hyper::Result<()>>, is_unasked: &mut bool) -> bool {
    match driver {
        Poll::Pending => false,
        Poll::Ready(end) => {
            *is_unasked |= end.is_err_and(|error| is_of_unasked_bytes(&error));
            true
        }
    }
}

/// The library tells of this case in words only; where a request was waiting it is the cause of the cancelling.
pub fn is_of_unasked_bytes(error: &hyper::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("unexpected message from connection") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Bytes of a broken answer that are kept: a page of somebody else's.
pub const MOST_KEPT: usize = 64 << 10;

/// What came behind a stream's last event and was read away, once it is over.
pub fn left_over(connection: &mut Connection) -> Option<Stray> {
    if let Some(over) = connection.tails.iter().position(Tail::is_over) {
        return connection.tails.remove(over).into_stray();
    }
    let bytes = std::mem::take(&mut connection.left);
    if bytes.is_empty() {
        return None;
    }
    Some(Stray {
        bytes,
        is_unasked: false,
        last: connection.last.clone()?,
        via: via(connection),
        asked: connection.asked,
    })
}

fn via(connection: &Connection) -> Via {
    Via {
        local_port: connection.local_port,
        ordinal: connection.ordinal,
        since: connection.since,
        is_http2: connection.is_two(),
        handed: connection.handed,
        is_beside: false,
    }
}

/// What a connection whose answer could not be read leaves behind.
pub fn unreadable(connection: Connection) -> Option<Stray> {
    stray(connection, false)
}

/// All that nobody asked for on a connection that is given up.
pub fn remains(connection: Option<Connection>) -> impl Iterator<Item = Stray> {
    let mut connection = connection;
    let tails = connection.as_mut().map(|connection| std::mem::take(&mut connection.tails)).unwrap_or_default();
    let left = connection.as_mut().and_then(left_over);
    tails.into_iter().filter_map(Tail::into_stray).chain(left).chain(connection.and_then(last_bytes))
}

/// The bytes with which a connection ended, if it ended because of them.
pub fn last_bytes(connection: Connection) -> Option<Stray> {
    if connection.is_unasked { stray(connection, true) } else { None }
}

fn stray(connection: Connection, is_unasked: bool) -> Option<Stray> {
    let (via, asked) = (via(&connection), connection.asked);
    let last = connection.last?;
    let mut bytes = match connection.line {
        Line::One { driver, .. } => Pin::into_inner(driver).into_parts().read_buf.to_vec(),
        Line::Parked(parked) => parked.unasked,
        Line::Two(_) => return None,
    };
    bytes.truncate(MOST_KEPT);
    (!bytes.is_empty()).then_some(Stray { bytes, is_unasked, last, via, asked })
}
