//! Reading an answer's JSON: only the top-level members that the request's paths start with; the rest is
//! skipped, which is what most of the time of a journey step would otherwise go into.
//! In: a request's paths, a body. Out: the members wanted, as a tree.

use scenarios::guard::EchoFrom;
use scenarios::jsonpath::JsonPath;
use scenarios::program::{Request, SaveSource};
use serde_json::{Map, Value as Json};

/// Bytes of a string that are looked at one by one.
const SHORT: usize = 16;

const PLAIN: u8 = 0;
const QUOTE: u8 = 1;
const OPENS: u8 = 2;
const CLOSES: u8 = 3;

/// What a byte outside of strings means for the nesting.
static KINDS: [u8; 256] = {
    let mut kinds = [PLAIN; 256];
    kinds[b'"' as usize] = QUOTE;
    kinds[b'{' as usize] = OPENS;
    kinds[b'[' as usize] = OPENS;
    kinds[b'}' as usize] = CLOSES;
    kinds[b']' as usize] = CLOSES;
    kinds
};

/// What a request needs of its answer's JSON.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing: the body is not parsed.
    Nothing,
    /// These top-level members.
    Members(Vec<String>),
    /// The whole document.
    All,
}

impl Wanted {
    /// What `request` needs.
    pub fn by(request: &Request) -> Self {
        let mut members = Vec::new();
        let saves = request.saves.iter().filter_map(|save| match &save.source {
            SaveSource::Json(path) => Some(path),
            _ => None,
        });
        let checks = request.expect.json.iter().map(|(path, _)| path);
        let echo = request.guard.echo.as_ref().and_then(|echo| match &echo.read {
            EchoFrom::Json(path) => Some(path),
            EchoFrom::Header(_) => None,
        });
        for path in checks.chain(echo).chain(request.identities.iter().map(|i| &i.path)).chain(saves) {
            let path: &JsonPath = path;
            match path.first_name() {
                None => return Self::All,
                Some(name) if members.iter().any(|m| m == name) => {}
                Some(name) => members.push(name.to_owned()),
            }
        }
        if members.is_empty() { Self::Nothing } else { Self::Members(members) }
    }

    /// Reads `body`; null if it is no JSON.
    pub fn read(&self, body: &[u8]) -> Json {
        match self {
            Self::Nothing => Json::Null,
            Self::All => serde_json::from_slice(body).unwrap_or_default(),
            Self::Members(names) => members(body, names).map_or(Json::Null, Json::Object),
        }
    }
}

/// Whether brackets are nested deeper than `most` anywhere; what is broken is looked at as far as it goes.
pub fn is_deeper(body: &[u8], most: usize) -> bool {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(next) = body.get(at..).and_then(|rest| rest.iter().position(|c| KINDS[usize::from(*c)] != PLAIN)) {
        at += next;
        match KINDS[usize::from(body[at])] {
            QUOTE => match string_end(body, at + 1) {
                Some(end) => at = end,
                None => return false,
            },
            OPENS if depth == most => return true,
            OPENS => (depth, at) = (depth + 1, at + 1),
            _ => (depth, at) = (depth.saturating_sub(1), at + 1),
        }
    }
    false
}

/// The wanted members of the object that `body` is, of several of one name the first; `None` if it is none. What is
/// not wanted is only skipped: its strings must end and its brackets close, but whether `[1,,2]` is JSON is nobody's
/// question then. Behind the last wanted one it is only seen to that the object ends.
fn members(body: &[u8], names: &[String]) -> Option<Map<String, Json>> {
    let mut found = Map::new();
    let mut at = expect(body, blanks(body, 0), b'{')?;
    at = blanks(body, at);
    if body.get(at) == Some(&b'}') {
        return ends(body, at + 1).then_some(found);
    }
    loop {
        at = blanks(body, at);
        let end = string_end(body, expect(body, at, b'"')?)?;
        let name = wanted(&body[at..end], names);
        let start = blanks(body, expect(body, blanks(body, end), b':')?);
        at = value_end(body, start)?;
        if let Some(name) = name {
            found.insert(name.clone(), serde_json::from_slice(&body[start..at]).ok()?);
            if found.len() == names.len() {
                // What comes after is nobody's question, but that it comes to its end.
                return body.trim_ascii_end().ends_with(b"}").then_some(found);
            }
        }
        at = blanks(body, at);
        match body.get(at)? {
            b',' => at += 1,
            b'}' => return ends(body, at + 1).then_some(found),
            _ => return None,
        }
    }
}

/// The wanted name that `quoted` says, quotes and escapes included.
fn wanted<'n>(quoted: &[u8], names: &'n [String]) -> Option<&'n String> {
    let plain = &quoted[1..quoted.len() - 1];
    if plain.contains(&b'\\') {
        let name: String = serde_json::from_slice(quoted).ok()?;
        return names.iter().find(|wanted| **wanted == name);
    }
    names.iter().find(|wanted| wanted.as_bytes() == plain)
}

fn expect(body: &[u8], at: usize, byte: u8) -> Option<usize> {
    (body.get(at) == Some(&byte)).then_some(at + 1)
}

fn blanks(body: &[u8], mut at: usize) -> usize {
    while matches!(body.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// Whether nothing but blanks follows.
fn ends(body: &[u8], at: usize) -> bool {
    blanks(body, at) == body.len()
}

/// Behind the closing quote of the string whose first character stands `at`.
fn string_end(body: &[u8], mut at: usize) -> Option<usize> {
    // Most strings are short: a search that has to be set up is only for the long ones.
    for (i, c) in body.get(at..)?.iter().take(SHORT).enumerate() {
        match c {
            b'"' => return Some(at + i + 1),
            b'\\' => break,
            _ => {}
        }
    }
    loop {
        at += memchr::memchr2(b'"', b'\\', body.get(at..)?)?;
        if body[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Behind the value that starts `at`.
fn value_end(body: &[u8], at: usize) -> Option<usize> {
    match body.get(at)? {
        b'"' => string_end(body, at + 1),
        b'{' | b'[' => brackets_end(body, at),
        _ => {
            let rest = &body[at..];
            let length =
                rest.iter().position(|c| !matches!(c, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.'))?;
            (length > 0).then_some(at + length)
        }
    }
}

/// Behind the bracket that closes the one `at`. Counts, so that no depth is too deep.
fn brackets_end(body: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0u32;
    let mut at = at;
    loop {
        // What lies between is left behind without a look at what it is.
        at += body.get(at..)?.iter().position(|c| KINDS[usize::from(*c)] != PLAIN)?;
        match KINDS[usize::from(body[at])] {
            QUOTE => at = string_end(body, at + 1)?,
            OPENS => {
                depth += 1;
                at += 1;
            }
            _ if depth == 1 => return Some(at + 1),
            _ => {
                depth -= 1;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members(names: &[&str]) -> Wanted {
        Wanted::Members(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn depth_is_that_of_brackets_outside_of_strings() {
        for (text, depth) in [("1", 0), ("[]", 1), (r#"{"a":[{"b":"[[[{\"["}]}"#, 3), ("[[],[[]]]", 3), ("]]][[", 2)] {
            assert!(!is_deeper(text.as_bytes(), depth), "{text}");
            assert!(depth == 0 || is_deeper(text.as_bytes(), depth - 1), "{text}");
        }
        assert!(!is_deeper(br#"["[["#, 1), "a string without end");
        let deepest =
            format!("{}{}", "[".repeat(scenarios::transport::MOST_DEPTH), "]".repeat(scenarios::transport::MOST_DEPTH));
        assert!(
            serde_json::from_str::<Json>(&deepest).is_ok()
                && serde_json::from_str::<Json>(&format!("[{deepest}]")).is_err()
        );
    }

    #[test]
    fn only_what_is_wanted_is_kept() {
        let body = br#" {"a":{"deep":[1,2]},"b":"x","a\u0062":7,"c":null} "#;
        assert_eq!(members(&["a", "ab"]).read(body), serde_json::json!({"a": {"deep": [1, 2]}, "ab": 7}));
        assert_eq!(members(&["zz"]).read(body), serde_json::json!({}));
        assert_eq!(Wanted::Nothing.read(body), Json::Null);
    }

    #[test]
    fn what_is_no_json_is_null_and_depth_is_no_danger() {
        for body in [
            "",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":tru}",
            "{\"b\":[1}",
            "{\"a\\",
            "{\"b\":\"\\",
            "{\"b\":,\"a\":1}",
            "{\"b\":1\"a\":1}",
            "{\"b\":1,}",
            "{\"a\":1} x",
            "[1,2]",
            "7",
            "\"a\"",
            "nul",
        ] {
            assert_eq!(members(&["a"]).read(body.as_bytes()), Json::Null, "{body}");
        }
        let deep = format!("{{\"b\":{}1{},\"a\":2}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(members(&["a"]).read(deep.as_bytes()), serde_json::json!({"a": 2}));
        let deep = deep.replace("\"b\"", "\"a\"");
        assert_eq!(members(&["a"]).read(deep.as_bytes()), Json::Null);
    }

    proptest! {
        #[test]
        fn the_members_are_those_of_the_whole_document(text in "\\{(\"[ab]\":(1|true|\"x\"|\\[1,2\\]|\\{\"a\":3\\}),?){0,4}\\}?") {
            let read = members(&["a"]).read(text.as_bytes());
            match serde_json::from_slice::<Json>(text.as_bytes()) {
                // Of several of one name the library keeps the last.
                Ok(whole) if text.matches("\"a\":").count() < 2 => prop_assert_eq!(read.get("a"), whole.get("a")),
                Ok(whole) => prop_assert_eq!(read.get("a").is_some(), whole.get("a").is_some()),
                Err(_) if text.ends_with('}') => {}
                Err(_) => prop_assert_eq!(read, Json::Null),
            }
        }
    }
}
