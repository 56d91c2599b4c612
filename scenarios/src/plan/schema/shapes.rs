//! The forms that values of the language take, as pieces of JSON Schema.
//! In: nothing. Out: a piece for each form; `${NAME}` may stand wherever a scalar stands.

use serde_json::{Map, Value as Json, json};

/// A key of the language: its name, the form of its value, and what it means, with unit, range and default.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub name: &'static str,
    pub shape: fn() -> Json,
    pub about: &'static str,
}

impl Key {
    /// The key as a property of its map.
    pub fn property(&self) -> Json {
        let mut piece = (self.shape)();
        if piece.get("$ref").is_some() {
            // Beside `$ref` draft-07 ignores everything else.
            piece = json!({ "allOf": [piece] });
        }
        piece["description"] = json!(self.about);
        piece
    }
}

/// Pieces that several forms refer to.
pub(super) fn definitions() -> Map<String, Json> {
    let variable = r"\$\{";
    let unit = r"[0-9]+(\.[0-9]*)?\s*(ns|us|µs|ms|s|m|h|d)\s*";
    let time = format!(r"^\s*(({unit})+|0|.*{variable}.*)$");
    let range = format!(r"^\s*(({unit})+(\.\.\s*({unit})+)?|0|(normal|exponential)\s*\(.*\)|.*{variable}.*)$");
    let pieces = json!({
        "text": { "type": ["string", "number", "boolean"] },
        "flag": { "anyOf": [{ "type": "boolean" }, { "type": "string", "pattern": variable }] },
        "number_from_environment": { "type": "string", "pattern": variable },
        "duration": { "anyOf": [{ "type": "string", "pattern": time }, { "enum": [0] }] },
        "delay": { "anyOf": [{ "type": "string", "pattern": range }, { "enum": [0] }] },
        "rate": { "type": "string", "pattern": format!(r"^\s*([0-9.]+\s*/\s*[smhd]|.*{variable}.*)\s*$") },
        "share": { "type": "string", "pattern": format!(r"^\s*([0-9.]+\s*%|.*{variable}.*)\s*$") },
        "texts": { "anyOf": [{ "$ref": "#/definitions/text" }, { "type": "array", "items": { "$ref": "#/definitions/text" } }] },
        "text_map": { "type": "object", "additionalProperties": { "$ref": "#/definitions/text" } },
        "steps": { "type": "array", "items": { "$ref": "#/definitions/step" } },
        "condition": { "anyOf": [
            { "type": ["string", "number", "boolean", "null", "array"] },
            { "$ref": "#/definitions/condition_map" },
        ] },
    });
    match pieces {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

fn refer(name: &str) -> Json {
    json!({ "$ref": format!("#/definitions/{name}") })
}

macro_rules! references {
    ($($name:ident),+ $(,)?) => {
        $(pub(super) fn $name() -> Json { refer(stringify!($name)) })+
    };
}
references!(
    text,
    flag,
    duration,
    delay,
    rate,
    share,
    texts,
    text_map,
    steps,
    expect,
    expect_body,
    echo,
    events,
    tls,
    limits,
    of,
    faults,
    gate,
    containment
);

macro_rules! maps_of {
    ($($name:ident: $of:literal),+ $(,)?) => {
        $(pub(super) fn $name() -> Json {
            json!({ "type": "object", "additionalProperties": refer($of) })
        })+
    };
}
maps_of!(
    conditions: "condition", journeys: "journey", profiles: "profile", roles: "role", fragments: "steps",
    columns: "column",
);

macro_rules! lists_of {
    ($($name:ident: $of:literal),+ $(,)?) => {
        $(pub(super) fn $name() -> Json { json!({ "type": "array", "items": refer($of) }) })+
    };
}
lists_of!(objectives: "objective", waivers: "waiver", stages: "stage", branches: "branch");

macro_rules! text_or {
    ($($name:ident: $of:literal),+ $(,)?) => {
        $(pub(super) fn $name() -> Json { json!({ "anyOf": [refer("text"), refer($of)] }) })+
    };
}
text_or!(accounts: "accounts", abandons: "abandon", target: "target", table: "data_table", saved: "saved", watch: "watch");

macro_rules! words {
    ($($name:ident: [$($word:literal),+]),+ $(,)?) => {
        $(pub(super) fn $name() -> Json { json!({ "enum": [$($word),+] }) })+
    };
}
words!(
    on_failure: ["continue", "give_up"],
    cookies: ["per_user", "per_iteration"],
    connections: ["per_user", "per_iteration"],
    isolation: ["required", "report"],
    mode: ["point", "confident"],
    spacing: ["even", "poisson"],
    how: ["reset", "close"],
    place: ["head", "body", "stream", "message"],
    reuse: ["wrap"],
    resolve: ["once", "per_connection"],
    order: ["in_order", "random"],
    grant: ["client_credentials", "password"],
    client_in: ["form", "header"],
    version: [1],
    what_stops: ["iteration", "user", "run"],
    marker: ["own", "permitted", "latest"],
    preset: ["smoke", "sustained", "burst", "spike", "soak", "chaos", "ladder", "capacity", "canary"],
);

/// Anything: the place is checked by the parser alone.
pub(super) fn any() -> Json {
    json!({})
}

/// `auth:`, or `none` for without the journey's.
pub(super) fn auth() -> Json {
    json!({ "anyOf": [{ "enum": ["none"] }, refer("auth")] })
}

/// `oauth2:`.
pub(super) fn oauth2() -> Json {
    refer("oauth2")
}

/// Two texts.
pub(super) fn pair() -> Json {
    json!({ "type": "array", "items": refer("text") })
}

/// A body as it is, or a file.
pub(super) fn body() -> Json {
    json!({ "anyOf": [refer("text"), refer("file_body")] })
}

/// Parts by name, or a list of parts.
pub(super) fn multipart() -> Json {
    let by_name = json!({ "type": "object", "additionalProperties": { "anyOf": [refer("text"), refer("part")] } });
    json!({ "anyOf": [by_name, { "type": "array", "items": refer("named_part") }] })
}

/// `network:`.
pub(super) fn network() -> Json {
    refer("network")
}

/// Moments by their time.
pub(super) fn moments() -> Json {
    json!({ "type": "object", "additionalProperties": { "anyOf": [refer("text"), refer("moment")] } })
}

/// A map of any kind.
pub(super) fn map() -> Json {
    json!({ "type": "object" })
}

/// A whole number, at least 0.
pub(super) fn whole() -> Json {
    json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, refer("number_from_environment")] })
}

/// A whole number, at least 1.
pub(super) fn positive() -> Json {
    json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, refer("number_from_environment")] })
}

/// A number, or a template that gives one.
pub(super) fn number_or_text() -> Json {
    json!({ "type": ["number", "string"] })
}

/// Version of HTTP.
pub(super) fn http() -> Json {
    json!({ "anyOf": [{ "enum": [1, 2, "1", "2", "h2c", "auto"] }, refer("number_from_environment")] })
}

/// A status, a class such as `2xx`, or a list of them.
pub(super) fn status() -> Json {
    let one = json!({ "anyOf": [
        { "type": "integer", "minimum": 100, "maximum": 599 },
        { "type": "string", "pattern": r"^([1-5]xx|.*\$\{.*)$" },
    ] });
    json!({ "anyOf": [one.clone(), { "type": "array", "items": one }] })
}

/// `< 200ms`, `>= 99.9%`, `< 5s`, `>= 500/s`, `< 1%`; also with `per 24h` and the like.
pub(super) fn limit() -> Json {
    json!({ "type": ["string", "number"] })
}

/// The same statistic again, as what only warns.
pub(super) fn warn() -> Json {
    json!({ "anyOf": [refer("text"), { "type": "object", "maxProperties": 1 }] })
}

/// A list of steps, or a map with `steps`.
pub(super) fn once() -> Json {
    json!({ "anyOf": [refer("steps"), refer("once")] })
}

pub(super) fn before() -> Json {
    json!({ "anyOf": [refer("steps"), refer("before")] })
}

/// A request, as text or with options, or the map of a probe.
pub(super) fn probe() -> Json {
    json!({ "anyOf": [refer("text"), refer("probe_form"), { "type": "object", "maxProperties": 1 }] })
}

/// A request, as text or with options.
pub(super) fn request() -> Json {
    json!({ "anyOf": [refer("text"), { "type": "object", "maxProperties": 1 }] })
}

/// Users, or the rungs of a ladder.
pub(super) fn users() -> Json {
    json!({ "anyOf": [whole(), { "type": "array", "items": whole() }] })
}

/// A rate, the rungs of a ladder, or the range of a capacity search.
pub(super) fn arrivals() -> Json {
    json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": refer("rate") }] })
}

/// Names with values of any scalar type.
pub(super) fn values() -> Json {
    json!({ "type": "object" })
}

/// Targets by name.
pub(super) fn targets() -> Json {
    json!({ "type": "object", "minProperties": 1, "additionalProperties": target() })
}

/// Tables by name.
pub(super) fn tables() -> Json {
    json!({ "type": "object", "additionalProperties": table() })
}

/// What is saved, by the variable's name.
pub(super) fn saves() -> Json {
    json!({ "type": "object", "additionalProperties": saved() })
}

/// Journeys' shares.
pub(super) fn mix() -> Json {
    json!({ "type": "object", "additionalProperties": whole() })
}
