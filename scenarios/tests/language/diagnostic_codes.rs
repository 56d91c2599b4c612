//! The page of diagnostics names every code of the sources and no other.

use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The codes that the sources can give, tests left out.
fn codes(folder: &Path, found: &mut BTreeSet<String>) {
    let given =
        Regex::new(r#"(?:Diagnostic::(?:error|warning)\(\s*|\bcode: |\brefuse\((?:\w+, )?\s*)"([a-z]+(?:-[a-z]+)*)""#)
            .expect("a pattern");
    for entry in fs::read_dir(folder).expect("our own sources") {
        let path = entry.expect("our own sources").path();
        if path.is_dir() {
            codes(&path, found);
            continue;
        }
        if path.ends_with("testing.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("our own source");
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        found.extend(given.captures_iter(text).map(|c| c[1].to_owned()));
    }
}

#[test]
fn the_page_of_diagnostics_and_the_sources_know_the_same_codes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut given = BTreeSet::new();
    codes(&root.join("src"), &mut given);
    assert!(given.len() > 60, "{given:?}");
    let page = fs::read_to_string(root.join("../docs/diagnostics.md")).expect("the page is there");
    let mut named = BTreeSet::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("| `")) {
        let cells: Vec<&str> = line.trim_end_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() == 3 && cells.iter().all(|cell| !cell.is_empty()), "not three cells: {line}");
        assert!(named.insert(cells[0].trim_end_matches('`').to_owned()), "twice: {line}");
    }
    let missing: Vec<_> = given.difference(&named).collect();
    let gone: Vec<_> = named.difference(&given).collect();
    assert!(missing.is_empty() && gone.is_empty(), "docs/diagnostics.md lacks {missing:?} and has {gone:?} too many");
}
