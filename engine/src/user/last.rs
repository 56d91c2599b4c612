//! `last.*` between steps: what is kept of the latest answer, if a later step of the journey reads it.
//! In: an answer. Out: at most [`MOST_BYTES`] of its body and of its headers each.

use crate::client::answer::Answer;
use scenarios::conditions::Keeps;
use scenarios::expr::Last;
use scenarios::value::Value;

/// A longer body is kept up to here, and `last.json` of it is null; headers beyond it are not kept.
pub const MOST_BYTES: usize = 64 << 10;

/// What is kept of an answer.
#[derive(Debug, Default)]
pub struct Kept {
    headers: Value,
    body: Vec<u8>,
    is_whole: bool,
}

impl Kept {
    /// Keeps what `keeps` asks for, in place of what was kept before. An exchange without an answer leaves nothing.
    pub fn keep(&mut self, keeps: Keeps, answer: &Answer<'_>) {
        if keeps.headers {
            self.headers = headers(answer, MOST_BYTES);
        }
        if keeps.body {
            self.body.clear();
            self.body.extend_from_slice(&answer.body[..answer.body.len().min(MOST_BYTES)]);
            self.is_whole = self.body.len() == answer.body.len();
        }
    }

    /// The part asked for.
    pub fn read(&self, what: Last) -> Value {
        match what {
            Last::Body => Value::text(String::from_utf8_lossy(&self.body)),
            Last::Json if self.is_whole => json(&self.body),
            Last::Headers => self.headers.clone(),
            Last::Json | Last::Status | Last::Latency => Value::Null,
        }
    }
}

/// A body as JSON, null if it is none.
pub fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).map_or(Value::Null, |json| Value::from_json(&json))
}

/// The headers as a map, at most so many bytes of them.
pub fn headers(answer: &Answer<'_>, most_bytes: usize) -> Value {
    let mut left = most_bytes;
    let mut pairs = Vec::new();
    for (name, value) in answer.headers {
        let Some(rest) = left.checked_sub(name.as_str().len() + value.len()) else { break };
        left = rest;
        pairs.push((name.as_str().into(), Value::text(String::from_utf8_lossy(value.as_bytes()))));
    }
    Value::Map(pairs.into())
}
