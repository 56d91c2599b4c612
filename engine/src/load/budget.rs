//! A run of so many iterations: how many each worker of a closed load begins.
//! In: the number for the whole run, the number of users. Out: a worker's share, taken off one by one.
//! An open load needs no shares: its arrivals are numbered through all workers, and the first so many come.

use std::cell::Cell;

/// What is left for one worker; never shared, so taking is neither a lock nor an atomic operation.
#[derive(Debug)]
pub struct Budget {
    left: Cell<u64>,
}

impl Budget {
    /// The budget of worker `index` of `of`, where user u plays at worker u mod `of`. `None`: no end.
    /// The shares of all workers add up to `whole` exactly.
    pub fn share(whole: Option<u64>, users: usize, index: usize, of: usize) -> Self {
        let users_before = |worker: usize| (0..worker).map(|w| users.saturating_sub(w).div_ceil(of)).sum::<usize>();
        let left = match whole {
            None => u64::MAX,
            Some(_) if users == 0 => 0,
            Some(whole) => {
                let up_to = |worker| u128::from(whole) * users_before(worker) as u128 / users as u128;
                u64::try_from(up_to(index + 1) - up_to(index)).unwrap_or(u64::MAX)
            }
        };
        Self { left: Cell::new(left) }
    }

    /// Takes one iteration; answers whether there was one.
    pub fn take(&self) -> bool {
        match self.left.get() {
            0 => false,
            u64::MAX => true,
            left => {
                self.left.set(left - 1);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(budget: &Budget) -> u64 {
        std::iter::repeat_with(|| budget.take()).take_while(|taken| *taken).count() as u64
    }

    #[test]
    fn the_shares_add_up_to_the_whole() {
        for (whole, users, of) in [(100, 10, 1), (100, 7, 3), (1, 5, 4), (7, 7, 2), (0, 3, 2), (1001, 50, 8)] {
            let shares: Vec<u64> = (0..of).map(|index| drain(&Budget::share(Some(whole), users, index, of))).collect();
            assert_eq!(shares.iter().sum::<u64>(), whole, "{whole} by {users} users at {of} workers: {shares:?}");
        }
    }

    #[test]
    fn every_user_finds_one_when_there_are_as_many_as_users() {
        for (users, of) in [(7, 3), (50, 4), (5, 2)] {
            for index in 0..of {
                let here = (index..users).step_by(of).count() as u64;
                assert_eq!(drain(&Budget::share(Some(users as u64), users, index, of)), here);
            }
        }
    }

    #[test]
    fn without_a_number_there_is_no_end() {
        let budget = Budget::share(None, 3, 0, 2);
        assert!((0..10_000).all(|_| budget.take()));
    }
}
