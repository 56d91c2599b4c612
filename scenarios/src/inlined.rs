//! A tree back to YAML, for the copy of a scenario with imports that is kept beside its results: one file that can be
//! checked and played, literal secrets masked, `${}` left alone.
//! In: the merged tree before `${}` is replaced, and what masks a scalar. Out: block-style YAML.

use crate::syntax::{Entry, Node, Scalar, Style};

/// What stands for a scalar under a secret key; `None` leaves it as it is.
pub(crate) type Mask<'a> = &'a dyn Fn(&Scalar) -> Option<String>;

/// Whether what stands under a key is secret; `None`: nothing there is looked at.
pub(crate) type Secret<'a> = &'a dyn Fn(&Entry) -> Option<bool>;

/// Writes `node`.
pub(crate) fn yaml(node: &Node, mask: Mask<'_>, secret: Secret<'_>) -> String {
    let mut out = String::new();
    Writer { mask, secret, out: &mut out }.node(node, 0, Some(false));
    out.trim_start_matches('\n').to_owned() + "\n"
}

struct Writer<'a> {
    mask: Mask<'a>,
    secret: Secret<'a>,
    out: &'a mut String,
}

impl Writer<'_> {
    fn node(&mut self, node: &Node, depth: usize, secret: Option<bool>) {
        let start = format!("\n{}", "  ".repeat(depth));
        match node {
            Node::Scalar(scalar) => {
                let masked = if secret == Some(true) { (self.mask)(scalar) } else { None };
                self.out.push_str(&masked.unwrap_or_else(|| written(scalar)));
            }
            Node::List(items, _) if items.is_empty() => self.out.push_str("[]"),
            Node::Map(entries, _) if entries.is_empty() => self.out.push_str("{}"),
            Node::List(items, _) => {
                for item in items {
                    self.out.push_str(&start);
                    self.out.push_str("- ");
                    self.node(item, depth + 1, secret);
                }
            }
            Node::Map(entries, _) => {
                for entry in entries {
                    self.out.push_str(&start);
                    self.out.push_str(&written(&entry.key));
                    self.out.push_str(": ");
                    let inner = secret.and_then(|above| (self.secret)(entry).map(|own| above || own));
                    self.node(&entry.value, depth + 1, inner);
                }
            }
        }
    }
}

/// A scalar with the style that keeps its type.
fn written(scalar: &Scalar) -> String {
    let text = &scalar.text;
    match scalar.style {
        Style::Plain if text.is_empty() => "null".into(),
        Style::Plain if !text.contains('\n') => text.clone(),
        // A JSON string is a YAML string.
        _ => serde_json::Value::String(text.clone()).to_string(),
    }
}
