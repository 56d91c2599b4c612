//! The scanner: finds markers in the logical text of an answer, in one pass.
//! In: bytes of a status line, header, decoded body or message. Out: [`Hit`]s in order of their offset.
//!
//! A marker is made of letters and digits only, so JSON, HTML, XML, CSV, SQL, URL and header escaping leave it as it
//! is. Searched are: the prefix in lower case, upper case and capitalised; its three alignments in base64 (those of
//! base64url are the same, as no letter or digit gives a `+` or `/`), also broken into lines; hexadecimal digits; and
//! encoders that escape everything, `%77` and `\u0077`. The MAC is only worked out for candidates.

use super::marker::{Decoded, Kind, LENGTH, Marker, Mint, PREFIX, UNNUMBERED};
use super::words;
use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// One marker found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Byte offset of its first character (of the encoded form, if it was encoded).
    pub offset: usize,
    /// What it says.
    pub decoded: Decoded,
    /// The form in which it stood there.
    pub form: Form,
}

/// The form in which a marker stood in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it was planted.
    Plain,
    /// In other than lower-case letters.
    Folded,
    /// Inside base64.
    Base64,
    /// Two hexadecimal digits for each character.
    Hex,
    /// `%77` for each character.
    Percent,
    /// `\u0077` for each character.
    Unicode,
    /// Said in words, for language models; searched only once one has been planted.
    Words,
}

impl Form {
    /// Every form but the words, which are searched apart.
    pub const ALL: [Form; 6] = [Self::Plain, Self::Folded, Self::Base64, Self::Hex, Self::Percent, Self::Unicode];

    /// The decoder's name in evidence; none for the plain form.
    pub fn decoder(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Folded => Some("case"),
            Self::Base64 => Some("base64"),
            Self::Hex => Some("hex"),
            Self::Percent => Some("percent"),
            Self::Unicode => Some("unicode escapes"),
            Self::Words => Some("words"),
        }
    }

    /// What the prefix looks like in this form; for base64 by its alignment.
    fn patterns(self) -> Vec<Vec<u8>> {
        let spelled = |unit: fn(u8, bool) -> String| {
            [false, true].map(|upper| PREFIX.iter().map(|c| unit(*c, upper)).collect::<String>().into_bytes()).to_vec()
        };
        match self {
            Self::Plain => vec![PREFIX.to_vec()],
            Self::Folded => {
                // In capitals, and as the first word of a sentence.
                let mut capitalised = PREFIX.to_vec();
                capitalised[0].make_ascii_uppercase();
                vec![PREFIX.to_ascii_uppercase(), capitalised]
            }
            Self::Base64 => (0..3).map(base64_pattern).collect(),
            Self::Hex => spelled(|c, upper| if upper { format!("{c:02X}") } else { format!("{c:02x}") }),
            Self::Percent => spelled(|c, upper| if upper { format!("%{c:02X}") } else { format!("%{c:02x}") }),
            Self::Words => {
                let mut capitalised = words::STEM.to_vec();
                capitalised[0].make_ascii_uppercase();
                vec![words::STEM.to_vec(), words::STEM.to_ascii_uppercase(), capitalised]
            }
            Self::Unicode => spelled(|c, upper| if upper { format!("\\u{c:04X}") } else { format!("\\u{c:04x}") }),
        }
    }
}

/// A form or a layer that a scanner does not see; only tests of the calibration and benchmarks make such scanners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blind {
    /// Not in this form.
    Form(Form),
    /// Not in this kind of place, such as `header`.
    Layer(&'static str),
    /// Nowhere.
    Everything,
}

/// The prebuilt search. One per run, shared.
#[derive(Debug)]
pub struct Scanner {
    search: AhoCorasick,
    /// By pattern: its form, and its number among those of the form.
    forms: Vec<(Form, usize)>,
    mint: Mint,
    blind: Option<Blind>,
    /// Searches the second form, and whether there can be any.
    words: AhoCorasick,
    has_words: AtomicBool,
}

/// Characters of base64 that hold a whole marker, whatever its alignment: ⌈(2 + 38) · 4 / 3⌉, rounded up to a group.
const BASE64_WINDOW: usize = 56;

impl Scanner {
    /// A scanner for the markers of `mint`.
    pub fn new(mint: Mint) -> Self {
        Self::build(mint, None)
    }

    /// A scanner with a blind spot, by which tests show that calibration notices it, and benchmarks what seeing costs.
    #[doc(hidden)]
    pub fn blinded(mint: Mint, blind: Blind) -> Self {
        Self::build(mint, Some(blind))
    }

    fn build(mint: Mint, blind: Option<Blind>) -> Self {
        let sees = |form: &Form| blind != Some(Blind::Form(*form)) && blind != Some(Blind::Everything);
        let (mut patterns, mut forms) = (Vec::new(), Vec::new());
        for form in Form::ALL.into_iter().filter(sees) {
            for (i, pattern) in form.patterns().into_iter().enumerate() {
                patterns.push(pattern);
                forms.push((form, i));
            }
        }
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(&patterns)
            .expect("a dozen short patterns always build");
        let words = AhoCorasick::builder().build(Form::Words.patterns()).expect("three short patterns always build");
        Self { search, forms, mint, blind, words, has_words: AtomicBool::new(false) }
    }

    /// From now on markers said in words are looked for too: one is about to be planted.
    pub fn expect_words(&self) {
        self.has_words.store(true, Relaxed);
    }

    /// Whether markers said in words are looked for.
    pub fn expects_words(&self) -> bool {
        self.has_words.load(Relaxed)
    }

    fn scan_words(&self, text: &[u8], mut found: impl FnMut(Hit)) {
        for candidate in self.words.find_iter(text) {
            let offset = candidate.start();
            let Some(spoken) = words::decode(&self.mint, &text[offset..]) else { continue };
            let (kind, owner) = (Kind::Account, spoken.owner);
            let decoded = if spoken.is_exact {
                Decoded::Authentic(Marker { kind, owner, step: UNNUMBERED, count: UNNUMBERED })
            } else {
                Decoded::Fragment { kind, owner }
            };
            found(Hit { offset, decoded, form: Form::Words });
        }
    }

    /// Whether places of this kind are looked at.
    pub fn reads(&self, layer: &'static str) -> bool {
        self.blind.is_none_or(|blind| blind != Blind::Layer(layer) && blind != Blind::Everything)
    }

    /// Calls `found` for each marker in `text`.
    pub fn scan(&self, text: &[u8], mut found: impl FnMut(Hit)) {
        for candidate in self.search.find_iter(text) {
            let offset = candidate.start();
            let (form, number) = self.forms[candidate.pattern().as_usize()];
            let decoded = match form {
                Form::Plain | Form::Folded => self.mint.decode(&text[offset..]),
                Form::Base64 => self.decode_base64(text, offset, number),
                Form::Hex | Form::Percent | Form::Unicode | Form::Words => {
                    let (word, length) = spelled_out(&text[offset..], form);
                    self.mint.decode(&word[..length])
                }
            };
            if decoded != Decoded::Nothing {
                found(Hit { offset, decoded, form });
            }
        }
        if self.expects_words() && self.blind.is_none() {
            self.scan_words(text, found);
        }
    }

    /// Decodes the base64 from a hit of alignment `shift` on (bytes before the marker in its group of three).
    fn decode_base64(&self, text: &[u8], offset: usize, shift: usize) -> Decoded {
        // The pattern starts at the first character that the prefix alone decides. What stands before it in its group
        // is somebody else's, may be escaped or on the line above, and does not matter.
        let mut window = [0; BASE64_WINDOW];
        let before = first_whole_character(shift);
        window[..before].copy_from_slice(&base64_of_prefix(shift)[..before]);
        let mut length = before;
        let mut rest = &text[offset..];
        while let Some((c, after)) = rest.split_first().filter(|_| length < BASE64_WINDOW) {
            rest = match (c, after.first()) {
                // Mail and certificates break base64 into lines, and JSON escapes the breaks and the slash.
                (b'\r' | b'\n', _) => after,
                (b'\\', Some(b'r' | b'n')) => &after[1..],
                (b'\\', Some(b'/')) => after,
                (b'-', _) => push(&mut window, &mut length, b'+', after),
                (b'_', _) => push(&mut window, &mut length, b'/', after),
                (c, _) if c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/') => {
                    push(&mut window, &mut length, *c, after)
                }
                _ => break,
            };
        }
        // A group that was cut holds bits of a byte that is not whole; the last whole byte is what counts.
        let whole = length / 4 * 4;
        let cut = &window[whole..length];
        let Ok(mut bytes) = STANDARD_NO_PAD.decode(&window[..whole]) else {
            return Decoded::Nothing;
        };
        if cut.len() >= 2 {
            let mut group = [b'A'; 4];
            group[..cut.len()].copy_from_slice(cut);
            let tail = STANDARD_NO_PAD.decode(group).unwrap_or_default();
            bytes.extend(tail.iter().take(cut.len() - 1));
        }
        match bytes.get(shift..) {
            Some(word) => self.mint.decode(&word[..word.len().min(LENGTH)]),
            None => Decoded::Nothing,
        }
    }
}

fn push<'a>(window: &mut [u8; BASE64_WINDOW], length: &mut usize, c: u8, after: &'a [u8]) -> &'a [u8] {
    window[*length] = c;
    *length += 1;
    after
}

/// The word at the start of `text`, each character spelled out; for all but hexadecimal, some may stand as they are.
fn spelled_out(text: &[u8], form: Form) -> ([u8; LENGTH], usize) {
    let (lead, digits): (&[u8], usize) = match form {
        Form::Percent => (b"%", 2),
        Form::Unicode => (b"\\u", 4),
        _ => (b"", 2),
    };
    let (mut word, mut length, mut rest) = ([0; LENGTH], 0, text);
    while length < LENGTH {
        let unit = rest.strip_prefix(lead).and_then(|r| r.split_at_checked(digits));
        let value = unit.and_then(|(unit, after)| {
            let digits = std::str::from_utf8(unit).ok().filter(|u| u.bytes().all(|c| c.is_ascii_hexdigit()))?;
            Some((u8::try_from(u32::from_str_radix(digits, 16).ok()?).ok()?, after))
        });
        let as_it_is = || rest.split_first().filter(|(c, _)| form != Form::Hex && c.is_ascii_alphanumeric());
        match value.or_else(|| as_it_is().map(|(c, after)| (*c, after))) {
            Some((c, after)) => (word[length], rest) = (c, after),
            None => break,
        }
        length += 1;
    }
    (word, length)
}

fn first_whole_character(shift: usize) -> usize {
    (shift * 8).div_ceil(6)
}

/// Base64 of `shift` zero bytes and the prefix.
fn base64_of_prefix(shift: usize) -> Vec<u8> {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(PREFIX);
    STANDARD_NO_PAD.encode(&bytes).into_bytes()
}

/// The characters of base64 that the prefix alone decides when `shift` bytes stand before it in its group.
fn base64_pattern(shift: usize) -> Vec<u8> {
    let whole = (shift + PREFIX.len()) * 8 / 6;
    base64_of_prefix(shift)[first_whole_character(shift)..whole].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use std::fmt::Write as _;

    fn scanner() -> (Scanner, [u8; LENGTH], Decoded) {
        let mint = Mint::new([3; 32]);
        let word = mint.marker(&mint.head(Kind::Account, 77), 5, 6);
        let expected = Decoded::Authentic(Marker { kind: Kind::Account, owner: 77, step: 5, count: 6 });
        (Scanner::new(mint), word, expected)
    }

    fn hits(scanner: &Scanner, text: &[u8]) -> Vec<Hit> {
        let mut hits = Vec::new();
        scanner.scan(text, |hit| hits.push(hit));
        hits
    }

    proptest! {
        #[test]
        fn found_at_any_place_in_any_form(before in "[ -~]{0,40}", after in "[ -~]{0,40}") {
            let (scanner, word, expected) = scanner();
            let word = std::str::from_utf8(&word).unwrap();
            let plain = format!("{before}{word}{after}");
            prop_assert_eq!(hits(&scanner, plain.as_bytes()), vec![Hit { offset: before.len(), decoded: expected, form: Form::Plain }]);
            let upper = plain.to_ascii_uppercase();
            prop_assert_eq!(hits(&scanner, upper.as_bytes())[0].decoded, expected);
            for encoded in [STANDARD_NO_PAD.encode(&plain), URL_SAFE_NO_PAD.encode(&plain), STANDARD.encode(&plain), URL_SAFE.encode(&plain)] {
                let found = hits(&scanner, encoded.as_bytes());
                prop_assert_eq!(found.len(), 1, "{}", encoded);
                prop_assert_eq!(found[0].decoded, expected);
                prop_assert_eq!(found[0].form, Form::Base64);
            }
        }
    }

    fn spell(text: &str, unit: impl Fn(&mut String, u8)) -> String {
        text.bytes().fold(String::new(), |mut out, c| {
            unit(&mut out, c);
            out
        })
    }

    /// What encoders that leave letters and digits alone make of a text.
    fn gentle_escapes(text: &str) -> Vec<String> {
        let escape = |special: fn(char) -> bool, form: fn(char) -> String| {
            text.chars().map(|c| if special(c) { form(c) } else { c.to_string() }).collect::<String>()
        };
        let other = |c: char| !c.is_ascii_alphanumeric();
        vec![
            serde_json::to_string(text).unwrap(),
            escape(other, |c| format!("%{:02X}", c as u32)),
            escape(other, |c| if c == ' ' { "+".into() } else { format!("%{:02x}", c as u32) }),
            escape(other, |c| format!("&#{};", c as u32)),
            escape(other, |c| format!("&#x{:X};", c as u32)),
            escape(other, |c| format!("\\u{:04x}", c as u32)),
            escape(|c| c == '"', |_| "\"\"".into()),
            escape(|c| c == '\'', |_| "''".into()),
            escape(other, |c| format!("={:02X}", c as u32)),
        ]
    }

    proptest! {
        #[test]
        fn found_through_every_escaping(before in "[ -~]{0,30}", after in "[ -~]{0,30}") {
            let (scanner, word, expected) = scanner();
            let text = format!("{before}{}{after}", std::str::from_utf8(&word).unwrap());
            for escaped in gentle_escapes(&text) {
                let found = hits(&scanner, escaped.as_bytes());
                prop_assert_eq!(found.iter().map(|h| (h.decoded, h.form)).collect::<Vec<_>>(), vec![(expected, Form::Plain)], "{}", escaped);
            }
            for (form, escaped) in [
                (Form::Hex, spell(&text, |out, c| write!(out, "{c:02x}").unwrap())),
                (Form::Hex, spell(&text, |out, c| write!(out, "{c:02X}").unwrap())),
                (Form::Percent, spell(&text, |out, c| write!(out, "%{c:02x}").unwrap())),
                (Form::Percent, spell(&text, |out, c| write!(out, "%{c:02X}").unwrap())),
                (Form::Unicode, spell(&text, |out, c| write!(out, "\\u{c:04x}").unwrap())),
                (Form::Unicode, spell(&text, |out, c| write!(out, "\\u{c:04X}").unwrap())),
            ] {
                let found = hits(&scanner, escaped.as_bytes());
                prop_assert_eq!(found.iter().map(|h| (h.decoded, h.form)).collect::<Vec<_>>(), vec![(expected, form)], "{}", escaped);
            }
        }

        #[test]
        fn found_in_base64_inside_json_and_in_lines(before in proptest::collection::vec(any::<u8>(), 0..20), broken in 8usize..50) {
            let (scanner, word, expected) = scanner();
            let bytes = [&before[..], &word, b"\xff\xff\xfe tail"].concat();
            let encoded = STANDARD.encode(&bytes);
            // As PHP writes it, with every slash escaped.
            let php = serde_json::to_string(&encoded).unwrap().replace('/', "\\/");
            prop_assert_eq!(hits(&scanner, php.as_bytes())[0].decoded, expected);
            // A line break anywhere behind the prefix, raw and as JSON writes it.
            let prefix_ends = (before.len() + PREFIX.len()) * 4 / 3 + 2;
            let at = (prefix_ends + broken).min(encoded.len());
            for line_break in ["\r\n", "\n", "\\r\\n"] {
                let text = format!("{}{line_break}{}", &encoded[..at], &encoded[at..]);
                prop_assert_eq!(hits(&scanner, text.as_bytes())[0].decoded, expected, "{}", text);
            }
        }

        #[test]
        fn a_cut_form_names_its_owner_or_is_nothing(length in 0usize..LENGTH, shift in 0usize..3) {
            let (scanner, word, _) = scanner();
            let part = &word[..length];
            let forms = [
                STANDARD_NO_PAD.encode([&b"ab"[..shift], part].concat()),
                spell(std::str::from_utf8(part).unwrap(), |out, c| write!(out, "{c:02x}").unwrap()),
                spell(std::str::from_utf8(part).unwrap(), |out, c| write!(out, "\\u{c:04x}").unwrap()),
            ];
            for text in forms {
                let found = hits(&scanner, text.as_bytes());
                if length >= super::super::marker::HEAD {
                    prop_assert_eq!(found[0].decoded, Decoded::Fragment { kind: Kind::Account, owner: 77 }, "{}", text);
                } else {
                    prop_assert!(found.is_empty());
                }
            }
        }

        #[test]
        fn arbitrary_bytes_after_a_prefix_never_panic(form in 0usize..6, tail in proptest::collection::vec(any::<u8>(), 0..80)) {
            let (scanner, _, _) = scanner();
            for pattern in Form::ALL[form].patterns() {
                prop_assert!(hits(&scanner, &[&pattern[..], &tail].concat()).is_empty());
            }
        }
    }

    #[test]
    fn words_are_found_once_they_are_expected() {
        let (scanner, _, _) = scanner();
        let said = words::spoken(&Mint::new([3; 32]), 77).unwrap();
        let text = format!("{{\"reply\":\"You wrote: {said}. And {}\"}}", &said[..said.rfind(' ').unwrap()]);
        assert!(hits(&scanner, text.as_bytes()).is_empty());
        scanner.expect_words();
        let found: Vec<_> = hits(&scanner, text.as_bytes()).into_iter().map(|h| (h.form, h.decoded)).collect();
        let exact = Marker { kind: Kind::Account, owner: 77, step: UNNUMBERED, count: UNNUMBERED };
        let cut = Decoded::Fragment { kind: Kind::Account, owner: 77 };
        assert_eq!(found, vec![(Form::Words, Decoded::Authentic(exact)), (Form::Words, cut)]);
    }

    #[test]
    fn two_markers_are_two_hits() {
        let (scanner, word, _) = scanner();
        let text = [&word[..], b"\"},{\"note\":\"", &word[..]].concat();
        assert_eq!(hits(&scanner, &text).len(), 2);
    }

    #[test]
    fn a_prefix_alone_is_nothing() {
        let (scanner, _, _) = scanner();
        assert!(hits(&scanner, b"wtq7zx and WTQ7ZX1 and wtq7zx1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").is_empty());
    }

    #[test]
    fn megabytes_of_random_base32_raise_nothing() {
        use rand::{Rng, SeedableRng};
        let (scanner, _, _) = scanner();
        let mut random = rand_pcg::Pcg64::seed_from_u64(1);
        let text: Vec<u8> =
            (0..4 << 20).map(|_| b"0123456789abcdefghjkmnpqrstvwxyz"[(random.next_u32() & 31) as usize]).collect();
        assert!(hits(&scanner, &text).is_empty());
    }
}
