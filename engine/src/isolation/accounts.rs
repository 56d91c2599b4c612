//! What all workers know of each account: whether it took part, and when it wrote its latest markers.
//! In: a note per marker planted. Out: the owner's side of a leak's evidence. Written by one worker, read by any.

use super::numbers::{Field, Numbers};
use crate::clock::{MILLISECOND, Nanos};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Markers remembered per account.
const REMEMBERED: usize = 8;

/// State of all accounts of a run.
#[derive(Debug)]
pub struct Accounts {
    rows: Vec<Account>,
}

/// State of one account. On cache lines of its own: neighbours are played by different workers, at every request.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Account {
    seen: AtomicBool,
    /// Virtual user that plays it, plus one.
    user: AtomicU32,
    numbers: Numbers,
    /// `count (16 bits) | time in ms (48 bits)`; each a single word, so that a reader never sees half a note.
    recent: [AtomicU64; REMEMBERED],
    /// Its latest request: `step + 1 (16 bits) | time in ms (48 bits)`.
    latest: AtomicU64,
    /// Virtual users that play it or are to play it.
    players: AtomicU32,
    /// At a role's first account: how many from the role's end were looked at by `switch_unplayed`.
    looked_at: AtomicU32,
}

impl Accounts {
    /// State for `count` accounts.
    pub fn new(count: usize) -> Self {
        Self { rows: (0..count).map(|_| Account::default()).collect() }
    }

    /// Notes that `user` plays the account; answers whether it is the account's first appearance.
    pub fn appear(&self, account: u32, user: u32) -> bool {
        let Some(row) = self.rows.get(account as usize) else {
            return false;
        };
        row.user.store(user + 1, Relaxed);
        !row.seen.swap(true, Relaxed)
    }

    /// One more virtual user plays the account, or is to play it.
    pub fn occupy(&self, account: u32) {
        if let Some(row) = self.rows.get(account as usize) {
            row.players.fetch_add(1, Relaxed);
        }
    }

    /// From `account` to the next one of `range` that nobody plays, which is taken; `None` where there is none.
    pub fn switch(&self, account: u32, range: std::ops::Range<u32>) -> Option<u32> {
        let after = account.saturating_add(1).clamp(range.start, range.end);
        let next = (after..range.end).chain(range.start..after).find(|next| {
            let row = self.rows.get(*next as usize);
            row.is_some_and(|row| row.players.compare_exchange(0, 1, Relaxed, Relaxed).is_ok())
        })?;
        self.rows.get(account as usize)?.players.fetch_sub(1, Relaxed);
        Some(next)
    }

    /// From `account` to one of `range` that nobody has played yet, from the end on, since users take them from the
    /// start; `None` where there is none. Each account is looked at once.
    pub fn switch_unplayed(&self, account: u32, range: std::ops::Range<u32>) -> Option<u32> {
        let looked_at = &self.rows.get(range.start as usize)?.looked_at;
        let left = |looked: u32| (looked < range.end - range.start).then_some(looked + 1);
        let looked = looked_at.fetch_update(Relaxed, Relaxed, left).ok()?;
        let next = range.end - 1 - looked;
        let row = self.rows.get(next as usize).filter(|row| !row.seen.load(Relaxed))?;
        row.players.compare_exchange(0, 1, Relaxed, Relaxed).ok()?;
        self.rows.get(account as usize)?.players.fetch_sub(1, Relaxed);
        Some(next)
    }

    /// The virtual user that plays the account.
    pub fn user_of(&self, account: u32) -> Option<u32> {
        self.rows.get(account as usize)?.user.load(Relaxed).checked_sub(1)
    }

    /// Notes that the account made a request of `step`.
    pub fn note_request(&self, account: u32, step: usize, now: Nanos) {
        if let Some(row) = self.rows.get(account as usize) {
            row.latest.store((step as u64 + 1) << 48 | (now / MILLISECOND) & 0xffff_ffff_ffff, Relaxed);
        }
    }

    /// Step and time (ms since the start of the load) of the account's latest request.
    pub fn latest_request(&self, account: u32) -> Option<(usize, u64)> {
        let note = self.rows.get(account as usize)?.latest.load(Relaxed);
        Some((((note >> 48) as usize).checked_sub(1)?, note & 0xffff_ffff_ffff))
    }

    /// The next running number for a marker of this account in a field; its time is remembered.
    pub fn count_marker(&self, account: u32, field: Field, now: Nanos) -> u16 {
        let Some(row) = self.rows.get(account as usize) else {
            return field.at;
        };
        let (count, drawn) = row.numbers.draw(field);
        // Plus one: marker 0 of the first millisecond is not the same as none.
        let note = u64::from(count) << 48 | (now / MILLISECOND + 1) & 0xffff_ffff_ffff;
        row.recent[drawn as usize % REMEMBERED].store(note, Relaxed);
        count
    }

    /// When the account wrote its marker number `count`, in ms since the start of the load, if still remembered.
    pub fn written_ms(&self, account: u32, count: u16) -> Option<u64> {
        let notes = self.rows.get(account as usize)?.recent.iter().map(|note| note.load(Relaxed));
        let note = notes.filter(|note| *note != 0).find(|note| (note >> 48) as u16 == count)?;
        (note & 0xffff_ffff_ffff).checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_markers_are_remembered_and_older_ones_are_not_mixed_up() {
        let accounts = Accounts::new(2);
        for i in 0..20 {
            assert_eq!(accounts.count_marker(1, Field::ONLY, (i + 1) * MILLISECOND), i as u16);
        }
        assert_eq!(accounts.written_ms(1, 19), Some(20));
        assert_eq!(accounts.written_ms(1, 12), Some(13));
        assert_eq!(accounts.written_ms(1, 11), None);
        assert_eq!(accounts.written_ms(0, 0), None);
        assert_eq!(accounts.written_ms(9, 0), None);
    }

    #[test]
    fn as_many_are_remembered_where_fields_leave_numbers_out() {
        let accounts = Accounts::new(1);
        let field = Field { at: 3, of: 16 };
        let counts: Vec<u16> = (0..20).map(|i| accounts.count_marker(0, field, i * MILLISECOND)).collect();
        let known: Vec<_> = counts.iter().map(|count| accounts.written_ms(0, *count)).collect();
        assert!(
            known[..12].iter().all(Option::is_none) && known[12..].iter().copied().eq((12..20).map(Some)),
            "{known:?}"
        );
        assert_eq!(accounts.written_ms(0, counts[19] + 1), None);
    }

    #[test]
    fn a_switch_takes_what_nobody_plays_and_gives_back_what_it_had() {
        let accounts = Accounts::new(6);
        (1..4).for_each(|account| accounts.occupy(account));
        assert_eq!(accounts.switch(1, 1..5), Some(4));
        assert_eq!(accounts.switch(2, 1..5), Some(1), "round the end, never into another role");
        assert_eq!(accounts.switch(3, 1..5), Some(2));
        assert_eq!(accounts.switch(1, 1..2), None);
        let empty = Accounts::new(0);
        assert_eq!(empty.switch(0, 0..0), None);
    }

    #[test]
    fn a_switch_to_an_unplayed_account_takes_each_once_and_none_that_was_played() {
        let accounts = Accounts::new(7);
        for (account, user) in [(1, 0), (2, 1)] {
            accounts.occupy(account);
            accounts.appear(account, user);
        }
        assert_eq!(accounts.switch_unplayed(1, 1..6), Some(5));
        assert_eq!(accounts.switch_unplayed(2, 1..6), Some(4));
        assert_eq!(accounts.switch_unplayed(5, 1..6), Some(3));
        assert_eq!([0; 9].map(|_| accounts.switch_unplayed(3, 1..6)), [None; 9], "1 and 2 are free and were played");
        assert_eq!(accounts.switch_unplayed(6, 6..6), None);
        assert_eq!(Accounts::new(0).switch_unplayed(0, 0..0), None);
    }

    #[test]
    fn an_account_appears_once() {
        let accounts = Accounts::new(1);
        assert!(accounts.appear(0, 4));
        assert!(!accounts.appear(0, 4));
        assert_eq!(accounts.user_of(0), Some(4));
    }
}
