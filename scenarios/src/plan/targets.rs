//! `targets:`: the services under test.
//! In: the map. Out: [`TargetPlan`]s with checked addresses.

use super::reader::{Fields, Reader, Spec};
use super::{TargetPlan, ways};
use crate::diagnostic::Diagnostic;
use crate::program::Scrape;
use crate::syntax::{Entry, Node, Scalar};
use crate::transport::Transport;

const TARGET: Spec = Spec {
    what: "a target",
    keys: &[
        "url",
        "timeout",
        "connect_timeout",
        "health",
        "http",
        "tls",
        "proxy",
        "source_addresses",
        "resolve",
        "redirects",
        "limits",
        "watch",
        "share_connections",
    ],
    not_yet: &[],
};

const SECOND_NS: u64 = 1_000_000_000;

pub(super) fn read(reader: &mut Reader<'_>, file: Fields<'_>) -> Vec<TargetPlan> {
    let Some(entry) = file.entry("targets") else {
        reader.missing(file.at, "a scenario file", "targets", "{ api: http://127.0.0.1:8001 }");
        return Vec::new();
    };
    let Some(entries) = reader.entries(&entry.value, entry.key.span, "`targets`") else {
        return Vec::new();
    };
    if entries.is_empty() {
        reader.bad_value(entry.key.span, "there is no target to send anything to");
    }
    entries.iter().map(|entry| target(reader, entry)).collect()
}

/// A target of which nothing but its address is known.
pub(crate) fn plain(name: Scalar, url: String) -> TargetPlan {
    TargetPlan {
        name,
        url,
        timeout_ns: 30 * SECOND_NS,
        connect_timeout_ns: 5 * SECOND_NS,
        health: None,
        insecure: false,
        ca: None,
        watch: None,
        transport: Transport::default(),
    }
}

fn target(reader: &mut Reader<'_>, entry: &Entry) -> TargetPlan {
    reader.plain_name(&entry.key, "a target");
    let mut target = plain(entry.key.clone(), String::new());
    if let Node::Scalar(_) = &entry.value {
        target.url = url(reader, &entry.value, entry);
        return target;
    }
    let Some(fields) = reader.fields(&entry.value, entry.key.span, &TARGET) else {
        return target;
    };
    match fields.get("url") {
        Some(node) => target.url = url(reader, node, entry),
        None => reader.missing(entry.key.span, "a target", "url", "http://127.0.0.1:8001"),
    }
    let least_ns = 1_000_000;
    if let Some(ns) = reader.duration_at(fields, "timeout", least_ns) {
        target.timeout_ns = ns;
    }
    if let Some(ns) = reader.duration_at(fields, "connect_timeout", least_ns) {
        target.connect_timeout_ns = ns;
    }
    if let Some(path) = reader.text_at(fields, "health") {
        if !path.text.starts_with('/') || path.text.contains("{{") {
            reader.bad_value(path.span, "`health` is a plain path that starts with `/`");
        }
        target.health = Some(path.text.clone());
    }
    ways::read(reader, fields, &mut target);
    target.watch = watch(reader, fields, &target.url);
    target
}

const WATCH: Spec = Spec { what: "`watch`", keys: &["path", "every"], not_yet: &[] };

/// `watch: /metrics`, a whole URL, or `{ path, every }`.
fn watch(reader: &mut Reader<'_>, target: Fields<'_>, base: &str) -> Option<Scrape> {
    let entry = target.entry("watch")?;
    let (path, every_ns) = match &entry.value {
        Node::Map(..) => {
            let fields = reader.fields(&entry.value, entry.key.span, &WATCH)?;
            let every_ns = reader.duration_at(fields, "every", SECOND_NS);
            let Some(path) = reader.text_at(fields, "path") else {
                reader.missing(entry.key.span, "`watch`", "path", "/metrics");
                return None;
            };
            (path.clone(), every_ns.unwrap_or(5 * SECOND_NS))
        }
        _ => (reader.text_at(target, "watch")?.clone(), 5 * SECOND_NS),
    };
    let (url, path_text) = match path.text.split_once("://") {
        None => (base.to_owned(), path.text.clone()),
        Some((_, rest)) => {
            let end = path.text.len() - rest.len() + rest.find('/').unwrap_or(rest.len());
            match check_url(&path.text[..end]) {
                Ok(url) => (url, if end < path.text.len() { path.text[end..].to_owned() } else { "/".into() }),
                Err(message) => {
                    reader.push(
                        Diagnostic::error("bad-url", path.span, message)
                            .help("write for example `watch: http://127.0.0.1:9100/metrics`"),
                    );
                    return None;
                }
            }
        }
    };
    let is_plain = path_text.starts_with('/') && path_text.chars().all(|c| c.is_ascii_graphic());
    if !is_plain || path_text.contains("{{") {
        reader.bad_value(path.span, "`watch` is a plain path that starts with `/`, or a whole URL");
        return None;
    }
    Some(Scrape { url, path: path_text, every_ns })
}

fn url(reader: &mut Reader<'_>, node: &Node, entry: &Entry) -> String {
    let Some(text) = reader.text(node, entry.key.span, "the target's address") else {
        return String::new();
    };
    match check_url(&text.text) {
        Ok(url) => url,
        Err(message) => {
            reader.push(
                Diagnostic::error("bad-url", text.span, message).help("write for example `http://127.0.0.1:8001`"),
            );
            String::new()
        }
    }
}

/// Checks a target's address and takes off a trailing slash. The error is one sentence.
pub(crate) fn check_url(url: &str) -> Result<String, String> {
    if let Some(path) = url.strip_prefix("unix:") {
        let is_plain = !path.contains(|c: char| c.is_control() || matches!(c, '?' | '#' | '{' | '}'));
        // The system holds a socket's path in 108 bytes, the last of them a zero.
        return if path.starts_with('/') && !path.starts_with("//") && path.len() < 108 && is_plain {
            Ok(url.to_owned())
        } else {
            Err("a socket's address is `unix:` and a whole path of at most 107 bytes".into())
        };
    }
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .ok_or("an address starts with `http://` or `https://`, or with `unix:/`")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if url.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
        return Err("an address holds plain characters only, and no space".into());
    }
    if authority.contains('@') {
        return Err("an address holds no user and password: send them as a header".into());
    }
    if rest.contains(['?', '#', '{', '}']) {
        return Err("an address ends with its host or path: no `?`, `#` or template".into());
    }
    let (host, port) = if let Some(v6) = authority.strip_prefix('[') {
        let (host, port) = v6.split_once(']').ok_or("the bracket `[` is never closed")?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| "between `[` and `]` stands an IPv6 address")?;
        if !port.is_empty() && !port.starts_with(':') {
            return Err("after `]` only a port can follow".into());
        }
        (host, port.strip_prefix(':'))
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.is_empty() {
        return Err("the address names no host".into());
    }
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if !host.chars().all(good) {
        return Err("the host holds a character that no host name can hold".into());
    }
    if let Some(port) = port {
        let number = port.parse::<u16>().ok().filter(|p| *p > 0);
        if number.is_none() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err("the port is a number between 1 and 65535".into());
        }
    }
    let scheme = &url[..url.len() - rest.len()];
    Ok(format!("{scheme}{authority}{}", path.trim_end_matches('/')))
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] = &[("target", &TARGET), ("watch", &WATCH)];
