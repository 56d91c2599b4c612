//! Event streams and WebSockets as a program says them: when a stream is over, what is sent, what is waited for.
//! In: `events:` of a request, `websocket`, `send`, `receive` and `close` steps. Out: read by the engine.

use crate::expr::{JsonTemplate, Template};
use crate::jsonpath::JsonPath;
use crate::program::{CompareOp, Condition, Op, Pc, Program, Save};
use crate::value::Value;
use serde_json::Value as Json;
use std::cmp::Ordering;

/// How the answer of a request is read as server-sent events.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// Where each event's data holds a piece of the text; the pieces are joined.
    pub text: Option<JsonPath>,
    /// Which event is the last one.
    pub until: Until,
}

/// Which event ends a stream.
#[derive(Clone, Debug, Default)]
pub enum Until {
    /// None: the stream ends when its connection does.
    #[default]
    End,
    /// The one whose data is this text.
    Text(String),
    /// The one whose data is JSON of which all this holds; the conditions are constant.
    Json(Vec<(JsonPath, Condition)>),
}

impl Until {
    /// Whether an event with this data is the last one.
    pub fn is_met(&self, data: &[u8]) -> bool {
        match self {
            Self::End => false,
            Self::Text(text) => data == text.as_bytes(),
            Self::Json(conditions) => serde_json::from_slice::<Json>(data)
                .is_ok_and(|json| conditions.iter().all(|(path, c)| c.holds_constant(path.find(&json).as_ref()))),
        }
    }
}

/// A WebSocket: opened by a request, closed at the end of its steps.
#[derive(Clone, Debug)]
pub struct Socket {
    /// Index into `Program::requests`: the upgrade.
    pub request: usize,
    /// A ping so often, ns; `None`: never.
    pub heartbeat_ns: Option<u64>,
    /// The operation after the socket's end.
    pub after: Pc,
    /// Whether a step inside saves something that later steps may need.
    pub saves: bool,
}

/// An operation on the user's WebSocket.
#[derive(Clone, Debug)]
pub enum SocketOp {
    /// Open `Program::sockets[_]`.
    Open(usize),
    /// Send a message.
    Send(Payload),
    /// Wait for a message.
    Receive(Box<Receive>),
    /// Close with this code.
    Close(u16),
    /// The end of `steps`: close with 1000 if it is open.
    End,
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A text message.
    Text(Template),
    /// A text message that is JSON.
    Json(JsonTemplate),
    /// A binary message, written as base64.
    Base64(Template),
}

/// A message that is waited for.
#[derive(Clone, Debug)]
pub struct Receive {
    /// What it must be like; others are skipped.
    pub like: Like,
    /// For how long, ns.
    pub within_ns: u64,
    /// What is taken from it.
    pub saves: Vec<Save>,
}

/// What a message must be like.
#[derive(Clone, Debug)]
pub enum Like {
    /// JSON of which all this holds; without any condition every message will do.
    Json(Vec<(JsonPath, Condition)>),
    /// This text.
    Text(Template),
}

impl Program {
    /// All that a journey saves: of the answers of its requests and of the messages of its WebSockets.
    pub fn saves(&self, journey: usize) -> impl Iterator<Item = &Save> {
        let requests = self.requests.iter().filter(move |r| self.steps[r.step].journey == journey);
        requests.flat_map(|r| &r.saves).chain(self.message_saves(journey))
    }

    /// What is saved of what comes at a step; of a WebSocket's step, what the journey saves of any message.
    pub fn saves_at(&self, step: usize) -> impl Iterator<Item = &Save> {
        let requests = self.requests.iter().filter(move |r| r.step == step).flat_map(|r| &r.saves);
        let socket = self.steps[step].socket.then(|| self.message_saves(self.steps[step].journey));
        requests.chain(socket.into_iter().flatten())
    }

    fn message_saves(&self, journey: usize) -> impl Iterator<Item = &Save> {
        let messages = self.journeys[journey].ops.iter().filter_map(|op| match op {
            Op::Socket(SocketOp::Receive(receive)) => Some(&receive.saves),
            _ => None,
        });
        messages.flatten()
    }
}

impl Condition {
    /// What a value is compared with; `None` where nothing has to be evaluated.
    pub fn operand(&self) -> Option<&Template> {
        match self {
            Self::Equals(template) | Self::Compare(_, template) => Some(template),
            Self::Matches(_) | Self::Exists(_) => None,
        }
    }

    /// Whether it holds of a value that may be absent. `operand` is the evaluated operand, where there is one.
    pub fn holds(&self, operand: Option<&Value>, value: Option<&Value>) -> bool {
        match self {
            Self::Exists(wanted) => return value.is_some() == *wanted,
            Self::Matches(pattern) => return value.is_some_and(|v| pattern.is_match(&v.to_string())),
            Self::Equals(_) | Self::Compare(..) => {}
        }
        let (Some(operand), Some(value)) = (operand, value) else {
            return false;
        };
        let order = compare(value, operand);
        match self {
            Self::Compare(CompareOp::Not, _) => order != Some(Ordering::Equal),
            Self::Compare(CompareOp::Less, _) => order == Some(Ordering::Less),
            Self::Compare(CompareOp::AtMost, _) => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Compare(CompareOp::More, _) => order == Some(Ordering::Greater),
            Self::Compare(CompareOp::AtLeast, _) => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            _ => order == Some(Ordering::Equal),
        }
    }

    /// As [`holds`](Self::holds), of a condition whose operand is constant; false if it is not.
    fn holds_constant(&self, value: Option<&Value>) -> bool {
        self.holds(self.operand().and_then(Template::as_constant), value)
    }
}

/// Numbers by value, text with text; what cannot be compared is unequal and in no order.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (a, b) => (a == b).then_some(Ordering::Equal),
    }
}
