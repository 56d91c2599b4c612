//! Exchanges of a user whose WebSocket is open: what comes over it meanwhile is heard when it comes, pings are answered,
//! heartbeats leave on time. Who has no WebSocket does not come here.
//! In: a request to be sent. Out: what came of it; news of the WebSocket to the user.

use super::Desk;
use crate::client::answer::Outgoing;
use crate::client::exchange::UserClient;
use crate::client::received::Received;
use crate::client::socket::Aside;
use crate::clock::Nanos;
use crate::user::VirtualUser;
use bytes::Bytes;
use std::future::{Future, poll_fn};
use std::pin::pin;

/// As [`UserClient::exchange`] of the user's request.
pub(super) async fn exchange(desk: &Desk, user: &mut VirtualUser, client: &mut UserClient, due: Nanos) -> Received {
    let stays = sent_with(&user.outgoing);
    let mut request = std::mem::replace(&mut user.outgoing, stays);
    let mut socket = Aside::of(client);
    let received = {
        let mut exchange = pin!(client.exchange(&desk.wire, &mut request, due));
        poll_fn(|cx| {
            // The answer first: a target that talks without end uses up the turn.
            let received = exchange.as_mut().poll(cx);
            socket.poll(&desk.wire, cx, |news| user.hear_unasked(news, &mut desk.recorder.borrow_mut()));
            received
        })
        .await
    };
    socket.back(client);
    user.outgoing = request;
    received
}

/// What stays with the user while the request is under way: what a message that repeats it must not be blamed for.
fn sent_with(out: &Outgoing) -> Outgoing {
    Outgoing {
        request: out.request,
        target: out.target,
        uri: out.uri.clone(),
        sent_body: match &out.hops {
            None => Bytes::copy_from_slice(&out.body),
            Some(hops) if hops.keeps_body => out.sent_body.clone(),
            Some(_) => Bytes::new(),
        },
        sent_headers: out.sent_headers.clone(),
        ..Outgoing::default()
    }
}
