//! Run result → verdict → report files. Everything here is a pure function of what was measured: no clock, no
//! environment, and rendering again gives the same bytes.
//! In: [`engine::run_result::RunResult`] and the objectives. Out: [`Verdict`], the files, the final words on screen,
//! and the exit code.

mod blocks;
pub mod canary;
pub mod capacity;
mod coverage;
pub mod exit_codes;
pub mod figures;
mod html;
mod judge;
mod junit;
mod laws;
mod moments;
mod phases;
mod result_json;
mod rows;
pub mod stats;
pub mod streams;
pub mod suite;
mod summary;
mod terminal;
mod trend;
pub mod verdict;
mod write;

#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod tests;

pub use exit_codes::exit_code;
pub use html::render_report;
pub use judge::judge;
pub use junit::render_junit;
pub use laws::broken_laws;
pub use result_json::render_result_json;
pub use rows::who;
pub use summary::{github_annotations, render_summary};
pub use terminal::terminal_summary;
pub use verdict::Verdict;
pub use write::{Written, write};
