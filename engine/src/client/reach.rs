//! Reaching a target: names, addresses, sockets of this machine, proxies. In: an endpoint. Out: an open socket.

use super::connect::ConnectError;
use super::wire::{Endpoint, Wire};
use crate::failure::Transport;
use base64::Engine as _;
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

/// Bytes of a proxy's answer that are looked at.
const LONGEST_PROXY_ANSWER: usize = 16 << 10;

/// The bytes under everything.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A socket of this machine.
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

impl Socket {
    /// Our port; 0 where there is none.
    pub fn local_port(&self) -> u16 {
        match self {
            Self::Tcp(tcp) => tcp.local_addr().map_or(0, |a| a.port()),
            #[cfg(unix)]
            Self::Unix(_) => 0,
        }
    }

    /// Whether there is something to read.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_read_ready(cx),
            #[cfg(unix)]
            Self::Unix(unix) => unix.poll_read_ready(cx),
        }
    }

    /// The other side gets a RST instead of a polite end.
    pub fn end_by_reset(&self) {
        if let Self::Tcp(tcp) = self {
            // A socket that refuses the option is already gone, which is what was wanted.
            let _ = socket2::SockRef::from(tcp).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}

/// How connections leave this machine, beside the address: counted per worker, so that addresses are taken in turn.
#[derive(Debug, Default)]
pub struct Turn(Cell<usize>);

impl Turn {
    fn next(&self) -> usize {
        let now = self.0.get();
        self.0.set(now.wrapping_add(1));
        now
    }
}

/// Opens a socket to target `index`, through its proxy where there is one.
pub async fn reach(wire: &Wire, index: usize) -> Result<Socket, ConnectError> {
    let endpoint = &wire.targets[index];
    #[cfg(unix)]
    if let Some(path) = &endpoint.socket {
        let stream = tokio::net::UnixStream::connect(path).await.map_err(|e| classify(&e))?;
        return Ok(Socket::Unix(stream));
    }
    let mut tcp = tcp(endpoint, &wire.addresses(index).await?).await?;
    // Without Nagle a small request leaves at once; a socket that refuses the option still works.
    let _ = tcp.set_nodelay(true);
    if endpoint.needs_tunnel {
        tunnel(&mut tcp, endpoint).await?;
    }
    Ok(Socket::Tcp(tcp))
}

/// Tries the addresses in order.
async fn tcp(endpoint: &Endpoint, addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut last = ConnectError::Target(Transport::Dns);
    for address in addresses {
        let connecting = match source(endpoint, *address) {
            None => TcpStream::connect(address).await,
            Some(source) => from(source, *address).await,
        };
        match connecting {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = classify(&error),
        }
    }
    Err(last)
}

/// Our own address for the next connection, of the same family as the other side's.
fn source(endpoint: &Endpoint, to: SocketAddr) -> Option<IpAddr> {
    let all = &endpoint.transport.source_addresses;
    let first = endpoint.turn.next();
    (0..all.len()).map(|i| all[(first + i) % all.len()]).find(|a| a.is_ipv4() == to.is_ipv4())
}

async fn from(source: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Without it a port that has just been left stays taken for a minute.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(to).await
}

/// Asks the proxy for a tunnel.
async fn tunnel(tcp: &mut TcpStream, endpoint: &Endpoint) -> Result<(), ConnectError> {
    let failed = |e: io::Error| match classify(&e) {
        ConnectError::Target(Transport::Connect) => ConnectError::Target(Transport::ProxyBroken),
        other => other,
    };
    let port = endpoint.base.port_or_known_default().unwrap_or(443);
    let host = endpoint.base.host_str().unwrap_or_default();
    let mut words = format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n");
    if let Some(login) = proxy_authorization(endpoint) {
        words.push_str(&format!("proxy-authorization: {login}\r\n"));
    }
    words.push_str("\r\n");
    tcp.write_all(words.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::with_capacity(1024);
    while !answer.windows(4).any(|w| w == b"\r\n\r\n") {
        let read = tcp.read_buf(&mut answer).await.map_err(failed)?;
        if read == 0 || answer.len() > LONGEST_PROXY_ANSWER {
            return Err(ConnectError::Target(Transport::ProxyBroken));
        }
    }
    match answer.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5)) {
        // Nobody speaks through the tunnel before we do: what follows the head would be the proxy's own.
        Some([b'2', _, _]) if answer.ends_with(b"\r\n\r\n") => Ok(()),
        Some(b"407") => Err(ConnectError::Target(Transport::ProxyLogin)),
        Some([b'3'..=b'5', _, _]) => Err(ConnectError::Target(Transport::ProxyRefused)),
        _ => Err(ConnectError::Target(Transport::ProxyBroken)),
    }
}

/// The login at the proxy, as its header says it.
pub fn proxy_authorization(endpoint: &Endpoint) -> Option<String> {
    let (user, password) = endpoint.transport.proxy.as_ref()?.login.as_ref()?;
    let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    Some(format!("Basic {login}"))
}

/// Our own failures told from the target's.
pub fn classify(error: &io::Error) -> ConnectError {
    #[cfg(unix)]
    if let Some(libc::EMFILE | libc::ENFILE | libc::EADDRNOTAVAIL | libc::ENOBUFS | libc::EADDRINUSE | libc::ENOMEM) =
        error.raw_os_error()
    {
        return ConnectError::Ours;
    }
    ConnectError::Target(match error.kind() {
        // A socket's path that is not there: nobody listens.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Transport::Refused,
        io::ErrorKind::ConnectionReset => Transport::Reset,
        io::ErrorKind::TimedOut => Transport::ConnectTimeout,
        _ => Transport::Connect,
    })
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_read(cx, buf),
            #[cfg(unix)]
            Self::Unix(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write(cx, buf),
            #[cfg(unix)]
            Self::Unix(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            #[cfg(unix)]
            Self::Unix(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_flush(cx),
            #[cfg(unix)]
            Self::Unix(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
