//! No text makes the parser panic, and every diagnostic points into its text.

use crate::file::{FILE, source};
use proptest::prelude::*;
use scenarios::{library, parse, render};

fn survives(text: &str) -> Result<(), TestCaseError> {
    let source = source(text);
    let found = match parse(&source, &|name| (name.len() == 3).then(|| "7".to_owned())) {
        Ok((plan, warnings)) => {
            prop_assert!(scenarios::compile(&plan).is_ok());
            warnings
        }
        Err(found) => found,
    };
    for one in &found {
        prop_assert!(one.line >= 1 && one.column >= 1);
        prop_assert!(one.span.start <= text.len() && !one.message.is_empty());
    }
    let rendered = render(&found, &source, true);
    prop_assert_eq!(found.is_empty(), rendered.is_empty());
    Ok(())
}

/// Cuts, doubles or replaces a part of a good file.
fn mutated(text: &str, from: usize, length: usize, insert: &str, keep: bool) -> String {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let from = floor(from % (text.len() + 1));
    let to = floor(from + length).max(from);
    let rest = if keep { &text[from..] } else { &text[to..] };
    format!("{}{insert}{rest}", &text[..from])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in any::<String>()) {
        survives(&text)?;
    }

    #[test]
    fn text_made_of_yaml_signs(text in "[-a:{}\\[\\],&*!|>'\"%@`#?. \t\n$éß]{0,80}") {
        survives(&text)?;
        survives(&format!("watertight: 1\ntargets: {text}"))?;
    }

    #[test]
    fn spoilt_good_files(
        from in any::<usize>(), length in 0_usize..60, keep in any::<bool>(),
        insert in "[-a:{}\\[\\],&*!|>'\"%@`#?. \t\n$é0-9]{0,8}",
    ) {
        survives(&mutated(FILE, from, length, &insert, keep))?;
        survives(&mutated(library::CLINIC, from, length, &insert, keep))?;
    }

    #[test]
    fn swapped_lines(a in any::<usize>(), b in any::<usize>()) {
        let mut lines: Vec<&str> = FILE.lines().collect();
        let count = lines.len();
        lines.swap(a % count, b % count);
        survives(&lines.join("\n"))?;
        survives(&lines.join("\r\n"))?;
    }
}

#[test]
fn deep_nesting_is_refused_and_overflows_nothing() {
    for open in ["[", "{a: ", "- ", "? ", "- - a: "] {
        let text = format!("watertight: {}", open.repeat(20_000));
        survives(&text).expect("no panic");
        survives(&open.repeat(20_000)).expect("no panic");
    }
    let deep: String = (0..2_000).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    survives(&deep).expect("no panic");
}

#[test]
fn many_fragments_cannot_blow_up_the_program() {
    let mut fragments = String::new();
    for i in 0..30 {
        let calls = format!("{{ call: f{} }}, ", i + 1).repeat(10);
        fragments.push_str(&format!("  f{i}: [ {calls} ]\n"));
    }
    fragments.push_str("  f30: [ GET /a ]\n");
    let text = FILE.replacen("fragments:\n", &format!("fragments:\n{fragments}"), 1);
    let text = text.replacen("{ call: log_in }", "{ call: f0 }, { call: log_in }", 1);
    let found = crate::file::diagnostics(&text);
    assert!(found.iter().any(|d| d.code == "too-large"), "{found:?}");
}
