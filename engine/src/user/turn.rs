//! One request of a virtual user: prepared and counted as due, and its answer taken in, judged and counted.
//! In: the index of a request, then an answer. Out: where that leads.

use super::flow::{Next, Tried};
use super::redirects::Followed;
use super::{Effect, VirtualUser, checks};
use crate::client::answer::{Answer, Ending};
use crate::clock::Nanos;
use crate::failure::Failure;
use crate::record::{Class, Recorder, Sample};
use std::rc::Rc;

/// What came of preparing a request.
pub(super) enum Start {
    /// It is rendered and counted as due.
    Ready,
    /// A probe without a stranger.
    Skipped,
    /// It could not be rendered and is counted as failed.
    Broken,
    /// It waits for others at this meeting, and is counted as due when they go on.
    Held(usize),
}

impl VirtualUser {
    pub(super) fn request(&mut self, request: usize, now: Nanos, recorder: &mut Recorder) -> Option<Effect> {
        if let Some(slot) = self.run.program.requests[request].guard.repeats {
            self.stranger = None;
            return self.repeat_revoked(request, slot, recorder);
        }
        match self.prepare(request, now, recorder) {
            Start::Ready => Some(Effect::Send(self.due)),
            Start::Held(meeting) => Some(Effect::Meet(meeting)),
            Start::Skipped => None,
            Start::Broken if self.run.program.requests[request].continue_on_failure => None,
            Start::Broken => Some(self.give_up(now, recorder)),
        }
    }

    /// Renders a request that is due, and counts it.
    pub(super) fn prepare(&mut self, request: usize, now: Nanos, recorder: &mut Recorder) -> Start {
        let run = Rc::clone(&self.run);
        let request = self.of_version(request);
        let plan = &run.program.requests[request];
        self.stranger = None;
        if let Some(probe) = &plan.probe {
            self.stranger = self.draw_stranger(probe, recorder).or_else(|| self.stranger_for_a_trace(probe.role));
            if self.stranger.is_none() {
                self.note_problem("the probe is left out: there is no other account to ask for");
                recorder.interval().isolation.probes_skipped += 1;
                return Start::Skipped;
            }
        }
        self.note_start(plan);
        let rendered = self.render(request, now, recorder);
        // The branches of one user are no company to each other.
        self.outgoing.own = self.together.width();
        let is_held = rendered.is_ok() && self.gathers(plan, now);
        if !is_held {
            recorder.planned(plan.step, self.due);
        }
        match rendered {
            Ok(()) => {
                self.order_faults(plan, recorder);
                self.note_sending();
                self.requests_sent += 1;
                run.accounts.note_request(self.account, plan.step, self.due);
                self.burst.meeting().map_or(Start::Ready, Start::Held)
            }
            Err(error) => {
                // Due, counted, but nothing could be written: the scenario's own fault, named as such.
                let due = self.due;
                self.due = due.max(now);
                let times =
                    crate::client::answer::Times { ready: due, sent: None, done: self.due, ..Default::default() };
                recorder.sample(&Sample {
                    step: plan.step,
                    class: Class::Failed,
                    due,
                    times,
                    delivered: false,
                    bytes: (0, 0),
                });
                recorder.failure(plan.step, request, Failure::Scenario, due);
                self.note_failure(request, Failure::Scenario, &error.0, None, recorder);
                self.note_problem(&error.0);
                Start::Broken
            }
        }
    }

    /// Takes in an answer. `None`: go on with the next operation.
    pub(super) fn answered(&mut self, answer: &Answer<'_>, recorder: &mut Recorder) -> Option<Effect> {
        let next = self.take_in(answer, recorder);
        self.go_on(next, recorder)
    }

    /// Goes where an answer leads.
    pub(super) fn go_on(&mut self, next: Next, recorder: &mut Recorder) -> Option<Effect> {
        match next {
            Next::GoOn => None,
            Next::Do(effect) => Some(effect),
            Next::GiveUp => Some(self.give_up(self.due, recorder)),
            Next::Again(due) => {
                self.pc -= 1;
                self.due = due;
                Some(Effect::Wait(due))
            }
            Next::Before => {
                self.play_before();
                None
            }
        }
    }

    /// Takes in an answer, judges and counts it; answers where that leads.
    pub(super) fn take_in(&mut self, answer: &Answer<'_>, recorder: &mut Recorder) -> Next {
        let run = Rc::clone(&self.run);
        let request = self.outgoing.request;
        let plan = &run.program.requests[request];
        let due = self.due;
        let done = answer.times.done;
        let control = self.scan(plan, answer, recorder);
        self.check_issued_cookies(plan, answer, recorder);
        self.note_cookies(plan, answer);
        let followed = self.follow(plan, answer, recorder);
        if let Followed::On(effect) = followed {
            self.cover(plan, answer, (control, false), recorder);
            return Next::Do(effect);
        }
        self.note_own_answer(plan, answer, control);
        self.note_write(plan, answer);
        let (times, bytes, delivered) = self.whole_sample(answer);
        self.last_status = answer.status;
        self.last_latency_ns = done.saturating_sub(due).saturating_sub(times.held);
        if answer.ending == Ending::Complete {
            recorder.status(plan.step, answer.status, due);
        }
        let tried = plan.poll.as_ref().map(|poll| self.try_poll(poll, plan, answer, recorder));
        let (class, mut failure, mut detail) = match answer.ending {
            _ if let Followed::Nowhere(why, place) = followed => (Class::Failed, Some(Failure::Transport(why)), place),
            Ending::Complete if matches!(tried, Some(Tried::NotYet(_))) => checks::not_yet(answer.status),
            Ending::Complete if matches!(tried, Some(Tried::Over(_))) => (Class::Failed, None, String::new()),
            Ending::Complete => self.judge(request, answer, control, recorder),
            Ending::Failed(transport) => (Class::Failed, Some(Failure::Transport(transport)), String::new()),
            Ending::TimedOut => (Class::TimedOut, Some(Failure::TimedOut), String::new()),
            Ending::Abandoned => (Class::Abandoned, None, String::new()),
            Ending::Cut => (Class::Unfinished, None, String::new()),
            Ending::GeneratorError => (Class::GeneratorError, None, String::new()),
        };
        if let (Some(Tried::Over(came)), Class::Failed | Class::TimedOut) = (&tried, class) {
            (failure, detail) = (Some(Failure::Poll), came.clone());
        }
        if self.trail.is_some() {
            self.note_judged(request, class, failure, &detail);
        }
        let is_limited = self.note_limits(plan, answer, &times, recorder);
        // What the user does then is what it does after any failure; in the figures it is none.
        let counted = if is_limited && is_ok_or_refused(class, failure) { Class::Limited } else { class };
        let sample = Sample { step: plan.step, class: counted, due, times, delivered, bytes };
        recorder.sample(&sample);
        self.count_left(answer, recorder);
        self.count_swap(answer, recorder);
        self.count_healthy(&sample, recorder);
        self.record_events(plan, answer, due, recorder);
        self.upgraded(plan, answer, class);
        self.due = done;
        if let Some(kept) = &mut self.kept {
            kept.keep(run.program.journeys[self.journey].keeps, answer);
        }
        if let Some(failure) = failure.filter(|_| counted != Class::Limited) {
            recorder.failure(plan.step, request, failure, due);
            self.note_failure(request, failure, &detail, Some(answer), recorder);
        }
        if plan.guard.revokes.is_some() {
            self.note_revocation(class == Class::Ok);
        }
        if let Some(slot) = plan.guard.repeats {
            self.cover(plan, answer, (control, true), recorder);
            return self.repeat_answered(plan, slot, answer, control, recorder).map_or(Next::GoOn, Next::Do);
        }
        let next = self.next(plan, (class, failure), tried.as_ref(), answer);
        self.cover(plan, answer, (control, !next.is_repetition() && !is_limited), recorder);
        self.unless_upgraded(plan, class, next)
    }
}

/// Whether nothing is wrong with an answer 429, or only that it is one.
fn is_ok_or_refused(class: Class, failure: Option<Failure>) -> bool {
    class == Class::Ok || matches!(failure, Some(Failure::Status(_)))
}
