//! The faults `same_url_burst`, a request waits for other users who ask for the same URL and goes out with theirs, and
//! `reload_burst`, it waits for others who read something of the same target, and all of them lose patience and reload.
//! In: a rendered request, its share. Out: the round that it waits for; the request, due when the round goes on.

use super::faults::UNKNOWN;
use super::{Effect, VirtualUser};
use crate::clock::Nanos;
use crate::faults::Leaving;
use crate::meetings::{Release, Round};
use crate::record::Recorder;
use rand::RngExt;
use scenarios::faults::GiveUp;
use scenarios::program::Request;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// How often a user who has lost patience asks again at most, and how likely it is each time not to wait for the answer.
/// A pool of the target's that is given back with an answer still to come leaks for as long as that answer is under way,
/// a tenth of a millisecond where both are on one machine: what is taken over by the next request in that time is found
/// only if several are given up, and asked for again at once, side by side.
const MOST_RELOADS: u32 = 5;
const IMPATIENCE: f64 = 0.7;

/// The round that the user's request waits for.
#[derive(Debug, Default)]
pub(super) struct Burst {
    round: Option<(usize, Arc<Round>)>,
    /// The request that its user reloads, and how often it still may.
    reloads: Option<(usize, u32)>,
}

impl Burst {
    /// The meeting at which the request waits.
    pub fn meeting(&self) -> Option<usize> {
        self.round.as_ref().map(|(meeting, _)| *meeting)
    }

    /// Whether `request` is asked for again by a user who lost patience with it.
    pub fn is_reloading(&self, request: usize) -> bool {
        self.reloads.is_some_and(|(at_hand, _)| at_hand == request)
    }

    /// What was reloaded was heard out, or is over in another way.
    pub fn calm(&mut self) {
        self.reloads = None;
    }
}

impl VirtualUser {
    /// Whether the rendered request waits for others. It is due, and counted as planned, when the round goes on.
    pub(super) fn gathers(&mut self, plan: &Request, now: Nanos) -> bool {
        self.burst.round = None;
        let faults = &self.run.profile.faults;
        let (share, reloads) = (faults.same_url_burst, faults.reload_burst);
        let is_apart = plan.probe.is_some() || plan.upgrade.is_some() || self.together.is_open || self.trail.is_some();
        if (share == 0.0 && reloads == 0.0)
            || is_apart
            || !self.suffers()
            || self.burst.is_reloading(self.outgoing.request)
        {
            return false;
        }
        // What may be made twice: to read. A poll, a stream and whoever gives up by plan have times of their own.
        let may_reload = plan.method == "GET"
            && plan.poll.is_none()
            && plan.events.is_none()
            && plan.abandon.is_none()
            && self.outgoing.elsewhere.is_none();
        if reloads > 0.0 && may_reload {
            let opens = self.is_hit(reloads);
            self.burst.round = self.run.meetings.gather_to_reload(plan.target, opens, now);
        }
        if self.burst.round.is_none() && share > 0.0 {
            self.gathers_at_url(plan, share, now);
        }
        self.burst.round.is_some()
    }

    fn gathers_at_url(&mut self, plan: &Request, share: f64, now: Nanos) {
        let opens = self.is_hit(share);
        // Nobody outside chooses what is hashed, and a clash of two URLs does no harm.
        let mut hasher = DefaultHasher::new();
        let path = self.outgoing.uri.path_and_query().map(|path| path.as_str());
        (plan.target, &plan.method, path, &self.outgoing.elsewhere.is_some()).hash(&mut hasher);
        self.burst.round = self.run.meetings.gather(hasher.finish(), opens, now);
    }

    /// The next attempt of a request that its user reloads: given up at a random moment of twice its usual time, or, the
    /// last one for sure, heard out.
    pub(super) fn lose_patience(&mut self, plan: &Request, recorder: &Recorder) {
        self.outgoing.orders.abandon = None;
        let Some((_, left)) = self.burst.reloads.as_mut().filter(|(_, left)| *left > 0) else {
            return;
        };
        *left -= 1;
        if self.is_hit(IMPATIENCE) {
            let longest = recorder.usual_ns(plan.step).unwrap_or(UNKNOWN).saturating_mul(2);
            let after = self.fault_random.random_range(0..=longest);
            let how = self.run.profile.faults.abandon.map_or(GiveUp::Reset, |abandon| abandon.how);
            self.outgoing.orders.abandon = Some(Leaving { after, how, at: None });
        }
    }

    /// Whether the request that has just been given up is to be asked for again at once.
    pub(super) fn reloads(&self) -> bool {
        self.burst.is_reloading(self.outgoing.request)
    }

    /// The round that a request waits for at [`Effect::Meet`]; of a `rendezvous` there is none yet.
    pub fn take_round(&mut self) -> Option<Arc<Round>> {
        self.burst.round.take().map(|(_, round)| round)
    }

    /// The round goes on, and the request with it. `None`: it was no burst.
    pub(super) fn burst_over(&mut self, meeting: usize, release: Release, recorder: &mut Recorder) -> Option<Effect> {
        if !self.run.meetings.is_burst(meeting) {
            return None;
        }
        self.due = self.due.max(release.at);
        let run = std::rc::Rc::clone(&self.run);
        let plan = &run.program.requests[self.outgoing.request];
        match (release.came > 1, run.meetings.is_reload(meeting)) {
            (false, _) => {}
            (true, false) => self.count_fault(recorder, |c| c.same_url_burst += 1),
            (true, true) => {
                self.count_fault(recorder, |c| c.reload_burst += 1);
                self.burst.reloads = Some((self.outgoing.request, MOST_RELOADS));
                self.lose_patience(plan, recorder);
            }
        }
        recorder.planned(plan.step, self.due);
        Some(Effect::Send(self.due))
    }
}
