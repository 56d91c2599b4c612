//! The search for the capacity, as a pure function: from what was tried to what to try next.
//! In: the range of rates, the trials so far. Out: the next rate, or the answer. No clock, no chance, no I/O.
//!
//! The rate doubles from the lower end until one does not hold; the gap is halved until it is 2 %; the highest rate
//! that held is confirmed over twice the hold. Trials are noisy, so a single one never decides alone: the first rate is
//! tried twice before the search gives up, a trial that our own side spoilt is repeated, a miss that everything after
//! it speaks against is tried again, and an answer that is not confirmed steps down by 2, 4, 8 … %.

use engine::run_result::TrialOutcome;
use scenarios::Range;

/// The gap between what held and what did not, at which the search ends.
const BRACKET: f64 = 0.02;
/// Trials after which the search gives up on a target that never twice answers alike.
const MOST_TRIALS: usize = 48;
/// So many rates must have held since a miss, for it to look like an accident.
const DOUBTS: usize = 2;

/// One trial that has been.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// Rate, arrivals a second.
    pub rate: f64,
    /// It was to confirm the answer, over twice the hold.
    pub confirming: bool,
    /// How it came out.
    pub outcome: TrialOutcome,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// Try this rate.
    Try(f64),
    /// Confirm this rate over twice the hold.
    Confirm(f64),
    /// That is it.
    Found {
        /// Highest rate that held and was confirmed; `None`: not even the lower end.
        rate: Option<f64>,
        /// Index of the trial that missed just above it; `None`: the whole range held.
        missed: Option<usize>,
    },
    /// The outcomes contradict each other for ever.
    GiveUp,
}

/// The next step of a search over `range` in which `tried` has been.
pub fn next(range: Range, tried: &[Tried]) -> Next {
    if let Some(again) = spoilt(tried) {
        return if again.confirming { Next::Confirm(again.rate) } else { Next::Try(again.rate) };
    }
    if let Some(confirmed) = tried.iter().rfind(|t| t.confirming && t.outcome == TrialOutcome::Held) {
        return Next::Found { rate: Some(confirmed.rate), missed: lowest_miss(tried, confirmed.rate) };
    }
    if tried.len() >= MOST_TRIALS {
        return Next::GiveUp;
    }
    if tried.iter().any(|t| t.confirming) {
        return step_down(range, tried);
    }
    let held = highest_held(tried);
    let Some(low) = held else {
        return first(range, tried);
    };
    let Some(missed) = lowest_miss(tried, low) else {
        return if low >= range.high { Next::Confirm(range.high) } else { Next::Try((low * 2.0).min(range.high)) };
    };
    let high = tried[missed].rate;
    let middle = neat(f64::midpoint(low, high));
    if high - low > BRACKET * high && middle > low && middle < high {
        Next::Try(middle)
    } else if is_doubtful(tried, missed) {
        Next::Try(high)
    } else {
        Next::Confirm(low)
    }
}

/// A trial that our own side spoilt is repeated once before it counts.
fn spoilt(tried: &[Tried]) -> Option<Tried> {
    let last = *tried.last()?;
    let same = tried.iter().filter(|t| t.rate == last.rate && t.outcome == TrialOutcome::Generator).count();
    (last.outcome == TrialOutcome::Generator && same == 1).then_some(last)
}

/// The lower end, a second time if it did not hold.
fn first(range: Range, tried: &[Tried]) -> Next {
    match tried {
        [] => Next::Try(range.low),
        [only] if only.outcome == TrialOutcome::Missed => Next::Try(range.low),
        [.., _] => Next::Found { rate: None, missed: Some(tried.len() - 1) },
    }
}

/// After an answer that was not confirmed: 2, 4, 8 … % below the lowest of them, confirmed at once.
fn step_down(range: Range, tried: &[Tried]) -> Next {
    let failed: Vec<f64> = tried.iter().filter(|t| t.confirming).map(|t| t.rate).collect();
    let lowest = failed.iter().copied().fold(f64::INFINITY, f64::min);
    if lowest <= range.low {
        return Next::Found { rate: None, missed: Some(tried.len() - 1) };
    }
    let mut distinct = failed;
    distinct.dedup();
    let drop = (BRACKET * 2f64.powi(i32::try_from(distinct.len()).unwrap_or(i32::MAX) - 1)).min(0.5);
    Next::Confirm(neat(lowest * (1.0 - drop)).max(range.low))
}

fn highest_held(tried: &[Tried]) -> Option<f64> {
    let held = tried.iter().filter(|t| t.outcome == TrialOutcome::Held);
    held.map(|t| t.rate).max_by(f64::total_cmp)
}

/// The latest trial of the lowest rate above `rate` that did not hold. What did not hold at or below it is refuted.
fn lowest_miss(tried: &[Tried], rate: f64) -> Option<usize> {
    let missed = tried.iter().enumerate().filter(|(_, t)| t.outcome != TrialOutcome::Held && t.rate > rate);
    missed.min_by(|(i, a), (j, b)| a.rate.total_cmp(&b.rate).then(j.cmp(i))).map(|(i, _)| i)
}

/// Whether a miss stands alone: seen once, and every one of several rates since then held.
fn is_doubtful(tried: &[Tried], missed: usize) -> bool {
    let since = &tried[missed + 1..];
    let alone = tried.iter().filter(|t| t.rate == tried[missed].rate).count() == 1;
    alone && since.len() >= DOUBTS && since.iter().all(|t| t.outcome == TrialOutcome::Held)
}

/// Four digits are finer than the bracket, and readable.
fn neat(rate: f64) -> f64 {
    let unit = 10f64.powf(rate.log10().floor() - 3.0);
    let neat = (rate / unit).round() * unit;
    // The last digits of a product such as 0.1 × 3 are no part of the rate.
    format!("{neat:.9}").parse().unwrap_or(neat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use TrialOutcome::{Generator, Held, Missed};

    /// Plays a search against `truth(trial, rate, confirming)` to its end.
    fn play(low: f64, high: f64, truth: impl Fn(usize, f64, bool) -> TrialOutcome) -> (Next, Vec<Tried>) {
        let mut tried = Vec::new();
        loop {
            let (rate, confirming) = match next(Range { low, high }, &tried) {
                Next::Try(rate) => (rate, false),
                Next::Confirm(rate) => (rate, true),
                end => return (end, tried),
            };
            assert!((low..=high).contains(&rate), "{rate} is outside {low}..{high}");
            assert!(tried.len() < MOST_TRIALS, "{tried:?}");
            tried.push(Tried { rate, confirming, outcome: truth(tried.len(), rate, confirming) });
        }
    }

    fn up_to(limit: f64) -> impl Fn(usize, f64, bool) -> TrialOutcome {
        move |_, rate, _| if rate <= limit { Held } else { Missed }
    }

    fn rates(tried: &[Tried]) -> Vec<f64> {
        tried.iter().map(|t| t.rate).collect()
    }

    #[track_caller]
    fn answer(found: &(Next, Vec<Tried>)) -> (f64, Option<f64>) {
        match found.0 {
            Next::Found { rate: Some(rate), missed } => (rate, missed.map(|i| found.1[i].rate)),
            other => panic!("{other:?} after {:?}", found.1),
        }
    }

    #[test]
    fn every_limit_is_found_within_two_percent_and_bracketed() {
        for limit in [1.0, 1.5, 3.3, 7.0, 31.9, 64.0, 100.1, 499.0, 500.0, 512.0, 777.7, 999.0] {
            let found = play(1.0, 1000.0, up_to(limit));
            let (rate, missed) = answer(&found);
            let missed = missed.expect("1000 is above every limit");
            assert!(rate <= limit && missed > limit, "{limit}: {rate} … {missed}");
            assert!(missed - rate <= 0.0201 * missed, "{limit}: {rate} … {missed}");
            assert!(found.1.len() <= 22, "{limit}: {:?}", rates(&found.1));
            assert!(found.1.last().is_some_and(|t| t.confirming && t.rate == rate), "{limit}");
        }
    }

    #[test]
    fn the_way_is_doubling_halving_confirming() {
        let found = play(10.0, 1000.0, up_to(55.0));
        assert_eq!(rates(&found.1), [10.0, 20.0, 40.0, 80.0, 60.0, 50.0, 55.0, 57.5, 56.25, 55.63, 55.0][..].to_vec());
        assert_eq!(answer(&found), (55.0, Some(55.63)));
    }

    #[test]
    fn a_range_that_holds_and_one_that_does_not() {
        let all = play(1.0, 40.0, up_to(1e9));
        assert_eq!(rates(&all.1), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 40.0, 40.0]);
        assert_eq!(answer(&all), (40.0, None));
        let none = play(5.0, 40.0, up_to(0.0));
        assert_eq!((none.0, rates(&none.1)), (Next::Found { rate: None, missed: Some(1) }, vec![5.0, 5.0]));
    }

    #[test]
    fn a_first_miss_by_accident_ends_nothing() {
        let found = play(1.0, 100.0, |i, rate, _| if i == 0 { Missed } else { up_to(50.0)(i, rate, false) });
        assert!((49.0..=50.0).contains(&answer(&found).0), "{found:?}");
    }

    #[test]
    fn an_accident_on_the_way_up_or_between_is_found_out() {
        for accident in 3..14 {
            let found = play(
                1.0,
                1000.0,
                |i, rate, confirming| {
                    if i == accident { Missed } else { up_to(500.0)(i, rate, confirming) }
                },
            );
            let (rate, _) = answer(&found);
            assert!((475.0..=500.0).contains(&rate), "accident at trial {accident}: {rate}, {:?}", rates(&found.1));
        }
    }

    #[test]
    fn a_trial_that_held_by_luck_is_not_the_answer() {
        // Short holds bear up to 550, twice the hold only 500.
        let found =
            play(1.0, 1000.0, |_, rate, confirming| up_to(if confirming { 500.0 } else { 550.0 })(0, rate, confirming));
        let (rate, missed) = answer(&found);
        assert!((450.0..=500.0).contains(&rate), "{rate}");
        assert!(missed.is_some_and(|m| m > 500.0 && m <= 550.0), "{missed:?}");
    }

    #[test]
    fn noise_about_the_limit_moves_the_answer_a_little() {
        // Within 5 % of the limit the outcome is as good as drawn.
        let mut worst: f64 = 0.0;
        for seed in 0..200u64 {
            let found = play(1.0, 1000.0, |i, rate, _| {
                let draw = (seed * 1_000_003 + i as u64 * 7919).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
                let blur = (draw as f64 / (1u64 << 24) as f64 - 0.5) * 0.10;
                if rate <= 500.0 * (1.0 + blur) { Held } else { Missed }
            });
            worst = worst.max((answer(&found).0 - 500.0).abs() / 500.0);
        }
        assert!(worst <= 0.10, "off by {worst}");
    }

    #[test]
    fn the_generator_counts_only_when_it_fails_twice() {
        let once = play(1.0, 100.0, |i, rate, _| if i == 4 { Generator } else { up_to(50.0)(i, rate, false) });
        assert!((49.0..=50.0).contains(&answer(&once).0));
        let found = play(1.0, 100.0, |_, rate, _| if rate > 30.0 { Generator } else { Held });
        let Next::Found { rate: Some(rate), missed: Some(missed) } = found.0 else { panic!("{found:?}") };
        assert!((29.3..=30.0).contains(&rate), "{rate}");
        assert_eq!(found.1[missed].outcome, Generator);
        let from_the_start = play(1.0, 100.0, |_, _, _| Generator);
        assert_eq!(from_the_start.0, Next::Found { rate: None, missed: Some(1) });
    }

    #[test]
    fn a_target_that_never_confirms_comes_to_an_end() {
        let found =
            play(1.0, 1000.0, |_, rate, confirming| if confirming { Missed } else { up_to(500.0)(0, rate, false) });
        assert!(matches!(found.0, Next::Found { rate: None, .. }), "{:?}", found.0);
    }

    #[test]
    fn rates_are_readable() {
        for (rate, expected) in [(123.456, 123.5), (0.123_456, 0.1235), (98_765.4, 98_770.0), (7.0, 7.0)] {
            assert_eq!(neat(rate), expected);
        }
    }
}
