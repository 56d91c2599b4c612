//! Containment judged: did the healthy users fare worse while others suffered faults?
//! In: the healthy cohort by block of a run. Out: an [`Assessment`] for each limit, and the figures to show.
//!
//! A permutation test on blocks, one figure a block: requests of a block depend on each other, blocks in an order drawn
//! by lot do not. Shifting the blocks with faults by a margin and permuting asks whether the harm is that margin. For each
//! permutation the shift at which it is as extreme as what was seen can be solved for, so that one sorted list of shifts
//! answers for every margin (Pitman, Suppl. J. Royal Stat. Soc. 4 (1937); Good, Permutation Tests, §3.2).

use super::claim::Assessment;
use crate::figures::{self, count, counted, plain};
use crate::verdict::{Interval, ObjectiveOutcome};
use engine::run_result::{BlockHeader, HealthyBlock, RunResult};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use scenarios::containment::{Harm, LEAST_BLOCK_NS, LEAST_PAIRS, LEAST_REQUESTS, least_ns};
use scenarios::objective::{ALPHA, Limit, Stat};

/// Orders drawn. The seed is fixed: judging again gives the same words.
const PERMUTATIONS: usize = 9_999;

/// The healthy users with the faults on and off, to show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sides {
    /// Blocks that were played to their end.
    pub blocks: [usize; 2],
    /// Requests.
    pub requests: [u64; 2],
    /// Share of errors; `None` without requests.
    pub errors: [Option<f64>; 2],
    /// Mean response time, ns; `None` without answers.
    pub mean_ns: [Option<f64>; 2],
}

/// Blocks that were played to their end.
fn played(result: &RunResult) -> Vec<(BlockHeader, HealthyBlock)> {
    let reached_ns = result.duration_s * 1e9 + result.header.warm_up_ns as f64;
    let headers = result.header.containment.iter().flat_map(|c| &c.blocks);
    let blocks = headers.copied().zip(result.healthy.iter().copied());
    blocks.filter(|(block, _)| block.to_ns as f64 <= reached_ns + 1.0).collect()
}

/// Both sides, with the faults on first; `None` if no block was played to its end.
pub fn sides(result: &RunResult) -> Option<Sides> {
    let played = played(result);
    let mut sides = Sides::default();
    for (at, on) in [true, false].into_iter().enumerate() {
        let mut sum = HealthyBlock::default();
        let own = played.iter().filter(|(block, _)| block.on == on);
        sides.blocks[at] = own.clone().count();
        own.for_each(|(_, healthy)| sum.add(healthy));
        sides.requests[at] = sum.requests();
        sides.errors[at] = (sum.requests() > 0).then(|| sum.bad as f64 / sum.requests() as f64);
        sides.mean_ns[at] = (sum.timed() > 0).then(|| sum.sum_ns as f64 / sum.timed() as f64);
    }
    (!played.is_empty()).then_some(sides)
}

/// What was seen, in a sentence; `None` if nothing was.
pub fn words(result: &RunResult) -> Option<String> {
    let header = result.header.containment.as_ref()?;
    let sides = sides(result)?;
    let both = |figures: [Option<f64>; 2], word: fn(f64) -> String| match figures {
        [Some(on), Some(off)] => Some(format!("{} with faults and {} without", word(on), word(off))),
        _ => None,
    };
    let errors = both(sides.errors, figures::share).map(|t| format!("errors {t}"));
    let mean = both(sides.mean_ns, figures::time).map(|t| format!("mean {t}"));
    let seen: Vec<String> = errors.into_iter().chain(mean).collect();
    (!seen.is_empty()).then(|| {
        format!(
            "{} beside {} with faults, {} on and {} off: {}",
            counted(header.healthy as u64, "healthy user"),
            count(header.faulty as u64),
            counted(sides.blocks[0] as u64, "block"),
            sides.blocks[1],
            seen.join("; ")
        )
    })
}

/// Judges one of the limits.
pub fn assess(result: &RunResult, harm: Harm, limit: &Limit) -> Assessment {
    let blocks = played(result);
    let n = blocks.iter().map(|(_, h)| if harm == Harm::Mean { h.timed() } else { h.requests() }).sum();
    if let Some(why) = too_little(&blocks, harm) {
        let seen = words(result).map_or_else(String::new, |seen| format!("; {}", plain(&seen)));
        return Assessment { n, ..Assessment::nothing(format!("{why}{seen}")) };
    }
    let figures: Vec<(bool, f64)> = blocks.iter().map(|(block, healthy)| (block.on, figure(healthy, harm))).collect();
    let shifts = Shifts::of(&figures);
    // The mean is compared by its logarithm: a share of it is a shift there.
    let (to_margin, margin): (fn(f64) -> f64, f64) = match harm {
        Harm::Errors => (|shift| shift, limit.value),
        Harm::Mean => (f64::exp_m1, limit.value.ln_1p()),
    };
    let (low, high) = (to_margin(shifts.quantile(0.025)), to_margin(shifts.quantile(0.975)));
    let measured = to_margin(shifts.seen);
    let shown = |value: f64| figures::of_stat(Stat::Containment(harm), value);
    let what = match harm {
        Harm::Errors => "errors",
        Harm::Mean => "mean response time",
    };
    let side = if measured < 0.0 { "less" } else { "more" };
    let seen = words(result).unwrap_or_default();
    let seen = format!("the healthy users' {what} is {} {side} with the faults on ({seen})", shown(measured.abs()));
    let (outcome, reason) = if shifts.at_most(margin) < ALPHA {
        (ObjectiveOutcome::Fail, seen)
    } else if shifts.at_least(margin) < ALPHA {
        (ObjectiveOutcome::Pass, seen)
    } else {
        let needed = "the blocks differ too much to tell it from the limit: a longer run or more users would";
        (ObjectiveOutcome::Inconclusive, format!("{seen}; {needed}"))
    };
    let interval = Some(Interval { low, high: Some(high) });
    Assessment { measured: Some(measured), is_at_least: false, n, interval, outcome, reason }
}

fn figure(healthy: &HealthyBlock, harm: Harm) -> f64 {
    match harm {
        Harm::Errors => healthy.bad as f64 / healthy.requests() as f64,
        Harm::Mean => (healthy.sum_ns.max(1) as f64 / healthy.timed() as f64).ln(),
    }
}

/// What is missing for a judgement, and what would be needed.
fn too_little(blocks: &[(BlockHeader, HealthyBlock)], harm: Harm) -> Option<String> {
    let long = blocks.iter().filter(|(block, _)| block.to_ns.saturating_sub(block.from_ns) >= LEAST_BLOCK_NS);
    let on = long.clone().filter(|(block, _)| block.on).count();
    let off = long.count() - on;
    if on < LEAST_PAIRS || off < LEAST_PAIRS {
        return Some(format!(
            "{} with the faults on and {off} with them off were played to their end; {LEAST_PAIRS} of each are needed, {} of load after the warm-up",
            counted(on as u64, "block"),
            figures::duration(least_ns() as f64 / 1e9),
        ));
    }
    let of = |healthy: &HealthyBlock| match harm {
        Harm::Errors => healthy.requests(),
        Harm::Mean => healthy.timed(),
    };
    let fewest = blocks.iter().map(|(_, healthy)| of(healthy)).min()?;
    (fewest < LEAST_REQUESTS).then(|| {
        let noun = if harm == Harm::Mean { "answer" } else { "request" };
        format!(
            "a block has only {} of healthy users, and each needs {LEAST_REQUESTS}: more users, a higher rate or a longer run",
            counted(fewest, noun)
        )
    })
}

/// For each permutation the shift of the blocks with faults at which it is as extreme as what was seen.
struct Shifts {
    /// Difference of the means of the blocks: on − off.
    seen: f64,
    sorted: Vec<f64>,
}

impl Shifts {
    fn of(figures: &[(bool, f64)]) -> Self {
        let total: f64 = figures.iter().map(|(_, value)| value).sum();
        let ons = figures.iter().filter(|(on, _)| *on).count();
        let offs = figures.len() - ons;
        let difference = |sum: f64| sum / ons as f64 - (total - sum) / offs as f64;
        let seen = difference(figures.iter().filter(|(on, _)| *on).map(|(_, value)| value).sum());
        let mut order = figures.to_vec();
        let mut random = Pcg64::seed_from_u64(0x0c0_47a1);
        let mut sorted = Vec::with_capacity(PERMUTATIONS);
        for _ in 0..PERMUTATIONS {
            let (mut sum, mut kept) = (0.0, 0_usize);
            for at in 0..ons {
                order.swap(at, random.random_range(at..figures.len()));
                sum += order[at].1;
                kept += usize::from(order[at].0);
            }
            // How much of a shift of the blocks that were on this permutation's difference takes over.
            let share = kept as f64 / ons as f64 - (ons - kept) as f64 / offs as f64;
            // The order that was played is as extreme as itself at every shift: it counts on both sides.
            if kept < ons {
                sorted.push((seen - difference(sum)) / (1.0 - share));
            }
        }
        sorted.sort_by(f64::total_cmp);
        Self { seen, sorted }
    }

    /// p of "the harm is at most this shift".
    fn at_most(&self, shift: f64) -> f64 {
        self.p(self.sorted.partition_point(|d| *d <= shift + Self::HAIR))
    }

    /// p of "the harm is at least this shift".
    fn at_least(&self, shift: f64) -> f64 {
        self.p(self.sorted.len() - self.sorted.partition_point(|d| *d < shift - Self::HAIR))
    }

    /// Equal figures differ by rounding.
    const HAIR: f64 = 1e-12;

    fn p(&self, extreme: usize) -> f64 {
        let own = PERMUTATIONS - self.sorted.len();
        (extreme + own + 1) as f64 / (PERMUTATIONS + 1) as f64
    }

    fn quantile(&self, q: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        self.sorted.get((q * last as f64).round() as usize).copied().unwrap_or(self.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Chance;

    fn figures(chance: &mut Chance, harm: f64) -> Vec<(bool, f64)> {
        let noise = |chance: &mut Chance| (0..4).map(|_| chance.unit()).sum::<f64>() / 100.0;
        (0..20).map(|at| (at % 2 == 0, noise(chance) + if at % 2 == 0 { harm } else { 0.0 })).collect()
    }

    #[test]
    fn a_harm_of_just_the_margin_fails_and_passes_in_five_of_a_hundred_each() {
        let mut chance = Chance(7);
        let (mut failed, mut passed) = (0, 0);
        for _ in 0..400 {
            let shifts = Shifts::of(&figures(&mut chance, 0.01));
            failed += usize::from(shifts.at_most(0.01) < ALPHA);
            passed += usize::from(shifts.at_least(0.01) < ALPHA);
        }
        assert!((6..=36).contains(&failed) && (6..=36).contains(&passed), "{failed} {passed} of 400");
    }

    #[test]
    fn what_is_far_from_the_margin_is_told() {
        let mut chance = Chance(8);
        let (much, none) = (Shifts::of(&figures(&mut chance, 0.03)), Shifts::of(&figures(&mut chance, 0.0)));
        assert!(much.at_most(0.01) < ALPHA && much.at_least(0.01) > 0.9);
        assert!(none.at_least(0.01) < 0.06 && none.at_most(0.01) > 0.9);
        assert!(much.quantile(0.025) < 0.03 && much.quantile(0.975) > 0.03, "the interval holds the truth");
        let same = Shifts::of(&(0..20).map(|at| (at < 10, 0.0)).collect::<Vec<_>>());
        assert!(same.at_least(0.001) < ALPHA && same.seen.abs() < 1e-9, "no error at all is less than any margin");
        assert!(same.at_least(0.0) > 0.9 && same.at_most(0.0) > 0.9);
    }
}
