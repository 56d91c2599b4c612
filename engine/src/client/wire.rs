//! What all users of a worker share on their way to the targets: addresses, TLS, limits, the clock, buffers at rest.
//! In: the program's targets. Out: [`Wire`], lent to every exchange.

use super::answer::Outgoing;
use super::connect::ConnectError;
use super::facts::Facts;
use super::handed::Left;
use super::reach::{self, Turn};
use super::shared::Pool;
use super::stranger::Strangers;
use super::tls;
use crate::clock::{Clock, Nanos};
use crate::failure::Transport;
use crate::overlap::Overlaps;
use crate::timer::Timer;
use http::{HeaderValue, Uri};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use scenarios::conditions::Network;
use scenarios::program::Target;
use scenarios::transport::Http;
use scenarios::transport::Limits;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use url::Url;

/// A target as the client needs it.
#[derive(Debug)]
pub struct Endpoint {
    /// Base URL.
    pub base: Url,
    /// Host without port and brackets.
    pub host: String,
    pub(super) host_header: HeaderValue,
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
    pub(super) absolute: Option<Option<HeaderValue>>,
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
    /// Connections that users have left to others.
    pub(super) left: Left,
    /// Who is under way at each target, and this worker's number; outside of a run nobody asks.
    pub(crate) overlaps: OnceCell<(Arc<Overlaps>, usize)>,
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
            left: Left::default(),
            overlaps: OnceCell::new(),
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

    pub(super) fn take_buffer(&self) -> Vec<u8> {
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
    pub(super) fn address(&self, out: &Outgoing) -> Uri {
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
