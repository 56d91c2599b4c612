//! Connecting: socket, TLS, the first words of HTTP; failures told apart into the target's and our own.
//! In: a target. Out: an open [`Connection`] that its user polls itself.

use super::answer::Handed;
use super::hesitant::{Hesitant, Hesitation};
use super::network::Throttle;
use super::park::Parked;
use super::reach::{Socket, reach};
use super::share::Share;
use super::slow::{MOUTHFUL, Pause, Slowness};
use super::tail::Tail;
use super::tls;
use super::two::{self, Two};
use super::wire::{Endpoint, Wire};
use crate::clock::{Clock, Nanos};
use crate::failure::Transport;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http_body_util::Full;
use hyper::body::Body as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use scenarios::transport::Http;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads of a connection in one turn of its user.
const MOST_READS: u32 = 4;
/// Pieces after a stream's last event that are read away at one go.
const MOST_LEFT_FRAMES: usize = 16;

/// Bytes over one connection. Shared between the connection, which hyper owns, and its user.
#[derive(Debug, Default)]
pub struct Traffic {
    read: AtomicU64,
    written: AtomicU64,
    /// How slowly the present answer is read.
    pub slowness: Slowness,
    /// Whether the present request's body waits behind its head.
    pub hesitation: Hesitation,
}

impl Traffic {
    /// Counts bytes of a stream, which has only its part of what the connection reads and writes.
    pub(super) fn count(&self, read: usize, written: usize) {
        self.read.fetch_add(read as u64, Relaxed);
        self.written.fetch_add(written as u64, Relaxed);
    }

    /// Bytes (read, written) so far.
    pub fn so_far(&self) -> (u64, u64) {
        (self.read.load(Relaxed), self.written.load(Relaxed))
    }
}

/// Only one thread at a time has a connection: a load and a store will do, where an atomic addition would lock.
fn add(count: &AtomicU64, n: usize) {
    count.store(count.load(Relaxed) + n as u64, Relaxed);
}

/// What speaks HTTP on a connection.
pub enum Line {
    /// HTTP/1.1.
    One {
        /// Sends requests.
        sender: http1::SendRequest<Full<Bytes>>,
        /// Does the reading and writing when polled.
        driver: Pin<Box<http1::Connection<TokioIo<Stream>, Full<Bytes>>>>,
    },
    /// HTTP/2.
    Two(Box<Two>),
    /// HTTP/1.1, while nobody speaks.
    Parked(Box<Parked>),
}

/// An open connection.
pub struct Connection {
    /// What speaks on it.
    pub line: Line,
    /// The driver has ended; it must not be polled again.
    pub ended: bool,
    /// It ended because of bytes that nobody had asked for.
    pub is_unasked: bool,
    /// The last request on it: index into `Program::requests`, and what it asked for.
    pub last: Option<(usize, Option<PathAndQuery>)>,
    /// When that was sent.
    pub asked: Nanos,
    /// HTTP/2: the present request had to wait for a stream.
    pub waited_for_stream: bool,
    /// What has been read away of it, not yet told.
    pub left: Vec<u8>,
    /// Some of the last request may not have been written yet when its answer was there.
    pub may_hold_back: bool,
    /// Bytes over it.
    pub traffic: Arc<Traffic>,
    /// Requests sent on it.
    pub ordinal: u32,
    /// When it was opened.
    pub since: Nanos,
    /// Our port.
    pub local_port: u16,
    /// What is left of an event stream after its last event; read away before the next request.
    pub rest: Option<hyper::body::Incoming>,
    /// From whom its present user has it, if not new.
    pub handed: Option<Handed>,
    /// HTTP/2: what follows the last events of streams; further requests need not wait for it.
    pub tails: Vec<Tail>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("local_port", &self.local_port).finish_non_exhaustive()
    }
}

impl Connection {
    /// Lets the connection work; notes its end.
    pub fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            self.work(cx);
        }
        // What came before its end is there still.
        self.tails.iter_mut().for_each(|tail| tail.poll(cx));
    }

    fn work(&mut self, cx: &mut Context<'_>) {
        self.ended = match &mut self.line {
            Line::One { driver, .. } => super::framing::has_ended(driver.as_mut().poll(cx), &mut self.is_unasked),
            Line::Two(two) => two.poll(cx).is_ready(),
            Line::Parked(parked) => {
                let ended = parked.poll(cx).is_ready();
                self.is_unasked |= !parked.unasked.is_empty();
                ended
            }
        };
        if self.rest.is_some() {
            self.read_away(cx);
        }
    }

    /// Reads what is left of an answer that nobody waits for any more, as far as it is there.
    fn read_away(&mut self, cx: &mut Context<'_>) {
        for _ in 0..MOST_LEFT_FRAMES {
            let (Some(rest), Line::One { driver, .. }) = (&mut self.rest, &mut self.line) else {
                return;
            };
            match Pin::new(rest).poll_frame(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap_or_default();
                    let room = super::framing::MOST_KEPT.saturating_sub(self.left.len());
                    self.left.extend_from_slice(&data[..data.len().min(room)]);
                }
                Poll::Ready(None | Some(Err(_))) => self.rest = None,
            }
            if !self.ended {
                self.ended = super::framing::has_ended(driver.as_mut().poll(cx), &mut self.is_unasked);
            }
        }
        // It goes on and on: whoever has heard the last event hangs up.
        self.rest = None;
        self.ended = true;
    }

    /// Resets it: the other side gets a RST instead of a polite end, and what is under way is lost. Over HTTP/2 a stream
    /// is reset, not the connection.
    pub fn reset(self) {
        if let Some((stream, _)) = self.into_stream() {
            stream.end_by_reset();
        }
    }

    /// The bytes under HTTP/1.1, with those that have been read already.
    pub fn into_stream(self) -> Option<(Stream, Bytes)> {
        let Line::One { driver, .. } = self.line else { return None };
        let parts = Pin::into_inner(driver).into_parts();
        Some((parts.io.into_inner(), parts.read_buf))
    }

    pub(super) fn new(wire: &Wire, line: Line, traffic: Arc<Traffic>, local_port: u16) -> Self {
        let since = wire.clock.now();
        Self {
            line,
            ended: false,
            is_unasked: false,
            last: None,
            asked: since,
            waited_for_stream: false,
            left: Vec::new(),
            may_hold_back: false,
            traffic,
            ordinal: 0,
            since,
            local_port,
            rest: None,
            handed: None,
            tails: Vec::new(),
        }
    }

    /// Whether a request can be sent on it.
    pub fn is_usable(&self) -> bool {
        !self.ended
            && self.rest.is_none()
            && match &self.line {
                Line::One { sender, .. } => !sender.is_closed(),
                Line::Two(_) | Line::Parked(_) => true,
            }
    }

    /// Whether it speaks HTTP/2.
    pub fn is_two(&self) -> bool {
        matches!(self.line, Line::Two(_))
    }
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The target or the network.
    Target(Transport),
    /// Our own machine: descriptors or ports ran out.
    Ours,
}

/// Opens a connection to target `index`, with the user's own `sessions` where there are some.
pub async fn connect(
    wire: &Wire,
    index: usize,
    sessions: Option<&Arc<ClientConfig>>,
) -> Result<Connection, ConnectError> {
    let target = &wire.targets[index];
    let limit = Duration::from_nanos(target.connect_timeout_ns);
    match tokio::time::timeout(limit, open(wire, index, sessions)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Target(Transport::ConnectTimeout)),
    }
}

/// As [`connect`], with HTTP/1.1 whatever the target speaks besides: for what begins with an upgrade.
pub async fn connect_to_upgrade(wire: &Wire, index: usize) -> Result<Connection, ConnectError> {
    let limit = Duration::from_nanos(wire.targets[index].connect_timeout_ns);
    let open = async {
        let (stream, traffic, local_port) = stream(wire, index).await?;
        let line = speak(stream, &wire.targets[index]).await.map_err(ConnectError::Target)?;
        Ok(Connection::new(wire, line, traffic, local_port))
    };
    tokio::time::timeout(limit, open).await.unwrap_or(Err(ConnectError::Target(Transport::ConnectTimeout)))
}

/// The bytes to target `index`: TCP, and TLS where it is asked for; with their count and our port. For whoever speaks
/// something else than HTTP/2 on them.
pub async fn stream(wire: &Wire, index: usize) -> Result<(Stream, Arc<Traffic>, u16), ConnectError> {
    bytes_to(wire, index, wire.targets[index].upgrade_tls.as_ref()).await
}

async fn bytes_to(
    wire: &Wire,
    index: usize,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<(Stream, Arc<Traffic>, u16), ConnectError> {
    let socket = reach(wire, index).await?;
    let local_port = socket.local_port();
    let traffic = Arc::new(Traffic::default());
    let line = match wire.network.get() {
        None => None,
        Some(network) => {
            tokio::time::sleep(Duration::from_nanos(network.delay_ns)).await;
            Some(Box::new(Throttle::new(network, wire.clock)))
        }
    };
    let plain = Counted {
        socket,
        traffic: Arc::clone(&traffic),
        clock: wire.clock,
        pause: Pause::default(),
        share: Share::default(),
        hesitant: Hesitant::default(),
        line,
    };
    let stream = match tls {
        None => Stream::Plain(plain),
        Some(config) => {
            let name = wire.targets[index].server_name.clone();
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
            let tls = connector.connect(name, plain).await.map_err(|e| ConnectError::Target(tls::failure(&e)))?;
            wire.facts.handshake(tls.get_ref().1.handshake_kind());
            Stream::Tls(Box::new(tls))
        }
    };
    Ok((stream, traffic, local_port))
}

/// HTTP/1.1 on an open stream.
pub(super) async fn speak(stream: Stream, endpoint: &Endpoint) -> Result<Line, Transport> {
    let mut builder = http1::Builder::new();
    // Left alone, the parser keeps its table of headers on the stack; any other limit costs an allocation an answer.
    if endpoint.limits.headers != USUAL_HEADERS {
        builder.max_headers(endpoint.limits.headers);
    }
    let (sender, driver) = builder
        // A small request is cheaper copied into one buffer than gathered by the kernel.
        .writev(false)
        .max_buf_size(endpoint.limits.head_bytes)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Transport::Broken)?;
    Ok(Line::One { sender, driver: Box::pin(driver) })
}

/// The parser's own limit of headers.
const USUAL_HEADERS: usize = 100;

async fn open(wire: &Wire, index: usize, sessions: Option<&Arc<ClientConfig>>) -> Result<Connection, ConnectError> {
    let endpoint = &wire.targets[index];
    let (stream, traffic, local_port) = bytes_to(wire, index, sessions.or(endpoint.tls.as_ref())).await?;
    let agreed_on_two = match &stream {
        Stream::Plain(_) => endpoint.transport.http == Http::H2c,
        Stream::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
    };
    let line = if agreed_on_two {
        Line::Two(Box::new(two::greet(stream, endpoint).await.map_err(ConnectError::Target)?))
    } else if endpoint.transport.http == Http::Two {
        return Err(ConnectError::Target(Transport::NoHttp2));
    } else {
        speak(stream, endpoint).await.map_err(ConnectError::Target)?
    };
    wire.facts.opened(agreed_on_two);
    Ok(Connection::new(wire, line, traffic, local_port))
}

/// What an error of an open connection means.
pub fn classify_io(error: &io::Error) -> Transport {
    if let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
        return tls::reason(tls);
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Transport::Reset,
        io::ErrorKind::UnexpectedEof => Transport::Closed,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Transport::Malformed,
        _ => Transport::Broken,
    }
}

/// The bytes under HTTP: plain or encrypted.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Plain(Counted),
    /// TLS over TCP.
    Tls(Box<tokio_rustls::client::TlsStream<Counted>>),
}

impl Stream {
    /// From now on its end is a RST.
    pub fn end_by_reset(&self) {
        match self {
            Self::Plain(plain) => plain.socket.end_by_reset(),
            Self::Tls(tls) => tls.get_ref().0.socket.end_by_reset(),
        }
    }

    /// Ready with how many of so many bytes may be written now, if not all.
    fn may_write(&mut self, total: usize, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        let Counted { hesitant, traffic, clock, .. } = match self {
            Self::Plain(plain) => plain,
            Self::Tls(tls) => tls.get_mut().0,
        };
        hesitant.poll((&traffic.hesitation, &traffic.slowness), (total, clock), cx)
    }

    /// Writes only the first bytes of `buf`.
    fn write_some(&mut self, cx: &mut Context<'_>, buf: &[u8], most: usize) -> Poll<io::Result<usize>> {
        let part = &buf[..most.min(buf.len())];
        let written = std::task::ready!(match self {
            Self::Plain(s) => Pin::new(s).poll_write(cx, part),
            Self::Tls(s) => Pin::new(s).poll_write(cx, part),
        })?;
        let Counted { hesitant, clock, .. } = match self {
            Self::Plain(plain) => plain,
            Self::Tls(tls) => tls.get_mut().0,
        };
        hesitant.wrote(written, most, clock);
        Poll::Ready(Ok(written))
    }
}

/// A TCP stream that counts.
#[derive(Debug)]
pub struct Counted {
    socket: Socket,
    traffic: Arc<Traffic>,
    clock: Clock,
    pause: Pause,
    share: Share<MOST_READS>,
    hesitant: Hesitant,
    /// The users' network, if it is not the machine's own.
    line: Option<Box<Throttle>>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.share.poll(cx));
        let result = self.read(cx, buf);
        self.share.took(result.is_ready());
        result
    }
}

impl Counted {
    #[inline]
    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.line.is_some() {
            return self.read_line(cx, buf);
        }
        let this = &mut *self;
        if this.traffic.slowness.is_on() || !this.pause.is_over() {
            std::task::ready!(this.pause.poll(&this.traffic.slowness, &this.clock, cx));
        }
        if this.traffic.slowness.is_on() {
            let mut bytes = [0; MOUTHFUL];
            let mut mouthful = ReadBuf::new(&mut bytes[..MOUTHFUL.min(buf.remaining())]);
            std::task::ready!(Pin::new(&mut this.socket).poll_read(cx, &mut mouthful))?;
            let read = mouthful.filled();
            this.pause.eaten(read.len());
            add(&this.traffic.read, read.len());
            buf.put_slice(read);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.socket).poll_read(cx, buf);
        add(&self.traffic.read, buf.filled().len() - before);
        result
    }

    /// Reads as much as the line lets through, slowly besides if that is asked for.
    fn read_line(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.pause.poll(&self.traffic.slowness, &self.clock, cx));
        let Some(line) = &mut self.line else { return Poll::Pending };
        std::task::ready!(self.socket.poll_read_ready(cx))?;
        let mut most = std::task::ready!(line.may_read(cx)).min(buf.remaining());
        let is_slow = self.traffic.slowness.is_on();
        if is_slow {
            most = most.min(MOUTHFUL);
        }
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        std::task::ready!(Pin::new(&mut self.socket).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        line.read(read);
        if is_slow {
            self.pause.eaten(read);
        }
        add(&self.traffic.read, read);
        Poll::Ready(Ok(()))
    }

    /// Writes as much as the line lets through.
    fn write_line(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(line) = &mut self.line else { return Poll::Pending };
        let most = std::task::ready!(line.may_write(cx)).min(bytes.len());
        let written = std::task::ready!(Pin::new(&mut self.socket).poll_write(cx, &bytes[..most]))?;
        line.wrote(written);
        add(&self.traffic.written, written);
        Poll::Ready(Ok(written))
    }

    fn count_written(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = result {
            add(&self.traffic.written, n);
        }
        result
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.line.is_some() {
            return self.write_line(cx, buf);
        }
        let result = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.count_written(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.line.is_some() {
            let first = bufs.iter().find(|b| !b.is_empty()).map_or(&[][..], |b| &**b);
            return self.write_line(cx, first);
        }
        let result = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.count_written(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(most) = std::task::ready!(this.may_write(buf.len(), cx)) {
            return this.write_some(cx, buf, most);
        }
        match this {
            Self::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(most) = std::task::ready!(this.may_write(bufs.iter().map(|b| b.len()).sum(), cx)) {
            let first = bufs.iter().find(|b| !b.is_empty()).map_or(&[][..], |b| &**b);
            return this.write_some(cx, first, most);
        }
        match this {
            Self::Plain(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Self::Tls(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(s) => s.is_write_vectored(),
            Self::Tls(s) => s.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_flush(cx),
            Self::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
