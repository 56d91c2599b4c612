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

/// At which place of an exchange it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before the answer's head is read.
    Head,
    /// When a part of the body has come, and not all of it.
    Body,
    /// Between the first event of a stream and its end.
    Stream,
    /// After a message of ours on a WebSocket.
    Message,
}

impl Place {
    /// The word for it in the language.
    pub fn word(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Body => "body",
            Self::Stream => "stream",
            Self::Message => "message",
        }
    }
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
    /// Only there, and where that cannot be not at all; `None`: wherever it is by then. In the body and in a stream
    /// `after_ns` counts from the first piece or event; unsaid it is given up at once.
    pub at: Option<Place>,
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
    /// Share of the requests that wait for other users who ask for the same URL, and go out with theirs.
    pub same_url_burst: f64,
    /// Share of the users that suffer all this, above 0 and below 1; everybody when `None`.
    pub cohort: Option<f64>,
    /// Share of the GETs that wait for other users' GETs to the same target; all go out at one instant, and each is
    /// given up and made again, up to five times, before its answer is heard out.
    pub reload_burst: f64,
    /// Share of the requests that go over a connection which another user has just left.
    pub swap_connection: f64,
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
            ("same_url_burst", self.same_url_burst),
            ("reload_burst", self.reload_burst),
            ("swap_connection", self.swap_connection),
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
    /// `5% by reset, 2ms to 20ms after sending`; `5% by close, in the body`.
    pub fn in_words(&self) -> String {
        let how = match self.how {
            GiveUp::Reset => "reset",
            GiveUp::Close => "close",
        };
        let after = self.after_ns.map_or(String::new(), |(low, high)| {
            let since = match self.at {
                None | Some(Place::Head) => "sending",
                Some(Place::Body) => "its first piece",
                Some(Place::Stream) => "the first event",
                Some(Place::Message) => "the message",
            };
            format!(", {} to {} after {since}", format_duration(low), format_duration(high))
        });
        let at = match self.at {
            None => "",
            Some(Place::Head) => ", before the head",
            Some(Place::Body) => ", in the body",
            Some(Place::Stream) => ", in the stream",
            Some(Place::Message) => ", after a message",
        };
        format!("{} by {how}{at}{after}", percent(self.chance))
    }
}

fn percent(share: f64) -> String {
    format!("{}%", (share * 1e6).round() / 1e4)
}
