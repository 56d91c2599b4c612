//! `multipart:` and `body: { file: … }`: parts of text, files and base64; files are read once, here.
//! In: the nodes. Out: [`PartPlan`]s and bytes.

use crate::diagnostic::{Diagnostic, Span};
use crate::plan::reader::{Fields, Reader, Spec};
use crate::plan::{BodyPlan, PartContent, PartPlan, stored};
use crate::syntax::{Entry, Node, Scalar};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// Largest file that a request may carry.
const MAX_FILE_BYTES: u64 = 16 << 20;

pub(super) const PART: Spec =
    Spec { what: "a part of `multipart`", keys: &["text", "file", "base64", "filename", "type"], not_yet: &[] };

pub(super) const NAMED: Spec = Spec {
    what: "a part in the list of `multipart`",
    keys: &["name", "text", "file", "base64", "filename", "type"],
    not_yet: &[],
};

pub(super) const FILE: Spec = Spec { what: "`body` with a file", keys: &["file", "type"], not_yet: &[] };

/// The parts, of a map by name or of a list.
pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry) -> BodyPlan {
    let mut parts = Vec::new();
    match &entry.value {
        Node::Map(entries, _) => {
            for part in entries {
                parts.extend(one(reader, &part.key, &part.value));
            }
        }
        Node::List(items, _) => {
            for item in items {
                parts.extend(named(reader, item, entry.key.span));
            }
        }
        other => reader.expected(entry.key.span, "`multipart` is a map of parts by name, or a list of parts", other),
    }
    if parts.is_empty() && matches!(&entry.value, Node::Map(e, _) if e.is_empty()) {
        reader.bad_value(entry.key.span, "`multipart` has no part");
    }
    BodyPlan::Multipart(parts)
}

fn named(reader: &mut Reader<'_>, node: &Node, at: Span) -> Option<PartPlan> {
    let at = match node {
        Node::Map(entries, _) => entries.first().map_or(at, |e| e.key.span),
        other => other.span(),
    };
    let fields = reader.fields(node, at, &NAMED)?;
    if fields.entry("name").is_none() {
        reader.missing(at, "a part of `multipart`", "name", "note");
    }
    let name = reader.text_at(fields, "name")?.clone();
    reader.plain(&name, "the name of a part");
    part(reader, name, fields)
}

fn one(reader: &mut Reader<'_>, name: &Scalar, node: &Node) -> Option<PartPlan> {
    reader.plain(name, "the name of a part");
    if let Node::Map(..) = node {
        let fields = reader.fields(node, name.span, &PART)?;
        return part(reader, name.clone(), fields);
    }
    let text = reader.text(node, name.span, "a part of `multipart`")?;
    Some(PartPlan { name: name.clone(), filename: None, kind: None, content: PartContent::Text(text.clone()) })
}

fn part(reader: &mut Reader<'_>, name: Scalar, fields: Fields<'_>) -> Option<PartPlan> {
    let given: Vec<_> = ["text", "file", "base64"].iter().filter_map(|key| fields.entry(key)).collect();
    let source = match given.as_slice() {
        [one] => one.key.text.as_str(),
        [] => {
            reader.missing(name.span, "a part of `multipart`", "file", "photo.jpg");
            return None;
        }
        [first, second, ..] => {
            let message = format!("a part carries one thing, and this one has `{}` already", first.key.text);
            reader.push(Diagnostic::error("two-places", second.key.span, message).help("remove one of them"));
            return None;
        }
    };
    let mut filename = plain_at(reader, fields, "filename");
    let mut kind = content_type(reader, fields);
    let written = reader.text_at(fields, source)?.clone();
    let content = match source {
        "text" => PartContent::Text(written),
        "file" => {
            let bytes = file(reader, &written)?;
            let base = written.text.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
            kind = kind.or_else(|| Some(guessed(&base).to_owned()));
            filename = filename.or(Some(base));
            PartContent::Bytes(bytes)
        }
        _ => {
            kind = kind.or_else(|| Some("application/octet-stream".to_owned()));
            PartContent::Bytes(decoded(reader, &written)?)
        }
    };
    Some(PartPlan { name, filename, kind, content })
}

/// `body: { file: photo.jpg, type: image/jpeg }`.
pub(super) fn file_body(reader: &mut Reader<'_>, entry: &Entry) -> BodyPlan {
    let Some(fields) = reader.fields(&entry.value, entry.key.span, &FILE) else {
        return BodyPlan::Empty;
    };
    if fields.entry("file").is_none() {
        reader.missing(entry.key.span, "`body`", "file", "photo.jpg");
    }
    let kind = content_type(reader, fields);
    let Some(name) = reader.text_at(fields, "file").cloned() else {
        return BodyPlan::Empty;
    };
    match file(reader, &name) {
        Some(bytes) => BodyPlan::Bytes { bytes, kind: kind.unwrap_or_else(|| guessed(&name.text).to_owned()) },
        None => BodyPlan::Empty,
    }
}

fn plain_at(reader: &mut Reader<'_>, fields: Fields<'_>, key: &str) -> Option<String> {
    let text = reader.text_at(fields, key)?.clone();
    reader.plain(&text, &format!("`{key}`"));
    Some(text.text)
}

/// `type:`, which becomes a header and so is one line.
fn content_type(reader: &mut Reader<'_>, fields: Fields<'_>) -> Option<String> {
    let text = reader.text_at(fields, "type")?.clone();
    reader.plain(&text, "`type`");
    if !text.text.contains('/') || text.text.contains(|c: char| c.is_control()) {
        reader.push(
            Diagnostic::error("bad-value", text.span, format!("`{}` is no content type", text.shown()))
                .help("write for example `image/jpeg`"),
        );
        return None;
    }
    Some(text.text)
}

fn file(reader: &mut Reader<'_>, name: &Scalar) -> Option<Arc<[u8]>> {
    let full = reader.path(name);
    let refuse = |reader: &mut Reader<'_>, code, message: String| {
        reader.push(Diagnostic::error(code, name.span, message).note("paths start from the scenario file's folder"));
        None
    };
    let size = match std::fs::metadata(&full) {
        Ok(meta) if !meta.is_file() => {
            return refuse(reader, "no-file", format!("`{}` is no file", name.shown()));
        }
        Ok(meta) => meta.len(),
        Err(error) => return refuse(reader, "no-file", format!("the file `{}` cannot be read: {error}", name.shown())),
    };
    if size > MAX_FILE_BYTES {
        let message = format!("the file `{}` is larger than the {} MiB that a request may carry", name.shown(), 16);
        return refuse(reader, "too-large", message);
    }
    match std::fs::read(&full) {
        Ok(bytes) => {
            reader.digests.push((name.text.clone(), stored::sha256(&bytes)));
            Some(bytes.into())
        }
        Err(error) => refuse(reader, "no-file", format!("the file `{}` cannot be read: {error}", name.shown())),
    }
}

fn decoded(reader: &mut Reader<'_>, text: &Scalar) -> Option<Arc<[u8]>> {
    if text.broken || !reader.plain(text, "`base64`") {
        return None;
    }
    let compact: String = text.text.split_whitespace().collect();
    match STANDARD.decode(compact) {
        Ok(bytes) => Some(bytes.into()),
        Err(error) => {
            reader.push(
                Diagnostic::error("bad-value", text.span, format!("this is no base64: {error}"))
                    .help("encode the bytes with `base64 FILE`, or name the file: `{ file: … }`"),
            );
            None
        }
    }
}

/// The content type that goes with a file's name.
fn guessed(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, end)| end.to_lowercase()).as_deref() {
        Some("txt") => "text/plain",
        Some("csv") => "text/csv",
        Some("html" | "htm") => "text/html",
        Some("json") => "application/json",
        Some("xml") => "application/xml",
        Some("pdf") => "application/pdf",
        Some("zip") => "application/zip",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("svg") => "image/svg+xml",
        Some("webp") => "image/webp",
        Some("mp3") => "audio/mpeg",
        Some("mp4") => "video/mp4",
        Some("wav") => "audio/wav",
        _ => "application/octet-stream",
    }
}
