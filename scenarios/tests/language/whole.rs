//! The file that shows the whole language passes the check. `cli/tests/e2e/whole.rs` plays it.

use scenarios::{Source, compile, parse, render};
use std::path::PathBuf;

fn whole() -> Source {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/language/model"));
    Source { name: "whole.yaml".into(), text: include_str!("model/whole.yaml").into(), folder }
}

#[test]
fn nothing_in_it_is_refused() {
    let (plan, warnings) = match parse(&whole(), &|_| None) {
        Ok(read) => read,
        Err(mistakes) => panic!("{}", render(&mistakes, &whole(), false)),
    };
    let program = compile(&plan).expect("an accepted plan compiles");
    assert_eq!((program.journeys.len(), program.profiles.len(), program.objectives.len()), (3, 8, 6));
    let shown = render(&warnings, &whole(), false);
    assert!(warnings.iter().all(|w| w.code == "unused-variable"), "{shown}");
}
