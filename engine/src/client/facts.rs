//! What is counted of connections: how many there were, what they spoke, how their TLS began.
//! In: each connection as it opens. Out: counts, taken by the worker once a second.

use rustls::HandshakeKind;
use serde::{Deserialize, Serialize};
use std::cell::Cell;

/// Connections of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TransportFacts {
    /// Connections that spoke HTTP/1.1.
    pub http1: u64,
    /// Connections that spoke HTTP/2.
    pub http2: u64,
    /// TLS handshakes in full.
    pub tls_full: u64,
    /// TLS handshakes that resumed a session.
    pub tls_resumed: u64,
}

impl TransportFacts {
    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.http1 += other.http1;
        self.http2 += other.http2;
        self.tls_full += other.tls_full;
        self.tls_resumed += other.tls_resumed;
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The counts of one worker since they were last taken.
#[derive(Debug, Default)]
pub struct Facts(Cell<TransportFacts>);

impl Facts {
    /// Takes the counts; they start again at 0.
    pub fn take(&self) -> TransportFacts {
        self.0.take()
    }

    /// A TLS handshake was made.
    pub fn handshake(&self, kind: Option<HandshakeKind>) {
        let mut facts = self.0.get();
        match kind {
            Some(HandshakeKind::Resumed) => facts.tls_resumed += 1,
            _ => facts.tls_full += 1,
        }
        self.0.set(facts);
    }

    /// A connection is open.
    pub fn opened(&self, is_two: bool) {
        let mut facts = self.0.get();
        *(if is_two { &mut facts.http2 } else { &mut facts.http1 }) += 1;
        self.0.set(facts);
    }
}
