//! Connections that go from one user to another, as those of a proxy do that keeps a few to the server (the fault
//! `swap_connection`): whatever the target keeps with a connection meets somebody else then.
//! In: a request's orders, the user's idle connection. Out: one that another user has left, if there is one. A worker keeps
//! one for each target.

use super::answer::{Handed, Outgoing};
use super::connect::Connection;
use super::exchange::UserClient;
use super::framing;
use super::wire::Wire;
use std::cell::RefCell;
use std::task::{Context, Waker};

/// By target: a connection that was left, and whose it was.
#[derive(Debug, Default)]
pub struct Left(RefCell<Vec<Option<(u32, Connection)>>>);

impl Left {
    /// Puts `left` there; answers with what was there before.
    fn put(&self, target: usize, left: Option<(u32, Connection)>) -> Option<(u32, Connection)> {
        let mut all = self.0.borrow_mut();
        if all.len() <= target {
            all.resize_with(target + 1, || None);
        }
        std::mem::replace(&mut all[target], left)
    }
}

/// Over HTTP/2 a connection may have streams of its user's, and one that is shared is everybody's anyway. What is still
/// to be told of it is its user's.
fn may_go(connection: &Connection) -> bool {
    connection.is_usable() && !connection.is_two() && connection.left.is_empty() && connection.tails.is_empty()
}

impl UserClient {
    /// Takes the connection that somebody else has left, and leaves the own one instead.
    pub(super) fn swap(&mut self, wire: &Wire, out: &Outgoing, cx: &mut Context<'_>) {
        let (Some(me), None, target) = (out.orders.swaps, out.upgrade, out.target) else { return };
        if wire.pool(target).is_some() {
            return;
        }
        let theirs = match wire.left.put(target, None) {
            Some((by, left)) if by == me => {
                // Nobody else has come yet.
                wire.left.put(target, Some((by, left)));
                return;
            }
            theirs => theirs,
        };
        let own = &mut self.connections[target];
        if own.as_ref().is_some_and(|own| !may_go(own)) {
            wire.left.put(target, theirs);
            return;
        }
        if let Some(own) = own.take() {
            wire.left.put(target, Some((me, own)));
        }
        if let Some((by, mut connection)) = theirs {
            connection.drive(cx);
            if may_go(&connection) {
                connection.handed = Some(Handed { by, ordinal: connection.ordinal + 1 });
                self.connections[target] = Some(connection);
            } else {
                self.strays.extend(framing::remains(Some(connection)));
            }
        }
    }

    /// Leaves the connection of an exchange that is over to whoever swaps next.
    pub(super) fn leave(&mut self, wire: &Wire, target: usize, me: u32) {
        if wire.pool(target).is_none()
            && self.connections[target].as_ref().is_some_and(may_go)
            && let Some(own) = self.connections[target].take()
            && let Some((_, mut before)) = wire.left.put(target, Some((me, own)))
        {
            // What came on it meanwhile, which nobody has asked for, is looked at before it goes.
            before.drive(&mut Context::from_waker(Waker::noop()));
            self.strays.extend(framing::remains(Some(before)));
        }
    }
}
