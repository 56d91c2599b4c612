//! A watched series as measured.
//! In: folded from readings. Out: read by `reports`.

/// Points kept of a series; more are thinned, the extremes stay.
const MOST: usize = 40_000;

/// One series: an expression over what a target tells about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchedSeries {
    /// The expression as written.
    pub series: String,
    /// (seconds since the end of the warm-up, value); the first may lie before the load, the last after it.
    pub points: Vec<(f64, f64)>,
    /// Why it last had no value, if that happened.
    pub problem: Option<String>,
}

impl WatchedSeries {
    /// Adds a point.
    pub fn push(&mut self, t_s: f64, value: f64) {
        self.points.push((t_s, value));
        if self.points.len() > MOST {
            self.thin();
        }
    }

    /// Of each four points the smallest and the largest stay. The first and the last are no part of it.
    fn thin(&mut self) {
        let (first, last) = (self.points[0], self.points[self.points.len() - 1]);
        let mut kept = vec![first];
        for four in self.points[1..self.points.len() - 1].chunks(4) {
            let by = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
            let (low, high) = (four.iter().min_by(by), four.iter().max_by(by));
            let mut two: Vec<(f64, f64)> = low.into_iter().chain(high).copied().collect();
            two.sort_by(|a, b| a.0.total_cmp(&b.0));
            two.dedup_by(|a, b| a.0 == b.0);
            kept.extend(two);
        }
        kept.push(last);
        self.points = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_series_is_thinned_and_keeps_its_extremes() {
        let mut series = WatchedSeries::default();
        for i in 0..1_000_000_u32 {
            let value = if i == 543_210 { 1e6 } else { f64::from(i % 100) };
            series.push(f64::from(i), value);
        }
        assert!(series.points.len() <= MOST + 1, "{}", series.points.len());
        assert!(series.points.contains(&(543_210.0, 1e6)));
        assert_eq!((series.points[0].0, series.points[series.points.len() - 1].0), (0.0, 999_999.0));
        assert!(series.points.windows(2).all(|p| p[0].0 < p[1].0), "in order");
    }
}
