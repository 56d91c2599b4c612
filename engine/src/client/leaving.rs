//! Giving an exchange up at a place of its answer, not at a time: before the head is read, in mid-body, in mid-stream.
//! In: a request's order, what has come of the answer. Out: whether the user has left.

use super::wire::Wire;
use crate::clock::Nanos;
use crate::faults::Leaving;
use crate::timer::Reminder;
use scenarios::faults::Place;
use std::task::Context;

/// A user that leaves at a place.
#[derive(Debug)]
pub struct Departure {
    place: Place,
    after: Nanos,
    /// When it leaves, once the place has come.
    at: Option<Nanos>,
    reminder: Reminder,
}

impl Departure {
    /// Of a request that is given up at a place; a message's is not the request's.
    pub fn of(leaving: Leaving) -> Option<Box<Self>> {
        let place = leaving.at.filter(|at| *at != Place::Message)?;
        Some(Box::new(Self { place, after: leaving.after, at: None, reminder: Reminder::default() }))
    }

    /// Whether whoever leaves there counts the time from sending.
    pub fn is_timed(place: Option<Place>) -> bool {
        matches!(place, None | Some(Place::Head))
    }

    /// The head is there, unread: whether the user has left.
    pub fn is_at_head(&self) -> bool {
        self.place == Place::Head
    }

    /// A piece of the body has come, and so many events; more is to follow.
    pub fn heard(&mut self, events: Option<usize>, now: Nanos) {
        let has_come = match self.place {
            Place::Body => true,
            Place::Stream => events.is_some_and(|n| n > 0),
            Place::Head | Place::Message => false,
        };
        if has_come && self.at.is_none() {
            self.at = Some(now.saturating_add(self.after));
        }
    }

    /// Whether the user has left by now; else the task is woken then.
    pub fn has_left(&mut self, wire: &Wire, cx: &Context<'_>) -> bool {
        let (Some(at), Some(timer)) = (self.at, wire.timer.get()) else {
            return false;
        };
        // At once needs no timer.
        at <= wire.clock.now() || timer.has_passed(at, &mut self.reminder, cx)
    }
}
