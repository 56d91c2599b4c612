//! What a journey reads while it is compiled: its variables, data tables, and parts of the latest answer.
//! In: each template and expression that compiled. Out: what the engine has to keep, where each variable is read, and
//! which variables and tables nobody reads.

use crate::conditions::Keeps;
use crate::diagnostic::Span;
use crate::expr::{Last, Place, Slot};
use crate::syntax::Scalar;
use std::collections::HashSet;

/// The trail of the journey at hand.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// Variables that some expression reads.
    pub reads: HashSet<Slot>,
    /// What must be kept of the latest answer.
    pub keeps: Keeps,
    /// Data tables that some expression reads.
    pub tables: HashSet<usize>,
    /// Reads of variables that nothing in their expression says are there.
    pub places: Vec<Read>,
    /// How many operations the journey has so far: the one that is being compiled will be next.
    pub ops: usize,
    /// What reads variables, to be looked at again once their types are known.
    pub texts: Vec<Text>,
    /// Where variables are saved or set, by the name there.
    pub written: Vec<(Slot, Scalar)>,
}

/// A template or condition that reads a variable.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub scalar: Scalar,
    pub text: String,
    /// Byte of the scalar where the text starts.
    pub offset: usize,
    pub is_condition: bool,
    pub stranger: Option<usize>,
}

/// A variable is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    /// The operation that reads it.
    pub op: usize,
    pub slot: Slot,
    pub span: Span,
}

impl Trail {
    /// An expression reads `place`.
    pub fn read(&mut self, place: &Place) {
        match place {
            Place::Slot(slot) => {
                self.reads.insert(*slot);
            }
            Place::Data { table, .. } => {
                self.tables.insert(*table);
            }
            Place::Last(Last::Headers) => self.keeps.headers = true,
            Place::Last(Last::Body | Last::Json) => self.keeps.body = true,
            _ => {}
        }
    }
}
