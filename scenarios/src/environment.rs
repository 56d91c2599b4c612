//! `${NAME}` and `${NAME:-default}`: the environment, once, inside parsed scalars only, so never in comments.
//! In: the tree and a way to look names up. Out: the tree with values in place; a name that is not set is an error.

use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::{Node, Scalar};

/// Looks an environment variable up.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces every `${}` in the tree; `$${` stands for a literal `${`.
pub fn expand(node: &mut Node, lookup: Lookup<'_>, source: &str, mistakes: &mut Vec<Diagnostic>) {
    match node {
        Node::Scalar(scalar) => expand_scalar(scalar, lookup, source, mistakes),
        Node::List(items, _) => {
            for item in items {
                expand(item, lookup, source, mistakes);
            }
        }
        Node::Map(entries, _) => {
            for entry in entries {
                expand_scalar(&mut entry.key, lookup, source, mistakes);
                expand(&mut entry.value, lookup, source, mistakes);
            }
        }
    }
}

/// One piece of a text.
enum Piece<'a> {
    Text(&'a str),
    Variable { name: &'a str, default: Option<&'a str>, at: usize, length: usize },
}

fn expand_scalar(scalar: &mut Scalar, lookup: Lookup<'_>, source: &str, mistakes: &mut Vec<Diagnostic>) {
    if !scalar.text.contains("${") {
        return;
    }
    let pieces = match split(&scalar.text) {
        Ok(pieces) => pieces,
        Err((range, message)) => {
            scalar.broken = true;
            let span = scalar.locate(source, range);
            mistakes.push(
                Diagnostic::error("environment", span, message)
                    .help("write `${NAME}` or `${NAME:-default}`; `$${` stands for a literal `${`"),
            );
            return;
        }
    };
    let whole = matches!(pieces.as_slice(), [Piece::Variable { .. }]);
    let mut text = String::new();
    let mut broken = false;
    for piece in &pieces {
        match piece {
            Piece::Text(part) => text.push_str(part),
            Piece::Variable { name, default, at, length } => {
                let set = lookup(name).filter(|value| default.is_none() || !value.is_empty());
                match set.as_deref().or(*default) {
                    Some(value) => text.push_str(value),
                    None => {
                        broken = true;
                        mistakes.push(unset(name, scalar.locate(source, *at..at + length)));
                    }
                }
            }
        }
    }
    scalar.expand(text, whole);
    scalar.broken |= broken;
}

fn unset(name: &str, span: Span) -> Diagnostic {
    Diagnostic::error("unset-variable", span, format!("the environment variable `{name}` is not set"))
        .help(format!("set it, pass `--env {name}=…`, or give a default: `${{{name}:-…}}`"))
}

/// Splits a text into plain parts and variables; the error carries the bytes that are wrong.
fn split(text: &str) -> Result<Vec<Piece<'_>>, (std::ops::Range<usize>, String)> {
    let mut pieces = Vec::new();
    let mut done = 0;
    while let Some(found) = text[done..].find("${") {
        let at = done + found;
        if text[..at].ends_with('$') && at > done {
            // `$${`: one dollar is dropped, the rest stays as it is.
            pieces.push(Piece::Text(&text[done..at - 1]));
            pieces.push(Piece::Text("${"));
            done = at + 2;
            continue;
        }
        if at > done {
            pieces.push(Piece::Text(&text[done..at]));
        }
        let end = text[at..]
            .find('}')
            .map(|i| at + i)
            .ok_or_else(|| (at..text.len(), "`${` is never closed by `}`".to_owned()))?;
        let inside = &text[at + 2..end];
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let good = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !good {
            let message = format!("`{name}` is no name of an environment variable");
            return Err((at..end + 1, message));
        }
        pieces.push(Piece::Variable { name, default, at, length: end + 1 - at });
        done = end + 1;
    }
    if done < text.len() {
        pieces.push(Piece::Text(&text[done..]));
    }
    Ok(pieces)
}
