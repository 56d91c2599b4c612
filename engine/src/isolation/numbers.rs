//! The running numbers of an owner's markers: one after the other, and each says in which field of its step it stands.
//! In: a field, and how many its step has. Out: the owner's next number that is the field's by its remainder.
//! A number has 15 bits and the marker has no room for more, so a reader divides instead of looking anything up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Numbers have 15 bits; after the last one they start again.
const LAST: u32 = 0x7fff;

/// One of the fields of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its number.
    pub at: u16,
    /// How many the step has; more than `at`.
    pub of: u16,
}

impl Field {
    /// Where fields are not told apart.
    pub const ONLY: Self = Self { at: 0, of: 1 };

    /// Field `number` of `of`; what is no field of the step is its last.
    pub fn new(number: u8, of: u16) -> Self {
        let of = of.max(1);
        Self { at: u16::from(number).min(of - 1), of }
    }

    /// The field of a step with `of` fields for which number `count` was drawn.
    pub fn of_count(count: u16, of: u16) -> u16 {
        count % of.max(1)
    }
}

/// An owner's numbers. Any worker draws.
#[derive(Debug, Default)]
pub struct Numbers {
    /// `drawn so far (32 bits) | next number, not cut to 15 bits (32 bits)`.
    next: AtomicU64,
}

impl Numbers {
    /// The next number for a marker in `field`, and how many were drawn before. With several fields some numbers are
    /// left out, at most as many as the step has fields: a number says what came later, not how many there were.
    pub fn draw(&self, field: Field) -> (u16, u32) {
        let step = |state: u64| {
            let number = after(state as u32, field);
            let drawn = ((state >> 32) as u32).wrapping_add(1);
            (number, u64::from(drawn) << 32 | u64::from(number.wrapping_add(1)))
        };
        let mut state = self.next.load(Relaxed);
        loop {
            let (number, next) = step(state);
            match self.next.compare_exchange_weak(state, next, Relaxed, Relaxed) {
                Ok(_) => return ((number & LAST) as u16, (state >> 32) as u32),
                Err(now) => state = now,
            }
        }
    }
}

/// The first number from `least` on that is the field's; where they start again they do so at the field's first.
fn after(least: u32, field: Field) -> u32 {
    let (at, of) = (u32::from(field.at), u32::from(field.of));
    let low = least & LAST;
    let ahead = (at + of - low % of) % of;
    if low + ahead <= LAST { least + ahead } else { (least | LAST).wrapping_add(1 + at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_says_its_field_also_where_they_start_again() {
        for of in 1..=64 {
            let numbers = Numbers::default();
            let mut before: Option<u16> = None;
            // Three times round; fields in an order that is not theirs.
            for i in 0..3 * (LAST + 1) / u32::from(of) * 2 {
                let field = Field { at: (i * 7 % u32::from(of)) as u16, of };
                let (count, drawn) = numbers.draw(field);
                assert_eq!((Field::of_count(count, of), drawn), (field.at, i), "{count} of {of}");
                assert!(u32::from(count) <= LAST);
                if let Some(before) = before {
                    let ahead = count.wrapping_sub(before) & LAST as u16;
                    assert!((1..=2 * of).contains(&ahead), "from {before} to {count} with {of} fields");
                }
                before = Some(count);
            }
        }
    }

    #[test]
    fn steps_with_different_numbers_of_fields_share_an_owner() {
        let numbers = Numbers::default();
        for i in 0..200_000u32 {
            let field = Field::new((i % 11) as u8, [1, 3, 64, 7][i as usize % 4]);
            let (count, _) = numbers.draw(field);
            assert_eq!(Field::of_count(count, field.of), field.at, "draw {i}");
        }
        let at_the_end = Numbers { next: AtomicU64::new(u64::MAX) };
        let (count, drawn) = at_the_end.draw(Field { at: 5, of: 9 });
        assert_eq!((Field::of_count(count, 9), drawn), (5, u32::MAX));
    }

    #[test]
    fn what_is_no_field_is_the_last() {
        assert_eq!(Field::new(u8::MAX, 3), Field { at: 2, of: 3 });
        assert_eq!(Field::new(0, 0), Field::ONLY);
        assert_eq!(Field::of_count(77, 0), 0);
    }
}
