//! Content codings taken off while a body arrives, each piece as far as it can be understood.
//! In: pieces of a coded body. Out: plain pieces, never more than the limit together, or why not.

use super::decode::Coding;
use crate::failure::Transport;
use std::io::{self, Write};

/// Codings taken off one after the other; none passes everything on as it is.
pub struct Unfold {
    layers: Vec<Layer>,
    /// Plain bytes that may still come.
    left: usize,
    /// Between two layers.
    between: Vec<u8>,
}

impl std::fmt::Debug for Unfold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unfold").field("layers", &self.layers.len()).field("left", &self.left).finish_non_exhaustive()
    }
}

/// One coding. What it gives is taken out of its [`Sink`] after each piece.
enum Layer {
    Gzip(flate2::write::MultiGzDecoder<Sink>),
    Deflate(flate2::write::ZlibDecoder<Sink>),
    /// The same without zlib's head, as the field sends it under this name too.
    BareDeflate(flate2::write::DeflateDecoder<Sink>),
    /// Which of the two it is its first two bytes say; and the limit.
    SomeDeflate(Vec<u8>, usize),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Sink>>),
    Zstd(zstd::stream::write::Decoder<'static, Sink>),
}

/// Bytes up to a limit; the rest is refused, so that a small piece cannot unfold to gigabytes.
struct Sink {
    bytes: Vec<u8>,
    most: usize,
    is_full: bool,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            self.is_full = true;
            return Err(io::Error::other("more than the limit"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Layer {
    fn new(coding: Coding, most: usize) -> Result<Self, Transport> {
        let sink = Sink { bytes: Vec::new(), most, is_full: false };
        Ok(match coding {
            Coding::Gzip => Self::Gzip(flate2::write::MultiGzDecoder::new(sink)),
            Coding::Deflate => Self::SomeDeflate(Vec::new(), most),
            Coding::Brotli => Self::Brotli(Box::new(brotli_decompressor::DecompressorWriter::new(sink, 4096))),
            Coding::Zstd => Self::Zstd(zstd::stream::write::Decoder::new(sink).map_err(|_| Transport::Coding)?),
        })
    }

    /// Puts `bytes` in and appends what comes out to `out`.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Transport> {
        let (done, sink) = match self {
            Self::SomeDeflate(start, most) => {
                start.extend_from_slice(bytes);
                let [first, second, ..] = start[..] else {
                    return Ok(());
                };
                let sink = Sink { bytes: Vec::new(), most: *most, is_full: false };
                // RFC 1950, §2.2: method 8, and a multiple of 31.
                let is_zlib = first & 15 == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31);
                let start = std::mem::take(start);
                *self = if is_zlib {
                    Self::Deflate(flate2::write::ZlibDecoder::new(sink))
                } else {
                    Self::BareDeflate(flate2::write::DeflateDecoder::new(sink))
                };
                return self.push(&start, out);
            }
            Self::BareDeflate(d) => (d.write_all(bytes).and_then(|()| d.flush()), d.get_mut()),
            Self::Gzip(d) => (d.write_all(bytes).and_then(|()| d.flush()), d.get_mut()),
            Self::Deflate(d) => (d.write_all(bytes).and_then(|()| d.flush()), d.get_mut()),
            Self::Brotli(d) => (d.write_all(bytes).and_then(|()| d.flush()), d.get_mut()),
            Self::Zstd(d) => (d.write_all(bytes).and_then(|()| d.flush()), d.get_mut()),
        };
        out.append(&mut sink.bytes);
        if sink.is_full {
            return Err(Transport::BodyTooLarge);
        }
        done.map_err(|_| Transport::Coding)
    }
}

impl Unfold {
    /// For `codings` in the order in which they were put on; `most` bytes may come out.
    ///
    /// # Errors
    /// A decoder cannot be made.
    pub fn new(codings: &[Coding], most: usize) -> Result<Self, Transport> {
        let layers = codings.iter().rev().map(|coding| Layer::new(*coding, most)).collect::<Result<_, _>>()?;
        Ok(Self { layers, left: most, between: Vec::new() })
    }

    /// Hands the plain form of a piece to `on`; answers what `on` answers.
    ///
    /// # Errors
    /// A broken coding, more than the limit, or what `on` says.
    pub fn push(
        &mut self,
        bytes: &[u8],
        on: &mut dyn FnMut(&[u8]) -> Result<bool, Transport>,
    ) -> Result<bool, Transport> {
        if self.layers.is_empty() {
            self.left = self.left.checked_sub(bytes.len()).ok_or(Transport::BodyTooLarge)?;
            return on(bytes);
        }
        let mut plain = std::mem::take(&mut self.between);
        plain.clear();
        plain.extend_from_slice(bytes);
        for layer in &mut self.layers {
            let mut out = Vec::new();
            layer.push(&plain, &mut out)?;
            plain = out;
        }
        self.left = self.left.checked_sub(plain.len()).ok_or(Transport::BodyTooLarge)?;
        let goes_on = on(&plain);
        self.between = plain;
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coded(coding: Coding, text: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Gzip => {
                let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                e.write_all(text).and_then(|()| e.finish()).unwrap()
            }
            Coding::Deflate => {
                let mut e = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                e.write_all(text).and_then(|()| e.finish()).unwrap()
            }
            Coding::Zstd => zstd::bulk::compress(text, 1).unwrap(),
            // "hello" by the reference tool: no encoder is among the dependencies.
            Coding::Brotli => b"\x0b\x02\x80hello\x03".to_vec(),
        }
    }

    #[test]
    fn every_coding_comes_off_whatever_the_cuts() {
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Brotli] {
            for size in [1, 2, 7, 999] {
                let mut unfold = Unfold::new(&[coding], 100).unwrap();
                let mut plain = Vec::new();
                for piece in coded(coding, b"hello").chunks(size) {
                    let pushed = unfold.push(piece, &mut |p| {
                        plain.extend_from_slice(p);
                        Ok(true)
                    });
                    assert_eq!(pushed, Ok(true), "{coding:?} {size}");
                }
                assert_eq!(plain, b"hello", "{coding:?} {size}");
            }
        }
    }

    #[test]
    fn deflate_comes_off_without_its_head_too() {
        let mut e = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        let bare = e.write_all(b"hello").and_then(|()| e.finish()).unwrap();
        for size in [1, 2, 99] {
            let (mut unfold, mut plain) = (Unfold::new(&[Coding::Deflate], 100).unwrap(), Vec::new());
            for piece in bare.chunks(size) {
                let pushed = unfold.push(piece, &mut |p| {
                    plain.extend_from_slice(p);
                    Ok(true)
                });
                assert_eq!(pushed, Ok(true), "{size}");
            }
            assert_eq!(plain, b"hello", "{size}");
        }
    }

    #[test]
    fn what_was_flushed_is_there_before_the_end() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"data: one\n\n").and_then(|()| gzip.flush()).unwrap();
        let part = gzip.get_ref().clone();
        let mut unfold = Unfold::new(&[Coding::Gzip], 100).unwrap();
        let mut plain = Vec::new();
        let pushed = unfold.push(&part, &mut |p| {
            plain.extend_from_slice(p);
            Ok(true)
        });
        assert_eq!((pushed, plain), (Ok(true), b"data: one\n\n".to_vec()));
    }

    #[test]
    fn bombs_and_rubbish_have_names() {
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
            let bomb = coded(coding, &vec![0; 10 << 20]);
            let mut unfold = Unfold::new(&[coding], 1 << 20).unwrap();
            assert_eq!(unfold.push(&bomb, &mut |_| Ok(true)), Err(Transport::BodyTooLarge), "{coding:?}");
        }
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Brotli] {
            let mut unfold = Unfold::new(&[coding], 100).unwrap();
            let rubbish = unfold.push(b"\xff\xff\xffrubbish that is none of them", &mut |_| Ok(true));
            assert_eq!(rubbish, Err(Transport::Coding), "{coding:?}");
        }
    }
}
