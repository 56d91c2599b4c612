//! A server that answers when its model says so, to some microseconds: one thread of its own, raw tokio, one read a
//! request. It sleeps while nothing is near and looks again and again, without pause, when an answer is.
//! In: a model. Out: a port; how late the answers were through the server itself.

use super::cases::Model;
use engine::clock::{Clock, MILLISECOND, Nanos};
use engine::run_result::Times;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local, yield_now};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// Tokio's timer is good to one or two milliseconds: from here on the server looks without pause.
const NEAR: Nanos = 3 * MILLISECOND;

/// A running server. It ends with the process.
pub struct Server {
    /// Its port.
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
}

/// What the server knows of itself.
#[derive(Default)]
pub struct Seen {
    /// Requests read.
    pub requests: u64,
    /// How late answers left.
    pub late: Times,
    /// From a request read to its answer written, by the server's own clock.
    pub residence: Times,
}

/// An answer that waits for its time; the earliest is the greatest, the first of equals before the others.
struct Waiting {
    due: Nanos,
    read: Nanos,
    number: u64,
    stream: Rc<TcpStream>,
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Waiting {}

/// What the tasks of the server share.
struct Desk {
    clock: Clock,
    model: RefCell<Model>,
    /// When the first request came: the model's time 0.
    zero: Cell<Option<Nanos>>,
    waiting: RefCell<BinaryHeap<Waiting>>,
    number: Cell<u64>,
    changed: Notify,
    seen: Arc<Mutex<Seen>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// No port, thread or runtime is left.
    pub fn start(model: Model) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let theirs = Arc::clone(&seen);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("server".into()).spawn(move || {
            let desk = Rc::new(Desk {
                clock: Clock::starting_in(Duration::ZERO),
                model: RefCell::new(model),
                zero: Cell::new(None),
                waiting: RefCell::default(),
                number: Cell::new(0),
                changed: Notify::new(),
                seen: theirs,
            });
            LocalSet::new().block_on(&runtime, async move {
                spawn_local(answer_when_due(Rc::clone(&desk)));
                accept(listener, desk).await;
            });
        })?;
        Ok(Self { port, seen })
    }

    /// What the server knows of itself.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }
}

async fn accept(listener: std::net::TcpListener, desk: Rc<Desk>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                spawn_local(serve(stream, Rc::clone(&desk)));
            }
            // A connection that cannot be taken shows up at the client, and in the table.
            Err(_) => yield_now().await,
        }
    }
}

async fn serve(stream: TcpStream, desk: Rc<Desk>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = Rc::new(stream);
    let mut buffer = vec![0; 1024];
    let mut end = 0;
    loop {
        stream.readable().await?;
        match stream.try_read(&mut buffer[end..]) {
            Ok(0) => return Ok(()),
            Ok(read) => end += read,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
            Err(e) => return Err(e),
        }
        if buffer[..end].ends_with(b"\r\n\r\n") {
            end = 0;
            desk.receive(&stream);
        } else if end == buffer.len() {
            return Err(io::Error::other("a head longer than any that is sent here"));
        }
    }
}

impl Desk {
    fn receive(&self, stream: &Rc<TcpStream>) {
        let now = self.clock.now();
        let zero = self.zero.get().unwrap_or(now);
        self.zero.set(Some(zero));
        lock(&self.seen).requests += 1;
        let Some(due) = (self.model.borrow_mut())(now - zero) else { return };
        self.number.set(self.number.get() + 1);
        let answer = Waiting { due: due + zero, read: now, number: self.number.get(), stream: Rc::clone(stream) };
        self.waiting.borrow_mut().push(answer);
        self.changed.notify_one();
    }
}

async fn answer_when_due(desk: Rc<Desk>) {
    loop {
        let next = desk.waiting.borrow().peek().map(|w| w.due);
        let now = desk.clock.now();
        match next {
            None => desk.changed.notified().await,
            Some(due) if due > now + NEAR => {
                let nap = tokio::time::sleep(Duration::from_nanos(due - now - NEAR));
                tokio::select! {
                    () = nap => {}
                    () = desk.changed.notified() => {}
                }
            }
            Some(due) if due <= now => {
                let Some(answer) = desk.waiting.borrow_mut().pop() else { continue };
                // A client that gave up has closed its end; so short an answer fits the empty buffer of a live one.
                let _ = answer.stream.try_write(ANSWER);
                let mut seen = lock(&desk.seen);
                seen.late.record(now - due);
                seen.residence.record(desk.clock.now().saturating_sub(answer.read));
            }
            // Looks for requests in between.
            Some(_) => yield_now().await,
        }
    }
}
