//! `${}`: where it is replaced, where it is not, and what type comes out.

use crate::file::{FILE, source};
use scenarios::diagnostic::Diagnostic;
use scenarios::{Program, compile, parse};

fn set(name: &str) -> Option<String> {
    match name {
        "API" => Some("https://staging.example:8443/base/".into()),
        "USERS" => Some("7".into()),
        "EMPTY" => Some(String::new()),
        "HOSTILE" => Some("x: { y: [ {{ account.id }} # ${USERS}".into()),
        _ => None,
    }
}

fn read(from: &str, to: &str) -> Result<Program, Vec<Diagnostic>> {
    assert!(FILE.contains(from), "{from}");
    let source = source(&FILE.replacen(from, to, 1));
    let (plan, _) = parse(&source, &set)?;
    compile(&plan)
}

#[test]
fn a_value_from_the_environment_wins_over_its_default() {
    let program =
        read("name: Model", "name: \"${NOBODY:-somebody} and ${EMPTY:-nothing}\"").expect("defaults are there");
    assert_eq!(program.targets[0].url, "https://staging.example:8443/base");
    assert_eq!(program.name, "somebody and nothing");
}

#[test]
fn a_scalar_that_is_nothing_else_is_typed_again() {
    for quoted in ["${USERS}", "\"${USERS}\""] {
        let to = format!("sustained: {{ users: {quoted}, for: 10m }}");
        // Inside braces YAML itself needs the quotes.
        let block = format!("sustained:\n    users: {quoted}\n    for: 10m");
        let to = if quoted.starts_with('"') { to } else { block };
        let program = read("sustained: { users: 10, for: 10m }", &to).expect("7 users");
        assert_eq!(program.profiles[0].load.most_users(), 7);
    }
}

#[test]
fn what_comes_from_the_environment_is_never_read_as_yaml_nor_replaced_again() {
    let program = read("name: Model", "name: ${HOSTILE}").expect("it is only text");
    assert_eq!(program.name, "x: { y: [ {{ account.id }} # ${USERS}");
}

#[test]
fn two_dollars_stand_for_one() {
    let program = read("name: Model", "name: a $${USERS} ${USERS}").expect("an escape");
    assert_eq!(program.name, "a ${USERS} 7");
}

#[test]
fn comments_and_unset_names() {
    // The comment in FILE holds ${ANYTHING}, which is not set.
    assert!(read("name: Model", "name: Model # ${ALSO_NOT_SET}").is_ok());
    let found = read("name: Model", "name: Model ${NOT_SET} ${NOR_THIS}").expect_err("unset");
    let places: Vec<_> = found.iter().map(|d| (d.line, d.column, d.code)).collect();
    assert_eq!(places, [(2, 13, "unset-variable"), (2, 24, "unset-variable")]);
}

#[test]
fn messages_never_show_what_the_environment_holds() {
    let hunter = |name: &str| (name == "API").then(|| "hunter2".to_owned());
    let source = source(FILE);
    let found = parse(&source, &hunter).expect_err("`hunter2` is no address");
    let all = scenarios::render(&found, &source, false);
    assert!(!all.contains("hunter2"), "{all}");
}
