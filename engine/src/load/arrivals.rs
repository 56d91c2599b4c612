//! Open load: the times at which iterations arrive, which no answer can delay.
//! In: stages whose level is arrivals a second, the spacing, the seed. Out: an iterator of due times.
//! Arrival i falls where the integral of the rate reaches i (even), or the i-th point of a
//! unit-rate Poisson process (seeded): a pure function of the index, so nothing drifts.

use crate::clock::{Nanos, SECOND};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use scenarios::program::{Spacing, Stage};

/// Due times of all arrivals of a profile, in order.
#[derive(Debug, Clone)]
pub struct Arrivals {
    pieces: Vec<Piece>,
    piece: usize,
    spacing: Spacing,
    random: Pcg64,
    /// Even: the number of the next arrival. Poisson: the sum of the exponential gaps so far.
    mass: f64,
    index: u64,
}

/// A stretch on which the rate is a straight line.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start_s: f64,
    length_s: f64,
    rate_from: f64,
    rate_to: f64,
    /// Integral of the rate up to the start.
    mass_before: f64,
}

impl Piece {
    fn mass(&self) -> f64 {
        (self.rate_from + self.rate_to) / 2.0 * self.length_s
    }

    /// Time at which the integral reaches `mass` (which lies inside this piece), in seconds.
    fn time_of(&self, mass: f64) -> f64 {
        let m = mass - self.mass_before;
        let slope = (self.rate_to - self.rate_from) / self.length_s;
        // Solves rate_from·t + slope·t²/2 = m in the form that is stable for small slopes.
        let root = (self.rate_from * self.rate_from + 2.0 * slope * m).max(0.0).sqrt();
        let t = if self.rate_from + root > 0.0 { 2.0 * m / (self.rate_from + root) } else { 0.0 };
        self.start_s + t.min(self.length_s)
    }
}

impl Arrivals {
    /// The arrivals of `stages`. The seed matters for [`Spacing::Poisson`] only.
    pub fn new(stages: &[Stage], spacing: Spacing, seed: u64) -> Self {
        let mut pieces = Vec::new();
        let (mut start_s, mut from, mut mass_before) = (0.0, 0.0, 0.0);
        let mut push = |start_s: f64, length_s: f64, rate_from: f64, rate_to: f64| {
            if length_s > 0.0 {
                let piece = Piece { start_s, length_s, rate_from, rate_to, mass_before };
                mass_before += piece.mass();
                pieces.push(piece);
            }
        };
        for stage in stages {
            let ramp_s = stage.ramp_ns as f64 / SECOND as f64;
            let whole_s = stage.duration_ns as f64 / SECOND as f64;
            push(start_s, ramp_s, from, stage.level);
            push(start_s + ramp_s, whole_s - ramp_s, stage.level, stage.level);
            start_s += whole_s;
            from = stage.level;
        }
        let random = Pcg64::seed_from_u64(seed ^ 0x6172_7269_7661_6c73);
        let mut arrivals = Self { pieces, piece: 0, spacing, random, mass: 0.0, index: 0 };
        if spacing == Spacing::Poisson {
            arrivals.mass = arrivals.exponential();
        }
        arrivals
    }

    fn exponential(&mut self) -> f64 {
        // 1 − u lies in (0, 1], so the logarithm is finite.
        let u = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        -(1.0 - u).ln()
    }
}

impl Iterator for Arrivals {
    type Item = Nanos;

    fn next(&mut self) -> Option<Nanos> {
        // A mass at the very end of a piece belongs to the next one: arrivals lie in [start, end).
        while self.mass >= self.pieces.get(self.piece)?.mass_before + self.pieces[self.piece].mass() - 1e-9 {
            self.piece += 1;
        }
        let t = self.pieces[self.piece].time_of(self.mass);
        self.index += 1;
        self.mass = match self.spacing {
            Spacing::Even => self.index as f64,
            Spacing::Poisson => self.mass + self.exponential(),
        };
        Some((t * SECOND as f64).round() as Nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(level: f64, seconds: u64, ramp_s: u64) -> Stage {
        Stage { level, duration_ns: seconds * SECOND, ramp_ns: ramp_s * SECOND }
    }

    #[test]
    fn even_arrivals_are_index_over_rate() {
        let times: Vec<_> = Arrivals::new(&[stage(1000.0, 3600, 0)], Spacing::Even, 1).collect();
        assert_eq!(times.len(), 3_600_000);
        for (i, t) in times.iter().enumerate().step_by(9_973) {
            assert_eq!(*t, i as u64 * 1_000_000);
        }
    }

    #[test]
    fn a_ramp_is_solved_from_its_integral() {
        // 0 → 10/s in 10 s: the integral is t²/2, so arrival i is due at √(2i).
        let times: Vec<_> = Arrivals::new(&[stage(10.0, 10, 10)], Spacing::Even, 1).collect();
        assert_eq!(times.len(), 50);
        for (i, t) in times.iter().enumerate() {
            let truth = (2.0 * i as f64).sqrt();
            assert!((*t as f64 / 1e9 - truth).abs() < 1e-6, "arrival {i}: {t}");
        }
    }

    #[test]
    fn each_window_of_even_arrivals_holds_its_count() {
        let mut counts = [0u32; 30];
        let stages = [stage(7.0, 10, 0), stage(0.0, 5, 0), stage(3.0, 15, 0)];
        for t in Arrivals::new(&stages, Spacing::Even, 1) {
            counts[(t / SECOND) as usize] += 1;
        }
        assert!(counts[..10].iter().all(|&n| (6..=8).contains(&n)), "{counts:?}");
        assert_eq!(counts[10..15].iter().sum::<u32>(), 0);
        assert!(counts[15..].iter().all(|&n| (2..=4).contains(&n)), "{counts:?}");
        assert_eq!(counts.iter().sum::<u32>(), 70 + 45);
    }

    #[test]
    fn poisson_gaps_pass_anderson_darling() {
        // The exponential distribution with known mean, 1 % point of the case with all parameters known: 3.857.
        let times: Vec<_> = Arrivals::new(&[stage(100.0, 100, 0)], Spacing::Poisson, 42).collect();
        let mut previous = 0;
        let mut u: Vec<f64> = Vec::new();
        for t in times {
            u.push(1.0 - (-100.0 * (t - previous) as f64 / 1e9).exp());
            previous = t;
        }
        u.sort_by(f64::total_cmp);
        let n = u.len();
        assert!((9_600..10_400).contains(&n), "{n} arrivals");
        let sum: f64 =
            (0..n).map(|i| (2 * i + 1) as f64 * (u[i].max(1e-12).ln() + (1.0 - u[n - 1 - i]).max(1e-12).ln())).sum();
        let a2 = -(n as f64) - sum / n as f64;
        assert!(a2 < 3.857, "A² = {a2}");
    }

    #[test]
    fn the_seed_decides_poisson_and_nothing_else_does() {
        let poisson = |seed| Arrivals::new(&[stage(50.0, 10, 2)], Spacing::Poisson, seed).collect::<Vec<_>>();
        assert_eq!(poisson(7), poisson(7));
        assert_ne!(poisson(7), poisson(8));
    }

    #[test]
    fn no_rate_no_arrival() {
        assert_eq!(Arrivals::new(&[stage(0.0, 10, 0)], Spacing::Even, 1).count(), 0);
        assert_eq!(Arrivals::new(&[], Spacing::Poisson, 1).count(), 0);
    }
}
