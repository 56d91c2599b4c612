//! Objectives about watched series, on series whose truth is known.

use crate::judge;
use crate::synthetic::{Chance, empty, objective};
use crate::verdict::{JudgedObjective, ObjectiveOutcome};
use engine::run_result::{RunResult, WatchedSeries};
use scenarios::objective::{Comparison, Limit, SeriesStat, Stat, Watch};

const HOUR: f64 = 3600.0;

/// A run of so many seconds, watched every `every` seconds.
fn watched(seconds: f64, every: f64, value: impl Fn(f64) -> f64) -> RunResult {
    let mut result = empty();
    result.duration_s = seconds;
    result.header.planned_ns = (seconds * 1e9) as u64;
    let readings = (0..=(seconds / every) as u32).map(|i| f64::from(i) * every);
    let points = std::iter::once((-1.0, value(-1.0))).chain(readings.map(|t| (t, value(t))));
    result.watched = vec![WatchedSeries { series: "t.x".into(), points: points.collect(), problem: None }];
    result
}

fn judged(
    result: &RunResult,
    stat: SeriesStat,
    (op, value): (Comparison, f64),
    hold_s: Option<u64>,
) -> JudgedObjective {
    let mut objective = objective(Stat::Errors, "< 1%");
    objective.stat = Stat::Watched(stat);
    objective.limit = Limit { op, value, text: "the limit".into() };
    let per_ns = (stat == SeriesStat::Growth).then_some(86_400_000_000_000);
    objective.watch = Some(Watch { text: "t.x".into(), per_ns, hold_ns: hold_s.map(|s| s * 1_000_000_000) });
    judge(result, &[objective]).objectives.remove(0)
}

const BELOW: fn(f64) -> (Comparison, f64) = |v| (Comparison::Less, v);

/// A level of 1,000 with noise, growing by this share in a day.
fn growing(share_per_day: f64) -> impl Fn(f64) -> f64 {
    move |t| {
        let noise = (Chance((t * 7.0) as i64 as u64).unit() - 0.5) * 4.0;
        1000.0 * (1.0 + share_per_day * t / (24.0 * HOUR)) + noise
    }
}

#[test]
fn a_growth_is_told_by_its_interval() {
    use ObjectiveOutcome::{Fail, Inconclusive, Pass};
    let of = |hours: f64, growth: f64| {
        judged(&watched(hours * HOUR, 5.0, growing(growth)), SeriesStat::Growth, BELOW(0.05), None)
    };
    assert_eq!(of(6.0, 0.20).outcome, Fail, "{}", of(6.0, 0.20).reason);
    assert_eq!(of(6.0, 0.01).outcome, Pass, "{}", of(6.0, 0.01).reason);
    let found = of(6.0, 0.20);
    assert!((found.measured.expect("a figure") - 0.20).abs() < 0.01, "{:?}", found.measured);
    assert!(found.reason.contains("extrapolated from 6 h"), "{}", found.reason);
    let on_the_edge = of(1.2, 0.05);
    assert_eq!(on_the_edge.outcome, Inconclusive, "{}", on_the_edge.reason);
    assert!(on_the_edge.reason.ends_with("reaches to both sides of the limit"), "{}", on_the_edge.reason);
    let minutes = of(0.5, 3.0);
    assert_eq!((minutes.outcome, minutes.measured), (Inconclusive, None), "never from minutes: {}", minutes.reason);
    assert!(minutes.reason.contains("cannot be told from less than 1 h"), "{}", minutes.reason);
}

#[test]
fn a_growth_decides_nothing_in_a_scaled_run() {
    let mut result = watched(6.0 * HOUR, 5.0, growing(0.5));
    result.header.scaled = Some(0.1);
    let found = judged(&result, SeriesStat::Growth, BELOW(0.05), None);
    assert_eq!((found.outcome, found.must), (ObjectiveOutcome::Inconclusive, false), "{}", found.reason);
}

#[test]
fn only_what_lasts_is_a_miss() {
    use ObjectiveOutcome::{Fail, Inconclusive, Pass};
    // Twice too high: for 100 s and for 400 s.
    let peaks = |t: f64| if (100.0..200.0).contains(&t) || (500.0..900.0).contains(&t) { 90.0 } else { 10.0 };
    let result = watched(1800.0, 5.0, peaks);
    let of = |hold| judged(&result, SeriesStat::Max, BELOW(50.0), hold);
    assert_eq!(of(None).outcome, Fail, "{}", of(None).reason);
    assert_eq!(of(Some(300)).outcome, Fail, "{}", of(Some(300)).reason);
    assert_eq!(of(Some(300)).reason, "at least 90 for 5 min from 8 min 20 s on");
    let long = of(Some(600));
    assert_eq!((long.outcome, long.measured), (Pass, Some(10.0)), "{}", long.reason);
    assert_eq!(of(Some(3600)).outcome, Inconclusive, "it was not watched for so long");
    let low = judged(&result, SeriesStat::Min, (Comparison::AtLeast, 50.0), Some(300));
    assert_eq!((low.outcome, low.measured), (Fail, Some(10.0)));
}

#[test]
fn mean_variation_and_return() {
    use ObjectiveOutcome::{Fail, Inconclusive, Pass};
    let saw = watched(600.0, 5.0, |t| if (t / 5.0) as i64 % 2 == 0 { 90.0 } else { 110.0 });
    let mean = judged(&saw, SeriesStat::Mean, BELOW(100.5), None);
    assert!(mean.outcome == Pass && (mean.measured.expect("a figure") - 100.0).abs() < 0.2, "{}", mean.reason);
    assert_eq!(judged(&saw, SeriesStat::Variation, BELOW(0.05), None).outcome, Fail);
    assert_eq!(judged(&saw, SeriesStat::Variation, BELOW(0.15), None).outcome, Pass);
    let mut kept = watched(600.0, 5.0, |t| if t < 0.0 { 100.0 } else { 300.0 });
    let open = judged(&kept, SeriesStat::Returns, (Comparison::AtMost, 0.1), None);
    assert_eq!((open.outcome, open.measured), (Fail, Some(2.0)), "the last reading, at the end: {}", open.reason);
    kept.watched[0].points.push((610.0, 105.0));
    let back = judged(&kept, SeriesStat::Returns, (Comparison::AtMost, 0.1), None);
    assert_eq!((back.outcome, back.measured), (Pass, Some(0.05)), "{}", back.reason);
    kept.watched[0].points.remove(0);
    assert_eq!(judged(&kept, SeriesStat::Returns, (Comparison::AtMost, 0.1), None).outcome, Inconclusive);
    kept.watched[0] = WatchedSeries {
        series: "t.x".into(),
        points: Vec::new(),
        problem: Some("t has no series `x`; near are `xs`".into()),
    };
    let missing = judged(&kept, SeriesStat::Max, BELOW(1.0), None);
    assert_eq!(missing.outcome, Inconclusive);
    assert_eq!(missing.reason, "t has no series `x`; near are `xs`");
}

#[test]
fn a_limit_far_off_is_told_at_the_edge_and_leaves_the_line_readable() {
    let drawn = |limit: f64, text: &str| {
        let result = watched(600.0, 5.0, |t| 28e6 + 2e3 * t.max(0.0));
        let mut of = judged(&result, SeriesStat::Max, BELOW(limit), None);
        of.limit.text = text.into();
        let mut verdict = judge(&result, &[]);
        verdict.objectives = vec![of];
        crate::html::watched::charts(&result, &verdict).remove(0).svg
    };
    let far = drawn(1e9, "< 1GB");
    assert!(far.contains("↑ max &lt; 1GB"), "{far}");
    // The line fills the chart: its points lie apart by a good part of the height.
    let heights = |svg: &str| {
        let line = svg.split("points=\"").filter(|part| part.split('"').next().unwrap().split(' ').count() > 50);
        let points = line.flat_map(|part| part.split('"').next().unwrap().split(' '));
        let ys: Vec<f64> = points.filter_map(|p| p.split(',').nth(1)?.parse().ok()).collect();
        ys.iter().fold(f64::MIN, |a, b| a.max(*b)) - ys.iter().fold(f64::MAX, |a, b| a.min(*b))
    };
    assert!(heights(&far) > 100.0, "{}", heights(&far));
    let near = drawn(31e6, "< 31MB");
    assert!(near.contains(">max &lt; 31MB") || near.contains("\nmax &lt; 31MB"), "{near}");
    assert!(!near.contains('↑'));
}
