//! The load: who plays what, when users start and stop, when iterations arrive. Pure functions of profile and index.
//! In: stages and mix of the program. Out: users, windows of activity (closed), arrival times (open).

pub mod arrivals;
pub mod budget;
pub mod closed;
pub mod cohorts;
pub mod deal;
pub mod floor;
