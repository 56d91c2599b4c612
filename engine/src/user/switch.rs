//! `switch_account: next`: log out, go on as another account on the same connections, with the same cookies. What was
//! the account's own is a stranger's from then on: that is what shows a back end which keeps the user of before.
//! In: the step. Out: the user as another account; a credential that survives is told apart.

use super::isolation::Origin;
use super::{Section, VirtualUser};
use crate::clock::Nanos;
use crate::isolation::marker::Kind;
use crate::record::Recorder;
use crate::worker_run::WorkerRun;
use scenarios::program::{Op, Pc};
use scenarios::value::Value;

/// Credentials of former accounts remembered per user.
const REMEMBERED: usize = 32;

/// What a user knows of its changes of account.
#[derive(Debug, Default)]
pub(super) struct Switch {
    /// Where the journey goes on once the new account is logged in.
    back: Option<Pc>,
    /// The account of before, and when it went.
    former: Option<(u32, Nanos)>,
    /// Digests of the credentials that this user held, and as which account.
    held: Vec<(u128, u32)>,
    /// Whether the fault was drawn in this iteration.
    is_drawn: bool,
    /// The account that is taken already, for the change under way.
    next: Option<u32>,
    /// The change under way is one of persons: the next one comes with a browser of their own.
    is_of_persons: bool,
    /// That change was made, and the client has not forgotten its cookies yet.
    forgets: bool,
    /// Accounts may change here.
    may_change: bool,
    /// Digests of the cookies that the present account was issued, whether its journey saves them or not.
    issued: Vec<u128>,
}

impl Switch {
    /// For the users of `journey`.
    pub(super) fn new(run: &WorkerRun, journey: usize) -> Self {
        let by_step = || run.program.journeys[journey].ops.iter().any(|op| matches!(op, Op::SwitchAccount));
        Self { may_change: run.profile.faults.switch_account > 0.0 || by_step(), ..Self::default() }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.back.is_some()
    }

    /// The change is over, one way or the other; answers where to go on.
    pub(super) fn back(&mut self) -> Option<Pc> {
        self.back.take()
    }

    /// The account of before.
    pub(super) fn former(&self) -> Option<u32> {
        self.former.map(|(account, _)| account)
    }

    /// As which other account than `account` the user held this credential, if it did.
    pub(super) fn held(&self, digest: u128, account: u32) -> Option<u32> {
        self.held.iter().find(|(held, by)| *held == digest && *by != account).map(|(_, by)| *by)
    }

    /// The present account was issued this one.
    pub(super) fn note_issued(&mut self, digest: u128) {
        if self.may_change && !self.issued.contains(&digest) {
            if self.issued.len() == REMEMBERED {
                self.issued.remove(0);
            }
            self.issued.push(digest);
        }
    }

    fn remember(&mut self, digest: u128, account: u32) {
        if !self.held.contains(&(digest, account)) {
            if self.held.len() == REMEMBERED {
                self.held.remove(0);
            }
            self.held.push((digest, account));
        }
    }
}

impl VirtualUser {
    /// Whether an iteration is under way, a change of account in its middle included.
    pub(super) fn is_in_iteration(&self) -> bool {
        matches!(self.section, Section::Before | Section::Steps) || self.switch.is_under_way()
    }

    /// A new iteration: the fault may be drawn at its end.
    pub(super) fn may_draw_switch(&mut self) {
        self.switch.is_drawn = false;
    }

    /// The fault `switch_account`, at the end of an iteration: answers whether the user logs out to go on as another
    /// account. It comes back to the same place, where nothing is drawn a second time.
    pub(super) fn is_made_to_switch(&mut self) -> bool {
        let share = self.run.profile.faults.switch_account;
        let has_account = self.plan().role.is_some();
        if share == 0.0 || !has_account || self.switch.is_drawn || !self.suffers() {
            return false;
        }
        self.switch.is_drawn = true;
        if !self.is_hit(share) {
            return false;
        }
        if self.run.profile.faults.switch_unplayed {
            let range = self.accounts_of_role();
            self.switch.next = self.run.accounts.switch_unplayed(self.account, range);
            if self.switch.next.is_none() {
                return false;
            }
        }
        // A cookie that outlives the log-out may be meant to; only who asks for a switch keeps it.
        let plan = self.plan();
        let logs_out = !matches!(plan.ops.get(plan.after as usize), None | Some(Op::End));
        self.switch.is_of_persons = !logs_out || self.run.profile.faults.switch_unplayed;
        self.pc -= 1;
        self.log_out_to_switch();
        true
    }

    /// Whether cookies are to be forgotten before the next request, because somebody else sits down; said once.
    pub fn forgets(&mut self) -> bool {
        std::mem::take(&mut self.switch.forgets)
    }

    fn accounts_of_role(&self) -> std::ops::Range<u32> {
        let program = &self.run.program;
        program.account(self.account as usize).map_or(0..0, |(role, _)| {
            let first = program.first_account(role) as u32;
            first..first + program.roles[role].accounts.len() as u32
        })
    }

    /// Goes to `after`, which logs out.
    pub(super) fn log_out_to_switch(&mut self) {
        self.switch.back = Some(self.pc);
        self.section = Section::After;
        self.pc = self.plan().after;
    }

    /// Takes the next account of the role that nobody plays. Where there is none the user logs in as itself again.
    pub(super) fn change_account(&mut self, recorder: &mut Recorder) {
        let run = std::rc::Rc::clone(&self.run);
        let is_of_persons = std::mem::take(&mut self.switch.is_of_persons);
        self.remember_credentials(is_of_persons);
        self.ready = false;
        self.clear_variables();
        self.writes.forget();
        self.stale.forget();
        let next = self.switch.next.take();
        let Some(next) = next.or_else(|| run.accounts.switch(self.account, self.accounts_of_role())) else {
            recorder.interval().isolation.switches_skipped += 1;
            return;
        };
        self.count_fault(recorder, |c| c.switch_account += 1);
        self.switch.former = Some((self.account, self.due));
        self.switch.forgets = is_of_persons;
        self.account = next;
        self.forget_paces();
        self.head = run.mint.head(Kind::Account, next);
        self.controls.fill(false);
        if run.accounts.appear(next, self.index) {
            recorder.interval().isolation.new_accounts += 1;
        }
    }

    fn remember_credentials(&mut self, is_of_persons: bool) {
        let issued = std::mem::take(&mut self.switch.issued);
        // Who comes with a browser of their own brings no cookie along: to be set the same one is no fixation.
        for digest in issued.into_iter().filter(|_| !is_of_persons) {
            self.switch.remember(digest, self.account);
        }
        let run = std::rc::Rc::clone(&self.run);
        for save in run.program.saves(self.journey).filter(|save| save.credential) {
            let text = match &self.slots[usize::from(save.slot)] {
                Value::Null => continue,
                value => value.to_string(),
            };
            if !text.is_empty() {
                self.switch.remember(run.mint.digest(text.as_bytes()), self.account);
            }
        }
    }

    /// Who this user was when the answer was asked for, if that was before it went on as somebody else.
    pub(super) fn was(&self, origin: &Origin<'_>) -> Option<u32> {
        self.switch.former.filter(|(_, at)| origin.from < *at).map(|(former, _)| former)
    }
}
