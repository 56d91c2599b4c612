//! A HAR recording as a starter: the requests of one host in their order, with the pauses between them.
//! In: the file's text. Out: [`Starter`]; cookies and credentials of the recording are left out or become variables.

use super::curl::{base, form_fields, is_usual, path_and_query, written_header};
use super::starter::{Body, Request, Starter, value};
use super::words;
use jiff::Timestamp;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use url::Url;

/// Most steps of a starter: a person reads and edits it.
const MOST_STEPS: usize = 500;
/// Pauses below this are the browser's, not a person's.
const SHORTEST_PAUSE_MS: i64 = 300;
/// Longer pauses are somebody who went for coffee.
const LONGEST_PAUSE_MS: i64 = 60_000;

/// Endings of files that a cache or a CDN answers.
const STATIC: &[&str] = &[
    ".js", ".mjs", ".css", ".map", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".ico", ".woff",
    ".woff2", ".ttf", ".otf", ".eot", ".mp4", ".webm", ".mp3", ".wasm",
];

/// Headers that a browser sets by itself and that say nothing about the request.
const BROWSER: &[&str] = &[
    "cookie",
    "user-agent",
    "accept",
    "accept-language",
    "referer",
    "origin",
    "pragma",
    "cache-control",
    "dnt",
    "priority",
    "upgrade-insecure-requests",
    "if-none-match",
    "if-modified-since",
    "purpose",
    "x-requested-with",
];

struct Entry<'a> {
    request: &'a Json,
    status: Option<u16>,
    url: Url,
    started: Option<Timestamp>,
    took_ms: f64,
}

/// Reads a recording.
///
/// # Errors
/// What is no HAR, in a sentence.
pub fn read(text: &str) -> Result<Starter, String> {
    let har: Json = serde_json::from_str(text).map_err(|e| format!("this is no JSON, as a HAR file is: {e}"))?;
    let list =
        har.pointer("/log/entries").and_then(Json::as_array).ok_or("this is no HAR: `log.entries` is missing")?;
    let mut entries: Vec<Entry<'_>> = list.iter().filter_map(entry).collect();
    entries.sort_by_key(|entry| entry.started);
    let all = entries.len();
    entries.retain(|entry| !is_static(entry));
    let statics = all - entries.len();
    let host = busiest(&entries).ok_or("there is no request to an API or a page in it")?;
    let others = entries.iter().filter(|e| base(&e.url).as_ref() != Ok(&host)).count();
    entries.retain(|e| base(&e.url).as_ref() == Ok(&host));
    let mut starter = Starter {
        name: entries.first().and_then(|e| e.url.host_str()).unwrap_or("recording").to_owned(),
        notes: vec![
            format!("Made from a HAR recording: {} requests to {host}.", entries.len()),
            format!("Left out: {statics} static files, {others} requests to other hosts, cookies and credentials."),
            "Users keep their own cookies; whoever has to log in does so in `before`.".into(),
        ],
        url: host,
        ..Starter::default()
    };
    if entries.len() > MOST_STEPS {
        starter.notes.push(format!("The first {MOST_STEPS} requests are here."));
        entries.truncate(MOST_STEPS);
    }
    let mut before: Option<&Entry<'_>> = None;
    for entry in &entries {
        let mut request = request(entry);
        request.think = before.and_then(|before| pause(before, entry));
        starter.steps.push(request);
        before = Some(entry);
    }
    common_headers(&mut starter);
    Ok(starter)
}

fn entry(json: &Json) -> Option<Entry<'_>> {
    let request = json.get("request")?;
    let url = Url::parse(request.get("url")?.as_str()?).ok()?;
    let method = request.get("method")?.as_str()?;
    let is_request = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].contains(&method);
    if !is_request || !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let status = json.pointer("/response/status").and_then(Json::as_u64).and_then(|s| u16::try_from(s).ok());
    Some(Entry {
        request,
        status: status.filter(|s| (200..400).contains(s) && *s != 304),
        url,
        started: json.get("startedDateTime").and_then(Json::as_str).and_then(|text| text.parse().ok()),
        took_ms: json.get("time").and_then(Json::as_f64).filter(|ms| *ms >= 0.0).unwrap_or(0.0),
    })
}

fn is_static(entry: &Entry<'_>) -> bool {
    let path = entry.url.path().to_lowercase();
    STATIC.iter().any(|ending| path.ends_with(ending))
}

/// The host with most requests; of two alike the one that was asked first.
fn busiest(entries: &[Entry<'_>]) -> Option<String> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (order, entry) in entries.iter().enumerate() {
        if let Ok(host) = base(&entry.url) {
            counts.entry(host).or_insert((0, usize::MAX - order)).0 += 1;
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(host, _)| host)
}

fn request(entry: &Entry<'_>) -> Request {
    let mut request = Request {
        method: entry.request["method"].as_str().unwrap_or("GET").to_owned(),
        status: entry.status,
        ..Request::default()
    };
    (request.path, request.query) = path_and_query(&entry.url);
    request.body = body(&entry.request["postData"]);
    for header in entry.request["headers"].as_array().into_iter().flatten() {
        let (Some(name), Some(text)) = (header["name"].as_str(), header["value"].as_str()) else { continue };
        let name = name.to_lowercase();
        let is_token = !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c));
        if !is_token || BROWSER.contains(&name.as_str()) || name.starts_with("sec-") {
            continue;
        }
        if name == "content-type" && (is_usual(&request.body, text) || matches!(request.body, Body::Empty)) {
            continue;
        }
        if let Some((name, text)) = written_header(&name, text)
            && !request.headers.iter().any(|(n, _)| *n == name)
        {
            request.headers.push((name, text));
        }
    }
    request
}

fn body(data: &Json) -> Body {
    let kind = data["mimeType"].as_str().unwrap_or_default();
    let text = data["text"].as_str().unwrap_or_default();
    if kind.contains("json")
        && let Some(json) = serde_json::from_str::<Json>(text).ok().as_ref().and_then(words::json_body)
    {
        return Body::Json(json);
    }
    if kind.contains("urlencoded") || kind.contains("multipart") {
        if !text.is_empty() && kind.contains("urlencoded") {
            return Body::Form(form_fields(text));
        }
        let mut fields: Vec<(String, String)> = Vec::new();
        for field in data["params"].as_array().into_iter().flatten() {
            let (Some(name), text) = (field["name"].as_str(), field["value"].as_str().unwrap_or_default()) else {
                continue;
            };
            let text = if words::is_secret(name) { words::variable(name) } else { value(text) };
            if !name.contains("{{") && !fields.iter().any(|(n, _)| n == name) {
                fields.push((value(name), text));
            }
        }
        return Body::Form(fields);
    }
    // A text that cannot be looked into may hold a credential: what it is stays for whoever edits the file.
    match text {
        "" => Body::Empty,
        text if text.len() <= 4_000 && !words::is_secret(text) => Body::Text(value(text)),
        _ => Body::Text("the recorded body is left out: write it here".into()),
    }
}

/// The pause of a person between two requests, if it was one.
fn pause(before: &Entry<'_>, entry: &Entry<'_>) -> Option<String> {
    let gap = entry.started?.duration_since(before.started?).as_millis();
    let pause = i64::try_from(gap).ok()?.saturating_sub(before.took_ms as i64).min(LONGEST_PAUSE_MS);
    if pause < SHORTEST_PAUSE_MS {
        return None;
    }
    let tenths = pause / 100;
    Some(if tenths % 10 == 0 { format!("{}s", tenths / 10) } else { format!("{}ms", tenths * 100) })
}

/// Headers that every request has are the journey's.
fn common_headers(starter: &mut Starter) {
    let Some(first) = starter.steps.first().filter(|_| starter.steps.len() > 1) else { return };
    let common: Vec<_> =
        first.headers.iter().filter(|h| starter.steps.iter().all(|s| s.headers.contains(h))).cloned().collect();
    for step in &mut starter.steps {
        step.headers.retain(|header| !common.contains(header));
    }
    starter.headers = common;
}
