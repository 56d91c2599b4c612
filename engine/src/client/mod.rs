//! The HTTP client of one virtual user: its connections, polled in the user's own task.
//! In: a rendered request and its due time. Out: an answer with its four times, or a named failure.

pub mod answer;
pub mod connect;
pub mod cookies;
pub mod decode;
pub mod elsewhere;
pub mod events;
pub mod exchange;
pub mod facts;
pub mod framing;
pub mod handed;
pub mod hesitant;
mod lanes;
pub mod leaving;
pub mod network;
pub mod park;
pub mod reach;
pub mod received;
pub mod share;
mod shared;
pub mod slow;
pub mod socket;
pub mod stranger;
pub mod tail;
mod talk;
pub mod tls;
pub mod two;
pub mod unfold;
pub mod wire;
