//! The JSON Schema (draft-07) of a scenario file, for editors: which keys there are comes from the tables that the
//! parser itself reads with ([`Spec`]s), what each is good for from [`keys`].
//! In: nothing. Out: the schema. A test holds the two together: a key that is in one and not in the other fails it.

mod keys;
#[cfg(test)]
mod page;
mod shapes;
#[cfg(test)]
mod tests;

use super::reader::Spec;
use super::{
    abort, accounts, around, faults, gate, journeys, profiles, requests, roles, sla, sockets, steps, targets, ways,
};
use serde_json::{Map, Value as Json, json};
use shapes::Key;

/// Every table of keys that the parser reads with, under the name of its definition.
fn specs() -> Vec<(&'static str, &'static Spec)> {
    let own: &[(&str, &Spec)] = &[("file", &super::FILE)];
    [
        own,
        targets::SPECS,
        ways::SPECS,
        roles::SPECS,
        accounts::SPECS,
        journeys::SPECS,
        around::SPECS,
        steps::SPECS,
        requests::SPECS,
        sockets::SPECS,
        profiles::SPECS,
        faults::SPECS,
        sla::SPECS,
        abort::SPECS,
        gate::SPECS,
    ]
    .concat()
}

/// The schema of a scenario file as it can be written today: what is not built yet is not in it.
pub fn schema() -> Json {
    let mut definitions = shapes::definitions();
    for (name, spec) in specs() {
        definitions.insert(name.to_owned(), definition(name, spec));
    }
    definitions.insert("objective".into(), objective());
    definitions.insert("step".into(), step());
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://watertight.invalid/scenario-1.json",
        "title": "Watertight scenario",
        "description": "What a load and leak test plays: targets, roles, journeys, profiles, objectives.",
        "$ref": "#/definitions/file",
        "definitions": definitions,
    })
}

/// One map of the language: its keys, each with its description, and no others.
fn definition(name: &str, spec: &Spec) -> Json {
    let known = keys::of(name);
    let mut properties = Map::new();
    for key in spec.keys {
        properties.insert((*key).to_owned(), known.iter().find(|k| k.name == *key).map_or(json!({}), Key::property));
    }
    let mut object = json!({
        "type": "object",
        "description": capitalised(spec.what),
        "properties": properties,
        "additionalProperties": false,
    });
    let required = match name {
        "file" => Some("watertight"),
        // The first key of a step says what kind of step it is.
        _ if name.starts_with("step_") => spec.keys.first().copied(),
        _ => None,
    };
    if let Some(key) = required {
        object["required"] = json!([key]);
    }
    object
}

/// The keys of an objective that are no percentile.
fn objective_keys() -> impl Iterator<Item = &'static str> {
    let is_percentile = |key: &str| key.rsplit('_').next().is_some_and(|p| p.starts_with("p5") || p.starts_with("p9"));
    sla::OBJECTIVE_KEYS.iter().flat_map(|list| list.iter()).copied().filter(move |key| !is_percentile(key))
}

/// An objective: the keys that every one has, one statistic, or k6's spelling as text.
fn objective() -> Json {
    let known = keys::of("objective");
    let mut properties = Map::new();
    for key in objective_keys() {
        properties.insert(key.to_owned(), known.iter().find(|k| k.name == key).map_or(json!({}), Key::property));
    }
    let percentile = Key { name: "p95", shape: shapes::limit, about: keys::PERCENTILE }.property();
    json!({
        "description": "A limit that the run must keep.",
        "anyOf": [
            { "type": "string", "description": "`p95 < 200ms`, or k6's `p(95)<200`." },
            { "$ref": "#/definitions/abort" },
            {
                "type": "object",
                "properties": properties,
                "patternProperties": { sla::PERCENTILE_KEYS: percentile },
                "additionalProperties": false,
            },
        ],
    })
}

/// A step: a request as text or with options, or one of the maps that the parser knows.
fn step() -> Json {
    let methods = requests::METHODS.join("|");
    let mut kinds = vec![
        json!({
            "type": "string",
            "pattern": format!("^({methods}) "),
            "description": "A request without options: `GET /path`.",
        }),
        json!({
            "type": "object",
            "description": "A request: `METHOD /path` with its options under it.",
            "patternProperties": { format!("^({methods}) "): {
                "anyOf": [{ "type": "null" }, { "$ref": "#/definitions/request" }]
            } },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        }),
    ];
    kinds.push(json!({
        "type": "object",
        "description": "A WebSocket: `websocket /path` with what is said over it under `steps`.",
        "patternProperties": { "^websocket /": { "$ref": "#/definitions/socket" } },
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    }));
    for (name, _) in specs().into_iter().filter(|(name, _)| name.starts_with("step_")) {
        kinds.push(json!({ "$ref": format!("#/definitions/{name}") }));
    }
    json!({ "description": "One step of a journey.", "anyOf": kinds })
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
