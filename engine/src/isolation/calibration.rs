//! Calibration: known foreign markers go through the same layers and the same scanner as answers do, so that silence
//! means something.
//! In: the run's scanner and mint. Out: how many were put in and how many were found.
//!
//! Every form stands once in every layer of an answer, in a long body with more than eight kilobytes before it and in
//! three alignments, in messages and close reasons, in an event that comes in small pieces, and cut over the events of a
//! stream. Taking a coding off knows nothing of forms: bodies, whole and broken off, and events go through each content
//! coding with the plain word only.

use super::layers::{self, Spot};
use super::marker::{Decoded, Kind, LENGTH, MOST_OWNERS, Mint};
use super::scanner::Scanner;
use super::words;
use crate::client::answer::{Answer, Ending, Times, Via};
use crate::client::decode::{self, Coding};
use crate::client::events::{Heard, Listener};
use base64::Engine as _;
use http::{HeaderMap, HeaderValue, header};
use scenarios::jsonpath::JsonPath;
use scenarios::streams::Events;
use std::io::Write;
use std::sync::Arc;

/// Markers put in and found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calibration {
    /// Put in.
    pub injected: u64,
    /// Found with the right owner.
    pub found: u64,
}

/// Most that a body of the calibration unfolds to.
const LIMIT: usize = 1 << 20;

/// Puts markers of an owner that no account has through every layer that answers go through.
pub fn calibrate(scanner: &Scanner, mint: &Mint) -> Calibration {
    let owner = MOST_OWNERS - 1;
    let word = mint.marker(&mint.head(Kind::Account, owner), 0, 0);
    let sees = |spot: Spot<'_>| {
        let mut found = false;
        if scanner.reads(spot.kind) {
            scanner.scan(spot.text, |hit| {
                found |= matches!(hit.decoded, Decoded::Authentic(marker) if [owner, words::MOST_OWNERS - 1].contains(&marker.owner));
            });
        }
        found
    };
    let mut result = Calibration::default();
    let mut count = |is_found: bool| {
        result.injected += 1;
        result.found += u64::from(is_found);
    };
    let empty = HeaderMap::new();
    let words = scanner.expects_words().then(|| words::spoken(mint, words::MOST_OWNERS - 1)).flatten();
    for (number, text) in forms(&word).into_iter().chain(words.map(String::into_bytes)).enumerate() {
        let codings: Codings = if number == 0 { codings } else { |_: &[u8]| Vec::new() };
        for (name, is_reason) in [(None, true), (Some(header::SET_COOKIE), false), (Some(header::WARNING), false)] {
            let mut headers = HeaderMap::new();
            if let Some((name, value)) = name.zip(HeaderValue::from_bytes(&text).ok()) {
                headers.append(name, value);
            }
            let reason = if is_reason { text.as_slice() } else { b"" };
            count(layers::spots(&answer(reason, &headers, b"", Ending::Complete)).any(sees));
        }
        // Twice as long as what stands before the marker, so that half of it holds the marker.
        let long = [b"{\"note\":\"".as_slice(), &b"x".repeat(8191), &text, b"\"}", &noise(16_384)].concat();
        count(layers::spots(&answer(b"", &empty, &long, Ending::Complete)).any(sees));
        for (coding, folded) in codings(&long) {
            let whole = decode::decode(&[coding], &folded, LIMIT).ok().flatten().unwrap_or_default();
            count(layers::spots(&answer(b"", &empty, &whole, Ending::Complete)).any(sees));
            let part = &folded[..folded.len() - folded.len() / 8];
            let part = decode::decode_part(&[coding], part, LIMIT).unwrap_or_default();
            count(layers::spots(&answer(b"", &empty, &part, Ending::Abandoned)).any(sees));
        }
        count(sees(Spot::one("message", &text)));
        count(sees(Spot::one("close reason", &text)));
        streamed(&text, codings, &mut |heard| {
            let heard = Answer { heard, ..answer(b"", &empty, b"", Ending::Complete) };
            count(layers::spots(&heard).any(sees));
        });
    }
    result
}

/// Puts each content coding on.
type Codings = fn(&[u8]) -> Vec<(Coding, Vec<u8>)>;

/// Bytes in which streams come: no multiple of a marker's length, so that each seam cuts one somewhere else.
const PIECE: usize = 7;

/// The text as one event that comes in small pieces, under each coding too, and cut over many events.
fn streamed(text: &[u8], codings: Codings, hear: &mut dyn FnMut(Option<&Heard>)) {
    let mut listen = |plan: Events, codings: &[Coding], stream: &[u8]| {
        let mut listener = Listener::new(Arc::new(plan), codings, LIMIT, LIMIT).ok();
        if let Some(listener) = &mut listener {
            // What cannot be read leaves nothing to find, and that is noticed.
            let _ = stream.chunks(PIECE).try_for_each(|piece| listener.push(piece, 0).map(|_| ()));
        }
        hear(listener.as_ref().map(|listener| &listener.heard));
    };
    let event = [b"data: ".as_slice(), &b"x".repeat(97), b" ", text, b"\n\n"].concat();
    listen(Events::default(), &[], &event);
    for (coding, folded) in codings(&event) {
        listen(Events::default(), &[coding], &folded);
    }
    // As a language model says it: a few characters an event.
    let said = String::from_utf8_lossy(text);
    let letters: Vec<char> = said.chars().collect();
    let events = letters.chunks(3).map(|piece| {
        let piece = serde_json::Value::from(piece.iter().collect::<String>());
        format!("data: {{\"t\":{piece}}}\n\n")
    });
    let stream: String = events.collect();
    let plan = Events { text: JsonPath::compile("$.t").ok(), ..Events::default() };
    listen(plan, &[], stream.as_bytes());
}

fn answer<'a>(reason: &'a [u8], headers: &'a HeaderMap, body: &'a [u8], ending: Ending) -> Answer<'a> {
    Answer {
        ending,
        delivered: true,
        status: 200,
        reason,
        headers,
        body,
        undecoded: &[],
        codings: &[],
        times: Times::default(),
        via: Via::default(),
        bytes_sent: 0,
        bytes_received: 0,
        heard: None,
    }
}

/// The word in every form that the scanner knows.
fn forms(word: &[u8; LENGTH]) -> Vec<Vec<u8>> {
    let spelled = |unit: fn(u8) -> String| word.iter().map(|c| unit(*c)).collect::<String>().into_bytes();
    let mut capitalised = word.to_vec();
    capitalised[0].make_ascii_uppercase();
    let mut forms = vec![
        word.to_vec(),
        word.to_ascii_uppercase(),
        capitalised,
        spelled(|c| format!("{c:02x}")),
        spelled(|c| format!("{c:02X}")),
        spelled(|c| format!("%{c:02x}")),
        spelled(|c| format!("%{c:02X}")),
        spelled(|c| format!("\\u{c:04x}")),
        spelled(|c| format!("\\u{c:04X}")),
    ];
    let (standard, url_safe) =
        (base64::engine::general_purpose::STANDARD, base64::engine::general_purpose::URL_SAFE_NO_PAD);
    // 0xff and 0xfb give the characters in which the two alphabets differ.
    for before in [b"".as_slice(), b"\xff", b"\xff\xfb"] {
        let text = [before, word, b"\xff\xfb"].concat();
        forms.push(standard.encode(&text).into_bytes());
        forms.push(url_safe.encode(&text).into_bytes());
    }
    forms
}

/// Bytes that no coding shortens much, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn codings(text: &[u8]) -> Vec<(Coding, Vec<u8>)> {
    fn written<W: Write>(mut encoder: W, text: &[u8], finish: fn(W) -> std::io::Result<Vec<u8>>) -> Vec<u8> {
        // A coding that fails leaves nothing to find, and that is noticed.
        encoder.write_all(text).and_then(|()| finish(encoder)).unwrap_or_default()
    }
    let level = flate2::Compression::fast();
    vec![
        (
            Coding::Gzip,
            written(flate2::write::GzEncoder::new(Vec::new(), level), text, flate2::write::GzEncoder::finish),
        ),
        (
            Coding::Deflate,
            written(flate2::write::ZlibEncoder::new(Vec::new(), level), text, flate2::write::ZlibEncoder::finish),
        ),
        (
            Coding::Deflate,
            written(flate2::write::DeflateEncoder::new(Vec::new(), level), text, flate2::write::DeflateEncoder::finish),
        ),
        // Two frames, as a server sends that flushes: of a frame that broke off, zstd gives nothing.
        (
            Coding::Zstd,
            text.chunks(text.len() / 2).flat_map(|t| zstd::bulk::compress(t, 1).unwrap_or_default()).collect(),
        ),
        (Coding::Brotli, stored_brotli(text)),
    ]
}

/// Brotli without compression, as RFC 7932 allows: only the way through the decoder matters here.
fn stored_brotli(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // The window (16 bits: one zero bit) and per piece: not the last, 4 nibbles of length less one, uncompressed.
    let (mut bits, mut held) = (0_u64, 1_u32);
    for piece in text.chunks(1 << 14) {
        let length = piece.len() as u64 - 1;
        // Not last (0), nibbles − 4 (00), 16 bits of length, uncompressed (1), then filled up to a byte.
        bits |= (length << 3 | 1 << 19) << held;
        held = (held + 20).div_ceil(8) * 8;
        out.extend_from_slice(&bits.to_le_bytes()[..held as usize / 8]);
        out.extend_from_slice(piece);
        (bits, held) = (0, 0);
    }
    // Last and empty.
    out.push(3);
    out
}

#[cfg(test)]
mod tests {
    use super::super::scanner::{Blind, Form};
    use super::*;

    #[test]
    fn a_sound_scanner_finds_all() {
        let mint = Mint::new([1; 32]);
        let result = calibrate(&Scanner::new(mint.clone()), &mint);
        assert_eq!(result.injected, 15 * (3 + 1 + 2 + 1 + 1) + 2 * 5 + 5);
        assert_eq!(result.found, result.injected);
        let scanner = Scanner::new(mint.clone());
        scanner.expect_words();
        let result = calibrate(&scanner, &mint);
        assert_eq!((result.injected, result.found), (16 * 8 + 15, 16 * 8 + 15));
    }

    #[test]
    fn a_scanner_of_another_run_finds_none() {
        let mint = Mint::new([1; 32]);
        let blind = Scanner::new(Mint::new([2; 32]));
        assert_eq!(calibrate(&blind, &mint).found, 0);
    }

    #[test]
    fn a_scanner_blind_to_one_form_or_one_layer_is_noticed() {
        let mint = Mint::new([1; 32]);
        let blinds = Form::ALL.map(Blind::Form).into_iter().chain(layers::ALL.map(Blind::Layer));
        for blind in blinds {
            let result = calibrate(&Scanner::blinded(mint.clone(), blind), &mint);
            assert!(result.found > 0 && result.found < result.injected, "{blind:?}: {result:?}");
        }
        assert_eq!(calibrate(&Scanner::blinded(mint.clone(), Blind::Everything), &mint).found, 0);
    }
}
