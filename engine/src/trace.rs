//! Tracing: what one user does, as plain events for people. The user, the client and the worker are those of a run;
//! a tracer only looks on. In: a run of one user. Out: [`Event`]s, in order, secrets masked.

use crate::clock::Nanos;
use crate::user::{Effect, Input, VirtualUser};
use std::sync::{Mutex, PoisonError};

/// Something that happened to the user.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A section of the journey begins: `before`, `steps` or `after`.
    Section(&'static str),
    /// An operation that is no request, as the file says it, and what came of it (empty: nothing to say).
    Operation {
        /// Number of the operation.
        pc: u32,
        /// In words.
        what: String,
        /// The value that was set, the branch that was taken.
        outcome: String,
    },
    /// A request is sent.
    Request(Box<Request>),
    /// It has been answered, or never was.
    Answer(Box<Answer>),
    /// A line of the scenario's own (`log:`).
    Log(String),
    /// A template or condition could not be worked out, or a step could not be played; the sentence says why.
    Problem(String),
    /// The iteration is over.
    IterationOver {
        /// Counts from 1.
        number: u64,
        /// A step failed and the user gave up.
        gave_up: bool,
    },
}

/// A request as it is sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Name of the step.
    pub step: String,
    /// Name of the target.
    pub target: String,
    /// The target's base URL.
    pub url: String,
    /// Method, path and query.
    pub line: String,
    /// Headers without `host`, `content-length` and cookies.
    pub headers: Vec<(String, String)>,
    /// The body as it is shown.
    pub body: Body,
    /// Markers that it plants.
    pub planted: usize,
    /// Whose data a probe asks for.
    pub stranger: Option<String>,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// How the exchange ended, if not with a whole answer.
    pub broken: Option<String>,
    /// Status; 0 if no head came.
    pub status: u16,
    /// Headers, cookies masked.
    pub headers: Vec<(String, String)>,
    /// The body as it is shown.
    pub body: Body,
    /// From when it was due to the last byte, ns.
    pub response_ns: Nanos,
    /// From when it was sent to the last byte, ns.
    pub service_ns: Option<Nanos>,
    /// Connecting, if a connection was made for it, ns.
    pub connect_ns: Option<Nanos>,
    /// Every check, in the order in which they are made.
    pub checks: Vec<Check>,
    /// What was saved, name and value.
    pub saved: Vec<(String, String)>,
    /// Markers that were seen: the owner, and whether this user may see them.
    pub seen: Vec<Marker>,
}

/// A body as a person reads it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    /// Text; JSON with line breaks. Shortened.
    pub text: String,
    /// Length of the whole body in bytes.
    pub bytes: usize,
}

/// A check of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What must hold.
    pub what: String,
    /// `Some(true)` it does, `Some(false)` it does not, `None`: not looked at, as an earlier one failed.
    pub holds: Option<bool>,
    /// What came instead.
    pub detail: String,
}

/// A marker in an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Marker {
    /// `body`, or the name of a header.
    pub place: String,
    /// Name of the account that planted it.
    pub owner: String,
    /// Whether this user may see it.
    pub allowed: bool,
}

/// Looks on and tells.
pub struct Tracer(Mutex<Box<dyn FnMut(Event) + Send>>);

impl std::fmt::Debug for Tracer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tracer")
    }
}

impl Tracer {
    /// Tells `listener` every event.
    pub fn new(listener: Box<dyn FnMut(Event) + Send>) -> Self {
        Self(Mutex::new(listener))
    }

    /// Tells one event.
    pub fn tell(&self, event: Event) {
        let mut listener = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (*listener)(event);
    }

    /// Tells what a step of the user did; `step` does it.
    pub(crate) fn watch(
        &self,
        user: &mut VirtualUser,
        input: Input<'_>,
        step: impl FnOnce(&mut VirtualUser, Input<'_>) -> Effect,
    ) -> Effect {
        let shown = match &input {
            Input::Answer(answer) => Some(user.show_answer(answer)),
            Input::Branch(number, answer) => Some(user.show_branch_answer(*number, answer)),
            // What came over a WebSocket is told where it is heard.
            Input::Begin(_) | Input::Wake | Input::Leave | Input::Socket(_) | Input::BranchDue(_) | Input::Met(..) => {
                None
            }
        };
        let effect = step(user, input);
        user.tell_trail(self, shown, &effect);
        effect
    }
}
