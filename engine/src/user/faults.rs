//! Which faults a virtual user provokes: drawn here, from a random stream of their own, so that switching a fault on
//! moves no other draw. In: the profile's shares, the step's own `abandon`. Out: orders for the client.

use super::VirtualUser;
use crate::client::answer::{Answer, Ending};
use crate::clock::{MILLISECOND, Nanos};
use crate::faults::{FaultCounts, Leaving, Orders, Stranger};
use crate::record::{Recorder, Sample};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use scenarios::faults::{Abandon, Place};
use scenarios::program::{Body, Request};

/// Blanks before a large body: just above what many servers read into one buffer. Blanks before a JSON value mean
/// nothing, so a strict server takes the request for what it says, and its buffers hold the user's data far behind
/// where the small bodies that follow end.
const BLANKS: usize = (64 << 10) + 1;

/// The usual response time of a step that nobody has seen yet.
pub(super) const UNKNOWN: Nanos = 10 * MILLISECOND;

/// The random stream of a user's faults.
pub(super) fn stream(seed: u64, index: u32) -> Pcg64 {
    Pcg64::seed_from_u64(seed ^ (u64::from(index) + 1).wrapping_mul(0xd1b5_4a32_d192_ed03))
}

impl VirtualUser {
    pub(super) fn is_hit(&mut self, share: f64) -> bool {
        share > 0.0 && self.fault_random.random_bool(share.min(1.0))
    }

    /// Whether this user is to suffer the profile's faults now.
    pub(super) fn suffers(&self) -> bool {
        self.run.cohorts.as_ref().is_none_or(|cohorts| cohorts.suffers(self.index, self.due))
    }

    /// Whether ids are alike for this user; not a matter of time, or an id would come twice.
    pub(super) fn has_equal_ids(&self) -> bool {
        let is_healthy = self.run.cohorts.as_ref().is_some_and(|cohorts| cohorts.is_healthy(self.index));
        self.run.profile.faults.equal_ids && !is_healthy
    }

    /// A request of a healthy user, for the comparison of blocks with faults and without.
    pub(super) fn count_healthy(&self, sample: &Sample, recorder: &mut Recorder) {
        let Some(cohorts) = self.run.cohorts.as_ref().filter(|cohorts| cohorts.is_healthy(self.index)) else {
            return;
        };
        if let Some(block) = cohorts.block(sample.due)
            && !self.run.program.steps[sample.step].probe
        {
            recorder.interval().healthy.entry(block).or_default().count(sample);
        }
    }

    pub(super) fn count_fault(&self, recorder: &mut Recorder, count: impl FnOnce(&mut FaultCounts)) {
        if recorder.is_measured(self.due) {
            count(&mut recorder.interval().faults);
        }
    }

    /// Whether this think time is left out.
    pub(super) fn skips_thinking(&mut self, recorder: &mut Recorder) -> bool {
        let share = self.run.profile.faults.think_zero;
        let skips = share > 0.0 && self.suffers() && self.is_hit(share);
        if skips {
            self.count_fault(recorder, |c| c.think_zero += 1);
        }
        skips
    }

    /// The next id of this user where all users' ids are alike; `None` where they are not.
    pub(super) fn equal_id(&mut self, recorder: &mut Recorder) -> Option<u64> {
        if !self.has_equal_ids() {
            return None;
        }
        self.count_fault(recorder, |c| c.equal_ids += 1);
        Some(self.client_ids)
    }

    /// Decides what the rendered request is to suffer.
    pub(super) fn order_faults(&mut self, plan: &Request, recorder: &mut Recorder) {
        self.outgoing.orders = Orders::default();
        let run = std::rc::Rc::clone(&self.run);
        let faults = &run.profile.faults;
        if faults.is_off() && plan.abandon.is_none() {
            return;
        }
        if self.reloads() {
            return self.lose_patience(plan, recorder);
        }
        let suffers = self.suffers();
        let abandon = plan
            .abandon
            .or(faults.abandon.filter(|_| suffers && !self.flow.reloads))
            .filter(|a| may_be_left(plan, a.at));
        if let Some(abandon) = abandon {
            self.outgoing.orders.abandon = self.draw_leaving(abandon, recorder.usual_ns(plan.step));
        }
        if !suffers {
            return;
        }
        // The first request opens a connection anyway.
        if self.is_hit(faults.reconnect) && self.requests_sent > 0 {
            self.outgoing.orders.reconnect = true;
            self.count_fault(recorder, |c| c.reconnect += 1);
        }
        if self.is_hit(faults.slow_reader) {
            self.outgoing.orders.slow_reader = true;
            self.count_fault(recorder, |c| c.slow_reader += 1);
        }
        if matches!(plan.body, Body::Json(_)) && self.is_hit(faults.large_body) {
            self.outgoing.body.splice(0..0, std::iter::repeat_n(b' ', BLANKS));
            self.outgoing.orders.large_body = true;
            self.count_fault(recorder, |c| c.large_body += 1);
        }
        self.order_swap(faults.swap_connection);
        if self.is_hit(faults.malformed) {
            self.outgoing.orders.stranger = Some(Stranger::Malformed);
            self.count_fault(recorder, |c| c.malformed += 1);
        } else if self.is_hit(faults.oversize_headers) {
            self.outgoing.orders.stranger = Some(Stranger::OversizeHeaders);
            self.count_fault(recorder, |c| c.oversize_headers += 1);
        }
    }

    /// Whether the request goes over a connection that another user has left, and whether its own is left to another. What
    /// may leave something behind in a connection, a body or an answer that did not fit, is left to somebody else.
    fn order_swap(&mut self, share: f64) {
        if share == 0.0 {
            return;
        }
        let swaps = self.is_hit(share);
        let orders = &mut self.outgoing.orders;
        let strains = orders.slow_reader || orders.large_body;
        orders.swaps = swaps.then_some(self.index);
        orders.leaves = strains.then_some(self.index);
    }

    /// Counts a request that went over a connection which another user had left.
    pub(super) fn count_swap(&self, answer: &Answer<'_>, recorder: &mut Recorder) {
        if answer.via.handed.is_some_and(|handed| handed.ordinal == answer.via.ordinal) {
            self.count_fault(recorder, |c| c.swap_connection += 1);
        }
    }

    /// Whether a message is to be the last one: its WebSocket is given up in the middle.
    pub(super) fn draw_abandon(&mut self, plan: &Request, recorder: &Recorder) -> Option<Leaving> {
        let is_there = |abandon: &Abandon| abandon.at.is_none_or(|at| at == Place::Message);
        let suffers = self.suffers();
        let abandon = plan.abandon.or(self.run.profile.faults.abandon.filter(|_| suffers)).filter(is_there)?;
        self.draw_leaving(abandon, recorder.usual_ns(plan.step))
    }

    fn draw_leaving(&mut self, abandon: Abandon, usual: Option<Nanos>) -> Option<Leaving> {
        if !self.is_hit(abandon.chance) {
            return None;
        }
        let (low, high) = abandon.after_ns.unwrap_or(match abandon.at {
            None | Some(Place::Head | Place::Message) => (0, usual.unwrap_or(UNKNOWN)),
            Some(Place::Body | Place::Stream) => (0, 0),
        });
        let after = self.fault_random.random_range(low..=high.max(low));
        Some(Leaving { after, how: abandon.how, at: abandon.at })
    }

    /// Counts how far an exchange was when it was given up.
    pub(super) fn count_left(&self, answer: &Answer<'_>, recorder: &mut Recorder) {
        if answer.ending == Ending::Abandoned {
            let far = match (answer.status, answer.heard) {
                (0, _) => 0,
                (_, None) => 1,
                (_, Some(_)) => 2,
            };
            self.count_fault(recorder, |c| c.abandoned_at[far] += 1);
        }
    }
}

/// Whether an exchange of `plan` ever comes to that place.
fn may_be_left(plan: &Request, at: Option<Place>) -> bool {
    match at {
        None | Some(Place::Head) => true,
        Some(Place::Body) => plan.upgrade.is_none(),
        Some(Place::Stream) => plan.events.is_some(),
        Some(Place::Message) => false,
    }
}
