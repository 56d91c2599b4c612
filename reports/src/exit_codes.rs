//! The whole table of exit codes: the one place that knows it.
//!
//! | code | means |
//! |---|---|
//! | 0 | GO (warnings allowed) |
//! | 1 | NO-GO: an objective missed, an abort rule fired, or a proven leak |
//! | 2 | the command line or the scenario file is wrong; nothing was sent |
//! | 3 | INCONCLUSIVE: too little evidence, a required thing did not run, or the generator itself was the limit |
//! | 4 | could not run: target not reachable or not healthy, results folder not writable, internal error |
//! | 130 | interrupted (Ctrl-C, SIGTERM); what was measured is kept and reported, never as GO |
//!
//! Precedence: 130, then 1 by a leak, 4, 3 by a void generator, 1 by an objective, 3, 0.

use crate::verdict::{IsolationState, Outcome, ValidityState, Verdict};
use engine::run_result::{Ending, RunResult};

/// GO, warnings allowed.
pub const GO: u8 = 0;
/// An objective missed, an abort rule fired, or a proven leak.
pub const NO_GO: u8 = 1;
/// The command line or the scenario file is wrong; nothing was sent.
pub const WRONG_INPUT: u8 = 2;
/// Too little evidence, or evidence that cannot be trusted.
pub const INCONCLUSIVE: u8 = 3;
/// Could not run at all.
pub const COULD_NOT_RUN: u8 = 4;
/// Ctrl-C or SIGTERM.
pub const INTERRUPTED: u8 = 130;

/// Why a run ends as it does, the strongest first: the order is the precedence among several profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// A leak is proven.
    Leak,
    /// The profile could not run.
    CouldNotRun,
    /// The generator was the limit, the scanner failed its calibration, or nothing was sent.
    Void,
    /// An objective missed or an abort rule fired.
    Missed,
    /// Too little evidence.
    TooLittle,
    /// GO, warnings allowed.
    Go,
}

impl Cause {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Interrupted => INTERRUPTED,
            Self::Leak | Self::Missed => NO_GO,
            Self::CouldNotRun => COULD_NOT_RUN,
            Self::Void | Self::TooLittle => INCONCLUSIVE,
            Self::Go => GO,
        }
    }
}

/// Why this run ends as it does.
pub fn cause(verdict: &Verdict, result: &RunResult) -> Cause {
    if result.ending == Ending::Interrupted {
        return Cause::Interrupted;
    }
    if verdict.isolation.state == IsolationState::Leaking {
        return Cause::Leak;
    }
    let is_void = verdict.validity.state == ValidityState::Void
        || verdict.isolation.is_calibration_failed()
        || result.totals().sent() == 0;
    match verdict.outcome {
        Outcome::Inconclusive if is_void => Cause::Void,
        Outcome::Inconclusive => Cause::TooLittle,
        Outcome::NoGo => Cause::Missed,
        Outcome::Go | Outcome::GoWithWarnings => Cause::Go,
    }
}

/// The exit code of one run.
pub fn exit_code(verdict: &Verdict, result: &RunResult) -> u8 {
    cause(verdict, result).code()
}

/// The strongest cause of several profiles. No profile at all is no evidence.
pub fn combine(causes: impl IntoIterator<Item = Cause>) -> Cause {
    causes.into_iter().min().unwrap_or(Cause::TooLittle)
}
