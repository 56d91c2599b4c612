//! `echo` and `revokes`: what a request does for the isolation check.
//! In: the options of a request. Out: [`GuardPlan`].

use super::check_header_name;
use crate::plan::GuardPlan;
use crate::plan::reader::{Fields, Reader, Spec};
use crate::syntax::{Entry, Scalar};

pub(super) const ECHO: Spec = Spec { what: "`echo`", keys: &["send", "read"], not_yet: &[] };

pub(super) fn read(reader: &mut Reader<'_>, request: Fields<'_>) -> GuardPlan {
    GuardPlan {
        echo: request.entry("echo").and_then(|entry| echo(reader, entry)),
        revokes: reader.text_at(request, "revokes").cloned(),
    }
}

/// `{ send: X-Request-Id, read: X-Request-Id }`; `read` may be a JSONPath.
fn echo(reader: &mut Reader<'_>, entry: &Entry) -> Option<(Scalar, Scalar)> {
    let fields = reader.fields(&entry.value, entry.key.span, &ECHO)?;
    let mut given = |key| {
        if fields.entry(key).is_none() {
            reader.missing(entry.key.span, "`echo`", key, "X-Request-Id");
        }
        reader.text_at(fields, key).cloned()
    };
    let (send, read) = (given("send"), given("read"));
    let (mut send, mut read) = (send?, read?);
    if !check_header_name(reader, &send) || !read.text.starts_with('$') && !check_header_name(reader, &read) {
        return None;
    }
    send.text.make_ascii_lowercase();
    if matches!(send.text.as_str(), "content-length" | "transfer-encoding" | "connection" | "host" | "cookie") {
        reader.bad_value(send.span, format!("`{}` is not free to carry an id: name another header", send.text));
        return None;
    }
    if !read.text.starts_with('$') {
        read.text.make_ascii_lowercase();
    }
    Some((send, read))
}
