//! One exchange: request out, answer in, four times stamped. The one place that awaits requests.
//! In: an [`Outgoing`] and its due time. Out: [`Received`], whatever the target does.

use super::answer::{Answer, Ending, Outgoing, Times, Via};
use super::connect::{ConnectError, Connection, connect};
use super::cookies::Jar;
use super::decode::{self, Coding};
use super::elsewhere::Elsewhere;
use super::events::Listener;
use super::socket::Socket;
use super::stranger::Strangers;
use super::tls;
use crate::clock::{Clock, Nanos};
use crate::failure::Transport;
use crate::faults::{Leaving, Orders};
use crate::timer::{Reminder, Timer};
use bytes::Bytes;
use futures_util::future::OptionFuture;
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use rustls::ClientConfig;
use scenarios::faults::GiveUp;
use scenarios::program::Target;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;
use url::Url;

/// Limits that keep a hostile target from growing the generator.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of an answer's head.
    pub head_bytes: usize,
    /// Headers of an answer.
    pub headers: usize,
    /// Bytes of a body, before and after decoding.
    pub body_bytes: usize,
    /// Bytes of one event of a stream.
    pub event_bytes: usize,
    /// Bytes of one message of a WebSocket.
    pub message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_bytes: 256 << 10, headers: 100, body_bytes: 16 << 20, event_bytes: 1 << 20, message_bytes: 1 << 20 }
    }
}

/// A target as the client needs it.
#[derive(Debug)]
pub struct Endpoint {
    /// Base URL.
    pub base: Url,
    /// Host without port and brackets.
    pub host: String,
    host_header: HeaderValue,
    /// TLS, for https.
    pub tls: Option<Arc<ClientConfig>>,
    /// Time limit for connecting.
    pub connect_timeout_ns: u64,
    resolved: RefCell<Vec<SocketAddr>>,
}

/// What all users of a worker share.
#[derive(Debug)]
pub struct Wire {
    /// The run's clock.
    pub clock: Clock,
    /// Limits.
    pub limits: Limits,
    /// By target index.
    pub targets: Vec<Endpoint>,
    /// Set when the run's end cuts what is still going on; every waiting task is woken then.
    pub cut: Rc<Cell<bool>>,
    /// The worker's timer, by which requests are given up to the microsecond; without it none is given up.
    pub timer: OnceCell<Timer>,
    /// The faulty cohort's size at this moment.
    pub strangers: Strangers,
    /// Ways to hosts that are none of the targets, by origin.
    pub(super) elsewhere: RefCell<HashMap<Box<str>, Rc<Wire>>>,
    /// Body buffers at rest; a thinking user holds none.
    buffers: RefCell<Vec<Vec<u8>>>,
}

/// Body buffers kept at rest, and the largest that is worth keeping.
const BUFFERS_KEPT: usize = 64;
const LARGEST_BUFFER_KEPT: usize = 1 << 20;

impl Wire {
    /// The wire to `targets`. TLS configurations are made once per run and shared.
    pub fn new(
        clock: Clock,
        targets: &[Target],
        tls: &[Option<Arc<ClientConfig>>],
        limits: Limits,
    ) -> Result<Self, String> {
        let targets = targets.iter().zip(tls).map(|(t, tls)| endpoint(t, tls.clone())).collect::<Result<_, _>>()?;
        Ok(Self {
            clock,
            limits,
            targets,
            cut: Rc::default(),
            elsewhere: RefCell::default(),
            timer: OnceCell::new(),
            strangers: Strangers::default(),
            buffers: RefCell::default(),
        })
    }

    /// TLS configurations of `targets`, one each.
    pub fn tls_configs(targets: &[Target]) -> Result<Vec<Option<Arc<ClientConfig>>>, String> {
        targets.iter().map(tls::config).collect()
    }

    /// The addresses of a target, resolved at its first connection.
    pub async fn addresses(&self, index: usize) -> Result<Vec<SocketAddr>, ConnectError> {
        let endpoint = &self.targets[index];
        let known = endpoint.resolved.borrow().clone();
        if !known.is_empty() {
            return Ok(known);
        }
        let port = endpoint.base.port_or_known_default().unwrap_or(80);
        let found: Vec<_> = tokio::net::lookup_host((endpoint.host.as_str(), port))
            .await
            .map_err(|_| ConnectError::Target(Transport::Dns))?
            .collect();
        endpoint.resolved.borrow_mut().clone_from(&found);
        Ok(found)
    }

    fn take_buffer(&self) -> Vec<u8> {
        self.buffers.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a body buffer back.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        let mut buffers = self.buffers.borrow_mut();
        if buffers.len() < BUFFERS_KEPT && buffer.capacity() <= LARGEST_BUFFER_KEPT {
            buffer.clear();
            buffers.push(buffer);
        }
    }
}

fn endpoint(target: &Target, tls: Option<Arc<ClientConfig>>) -> Result<Endpoint, String> {
    let base =
        Url::parse(&target.url).map_err(|e| format!("target `{}`: {} is no URL: {e}", target.name, target.url))?;
    let host = base.host_str().ok_or_else(|| format!("target `{}`: {} names no host", target.name, target.url))?;
    let host_header = match base.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let host_header = HeaderValue::try_from(host_header).map_err(|e| format!("target `{}`: {e}", target.name))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let connect_timeout_ns = target.connect_timeout_ns;
    Ok(Endpoint { base, host, host_header, tls, connect_timeout_ns, resolved: RefCell::default() })
}

/// What came of an exchange. Owns its parts; [`Received::answer`] lends them.
#[derive(Debug)]
pub struct Received {
    pub(super) ending: Ending,
    delivered: bool,
    pub(super) status: u16,
    reason: Vec<u8>,
    pub(super) headers: HeaderMap,
    raw: Vec<u8>,
    decoded: Option<Vec<u8>>,
    codings: Vec<Coding>,
    times: Times,
    via: Via,
    bytes_sent: u64,
    bytes_received: u64,
    /// Reads the body as events while it arrives.
    listener: Option<Box<Listener>>,
}

impl Received {
    fn new(due: Nanos, buffer: Vec<u8>) -> Self {
        Self {
            ending: Ending::Complete,
            delivered: false,
            status: 0,
            reason: Vec::new(),
            headers: HeaderMap::new(),
            raw: buffer,
            decoded: None,
            codings: Vec::new(),
            times: Times { ready: due, sent: None, done: due, connect: None, held: 0 },
            via: Via::default(),
            bytes_sent: 0,
            bytes_received: 0,
            listener: None,
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
            codings: &self.codings,
            times: self.times,
            via: self.via,
            bytes_sent: self.bytes_sent,
            bytes_received: self.bytes_received,
            heard: self.listener.as_ref().map(|listener| &listener.heard),
        }
    }

    /// Gives the body's buffer back.
    pub fn recycle(self, wire: &Wire) {
        wire.give_back(self.raw);
    }
}

/// One virtual user's connections and cookies.
#[derive(Debug)]
pub struct UserClient {
    pub(super) connections: Vec<Option<Connection>>,
    jar: Jar,
    pub(super) socket: Option<Box<Socket>>,
    reminder: Reminder,
    /// For whole URLs that lead to none of the targets.
    pub(super) elsewhere: Option<Box<Elsewhere>>,
}

impl UserClient {
    /// A client for so many targets.
    pub fn new(targets: usize) -> Self {
        Self {
            connections: (0..targets).map(|_| None).collect(),
            jar: Jar::default(),
            reminder: Reminder::default(),
            elsewhere: None,
            socket: None,
        }
    }

    /// Closes all and forgets the cookies: a new person sits down.
    pub fn reset(&mut self) {
        self.disconnect();
        self.forget();
    }

    /// Closes all connections.
    pub fn disconnect(&mut self) {
        self.connections.iter_mut().for_each(|c| *c = None);
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.client.disconnect();
        }
    }

    /// Forgets the cookies: a new visitor.
    pub fn forget(&mut self) {
        self.jar.clear();
        self.socket = None;
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.client.forget();
        }
    }

    /// Lets idle connections notice that the other side closed them.
    pub fn drive_idle(&mut self, cx: &mut Context<'_>) {
        for slot in &mut self.connections {
            if let Some(connection) = slot {
                connection.drive(cx);
                if connection.ended {
                    *slot = None;
                }
            }
        }
    }

    /// Sends `out`, which was due at `due`, and collects the answer.
    pub async fn exchange(&mut self, wire: &Wire, out: &mut Outgoing, due: Nanos) -> Received {
        if let Some(origin) = out.elsewhere.take() {
            return self.exchange_elsewhere(wire, out, due, origin).await;
        }
        let mut received = Received::new(due, wire.take_buffer());
        let target = out.target;
        let start = wire.clock.now().max(due);
        let deadline = start.saturating_add(out.timeout_ns);
        let mut reminder = std::mem::take(&mut self.reminder);
        let ending = {
            let mut attempt = pin!(self.attempt(wire, out, &mut received));
            // Where there is no timer, outside of a run, nobody counts what a sleep costs.
            let late = wire.timer.get().is_none().then(|| Instant::from_std(wire.clock.instant(deadline)));
            let mut late = pin!(OptionFuture::from(late.map(tokio::time::sleep_until)));
            poll_fn(|cx| {
                if wire.cut.get() {
                    return Poll::Ready(Ending::Cut);
                }
                if let Poll::Ready(ending) = attempt.as_mut().poll(cx) {
                    return Poll::Ready(ending);
                }
                let is_late = match wire.timer.get() {
                    Some(timer) => timer.has_passed(deadline, &mut reminder, cx),
                    None => late.as_mut().poll(cx).is_ready(),
                };
                if is_late { Poll::Ready(Ending::TimedOut) } else { Poll::Pending }
            })
            .await
        };
        self.reminder = reminder;
        received.times.done = wire.clock.now();
        received.ending = ending;
        self.settle(wire, target, out.orders, &mut received);
        if received.status != 0 && !out.aside {
            self.jar.receive(&received.headers, &wire.targets[target].base, out.uri.path());
        }
        received
    }

    /// Counts the bytes, decodes what is there, and drops a connection that cannot be used again.
    fn settle(&mut self, wire: &Wire, target: usize, orders: Orders, received: &mut Received) {
        if let Some(connection) = &self.connections[target] {
            let (read, written) = connection.traffic.so_far();
            received.bytes_received = read.saturating_sub(received.bytes_received);
            received.bytes_sent = written.saturating_sub(received.bytes_sent);
            received.delivered = received.times.sent.is_some() && received.bytes_sent > 0;
            received.times.held = connection.traffic.slowness.end();
            // An upgraded one has ended as far as HTTP goes.
            if received.ending != Ending::Complete || connection.ended && received.status != 101 {
                let connection = self.connections[target].take();
                let how = orders.abandon.map(|leaving| leaving.how);
                if received.ending == Ending::Abandoned && how == Some(GiveUp::Reset) {
                    connection.into_iter().for_each(Connection::reset);
                }
            }
        }
        if received.codings.is_empty() || received.raw.is_empty() {
            return;
        }
        let limit = wire.limits.body_bytes;
        // A stream of events was decoded while it came, and may go on behind its last event.
        if received.ending == Ending::Complete && received.listener.is_none() {
            match decode::decode(&received.codings, &received.raw, limit) {
                Ok(decoded) => received.decoded = decoded,
                Err(failure) => {
                    received.ending = Ending::Failed(failure);
                    received.decoded = decode::decode_part(&received.codings, &received.raw, limit);
                }
            }
        } else {
            received.decoded = decode::decode_part(&received.codings, &received.raw, limit);
        }
    }

    async fn attempt(&mut self, wire: &Wire, out: &mut Outgoing, received: &mut Received) -> Ending {
        match self.try_once(wire, out, received).await {
            // The idle connection turned out to be closed and not a byte was written: this is no retry.
            Attempt::NeverSent(request) => match self.send_fresh(wire, out, *request, received).await {
                Attempt::Over(ending) => ending,
                Attempt::NeverSent(_) => Ending::Failed(Transport::Closed),
            },
            Attempt::Over(ending) => ending,
        }
    }

    async fn try_once(&mut self, wire: &Wire, out: &mut Outgoing, received: &mut Received) -> Attempt {
        let request = self.request(wire, out);
        let slot = &mut self.connections[out.target];
        if out.orders.reconnect {
            *slot = None;
        }
        if let Some(connection) = slot {
            // One that was closed meanwhile hands the request back unsent.
            if connection.is_usable() {
                return send(wire, connection, request, out, received).await;
            }
        }
        self.send_fresh(wire, out, request, received).await
    }

    async fn send_fresh(
        &mut self,
        wire: &Wire,
        out: &Outgoing,
        request: Request<Full<Bytes>>,
        received: &mut Received,
    ) -> Attempt {
        let target = out.target;
        self.connections[target] = None;
        // The totals of the connection before are no baseline for this one.
        (received.bytes_received, received.bytes_sent) = (0, 0);
        let start = wire.clock.now();
        match connect(wire, target).await {
            Ok(connection) => {
                let now = wire.clock.now();
                received.times.connect = Some(now - start);
                received.times.ready = now;
                send(wire, self.connections[target].insert(connection), request, out, received).await
            }
            Err(ConnectError::Target(transport)) => Attempt::Over(Ending::Failed(transport)),
            Err(ConnectError::Ours) => Attempt::Over(Ending::GeneratorError),
        }
    }

    fn request(&self, wire: &Wire, out: &mut Outgoing) -> Request<Full<Bytes>> {
        let endpoint = &wire.targets[out.target];
        // Shared, not copied: an answer that repeats its request must be told from a leak.
        out.sent_body = Bytes::from(std::mem::take(&mut out.body));
        let mut request = Request::new(Full::new(out.sent_body.clone()));
        *request.method_mut() = out.method.clone();
        *request.uri_mut() = out.uri.clone();
        let headers = request.headers_mut();
        *headers = std::mem::take(&mut out.headers);
        headers.entry(header::HOST).or_insert_with(|| endpoint.host_header.clone());
        if !out.aside
            && !self.jar.is_empty()
            && !headers.contains_key(header::COOKIE)
            && let Some(cookies) = self.jar.header(&endpoint.base, out.uri.path())
        {
            headers.insert(header::COOKIE, cookies);
        }
        out.sent_cookies = headers.get(header::COOKIE).cloned();
        request
    }
}

/// What one try came to.
enum Attempt {
    Over(Ending),
    /// The connection was closed before a byte was written; here is the request again.
    NeverSent(Box<Request<Full<Bytes>>>),
}

/// Sends, and hears the answer out or gives it up.
async fn send(
    wire: &Wire,
    connection: &mut Connection,
    request: Request<Full<Bytes>>,
    out: &Outgoing,
    received: &mut Received,
) -> Attempt {
    if out.orders.slow_reader {
        connection.traffic.slowness.begin(out.timeout_ns);
    }
    match (out.orders.abandon, wire.timer.get()) {
        (Some(leaving), Some(timer)) => {
            let patience = patience(wire, timer, leaving);
            leave_after(patience, talk(wire, connection, request, out, received)).await
        }
        _ => talk(wire, connection, request, out, received).await,
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
    connection: &mut Connection,
    request: Request<Full<Bytes>>,
    out: &Outgoing,
    received: &mut Received,
) -> Attempt {
    connection.ordinal += 1;
    received.via = Via { local_port: connection.local_port, ordinal: connection.ordinal, since: connection.since };
    (received.bytes_received, received.bytes_sent) = connection.traffic.so_far();
    received.times.sent = Some(wire.clock.now());
    let mut head = pin!(connection.sender.try_send_request(request));
    let head = poll_fn(|cx| {
        // The head first: when the driver ends it has already handed over what it knows.
        if !connection.ended && connection.driver.as_mut().poll(cx).is_ready() {
            connection.ended = true;
        }
        head.as_mut().poll(cx)
    })
    .await;
    match head {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            received.status = parts.status.as_u16();
            received.headers = parts.headers;
            if let Some(reason) = parts.extensions.get::<hyper::ext::ReasonPhrase>() {
                received.reason = reason.as_bytes().to_vec();
            }
            match decode::codings(&received.headers) {
                Ok(codings) => received.codings = codings,
                Err(failure) => return Attempt::Over(Ending::Failed(failure)),
            }
            if let Err(failure) = listen(wire, out, received) {
                return Attempt::Over(Ending::Failed(failure));
            }
            Attempt::Over(collect(wire, connection, body, received).await)
        }
        Err(mut error) => match error.take_message() {
            Some(request) if connection.traffic.so_far().1 == received.bytes_sent => {
                received.times.sent = None;
                Attempt::NeverSent(Box::new(request))
            }
            _ => Attempt::Over(Ending::Failed(classify(error.error()))),
        },
    }
}

/// Reads the body to its end into the user's buffer.
async fn collect(wire: &Wire, connection: &mut Connection, body: Incoming, received: &mut Received) -> Ending {
    let limit = wire.limits.body_bytes;
    let mut body = body;
    if body.is_end_stream() {
        return Ending::Complete;
    }
    let (ending, is_over) = poll_fn(|cx| {
        loop {
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
                    Ok(data) => {
                        received.raw.extend_from_slice(&data);
                        let Some(listener) = &mut received.listener else {
                            continue;
                        };
                        match listener.push(&data, wire.clock.now()) {
                            Ok(true) => {}
                            Ok(false) => return Poll::Ready((Ending::Complete, true)),
                            Err(failure) => return Poll::Ready((Ending::Failed(failure), false)),
                        }
                    }
                    // Trailers are part of what the user received, so they are scanned like headers.
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            // Beside the headers of the same name, not in their place.
                            trailers.into_iter().fold(None, |last, (name, value)| {
                                let name = name.or(last);
                                if let Some(name) = &name {
                                    received.headers.append(name.clone(), value);
                                }
                                name
                            });
                        }
                    }
                },
            }
        }
    })
    .await;
    if is_over {
        connection.rest = Some(body);
    }
    ending
}

/// A good answer that is to be read as events has to be some.
fn listen(wire: &Wire, out: &Outgoing, received: &mut Received) -> Result<(), Transport> {
    let Some(plan) = out.events.as_ref().filter(|_| (200..300).contains(&received.status)) else {
        return Ok(());
    };
    let kind = received.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let is_stream = kind.split(|b| *b == b';').next().unwrap_or_default();
    if is_stream.trim_ascii().eq_ignore_ascii_case(b"text/event-stream") {
        let limits = &wire.limits;
        let listener = Listener::new(plan.clone(), &received.codings, limits.event_bytes, limits.body_bytes)?;
        received.listener = Some(Box::new(listener));
    }
    Ok(())
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
            return match io.kind() {
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe => Transport::Reset,
                std::io::ErrorKind::UnexpectedEof => Transport::Closed,
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput => Transport::Malformed,
                _ => Transport::Broken,
            };
        }
        source = inner.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        Transport::Closed
    } else {
        Transport::Broken
    }
}
