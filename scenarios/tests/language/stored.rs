//! What is kept beside the results: the text without secrets, and digests.

use crate::file::{FILE, parsed};

#[test]
fn literal_secrets_are_masked_and_nothing_else_changes() {
    let (plan, _) = parsed(FILE).expect("a good file");
    assert_eq!(plan.stored_text(), FILE);
    let secret = FILE
        .replace("\"{{ account.password }}\"", "hunter2")
        .replace("\"Bearer {{ token }}\"", "\"Bearer hunter2\"")
        .replace("json: { story: forest }", "json: { api_token: ${TOKEN_X:-hunter2}, Secret: [hunter2] }")
        .replace("json: { api_token: ${TOKEN_X:-hunter2}", "json: { api_token: \"${TOKEN_X:-hunter2}\"");
    let (plan, _) = parsed(&secret).expect("a good file");
    let stored = plan.stored_text();
    assert!(!stored.contains("hunter2"), "{stored}");
    assert!(stored.contains("password: \"***\""), "{stored}");
    assert!(stored.contains("authorization: \"***\""), "{stored}");
    assert!(stored.contains("${TOKEN_X:-***}"), "{stored}");
    assert!(parsed(&stored).is_ok(), "{stored}");
}

#[test]
fn digests_name_the_text_and_each_data_file() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("people.csv"), "id,clinic\n p-0 ,3\n").expect("written");
    let mut source = crate::file::source(&FILE.replacen(
        "accounts:\n      count: 50\n      values: { id: \"p-{{ index }}\", password: \"pw-{{ index }}\", clinic: \"{{ index % 20 }}\" }",
        "reuse: wrap\n    accounts: people.csv",
        1,
    ).replace("account.password", "account.id"));
    source.folder = folder.path().to_path_buf();
    let (plan, _) = scenarios::parse(&source, &|_| None).expect("a good file");
    let digests = plan.digests();
    assert_eq!(digests[0].0, "model.yaml");
    assert_eq!(
        digests[1],
        ("people.csv".to_owned(), "3ff6e675af01f9380a5fa3c1f5784df2182d9753bda74ed0695a5dfdd1b4e829".to_owned(),)
    );
    let program = scenarios::compile(&plan).expect("compiles");
    assert_eq!(program.roles[0].columns, ["id", "clinic"]);
    assert_eq!(program.account_name(0), "p-0");
    // Plain whole numbers compare with made-up ones.
    assert_eq!(program.roles[0].accounts[0][1], scenarios::value::Value::Int(3));
}

#[test]
fn broken_data_files_are_mistakes_of_the_scenario() {
    for (csv, word) in [
        ("", "first line"),
        ("id,id\n1,2\n", "twice"),
        ("id,\n1,2\n", "no name"),
        ("id\n", "no row"),
        ("id,x\n1\n", "line 2"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("q.csv"), csv).expect("written");
        let mut source =
            crate::file::source(&FILE.replacen("roles:", "data: { q: { file: q.csv, order: random } }\nroles:", 1));
        source.folder = folder.path().to_path_buf();
        let found = scenarios::parse(&source, &|_| None).expect_err("a broken file");
        assert_eq!(found.len(), 1, "{csv:?} {found:?}");
        assert_eq!((found[0].line, found[0].code), (8, "bad-csv"));
        assert!(found[0].message.contains(word), "{csv:?}: {}", found[0].message);
    }
}

#[test]
fn only_columns_of_plain_whole_numbers_become_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    let csv = "a,b,c,d,password,pin\n1,1,007,1.5,12,34\n-2,x,8,2,13,35\n";
    std::fs::write(folder.path().join("a.csv"), csv).expect("written");
    let mut source = crate::file::source(
        "watertight: 1\ntargets: { api: http://localhost }\nroles: { r: { accounts: { file: a.csv, columns: { pin: { secret: true } } } } }\njourneys: { j: { as: r, steps: [GET /] } }\nprofiles: { p: { users: 2, for: 1s } }\n",
    );
    source.folder = folder.path().to_path_buf();
    let (plan, _) = scenarios::parse(&source, &|_| None).expect("a good file");
    let program = scenarios::compile(&plan).expect("compiles");
    let role = &program.roles[0];
    let types: Vec<&str> = role.accounts[0].iter().map(scenarios::value::Value::type_name).collect();
    assert_eq!(types, ["int", "text", "text", "text", "text", "text"]);
    assert_eq!(role.secret, [false, false, false, false, true, true]);
}
