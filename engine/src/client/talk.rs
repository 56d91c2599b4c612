//! One request over one HTTP/1.1 connection: sent, heard out or given up.
//! In: a request and a connection. Out: what the try came to.

use super::answer::{Ending, Outgoing, Via};
use super::connect::{Connection, Line, classify_io};
use super::framing::{self};
use super::leaving::Departure;
use super::received::Received;
use super::two;
use super::wire::{Endpoint, Wire};
use crate::failure::Transport;
use crate::faults::Leaving;
use crate::timer::Timer;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

/// A body that fits into any socket's buffer, bytes: it is written whole before its answer can be there.
const USUALLY_SENT: u64 = 8 << 10;

/// What one try came to.
pub(super) enum Attempt {
    Over(Ending),
    /// The connection was closed before a byte was written; here is the request again.
    NeverSent(Box<Request<Full<Bytes>>>),
}

/// Sends, and hears the answer out or gives it up.
pub(super) async fn send(
    wire: &Wire,
    connection: &mut Connection,
    request: &mut Option<Request<Full<Bytes>>>,
    out: &Outgoing,
    received: &mut Received,
) -> Attempt {
    connection.last = Some((out.request, out.uri.path_and_query().cloned()));
    connection.asked = wire.recent();
    let endpoint = &wire.targets[out.target];
    if out.orders.slow_reader {
        connection.traffic.slowness.begin(out.timeout_ns);
    }
    if let Some(body) = request.as_ref().filter(|_| out.orders.large_body && !connection.is_two()).map(Request::body) {
        connection.traffic.hesitation.begin(body.size_hint().exact().unwrap_or(0));
    }
    match (out.orders.abandon, wire.timer.get()) {
        (Some(leaving), Some(timer)) => {
            received.departure = Departure::of(leaving);
            if !Departure::is_timed(leaving.at) {
                return talk(wire, endpoint, connection, request, received).await;
            }
            let patience = patience(wire, timer, leaving);
            leave_after(patience, talk(wire, endpoint, connection, request, received)).await
        }
        _ => talk(wire, endpoint, connection, request, received).await,
    }
}

/// Ready when a request that is sent now is to be given up.
fn patience(wire: &Wire, timer: &Timer, leaving: Leaving) -> impl Future<Output = ()> {
    timer.sleep_until(wire.clock.now().saturating_add(leaving.after))
}

/// The talk's first turn sends the request; after that, whoever has left reads nothing that has come since.
async fn leave_after(patience: impl Future<Output = ()>, talk: impl Future<Output = Attempt>) -> Attempt {
    let (mut patience, mut talk) = (pin!(patience), pin!(talk));
    let mut is_sent = false;
    poll_fn(|cx| {
        if is_sent && patience.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Attempt::Over(Ending::Abandoned));
        }
        is_sent = true;
        match talk.as_mut().poll(cx) {
            Poll::Ready(attempt) => Poll::Ready(attempt),
            Poll::Pending => patience.as_mut().poll(cx).map(|()| Attempt::Over(Ending::Abandoned)),
        }
    })
    .await
}

async fn talk(
    wire: &Wire,
    endpoint: &Endpoint,
    connection: &mut Connection,
    request: &mut Option<Request<Full<Bytes>>>,
    received: &mut Received,
) -> Attempt {
    // Whoever sends it takes it out of its place: it is moved once.
    let Some(request) = request.take() else {
        return Attempt::Over(Ending::Failed(Transport::Closed));
    };
    let Line::One { sender, driver } = &mut connection.line else {
        // Boxed: the common case should not make room for it in every user.
        return Box::pin(two::talk(wire, endpoint, connection, request, received)).await;
    };
    connection.ordinal += 1;
    connection.may_hold_back =
        wire.network.get().is_some() || !matches!(request.body().size_hint().exact(), Some(0..=USUALLY_SENT));
    received.via = Via {
        local_port: connection.local_port,
        ordinal: connection.ordinal,
        since: connection.since,
        is_http2: false,
        handed: connection.handed,
        is_beside: false,
    };
    (received.bytes_received, received.bytes_sent) = connection.traffic.so_far();
    received.times.sent = Some(wire.now());
    let mut head = pin!(sender.try_send_request(request));
    let head = poll_fn(|cx| {
        // The head first: when the driver ends it has already handed over what it knows.
        if !connection.ended && framing::has_ended(driver.as_mut().poll(cx), &mut connection.is_unasked) {
            connection.ended = true;
        }
        head.as_mut().poll(cx)
    })
    .await;
    match head {
        Ok(_) if received.leaves_at_head() => Attempt::Over(Ending::Abandoned),
        Ok(response) => {
            let mut response = response;
            received.status = response.status().as_u16();
            received.headers = std::mem::take(response.headers_mut());
            if let Some(reason) = response.extensions().get::<hyper::ext::ReasonPhrase>() {
                received.reason = reason.as_bytes().to_vec();
            }
            let body = response.into_body();
            received.read_codings();
            if let Err(failure) = received.begin_body(endpoint.limits.body_bytes) {
                return Attempt::Over(Ending::Failed(failure));
            }
            Attempt::Over(collect(wire, connection, body, received, endpoint.limits.body_bytes).await)
        }
        Err(mut error) => match error.take_message() {
            Some(request) if framing::is_of_unasked_bytes(error.error()) => {
                connection.is_unasked = true;
                // It never went out.
                connection.ordinal -= 1;
                received.times.sent = None;
                Attempt::NeverSent(Box::new(request))
            }
            Some(request) if connection.traffic.so_far().1 == received.bytes_sent => {
                received.times.sent = None;
                Attempt::NeverSent(Box::new(request))
            }
            _ => Attempt::Over(Ending::Failed(classify(error.error()))),
        },
    }
}

/// Reads the body to its end into the user's buffer.
async fn collect(
    wire: &Wire,
    connection: &mut Connection,
    body: Incoming,
    received: &mut Received,
    limit: usize,
) -> Ending {
    let mut body = body;
    if body.is_end_stream() {
        return Ending::Complete;
    }
    let (ending, is_over) = poll_fn(|cx| {
        loop {
            if received.has_left(wire, cx) {
                return Poll::Ready((Ending::Abandoned, false));
            }
            let mut frame = Pin::new(&mut body).poll_frame(cx);
            if frame.is_pending() {
                connection.drive(cx);
                frame = Pin::new(&mut body).poll_frame(cx);
            }
            match std::task::ready!(frame) {
                None => return Poll::Ready((Ending::Complete, false)),
                Some(Err(error)) => return Poll::Ready((Ending::Failed(classify(&error)), false)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if received.raw.len() + data.len() > limit => {
                        return Poll::Ready((Ending::Failed(Transport::BodyTooLarge), false));
                    }
                    Ok(data) => match received.take_in(wire, &data) {
                        Ok(true) if body.is_end_stream() => {}
                        Ok(true) => received.note_piece(wire),
                        Ok(false) => return Poll::Ready((Ending::Complete, true)),
                        Err(failure) => return Poll::Ready((Ending::Failed(failure), false)),
                    },
                    Err(frame) => received.add_trailers(frame.into_trailers().unwrap_or_default()),
                },
            }
        }
    })
    .await;
    if is_over {
        connection.rest = Some(body);
        // What is there already is read before the connection may be given up.
        poll_fn(|cx| {
            connection.drive(cx);
            Poll::Ready(())
        })
        .await;
    }
    ending
}

fn classify(error: &hyper::Error) -> Transport {
    use std::error::Error as _;
    if error.is_parse() {
        // The library tells clients of this case in words only.
        let is_too_large = error.to_string().contains("too large");
        return if is_too_large { Transport::HeadTooLarge } else { Transport::Malformed };
    }
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return classify_io(io);
        }
        source = inner.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        Transport::Closed
    } else {
        Transport::Broken
    }
}
