//! Event streams and WebSocket operations in words.
//! In: parts of a program. Out: lines for the listing.

use super::request::{self, condition_in_words};
use super::shown;
use crate::jsonpath::JsonPath;
use crate::program::{Condition, Program, Request};
use crate::streams::{Like, Payload, SocketOp, Until};
use crate::units::format_duration;

/// What a WebSocket operation does.
pub(super) fn socket(program: &Program, op: &SocketOp) -> String {
    match op {
        SocketOp::Open(socket) => {
            let socket = &program.sockets[*socket];
            let open = request::line(program, &program.requests[socket.request]);
            let ping =
                socket.heartbeat_ns.map_or(String::new(), |ns| format!(", a ping every {}", format_duration(ns)));
            format!("open a WebSocket by {open}{ping}; without it go to {}", socket.after)
        }
        SocketOp::Send(Payload::Text(text)) => format!("send {}", shown("", text)),
        SocketOp::Send(Payload::Json(json)) => format!("send json {}", json.outline()),
        SocketOp::Send(Payload::Base64(text)) => format!("send the bytes of base64 {}", shown("", text)),
        SocketOp::Receive(receive) => {
            let like = match &receive.like {
                Like::Text(text) => format!("the message {}", shown("", text)),
                Like::Json(conditions) if conditions.is_empty() => "any message".into(),
                Like::Json(conditions) => format!("a message in which {}", all(conditions)),
            };
            let saves: Vec<_> = receive.saves.iter().map(|save| save.name.as_str()).collect();
            let saves = if saves.is_empty() { String::new() } else { format!(", save {}", saves.join(", ")) };
            format!("wait for {like} within {}{saves}", format_duration(receive.within_ns))
        }
        SocketOp::Close(code) => format!("close the WebSocket with {code}"),
        SocketOp::End => "close the WebSocket if it is open".into(),
    }
}

/// How a request's answer is read as events, and what is expected of them.
pub(super) fn events(request: &Request, parts: &mut Vec<String>) {
    let Some(events) = &request.events else {
        return;
    };
    let text = events.text.as_ref().map_or(String::new(), |path| format!(", pieces of text from {}", path.text()));
    let until = match &events.until {
        Until::End => String::new(),
        Until::Text(text) => format!(", until `{text}`"),
        Until::Json(conditions) => format!(", until {}", all(conditions)),
    };
    parts.push(format!("read as events{text}{until}"));
    let expect = &request.expect;
    let below = |ns: Option<u64>, what: &str| ns.map(|ns| format!("expect {what} under {}", format_duration(ns)));
    parts.extend(below(expect.first_event_ns, "the first event"));
    parts.extend(below(expect.event_gap_ns, "the time between two events"));
    parts.extend(expect.events.as_ref().map(|c| format!("expect the number of events {}", condition_in_words(c))));
}

fn all(conditions: &[(JsonPath, Condition)]) -> String {
    let words = conditions.iter().map(|(path, c)| format!("{} {}", path.text(), condition_in_words(c)));
    words.collect::<Vec<_>>().join(" and ")
}
