//! Waits for the other users of a meeting, who may be other workers'.
//! In: a user at a `rendezvous` or in a burst. Out: when it goes on with the others.

use super::Desk;
use crate::client::exchange::UserClient;
use crate::client::socket::News;
use crate::meetings::Release;
use crate::user::VirtualUser;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Waits for a round to be released; `None` when the run was cut. What comes over a WebSocket meanwhile is heard.
pub(super) async fn meet(
    desk: &Desk,
    user: &mut VirtualUser,
    client: &mut UserClient,
    meeting: usize,
) -> Option<Release> {
    let meetings = &desk.run.meetings;
    let round = user.take_round().unwrap_or_else(|| meetings.arrive(meeting, desk.run.clock.now()));
    let mut time = pin!(desk.timer.sleep_until(round.until));
    let mut waiting = pin!(poll_fn(|cx| {
        if meetings.watch(meeting, &round, cx.waker()).is_some() {
            return Poll::Ready(());
        }
        time.as_mut().poll(cx).map(|()| meetings.lapse(meeting, &round))
    }));
    loop {
        if client.has_socket() {
            match client.listen(&desk.wire, waiting.as_mut()).await {
                News::Cut => return None,
                News::Time(_) => return round.release(),
                news => user.hear_unasked(&news, &mut desk.recorder.borrow_mut()),
            }
            continue;
        }
        let is_long = desk.is_long(round.until);
        return poll_fn(|cx| {
            if desk.wire.cut.get() {
                return Poll::Ready(None);
            }
            client.drive_idle(is_long, cx);
            waiting.as_mut().poll(cx).map(|()| round.release())
        })
        .await;
    }
}
