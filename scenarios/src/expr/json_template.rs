//! JSON bodies: everything constant serialised once, with holes for what changes.
//! In: a [`JsonNode`] tree. Out: [`JsonTemplate`], written into the caller's buffer.

use super::node::Node;
use super::template::{Part, Template};
use super::write::{self, Encoding};
use super::{EvalError, Scope};
use crate::value::{Value, escape_json};

/// A JSON body as written in the file: a tree whose text leaves may be templates.
#[derive(Clone, Debug)]
pub enum JsonNode {
    /// Null, bool, number, or text without a template.
    Constant(Value),
    /// Text with at least one `{{ }}`.
    Template(Template),
    /// A list.
    List(Vec<JsonNode>),
    /// A map, in file order.
    Map(Vec<(String, JsonNode)>),
}

/// A JSON body, pre-serialised: constant bytes with holes.
#[derive(Clone, Debug)]
pub struct JsonTemplate {
    pieces: Vec<Piece>,
    outline: Box<str>,
}

#[derive(Clone, Debug)]
enum Piece {
    Bytes(Vec<u8>),
    /// A whole value: serialised with its type.
    Typed(Node),
    /// Within a string, whose quotes are in the bytes around: escaped.
    Escaped(Node),
}

impl JsonTemplate {
    /// Serialises what is constant once.
    pub fn new(node: JsonNode) -> Self {
        let mut outline = String::new();
        write_outline(&node, false, &mut outline);
        let mut pieces = Vec::new();
        push(node, &mut pieces);
        Self { pieces, outline: outline.into() }
    }

    /// The body as it stands in the file, on one line, for people: templates unevaluated, constants under a name that
    /// says secret as `***`.
    pub fn outline(&self) -> &str {
        &self.outline
    }

    /// Appends the JSON text; inserted values are serialised (typed) or escaped (inside text).
    ///
    /// # Errors
    /// What the first failing part says; what was appended so far stays in `out`.
    pub fn write(&self, scope: &mut dyn Scope, out: &mut Vec<u8>) -> Result<(), EvalError> {
        let mut inserted = 0;
        for piece in &self.pieces {
            let start = out.len();
            match piece {
                Piece::Bytes(bytes) => {
                    out.extend_from_slice(bytes);
                    continue;
                }
                Piece::Typed(node) => write::write_json(node, scope, out)?,
                Piece::Escaped(node) => write::write(node, scope, Encoding::Json, out)?,
            }
            inserted += out.len() - start;
            if inserted > write::MAX_TEXT_BYTES {
                return Err(write::too_large());
            }
        }
        Ok(())
    }

    /// Whether any part evaluates `marker`.
    pub fn uses_marker(&self) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Bytes(_) => false,
            Piece::Typed(node) | Piece::Escaped(node) => node.uses_marker(),
        })
    }
}

fn write_outline(node: &JsonNode, secret: bool, out: &mut String) {
    let json_text = |value: &Value| {
        let mut bytes = Vec::new();
        value.write_json(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let quoted = |text: &str| json_text(&Value::text(text));
    match node {
        JsonNode::Constant(_) if secret => out.push_str("\"***\""),
        JsonNode::Constant(value) => out.push_str(&json_text(value)),
        JsonNode::Template(template) => out.push_str(&quoted(template.written())),
        JsonNode::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_outline(item, secret, out);
            }
            out.push(']');
        }
        JsonNode::Map(entries) => {
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                out.push_str(&quoted(key));
                out.push_str(": ");
                write_outline(value, secret || crate::plan::is_secret_name(key), out);
            }
            out.push('}');
        }
    }
}

fn push(node: JsonNode, pieces: &mut Vec<Piece>) {
    match node {
        JsonNode::Constant(value) => push_bytes(pieces, |out| value.write_json(out)),
        JsonNode::Template(template) => push_template(template, pieces),
        JsonNode::List(items) => {
            push_bytes(pieces, |out| out.push(b'['));
            for (i, item) in items.into_iter().enumerate() {
                if i > 0 {
                    push_bytes(pieces, |out| out.push(b','));
                }
                push(item, pieces);
            }
            push_bytes(pieces, |out| out.push(b']'));
        }
        JsonNode::Map(entries) => {
            push_bytes(pieces, |out| out.push(b'{'));
            for (i, (key, value)) in entries.into_iter().enumerate() {
                push_bytes(pieces, |out| {
                    out.extend_from_slice(if i > 0 { b",\"" } else { b"\"" });
                    escape_json(&key, out);
                    out.extend_from_slice(b"\":");
                });
                push(value, pieces);
            }
            push_bytes(pieces, |out| out.push(b'}'));
        }
    }
}

fn push_template(template: Template, pieces: &mut Vec<Piece>) {
    if template.is_single()
        && !template.raw_constant
        && let Some(value) = template.as_constant()
    {
        push_bytes(pieces, |out| value.write_json(out));
        return;
    }
    let quote = if template.is_single() { "" } else { "\"" };
    push_bytes(pieces, |out| out.extend_from_slice(quote.as_bytes()));
    for part in template.parts {
        match part {
            Part::Fixed(fixed) => push_bytes(pieces, |out| out.extend_from_slice(&fixed.json)),
            Part::Hole(node) if template.single => pieces.push(Piece::Typed(node)),
            Part::Hole(node) => pieces.push(Piece::Escaped(node)),
        }
    }
    push_bytes(pieces, |out| out.extend_from_slice(quote.as_bytes()));
}

/// Appends to the bytes at the end, so that neighbours become one piece.
fn push_bytes(pieces: &mut Vec<Piece>, write: impl FnOnce(&mut Vec<u8>)) {
    if let Some(Piece::Bytes(bytes)) = pieces.last_mut() {
        write(bytes);
        return;
    }
    let mut bytes = Vec::new();
    write(&mut bytes);
    if !bytes.is_empty() {
        pieces.push(Piece::Bytes(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FakeNames, FakeScope};
    use super::*;
    use proptest::prelude::*;

    fn template(text: &str) -> JsonNode {
        JsonNode::Template(Template::compile(text, &FakeNames).unwrap_or_else(|e| panic!("{text}: {e}")))
    }

    fn write(node: JsonNode) -> String {
        let mut out = Vec::new();
        JsonTemplate::new(node).write(&mut FakeScope::default(), &mut out).expect("writes");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn leaves() {
        let check = |text: &str, expected: &str| assert_eq!(write(template(text)), expected, "{text}");
        check("{{ mood }}", "2");
        check("{{ mood }} ", r#""2 ""#);
        check("{{ token }}", r#""tö/ k\"1""#);
        check("a\"b {{ token }}\n", r#""a\"b tö/ k\"1\n""#);
        check("{{ session.user }}", r#"{"name":"Ann","tags":["a","b"]}"#);
        check("x {{ session.user.tags }}", r#""x [\"a\",\"b\"]""#);
        check("{{ absent }}", "null");
        check("[{{ absent }}]", r#""[]""#);
        check("{{ 1 + 1 }}", "2");
        check("{{ 'a\"' }}", r#""a\"""#);
        check("plain", r#""plain""#);
        check("", r#""""#);
        check("{{ raw('[1, 2]') }}", "[1, 2]");
        check("{{ raw(token) }}", "tö/ k\"1");
        check("x {{ raw('\\\\n') }}", r#""x \n""#);
        check("{{ mood == 2 ? raw('{}') : 1 }}", "{}");
        check("{{ mood == 2 ? '\"' + token : 1 }}", r#""\"tö/ k\"1""#.replace("k\"", "k\\\"").as_str());
        check("{{ marker }}", r#""m1""#);
        check("{{ 'a' + marker }}", r#""am1""#);
        check("{{ client_id() }}", r#""1""#);
        check("{{ size(text(5)) }}", "5");
        check("{{ half }}", "0.5");
        check("{{ mood * 1.0 }}", "2.0");
    }

    #[test]
    fn trees() {
        let node = JsonNode::Map(vec![
            ("a\"".into(), JsonNode::Constant(Value::Null)),
            (
                "list".into(),
                JsonNode::List(vec![
                    template("{{ mood }}"),
                    JsonNode::Constant(Value::text("x\n")),
                    template("hello {{ marker }}"),
                    JsonNode::List(vec![]),
                    JsonNode::Map(vec![]),
                ]),
            ),
            ("n".into(), JsonNode::Constant(Value::Float(1.5))),
        ]);
        assert_eq!(write(node), r#"{"a\"":null,"list":[2,"x\n","hello m1",[],{}],"n":1.5}"#);
    }

    #[test]
    fn what_is_constant_is_one_piece() {
        let check = |node: JsonNode, pieces: usize, marker: bool| {
            let json = JsonTemplate::new(node);
            assert_eq!(json.pieces.len(), pieces, "{:?}", json.pieces);
            assert_eq!(json.uses_marker(), marker);
        };
        let list = |texts: &[&str]| JsonNode::List(texts.iter().map(|t| template(t)).collect());
        check(list(&["a", "{{ 1 + 1 }}", "b {{ 'c' }}", "{{ raw('1') }}"]), 1, false);
        check(list(&["a", "{{ mood }}", "b"]), 3, false);
        check(list(&["a {{ marker }} b"]), 3, true);
        check(template("{{ marker }}"), 1, true);
    }

    #[test]
    fn errors_are_told() {
        let json = JsonTemplate::new(template("x {{ absent.id }}"));
        let error = json.write(&mut FakeScope::default(), &mut Vec::new());
        assert_eq!(error.expect_err("absent").0, "`absent` is not there, so `absent.id` cannot be read");
    }

    proptest! {
        #[test]
        fn escaping_round_trips(own in any::<String>(), inserted in any::<String>()) {
            prop_assume!(!own.contains("{{"));
            let literal = inserted.replace('\\', "\\\\").replace('\'', "\\'");
            for hole in [format!("'{literal}'"), format!("mood == 2 ? '{literal}' : ''")] {
                // Inside text, and as a value of its own.
                let joined = write(template(&format!("{own}|{{{{ {hole} }}}}")));
                let parsed: String = serde_json::from_str(&joined).expect("a JSON string");
                prop_assert_eq!(parsed, format!("{own}|{inserted}"));
                let single: String =
                    serde_json::from_str(&write(template(&format!("{{{{ {hole} }}}}")))).expect("a JSON string");
                prop_assert_eq!(single, inserted.clone());
            }
        }
    }
}
