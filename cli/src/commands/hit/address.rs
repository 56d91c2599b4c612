//! The address on the command line, taken apart.
//! In: text. Out: base (scheme, host, port) and what follows it, or a sentence that says how to mend it.

use url::{Host, Url};

/// An address that can be asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// `http://host:port`, without a trailing slash.
    pub base: String,
    /// Host and port, for tables.
    pub authority: String,
    /// Path and query as they are sent, starting with `/`.
    pub path: String,
}

impl Address {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// It is no address of HTTP.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            let example = text.trim_start_matches('/');
            let example = if example.is_empty() { "127.0.0.1:8001/path" } else { example };
            return Err(format!("`{text}` has no scheme: write `http://{example}` or `https://{example}`"));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => {}
            "ws" | "wss" => {
                return Err(format!("`{scheme}://` is not there yet for `hit`: it asks over http or https"));
            }
            _ => return Err(format!("`{scheme}://` cannot be asked: write `http://{rest}` or `https://{rest}`")),
        }
        let url = Url::parse(text).map_err(|e| format!("`{text}` is no address: {e}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            // The text is not repeated: it holds a password.
            return Err("the address holds a user and a password: leave them out and send them as a header, \
                        -H 'Authorization: Basic …'"
                .into());
        }
        let host = url.host().ok_or_else(|| format!("`{text}` names no host"))?;
        if url.port() == Some(0) {
            return Err(format!("`{text}`: the port is a number between 1 and 65535"));
        }
        let host = match host {
            Host::Ipv6(address) => format!("[{address}]"),
            other => other.to_string(),
        };
        let authority = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        // Braces stay as they are typed in a query; a request line cannot hold them all.
        let query = url.query().map(|q| format!("?{}", sendable(q))).unwrap_or_default();
        Ok(Self {
            base: format!("{}://{authority}", url.scheme()),
            authority,
            path: format!("{}{query}", sendable(url.path())),
        })
    }
}

/// Percent-encodes what an address may hold by the rules of browsers, but a request line may not.
fn sendable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '{' | '}' | '|' | '\\' | '^' | '`' | '[' | ']' => out.push_str(&format!("%{:02X}", c as u32)),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn good(text: &str, base: &str, path: &str) {
        let address = Address::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((address.base.as_str(), address.path.as_str()), (base, path), "{text}");
    }

    #[track_caller]
    fn bad(text: &str, part: &str) {
        let message = Address::parse(text).expect_err(text);
        assert!(message.contains(part), "{text}: {message}");
    }

    #[test]
    fn path_and_query_are_kept_as_they_are_sent() {
        good("http://127.0.0.1:8001", "http://127.0.0.1:8001", "/");
        good("http://h/a/b?x=1&y=%20z&x=2", "http://h", "/a/b?x=1&y=%20z&x=2");
        good("https://h:8443/a b?q={id}", "https://h:8443", "/a%20b?q=%7Bid%7D");
        good("HTTP://Example.com:80/#part", "http://example.com", "/");
        good("http://h?x", "http://h", "/?x");
        good("http://h/ä?ö", "http://h", "/%C3%A4?%C3%B6");
    }

    #[test]
    fn ipv6_keeps_its_brackets() {
        good("http://[::1]:9000/x", "http://[::1]:9000", "/x");
        good("https://[2001:DB8::1]/", "https://[2001:db8::1]", "/");
    }

    #[test]
    fn mistakes_say_how_to_mend_them() {
        bad("localhost:8001/x", "write `http://localhost:8001/x`");
        bad("example.com", "write `http://example.com`");
        bad("", "has no scheme");
        bad("/just/a/path", "has no scheme");
        bad("ftp://h/x", "write `http://h/x`");
        bad("ws://h/x", "not there yet");
        bad("http://", "is no address");
        bad("http://h:99999/", "is no address");
        bad("http://h:0/", "between 1 and 65535");
        bad("http://[::1/", "is no address");
        bad("http://a b/", "is no address");
    }

    #[test]
    fn a_password_is_not_repeated() {
        let message = Address::parse("http://me:s3cret@h/").expect_err("it holds a password");
        assert!(!message.contains("s3cret") && message.contains("Authorization"), "{message}");
    }
}
