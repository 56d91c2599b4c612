//! Containment: do the faults of some users harm the others? When the faults are on and off, and who suffers them.
//! In: length of a load, a user's index. Out: blocks and cohorts; pure functions, used by the compiler and the engine.

use serde::{Deserialize, Serialize};

const SECOND_NS: u64 = 1_000_000_000;

/// Blocks with the faults on that a judgement needs, and as many with them off.
pub const LEAST_PAIRS: usize = 10;
/// After that many pairs blocks get longer instead of more.
const MOST_PAIRS: u64 = 20;
/// At the start of each block, left out: what the block before it left behind, ns.
pub const WASH_OUT_NS: u64 = 5 * SECOND_NS;
/// The part of a block that counts, at least, ns.
pub const LEAST_BLOCK_NS: u64 = 15 * SECOND_NS;
/// Requests of healthy users that each block needs.
pub const LEAST_REQUESTS: u64 = 50;
/// Share of the users that suffer the faults, where the profile does not say it.
pub const SHARE: f64 = 0.2;

/// What of the healthy users is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// Their share of errors: difference in percentage points.
    Errors,
    /// Their mean response time: how much longer, as a share.
    Mean,
}

/// Blocks of equal length, each with its wash-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Start of the first, ns since the start of the load; a whole second.
    pub from_ns: u64,
    /// Length of each, wash-out included, whole seconds, ns.
    pub each_ns: u64,
    /// With the faults on; as many with them off.
    pub pairs: usize,
}

/// The blocks that fit between the warm-up and the end of a load; `None` if not even one pair does.
pub fn blocks(warm_up_ns: u64, load_ns: u64) -> Option<Blocks> {
    let from_ns = warm_up_ns.checked_next_multiple_of(SECOND_NS)?;
    let room_ns = load_ns.checked_sub(from_ns)?;
    let pairs = (room_ns / (2 * (WASH_OUT_NS + LEAST_BLOCK_NS))).min(MOST_PAIRS);
    let each_ns = room_ns.checked_div(2 * pairs)? / SECOND_NS * SECOND_NS;
    Some(Blocks { from_ns, each_ns, pairs: pairs as usize })
}

/// Load after the warm-up that a judgement needs, ns.
pub fn least_ns() -> u64 {
    2 * LEAST_PAIRS as u64 * (WASH_OUT_NS + LEAST_BLOCK_NS)
}

/// Whether the user of this index is of the faulty cohort, which is so large a share of the users. The golden ratio
/// spreads them evenly and in step with no pattern by which journeys and accounts are dealt.
pub fn is_faulty(index: u32, share: f64) -> bool {
    f64::from(index.wrapping_mul(0x9e37_79b9)) < share * f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_fill_the_load_and_are_never_too_short() {
        assert_eq!(blocks(0, 39 * SECOND_NS), None);
        assert_eq!(blocks(u64::MAX, u64::MAX), None);
        assert_eq!(blocks(10, 5), None);
        for seconds in 40..20_000 {
            let found = blocks(1_500_000_000, (seconds + 2) * SECOND_NS).expect("one pair fits");
            assert_eq!(found.from_ns, 2 * SECOND_NS);
            assert!(found.each_ns >= WASH_OUT_NS + LEAST_BLOCK_NS && found.each_ns.is_multiple_of(SECOND_NS));
            assert!(found.pairs as u64 * 2 * found.each_ns <= seconds * SECOND_NS, "{seconds}: {found:?}");
            assert_eq!(found.pairs >= LEAST_PAIRS, seconds * SECOND_NS >= least_ns(), "{seconds}: {found:?}");
        }
    }

    #[test]
    fn the_cohort_is_as_large_as_asked_for_in_every_row_of_users() {
        for share in [0.1, 0.2, 0.5] {
            for users in [10_u32, 20, 100, 10_000] {
                let faulty = (0..users).filter(|user| is_faulty(*user, share)).count() as f64;
                assert!((faulty - share * f64::from(users)).abs() <= 2.0, "{share} of {users}: {faulty}");
            }
        }
        assert!(is_faulty(0, 0.01) && (0..1000).all(|user| is_faulty(user, 1.0)));
        // Journeys that are dealt in turn all have both kinds of users.
        for (step, first) in [(2, 0), (2, 1), (4, 3), (5, 0), (5, 4)] {
            let own = (first..200).step_by(step).filter(|user| is_faulty(*user, 0.2)).count();
            assert!(own > 0 && own < 200 / step, "every {step}th from {first}: {own}");
        }
    }
}
