//! Isolation over all profiles of a suite: opportunities add up, and so does what zero leaks are worth.
//! In: chapters. Out: [`SuiteIsolation`].

use super::Chapter;
use crate::figures::{count, counted, one_in};
use crate::verdict::IsolationState;

/// Isolation over all profiles.
#[derive(Clone, Debug, PartialEq)]
pub struct SuiteIsolation {
    /// Leaking if any profile is; intact if every profile that ran is.
    pub state: IsolationState,
    /// One sentence.
    pub statement: String,
    /// Proven leaks.
    pub leaks: u64,
    /// Suspects.
    pub suspects: u64,
    /// Answers in which a leak would have been seen, over the profiles that are intact or leaking.
    pub opportunities: u64,
    /// With 95 % confidence at most this share of the opportunities leaks; `None` if leaking or without opportunities.
    pub bound95: Option<f64>,
    /// Profile, state, statement.
    pub profiles: Vec<(String, IsolationState, String)>,
}

impl SuiteIsolation {
    pub(super) fn new(chapters: &[Chapter]) -> Self {
        let ran = || chapters.iter().filter_map(|c| c.run().map(|r| (c, &r.verdict.isolation)));
        let leaks = ran().map(|(_, i)| i.leaks).sum();
        let proven = ran().filter(|(_, i)| i.state != IsolationState::Unproven);
        let opportunities = proven.map(|(_, i)| i.opportunities).sum();
        let names = |state: IsolationState| -> Vec<&str> {
            ran().filter(|(_, i)| i.state == state).map(|(c, _)| c.name.as_str()).collect()
        };
        let (leaking, unproven) = (names(IsolationState::Leaking), names(IsolationState::Unproven));
        let state = if !leaking.is_empty() {
            IsolationState::Leaking
        } else if !unproven.is_empty() || ran().next().is_none() {
            IsolationState::Unproven
        } else {
            IsolationState::Intact
        };
        let bound95 = (leaks == 0 && opportunities > 0).then(|| (3.0 / opportunities as f64).min(1.0));
        let answers = counted(opportunities, "opportunity").replace("opportunitys", "opportunities");
        let statement = match state {
            IsolationState::Leaking => {
                format!("Data leaked {} in {}", times(leaks), leaking.join(", "))
            }
            IsolationState::Unproven if unproven.is_empty() => "Isolation is unproven: no profile ran".into(),
            IsolationState::Unproven => format!("Isolation is unproven in {}", unproven.join(", ")),
            IsolationState::Intact => format!(
                "No user received another user's data in {answers} over {}{}",
                counted(ran().count() as u64, "profile"),
                bound95.map_or_else(String::new, |b| format!("; with 95% confidence at most {} leaks", one_in(b)))
            ),
        };
        Self {
            state,
            statement,
            leaks,
            suspects: ran().map(|(_, i)| i.suspects).sum(),
            opportunities,
            bound95,
            profiles: ran().map(|(c, i)| (c.name.clone(), i.state, i.statement.clone())).collect(),
        }
    }
}

fn times(n: u64) -> String {
    if n == 1 { "once".into() } else { format!("{} times", count(n)) }
}
