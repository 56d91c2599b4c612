//! Rooms: who is connected where, and what is said there to whom.
//!
//! In: members that join and leave, texts for a room. Out: each member's queue, the counts for `/metrics`.
//! [`Defect::WrongRoom`](crate::Defect::WrongRoom) lives here.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::sync::mpsc;

/// Texts that wait for a member at most; one that reads too slowly misses what comes then.
const MOST_WAITING: usize = 256;

/// All rooms.
#[derive(Default)]
pub(crate) struct Rooms {
    table: Mutex<Table>,
    messages: AtomicU64,
    /// Whether the lists are cleaned as late as the faulty clinic does it.
    is_careless: bool,
}

/// Connections have numbers, and a room is a list of numbers.
#[derive(Default)]
struct Table {
    /// By number; a free place is taken again by the next who comes.
    connections: Vec<Option<mpsc::Sender<Arc<str>>>>,
    free: BTreeSet<usize>,
    rooms: HashMap<String, Vec<usize>>,
}

impl Rooms {
    pub(crate) fn new(is_careless: bool) -> Self {
        Rooms { is_careless, ..Rooms::default() }
    }

    /// Joins `room`; the membership ends when it is dropped.
    pub(crate) fn join(self: &Arc<Self>, room: &str) -> Membership {
        let (to, inbox) = mpsc::channel(MOST_WAITING);
        let mut table = self.lock();
        let number = match table.free.pop_first() {
            Some(number) => {
                table.connections[number] = Some(to);
                number
            }
            None => {
                table.connections.push(Some(to));
                table.connections.len() - 1
            }
        };
        let members = table.rooms.entry(room.to_owned()).or_default();
        if !members.contains(&number) {
            members.push(number);
        }
        Membership { rooms: self.clone(), room: room.to_owned(), number, inbox }
    }

    /// Says `text` to everybody in `room` but `except`; answers to how many.
    pub(crate) fn say(&self, room: &str, text: &str, except: Option<usize>) -> usize {
        let text: Arc<str> = text.into();
        let mut told = 0;
        let mut table = self.lock();
        let Table { connections, rooms, .. } = &mut *table;
        let Some(members) = rooms.get_mut(room) else {
            return 0;
        };
        // Whoever is gone is noticed when it is told something. The faulty clinic relies on that alone: by then the
        // number of somebody who left may belong to a person in another room, and the telling works.
        members.retain(|number| {
            if Some(*number) == except {
                return true;
            }
            let sent = connections[*number].as_ref().map(|to| to.try_send(text.clone()));
            told += usize::from(matches!(sent, Some(Ok(()))));
            !matches!(sent, None | Some(Err(mpsc::error::TrySendError::Closed(_))))
        });
        drop(table);
        self.messages.fetch_add(told as u64, Relaxed);
        told
    }

    /// Counts a text that came from a client, or went to one outside a room.
    pub(crate) fn count_message(&self) {
        self.messages.fetch_add(1, Relaxed);
    }

    /// Connections that are open, and texts to and fro so far.
    pub(crate) fn figures(&self) -> (usize, u64) {
        let table = self.lock();
        (table.connections.len() - table.free.len(), self.messages.load(Relaxed))
    }

    fn leave(&self, room: &str, number: usize) {
        let mut table = self.lock();
        table.connections[number] = None;
        table.free.insert(number);
        if self.is_careless {
            return;
        }
        if let Some(members) = table.rooms.get_mut(room) {
            members.retain(|member| *member != number);
            if members.is_empty() {
                table.rooms.remove(room);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection in one room.
pub(crate) struct Membership {
    rooms: Arc<Rooms>,
    room: String,
    number: usize,
    /// What is said to it.
    pub(crate) inbox: mpsc::Receiver<Arc<str>>,
}

impl Membership {
    /// Says `text` to the others in the room; answers to how many.
    pub(crate) fn say(&self, text: &str) -> usize {
        self.rooms.say(&self.room, text, Some(self.number))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.rooms.leave(&self.room, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hears(member: &mut Membership) -> Vec<String> {
        std::iter::from_fn(|| member.inbox.try_recv().ok()).map(|text| text.to_string()).collect()
    }

    #[test]
    fn the_others_in_the_room_hear_it_and_nobody_else() {
        let rooms = Arc::new(Rooms::new(false));
        let (mut a, mut b, mut c) = (rooms.join("blue"), rooms.join("blue"), rooms.join("red"));
        assert_eq!(a.say("hello"), 1);
        assert_eq!((hears(&mut a), hears(&mut b), hears(&mut c)), (vec![], vec!["hello".to_owned()], vec![]));
        assert_eq!(rooms.figures(), (3, 1));
        drop(b);
        let mut d = rooms.join("red");
        assert_eq!(a.say("still there?"), 0);
        assert!(hears(&mut d).is_empty());
        drop((a, c, d));
        assert_eq!(rooms.figures().0, 0);
        assert!(rooms.lock().rooms.is_empty(), "empty rooms are forgotten");
    }

    #[test]
    fn the_careless_clinic_tells_whoever_took_the_number() {
        let rooms = Arc::new(Rooms::new(true));
        let (a, b) = (rooms.join("blue"), rooms.join("blue"));
        drop(b);
        let mut stranger = rooms.join("red");
        a.say("for blue only");
        assert_eq!(hears(&mut stranger), ["for blue only"]);
    }

    #[test]
    fn alone_even_the_careless_clinic_crosses_nothing() {
        let rooms = Arc::new(Rooms::new(true));
        for _ in 0..10 {
            let mut alone = rooms.join("own");
            assert_eq!(alone.say("hello"), 0);
            assert!(hears(&mut alone).is_empty());
        }
    }
}
