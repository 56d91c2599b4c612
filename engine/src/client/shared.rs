//! Connections that the users of a worker share, where the file asks for it (`share_connections`): over HTTP/1.1 a pool
//! with one request at a time on each connection, over HTTP/2 streams of the same few.
//! In: a request. Out: its answer over a leased connection; what is waited for a lease is the connections' time, not ours.

use super::answer::{Ending, Outgoing};
use super::connect::{Connection, Line, Traffic};
use super::exchange::UserClient;
use super::framing::{self, Stray};
use super::received::Received;
use super::talk::{Attempt, send};
use super::two::{Driver, Two, classify};
use super::wire::Wire;
use crate::clock::Nanos;
use crate::failure::Transport;
use bytes::Bytes;
use futures_util::future::{Either, select};
use h2::client::SendRequest;
use http::Request;
use http_body_util::Full;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How often a request is tried that finds its connection closed before a byte of it was written.
const TRIES: usize = 3;

/// The connections of one worker to one target.
#[derive(Debug)]
pub(super) struct Pool {
    /// One place for each connection that may be open.
    places: Arc<Semaphore>,
    /// HTTP/1.1 connections at rest; never more than places that are free.
    idle: RefCell<Vec<Connection>>,
    /// HTTP/2 connections.
    trunks: RefCell<Vec<Arc<Trunk>>>,
    /// A trunk has come or gone.
    changed: Notify,
}

/// An HTTP/2 connection whose streams several users have. A task of the worker's drives it.
pub(super) struct Trunk {
    sender: Mutex<Option<SendRequest<Bytes>>>,
    place: Mutex<Option<OwnedSemaphorePermit>>,
    /// Bytes over the whole connection.
    traffic: Arc<Traffic>,
    /// Users that have a lease.
    streams: AtomicUsize,
    ordinal: AtomicU32,
    since: Nanos,
    local_port: u16,
    ended: AtomicBool,
    why: Mutex<Option<Transport>>,
}

impl std::fmt::Debug for Trunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trunk").field("local_port", &self.local_port).finish_non_exhaustive()
    }
}

/// What one worker alone ever asks for, so nobody waits here.
fn own<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Trunk {
    /// Once it has ended: why, if by an error.
    pub fn end(&self) -> Option<Option<Transport>> {
        self.ended.load(Relaxed).then(|| *own(&self.why))
    }

    /// No further stream on it, and another connection may take its place.
    fn retire(&self) {
        own(&self.sender).take();
        own(&self.place).take();
    }

    /// What one user has of it.
    fn handle(self: &Arc<Self>, wire: &Wire) -> Option<Connection> {
        let two = Two::shared(own(&self.sender).clone()?, Arc::clone(self));
        let mut connection = Connection::new(wire, Line::Two(Box::new(two)), Arc::default(), self.local_port);
        connection.since = self.since;
        connection.ordinal = self.ordinal.fetch_add(1, Relaxed);
        Some(connection)
    }
}

/// The right to one exchange.
pub(super) enum Lease {
    /// Over a connection that nobody else has meanwhile.
    Place(OwnedSemaphorePermit),
    /// Over a stream.
    Stream(Stream),
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Place(_)) { "Place" } else { "Stream" })
    }
}

/// A user's part in a trunk.
pub(super) struct Stream {
    trunk: Arc<Trunk>,
    /// What had been read over the whole connection before.
    read: u64,
}

impl Stream {
    fn of(trunk: &Arc<Trunk>) -> Self {
        trunk.streams.fetch_add(1, Relaxed);
        Self { trunk: Arc::clone(trunk), read: trunk.traffic.so_far().0 }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.trunk.streams.fetch_sub(1, Relaxed);
    }
}

impl Pool {
    fn new(most: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most)),
            idle: RefCell::default(),
            trunks: RefCell::default(),
            changed: Notify::new(),
        }
    }

    /// Waits for a connection, or for the right to open one.
    async fn lease(&self, wire: &Wire, strays: &mut Vec<Stray>) -> (Lease, Option<Connection>) {
        loop {
            // Made before the look: no change is missed.
            let changed = pin!(self.changed.notified());
            if let Some((stream, connection)) = self.stream(wire) {
                return (Lease::Stream(stream), Some(connection));
            }
            let place = pin!(Arc::clone(&self.places).acquire_owned());
            // First come, first served; it is never closed.
            if let Either::Left((Ok(place), _)) = select(place, changed).await {
                return (Lease::Place(place), self.rested(strays).await);
            }
        }
    }

    /// A stream of a connection that has none, or of the least busy one once no further connection may be opened.
    fn stream(&self, wire: &Wire) -> Option<(Stream, Connection)> {
        self.trunks.borrow_mut().retain(|trunk| own(&trunk.sender).is_some());
        let least = self.trunks.borrow().iter().min_by_key(|trunk| trunk.streams.load(Relaxed)).cloned()?;
        if least.streams.load(Relaxed) > 0 && self.places.available_permits() > 0 {
            return None;
        }
        Some((Stream::of(&least), least.handle(wire)?))
    }

    /// The connection that has rested for the shortest time and that the target has not closed meanwhile.
    async fn rested(&self, strays: &mut Vec<Stray>) -> Option<Connection> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            poll_fn(|cx| {
                connection.drive(cx);
                Poll::Ready(())
            })
            .await;
            if connection.is_usable() {
                return Some(connection);
            }
            strays.extend(framing::remains(Some(connection)));
        }
    }
}

impl Wire {
    /// From now on the users of worker `index` of `of` share the connections of each target that asks for it;
    /// `usual` is what holds for those that say nothing.
    pub fn share(&self, index: usize, of: usize, usual: Option<u32>) {
        let pools = self.targets.iter().map(|endpoint| {
            let most = endpoint.transport.share_connections.or(usual)? as usize;
            // No worker is without one: there are never more workers than connections.
            Some(Rc::new(Pool::new((most / of + usize::from(index < most % of)).max(1))))
        });
        if self.targets.iter().any(|e| e.transport.share_connections.or(usual).is_some()) {
            // It is said once.
            let _ = self.pools.set(pools.collect());
        }
    }

    pub(super) fn pool(&self, target: usize) -> Option<&Rc<Pool>> {
        self.pools.get()?.get(target)?.as_ref()
    }
}

impl UserClient {
    /// As `attempt`, over a leased connection.
    pub(super) async fn attempt_shared(
        &mut self,
        wire: &Wire,
        pool: &Pool,
        out: &mut Outgoing,
        received: &mut Received,
    ) -> Ending {
        let target = out.target;
        let mut unsent: Option<Box<Request<Full<Bytes>>>> = None;
        for _ in 0..TRIES {
            // The totals of the connection of the try before are no baseline for the next one.
            (received.bytes_received, received.bytes_sent) = (0, 0);
            // That of the try before was closed.
            self.release(wire, target, None);
            let asked = wire.clock.now();
            let (lease, connection) = pool.lease(wire, &mut self.strays).await;
            let now = wire.clock.now();
            received.times.waited += now.saturating_sub(asked);
            received.times.ready = received.times.ready.max(now);
            self.lease = Some(lease);
            self.connections[target] = connection;
            let attempt = match unsent.take() {
                None => self.try_once(wire, out, received).await,
                Some(request) => {
                    let mut request = Some(*request);
                    match &mut self.connections[target] {
                        Some(connection) if connection.is_usable() => {
                            send(wire, connection, &mut request, out, received).await
                        }
                        _ => self.send_fresh(wire, out, &mut request, received).await,
                    }
                }
            };
            match attempt {
                Attempt::Over(ending) => return ending,
                Attempt::NeverSent(request) => unsent = Some(request),
            }
        }
        Ending::Failed(Transport::Closed)
    }

    /// A connection has just been made for a leased place: over HTTP/2 it is everybody's from now on.
    pub(super) fn share_new(&mut self, wire: &Wire, target: usize, connection: &mut Connection) {
        let Some(pool) = wire.pool(target) else { return };
        if !matches!(self.lease, Some(Lease::Place(_))) {
            return;
        }
        let Line::Two(two) = &mut connection.line else { return };
        let trunk = Arc::new(Trunk {
            sender: Mutex::new(Some(two.sender.clone())),
            place: Mutex::default(),
            traffic: std::mem::take(&mut connection.traffic),
            streams: AtomicUsize::default(),
            ordinal: AtomicU32::new(1),
            since: connection.since,
            local_port: connection.local_port,
            ended: AtomicBool::default(),
            why: Mutex::default(),
        });
        let Driver::Own(driver) = std::mem::replace(&mut two.driver, Driver::Shared(Arc::clone(&trunk))) else {
            return;
        };
        if let Some(Lease::Place(place)) = self.lease.replace(Lease::Stream(Stream::of(&trunk))) {
            *own(&trunk.place) = Some(place);
        }
        pool.trunks.borrow_mut().push(Arc::clone(&trunk));
        pool.changed.notify_waiters();
        let pool = Rc::clone(pool);
        // It ends with its connection, or with the worker's runtime.
        tokio::task::spawn_local(async move {
            let why = driver.await.err().map(|error| classify(&error));
            *own(&trunk.why) = why;
            trunk.ended.store(true, Relaxed);
            trunk.retire();
            pool.changed.notify_waiters();
        });
    }

    /// Gives a lease back after an exchange that ended so; `None`: it was not made.
    pub(super) fn release(&mut self, wire: &Wire, target: usize, ending: Option<Ending>) {
        let Some(lease) = self.lease.take() else { return };
        let connection = self.connections[target].take();
        let Some(pool) = wire.pool(target) else { return };
        match lease {
            Lease::Stream(stream) => {
                let is_silent = ending == Some(Ending::TimedOut) && stream.trunk.traffic.so_far().0 == stream.read;
                // Nothing came for anybody, or it says itself that it is over: nobody else is to wait on it.
                if is_silent || (ending.is_none() && connection.as_ref().is_some_and(|c| c.ended)) {
                    stream.trunk.retire();
                    pool.changed.notify_waiters();
                }
                // The stream is this user's alone, and left with its lease.
                self.strays.extend(framing::remains(connection));
            }
            Lease::Place(place) => {
                match connection {
                    Some(connection) if connection.is_usable() && !connection.is_two() => {
                        pool.idle.borrow_mut().push(connection);
                    }
                    other => self.strays.extend(framing::remains(other)),
                }
                // Only now: whoever comes next finds it.
                drop(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use http::Uri;
    use scenarios::program::Target;
    use scenarios::transport::Transport as Way;
    use std::task::{Context, Waker};
    use std::time::Duration;

    fn wire() -> Wire {
        let target = Target {
            name: "t".into(),
            url: "http://127.0.0.1:1".into(),
            timeout_ns: 0,
            connect_timeout_ns: 1,
            health: None,
            insecure: false,
            ca: None,
            watch: None,
            transport: Way { share_connections: Some(1), ..Way::default() },
        };
        let wire = Wire::new(Clock::starting_in(Duration::ZERO), &[target], &[None]).expect("a good target");
        wire.share(0, 1, None);
        wire
    }

    #[test]
    fn what_went_over_the_connection_of_a_try_before_is_not_this_requests() {
        let wire = wire();
        let pool = Rc::clone(wire.pool(0).expect("it is shared"));
        let _taken = Arc::clone(&pool.places).try_acquire_owned().expect("nobody has it");
        let mut client = UserClient::new(1);
        let mut out = Outgoing { uri: Uri::from_static("/"), ..Outgoing::default() };
        // A try before has noted what had gone over its connection, which turned out to be closed. Now there is none.
        let mut received = Received::new(0, Vec::new());
        (received.bytes_received, received.bytes_sent) = (5_000, 700);
        let mut waiting = Box::pin(client.attempt_shared(&wire, &pool, &mut out, &mut received));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(waiting);
        // As when its time is up.
        let answer = received.answer();
        assert_eq!((answer.bytes_received, answer.bytes_sent), (0, 0));
    }
}
