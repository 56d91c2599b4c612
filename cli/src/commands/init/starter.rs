//! A starter scenario: what the sources have in common, and how it is written down.
//! In: requests in order, with what is known about them. Out: commented YAML that `check` accepts.

use super::words::{comment, literal, quoted, quoted_literal};
use serde_json::Value as Json;
use std::fmt::Write;

/// The first lines of every starter: where editors find the schema.
const HEAD: &str = "# yaml-language-server: $schema=watertight.schema.json
# (`watertight schema > watertight.schema.json` writes the schema: editors then complete and check this file)
";

/// The starter from nothing.
pub const MODEL: &str = include_str!("model.yaml");

/// A scenario to begin with.
#[derive(Debug, Default)]
pub struct Starter {
    /// `name:`
    pub name: String,
    /// Lines at the top: where it comes from, what was left out.
    pub notes: Vec<String>,
    /// Base URL; `API` in the environment wins.
    pub url: String,
    /// `insecure: true`
    pub insecure: bool,
    /// A role with accounts is needed, as somebody logs in.
    pub accounts: bool,
    /// Variables that stand for parts of paths, with examples.
    pub variables: Vec<(String, Json)>,
    /// Requests to log in.
    pub before: Vec<Request>,
    /// Headers of every request, values as written in the file.
    pub headers: Vec<(String, String)>,
    /// What is done.
    pub steps: Vec<Request>,
}

/// A request of a starter.
#[derive(Debug, Default, Clone)]
pub struct Request {
    /// A remark above it.
    pub about: String,
    /// A pause before it.
    pub think: Option<String>,
    /// Method.
    pub method: String,
    /// Path as the step's key says it, templates included.
    pub path: String,
    /// Query parameters, values as written in the file.
    pub query: Vec<(String, String)>,
    /// Headers, values as written in the file.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Body,
    /// Expected status.
    pub status: Option<u16>,
    /// Variables that are saved, with the rest of the line.
    pub saves: Vec<(String, String)>,
    /// Tags.
    pub tags: Vec<String>,
}

/// A body; every text as written in the file.
#[derive(Debug, Default, Clone)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// `json:`
    Json(Json),
    /// `form:`
    Form(Vec<(String, String)>),
    /// `body:`
    Text(String),
    /// `multipart:`
    Multipart(Vec<Part>),
}

/// A part of a body of several, every text as written in the file.
#[derive(Debug, Default, Clone)]
pub struct Part {
    /// Name.
    pub name: String,
    /// The key of what it carries (`text`, `file` or `base64`), and that.
    pub content: (&'static str, String),
    /// File name.
    pub filename: Option<String>,
    /// Content type.
    pub kind: Option<String>,
}

impl Starter {
    /// The file.
    pub fn yaml(&self) -> String {
        let mut out = String::from(HEAD);
        for note in &self.notes {
            let _ = writeln!(out, "# {}", comment(note));
        }
        let _ = write!(
            out,
            "
watertight: 1
name: {}

targets:
  api:
    url: {}                # `run --target api=URL` and the variable API win
",
            quoted_literal(&self.name),
            quoted(&format!("${{API:-{}}}", self.url)),
        );
        if self.insecure {
            out.push_str("    tls: { insecure: true }\n");
        }
        out.push_str("    # health: /health                     # must answer 2xx before any load starts\n");
        if self.accounts {
            out.push_str(ACCOUNTS);
        }
        self.journey(&mut out);
        out.push_str(TAIL);
        out
    }

    fn journey(&self, out: &mut String) {
        out.push_str("\njourneys:\n  visitor:\n");
        if self.accounts {
            out.push_str("    as: user\n");
        }
        out.push_str("    target: api\n");
        if !self.before.is_empty() {
            out.push_str("    before:                                 # once per virtual user\n");
            self.before.iter().for_each(|request| request.write(out));
        }
        if !self.headers.is_empty() {
            out.push_str("    headers:                                # of every request below\n");
            for (name, value) in &self.headers {
                let _ = writeln!(out, "      {}: {}", quoted(name), quoted(value));
            }
        }
        out.push_str("    steps:\n");
        if !self.variables.is_empty() {
            out.push_str(
                "      # Parts of paths: write real ones here, draw them from `data`, or `save` them from answers.\n",
            );
            for (name, value) in &self.variables {
                let value = match value {
                    Json::String(text) => quoted_literal(text),
                    other => other.to_string(),
                };
                let _ = writeln!(out, "      - set: {{ {name}: {value} }}");
            }
        }
        self.steps.iter().for_each(|request| request.write(out));
        if self.steps.is_empty() {
            out.push_str("      - GET /\n");
        }
    }
}

impl Request {
    fn write(&self, out: &mut String) {
        if let Some(think) = &self.think {
            let _ = writeln!(out, "      - think: {think}");
        }
        if !self.about.is_empty() {
            let _ = writeln!(out, "      # {}", comment(&self.about));
        }
        let key = quoted(&format!("{} {}", self.method, self.path));
        let mut options = String::new();
        self.options(&mut options);
        if options.is_empty() {
            let _ = writeln!(out, "      - {key}");
        } else {
            let _ = writeln!(out, "      - {key}:\n{options}", options = options.trim_end());
        }
    }

    fn options(&self, out: &mut String) {
        let pad = "          ";
        let map = |pairs: &[(String, String)]| {
            let pairs: Vec<_> = pairs.iter().map(|(n, v)| format!("{}: {}", quoted(n), quoted(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        };
        if !self.tags.is_empty() {
            let _ = writeln!(out, "{pad}tags: [{}]", self.tags.join(", "));
        }
        if !self.query.is_empty() {
            let _ = writeln!(out, "{pad}query: {}", map(&self.query));
        }
        if !self.headers.is_empty() {
            let _ = writeln!(out, "{pad}headers: {}", map(&self.headers));
        }
        match &self.body {
            Body::Empty => {}
            Body::Json(json) => {
                // A text that is exactly one `${}` keeps a type of its own; in JSON flow it is quoted, and stays text.
                let _ = writeln!(out, "{pad}json: {}", flow(json));
            }
            Body::Form(fields) if fields.is_empty() => {}
            Body::Form(fields) => {
                let _ = writeln!(out, "{pad}form: {}", map(fields));
            }
            Body::Text(text) => {
                let _ = writeln!(out, "{pad}body: {}", quoted(text));
            }
            Body::Multipart(parts) => {
                let _ = writeln!(out, "{pad}multipart:");
                for part in parts {
                    let (key, content) = &part.content;
                    let own = [("name", Some(&part.name)), (*key, Some(content))];
                    let more = [("filename", part.filename.as_ref()), ("type", part.kind.as_ref())];
                    let pairs =
                        own.into_iter().chain(more).filter_map(|(key, text)| Some(format!("{key}: {}", quoted(text?))));
                    let _ = writeln!(out, "{pad}  - {{ {} }}", pairs.collect::<Vec<_>>().join(", "));
                }
            }
        }
        if let Some(status) = self.status {
            let _ = writeln!(out, "{pad}expect: {{ status: {status} }}");
        }
        if !self.saves.is_empty() {
            let _ = writeln!(out, "{pad}save:");
            for (name, rest) in &self.saves {
                let _ = writeln!(out, "{pad}  {name}: {rest}");
            }
        }
    }
}

/// JSON as a flow of YAML, which it is; only scalars are written with the escapes that YAML needs.
fn flow(json: &Json) -> String {
    match json {
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::Object(map) if map.is_empty() => "{}".into(),
        Json::Object(map) => {
            let pairs: Vec<_> = map.iter().map(|(name, value)| format!("{}: {}", quoted(name), flow(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

/// A text of the source as a value of the file.
pub fn value(text: &str) -> String {
    literal(text)
}

const ACCOUNTS: &str = r#"
roles:
  user:
    accounts:                               # one row is one account and one virtual user; or a file: `accounts: users.csv`
      count: 100
      values: { id: "u-{{ index }}", username: "user-{{ index }}", password: "${USER_PASSWORD:-replace-me}" }
"#;

const TAIL: &str = r"
profiles:
  smoke: { users: 1, for: 10s }             # `watertight run FILE` plays the first
  sustained: { users: 10, for: 5m, warm_up: 30s }
  spike: { stages: [ { users: 5, for: 30s }, { users: 50, for: 60s, ramp: 5s }, { users: 5, for: 30s, ramp: 5s } ] }

sla:
  - { p95: < 500ms }
  - { errors: < 1% }
";
