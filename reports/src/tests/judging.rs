//! Objectives by tables: each kind in each outcome.

use crate::judge;
use crate::synthetic::*;
use crate::verdict::*;
use engine::run_result::*;
use scenarios::objective::{Objective, Stat};

pub const P95: Stat = Stat::Percentile(95.0);
const P99: Stat = Stat::Percentile(99.0);

/// `n` requests over ten seconds; every `slow_every`-th takes 900 ms, the others 10 ms.
pub fn requests(n: u64, slow_every: u64) -> RunResult {
    let per_second = n / 10;
    run(
        10,
        vec![Step::new("GET /a", per_second, move |second, i, _| {
            let index = second * per_second + i;
            Sample::Ok(if index.is_multiple_of(slow_every) { 900 * MS } else { 10 * MS })
        })],
    )
}

/// `n` requests over ten seconds; every `bad_every`-th fails.
fn errors(n: u64, bad_every: u64) -> RunResult {
    let per_second = n / 10;
    run(
        10,
        vec![Step::new("GET /a", per_second, move |second, i, _| match (second * per_second + i) % bad_every {
            0 => Sample::Failed(5 * MS, "status 503"),
            _ => Sample::Ok(10 * MS),
        })],
    )
}

fn one(result: &RunResult, objective: Objective) -> JudgedObjective {
    judge(result, &[objective]).objectives.remove(0)
}

#[track_caller]
fn check(result: &RunResult, stat: Stat, limit: &str, outcome: ObjectiveOutcome, reason: &str) {
    let judged = one(result, objective(stat, limit));
    let close = "; close: the interval reaches past the limit";
    let said = judged.reason.strip_suffix(close).unwrap_or(&judged.reason);
    assert_eq!((judged.outcome, said), (outcome, reason), "{} {limit}", stat.word());
}

#[rustfmt::skip] // a table reads by its rows
#[test]
fn percentiles() {
    use ObjectiveOutcome::{Fail, Inconclusive, Pass};
    let good = requests(1000, 50); // 2 % slow
    check(&good, P95, "< 200ms", Pass, "98% of 1,000 samples within 200 ms; p95 asks for 95%");
    check(&good, P99, "< 200ms", Fail, "98% of 1,000 samples within 200 ms; p99 asks for 99%");
    check(&good, P99, "< 1s", Pass, "100% of 1,000 samples within 1.00 s; p99 asks for 99%");
    check(&good, Stat::Percentile(99.9), "< 1s", Inconclusive, "1,000 samples; p99.9 needs at least 2,995");
    check(&requests(40, 50), P95, "< 1s", Inconclusive, "40 samples; p95 needs at least 59");
    check(&requests(40, 1), P95, "< 200ms", Fail, "0% of 40 samples within 200 ms; p95 asks for 95%; so few already prove the miss");
    check(&requests(40, 20), P95, "< 200ms", Inconclusive, "40 samples; p95 needs at least 59");
    check(&good, P99, "> 200ms", Pass, "98% of 1,000 samples within 200 ms; p99 asks for less than 99%");
    check(&good, P95, "> 200ms", Fail, "98% of 1,000 samples within 200 ms; p95 asks for less than 95%");
    check(&empty(), P95, "< 200ms", Inconclusive, "no step of this run belongs to it");
    check(&errors(100, 1), P95, "< 1s", Inconclusive, "no sample: 100 requests failed, none was answered as expected");
}

#[test]
fn exact_counters_and_figure_tell_the_same_story() {
    // 200.01 ms shares its histogram bucket with 199.99 ms: only the counter can tell them apart.
    for (ns, outcome) in [
        (199_990_000, ObjectiveOutcome::Pass),
        (200_010_000, ObjectiveOutcome::Fail),
        (200_000_000, ObjectiveOutcome::Fail),
    ] {
        let half = move |_, i, _: &mut Chance| Sample::Ok(if i % 100 < 96 { ns } else { 900 * MS });
        let result = run(10, vec![Step::new("a", 100, half).limits(&[100 * MS, 200 * MS])]);
        let judged = one(&result, objective(P95, "< 200ms"));
        assert_eq!(judged.outcome, outcome, "{ns}");
        let holds = judged.measured.unwrap() < 200e6;
        assert_eq!(holds, outcome == ObjectiveOutcome::Pass, "{judged:?}");
    }
}

#[test]
fn cut_requests_are_neither_good_nor_bad() {
    let cut = |share: u64| {
        run(
            10,
            vec![Step::new(
                "a",
                100,
                move |_, i, _| {
                    if i < share { Sample::Unfinished(3 * MS) } else { Sample::Ok(10 * MS) }
                },
            )],
        )
    };
    check(
        &cut(10),
        P95,
        "< 200ms",
        ObjectiveOutcome::Inconclusive,
        "100 samples ended before the limit without an answer, and decide it",
    );
    assert!(one(&cut(10), objective(P95, "< 200ms")).is_at_least);
    let few = one(&cut(1), objective(P95, "< 200ms"));
    assert_eq!((few.outcome, few.is_at_least), (ObjectiveOutcome::Pass, false));
    let late = run(
        10,
        vec![Step::new("a", 100, |_, i, _| if i < 10 { Sample::TimedOut(5_000 * MS) } else { Sample::Ok(10 * MS) })],
    );
    let judged = one(&late, objective(P95, "< 5s"));
    assert_eq!(judged.outcome, ObjectiveOutcome::Fail);
    assert!(judged.is_at_least && judged.reason.ends_with("(p95 is at least 5.00 s)"), "{}", judged.reason);
}

#[test]
fn means_and_maxima() {
    use ObjectiveOutcome::{Fail, Inconclusive, Pass};
    let result = requests(1000, 100); // mean 18.9 ms
    check(&result, Stat::Mean, "< 20ms", Pass, "mean 18.9 ms over 1,000 samples");
    check(&result, Stat::Mean, "< 18ms", Fail, "mean 18.9 ms over 1,000 samples");
    check(
        &errors(100, 1),
        Stat::Mean,
        "< 18ms",
        Inconclusive,
        "no sample: 100 requests failed, none was answered as expected",
    );
    check(&result, Stat::Max, "< 1s", Pass, "100% of 1,000 samples within 1.00 s; max asks for 100%");
    check(&result, Stat::Max, "< 500ms", Fail, "99% of 1,000 samples within 500 ms; max asks for 100%");
    let mean = one(&result, objective(Stat::Mean, "< 20ms"));
    assert_eq!(mean.measured, Some(18.9e6));
    assert!(mean.interval.is_some());
    assert_eq!(one(&result, objective(Stat::Max, "< 1s")).interval, None);
}

#[rustfmt::skip] // a table reads by its rows
#[test]
fn shares() {
    use ObjectiveOutcome::{Fail, Inconclusive, Pass};
    let result = errors(1000, 200); // 0.5 %
    check(&result, Stat::Errors, "< 1%", Pass, "5 of 1,000 requests failed or timed out");
    check(&result, Stat::Errors, "< 0.5%", Fail, "5 of 1,000 requests failed or timed out");
    check(&result, Stat::Errors, "< 0.1%", Fail, "5 of 1,000 requests failed or timed out; so few already prove the miss");
    check(&errors(1000, 2000), Stat::Errors, "< 0.1%", Inconclusive, "1,000 requests; errors < 0.1% needs at least 2,995");
    check(&errors(20, 1), Stat::Errors, "< 1%", Fail, "20 of 20 requests failed or timed out; so few already prove the miss");
    check(&errors(20, 20), Stat::Errors, "< 1%", Inconclusive, "20 requests; errors < 1% needs at least 299");
    check(&result, Stat::Errors, "<= 0%", Fail, "5 of 1,000 requests failed or timed out");
    check(&result, Stat::Availability, ">= 99%", Pass, "995 of 1,000 requests answered as expected");
    check(&result, Stat::Availability, ">= 99.5%", Pass, "995 of 1,000 requests answered as expected");
    check(&result, Stat::Availability, "> 99.5%", Fail, "995 of 1,000 requests answered as expected");
    check(&result, Stat::Completed, ">= 95%", Pass, "250 of 250 iterations completed");
    check(&result, Stat::Completed, ">= 99%", Inconclusive, "250 iterations; completed >= 99% needs at least 299");
    check(&result, Stat::Rate, ">= 90/s", Pass, "1,000 requests answered in 10 s");
    check(&result, Stat::Rate, ">= 110/s", Fail, "1,000 requests answered in 10 s");
    check(&empty(), Stat::Completed, ">= 95%", Inconclusive, "no iteration to judge");
}

#[test]
fn drops_of_the_target_lower_availability() {
    let mut result = errors(1000, 2000);
    result.dropped = 50;
    result.health.dropped_by_target = 50;
    let judged = one(&result, objective(Stat::Availability, ">= 99%"));
    assert_eq!((judged.outcome, judged.n), (ObjectiveOutcome::Fail, 1050));
}

#[test]
fn warnings_and_soft_objectives() {
    let result = requests(1000, 50);
    let mut warned = objective(P95, "< 200ms");
    warned.warn = Some(limit("< 5ms"));
    let judged = one(&result, warned);
    assert_eq!(judged.outcome, ObjectiveOutcome::Warn);
    assert_eq!(judged.reason, "misses the warning limit < 5ms: 0% of 1,000 samples within 5.00 ms; p95 asks for 95%");
    let mut soft = objective(P99, "< 200ms");
    soft.must = false;
    let verdict = judge(&result, &[objective(P95, "< 200ms"), soft]);
    assert_eq!(verdict.objectives[1].outcome, ObjectiveOutcome::Warn);
    assert_eq!(verdict.outcome, Outcome::GoWithWarnings);
}

#[test]
fn selection_and_profiles() {
    let fast = Step::new("fast", 100, |_, _, _| Sample::Ok(MS));
    let slow = Step::new("slow", 100, |_, _, _| Sample::Ok(500 * MS));
    let probe = Step::new("probe", 100, |_, _, _| Sample::Ok(5_000 * MS)).probe();
    let result = run(10, vec![fast, slow, probe]);
    let mut of_fast = objective(P95, "< 10ms");
    of_fast.of.steps = vec!["fast".into()];
    of_fast.of.step_ids = vec![0];
    assert_eq!(one(&result, of_fast.clone()).outcome, ObjectiveOutcome::Pass);
    assert_eq!(one(&result, objective(P95, "< 10ms")).outcome, ObjectiveOutcome::Fail);
    assert_eq!(one(&result, objective(Stat::Max, "< 1s")).outcome, ObjectiveOutcome::Pass, "probes are outside");
    of_fast.of.step_ids = vec![];
    assert_eq!(one(&result, of_fast.clone()).reason, "no step of this run belongs to it");
    of_fast.profiles = Some(vec!["soak".into()]);
    assert!(judge(&result, &[of_fast]).objectives.is_empty());
}

#[test]
fn intervals_enclose_and_widen_with_dependence() {
    let steady = requests(2000, 50);
    let judged = one(&steady, objective(P95, "< 200ms"));
    let interval = judged.interval.unwrap();
    assert!(interval.low <= judged.measured.unwrap() && interval.high.unwrap() >= judged.measured.unwrap());
    let stalls = run(
        100,
        vec![Step::new("a", 100, |second, _, _| Sample::Ok(if second % 10 == 0 { 500 * MS } else { 10 * MS }))],
    );
    let wide = one(&stalls, objective(Stat::Percentile(90.0), "< 1s")).interval.unwrap();
    assert!(wide.high.unwrap() > 400e6, "{wide:?}");
    let short = run(1, vec![Step::new("a", 1000, |_, _, _| Sample::Ok(MS))]);
    assert_eq!(one(&short, objective(P95, "< 1s")).interval, None);
}

#[test]
fn a_pass_by_a_hair_says_so() {
    let result = errors(1000, 125); // 0.8 %
    let judged = one(&result, objective(Stat::Errors, "< 1%"));
    assert_eq!(judged.outcome, ObjectiveOutcome::Pass);
    assert!(judged.reason.ends_with("; close: the interval reaches past the limit"), "{}", judged.reason);
}

#[test]
fn a_confident_objective_demands_its_whole_interval() {
    // 4 of 100 bad in every second: far inside 5 %, and just inside it.
    let of = |limit: &str, confident: bool| {
        let step = Step::new(
            "GET /a",
            100,
            |_, i, _| {
                if i < 4 { Sample::Failed(MS, "status 503") } else { Sample::Ok(10 * MS) }
            },
        );
        let mut wanted = objective(Stat::Errors, limit);
        wanted.confident = confident;
        one(&run(60, vec![step]), wanted)
    };
    assert_eq!(of("< 4.1%", false).outcome, ObjectiveOutcome::Pass);
    let close = of("< 4.1%", true);
    assert_eq!(close.outcome, ObjectiveOutcome::Inconclusive, "{close:?}");
    assert!(
        close.reason.ends_with("the limit lies inside the 95% interval, and the whole of it has to keep the limit")
    );
    assert_eq!(of("< 20%", true).outcome, ObjectiveOutcome::Pass, "{:?}", of("< 20%", true));
    assert_eq!(of("< 1%", true).outcome, ObjectiveOutcome::Fail, "a miss is a miss");
    let verdict = {
        let step = Step::new("GET /a", 100, |_, _, _| Sample::Ok(10 * MS));
        let mut wanted = objective(Stat::Errors, "< 4.1%");
        wanted.confident = true;
        judge(&run(1, vec![step]), &[wanted])
    };
    assert_eq!(verdict.objectives[0].outcome, ObjectiveOutcome::Inconclusive, "{:?}", verdict.objectives[0].reason);
}
