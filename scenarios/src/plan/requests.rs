//! A request step: `METHOD /path` with its options.
//! In: the key and the map of options. Out: [`RequestPlan`] with every shape checked, templates still as text.

pub(super) mod auth;
mod events;
pub(super) mod expect;
mod guard;
mod multipart;
pub(super) mod poll;
mod retry;
mod save;

use super::reader::{Fields, Reader, Spec};
use super::{BodyPlan, RequestPlan, faults};
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::{Node, Scalar};

/// Methods of a request step.
pub(super) const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const REQUEST: Spec = Spec {
    what: "a request",
    keys: &[
        "target",
        "headers",
        "query",
        "json",
        "form",
        "body",
        "multipart",
        "auth",
        "timeout",
        "abandon",
        "redirects",
        "expect",
        "save",
        "identity",
        "echo",
        "revokes",
        "tags",
        "name",
        "on_failure",
        "retry",
        "events",
    ],
    not_yet: &[],
};

const UPGRADE: Spec = Spec {
    what: "a `websocket` step",
    keys: &[
        "target",
        "headers",
        "query",
        "timeout",
        "abandon",
        "auth",
        "tags",
        "name",
        "on_failure",
        "heartbeat",
        "steps",
    ],
    not_yet: &[],
};

const PROBE: Spec = Spec {
    what: "a probe's request",
    keys: &[
        "target",
        "headers",
        "query",
        "json",
        "form",
        "body",
        "multipart",
        "auth",
        "timeout",
        "abandon",
        "tags",
        "name",
    ],
    not_yet: &[],
};

/// Whether a step's key is meant as a request.
pub(super) fn looks_like_request(key: &str) -> bool {
    let Some((word, rest)) = key.split_once(' ') else {
        return METHODS.contains(&key);
    };
    let path = rest.trim_start();
    METHODS.contains(&word)
        || (word.chars().all(|c| c.is_ascii_alphabetic()) && (path.starts_with('/') || path.starts_with("http")))
}

/// Reads `METHOD path` and the options beside it.
pub(super) fn read(
    reader: &mut Reader<'_>,
    key: &Scalar,
    options: Option<&Node>,
    at: Span,
    probe: bool,
) -> Option<RequestPlan> {
    let (method, path_at) = method_and_path(reader, key)?;
    let mut request = blank(key, method, path_at);
    let Some(options) = options.filter(|node| !node.is_null()) else {
        return Some(request);
    };
    let spec = if probe { &PROBE } else { &REQUEST };
    let Some(fields) = reader.fields(options, at, spec) else {
        return Some(request);
    };
    read_options(reader, fields, &mut request);
    if !probe {
        request.guard = guard::read(reader, fields);
        request.events = events::read(reader, fields);
        request.retry = fields.entry("retry").and_then(|entry| retry::read(reader, entry));
        read_outcome(reader, fields, &mut request);
    }
    Some(request)
}

/// A request without options.
fn blank(key: &Scalar, method: String, path_at: usize) -> RequestPlan {
    RequestPlan {
        key: key.clone(),
        method,
        path_at,
        name: None,
        target: None,
        query: Vec::new(),
        headers: Vec::new(),
        body: BodyPlan::Empty,
        timeout_ns: None,
        abandon: None,
        redirects: None,
        expect: super::ExpectPlan::default(),
        saves: Vec::new(),
        identities: Vec::new(),
        tags: Vec::new(),
        continue_on_failure: None,
        retry: None,
        poll: None,
        guard: super::GuardPlan::default(),
        auth: None,
        bare: false,
        events: None,
    }
}

/// Reads `websocket /path`: the request that opens it, and the fields of the step.
pub(super) fn read_upgrade<'n>(
    reader: &mut Reader<'_>,
    key: &Scalar,
    options: &'n Node,
) -> Option<(RequestPlan, Fields<'n>)> {
    let rest = key.text.strip_prefix("websocket").unwrap_or_default();
    let path_at = key.text.len() - rest.trim_start().len();
    let path = &key.text[path_at..];
    if !path.starts_with('/') {
        let help = if path.starts_with("ws:") || path.starts_with("wss:") {
            "the target says where; write only the path, such as `websocket /ws/room-1`".to_owned()
        } else {
            format!("write for example `websocket /{path}`")
        };
        reader.push(Diagnostic::error("bad-step", key.span, "the path of a `websocket` starts with `/`").help(help));
        return None;
    }
    if !check_path(reader, key, path) {
        return None;
    }
    let fields = reader.fields(options, key.span, &UPGRADE)?;
    let mut request = blank(key, "GET".into(), path_at);
    read_options(reader, fields, &mut request);
    request.expect.status = vec![(101, 101)];
    request.continue_on_failure =
        reader.word_at(fields, "on_failure", &["continue", "give_up"], &[]).map(|word| word == "continue");
    Some((request, fields))
}

/// The values that a step saves.
pub(super) fn saves(reader: &mut Reader<'_>, fields: Fields<'_>) -> Vec<super::SavePlan> {
    save::read(reader, fields)
}

/// JSON path → condition under `key`.
pub(super) fn conditions_at(
    reader: &mut Reader<'_>,
    fields: Fields<'_>,
    key: &str,
    what: &str,
) -> Vec<(Scalar, super::ConditionPlan)> {
    expect::conditions(reader, fields, key, what)
}

/// What is expected of the answer, what is taken from it, and what a failure means.
fn read_outcome(reader: &mut Reader<'_>, fields: Fields<'_>, request: &mut RequestPlan) {
    request.expect = expect::read(reader, fields);
    request.saves = save::read(reader, fields);
    request.identities = identities(reader, fields);
    expect::check_events(reader, fields, request);
    request.continue_on_failure = on_failure(reader, fields);
}

/// `on_failure`: whether the user goes on; `None` when nothing is said.
pub(super) fn on_failure(reader: &mut Reader<'_>, fields: Fields<'_>) -> Option<bool> {
    reader.word_at(fields, "on_failure", &["continue", "give_up"], &[]).map(|word| word == "continue")
}

fn read_options(reader: &mut Reader<'_>, fields: Fields<'_>, request: &mut RequestPlan) {
    request.target = reader.text_at(fields, "target").cloned();
    request.headers = headers(reader, fields);
    request.query = pairs(reader, fields, "query");
    request.body = body(reader, fields);
    request.auth = auth::read(reader, fields);
    if let (Some(entry), Some(_), true) =
        (fields.entry("auth"), &request.auth, request.headers.iter().any(|(name, _)| name.text == "authorization"))
    {
        let message = "`auth` is the header `authorization`, which stands here too";
        reader.push(Diagnostic::error("two-places", entry.key.span, message).help("remove one of them"));
    }
    request.timeout_ns = reader.duration_at(fields, "timeout", 1_000_000);
    request.redirects = super::ways::redirects(reader, fields);
    request.abandon = fields.entry("abandon").and_then(|entry| faults::abandon(reader, entry));
    request.tags = reader.texts_at(fields, "tags").into_iter().cloned().collect();
    for tag in &request.tags {
        reader.plain(tag, "a tag");
    }
    if let Some(name) = reader.text_at(fields, "name") {
        reader.plain(name, "`name`");
        request.name = Some(name.clone());
    }
}

fn method_and_path(reader: &mut Reader<'_>, key: &Scalar) -> Option<(String, usize)> {
    let text = &key.text;
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    if !METHODS.contains(&word) {
        let upper = word.to_uppercase();
        let methods = METHODS.iter().copied();
        let help = crate::diagnostic::did_you_mean(&upper, methods)
            .map(|near| format!("write `{near}`"))
            .unwrap_or_else(|| "a request is for example `GET /path`".into());
        reader.push(Diagnostic::error("bad-step", key.span, format!("`{word}` is no method of a request")).help(help));
        return None;
    }
    let path_at = text.len() - rest.trim_start().len();
    let path = &text[path_at..];
    if path.starts_with("{{") {
        return whole_template(reader, key, path).then(|| (word.to_owned(), path_at));
    }
    if path.starts_with("http://") || path.starts_with("https://") {
        return whole_url(reader, key, path).then(|| (word.to_owned(), path_at));
    }
    if !path.starts_with('/') {
        let help = if path.is_empty() {
            format!("write for example `{word} /path`")
        } else {
            format!("write `{word} /{path}`")
        };
        reader.push(Diagnostic::error("bad-step", key.span, "the path of a request starts with `/`").help(help));
        return None;
    }
    check_path(reader, key, path).then(|| (word.to_owned(), path_at))
}

/// A key that is one template: whatever address it gives.
fn whole_template(reader: &mut Reader<'_>, key: &Scalar, path: &str) -> bool {
    let end = path.find("}}").map_or(path.len(), |at| at + 2);
    if path[end..].trim().is_empty() {
        return true;
    }
    reader.push(
        Diagnostic::error("bad-step", key.span, "a whole address is one template, and here something follows it")
            .help("put it together inside: `GET {{ base + '/path' }}`; a path starts with `/`"),
    );
    false
}

/// A whole URL: its host is written out, its path may hold templates.
fn whole_url(reader: &mut Reader<'_>, key: &Scalar, url: &str) -> bool {
    let (host, path) = split_host(url);
    if host.contains("{{") {
        reader.push(
            Diagnostic::error("template-not-here", key.span, "the host of a whole URL cannot be a part of a template")
                .help("make the whole address one template: `GET {{ 'https://' + host + '/path' }}`"),
        );
        return false;
    }
    if let Err(message) = super::check_url(host) {
        reader.push(Diagnostic::error("bad-url", key.span, message).help("write for example `GET https://host/path`"));
        return false;
    }
    check_path(reader, key, path)
}

/// Scheme and host of a whole URL, and the rest of it.
pub(crate) fn split_host(url: &str) -> (&str, &str) {
    let from = url.find("://").map_or(0, |at| at + 3);
    let end = url[from..].find(['/', '?', '#']).map_or(url.len(), |at| from + at);
    url.split_at(end)
}

/// Checks what stands in a path; a mistake that leaves no path at all answers `false`.
fn check_path(reader: &mut Reader<'_>, key: &Scalar, path: &str) -> bool {
    if let Some((_, query)) = path.split_once('?')
        && has_template_name(query)
    {
        reader.push(
            Diagnostic::error("template-not-here", key.span, "the name of a query parameter cannot hold `{{ }}`")
                .help("only its value can, after the `=`"),
        );
    }
    let written = reader.source.text.get(key.span.start..key.span.end);
    if written.is_some_and(|text| text.contains('\n')) {
        reader.push(
            Diagnostic::error("bad-step", key.span, "this step and the line below it are read as one text")
                .help("give the `-` of the next step the same indentation as this one's"),
        );
        return false;
    }
    if has_space_outside_templates(path) {
        reader.push(
            Diagnostic::error("bad-step", key.span, "a path holds no space")
                .help("write `%20`, or put the value into `query`"),
        );
        return false;
    }
    true
}

/// Whether a name of `a=1&b=2` holds a template; `{{ x }}` without a name counts as one.
fn has_template_name(query: &str) -> bool {
    let mut in_name = true;
    let mut rest = query;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("{{") {
            if in_name {
                return true;
            }
            rest = rest.find("}}").map_or("", |end| &rest[end + 2..]);
            continue;
        }
        in_name = match c {
            '=' => false,
            '&' => true,
            _ => in_name,
        };
        rest = &rest[c.len_utf8()..];
    }
    false
}

fn has_space_outside_templates(path: &str) -> bool {
    let mut rest = path;
    loop {
        let (plain, template) = rest.split_once("{{").unwrap_or((rest, ""));
        if plain.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return true;
        }
        match template.split_once("}}") {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
}

/// Header names lower-cased, each with its template.
pub(super) fn headers(reader: &mut Reader<'_>, fields: Fields<'_>) -> Vec<(Scalar, Scalar)> {
    let Some(entry) = fields.entry("headers") else {
        return Vec::new();
    };
    let entries = reader.entries(&entry.value, entry.key.span, "`headers`");
    let mut headers: Vec<(Scalar, Scalar)> = Vec::new();
    for entry in entries.unwrap_or_default() {
        let Some(name) = header_name(reader, &entry.key) else {
            continue;
        };
        if headers.iter().any(|(other, _)| other.text == name.text) {
            let message = format!("the header `{}` stands here twice", name.text);
            reader.push(Diagnostic::error("duplicate-key", name.span, message));
            continue;
        }
        if let Some(value) = reader.text(&entry.value, entry.key.span, "a header's value") {
            if !value.text.contains("{{") && value.text.contains(['\r', '\n', '\0']) {
                reader.bad_value(value.span, "a header's value is one line");
            }
            headers.push((name, value.clone()));
        }
    }
    headers
}

/// Whether a text can be the name of a header.
pub(super) fn check_header_name(reader: &mut Reader<'_>, key: &Scalar) -> bool {
    let sign = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let good = !key.text.is_empty() && key.text.bytes().all(sign);
    if !good {
        let message = format!("`{}` cannot be the name of a header", key.shown());
        reader.push(Diagnostic::error("bad-name", key.span, message).help("use letters, digits and `-`"));
    }
    good
}

/// A header's name, lower-cased.
fn header_name(reader: &mut Reader<'_>, key: &Scalar) -> Option<Scalar> {
    if !check_header_name(reader, key) {
        return None;
    }
    let mut name = key.clone();
    name.text.make_ascii_lowercase();
    if matches!(name.text.as_str(), "content-length" | "transfer-encoding" | "connection") {
        reader.push(
            Diagnostic::error("bad-name", key.span, format!("`{}` is set by the connection itself", name.text))
                .help("remove it"),
        );
        return None;
    }
    Some(name)
}

/// Names with scalar values, for `query` and `form`.
fn pairs(reader: &mut Reader<'_>, fields: Fields<'_>, key: &str) -> Vec<(Scalar, Node)> {
    let Some(entry) = fields.entry(key) else {
        return Vec::new();
    };
    let what = format!("`{key}`");
    let entries = reader.entries(&entry.value, entry.key.span, &what);
    let mut pairs = Vec::new();
    for entry in entries.unwrap_or_default() {
        reader.plain(&entry.key, &format!("a name in {what}"));
        if reader.text(&entry.value, entry.key.span, &format!("a value of {what}")).is_some() {
            pairs.push((entry.key.clone(), entry.value.clone()));
        }
    }
    pairs
}

fn body(reader: &mut Reader<'_>, fields: Fields<'_>) -> BodyPlan {
    let kinds = ["json", "form", "body", "multipart"];
    let given: Vec<_> = kinds.iter().filter_map(|key| fields.entry(key)).collect();
    if let [first, second, ..] = given.as_slice() {
        reader.push(
            Diagnostic::error(
                "two-bodies",
                second.key.span,
                format!("a request has one body, and it has `{}` already", first.key.text),
            )
            .help("remove one of them"),
        );
    }
    if let Some(node) = fields.get("json") {
        check_json_keys(reader, node);
        return BodyPlan::Json(node.clone());
    }
    if fields.get("form").is_some() {
        return BodyPlan::Form(pairs(reader, fields, "form"));
    }
    if let Some(entry) = fields.entry("multipart") {
        return multipart::read(reader, entry);
    }
    if let Some(entry) = fields.entry("body").filter(|e| matches!(e.value, Node::Map(..))) {
        return multipart::file_body(reader, entry);
    }
    match reader.text_at(fields, "body") {
        Some(text) => BodyPlan::Text(text.clone()),
        None => BodyPlan::Empty,
    }
}

pub(super) fn check_json_keys(reader: &mut Reader<'_>, node: &Node) {
    match node {
        Node::Scalar(_) => {}
        Node::List(items, _) => items.iter().for_each(|n| check_json_keys(reader, n)),
        Node::Map(entries, _) => {
            for entry in entries {
                reader.plain(&entry.key, "a key of a JSON body");
                check_json_keys(reader, &entry.value);
            }
        }
    }
}

fn identities(reader: &mut Reader<'_>, fields: Fields<'_>) -> Vec<(Scalar, Scalar)> {
    let Some(entry) = fields.entry("identity") else {
        return Vec::new();
    };
    let entries = reader.entries(&entry.value, entry.key.span, "`identity`");
    let mut identities = Vec::new();
    for entry in entries.unwrap_or_default() {
        if let Some(value) = reader.text(&entry.value, entry.key.span, "an identity") {
            identities.push((entry.key.clone(), value.clone()));
        }
    }
    identities
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] = &[
    ("request", &REQUEST),
    ("probe_request", &PROBE),
    ("expect", &expect::EXPECT),
    ("expect_body", &expect::BODY),
    ("condition_map", &expect::CONDITION),
    ("saved", &save::SAVE),
    ("retry", &retry::RETRY),
    ("step_poll", &poll::POLL),
    ("auth", &auth::AUTH),
    ("oauth2", &auth::OAUTH2),
    ("part", &multipart::PART),
    ("named_part", &multipart::NAMED),
    ("file_body", &multipart::FILE),
    ("echo", &guard::ECHO),
    ("events", &events::EVENTS),
    ("socket", &UPGRADE),
];
