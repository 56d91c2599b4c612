//! Audiences: rooms, channels, wards. Who may receive their data when, and who wrote which of their markers.
//! In: `join`, `leave`, `marker('room-7')`. Out: whether an account was a member while an answer was under way. Shared by
//! all workers; locked when a membership changes and when a marker of an audience comes in, never for other answers.

use super::marker::{MOST_OWNERS, Mint};
use super::numbers::{Field, Numbers};
use crate::clock::{MILLISECOND, Nanos, SECOND};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// How long after a `leave` what is still on its way may arrive.
pub const GRACE: Nanos = 2 * SECOND;

/// Markers remembered per audience.
const REMEMBERED: usize = 64;
/// Audiences of a run at most; markers of further ones are never judged.
const MOST_AUDIENCES: usize = 100_000;
/// Memberships remembered per account and audience; older ones run into one.
const MOST_SPANS: usize = 16;

/// All audiences met in this run, by number. A number is a digest of the name, so the names are kept.
#[derive(Debug, Default)]
pub struct Audiences {
    table: RwLock<HashMap<u32, Arc<Audience>>>,
}

impl Audiences {
    /// The audience of this name; `None` where there are too many already, or two names have one number.
    pub fn named(&self, name: &str, mint: &Mint) -> Option<Arc<Audience>> {
        let number = Self::number(name, mint);
        let known = |audience: &Arc<Audience>| (audience.name == name).then(|| Arc::clone(audience));
        if let Some(audience) = self.table.read().unwrap_or_else(PoisonError::into_inner).get(&number) {
            return known(audience);
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let room = table.len() < MOST_AUDIENCES;
        match table.get(&number) {
            Some(audience) => known(audience),
            None if !room => None,
            None => {
                let audience = Arc::new(Audience::new(name, number));
                table.insert(number, Arc::clone(&audience));
                Some(audience)
            }
        }
    }

    /// The audience of this number.
    pub fn numbered(&self, number: u32) -> Option<Arc<Audience>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// The number that stands in the markers of an audience.
    pub fn number(name: &str, mint: &Mint) -> u32 {
        (mint.digest(name.as_bytes()) as u32) % MOST_OWNERS
    }
}

/// What an account is to an audience while an answer is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A member all the time.
    Member,
    /// It joined, left, or had left only just; or the marker is from a time when it was a member.
    Unclear,
    /// It was never a member.
    Outsider,
    /// It left then, and the marker was written after that.
    Former(Nanos),
}

/// One audience.
#[derive(Debug)]
pub struct Audience {
    /// Its name as written.
    pub name: String,
    /// Its number.
    pub number: u32,
    numbers: Numbers,
    /// `count (16 bits) | time in ms plus one (48 bits)`.
    written: [AtomicU64; REMEMBERED],
    writers: [AtomicU32; REMEMBERED],
    members: Mutex<HashMap<u32, Vec<Span>>>,
}

/// From joining to leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    joined: Nanos,
    left: Option<Nanos>,
}

impl Audience {
    fn new(name: &str, number: u32) -> Self {
        Self {
            name: name.to_owned(),
            number,
            numbers: Numbers::default(),
            written: std::array::from_fn(|_| AtomicU64::new(0)),
            writers: std::array::from_fn(|_| AtomicU32::new(0)),
            members: Mutex::default(),
        }
    }

    /// The next running number for a marker of this audience in a field. Whoever writes to an audience and has not left it is in it.
    pub fn count_marker(&self, writer: u32, field: Field, now: Nanos) -> u16 {
        self.lock().entry(writer).or_insert_with(|| vec![Span { joined: now, left: None }]);
        let (count, drawn) = self.numbers.draw(field);
        let slot = drawn as usize % REMEMBERED;
        self.writers[slot].store(writer, Relaxed);
        let note = u64::from(count) << 48 | (now / MILLISECOND + 1) & 0xffff_ffff_ffff;
        self.written[slot].store(note, Relaxed);
        count
    }

    /// Who wrote marker number `count`, and when (ms since the start of the load), if still remembered.
    pub fn written(&self, count: u16) -> Option<(u32, u64)> {
        let mut notes = self.written.iter().map(|note| note.load(Relaxed)).enumerate();
        let (slot, note) = notes.find(|(_, note)| *note != 0 && (note >> 48) as u16 == count)?;
        Some((self.writers[slot].load(Relaxed), (note & 0xffff_ffff_ffff).checked_sub(1)?))
    }

    /// `account` asks to be let in.
    pub fn join(&self, account: u32, now: Nanos) {
        let mut members = self.lock();
        let spans = members.entry(account).or_default();
        if spans.last().is_some_and(|span| span.left.is_none()) {
            return;
        }
        if spans.len() == MOST_SPANS {
            let first = spans.remove(0);
            spans[0].joined = first.joined;
        }
        spans.push(Span { joined: now, left: None });
    }

    /// `account` is out, confirmed.
    pub fn leave(&self, account: u32, now: Nanos) {
        if let Some(span) = self.lock().get_mut(&account).and_then(|spans| spans.last_mut()) {
            span.left.get_or_insert(now);
        }
    }

    /// What `account` is to this audience while an answer is under way that was asked for at `from` and is there at `to`;
    /// `count` is the marker that it holds, if it is a whole one.
    pub fn standing(&self, account: u32, (from, to): (Nanos, Nanos), count: Option<u16>) -> Standing {
        let members = self.lock();
        let Some(spans) = members.get(&account).filter(|spans| !spans.is_empty()) else {
            return Standing::Outsider;
        };
        let left = |span: &Span| span.left.unwrap_or(Nanos::MAX);
        if spans.iter().any(|span| span.joined <= from && to <= left(span)) {
            return Standing::Member;
        }
        if spans.iter().any(|span| span.joined <= to && from <= left(span).saturating_add(GRACE)) {
            return Standing::Unclear;
        }
        if spans.iter().all(|span| to < span.joined) {
            return Standing::Outsider;
        }
        let out = spans.iter().filter_map(|span| span.left).max().unwrap_or(Nanos::MAX);
        let written = count.and_then(|count| self.written(count)).map(|(_, ms)| ms * MILLISECOND);
        match written {
            Some(written) if written > out.saturating_add(GRACE) => Standing::Former(out),
            _ => Standing::Unclear,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Vec<Span>>> {
        // A panic elsewhere leaves the map whole: each change is complete before the lock is released.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> (Audiences, Arc<Audience>) {
        let audiences = Audiences::default();
        let room = audiences.named("room-7", &Mint::new([1; 32])).expect("the first");
        (audiences, room)
    }

    #[test]
    fn a_name_is_found_again_and_by_its_number() {
        let (audiences, room) = room();
        let mint = Mint::new([1; 32]);
        assert!(Arc::ptr_eq(&room, &audiences.named("room-7", &mint).expect("known")));
        assert!(Arc::ptr_eq(&room, &audiences.numbered(room.number).expect("known")));
        assert!(audiences.numbered(room.number ^ 1).is_none());
        let other = audiences.named("room-8", &mint).expect("another");
        assert_ne!(other.number, room.number);
    }

    #[test]
    fn entitlement_follows_the_intervals_with_grace() {
        let (_, room) = room();
        assert_eq!(room.standing(1, (5, 6), None), Standing::Outsider);
        room.join(1, 10 * SECOND);
        for (from, to, expected) in [
            (1, 2, Standing::Outsider),
            (9, 11, Standing::Unclear),
            (10, 10, Standing::Member),
            (10, 50, Standing::Member),
        ] {
            assert_eq!(room.standing(1, (from * SECOND, to * SECOND), None), expected, "{from}..{to}");
        }
        room.leave(1, 20 * SECOND);
        room.leave(1, 90 * SECOND);
        let old = room.count_marker(2, Field::ONLY, 15 * SECOND);
        let at_once = room.count_marker(2, Field::ONLY, 21 * SECOND);
        let new = room.count_marker(2, Field::ONLY, 25 * SECOND);
        for (from, to, count, expected) in [
            (19, 20, new, Standing::Member),
            (19, 21, new, Standing::Unclear),
            (21, 23, new, Standing::Unclear),
            (30, 31, old, Standing::Unclear),
            (30, 31, at_once, Standing::Unclear),
            (30, 31, new, Standing::Former(20 * SECOND)),
        ] {
            assert_eq!(room.standing(1, (from * SECOND, to * SECOND), Some(count)), expected, "{from}..{to} {count}");
        }
        room.join(1, 40 * SECOND);
        assert_eq!(room.standing(1, (41 * SECOND, 42 * SECOND), Some(new)), Standing::Member);
    }

    #[test]
    fn a_writer_is_in_until_it_leaves() {
        let (_, room) = room();
        room.count_marker(3, Field::ONLY, 5);
        assert_eq!(room.standing(3, (6, 7), None), Standing::Member);
        room.leave(3, 8);
        let later = room.count_marker(3, Field::ONLY, 10 * SECOND);
        assert_eq!(room.standing(3, (20 * SECOND, 21 * SECOND), Some(later)), Standing::Former(8));
    }

    #[test]
    fn joining_and_leaving_for_hours_grows_nothing() {
        let (_, room) = room();
        for i in 0..1_000 {
            room.join(1, i * 10 * SECOND);
            room.leave(1, (i * 10 + 5) * SECOND);
        }
        assert_eq!(room.lock()[&1].len(), MOST_SPANS);
        assert_ne!(room.standing(1, (SECOND, 2 * SECOND), None), Standing::Outsider, "what is forgotten is no alarm");
    }
}
