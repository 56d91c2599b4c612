//! What a user wrote last, and what the target acknowledged of it: the write that must be there when it is read back.
//! In: markers as they are planted, answers to writes. Out: whether a marker that came back is of the newest write.

use super::Seen;
use crate::client::answer::{Answer, Ending};
use crate::failure::Failure;
use crate::isolation::entitlement::may_see;
use crate::user::VirtualUser;
use crate::user::checks::Wrong;
use scenarios::program::{Control, Request};

/// Running numbers of markers have 15 bits.
const NUMBERS: u16 = 0x7fff;

/// A user's writes.
#[derive(Debug, Default)]
pub(in crate::user) struct Writes {
    /// First marker of the request that is rendered or under way.
    pub(in crate::user) pending: Option<u16>,
    /// First marker of the newest write that was acknowledged.
    acknowledged: Option<u16>,
    /// A write broke off before it was answered: whether it was made nobody knows.
    is_unknown: bool,
}

impl Writes {
    /// A request is rendered: what it plants from now on is its own.
    pub(in crate::user) fn begin(&mut self) {
        self.pending = None;
    }

    /// It planted marker number `count`.
    pub(in crate::user) fn planted(&mut self, count: u16) {
        self.pending.get_or_insert(count);
    }

    /// Nobody has written anything yet: a new person, or another account.
    pub(in crate::user) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Nothing was ever acknowledged, and one write broke off: there may be nothing of mine to come back.
    pub(in crate::user) fn is_first_unknown(&self) -> bool {
        self.acknowledged.is_none() && self.is_unknown
    }

    /// Whether marker number `count` is of the newest acknowledged write, or of a later one that was never answered.
    pub(in crate::user) fn is_latest(&self, count: u16) -> bool {
        self.acknowledged.is_none_or(|first| count.wrapping_sub(first) & NUMBERS <= NUMBERS / 2)
    }
}

impl VirtualUser {
    /// A write that was answered with success is acknowledged. 202 says only that it will be done. What was asked for
    /// is what the step says: a redirect after a POST is fetched by GET, and ends the same write.
    pub(in crate::user) fn note_write(&mut self, plan: &Request, answer: &Answer<'_>) {
        let is_write = matches!(plan.method.as_str(), "POST" | "PUT" | "PATCH");
        // To be sent away, to log in say, is no success, unless the step asks for just that.
        let is_asked_for = |range: &(u16, u16)| range.0 >= 300 && (range.0..=range.1).contains(&answer.status);
        let is_good = match answer.status {
            200 | 201 | 203..=299 => true,
            300..=399 => plan.expect.status.iter().any(is_asked_for),
            _ => false,
        };
        let is_done = answer.ending == Ending::Complete && is_good;
        if is_write && is_done && self.writes.pending.is_some() {
            self.run.writings.note(self.account, plan.step, answer.times.done);
            self.writes.acknowledged = self.writes.pending;
        }
        self.writes.is_unknown |= is_write && answer.ending != Ending::Complete && self.writes.pending.is_some();
    }

    /// Whether anything of somebody whom I may see can be expected in an answer to what I asked then: for the first of
    /// all readers there is nothing yet, and to show nothing is right.
    pub(in crate::user) fn is_anything_to_see(&self, plan: &Request, answer: &Answer<'_>) -> bool {
        let asked = answer.times.sent.unwrap_or(answer.times.done);
        let program = &self.run.program;
        let role = program.account(self.account as usize).map(|(role, _)| role);
        self.run.writings.is_due(plan.step, role, asked, |owner| may_see(program, self.account, owner))
    }

    /// Whether the step's declared control is met; `None` where none is declared, or where there may be nothing to
    /// come back yet, so that the answer says nothing about the step.
    pub(in crate::user) fn is_control_met(&self, plan: &Request, seen: Seen, answer: &Answer<'_>) -> Option<bool> {
        let control = plan.expect.marker?;
        if seen.own || control == Control::Permitted && seen.permitted {
            return Some(true);
        }
        let is_due = match control {
            Control::Own => !self.writes.is_first_unknown(),
            Control::Permitted => self.is_anything_to_see(plan, answer),
            Control::Latest => self.writes.acknowledged.is_some(),
        };
        is_due.then_some(false)
    }

    /// `marker: latest`. Users that share an account overtake each other, so there any own marker will do.
    pub(in crate::user) fn check_latest(&self, seen: Seen) -> Result<(), Wrong> {
        let shared =
            self.run.program.account(self.account as usize).is_some_and(|(r, _)| self.run.program.roles[r].wrap);
        if self.writes.acknowledged.is_none() || seen.latest || shared && seen.own {
            return Ok(());
        }
        let came = if seen.own { "an older marker of mine came back" } else { "no marker of mine came back" };
        Err(Wrong(Failure::LostWrite, format!("my newest acknowledged write is not there: {came}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_is_newer_also_where_the_numbers_start_again() {
        let writes = |acknowledged| Writes { pending: None, acknowledged, is_unknown: false };
        assert!(writes(None).is_latest(5));
        for (first, count, expected) in
            [(5, 5, true), (5, 6, true), (5, 4, false), (NUMBERS, 0, true), (0, NUMBERS, false), (0, 16_000, true)]
        {
            assert_eq!(writes(Some(first)).is_latest(count), expected, "{count} after {first}");
        }
    }
}
