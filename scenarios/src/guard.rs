//! What a request does for the isolation check besides being sent and judged.
//! In: `echo`, `revokes` and the shape of a request. Out: read by the engine's virtual users.

use crate::expr::Slot;
use crate::jsonpath::JsonPath;

/// Nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Binds the answer to the request by an id.
    pub echo: Option<Echo>,
    /// The credential that works no more once this request has been answered as expected.
    pub revokes: Option<Slot>,
    /// The request is made by the engine, not by the file: the last answer with an own marker is asked for once more,
    /// with the credential of this slot, which has been revoked.
    pub repeats: Option<Slot>,
    /// It asks for an object of the user's own, by its account or by an id that was saved, and declares that the
    /// user's own marker comes back.
    pub reads_own: bool,
}

/// `echo: { send: X-Request-Id, read: X-Request-Id }`.
#[derive(Clone, Debug)]
pub struct Echo {
    /// Header in which a fresh id is sent, lower-case.
    pub send: String,
    /// Where the answer repeats it.
    pub read: EchoFrom,
}

/// Where an answer repeats the id of its request.
#[derive(Clone, Debug)]
pub enum EchoFrom {
    /// In a header, lower-case name.
    Header(String),
    /// In the JSON of its body.
    Json(JsonPath),
}
