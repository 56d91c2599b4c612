//! Excerpts of answers for evidence: a bounded window of text, whatever bytes stand there.
//! In: bytes and a place. Out: printable text of at most 256 bytes.

/// Bytes of an excerpt at most.
const LONGEST: usize = 256;

/// The text around `length` bytes at `offset`; bytes that are no printable text become `·`.
pub fn around(bytes: &[u8], offset: usize, length: usize) -> String {
    let spare = LONGEST.saturating_sub(length) / 2;
    let start = offset.saturating_sub(spare).min(bytes.len());
    let end = (start + LONGEST).min(bytes.len());
    String::from_utf8_lossy(&bytes[start..end])
        .chars()
        .map(|c| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '·' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::around;

    #[test]
    fn bounded_and_printable() {
        assert_eq!(around(b"abc\n\xff", 1, 1), "abc··");
        assert_eq!(around(b"", 10, 5), "");
        let long = vec![b'x'; 10_000];
        assert_eq!(around(&long, 5_000, 38).len(), 256);
        assert_eq!(around(&long, 9_999, 1).len(), 128);
    }
}
