//! Simulation: a whole profile in virtual time, with a scripted target. The same virtual users, schedules, recorder
//! and fold as in a real run; exact to the nanosecond, and the same seed gives the same result.
//! In: a program, a profile, a seed, a [`Script`]. Out: [`RunResult`].

use crate::Setup;
use crate::client::answer::{Answer, Ending as Exchange, Outgoing, Times, Via};
use crate::client::events::Listener;
use crate::clock::{Clock, Nanos, SECOND};
use crate::header;
use crate::load::closed;
use crate::load::floor::{Floor, Taken, own_arrivals};
use crate::meetings::{Release, Round};
use crate::overlap::Lap;
use crate::record::Recorder;
use crate::record::abort::Guard;
use crate::record::collector::{Message, Observer, Unobserved, queue};
use crate::record::fold::Fold;
use crate::run::{Run, Stop};
use crate::run_result::{Ending, RunResult};
use crate::user::{Effect, Input, VirtualUser};
use crate::worker_run::WorkerRun;
use http::HeaderMap;
use scenarios::faults::Place;
use scenarios::program::{Load, Profile, Program};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// A scripted answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Time from sending to the last byte; `None`: never.
    pub after: Option<Nanos>,
    /// How it ends, if it ends in time.
    pub ending: Exchange,
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A 200 without a body.
    pub fn ok(after: Nanos) -> Self {
        Self {
            after: Some(after),
            ending: Exchange::Complete,
            status: 200,
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
    }
}

/// A scripted target.
pub trait Script {
    /// The answer to a request that is sent at `now`.
    fn answer(&mut self, request: &Outgoing, now: Nanos) -> Reply;
}

impl<F: FnMut(&Outgoing, Nanos) -> Reply> Script for F {
    fn answer(&mut self, request: &Outgoing, now: Nanos) -> Reply {
        self(request, now)
    }
}

/// Plays a profile of `program` in virtual time.
///
/// # Errors
/// A request that HTTP cannot say, in a sentence.
pub fn simulate(
    program: &Arc<Program>,
    profile: usize,
    seed: u64,
    script: &mut dyn Script,
) -> Result<RunResult, String> {
    let plan = program.profiles.get(profile).cloned().ok_or_else(|| format!("there is no profile number {profile}"))?;
    simulate_profile(program, plan, seed, script)
}

/// Plays `plan`, which may differ from the program's own profiles. Else as [`simulate`].
///
/// # Errors
/// As [`simulate`].
pub fn simulate_profile(
    program: &Arc<Program>,
    plan: Profile,
    seed: u64,
    script: &mut dyn Script,
) -> Result<RunResult, String> {
    simulate_observed(program, plan, seed, script, (&mut Unobserved, &Stop::default()))
}

/// As [`simulate_profile`]; `observer` looks on, and may end the run through the [`Stop`].
///
/// # Errors
/// As [`simulate`].
pub fn simulate_observed(
    program: &Arc<Program>,
    plan: Profile,
    seed: u64,
    script: &mut dyn Script,
    (observer, stop): (&mut dyn Observer, &Stop),
) -> Result<RunResult, String> {
    if !program.sockets.is_empty() {
        return Err("a simulation plays no WebSocket: its script answers requests only".into());
    }
    if !program.around.is_empty() {
        return Err(
            "a simulation plays no `setup` and no `teardown`: its script answers the load's requests only".into()
        );
    }
    let clock = Clock::simulated();
    let setup = Setup {
        profile: 0,
        facts: header::HeaderFacts::default(),
        seed,
        workers: 1,
        key: *blake3::hash(&seed.to_le_bytes()).as_bytes(),
        folder: None,
        stop: Arc::default(),
        health_requests: 0,
    };
    let mut head = header::header(program, &plan, &setup, &clock, 1);
    // A process number and the time of day have no place in a simulation.
    head.id = format!("{seed:012x}");
    let run = Run::new(Arc::clone(program), plan, clock, seed, head.id.clone(), setup.key)?;
    let (handover, messages) = queue();
    let limits = Arc::new(header::step_limits(program));
    let recorder = Recorder::new(Arc::clone(program), limits, run.profile.warm_up_ns, handover);
    observer.begins(&head);
    let fold = Fold::new(head);
    Ok(Simulation::new(WorkerRun::new(Arc::new(run)), (recorder, messages), fold, script, (observer, stop)).play())
}

/// A scripted answer read as events, all of which come with its last byte.
fn heard(request: &Outgoing, reply: &Reply, whole: bool, now: Nanos) -> Option<Listener> {
    let plan = request.events.as_ref().filter(|_| whole && (200..300).contains(&reply.status))?;
    let mut listener = Listener::new(plan.clone(), &[], 1 << 20, 16 << 20).ok()?;
    listener.push(&reply.body, now).ok()?;
    Some(listener)
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A user's window opens.
    Enter(usize),
    /// A user's next iteration of a closed load, due then.
    Begin(usize),
    /// The next arrival of an open load.
    Arrival(usize),
    /// A wait is over.
    Wake(usize),
    /// An answer is there: of the user's request, or of a branch.
    Done(usize, Option<usize>),
    /// A branch is to be made again.
    BranchDue(usize, usize),
    /// A user of an open load is free again after its pause.
    Free(usize),
    /// Patience is over at a meeting, for the users of this round.
    Lapse(usize, Nanos),
    /// A user goes on from a meeting.
    Met(usize),
    /// No new iterations.
    Stop,
    /// What is left is cut.
    Cut,
}

struct Seat {
    user: VirtualUser,
    windows: VecDeque<(Nanos, Nanos)>,
    /// End of the present window.
    until: Nanos,
    /// In flight: when it was sent, and what will come.
    reply: Option<(Nanos, Reply)>,
    /// As `reply`, by branch.
    replies: Vec<Option<(Nanos, Reply)>>,
    playing: bool,
    /// Of an open load: goes, and somebody else sits down.
    quits: bool,
    /// Which meeting it goes on from, and how that ended.
    met: Option<(usize, Release)>,
}

impl Seat {
    /// Where what is in flight lies: the user's own request, or a branch.
    fn in_flight(&mut self, branch: Option<usize>) -> &mut Option<(Nanos, Reply)> {
        let Some(branch) = branch else {
            return &mut self.reply;
        };
        if self.replies.len() <= branch {
            self.replies.resize(branch + 1, None);
        }
        &mut self.replies[branch]
    }
}

/// How an exchange ends.
fn ending(request: &Outgoing, reply: &Reply, cut: Option<Exchange>) -> Exchange {
    let limit = request.timeout_ns;
    let in_time = reply.after.is_some_and(|after| after <= limit);
    let natural = if in_time { reply.ending } else { Exchange::TimedOut };
    let ends = reply.after.map_or(limit, |after| after.min(limit));
    let is_given_up =
        left_after(request, reply).is_some_and(|left| left < ends || in_time && left == ends && at_head(request));
    cut.unwrap_or(if is_given_up { Exchange::Abandoned } else { natural })
}

/// When a request is given up, if its answer is not there before. A scripted answer comes in one piece, so that nobody
/// can leave in the middle of it.
fn left_after(request: &Outgoing, reply: &Reply) -> Option<Nanos> {
    let leaving = request.orders.abandon?;
    match leaving.at {
        None => Some(leaving.after),
        Some(Place::Head) => Some(leaving.after.min(reply.after.unwrap_or(Nanos::MAX))),
        Some(Place::Body | Place::Stream | Place::Message) => None,
    }
}

fn at_head(request: &Outgoing) -> bool {
    request.orders.abandon.is_some_and(|leaving| leaving.at == Some(Place::Head))
}

/// What comes of a request that was sent at `sent` and ends now.
fn outcome<'r>(
    reply: &'r Reply,
    sent: Nanos,
    now: Nanos,
    ending: Exchange,
    listener: Option<&'r Listener>,
) -> Answer<'r> {
    let whole = ending == Exchange::Complete;
    Answer {
        ending,
        delivered: true,
        status: if whole { reply.status } else { 0 },
        reason: &[],
        headers: &reply.headers,
        body: if whole { &reply.body } else { &[] },
        undecoded: &[],
        codings: &[],
        times: Times { ready: sent, sent: Some(sent), done: now, ..Times::default() },
        via: Via::default(),
        bytes_sent: 0,
        bytes_received: reply.body.len() as u64,
        heard: listener.map(|listener| &listener.heard),
    }
}

struct Simulation<'a> {
    run: Rc<WorkerRun>,
    recorder: Recorder,
    messages: Receiver<(usize, Message)>,
    fold: Fold,
    script: &'a mut dyn Script,
    seats: Vec<Seat>,
    /// By user and branch: what is under way.
    laps: HashMap<(usize, Option<usize>), (usize, Lap)>,
    floor: Floor,
    events: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    order: u64,
    second: u64,
    guard: Guard,
    aborted: Option<String>,
    stopping: bool,
    open: bool,
    /// Users that wait at a meeting.
    meeting: Vec<(usize, usize, Arc<Round>)>,
    observer: &'a mut dyn Observer,
    stop: &'a Stop,
}

impl<'a> Simulation<'a> {
    fn new(
        run: Rc<WorkerRun>,
        (recorder, messages): (Recorder, Receiver<(usize, Message)>),
        fold: Fold,
        script: &'a mut dyn Script,
        (observer, stop): (&'a mut dyn Observer, &'a Stop),
    ) -> Self {
        let seats = run
            .seats
            .iter()
            .enumerate()
            .map(|(index, seat)| Seat {
                user: VirtualUser::new(Rc::clone(&run), seat.journey, index as u32, seat.account),
                windows: match &run.profile.load {
                    Load::Closed(stages) => closed::windows(stages, index).into(),
                    Load::Open { .. } => VecDeque::new(),
                },
                until: Nanos::MAX,
                reply: None,
                replies: Vec::new(),
                playing: false,
                quits: false,
                met: None,
            })
            .collect();
        let guard = Guard::new(&run.program, &run.profile);
        let floor = Floor::new(&run.seats, run.program.journeys.len(), 0, 1);
        let open = matches!(run.profile.load, Load::Open { .. });
        Self {
            run,
            recorder,
            messages,
            fold,
            script,
            seats,
            laps: HashMap::new(),
            floor,
            events: BinaryHeap::new(),
            order: 0,
            second: 0,
            guard,
            aborted: None,
            stopping: false,
            open,
            meeting: Vec::new(),
            observer,
            stop,
        }
    }

    fn play(mut self) -> RunResult {
        let run = Rc::clone(&self.run);
        let end = run.profile.load.duration_ns();
        self.at(end, Event::Stop);
        self.at(end.saturating_add(run.profile.graceful_stop_ns), Event::Cut);
        let mut arrivals = match &run.profile.load {
            Load::Closed(_) => None,
            Load::Open { stages, spacing, .. } => {
                Some(own_arrivals(&run.program, &run.seats, (stages, *spacing, run.seed), 0, 1))
            }
        };
        for user in 0..self.seats.len() {
            if let Some((start, _)) = self.seats[user].windows.front() {
                self.at(*start, Event::Enter(user));
            }
        }
        if let Some((due, journey)) = arrivals.as_mut().and_then(Iterator::next) {
            self.at(due, Event::Arrival(journey));
        }
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            self.turn_to(now / SECOND);
            if event == Event::Cut {
                break;
            }
            if self.aborted.is_some() {
                return self.finish(now);
            }
            if let Event::Arrival(journey) = event {
                self.arrive(journey, now);
                if let Some((due, journey)) = arrivals.as_mut().and_then(Iterator::next) {
                    self.at(due, Event::Arrival(journey));
                }
            } else {
                self.happen(now, event);
            }
            if self.run.ended_by.get().is_some() {
                return self.finish(now);
            }
        }
        self.finish(end + run.profile.graceful_stop_ns)
    }

    fn at(&mut self, time: Nanos, event: Event) {
        self.order += 1;
        self.events.push(Reverse((time, self.order, event)));
    }

    fn turn_to(&mut self, second: u64) {
        while self.second < second {
            self.second += 1;
            self.recorder.turn(self.second);
            self.drain();
        }
    }

    /// Folds what the recorder handed over, so that the queue never fills.
    fn drain(&mut self) {
        for (_, message) in self.messages.try_iter() {
            match message {
                Message::Interval(mut interval) => {
                    interval.close();
                    if self.aborted.is_none() {
                        self.observer.interval(&interval);
                        self.aborted = self.guard.see(&interval).or_else(|| self.stop.reason());
                    }
                    self.fold.add(&interval);
                }
                Message::Leak(key, record) => self.fold.leak(&key, *record),
                Message::Failure(_) | Message::Done => {}
            }
        }
    }

    fn happen(&mut self, now: Nanos, event: Event) {
        match event {
            Event::Enter(user) => {
                let Some((_, until)) = self.seats[user].windows.pop_front() else {
                    return;
                };
                self.seats[user].until = until;
                self.enter(user);
                self.begin(user, now, now);
            }
            Event::Begin(user) => self.begin(user, now, now),
            Event::Wake(user) => self.step(user, now, Input::Wake),
            Event::Done(user, branch) => self.answer(user, branch, now, None),
            Event::BranchDue(user, branch) => {
                let effect = self.seats[user].user.step(now, Input::BranchDue(branch), &mut self.recorder);
                self.branch_effect(user, branch, now, effect);
            }
            Event::Free(user) => self.free(user, now),
            Event::Met(user) => {
                if let Some((meeting, release)) = self.seats[user].met.take() {
                    self.step(user, now, Input::Met(meeting, release));
                }
            }
            Event::Lapse(meeting, until) => {
                let late = self.meeting.iter().find(|(_, at, round)| *at == meeting && round.until == until);
                if let Some((_, _, round)) = late {
                    self.run.meetings.lapse(meeting, round);
                    self.release(now);
                }
            }
            Event::Stop => {
                self.stopping = true;
                for user in self.floor.idle().collect::<Vec<_>>() {
                    self.step(user, now, Input::Leave);
                }
            }
            Event::Arrival(_) | Event::Cut => {}
        }
    }

    fn enter(&mut self, user: usize) {
        self.seats[user].playing = true;
        self.recorder.users += 1;
    }

    fn begin(&mut self, user: usize, due: Nanos, now: Nanos) {
        if due >= self.seats[user].until || self.stopping {
            self.step(user, now, Input::Leave);
        } else {
            self.recorder.asked_and_started();
            self.step(user, now, Input::Begin(due));
        }
    }

    fn arrive(&mut self, journey: usize, due: Nanos) {
        let taken = self.floor.take(journey);
        self.recorder.arrival(due, taken.is_some(), true);
        let user = match taken {
            None => return,
            Some(Taken::Idle(user)) => user,
            Some(Taken::Fresh(user)) => {
                self.enter(user);
                user
            }
        };
        self.step(user, due, Input::Begin(due));
    }

    fn free(&mut self, user: usize, now: Nanos) {
        if self.stopping {
            self.step(user, now, Input::Leave);
        } else {
            self.floor.give_back(self.run.seats[user].journey, user);
        }
    }

    fn step(&mut self, user: usize, now: Nanos, input: Input<'_>) {
        let effect = self.seats[user].user.step(now, input, &mut self.recorder);
        self.effect(user, now, effect);
    }

    fn effect(&mut self, user: usize, now: Nanos, effect: Effect) {
        match effect {
            // A program with WebSockets is refused before it starts.
            Effect::Socket(_) => {}
            Effect::Wait(until) => self.at(until, Event::Wake(user)),
            Effect::Send(_) => self.send(user, None, now),
            Effect::SendAll(_) => {
                for branch in self.seats[user].user.branches_out() {
                    self.send(user, Some(branch), now);
                }
            }
            Effect::Meet(meeting) => self.meet(user, meeting, now),
            // Said to a branch only.
            Effect::Others | Effect::Again(_) | Effect::Resend(_) => {}
            Effect::IterationOver(next) if self.open => self.at(next.max(now), Event::Free(user)),
            Effect::IterationOver(next) => {
                let wake = next.max(now).min(self.seats[user].until.max(now));
                if wake < next || next <= now {
                    self.begin(user, next, now);
                } else {
                    self.at(next, Event::Begin(user));
                }
            }
            Effect::Quit if self.open => {
                // The seat is free for the next person.
                self.seats[user].quits = true;
                self.step(user, now, Input::Leave);
            }
            Effect::Quit => {
                self.seats[user].windows.clear();
                self.step(user, now, Input::Leave);
            }
            Effect::Gone if std::mem::take(&mut self.seats[user].quits) => self.free(user, now),
            Effect::Gone => {
                self.seats[user].playing = false;
                self.recorder.users -= 1;
                if let Some((start, _)) = self.seats[user].windows.front() {
                    self.at((*start).max(now), Event::Enter(user));
                }
            }
        }
    }

    /// What a branch wants done: about itself, or, with the last of them, about the user.
    fn branch_effect(&mut self, user: usize, branch: usize, now: Nanos, effect: Effect) {
        match effect {
            Effect::Others => {}
            Effect::Again(at) => self.at(at.max(now), Event::BranchDue(user, branch)),
            Effect::Resend(_) => self.send(user, Some(branch), now),
            effect => self.effect(user, now, effect),
        }
    }

    /// A user comes to a meeting, and goes on with all of its round when it is complete.
    fn meet(&mut self, user: usize, meeting: usize, now: Nanos) {
        let round = self.seats[user].user.take_round().unwrap_or_else(|| self.run.meetings.arrive(meeting, now));
        if !self.meeting.iter().any(|(.., waited)| Arc::ptr_eq(waited, &round)) {
            self.at(round.until, Event::Lapse(meeting, round.until));
        }
        self.meeting.push((user, meeting, round));
        self.release(now);
    }

    /// All whose round is released go on.
    fn release(&mut self, now: Nanos) {
        let gone: Vec<_> = self.meeting.extract_if(.., |(.., round)| round.release().is_some()).collect();
        for (user, meeting, round) in gone {
            self.seats[user].met = round.release().map(|release| (meeting, release));
            self.at(now, Event::Met(user));
        }
    }

    /// Sends the user's request, or that of a branch.
    fn send(&mut self, user: usize, branch: Option<usize>, now: Nanos) {
        let seat = &mut self.seats[user];
        let request = match branch {
            None => &seat.user.outgoing,
            Some(branch) => &*seat.user.branch(branch),
        };
        let limit = request.timeout_ns;
        let reply = self.script.answer(request, now);
        let mut after = reply.after.filter(|after| *after <= limit).unwrap_or(limit);
        if let Some(left) = left_after(request, &reply) {
            after = after.min(left);
        }
        let lap = self.run.overlaps.begin(0, request.target, request.own);
        self.laps.insert((user, branch), (request.target, lap));
        *seat.in_flight(branch) = Some((now, reply));
        self.at(now + after, Event::Done(user, branch));
    }

    /// The answer in flight comes to its end; `cut` ends it early.
    fn answer(&mut self, user: usize, branch: Option<usize>, now: Nanos, cut: Option<Exchange>) {
        let seat = &mut self.seats[user];
        let Some((sent, reply)) = seat.in_flight(branch).take() else {
            return;
        };
        let request = match branch {
            None => &seat.user.outgoing,
            Some(branch) => &*seat.user.branch(branch),
        };
        let ending = ending(request, &reply, cut);
        let listener = heard(request, &reply, ending == Exchange::Complete, now);
        let mut answer = outcome(&reply, sent, now, ending, listener.as_ref());
        if let Some((target, lap)) = self.laps.remove(&(user, branch)) {
            answer.via.is_beside = self.run.overlaps.end(0, target, lap);
        }
        let (seat, recorder) = (&mut self.seats[user].user, &mut self.recorder);
        match (branch, cut) {
            (None, Some(_)) => seat.cut_in_flight(&answer, recorder),
            (Some(branch), Some(_)) => seat.cut_branch(branch, &answer, recorder),
            (None, None) => {
                let effect = seat.step(now, Input::Answer(&answer), recorder);
                self.effect(user, now, effect);
            }
            (Some(branch), None) => {
                let effect = seat.step(now, Input::Branch(branch, &answer), recorder);
                self.branch_effect(user, branch, now, effect);
            }
        }
    }

    fn finish(mut self, end: Nanos) -> RunResult {
        for user in 0..self.seats.len() {
            if self.seats[user].reply.is_some() {
                self.answer(user, None, end, Some(Exchange::Cut));
                continue;
            }
            for branch in 0..self.seats[user].replies.len() {
                self.answer(user, Some(branch), end, Some(Exchange::Cut));
            }
            if self.seats[user].playing {
                self.seats[user].user.cut(&mut self.recorder);
            }
        }
        self.turn_to(self.second + 1);
        let stopped = self.run.ended_by.get().cloned().map(Ending::Stopped);
        let ending = self.aborted.map(Ending::Aborted).or(stopped);
        self.fold.finish(ending.unwrap_or(Ending::Finished))
    }
}
