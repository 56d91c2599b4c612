//! The reference page: every key of the parser is named in it, and every example on it is a right scenario.
//! `WATERTIGHT_LANGUAGE_PAGE=1` writes missing tables into it.

use super::{keys, objective_keys, specs};
use crate::source::Source;
use std::fs;
use std::path::PathBuf;

fn docs(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).join(file)
}

/// Definitions with the keys that work today.
fn tables() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut tables: Vec<_> = specs().into_iter().map(|(name, spec)| (name, spec.keys.to_vec())).collect();
    tables.push(("objective", objective_keys().collect()));
    tables
}

fn rows(name: &str, wanted: &[&str]) -> String {
    let known = keys::of(name);
    let row = |key: &&str| {
        let key = *key;
        let about = known.iter().find(|k| k.name == key).map_or("", |k| k.about);
        format!("| `{key}` | {} |\n", about.replace('|', "\\|"))
    };
    format!("<!-- keys: {name} -->\n| key | meaning |\n|---|---|\n{}", wanted.iter().map(row).collect::<String>())
}

/// The text of the table of a definition: what follows its comment up to an empty line or the next comment.
fn table<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let start = page.find(&format!("<!-- keys: {name} -->"))?;
    let rest = &page[start..];
    let end = rest[1..].find("\n\n").unwrap_or(rest.len() - 1) + 1;
    Some(&rest[..end])
}

#[test]
fn every_key_is_named_in_the_reference() {
    let mut page = fs::read_to_string(docs("language.md")).expect("the page is there");
    if std::env::var_os("WATERTIGHT_LANGUAGE_PAGE").is_some() {
        for (name, keys) in tables() {
            if !page.contains(&format!("<!-- keys: {name} -->")) {
                let before = if name.starts_with("step_") { "## Profiles\n" } else { "## Gate and waivers\n" };
                page = page.replacen(before, &format!("{}\n{before}", rows(name, &keys)), 1);
            }
        }
        for (name, keys) in tables() {
            if let Some(old) = table(&page, name) {
                page = page.replace(&old.to_owned(), rows(name, &keys).trim_end());
            }
        }
        fs::write(docs("language.md"), &page).expect("the page can be written");
    }
    let mut missing = Vec::new();
    for (name, keys) in tables() {
        let table = table(&page, name).unwrap_or_default();
        for key in keys.iter().filter(|key| !table.contains(&format!("| `{key}` |"))) {
            missing.push(format!("`{key}` is missing under `<!-- keys: {name} -->`"));
        }
    }
    assert!(missing.is_empty(), "docs/language.md:\n{}", missing.join("\n"));
}

/// What an example leaves out.
const AROUND: &[(&str, &str)] = &[
    ("targets", "targets: { api: \"http://127.0.0.1:9\" }\n"),
    (
        "roles",
        "roles: { user: { accounts: { count: 100, values: { id: \"u-{{ index }}\", username: \"n-{{ index }}\", password: \"p-{{ index }}\" } } } }\n",
    ),
    ("fragments", "fragments: { log_in: [ { POST /log_in: { save: { token: $.token } } } ] }\n"),
    (
        "journeys",
        "journeys: { visitor: { target: api, steps: [ { call: log_in }, { GET /w: { tags: [write] } }, { think: 1s } ] } }\n",
    ),
    ("profiles", "profiles: { quick: { users: 2, for: 10s } }\n"),
];

/// An example as a whole file.
fn whole(example: &str) -> String {
    if example.starts_with("watertight: 1") {
        return example.to_owned();
    }
    let mut text = String::from("watertight: 1\n");
    if example.starts_with('-') {
        text.push_str("journeys:\n  visitor:\n    as: user\n    target: api\n    steps:\n");
        example.lines().for_each(|line| text.push_str(&format!("      {line}\n")));
    } else {
        text.push_str(example);
    }
    for (section, lines) in AROUND {
        if !text.lines().any(|line| line.starts_with(&format!("{section}:"))) {
            let lines = if *section == "journeys" && text.contains("fragments:") {
                lines.replace("{ call: log_in }, ", "")
            } else {
                (*lines).to_owned()
            };
            text.push_str(&lines);
        }
    }
    text
}

/// The examples of a page, with the line where each starts.
fn examples(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match &mut open {
            Some((_, text)) if line.trim() != "```" => text.push_str(&format!("{line}\n")),
            Some(_) => found.extend(open.take()),
            None if line.trim() == "```yaml" => open = Some((number + 2, String::new())),
            None => {}
        }
    }
    found
}

#[test]
fn every_example_of_the_pages_is_right() {
    for (file, least) in [("language.md", 12), ("coming-from.md", 5)] {
        let page = fs::read_to_string(docs(file)).expect("the page is there");
        let examples = examples(&page);
        assert!(examples.len() >= least, "{file} has {} examples", examples.len());
        for (line, example) in examples {
            let source =
                Source { name: format!("{file}, line {line}"), text: whole(&example), folder: docs("examples") };
            if let Err(mistakes) = crate::parse(&source, &|_| None) {
                panic!("{}\n{}", crate::render(&mistakes, &source, false), source.text);
            }
        }
    }
}
