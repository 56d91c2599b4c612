//! Statistics of the verdict: how many samples a claim needs, and how sure a figure is.
//! In: plain numbers. Out: plain numbers. Nothing here knows of runs or objectives.
//!
//! Sources: Clopper & Pearson, Biometrika 26 (1934); Korn & Graubard, Survey Methodology 24 (1998), for
//! Clopper–Pearson on an effective n; Cochran, Sampling Techniques (3rd ed.) §9A, for the variance of a ratio
//! over clusters; Schmeiser, Operations Research 30 (1982), for 10 to 30 batches; David & Nagaraja, Order
//! Statistics §7.1, for percentile intervals.

pub use scenarios::objective::{ALPHA, least_n};
use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::beta::checked_beta_reg;

/// Half of what a 95 % interval leaves out.
const TAIL: f64 = 0.025;
/// The normal quantile at 1 − [`TAIL`].
const Z: f64 = 1.959_963_984_540_054;
/// Above this many hits and misses the normal approximation is better than a continued fraction of that length.
const LARGE: f64 = 200.0;

/// Regularised incomplete beta function, with the ends of its parameters closed.
fn beta_cdf(a: f64, b: f64, x: f64) -> f64 {
    if a <= 0.0 || x >= 1.0 {
        1.0
    } else if b <= 0.0 || x <= 0.0 {
        0.0
    } else {
        checked_beta_reg(a, b, x).unwrap_or(f64::NAN)
    }
}

/// P(X ≥ `hits`) for X binomial(`n`, `p`); real-valued `hits` and `n` are allowed.
pub fn binomial_tail(hits: f64, n: f64, p: f64) -> f64 {
    if hits <= 0.0 {
        return 1.0;
    }
    beta_cdf(hits, (n - hits).max(0.0) + 1.0, p)
}

/// Quantile of the beta distribution by bisection: 60 halvings are exact to 1e-18.
fn beta_quantile(a: f64, b: f64, q: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if beta_cdf(a, b, middle) < q {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// 95 % Clopper–Pearson interval for a share: `hits` of `n`, both real-valued so that an effective n fits.
/// With many hits and misses: Wilson with continuity correction, which agrees to a third digit there.
pub fn clopper_pearson(hits: f64, n: f64) -> (f64, f64) {
    if n <= 0.0 {
        return (0.0, 1.0);
    }
    if hits.min(n - hits) > LARGE {
        return wilson_corrected(hits, n);
    }
    let low = if hits <= 0.0 { 0.0 } else { beta_quantile(hits, n - hits + 1.0, TAIL) };
    let high = if hits >= n { 1.0 } else { beta_quantile(hits + 1.0, n - hits, 1.0 - TAIL) };
    (low, high)
}

fn wilson_corrected(hits: f64, n: f64) -> (f64, f64) {
    let (p, z2) = (hits / n, Z * Z);
    let end = |sign: f64| {
        let root = (z2 + sign * 2.0 - 1.0 / n + 4.0 * p * (n * (1.0 - p) - sign)).max(0.0);
        (2.0 * n * p + z2 + sign * (1.0 + Z * root.sqrt())) / (2.0 * (n + z2))
    };
    (end(-1.0).max(0.0), end(1.0).min(1.0))
}

/// Ranks (1-based) of the order statistics that enclose the `q`-quantile of `n` independent samples at 95 %.
/// `None`: the sample is too small to bound that side.
pub fn order_ranks(n: u64, q: f64) -> (Option<u64>, Option<u64>) {
    let size = n as f64;
    let variance = size * q * (1.0 - q);
    if variance > LARGE {
        let half = Z * variance.sqrt();
        let low = (size * q - half).floor() as u64;
        let high = (size * q + half).ceil() as u64 + 1;
        return (Some(low.max(1)), (high <= n).then_some(high));
    }
    // P(X ≤ k) grows in k: both ranks are found by bisection.
    let at_most = |k: u64| 1.0 - binomial_tail(k as f64 + 1.0, size, q);
    let low = first(n, |k| at_most(k) > TAIL);
    let high = first(n, |k| at_most(k) >= 1.0 - TAIL) + 1;
    ((low > 0).then_some(low), (high <= n).then_some(high))
}

/// Smallest k in 0..=n for which `holds` (monotone, true at n).
fn first(n: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// One contiguous block of a run: a sum (of hits, or of times) over a number of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// Hits or summed values.
    pub sum: f64,
    /// Samples.
    pub n: f64,
}

/// What blocks say about a ratio Σ sum / Σ n.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The ratio.
    pub value: f64,
    /// Its variance, from how the blocks differ.
    pub variance: f64,
    /// Blocks that held samples.
    pub blocks: usize,
}

/// Ratio of sums over blocks with its cluster variance B/(B−1) · Σ (sum_b − r·n_b)² / N².
/// `None` with fewer than two blocks that hold samples.
pub fn ratio(blocks: &[Block]) -> Option<Ratio> {
    let used: Vec<&Block> = blocks.iter().filter(|b| b.n > 0.0).collect();
    if used.len() < 2 {
        return None;
    }
    let n: f64 = used.iter().map(|b| b.n).sum();
    let value = used.iter().map(|b| b.sum).sum::<f64>() / n;
    let count = used.len() as f64;
    let squares: f64 = used.iter().map(|b| (b.sum - value * b.n).powi(2)).sum();
    Some(Ratio { value, variance: count / (count - 1.0) * squares / (n * n), blocks: used.len() })
}

/// Design effect: how many dependent samples weigh as one independent sample; at least 1.
/// `single` is the variance of one sample were all independent: p(1 − p) for a share, σ² for a mean.
pub fn design_effect(ratio: &Ratio, n: f64, single: f64) -> f64 {
    if single <= 0.0 || n <= 0.0 {
        return 1.0;
    }
    (ratio.variance * n / single).max(1.0)
}

/// Student's t quantile at 97.5 % with `blocks − 1` degrees of freedom.
pub fn t_quantile(blocks: usize) -> f64 {
    let freedom = blocks.saturating_sub(1).max(1) as f64;
    StudentsT::new(0.0, 1.0, freedom).map_or(Z, |t| t.inverse_cdf(1.0 - TAIL))
}

/// Effective n after Korn & Graubard: n / deff · (z / t)², where t pays for a design effect that is itself
/// only known from `blocks` blocks. Never more than n.
pub fn effective_n(n: f64, design_effect: f64, blocks: usize) -> f64 {
    (n / design_effect * (Z / t_quantile(blocks)).powi(2)).min(n)
}
