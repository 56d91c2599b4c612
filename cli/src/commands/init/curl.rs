//! A curl command as a starter: quoting as in a shell, the options that say what is sent.
//! In: the command line as copied from somewhere. Out: [`Starter`], or what was not understood.

use super::starter::{Body, Part, Request, Starter, value};
use super::words;
use serde_json::Value as Json;
use url::Url;

/// Options of curl that change nothing here and take no value.
const IGNORED: &[&str] = &[
    "-s",
    "-S",
    "-i",
    "-v",
    "-f",
    "-g",
    "-#",
    "-N",
    "-0",
    "-1",
    "-4",
    "-6",
    "-q",
    "--silent",
    "--show-error",
    "--include",
    "--verbose",
    "--fail",
    "--globoff",
    "--no-buffer",
    "--compressed",
    "--http1.1",
    "--http1.0",
    "--http2",
    "--ipv4",
    "--ipv6",
    "--no-progress-meter",
    "--progress-bar",
    "--path-as-is",
    "--tlsv1.2",
    "--fail-with-body",
];

/// Options with a value that change nothing here.
const IGNORED_WITH_VALUE: &[&str] = &[
    "-o",
    "-w",
    "-m",
    "-c",
    "--output",
    "--write-out",
    "--max-time",
    "--connect-timeout",
    "--cookie-jar",
    "--retry",
    "--retry-delay",
    "--max-redirs",
    "--limit-rate",
    "-D",
    "--dump-header",
];

/// Reads a command.
///
/// # Errors
/// What cannot be understood, in a sentence.
pub fn read(text: &str) -> Result<Starter, String> {
    let words = split(text)?;
    let mut words = words.into_iter().peekable();
    if words.peek().is_some_and(|first| first == "curl" || first.ends_with("/curl") || first == "curl.exe") {
        words.next();
    }
    let mut command = Command::default();
    while let Some(word) = words.next() {
        command.take(&word, &mut words)?;
    }
    command.starter()
}

#[derive(Debug, Default)]
struct Command {
    url: Option<String>,
    method: Option<String>,
    headers: Vec<(String, String)>,
    data: Vec<String>,
    is_json: bool,
    as_query: bool,
    user: bool,
    form: Vec<Part>,
    insecure: bool,
    notes: Vec<String>,
}

impl Command {
    fn take(&mut self, word: &str, rest: &mut dyn Iterator<Item = String>) -> Result<(), String> {
        let (option, attached) = normal(word);
        if !option.starts_with('-') || option == "-" {
            return self.address(&option);
        }
        let mut argument = || attached.clone().or_else(|| rest.next()).ok_or_else(|| format!("{option} needs a value"));
        match option.as_str() {
            "-X" | "--request" => self.method = Some(argument()?.to_uppercase()),
            "-H" | "--header" => self.header(&argument()?)?,
            "-d" | "--data" | "--data-raw" | "--data-binary" | "--data-ascii" => {
                let data = argument()?;
                let is_file = data.starts_with('@') && option != "--data-raw";
                self.note_if(is_file, "the body came from a file: write it in here");
                self.data.push(data);
            }
            "--data-urlencode" => self.data.push(urlencoded(&argument()?)),
            "--json" => {
                self.is_json = true;
                self.data.push(argument()?);
            }
            "-u" | "--user" => {
                argument()?;
                self.user = true;
            }
            "-F" | "--form" | "--form-string" => {
                let part = argument()?;
                let (name, value) = part.split_once('=').ok_or("-F wants NAME=VALUE")?;
                self.part(name, value, option == "--form-string");
            }
            "-G" | "--get" => self.as_query = true,
            "-I" | "--head" => self.method = Some("HEAD".into()),
            "-A" | "--user-agent" => self.headers.push(("user-agent".into(), value(&argument()?))),
            "-e" | "--referer" => self.headers.push(("referer".into(), value(&argument()?))),
            "-b" | "--cookie" => {
                argument()?;
                self.header("cookie: x")?;
            }
            "--oauth2-bearer" => {
                argument()?;
                self.header("authorization: Bearer x")?;
            }
            "-k" | "--insecure" => self.insecure = true,
            "-L" | "--location" => {
                self.notes.push("curl followed redirects (-L); here each answer is judged itself".into())
            }
            "--url" => {
                let url = argument()?;
                self.address(&url)?;
            }
            other if IGNORED.contains(&other) => {}
            other if IGNORED_WITH_VALUE.contains(&other) => {
                argument()?;
            }
            other => {
                return Err(format!("the option {other} is not known here: take it out, or write the step by hand"));
            }
        }
        Ok(())
    }

    fn note_if(&mut self, holds: bool, note: &str) {
        if holds {
            self.notes.push(note.to_owned());
        }
    }

    /// A part of a form: `name=text`, or `name=@file` (`<file` is its text), with `;type=…` and `;filename=…` behind it.
    fn part(&mut self, name: &str, text: &str, is_literal: bool) {
        let mut part = Part { name: plain(name), ..Part::default() };
        let mut pieces = text.split(';');
        let mut content = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            match piece.trim().split_once('=') {
                Some(("type", kind)) if !is_literal && kind.contains('/') && !kind.contains(char::is_control) => {
                    part.kind = Some(plain(kind));
                }
                Some(("filename", file)) if !is_literal => part.filename = Some(plain(file.trim_matches('"'))),
                _ => content = format!("{content};{piece}"),
            }
        }
        part.content = match content.strip_prefix(['@', '<']).filter(|_| !is_literal) {
            None => ("text", form_value(name, &content)),
            Some(path) if std::path::Path::new(path).is_file() => ("file", plain(path)),
            Some(path) => {
                let base = path.rsplit(['/', '\\']).next().unwrap_or_default();
                part.filename = part.filename.or_else(|| Some(plain(base)));
                self.notes.push(format!(
                    "`{path}` is not here: put the file beside this one, and `file:` in place of `base64:`"
                ));
                ("base64", "aGVsbG8=".into())
            }
        };
        self.form.push(part);
    }

    fn address(&mut self, text: &str) -> Result<(), String> {
        if self.url.is_some() {
            return Err(format!("`{text}` is a second address: one command has one"));
        }
        self.url = Some(if text.contains("://") { text.to_owned() } else { format!("http://{text}") });
        Ok(())
    }

    fn header(&mut self, text: &str) -> Result<(), String> {
        let Some((name, text)) = text.split_once(':') else {
            // `-H 'X-Name;'` sends an empty header, `-H 'X-Name'` is curl's mistake.
            return Err("-H wants `Name: value`".to_owned());
        };
        let (name, text) = (name.trim().to_lowercase(), text.trim());
        let is_token =
            !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_|~".contains(&c));
        if !is_token {
            return Err("the name before the colon of a -H is none that HTTP allows".to_owned());
        }
        if let Some((name, text)) = written_header(&name, text)
            && !self.headers.iter().any(|(n, _)| *n == name)
        {
            self.headers.push((name, text));
        }
        Ok(())
    }

    fn starter(mut self) -> Result<Starter, String> {
        let text = self.url.take().ok_or("there is no address in it")?;
        let url = Url::parse(&text).map_err(|e| format!("the address cannot be read: {e}"))?;
        let base = base(&url)?;
        if self.user || !url.username().is_empty() {
            let basic = "Basic {{ base64('${BASIC_USER:-replace-me}:${BASIC_PASSWORD:-replace-me}') }}";
            self.headers.retain(|(name, _)| name != "authorization");
            self.headers.push(("authorization".into(), basic.into()));
        }
        let has_data = !self.data.is_empty() && !self.as_query;
        let method = self
            .method
            .clone()
            .unwrap_or_else(|| if has_data || !self.form.is_empty() { "POST".into() } else { "GET".into() });
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        if !known.contains(&method.as_str()) {
            return Err(format!("`{method}` is no method of a request: {}", known.join(", ")));
        }
        let mut request = Request { method, ..Request::default() };
        (request.path, request.query) = path_and_query(&url);
        if self.as_query {
            let data = self.data.join("&");
            request.query.extend(form_fields(&data));
        } else if has_data {
            request.body = self.body();
        }
        if !self.form.is_empty() {
            request.body = Body::Multipart(std::mem::take(&mut self.form));
        }
        let content_type = self.headers.iter().find(|(n, _)| n == "content-type").map(|(_, v)| v.clone());
        if content_type.is_some_and(|kind| is_usual(&request.body, &kind)) {
            self.headers.retain(|(name, _)| name != "content-type");
        }
        let mut notes = vec!["Made from a curl command; credentials are variables of the environment.".to_owned()];
        notes.append(&mut self.notes);
        Ok(Starter {
            name: url.host_str().unwrap_or("curl").to_owned(),
            notes,
            url: base,
            insecure: self.insecure,
            headers: self.headers,
            steps: vec![request],
            ..Starter::default()
        })
    }

    fn body(&mut self) -> Body {
        let data = self.data.join("&");
        let content_type = self.headers.iter().find(|(n, _)| n == "content-type").map(|(_, v)| v.to_lowercase());
        let says_json = self.is_json || content_type.as_ref().is_some_and(|kind| kind.contains("json"));
        let json = serde_json::from_str::<Json>(&data).ok().filter(|json| says_json || json.is_object());
        if let Some(json) = json.as_ref().and_then(words::json_body) {
            return Body::Json(json);
        }
        let is_form = content_type.as_ref().is_none_or(|kind| kind.contains("urlencoded"));
        if is_form && data.contains('=') && !data.contains(['{', '\n', ' ']) {
            return Body::Form(form_fields(&data));
        }
        if content_type.is_none() {
            self.headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
        }
        Body::Text(value(&data))
    }
}

/// `--name=value`, `-XPOST` and `-sSL` as option and value; several short flags become their last one if all are known.
fn normal(word: &str) -> (String, Option<String>) {
    if let Some((name, value)) = word.split_once('=').filter(|(name, _)| name.starts_with("--")) {
        return (name.to_owned(), Some(value.to_owned()));
    }
    let is_short = word.starts_with('-') && !word.starts_with("--");
    let Some(letter) = word.chars().nth(1).filter(|_| is_short && word.chars().count() > 2) else {
        return (word.to_owned(), None);
    };
    let option = format!("-{letter}");
    if "XHduFAebowmcD".contains(letter) {
        let value: String = word.chars().skip(2).collect();
        return (option, Some(value));
    }
    // Flags such as `-sSL`: the ones that matter win.
    let matters = word.chars().skip(1).find(|c| "kGIL".contains(*c));
    (format!("-{}", matters.unwrap_or(letter)), None)
}

/// A header as the scenario says it; `None` for those that the connection sets.
pub(super) fn written_header(name: &str, text: &str) -> Option<(String, String)> {
    let own =
        ["host", "content-length", "connection", "transfer-encoding", "accept-encoding", "te", "keep-alive", "upgrade"];
    if own.contains(&name) || name.starts_with(':') {
        return None;
    }
    let text = text.replace(['\r', '\n', '\0'], " ");
    let shown = match text.split_once(' ') {
        Some((scheme, _)) if name == "authorization" && scheme.chars().all(|c| c.is_ascii_alphabetic()) => {
            format!("{scheme} {}", words::variable("authorization"))
        }
        _ if words::is_secret(name) => words::variable(name),
        _ => value(&text),
    };
    Some((name.to_owned(), shown))
}

/// Scheme and authority of an address, without user and password.
pub(super) fn base(url: &Url) -> Result<String, String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{}` is no address for HTTP", url.scheme()));
    }
    let host = url.host_str().ok_or("the address has no host")?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if host.is_empty() || !host.chars().all(is_plain) {
        return Err(format!("`{}` is no host", host.escape_debug()));
    }
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    Ok(format!("{}://{host}{port}", url.scheme()))
}

/// The path of a step's key, and the query parameters that cannot stand in it as they are.
pub(super) fn path_and_query(url: &Url) -> (String, Vec<(String, String)>) {
    let path = words::path(url.path());
    let Some(query) = url.query().filter(|q| !q.is_empty()) else {
        return (path, Vec::new());
    };
    let is_plain = |part: &str| {
        let name = part.split('=').next().unwrap_or_default();
        !words::is_secret(&words::decoded(name))
    };
    if query.split('&').all(is_plain) {
        return (words::path(&format!("{}?{query}", url.path())), Vec::new());
    }
    (path, form_fields(query))
}

/// `a=1&b=2` as names and values; the first of a name is kept, as a map has each name once.
pub(super) fn form_fields(text: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for (name, text) in url::form_urlencoded::parse(text.as_bytes()) {
        let written = value(&name);
        if !name.contains("{{") && !fields.iter().any(|(n, _)| *n == written) {
            fields.push((written, form_value(&name, &text)));
        }
    }
    fields
}

fn form_value(name: &str, text: &str) -> String {
    if words::is_secret(name) { words::variable(name) } else { value(text) }
}

/// Text where no template may stand.
fn plain(text: &str) -> String {
    text.replace("{{", "").replace("${", "$${")
}

fn urlencoded(text: &str) -> String {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    match text.split_once('=') {
        Some(("", text)) => encode(text),
        Some((name, text)) => format!("{name}={}", encode(text)),
        None => encode(text),
    }
}

/// Whether a body of this kind is sent with this type anyway.
pub(super) fn is_usual(body: &Body, kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match body {
        Body::Json(_) => kind == "application/json",
        Body::Form(_) => kind == "application/x-www-form-urlencoded" || kind == "multipart/form-data",
        Body::Multipart(_) => kind == "multipart/form-data",
        Body::Text(_) | Body::Empty => false,
    }
}

/// A command line into words, as a shell does: quotes, escapes, `$'…'`, lines that end in `\`, or `^` as in Windows.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => single(&mut chars, word.get_or_insert_default())?,
            '"' => double(&mut chars, word.get_or_insert_default())?,
            '$' if chars.peek() == Some(&'\'') => {
                chars.next();
                ansi(&mut chars, word.get_or_insert_default())?;
            }
            '\\' | '^' if matches!(chars.peek(), Some('\n' | '\r')) => {
                while matches!(chars.peek(), Some('\n' | '\r')) {
                    chars.next();
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            ';' | '|' | '&' | '>' | '<' if word.is_none() => {
                return Err(format!("a command ends at `{c}`: give one curl command alone"));
            }
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if words.is_empty() { Err("there is no command in it".into()) } else { Ok(words) }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn single(chars: &mut Chars<'_>, word: &mut String) -> Result<(), String> {
    loop {
        match chars.next().ok_or("a `'` is never closed")? {
            '\'' => return Ok(()),
            c => word.push(c),
        }
    }
}

fn double(chars: &mut Chars<'_>, word: &mut String) -> Result<(), String> {
    loop {
        match chars.next().ok_or("a `\"` is never closed")? {
            '"' => return Ok(()),
            '\\' => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                Some('\n') => {}
                Some(c) => word.extend(['\\', c]),
                None => return Err("a `\"` is never closed".into()),
            },
            c => word.push(c),
        }
    }
}

/// `$'…'`, which browsers write when they copy a request.
fn ansi(chars: &mut Chars<'_>, word: &mut String) -> Result<(), String> {
    loop {
        match chars.next().ok_or("a `$'` is never closed")? {
            '\'' => return Ok(()),
            '\\' => match chars.next() {
                Some('n') => word.push('\n'),
                Some('r') => word.push('\r'),
                Some('t') => word.push('\t'),
                Some(kind @ ('u' | 'x' | 'U')) => {
                    let most = match kind {
                        'x' => 2,
                        'u' => 4,
                        _ => 8,
                    };
                    let mut digits = String::new();
                    while digits.len() < most && chars.peek().is_some_and(char::is_ascii_hexdigit) {
                        digits.extend(chars.next());
                    }
                    word.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
                }
                Some(c) => word.push(c),
                None => return Err("a `$'` is never closed".into()),
            },
            c => word.push(c),
        }
    }
}
