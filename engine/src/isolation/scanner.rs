//! The scanner: finds markers in the logical text of an answer, in one pass.
//! In: bytes of a status line, header or decoded body. Out: [`Hit`]s in order of their offset.
//! Searches the prefix in lower case, upper case and capitalised, and in the three base64 alignments; the MAC only on candidates.

use super::marker::{Decoded, LENGTH, Mint, PREFIX};
use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

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
}

impl Form {
    /// The decoder's name in evidence; none for the plain form.
    pub fn decoder(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Folded => Some("case"),
            Self::Base64 => Some("base64"),
        }
    }
}

/// The prebuilt search. One per run, shared.
#[derive(Debug)]
pub struct Scanner {
    search: AhoCorasick,
    mint: Mint,
}

/// Characters of base64 that hold a whole marker, whatever its alignment: ⌈(2 + 38) · 4 / 3⌉, rounded up to a group.
const BASE64_WINDOW: usize = 56;

impl Scanner {
    /// A scanner for the markers of `mint`.
    pub fn new(mint: Mint) -> Self {
        let mut capitalised = PREFIX.to_vec();
        capitalised[0].make_ascii_uppercase();
        // As planted, in capitals, and as the first word of a sentence.
        let mut patterns: Vec<Vec<u8>> = vec![PREFIX.to_vec(), PREFIX.to_ascii_uppercase(), capitalised];
        patterns.extend((0..3).map(base64_pattern));
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(&patterns)
            .expect("six short patterns always build");
        Self { search, mint }
    }

    /// Calls `found` for each marker in `text`.
    pub fn scan(&self, text: &[u8], mut found: impl FnMut(Hit)) {
        for candidate in self.search.find_iter(text) {
            let offset = candidate.start();
            let (decoded, form) = match candidate.pattern().as_usize() {
                0 => (self.mint.decode(&text[offset..]), Form::Plain),
                1 | 2 => (self.mint.decode(&text[offset..]), Form::Folded),
                pattern => (self.decode_base64(text, offset, pattern - 3), Form::Base64),
            };
            if decoded != Decoded::Nothing {
                found(Hit { offset, decoded, form });
            }
        }
    }

    /// Decodes the base64 around a hit of alignment `shift` (bytes before the marker in its group of three).
    fn decode_base64(&self, text: &[u8], offset: usize, shift: usize) -> Decoded {
        // The pattern starts at the first character that the prefix alone decides; the group starts before it.
        let Some(start) = offset.checked_sub(first_whole_character(shift)) else {
            return Decoded::Nothing;
        };
        let window = &text[start..text.len().min(start + BASE64_WINDOW)];
        let length = window.iter().take_while(|c| c.is_ascii_alphanumeric() || b"+/-_".contains(c)).count();
        // A group cut in one character holds no byte.
        let window = &window[..if length % 4 == 1 { length - 1 } else { length }];
        let bytes = STANDARD_NO_PAD.decode(window).or_else(|_| URL_SAFE_NO_PAD.decode(window));
        let whole = || {
            let whole = &window[..window.len() / 4 * 4];
            STANDARD_NO_PAD.decode(whole).or_else(|_| URL_SAFE_NO_PAD.decode(whole))
        };
        match bytes.or_else(|_| whole()) {
            Ok(bytes) if bytes.len() > shift => self.mint.decode(&bytes[shift..bytes.len().min(shift + LENGTH)]),
            _ => Decoded::Nothing,
        }
    }
}

fn first_whole_character(shift: usize) -> usize {
    (shift * 8).div_ceil(6)
}

/// The characters of base64 that the prefix alone decides when `shift` bytes stand before it in its group.
fn base64_pattern(shift: usize) -> Vec<u8> {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(PREFIX);
    let whole = (shift + PREFIX.len()) * 8 / 6;
    STANDARD_NO_PAD.encode(&bytes).as_bytes()[first_whole_character(shift)..whole].to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::marker::{Kind, Marker};
    use super::*;
    use proptest::prelude::*;

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
            for encoded in [STANDARD_NO_PAD.encode(&plain), URL_SAFE_NO_PAD.encode(&plain), base64::engine::general_purpose::STANDARD.encode(&plain)] {
                let found = hits(&scanner, encoded.as_bytes());
                prop_assert_eq!(found.len(), 1, "{}", encoded);
                prop_assert_eq!(found[0].decoded, expected);
                prop_assert_eq!(found[0].form, Form::Base64);
            }
        }
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
