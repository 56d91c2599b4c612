//! How a target is reached: protocol, certificates, ways out, limits. Plain values.
//! In: `targets:` of a file, or flags. Out: read by the engine's client.

use std::net::IpAddr;

/// The version of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1.
    #[default]
    One,
    /// HTTP/2, agreed upon in the TLS handshake; a target that does not agree fails the request.
    Two,
    /// HTTP/2 without TLS, with prior knowledge.
    H2c,
    /// What the TLS handshake agrees upon; HTTP/1.1 without TLS.
    Auto,
}

/// How a target is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// The version of HTTP.
    pub http: Http,
    /// File with our certificate and those above it, PEM; together with `key`.
    pub cert: Option<String>,
    /// File with our private key, PEM.
    pub key: Option<String>,
    /// The name to ask for in the TLS handshake and to find in the certificate, instead of the URL's host.
    pub server_name: Option<String>,
    /// The proxy on the way.
    pub proxy: Option<Proxy>,
    /// Our own addresses, taken in turn; empty: whatever the system gives.
    pub source_addresses: Vec<IpAddr>,
    /// Resolve the host's name for each connection, not once per worker.
    pub resolve_each: bool,
    /// Redirects that are followed at most.
    pub redirects: Redirects,
    /// What an answer may be at most.
    pub limits: Limits,
    /// So many connections for all users; `None`: each user has its own.
    pub share_connections: Option<u32>,
}

/// Redirects that are followed at most, 0 to 50; 10 unless said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirects(pub u32);

impl Default for Redirects {
    fn default() -> Self {
        Self(10)
    }
}

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User and password.
    pub login: Option<(String, String)>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// Limits that keep a hostile target from growing the generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an answer's head.
    pub head_bytes: usize,
    /// Headers of an answer.
    pub headers: usize,
    /// Bytes of a body, before and after decoding.
    pub body_bytes: usize,
    /// How deep the brackets of JSON may be nested, 1 to [`MOST_DEPTH`].
    pub json_depth: usize,
}

/// The deepest JSON that can be read.
pub const MOST_DEPTH: usize = 127;

impl Default for Limits {
    fn default() -> Self {
        Self { head_bytes: 256 << 10, headers: 100, body_bytes: 16 << 20, json_depth: MOST_DEPTH }
    }
}
