//! What the benchmarks share: compiled programs, a run without a network, a recorder whose seconds go nowhere.
//! In: scenario text. Out: the engine's own types, set up as a run sets them up.

use engine::clock::Clock;
use engine::record::Recorder;
use engine::record::collector::{Message, queue};
use engine::run::Run;
use scenarios::Source;
use scenarios::program::Program;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// The bare GET of the side-by-side.
pub const GET: &str = include_str!("../scenarios/get.yaml");
/// The full journey step of the side-by-side.
pub const JOURNEY: &str = include_str!("../scenarios/journey.yaml");
/// Key of all markers: the benchmarks measure the same bytes each time.
pub const KEY: [u8; 32] = [7; 32];

/// A compiled scenario.
///
/// # Panics
/// It has a mistake.
pub fn program(text: &str) -> Arc<Program> {
    let source = Source { name: "benchmark.yaml".into(), text: text.into(), folder: PathBuf::new() };
    let (plan, _) = scenarios::parse(&source, &|_| None).expect("the benchmark's scenario parses");
    Arc::new(scenarios::compile(&plan).expect("the benchmark's scenario compiles"))
}

/// A run of the first profile.
///
/// # Panics
/// The program has no profile.
pub fn run(program: &Arc<Program>) -> Arc<Run> {
    let profile = program.profiles.first().expect("the benchmark's scenario has a profile").clone();
    let run = Run::new(Arc::clone(program), profile, Clock::simulated(), 1, "benchmark".into(), KEY);
    Arc::new(run.expect("HTTP can say the benchmark's requests"))
}

/// A worker's recorder, and the end of the queue that must be kept for as long as it is used.
pub fn recorder(program: &Arc<Program>) -> (Recorder, Receiver<(usize, Message)>) {
    let (handover, messages) = queue();
    let limits = Arc::new(engine::step_limits(program));
    (Recorder::new(Arc::clone(program), limits, 0, handover), messages)
}

/// What a small service answers, about `bytes` long: the fields that the journey reads, then items.
pub fn body(bytes: usize) -> Vec<u8> {
    let mut text = String::from(r#"{"session_id":"f3c2a9d4-0b1e-4f6a-9c58","scene":"harbour","mood":7,"items":["#);
    for number in 0.. {
        if number > 0 {
            text.push(',');
        }
        text.push_str(&format!(r#"{{"id":{number},"title":"note {number}","done":false}}"#));
        if text.len() + 2 >= bytes {
            break;
        }
    }
    text.push_str("]}");
    text.into_bytes()
}
