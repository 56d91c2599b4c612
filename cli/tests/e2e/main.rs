//! End to end, through the binary: exit codes, files, counts, broken targets, killed runs, broken files.
//! Every result that any test reads passes [`laws::assert_laws`].
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod binary;
mod laws;
mod rate_limits;
mod replay;
mod scenario;
mod server;

mod aborts;
mod around;
mod broken_files;
mod canary;
mod check;
mod command_line;
mod counts;
mod demo;
mod detectors;
mod gates;
mod honesty;
mod hostile_targets;
mod init;
mod judged;
mod library;
mod secrets;
mod streams;
mod suites;
mod terminal;
mod trace;
mod transport;
mod unfinished;
mod whole;
