//! Text of the file to templates, expressions, patterns and paths, each mistake at its place in the file.
//! In: scalars and the names visible there. Out: compiled parts; a broken one is reported and stands as null.

use super::Lowering;
use super::names::Visible;
use super::trail::{Read, Text};
use crate::css::Css;
use crate::diagnostic::Diagnostic;
use crate::expr::{Expr, ExprError, JsonNode, Place, Slot, Template, Type};
use crate::jsonpath::JsonPath;
use crate::plan::{Plan, constant};
use crate::syntax::{Node, Scalar};
use crate::value::Value;
use std::ops::Range;

impl Lowering<'_> {
    fn expression_mistake(&mut self, scalar: &Scalar, offset: usize, error: ExprError) {
        self.push(mistake(self.plan, scalar, offset, error));
    }

    /// A template of `text`, which stands at `offset` in the scalar.
    pub(super) fn template_of(&mut self, scalar: &Scalar, text: &str, offset: usize, names: &Visible<'_>) -> Template {
        if scalar.broken || !text.contains("{{") {
            return Template::constant(Value::text(text));
        }
        match Template::compile(text, names) {
            Ok(template) => {
                self.note(&template);
                let mut reads_variable = false;
                template.places(&mut |place| reads_variable |= matches!(place, Place::Slot(_)));
                if reads_variable {
                    self.text_of(scalar, text, offset, false, names);
                }
                template.reads(&mut |slot, range| {
                    self.trail_at(scalar, slot, range.start + offset..range.end + offset);
                });
                template
            }
            Err(error) => {
                self.expression_mistake(scalar, offset, error);
                Template::constant(Value::Null)
            }
        }
    }

    fn text_of(&mut self, scalar: &Scalar, text: &str, offset: usize, is_condition: bool, names: &Visible<'_>) {
        let (scalar, text, stranger) = (scalar.clone(), text.to_owned(), names.stranger());
        self.trail.texts.push(Text { scalar, text, offset, is_condition, stranger });
    }

    /// Takes down what a bare expression reads.
    fn look(&mut self, scalar: &Scalar, expr: &Expr, is_condition: bool, names: &Visible<'_>) {
        let mut reads_variable = false;
        expr.places(&mut |place| {
            reads_variable |= matches!(place, Place::Slot(_));
            self.trail.read(place);
        });
        expr.reads(&mut |slot, range| self.trail_at(scalar, slot, range));
        if reads_variable && is_condition {
            self.text_of(scalar, &scalar.text, 0, true, names);
        }
    }

    /// Takes down where a variable is read.
    fn trail_at(&mut self, scalar: &Scalar, slot: Slot, range: Range<usize>) {
        let span = scalar.locate(&self.plan.source.text, range);
        let op = self.trail.ops;
        self.trail.places.push(Read { op, slot, span });
    }

    /// Takes down what a template reads.
    pub(super) fn note(&mut self, template: &Template) {
        let trail = &mut self.trail;
        template.places(&mut |place| trail.read(place));
    }

    /// The template of a scalar's text from byte `from` on.
    pub(super) fn text_from(&mut self, scalar: &Scalar, from: usize, names: &Visible<'_>) -> Template {
        self.template_of(scalar, scalar.text[from..].trim_end(), from, names)
    }

    /// A literal password or token of the file is shown nowhere.
    pub(super) fn remember_secret(&mut self, scalar: &Scalar) {
        if !scalar.text.contains("{{") && !scalar.text.is_empty() && !self.secrets.contains(&scalar.text) {
            self.secrets.push(scalar.text.clone());
        }
    }

    /// A text template: what is no template is text as it was written.
    pub(super) fn text(&mut self, scalar: &Scalar, names: &Visible<'_>) -> Template {
        self.template_of(scalar, &scalar.text, 0, names)
    }

    /// A typed template: what is no template keeps its type from the file.
    pub(super) fn typed(&mut self, node: &Node, names: &Visible<'_>) -> Template {
        if let Node::Scalar(scalar) = node {
            if scalar.text.contains("{{") {
                return self.text(scalar, names);
            }
        } else if let Some(inner) = first_template(node) {
            let span = inner.span;
            self.push(
                Diagnostic::error("bad-value", span, "inside a list or map there is no template here")
                    .help("write the whole list as one expression, such as \"{{ [a, b] }}\""),
            );
        }
        Template::constant(constant(node))
    }

    /// A list as it stands in the file, or a bare expression that must be one.
    pub(super) fn list(&mut self, node: &Node, names: &Visible<'_>) -> Expr {
        let Node::Scalar(scalar) = node else {
            if let Some(inner) = first_template(node) {
                self.push(
                    Diagnostic::error("bad-value", inner.span, "inside a list there is no template here")
                        .help("write the whole list as one expression, such as \"[a, b]\""),
                );
            }
            return Expr::constant(constant(node));
        };
        let nothing = || Expr::compile("[]", names).expect("`[]` is an expression");
        if scalar.broken {
            return nothing();
        }
        if scalar.text.contains("{{") {
            self.push(
                Diagnostic::error("bare-expression", scalar.span, "a list stands here without `{{ }}`")
                    .help(format!("write `{}`", scalar.shown().replace("{{", "").replace("}}", "").trim())),
            );
            return nothing();
        }
        match Expr::compile(&scalar.text, names) {
            Ok(expr) => {
                let kind = expr.result_type();
                if !matches!(kind, Type::List | Type::Any) {
                    self.push(
                        Diagnostic::error("wrong-type", scalar.span, "`for_each` goes through a list")
                            .label(format!("this gives {}", type_word(kind))),
                    );
                }
                self.look(scalar, &expr, false, names);
                expr
            }
            Err(error) => {
                self.expression_mistake(scalar, 0, error);
                nothing()
            }
        }
    }

    /// A bare expression that must be true or false.
    pub(super) fn condition(&mut self, scalar: &Scalar, names: &Visible<'_>) -> Option<Expr> {
        if scalar.broken {
            return None;
        }
        if scalar.text.contains("{{") {
            self.push(
                Diagnostic::error("bare-expression", scalar.span, "a condition stands without `{{ }}`")
                    .help(format!("write `{}`", scalar.shown().replace("{{", "").replace("}}", "").trim())),
            );
            return None;
        }
        match Expr::compile(&scalar.text, names) {
            Ok(expr) => {
                self.look(scalar, &expr, true, names);
                self.diagnostics.extend(no_condition(scalar, expr.result_type()));
                Some(expr)
            }
            Err(error) => {
                self.expression_mistake(scalar, 0, error);
                None
            }
        }
    }

    pub(super) fn json_path(&mut self, scalar: &Scalar) -> Option<JsonPath> {
        if scalar.broken {
            return None;
        }
        let compiled = if scalar.text.starts_with('$') {
            JsonPath::compile(&scalar.text)
        } else {
            Err(format!("`{}` is no JSONPath: that starts with `$`", scalar.shown()))
        };
        match compiled {
            Ok(path) => Some(path),
            Err(message) => {
                self.push(
                    Diagnostic::error("bad-path", scalar.span, message).help("write for example `$.items[0].id`"),
                );
                None
            }
        }
    }

    fn bad_regex(&mut self, scalar: &Scalar, error: &regex::Error) {
        let text = error.to_string();
        let why = text.lines().last().unwrap_or("").trim();
        let why = why.strip_prefix("error: ").unwrap_or(why);
        self.push(Diagnostic::error("bad-pattern", scalar.span, format!("this pattern cannot be read: {why}")));
    }

    pub(super) fn css(&mut self, selector: &Scalar, attribute: Option<&Scalar>) -> Option<Css> {
        Css::compile(&selector.text, attribute.map(|a| a.text.as_str()))
            .map_err(|message| {
                let mistake = Diagnostic::error("bad-pattern", selector.span, message);
                self.push(mistake.help("write for example `form input[name=csrf]`"));
            })
            .ok()
    }

    pub(super) fn pattern(&mut self, scalar: &Scalar) -> Option<regex::Regex> {
        regex::Regex::new(&scalar.text).map_err(|error| self.bad_regex(scalar, &error)).ok()
    }

    pub(super) fn byte_pattern(&mut self, scalar: &Scalar) -> Option<regex::bytes::Regex> {
        regex::bytes::Regex::new(&scalar.text).map_err(|error| self.bad_regex(scalar, &error)).ok()
    }

    pub(super) fn json(&mut self, node: &Node, names: &Visible<'_>) -> JsonNode {
        match node {
            Node::Scalar(scalar) if scalar.text.contains("{{") => JsonNode::Template(self.text(scalar, names)),
            Node::Scalar(scalar) => JsonNode::Constant(scalar.value()),
            Node::List(items, _) => JsonNode::List(items.iter().map(|item| self.json(item, names)).collect()),
            Node::Map(entries, _) => {
                JsonNode::Map(entries.iter().map(|e| (e.key.text.clone(), self.json(&e.value, names))).collect())
            }
        }
    }
}

/// A mistake of an expression, at its place in the file.
pub(super) fn mistake(plan: &Plan, scalar: &Scalar, offset: usize, error: ExprError) -> Diagnostic {
    let range = error.range.start + offset..error.range.end + offset;
    let span = scalar.locate(&plan.source.text, range);
    Diagnostic::error(error.code, span, error.message).maybe_help(error.help)
}

/// An expression of this type stands where something must be true or false.
pub(super) fn no_condition(scalar: &Scalar, kind: Type) -> Option<Diagnostic> {
    if matches!(kind, Type::Bool | Type::Any) {
        return None;
    }
    let text = scalar.shown();
    let compared = match kind {
        Type::Int | Type::Float => format!("{text} != 0"),
        Type::Text => format!("{text} != ''"),
        _ => format!("{text} != null"),
    };
    Some(
        Diagnostic::error("wrong-type", scalar.span, "a condition is true or false")
            .label(format!("this gives {}", type_word(kind)))
            .help(format!("compare it, as in `{compared}`")),
    )
}

fn first_template(node: &Node) -> Option<&Scalar> {
    match node {
        Node::Scalar(s) => s.text.contains("{{").then_some(s),
        Node::List(items, _) => items.iter().find_map(first_template),
        Node::Map(entries, _) => entries.iter().find_map(|e| first_template(&e.value)),
    }
}

pub(super) fn type_word(kind: Type) -> &'static str {
    match kind {
        Type::Any => "anything",
        Type::Null => "null",
        Type::Bool => "true or false",
        Type::Int => "a whole number",
        Type::Float => "a number",
        Type::Text => "text",
        Type::List => "a list",
        Type::Map => "a map",
    }
}
