//! The fields of a step in which markers are planted, numbered: what a marker says of where it was planted.
//! In: compiled templates in the order in which a request is rendered. Out: each marker's number, and the fields' names.

use crate::expr::{JsonNode, Template};
use crate::multipart::{Content, Part};
use crate::program::{IN_A_VARIABLE, MOST_FIELDS, Op, Program};

/// Steps that markers tell apart: the number of the step has 10 bits.
const MOST_STEPS: usize = 1 << 10;
/// Fields named at most; one number more is for those beyond, one for markers in no field.
const MOST_NAMED: usize = MOST_FIELDS - 2;
/// What fields beyond those are called together.
const FURTHER: &str = "further fields";

/// The fields of one step so far.
pub(super) struct Fields<'a>(pub &'a mut Vec<String>);

impl Fields<'_> {
    /// The number of the field of this name. Requests of one step that plant in the same field share it.
    fn number(&mut self, name: String) -> u8 {
        let name = if self.0.len() < MOST_NAMED || self.0.contains(&name) { name } else { FURTHER.to_owned() };
        let known = self.0.iter().position(|known| *known == name);
        let number = known.unwrap_or_else(|| {
            self.0.push(name);
            self.0.len() - 1
        });
        number as u8
    }

    /// A text that is one field.
    pub(super) fn text(&mut self, name: &str, text: &mut Template) {
        text.number_markers(&mut |_| self.number(name.to_owned()));
    }

    /// A path: each of its segments is a field. A whole URL, which nobody knows yet, is one.
    pub(super) fn path(&mut self, path: &mut Template, is_whole_url: bool) {
        path.number_markers(&mut |slashes| match is_whole_url {
            true => self.number("URL".into()),
            false => self.number(format!("path segment {slashes}")),
        });
    }

    /// Query parameters, headers, fields of a form: `kind` and its name.
    pub(super) fn pairs(&mut self, kind: &str, pairs: &mut [(String, Template)]) {
        for (name, value) in pairs {
            self.text(&format!("{kind}{name}"), value);
        }
    }

    /// The parts of a multipart body.
    pub(super) fn parts(&mut self, parts: &mut [Part]) {
        for part in parts {
            if let Content::Text(text) = &mut part.content {
                text.number_markers(&mut |_| self.number(format!("part {}", part.name)));
            }
        }
    }

    /// A JSON body or message; `path` is where it stands, `$` at first.
    pub(super) fn json(&mut self, path: &str, node: &mut JsonNode) {
        match node {
            JsonNode::Constant(_) => {}
            JsonNode::Template(text) => self.text(path, text),
            JsonNode::List(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    self.json(&format!("{path}[{i}]"), item);
                }
            }
            JsonNode::Map(entries) => {
                for (key, value) in entries {
                    self.json(&member(path, key), value);
                }
            }
        }
    }
}

/// A member as a JSON path names it.
fn member(path: &str, key: &str) -> String {
    let is_plain = key.chars().all(|c| c == '_' || c.is_alphanumeric()) && !key.starts_with(|c: char| c.is_numeric());
    if is_plain && !key.is_empty() { format!("{path}.{key}") } else { format!("{path}[{key:?}]") }
}

/// Gives markers in variables a number at every step, as they say the step that was played last. More steps than a
/// marker tells apart have no fields.
pub(super) fn finish(program: &mut Program) {
    if program.steps.len() > MOST_STEPS {
        program.steps.iter_mut().for_each(|step| step.fields.clear());
        return;
    }
    let is_loose = |op: &Op| match op {
        Op::Set { value, .. } | Op::Log(value) => value.uses_marker(),
        Op::Each { list, .. } => list.uses_marker(),
        _ => false,
    };
    if program.journeys.iter().flat_map(|journey| &journey.ops).any(is_loose) {
        program.steps.iter_mut().for_each(|step| step.fields.push(IN_A_VARIABLE.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_once_and_beyond_the_most_they_share_a_number() {
        let mut names = Vec::new();
        let mut fields = Fields(&mut names);
        for i in 0..MOST_NAMED {
            assert_eq!(usize::from(fields.number(format!("$.a{i}"))), i);
        }
        assert_eq!(fields.number("$.a7".into()), 7);
        let further = [fields.number("$.x".into()), fields.number("$.y".into()), fields.number("$.x".into())];
        assert_eq!(further.map(usize::from), [MOST_NAMED; 3]);
        assert_eq!(names.len(), MOST_NAMED + 1, "with one for variables there are as many as bits of a word");
        assert_eq!(names[MOST_NAMED], FURTHER);
    }

    #[test]
    fn a_member_is_named_as_a_path_names_it() {
        for (key, path) in
            [("note", "$.note"), ("a b", "$[\"a b\"]"), ("", "$[\"\"]"), ("9", "$[\"9\"]"), ("nö_1", "$.nö_1")]
        {
            assert_eq!(member("$", key), path);
        }
    }
}
