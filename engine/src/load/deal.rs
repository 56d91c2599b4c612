//! Dealing: which journey and which account each user of a profile plays; which arrival draws which journey.
//! In: the program's mix and roles. Out: one [`Seat`] per user index, the same in every process that knows the program.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use scenarios::program::Program;

/// What one user plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Index of the journey.
    pub journey: usize,
    /// Global account number; users without a role get numbers behind all accounts, each its own.
    pub account: u32,
}

/// Deals `users` users. Every prefix of the result holds the journeys in about the proportions of the mix,
/// so that a ramp starts with the same mix that it ends with.
pub fn seats(program: &Program, users: usize) -> Vec<Seat> {
    let counts = scenarios::deal_users(program, users);
    let mut next_row = vec![0; program.roles.len()];
    interleave(&counts)
        .into_iter()
        .enumerate()
        .map(|(index, journey)| {
            let account = match program.journeys[journey].role {
                Some(role) if !program.roles[role].accounts.is_empty() => {
                    let row = next_row[role] % program.roles[role].accounts.len();
                    next_row[role] += 1;
                    program.first_account(role) + row
                }
                _ => program.account_count() + index,
            };
            Seat { journey, account: account as u32 }
        })
        .collect()
}

/// The journeys in turn: the k-th user of a journey with n users stands at (k + ½) / n.
fn interleave(counts: &[usize]) -> Vec<usize> {
    let mut places: Vec<(f64, usize)> = counts
        .iter()
        .enumerate()
        .flat_map(|(journey, &n)| (0..n).map(move |k| ((k as f64 + 0.5) / n as f64, journey)))
        .collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    places.into_iter().map(|(_, journey)| journey).collect()
}

/// Draws the journey of arrival `index` by the mix.
pub fn journey_of_arrival(program: &Program, seed: u64, index: u64) -> usize {
    let total: u64 = program.journeys.iter().map(|j| u64::from(j.weight)).sum();
    let mut random = Pcg64::seed_from_u64(seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x006d_6978);
    let mut ticket = random.random_range(0..total.max(1));
    for (journey, plan) in program.journeys.iter().enumerate() {
        match ticket.checked_sub(u64::from(plan.weight)) {
            Some(rest) => ticket = rest,
            None => return journey,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_holds_the_mix() {
        let order = interleave(&[60, 15, 25]);
        assert_eq!(order.len(), 100);
        for length in [10, 20, 50] {
            let first = order[..length].iter().filter(|j| **j == 0).count();
            assert!(first.abs_diff(length * 6 / 10) <= 1, "{first} of {length}");
        }
    }

    #[test]
    fn a_single_user_plays_the_heaviest_journey() {
        assert_eq!(interleave(&[1, 0, 0]), [0]);
        assert_eq!(interleave(&[]), Vec::<usize>::new());
    }
}
