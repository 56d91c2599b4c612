//! The rungs of a ladder judged: the whole run may look well while one rung does not hold.

use crate::synthetic::*;
use crate::verdict::{JudgedObjective, ObjectiveOutcome, Outcome};
use crate::{judge, render_report, render_result_json, terminal_summary};
use engine::run_result::*;
use scenarios::objective::{Objective, Stat};
use serde_json::Value;

/// A ladder of three rungs of ten seconds; `play` gives the time of request i of a second.
fn ladder(per_second: u64, play: impl Fn(u64, u64) -> Sample + 'static) -> RunResult {
    let step = Step::new("GET /records", per_second, move |second, i, _| play(second, i)).limits(&[200 * MS]);
    let mut result = run(30, vec![step]);
    let second = 1_000 * MS;
    result.header.ladder = true;
    for (i, name) in ["10 users", "25 users", "50 users"].into_iter().enumerate() {
        let from_ns = i as u64 * 10 * second;
        result.header.phases.push(PhaseHeader { name: name.into(), from_ns, to_ns: from_ns + 10 * second });
        let points = &result.timeline[i * 10..(i + 1) * 10];
        let mut sum = PhaseStep { within: vec![0], ..PhaseStep::default() };
        for share in points.iter().map(|p| &p.steps[0]) {
            sum.counts.add(&share.counts);
            sum.within[0] += share.within[0];
            for _ in 0..share.responses {
                sum.response.record(share.response_sum_ns / share.responses);
            }
        }
        let completed = sum.counts.ok / 4;
        result.phases.push(PhaseTotals { steps: vec![sum], completed, ..PhaseTotals::default() });
    }
    result
}

fn one(result: &RunResult, objective: Objective) -> JudgedObjective {
    judge(result, &[objective]).objectives.remove(0)
}

fn slow_at_the_top(second: u64, _: u64) -> Sample {
    Sample::Ok(if second < 20 { 10 * MS } else { 500 * MS })
}

#[test]
fn one_slow_rung_fails_what_the_whole_run_holds() {
    let result = ladder(100, slow_at_the_top);
    let mean = one(&result, objective(Stat::Mean, "< 200ms"));
    assert_eq!(mean.outcome, ObjectiveOutcome::Fail);
    assert_eq!(mean.reason, "on the rung 50 users: mean 500 ms over 1,000 samples");
    assert_eq!((mean.measured, mean.n), (Some(500e6), 1000), "the figure is the rung's that decided");
    let outcomes: Vec<_> = mean.rungs.iter().map(|r| (r.phase.as_str(), r.outcome)).collect();
    let (pass, fail) = (ObjectiveOutcome::Pass, ObjectiveOutcome::Fail);
    assert_eq!(outcomes, [("10 users", pass), ("25 users", pass), ("50 users", fail)]);
    let median = one(&result, objective(Stat::Percentile(50.0), "< 200ms"));
    assert_eq!(median.outcome, ObjectiveOutcome::Fail);
    assert!(median.reason.starts_with("on the rung 50 users: 0% of 1,000 samples within 200 ms"), "{}", median.reason);
    assert_eq!(judge(&result, &[objective(Stat::Mean, "< 200ms")]).outcome, Outcome::NoGo);
    let mut plain = result;
    plain.header.ladder = false;
    assert_eq!(one(&plain, objective(Stat::Mean, "< 200ms")).outcome, pass, "phases of other shapes are shown only");
}

#[test]
fn shares_are_judged_on_each_rung_and_rates_are_not() {
    let bad = |second: u64, i: u64| {
        if (10..20).contains(&second) && i < 10 { Sample::Failed(MS, "status 503") } else { Sample::Ok(10 * MS) }
    };
    let result = ladder(100, bad);
    let errors = one(&result, objective(Stat::Errors, "< 5%"));
    assert_eq!(errors.reason, "on the rung 25 users: 100 of 1,000 requests failed or timed out");
    assert_eq!(errors.measured, Some(0.1));
    let rate = one(&result, objective(Stat::Rate, ">= 90/s"));
    assert_eq!((rate.outcome, rate.rungs.len()), (ObjectiveOutcome::Pass, 0));
}

#[test]
fn a_ladder_that_holds_says_on_how_many_rungs() {
    let result = ladder(100, |_, _| Sample::Ok(10 * MS));
    let mean = one(&result, objective(Stat::Mean, "< 200ms"));
    assert_eq!(mean.reason, "mean 10.0 ms over 3,000 samples; held on 3 of 3 rungs");
    // Forty samples a rung are too few for p95; the whole has enough, and says where it could not look closer.
    let few = ladder(4, |second, _| Sample::Ok(if second < 10 { 10 * MS } else { 20 * MS }));
    let p95 = one(&few, objective(Stat::Percentile(95.0), "< 200ms"));
    assert_eq!(p95.outcome, ObjectiveOutcome::Inconclusive);
    assert_eq!(p95.reason, "no rung has enough samples: 40 samples; p95 needs at least 59");
    let uneven = ladder(
        8,
        |second, i| {
            if second < 10 && i > 0 { Sample::Failed(MS, "status 503") } else { Sample::Ok(10 * MS) }
        },
    );
    let p95 = one(&uneven, objective(Stat::Percentile(95.0), "< 200ms"));
    assert_eq!(p95.outcome, ObjectiveOutcome::Pass);
    assert!(p95.reason.ends_with("; held on 2 of 3 rungs, too few samples on 10 users"), "{}", p95.reason);
}

#[test]
fn a_warning_limit_is_missed_on_a_rung_too() {
    let mut warned = objective(Stat::Mean, "< 1s");
    warned.warn = Some(limit("< 200ms"));
    let judged = one(&ladder(100, slow_at_the_top), warned);
    assert_eq!(judged.outcome, ObjectiveOutcome::Warn);
    assert!(judged.reason.contains("warning limit < 200ms: on the rung 50 users"), "{}", judged.reason);
}

#[test]
fn every_output_shows_the_rungs() {
    let result = ladder(100, slow_at_the_top);
    let verdict = judge(&result, &[objective(Stat::Mean, "< 200ms")]);
    let json: Value = serde_json::from_str(&render_result_json(&result, &verdict)).unwrap();
    let phases = json["phases"].as_array().unwrap();
    let sent: u64 = phases.iter().map(|p| p["sent"].as_u64().unwrap()).sum();
    assert_eq!(Some(sent), json["totals"]["sent"].as_u64());
    assert_eq!(phases[2]["name"], "50 users");
    assert_eq!((phases[2]["from_s"].as_f64(), phases[2]["to_s"].as_f64()), (Some(20.0), Some(30.0)));
    assert_eq!((phases[2]["mean_ms"].as_f64(), phases[2]["rate"].as_f64()), (Some(500.0), Some(100.0)));
    assert_eq!(json["objectives"][0]["phases"][2]["outcome"], "fail");
    let screen = terminal_summary(&result, &verdict, false);
    assert!(screen.contains("Rungs") && screen.contains("  50 users"), "{screen}");
    assert!(screen.lines().all(|l| l.chars().count() <= 100), "{screen}");
    let page = render_report(&result, &verdict);
    assert!(page.contains("Rungs of the ladder") && page.contains("misses mean &#60; 200ms"), "{page}");
}
