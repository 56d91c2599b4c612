//! Closed load: in which windows of time the user of an index is active.
//! In: stages whose level is a number of users, and a user's index. Out: `[start, stop)` windows.

use crate::clock::Nanos;
use scenarios::program::Stage;

/// From one user to the next where the file lets many begin at one instant. No machine puts hundreds of connections on
/// the wire at once: told so, it would do it one after the other all the same, and the wait would be in the figures.
/// So they are due one after the other, at a pace that a generator keeps, and what is late then is late.
pub const APART: Nanos = 250_000;
/// All of them are there within this part of their stage, however many they are.
const MOST_OF_STAGE: u64 = 10;

/// The windows in which user `index` (0-based) plays: while the level is above its index.
/// On a ramp from a to b users, user i starts when the straight line passes i, so that starts are evenly spread; without
/// a ramp they start [`APART`].
pub fn windows(stages: &[Stage], index: usize) -> Vec<(Nanos, Nanos)> {
    let rank = index as f64;
    let mut windows: Vec<(Nanos, Nanos)> = Vec::new();
    let mut open: Option<Nanos> = None;
    let mut start = 0;
    let mut from = 0.0;
    for stage in stages {
        let was_on = from > rank;
        let is_on = stage.level > rank;
        if was_on != is_on {
            // The moment at which the ramp's straight line passes the user's rank.
            let share = if stage.ramp_ns == 0 { 0.0 } else { (rank - from) / (stage.level - from) };
            let at = start + (share * stage.ramp_ns as f64).round() as Nanos;
            match open.take() {
                Some(since) => windows.push((since, at)),
                None => open = Some(at + after_others(stage, from, index)),
            }
        }
        from = stage.level;
        start += stage.duration_ns;
    }
    if let Some(since) = open {
        windows.push((since, start));
    }
    windows.retain(|(a, b)| b > a);
    windows
}

/// How long after the jump to a stage's level user `index` begins; `from` is the level before.
fn after_others(stage: &Stage, from: f64, index: usize) -> Nanos {
    if stage.ramp_ns > 0 {
        return 0;
    }
    let there = from.ceil() as u64;
    let beginning = (stage.level.ceil() as u64).saturating_sub(there).max(1);
    let apart = APART.min(stage.duration_ns / MOST_OF_STAGE / beginning);
    (index as u64).saturating_sub(there) * apart
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(level: f64, duration_ns: u64, ramp_ns: u64) -> Stage {
        Stage { level, duration_ns, ramp_ns }
    }

    fn check(stages: &[Stage], index: usize, expected: &[(u64, u64)]) {
        assert_eq!(windows(stages, index), expected, "user {index} of {stages:?}");
    }

    #[test]
    fn one_after_the_other_at_a_pace_that_can_be_kept_without_a_ramp() {
        let long = 10_000_000_000;
        check(&[stage(3.0, long, 0)], 0, &[(0, long)]);
        check(&[stage(3.0, long, 0)], 2, &[(2 * APART, long)]);
        check(&[stage(3.0, long, 0)], 3, &[]);
        // Those who come on top begin at the jump.
        let spike = [stage(5.0, long, 0), stage(400.0, long, 0)];
        check(&spike, 4, &[(4 * APART, 2 * long)]);
        check(&spike, 5, &[(long, 2 * long)]);
        check(&spike, 399, &[(long + 394 * APART, 2 * long)]);
    }

    #[test]
    fn however_many_they_are_all_begin_within_a_tenth_of_their_stage() {
        let second = 1_000_000_000;
        check(&[stage(100_000.0, second, 0)], 1, &[(1000, second)]);
        check(&[stage(100_000.0, second, 0)], 99_999, &[(99_999_000, second)]);
        check(&[stage(1000.0, 1, 0)], 999, &[(0, 1)]);
    }

    #[test]
    fn a_ramp_spreads_the_starts_evenly() {
        for i in 0..10 {
            check(&[stage(10.0, 1000, 100)], i, &[(i as u64 * 10, 1000)]);
        }
    }

    #[test]
    fn a_spike_plays_the_upper_users_once() {
        let spike = [stage(5.0, 30, 0), stage(100.0, 60, 0), stage(5.0, 30, 0)];
        check(&spike, 4, &[(0, 120)]);
        check(&spike, 5, &[(30, 90)]);
        check(&spike, 99, &[(30, 90)]);
    }

    #[test]
    fn a_ramp_down_stops_the_last_first() {
        let down = [stage(10.0, 100, 0), stage(0.0, 100, 100)];
        check(&down, 9, &[(9, 110)]);
        check(&down, 0, &[(0, 200)]);
    }

    #[test]
    fn two_spikes_are_two_windows() {
        let twice = [stage(2.0, 10, 0), stage(1.0, 10, 0), stage(2.0, 10, 0)];
        check(&twice, 1, &[(0, 10), (20, 30)]);
    }

    #[test]
    fn zero_users_never_play() {
        check(&[stage(0.0, 100, 0)], 0, &[]);
    }
}
