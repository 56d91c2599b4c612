//! The engine as its callers see it: whole profiles in virtual time against scripted targets whose truth is known
//! by arithmetic, and a few on loopback.

mod aborts;
mod answers;
mod around;
mod beside;
mod detectors;
mod elsewhere;
mod evidence;
mod faults;
mod field;
mod flow;
mod hidden;
mod hops;
mod hostile;
mod hostile_bodies;
mod hostile_frames;
mod hostile_sockets;
mod http2;
mod isolation;
mod lanes;
mod laws;
mod loopback;
mod parking;
mod phases;
mod places;
mod provoked;
mod redirects;
mod requests;
mod secrets;
mod shared;
mod soak;
mod sockets;
mod spoken;
mod streams;
mod tails;
mod tls;
mod truth;
mod ways;

use engine::run_result::{Counts, RunResult};
use engine::simulate::{Script, simulate};
use scenarios::{Program, Source};
use std::sync::Arc;

/// Compiles a scenario that must be right.
fn program(text: &str) -> Arc<Program> {
    let source = Source { name: "test.yaml".into(), text: text.into(), folder: ".".into() };
    let (plan, _) =
        scenarios::parse(&source, &|_| None).unwrap_or_else(|d| panic!("{}", scenarios::render(&d, &source, false)));
    Arc::new(scenarios::compile(&plan).unwrap_or_else(|d| panic!("{}", scenarios::render(&d, &source, false))))
}

/// Plays the first profile in virtual time.
fn play(text: &str, seed: u64, mut script: impl Script) -> RunResult {
    simulate(&program(text), 0, seed, &mut script).expect("the scenario can be said in HTTP")
}

/// The laws that hold exactly in every result.
#[track_caller]
fn assert_laws(result: &RunResult) {
    let totals = result.totals();
    assert_eq!(
        totals.planned,
        totals.sent() + totals.generator_errors,
        "planned = sent + generator errors, {totals:?}"
    );
    let i = result.iterations;
    assert_eq!(i.started, i.completed + i.gave_up + i.cut, "{i:?}");
    for (header, step) in result.header.steps.iter().zip(&result.steps) {
        let c = step.counts;
        assert_eq!(c.planned, c.sent() + c.generator_errors, "{}: {c:?}", header.name);
        assert_eq!(step.response.count(), c.ok - c.limited + c.timed_out + c.unfinished, "{}", header.name);
        assert_eq!(step.lower_bounds.count(), c.timed_out + c.unfinished, "{}", header.name);
        assert_eq!(step.failed_response.count(), c.failed, "{}", header.name);
    }
    let in_timeline: u64 = result.timeline.iter().map(|p| p.counts.ok + p.counts.failed).sum();
    assert_eq!(in_timeline, totals.ok + totals.failed, "the timeline holds every answer");
    if !result.phases.is_empty() {
        let mut sum = Counts::default();
        result.phases.iter().for_each(|phase| sum.add(&phase.counts()));
        assert_eq!(sum, totals, "the phases sum up to the run");
        assert_eq!(result.phases.iter().map(|p| p.dropped).sum::<u64>(), result.dropped);
        assert_eq!(result.phases.iter().map(|p| p.completed).sum::<u64>(), i.completed);
    }
}
