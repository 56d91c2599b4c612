//! The practice clinic: a small real server with patients, clinicians and chat users,
//! on SQLite, with seeded defects that can be switched on.
//!
//! In: [`Options`] (ports, defects, seed). Out: a listening [`Clinic`] with its [`Urls`] and
//! its own count of the requests it served, against which a load test can be checked.
//! It runs on its own threads, so a caller may be plain code or inside another runtime.

mod accounts;
mod backend;
mod batch;
mod body;
mod cache;
mod clinic;
mod clock;
mod database;
mod defects;
mod door;
mod faults;
mod gate;
mod metrics;
mod records;
mod refusal;
mod rooms;
mod routes;
mod schema;
mod secure;
mod server;
mod tokens;

pub use clinic::{Clinic, StartError};
pub use database::PoolLimits;
pub use defects::{Defect, UnknownDefect};
pub use secure::{Certificates, Tls};

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where to listen, always on 127.0.0.1.
    pub port: Port,
    /// The defects to switch on; none is a correct clinic.
    pub defects: Vec<Defect>,
    /// Decides the moods of the stories and which requests [`Defect::Errors`] refuses.
    /// Tokens and ids never depend on it.
    pub seed: u64,
}

/// How long what stays open stays open, and how fast a stream flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// A WebSocket is closed after so long; 900 s unless said otherwise.
    pub longest_connection: std::time::Duration,
    /// Pieces of an answer that is told word by word; 20.
    pub events: usize,
    /// Time from one piece to the next; 5 ms.
    pub event_gap: std::time::Duration,
    /// Time between two alerts that a clinic's monitor makes by itself while somebody listens; 5 s.
    pub reminder: std::time::Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            longest_connection: std::time::Duration::from_secs(900),
            events: 20,
            event_gap: std::time::Duration::from_millis(5),
            reminder: std::time::Duration::from_secs(5),
        }
    }
}

/// The ports to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// 8001 for patients, 8002 for clinicians, 8005 for the chatbot.
    Standard,
    /// Everything on this one port; 0 takes any free one.
    One(u16),
}

/// The base addresses of a running clinic, such as `http://127.0.0.1:8001`, without a last slash.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Urls {
    /// The patients' API.
    pub patient: String,
    /// The clinicians' API.
    pub clinical: String,
    /// The chatbot.
    pub ai: String,
    /// With TLS: the files that a client needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Certificates>,
}
