//! What a silence is worth: answers scanned, and after whom.
//! In: an answer, and which markers it held. Out: counts to the recorder.

use super::Seen;
use crate::client::answer::{Answer, Ending};
use crate::record::Recorder;
use crate::user::VirtualUser;
use scenarios::program::{Control, Request};
use std::sync::atomic::Ordering::Relaxed;

impl VirtualUser {
    /// Counts an answer that has been scanned. Only the one that ends its step can be asked for what is to come back
    /// (`is_last`): a hop of a redirect owes nothing, nor does an answer after which the same is asked for once more,
    /// because it is not there yet, was refused or the user has to log in.
    pub(in crate::user) fn cover(
        &mut self,
        plan: &Request,
        answer: &Answer<'_>,
        (seen, is_last): (Seen, bool),
        recorder: &mut Recorder,
    ) {
        match answer.status {
            0 => {}
            _ if is_last => self.count_coverage(plan, answer, seen, recorder),
            _ => {
                self.use_target(plan, recorder);
            }
        }
    }

    /// Notes that this account has used the target; answers whether others did before.
    fn use_target(&self, plan: &Request, recorder: &mut Recorder) -> bool {
        let used = &self.run.target_use[plan.target];
        let me = u64::from(self.account) + 1;
        let before = used.load(Relaxed);
        // 0: nobody yet; an account's number plus one: only that one; all ones: several.
        let after_others = before != 0 && before != me;
        if before == 0 {
            let _ = used.compare_exchange(0, me, Relaxed, Relaxed);
        } else if before != me && before != u64::MAX {
            used.store(u64::MAX, Relaxed);
        }
        recorder.target_used(plan.target, self.account);
        after_others
    }

    /// Counts what an answer or a message covers.
    pub(in crate::user) fn count_coverage(
        &mut self,
        plan: &Request,
        answer: &Answer<'_>,
        seen: Seen,
        recorder: &mut Recorder,
    ) {
        let after_others = self.use_target(plan, recorder);
        if answer.ending != Ending::Complete {
            return;
        }
        let is_blank = plan.expect.marker == Some(Control::Permitted) && !(seen.own || seen.permitted);
        if is_blank && !self.is_anything_to_see(plan, answer) {
            return;
        }
        // There may be nothing to come back yet: neither for the step nor against it.
        if plan.expect.marker.is_some() && self.is_control_met(plan, seen, answer).is_none() {
            return;
        }
        // A WebSocket is open all the time, and its messages come when they like.
        let is_beside = match answer.status {
            101 => self.run.overlaps.is_beside(plan.target),
            _ => answer.via.is_beside,
        };
        recorder.scanned(plan.step, seen.own || seen.permitted, (after_others, is_beside));
        recorder.seen_at(plan.step, seen.places, after_others, transport(answer));
        if seen.own && !self.controls[plan.step] {
            self.controls[plan.step] = true;
            recorder.controls[plan.step].push(self.account);
        }
    }
}

/// How it came: index into [`TRANSPORTS`](crate::run_result::TRANSPORTS).
fn transport(answer: &Answer<'_>) -> usize {
    match (answer.status, answer.heard, answer.via.is_http2) {
        (101, _, _) => 3,
        (_, Some(_), _) => 2,
        (_, None, true) => 1,
        (_, None, false) => 0,
    }
}
