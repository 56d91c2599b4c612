//! A run as one worker has it: what all workers share, and beside it copies of what is cloned for every request. Even
//! counting a reference is a write, and two workers that write to the same memory wait for one another.
//! In: the shared run. Out: what the worker's virtual users hold.

use crate::run::Run;
use crate::user::Prepared;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

/// One worker's view of the run; its users clone the handle as they like.
#[derive(Debug)]
pub struct WorkerRun {
    shared: Arc<Run>,
    /// By request.
    pub prepared: Vec<Prepared>,
}

impl WorkerRun {
    /// The worker's own.
    ///
    /// # Panics
    /// Never: [`Run::new`] refuses requests that cannot be prepared.
    pub fn new(shared: Arc<Run>) -> Rc<Self> {
        let targets = &shared.program.targets;
        let prepare = |r| Prepared::new(r, targets).expect("the run was made, so its requests can be prepared");
        let prepared = shared.program.requests.iter().map(prepare).collect();
        Rc::new(Self { prepared, shared })
    }
}

impl Deref for WorkerRun {
    type Target = Run;

    fn deref(&self) -> &Run {
        &self.shared
    }
}
