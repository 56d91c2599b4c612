//! The collector: merges what the workers hand over each second, stores it, shows it, folds it.
//! In: messages of workers. Out: journal lines, observer events, and the fold that becomes the run result.

use super::fold::{Fold, MOST_EXAMPLES};
use super::interval::Interval;
use super::journal::Journal;
use crate::run_result::{FailureRecord, LeakKey, LeakRecord};
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
    sender: SyncSender<Message>,
}

impl Handover {
    /// Hands over. Evidence gives way when the queue is full; counts never do.
    pub fn send(&self, message: Message) {
        // Full: evidence beyond the samples gives way. Disconnected: the collector is gone, and so is the run.
        if let Err(TrySendError::Full(message @ (Message::Interval(_) | Message::Done))) = self.sender.try_send(message)
        {
            // Waiting shows up as a gap of the worker's loop, which is the truth.
            let _ = self.sender.send(message);
        }
    }
}

/// Makes the queue between workers and collector.
pub fn queue() -> (Handover, Receiver<Message>) {
    let (sender, receiver) = sync_channel(QUEUE);
    (Handover { sender }, receiver)
}

/// Sees what happens while a run goes. Called on the collector's thread; must not block for long.
pub trait Observer: Send {
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
    messages: &Receiver<Message>,
    workers: usize,
    mut fold: Fold,
    journal: &mut Journal,
    observer: &mut dyn Observer,
) -> Fold {
    let mut active = workers;
    let mut open: BTreeMap<u64, (Interval, usize)> = BTreeMap::new();
    let mut groups: HashMap<LeakKey, (usize, usize)> = HashMap::new();
    let mut failures: HashMap<(String, String, String), u32> = HashMap::new();
    while active > 0 {
        let Ok(message) = messages.recv() else { break };
        match message {
            Message::Interval(part) => {
                let (sum, parts) = open.entry(part.second).or_insert_with(|| (Interval::default(), 0));
                if *parts == 0 {
                    *sum = *part;
                } else {
                    sum.add(&part);
                }
                *parts += 1;
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
            Message::Done => active -= 1,
        }
        // A second is complete when each worker still at work has delivered it, or when one lags two seconds behind.
        while let Some((&second, (_, parts))) = open.first_key_value() {
            let newest = *open.last_key_value().expect("it is not empty").0;
            if *parts < active && newest < second + 2 && active > 0 {
                break;
            }
            if let Some((_, (mut interval, _))) = open.pop_first() {
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
    for (_, (mut interval, _)) in open {
        interval.close();
        journal.interval(&interval);
        observer.interval(&interval);
        fold.add(&interval);
    }
    fold
}
