//! The slips that YAML makes easy, each with a diagnostic of its own: missing quotes, tabs, commas in `{ }`.
//! In: the parser's error and the line where it happened. Out: a [`Diagnostic`] that names the slip, not the grammar.

use super::{Node, Scalar, Style};
use crate::diagnostic::{Diagnostic, Span};
use granit_parser::{ErrorKind, ScanError};

/// `{{ x }}` where YAML needs quotes.
pub(super) fn unquoted_template(span: Span) -> Diagnostic {
    Diagnostic::error("template-quotes", span, "text with `{{ }}` needs quotes here")
        .label("YAML reads this as a map")
        .help("put the whole text in quotes: \"{{ … }}\"")
}

/// Text that starts with a sign which means something else to YAML.
pub(super) fn starts_with(sign: char, span: Span, why: &str) -> Diagnostic {
    Diagnostic::error(
        "quotes",
        span,
        match sign {
            '`' => "text that starts with a backtick needs quotes".to_owned(),
            sign => format!("text that starts with `{sign}` needs quotes"),
        },
    )
    .label(why)
    .help("put the whole text in quotes")
}

/// Whether a key of a `{ }` map is the rest of a text that a comma cut in two.
pub(super) fn is_cut_by_comma(text: &str, key: &Scalar, value: &Node) -> bool {
    let empty = matches!(value, Node::Scalar(s) if s.text.is_empty() && s.style == Style::Plain);
    let after = text.get(key.span.end..).unwrap_or("").trim_start();
    empty && key.style == Style::Plain && after.starts_with([',', '}'])
}

/// A text with a comma inside `{ }`.
pub(super) fn comma_in_flow(span: Span) -> Diagnostic {
    Diagnostic::error(
        "comma",
        span,
        "inside `{ }` a comma ends the text before it, so this is read as a key of its own",
    )
    .label("a key without a value")
    .help("put the whole text with its comma in quotes, or give the key a value")
}

/// A `#word` right after a plain text was probably meant as part of it.
pub(super) fn comment_in_text(text: &str, plain_end: usize, comment: Span) -> Option<Diagnostic> {
    let between = text.get(plain_end..comment.start)?;
    let body = text.get(comment.start..comment.end)?;
    let glued = body.strip_prefix('#')?.starts_with(|c: char| c.is_alphanumeric());
    (glued && !between.is_empty() && between.bytes().all(|b| b == b' ')).then(|| {
        Diagnostic::warning("comment-in-text", comment, "everything from ` #` on is a comment, not part of the text")
            .help("quote the text if the `#` belongs to it; else write `# ` with a space")
    })
}

/// The diagnostic of text that is not YAML.
pub(super) fn explain(text: &str, error: &ScanError) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or(text.len());
    let lines = Lines::around(text, at);
    tab(error, &lines)
        .or_else(|| open_quote(error, &lines))
        .or_else(|| missing_quotes(error, &lines))
        .or_else(|| inside_brackets(error, &lines))
        .or_else(|| colon(error, &lines))
        .or_else(|| open_bracket(error, &lines))
        .unwrap_or_else(|| plain(error, &lines))
}

/// The line of an error.
struct Lines<'a> {
    text: &'a str,
    line: &'a str,
    start: usize,
    at: usize,
}

impl<'a> Lines<'a> {
    /// The line at `at`, or the last one before it that is not empty.
    fn around(text: &'a str, at: usize) -> Self {
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let bounds = |at: usize| {
            let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
            let end = text[at..].find('\n').map_or(text.len(), |i| at + i);
            (start, end.max(start))
        };
        let (mut start, mut end) = bounds(at);
        while start > 0 && text[start..end].trim().is_empty() {
            at = start - 1;
            (start, end) = bounds(at);
        }
        Self { text, line: text[start..end].trim_end_matches('\r'), start, at }
    }

    fn span(&self, from: usize, to: usize) -> Span {
        Span::new(self.start + from..self.start + to)
    }

    /// Byte in the line where the value after `key: ` or `- ` begins.
    fn value_start(&self) -> usize {
        let mut at = self.line.len() - self.line.trim_start().len();
        while let Some(rest) = self.line[at..].strip_prefix("- ") {
            at += 2 + rest.len() - rest.trim_start().len();
        }
        let quoted = self.line[at..].starts_with(['"', '\'']);
        match self.line[at..].find(": ") {
            Some(colon) if !quoted => {
                let rest = &self.line[at + colon + 2..];
                at + colon + 2 + rest.len() - rest.trim_start().len()
            }
            _ => at,
        }
    }
}

fn tab(error: &ScanError, lines: &Lines<'_>) -> Option<Diagnostic> {
    let indent = lines.line.len() - lines.line.trim_start_matches([' ', '\t']).len();
    let told = matches!(
        error.kind(),
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInPlainScalar
    );
    let at = match lines.line[..indent].find('\t') {
        Some(at) => at,
        None if told => lines.line.find('\t')?,
        None => return None,
    };
    Some(
        Diagnostic::error("tab", lines.span(at, at + 1), "a tab stands here; YAML indents with spaces only")
            .help("replace the tab by spaces"),
    )
}

/// Values that start with a sign of YAML's own.
fn missing_quotes(error: &ScanError, lines: &Lines<'_>) -> Option<Diagnostic> {
    let from = lines.value_start();
    let value = &lines.line[from..];
    let first = value.chars().next()?;
    let span = lines.span(from, lines.line.trim_end().len());
    let why = match first {
        '{' if value.starts_with("{{") => return Some(unquoted_template(span)),
        '@' | '`' => "YAML keeps this sign for itself",
        '%' => "YAML reads it as a directive",
        '>' | '|' => "YAML reads it as the head of a block of text",
        '&' => "YAML reads it as an anchor",
        '*' => "YAML reads it as an alias",
        '!' => "YAML reads it as a tag",
        '"' | '\'' => {
            let unclosed = matches!(
                error.kind(),
                ErrorKind::UnclosedQuotedScalar
                    | ErrorKind::InvalidTrailingSingleQuotedScalar
                    | ErrorKind::InvalidTrailingDoubleQuotedScalar
            );
            return unclosed.then(|| {
                Diagnostic::error("quotes", span, "the quotes do not enclose the whole text").help(format!(
                    "put the whole text in the other kind of quotes, or write `\\{first}` inside double quotes"
                ))
            });
        }
        _ => return None,
    };
    Some(starts_with(first, span, why))
}

/// Text inside `[ ]` or `{ }` that holds brackets or templates.
fn inside_brackets(error: &ScanError, lines: &Lines<'_>) -> Option<Diagnostic> {
    let flow = matches!(
        error.kind(),
        ErrorKind::ExpectedFlowMappingSeparator
            | ErrorKind::ExpectedFlowSequenceSeparator
            | ErrorKind::MismatchedFlowCollectionEnd { .. }
            | ErrorKind::MisplacedFlowCollectionEnd
            | ErrorKind::UnclosedFlowCollection { .. }
            | ErrorKind::UnexpectedEofFlowMapping
            | ErrorKind::UnexpectedEofFlowSequence
            | ErrorKind::ExpectedBlockMappingKey
            | ErrorKind::ExpectedNodeContent
            | ErrorKind::FlowMappingValueAdjacentCollection
            | ErrorKind::SimpleKeyExpected
    );
    if !flow {
        return None;
    }
    if let Some(at) = unquoted(lines.line, "{{") {
        let to = lines.line[at..].find("}}").map_or(at + 2, |i| at + i + 2);
        return Some(unquoted_template(lines.span(at, to)));
    }
    let bracket = lines
        .line
        .char_indices()
        .zip(lines.line.chars().skip(1))
        .find(|((_, before), c)| matches!(c, '[' | ']') && (before.is_alphanumeric() || matches!(before, '.' | '(')))
        .map(|((at, before), _)| at + before.len_utf8());
    let at = bracket.filter(|at| unquoted_at(lines.line, *at))?;
    Some(
        Diagnostic::error(
            "quotes",
            lines.span(at, at + 1),
            "inside `[ ]` or `{ }`, text that holds brackets needs quotes",
        )
        .label("YAML reads a list here")
        .help("put the whole text in quotes, such as \"$.items[*].id\""),
    )
}

fn colon(error: &ScanError, lines: &Lines<'_>) -> Option<Diagnostic> {
    if !matches!(
        error.kind(),
        ErrorKind::MappingValueNotAllowed
            | ErrorKind::MappingKeyNotAllowed
            | ErrorKind::InvalidColonPlacement
            | ErrorKind::InvalidSimpleKey
            | ErrorKind::SimpleKeyExpected
    ) {
        return None;
    }
    if let Some(above) = missing_colon(lines) {
        return Some(above);
    }
    let from = lines.value_start();
    let at = from + lines.line[from..].find(": ")?;
    Some(
        Diagnostic::error("quotes", lines.span(at, at + 1), "text that holds `: ` needs quotes")
            .label("YAML reads a key before this")
            .help("put the whole text in quotes"),
    )
}

/// A bracket of an earlier line that was never closed, which the parser notices only much later.
fn open_bracket(error: &ScanError, lines: &Lines<'_>) -> Option<Diagnostic> {
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return None;
    }
    let mut open = Vec::new();
    let mut quote = None;
    let mut previous = ' ';
    let mut comment = false;
    for (at, c) in lines.text[..lines.start].char_indices() {
        match c {
            '\n' => comment = false,
            _ if comment => {}
            _ if quote == Some(c) => quote = None,
            _ if quote.is_some() => {}
            '"' | '\'' if " [{,:\n".contains(previous) => quote = Some(c),
            '#' if previous.is_whitespace() => comment = true,
            '[' | '{' if !open.is_empty() || previous.is_whitespace() => open.push((at, c)),
            ']' | '}' => {
                open.pop();
            }
            _ => {}
        }
        previous = c;
    }
    let (at, bracket) = open.pop()?;
    Some(
        Diagnostic::error("yaml", Span::new(at..at + 1), format!("the bracket `{bracket}` is never closed"))
            .help("close it, or put the text in quotes"),
    )
}

/// A key further in than a line above that ends without `:`, so that YAML reads both as one text.
fn missing_colon(lines: &Lines<'_>) -> Option<Diagnostic> {
    let above = lines.text[..lines.start].trim_end();
    let start = above.rfind('\n').map_or(0, |i| i + 1);
    let line = &above[start..];
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    let opens = line.ends_with([':', '|', '>', ',', '[', '{', '"', '\'']) || line.contains(" #");
    if opens || line.trim().is_empty() || indent(lines.line) <= indent(line) {
        return None;
    }
    let end = Span::new(above.len() - above.chars().next_back().map_or(0, char::len_utf8)..above.len());
    Some(
        Diagnostic::error("yaml", end, "the next line holds a key that stands under this one")
            .label("a `:` is missing here")
            .help("end this line with a `:`, or indent the next line less"),
    )
}

/// Quotes of an earlier line that were never closed.
fn open_quote(error: &ScanError, lines: &Lines<'_>) -> Option<Diagnostic> {
    let quoted = matches!(
        error.kind(),
        ErrorKind::UnclosedQuotedScalar
            | ErrorKind::InvalidQuotedScalarIndent
            | ErrorKind::DocumentIndicatorInQuotedScalar
    );
    if !quoted {
        return None;
    }
    let mut end = lines.at;
    for line in lines.text[..lines.at].split_inclusive('\n').rev() {
        end -= line.len();
        if !unquoted_at(line, line.len()) {
            let at = end + line.rfind(['"', '\''])?;
            return Some(
                Diagnostic::error("yaml", Span::new(at..at + 1), "these quotes are never closed")
                    .help("close them on this line"),
            );
        }
    }
    None
}

fn plain(error: &ScanError, lines: &Lines<'_>) -> Diagnostic {
    let width = lines.text[lines.at..].chars().next().map_or(0, |c| match c {
        '\n' | '\r' => 0,
        c => c.len_utf8(),
    });
    let span = Span::new(lines.at..lines.at + width);
    let message = match error.kind() {
        ErrorKind::RecursionLimitExceeded => {
            let message = format!("lists and maps are nested deeper than {}", super::MAX_DEPTH);
            return Diagnostic::error("too-deep", span, message);
        }
        ErrorKind::UnclosedFlowCollection { open } => {
            format!("the bracket `{open}` is never closed")
        }
        ErrorKind::UnclosedQuotedScalar => "these quotes are never closed".into(),
        ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockMappingKey => {
            "the indentation of this line fits no key above it".into()
        }
        kind => format!("this is not YAML: {kind}"),
    };
    Diagnostic::error("yaml", span, message).help("check indentation, brackets and quotes around this place")
}

/// First place of `needle` in `line` that is not inside quotes.
fn unquoted(line: &str, needle: &str) -> Option<usize> {
    line.match_indices(needle).map(|(at, _)| at).find(|at| unquoted_at(line, *at))
}

fn unquoted_at(line: &str, at: usize) -> bool {
    let mut open = None;
    for c in line[..at].chars() {
        match open {
            None if matches!(c, '"' | '\'') => open = Some(c),
            Some(quote) if c == quote => open = None,
            _ => {}
        }
    }
    open.is_none()
}
