//! A scalar of the file: its text, how it was written, and where each of its bytes stands.
//! In: the parser's value and span. Out: text, typed values by YAML's core rules, spans of parts of the text.

use crate::diagnostic::Span;
use crate::value::Value;
use granit_parser::ScalarStyle;
use std::ops::Range;

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: may be a number, bool or null.
    Plain,
    /// In single or double quotes: always text.
    Quoted,
    /// As a `|` or `>` block: always text.
    Block,
}

impl From<ScalarStyle> for Style {
    fn from(style: ScalarStyle) -> Self {
        match style {
            ScalarStyle::Plain => Self::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Self::Quoted,
            _ => Self::Block,
        }
    }
}

/// A scalar with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// The text after escapes, and after `${}` was replaced.
    pub text: String,
    /// How it was written; a scalar that is nothing but one `${}` becomes plain, so that it is typed again.
    pub style: Style,
    /// Bytes in the file, quotes included.
    pub span: Span,
    /// Before `${}` was replaced, when it was; messages show this one, as the environment may hold secrets.
    pub written: Option<String>,
    /// A mistake about this scalar has been reported already, so nothing more is said about it.
    pub broken: bool,
    /// Offset in the file of the text's first byte, when the text stands there byte for byte.
    exact: Option<usize>,
}

impl Scalar {
    /// A scalar of `source` with its `value` after escapes.
    pub fn new(source: &str, value: &str, style: Style, span: Span) -> Self {
        let slice = source.get(span.start..span.end).unwrap_or("");
        if slice.is_empty() && style == Style::Plain {
            return Self::null(span);
        }
        let exact = if slice == value {
            Some(span.start)
        } else {
            let inner = slice.get(1..slice.len().saturating_sub(1));
            (inner == Some(value)).then_some(span.start + 1)
        };
        Self { text: value.to_owned(), style, span, written: None, broken: false, exact }
    }

    /// Nothing written.
    pub fn null(span: Span) -> Self {
        Self { text: String::new(), style: Style::Plain, span, written: None, broken: false, exact: None }
    }

    /// A scalar that has been reported already.
    pub fn broken(source: &str, span: Span) -> Self {
        let text = source.get(span.start..span.end).unwrap_or("");
        Self { text: text.to_owned(), style: Style::Quoted, broken: true, ..Self::null(span) }
    }

    /// Replaces the text by what the environment made of it.
    pub fn expand(&mut self, text: String, retype: bool) {
        self.written = Some(std::mem::replace(&mut self.text, text));
        self.exact = None;
        if retype {
            self.style = Style::Plain;
        }
    }

    /// Moves it with the text it stands in.
    pub fn shift(&mut self, by: usize) {
        self.span = self.span.shifted(by);
        self.exact = self.exact.map(|at| at + by);
    }

    /// What messages show.
    pub fn shown(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.text)
    }

    /// Whether nothing is written here, or `null`.
    pub fn is_null(&self) -> bool {
        self.style == Style::Plain && matches!(self.value(), Value::Null)
    }

    /// The value by YAML 1.2's core rules: only plain scalars can be anything but text.
    pub fn value(&self) -> Value {
        if self.style == Style::Plain { plain_value(&self.text) } else { Value::text(&self.text) }
    }

    /// Where bytes `range` of the text stand in the file, or the whole scalar when escapes or `${}` moved them.
    pub fn locate(&self, source: &str, range: Range<usize>) -> Span {
        if let Some(start) = self.exact {
            let length = self.text.len();
            let from = range.start.min(length);
            return Span::new(start + from..start + range.end.clamp(from, length));
        }
        let part = self.text.get(range).unwrap_or("");
        let slice = source.get(self.span.start..self.span.end).unwrap_or("");
        match slice.find(part) {
            Some(at) if !part.is_empty() => Span::new(self.span.start + at..self.span.start + at + part.len()),
            _ => self.span,
        }
    }
}

/// The core schema's reading of a plain scalar.
fn plain_value(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && let Ok(n) = text.parse::<i64>()
    {
        return Value::Int(n);
    }
    let radix = |prefix: &str, radix| text.strip_prefix(prefix).and_then(|d| i64::from_str_radix(d, radix).ok());
    if let Some(n) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Value::Int(n);
    }
    let float_like = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
        && digits.bytes().any(|b| b.is_ascii_digit());
    if float_like && let Ok(x) = text.parse::<f64>() {
        return Value::Float(x);
    }
    Value::text(text)
}
