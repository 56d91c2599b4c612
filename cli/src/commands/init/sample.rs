//! An example value out of a JSON schema of an OpenAPI description.
//! In: the schema, and the document for its references. Out: a value; what the description gives as an example wins.

use serde_json::{Map, Value as Json, json};

/// Deepest schema that is followed: recursive ones end here.
const DEEPEST: usize = 8;
/// Most references followed one after the other.
const MOST_REFERENCES: usize = 16;

/// What `node` refers to in the document, if it is a reference; references to other files lead nowhere.
pub fn resolve<'a>(document: &'a Json, node: &'a Json) -> &'a Json {
    let mut node = node;
    for _ in 0..MOST_REFERENCES {
        let Some(reference) = node.get("$ref").and_then(Json::as_str) else { return node };
        match reference.strip_prefix('#').and_then(|path| document.pointer(path)) {
            Some(target) => node = target,
            None => return &Json::Null,
        }
    }
    &Json::Null
}

/// An example of what `schema` describes.
pub fn sample(document: &Json, schema: &Json, depth: usize) -> Json {
    let schema = resolve(document, schema);
    if let Some(given) = given(schema) {
        return given;
    }
    if depth >= DEEPEST {
        return Json::Null;
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(first) = schema[key].as_array().and_then(|list| list.first()) {
            return sample(document, first, depth + 1);
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return all_of(document, schema, parts, depth);
    }
    match kind(schema) {
        "object" => object(document, schema, depth),
        "array" => json!([sample(document, &schema["items"], depth + 1)]),
        "integer" => number(schema).map_or(json!(1), |n| json!(n.ceil() as i64)),
        "number" => number(schema).map_or(json!(1.5), |n| json!(n)),
        "boolean" => json!(true),
        "string" => json!(text(schema)),
        _ => Json::Null,
    }
}

fn given(schema: &Json) -> Option<Json> {
    let list = |key: &str| schema[key].as_array().and_then(|list| list.first()).cloned();
    let single = |key: &str| schema.get(key).filter(|v| !v.is_null()).cloned();
    single("example")
        .or_else(|| list("examples"))
        .or_else(|| single("default"))
        .or_else(|| single("const"))
        .or_else(|| list("enum"))
}

/// The type; OpenAPI 3.1 allows a list of them, and often none is written.
fn kind(schema: &Json) -> &str {
    let first =
        |list: &'_ Json| list.as_array()?.iter().filter_map(Json::as_str).find(|t| *t != "null").map(str::to_owned);
    match &schema["type"] {
        Json::String(name) => name,
        list @ Json::Array(_) => match first(list).as_deref() {
            Some("object") => "object",
            Some("array") => "array",
            Some("integer") => "integer",
            Some("number") => "number",
            Some("boolean") => "boolean",
            Some(_) => "string",
            None => "null",
        },
        _ if schema["properties"].is_object() => "object",
        _ if schema["items"].is_object() => "array",
        _ => "",
    }
}

fn all_of(document: &Json, schema: &Json, parts: &[Json], depth: usize) -> Json {
    let mut merged = Map::new();
    let own = object(document, schema, depth + 1);
    for part in parts.iter().map(|part| sample(document, part, depth + 1)).chain([own]) {
        match part {
            Json::Object(map) => merged.extend(map),
            other if parts.len() == 1 && !other.is_null() => return other,
            _ => {}
        }
    }
    Json::Object(merged)
}

fn object(document: &Json, schema: &Json, depth: usize) -> Json {
    let mut out = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let property = resolve(document, property);
        if property["readOnly"] == json!(true) {
            continue;
        }
        out.insert(name.clone(), sample(document, property, depth + 1));
    }
    Json::Object(out)
}

fn number(schema: &Json) -> Option<f64> {
    let low = schema["minimum"].as_f64();
    low.or_else(|| schema["maximum"].as_f64().filter(|high| *high < 1.0)).filter(|n| n.is_finite() && n.abs() < 1e15)
}

fn text(schema: &Json) -> String {
    let text = match schema["format"].as_str().unwrap_or_default() {
        "date-time" => "2026-01-31T12:00:00Z",
        "date" => "2026-01-31",
        "time" => "12:00:00Z",
        "email" => "user@example.org",
        "uuid" => "123e4567-e89b-12d3-a456-426614174000",
        "uri" | "url" => "https://example.org/",
        "ipv4" => "192.0.2.1",
        "hostname" => "example.org",
        "byte" => "ZXhhbXBsZQ==",
        _ => "example",
    };
    let least = schema["minLength"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0).min(1_000);
    let mut text = text.to_owned();
    while text.len() < least {
        text.push('x');
    }
    match schema["maxLength"].as_u64().and_then(|n| usize::try_from(n).ok()) {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    }
}
