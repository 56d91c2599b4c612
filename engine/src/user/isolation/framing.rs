//! Framing: bytes on an idle connection, behind the declared length, an answer without a request.
//! In: what came. Out: a proven fault of the protocol with its evidence, and whose markers were in it. A target that says
//! 408 before it closes an idle connection, and line ends behind an answer, are counted and no findings.

use super::{Origin, Spot};
use crate::client::framing::Stray;
use crate::clock::Nanos;
use crate::record::Recorder;
use crate::run_result::{Party, Tier};
use crate::user::VirtualUser;
use http::Uri;
use http::uri::PathAndQuery;
use memchr::memmem::find;

impl VirtualUser {
    /// Takes in what came without having been asked for.
    pub fn hear(&mut self, now: Nanos, stray: &Stray, recorder: &mut Recorder) {
        let bytes = &stray.bytes[..];
        if !stray.is_unasked {
            let origin = Origin { what: &"beside its answer", ..self.origin_of(now, stray) };
            // Another request may have been made since.
            let path = stray.last.1.clone().map(Uri::from).unwrap_or_default();
            let uri = std::mem::replace(&mut self.outgoing.uri, path);
            let request = std::mem::replace(&mut self.outgoing.request, stray.last.0);
            self.scan_message(&origin, &[Spot::one("connection", bytes)], recorder);
            (self.outgoing.uri, self.outgoing.request) = (uri, request);
            return;
        }
        let counts = &mut recorder.interval().isolation;
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n')) {
            counts.stray_line_ends += 1;
            return;
        }
        if status(bytes) == Some(408) {
            counts.idle_timeouts += 1;
            return;
        }
        // Where nothing was asked yet, a banner or another protocol is likelier than somebody's answer.
        let is_greeting = stray.via.ordinal == 0;
        let tier = if is_greeting || is_goodbye(bytes) { Tier::Suspect } else { Tier::Proven };
        let spot = Spot::one("connection", bytes);
        let origin = self.origin_of(now, stray);
        let key = self.key("framing", tier, origin.step, spot.kind);
        recorder.leak(key.clone(), || {
            let what = match status(bytes) {
                Some(status) => format!("an answer without a request, status {status}"),
                None => format!("{} bytes that belong to no answer", bytes.len()),
            };
            let why = format!("{what}, came after the last answer on this connection was complete");
            let hint = "a wrong length, or an answer of somebody else: whoever reads on takes it for its own";
            let mut record = self.evidence(&key, &origin, spot, (0, 0), Party::default(), &why, hint);
            let method = &self.run.program.requests[stray.last.0].method;
            let path = stray.last.1.as_ref().map_or("/", PathAndQuery::as_str);
            record.reader.request = self.mask(&format!("{method} {path}, the last on this connection"));
            record
        });
        self.scan_message(&origin, &[spot], recorder);
    }

    fn origin_of(&self, now: Nanos, stray: &Stray) -> Origin<'static> {
        Origin {
            step: self.run.program.requests[stray.last.0].step,
            is_probe: false,
            from: stray.asked,
            at: now,
            via: stray.via,
            codings: &[],
            headers: None,
            is_whole: true,
            what: &"no answer",
            sent: &[],
        }
    }
}

/// The status of an answer that starts here.
fn status(bytes: &[u8]) -> Option<u16> {
    let rest = bytes.strip_prefix(b"HTTP/1.1 ").or_else(|| bytes.strip_prefix(b"HTTP/1.0 "))?;
    std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
}

/// An error that a target says before it closes: wrong without a request, but of nobody's data.
fn is_goodbye(bytes: &[u8]) -> bool {
    let is_error = status(bytes).is_some_and(|status| (400..600).contains(&status));
    is_error && find(&bytes.to_ascii_lowercase(), b"connection: close").is_some()
}
