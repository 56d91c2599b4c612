//! Phases: each rung of a ladder has its own truth, and the rungs sum up to the run.

use super::{assert_laws, play};
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::run_result::RunResult;
use engine::simulate::Reply;

fn ladder(profile: &str) -> String {
    format!(
        "watertight: 1\nname: phases\ntargets: {{ t: {{ url: 'http://127.0.0.1:1', timeout: 2s }} }}\n\
         journeys: {{ j: {{ target: t, steps: [ GET /x ] }} }}\nprofiles: {{ p: {profile} }}\n\
         sla: [ {{ p95: < 25ms }} ]\n"
    )
}

/// A target that takes 10 ms on the first rung, 20 ms on the second, 30 ms on the third.
fn by_rung(now: Nanos) -> Reply {
    Reply::ok((now / (10 * SECOND) + 1) * 10 * MILLISECOND)
}

fn sent(result: &RunResult) -> Vec<u64> {
    result.phases.iter().map(|p| p.counts().sent()).collect()
}

#[test]
fn each_rung_has_its_own_times() {
    let text = ladder("{ preset: ladder, arrivals: [10/s, 20/s, 40/s], each: 10s }");
    let result = play(&text, 1, |_: &_, now: Nanos| by_rung(now));
    assert_laws(&result);
    assert!(result.header.ladder);
    let names: Vec<_> = result.header.phases.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["10 arrivals/s", "20 arrivals/s", "40 arrivals/s"]);
    assert_eq!(sent(&result), [100, 200, 400]);
    for (index, truth_ms) in [10.0, 20.0, 30.0].into_iter().enumerate() {
        let rung = result.of_phase(index).expect("it is there");
        let mean_ms = rung.steps[0].response.mean_ns().expect("there are samples") / 1e6;
        assert!((mean_ms - truth_ms).abs() < 1e-6, "rung {index}: {mean_ms} ms");
        let within = if truth_ms < 25.0 { rung.steps[0].response.count() } else { 0 };
        assert_eq!(rung.steps[0].within, [within], "the exact counter of the limit, on this rung alone");
        assert_eq!(rung.timeline.len(), 10);
        assert!((rung.duration_s - 10.0).abs() < 0.05, "{}", rung.duration_s);
    }
    assert!(result.of_phase(3).is_none());
}

#[test]
fn users_of_a_closed_ladder_climb_and_the_warm_up_is_in_no_rung() {
    let text = ladder("{ preset: ladder, users: [2, 4], each: 10s, warm_up: 5s }");
    let result = play(&text, 1, |_: &_, _: Nanos| Reply::ok(100 * MILLISECOND));
    assert_laws(&result);
    // Users × 10 s / 100 ms; the last request of each of the two first users ends just past the first rung.
    assert_eq!(sent(&result), [200 - 2, 400 + 2]);
    assert_eq!(result.overhead.warm_up, 100);
}

#[test]
fn what_comes_after_the_end_belongs_to_the_last_rung() {
    let text = ladder("{ preset: ladder, arrivals: [1/s, 2/s], each: 5s, graceful_stop: 1s }");
    let result = play(&text, 1, |_: &_, _: Nanos| Reply { after: None, ..Reply::ok(0) });
    assert_laws(&result);
    let last = result.phases[1].counts();
    assert!(last.timed_out > 0 && last.unfinished > 0, "{last:?}");
    assert_eq!(result.phases[0].counts().timed_out, 3, "due in the first five seconds, and given up on 2 s later");
}

#[test]
fn a_single_stage_has_no_phases() {
    let result = play(&ladder("{ users: 2, for: 5s }"), 1, |_: &_, _: Nanos| Reply::ok(MILLISECOND));
    assert!(result.phases.is_empty() && result.header.phases.is_empty() && !result.header.ladder);
}
