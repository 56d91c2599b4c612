//! Counts by the fields of a step, at most 64 of them.
//! In: a field's number. Out: its count; only fields up to the last one that counted take room.

use scenarios::program::MOST_FIELDS;
use serde::{Deserialize, Serialize};

/// By the number of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldCounts(Vec<u64>);

impl FieldCounts {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts `count` more of a field; what is none is left out.
    pub fn count(&mut self, field: usize, count: u64) {
        if field >= MOST_FIELDS {
            return;
        }
        if self.0.len() <= field {
            self.0.resize(field + 1, 0);
        }
        self.0[field] += count;
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        other.by_field().for_each(|(field, count)| self.count(field, count));
    }

    /// Fields that counted, with their counts.
    pub fn by_field(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_an_earlier_version_has_no_fields_and_is_read() {
        let line = r#"{"second":3,"steps":{"1":{"carried":[[0,7]],"isolation":{"planted":2}}}}"#;
        let mut old: crate::record::interval::Interval = serde_json::from_str(line).expect("it is whole");
        let step = old.step(1);
        assert!(step.carried == [(0, 7)] && step.carried_fields.is_empty() && step.planted.is_empty());
        step.field_counts(0).count(2, 5);
        step.planted.count(1, 4);
        let line = serde_json::to_string(&old).expect("it can be written");
        let mut back: crate::record::interval::Interval = serde_json::from_str(&line).expect("it is ours");
        assert_eq!(back.step(1).field_counts(0).by_field().collect::<Vec<_>>(), [(2, 5)]);
        assert_eq!(back.step(1).planted.by_field().collect::<Vec<_>>(), [(1, 4)]);
    }

    #[test]
    fn counts_add_up_and_a_stored_line_cannot_make_them_grow() {
        let mut counts = FieldCounts::default();
        counts.count(63, 2);
        counts.count(64, 9);
        let mut other = FieldCounts(vec![1; 1000]);
        other.add(&counts);
        counts.add(&other);
        assert_eq!(counts.by_field().map(|(_, n)| n).sum::<u64>(), 2 + 64 + 2);
        assert_eq!(counts.0.len(), 64);
    }
}
