//! Calibration: known foreign markers go through the same scanner, so that silence means something.
//! In: the run's scanner and mint. Out: how many were put in and how many were found.

use super::marker::{Decoded, Kind, LENGTH, MOST_OWNERS, Mint};
use super::scanner::Scanner;
use crate::client::decode;
use base64::Engine as _;
use std::io::Write;

/// Markers put in and found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calibration {
    /// Put in.
    pub injected: u64,
    /// Found with the right owner.
    pub found: u64,
}

/// Puts markers of an owner that no account has through every layer that answers go through.
pub fn calibrate(scanner: &Scanner, mint: &Mint) -> Calibration {
    let owner = MOST_OWNERS - 1;
    let word = mint.marker(&mint.head(Kind::Account, owner), 0, 0);
    let mut result = Calibration::default();
    for (encodings, text) in samples(&word) {
        result.injected += 1;
        let Ok(decoded) = decode::decode(&encodings, &text, 1 << 20) else {
            continue;
        };
        let mut found = false;
        scanner.scan(decoded.as_deref().unwrap_or(&text), |hit| {
            found |= matches!(hit.decoded, Decoded::Authentic(marker) if marker.owner == owner);
        });
        result.found += u64::from(found);
    }
    result
}

/// Each layer and form once: content codings and the text as it would arrive.
fn samples(word: &[u8; LENGTH]) -> Vec<(Vec<decode::Coding>, Vec<u8>)> {
    let text = |before: &str, after: &str| [before.as_bytes(), word, after.as_bytes()].concat();
    let json = text("{\"note\":\"today I felt ", "\"}");
    let base64 = base64::engine::general_purpose::STANDARD;
    let mut samples = vec![
        (vec![], text("HTTP/1.1 200 ", "")),
        (vec![], text("user=", "; Path=/")),
        (vec![], json.clone()),
        (vec![], json.to_ascii_uppercase()),
        (vec![], capitalised(word)),
        (vec![], text(&"x".repeat(8191), "")),
    ];
    for shift in ["", "a", "ab"] {
        samples.push((vec![], base64.encode(text(shift, " tail")).into_bytes()));
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    if gzip.write_all(&json).is_ok()
        && let Ok(bytes) = gzip.finish()
    {
        samples.push((vec![decode::Coding::Gzip], bytes));
    }
    if let Ok(bytes) = zstd::bulk::compress(&json, 1) {
        samples.push((vec![decode::Coding::Zstd], bytes));
    }
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    if zlib.write_all(&json).is_ok()
        && let Ok(bytes) = zlib.finish()
    {
        samples.push((vec![decode::Coding::Deflate], bytes));
    }
    samples
}

fn capitalised(word: &[u8; LENGTH]) -> Vec<u8> {
    let mut text = word.to_vec();
    text[0].make_ascii_uppercase();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_scanner_finds_all() {
        let mint = Mint::new([1; 32]);
        let result = calibrate(&Scanner::new(mint.clone()), &mint);
        assert_eq!(result.injected, 12);
        assert_eq!(result.found, result.injected);
    }

    #[test]
    fn a_scanner_of_another_run_finds_none() {
        let mint = Mint::new([1; 32]);
        let blind = Scanner::new(Mint::new([2; 32]));
        assert_eq!(calibrate(&blind, &mint).found, 0);
    }
}
