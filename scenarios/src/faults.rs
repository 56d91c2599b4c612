//! Faults that a run provokes on purpose: what a program says of them, before anything is drawn.
//! In: `faults:` of a profile, `abandon:` of a step, `preset: chaos`. Out: read by the engine's virtual users.

use crate::units::format_duration;

/// How a request is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GiveUp {
    /// The connection is reset (TCP RST), as when an app is killed or a phone loses its network.
    #[default]
    Reset,
    /// The connection is closed (TCP FIN), as when a tab is closed.
    Close,
}

/// Requests given up in mid-flight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Abandon {
    /// Share of the requests, 0..=1.
    pub chance: f64,
    /// How long after the request was sent, evenly between two bounds, ns; `None`: at a random point of the step's
    /// usual response time.
    pub after_ns: Option<(u64, u64)>,
    /// How.
    pub how: GiveUp,
}

/// What a profile provokes; all off by default. Shares are 0..=1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faults {
    /// Requests given up in mid-flight; a step's own `abandon` goes before it.
    pub abandon: Option<Abandon>,
    /// Share of the requests before which the user's connection is closed and opened anew.
    pub reconnect: f64,
    /// Share of the requests whose answer is read slowly.
    pub slow_reader: f64,
    /// Share of the think times that are left out.
    pub think_zero: f64,
    /// Share of the requests with a JSON body that are sent with more than 64 KiB of blanks before it.
    pub large_body: f64,
    /// Beside so large a share of the requests a stranger sends one that is no HTTP.
    pub malformed: f64,
    /// Beside so large a share of the requests a stranger sends one with far too large headers.
    pub oversize_headers: f64,
    /// `client_id()` counts 1, 2, 3 … for each user.
    pub equal_ids: bool,
    /// Share of the iterations after which the user goes on as another account of its role.
    pub switch_account: f64,
    /// `switch_account` goes to accounts only that nobody has played yet, and as long as there are any.
    pub switch_unplayed: bool,
    /// Share of the users that suffer all this, above 0 and below 1; everybody when `None`.
    pub cohort: Option<f64>,
}

impl Faults {
    /// Whether nothing is provoked.
    pub fn is_off(&self) -> bool {
        *self == Self { cohort: self.cohort, ..Self::default() }
    }

    /// Each fault that is on, with its extent: `("abandon", "5% by reset")`.
    pub fn in_words(&self) -> Vec<(&'static str, String)> {
        let mut words = Vec::new();
        if let Some(abandon) = &self.abandon {
            words.push(("abandon", abandon.in_words()));
        }
        let shares = [
            ("reconnect", self.reconnect),
            ("slow_reader", self.slow_reader),
            ("think_zero", self.think_zero),
            ("large_body", self.large_body),
            ("malformed", self.malformed),
            ("oversize_headers", self.oversize_headers),
            ("switch_account", self.switch_account),
        ];
        words.extend(shares.iter().filter(|(_, share)| *share > 0.0).map(|(name, share)| (*name, percent(*share))));
        if self.equal_ids {
            words.push(("equal_ids", "on".into()));
        }
        if let Some(cohort) = self.cohort.filter(|_| !words.is_empty()) {
            words.push(("cohort", format!("{} of the users", percent(cohort))));
        }
        words
    }
}

impl Abandon {
    /// `5% by reset, 2ms to 20ms after sending`.
    pub fn in_words(&self) -> String {
        let how = match self.how {
            GiveUp::Reset => "reset",
            GiveUp::Close => "close",
        };
        let after = self.after_ns.map_or(String::new(), |(low, high)| {
            format!(", {} to {} after sending", format_duration(low), format_duration(high))
        });
        format!("{} by {how}{after}", percent(self.chance))
    }
}

fn percent(share: f64) -> String {
    format!("{}%", (share * 1e6).round() / 1e4)
}
