//! End to end, through the binary: exit codes, files, counts, broken targets, killed runs, broken files.
//! Every result that any test reads passes [`laws::assert_laws`].
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "the support is for all end-to-end tests")]

mod binary;
mod laws;
mod scenario;
mod server;

mod aborts;
mod gates;
mod suites;
