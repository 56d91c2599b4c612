//! The collector: merges what the workers hand over each second, stores it, shows it, folds it.
//! In: messages of workers. Out: journal lines, observer events, and the fold that becomes the run result.

use super::fold::{Fold, MOST_EXAMPLES};
use super::interval::Interval;
use super::journal::Journal;
use crate::run_result::{FailureRecord, LeakKey, LeakRecord, RunHeader};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// What a worker hands over.
#[derive(Debug)]
pub enum Message {
    /// A finished second.
    Interval(Box<Interval>),
    /// Evidence of a leak.
    Leak(LeakKey, Box<LeakRecord>),
    /// A sample of a failed request.
    Failure(FailureRecord),
    /// Nothing more will come.
    Done,
}

/// Messages that may wait; at most some seventy come from a worker in a second.
const QUEUE: usize = 8192;

/// A worker's end of the queue.
#[derive(Debug, Clone)]
pub struct Handover {
    sender: SyncSender<(usize, Message)>,
    worker: usize,
}

impl Handover {
    /// The end of worker `worker`.
    pub fn of(&self, worker: usize) -> Self {
        Self { sender: self.sender.clone(), worker }
    }

    /// What the worker leaves behind.
    pub fn last_word(self) -> LastWord {
        LastWord(self)
    }

    /// Hands over. Evidence gives way when the queue is full; counts never do.
    pub fn send(&self, message: Message) {
        // Full: evidence beyond the samples gives way. Disconnected: the collector is gone, and so is the run.
        if let Err(TrySendError::Full(message @ (_, Message::Interval(_) | Message::Done))) =
            self.sender.try_send((self.worker, message))
        {
            // Waiting shows up as a gap of the worker's loop, which is the truth.
            let _ = self.sender.send(message);
        }
    }
}

/// Says that nothing more will come, however its owner ends: the collector never waits for a worker that died.
#[derive(Debug)]
pub struct LastWord(Handover);

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.send(Message::Done);
    }
}

/// Makes the queue between workers and collector.
pub fn queue() -> (Handover, Receiver<(usize, Message)>) {
    let (sender, receiver) = sync_channel(QUEUE);
    (Handover { sender, worker: 0 }, receiver)
}

/// Sees what happens while a run goes. Called on the collector's thread; must not block for long.
pub trait Observer: Send {
    /// A run begins.
    fn begins(&mut self, header: &RunHeader) {
        let _ = header;
    }
    /// A second is complete.
    fn interval(&mut self, interval: &Interval) {
        let _ = interval;
    }
    /// The results folder can no longer be written; told once. The run goes on.
    fn not_stored(&mut self, why: &str) {
        let _ = why;
    }
    /// A leak was found.
    fn leak(&mut self, record: &LeakRecord) {
        let _ = record;
    }
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}

/// Samples of failures kept in a run, for each step and kind.
const MOST_FAILURES_PER_KIND: u32 = 20;

/// Collects until every worker is done.
pub fn collect(
    messages: &Receiver<(usize, Message)>,
    workers: usize,
    mut fold: Fold,
    journal: &mut Journal,
    observer: &mut dyn Observer,
) -> Fold {
    // By worker: the first second that it has not delivered.
    let mut delivered = vec![0; workers];
    let mut open: BTreeMap<u64, Interval> = BTreeMap::new();
    // Seconds before this one are stored.
    let mut closed = 0;
    let mut groups: HashMap<LeakKey, (usize, usize)> = HashMap::new();
    let mut failures: HashMap<(String, String, String), u32> = HashMap::new();
    while delivered.iter().any(|next| *next < u64::MAX) {
        let Ok((worker, message)) = messages.recv() else { break };
        match message {
            Message::Interval(part) => {
                // The watched series come from beside the workers: nothing waits for them.
                if let Some(next) = delivered.get_mut(worker) {
                    *next = (*next).max(part.second + 1);
                }
                // What comes too late counts with the second that is open now: nothing is lost, nothing comes twice.
                let second = part.second.max(closed);
                match open.entry(second) {
                    Entry::Occupied(mut sum) => sum.get_mut().add(&part),
                    Entry::Vacant(place) => {
                        place.insert(Interval { second, ..*part });
                    }
                }
            }
            Message::Leak(key, mut record) => {
                let number = groups.len();
                let (group, examples) = groups.entry(key.clone()).or_insert((number, 0));
                record.group = *group;
                if *examples < MOST_EXAMPLES {
                    *examples += 1;
                    journal.leak(&record);
                    observer.leak(&record);
                    fold.leak(&key, *record);
                }
            }
            Message::Failure(record) => {
                let kind = (record.journey.clone(), record.step.clone(), record.kind.clone());
                let seen = failures.entry(kind).or_default();
                *seen += 1;
                if *seen <= MOST_FAILURES_PER_KIND {
                    journal.failure(&record);
                }
            }
            Message::Done => {
                if let Some(next) = delivered.get_mut(worker) {
                    *next = u64::MAX;
                }
            }
        }
        // A second is complete when each worker still at work has delivered it, or when one lags two seconds behind.
        while let Some((&second, _)) = open.first_key_value() {
            let newest = *open.last_key_value().expect("it is not empty").0;
            if delivered.iter().any(|next| *next <= second) && newest < second + 2 {
                break;
            }
            if let Some((_, mut interval)) = open.pop_first() {
                closed = second + 1;
                interval.close();
                let was_stored = journal.errors().0 == 0;
                journal.interval(&interval);
                if let (true, (_, Some(why))) = (was_stored, journal.errors()) {
                    observer.not_stored(why);
                }
                observer.interval(&interval);
                fold.add(&interval);
            }
        }
    }
    for (_, mut interval) in open {
        interval.close();
        journal.interval(&interval);
        observer.interval(&interval);
        fold.add(&interval);
    }
    fold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_dies_is_not_waited_for() {
        // The other end stays open, as that of the watched series does.
        let (handover, messages) = queue();
        let last = handover.of(0).last_word();
        let worker = std::thread::spawn(move || {
            let _last = last;
            panic!("as an error of our own would");
        });
        assert!(worker.join().is_err());
        let mut delivered = messages.try_iter().map(|(worker, message)| (worker, matches!(message, Message::Done)));
        assert_eq!(delivered.next(), Some((0, true)));
        drop(handover);
    }
}
