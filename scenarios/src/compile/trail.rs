//! What a journey reads while it is compiled: its variables, and parts of the latest answer.
//! In: each template and expression that compiled. Out: what the engine has to keep, and which variables nobody reads.

use crate::conditions::Keeps;
use crate::expr::{Last, Place, Slot};
use std::collections::HashSet;

/// The trail of the journey at hand.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// Variables that some expression reads.
    pub reads: HashSet<Slot>,
    /// What must be kept of the latest answer.
    pub keeps: Keeps,
}

impl Trail {
    /// An expression reads `place`.
    pub fn read(&mut self, place: &Place) {
        match place {
            Place::Slot(slot) => {
                self.reads.insert(*slot);
            }
            Place::Last(Last::Headers) => self.keeps.headers = true,
            Place::Last(Last::Body | Last::Json) => self.keeps.body = true,
            _ => {}
        }
    }
}
