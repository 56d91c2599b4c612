//! A histogram that people can read: at most sixteen bins with round edges, fine where times lie close together,
//! growing where they span orders of magnitude.
//! In: times. Out: bins, and bars drawn from them.

use super::figures::fine_time;
use engine::run_result::Times;
use reports::figures;

/// Most bins.
const MOST: usize = 16;
/// Width of the longest bar, in characters.
const WIDTH: usize = 40;
/// Times that span more than this factor get bins that grow.
const WIDE: f64 = 5.0;

/// Edges within a power of ten, the finest series first.
const SERIES: [&[f64]; 4] = [
    &[1.0, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 3.9, 4.7, 5.6, 6.8, 8.2],
    &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
    &[1.0, 2.0, 5.0],
    &[1.0],
];

/// Times from `from_ns` up to, not including, `to_ns`.
#[derive(Debug, PartialEq)]
pub struct Bin {
    /// Lower edge.
    pub from_ns: f64,
    /// Upper edge.
    pub to_ns: f64,
    /// How many.
    pub count: u64,
}

/// The bins of `times`, without gaps, from the first that holds any to the last; empty without times.
pub fn bins(times: &Times) -> Vec<Bin> {
    if times.count() == 0 {
        return Vec::new();
    }
    // The histogram counts whole microseconds.
    let (low, high) = ((times.min_ns as f64 / 1e3).round().max(1.0), (times.max_ns as f64 / 1e3).round().max(1.0));
    let edges = if high / low > WIDE { growing(low, high) } else { even(low, high) };
    let mut bins: Vec<Bin> =
        edges.windows(2).map(|e| Bin { from_ns: e[0] * 1e3, to_ns: e[1] * 1e3, count: 0 }).collect();
    for recorded in times.histogram.iter_recorded() {
        // The value stands for a bucket of up to 0.1 % width; the exact extremes bound it.
        let us = (recorded.value_iterated_to() as f64).clamp(low, high);
        let at = edges.partition_point(|edge| *edge <= us).saturating_sub(1).min(bins.len() - 1);
        bins[at].count += recorded.count_at_value();
    }
    let last = bins.iter().rposition(|b| b.count > 0).unwrap_or(0);
    bins.truncate(last + 1);
    let first = bins.iter().position(|b| b.count > 0).unwrap_or(0);
    bins.drain(..first);
    bins
}

/// Edges a round step apart.
fn even(low: f64, high: f64) -> Vec<f64> {
    let least = ((high - low) / (MOST - 2) as f64).max(1.0);
    let decade = 10f64.powf(least.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|m| m * decade).into_iter().find(|s| *s >= least * 0.999).unwrap_or(decade * 10.0);
    let first = (low / step).floor();
    let count = (high / step).floor() - first + 1.0;
    (0..=count as usize).map(|i| (first + i as f64) * step).collect()
}

/// Edges of the finest series that needs few enough bins.
fn growing(low: f64, high: f64) -> Vec<f64> {
    let mut edges = Vec::new();
    for series in SERIES {
        edges = from_series(series, low, high);
        if edges.len() <= MOST + 1 {
            break;
        }
    }
    edges
}

fn from_series(series: &[f64], low: f64, high: f64) -> Vec<f64> {
    let mut edges = Vec::new();
    let first = low.log10().floor() as i32;
    for decade in first..=(high.log10().floor() as i32 + 1) {
        for step in series {
            let edge = step * 10f64.powi(decade);
            // The last edge at or below the smallest, and the first above the largest, close the row.
            if edge <= low {
                edges.clear();
            }
            edges.push(edge);
            if edge > high {
                return edges;
            }
        }
    }
    edges
}

/// One line a bin: edges, bar, count, and the share up to here.
pub fn draw(bins: &[Bin]) -> String {
    let most = bins.iter().map(|b| b.count).max().unwrap_or(0).max(1);
    let all: u64 = bins.iter().map(|b| b.count).sum::<u64>().max(1);
    let mut up_to = 0;
    let mut text = String::new();
    for bin in bins {
        up_to += bin.count;
        text.push_str(&format!(
            "  {:>8} … {:>8}  {:<WIDTH$}  {:>11}  {:>7}\n",
            fine_time(bin.from_ns),
            fine_time(bin.to_ns),
            bar(bin.count, most),
            figures::count(bin.count),
            figures::share(up_to as f64 / all as f64)
        ));
    }
    text
}

/// A bar in eighths of a character; what is there at all is never invisible.
fn bar(count: u64, most: u64) -> String {
    let eighths = (count as f64 / most as f64 * (WIDTH * 8) as f64).round() as usize;
    let eighths = if count > 0 { eighths.max(1) } else { 0 };
    let mut bar = "█".repeat(eighths / 8);
    bar.push_str(["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(us: impl IntoIterator<Item = u64>) -> Times {
        let mut times = Times::default();
        us.into_iter().for_each(|us| times.record(us * 1000));
        times
    }

    #[track_caller]
    fn check(times: &Times) -> Vec<Bin> {
        let bins = bins(times);
        assert!((1..=MOST).contains(&bins.len()), "{bins:?}");
        assert_eq!(bins.iter().map(|b| b.count).sum::<u64>(), times.count());
        assert!(bins.windows(2).all(|b| b[0].to_ns == b[1].from_ns), "{bins:?}");
        let (first, last) = (&bins[0], bins.last().unwrap());
        assert!(first.from_ns <= times.min_ns as f64 + 500.0 && first.count > 0, "{bins:?}");
        assert!(last.to_ns > times.max_ns as f64 - 500.0 && last.count > 0, "{bins:?}");
        bins
    }

    #[test]
    fn every_sample_is_in_one_bin() {
        check(&times([1]));
        check(&times([1_000_000]));
        check(&times(1..=10));
        check(&times(80..=120));
        check(&times((0..60).map(|i| 1 << (i % 30))));
        check(&times([1, 3_599_000_000]));
        check(&times([1000, 1000, 2000, 5000]));
        check(&times([999, 1000, 1001]));
    }

    #[test]
    fn close_times_get_fine_bins() {
        let bins = check(&times(1000..1100));
        assert!(bins.len() >= 8, "{bins:?}");
    }

    #[test]
    fn a_bar_is_as_long_as_its_share_and_never_invisible() {
        assert_eq!(bar(5, 5).chars().count(), WIDTH);
        assert_eq!(bar(1, 2).chars().count(), WIDTH / 2);
        assert_eq!(bar(1, 1_000_000), "▏");
        assert_eq!(bar(0, 5), "");
    }
}
