//! A worker: one thread, one current-thread runtime, its own users, connections, timer and recorder.
//! In: the shared run and the worker's number. Out: one interval a second to the collector.

mod beside;
mod meeting;
mod together;

use crate::client::answer::Ending;
use crate::client::exchange::UserClient;
use crate::client::park::WORTH_PARKING;
use crate::client::socket::News;
use crate::client::stranger::send_beside;
use crate::client::wire::Wire;
use crate::clock::{Clock, MILLISECOND, Nanos, SECOND, thread_cpu_ns, thread_queue_wait_ns};
use crate::load::budget::Budget;
use crate::load::closed;
use crate::load::floor::{Floor, Taken, own_first_arrivals};
use crate::record::Recorder;
use crate::run::{Run, Stop};
use crate::run_result::WorkerHealth;
use crate::runtime::Runtime;
use crate::timer::Timer;
use crate::user::{Effect, Input, VirtualUser};
use crate::worker_run::WorkerRun;
use scenarios::faults::GiveUp;
use scenarios::program::Load;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use tokio::task::LocalSet;

/// How often a worker looks at itself.
const HEARTBEAT: Nanos = 50 * MILLISECOND;
/// A pause of the loop that counts as a gap.
const GAP: Nanos = 250 * MILLISECOND;
/// A dispatch later than this is our own fault, not the target's.
const LATE: Nanos = 5 * MILLISECOND;

/// What the tasks of one worker share.
struct Desk {
    run: Rc<WorkerRun>,
    wire: Rc<Wire>,
    timer: Timer,
    recorder: RefCell<Recorder>,
    /// Tasks to wake when the run is cut.
    wakers: RefCell<Vec<Waker>>,
    /// Iterations that users of a closed load may still begin.
    budget: Budget,
    /// No new iterations from now on.
    stopping: Cell<bool>,
    /// Users whose task has not ended.
    alive: Cell<usize>,
    all_gone: RefCell<Option<Waker>>,
    /// A task died of an error of its own.
    died: Cell<bool>,
}

impl Desk {
    fn step(&self, user: &mut VirtualUser, input: Input<'_>) -> Effect {
        let now = match &input {
            // The clock was read for it just now.
            Input::Answer(answer) => answer.times.done,
            Input::Begin(due) if *due <= self.wire.recent() => self.wire.recent(),
            _ => self.wire.now(),
        };
        let Some(tracer) = &self.run.tracer else {
            return user.step(now, input, &mut self.recorder.borrow_mut());
        };
        tracer.watch(user, input, |user, input| user.step(now, input, &mut self.recorder.borrow_mut()))
    }

    /// Whether this moment is still to come.
    fn is_ahead(&self, moment: Nanos) -> bool {
        moment > self.wire.recent() && moment > self.wire.now()
    }

    /// Sleeps until `due`, or until the run is cut; answers whether it was not cut.
    async fn sleep(&self, due: Nanos, client: Option<&mut UserClient>) -> bool {
        let mut client = client;
        let is_long = self.is_long(due);
        let mut sleep = pin!(self.timer.sleep_until(due));
        poll_fn(|cx| {
            if self.wire.cut.get() {
                return Poll::Ready(false);
            }
            if let Some(client) = &mut client {
                client.drive_idle(is_long, cx);
            }
            sleep.as_mut().poll(cx).map(|()| true)
        })
        .await
    }

    /// A think time: what comes over the user's WebSocket meanwhile is heard. Answers whether it was not cut.
    async fn think(&self, until: Nanos, user: &mut VirtualUser, client: &mut UserClient) -> bool {
        if !client.has_socket() {
            return self.sleep(until, Some(client)).await;
        }
        let mut time = pin!(self.timer.sleep_until(until));
        loop {
            match client.listen(&self.wire, time.as_mut()).await {
                News::Cut => return false,
                News::Time(_) => return true,
                news => user.hear_unasked(&news, &mut self.recorder.borrow_mut()),
            }
        }
    }

    fn is_long(&self, until: Nanos) -> bool {
        until.saturating_sub(self.run.clock.now()) >= WORTH_PARKING
    }

    /// A pause between iterations: ends early when no further iteration will come; answers whether one may.
    async fn pause(&self, until: Nanos, client: &mut UserClient) -> bool {
        let is_long = self.is_long(until);
        let mut sleep = pin!(self.timer.sleep_until(until));
        poll_fn(|cx| {
            if self.wire.cut.get() || self.stopping.get() {
                return Poll::Ready(false);
            }
            client.drive_idle(is_long, cx);
            sleep.as_mut().poll(cx).map(|()| true)
        })
        .await
    }

    async fn remember_waker(&self) {
        poll_fn(|cx| {
            self.wakers.borrow_mut().push(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
    }

    fn wake_all(&self) {
        self.wakers.borrow().iter().for_each(Waker::wake_by_ref);
    }

    /// A task of this worker has ended.
    fn user_gone(&self) {
        self.alive.set(self.alive.get() - 1);
        if self.alive.get() == 0
            && let Some(waker) = self.all_gone.borrow_mut().take()
        {
            waker.wake();
        }
    }

    fn enter(&self) {
        self.recorder.borrow_mut().users += 1;
    }

    fn exit(&self) {
        let mut recorder = self.recorder.borrow_mut();
        recorder.users = recorder.users.saturating_sub(1);
    }
}

/// A task that counts as alive until it is over; one that dies of a panic is told from one that ends.
struct Presence {
    desk: Rc<Desk>,
    is_over: bool,
}

impl Presence {
    fn new(desk: &Rc<Desk>) -> Self {
        Self { desk: Rc::clone(desk), is_over: false }
    }

    fn over(mut self) {
        self.is_over = true;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if !self.is_over {
            self.desk.died.set(true);
        }
        self.desk.user_gone();
    }
}

/// Runs worker `index` of `of` to the end of the run.
///
/// # Errors
/// The runtime or its timer cannot start.
pub fn work(
    run: Arc<Run>,
    tls: &[Option<Arc<rustls::ClientConfig>>],
    recorder: Recorder,
    stop: &Stop,
    index: usize,
    of: usize,
) -> io::Result<()> {
    let wire = Wire::new(run.clock, &run.program.targets, tls).map_err(io::Error::other)?;
    wire.network.set(run.profile.network);
    wire.share(index, of, run.profile.share_connections);
    // It was made just now and nobody else has set it.
    let _ = wire.overlaps.set((Arc::clone(&run.overlaps), index));
    let runtime = Runtime::new()?;
    LocalSet::new().block_on(&runtime, async move {
        let timer = Timer::start(run.clock)?;
        let wire = Rc::new(wire);
        // It was made just now and nobody else has set it.
        let _ = wire.timer.set(timer.clone());
        let desk = Rc::new(Desk {
            wire,
            timer,
            recorder: RefCell::new(recorder),
            wakers: RefCell::default(),
            budget: Budget::share(run.most_iterations, run.seats.len(), index, of),
            stopping: Cell::new(false),
            alive: Cell::new(0),
            all_gone: RefCell::default(),
            died: Cell::new(false),
            run: WorkerRun::new(run),
        });
        // The clock reads 0 until its zero has come: nobody may start before it.
        tokio::time::sleep_until(desk.run.clock.instant(0).into()).await;
        let watch = tokio::task::spawn_local(watch(Rc::clone(&desk), index));
        // The end may have been asked for before the load began.
        if !stop.is_asked() {
            seat_users(&desk, index, of);
        }
        run_to_end(&desk, stop).await;
        watch.abort();
        let _ = watch.await;
        let last = desk.run.clock.now() / SECOND;
        if desk.died.get() {
            return Err(io::Error::other("a virtual user died of an error of its own"));
        }
        if let Ok(desk) = Rc::try_unwrap(desk) {
            let mut recorder = desk.recorder.into_inner();
            recorder.interval().transport.add(&desk.wire.facts.take());
            recorder.finish(last);
        }
        Ok(())
    })
}

fn seat_users(desk: &Rc<Desk>, index: usize, of: usize) {
    match &desk.run.profile.load {
        Load::Closed(stages) => {
            for user in (index..desk.run.seats.len()).step_by(of) {
                let windows = closed::windows(stages, user);
                if !windows.is_empty() {
                    desk.alive.set(desk.alive.get() + 1);
                    tokio::task::spawn_local(closed_user(Rc::clone(desk), user, windows));
                }
            }
        }
        Load::Open { .. } => {
            desk.alive.set(desk.alive.get() + 1);
            tokio::task::spawn_local(dispatch(Rc::clone(desk), index, of));
        }
    }
}

/// Waits until all users are gone; cuts what is left when the grace is over or the run is interrupted.
async fn run_to_end(desk: &Rc<Desk>, stop: &Stop) {
    let end = desk.run.profile.load.duration_ns();
    let cut_at = end.saturating_add(desk.run.profile.graceful_stop_ns);
    let clock = desk.run.clock;
    loop {
        let next = clock.now() + HEARTBEAT;
        // After the cut its moment lies in the past: waiting for it would never let the users go.
        let next = if desk.wire.cut.get() { next } else { next.min(cut_at) };
        let mut tick = pin!(desk.timer.sleep_until(next));
        let gone = poll_fn(|cx| {
            if desk.alive.get() == 0 {
                return Poll::Ready(true);
            }
            *desk.all_gone.borrow_mut() = Some(cx.waker().clone());
            tick.as_mut().poll(cx).map(|()| false)
        })
        .await;
        if gone {
            return;
        }
        let now = clock.now();
        if now >= end && !desk.stopping.replace(true) {
            desk.wake_all();
        }
        let is_asked = stop.is_asked() || desk.run.ended_by.get().is_some() || desk.died.get();
        if (now >= cut_at || is_asked) && !desk.wire.cut.replace(true) {
            desk.stopping.set(true);
            desk.wake_all();
        }
    }
}

/// A user of a closed load: plays iteration after iteration inside its windows.
async fn closed_user(desk: Rc<Desk>, index: usize, windows: Vec<(Nanos, Nanos)>) {
    let presence = Presence::new(&desk);
    desk.remember_waker().await;
    let seat = desk.run.seats[index];
    let mut user = VirtualUser::new(Rc::clone(&desk.run), seat.journey, index as u32, seat.account);
    let mut client = UserClient::new(desk.run.program.targets.len());
    let mut free_at = 0;
    let mut has_quit = false;
    for (start, stop) in windows {
        if has_quit || !desk.sleep(start, None).await {
            break;
        }
        desk.enter();
        // A user that was still finishing its window before starts when it is free: its own thinking is no lateness.
        let mut due = start.max(free_at);
        while due < stop && !desk.stopping.get() && desk.budget.take() {
            // An iteration that ends without ever waiting (no descriptor left) must not keep all others from their turn.
            tokio::task::consume_budget().await;
            desk.recorder.borrow_mut().asked_and_started();
            match iterate(&desk, &mut user, &mut client, due).await {
                Some(Played::Over(next)) => due = next,
                Some(Played::Quit) => {
                    has_quit = true;
                    break;
                }
                None => break,
            }
            // The pause after a failure; think times are inside the iteration.
            if desk.is_ahead(due) && !desk.sleep(due.min(stop), Some(&mut client)).await {
                break;
            }
        }
        leave(&desk, &mut user, &mut client).await;
        desk.exit();
        free_at = desk.run.clock.now();
    }
    presence.over();
}

/// How an iteration ended.
enum Played {
    /// The next one is due then.
    Over(Nanos),
    /// The user wants to go.
    Quit,
}

/// Plays one iteration; `None` when the run was cut.
async fn iterate(desk: &Desk, user: &mut VirtualUser, client: &mut UserClient, due: Nanos) -> Option<Played> {
    let fresh = user.fresh();
    if fresh.connections {
        client.part().await;
        hear(desk, user, client);
    }
    if fresh.cookies {
        client.forget();
    }
    let effect = desk.step(user, Input::Begin(due));
    match perform(desk, user, client, effect).await {
        Some(Effect::IterationOver(next)) => Some(Played::Over(next)),
        Some(Effect::Quit) => Some(Played::Quit),
        _ => None,
    }
}

/// Plays `after`, and resets the client: whoever sits down here next is a new person.
async fn leave(desk: &Desk, user: &mut VirtualUser, client: &mut UserClient) {
    if !desk.wire.cut.get() {
        let effect = desk.step(user, Input::Leave);
        perform(desk, user, client, effect).await;
    }
    client.part().await;
    client.forget();
    hear(desk, user, client);
}

/// Tells of bytes that came without having been asked for.
fn hear(desk: &Desk, user: &mut VirtualUser, client: &mut UserClient) {
    for stray in client.strays.drain(..) {
        user.hear(desk.run.clock.now(), &stray, &mut desk.recorder.borrow_mut());
    }
}

/// Does what the user wants done until its iteration is over or it is gone; `None` when the run was cut.
async fn perform(desk: &Desk, user: &mut VirtualUser, client: &mut UserClient, first: Effect) -> Option<Effect> {
    let mut effect = first;
    loop {
        if user.forgets() {
            client.forget();
        }
        effect = match effect {
            Effect::IterationOver(_) | Effect::Gone | Effect::Quit => {
                client.drop_socket(GiveUp::Close);
                return Some(effect);
            }
            // Said to a branch only, which takes them itself.
            Effect::Others | Effect::Again(_) | Effect::Resend(_) => return None,
            Effect::Wait(until) => {
                if !desk.think(until, user, client).await {
                    user.cut(&mut desk.recorder.borrow_mut());
                    return None;
                }
                hear(desk, user, client);
                desk.step(user, Input::Wake)
            }
            Effect::Meet(meeting) => {
                let Some(release) = meeting::meet(desk, user, client, meeting).await else {
                    user.cut(&mut desk.recorder.borrow_mut());
                    return None;
                };
                hear(desk, user, client);
                desk.step(user, Input::Met(meeting, release))
            }
            Effect::SendAll(due) => together::send_all(desk, user, client, due).await?,
            Effect::Send(due) => {
                if let Some(kind) = user.outgoing.orders.stranger {
                    send_beside(&desk.wire, user.outgoing.target, kind);
                }
                let received = match user.outgoing.upgrade {
                    None if client.has_socket() => Box::pin(beside::exchange(desk, user, client, due)).await,
                    None => client.exchange(&desk.wire, &mut user.outgoing, due).await,
                    Some(heartbeat) => Box::pin(client.open(&desk.wire, &mut user.outgoing, due, heartbeat)).await,
                };
                hear(desk, user, client);
                let is_cut = received.answer().ending == Ending::Cut;
                let next = if is_cut {
                    user.cut_in_flight(&received.answer(), &mut desk.recorder.borrow_mut());
                    None
                } else {
                    Some(desk.step(user, Input::Answer(&received.answer())))
                };
                received.recycle(&desk.wire);
                next?
            }
            Effect::Socket(order) => {
                let message = user.message.take();
                let hear = |news: &News| user.hear_unasked(news, &mut desk.recorder.borrow_mut());
                let news = client.socket(&desk.wire, order, message, hear).await;
                if news == News::Cut {
                    user.cut(&mut desk.recorder.borrow_mut());
                    return None;
                }
                desk.step(user, Input::Socket(&news))
            }
        };
    }
}

/// A user of an open load that waits for its next arrival.
#[derive(Default)]
struct Waiting {
    due: Cell<Option<Nanos>>,
    waker: RefCell<Option<Waker>>,
}

/// The open load's part of a worker.
struct Door {
    floor: RefCell<Floor>,
    /// By user index; made at the user's first arrival.
    waiting: RefCell<HashMap<usize, Rc<Waiting>>>,
}

/// Hands the arrivals of an open load to free users; an arrival that finds none is dropped and counted.
async fn dispatch(desk: Rc<Desk>, index: usize, of: usize) {
    let presence = Presence::new(&desk);
    desk.remember_waker().await;
    let run = Rc::clone(&desk.run);
    let Load::Open { stages, spacing, .. } = &run.profile.load else {
        return presence.over();
    };
    let floor = Floor::new(&run.seats, run.program.journeys.len(), index, of);
    let door = Rc::new(Door { floor: RefCell::new(floor), waiting: RefCell::default() });
    let most = run.most_iterations.unwrap_or(u64::MAX);
    let load = (stages.as_slice(), *spacing, run.seed);
    for (due, journey) in own_first_arrivals(&run.program, &run.seats, load, most, index, of) {
        if !desk.sleep(due, None).await {
            break;
        }
        arrive(&desk, &door, journey, due);
    }
    desk.stopping.set(true);
    desk.wake_all();
    presence.over();
}

fn arrive(desk: &Rc<Desk>, door: &Rc<Door>, journey: usize, due: Nanos) {
    let late = desk.run.clock.now().saturating_sub(due);
    let taken = door.floor.borrow_mut().take(journey);
    desk.recorder.borrow_mut().arrival(due, taken.is_some(), late <= LATE);
    match taken {
        None => {}
        Some(Taken::Idle(user)) => {
            if let Some(waiting) = door.waiting.borrow().get(&user) {
                waiting.due.set(Some(due));
                wake(waiting);
            }
        }
        Some(Taken::Fresh(user)) => {
            desk.alive.set(desk.alive.get() + 1);
            tokio::task::spawn_local(open_user(Rc::clone(desk), user, due, Rc::clone(door)));
        }
    }
}

fn wake(waiting: &Waiting) {
    if let Some(waker) = waiting.waker.borrow_mut().take() {
        waker.wake();
    }
}

/// A user of an open load: plays an iteration for each arrival it is given.
async fn open_user(desk: Rc<Desk>, index: usize, first: Nanos, door: Rc<Door>) {
    let presence = Presence::new(&desk);
    desk.remember_waker().await;
    desk.enter();
    let seat = desk.run.seats[index];
    let mut user = VirtualUser::new(Rc::clone(&desk.run), seat.journey, index as u32, seat.account);
    let mut client = UserClient::new(desk.run.program.targets.len());
    let waiting = Rc::new(Waiting { due: Cell::new(Some(first)), waker: RefCell::default() });
    door.waiting.borrow_mut().insert(index, Rc::clone(&waiting));
    while let Some(due) = next_arrival(&desk, &waiting, &mut client).await {
        match iterate(&desk, &mut user, &mut client, due).await {
            Some(Played::Over(next)) => {
                if desk.is_ahead(next) && !desk.pause(next, &mut client).await {
                    break;
                }
            }
            // The seat is free for the next person.
            Some(Played::Quit) => leave(&desk, &mut user, &mut client).await,
            None => break,
        }
        door.floor.borrow_mut().give_back(seat.journey, index);
    }
    leave(&desk, &mut user, &mut client).await;
    desk.exit();
    presence.over();
}

async fn next_arrival(desk: &Desk, waiting: &Waiting, client: &mut UserClient) -> Option<Nanos> {
    poll_fn(|cx| {
        if let Some(due) = waiting.due.take() {
            return Poll::Ready(Some(due));
        }
        if desk.stopping.get() || desk.wire.cut.get() {
            return Poll::Ready(None);
        }
        client.drive_idle(false, cx);
        *waiting.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    })
    .await
}

/// Turns the recorder at each full second and watches the worker itself.
async fn watch(desk: Rc<Desk>, index: usize) {
    let clock: Clock = desk.run.clock;
    let mut mark = Mark::now(&clock);
    let mut beat = clock.now();
    let mut gaps: Nanos = 0;
    let mut second = 0;
    loop {
        let next = (beat + HEARTBEAT).min((second + 1) * SECOND);
        desk.timer.sleep_until(next).await;
        let now = clock.now();
        let pause = now.saturating_sub(next);
        if pause >= GAP {
            gaps += pause;
        }
        beat = now;
        if now >= (second + 1) * SECOND {
            let here = Mark::now(&clock);
            let mut recorder = desk.recorder.borrow_mut();
            recorder.interval().workers.insert(index, mark.health(&here, gaps));
            recorder.interval().transport.add(&desk.wire.facts.take());
            second = now / SECOND;
            recorder.turn(second);
            mark = here;
            gaps = 0;
        }
    }
}

/// A reading of the worker's clocks.
struct Mark {
    wall: Nanos,
    cpu: Nanos,
    queue: Nanos,
}

impl Mark {
    fn now(clock: &Clock) -> Self {
        Self { wall: clock.now(), cpu: thread_cpu_ns(), queue: thread_queue_wait_ns() }
    }

    fn health(&self, later: &Self, gaps_ns: Nanos) -> WorkerHealth {
        let wall_ns = later.wall - self.wall;
        let cpu_ns = later.cpu.saturating_sub(self.cpu);
        WorkerHealth {
            wall_ns,
            cpu_ns,
            queue_wait_ns: later.queue.saturating_sub(self.queue),
            gaps_ns,
            busy_max: if wall_ns == 0 { 0.0 } else { cpu_ns as f64 / wall_ns as f64 },
        }
    }
}
