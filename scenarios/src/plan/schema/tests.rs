//! The schema and the parser say the same: every key is in both, shipped files validate, mistakes do not.

use super::{keys, objective_keys, schema, specs};
use crate::library;
use crate::plan::constant;
use crate::syntax;
use regex::Regex;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_key_of_the_parser_is_described_and_no_other() {
    let mut wrong = Vec::new();
    for (name, spec) in specs() {
        let known = keys::of(name);
        for key in spec.keys.iter().filter(|key| !known.iter().any(|k| k.name == **key)) {
            wrong.push(format!("`{key}` of {} is not described: add it to {name} in schema/keys.rs", spec.what));
        }
        // A probe's request takes fewer keys than a request, out of the same table.
        let stray = |k: &&super::shapes::Key| !spec.keys.contains(&k.name) && !spec.not_yet.contains(&k.name);
        for key in known.iter().filter(stray).filter(|_| name != "probe_request") {
            wrong.push(format!("schema/keys.rs describes `{}` in {name}, and the parser does not know it", key.name));
        }
    }
    for key in objective_keys() {
        if !keys::of("objective").iter().any(|k| k.name == key) {
            wrong.push(format!("`{key}` of an objective is not described: add it to OBJECTIVE in schema/keys.rs"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every `Spec` in the sources is one of [`specs`].
#[test]
fn no_table_of_the_parser_is_forgotten() {
    let known: BTreeSet<&str> = specs().iter().map(|(_, spec)| spec.what).collect();
    let what = Regex::new(r#"what:\s*"([^"]+)"|step_spec!\(\w+,\s*"([^"]+)""#).expect("a pattern");
    let mut missing = Vec::new();
    for file in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/plan"))) {
        let text = fs::read_to_string(&file).expect("our own source");
        for found in what.captures_iter(&text) {
            let what = found.get(1).or(found.get(2)).map_or("", |m| m.as_str());
            if !known.contains(what) {
                missing.push(format!("{}: add the Spec of {what} to the file's SPECS", file.display()));
            }
        }
    }
    assert!(known.len() > 25, "{known:?}");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("our own sources") {
        let path = entry.expect("our own sources").path();
        if path.is_dir() && !path.ends_with("schema") {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

fn json_of(text: &str) -> Json {
    let (tree, mistakes) = syntax::parse(text);
    assert!(mistakes.is_empty(), "{text}");
    constant(&tree.expect("it holds something")).to_json()
}

#[test]
fn shipped_files_validate() {
    let schema = schema();
    for name in library::NAMES {
        let source = library::source(name).expect("it is shipped");
        if let Err(why) = validate(&schema, &schema, &json_of(&source.text), name) {
            panic!("{why}");
        }
    }
}

#[test]
fn what_the_parser_refuses_does_not_validate() {
    let schema = schema();
    let good = "watertight: 1
targets: { a: http://127.0.0.1:1 }
journeys:
  j:
    steps:
      - GET /x: { expect: { status: [200, 4xx] } }
      - think: 1s..4s
      - repeat: 3
        steps: [ GET /y ]
profiles: { p: { users: 3, for: \"${LENGTH:-10s}\" } }
sla: [ { p95: < 200ms, of: { target: a } }, \"p(99)<500\", { errors: < 1% } ]
";
    assert_eq!(validate(&schema, &schema, &json_of(good), "good"), Ok(()));
    for (right, wrong) in [
        ("watertight: 1", "watertight: 2"),
        ("watertight: 1", "name: x"),
        ("targets:", "tragets:"),
        ("{ a: http://127.0.0.1:1 }", "{ a: { url: http://127.0.0.1:1, tiemout: 5s } }"),
        ("expect:", "expct:"),
        ("{ status: [200, 4xx] }", "{ status: 2000 }"),
        ("{ status: [200, 4xx] }", "{ statsu: 200 }"),
        ("think: 1s..4s", "think: soon"),
        ("think: 1s..4s", "thnik: 1s"),
        ("GET /y", "FETCH /y"),
        ("steps: [ GET /y ]", "stpes: [ GET /y ]"),
        ("users: 3", "users: -3"),
        ("for: \"${LENGTH:-10s}\"", "for: 10"),
        ("users: 3", "usres: 3"),
        ("of: { target: a }", "of: { taget: a }"),
        ("errors: < 1%", "erors: < 1%"),
    ] {
        assert!(good.contains(right), "{right}");
        let broken = json_of(&good.replace(right, wrong));
        assert!(validate(&schema, &schema, &broken, "broken").is_err(), "`{wrong}` validates");
    }
}

/// The part of JSON Schema, draft-07, that the schema is made of.
fn validate(root: &Json, schema: &Json, value: &Json, at: &str) -> Result<(), String> {
    let known = [
        "$schema",
        "$id",
        "title",
        "description",
        "definitions",
        "$ref",
        "allOf",
        "anyOf",
        "enum",
        "type",
        "pattern",
        "minimum",
        "maximum",
        "items",
        "properties",
        "patternProperties",
        "additionalProperties",
        "required",
        "minProperties",
        "maxProperties",
    ];
    for (key, rule) in schema.as_object().ok_or_else(|| format!("{at}: the schema is no map"))? {
        assert!(known.contains(&key.as_str()), "this validator does not know `{key}`");
        match key.as_str() {
            "$ref" => {
                let path = rule.as_str().and_then(|r| r.strip_prefix('#')).expect("a local reference");
                let target = root.pointer(path).unwrap_or_else(|| panic!("`{path}` leads nowhere"));
                validate(root, target, value, at)?;
            }
            "allOf" => rule.as_array().expect("a list").iter().try_for_each(|s| validate(root, s, value, at))?,
            "anyOf" => any_of(root, rule, value, at)?,
            "enum" if !rule.as_array().expect("a list").contains(value) => {
                return Err(format!("{at}: not one of {rule}"));
            }
            "type" => check_type(rule, value, at)?,
            "pattern" => check_pattern(rule, value, at)?,
            "minimum" if value.as_f64() < rule.as_f64() => return Err(format!("{at}: below {rule}")),
            "maximum" if value.as_f64() > rule.as_f64() => return Err(format!("{at}: above {rule}")),
            "items" => {
                let items = value.as_array().map_or(&[][..], Vec::as_slice);
                items.iter().enumerate().try_for_each(|(i, item)| validate(root, rule, item, &format!("{at}[{i}]")))?;
            }
            _ => {}
        }
    }
    value.as_object().map_or(Ok(()), |map| validate_map(root, schema, map, at))
}

fn any_of(root: &Json, rules: &Json, value: &Json, at: &str) -> Result<(), String> {
    let mut why = Vec::new();
    for rule in rules.as_array().expect("a list") {
        match validate(root, rule, value, at) {
            Ok(()) => return Ok(()),
            Err(reason) => why.push(reason),
        }
    }
    Err(format!("{at}: none of:\n  {}", why.join("\n  ")))
}

fn check_type(rule: &Json, value: &Json, at: &str) -> Result<(), String> {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("no type `{other}`"),
    };
    let one = |name: &Json| is(name.as_str().expect("a name"));
    let fits = rule.as_array().map_or_else(|| one(rule), |names| names.iter().any(one));
    if fits { Ok(()) } else { Err(format!("{at}: {value} is no {rule}")) }
}

fn check_pattern(rule: &Json, value: &Json, at: &str) -> Result<(), String> {
    let pattern = Regex::new(rule.as_str().expect("a pattern")).expect("a pattern");
    match value.as_str() {
        Some(text) if !pattern.is_match(text) => Err(format!("{at}: `{text}` does not match {rule}")),
        _ => Ok(()),
    }
}

fn validate_map(root: &Json, schema: &Json, map: &serde_json::Map<String, Json>, at: &str) -> Result<(), String> {
    for name in schema["required"].as_array().into_iter().flatten() {
        if !map.contains_key(name.as_str().expect("a name")) {
            return Err(format!("{at}: {name} is missing"));
        }
    }
    let count = map.len() as u64;
    if schema["minProperties"].as_u64().is_some_and(|n| count < n)
        || schema["maxProperties"].as_u64().is_some_and(|n| count > n)
    {
        return Err(format!("{at}: {count} keys"));
    }
    for (key, value) in map {
        let place = format!("{at}.{key}");
        let mut rules: Vec<&Json> = schema["properties"].get(key).into_iter().collect();
        for (pattern, rule) in schema["patternProperties"].as_object().into_iter().flatten() {
            if Regex::new(pattern).expect("a pattern").is_match(key) {
                rules.push(rule);
            }
        }
        if rules.is_empty() {
            match &schema["additionalProperties"] {
                Json::Bool(false) => return Err(format!("{place}: no such key")),
                Json::Object(_) => rules.push(&schema["additionalProperties"]),
                _ => {}
            }
        }
        rules.iter().try_for_each(|rule| validate(root, rule, value, &place))?;
    }
    Ok(())
}
