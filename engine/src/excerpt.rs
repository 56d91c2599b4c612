//! Excerpts of answers for evidence: a bounded window of text, whatever bytes stand there, without secrets.
//! In: bytes and a place. Out: printable text of at most 256 bytes.

use crate::isolation::marker::PREFIX;
use regex::bytes::Regex;
use std::sync::LazyLock;

/// Bytes of an excerpt at most.
const LONGEST: usize = 256;
/// Bytes beyond the excerpt that are looked at, so that a secret cut at its edge is known as one.
const MARGIN: usize = 4096;

/// Bytes of a cookie's name at most.
const MOST_NAME: usize = 64;

/// Values whose name says that they are secret, in JSON and in forms; the first group that takes part is the value.
static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
    let word = "(?:passw|token|secret|authorization|api_?-?key|credential|session_?-?id|jwt|cookie)";
    Regex::new(&format!(
        r#"(?i-u)"[^"]*{word}[^"]*"\s*:\s*"((?:[^"\\]|\\.)*)|[\w-]*{word}[\w-]*=([^&\s;"']+)|\b(?:bearer|basic) +([\w.~+/=-]+)|\b(eyJ[\w-]{{8,}}\.[\w-]{{8,}}(?:\.[\w-]*)?)"#
    ))
    .expect("the pattern is constant")
});

/// The text around `length` bytes at `offset`; bytes that are no printable text become `·`, values with a secret name
/// and these `secrets` become `*`.
pub fn around(bytes: &[u8], offset: usize, length: usize, secrets: &[String]) -> String {
    let spare = LONGEST.saturating_sub(length) / 2;
    let start = offset.saturating_sub(spare).min(bytes.len());
    let end = (start + LONGEST).min(bytes.len());
    let from = start.saturating_sub(MARGIN);
    let mut window = bytes[from..bytes.len().min(end + MARGIN)].to_vec();
    redact(&mut window);
    for secret in secrets {
        let places: Vec<_> = memchr::memmem::find_iter(&window, secret.as_bytes()).collect();
        places.into_iter().for_each(|at| window[at..at + secret.len()].fill(b'*'));
    }
    String::from_utf8_lossy(&window[start - from..end - from])
        .chars()
        .map(|c| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '·' } else { c })
        .collect()
}

/// As [`around`], of a text that lets somebody in: nothing is shown of it but the name before a cookie's `=`, if it
/// `has_name`, and the `length` bytes at `offset` if they are one of our own markers as it was planted.
pub fn of_secret(bytes: &[u8], (offset, length): (usize, usize), has_name: bool) -> String {
    // Elsewhere a `=` may be the end of base64, with the secret before it.
    let name = memchr::memchr(b'=', bytes).filter(|at| has_name && *at <= MOST_NAME && *at < offset);
    let name = name.map_or(0, |at| at + 1);
    let found = bytes.get(offset..offset.saturating_add(length)).unwrap_or_default();
    let is_plain = found.len() >= PREFIX.len() && found[..PREFIX.len()].eq_ignore_ascii_case(PREFIX);
    let marker = if is_plain { offset..offset + length } else { 0..0 };
    let mut hidden = bytes.to_vec();
    for (at, byte) in hidden.iter_mut().enumerate() {
        if at >= name && !marker.contains(&at) {
            *byte = b'*';
        }
    }
    around(&hidden, offset, length, &[])
}

/// The whole text with secret values overwritten.
pub fn without_secrets(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    redact(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Overwrites secret values byte by byte, so that every offset stays.
fn redact(window: &mut [u8]) {
    let places: Vec<_> = SECRETS
        .captures_iter(window)
        .filter_map(|found| found.iter().skip(1).flatten().next().map(|value| value.range()))
        .collect();
    for place in places {
        window[place].fill(b'*');
    }
}

#[cfg(test)]
mod tests {
    use super::{around, of_secret};

    #[test]
    fn bounded_and_printable() {
        assert_eq!(around(b"abc\n\xff", 1, 1, &[]), "abc··");
        assert_eq!(around(b"", 10, 5, &[]), "");
        let long = vec![b'x'; 10_000];
        assert_eq!(around(&long, 5_000, 38, &[]).len(), 256);
        assert_eq!(around(&long, 9_999, 1, &[]).len(), 128);
    }

    #[test]
    fn values_with_a_secret_name_are_overwritten() {
        for (text, shown) in [
            (r#"{"access_token": "abc","role":"nurse"}"#, r#"{"access_token": "***","role":"nurse"}"#),
            (r#"{"Password":"a\"b","x":1}"#, r#"{"Password":"****","x":1}"#),
            ("user=me&api_key=k1&x=2", "user=me&api_key=**&x=2"),
            ("authorization: Bearer a.b.c", "authorization: Bearer *****"),
            (r#"{"sessionId":"s1","session":"morning"}"#, r#"{"sessionId":"**","session":"morning"}"#),
            ("see eyJhbGciOiJI.eyJzdWIiOiIx.c2ln here", "see ****************************** here"),
            (r#"{"note":"no secret here"}"#, r#"{"note":"no secret here"}"#),
        ] {
            assert_eq!(around(text.as_bytes(), 0, 0, &[]), shown);
        }
    }

    #[test]
    fn of_a_cookie_only_its_name_and_a_marker_are_shown() {
        let text = b"session=abc.wtq7zx1yre6000031e25601000fr694nex149j.def; Path=/";
        let shown = "session=****wtq7zx1yre6000031e25601000fr694nex149j************";
        assert_eq!(of_secret(text, (12, 38), true), shown);
        assert_eq!(
            of_secret(b"session=d3RxN3p4MXly", (8, 38), true),
            "session=************",
            "in another form it is hidden too"
        );
        assert_eq!(of_secret(b"", (5, 38), true), "");
        assert_eq!(of_secret(b"abcdef", (0, 0), true), "******");
        assert_eq!(of_secret(b"dXNlcg==.rest", (9, 4), false), "*************", "a header's value has no name");
    }

    #[test]
    fn a_secret_cut_at_the_edge_is_still_one() {
        let text = format!(r#"{{"token":"{}","note":"HERE"}}"#, "s".repeat(300));
        let at = text.find("HERE").unwrap();
        assert!(!around(text.as_bytes(), at, 4, &[]).contains('s'), "{}", around(text.as_bytes(), at, 4, &[]));
        let text = text.replace("token", "ticket");
        let at = text.find("HERE").unwrap();
        assert!(around(text.as_bytes(), at, 4, &[]).contains('s'), "only its name says so");
        let shown = around(text.as_bytes(), at, 4, &["s".repeat(300)]);
        assert!(!shown.contains('s') && shown.contains("HERE"), "{shown}");
    }
}
