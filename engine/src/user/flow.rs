//! The flow of a journey beyond the next step: lists gone through, requests made again, `before` played again,
//! ends before the end. In: operations and answers. Out: where the user goes on, and when.

use super::{Effect, Section, VirtualUser};
use crate::client::answer::{Answer, Ending};
use crate::clock::Nanos;
use crate::failure::Failure;
use crate::meetings::Release;
use crate::record::{Class, Recorder};
use scenarios::expr::EvalError;
use scenarios::program::{Halt, Op, Pc, Poll, Request, Retry};
use scenarios::value::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Items that a `for_each` goes through at most.
const MOST_ITEMS: usize = 100_000;

/// What a user remembers of where it is in its journey, besides the next operation.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// By `for_each`: its list, and how many of its items were taken.
    lists: Vec<Option<(Arc<[Value]>, usize)>>,
    /// Attempts of the request at hand that were made again.
    pub attempts: u32,
    /// When the first try of the poll at hand was due.
    polling_since: Option<Nanos>,
    /// When `before` began the last time.
    before_at: Nanos,
    /// `before` is played in the midst of an iteration; its step stands here.
    back_to: Option<Pc>,
    /// The step at hand is the one repeated after `before`.
    repeated: bool,
    /// What the latest `log` of a traced user said.
    pub said: Option<Value>,
    /// The request at hand was given up by a fault and is sent once more, to be heard out.
    pub reloads: bool,
}

/// Where the user goes on after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// With the next operation.
    GoOn,
    /// With the next iteration: this one is given up.
    GiveUp,
    /// With the same request, due then.
    Again(Nanos),
    /// With `before`, and then the same step.
    Before,
    /// With what the isolation check wants done.
    Do(Effect),
}

impl Next {
    /// The same request is made once more, now or after `before`.
    pub fn is_repetition(self) -> bool {
        matches!(self, Self::Again(_) | Self::Before)
    }
}

/// What one try of a poll came to.
#[derive(Clone, Debug)]
pub(super) enum Tried {
    /// It is there.
    There,
    /// Not yet; the next try is due then.
    NotYet(Nanos),
    /// It is not there and there is no time left; what came instead.
    Over(String),
}

impl Flow {
    pub fn new(lists: usize) -> Self {
        Self { lists: vec![None; lists], ..Self::default() }
    }

    /// The step at hand is over: the next one may ask for `before` again.
    pub fn step_over(&mut self) {
        self.repeated = false;
    }

    /// The next item of a list; behind its end the list is let go.
    fn next_item(&mut self, each: usize) -> Option<Value> {
        let (list, taken) = self.lists[each].as_mut()?;
        let item = list.get(*taken).cloned();
        *taken += 1;
        if item.is_none() {
            self.lists[each] = None;
        }
        item
    }

    /// A new iteration starts.
    fn reset(&mut self) {
        self.lists.fill(None);
        self.attempts = 0;
        self.polling_since = None;
        self.back_to = None;
        self.repeated = false;
        self.reloads = false;
    }
}

impl VirtualUser {
    /// Where an iteration that is due now begins.
    pub(super) fn entry(&mut self, due: Nanos) -> (Section, Pc) {
        self.flow.reset();
        let plan = self.plan();
        let is_stale = plan.flow.again_ns.is_some_and(|again| due >= self.flow.before_at.saturating_add(again));
        if self.ready && !is_stale {
            return (Section::Steps, plan.steps);
        }
        let before = plan.before;
        self.flow.before_at = due;
        (Section::Before, before)
    }

    /// Where the user goes on when `before` has been played.
    pub(super) fn after_before(&mut self) -> Pc {
        self.flow.back_to.take().unwrap_or(self.plan().steps)
    }

    /// When the next iteration may begin, if nothing else holds the user from `free` on.
    pub(super) fn next_start(&mut self, free: Nanos) -> Nanos {
        match self.plan().flow.pace {
            None => free,
            Some(pace) => {
                let pace = self.draw(pace);
                free.max(self.iteration_due.saturating_add(pace))
            }
        }
    }

    /// Operations of loops over lists, of logs and of ends.
    pub(super) fn flow(&mut self, op: &Op, now: Nanos, recorder: &mut Recorder) -> Result<Option<Effect>, EvalError> {
        match op {
            Op::Each { list, each } => {
                let value = list.eval(&mut self.scope(now, None, recorder))?;
                self.flow.lists[*each] = Some((items(value)?, 0));
            }
            Op::Next { each, slot, done } => match self.flow.next_item(*each) {
                Some(item) => self.slots[usize::from(*slot)] = item,
                None => self.pc = *done,
            },
            // In a run there is nobody to hear it.
            Op::Log(text) if self.trail.is_some() => {
                self.flow.said = Some(text.eval(&mut self.scope(now, None, recorder))?);
            }
            Op::Parallel(requests) => return Ok(self.parallel(requests, now, recorder)),
            Op::Meet(_) if self.trail.is_some() => {
                self.note_problem("the rendezvous is passed by: nobody else plays in a trace");
            }
            Op::Meet(meeting) => return Ok(Some(Effect::Meet(*meeting))),
            Op::Stop(halt) => return Ok(Some(self.stop(*halt, recorder))),
            _ => {}
        }
        Ok(None)
    }

    /// A meeting is over: what follows is due at its release, so that the wait is nobody's time.
    pub(super) fn met(&mut self, meeting: usize, release: Release, recorder: &mut Recorder) {
        let due = self.due;
        self.due = self.due.max(release.at);
        if release.is_missed {
            let plan = &self.run.program.meetings[meeting];
            let within = scenarios::units::format_duration(plan.within_ns);
            let detail = format!("{} of {} users came within {within}", release.came, plan.users);
            let missed = Failure::Missed(u16::try_from(meeting).unwrap_or(u16::MAX));
            recorder.between_requests(self.journey, self.index, (missed, &detail), due);
        }
    }

    /// A `stop` step. What was begun counts as completed: nothing failed.
    fn stop(&mut self, halt: Halt, recorder: &mut Recorder) -> Effect {
        if halt == Halt::Run {
            let journey = &self.plan().name;
            let why = format!("user {} came to `stop: run` in the journey `{journey}`", self.index);
            // The first one to ask is the one that is named.
            let _ = self.run.ended_by.set(why);
        }
        if self.section == Section::After && !self.switch.is_under_way() {
            self.leave();
            return Effect::Gone;
        }
        self.switch.back();
        self.completed(recorder);
        if halt == Halt::Iteration { Effect::IterationOver(self.next_start(self.due)) } else { Effect::Quit }
    }

    /// What one try of a poll came to.
    pub(super) fn try_poll(
        &mut self,
        poll: &Poll,
        plan: &Request,
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) -> Tried {
        let done = answer.times.done;
        let since = self.flow.polling_since.unwrap_or(self.due);
        let end = since.saturating_add(poll.within_ns);
        let there = answer.ending == Ending::Complete && self.is_there(poll, plan, answer, recorder);
        if there && done <= end {
            return Tried::There;
        }
        // The first due time that has not passed: a slow answer is not followed by a burst.
        let tries = (done - since.min(done)).div_ceil(poll.every_ns.max(1)).max(1);
        let mut next = since.saturating_add(tries.saturating_mul(poll.every_ns));
        if next <= self.due {
            next = self.due.saturating_add(poll.every_ns);
        }
        if !there && next <= end {
            return Tried::NotYet(next);
        }
        let what = if there { "it was there too late" } else { "the last try came to" };
        let came = match answer.ending {
            Ending::Complete => format!("status {}", answer.status),
            Ending::Failed(transport) => transport.name().into(),
            _ => "no answer in time".into(),
        };
        Tried::Over(format!("{what}: {came}"))
    }

    /// What the answer saves is there for `until`; what is missing is no failure yet.
    fn is_there(&mut self, poll: &Poll, plan: &Request, answer: &Answer<'_>, recorder: &mut Recorder) -> bool {
        let Some(until) = &poll.until else {
            return answer.status < 400;
        };
        self.save_what_is_there(plan, answer);
        // What cannot be worked out of an answer that is not the awaited one is not there yet.
        until.eval_condition(&mut self.scope(answer.times.done, Some(answer), recorder)).unwrap_or(false)
    }

    /// A request of the program begins: a poll's first try starts its clock.
    pub(super) fn note_start(&mut self, plan: &Request) {
        if plan.poll.is_some() && self.flow.polling_since.is_none() {
            self.flow.polling_since = Some(self.due);
        }
    }

    /// Where the user goes on after a judged answer of `plan`.
    pub(super) fn next(
        &mut self,
        plan: &Request,
        (class, failure): (Class, Option<Failure>),
        tried: Option<&Tried>,
        answer: &Answer<'_>,
    ) -> Next {
        if class == Class::Unfinished {
            return Next::GoOn;
        }
        let is_refused = class == Class::Failed || matches!(tried, Some(Tried::NotYet(_)));
        if is_refused && self.wants_before(plan, answer.status) {
            return Next::Before;
        }
        if let Some(Tried::NotYet(due)) = tried {
            return Next::Again(*due);
        }
        if let Some(retry) = &plan.retry
            && self.flow.attempts < retry.times
            && wants(retry, class, failure, answer)
        {
            self.flow.attempts += 1;
            let wait = retry.wait.map_or(0, |wait| self.draw(wait));
            return Next::Again(answer.times.done.saturating_add(wait));
        }
        if class == Class::Abandoned && self.reloads() {
            return Next::Again(answer.times.done);
        }
        self.burst.calm();
        // A fault must not break the journey: as a person reloads, what later steps build on is asked for once more.
        self.flow.reloads = class == Class::Abandoned && !self.flow.reloads && self.is_built_on(plan);
        if self.flow.reloads {
            return Next::Again(answer.times.done);
        }
        self.flow.attempts = 0;
        self.flow.polling_since = None;
        if self.section == Section::Steps && !self.together.is_open {
            self.flow.step_over();
        }
        match class {
            Class::Ok => Next::GoOn,
            // A step's own: the user goes on, unless later steps need what this answer would have brought.
            Class::Abandoned if plan.saves.is_empty() && !self.is_needed_later(plan) => Next::GoOn,
            _ if plan.continue_on_failure => Next::GoOn,
            _ => Next::GiveUp,
        }
    }

    /// Whether later steps may build on the answer that the profile's `abandon` kept away: something is saved from it,
    /// it sets cookies, or it stands in `before`. A step's own `abandon` is part of its journey, with what follows.
    fn is_built_on(&self, plan: &Request) -> bool {
        let is_planned = plan.abandon.is_some() || plan.upgrade.is_some();
        !is_planned
            && (self.section == Section::Before
                || !plan.saves.is_empty()
                || self.run.cookie_steps[plan.step].load(Relaxed))
    }

    /// Notes that answers of this step set cookies; only a run that gives requests up wants to know.
    pub(super) fn note_cookies(&self, plan: &Request, answer: &Answer<'_>) {
        let sets = &self.run.cookie_steps[plan.step];
        if self.run.profile.faults.abandon.is_some()
            && answer.headers.contains_key(http::header::SET_COOKIE)
            && !sets.load(Relaxed)
        {
            sets.store(true, Relaxed);
        }
    }

    fn wants_before(&self, plan: &Request, status: u16) -> bool {
        let on = &self.plan().flow.again_on;
        self.section == Section::Steps
            && !self.flow.repeated
            && plan.probe.is_none()
            && on.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }

    /// Plays `before` again, and then the step at hand.
    pub(super) fn play_before(&mut self) {
        self.flow.attempts = 0;
        self.flow.polling_since = None;
        self.flow.repeated = true;
        self.flow.back_to = Some(self.pc - 1);
        self.flow.before_at = self.due;
        self.section = Section::Before;
        self.pc = self.plan().before;
    }
}

/// Whether an attempt that ended so is to be made again. A status counts even when it is expected.
fn wants(retry: &Retry, class: Class, failure: Option<Failure>, answer: &Answer<'_>) -> bool {
    match class {
        Class::TimedOut => retry.on_timeout,
        Class::Failed if matches!(failure, Some(Failure::Transport(_))) => retry.on_connection,
        Class::Ok | Class::Failed => retry.on.iter().any(|(low, high)| (*low..=*high).contains(&answer.status)),
        Class::Abandoned | Class::Unfinished | Class::GeneratorError | Class::Limited => false,
    }
}

fn items(value: Value) -> Result<Arc<[Value]>, EvalError> {
    match value {
        Value::List(items) if items.len() <= MOST_ITEMS => Ok(items),
        Value::List(items) => {
            Err(EvalError(format!("for_each goes through {MOST_ITEMS} items at most, and here are {}", items.len())))
        }
        other => Err(EvalError(format!("for_each wants a list, not {}", other.type_name()))),
    }
}
