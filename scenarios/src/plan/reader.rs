//! Reading nodes strictly: maps with known keys, scalars of a known type, each mistake collected with its place.
//! In: nodes. Out: values, or nothing and a diagnostic; reading always goes on.

use crate::diagnostic::{Diagnostic, Span, did_you_mean, suggestion};
use crate::imports::Files;
use crate::source::Source;
use crate::syntax::{Entry, Node, Scalar, Style};
use crate::units;
use crate::value::Value;
use std::collections::HashSet;

/// The keys of one kind of map.
pub(super) struct Spec {
    /// With its article, for messages: `a target`.
    pub what: &'static str,
    /// Keys that work.
    pub keys: &'static [&'static str],
    /// Keys that the language names and that are not built yet.
    pub not_yet: &'static [&'static str],
}

/// What all parts of the plan are read with.
pub(super) struct Reader<'a> {
    pub source: &'a Source,
    pub files: &'a Files,
    pub diagnostics: Vec<Diagnostic>,
    /// Data files with their SHA-256, in the order in which they were read.
    pub digests: Vec<(String, String)>,
    /// Variables that parts which could not be read would have saved: using them is no second mistake.
    pub ghosts: HashSet<String>,
}

/// A map whose keys have been checked.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n> {
    entries: &'n [Entry],
    /// The key above the map: where a missing key is shown.
    pub at: Span,
}

impl<'n> Fields<'n> {
    /// Entries whose keys the caller checks itself.
    pub fn new(entries: &'n [Entry], at: Span) -> Self {
        Self { entries, at }
    }

    pub fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|e| e.key.text == key)
    }

    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|e| &e.value)
    }
}

impl Reader<'_> {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The entries of a map; anything else is a mistake.
    pub fn entries<'n>(&mut self, node: &'n Node, at: Span, what: &str) -> Option<&'n [Entry]> {
        match node {
            Node::Map(entries, _) => Some(entries),
            other => {
                let span = if other.is_null() { at } else { other.span() };
                self.expected(span, &format!("{what} is a map of keys and values"), other);
                None
            }
        }
    }

    /// A map whose keys are all known; each unknown one is a mistake.
    pub fn fields<'n>(&mut self, node: &'n Node, at: Span, spec: &Spec) -> Option<Fields<'n>> {
        let entries = self.entries(node, at, spec.what)?;
        for entry in entries {
            self.check_key(&entry.key, spec);
            if spec.not_yet.contains(&entry.key.text.as_str()) {
                self.remember_ghosts(&entry.value);
            }
        }
        Some(Fields { entries, at })
    }

    fn check_key(&mut self, key: &Scalar, spec: &Spec) {
        let name = key.text.as_str();
        if spec.keys.contains(&name) {
            return;
        }
        if spec.not_yet.contains(&name) {
            self.not_yet(key.span, name);
            return;
        }
        let all = || spec.keys.iter().chain(spec.not_yet).copied();
        let help = match did_you_mean(name, all()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None => suggestion(name, spec.keys.iter().copied()),
        };
        self.push(
            Diagnostic::error("unknown-key", key.span, format!("{} has no key `{}`", spec.what, key.shown()))
                .maybe_help(help),
        );
    }

    /// A feature that the language names and that does not exist yet.
    pub fn not_yet(&mut self, span: Span, feature: &str) {
        self.push(
            Diagnostic::error("not-yet", span, format!("`{feature}` is part of the language but not built yet"))
                .help("take it out for now; it is never silently ignored"),
        );
    }

    /// Where a file named in the scenario stands: relative to the file that names it.
    pub fn path(&self, name: &Scalar) -> std::path::PathBuf {
        self.files.folder(name.span.start).join(&name.text)
    }

    /// A missing key.
    pub fn missing(&mut self, at: Span, what: &str, key: &str, example: &str) {
        self.push(
            Diagnostic::error("missing-key", at, format!("{what} needs the key `{key}`"))
                .help(format!("add for example `{key}: {example}`")),
        );
    }

    /// A node of the wrong type.
    pub fn expected(&mut self, span: Span, rule: &str, found: &Node) {
        if is_broken(found) {
            return;
        }
        self.push(Diagnostic::error("wrong-type", span, rule.to_owned()).label(format!("this is {}", describe(found))));
    }

    /// A value that is no good; `message` says what would be.
    pub fn bad_value(&mut self, span: Span, message: impl Into<String>) {
        self.push(Diagnostic::error("bad-value", span, message));
    }

    /// Text, or a number or bool taken as text.
    pub fn text<'n>(&mut self, node: &'n Node, at: Span, what: &str) -> Option<&'n Scalar> {
        match node {
            Node::Scalar(s) if s.broken => None,
            Node::Scalar(s) if !s.is_null() => Some(s),
            other => {
                let span = if other.is_null() { at } else { other.span() };
                self.expected(span, &format!("{what} is text"), other);
                None
            }
        }
    }

    /// The text at `key`, if the key is there.
    pub fn text_at<'n>(&mut self, fields: Fields<'n>, key: &str) -> Option<&'n Scalar> {
        let entry = fields.entry(key)?;
        self.text(&entry.value, entry.key.span, &format!("`{key}`"))
    }

    /// `true` or `false` at `key`.
    pub fn flag_at(&mut self, fields: Fields<'_>, key: &str) -> Option<bool> {
        let entry = fields.entry(key)?;
        match &entry.value {
            Node::Scalar(s) => match s.value() {
                Value::Bool(b) => return Some(b),
                _ => self.expected(or(s.span, entry.key.span), &flag_rule(key), &entry.value),
            },
            other => self.expected(other.span(), &flag_rule(key), other),
        }
        None
    }

    /// A whole number between `low` and `high`.
    pub fn whole(&mut self, node: &Node, at: Span, what: &str, low: u64, high: u64) -> Option<u64> {
        let rule = format!("{what} is a whole number");
        let Node::Scalar(scalar) = node else {
            self.expected(node.span(), &rule, node);
            return None;
        };
        match scalar.value() {
            Value::Int(n) => {
                if let Some(n) = u64::try_from(n).ok().filter(|n| (low..=high).contains(n)) {
                    return Some(n);
                }
                let message = if low == high {
                    format!("{what} is {low}")
                } else if high >= 1_000_000_000 {
                    format!("{what} is at least {low}")
                } else {
                    format!("{what} is between {low} and {high}")
                };
                self.bad_value(scalar.span, message);
            }
            Value::Text(t) if scalar.style == Style::Quoted && t.parse::<u64>().is_ok() => {
                self.push(
                    Diagnostic::error("wrong-type", scalar.span, rule)
                        .label("in quotes it is text")
                        .help("remove the quotes"),
                );
            }
            _ => self.expected(or(scalar.span, at), &rule, node),
        }
        None
    }

    /// The whole number at `key`.
    pub fn whole_at(&mut self, fields: Fields<'_>, key: &str, low: u64, high: u64) -> Option<u64> {
        let entry = fields.entry(key)?;
        self.whole(&entry.value, entry.key.span, &format!("`{key}`"), low, high)
    }

    /// A scalar read by one of the functions of `units`.
    pub fn unit<T>(
        &mut self,
        node: &Node,
        at: Span,
        what: &str,
        example: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !matches!(node, Node::Scalar(_)) || node.is_null() {
            let span = if node.is_null() { at } else { node.span() };
            let rule = format!("{what} is one value, such as {example}");
            self.expected(span, &rule, node);
            return None;
        }
        let scalar = self.text(node, at, what)?;
        match read(&scalar.text) {
            Ok(value) => Some(value),
            Err(_) if scalar.written.is_some() => {
                // The environment's value itself is not shown: it may be a secret in the wrong place.
                self.bad_value(scalar.span, format!("the value of this variable is no good for {what}"));
                None
            }
            Err(message) => {
                self.bad_value(scalar.span, message);
                None
            }
        }
    }

    /// The duration at `key` in nanoseconds, at least `low_ns`.
    pub fn duration_at(&mut self, fields: Fields<'_>, key: &str, low_ns: u64) -> Option<u64> {
        let entry = fields.entry(key)?;
        let what = format!("`{key}`");
        let ns = self.unit(&entry.value, entry.key.span, &what, "`2s`", units::parse_duration)?;
        if ns < low_ns {
            let least = units::format_duration(low_ns);
            self.bad_value(entry.value.span(), format!("{what} is at least {least}"));
            return None;
        }
        Some(ns)
    }

    /// One of a few words at `key`.
    pub fn word_at(
        &mut self,
        fields: Fields<'_>,
        key: &str,
        words: &[&'static str],
        not_yet: &[&'static str],
    ) -> Option<&'static str> {
        let scalar = self.text_at(fields, key)?;
        if let Some(word) = words.iter().find(|w| **w == scalar.text) {
            return Some(word);
        }
        if not_yet.contains(&scalar.text.as_str()) {
            self.not_yet(scalar.span, &format!("{key}: {}", scalar.text));
        } else {
            self.push(
                Diagnostic::error("bad-value", scalar.span, format!("`{key}` cannot be `{}`", scalar.shown()))
                    .maybe_help(suggestion(&scalar.text, words.iter().copied())),
            );
        }
        None
    }

    /// A list of texts, or a single one.
    pub fn texts<'n>(&mut self, node: &'n Node, at: Span, what: &str) -> Vec<&'n Scalar> {
        match node {
            Node::List(items, _) => {
                items.iter().filter_map(|item| self.text(item, at, &format!("each of {what}"))).collect()
            }
            single => self.text(single, at, what).into_iter().collect(),
        }
    }

    /// The texts at `key`.
    pub fn texts_at<'n>(&mut self, fields: Fields<'n>, key: &str) -> Vec<&'n Scalar> {
        let Some(entry) = fields.entry(key) else {
            return Vec::new();
        };
        self.texts(&entry.value, entry.key.span, &format!("`{key}`"))
    }

    /// Checks a name that expressions can say.
    pub fn variable_name(&mut self, key: &Scalar, what: &str) -> bool {
        let reserved = [
            "account", "data", "user", "run", "index", "last", "stranger", "owner", "marker", "true", "false", "null",
            "in",
        ];
        if reserved.contains(&key.text.as_str()) {
            self.push(
                Diagnostic::error(
                    "reserved-name",
                    key.span,
                    format!("`{}` is a name of the language and cannot be {what}", key.text),
                )
                .help("choose another name"),
            );
            return false;
        }
        let mut chars = key.text.chars();
        let good = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !good {
            self.push(
                Diagnostic::error("bad-name", key.span, format!("`{}` cannot be {what}", key.shown()))
                    .help("use letters, digits and `_`, and start with a letter"),
            );
        }
        good
    }

    /// A text that is read once and so cannot hold `{{ }}`; answers whether it is plain.
    pub fn plain(&mut self, text: &Scalar, what: &str) -> bool {
        let good = !text.text.contains("{{");
        if !good {
            self.push(
                Diagnostic::error(
                    "template-not-here",
                    text.span,
                    format!("{what} cannot hold `{{{{ }}}}`: it is the same for every user"),
                )
                .help("write it out, or move the `{{ }}` into a value that is sent"),
            );
        }
        good
    }

    /// Checks a name that tables and folders show.
    pub fn plain_name(&mut self, key: &Scalar, what: &str) -> bool {
        let good = !key.text.is_empty()
            && key.text.len() <= 64
            && !key.text.starts_with('.')
            && key.text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        if !good {
            self.push(
                Diagnostic::error("bad-name", key.span, format!("`{}` cannot be the name of {what}", key.shown()))
                    .help("use letters, digits, `_`, `-` and `.`, at most 64"),
            );
        }
        good
    }

    /// Remembers what `save:` and `set:` inside a part that could not be read would have given.
    pub fn remember_ghosts(&mut self, node: &Node) {
        match node {
            Node::List(items, _) => items.iter().for_each(|n| self.remember_ghosts(n)),
            Node::Map(entries, _) => {
                for entry in entries {
                    if let ("save" | "set", Node::Map(names, _)) = (entry.key.text.as_str(), &entry.value) {
                        self.ghosts.extend(names.iter().map(|n| n.key.text.clone()));
                    }
                    if entry.key.text == "as" {
                        self.ghosts.extend(entry.value.as_scalar().map(|s| s.text.clone()));
                    }
                    self.remember_ghosts(&entry.value);
                }
            }
            Node::Scalar(_) => {}
        }
    }
}

fn flag_rule(key: &str) -> String {
    format!("`{key}` is `true` or `false`")
}

fn or(span: Span, other: Span) -> Span {
    if span.start == span.end { other } else { span }
}

/// Whether the node is a scalar that has been reported already.
pub(super) fn is_broken(node: &Node) -> bool {
    node.as_scalar().is_some_and(|s| s.broken)
}

/// A node in words.
pub(super) fn describe(node: &Node) -> String {
    match node {
        Node::List(..) => "a list".into(),
        Node::Map(..) => "a map".into(),
        Node::Scalar(s) if s.written.is_some() => "the value of an environment variable".into(),
        Node::Scalar(s) => match s.value() {
            Value::Null => "nothing".into(),
            Value::Bool(_) => "`true` or `false`".into(),
            Value::Int(_) | Value::Float(_) => "a number".into(),
            _ => "text".into(),
        },
    }
}

/// A node as a constant value.
pub(crate) fn constant(node: &Node) -> Value {
    match node {
        Node::Scalar(s) => s.value(),
        Node::List(items, _) => Value::List(items.iter().map(constant).collect()),
        Node::Map(entries, _) => {
            Value::Map(entries.iter().map(|e| (e.key.text.as_str().into(), constant(&e.value))).collect())
        }
    }
}
