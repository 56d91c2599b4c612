//! The virtual user: a synchronous state machine. It takes time as an argument, does no I/O and knows no async,
//! so that the same machine runs on the network and in virtual time.
//! In: [`Input`]s with the present time. Out: [`Effect`]s for whoever runs it, samples for the recorder.

mod address;
mod burst;
mod cache_lint;
mod canary;
mod checks;
mod events;
mod faults;
mod flow;
mod isolation;
mod json;
mod last;
mod limits;
mod mask;
mod redirects;
mod render;
mod scope;
mod socket;
mod switch;
mod together;
mod trail;
mod turn;

pub use render::Prepared;

use crate::client::answer::{Answer, Outgoing};
use crate::client::socket::{Message, News, SocketOrder};
use crate::clock::{Nanos, SECOND};
use crate::failure::Failure;
use crate::isolation::audiences::Audience;
use crate::limits::Pace;
use crate::meetings::Release;
use crate::record::Recorder;
use crate::run_result::FailureRecord;
use crate::worker_run::WorkerRun;
use flow::Flow;
use isolation::{contamination, echo, stale, writes};
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, Exp, Normal};
use rand_pcg::Pcg64;
use scenarios::conditions::{Fresh, Keeps};
use scenarios::expr::EvalError;
use scenarios::program::{DataOrder, Delay, Journey, Op, Pc};
use scenarios::value::Value;
use scope::UserScope;
use std::rc::Rc;
use std::sync::Arc;
use together::Together;

/// What happens to a virtual user.
#[derive(Debug)]
pub enum Input<'a> {
    /// An iteration starts; it was due then.
    Begin(Nanos),
    /// The time waited for has come.
    Wake,
    /// The request's outcome.
    Answer(&'a Answer<'a>),
    /// The user's time is over: play `after` and go.
    Leave,
    /// The outcome of a branch of [`Effect::SendAll`].
    Branch(usize, &'a Answer<'a>),
    /// The time of [`Effect::Again`] has come.
    BranchDue(usize),
    /// News of the WebSocket that the user is busy with.
    Socket(&'a News),
    /// The meeting of [`Effect::Meet`] is over.
    Met(usize, Release),
}

/// What a virtual user wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Send [`VirtualUser::outgoing`], due at the time given.
    Send(Nanos),
    /// Call again with [`Input::Wake`] at this time.
    Wait(Nanos),
    /// The iteration is over; the next one of a closed load is due then.
    IterationOver(Nanos),
    /// `after` has been played (or there was none).
    Gone,
    /// The iteration is over and the user goes for good: [`Input::Leave`] is what comes next.
    Quit,
    /// Send [`VirtualUser::branches_out`], all due at the time given, each on connections of its own.
    SendAll(Nanos),
    /// The branch just heard has ended, others have not.
    Others,
    /// The branch just heard is to be made again: call with [`Input::BranchDue`] at this time.
    Again(Nanos),
    /// Send the branch again, due at the time given.
    Resend(Nanos),
    /// Do this with the user's WebSocket, and tell how it went; [`VirtualUser::message`] is what is to be said.
    Socket(SocketOrder),
    /// Wait for the other users of this meeting.
    Meet(usize),
}

/// Operations run without waiting before a scenario counts as running in circles.
const MOST_OPS_AT_ONCE: u32 = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Idle,
    Before,
    Steps,
    After,
}

impl Section {
    fn title(self) -> &'static str {
        match self {
            Self::Idle => "",
            Self::Before => "before",
            Self::Steps => "steps",
            Self::After => "after",
        }
    }
}

/// One virtual user.
#[derive(Debug)]
pub struct VirtualUser {
    run: Rc<WorkerRun>,
    journey: usize,
    /// Index over all users of the profile.
    index: u32,
    /// Global account number; anonymous users have numbers behind the accounts.
    account: u32,
    head: [u8; crate::isolation::marker::HEAD],
    trace: render::Trace,
    id: Value,
    random: Pcg64,
    /// Faults have a stream of their own.
    fault_random: Pcg64,
    slots: Vec<Value>,
    counters: Vec<u64>,
    rows: Vec<usize>,
    group_starts: Vec<(usize, Nanos)>,
    section: Section,
    pc: Pc,
    /// Whether `before` has been played.
    ready: bool,
    appeared: bool,
    iteration: u64,
    iteration_due: Nanos,
    /// When the next request is due: the end of what came before it.
    due: Nanos,
    failures_in_a_row: u32,
    requests_sent: u32,
    client_ids: u64,
    last_status: u16,
    last_latency_ns: Nanos,
    /// What later steps read of the latest answer; nothing if none does.
    kept: Option<Box<last::Kept>>,
    stranger: Option<u32>,
    /// By step: whether an own marker has come back there.
    controls: Vec<bool>,
    /// Ids of its requests, where `echo` asks for them.
    echoes: echo::Echoes,
    /// What it wrote last, and what was acknowledged of it.
    writes: writes::Writes,
    /// Its last answer with an own marker, to be asked for again once the credential is revoked.
    stale: stale::Stale,
    /// Audiences whose markers it plants, at hand.
    audiences: Vec<Arc<Audience>>,
    contamination: contamination::Contamination,
    /// The change of account under way, and what was before it.
    switch: switch::Switch,
    /// The step that is rendered, for markers.
    outgoing_step: u16,
    /// The new version of a canary serves it.
    is_on_new: bool,
    /// What a traced user remembers; `None` in a run.
    trail: Option<Box<trail::Trail>>,
    /// The request to send, after [`Effect::Send`].
    pub outgoing: Outgoing,
    /// The message to say, after [`SocketOrder::Say`].
    pub message: Option<Message>,
    conversation: Option<Box<socket::Conversation>>,
    flow: Flow,
    together: Together,
    burst: burst::Burst,
    /// By stated rate limit; empty before its first request that one counts.
    paces: Vec<Pace>,
}

impl VirtualUser {
    /// The user of `index` in its journey, playing `account`.
    pub fn new(run: Rc<WorkerRun>, journey: usize, index: u32, account: u32) -> Self {
        let plan: &Journey = &run.program.journeys[journey];
        let mut slots = vec![Value::Null; plan.slots];
        give(&mut slots, plan, run.given.as_deref());
        let random = Pcg64::seed_from_u64(run.seed ^ (u64::from(index) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self {
            journey,
            index,
            account,
            head: run.mint.head(crate::isolation::marker::Kind::Account, account),
            trace: render::trace(run.trace, index),
            id: Value::text(format!("{}-{index}", run.id)),
            random,
            fault_random: faults::stream(run.seed, index),
            slots,
            counters: vec![0; plan.counters],
            rows: vec![0; run.program.data.len()],
            group_starts: Vec::new(),
            section: Section::Idle,
            pc: 0,
            ready: false,
            appeared: false,
            iteration: 0,
            iteration_due: 0,
            due: 0,
            failures_in_a_row: 0,
            requests_sent: 0,
            client_ids: 0,
            last_status: 0,
            last_latency_ns: 0,
            kept: (plan.keeps != Keeps::default()).then(Box::default),
            stranger: None,
            controls: vec![false; run.program.steps.len()],
            echoes: echo::Echoes::default(),
            writes: writes::Writes::default(),
            stale: stale::Stale::new(&run.program, journey),
            audiences: Vec::new(),
            contamination: contamination::Contamination::default(),
            switch: switch::Switch::new(&run, journey),
            outgoing_step: 0,
            is_on_new: false,
            trail: Self::new_trail(run.tracer.is_some()),
            outgoing: Outgoing::default(),
            message: None,
            conversation: None,
            flow: Flow::new(plan.flow.lists),
            together: Together::default(),
            burst: burst::Burst::default(),
            paces: Vec::new(),
            run,
        }
    }

    /// Moves on from `input` to the next effect.
    pub fn step(&mut self, now: Nanos, input: Input<'_>, recorder: &mut Recorder) -> Effect {
        match input {
            Input::Begin(due) => self.begin(due, recorder),
            Input::Wake => {}
            Input::Met(meeting, release) => {
                if let Some(effect) = self.burst_over(meeting, release, recorder) {
                    return effect;
                }
                self.met(meeting, release, recorder);
            }
            Input::Answer(answer) => {
                if let Some(effect) = self.answered(answer, recorder) {
                    return effect;
                }
            }
            Input::Branch(number, answer) => {
                if let Some(effect) = self.branch_answered(number, answer, recorder) {
                    return effect;
                }
            }
            Input::BranchDue(number) => {
                if let Some(effect) = self.branch_due(number, now, recorder) {
                    return effect;
                }
            }
            Input::Leave => {
                if !self.ready {
                    self.leave();
                    return Effect::Gone;
                }
                self.section = Section::After;
                self.pc = self.plan().after;
                self.due = self.due.max(now);
            }
            Input::Socket(news) => {
                if let Some(effect) = self.news(news, now, recorder) {
                    return effect;
                }
            }
        }
        self.proceed(now, recorder)
    }

    /// A message that nobody asked for, or the end of the WebSocket, while the user thinks.
    pub fn hear_unasked(&mut self, news: &News, recorder: &mut Recorder) {
        self.overhear(news, recorder);
    }

    /// The run ended in the middle of an iteration.
    pub fn cut(&mut self, recorder: &mut Recorder) {
        self.cut_conversation(recorder);
        if self.is_in_iteration() && recorder.is_measured(self.iteration_due) {
            recorder.interval().iterations.cut += 1;
        }
        self.leave();
    }

    /// The run ended while a request was in flight: it counts as unfinished, what came of it is scanned.
    pub fn cut_in_flight(&mut self, answer: &Answer<'_>, recorder: &mut Recorder) {
        let was_in_iteration = self.is_in_iteration();
        let due = self.iteration_due;
        self.take_in(answer, recorder);
        if was_in_iteration && recorder.is_measured(due) {
            recorder.interval().iterations.cut += 1;
        }
        self.leave();
    }

    /// What an iteration starts without.
    pub fn fresh(&self) -> Fresh {
        self.plan().fresh.or(self.run.profile.fresh)
    }

    fn plan(&self) -> &Journey {
        &self.run.program.journeys[self.journey]
    }

    fn leave(&mut self) {
        self.conversation = None;
        self.section = Section::Idle;
        self.ready = false;
        self.clear_variables();
        self.writes.forget();
        self.stale.forget();
        self.kept = self.kept.take().map(|_| Box::default());
    }

    /// Back to what holds from the start.
    fn clear_variables(&mut self) {
        let run = self.run.clone();
        self.slots.fill(Value::Null);
        give(&mut self.slots, &run.program.journeys[self.journey], run.given.as_deref());
    }

    fn begin(&mut self, due: Nanos, recorder: &mut Recorder) {
        if !self.appeared {
            self.appeared = true;
            if self.run.accounts.appear(self.account, self.index) {
                recorder.interval().isolation.new_accounts += 1;
            }
        }
        self.due = due;
        self.iteration_due = due;
        self.may_draw_switch();
        if self.fresh().cookies && self.ready {
            // A new visitor: nothing is known of the one before.
            self.leave();
        }
        if self.run.profile.canary.is_some() {
            self.choose_version(due);
        }
        if recorder.is_measured(due) {
            recorder.interval().iterations.started += 1;
        }
        self.draw_rows();
        self.group_starts.clear();
        (self.section, self.pc) = self.entry(due);
    }

    fn draw_rows(&mut self) {
        for (table, row) in self.run.program.data.iter().zip(&mut self.rows) {
            let count = table.rows.len().max(1);
            *row = match table.order {
                DataOrder::Random => self.random.random_range(0..count),
                DataOrder::InOrder => (self.index as usize + self.iteration as usize) % count,
            };
        }
    }

    /// Runs operations until one needs the outside.
    fn proceed(&mut self, now: Nanos, recorder: &mut Recorder) -> Effect {
        let run = Rc::clone(&self.run);
        let journey = &run.program.journeys[self.journey];
        for _ in 0..MOST_OPS_AT_ONCE {
            let (pc, section) = (self.pc, self.section);
            let op = &journey.ops[pc as usize];
            self.pc += 1;
            let done = self.operate(op, now, recorder);
            if self.trail.is_some() {
                self.note_op(pc, section);
            }
            match done {
                Ok(None) => {}
                Ok(Some(effect)) => return effect,
                Err(error) => {
                    recorder.scenario_error(self.journey, self.index, &error, self.due);
                    self.note_problem(&error.0);
                    return self.give_up(now, recorder);
                }
            }
        }
        let error = EvalError("the journey runs in circles without a request or a pause".into());
        recorder.scenario_error(self.journey, self.index, &error, self.due);
        self.note_problem(&error.0);
        self.give_up(now, recorder)
    }

    fn operate(&mut self, op: &Op, now: Nanos, recorder: &mut Recorder) -> Result<Option<Effect>, EvalError> {
        match op {
            Op::Request(request) => return Ok(self.request(*request, now, recorder)),
            Op::Think(delay) => {
                let thought = self.draw(*delay);
                if !self.skips_thinking(recorder) {
                    self.due += thought;
                }
                return Ok((self.due > now).then_some(Effect::Wait(self.due)));
            }
            Op::Set { slot, value } => {
                let value = value.eval(&mut self.scope(now, None, recorder))?;
                self.slots[usize::from(*slot)] = value;
            }
            Op::Jump(to) => self.pc = *to,
            Op::JumpUnless { condition, to } => {
                if !condition.eval_condition(&mut self.scope(now, None, recorder))? {
                    self.pc = *to;
                }
            }
            Op::Count { counter, times } => {
                let times = match times.eval(&mut self.scope(now, None, recorder))? {
                    Value::Int(n) => u64::try_from(n).unwrap_or(0),
                    other => {
                        return Err(EvalError(format!("repeat wants a whole number, not {}", other.type_name())));
                    }
                };
                self.counters[*counter] = times;
            }
            Op::Round { counter, done } => match self.counters[*counter].checked_sub(1) {
                Some(rest) => self.counters[*counter] = rest,
                None => self.pc = *done,
            },
            Op::Choose(branches) => {
                let total: u64 = branches.iter().map(|(weight, _)| u64::from(*weight)).sum();
                let mut ticket = self.random.random_range(0..total.max(1));
                for (weight, to) in branches {
                    match ticket.checked_sub(u64::from(*weight)) {
                        Some(rest) => ticket = rest,
                        None => {
                            self.pc = *to;
                            break;
                        }
                    }
                }
            }
            Op::GroupStart(group) => self.group_starts.push((*group, self.due)),
            Op::GroupEnd(group) => {
                if let Some(at) = self.group_starts.iter().rposition(|(g, _)| g == group) {
                    let (_, start) = self.group_starts.remove(at);
                    recorder.group(*group, start, self.due);
                }
            }
            Op::Join(name) => {
                let name = name.eval(&mut self.scope(now, None, recorder))?.to_string();
                if let Some(audience) = self.audience(&name) {
                    audience.join(self.account, now);
                }
            }
            Op::Leave(name) => {
                let name = name.eval(&mut self.scope(now, None, recorder))?.to_string();
                if let Some(audience) = self.audience(&name) {
                    audience.leave(self.account, now);
                }
            }
            Op::SwitchAccount => self.log_out_to_switch(),
            Op::End => return Ok(self.section_over(recorder)),
            Op::Socket(op) => return self.operate_socket(op, now, recorder),
            _ => return self.flow(op, now, recorder),
        }
        Ok(None)
    }

    fn section_over(&mut self, recorder: &mut Recorder) -> Option<Effect> {
        match self.section {
            Section::Before => {
                self.ready = true;
                self.section = Section::Steps;
                self.pc = match self.switch.back() {
                    Some(back) => back,
                    None => self.after_before(),
                };
                None
            }
            Section::Steps => {
                if self.is_made_to_switch() {
                    return None;
                }
                self.completed(recorder);
                Some(Effect::IterationOver(self.next_start(self.due)))
            }
            Section::After if self.switch.is_under_way() => {
                self.change_account(recorder);
                self.section = Section::Before;
                self.pc = self.plan().before;
                None
            }
            Section::After | Section::Idle => {
                self.leave();
                Some(Effect::Gone)
            }
        }
    }

    /// The iteration came to its end.
    fn completed(&mut self, recorder: &mut Recorder) {
        self.failures_in_a_row = 0;
        if recorder.is_measured(self.iteration_due) {
            recorder.interval().iterations.completed += 1;
        }
        self.iteration += 1;
        self.section = Section::Idle;
        if let Some(leaves) = &self.run.leaves {
            // It is played once.
            let _ = leaves.set(self.slots.clone());
        }
    }

    /// A step failed: the user gives up this iteration, as a person would, and waits before the next.
    fn give_up(&mut self, now: Nanos, recorder: &mut Recorder) -> Effect {
        self.conversation = None;
        if self.section == Section::After && !self.switch.is_under_way() {
            self.leave();
            return Effect::Gone;
        }
        if self.section == Section::After {
            // The log-out failed: the next person sits down all the same.
            self.change_account(recorder);
        }
        self.switch.back();
        if recorder.is_measured(self.iteration_due) {
            let iterations = &mut recorder.interval().iterations;
            iterations.gave_up += 1;
            iterations.failed_before += u64::from(self.section == Section::Before);
        }
        // Also one that was ready before is not when `before`, played again, failed.
        self.ready &= self.section != Section::Before;
        self.iteration += 1;
        self.section = Section::Idle;
        let (first, most) = self.plan().after_failure_ns;
        let wait = first.saturating_mul(1 << self.failures_in_a_row.min(20)).min(most);
        self.failures_in_a_row += 1;
        Effect::IterationOver(self.next_start(self.due.max(now) + wait))
    }

    fn draw(&mut self, delay: Delay) -> Nanos {
        let drawn = match delay {
            Delay::Fixed(t) => return t,
            Delay::Uniform(a, b) => return self.random.random_range(a.min(b)..=b.max(a)),
            Delay::Normal { mean_ns, deviation_ns } => {
                Normal::new(mean_ns, deviation_ns).map_or(mean_ns, |d| d.sample(&mut self.random))
            }
            Delay::Exponential(mean_ns) => Exp::new(1.0 / mean_ns).map_or(mean_ns, |d| d.sample(&mut self.random)),
        };
        // A day is longer than any person thinks; it also keeps sums of times far from overflow.
        drawn.clamp(0.0, 86_400.0 * SECOND as f64) as Nanos
    }

    fn scope<'a>(
        &'a mut self,
        now: Nanos,
        answer: Option<&'a Answer<'a>>,
        recorder: &'a mut Recorder,
    ) -> UserScope<'a> {
        UserScope::new(self, now, answer, recorder)
    }

    fn random_bits(&mut self) -> u64 {
        self.random.next_u64()
    }

    fn note_failure(
        &self,
        request: usize,
        failure: Failure,
        detail: &str,
        answer: Option<&Answer<'_>>,
        recorder: &mut Recorder,
    ) {
        if !recorder.wants_failure_record() {
            return;
        }
        let program = &self.run.program;
        let step = &program.steps[program.requests[request].step];
        let mut detail = detail.to_owned();
        if let Some(answer) = answer.filter(|a| a.status != 0) {
            // A secret that is cut at the edge of an excerpt would not be known afterwards.
            let secrets = [self.secrets(None), self.unsaved_secrets(request, Some(answer))].concat();
            let body = crate::excerpt::around(answer.body, 0, 0, &secrets);
            detail.push_str(&format!("{}status {}: {body}", if detail.is_empty() { "" } else { "; " }, answer.status));
        }
        recorder.failure_record(FailureRecord {
            t_s: self.due as f64 / SECOND as f64,
            user: u64::from(self.index),
            journey: program.journeys[step.journey].name.clone(),
            step: step.name.clone(),
            kind: failure.name(program, Some(request)),
            request: self.request_line(request),
            detail: self.mask_answer(&detail, request, answer),
        });
    }

    /// Method and path as sent, secrets masked.
    fn request_line(&self, request: usize) -> String {
        let plan = &self.run.program.requests[request];
        self.mask(&format!("{} {}", plan.method, self.outgoing.uri))
    }
}

/// What the run's `setup` left holds for every user from the start.
fn give(slots: &mut [Value], journey: &Journey, given: Option<&Vec<Value>>) {
    for (slot, from) in &journey.flow.given {
        if let Some(value) = given.and_then(|values| values.get(usize::from(*from))) {
            slots[usize::from(*slot)] = value.clone();
        }
    }
}
