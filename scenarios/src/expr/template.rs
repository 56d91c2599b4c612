//! Templates: text with `{{ expression }}` in it, split once when the file is read.
//! In: a string of the file and the names that exist. Out: [`Template`], written into the caller's buffer.

use super::check::{self, Checked};
use super::eval::eval;
use super::node::Node;
use super::write::{self, Encoding, MAX_TEXT_BYTES};
use super::{EvalError, ExprError, Names, Place, Scope, Type, lexer, syntax_error};
use crate::value::Value;
use std::ops::Range;

/// A compiled template: text with `{{ expression }}` in it, or a plain value.
#[derive(Clone, Debug)]
pub struct Template {
    pub(super) parts: Vec<Part>,
    /// Set if the text is exactly one `{{ }}` (or a plain value): its type is kept.
    pub(super) single: bool,
    /// Set if the single `{{ }}` is a constant in `raw( )`, which JSON takes as it is.
    pub(super) raw_constant: bool,
    constant: Option<Value>,
    kind: Type,
    written: Box<str>,
}

#[derive(Clone, Debug)]
pub(super) enum Part {
    /// Bytes that are always the same, ready for each kind of place.
    Fixed(Fixed),
    Hole(Node),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Fixed {
    pub plain: Vec<u8>,
    pub percent: Vec<u8>,
    /// As between the quotes of a JSON string.
    pub json: Vec<u8>,
}

impl Template {
    /// Compiles `text`. A text that is exactly one `{{ }}` keeps the expression's type.
    ///
    /// # Errors
    /// The first mistake, with its byte range in `text`.
    pub fn compile(text: &str, names: &dyn Names) -> Result<Self, ExprError> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(found) = text[at..].find("{{") {
            let open = at + found;
            let close = find_close(text, open)?;
            let inner = open + 2..close;
            if text[inner.clone()].trim().is_empty() {
                return Err(syntax_error(
                    open..close + 2,
                    "there is no expression between `{{` and `}}`".into(),
                    "write a name, as in `{{ account.id }}`, or `{{ '{{' }}` for the braces themselves",
                ));
            }
            let checked = check::compile(text, inner, names)?;
            if open == 0 && close + 2 == text.len() {
                return Ok(Self::single(checked, text));
            }
            push_literal(&mut parts, &text[at..open]);
            push_inserted(&mut parts, checked.node);
            at = close + 2;
        }
        push_literal(&mut parts, &text[at..]);
        let constant = match parts.as_slice() {
            [] => Some(Value::text("")),
            [Part::Fixed(fixed)] => Some(Value::text(String::from_utf8_lossy(&fixed.plain))),
            _ => None,
        };
        Ok(Self { parts, single: false, raw_constant: false, constant, kind: Type::Text, written: text.into() })
    }

    fn single(checked: Checked, text: &str) -> Self {
        let raw_constant = matches!(&checked.node, Node::Raw(x) if x.as_const().is_some());
        let constant = constant_of(&checked.node).cloned();
        let mut parts = Vec::new();
        push_inserted(&mut parts, checked.node);
        Self { parts, single: true, raw_constant, constant, kind: checked.kind, written: text.into() }
    }

    /// A template that is always this value.
    pub fn constant(value: Value) -> Self {
        let mut parts = Vec::new();
        let text = value.to_string();
        push_literal(&mut parts, &text);
        let kind = Type::of(&value);
        Self { parts, single: true, raw_constant: false, kind, constant: Some(value), written: text.into() }
    }

    /// The template as it stands in the file, `${}` expanded.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The value, if it is the same at every evaluation.
    pub fn as_constant(&self) -> Option<&Value> {
        self.constant.as_ref()
    }

    /// The type of [`eval`](Self::eval)'s result as far as it is known.
    pub fn result_type(&self) -> Type {
        self.kind
    }

    /// Whether the text was exactly one `{{ }}` (or a plain value), so that its type is kept.
    pub fn is_single(&self) -> bool {
        self.single
    }

    /// Evaluates: typed if the text was exactly one `{{ }}`, else text.
    ///
    /// # Errors
    /// What the first failing part says.
    pub fn eval(&self, scope: &mut dyn Scope) -> Result<Value, EvalError> {
        if let Some(value) = &self.constant {
            return Ok(value.clone());
        }
        if let (true, [Part::Hole(node)]) = (self.single, self.parts.as_slice()) {
            return eval(node, scope);
        }
        let mut out = Vec::new();
        self.write_text(scope, &mut out)?;
        write::text_value(out)
    }

    /// Appends the text form. On error what was appended so far stays in `out`.
    ///
    /// # Errors
    /// What the first failing part says; more than 16 MiB of inserted text is an error too.
    pub fn write_text(&self, scope: &mut dyn Scope, out: &mut Vec<u8>) -> Result<(), EvalError> {
        self.write(scope, Encoding::Plain, out)
    }

    /// Appends the text form with each inserted value percent-encoded (RFC 3986 unreserved characters stay);
    /// the template's own text and `raw(x)` go in as they are.
    ///
    /// # Errors
    /// What the first failing part says; more than 16 MiB of inserted text is an error too.
    pub fn write_percent_encoded(&self, scope: &mut dyn Scope, out: &mut Vec<u8>) -> Result<(), EvalError> {
        self.write(scope, Encoding::Percent, out)
    }

    fn write(&self, scope: &mut dyn Scope, encoding: Encoding, out: &mut Vec<u8>) -> Result<(), EvalError> {
        let mut inserted = 0;
        for part in &self.parts {
            match part {
                Part::Fixed(fixed) => out.extend_from_slice(match encoding {
                    Encoding::Plain => &fixed.plain,
                    Encoding::Percent => &fixed.percent,
                    Encoding::Json => &fixed.json,
                }),
                Part::Hole(node) => {
                    let start = out.len();
                    write::write(node, scope, encoding, out)?;
                    inserted += out.len() - start;
                    if inserted > MAX_TEXT_BYTES {
                        return Err(write::too_large());
                    }
                }
            }
        }
        Ok(())
    }

    /// Every read of a variable that may not be there as far as the template itself knows, with the bytes of its name.
    pub(crate) fn reads(&self, found: &mut dyn FnMut(super::Slot, Range<usize>)) {
        for part in &self.parts {
            if let Part::Hole(node) = part {
                node.reads(&mut Vec::new(), found);
            }
        }
    }

    /// Every place whose value, or something made of it, may stand in the result.
    pub fn sources(&self, found: &mut dyn FnMut(&Place)) {
        for part in &self.parts {
            if let Part::Hole(node) = part {
                node.sources(found);
            }
        }
    }

    /// Every place that evaluation may read.
    pub fn places(&self, found: &mut dyn FnMut(&Place)) {
        for part in &self.parts {
            if let Part::Hole(node) = part {
                node.places(found);
            }
        }
    }

    /// Whether any part evaluates `marker`.
    pub fn uses_marker(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Hole(node) if node.uses_marker()))
    }
}

fn constant_of(node: &Node) -> Option<&Value> {
    match node {
        Node::Raw(inner) => inner.as_const(),
        _ => node.as_const(),
    }
}

/// The fixed part at the end, a new one if the end is a hole.
fn last_fixed(parts: &mut Vec<Part>) -> Option<&mut Fixed> {
    if !matches!(parts.last(), Some(Part::Fixed(_))) {
        parts.push(Part::Fixed(Fixed::default()));
    }
    match parts.last_mut() {
        Some(Part::Fixed(fixed)) => Some(fixed),
        _ => None,
    }
}

/// The template's own text: as it is, except that JSON strings need their escapes.
fn push_literal(parts: &mut Vec<Part>, text: &str) {
    if text.is_empty() {
        return;
    }
    if let Some(fixed) = last_fixed(parts) {
        fixed.plain.extend_from_slice(text.as_bytes());
        fixed.percent.extend_from_slice(text.as_bytes());
        write::append(text, Encoding::Json, &mut fixed.json);
    }
}

fn push_inserted(parts: &mut Vec<Part>, node: Node) {
    let is_raw = matches!(node, Node::Raw(_));
    let Some(value) = constant_of(&node) else {
        parts.push(Part::Hole(node));
        return;
    };
    if let Some(fixed) = last_fixed(parts) {
        let encoded = |encoding| if is_raw { Encoding::Plain } else { encoding };
        write::write_value(value, Encoding::Plain, &mut fixed.plain);
        write::write_value(value, encoded(Encoding::Percent), &mut fixed.percent);
        write::write_value(value, encoded(Encoding::Json), &mut fixed.json);
    }
}

/// Where the `}}` of the `{{` at `open` is: not one in quotes, nor one that closes two maps.
fn find_close(text: &str, open: usize) -> Result<usize, ExprError> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = open + 2;
    while at < bytes.len() {
        match bytes[at] {
            b'\'' | b'"' => {
                let Some(end) = find_quote_end(bytes, at, open + 2) else {
                    return Err(never_closed(text, open, at));
                };
                at = end;
            }
            b'{' => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Ok(at),
            _ => {}
        }
        at += 1;
    }
    Err(unclosed(open..open + 2))
}

/// Where the text that starts with the quote at `start` ends; raw text, `r'…'`, has no escapes.
fn find_quote_end(bytes: &[u8], start: usize, first: usize) -> Option<usize> {
    let is_word = |at: usize| bytes[at] == b'_' || bytes[at].is_ascii_alphanumeric() || bytes[at] >= 128;
    let is_raw = start > first && matches!(bytes[start - 1], b'r' | b'R') && !(start > first + 1 && is_word(start - 2));
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if !is_raw => at += 1,
            byte if byte == bytes[start] => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// With a `}}` behind the open quote the quote is the mistake, else the `{{` is.
fn never_closed(text: &str, open: usize, quote: usize) -> ExprError {
    if text[quote..].contains("}}") { lexer::unclosed_quote(quote..quote + 1) } else { unclosed(open..open + 2) }
}

fn unclosed(range: Range<usize>) -> ExprError {
    ExprError {
        range,
        message: "this `{{` is not closed".into(),
        help: Some("put `}}` after the expression, or write `{{ '{{' }}` for the braces themselves".into()),
        code: "unclosed-template",
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FakeNames, FakeScope};
    use super::*;
    use percent_encoding::percent_decode;
    use proptest::prelude::*;

    fn compile(text: &str) -> Template {
        Template::compile(text, &FakeNames).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn text_of(template: &Template) -> String {
        let mut out = Vec::new();
        template.write_text(&mut FakeScope::default(), &mut out).expect("writes");
        String::from_utf8(out).expect("UTF-8")
    }

    fn percent_of(template: &Template) -> String {
        let mut out = Vec::new();
        template.write_percent_encoded(&mut FakeScope::default(), &mut out).expect("writes");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn text_form() {
        let check = |text: &str, expected: &str| {
            let template = compile(text);
            assert_eq!(text_of(&template), expected, "{text}");
            let value = template.eval(&mut FakeScope::default()).expect(text);
            assert_eq!(value.to_string(), expected, "{text}");
        };
        check("", "");
        check("plain }} text } {", "plain }} text } {");
        check("Bearer {{ token }}", "Bearer tö/ k\"1");
        check("{{ account.id }}-{{ user.index + 1 }}", "a-7-8");
        check("{{ mood }}", "2");
        check("a {{ '}}' }} b", "a }} b");
        check("a {{ \"{{'\" }} b", "a {{' b");
        check(r"{{ 'it\'s }}' }}!", "it's }}!");
        check(r"{{ r'\' }}!", r"\!");
        check("{{ {'a': {'b': 1}}.a.b }}{{ {'a': {'b': 2}} }}", "1{\"a\":{\"b\":2}}");
        check("{{{'a': {'b': 2}}}}", "{\"a\":{\"b\":2}}");
        check("{\"a\":{{ mood }}}", "{\"a\":2}");
        check("x{{ absent }}y{{ true }}{{ 1.5 }}", "xytrue1.5");
        check("{{ marker }} {{ marker('room') }} {{ marker(7) }}", "m1 m2@room m3@7");
        check("{{ raw(token) }}!", "tö/ k\"1!");
        check("{{ mood == 2 ? token : '' }}!", "tö/ k\"1!");
    }

    #[test]
    fn exactly_one_expression_keeps_its_type() {
        let check = |text: &str, expected: Value, single| {
            let template = compile(text);
            let value = template.eval(&mut FakeScope::default()).expect(text);
            assert_eq!(value, expected, "{text}");
            assert_eq!(template.is_single(), single, "{text}");
        };
        check("{{ mood }}", Value::Int(2), true);
        check("{{ 1 + 1 }}", Value::Int(2), true);
        check("{{ absent }}", Value::Null, true);
        check(" {{ mood }}", Value::text(" 2"), false);
        check("{{ mood }} ", Value::text("2 "), false);
        check("{{ 1 + 1 }}{{ '' }}", Value::text("2"), false);
        check("2", Value::text("2"), false);
        assert_eq!(compile("{{ mood < 1 }}").result_type(), Type::Bool);
        assert_eq!(compile("{{ mood < 1 }}!").result_type(), Type::Text);
    }

    #[test]
    fn percent_form() {
        let check = |text: &str, expected: &str| {
            assert_eq!(percent_of(&compile(text)), expected, "{text}");
        };
        check("/a b/{{ token }}/c", "/a b/t%C3%B6%2F%20k%221/c");
        check("/{{ 'x y' }}/{{ account.id }}", "/x%20y/a-7");
        check("/{{ 'a-._~/?' }}", "/a-._~%2F%3F");
        check("{{ raw('/x y') }}/z", "/x y/z");
        check("{{ raw(token) }}", "tö/ k\"1");
        check("{{ mood == 2 ? raw('/') : '/' }}", "/");
        check("/{{ mood == 1 ? raw('/') : '/' }}", "/%2F");
        check("/{{ [token] }}", "/%5B%22t%C3%B6%2F%20k%5C%221%22%5D");
        check("/{{ -1.5 }}/{{ mood }}", "/-1.5/2");
        assert_eq!(percent_of(&Template::constant(Value::text("/a b"))), "/a b");
    }

    #[test]
    fn constants_are_known() {
        let check = |text: &str, expected: Option<Value>| {
            assert_eq!(compile(text).as_constant(), expected.as_ref(), "{text}");
        };
        check("", Some(Value::text("")));
        check("a", Some(Value::text("a")));
        check("{{ 1 + 2 }}", Some(Value::Int(3)));
        check("a{{ 1 + 2 }}b{{ 'c' }}", Some(Value::text("a3bc")));
        check("{{ raw('x') }}", Some(Value::text("x")));
        check("{{ [1, size('abc')] }}", Some(Value::List([Value::Int(1), Value::Int(3)].into())));
        check("{{ mood }}", None);
        check("{{ uuid() }}", None);
        check("{{ now() }}", None);
        check("{{ 1 / 0 }}", None);
        let seven = Template::constant(Value::Int(7));
        assert_eq!(seven.as_constant(), Some(&Value::Int(7)));
        assert_eq!(text_of(&seven), "7");
    }

    #[test]
    fn markers_are_seen() {
        let check = |text: &str, expected| {
            assert_eq!(compile(text).uses_marker(), expected, "{text}");
        };
        check("marker", false);
        check("{{ mood }}", false);
        check("{{ marker }}", true);
        check("a {{ mood }} {{ sha256(marker('x')) }}", true);
        check("{{ {'a': [mood == 1 ? 'x' : 'y' + marker]} }}", true);
    }

    #[test]
    fn mistakes_carry_their_place() {
        let check = |text: &str, marked: &str, code: &str| {
            let error = Template::compile(text, &FakeNames).expect_err(text);
            assert_eq!(&text[error.range.clone()], marked, "{text}: {error}");
            assert_eq!(error.code, code, "{text}: {error}");
            assert!(error.help.is_some(), "{text}");
        };
        check("a {{ mood", "{{", "unclosed-template");
        check("a {{ mood } it's", "{{", "unclosed-template");
        check("{{ 'a }} b", "'", "expression-syntax");
        check("ü {{ }}", "{{ }}", "expression-syntax");
        check("é{{ mood }} {{ moood }}!", "moood", "unknown-variable");
        check("é{{ account.nmae.x }}!", "account.nmae", "unknown-variable");
        check("/x/{{ 1 + }}", "", "expression-syntax");
        check("/{{ 'a' + raw(token) }}", "raw(token)", "misplaced-raw");
    }

    #[test]
    fn errors_leave_what_was_written() {
        let mut out = b"GET ".to_vec();
        let template = compile("/a/{{ absent.id }}/b");
        template.write_text(&mut FakeScope::default(), &mut out).expect_err("absent");
        assert_eq!(out, b"GET /a/");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}'\"a-f0-9 ()\\[\\].,:?!+*/%<>=&|\\\\é-]{0,60}") {
            if let Ok(template) = Template::compile(&text, &FakeNames) {
                let _ = template.eval(&mut FakeScope::default());
            }
            let _ = Template::compile(&format!("{{{{ {text} }}}}"), &FakeNames);
        }

        #[test]
        fn no_unicode_makes_it_panic(text in any::<String>()) {
            let _ = Template::compile(&text, &FakeNames);
            let _ = Template::compile(&format!("x {{{{ {text}"), &FakeNames);
        }

        #[test]
        fn percent_encoding_round_trips(text in any::<String>()) {
            let mut out = Vec::new();
            write::append(&text, Encoding::Percent, &mut out);
            prop_assert!(out.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(b)));
            let decoded = percent_decode(&out).decode_utf8().expect("UTF-8");
            prop_assert_eq!(decoded, text);
        }

        /// Any text can be written as a literal and comes back, whatever braces and quotes it holds.
        #[test]
        fn literals_round_trip(text in any::<String>(), braces in "[{}'\"\\\\ ]{0,8}") {
            let text = text + &braces;
            let literal = format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
            let template = compile(&format!("{{{{ {literal} }}}}"));
            prop_assert_eq!(template.as_constant(), Some(&Value::text(text)));
        }
    }
}
