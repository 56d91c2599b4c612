//! Which variables are there when they are read: over `before`, `steps` and `after`, through branches and loops.
//! In: a compiled journey and where its variables are read. Out: an error for a variable that nothing can have set by
//! then, a warning for one that is set on some of the ways there only.
//!
//! An iteration is looked at as the first one, so that what only an earlier iteration leaves behind does not count: a
//! journey must be right from its start. A loop may run no round, but for `repeat` with a number written out.

use super::trail::Read;
use crate::diagnostic::Diagnostic;
use crate::expr::{Expr, Slot};
use crate::program::{Journey, Op, Pc, Program, Request};
use crate::streams::{Socket, SocketOp};
use crate::value::Value;
use std::collections::BTreeMap;

/// Most words of sets that are kept for one journey; a larger one is not looked at. 64 MiB.
const MOST_WORDS: usize = 8 << 20;

/// A set of variables.
#[derive(Clone, Debug, PartialEq)]
struct Set(Vec<u64>);

impl Set {
    fn new(slots: usize) -> Self {
        Self(vec![0; slots.div_ceil(64)])
    }

    fn add(&mut self, slot: Slot) {
        if let Some(word) = self.0.get_mut(usize::from(slot) / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    fn has(&self, slot: Slot) -> bool {
        self.0.get(usize::from(slot) / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }
}

/// What is there at one place of a journey.
#[derive(Clone, Debug, PartialEq)]
struct State {
    /// Set on every way there.
    always: Set,
    /// Set on some way there.
    ever: Set,
}

impl State {
    fn new(slots: usize) -> Self {
        Self { always: Set::new(slots), ever: Set::new(slots) }
    }

    fn add(&mut self, slot: Slot) {
        self.always.add(slot);
        self.ever.add(slot);
    }

    /// Another way to the same place.
    fn meet(&mut self, other: &Self) -> bool {
        let before = self.clone();
        self.always.0.iter_mut().zip(&other.always.0).for_each(|(a, b)| *a &= b);
        self.ever.0.iter_mut().zip(&other.ever.0).for_each(|(a, b)| *a |= b);
        *self != before
    }
}

/// A journey with what is known of each of its operations; `None` for those that nothing leads to.
struct Flow<'a> {
    journey: &'a Journey,
    requests: &'a [Request],
    sockets: &'a [Socket],
    reads: BTreeMap<usize, Vec<&'a Read>>,
    states: Vec<Option<State>>,
    waiting: Vec<usize>,
    /// What is there when `steps` start.
    ready: State,
}

/// What is read before it is set.
pub(super) fn check(journey: &Journey, program: &Program, reads: &[Read]) -> Vec<Diagnostic> {
    let (requests, sockets) = (&program.requests, &program.sockets);
    let mut state = State::new(journey.slots);
    journey.flow.given.iter().for_each(|(slot, _)| state.add(*slot));
    if reads.is_empty() || journey.ops.len().saturating_mul(state.ever.0.len()) > MOST_WORDS {
        return Vec::new();
    }
    let mut at: BTreeMap<usize, Vec<&Read>> = BTreeMap::new();
    reads.iter().for_each(|read| at.entry(read.op).or_default().push(read));
    let states = vec![None; journey.ops.len()];
    let mut flow = Flow { journey, requests, sockets, reads: at, states, waiting: Vec::new(), ready: state.clone() };
    flow.play(journey.before, state);
    flow.ready = flow.end_of(journey.before, journey.steps).unwrap_or_else(|| State::new(journey.slots));
    let ready = flow.ready.clone();
    flow.play(journey.steps, ready.clone());
    // A user may go after any number of iterations, and an iteration may be given up anywhere.
    let mut leaving = ready;
    let always = leaving.always.clone();
    for state in flow.states[journey.steps as usize..journey.after as usize].iter().flatten() {
        leaving.meet(state);
    }
    leaving.always = always;
    flow.play(journey.after, leaving);
    flow.mistakes()
}

impl Flow<'_> {
    /// Follows every way from `entry` on until nothing new is learnt.
    fn play(&mut self, entry: Pc, state: State) {
        self.arrive(entry, state);
        while let Some(pc) = self.waiting.pop() {
            let Some(state) = self.states[pc].clone() else {
                continue;
            };
            self.leave(pc, state);
        }
    }

    fn arrive(&mut self, pc: Pc, state: State) {
        let Some(known) = self.states.get_mut(pc as usize) else {
            return;
        };
        let is_new = match known {
            Some(known) => known.meet(&state),
            None => {
                *known = Some(state);
                true
            }
        };
        if is_new {
            self.waiting.push(pc as usize);
        }
    }

    /// What the operation at `pc` makes of the state, and where it leads.
    fn leave(&mut self, pc: usize, mut state: State) {
        // One mistake is said once: whoever reads it again behind this place has nothing to add.
        for read in self.reads.get(&pc).into_iter().flatten() {
            state.add(read.slot);
        }
        let next = pc as Pc + 1;
        match &self.journey.ops[pc] {
            Op::Jump(to) => self.arrive(*to, state),
            Op::JumpUnless { condition, to } => {
                let unless = with(&state, condition, false);
                self.arrive(*to, unless);
                self.arrive(next, with(&state, condition, true));
            }
            Op::Count { times, .. } => {
                let runs = matches!(times.as_constant(), Some(Value::Int(1..)));
                let skip = u32::from(runs && matches!(self.journey.ops.get(next as usize), Some(Op::Round { .. })));
                self.arrive(next + skip, state);
            }
            Op::Round { done, .. } => {
                self.arrive(*done, state.clone());
                self.arrive(next, state);
            }
            Op::Choose(branches) => {
                for (_, to) in branches.iter().filter(|(weight, _)| *weight > 0) {
                    self.arrive(*to, state.clone());
                }
            }
            Op::End | Op::Stop(_) => {}
            Op::SwitchAccount => self.arrive(next, self.ready.clone()),
            Op::Request(number) => {
                self.save(*number, &mut state);
                self.arrive(next, state);
            }
            Op::Parallel(numbers) => {
                numbers.iter().for_each(|number| self.save(*number, &mut state));
                self.arrive(next, state);
            }
            Op::Set { slot, .. } => {
                state.add(*slot);
                self.arrive(next, state);
            }
            Op::Next { slot, done, .. } => {
                self.arrive(*done, state.clone());
                state.add(*slot);
                self.arrive(next, state);
            }
            Op::Socket(op) => self.socket(op, next, state),
            Op::Think(_)
            | Op::Meet(_)
            | Op::GroupStart(_)
            | Op::GroupEnd(_)
            | Op::Each { .. }
            | Op::Log(_)
            | Op::Join(_)
            | Op::Leave(_) => self.arrive(next, state),
        }
    }

    /// A request that may fail and go on leaves its variables as they were.
    fn save(&self, number: usize, state: &mut State) {
        let request = &self.requests[number];
        for save in &request.saves {
            state.ever.add(save.slot);
            if !request.continue_on_failure {
                state.always.add(save.slot);
            }
        }
    }

    /// A socket that cannot be opened and need not be is left out with its steps.
    fn socket(&mut self, op: &SocketOp, next: Pc, mut state: State) {
        match op {
            SocketOp::Open(number) => {
                let socket = &self.sockets[*number];
                if self.requests[socket.request].continue_on_failure {
                    self.arrive(socket.after, state.clone());
                }
            }
            SocketOp::Receive(receive) => receive.saves.iter().for_each(|save| state.add(save.slot)),
            SocketOp::Send(_) | SocketOp::Close(_) | SocketOp::End => {}
        }
        self.arrive(next, state);
    }

    /// What is there at the end of the section from `start` to before `end`.
    fn end_of(&self, start: Pc, end: Pc) -> Option<State> {
        let ops = self.journey.ops.iter().enumerate().take(end as usize).skip(start as usize);
        let ends = ops.filter(|(_, op)| matches!(op, Op::End)).filter_map(|(pc, _)| self.states[pc].as_ref());
        ends.cloned().reduce(|mut all, state| {
            all.meet(&state);
            all
        })
    }

    fn mistakes(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for (pc, reads) in &self.reads {
            let Some(state) = &self.states[*pc] else {
                continue;
            };
            let mut said: Vec<Slot> = Vec::new();
            for read in reads {
                if !state.always.has(read.slot) && !said.contains(&read.slot) {
                    said.push(read.slot);
                    found.push(self.mistake(read, state.ever.has(read.slot)));
                }
            }
        }
        found
    }

    fn mistake(&self, read: &Read, sometimes: bool) -> Diagnostic {
        let name = self.journey.slot_names.get(usize::from(read.slot)).map_or("", String::as_str);
        let journey = &self.journey.name;
        if sometimes {
            let message = format!("journey `{journey}` does not set `{name}` on every way to this place");
            return Diagnostic::warning("maybe-unset", read.span, message)
                .help(format!("give it a first value with `set`, or read it only under `if: {name} != null`"))
                .note("a variable that is not set is null");
        }
        let message = format!("journey `{journey}` has not set `{name}` by the time it is read here");
        Diagnostic::error("unset-variable", read.span, message)
            .help(format!("set or save `{name}` in an earlier step or in `before`"))
            .note("a variable that is not set is null")
    }
}

/// The state where `condition` gave `outcome`.
fn with(state: &State, condition: &Expr, outcome: bool) -> State {
    let mut state = state.clone();
    condition.holds(outcome).into_iter().for_each(|slot| state.add(slot));
    state
}
