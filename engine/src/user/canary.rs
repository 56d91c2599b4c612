//! Which version of a canary serves a user: decided when an iteration begins, so that none is played on both.
//! In: the profile, the user's index, when the iteration is due. Out: the request to make instead.

use super::VirtualUser;
use crate::clock::Nanos;

impl VirtualUser {
    /// Decides which version serves the iteration that is due then. Whoever is moved is a new visitor to the new
    /// version: the old one's sessions mean nothing there, so `before` is played again.
    pub(super) fn choose_version(&mut self, due: Nanos) {
        let is_on_new = self.run.profile.is_on_new(self.index as usize, due);
        if is_on_new != self.is_on_new {
            self.is_on_new = is_on_new;
            if self.ready {
                self.leave();
            }
        }
    }

    /// The request to make: the file's own, or its twin to the new version.
    pub(super) fn of_version(&self, request: usize) -> usize {
        let Some(canary) = self.run.profile.canary.as_ref().filter(|_| self.is_on_new) else {
            return request;
        };
        let twins = &self.run.program.requests[request].twins;
        twins.iter().find(|(number, _)| *number == canary.number).map_or(request, |(_, twin)| *twin)
    }
}
