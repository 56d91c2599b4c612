//! Credentials: a value that was issued to two accounts is a proven leak.
//! In: keyed digests of issued values. Out: the account that held a value before. Shared by all workers,
//! locked only when a credential is issued (a log-in), never per request.

use crate::clock::Nanos;
use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

/// Values remembered per account; older ones are forgotten and counted.
const REMEMBERED: usize = 8;

/// When and where a credential was first issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issue {
    /// To which account.
    pub account: u32,
    /// At which step.
    pub step: usize,
    /// When, since the start of the load.
    pub at: Nanos,
}

/// All credentials issued in this run.
#[derive(Debug, Default)]
pub struct Credentials {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    holders: HashMap<u128, Issue>,
    by_account: HashMap<u32, VecDeque<u128>>,
    evictions: u64,
}

impl Credentials {
    /// Notes an issue of `digest`; answers the earlier issue to another account, if any.
    pub fn issue(&self, digest: u128, issue: Issue) -> Option<Issue> {
        let mut table = self.lock();
        if let Some(earlier) = table.holders.get(&digest) {
            return (earlier.account != issue.account).then_some(*earlier);
        }
        table.holders.insert(digest, issue);
        let values = table.by_account.entry(issue.account).or_default();
        values.push_back(digest);
        if values.len() > REMEMBERED {
            let oldest = values.pop_front().expect("it has more than eight");
            table.holders.remove(&oldest);
            table.evictions += 1;
        }
        None
    }

    /// Values forgotten so far.
    pub fn evictions(&self) -> u64 {
        self.lock().evictions
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        // A panic elsewhere leaves the table whole: each change is complete before the lock is released.
        self.table.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(account: u32) -> Issue {
        Issue { account, step: 0, at: 5 }
    }

    #[test]
    fn only_another_account_is_a_finding() {
        let credentials = Credentials::default();
        assert_eq!(credentials.issue(1, to(10)), None);
        assert_eq!(credentials.issue(1, to(10)), None);
        assert_eq!(credentials.issue(1, to(11)), Some(to(10)));
        assert_eq!(credentials.issue(2, to(11)), None);
    }

    #[test]
    fn the_last_eight_are_kept_and_evictions_counted() {
        let credentials = Credentials::default();
        for value in 0..9 {
            assert_eq!(credentials.issue(value, to(1)), None);
        }
        assert_eq!(credentials.evictions(), 1);
        assert_eq!(credentials.issue(0, to(2)), None, "forgotten");
        assert_eq!(credentials.issue(8, to(2)), Some(to(1)));
    }
}
