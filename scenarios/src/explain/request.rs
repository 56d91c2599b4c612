//! A request in words.
//! In: a request of the program. Out: its line, and a line for each of its parts.

use super::{delay_in_words, shown};
use crate::expr::Template;
use crate::guard::EchoFrom;
use crate::jsonpath::JsonPath;
use crate::program::{Body, CompareOp, Condition, Control, Program, Request, SaveSource};
use crate::units::format_duration;

/// `POST /auth/login → api`.
pub(super) fn line(program: &Program, request: &Request) -> String {
    let kind = match &request.probe {
        Some(probe) => format!("probe of another {}: ", program.roles[probe.role].name),
        None => String::new(),
    };
    let mut path = request.path.written().to_owned();
    for (i, (name, value)) in request.query.iter().enumerate() {
        path.push_str(if i == 0 && !path.contains('?') { "?" } else { "&" });
        path.push_str(&format!("{name}={}", shown(name, value)));
    }
    let target = &program.targets[request.target].name;
    let step = &program.steps[request.step].name;
    let name = if *step == format!("{} {}", request.method, request.path.written()) {
        String::new()
    } else {
        format!(" (named `{step}`)")
    };
    format!("{kind}{} {path} → {target}{name}", request.method)
}

/// What it sends, expects and saves, a line each.
pub(super) fn parts(program: &Program, request: &Request) -> Vec<String> {
    let mut parts = Vec::new();
    for (name, value) in &request.headers {
        parts.push(format!("header {name}: {}", shown(name, value)));
    }
    match &request.body {
        Body::Empty => {}
        Body::Json(json) => parts.push(format!("json {}", json.outline())),
        Body::Form(fields) => {
            let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", shown(name, value))).collect();
            parts.push(format!("form {}", fields.join("&")));
        }
        Body::Text(text) => parts.push(format!("body {}", one_line(text.written()))),
        Body::Multipart(form) => parts.push(format!("multipart {}", form.names().join(", "))),
        Body::Bytes { bytes, kind } => parts.push(format!("body of {} bytes, {kind}", bytes.len())),
    }
    if request.plants_marker {
        parts.push("plants a marker".into());
    }
    if request.timeout_ns != program.targets[request.target].timeout_ns {
        parts.push(format!("timeout {}", format_duration(request.timeout_ns)));
    }
    if let Some(abandon) = &request.abandon {
        parts.push(format!("abandon {}", abandon.in_words()));
    }
    expectation_lines(request, &mut parts);
    super::streams::events(request, &mut parts);
    for identity in &request.identities {
        parts.push(format!("identity {} is {}", identity.path.text(), identity.expected.written()));
    }
    for save in &request.saves {
        let from = match &save.source {
            SaveSource::Json(path) => path.text().to_owned(),
            SaveSource::Header(name) => format!("header {name}"),
            SaveSource::Regex(pattern) => format!("/{pattern}/"),
            SaveSource::Cookie(name) => format!("cookie {name}"),
            SaveSource::Css(css) => css.in_words(),
        };
        let kind = match (save.credential, save.secret) {
            (true, _) => ", a credential",
            (false, true) => ", a secret",
            (false, false) => "",
        };
        let default = save.default.as_ref().map_or(String::new(), |value| format!(", else {value}"));
        parts.push(format!("save {} from {from}{kind}{default}", save.name));
    }
    repetitions(request, &mut parts);
    guard(program, request, &mut parts);
    if request.continue_on_failure {
        parts.push("goes on after a failure".into());
    }
    parts
}

/// What it does for the isolation check.
fn guard(program: &Program, request: &Request, parts: &mut Vec<String>) {
    let slots = &program.journeys[program.steps[request.step].journey].slot_names;
    let name = |slot: &crate::expr::Slot| slots.get(usize::from(*slot)).map_or("?", String::as_str);
    if let Some(echo) = &request.guard.echo {
        let read = match &echo.read {
            EchoFrom::Header(name) => format!("header {name}"),
            EchoFrom::Json(path) => path.text().to_owned(),
        };
        parts.push(format!("echo: sends a fresh {}, reads it back from {read}", echo.send));
    }
    if let Some(slot) = &request.guard.revokes {
        parts.push(format!("revokes {}", name(slot)));
    }
    if let Some(slot) = &request.guard.repeats {
        parts.push(format!("asks again for the last answer with an own marker, with the revoked {}", name(slot)));
    }
}

/// What an answer must be like, in words, by kind and in the order of the request's own lists.
#[derive(Debug)]
pub struct Expectations {
    /// The status.
    pub status: String,
    /// `expect.under`.
    pub under: Option<String>,
    /// `expect.header`.
    pub headers: Vec<String>,
    /// `expect.body.contains`.
    pub contains: Vec<String>,
    /// `expect.body.matches`.
    pub matches: Vec<String>,
    /// `expect.json`.
    pub json: Vec<String>,
    /// `expect.that`.
    pub that: Option<String>,
}

/// The expectations of a request in words.
pub fn expectations(request: &Request) -> Expectations {
    let expect = &request.expect;
    let status = match (expect.status.as_slice(), &request.probe) {
        ([], None) => "status below 400".into(),
        ([], Some(_)) => "status below 400, or refused with 401, 403 or 404".into(),
        (list, _) => format!("status {}", statuses(list)),
    };
    let under = expect.under_ns.map(|ns| format!("it under {}", format_duration(ns)));
    let header = |(name, condition): &(String, Condition)| format!("header {name} {}", condition_in_words(condition));
    let json = |(path, condition): &(JsonPath, Condition)| format!("{} {}", path.text(), condition_in_words(condition));
    let contains = |text: &Template| format!("the body to contain {}", one_line(text.written()));
    Expectations {
        status,
        under,
        headers: expect.headers.iter().map(header).collect(),
        contains: expect.contains.iter().map(contains).collect(),
        matches: expect.matches.iter().map(|pattern| format!("the body to match /{pattern}/")).collect(),
        json: expect.json.iter().map(json).collect(),
        that: expect.that.as_ref().map(|that| format!("that {}", that.written())),
    }
}

fn expectation_lines(request: &Request, parts: &mut Vec<String>) {
    let words = expectations(request);
    if !request.expect.status.is_empty() || request.probe.is_some() {
        parts.push(format!("expect {}", words.status));
    }
    let lists = words.json.into_iter().chain(words.contains).chain(words.matches).chain(words.headers);
    parts.extend(lists.chain(words.under).chain(words.that).map(|line| format!("expect {line}")));
    match request.expect.marker {
        Some(Control::Own) => parts.push("expect a marker of my own".into()),
        Some(Control::Permitted) => parts.push("expect a marker that I may see".into()),
        Some(Control::Latest) => parts.push("expect the marker of my newest acknowledged write".into()),
        None => {}
    }
}

/// `200 or 400 to 499`.
pub(super) fn statuses(ranges: &[(u16, u16)]) -> String {
    let words = |(low, high): &(u16, u16)| if low == high { low.to_string() } else { format!("{low} to {high}") };
    ranges.iter().map(words).collect::<Vec<_>>().join(" or ")
}

/// When it is made again.
fn repetitions(request: &Request, parts: &mut Vec<String>) {
    if let Some(retry) = &request.retry {
        let mut on: Vec<_> = retry.on.iter().map(|range| statuses(std::slice::from_ref(range))).collect();
        on.extend(retry.on_timeout.then(|| "timeout".into()));
        on.extend(retry.on_connection.then(|| "connection".into()));
        let wait = retry.wait.map_or_else(|| "at once".into(), |wait| format!("after {}", delay_in_words(wait)));
        parts.push(format!("retry on {}, {} times at most, {wait}", on.join(" or "), retry.times));
    }
    if let Some(poll) = &request.poll {
        let until = poll.until.as_ref().map_or("its status is below 400", |until| until.written());
        let (every, within) = (format_duration(poll.every_ns), format_duration(poll.within_ns));
        parts.push(format!("poll every {every} within {within} until {until}"));
    }
}

/// `is 3`, `< 3`, `matches /x/`, `exists`.
pub(super) fn condition_in_words(condition: &Condition) -> String {
    match condition {
        Condition::Equals(value) => format!("is {}", value.written()),
        Condition::Compare(op, value) => {
            let sign = match op {
                CompareOp::Less => "<",
                CompareOp::AtMost => "<=",
                CompareOp::More => ">",
                CompareOp::AtLeast => ">=",
                CompareOp::Not => "!=",
            };
            format!("{sign} {}", value.written())
        }
        Condition::Matches(pattern) => format!("matches /{pattern}/"),
        Condition::Exists(true) => "exists".into(),
        Condition::Exists(false) => "does not exist".into(),
    }
}

fn one_line(text: &str) -> String {
    text.replace('\r', "").replace('\n', "⏎")
}
