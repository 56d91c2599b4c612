//! What can go wrong with a request, as small values; named only when counted.
//! In: the client's and the checks' findings. Out: the kinds that tables and `errors` show.

use scenarios::program::{Condition, Program, Request};
use scenarios::units::format_duration;

/// What the network or the target did instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// The address could not be resolved.
    Dns,
    /// Nobody listens there.
    Refused,
    /// No connection within `connect_timeout`.
    ConnectTimeout,
    /// Any other failure to connect.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The connection was reset.
    Reset,
    /// The connection was closed before the whole answer was there.
    Closed,
    /// Bytes that are no HTTP.
    Malformed,
    /// The head is larger than the limit.
    HeadTooLarge,
    /// The body (or what it decodes to) is larger than the limit.
    BodyTooLarge,
    /// The content coding is broken or unknown.
    Coding,
    /// Anything else on an open connection.
    Broken,
    /// An event is larger than the limit.
    EventTooLarge,
    /// A WebSocket was accepted in a way that is none.
    BadUpgrade,
    /// A message is larger than the limit.
    MessageTooLarge,
    /// A text message is no UTF-8.
    NotUtf8,
    /// Bytes that are no WebSocket frame.
    BadFrame,
    /// The certificate is of an authority that is not trusted.
    CertificateIssuer,
    /// The certificate is out of date, or not valid yet.
    CertificateExpired,
    /// The certificate is for another name.
    CertificateName,
    /// Anything else that is wrong with the certificate.
    Certificate,
    /// The target wants a certificate of ours.
    CertificateWanted,
    /// The target broke the TLS handshake off with an alert.
    TlsAlert,
    /// What came on a TLS port is no TLS.
    NoTls,
    /// The target does not speak the version of HTTP that was asked for.
    NoHttp2,
    /// The target says goodbye to the HTTP/2 connection without having answered.
    GoAway(Code),
    /// The target ended the HTTP/2 stream without having answered.
    StreamReset(Code),
    /// Interim answers (1xx) without end.
    Interim,
    /// More redirects than are allowed.
    TooManyRedirects,
    /// Redirects in a circle.
    RedirectLoop,
    /// A redirect to an address that is no target of the scenario.
    RedirectElsewhere,
    /// The proxy broke off or spoke no HTTP.
    ProxyBroken,
    /// The proxy wants a login, or another one.
    ProxyLogin,
    /// The proxy does not let us through.
    ProxyRefused,
    /// Frames of HTTP/2 that carry next to nothing, by the thousand.
    Flood,
}

/// An error code of HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u32);

/// `(goaway, stream reset)` by code, RFC 9113 section 7.
const H2_NAMES: [(&str, &str); 14] = [
    ("http/2 goaway: no error", "http/2 stream reset: no error"),
    ("http/2 goaway: protocol error", "http/2 stream reset: protocol error"),
    ("http/2 goaway: internal error", "http/2 stream reset: internal error"),
    ("http/2 goaway: flow control error", "http/2 stream reset: flow control error"),
    ("http/2 goaway: settings timeout", "http/2 stream reset: settings timeout"),
    ("http/2 goaway: stream closed", "http/2 stream reset: stream closed"),
    ("http/2 goaway: frame size error", "http/2 stream reset: frame size error"),
    ("http/2 goaway: refused stream", "http/2 stream reset: refused stream"),
    ("http/2 goaway: cancel", "http/2 stream reset: cancel"),
    ("http/2 goaway: compression error", "http/2 stream reset: compression error"),
    ("http/2 goaway: connect error", "http/2 stream reset: connect error"),
    ("http/2 goaway: enhance your calm", "http/2 stream reset: enhance your calm"),
    ("http/2 goaway: inadequate security", "http/2 stream reset: inadequate security"),
    ("http/2 goaway: http/1.1 required", "http/2 stream reset: http/1.1 required"),
];

impl Code {
    fn names(self) -> (&'static str, &'static str) {
        let unknown = ("http/2 goaway: unknown code", "http/2 stream reset: unknown code");
        H2_NAMES.get(self.0 as usize).copied().unwrap_or(unknown)
    }
}

impl Transport {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "name not resolved",
            Self::Refused => "connection refused",
            Self::ConnectTimeout => "connect timeout",
            Self::Connect => "connect failed",
            Self::Tls => "tls handshake failed",
            Self::Reset => "connection reset",
            Self::Closed => "connection closed early",
            Self::Malformed => "malformed answer",
            Self::HeadTooLarge => "answer head too large",
            Self::BodyTooLarge => "answer body too large",
            Self::Coding => "broken content coding",
            Self::Broken => "connection broken",
            Self::EventTooLarge => "event too large",
            Self::BadUpgrade => "bad websocket accept",
            Self::MessageTooLarge => "message too large",
            Self::NotUtf8 => "message is no UTF-8",
            Self::BadFrame => "bad websocket frame",
            Self::CertificateIssuer => "tls: certificate of unknown issuer",
            Self::CertificateExpired => "tls: certificate out of date",
            Self::CertificateName => "tls: certificate for another name",
            Self::Certificate => "tls: certificate not valid",
            Self::CertificateWanted => "tls: client certificate required",
            Self::TlsAlert => "tls: handshake refused by the target",
            Self::NoTls => "tls: the target speaks no tls",
            Self::NoHttp2 => "http/2 not offered by the target",
            Self::GoAway(code) => code.names().0,
            Self::StreamReset(code) => code.names().1,
            Self::Interim => "endless interim answers",
            Self::TooManyRedirects => "too many redirects",
            Self::RedirectLoop => "redirect loop",
            Self::RedirectElsewhere => "redirect to no target of the scenario",
            Self::ProxyBroken => "proxy: connection broken",
            Self::ProxyLogin => "proxy: login required",
            Self::ProxyRefused => "proxy: refused",
            Self::Flood => "http/2 flood of tiny frames",
        }
    }
}

/// Why a request failed. Indexes refer to the request's lists in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// The answer never came whole.
    Transport(Transport),
    /// Not in time.
    TimedOut,
    /// An unexpected status.
    Status(u16),
    /// `expect.json[i]`.
    Json(u16),
    /// `expect.contains[i]`.
    Contains(u16),
    /// `expect.matches[i]`.
    Matches(u16),
    /// `expect.headers[i]`.
    Header(u16),
    /// Slower than `expect.under`.
    Slow,
    /// `expect.that` is not true.
    That,
    /// `expect.marker`: none came back.
    Marker,
    /// `saves[i]` found nothing.
    Save(u16),
    /// `identities[i]` found nothing.
    Identity(u16),
    /// A template or condition of the scenario could not be evaluated.
    Scenario,
    /// A good answer that was to be read as events is none.
    NoEvents,
    /// The stream ended without the event that `until` names.
    Until,
    /// The first event came later than `expect.first_event`.
    FirstEvent,
    /// Two events lay further apart than `expect.event_gap`.
    EventGap,
    /// `expect.events`: another number came.
    Events,
    /// The target closed the WebSocket with this code.
    Closed(u16),
    /// No message that matches came within so many ms.
    NoMessage(u64),
    /// A message was to be sent or received on a WebSocket that the user had closed.
    NotOpen,
    /// A message that matched held nothing to save.
    MessageSave,
    /// The answer is that of another request, by the id that `echo` sent.
    Crossed,
    /// `echo`: the answer does not repeat the request's id.
    Echo,
    /// `expect.marker: latest`: an acknowledged write is not there.
    LostWrite,
    /// A poll found nothing until its time was over.
    Poll,
    /// Too few users came to `Program::meetings[_]`; no request's failure.
    Missed(u16),
    /// JSON that is nested deeper than `limits.json_depth`.
    JsonDepth,
}

impl Failure {
    /// Whether no connection could be made.
    pub fn is_of_connecting(self) -> bool {
        use Transport::{Connect, ConnectTimeout, Dns, Refused, Tls};
        matches!(self, Self::Transport(Dns | Refused | ConnectTimeout | Connect | Tls))
    }

    /// The name under which it is counted. `request` is where it happened, if in a request.
    pub fn name(self, program: &Program, request: Option<usize>) -> String {
        let of = |f: &dyn Fn(&Request) -> Option<String>| {
            request.and_then(|r| program.requests.get(r)).and_then(f).unwrap_or_else(|| "?".into())
        };
        match self {
            Self::Transport(transport) => transport.name().into(),
            Self::TimedOut => "timeout".into(),
            Self::Status(status) => format!("status {status}"),
            Self::Json(i) => {
                format!(
                    "check json {}",
                    of(&|r| r.expect.json.get(usize::from(i)).map(|(p, c)| format!("{}{}", p.text(), describe(c))))
                )
            }
            Self::Contains(_) => "check body contains".into(),
            Self::Matches(i) => {
                format!(
                    "check body matches {}",
                    of(&|r| r.expect.matches.get(usize::from(i)).map(|m| m.as_str().to_owned()))
                )
            }
            Self::Header(i) => {
                format!("check header {}", of(&|r| r.expect.headers.get(usize::from(i)).map(|(n, _)| n.clone())))
            }
            Self::Slow => "slower than `under`".into(),
            Self::That => "check that".into(),
            Self::Marker => "marker missing".into(),
            Self::Save(i) => {
                format!("nothing to save as {}", of(&|r| r.saves.get(usize::from(i)).map(|s| s.name.clone())))
            }
            Self::Identity(i) => {
                format!(
                    "identity missing at {}",
                    of(&|r| r.identities.get(usize::from(i)).map(|x| x.path.text().to_owned()))
                )
            }
            Self::Poll => {
                let within = of(&|r| r.poll.as_ref().map(|p| format_duration(p.within_ns)));
                format!("not there within {within}")
            }
            Self::Scenario => "scenario: expression failed".into(),
            Self::NoEvents => "answer is no event stream".into(),
            Self::Until => "event stream ended before `until`".into(),
            Self::FirstEvent => "first event later than `first_event`".into(),
            Self::EventGap => "events further apart than `event_gap`".into(),
            Self::Events => "check events".into(),
            Self::Closed(1005) => "closed without a code".into(),
            Self::Closed(code) => format!("closed {code}"),
            Self::NoMessage(ms) => {
                format!("no matching message within {}", format_duration(ms.saturating_mul(1_000_000)))
            }
            Self::NotOpen => "websocket not open".into(),
            Self::MessageSave => "nothing to save from the message".into(),
            Self::Crossed => "crossed answer".into(),
            Self::Echo => "echo missing".into(),
            Self::Missed(i) => {
                let name = program.meetings.get(usize::from(i)).map_or("?", |m| m.name.as_str());
                format!("rendezvous `{name}` missed")
            }
            Self::LostWrite => "lost-write".into(),
            Self::JsonDepth => "answer json nested too deep".into(),
        }
    }
}

fn describe(condition: &Condition) -> &'static str {
    match condition {
        Condition::Exists(true) => " exists",
        Condition::Exists(false) => " is absent",
        Condition::Matches(_) => " matches",
        Condition::Equals(_) | Condition::Compare(..) => "",
    }
}
