//! One exchange: request out, answer in, four times stamped. The one place that awaits requests.
//! In: an [`Outgoing`] and its due time. Out: [`Received`], whatever the target does.

use super::answer::{Answer, Ending, Outgoing, Times, Via};
use super::connect::{ConnectError, Connection, Line, classify_io, connect, connect_to_upgrade};
use super::cookies::Jar;
use super::decode::{self, Coding};
use super::elsewhere::Elsewhere;
use super::events::{LARGEST_EVENT, Listener};
use super::facts::Facts;
use super::framing::{self, Stray};
use super::leaving::Departure;
use super::reach::{self, Turn};
use super::shared::{Lease, Pool};
use super::socket::Socket;
use super::stranger::Strangers;
use super::{park, tls, two};
use crate::clock::{Clock, Nanos};
use crate::failure::Transport;
use crate::faults::{Leaving, Orders};
use crate::timer::{Reminder, Timer};
use bytes::Bytes;
use futures_util::future::OptionFuture;
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use scenarios::conditions::Network;
use scenarios::faults::GiveUp;
use scenarios::program::Target;
use scenarios::streams::Events;
use scenarios::transport::Http;
pub use scenarios::transport::Limits;
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

/// A target as the client needs it.
#[derive(Debug)]
pub struct Endpoint {
    /// Base URL.
    pub base: Url,
    /// Host without port and brackets.
    pub host: String,
    host_header: HeaderValue,
    /// What stands before every path; usually nothing.
    prefix: String,
    /// TLS, for https.
    pub tls: Option<Arc<ClientConfig>>,
    /// TLS for those who speak HTTP/1.1 only.
    pub upgrade_tls: Option<Arc<ClientConfig>>,
    /// The name to ask for in the TLS handshake.
    pub server_name: ServerName<'static>,
    /// How it is reached.
    pub transport: scenarios::transport::Transport,
    /// What an answer may be at most.
    pub limits: Limits,
    /// A socket of this machine, instead of an address.
    pub socket: Option<String>,
    /// The proxy has to open a tunnel.
    pub needs_tunnel: bool,
    /// The proxy reads whole addresses; with its login, if it has one.
    absolute: Option<Option<HeaderValue>>,
    /// Whose turn it is among our own addresses.
    pub turn: Turn,
    /// Time limit for connecting.
    pub connect_timeout_ns: u64,
    resolved: RefCell<Vec<SocketAddr>>,
}

/// What all users of a worker share.
#[derive(Debug)]
pub struct Wire {
    /// The run's clock.
    pub clock: Clock,
    /// When it was last read by [`Wire::now`].
    pub(super) recent: Rc<Cell<Nanos>>,
    /// By target index.
    pub targets: Vec<Endpoint>,
    /// Set when the run's end cuts what is still going on; every waiting task is woken then.
    pub cut: Rc<Cell<bool>>,
    /// The users' network, if it is not the machine's own.
    pub network: Cell<Option<Network>>,
    /// The worker's timer, by which requests are given up to the microsecond; without it none is given up.
    pub timer: OnceCell<Timer>,
    /// What is counted of connections.
    pub facts: Facts,
    /// The faulty cohort's size at this moment.
    pub strangers: Strangers,
    /// Ways to hosts that are none of the targets, by origin.
    pub(super) elsewhere: RefCell<HashMap<Box<str>, Rc<Wire>>>,
    /// By target: connections that all users of the worker share. Not there if no target asks for it.
    pub(super) pools: OnceCell<Vec<Option<Rc<Pool>>>>,
    /// Body buffers at rest; a thinking user holds none.
    buffers: RefCell<Vec<Vec<u8>>>,
}

/// Body buffers kept at rest, and the largest that is worth keeping.
const BUFFERS_KEPT: usize = 64;
const LARGEST_BUFFER_KEPT: usize = 1 << 20;

impl Wire {
    /// The wire to `targets`. TLS configurations are made once per run and shared.
    pub fn new(clock: Clock, targets: &[Target], tls: &[Option<Arc<ClientConfig>>]) -> Result<Self, String> {
        let targets = targets.iter().zip(tls).map(|(t, tls)| endpoint(t, tls.clone())).collect::<Result<_, _>>()?;
        Ok(Self {
            clock,
            recent: Rc::default(),
            targets,
            cut: Rc::default(),
            network: Cell::new(None),
            elsewhere: RefCell::default(),
            pools: OnceCell::new(),
            timer: OnceCell::new(),
            facts: Facts::default(),
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
        if !known.is_empty() && !endpoint.transport.resolve_each {
            return Ok(known);
        }
        let (host, port) = match &endpoint.transport.proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (endpoint.host.as_str(), endpoint.base.port_or_known_default().unwrap_or(80)),
        };
        let found: Vec<_> =
            tokio::net::lookup_host((host, port)).await.map_err(|_| ConnectError::Target(Transport::Dns))?.collect();
        endpoint.resolved.borrow_mut().clone_from(&found);
        Ok(found)
    }

    /// Reads the clock.
    pub fn now(&self) -> Nanos {
        let now = self.clock.now();
        self.recent.set(now);
        now
    }

    /// When somebody on this worker last read the clock: microseconds ago for whoever comes next in the same turn, as
    /// everybody who is woken by the outside reads it first. For what need not be exact. Outside of a run nobody does, and
    /// the clock is read.
    pub fn recent(&self) -> Nanos {
        if self.timer.get().is_some() { self.recent.get() } else { self.now() }
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

/// What `host` says of requests to this address; `None` where it cannot be said.
pub fn host_header(url: &Url) -> Option<HeaderValue> {
    let host = url.host_str()?;
    match url.port() {
        Some(port) => HeaderValue::try_from(format!("{host}:{port}")).ok(),
        None => HeaderValue::from_str(host).ok(),
    }
}

fn endpoint(target: &Target, tls: Option<Arc<ClientConfig>>) -> Result<Endpoint, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("target `{}`: {e}", target.name);
    let socket = target.url.strip_prefix("unix:").map(str::to_owned);
    let url = if socket.is_some() { "http://localhost" } else { target.url.as_str() };
    let base = Url::parse(url).map_err(|e| format!("target `{}`: {url} is no URL: {e}", target.name))?;
    let host = base.host_str().ok_or_else(|| format!("target `{}`: {url} names no host", target.name))?;
    let host_header = host_header(&base).ok_or_else(|| format!("target `{}`: {host} is no host", target.name))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let transport = target.transport.clone();
    // Without TLS nobody asks for a name, and a host need not be one.
    let named = tls.as_ref().map_or("localhost", |_| transport.server_name.as_ref().unwrap_or(&host));
    let server_name = ServerName::try_from(named.to_owned()).map_err(|e| wrong(&e))?;
    let mut endpoint = Endpoint {
        prefix: base.path().trim_end_matches('/').to_owned(),
        server_name,
        upgrade_tls: tls.as_ref().map(tls::for_upgrades),
        needs_tunnel: transport.proxy.is_some() && (tls.is_some() || transport.http == Http::H2c),
        absolute: None,
        limits: transport.limits,
        connect_timeout_ns: target.connect_timeout_ns,
        resolved: RefCell::default(),
        turn: Turn::default(),
        base,
        host,
        host_header,
        tls,
        transport,
        socket,
    };
    if endpoint.transport.proxy.is_some() && !endpoint.needs_tunnel {
        let login = reach::proxy_authorization(&endpoint).map(HeaderValue::try_from).transpose();
        endpoint.absolute = Some(login.map_err(|e| wrong(&e))?);
    }
    Ok(endpoint)
}

impl Endpoint {
    /// The path as it is sent: after the base URL's own path, and whole where a proxy reads it.
    fn address(&self, out: &Outgoing) -> Uri {
        let uri = &out.uri;
        if self.prefix.is_empty() && self.absolute.is_none() {
            return uri.clone();
        }
        // A redirect names the whole path, and so does a link that was saved.
        let is_whole = out.hops.is_some() || uri.path().strip_prefix(&self.prefix).is_some_and(|r| r.starts_with('/'));
        let prefix = if is_whole { "" } else { &self.prefix };
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let text = match self.absolute {
            Some(_) => format!("{}{prefix}{path}", self.base.origin().ascii_serialization()),
            None => format!("{prefix}{path}"),
        };
        // Both parts were addresses before.
        text.try_into().unwrap_or_else(|_| uri.clone())
    }
}

/// What came of an exchange. Owns its parts; [`Received::answer`] lends them.
#[derive(Debug)]
pub struct Received {
    pub(super) ending: Ending,
    delivered: bool,
    pub(super) status: u16,
    reason: Vec<u8>,
    pub(super) headers: HeaderMap,
    pub(super) raw: Vec<u8>,
    decoded: Option<Vec<u8>>,
    /// Its codings could not be taken off as a whole.
    is_undecodable: bool,
    /// Its codings are none that we know; what came is looked at all the same.
    unknown_coding: Option<Transport>,
    pub(super) codings: Vec<Coding>,
    pub(super) times: Times,
    pub(super) via: Via,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    /// How the body is to be read as events, and who does it while it arrives.
    events: Option<Arc<Events>>,
    listener: Option<Box<Listener>>,
    /// Where it is to be given up, if at a place.
    departure: Option<Box<Departure>>,
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

    /// Gives the body's buffer back.
    pub fn recycle(self, wire: &Wire) {
        wire.give_back(self.raw);
    }
}

/// One virtual user's connections and cookies.
#[derive(Debug)]
pub struct UserClient {
    pub(super) connections: Vec<Option<Connection>>,
    /// By target, where TLS has been needed: the configuration with the user's own sessions.
    sessions: Vec<Option<Arc<ClientConfig>>>,
    jar: Jar,
    /// What came without having been asked for, not yet told.
    pub strays: Vec<Stray>,
    reminder: Reminder,
    /// For whole URLs that lead to none of the targets.
    pub(super) elsewhere: Option<Box<Elsewhere>>,
    pub(super) socket: Option<Box<Socket>>,
    /// For requests that are under way at one time; empty until there are some.
    pub(super) lanes: Vec<UserClient>,
    /// The right to the present exchange, where connections are shared.
    pub(super) lease: Option<Lease>,
}

impl UserClient {
    /// A client for so many targets.
    pub fn new(targets: usize) -> Self {
        Self {
            connections: (0..targets).map(|_| None).collect(),
            sessions: Vec::new(),
            jar: Jar::default(),
            strays: Vec::new(),
            reminder: Reminder::default(),
            elsewhere: None,
            socket: None,
            lanes: Vec::new(),
            lease: None,
        }
    }

    /// A further client of the same user.
    pub(super) fn lane(&self) -> Self {
        let targets = self.connections.len();
        Self { jar: self.jar.clone(), ..Self::new(targets) }
    }

    /// Closes all and forgets the cookies: a new person sits down.
    pub fn reset(&mut self) {
        self.disconnect();
        self.forget();
    }

    /// Closes all connections.
    pub fn disconnect(&mut self) {
        self.socket = None;
        self.connections.iter_mut().for_each(|c| *c = None);
        self.lanes.clear();
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.client.disconnect();
        }
    }

    /// Forgets cookies and TLS sessions: a new visitor.
    pub fn forget(&mut self) {
        self.sessions.clear();
        self.jar.clear();
        for lane in &mut self.lanes {
            lane.jar = self.jar.clone();
        }
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.client.forget();
        }
    }

    /// Lets idle connections notice that the other side closed them; where they will be idle for long, parks them.
    pub fn drive_idle(&mut self, is_long: bool, cx: &mut Context<'_>) {
        for lane in &mut self.lanes {
            lane.drive_idle(is_long, cx);
        }
        for slot in &mut self.connections {
            if let Some(connection) = slot {
                connection.drive(cx);
                self.strays.extend(framing::left_over(connection));
                if is_long && !connection.is_parked() {
                    *slot = slot.take().map(Connection::park);
                }
            }
            if let Some(connection) = slot {
                connection.drive(cx);
                if connection.ended {
                    self.strays.extend(slot.take().and_then(framing::last_bytes));
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
        received.events.clone_from(&out.events);
        let target = out.target;
        let start = wire.recent().max(due);
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
        received.times.done = wire.now();
        received.ending = ending;
        self.settle(wire, target, out.orders, &mut received);
        self.release(wire, target, Some(received.ending));
        if received.status != 0 && !out.aside && received.headers.contains_key(header::SET_COOKIE) {
            let endpoint = &wire.targets[target];
            self.jar.receive(&received.headers, &endpoint.base, endpoint.address(out).path());
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
            let is_over = connection.ended && received.status != 101;
            if is_over || !outlives(connection, orders, received) {
                let connection = self.connections[target].take();
                let how = orders.abandon.map(|leaving| leaving.how);
                if received.ending == Ending::Abandoned && how == Some(GiveUp::Reset) {
                    connection.into_iter().for_each(Connection::reset);
                } else if matches!(received.ending, Ending::Failed(Transport::Malformed | Transport::HeadTooLarge)) {
                    self.strays.extend(connection.and_then(framing::unreadable));
                } else {
                    self.strays.extend(connection.and_then(framing::last_bytes));
                }
            }
        }
        if let (Ending::Complete, Some(failure)) = (received.ending, received.unknown_coding) {
            received.ending = Ending::Failed(failure);
        }
        if received.codings.is_empty() || received.raw.is_empty() {
            return;
        }
        let limit = wire.targets[target].limits.body_bytes;
        // A stream of events was decoded while it came, and may go on behind its last event.
        if received.ending == Ending::Complete && received.listener.is_none() {
            match decode::decode(&received.codings, &received.raw, limit) {
                Ok(decoded) => received.decoded = decoded,
                Err(failure) => {
                    received.is_undecodable = true;
                    received.ending = Ending::Failed(failure);
                    received.decoded = decode::decode_part(&received.codings, &received.raw, limit);
                }
            }
        } else {
            received.decoded = decode::decode_part(&received.codings, &received.raw, limit);
        }
    }

    async fn attempt(&mut self, wire: &Wire, out: &mut Outgoing, received: &mut Received) -> Ending {
        if let Some(pool) = wire.pool(out.target)
            && out.upgrade.is_none()
        {
            // Boxed: who has connections of its own should not make room for it.
            return Box::pin(self.attempt_shared(wire, pool, out, received)).await;
        }
        match self.try_once(wire, out, received).await {
            // The idle connection turned out to be closed and not a byte was written: this is no retry.
            Attempt::NeverSent(request) => match self.send_fresh(wire, out, &mut Some(*request), received).await {
                Attempt::Over(ending) => ending,
                Attempt::NeverSent(_) => Ending::Failed(Transport::Closed),
            },
            Attempt::Over(ending) => ending,
        }
    }

    pub(super) async fn try_once(&mut self, wire: &Wire, out: &mut Outgoing, received: &mut Received) -> Attempt {
        let mut request = Some(self.request(wire, out));
        let slot = &mut self.connections[out.target];
        if out.orders.reconnect {
            *slot = None;
        }
        if slot.as_ref().is_some_and(Connection::is_parked) {
            // Boxed: who never thinks should not make room for it.
            *slot = Box::pin(park::unpark(slot.take(), &wire.targets[out.target])).await;
        }
        if let Some(connection) = slot
            && connection.rest.is_some()
        {
            poll_fn(|cx| {
                connection.drive(cx);
                Poll::Ready(())
            })
            .await;
            self.strays.extend(framing::left_over(connection));
        }
        // One that was closed meanwhile hands the request back unsent.
        if let Some(connection) = slot
            && connection.is_usable()
        {
            return send(wire, connection, &mut request, out, received).await;
        }
        self.send_fresh(wire, out, &mut request, received).await
    }

    pub(super) async fn send_fresh(
        &mut self,
        wire: &Wire,
        out: &Outgoing,
        request: &mut Option<Request<Full<Bytes>>>,
        received: &mut Received,
    ) -> Attempt {
        let target = out.target;
        self.strays.extend(self.connections[target].take().and_then(framing::last_bytes));
        // The totals of the connection before are no baseline for this one.
        (received.bytes_received, received.bytes_sent) = (0, 0);
        let start = wire.clock.now();
        let sessions = self.own_sessions(wire, target);
        let connected = match out.upgrade {
            None => connect(wire, target, sessions.as_ref()).await,
            Some(_) => Box::pin(connect_to_upgrade(wire, target)).await,
        };
        match connected {
            Ok(mut connection) => {
                self.share_new(wire, target, &mut connection);
                let now = wire.clock.now();
                received.times.connect = Some(now - start);
                received.times.ready = now;
                send(wire, self.connections[target].insert(connection), request, out, received).await
            }
            Err(ConnectError::Target(transport)) => Attempt::Over(Ending::Failed(transport)),
            Err(ConnectError::Ours) => Attempt::Over(Ending::GeneratorError),
        }
    }

    /// The TLS configuration with the user's own sessions; `None` without TLS.
    fn own_sessions(&mut self, wire: &Wire, target: usize) -> Option<Arc<ClientConfig>> {
        let shared = wire.targets[target].tls.as_ref()?;
        if self.sessions.len() <= target {
            self.sessions.resize(target + 1, None);
        }
        Some(Arc::clone(self.sessions[target].get_or_insert_with(|| tls::for_user(shared))))
    }

    fn request(&self, wire: &Wire, out: &mut Outgoing) -> Request<Full<Bytes>> {
        let endpoint = &wire.targets[out.target];
        let body = match &out.hops {
            // Shared, not copied: an answer that repeats its request must be told from a leak.
            None => {
                out.sent_body = Bytes::from(std::mem::take(&mut out.body));
                out.sent_body.clone()
            }
            Some(hops) if hops.keeps_body => out.sent_body.clone(),
            Some(_) => Bytes::new(),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = out.method.clone();
        *request.uri_mut() = endpoint.address(out);
        let headers = request.headers_mut();
        *headers = std::mem::take(&mut out.headers);
        if !out.names_host {
            headers.entry(header::HOST).or_insert_with(|| endpoint.host_header.clone());
        }
        if !out.aside
            && !self.jar.is_empty()
            && !headers.contains_key(header::COOKIE)
            && let Some(cookies) = self.jar.header(&endpoint.base, endpoint.address(out).path())
        {
            headers.insert(header::COOKIE, cookies);
        }
        if let Some(Some(login)) = &endpoint.absolute {
            headers.insert(header::PROXY_AUTHORIZATION, login.clone());
        }
        out.sent_cookies = headers.get(header::COOKIE).cloned();
        request
    }
}

/// Whether a connection can be used after what has just happened on it. Over HTTP/2 one stream's end is not its end.
fn outlives(connection: &Connection, orders: Orders, received: &Received) -> bool {
    match received.ending {
        Ending::Complete => true,
        Ending::Abandoned => connection.is_two() && orders.abandon.is_some_and(|l| l.how == GiveUp::Reset),
        Ending::Failed(Transport::StreamReset(_)) => true,
        // A connection on which nothing came meanwhile may be dead; the next request must not wait for it again.
        Ending::TimedOut => connection.is_two() && received.bytes_received > 0,
        _ => false,
    }
}

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
    let endpoint = &wire.targets[out.target];
    if out.orders.slow_reader {
        connection.traffic.slowness.begin(out.timeout_ns);
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
