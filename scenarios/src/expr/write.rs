//! Results as text, appended straight into the caller's buffer in the form that the place needs.
//! In: a [`Node`], the scope, an [`Encoding`]. Out: bytes, always UTF-8, at most [`MAX_TEXT_BYTES`] of them.

use super::eval::{condition, eval, marker};
use super::node::Node;
use super::{EvalError, Scope, calls};
use crate::value::{Value, escape_json};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Largest text, and largest list or map in total, that an expression may make: 16 MiB.
pub(super) const MAX_TEXT_BYTES: usize = 16 << 20;
/// RFC 3986, section 2.3: everything but the unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How an inserted value has to look at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    /// Percent-encoded, for paths.
    Percent,
    /// Escaped, between the quotes of a JSON string.
    Json,
}

/// Appends the text form of the result, with no value in between where that can be saved.
pub(super) fn write(
    node: &Node,
    scope: &mut dyn Scope,
    encoding: Encoding,
    out: &mut Vec<u8>,
) -> Result<(), EvalError> {
    let start = out.len();
    match node {
        Node::Const(value) => write_value(value, encoding, out),
        Node::Raw(inner) => write(inner, scope, Encoding::Plain, out)?,
        Node::Marker(audience, field) => {
            append(&marker(audience.as_deref(), *field, scope)?, encoding, out);
        }
        Node::Concat(parts) => {
            for part in parts {
                match eval(part, scope)? {
                    Value::Text(text) => append(&text, encoding, out),
                    other => {
                        let what = part.describe(&other);
                        return Err(EvalError(format!("cannot add text and {what}")));
                    }
                }
                if out.len() - start > MAX_TEXT_BYTES {
                    return Err(too_large());
                }
            }
        }
        Node::Conditional(parts) => {
            let chosen = if condition(&parts[0], scope)? { 1 } else { 2 };
            write(&parts[chosen], scope, encoding, out)?;
        }
        Node::Call(function, arguments) => {
            if !calls::append(*function, arguments, scope, encoding, out)? {
                write_value(&calls::call(*function, arguments, scope)?, encoding, out);
            }
        }
        _ => write_value(&eval(node, scope)?, encoding, out),
    }
    if out.len() - start > MAX_TEXT_BYTES {
        return Err(too_large());
    }
    Ok(())
}

/// Appends the result as a JSON value; `raw(x)` as it is.
pub(super) fn write_json(node: &Node, scope: &mut dyn Scope, out: &mut Vec<u8>) -> Result<(), EvalError> {
    match node {
        Node::Raw(inner) => write(inner, scope, Encoding::Plain, out),
        Node::Conditional(parts) => {
            let chosen = if condition(&parts[0], scope)? { 1 } else { 2 };
            write_json(&parts[chosen], scope, out)
        }
        _ if makes_text(node) => {
            out.push(b'"');
            write(node, scope, Encoding::Json, out)?;
            out.push(b'"');
            Ok(())
        }
        _ => {
            let start = out.len();
            eval(node, scope)?.write_json(out);
            if out.len() - start > MAX_TEXT_BYTES {
                return Err(too_large());
            }
            Ok(())
        }
    }
}

/// Whether `write` appends straight into the buffer and the result is always text.
fn makes_text(node: &Node) -> bool {
    match node {
        Node::Marker(..) | Node::Concat(_) => true,
        Node::Call(function, _) => calls::appends(*function),
        _ => false,
    }
}

pub(super) fn write_value(value: &Value, encoding: Encoding, out: &mut Vec<u8>) {
    match (value, encoding) {
        (Value::Text(text), _) => append(text, encoding, out),
        // Digits, letters, `.` and `-` need no encoding anywhere.
        (Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_), _) | (_, Encoding::Plain) => {
            value.write_text(out)
        }
        (Value::List(_) | Value::Map(_), _) => append(&value.to_string(), encoding, out),
    }
}

pub(super) fn append(text: &str, encoding: Encoding, out: &mut Vec<u8>) {
    match encoding {
        Encoding::Plain => out.extend_from_slice(text.as_bytes()),
        Encoding::Json => escape_json(text, out),
        Encoding::Percent => {
            for piece in utf8_percent_encode(text, RESERVED) {
                out.extend_from_slice(piece.as_bytes());
            }
        }
    }
}

/// A text value from bytes that were appended as UTF-8, within the size limit.
pub(super) fn text_value(bytes: Vec<u8>) -> Result<Value, EvalError> {
    if bytes.len() > MAX_TEXT_BYTES {
        return Err(too_large());
    }
    String::from_utf8(bytes).map(|text| Value::Text(text.into())).map_err(|_| EvalError("the text is not UTF-8".into()))
}

pub(super) fn too_large() -> EvalError {
    EvalError(format!("the result is larger than {} MiB", MAX_TEXT_BYTES >> 20))
}
