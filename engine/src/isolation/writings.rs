//! Which writes a reader of others' data can expect to be shown: for `expect: { marker: permitted }`.
//! In: acknowledged writes by account and step, and which steps' markers came back where. Out: whether an answer without
//! any marker hides something, or there is nothing to show yet. Written by one worker, read by any; empty, and never
//! looked at, where no step has such a control.

use crate::clock::{MILLISECOND, Nanos};
use crate::load::deal::Seat;
use scenarios::program::{Control, Program, Request};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Writing steps told apart; of what further ones write nobody expects to be shown anything.
const MOST_KINDS: usize = 16;

/// What was written, and what is shown of it.
///
/// A dashboard shows notes and no chat messages; which, the file does not say. Once a marker came back at a reading
/// step, what is shown there is known. Until then a blank answer hides something only if something of every kind was
/// there to be shown.
#[derive(Debug, Default)]
pub struct Writings {
    /// By step: its number among the steps that write.
    kinds: Vec<Option<u8>>,
    count: usize,
    /// By account, then by kind: when a write was first acknowledged, in ms plus one; 0: none was.
    first: Vec<AtomicU64>,
    /// By step: the kinds whose markers came back there, as bits.
    shown: Vec<AtomicU32>,
    /// By role of a reader (last: users without one): the kinds that those write whom it may see, as bits.
    expected: Vec<u32>,
}

impl Writings {
    /// Nothing is written yet in a run of `accounts` accounts, in which `seats` are played.
    pub fn new(program: &Program, seats: &[Seat], accounts: usize) -> Self {
        let is_asked = |r: &Request| r.expect.marker == Some(Control::Permitted);
        if !program.requests.iter().any(is_asked) {
            return Self::default();
        }
        let mut writings = Self {
            kinds: vec![None; program.steps.len()],
            expected: vec![0; program.roles.len() + 1],
            ..Self::default()
        };
        for request in program.requests.iter().filter(|r| can_be_acknowledged(r)) {
            let journey = program.steps[request.step].journey;
            // A step on a new version writes what the old one wrote.
            let step = program.steps[request.step].twin_of.unwrap_or(request.step);
            if writings.kinds[step].is_none() && writings.count < MOST_KINDS {
                writings.kinds[step] = u8::try_from(writings.count).ok();
                writings.count += 1;
            }
            writings.kinds[request.step] = writings.kinds[step];
            if let Some(kind) = writings.kinds[step]
                && seats.iter().any(|seat| seat.journey == journey)
            {
                writings.expect(program, program.journeys[journey].role, 1 << kind);
            }
        }
        writings.first = (0..accounts * writings.count).map(|_| AtomicU64::new(0)).collect();
        writings.shown = program.steps.iter().map(|_| AtomicU32::new(0)).collect();
        writings
    }

    /// Accounts of `writer` write this kind.
    fn expect(&mut self, program: &Program, writer: Option<usize>, kind: u32) {
        let last = self.expected.len() - 1;
        self.expected[writer.unwrap_or(last)] |= kind;
        for (reader, role) in program.roles.iter().enumerate() {
            if role.may_see.iter().any(|(seen, _)| Some(*seen) == writer) {
                self.expected[reader] |= kind;
            }
        }
    }

    fn kind(&self, step: usize) -> Option<usize> {
        self.kinds.get(step).copied().flatten().map(usize::from)
    }

    /// Notes that the target acknowledged a write of `step` with a marker of this account.
    pub fn note(&self, account: u32, step: usize, now: Nanos) {
        if let Some(kind) = self.kind(step)
            && let Some(first) = self.first.get(account as usize * self.count + kind)
            && first.load(Relaxed) == 0
        {
            let _ = first.compare_exchange(0, now / MILLISECOND + 1, Relaxed, Relaxed);
        }
    }

    /// Notes that an answer of `reading` held a marker that was planted by `writing`.
    pub fn show(&self, reading: usize, writing: usize) {
        if let Some(kind) = self.kind(writing)
            && let Some(shown) = self.shown.get(reading)
            && shown.load(Relaxed) & 1 << kind == 0
        {
            shown.fetch_or(1 << kind, Relaxed);
        }
    }

    /// Whether an answer of step `reading` to what a user of `role` asked at `asked` must hold a marker, because before
    /// that a write of somebody that `may_be_seen` was acknowledged, of a kind that is shown there.
    pub fn is_due(&self, reading: usize, role: Option<usize>, asked: Nanos, may_be_seen: impl Fn(u32) -> bool) -> bool {
        if self.count == 0 {
            return false;
        }
        // In the same millisecond the order is not known: then nothing need be there yet.
        let before = |first: &AtomicU64| (1..=asked / MILLISECOND).contains(&first.load(Relaxed));
        let shown = self.shown.get(reading).map_or(0, |shown| shown.load(Relaxed));
        let expected = self.expected.get(role.unwrap_or(self.expected.len() - 1)).copied().unwrap_or(0);
        let (wanted, is_one_enough) = if shown == 0 { (expected, false) } else { (shown, true) };
        let mut there = 0;
        for (account, first) in (0..).zip(self.first.chunks_exact(self.count)) {
            let kinds = (0..self.count).filter(|kind| wanted & 1 << kind & !there != 0 && before(&first[*kind]));
            let kinds = kinds.fold(0, |kinds, kind| kinds | 1u32 << kind);
            if kinds != 0 && may_be_seen(account) {
                there |= kinds;
                if is_one_enough || there == wanted {
                    return true;
                }
            }
        }
        false
    }
}

/// Whether answers to this request acknowledge a write with a marker: 202 says only that it will be done.
fn can_be_acknowledged(request: &Request) -> bool {
    let status = &request.expect.status;
    request.plants_marker
        && matches!(request.method.as_str(), "POST" | "PUT" | "PATCH")
        && (status.is_empty() || status.iter().any(|range| *range != (202, 202) && range.1 >= 200 && range.0 < 400))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps 0 and 1 write, step 2 reads; role 0 may see both kinds.
    fn writings() -> Writings {
        Writings {
            kinds: vec![Some(0), Some(1), None],
            count: 2,
            first: (0..6).map(|_| AtomicU64::new(0)).collect(),
            shown: (0..3).map(|_| AtomicU32::new(0)).collect(),
            expected: vec![0b11, 0],
        }
    }

    #[test]
    fn before_anything_was_shown_something_of_every_kind_must_be_there() {
        let writings = writings();
        let due = |asked_ms| writings.is_due(2, Some(0), asked_ms * MILLISECOND, |_| true);
        assert!(!due(1000));
        writings.note(0, 0, 5 * MILLISECOND);
        writings.note(0, 0, 2 * MILLISECOND);
        assert!(!due(1000), "one kind only, which may not be for this reader");
        writings.note(1, 1, 9 * MILLISECOND);
        assert_eq!([due(9), due(10)], [false, true], "in the same millisecond nobody knows the order");
        assert!(!writings.is_due(2, Some(0), 1000 * MILLISECOND, |account| account == 0));
        assert!(!writings.is_due(2, None, 1000 * MILLISECOND, |_| true), "whoever may see nobody is owed nothing");
    }

    #[test]
    fn what_was_shown_once_is_expected_from_then_on_and_nothing_else() {
        let writings = writings();
        writings.show(2, 0);
        let due = |who: u32| writings.is_due(2, Some(0), 1000 * MILLISECOND, |account| account == who);
        writings.note(0, 1, MILLISECOND);
        assert!(!due(0), "of this nothing was ever seen there");
        writings.note(1, 0, MILLISECOND);
        assert_eq!([due(0), due(1), due(2)], [false, true, false]);
    }

    #[test]
    fn steps_and_accounts_that_are_not_known_change_nothing() {
        let writings = writings();
        writings.note(99, 0, 0);
        writings.note(0, 99, 0);
        writings.show(99, 0);
        writings.show(0, 99);
        assert!(!writings.is_due(99, Some(99), u64::MAX, |_| true));
        assert!(!Writings::default().is_due(0, None, u64::MAX, |_| true));
    }
}
