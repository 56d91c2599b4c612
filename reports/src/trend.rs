//! The trend of a series over time, and how sure it is: Theil–Sen slope with an interval after Sen, its variance corrected
//! for points that depend on each other.
//! In: points in order. Out: slope and interval, per second.
//!
//! Sources: Sen, Journal of the American Statistical Association 63 (1968); Hamed & Rao, Journal of Hydrology 204 (1998),
//! for the variance under autocorrelation.

/// Points that pairs are made of; more are averaged in contiguous groups.
const MOST: usize = 600;
/// Fewest points that have a trend.
pub const LEAST: usize = 10;
/// The normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// A straight line through a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Median slope, per second.
    pub slope: f64,
    /// 95 % interval of the slope.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Level of the line at time 0.
    pub level: f64,
}

/// The trend of `points` (time in s, value); `None` with fewer than ten.
pub fn trend(points: &[(f64, f64)]) -> Option<Trend> {
    let points = grouped(points);
    let n = points.len();
    if n < LEAST {
        return None;
    }
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    for (i, a) in points.iter().enumerate() {
        slopes.extend(points[i + 1..].iter().filter(|b| b.0 > a.0).map(|b| (b.1 - a.1) / (b.0 - a.0)));
    }
    slopes.sort_by(f64::total_cmp);
    let pairs = slopes.len();
    let slope = median(&slopes)?;
    let rest: Vec<f64> = points.iter().map(|(t, v)| v - slope * t).collect();
    let size = n as f64;
    let variance = size * (size - 1.0) * (2.0 * size + 5.0) / 18.0 * inflation(&rest);
    let reach = Z * variance.sqrt();
    let at = |rank: f64| slopes[(rank.round().max(0.0) as usize).min(pairs - 1)];
    let middle = pairs as f64 / 2.0;
    let mut levels = rest;
    levels.sort_by(f64::total_cmp);
    Some(Trend { slope, low: at(middle - reach / 2.0 - 1.0), high: at(middle + reach / 2.0), level: median(&levels)? })
}

/// By how much the variance of Kendall's S grows because neighbours are alike: over the lags at which the ranks of what is
/// left without the trend are significantly correlated. At least 1.
fn inflation(rest: &[f64]) -> f64 {
    let n = rest.len();
    let ranks = ranks(rest);
    let mean = (n as f64 + 1.0) / 2.0;
    let total: f64 = ranks.iter().map(|r| (r - mean).powi(2)).sum();
    if total <= 0.0 {
        return 1.0;
    }
    let size = n as f64;
    let mut sum = 0.0;
    for lag in 1..n / 3 {
        let shared: f64 = ranks.iter().zip(&ranks[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum();
        let correlation = shared / total;
        if correlation.abs() < Z / size.sqrt() {
            continue;
        }
        let left = size - lag as f64;
        sum += left * (left - 1.0) * (left - 2.0) * correlation;
    }
    (1.0 + 2.0 / (size * (size - 1.0) * (size - 2.0)) * sum).max(1.0)
}

/// Ranks from 1, those of equal values averaged.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        let rank = (start + end + 1) as f64 / 2.0;
        order[start..end].iter().for_each(|i| ranks[*i] = rank);
        start = end;
    }
    ranks
}

fn grouped(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(MOST).max(1);
    let mean = |part: &[(f64, f64)]| {
        let n = part.len() as f64;
        (part.iter().map(|p| p.0).sum::<f64>() / n, part.iter().map(|p| p.1).sum::<f64>() / n)
    };
    points.chunks(size).map(mean).collect()
}

/// Of sorted values.
fn median(sorted: &[f64]) -> Option<f64> {
    let n = sorted.len();
    (n > 0).then(|| f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Chance;

    fn normal(chance: &mut Chance) -> f64 {
        (-2.0 * chance.unit().max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * chance.unit()).cos()
    }

    #[test]
    fn a_straight_line_is_found_to_the_digit() {
        let points: Vec<_> = (0..50).map(|i| (f64::from(i) * 5.0, 100.0 + 0.5 * f64::from(i) * 5.0)).collect();
        let found = trend(&points).expect("there are points");
        assert!((found.slope - 0.5).abs() < 1e-9 && (found.level - 100.0).abs() < 1e-6, "{found:?}");
        assert!((found.low - 0.5).abs() < 1e-9 && (found.high - 0.5).abs() < 1e-9, "{found:?}");
        assert_eq!(trend(&points[..9]), None);
        let level = trend(&[(0.0, 3.0); 20].iter().enumerate().map(|(i, p)| (i as f64, p.1)).collect::<Vec<_>>());
        assert_eq!(level.map(|t| (t.slope, t.low, t.high)), Some((0.0, 0.0, 0.0)));
        assert_eq!(trend(&[(1.0, 3.0); 20]), None, "all at one moment have no slope");
    }

    /// How often the interval holds the truth, of 200 series.
    fn coverage(correlation: f64) -> u32 {
        let mut chance = Chance(11);
        let held = (0..200).filter(|_| {
            let mut noise = 0.0;
            let points: Vec<_> = (0..120)
                .map(|i| {
                    noise = correlation * noise + normal(&mut chance);
                    (f64::from(i), 50.0 + 0.02 * f64::from(i) + noise)
                })
                .collect();
            trend(&points).is_some_and(|t| t.low <= 0.02 && 0.02 <= t.high)
        });
        u32::try_from(held.count()).expect("200 at most")
    }

    #[test]
    fn the_interval_holds_the_truth_also_where_neighbours_are_alike() {
        assert!(coverage(0.0) >= 180, "independent: {} of 200", coverage(0.0));
        assert!(coverage(0.6) >= 165, "dependent: {} of 200", coverage(0.6));
    }
}
