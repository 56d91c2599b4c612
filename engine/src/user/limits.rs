//! Answers to requests that a stated rate limit counts: whether a 429 is what the limit asks for.
//! In: an answer. Out: counts to the recorder, and whether this refusal is no error. Nothing is kept, and nothing done,
//! where no objective states a limit.

use super::VirtualUser;
use crate::client::answer::{Answer, Ending, Times};
use crate::limits::{Came, Finding, Pace, retry_after};
use crate::record::Recorder;
use scenarios::program::Request;

const TOO_MANY_REQUESTS: u16 = 429;

impl VirtualUser {
    /// Takes in how a request ended; answers whether it was refused as a limit says it has to be.
    pub(super) fn note_limits(
        &mut self,
        plan: &Request,
        answer: &Answer<'_>,
        times: &Times,
        recorder: &mut Recorder,
    ) -> bool {
        let run = std::rc::Rc::clone(&self.run);
        let counting = run.limits.of_step(plan.step);
        // What never reached the target was not counted there.
        let Some(sent) = times.sent.filter(|_| !counting.is_empty() && (answer.delivered || answer.status != 0)) else {
            return false;
        };
        if self.paces.is_empty() {
            self.paces.resize_with(run.limits.rules.len(), Pace::default);
        }
        let wait = answer.headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let is_refused = answer.ending == Ending::Complete && answer.status == TOO_MANY_REQUESTS;
        for &rule in counting {
            let limit = run.limits.rules[rule].limit;
            let came = match answer.ending {
                Ending::Complete if is_refused => Came::Refused(retry_after(wait, limit)),
                Ending::Complete if (100..400).contains(&answer.status) => Came::Through,
                _ => Came::Else,
            };
            let pace = &mut self.paces[rule];
            // The target has counted each hop of a redirect; the last of them was answered before this was sent.
            let on_the_way = self.outgoing.hops.as_ref().map_or(0, |hops| hops.seen.len());
            for _ in 0..on_the_way {
                pace.note(limit, (sent, answer.times.sent.unwrap_or(times.done)), Came::Else);
            }
            pace.found = pace.note(limit, (sent, times.done), came);
        }
        let is_above = counting.iter().any(|rule| matches!(self.paces[*rule].found, Finding::Limited(_)));
        let is_shared = self.shares_its_account();
        let mut is_due = false;
        for &rule in counting {
            let found = match self.paces[rule].found {
                // Another limit refused it, or somebody else used up what both have.
                Finding::Early(_) if is_above || is_shared => Finding::Told,
                found => found,
            };
            let has_wait = retry_after(wait, run.limits.rules[rule].limit).is_some();
            is_due |= has_wait && matches!(found, Finding::Limited(_) | Finding::Told);
            if recorder.is_measured(self.due) {
                recorder.interval().limits.entry(rule).or_default().note(found, is_refused && !has_wait);
            }
        }
        is_due
    }

    /// Another account has a pace of its own.
    pub(super) fn forget_paces(&mut self) {
        self.paces.clear();
    }

    /// Whether other users play the same account, so that the target counts their requests together.
    fn shares_its_account(&self) -> bool {
        let program = &self.run.program;
        program.account(self.account as usize).is_some_and(|(role, _)| program.roles[role].wrap)
    }
}
