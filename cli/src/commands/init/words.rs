//! Text of the outside world as text of a scenario: quoted, braces escaped, names made fit, secrets as variables.

use serde_json::Value as Json;

/// What stands where a credential stood.
pub const PLACEHOLDER: &str = "replace-me";

/// A YAML scalar in double quotes that means exactly `text`: JSON's escapes are YAML's.
pub fn quoted(text: &str) -> String {
    Json::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
        .replace('\u{85}', "\\u0085")
        .replace('\u{feff}', "\\ufeff")
}

/// Text that stands for itself: `{{` and `${` of the source are no template and no variable.
pub fn literal(text: &str) -> String {
    text.replace("${", "$${").replace("{{", "{{ '{{' }}")
}

/// [`literal`] in quotes.
pub fn quoted_literal(text: &str) -> String {
    quoted(&literal(text))
}

/// A comment of one line.
pub fn comment(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a name says that its value is nobody's business.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let words = [
        "password",
        "passwd",
        "token",
        "secret",
        "authorization",
        "api_key",
        "api-key",
        "apikey",
        "credential",
        "cookie",
        "session",
        "csrf",
        "xsrf",
        "jwt",
        "signature",
        "pin",
    ];
    words.iter().any(|word| *word != "pin" && name.contains(word)) || name == "pin" || name == "pass"
}

/// `${NAME:-replace-me}` for a secret called `name`.
pub fn variable(name: &str) -> String {
    format!("${{{}:-{PLACEHOLDER}}}", variable_name(name).to_uppercase())
}

/// A name that expressions and the environment can say.
pub fn variable_name(name: &str) -> String {
    let mut out: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if !out.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        out.insert_str(0, "v_");
    }
    let reserved = [
        "account", "data", "user", "run", "index", "last", "stranger", "owner", "marker", "true", "false", "null", "in",
    ];
    if reserved.contains(&out.as_str()) {
        out.push('_');
    }
    out
}

/// A name for targets, journeys and tags: letters, digits, `-`.
pub fn plain_name(text: &str, otherwise: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    let out: String = out.trim_matches('-').chars().take(40).collect();
    if out.is_empty() { otherwise.to_owned() } else { out }
}

/// A path with query as a step's key can say it: what it may not hold is percent-encoded.
pub fn path(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let stays = c.is_ascii_graphic() && !matches!(c, '{' | '}' | '"' | '<' | '>' | '\\' | '^' | '`' | '|' | '#');
        if stays {
            out.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    if out.starts_with('/') { out } else { format!("/{out}") }
}

/// A JSON value as a body: secrets as variables, braces escaped; `None` if a name in it cannot be written.
pub fn json_body(value: &Json) -> Option<Json> {
    Some(match value {
        Json::String(text) => Json::from(literal(text)),
        Json::Array(items) => Json::Array(items.iter().map(json_body).collect::<Option<_>>()?),
        Json::Object(map) => {
            let mut out = serde_json::Map::new();
            for (name, value) in map {
                if name.contains("{{") || name.contains("${") {
                    return None;
                }
                let value = match value {
                    Json::String(_) | Json::Number(_) if is_secret(name) => Json::from(variable(name)),
                    other => json_body(other)?,
                };
                out.insert(name.clone(), value);
            }
            Json::Object(out)
        }
        other => other.clone(),
    })
}

/// Undoes percent-encoding and `+`.
pub fn decoded(text: &str) -> String {
    url::form_urlencoded::parse(text.as_bytes())
        .map(|(name, value)| if value.is_empty() { name.into_owned() } else { format!("{name}={value}") })
        .collect::<Vec<_>>()
        .join("&")
}
