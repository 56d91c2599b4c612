//! Server-sent events: a push parser after the WHATWG's HTML standard (§9.2.6), and the listener that reads a stream
//! while it arrives.
//! In: bytes, cut anywhere. Out: events with their times, the pieces of their text joined, and whether the last one came.

use super::decode::Coding;
use super::unfold::Unfold;
use crate::clock::Nanos;
use crate::failure::Transport;
use memchr::memchr2;
use scenarios::streams::{Events, Until};
use scenarios::value::Value;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of one event at most.
pub const LARGEST_EVENT: usize = 1 << 20;

/// One event, lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// `event:`; empty for the usual kind, `message`.
    pub kind: &'a [u8],
    /// The `data:` lines, joined by line feeds.
    pub data: &'a [u8],
    /// The latest `id:` of the stream.
    pub id: &'a [u8],
    /// The latest `retry:` of the stream, in ms.
    pub retry_ms: Option<u64>,
}

/// An event is larger than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// A parser that is given bytes as they come. It holds one event at most, no more than its limit.
#[derive(Debug)]
pub struct Parser {
    /// A line whose end has not come yet.
    line: Vec<u8>,
    data: Vec<u8>,
    kind: Vec<u8>,
    id: Vec<u8>,
    retry_ms: Option<u64>,
    /// The last line ended with CR: a LF right after it ends no line of its own.
    after_cr: bool,
    /// The byte order mark, as far as it may still come.
    is_at_start: bool,
    most: usize,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

impl Parser {
    /// A parser for events of at most so many bytes.
    pub fn new(most: usize) -> Self {
        Self {
            line: Vec::new(),
            data: Vec::new(),
            kind: Vec::new(),
            id: Vec::new(),
            retry_ms: None,
            after_cr: false,
            is_at_start: true,
            most,
        }
    }

    /// Takes `bytes` and calls `on` for each event that they complete; stops reading where it answers false.
    /// Answers whether all was read.
    ///
    /// # Errors
    /// An event is larger than the limit; the parser must not be used any more.
    pub fn push(&mut self, bytes: &[u8], on: &mut dyn FnMut(Event<'_>) -> bool) -> Result<bool, TooLarge> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = memchr2(b'\r', b'\n', rest) else {
                self.keep(rest)?;
                return Ok(true);
            };
            let (line, ending) = (&rest[..end], rest[end]);
            rest = &rest[end + 1..];
            self.after_cr = ending == b'\r';
            let goes_on = if self.line.is_empty() {
                self.check(line.len())?;
                self.take(line, on)
            } else {
                self.keep(line)?;
                let line = std::mem::take(&mut self.line);
                let goes_on = self.take(&line, on);
                self.line = line;
                self.line.clear();
                goes_on
            };
            if !goes_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn check(&self, more: usize) -> Result<(), TooLarge> {
        if self.line.len() + self.data.len() + more > self.most { Err(TooLarge) } else { Ok(()) }
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), TooLarge> {
        self.check(part.len())?;
        self.line.extend_from_slice(part);
        Ok(())
    }

    /// A whole line, without its end.
    fn take(&mut self, line: &[u8], on: &mut dyn FnMut(Event<'_>) -> bool) -> bool {
        let is_first = std::mem::take(&mut self.is_at_start);
        let line = if is_first { line.strip_prefix(BOM).unwrap_or(line) } else { line };
        if line.is_empty() {
            return self.dispatch(on);
        }
        let (field, value) = match memchr::memchr(b':', line) {
            // A comment.
            Some(0) => return true,
            Some(at) => (&line[..at], line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..])),
            None => (line, &b""[..]),
        };
        match field {
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => value.clone_into(&mut self.kind),
            b"id" if !value.contains(&0) => value.clone_into(&mut self.id),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.retry_ms = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
            }
            _ => {}
        }
        true
    }

    fn dispatch(&mut self, on: &mut dyn FnMut(Event<'_>) -> bool) -> bool {
        let goes_on = match self.data.split_last() {
            None => true,
            Some((_, data)) => on(Event { kind: &self.kind, data, id: &self.id, retry_ms: self.retry_ms }),
        };
        self.data.clear();
        self.kind.clear();
        goes_on
    }
}

/// What was heard of a stream.
#[derive(Debug, Default)]
pub struct Heard {
    /// When each event came.
    pub times: Vec<Nanos>,
    /// The data of all events, each followed by an empty line: their logical text.
    pub data: Vec<u8>,
    /// The pieces of text that the events carried, joined: what a person reads.
    pub text: Vec<u8>,
    /// Whether pieces were asked for, so that `text` is what was said.
    pub has_text: bool,
    /// Whether the event came that ends the stream, or none was asked for.
    pub is_over: bool,
    /// Where in `data` the last event stands that may be JSON.
    document: Range<usize>,
}

impl Heard {
    /// The last event that may be JSON.
    pub fn document(&self) -> &[u8] {
        &self.data[self.document.clone()]
    }

    /// What was said: the joined pieces where they were asked for, else the events' data.
    pub fn said(&self) -> &[u8] {
        if self.has_text { &self.text } else { &self.data }
    }

    /// Times between events, in order.
    pub fn gaps(&self) -> impl Iterator<Item = Nanos> {
        self.times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]))
    }
}

/// Reads one stream while it arrives.
#[derive(Debug)]
pub struct Listener {
    plan: Arc<Events>,
    parser: Parser,
    /// Content codings, the outermost first.
    unfold: Unfold,
    /// What has been heard.
    pub heard: Heard,
}

impl Listener {
    /// A listener for a stream after `plan`, with `codings` round it; `most` bytes an event, `body` bytes decoded.
    ///
    /// # Errors
    /// A decoder cannot be made.
    pub fn new(plan: Arc<Events>, codings: &[Coding], most: usize, body: usize) -> Result<Self, Transport> {
        let heard =
            Heard { has_text: plan.text.is_some(), is_over: matches!(plan.until, Until::End), ..Heard::default() };
        Ok(Self { plan, parser: Parser::new(most), unfold: Unfold::new(codings, body)?, heard })
    }

    /// Takes a piece of the body that came at `now`; answers whether more is wanted.
    ///
    /// # Errors
    /// A broken coding, or too large an event or body.
    pub fn push(&mut self, bytes: &[u8], now: Nanos) -> Result<bool, Transport> {
        let (plan, heard) = (&self.plan, &mut self.heard);
        let mut hear = |event: Event<'_>| hear(plan, heard, event, now);
        let parser = &mut self.parser;
        self.unfold.push(bytes, &mut |plain| parser.push(plain, &mut hear).map_err(|_| Transport::EventTooLarge))
    }
}

/// Notes an event; answers whether the stream goes on.
fn hear(plan: &Events, heard: &mut Heard, event: Event<'_>, now: Nanos) -> bool {
    heard.times.push(now);
    let start = heard.data.len();
    heard.data.extend_from_slice(event.data);
    if may_be_json(event.data) {
        heard.document = start..heard.data.len();
    }
    heard.data.extend_from_slice(b"\n\n");
    if plan.until.is_met(event.data) {
        heard.is_over = true;
        return false;
    }
    if let Some(path) = &plan.text
        && let Ok(json) = serde_json::from_slice(event.data)
        && let Some(piece) = path.find(&json)
    {
        join(&mut heard.text, &piece);
    }
    true
}

/// An object by its look; a list has to be one, since `[DONE]` looks like a list.
fn may_be_json(data: &[u8]) -> bool {
    match data.trim_ascii_start().first() {
        Some(b'{') => true,
        Some(b'[') => serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok(),
        _ => false,
    }
}

fn join(text: &mut Vec<u8>, piece: &Value) {
    match piece {
        Value::Null => {}
        Value::Text(piece) => text.extend_from_slice(piece.as_bytes()),
        Value::List(pieces) => pieces.iter().for_each(|piece| join(text, piece)),
        other => text.extend_from_slice(other.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Kind, data, id and retry of each event of a stream that is pushed in pieces of `size`.
    type Owned = (String, String, String, Option<u64>);

    fn events(stream: &[u8], size: usize) -> Vec<Owned> {
        let mut parser = Parser::new(1 << 20);
        let mut events = Vec::new();
        for piece in stream.chunks(size.max(1)) {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let all = parser.push(piece, &mut |e| {
                events.push((text(e.kind), text(e.data), text(e.id), e.retry_ms));
                true
            });
            assert_eq!(all, Ok(true));
        }
        events
    }

    fn data(stream: &[u8]) -> Vec<String> {
        events(stream, 1 << 20).into_iter().map(|e| e.1).collect()
    }

    #[test]
    fn the_examples_of_the_standard() {
        assert_eq!(data(b"data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
        let second = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        let expected = [("first event", "1"), ("second event", ""), (" third event", "")];
        let came: Vec<_> = events(second, 9999).into_iter().map(|e| (e.1, e.2)).collect();
        assert_eq!(came, expected.map(|(d, i)| (d.to_owned(), i.to_owned())));
        assert_eq!(data(b"data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
        assert_eq!(data(b"data:test\n\ndata: test\n\n"), ["test", "test"]);
    }

    #[test]
    fn fields_lines_and_marks() {
        let check = |stream: &[u8], expected: &[&str]| assert_eq!(data(stream), expected, "{stream:?}");
        check(b"\xef\xbb\xbfdata: a\n\n", &["a"]);
        check(b"data: a\n\n\xef\xbb\xbfdata: b\n\n", &["a"]);
        check(b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", &["a", "b", "c"]);
        check(b"event: x\n\ndata: a\n\n", &["a"]);
        check(b"Data: a\nfoo: b\n:data: c\n\n", &[]);
        check(b"", &[]);
        assert_eq!(
            events(b"event: done\nid: 7\nretry: 250\ndata: x\n\n", 4)[0],
            ("done".into(), "x".into(), "7".into(), Some(250))
        );
        assert_eq!(
            events(b"retry: 2x\nid: a\0b\ndata: x\n\n", 99)[0],
            (String::new(), "x".into(), String::new(), None)
        );
        assert_eq!(events(b"event: x\n\ndata: y\n\n", 99)[0].0, "", "a kind without data is forgotten");
    }

    #[test]
    fn one_event_has_a_limit_and_many_have_none() {
        let mut parser = Parser::new(10);
        let ten = b"data: 1234\n\n".repeat(50);
        assert_eq!(parser.push(&ten, &mut |_| true), Ok(true));
        assert_eq!(parser.push(b"data: 12345", &mut |_| true), Err(TooLarge));
        let mut parser = Parser::new(10);
        let endless = b"data: 1\n".repeat(50);
        assert_eq!(parser.push(&endless, &mut |_| true), Err(TooLarge));
        let mut parser = Parser::new(100);
        let endless = [b'x'; 64];
        assert_eq!(parser.push(&endless, &mut |_| true), Ok(true));
        assert_eq!(parser.push(&endless, &mut |_| true), Err(TooLarge));
    }

    fn listener(text: &str, until: Until) -> Listener {
        let text = (!text.is_empty()).then(|| scenarios::jsonpath::JsonPath::compile(text).unwrap());
        Listener::new(Arc::new(Events { text, until }), &[], 1000, 1000).unwrap()
    }

    #[test]
    fn pieces_are_joined_and_the_last_event_ends_it() {
        let mut listener = listener("$.d.c", Until::Text("[DONE]".into()));
        assert_eq!(listener.push(b"data: {\"d\":{\"c\":\"ab\"}}\n\ndata: {\"d\":{}}\n\n", 5), Ok(true));
        assert_eq!(
            listener.push(b"data: {\"d\":{\"c\":7}}\n\ndata: [DONE]\n\ndata: {\"d\":{\"c\":\"no\"}}\n\n", 9),
            Ok(false)
        );
        let heard = &listener.heard;
        assert_eq!((heard.said(), heard.is_over), (&b"ab7"[..], true));
        assert_eq!(heard.document(), b"{\"d\":{\"c\":7}}");
        assert_eq!(heard.times, [5, 5, 9, 9]);
        assert_eq!(heard.gaps().collect::<Vec<_>>(), [0, 4, 0]);
    }

    #[test]
    fn a_stream_may_end_by_what_its_json_says() {
        let path = scenarios::jsonpath::JsonPath::compile("$.type").unwrap();
        let done = scenarios::program::Condition::Equals(scenarios::expr::Template::constant(Value::text("done")));
        let mut listener = listener("", Until::Json(vec![(path, done)]));
        assert_eq!(listener.push(b"data: x\n\ndata: {\"type\":\"more\"}\n\n", 1), Ok(true));
        assert!(!listener.heard.is_over);
        assert_eq!(listener.push(b"data: {\"type\":\"done\"}\n\n", 2), Ok(false));
        assert!(listener.heard.is_over);
        assert_eq!(listener.heard.said(), b"x\n\n{\"type\":\"more\"}\n\n{\"type\":\"done\"}\n\n");
    }

    #[test]
    fn the_body_has_a_limit_too() {
        let mut listener = listener("", Until::End);
        let many = b"data: 0123456789\n\n".repeat(100);
        assert_eq!(listener.push(&many, 1), Err(Transport::BodyTooLarge));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_events(stream in "(\u{feff})?((data|event|id|retry|x|)(:? ?)[a-z0-9:é]{0,4}(\r\n|\n|\r|\n\n)){0,12}", size in 1usize..9) {
            let bytes = stream.as_bytes();
            prop_assert_eq!(events(bytes, size), events(bytes, bytes.len().max(1)));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), any::<u8>()], 0..200), size in 1usize..30) {
            let whole = events(&bytes, 1 << 20);
            prop_assert_eq!(events(&bytes, size), whole);
        }
    }
}
