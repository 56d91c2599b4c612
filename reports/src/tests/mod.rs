//! Tests of the crate: one table or truth a file.

#![allow(clippy::unwrap_used, clippy::too_many_lines)] // a failed unwrap is a failed test; a table is as long as its cases

mod canary;
mod capacity;
mod containment;
mod judging;
mod ladder;
mod limits;
mod outputs;
mod statistics;
mod streams;
mod suites;
mod watched;
mod weighing;
mod windows;
