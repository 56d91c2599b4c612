//! Lanes: further clients of one user, for requests that are under way at one time. They share the user's cookies and
//! keep their connections for the next time. In: how many are needed. Out: the lanes, lent.

use super::exchange::UserClient;

impl UserClient {
    /// Takes so many lanes out; those of the time before come first. [`Self::keep_lanes`] puts them back.
    pub fn take_lanes(&mut self, count: usize) -> Vec<Self> {
        let mut lanes = std::mem::take(&mut self.lanes);
        while lanes.len() < count {
            lanes.push(self.lane());
        }
        lanes
    }

    /// Puts lanes back, with their connections.
    pub fn keep_lanes(&mut self, lanes: Vec<Self>) {
        self.lanes = lanes;
        for lane in &mut self.lanes {
            self.strays.append(&mut lane.strays);
        }
    }
}
