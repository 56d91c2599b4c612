//! Who is under way at a target at one moment. A leak that needs two requests at once can show only where requests of
//! different users overlap, and how often they did says what a silence is worth.
//! In: each exchange as it begins and ends. Out: whether another user's was under way meanwhile.
//!
//! Each worker writes its own counters only, and reads those of others only while it has nothing else under way itself:
//! under load, where every nanosecond counts, nobody does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The counters of all workers.
#[derive(Debug)]
pub struct Overlaps {
    /// By worker, then by target.
    workers: Vec<Vec<Counter>>,
    /// By target: WebSockets that are open.
    sockets: Vec<AtomicU64>,
}

/// One worker's exchanges with one target; a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counter {
    under_way: AtomicU32,
    begun: AtomicU64,
}

/// An exchange that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Lap {
    /// How many had begun before it at all workers; `None`: it is known already that it is not alone.
    begun: Option<u64>,
    /// How many its own user may have under way, with itself.
    own: u32,
}

impl Overlaps {
    /// Of so many workers and targets.
    pub fn new(workers: usize, targets: usize) -> Self {
        let counters = || (0..targets).map(|_| Counter::default()).collect();
        Self {
            workers: (0..workers.max(1)).map(|_| counters()).collect(),
            sockets: (0..targets).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn sum(&self, target: usize, of: impl Fn(&Counter) -> u64) -> u64 {
        self.workers.iter().map(|counters| of(&counters[target])).sum()
    }

    /// An exchange of a user who has at most `own` under way at one time begins.
    pub fn begin(&self, worker: usize, target: usize, own: u32) -> Lap {
        let own = own.max(1);
        let mine = &self.workers[worker][target];
        let under_way = mine.under_way.load(Relaxed);
        let is_beside = under_way >= own
            || self.sum(target, |counter| u64::from(counter.under_way.load(Relaxed))) >= u64::from(own);
        let begun = (!is_beside).then(|| self.sum(target, |counter| counter.begun.load(Relaxed)));
        mine.under_way.store(under_way + 1, Relaxed);
        mine.begun.store(mine.begun.load(Relaxed) + 1, Relaxed);
        Lap { begun, own }
    }

    /// It ends: whether another user's was under way meanwhile.
    pub fn end(&self, worker: usize, target: usize, lap: Lap) -> bool {
        let mine = &self.workers[worker][target].under_way;
        mine.store(mine.load(Relaxed).saturating_sub(1), Relaxed);
        lap.begun
            .is_none_or(|begun| self.sum(target, |counter| counter.begun.load(Relaxed)) > begun + u64::from(lap.own))
    }

    /// Whether a user with an open WebSocket to the target is not the only one who has anything to do with it. One
    /// exchange may be the user's own, which goes on beside the WebSocket.
    pub fn is_beside(&self, target: usize) -> bool {
        self.sockets[target].load(Relaxed) > 1 || self.sum(target, |c| u64::from(c.under_way.load(Relaxed))) > 1
    }
}

/// An open WebSocket to a target, until it is dropped.
#[derive(Debug)]
pub struct Presence {
    overlaps: Arc<Overlaps>,
    target: usize,
}

impl Presence {
    /// From now on.
    pub fn new(overlaps: &Arc<Overlaps>, target: usize) -> Self {
        overlaps.sockets[target].fetch_add(1, Relaxed);
        Self { overlaps: Arc::clone(overlaps), target }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.overlaps.sockets[self.target].fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_meets_anybody_is_not_alone() {
        let all = Overlaps::new(2, 2);
        // One after the other, and beside each other at two targets: alone.
        let first = all.begin(0, 0, 1);
        let elsewhere = all.begin(0, 1, 1);
        assert!(!all.end(0, 0, first) && !all.end(0, 1, elsewhere));
        // One within the other, at one worker and at two; both have met.
        for worker in 0..2 {
            let long = all.begin(0, 0, 1);
            let short = all.begin(worker, 0, 1);
            assert!(all.end(worker, 0, short));
            assert!(all.end(0, 0, long), "it is remembered although nobody is there any more");
        }
        let alone = all.begin(1, 0, 1);
        assert!(!all.end(1, 0, alone));
    }

    #[test]
    fn the_branches_of_one_user_are_not_each_others_company() {
        let all = Overlaps::new(1, 1);
        let branches = [(); 3].map(|()| all.begin(0, 0, 3));
        assert!(branches.into_iter().all(|lap| !all.end(0, 0, lap)));
        let branches = [(); 3].map(|()| all.begin(0, 0, 3));
        let other = all.begin(0, 0, 1);
        // Of company that may have been a sibling nobody is sure.
        assert!(all.end(0, 0, branches[0]) && all.end(0, 0, other));
    }

    #[test]
    fn an_open_socket_is_company_to_another() {
        let all = Arc::new(Overlaps::new(1, 1));
        let mine = Presence::new(&all, 0);
        assert!(!all.is_beside(0));
        let theirs = Presence::new(&all, 0);
        assert!(all.is_beside(0));
        drop(theirs);
        let requests = [all.begin(0, 0, 1), all.begin(0, 0, 1)];
        assert!(all.is_beside(0));
        all.end(0, 0, requests[0]);
        assert!(!all.is_beside(0), "the one that is left may be the user's own");
        all.end(0, 0, requests[1]);
        drop(mine);
    }
}
