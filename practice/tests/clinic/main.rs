//! The practice clinic from outside, over loopback: one test binary.
//!
//! Nothing here measures time. Where two things must happen at once, they are started at once
//! and the clinic's own answers say whether they met.

#![allow(clippy::unwrap_used, reason = "in a test, a panic with its line is the message")]

mod caller;
mod correctness;
mod counting;
mod leaks;
mod routes;
mod starting;
