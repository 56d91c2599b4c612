//! An OpenAPI 3 description, in YAML or JSON, as a starter: each operation once, in the order of the description.
//! In: the file's text. Out: [`Starter`]; security schemes become headers, an operation that logs in becomes `before`.

use super::sample::{resolve, sample};
use super::starter::{Body, Request, Starter, value};
use super::words;
use scenarios::syntax::{self, Node};
use serde_json::{Map, Value as Json};
use url::Url;

/// Most steps of a starter: a person reads and edits it.
const MOST_STEPS: usize = 300;
const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "options", "delete"];

/// Reads a description.
///
/// # Errors
/// What is no OpenAPI 3, in a sentence.
pub fn read(text: &str) -> Result<Starter, String> {
    let document = parse(text)?;
    if document.get("swagger").is_some() {
        return Err("this is Swagger 2: convert it to OpenAPI 3 first (editor.swagger.io does)".into());
    }
    let is_openapi = document["openapi"].as_str().is_some_and(|version| version.starts_with('3'));
    let version_number = document["openapi"].as_f64().is_some_and(|version| (3.0..4.0).contains(&version));
    let paths = document["paths"].as_object().filter(|_| is_openapi || version_number);
    let paths = paths.ok_or("this is no OpenAPI 3 description: `openapi: 3.…` and `paths` are needed")?;
    let (url, prefix, note) = server(&document["servers"][0]);
    let title = document["info"]["title"].as_str().unwrap_or("API").to_owned();
    let mut starter = Starter {
        notes: vec![format!(
            "Made from the OpenAPI description of {}: each operation once, to be put into the order of a user.",
            words::comment(&title)
        )],
        name: title,
        url,
        ..Starter::default()
    };
    starter.notes.extend(note);
    let mut reader = Reader { document: &document, starter, prefix };
    let mut last = Vec::new();
    for (path, item) in paths {
        for method in METHODS {
            if let Some(operation) = resolve(&document, item).get(method) {
                let request = reader.operation(method, path, resolve(&document, item), operation);
                // What deletes comes last: the others need what it would remove.
                if method == "delete" { last.push(request) } else { reader.starter.steps.push(request) }
            }
        }
    }
    reader.starter.steps.append(&mut last);
    reader.security();
    let mut starter = reader.starter;
    if starter.steps.is_empty() && starter.before.is_empty() {
        return Err("there is no operation under `paths`".into());
    }
    if starter.steps.len() > MOST_STEPS {
        starter.notes.push(format!("The first {MOST_STEPS} of {} operations are here.", starter.steps.len()));
        starter.steps.truncate(MOST_STEPS);
    }
    for step in starter.steps.iter_mut().skip(1) {
        step.think = Some("1s..3s".into());
    }
    Ok(starter)
}

/// JSON, or YAML with the parser of scenario files.
fn parse(text: &str) -> Result<Json, String> {
    if text.trim_start().starts_with('{')
        && let Ok(json) = serde_json::from_str(text)
    {
        return Ok(json);
    }
    let (tree, mistakes) = syntax::parse(text);
    match tree {
        Some(tree) if !mistakes.iter().any(scenarios::Diagnostic::is_error) => Ok(json_of(&tree)),
        _ => {
            let why = mistakes.first().map_or("it holds nothing", |d| d.message.as_str());
            Err(format!("it cannot be read as YAML or JSON: {why}"))
        }
    }
}

fn json_of(node: &Node) -> Json {
    match node {
        Node::Scalar(scalar) => scalar.value().to_json(),
        Node::List(items, _) => Json::Array(items.iter().map(json_of).collect()),
        Node::Map(entries, _) => {
            Json::Object(entries.iter().map(|e| (e.key.text.clone(), json_of(&e.value))).collect::<Map<_, _>>())
        }
    }
}

/// Base address, path before every path, and a note when the description names no whole address.
fn server(server: &Json) -> (String, String, Option<String>) {
    const LOCAL: &str = "http://127.0.0.1:8080";
    let mut text = server["url"].as_str().unwrap_or("/").to_owned();
    for (name, variable) in server["variables"].as_object().into_iter().flatten() {
        let default = variable["default"].as_str().map_or_else(|| variable["default"].to_string(), str::to_owned);
        text = text.replace(&format!("{{{name}}}"), &default);
    }
    let url = Url::parse(&text).ok().filter(|url| !text.contains('{') && !url.path().contains("%7B"));
    match url.as_ref().map(|url| (super::curl::base(url), url.path().trim_end_matches('/'))) {
        Some((Ok(base), path)) => (base, words::path(path).trim_end_matches('/').to_owned(), None),
        _ => {
            let path = if text.starts_with('/') { text.trim_end_matches('/') } else { "" };
            let prefix = if path.is_empty() { String::new() } else { words::path(path) };
            (LOCAL.into(), prefix, Some("The description names no whole address: write one under `targets`.".into()))
        }
    }
}

struct Reader<'a> {
    document: &'a Json,
    starter: Starter,
    prefix: String,
}

impl Reader<'_> {
    fn operation(&mut self, method: &str, path: &str, item: &Json, operation: &Json) -> Request {
        let mut request = Request { method: method.to_uppercase(), ..Request::default() };
        let summary = operation["summary"].as_str().or(operation["operationId"].as_str()).unwrap_or_default();
        request.about =
            if operation["deprecated"] == true { format!("{summary} (deprecated)") } else { summary.to_owned() };
        if let Some(tag) = operation["tags"][0].as_str() {
            request.tags.push(words::plain_name(tag, "api"));
        }
        let mut parameters: Vec<&Json> = Vec::new();
        // An operation's own parameter goes before the path's of the same name.
        for list in [&operation["parameters"], &item["parameters"]] {
            for parameter in list.as_array().into_iter().flatten().map(|p| resolve(self.document, p)) {
                let is_same = |p: &&Json| p["name"] == parameter["name"] && p["in"] == parameter["in"];
                if parameter["name"].is_string() && !parameters.iter().any(is_same) {
                    parameters.push(parameter);
                }
            }
        }
        request.path = self.path(path, &parameters);
        for parameter in &parameters {
            self.parameter(parameter, &mut request);
        }
        self.body(&operation["requestBody"], &mut request);
        request.status = operation["responses"].as_object().and_then(|codes| {
            codes.keys().filter_map(|code| code.parse::<u16>().ok()).find(|code| (200..300).contains(code))
        });
        request
    }

    /// `/pets/{petId}` as `/pets/{{ petId }}`, with an example for the variable.
    fn path(&mut self, path: &str, parameters: &[&Json]) -> String {
        let mut out = String::new();
        // A parameter may stand in the path alone, whatever the description says.
        let path = match path.split_once('?') {
            Some((_, query)) if query.contains('{') => path.replace('?', "%3F"),
            _ => path.to_owned(),
        };
        let mut rest = path.as_str();
        while let Some((plain, after)) = rest.split_once('{') {
            out.push_str(plain);
            if out.ends_with('$') {
                // Before a template it would be read as the start of a variable of the environment.
                out.truncate(out.len() - 1);
                out.push_str("%24");
            }
            let Some((name, tail)) = after.split_once('}') else { break };
            let variable = words::variable_name(name);
            let parameter = parameters.iter().find(|p| p["name"] == name && p["in"] == "path");
            let example = parameter.map_or(Json::from(1), |p| self.example(p));
            let example = if example.is_string() || example.is_number() { example } else { Json::from(1) };
            if !self.starter.variables.iter().any(|(n, _)| *n == variable) {
                self.starter.variables.push((variable.clone(), example));
            }
            out.push_str(&format!("\u{1}{variable}\u{2}"));
            rest = tail;
        }
        out.push_str(rest);
        let encoded: String = out.split('\u{1}').enumerate().fold(String::new(), |mut text, (i, part)| {
            match part.split_once('\u{2}').filter(|_| i > 0) {
                Some((variable, plain)) => text.push_str(&format!("{{{{ {variable} }}}}{}", encoded(plain))),
                None => text.push_str(&encoded(part)),
            }
            text
        });
        let path = format!("{}{encoded}", self.prefix);
        if path.starts_with('/') { path } else { format!("/{path}") }
    }

    fn example(&self, parameter: &Json) -> Json {
        let given = parameter.get("example").cloned().or_else(|| first_example(self.document, &parameter["examples"]));
        given.unwrap_or_else(|| sample(self.document, &parameter["schema"], 0))
    }

    fn parameter(&self, parameter: &Json, request: &mut Request) {
        let name = parameter["name"].as_str().unwrap_or_default();
        if parameter["required"] != true || name.contains("{{") || name.contains("${") {
            return;
        }
        let text = match self.example(parameter) {
            Json::String(text) => text,
            Json::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
            other => plain(&other),
        };
        let written = if words::is_secret(name) { words::variable(name) } else { value(&text) };
        match parameter["in"].as_str() {
            Some("query") => request.query.push((name.to_owned(), written)),
            Some("header") => {
                let name = name.to_lowercase();
                let is_token =
                    !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c));
                let own = [
                    "accept",
                    "content-type",
                    "authorization",
                    "host",
                    "content-length",
                    "connection",
                    "transfer-encoding",
                ];
                if is_token && !own.contains(&name.as_str()) && !request.headers.iter().any(|(n, _)| *n == name) {
                    request.headers.push((name, written.replace(['\r', '\n', '\0'], " ")));
                }
            }
            _ => {}
        }
    }

    fn body(&self, body: &Json, request: &mut Request) {
        let body = resolve(self.document, body);
        let Some(content) = body["content"].as_object() else { return };
        let find = |wanted: &str| content.iter().find(|(kind, _)| kind.contains(wanted));
        let Some((kind, media)) = find("json").or_else(|| find("form")).or_else(|| content.iter().next()) else {
            return;
        };
        let given = media.get("example").cloned().or_else(|| first_example(self.document, &media["examples"]));
        let example = given.unwrap_or_else(|| sample(self.document, &media["schema"], 0));
        if kind.contains("json") {
            request.body = words::json_body(&example).map_or(Body::Empty, Body::Json);
            if kind != "application/json" && !kind.contains('*') {
                request.headers.push(("content-type".into(), value(kind)));
            }
        } else if let (true, Json::Object(fields)) = (kind.contains("form"), &example) {
            let field = |(name, v): (&String, &Json)| {
                let written = if words::is_secret(name) { words::variable(name) } else { value(&plain(v)) };
                (value(name), written)
            };
            request.body = Body::Form(fields.iter().filter(|(name, _)| !name.contains("{{")).map(field).collect());
        } else if !example.is_null() && kind.starts_with("text/") {
            request.body = Body::Text(value(&plain(&example)));
            request.headers.push(("content-type".into(), value(kind)));
        }
    }

    /// Security schemes as headers; an operation that takes a password and gives a token logs in before.
    fn security(&mut self) {
        let schemes = self.document["components"]["securitySchemes"].as_object().cloned().unwrap_or_default();
        for (name, scheme) in &schemes {
            let scheme = resolve(self.document, scheme);
            let kind = (
                scheme["type"].as_str().unwrap_or_default(),
                scheme["scheme"].as_str().unwrap_or_default().to_lowercase(),
            );
            let header = match (kind.0, kind.1.as_str()) {
                ("http", "basic") => {
                    self.starter.accounts = true;
                    Some((
                        "authorization".into(),
                        "Basic {{ base64(account.username + ':' + account.password) }}".to_owned(),
                    ))
                }
                ("http", _) | ("oauth2" | "openIdConnect", _) => Some(("authorization".to_owned(), self.bearer())),
                ("apiKey", _) => {
                    let key = scheme["name"].as_str().unwrap_or_default().to_lowercase();
                    match scheme["in"].as_str() {
                        Some("header") => Some((key, words::variable(name))),
                        Some("cookie") => {
                            Some(("cookie".to_owned(), format!("{}={}", value(&key), words::variable(name))))
                        }
                        _ => {
                            self.starter.notes.push(format!(
                                "The API key `{}` is a query parameter: add it to `query`.",
                                words::comment(&key)
                            ));
                            None
                        }
                    }
                }
                _ => None,
            };
            let is_new = |h: &(String, String)| {
                let is_token = !h.0.is_empty() && h.0.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c));
                is_token && !self.starter.headers.iter().any(|(n, _)| *n == h.0)
            };
            if let Some(header) = header.filter(is_new) {
                self.starter.headers.push(header);
            }
        }
    }

    /// A bearer token: the one that logging in gives, if there is such an operation; else one from the environment.
    fn bearer(&mut self) -> String {
        if self.starter.before.is_empty() {
            let Some(at) = self.starter.steps.iter().position(logs_in) else {
                return format!("Bearer {}", words::variable("API_TOKEN"));
            };
            let mut login = self.starter.steps.remove(at);
            if let Body::Json(Json::Object(map)) = &mut login.body {
                for (name, v) in map.iter_mut() {
                    let lower = name.to_lowercase();
                    if lower.contains("pass") {
                        *v = Json::from("{{ account.password }}");
                    } else if ["user", "email", "login", "name"].iter().any(|word| lower.contains(word)) {
                        *v = Json::from("{{ account.username }}");
                    }
                }
            }
            login.about = format!("{} (check where the answer holds the token)", login.about);
            login.saves.push(("token".into(), "{ json: $.token, credential: true }".into()));
            self.starter.accounts = true;
            self.starter.before.push(login);
        }
        "Bearer {{ token }}".into()
    }
}

/// A POST whose body holds a password and whose path says so.
fn logs_in(request: &Request) -> bool {
    let path = request.path.to_lowercase();
    let says = ["login", "log_in", "log-in", "signin", "sign-in", "token", "/auth", "session"]
        .iter()
        .any(|w| path.contains(w));
    let has_password =
        matches!(&request.body, Body::Json(Json::Object(map)) if map.keys().any(|k| k.to_lowercase().contains("pass")));
    request.method == "POST" && says && has_password && !path.contains("{{")
}

fn first_example(document: &Json, examples: &Json) -> Option<Json> {
    let first = examples.as_object()?.values().next()?;
    resolve(document, first).get("value").cloned()
}

fn plain(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

fn encoded(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else if text.starts_with('/') {
        words::path(text)
    } else {
        words::path(&format!("/{text}"))[1..].to_owned()
    }
}
