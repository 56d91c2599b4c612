//! Connecting: resolve, TCP, TLS, HTTP/1.1 handshake; failures told apart into the target's and our own.
//! In: a target. Out: an open [`Connection`] that its user polls itself.

use super::exchange::Wire;
use super::slow::{MOUTHFUL, Pause, Slowness};
use crate::clock::{Clock, Nanos};
use crate::failure::Transport;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Pieces after a stream's last event that are read away at one go.
const MOST_LEFT_FRAMES: usize = 16;

/// Bytes over one connection. Shared between the connection, which hyper owns, and its user.
#[derive(Debug, Default)]
pub struct Traffic {
    read: AtomicU64,
    written: AtomicU64,
    /// How slowly the present answer is read.
    pub slowness: Slowness,
}

impl Traffic {
    /// Bytes (read, written) so far.
    pub fn so_far(&self) -> (u64, u64) {
        (self.read.load(Relaxed), self.written.load(Relaxed))
    }
}

/// An open connection.
pub struct Connection {
    /// Sends requests.
    pub sender: http1::SendRequest<Full<Bytes>>,
    /// Does the reading and writing when polled.
    pub driver: Pin<Box<http1::Connection<TokioIo<Stream>, Full<Bytes>>>>,
    /// The driver has ended; it must not be polled again.
    pub ended: bool,
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
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("local_port", &self.local_port).finish_non_exhaustive()
    }
}

impl Connection {
    /// Lets the connection work; notes its end.
    pub fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended && self.driver.as_mut().poll(cx).is_ready() {
            self.ended = true;
        }
        if self.rest.is_some() {
            self.read_away(cx);
        }
    }

    /// Reads what is left of an answer that nobody waits for any more, as far as it is there.
    fn read_away(&mut self, cx: &mut Context<'_>) {
        for _ in 0..MOST_LEFT_FRAMES {
            let Some(rest) = &mut self.rest else {
                return;
            };
            match Pin::new(rest).poll_frame(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(None | Some(Err(_))) => self.rest = None,
            }
            if !self.ended && self.driver.as_mut().poll(cx).is_ready() {
                self.ended = true;
            }
        }
        // It goes on and on: whoever has heard the last event hangs up.
        self.rest = None;
        self.ended = true;
    }

    /// Resets it: the other side gets a RST instead of a polite end, and what is under way is lost.
    pub fn reset(self) {
        self.into_stream().0.reset_when_dropped();
    }

    /// The bytes under HTTP, with those that have been read already.
    pub fn into_stream(self) -> (Stream, Bytes) {
        let parts = Pin::into_inner(self.driver).into_parts();
        (parts.io.into_inner(), parts.read_buf)
    }

    /// Whether a request can be sent on it.
    pub fn is_usable(&self) -> bool {
        !self.ended && self.rest.is_none() && !self.sender.is_closed()
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

/// Opens a connection to target `index`.
pub async fn connect(wire: &Wire, index: usize) -> Result<Connection, ConnectError> {
    let target = &wire.targets[index];
    let limit = Duration::from_nanos(target.connect_timeout_ns);
    match tokio::time::timeout(limit, open(wire, index)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Target(Transport::ConnectTimeout)),
    }
}

/// The bytes to target `index`: TCP, and TLS where it is asked for; with their count and our port.
pub async fn stream(wire: &Wire, index: usize) -> Result<(Stream, Arc<Traffic>, u16), ConnectError> {
    let target = &wire.targets[index];
    let tcp = tcp(&wire.addresses(index).await?).await?;
    // Without Nagle a small request leaves at once; a socket that refuses the option still works.
    let _ = tcp.set_nodelay(true);
    let local_port = tcp.local_addr().map_or(0, |a| a.port());
    let traffic = Arc::new(Traffic::default());
    let plain = Counted { tcp, traffic: Arc::clone(&traffic), clock: wire.clock, pause: Pause::default() };
    let stream = match &target.tls {
        None => Stream::Plain(plain),
        Some(config) => {
            let name = ServerName::try_from(target.host.clone()).map_err(|_| ConnectError::Target(Transport::Tls))?;
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
            let tls = connector.connect(name, plain).await.map_err(|_| ConnectError::Target(Transport::Tls))?;
            Stream::Tls(Box::new(tls))
        }
    };
    Ok((stream, traffic, local_port))
}

/// The parser's own limit of headers.
const USUAL_HEADERS: usize = 100;

async fn open(wire: &Wire, index: usize) -> Result<Connection, ConnectError> {
    let (stream, traffic, local_port) = stream(wire, index).await?;
    let mut builder = http1::Builder::new();
    // Left alone, the parser keeps its table of headers on the stack; any other limit costs an allocation an answer.
    if wire.limits.headers != USUAL_HEADERS {
        builder.max_headers(wire.limits.headers);
    }
    let (sender, driver) = builder
        // A small request is cheaper copied into one buffer than gathered by the kernel.
        .writev(false)
        .max_buf_size(wire.limits.head_bytes)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| ConnectError::Target(Transport::Broken))?;
    let since = wire.clock.now();
    Ok(Connection {
        sender,
        driver: Box::pin(driver),
        ended: false,
        traffic,
        ordinal: 0,
        since,
        local_port,
        rest: None,
    })
}

/// Tries the addresses in order.
async fn tcp(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut last = ConnectError::Target(Transport::Dns);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = classify(&error),
        }
    }
    Err(last)
}

fn classify(error: &io::Error) -> ConnectError {
    #[cfg(unix)]
    if let Some(libc::EMFILE | libc::ENFILE | libc::EADDRNOTAVAIL | libc::ENOBUFS | libc::EADDRINUSE | libc::ENOMEM) =
        error.raw_os_error()
    {
        return ConnectError::Ours;
    }
    ConnectError::Target(match error.kind() {
        io::ErrorKind::ConnectionRefused => Transport::Refused,
        io::ErrorKind::ConnectionReset => Transport::Reset,
        io::ErrorKind::TimedOut => Transport::ConnectTimeout,
        _ => Transport::Connect,
    })
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
    pub fn reset_when_dropped(&self) {
        let tcp = match self {
            Self::Plain(plain) => &plain.tcp,
            Self::Tls(tls) => &tls.get_ref().0.tcp,
        };
        // A socket that refuses the option is already gone, which is what was wanted.
        let _ = socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO));
    }
}

/// A TCP stream that counts.
#[derive(Debug)]
pub struct Counted {
    tcp: TcpStream,
    traffic: Arc<Traffic>,
    clock: Clock,
    pause: Pause,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        std::task::ready!(this.pause.poll(&this.traffic.slowness, &this.clock, cx));
        if this.traffic.slowness.is_on() {
            let mut bytes = [0; MOUTHFUL];
            let mut mouthful = ReadBuf::new(&mut bytes[..MOUTHFUL.min(buf.remaining())]);
            std::task::ready!(Pin::new(&mut this.tcp).poll_read(cx, &mut mouthful))?;
            let read = mouthful.filled();
            this.pause.eaten(read.len());
            this.traffic.read.fetch_add(read.len() as u64, Relaxed);
            buf.put_slice(read);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.tcp).poll_read(cx, buf);
        self.traffic.read.fetch_add((buf.filled().len() - before) as u64, Relaxed);
        result
    }
}

impl Counted {
    fn count_written(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = result {
            self.traffic.written.fetch_add(n as u64, Relaxed);
        }
        result
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.count_written(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.count_written(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
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
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
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
