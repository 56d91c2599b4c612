//! Requests of one user that are under way at one time: `parallel`. Each branch is a request of its own, with its
//! attempts, its sample and its failure; the step is over when the last of them has ended.
//! In: the branches' answers as they come. Out: where the user goes on.

use super::flow::Next;
use super::turn::Start;
use super::{Effect, VirtualUser};
use crate::client::answer::{Answer, Outgoing};
use crate::clock::Nanos;
use crate::record::Recorder;
use http::HeaderMap;

/// The branches of the step at hand.
#[derive(Debug, Default)]
pub(super) struct Together {
    /// Kept for the next time, with their buffers.
    branches: Vec<Branch>,
    /// Branches that have not ended.
    left: usize,
    /// The latest end so far.
    end: Nanos,
    /// A branch is being looked at: what it comes to is not yet what the step comes to.
    pub is_open: bool,
}

#[derive(Debug)]
struct Branch {
    /// Index into the program's requests.
    request: usize,
    outgoing: Outgoing,
    attempts: u32,
    /// Given up by a fault, and sent once more.
    reloads: bool,
    /// What the isolation check remembers of this request.
    memory: Memory,
    due: Nanos,
    /// Rendered, and to be sent.
    is_out: bool,
    /// Where it leads, once it has ended.
    next: Next,
}

/// What the isolation check remembers of one request until its answer comes.
#[derive(Debug, Default)]
struct Memory {
    /// The id that `echo` sent.
    echo: Option<String>,
    /// The first marker that it planted.
    write: Option<u16>,
    /// Its headers, where it may be repeated.
    headers: Option<HeaderMap>,
}

impl Together {
    /// How many requests of the user may be under way at one time.
    pub fn width(&self) -> u32 {
        if self.is_open { self.branches.len() as u32 } else { 1 }
    }
}

impl VirtualUser {
    /// The branches to be sent, after [`Effect::SendAll`].
    pub fn branches_out(&self) -> Vec<usize> {
        (0..self.together.branches.len()).filter(|i| self.together.branches[*i].is_out).collect()
    }

    /// The request of a branch, after [`Effect::SendAll`] and [`Effect::Resend`]. It has to be back in its place when
    /// its answer is handed over.
    pub fn branch(&mut self, number: usize) -> &mut Outgoing {
        &mut self.together.branches[number].outgoing
    }

    /// Starts all branches at one time.
    pub(super) fn parallel(&mut self, requests: &[usize], now: Nanos, recorder: &mut Recorder) -> Option<Effect> {
        let due = self.due;
        // What is left of a step that was cut or given up is of no use any more.
        let fresh = |outgoing| Branch {
            request: 0,
            outgoing,
            attempts: 0,
            reloads: false,
            memory: Memory::default(),
            due,
            is_out: false,
            next: Next::GoOn,
        };
        self.together.branches.truncate(requests.len());
        while self.together.branches.len() < requests.len() {
            self.together.branches.push(fresh(Outgoing::default()));
        }
        self.together.left = requests.len();
        self.together.end = due;
        for (number, request) in requests.iter().enumerate() {
            let branch = &mut self.together.branches[number];
            *branch = Branch { request: *request, ..fresh(std::mem::take(&mut branch.outgoing)) };
            self.start_branch(number, now, recorder);
        }
        self.due = due;
        if self.together.left == 0 { self.all_ended(recorder) } else { Some(Effect::SendAll(due)) }
    }

    /// Renders a branch that is due; one that cannot be rendered has ended.
    fn start_branch(&mut self, number: usize, now: Nanos, recorder: &mut Recorder) {
        let (request, due) = (self.together.branches[number].request, self.together.branches[number].due);
        self.swap_in(number);
        self.due = due;
        let start = self.prepare(request, now, recorder);
        let end = self.due;
        self.swap_out(number);
        let next = match start {
            Start::Ready | Start::Held(_) => {
                self.together.branches[number].is_out = true;
                return;
            }
            Start::Skipped => Next::GoOn,
            Start::Broken if self.run.program.requests[request].continue_on_failure => Next::GoOn,
            Start::Broken => Next::GiveUp,
        };
        self.branch_ended(number, end, next);
    }

    fn branch_ended(&mut self, number: usize, end: Nanos, next: Next) {
        self.together.branches[number].next = next;
        self.together.branches[number].is_out = false;
        self.together.end = self.together.end.max(end);
        self.together.left -= 1;
    }

    /// Takes in the answer of a branch. `None`: all have ended, go on with the next operation.
    pub(super) fn branch_answered(
        &mut self,
        number: usize,
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) -> Option<Effect> {
        match self.hear_branch(number, answer, recorder) {
            Next::Again(due) => {
                self.together.branches[number].due = due;
                self.together.branches[number].is_out = false;
                Some(Effect::Again(due))
            }
            // A redirect: the same sample goes on elsewhere.
            Next::Do(Effect::Send(due)) => Some(Effect::Resend(due)),
            next => {
                self.branch_ended(number, answer.times.done, next);
                self.others(recorder)
            }
        }
    }

    /// A branch that is to be made again is due.
    pub(super) fn branch_due(&mut self, number: usize, now: Nanos, recorder: &mut Recorder) -> Option<Effect> {
        self.start_branch(number, now, recorder);
        let branch = &self.together.branches[number];
        if branch.is_out { Some(Effect::Resend(branch.due)) } else { self.others(recorder) }
    }

    /// The run ended while this branch was in flight: it counts as unfinished, what came of it is scanned.
    /// [`VirtualUser::cut`] has to follow.
    pub fn cut_branch(&mut self, number: usize, answer: &Answer<'_>, recorder: &mut Recorder) {
        self.hear_branch(number, answer, recorder);
    }

    fn hear_branch(&mut self, number: usize, answer: &Answer<'_>, recorder: &mut Recorder) -> Next {
        // Whichever comes last: steps behind the `parallel` read of the last one in the file.
        let is_last = number + 1 == self.together.branches.len();
        let kept = if is_last { None } else { self.kept.take() };
        if kept.is_some() {
            self.kept = Some(Box::default());
        }
        let before = (self.last_status, self.last_latency_ns);
        let next = self.in_branch(number, |user| user.take_in(answer, recorder));
        if !is_last {
            (self.last_status, self.last_latency_ns) = before;
            self.kept = kept;
        }
        next
    }

    /// Looks at a branch as if it were the user's only request.
    pub(super) fn in_branch<T>(&mut self, number: usize, look: impl FnOnce(&mut Self) -> T) -> T {
        let due = self.due;
        self.swap_in(number);
        self.due = self.together.branches[number].due;
        let seen = look(self);
        self.swap_out(number);
        self.due = due;
        seen
    }

    fn others(&mut self, recorder: &mut Recorder) -> Option<Effect> {
        if self.together.left > 0 { Some(Effect::Others) } else { self.all_ended(recorder) }
    }

    /// The first failure, in the order of the file, decides as that of a single request.
    fn all_ended(&mut self, recorder: &mut Recorder) -> Option<Effect> {
        self.due = self.together.end;
        let failed = self.together.branches.iter().map(|b| b.next).find(|next| *next != Next::GoOn);
        let next = failed.unwrap_or(Next::GoOn);
        if next != Next::Before {
            self.flow.step_over();
        }
        self.go_on(next, recorder)
    }

    fn swap_in(&mut self, number: usize) {
        self.together.is_open = true;
        self.swap(number);
    }

    fn swap_out(&mut self, number: usize) {
        self.together.is_open = false;
        self.swap(number);
    }

    /// A branch's request and attempts take the place of the user's own, and back.
    fn swap(&mut self, number: usize) {
        let branch = &mut self.together.branches[number];
        std::mem::swap(&mut self.outgoing, &mut branch.outgoing);
        std::mem::swap(&mut self.flow.attempts, &mut branch.attempts);
        std::mem::swap(&mut self.flow.reloads, &mut branch.reloads);
        std::mem::swap(&mut self.echoes.at_hand, &mut branch.memory.echo);
        std::mem::swap(&mut self.writes.pending, &mut branch.memory.write);
        std::mem::swap(&mut self.stale.sending, &mut branch.memory.headers);
    }
}
