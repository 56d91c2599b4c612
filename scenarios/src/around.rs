//! What a run plays once, by one user: `setup` before its load, `teardown` after it.
//! In: `compile`. Out: programs of one journey each, that the engine plays beside the load and outside the figures.

use crate::program::Program;
use std::sync::Arc;

/// What is played round the load. Each is a program of its own, with the same targets, roles and data tables, one
/// journey whose `steps` are played once, and one profile whose length is the most time that it may take.
#[derive(Debug, Default)]
pub struct Around {
    /// Before the load. The values of its variables are what [`JourneyFlow::given`](crate::program::JourneyFlow::given)
    /// of the other journeys refers to.
    pub setup: Option<Arc<Program>>,
    /// After the load, however that ended.
    pub teardown: Option<Arc<Program>>,
}

impl Around {
    /// Those that there are, as long as nobody else holds them.
    pub(crate) fn programs_mut(&mut self) -> impl Iterator<Item = &mut Program> {
        [&mut self.setup, &mut self.teardown].into_iter().flatten().filter_map(Arc::get_mut)
    }

    /// Whether nothing is played round the load.
    pub fn is_empty(&self) -> bool {
        self.setup.is_none() && self.teardown.is_none()
    }
}
