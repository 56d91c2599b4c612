//! Sends the branches of a `parallel` at one time and hears them all, in the user's own task.
//! In: a user that wants several requests sent. Out: what it wants done when the last of them has ended.

use super::Desk;
use crate::client::answer::Ending;
use crate::client::exchange::UserClient;
use crate::client::socket::Aside;
use crate::client::stranger::send_beside;
use crate::clock::Nanos;
use crate::user::{Effect, Input, VirtualUser};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Plays all branches to their end; `None` when the run was cut.
pub(super) async fn send_all(
    desk: &Desk,
    user: &mut VirtualUser,
    client: &mut UserClient,
    due: Nanos,
) -> Option<Effect> {
    let out = user.branches_out();
    let mut lanes = client.take_lanes(out.len().saturating_sub(1));
    let mut socket = Aside::of(client);
    let shared = RefCell::new(user);
    let clients = std::iter::once(&mut *client).chain(&mut lanes);
    let branches = out.iter().zip(clients).map(|(number, lane)| branch(desk, &shared, lane, *number, due));
    let ends = all(branches.map(Box::pin).collect(), |cx| {
        socket.poll(&desk.wire, cx, |news| shared.borrow_mut().hear_unasked(news, &mut desk.recorder.borrow_mut()));
    })
    .await;
    client.keep_lanes(lanes);
    socket.back(client);
    let user = shared.into_inner();
    let next = ends.into_iter().flatten().find(|effect| *effect != Effect::Others);
    if next.is_none() {
        user.cut(&mut desk.recorder.borrow_mut());
    }
    next
}

/// One branch on its own connections; `None` when the run was cut.
async fn branch(
    desk: &Desk,
    user: &RefCell<&mut VirtualUser>,
    client: &mut UserClient,
    number: usize,
    due: Nanos,
) -> Option<Effect> {
    let mut due = due;
    loop {
        // Out of its place while it is under way: the other branches need the user meanwhile.
        let mut request = std::mem::take(user.borrow_mut().branch(number));
        if let Some(kind) = request.orders.stranger {
            send_beside(&desk.wire, request.target, kind);
        }
        let received = client.exchange(&desk.wire, &mut request, due).await;
        *user.borrow_mut().branch(number) = request;
        let effect = if received.answer().ending == Ending::Cut {
            user.borrow_mut().cut_branch(number, &received.answer(), &mut desk.recorder.borrow_mut());
            None
        } else {
            Some(desk.step(&mut user.borrow_mut(), Input::Branch(number, &received.answer())))
        };
        received.recycle(&desk.wire);
        let at = match effect? {
            Effect::Again(at) => at,
            Effect::Resend(at) => {
                due = at;
                continue;
            }
            other => return Some(other),
        };
        if !desk.sleep(at, Some(client)).await {
            return None;
        }
        let effect = desk.step(&mut user.borrow_mut(), Input::BranchDue(number));
        let Effect::Resend(at) = effect else {
            return Some(effect);
        };
        due = at;
    }
}

/// Drives all futures in this task until the last is ready, and `beside` with them.
async fn all<F: Future>(mut futures: Vec<Pin<Box<F>>>, mut beside: impl FnMut(&mut Context<'_>)) -> Vec<F::Output> {
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut is_pending = false;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(ready) => *output = Some(ready),
                    Poll::Pending => is_pending = true,
                }
            }
        }
        beside(cx);
        if is_pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    outputs.into_iter().flatten().collect()
}
