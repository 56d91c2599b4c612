//! HTTP/2 on a user's own connection, polled in the user's own task: no tasks beside it, none to leak.
//! In: a request. Out: its answer, read as far as it came, or the named reason why there is none.

use super::answer::{Ending, Via};
use super::connect::{Connection, Line, Stream};
use super::received::Received;
use super::shared::Trunk;
use super::tail::{self, Tail};
use super::talk::Attempt;
use super::wire::{Endpoint, Wire};
use crate::failure::{Code, Transport};
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::request::Parts;
use http::{HeaderMap, Request, Uri, header};
use http_body_util::{BodyExt, Collected, Full};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// What a target may send ahead of our reading: on a stream, and on a connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// What pieces of bodies that wait to be read may cost beside their bytes: some 16,000 tiny ones, as a server sends that
/// has a whole answer's words at hand.
const PIECES: usize = 4 << 20;
/// Interim answers (1xx) to one request; more come from a target that never means to answer.
const MOST_INTERIM: u32 = 64;

/// A head beyond the limit is read this many times the limit far, so that it can be called by its name; the library tells
/// one that it refuses from a garbled one only when it is several times larger still.
const ROOM: usize = 4;

/// An HTTP/2 connection.
pub struct Two {
    pub(super) sender: SendRequest<Bytes>,
    pub(super) driver: Driver,
    /// Why it ended, if by an error.
    why: Option<Transport>,
}

/// Who lets the connection work.
pub(super) enum Driver {
    /// Its only user.
    Own(Pin<Box<h2::client::Connection<Stream, Bytes>>>),
    /// A task, for all who share it.
    Shared(Arc<Trunk>),
}

impl Two {
    /// A user's part in a connection that several have.
    pub(super) fn shared(sender: SendRequest<Bytes>, trunk: Arc<Trunk>) -> Self {
        Self { sender, driver: Driver::Shared(trunk), why: None }
    }

    /// Lets the connection work; ready at its end.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.why = match &mut self.driver {
            Driver::Own(driver) => ready!(driver.as_mut().poll(cx)).err().map(|e| classify(&e)),
            Driver::Shared(trunk) => match trunk.end() {
                Some(why) => why,
                None => return Poll::Pending,
            },
        };
        Poll::Ready(())
    }

    fn is_shared(&self) -> bool {
        matches!(self.driver, Driver::Shared(_))
    }
}

/// Greets the target in HTTP/2.
pub async fn greet(stream: Stream, endpoint: &Endpoint) -> Result<Two, Transport> {
    let greeting = Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .data_frame_budget(PIECES)
        .max_header_list_size(u32::try_from(endpoint.limits.head_bytes.saturating_mul(ROOM)).unwrap_or(u32::MAX))
        .handshake(stream)
        .await;
    let (sender, driver) = greeting.map_err(|e| classify(&e))?;
    Ok(Two { sender, driver: Driver::Own(Box::pin(driver)), why: None })
}

/// Sends, and hears the answer out.
pub(super) async fn talk(
    wire: &Wire,
    endpoint: &Endpoint,
    connection: &mut Connection,
    request: Request<Full<Bytes>>,
    received: &mut Received,
) -> Attempt {
    connection.ordinal += 1;
    received.via = Via {
        local_port: connection.local_port,
        ordinal: connection.ordinal,
        since: connection.since,
        is_http2: true,
        handed: None,
        is_beside: false,
    };
    (received.bytes_received, received.bytes_sent) = connection.traffic.so_far();
    // On a connection that was idle a refusal may come of what happened before this request.
    let spare = (connection.ordinal > 1).then(|| Box::new(request.clone()));
    // A goodbye that has come meanwhile is heard before the request goes out.
    poll_fn(|cx| {
        connection.drive(cx);
        Poll::Ready(())
    })
    .await;
    if connection.ended
        && let Some(request) = spare
    {
        return Attempt::NeverSent(request);
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(Collected::to_bytes);
    let request = head(endpoint, parts, &body);
    received.times.sent = Some(wire.clock.now());
    match exchange(wire, endpoint, connection, request, body, received).await {
        Ok(ending) => Attempt::Over(ending),
        Err(_) if spare.is_some() && connection.traffic.so_far().1 == received.bytes_sent => {
            received.times.sent = None;
            connection.ended = true;
            spare.map_or(Attempt::Over(Ending::Failed(Transport::Closed)), Attempt::NeverSent)
        }
        Err(failure) => Attempt::Over(Ending::Failed(failure)),
    }
}

async fn exchange(
    wire: &Wire,
    endpoint: &Endpoint,
    connection: &mut Connection,
    request: Request<()>,
    body: Bytes,
    received: &mut Received,
) -> Result<Ending, Transport> {
    let asked = wire.clock.now();
    let size = head_size(request.headers()) + request.uri().path().len() + body.len();
    let (mut response, _stream) = open(connection, request, body).await?;
    if !connection.ended {
        count(connection, 0, size);
    }
    if connection.waited_for_stream {
        connection.waited_for_stream = false;
        // The target allows no more streams at once: waiting for one is its time, not our lateness.
        let now = wire.clock.now();
        received.times.waited += now.saturating_sub(asked);
        (received.times.ready, received.times.sent) = (now, Some(now));
    }
    let answer = answer(connection, &mut response).await?;
    if received.leaves_at_head() {
        return Ok(Ending::Abandoned);
    }
    let (parts, body) = answer.into_parts();
    received.status = parts.status.as_u16();
    received.headers = parts.headers;
    let head_bytes = head_size(&received.headers);
    count(connection, head_bytes, 0);
    if received.headers.len() > endpoint.limits.headers || head_bytes > endpoint.limits.head_bytes {
        return Err(Transport::HeadTooLarge);
    }
    received.read_codings();
    received.begin_body(endpoint.limits.body_bytes)?;
    collect(wire, connection, body, received, endpoint.limits.body_bytes).await
}

/// Opens a stream as soon as the target allows one. The request is sent whole; flow control holds back what is too much.
async fn open(
    connection: &mut Connection,
    request: Request<()>,
    body: Bytes,
) -> Result<(ResponseFuture, SendStream<Bytes>), Transport> {
    let Line::Two(two) = &connection.line else { return Err(Transport::Broken) };
    // A sender of its own: it knows whether this very stream still waits to be opened.
    let mut sender = two.sender.clone();
    let (response, mut stream) = sender.send_request(request, body.is_empty()).map_err(|e| classify(&e))?;
    if !body.is_empty() {
        stream.send_data(body, true).map_err(|e| classify(&e))?;
    }
    let mut turns = 0;
    poll_fn(|cx| {
        connection.drive(cx);
        if connection.ended {
            // The answer may have come with the end; whoever asks for it is told.
            return Poll::Ready(Ok(()));
        }
        let opened = sender.poll_ready(cx).map_err(|e| classify(&e));
        turns += 1;
        connection.waited_for_stream |= opened.is_pending() || turns > 1;
        opened
    })
    .await?;
    Ok((response, stream))
}

async fn answer(
    connection: &mut Connection,
    response: &mut ResponseFuture,
) -> Result<http::Response<RecvStream>, Transport> {
    let mut interim = 0;
    poll_fn(|cx| {
        connection.drive(cx);
        while let Poll::Ready(Some(Ok(_))) = response.poll_informational(cx) {
            interim += 1;
            if interim > MOST_INTERIM {
                return Poll::Ready(Err(Transport::Interim));
            }
        }
        match Pin::new(&mut *response).poll(cx) {
            Poll::Pending if connection.ended => Poll::Ready(Err(why(connection))),
            other => other.map_err(|e| classify(&e)),
        }
    })
    .await
}

/// Reads the body to its end; what was read is given back to the target's window as it is read.
async fn collect(
    wire: &Wire,
    connection: &mut Connection,
    body: RecvStream,
    received: &mut Received,
    limit: usize,
) -> Result<Ending, Transport> {
    let mut body = body;
    let mut is_over = false;
    let ending = poll_fn(|cx| {
        loop {
            if received.has_left(wire, cx) {
                return Poll::Ready(Ok(Ending::Abandoned));
            }
            let mut data = body.poll_data(cx);
            if data.is_pending() {
                connection.drive(cx);
                data = body.poll_data(cx);
            }
            match data {
                Poll::Pending if connection.ended => return Poll::Ready(Err(why(connection))),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => break,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(classify(&error))),
                Poll::Ready(Some(Ok(data))) if received.raw.len() + data.len() > limit => {
                    return Poll::Ready(Err(Transport::BodyTooLarge));
                }
                Poll::Ready(Some(Ok(data))) => {
                    count(connection, data.len(), 0);
                    let wants_more = received.take_in(wire, &data);
                    // A stream that is reset meanwhile has no window any more; its error comes with the next read.
                    let _ = body.flow_control().release_capacity(data.len());
                    match wants_more {
                        Ok(true) if body.is_end_stream() => {}
                        Ok(true) => received.note_piece(wire),
                        Ok(false) => {
                            is_over = true;
                            return Poll::Ready(Ok(Ending::Complete));
                        }
                        Err(failure) => return Poll::Ready(Err(failure)),
                    }
                }
            }
        }
        connection.drive(cx);
        match ready!(body.poll_trailers(cx)) {
            Ok(trailers) => {
                received.add_trailers(trailers.unwrap_or_default());
                Poll::Ready(Ok(Ending::Complete))
            }
            Err(error) => Poll::Ready(Err(classify(&error))),
        }
    })
    .await;
    if is_over {
        connection.tails.extend(Tail::of(body, connection, received.via));
        tail::shorten(&mut connection.tails);
        poll_fn(|cx| {
            connection.drive(cx);
            Poll::Ready(())
        })
        .await;
    }
    ending
}

/// As the protocol counts it: RFC 9113, 6.5.2.
fn head_size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 32).sum()
}

/// Bytes of a stream among others; whoever has a connection alone counts what goes over it.
fn count(connection: &Connection, read: usize, written: usize) {
    if let Line::Two(two) = &connection.line
        && two.is_shared()
    {
        connection.traffic.count(read, written);
    }
}

fn why(connection: &Connection) -> Transport {
    match &connection.line {
        Line::Two(two) => two.why.unwrap_or(Transport::Closed),
        Line::One { .. } | Line::Parked(_) => Transport::Closed,
    }
}

/// The request as HTTP/2 says it: the whole address, no headers of the connection.
fn head(endpoint: &Endpoint, parts: Parts, body: &Bytes) -> Request<()> {
    let mut parts = parts;
    let host = parts.headers.remove(header::HOST);
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE] {
        parts.headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "http2-settings"] {
        parts.headers.remove(name);
    }
    let has_body = !body.is_empty() || parts.method == http::Method::POST || parts.method == http::Method::PUT;
    if has_body && !parts.headers.contains_key(header::CONTENT_LENGTH) {
        parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    let authority = host.as_ref().and_then(|h| h.to_str().ok()).unwrap_or(&endpoint.host);
    let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let scheme = if endpoint.tls.is_some() { "https" } else { "http" };
    // A host header that is no authority is the scenario's own wish; the target's own name then stands for it.
    if let Ok(uri) = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build() {
        parts.uri = uri;
    } else if let Ok(uri) = Uri::builder().scheme(scheme).authority(endpoint.host.as_str()).path_and_query(path).build()
    {
        parts.uri = uri;
    }
    parts.version = http::Version::HTTP_2;
    Request::from_parts(parts, ())
}

pub(super) fn classify(error: &h2::Error) -> Transport {
    if let Some(io) = error.get_io() {
        // An end in mid-answer: the library's own words, not the system's, in which we had written to somebody gone.
        if io.to_string().contains("because of a broken pipe") {
            return Transport::Closed;
        }
        return super::connect::classify_io(io);
    }
    let reason = error.reason().unwrap_or(Reason::INTERNAL_ERROR);
    if error.is_go_away() && error.is_remote() {
        Transport::GoAway(Code(reason.into()))
    } else if error.is_reset() && error.is_remote() {
        Transport::StreamReset(Code(reason.into()))
    } else if error.is_library() && reason == Reason::ENHANCE_YOUR_CALM {
        // The library's word for several excesses; which, it says in words only.
        if error.to_string().contains("data_frames") { Transport::Flood } else { Transport::HeadTooLarge }
    } else if error.is_library() {
        Transport::Malformed
    } else {
        Transport::Closed
    }
}
