//! YAML text to a tree in which every node knows its bytes, so that every mistake has its place.
//! In: the file's text. Out: [`Node`]s. Anchors, aliases, tags and several documents are refused;
//! depth is limited, so no text can overflow the stack.

mod scalar;
mod slips;

pub use scalar::{Scalar, Style};

use crate::diagnostic::{Diagnostic, Span};
use granit_parser::{Event, Parser, ScalarStyle, StrInput, StructureStyle};

/// Deepest nesting of lists and maps.
pub const MAX_DEPTH: usize = 64;
/// Largest file, bytes.
pub const MAX_BYTES: usize = 16 << 20;

/// A node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Text, number, bool or null.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>, Span),
    /// A map in file order; keys are unique.
    Map(Vec<Entry>, Span),
}

/// One key of a map with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Scalar,
    /// The value.
    pub value: Node,
}

impl Node {
    /// Where the node stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Scalar(s) => s.span,
            Self::List(_, span) | Self::Map(_, span) => *span,
        }
    }

    /// Moves every span with the text that the tree stands in.
    pub fn shift(&mut self, by: usize) {
        match self {
            Self::Scalar(scalar) => scalar.shift(by),
            Self::List(items, span) => {
                *span = span.shifted(by);
                items.iter_mut().for_each(|item| item.shift(by));
            }
            Self::Map(entries, span) => {
                *span = span.shifted(by);
                for entry in entries {
                    entry.key.shift(by);
                    entry.value.shift(by);
                }
            }
        }
    }

    /// Whether nothing is written here, or `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(s) if s.is_null())
    }

    /// The scalar, if it is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match self {
            Self::Scalar(s) => Some(s),
            _ => None,
        }
    }
}

/// The tree of `text`, or `None` when its YAML cannot be read; and what is wrong with it.
pub fn parse(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    if text.len() > MAX_BYTES {
        let message = "the file is larger than 16 MiB";
        let mistake = Diagnostic::error("too-large", Span::default(), message);
        return (None, vec![mistake.help("put data into CSV files")]);
    }
    let options = granit_parser::options! {
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
        max_buffered_comment_events: 10_000,
        simple_key_max_lookahead: 4096,
    };
    let mut builder = Builder {
        text,
        parser: Parser::new_from_str_with_options(text, options),
        diagnostics: Vec::new(),
        last_plain_end: usize::MAX,
    };
    let tree = match builder.document() {
        Ok(tree) => tree,
        Err(mistake) => {
            let said = |d: &Diagnostic| d.code == mistake.code && d.span.start == mistake.span.start;
            if !builder.diagnostics.iter().any(said) {
                builder.diagnostics.push(*mistake);
            }
            None
        }
    };
    (tree, builder.diagnostics)
}

type Fatal = Box<Diagnostic>;

struct Builder<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    diagnostics: Vec<Diagnostic>,
    /// Where the latest plain scalar ended, to notice comments that were meant as its text.
    last_plain_end: usize,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Result<Option<Node>, Fatal> {
        let mut tree = None;
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(tree),
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        let message = "a scenario file holds one document, here a second one starts";
                        return Err(Box::new(
                            Diagnostic::error("several-documents", span, message)
                                .help("remove the `---`, or make it a file of its own"),
                        ));
                    }
                }
                event => tree = Some(self.node(event, span, 0)?),
            }
        }
    }

    /// The next event that is not a comment.
    fn next(&mut self) -> Result<(Event<'a>, Span), Fatal> {
        loop {
            let Some(next) = self.parser.next_event() else {
                return Ok((Event::StreamEnd, Span::new(self.text.len()..self.text.len())));
            };
            let (event, span) = next.map_err(|error| Box::new(slips::explain(self.text, &error)))?;
            let span = self.clamp(span.byte_range().unwrap_or_default());
            if matches!(event, Event::Comment(..)) {
                self.diagnostics.extend(slips::comment_in_text(self.text, self.last_plain_end, span));
                continue;
            }
            return Ok((event, span));
        }
    }

    /// A range that can always be sliced.
    fn clamp(&self, range: std::ops::Range<usize>) -> Span {
        let floor = |mut i: usize| {
            i = i.min(self.text.len());
            while !self.text.is_char_boundary(i) {
                i -= 1;
            }
            i
        };
        let start = floor(range.start);
        Span::new(start..floor(range.end).max(start))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Fatal> {
        if depth > MAX_DEPTH {
            let message = format!("lists and maps are nested deeper than {MAX_DEPTH}");
            return Err(Box::new(Diagnostic::error("too-deep", span, message)));
        }
        let refused = self.refuse_references(&event, span);
        match event {
            Event::Scalar(..) if refused => {
                // The sign that was reported stands before the value, on the same line.
                Ok(Node::Scalar(Scalar::broken(self.text, span)))
            }
            Event::Scalar(value, style, ..) => {
                if style == ScalarStyle::Plain && span.end > span.start {
                    self.last_plain_end = span.end;
                }
                Ok(Node::Scalar(Scalar::new(self.text, &value, style.into(), span)))
            }
            Event::SequenceStart(..) => self.list(span, depth),
            Event::MappingStart(style, ..) => self.map(span, style == StructureStyle::Flow, depth),
            _ if refused => Ok(Node::Scalar(Scalar::broken(self.text, span))),
            _ => Ok(Node::Scalar(Scalar::null(span))),
        }
    }

    /// Reports tags, anchors and aliases; answers whether there was one.
    fn refuse_references(&mut self, event: &Event<'a>, span: Span) -> bool {
        let before = self.diagnostics.len();
        let reuse = "anchors and aliases are not part of the language: use `fragments:`";
        if let Some(tag) = event.tag() {
            let tag = tag.original();
            let start = self.text[..span.start].rfind(&tag).unwrap_or(span.start);
            let at = self.clamp(start..start + 1);
            self.diagnostics.push(slips::starts_with('!', at, "YAML reads it as a tag"));
        }
        if matches!(event, Event::Alias(_) | Event::UnresolvedAlias(_)) {
            let mistake = slips::starts_with('*', span, "YAML reads it as an alias");
            self.diagnostics.push(mistake.note(reuse));
        }
        if event.anchor_id().is_some_and(|id| id > 0) {
            let start = self.text[..span.start].rfind('&').unwrap_or(span.start);
            let at = self.clamp(start..start + 1);
            let mistake = slips::starts_with('&', at, "YAML reads it as an anchor");
            self.diagnostics.push(mistake.note(reuse));
        }
        self.diagnostics.len() > before
    }

    fn list(&mut self, start: Span, depth: usize) -> Result<Node, Fatal> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::SequenceEnd => {
                    let end = items.last().map_or(span, |n: &Node| later(n.span(), span, self.text));
                    return Ok(Node::List(items, start.to(end)));
                }
                Event::StreamEnd => return Ok(Node::List(items, start)),
                event => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, start: Span, flow: bool, depth: usize) -> Result<Node, Fatal> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut template = false;
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                let end = entries.last().map_or(span, |e| later(e.value.span(), span, self.text));
                let whole = start.to(end);
                if template {
                    return Ok(self.unquoted_template(start.to(span)));
                }
                return Ok(Node::Map(entries, whole));
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            match key {
                Node::Scalar(key) => self.entry(&mut entries, key, value, flow),
                key if flow && self.slice(start.start, 2) == "{{" => {
                    template = key.span().start >= start.start;
                }
                key => self.diagnostics.push(
                    Diagnostic::error("key-not-text", key.span(), "a key must be text")
                        .help("quote the text, or check the brackets"),
                ),
            }
        }
    }

    fn entry(&mut self, entries: &mut Vec<Entry>, key: Scalar, value: Node, flow: bool) {
        if flow && slips::is_cut_by_comma(self.text, &key, &value) && !entries.is_empty() {
            self.diagnostics.push(slips::comma_in_flow(key.span));
            return;
        }
        if let Some(first) = entries.iter().find(|e| e.key.text == key.text) {
            let (line, _) = crate::diagnostic::position(self.text, first.key.span.start);
            self.diagnostics.push(
                Diagnostic::error("duplicate-key", key.span, format!("the key `{}` stands here twice", key.text))
                    .label("the second one")
                    .note(format!("the first one is on line {line}"))
                    .help("remove one, or rename it"),
            );
            return;
        }
        entries.push(Entry { key, value });
    }

    /// `{{ x }}` without quotes, which YAML reads as a map in a map: said, then passed over.
    fn unquoted_template(&mut self, span: Span) -> Node {
        self.diagnostics.push(slips::unquoted_template(span));
        Node::Scalar(Scalar::broken(self.text, span))
    }

    fn slice(&self, start: usize, length: usize) -> &'a str {
        self.text.get(start..start + length).unwrap_or("")
    }
}

/// The end of a collection: its closing bracket, or its last child (a block's end lies lines further down).
fn later(child: Span, end: Span, text: &str) -> Span {
    let bracket = end.end > end.start && text.get(end.start..end.end).is_some_and(|s| s.starts_with(['}', ']']));
    if bracket { end } else { child }
}
