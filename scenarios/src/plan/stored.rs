//! The file's text as it may be kept beside the results: literal secrets masked, `${}` left alone.
//! In: the tree before `${}` is replaced. Out: text, and SHA-256 in hex.

use crate::diagnostic::Span;
use crate::imports::Files;
use crate::inlined;
use crate::syntax::{Entry, Node, Scalar, Style};
use crate::value::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Whether values of this key are secret without being asked.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    ["password", "token", "secret", "authorization"].iter().any(|word| name.contains(word))
}

/// Whether the value of an environment variable of this name stays out of every output.
pub(crate) fn is_secret_variable(name: &str) -> bool {
    let lower = name.to_lowercase();
    is_secret_name(name) || ["key", "pass", "credential", "auth"].iter().any(|word| lower.contains(word))
}

/// The text with every constant value of a secret key replaced by `***`.
pub(super) fn masked(tree: &Node, text: &str) -> String {
    let mut spans = Vec::new();
    collect(tree, false, &mut spans);
    spans.sort();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (span, replacement) in spans {
        if span.start < done {
            continue;
        }
        out.push_str(text.get(done..span.start).unwrap_or(""));
        out.push_str(&replacement);
        done = span.end;
    }
    out.push_str(text.get(done..).unwrap_or(""));
    out
}

/// A scenario with imports as one file: comments go, everything else stays, secrets masked as in [`masked`].
pub(super) fn inlined(tree: &Node, files: &Files) -> String {
    let names: Vec<&str> = files.imported().map(|s| s.name.as_str()).collect();
    let mask = |scalar: &Scalar| mask(scalar).map(|(_, shown)| shown);
    let yaml = inlined::yaml(tree, &mask, &|entry| (!is_passed_over(entry)).then(|| is_secret(entry)));
    format!("# With what it imports: {}\n{yaml}", names.join(", ").replace(['\n', '\r'], " "))
}

/// Under `save` the keys are names of variables and the values say where to look.
fn is_passed_over(entry: &Entry) -> bool {
    matches!(entry.key.text.as_str(), "save" | "columns" | "token_url")
}

fn is_secret(entry: &Entry) -> bool {
    // A proxy's address may hold a password.
    is_secret_name(&entry.key.text) || is_auth(entry) || entry.key.text == "proxy"
}

fn collect(node: &Node, secret: bool, spans: &mut Vec<(Span, String)>) {
    match node {
        Node::Scalar(scalar) if secret => spans.extend(mask(scalar)),
        Node::Scalar(_) => {}
        Node::List(items, _) => items.iter().for_each(|n| collect(n, secret, spans)),
        Node::Map(entries, _) => {
            for entry in entries {
                if !is_passed_over(entry) {
                    collect(&entry.value, secret || is_secret(entry), spans);
                }
            }
        }
    }
}

/// Whether an entry is a literal name and password, or a literal token, of `auth:`.
fn is_auth(entry: &Entry) -> bool {
    match entry.key.text.as_str() {
        "basic" => matches!(entry.value, Node::List(..)),
        "bearer" => matches!(entry.value, Node::Scalar(_)),
        _ => false,
    }
}

fn mask(scalar: &Scalar) -> Option<(Span, String)> {
    if scalar.text.contains("{{") || matches!(scalar.value(), Value::Null | Value::Bool(_)) {
        return None;
    }
    let mut shown = String::from("***");
    if let Some(at) = scalar.text.find("${") {
        // The variable's name may be seen, its default may not.
        let name = &scalar.text[at..];
        let end = name.find([':', '}']).unwrap_or(name.len());
        // The name of a scheme is no secret; without it the copy could not be played again.
        let scheme = scalar.text[..at].trim_end();
        let is_scheme = ["", "Bearer", "Basic", "Token"].iter().any(|s| s.eq_ignore_ascii_case(scheme));
        let bare = is_scheme && name[end..] == *"}";
        if bare {
            return None;
        }
        shown = format!("{}:-***}}", &name[..end]);
    }
    let quoted = scalar.style != Style::Plain || shown.starts_with('*') || shown.contains('{');
    let shown = if quoted { format!("\"{shown}\"") } else { shown };
    Some((scalar.span, shown))
}

/// SHA-256 in lower-case hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}
