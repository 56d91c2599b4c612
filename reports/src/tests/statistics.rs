//! Statistics against known values, and the coverage of intervals on dependent samples.

use crate::blocks::{self, Dependence};
use crate::stats::*;
use crate::synthetic::Chance;

#[test]
fn least_n_is_the_published_table() {
    for (allowed, n) in [
        (0.5, 5),
        (0.10, 29),
        (0.05, 59),
        (1.0 - 0.95, 59),
        (0.01, 299),
        (1.0 - 0.99, 299),
        (0.001, 2995),
        (1.0 - 0.999, 2995),
        (0.0001, 29956),
        (0.0, 1),
        (1.0, 1),
    ] {
        assert_eq!(least_n(allowed), n, "allowed {allowed}");
    }
}

/// R: binom.test(x, n)$conf.int
#[test]
fn clopper_pearson_is_r() {
    for (x, n, low, high) in [
        (0.0, 20.0, 0.0, 0.168_433_5),
        (20.0, 20.0, 0.831_566_5, 1.0),
        (5.0, 20.0, 0.086_571_5, 0.491_045_9),
        (1.0, 100.0, 0.000_253_1, 0.054_459_4),
        (50.0, 100.0, 0.398_321_1, 0.601_678_9),
    ] {
        let (l, h) = clopper_pearson(x, n);
        assert!((l - low).abs() < 1e-6, "{x} of {n}: low {l}, truth {low}");
        assert!((h - high).abs() < 1e-6, "{x} of {n}: high {h}, truth {high}");
    }
}

#[test]
fn large_samples_join_smoothly() {
    let (exact_low, exact_high) = clopper_pearson(200.0, 20_000.0);
    let (low, high) = clopper_pearson(200.001, 20_000.0);
    assert!((low - exact_low).abs() / exact_low < 0.005, "{low} {exact_low}");
    assert!((high - exact_high).abs() / exact_high < 0.005, "{high} {exact_high}");
    let (low, high) = clopper_pearson(5e8, 1e9);
    assert!(low < 0.5 && high > 0.5 && high - low < 1e-4);
}

#[test]
fn binomial_tails() {
    for (x, n, p, truth) in [
        (0.0, 20.0, 0.01, 1.0),
        (1.0, 20.0, 0.01, 0.182_093_1),
        (2.0, 20.0, 0.01, 0.016_859_3),
        (20.0, 20.0, 0.01, 0.0),
        (1.0, 20.0, 0.0, 0.0),
        (3.0, 10.0, 0.5, 0.945_312_5),
    ] {
        let tail = binomial_tail(x, n, p);
        assert!((tail - truth).abs() < 1e-6, "{x} {n} {p}: {tail}");
    }
}

/// Tables of distribution-free intervals for the median, and the least n of an upper end.
#[test]
fn order_ranks_are_the_tables() {
    assert_eq!(order_ranks(100, 0.5), (Some(40), Some(61)));
    assert_eq!(order_ranks(20, 0.5), (Some(6), Some(15)));
    assert_eq!(order_ranks(5, 0.5), (None, None));
    assert_eq!(order_ranks(6, 0.5), (Some(1), Some(6)));
    assert_eq!(order_ranks(50, 0.95).1, None);
    assert_eq!(order_ranks(1000, 0.5), (Some(469), Some(532)));
    // Exact binomial just below the switch to the normal one, and beyond it.
    let (low, high) = order_ranks(4200, 0.95);
    let (low_later, high_later) = order_ranks(4220, 0.95);
    assert!(low_later.unwrap() - low.unwrap() <= 22 && low_later > low);
    assert!(high_later.unwrap() - high.unwrap() <= 22 && high_later > high);
}

#[test]
fn t_quantiles() {
    for (blocks, t) in [(2, 12.7062), (3, 4.3027), (11, 2.2281), (20, 2.0930)] {
        assert!((t_quantile(blocks) - t).abs() < 1e-3, "{blocks}");
    }
}

#[test]
fn ratio_and_design_effect_by_hand() {
    let block = |sum, n| Block { sum, n };
    assert_eq!(ratio(&[block(1.0, 10.0)]), None);
    // Two blocks of 10, one all bad, one all good: r = 0.5, variance 2/1 · (5² + 5²) / 20² = 0.25.
    let r = ratio(&[block(10.0, 10.0), block(0.0, 10.0), block(0.0, 0.0)]).unwrap();
    assert_eq!((r.value, r.variance, r.blocks), (0.5, 0.25, 2));
    assert_eq!(design_effect(&r, 20.0, 0.25), 20.0);
    // Equal blocks: nothing learnt, never below 1.
    let r = ratio(&[block(5.0, 10.0), block(5.0, 10.0)]).unwrap();
    assert_eq!(design_effect(&r, 20.0, 0.25), 1.0);
    assert!(effective_n(1000.0, 1.0, 20) < 1000.0);
}

/// Requests of one second share that second's fate (AR(1) over seconds). The interval on effective n must cover the
/// truth about as often as it says; the one that takes requests for independent must be seen to fail.
#[test]
fn interval_covers_the_truth_on_dependent_samples() {
    let mut chance = Chance(11);
    let (mut covered, mut nominal, runs) = (0, 0, 400);
    let truth = true_share();
    for _ in 0..runs {
        let seconds = dependent_run(&mut chance, 120);
        let blocks: Vec<Block> = seconds.chunks(6).map(merge).collect();
        let whole = merge(&seconds);
        let dependence = blocks::of_share(&blocks).unwrap_or(Dependence { design_effect: 1.0, blocks: 20 });
        let n = dependence.effective_n(whole.n).unwrap();
        let share = whole.sum / whole.n;
        let (low, high) = clopper_pearson(share * n, n);
        covered += u32::from(low <= truth && truth <= high);
        let (low, high) = clopper_pearson(whole.sum, whole.n);
        nominal += u32::from(low <= truth && truth <= high);
    }
    let (covered, nominal) = (f64::from(covered) / f64::from(runs), f64::from(nominal) / f64::from(runs));
    assert!(covered >= 0.90, "covers {covered}, nominal {nominal}");
    assert!(nominal < 0.78, "nominal {nominal}");
}

fn merge(blocks: &[Block]) -> Block {
    Block { sum: blocks.iter().map(|b| b.sum).sum(), n: blocks.iter().map(|b| b.n).sum() }
}

/// 120 seconds of 50 requests; p of a second is a clamped AR(1) around 5 %.
fn dependent_run(chance: &mut Chance, seconds: usize) -> Vec<Block> {
    let mut state = 0.0;
    let mut draw = |chance: &mut Chance| {
        let shock = (0..12).map(|_| chance.unit()).sum::<f64>() - 6.0;
        state = 0.6 * state + 0.8 * shock;
        share_of(state)
    };
    for _ in 0..20 {
        draw(chance);
    }
    (0..seconds)
        .map(|_| {
            let p = draw(chance);
            let bad = (0..50).filter(|_| chance.unit() < p).count();
            Block { sum: bad as f64, n: 50.0 }
        })
        .collect()
}

fn share_of(state: f64) -> f64 {
    (0.05 + 0.04 * state).clamp(0.0, 1.0)
}

/// The truth by a long simulation of the same process.
fn true_share() -> f64 {
    let whole = merge(&dependent_run(&mut Chance(99), 40_000));
    whole.sum / whole.n
}
