//! Any text as a scenario file: mistakes with places inside the text, or a program that can be explained.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scenarios::{Source, explain};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The fuzzer shall not read files of this machine.
    if ["/dev", "/proc", "/sys", ".."].iter().any(|word| text.contains(word)) {
        return;
    }
    let source = Source { name: "fuzz.yaml".into(), text: text.to_owned(), folder: "/nonexistent".into() };
    let environment = |name: &str| (name.len() % 2 == 0).then(|| format!("value of {name}"));
    match scenarios::parse(&source, &environment) {
        Ok((plan, warnings)) => {
            let _ = scenarios::render(&warnings, &source, false);
            let _ = plan.stored_text();
            let program = scenarios::compile(&plan).expect("an accepted plan compiles");
            let _ = explain::listing(&program);
            for journey in &program.journeys {
                assert!(explain::graph(&program, &journey.name).is_some());
            }
            for profile in &program.profiles {
                let _ = program.estimate(&profile.name);
            }
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "a refused file has a mistake");
            let _ = scenarios::render(&mistakes, &source, false);
        }
    }
});
