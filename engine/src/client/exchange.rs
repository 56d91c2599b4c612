//! One exchange: request out, answer in, four times stamped. The one place that awaits requests.
//! In: an [`Outgoing`] and its due time. Out: [`Received`], whatever the target does.

use super::answer::{Ending, Outgoing, names};
use super::connect::{ConnectError, Connection, connect, connect_to_upgrade};
use super::cookies::Jar;
use super::elsewhere::Elsewhere;
use super::framing::{self, Stray};
use super::received::Received;
use super::shared::Lease;
use super::socket::Socket;
use super::talk::{Attempt, send};
use super::wire::Wire;
use super::{park, tls};
use crate::clock::Nanos;
use crate::failure::Transport;
use crate::faults::Orders;
use crate::timer::Reminder;
use bytes::Bytes;
use futures_util::future::OptionFuture;
use http::{Request, header};
use http_body_util::Full;
use rustls::ClientConfig;
use scenarios::faults::GiveUp;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;

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

    /// Closes all connections, with a last look at what has come over them.
    pub async fn part(&mut self) {
        poll_fn(|cx| {
            self.drive_idle(false, cx);
            Poll::Ready(())
        })
        .await;
        self.disconnect();
    }

    /// Closes all connections.
    pub fn disconnect(&mut self) {
        self.socket = None;
        self.strays.extend(self.connections.iter_mut().flat_map(|c| framing::remains(c.take())));
        for mut lane in self.lanes.drain(..) {
            lane.disconnect();
            self.strays.append(&mut lane.strays);
        }
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.client.disconnect();
            self.strays.append(&mut elsewhere.client.strays);
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
            self.strays.append(&mut lane.strays);
        }
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.client.drive_idle(is_long, cx);
            self.strays.append(&mut elsewhere.client.strays);
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
                    self.strays.extend(framing::remains(slot.take()));
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
        let lap = wire.overlaps.get().map(|(overlaps, worker)| overlaps.begin(*worker, target, out.own));
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
        if let (Some((overlaps, worker)), Some(lap)) = (wire.overlaps.get(), lap) {
            received.via.is_beside = overlaps.end(*worker, target, lap);
        }
        self.settle(wire, target, out.orders, &mut received);
        self.release(wire, target, Some(received.ending));
        if received.status != 0 && !out.aside && names(&received.headers, &header::SET_COOKIE) {
            let endpoint = &wire.targets[target];
            self.jar.receive(&received.headers, &endpoint.base, endpoint.address(out).path());
        }
        received
    }

    /// Counts the bytes, decodes what is there, and drops a connection that cannot be used again.
    fn settle(&mut self, wire: &Wire, target: usize, orders: Orders, received: &mut Received) {
        if let Some(connection) = &mut self.connections[target] {
            self.strays.extend(framing::left_over(connection));
            let (read, written) = connection.traffic.so_far();
            received.bytes_received = read.saturating_sub(received.bytes_received);
            received.bytes_sent = written.saturating_sub(received.bytes_sent);
            received.delivered = received.times.sent.is_some() && received.bytes_sent > 0;
            received.times.held = connection.traffic.slowness.end();
            connection.traffic.hesitation.end();
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
                    self.strays.extend(framing::remains(connection));
                }
            } else if let Some(me) = orders.leaves.filter(|_| received.status != 101) {
                self.leave(wire, target, me);
            }
        }
        received.decode(wire.targets[target].limits.body_bytes);
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
        if out.orders.swaps.is_some() {
            poll_fn(|cx| {
                self.swap(wire, out, cx);
                Poll::Ready(())
            })
            .await;
        }
        let slot = &mut self.connections[out.target];
        if out.orders.reconnect {
            self.strays.extend(framing::remains(slot.take()));
        }
        if slot.as_ref().is_some_and(Connection::is_parked) {
            // Boxed: who never thinks should not make room for it.
            *slot = Box::pin(park::unpark(slot.take(), &wire.targets[out.target])).await;
        }
        if let Some(connection) = slot
            && (connection.rest.is_some() || !connection.tails.is_empty())
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
        self.strays.extend(framing::remains(self.connections[target].take()));
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
            && !names(headers, &header::COOKIE)
            && let Some(cookies) = self.jar.header(&endpoint.base, endpoint.address(out).path())
        {
            headers.insert(header::COOKIE, cookies);
        }
        if let Some(Some(login)) = &endpoint.absolute {
            headers.insert(header::PROXY_AUTHORIZATION, login.clone());
        }
        out.sent_cookies = if names(headers, &header::COOKIE) { headers.get(header::COOKIE).cloned() } else { None };
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
