//! How a target is reached: `http`, `tls`, `proxy`, `source_addresses`, `resolve`, `redirects`, `limits`.
//! In: a target's map. Out: [`Transport`] with files that are there and values that go together.

use super::TargetPlan;
use super::reader::{Fields, Reader, Spec};
use crate::diagnostic::Diagnostic;
use crate::syntax::Scalar;
use crate::transport::{Http, Limits, MOST_DEPTH, Proxy, Redirects, Transport};
use crate::units;
use std::net::IpAddr;

const TLS: Spec = Spec { what: "`tls`", keys: &["ca", "cert", "key", "server_name", "insecure"], not_yet: &[] };

const LIMITS: Spec = Spec { what: "`limits`", keys: &["head", "headers", "body", "json_depth"], not_yet: &[] };

/// Connections that can be shared at most; more than there are descriptors.
const MOST_SHARED: u64 = 1_000_000;

/// Redirects that can be asked for at most.
pub(super) const MOST_REDIRECTS: u64 = 50;

pub(super) fn read(reader: &mut Reader<'_>, fields: Fields<'_>, target: &mut TargetPlan) {
    target.transport.http = http(reader, fields, &target.url);
    tls(reader, fields, target);
    let transport = &mut target.transport;
    transport.proxy = proxy(reader, fields, &target.url);
    transport.source_addresses = source_addresses(reader, fields);
    let resolve = reader.word_at(fields, "resolve", &["once", "per_connection"], &[]);
    transport.resolve_each = resolve == Some("per_connection");
    transport.redirects = redirects(reader, fields).unwrap_or_default();
    transport.share_connections = share_connections(reader, fields);
    limits(reader, fields, transport);
}

/// `share_connections` of a target or a profile.
pub(super) fn share_connections(reader: &mut Reader<'_>, fields: Fields<'_>) -> Option<u32> {
    let most = reader.whole_at(fields, "share_connections", 1, MOST_SHARED)?;
    if let Some(entry) = fields.entry("connections")
        && matches!(&entry.value, crate::syntax::Node::Scalar(word) if word.text == "per_iteration")
    {
        let message = "`connections: per_iteration` reconnects a user, and shared connections are no user's own";
        reader.push(Diagnostic::error("two-meanings", entry.key.span, message).help("keep one of the two"));
    }
    Some(most as u32)
}

/// `redirects` of a target or a step.
pub(super) fn redirects(reader: &mut Reader<'_>, fields: Fields<'_>) -> Option<Redirects> {
    let most = reader.whole_at(fields, "redirects", 0, MOST_REDIRECTS)?;
    Some(Redirects(most as u32))
}

fn http(reader: &mut Reader<'_>, fields: Fields<'_>, url: &str) -> Http {
    let Some(word) = reader.word_at(fields, "http", &["1", "2", "h2c", "auto"], &[]) else {
        return Http::default();
    };
    let Some(entry) = fields.entry("http") else { return Http::default() };
    let is_tls = url.starts_with("https:");
    let help = match word {
        "2" if !is_tls && !url.is_empty() => {
            "HTTP/2 is agreed upon in TLS: write `https://`, or `http: h2c` without it"
        }
        "h2c" if is_tls => "`h2c` is HTTP/2 without TLS: write `http: 2`",
        _ => "",
    };
    if !help.is_empty() {
        let message = format!("`http: {word}` does not go with this target's address");
        reader.push(Diagnostic::error("bad-value", entry.value.span(), message).help(help));
    }
    match word {
        "2" => Http::Two,
        "h2c" => Http::H2c,
        "auto" => Http::Auto,
        _ => Http::One,
    }
}

fn tls(reader: &mut Reader<'_>, target: Fields<'_>, plan: &mut TargetPlan) {
    let Some(entry) = target.entry("tls") else {
        return;
    };
    let Some(fields) = reader.fields(&entry.value, entry.key.span, &TLS) else {
        return;
    };
    if plan.url.starts_with("http:") || plan.url.starts_with("unix:") {
        // The address may come from the environment or the command line, here as https and there without.
        let message = "`tls` says nothing about an address that is not `https://`";
        reader.push(Diagnostic::warning("unused", entry.key.span, message).help("write `https://`, or remove `tls`"));
    }
    plan.insecure = reader.flag_at(fields, "insecure").unwrap_or(false);
    plan.ca = pem(reader, fields, "ca", "CERTIFICATE");
    plan.transport.cert = pem(reader, fields, "cert", "CERTIFICATE");
    plan.transport.key = pem(reader, fields, "key", "PRIVATE KEY");
    for (one, other) in [("cert", "key"), ("key", "cert")] {
        if let (Some(given), None) = (fields.entry(one), fields.entry(other)) {
            reader.missing(given.key.span, &format!("`tls` with `{one}`"), other, &format!("{other}.pem"));
        }
    }
    if let Some(name) = reader.text_at(fields, "server_name") {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
        if name.text.is_empty() || name.text.len() > 253 || !name.text.chars().all(good) {
            let message = "`server_name` is a host's name or address, without port";
            reader.push(Diagnostic::error("bad-value", name.span, message).help("write for example `api.example.org`"));
        } else {
            plan.transport.server_name = Some(name.text.clone());
        }
    }
}

/// A file that must be there and hold a PEM block of this kind.
fn pem(reader: &mut Reader<'_>, fields: Fields<'_>, key: &str, kind: &str) -> Option<String> {
    let path = reader.text_at(fields, key)?;
    let full = reader.path(path);
    match std::fs::read(&full) {
        Err(error) => {
            let message = format!("the file `{}` cannot be read: {error}", path.shown());
            reader.push(Diagnostic::error("no-file", path.span, message));
        }
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let is_there =
                text.lines().any(|l| l.starts_with("-----BEGIN ") && l.trim_end().ends_with(&format!("{kind}-----")));
            if !is_there {
                let message = format!("the file `{}` holds no `{kind}` in PEM form", path.shown());
                let help = format!("such a file has a line `-----BEGIN {kind}-----`");
                reader.push(Diagnostic::error("bad-file", path.span, message).help(help));
            }
        }
    }
    Some(full.display().to_string())
}

fn proxy(reader: &mut Reader<'_>, fields: Fields<'_>, url: &str) -> Option<Proxy> {
    let text = reader.text_at(fields, "proxy")?;
    if url.starts_with("unix:") {
        reader.bad_value(text.span, "a socket on this machine is not reached through a proxy");
        return None;
    }
    match parse_proxy(&text.text) {
        Ok(proxy) => Some(proxy),
        Err(message) => {
            // What stands there may hold a password and is not repeated.
            let help = "write for example `http://user:password@127.0.0.1:3128`";
            reader.push(Diagnostic::error("bad-url", text.span, message).help(help));
            None
        }
    }
}

fn parse_proxy(text: &str) -> Result<Proxy, String> {
    let rest = text.strip_prefix("http://").ok_or("a proxy's address starts with `http://`")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (login, authority) = match rest.rsplit_once('@') {
        Some((login, authority)) => (Some(login), authority),
        None => (None, rest),
    };
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let login = login.map(|login| {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        (decoded(user), decoded(password))
    });
    let checked = super::check_url(&format!("http://{authority}"))?;
    if authority.contains('/') {
        return Err("a proxy's address ends with its host and port".into());
    }
    let authority = &checked["http://".len()..];
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            (host, port.parse().map_err(|_| "the port is a number between 1 and 65535")?)
        }
        _ => (authority, 3128),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Proxy { host, port, login })
}

fn source_addresses(reader: &mut Reader<'_>, fields: Fields<'_>) -> Vec<IpAddr> {
    let texts: Vec<Scalar> = reader.texts_at(fields, "source_addresses").into_iter().cloned().collect();
    let mut addresses = Vec::new();
    for text in texts {
        match text.text.parse::<IpAddr>() {
            Ok(address) if addresses.contains(&address) => {
                reader.bad_value(text.span, format!("the address `{}` stands here twice", text.shown()));
            }
            Ok(address) => addresses.push(address),
            Err(_) => {
                let message = format!("`{}` is no IP address of this machine", text.shown());
                reader.push(Diagnostic::error("bad-value", text.span, message).help("write for example `127.0.0.2`"));
            }
        }
    }
    addresses
}

fn limits(reader: &mut Reader<'_>, target: Fields<'_>, transport: &mut Transport) {
    let Some(entry) = target.entry("limits") else {
        return;
    };
    let Some(fields) = reader.fields(&entry.value, entry.key.span, &LIMITS) else {
        return;
    };
    let mut limits = Limits::default();
    // Below 8 kB the library cannot read a head; a header needs at least 4 bytes of one.
    let sizes = [("head", 8 << 10, 64 << 20, &mut limits.head_bytes), ("body", 1, 1 << 30, &mut limits.body_bytes)];
    for (key, low, high, place) in sizes {
        if let Some(bytes) = size(reader, fields, key, low, high) {
            *place = bytes as usize;
        }
    }
    if let Some(headers) = reader.whole_at(fields, "headers", 1, 10_000) {
        limits.headers = headers as usize;
    }
    if let Some(depth) = reader.whole_at(fields, "json_depth", 1, MOST_DEPTH as u64) {
        limits.json_depth = depth as usize;
    }
    transport.limits = limits;
}

fn size(reader: &mut Reader<'_>, fields: Fields<'_>, key: &str, low: u64, high: u64) -> Option<u64> {
    let entry = fields.entry(key)?;
    let what = format!("`{key}`");
    let bytes = reader.unit(&entry.value, entry.key.span, &what, "`64kB`", units::parse_size)?;
    if !(low..=high).contains(&bytes) {
        reader.bad_value(entry.value.span(), format!("{what} is between {low} and {high} bytes"));
        return None;
    }
    Some(bytes)
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] = &[("tls", &TLS), ("limits", &LIMITS)];
