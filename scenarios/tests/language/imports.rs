//! Scenarios of several files: what is taken over, where mistakes point, cycles, the copy that is kept; and profiles
//! that extend each other.

use scenarios::{Diagnostic, Plan, Source, compile, parse, render};
use std::path::Path;

const MAIN: &str = "watertight: 1
import: [ shared/common.yaml ]
targets: { api: http://127.0.0.1:1 }
roles: { r: { accounts: people.csv } }
journeys: { j: { as: r, target: api, before: [ { call: log_in } ], headers: { authorization: \"Bearer {{ token }}\" }, steps: [ GET / ] } }
profiles: { p: { users: 1, for: 1s } }
";

const COMMON: &str = "name: Common parts
import: more.yaml
fragments:
  log_in:
    - POST /login:
        json: { name: \"{{ account.id }}\", password: 'literal-pw' }
        save: { token: $.token }
  unused: [ GET /x ]
data: { words: { file: words.csv } }
sla: [ { p95: < 1s } ]
";

const MORE: &str = "watertight: 1
targets:
  other: ${OTHER:-http://127.0.0.1:2}
profiles: { long: { extends: p, for: 9m } }
";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("shared")).expect("made");
    let always = [("people.csv", "id\na\n"), ("shared/words.csv", "w\nx\n")];
    for (name, text) in always.iter().chain(files) {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn read(folder: &Path) -> Result<(Plan, Vec<Diagnostic>), Vec<Diagnostic>> {
    parse(&Source::read(folder.join("main.yaml")).expect("it is there"), &|_| None)
}

fn places(found: &[Diagnostic]) -> Vec<String> {
    let name = |d: &Diagnostic| Path::new(&d.file).file_name().map(|n| n.to_string_lossy().into_owned());
    found.iter().map(|d| format!("{}:{}:{} {}", name(d).unwrap_or_default(), d.line, d.column, d.code)).collect()
}

#[test]
fn the_parts_of_all_files_are_one_scenario() {
    let folder = folder(&[("main.yaml", MAIN), ("shared/common.yaml", COMMON), ("shared/more.yaml", MORE)]);
    let (plan, warnings) = read(folder.path()).expect("a good scenario");
    assert!(
        warnings.iter().all(|w| !w.message.contains("fragment")),
        "what is shared need not all be called: {warnings:?}"
    );
    let program = compile(&plan).expect("compiles");
    assert_eq!(program.name, "main");
    assert_eq!(program.targets.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["api", "other"]);
    assert_eq!(program.profiles.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["p", "long"]);
    assert_eq!(program.profiles[1].load.duration_ns(), 540_000_000_000);
    assert_eq!(
        (program.data[0].columns.len(), program.data[0].rows.len()),
        (1, 1),
        "from beside the file that names it"
    );
    let digests = plan.digests();
    assert_eq!(digests.len(), 5, "three files and two tables: {digests:?}");
}

#[test]
fn the_copy_that_is_kept_is_one_file_without_secrets() {
    let folder = folder(&[("main.yaml", MAIN), ("shared/common.yaml", COMMON), ("shared/more.yaml", MORE)]);
    let (plan, _) = read(folder.path()).expect("a good scenario");
    let stored = plan.stored_text();
    assert!(!stored.contains("literal-pw") && !stored.contains("import:"), "{stored}");
    assert!(stored.contains("${OTHER:-http://127.0.0.1:2}"), "{stored}");
    std::fs::copy(folder.path().join("shared/words.csv"), folder.path().join("words.csv")).expect("copied");
    std::fs::write(folder.path().join("main.yaml"), &stored).expect("written");
    let (again, _) = read(folder.path()).unwrap_or_else(|found| panic!("{stored}\n{found:?}"));
    let of = |plan: &Plan| {
        let program = compile(plan).expect("compiles");
        (
            program.steps.iter().map(|s| s.name.clone()).collect::<Vec<_>>(),
            program.objectives.iter().map(|o| o.id.clone()).collect::<Vec<_>>(),
            program.profiles.iter().map(|p| (p.name.clone(), p.load.clone())).collect::<Vec<_>>(),
        )
    };
    assert_eq!(of(&plan), of(&again));
    assert_eq!(stored.lines().skip(1).collect::<Vec<_>>(), again.stored_text().lines().skip(1).collect::<Vec<_>>());
}

#[test]
fn a_mistake_points_into_the_file_it_stands_in() {
    let common = COMMON.replacen("account.id", "account.ident", 1).replacen("sla:", "slo:", 1);
    let folder = folder(&[("main.yaml", MAIN), ("shared/common.yaml", &common), ("shared/more.yaml", "targets: [")]);
    let found = read(folder.path()).expect_err("three mistakes");
    assert_eq!(
        places(&found),
        ["common.yaml:6:27 unknown-variable", "common.yaml:10:1 unknown-key", "more.yaml:1:10 yaml"]
    );
    let source = Source::read(folder.path().join("main.yaml")).expect("it is there");
    let shown = render(&found[..1], &source, false);
    assert!(shown.contains("common.yaml:6:27") && shown.contains("json: { name:"), "{shown}");
    assert!(shown.contains("called from journey `j`"), "{shown}");
}

#[test]
fn files_that_import_each_other_are_a_cycle_that_names_its_path() {
    let folder = folder(&[
        ("main.yaml", MAIN),
        ("shared/common.yaml", COMMON),
        ("shared/more.yaml", &format!("{MORE}import: [ common.yaml ]\n")),
    ]);
    let found = read(folder.path()).expect_err("a cycle");
    assert_eq!(places(&found), ["more.yaml:5:11 cycle"]);
    let files: Vec<&str> =
        found[0].message.split('`').skip(1).step_by(2).map(|p| p.rsplit('/').next().unwrap()).collect();
    assert_eq!(files, ["common.yaml", "more.yaml", "common.yaml"]);
    // Two ways to the same file are none.
    let twice = MAIN.replacen("[ shared/common.yaml ]", "[ shared/common.yaml, shared/more.yaml ]", 1);
    std::fs::write(folder.path().join("main.yaml"), twice).expect("written");
    std::fs::write(folder.path().join("shared/more.yaml"), MORE).expect("written");
    assert!(read(folder.path()).is_ok());
}

#[test]
fn what_stands_in_two_files_names_both_places() {
    let more = MORE.replacen("other:", "api:", 1) + "mix: { j: 1 }\n";
    let main = format!("{MAIN}mix: {{ j: 2 }}\n");
    let folder = folder(&[("main.yaml", &main), ("shared/common.yaml", COMMON), ("shared/more.yaml", &more)]);
    let found = read(folder.path()).expect_err("two of each");
    assert_eq!(places(&found), ["more.yaml:3:3 duplicate-name", "more.yaml:5:1 duplicate-name"]);
    assert!(found[0].notes[0].ends_with("main.yaml:3:12"), "{:?}", found[0].notes);
    assert!(found[1].notes[0].ends_with("main.yaml:7:1"), "{:?}", found[1].notes);
}

#[test]
fn no_text_in_an_imported_file_makes_it_panic() {
    for text in
        ["", "\u{feff}", "a", "- a", "{", "fragments: 3", "import: main.yaml", "watertight: 2", "é: [", "\0", "sla: {}"]
    {
        let folder = folder(&[("main.yaml", MAIN), ("shared/common.yaml", text)]);
        assert!(read(folder.path()).is_err(), "{text:?}: the fragment is missing");
    }
}

#[test]
fn a_profile_says_only_what_is_different() {
    let load = |profiles: &str| {
        let text = MAIN.replacen("import: [ shared/common.yaml ]\n", "", 1).replacen(
            "before: [ { call: log_in } ], headers: { authorization: \"Bearer {{ token }}\" }, ",
            "",
            1,
        );
        let text = text
            .replacen("profiles: { p: { users: 1, for: 1s } }", &format!("profiles: {{ {profiles} }}"), 1)
            .replacen("accounts:", "reuse: wrap, accounts:", 1);
        let folder = folder(&[("main.yaml", &text)]);
        let (plan, _) = read(folder.path()).unwrap_or_else(|found| panic!("{found:?}"));
        let program = compile(&plan).expect("compiles");
        let last = program.profiles.last().expect("a profile").clone();
        (last.load.most_users(), last.load.duration_ns() / 1_000_000_000, last.warm_up_ns / 1_000_000_000)
    };
    assert_eq!(load("a: { users: 5, for: 9s, warm_up: 2s }, b: { extends: a, users: 7 }"), (7, 11, 2));
    assert_eq!(load("c: { extends: b, for: 3s }, b: { extends: a, users: 7 }, a: { users: 5, for: 9s }"), (5, 9, 0));
    assert_eq!(load("a: { users: 5, for: 9s }, b: { extends: a, stages: [ { users: 3, for: 4s } ] }"), (3, 4, 0));
    assert_eq!(load("a: { arrivals: 5/s, for: 9s, max_users: 40 }, b: { extends: a, users: 2 }"), (2, 9, 0));
    assert_eq!(load("a: { arrivals: 5/s, for: 9s, max_users: 40 }, b: { extends: a, arrivals: 6/s }"), (40, 9, 0));
}
