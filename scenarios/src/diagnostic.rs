//! Mistakes in a scenario file: what is wrong, where, and how to mend it, shown the way rustc shows its own.
//! In: byte spans and sentences from every stage. Out: [`Diagnostic`]s in file order, and their text by [`render`].

use crate::imports::Files;
use crate::source::Source;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::ops::Range;
use std::sync::Arc;

/// Bytes `start..end` of the scenario file's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The span of `range`.
    pub fn new(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }

    /// The same bytes of a text that stands `by` further on.
    pub fn shifted(self, by: usize) -> Self {
        Self { start: self.start + by, end: self.end + by }
    }

    /// From the start of `self` to the end of `other`.
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end.max(self.start) }
    }
}

/// Whether a diagnostic stops the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is sent before this is mended.
    Error,
    /// Worth a look; the file plays.
    Warning,
}

/// One mistake, or one warning, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable short name, such as `unknown-key` or `not-yet`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, one sentence, lower case, no full stop.
    pub message: String,
    /// Name of the file, as in [`Source::name`].
    pub file: String,
    /// Where in the file's text.
    pub span: Span,
    /// Line of the span's start, from 1.
    pub line: u32,
    /// Column of the span's start in characters, from 1.
    pub column: u32,
    /// A few words right at the caret.
    pub label: Option<String>,
    /// How to mend it.
    pub help: Option<String>,
    /// Further facts, one sentence each.
    pub notes: Vec<String>,
    /// The imported file that it stands in; `None` for the scenario file itself.
    pub origin: Option<Arc<Source>>,
}

impl Diagnostic {
    /// An error at `span`. File, line and column are filled in when all mistakes of the file are known.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            file: String::new(),
            span,
            line: 0,
            column: 0,
            label: None,
            help: None,
            notes: Vec::new(),
            origin: None,
        }
    }

    /// A warning at `span`.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// Adds words at the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds how to mend it, if that is known.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Whether it stops the run.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Line and column, both from 1, of a byte offset; the column counts characters.
pub fn position(text: &str, offset: usize) -> (u32, u32) {
    let offset = floor_boundary(text, offset);
    let before = &text[..offset];
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    let column = text[start..offset].trim_start_matches('\u{feff}').chars().count() + 1;
    (as_u32(line), as_u32(column))
}

fn as_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Fills in file, line and column, drops what was said twice, and sorts into file order.
pub(crate) fn finish(mut diagnostics: Vec<Diagnostic>, files: &Files) -> Vec<Diagnostic> {
    diagnostics.sort_by_key(|a| (a.span, a.severity));
    let mut seen = std::collections::HashSet::new();
    diagnostics.retain(|d| seen.insert((d.span, d.code, d.message.clone())));
    for diagnostic in &mut diagnostics {
        let (file, line, column) = files.place(diagnostic.span.start);
        (diagnostic.file, diagnostic.line, diagnostic.column) = (file.to_owned(), line, column);
        if let Some((start, source)) = files.part(diagnostic.span.start) {
            let span = diagnostic.span;
            diagnostic.span = Span::new(span.start - start..span.end.saturating_sub(*start));
            diagnostic.origin = Some(Arc::clone(source));
        }
    }
    diagnostics
}

/// All diagnostics as rustc would print them, one after the other, in the order given.
pub fn render(diagnostics: &[Diagnostic], source: &Source, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&render_one(diagnostic, source, &renderer));
        out.push_str("\n\n");
    }
    out
}

fn render_one(diagnostic: &Diagnostic, source: &Source, renderer: &Renderer) -> String {
    let source = diagnostic.origin.as_deref().unwrap_or(source);
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let range = visible_range(&source.text, diagnostic.span);
    let annotation = AnnotationKind::Primary.span(range).label(diagnostic.label.as_deref());
    let snippet = Snippet::source(source.text.as_str()).path(source.name.as_str()).annotation(annotation);
    let mut group = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code).element(snippet);
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// The part of a span that is worth underlining: its first line, never empty where there is text.
fn visible_range(text: &str, span: Span) -> Range<usize> {
    let start = floor_boundary(text, span.start);
    let end = floor_boundary(text, span.end).max(start);
    let slice = &text[start..end];
    let first_line = slice.find(['\n', '\r']).map_or(slice, |i| &slice[..i]);
    start..start + first_line.trim_end().len()
}

/// The candidate that `word` was most likely meant to be.
pub fn did_you_mean<'a, I>(word: &str, candidates: I) -> Option<&'a str>
where
    I: IntoIterator<Item = &'a str>,
{
    let lower = word.to_lowercase();
    let length = word.chars().count();
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&lower, &c.to_lowercase()), c))
        .filter(|(distance, c)| *distance <= (length.max(c.chars().count()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// "did you mean `x`?", or the whole list when nothing is near and the list is short.
pub(crate) fn suggestion<'a, I>(word: &str, candidates: I) -> Option<String>
where
    I: IntoIterator<Item = &'a str>,
{
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(near) = did_you_mean(word, candidates.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    match candidates.as_slice() {
        [] => None,
        [only] => Some(format!("there is only `{only}`")),
        many => {
            let shown: Vec<String> = many.iter().take(24).map(|c| format!("`{c}`")).collect();
            let more = if many.len() > 24 { " …" } else { "" };
            Some(format!("there are {}{more}", shown.join(", ")))
        }
    }
}
