//! Content codings: gzip, deflate, br and zstd, with a limit on what they may unfold to.
//! In: the body as received and its `content-encoding`. Out: the body as meant, or why not.

use super::answer::names;
use crate::failure::Transport;
use http::{HeaderMap, header};
use std::io::Read;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// gzip
    Gzip,
    /// deflate (zlib)
    Deflate,
    /// br
    Brotli,
    /// zstd
    Zstd,
}

impl Coding {
    /// The coding's registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// Codings taken off at most.
const MOST_CODINGS: usize = 4;

/// The codings that all `content-encoding` lines list together, in the order in which they were put on.
///
/// # Errors
/// `Coding` for one that is not known here, or for more than four.
pub fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, Transport> {
    let mut list = Vec::new();
    if !names(headers, &header::CONTENT_ENCODING) {
        return Ok(list);
    }
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let text = value.to_str().map_err(|_| Transport::Coding)?;
        for word in text.split(',').map(str::trim).filter(|w| !w.is_empty()) {
            list.push(match word.to_ascii_lowercase().as_str() {
                "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "br" => Coding::Brotli,
                "zstd" => Coding::Zstd,
                _ => return Err(Transport::Coding),
            });
        }
    }
    if list.len() > MOST_CODINGS { Err(Transport::Coding) } else { Ok(list) }
}

/// Takes the codings off `body`. `None`: there is nothing to take off.
///
/// # Errors
/// `Coding` if a coding is broken, `BodyTooLarge` if a layer unfolds to more than `limit` bytes.
pub fn decode(codings: &[Coding], body: &[u8], limit: usize) -> Result<Option<Vec<u8>>, Transport> {
    let mut current: Option<Vec<u8>> = None;
    for coding in codings.iter().rev() {
        let input = current.as_deref().unwrap_or(body);
        current = Some(unfold(*coding, input, limit)?);
    }
    Ok(current)
}

/// What can be decoded of a body that broke off: everything up to the break.
pub fn decode_part(codings: &[Coding], body: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut current: Option<Vec<u8>> = None;
    for coding in codings.iter().rev() {
        let mut out = Vec::new();
        // The error at the break is expected; what was read before it counts.
        let _ = read(*coding, current.as_deref().unwrap_or(body), limit, &mut out);
        current = Some(out);
    }
    current
}

fn unfold(coding: Coding, input: &[u8], limit: usize) -> Result<Vec<u8>, Transport> {
    let mut out = Vec::new();
    read(coding, input, limit, &mut out).map_err(|_| Transport::Coding)?;
    if out.len() > limit { Err(Transport::BodyTooLarge) } else { Ok(out) }
}

fn read(coding: Coding, input: &[u8], limit: usize, out: &mut Vec<u8>) -> std::io::Result<usize> {
    // One byte more than the limit tells "too large" from "just fits".
    let most = limit as u64 + 1;
    match coding {
        Coding::Gzip => flate2::read::MultiGzDecoder::new(input).take(most).read_to_end(out),
        Coding::Deflate => {
            // The field sends both zlib streams and bare deflate under this name.
            let zlib = flate2::read::ZlibDecoder::new(input).take(most).read_to_end(out);
            if zlib.is_err() && out.is_empty() {
                flate2::read::DeflateDecoder::new(input).take(most).read_to_end(out)
            } else {
                zlib
            }
        }
        Coding::Brotli => brotli_decompressor::Decompressor::new(input, 4096).take(most).read_to_end(out),
        Coding::Zstd => zstd::stream::read::Decoder::new(input)?.take(most).read_to_end(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_header_is_read_as_written_by_the_field() {
        let check = |lines: &[&[u8]], expected| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::CONTENT_ENCODING, http::HeaderValue::from_bytes(line).unwrap());
            }
            assert_eq!(codings(&headers), expected, "{lines:?}");
        };
        check(&[], Ok(vec![]));
        check(&[b"gzip"], Ok(vec![Coding::Gzip]));
        check(&[b" BR , gzip"], Ok(vec![Coding::Brotli, Coding::Gzip]));
        check(&[b"gzip", b"gzip"], Ok(vec![Coding::Gzip, Coding::Gzip]));
        check(&[b"identity"], Ok(vec![]));
        check(&[b"rot13"], Err(Transport::Coding));
        check(&[b"gzip,gzip,gzip", b"gzip,gzip"], Err(Transport::Coding));
        check(&[b"\xff"], Err(Transport::Coding));
    }

    #[test]
    fn layers_come_off_outermost_first() {
        let body = zstd::bulk::compress(&gzip(b"hello"), 1).unwrap();
        assert_eq!(decode(&[Coding::Gzip, Coding::Zstd], &body, 100), Ok(Some(b"hello".to_vec())));
        assert_eq!(decode(&[], b"plain", 100), Ok(None));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![0; 10 << 20]);
        assert_eq!(decode(&[Coding::Gzip], &bomb, 1 << 20), Err(Transport::BodyTooLarge));
        assert_eq!(decode(&[Coding::Gzip], &gzip(&[7; 100]), 100), Ok(Some(vec![7; 100])));
    }

    #[test]
    fn rubbish_is_a_coding_error_and_halves_are_kept() {
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
            assert_eq!(decode(&[coding], b"\x00rubbish", 100), Err(Transport::Coding), "{coding:?}");
        }
        let whole = gzip(&b"0123456789abcdef".repeat(4096));
        let part = decode_part(&[Coding::Gzip], &whole[..whole.len() / 2], 1 << 20).unwrap();
        assert!(part.starts_with(b"0123456789abcdef"), "{} bytes", part.len());
    }
}
