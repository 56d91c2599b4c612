//! The seeded defects by name. In: what the user typed. Out: a [`Defect`] or every name there is.
//!
//! Each is built where the real bug would live: the log-in in `tokens`, the cache in `cache`,
//! the missing check in `routes::patient`, the pool in `backend`, the shared context in `routes::chat`, the rooms in
//! `rooms`, the streams in `routes::chat_stream`, the others in `faults`.
//!
//! What they model: `wrong-room` is use of a released identifier (CWE-672), as when a push gateway goes on writing to
//! a connection number that the next client was given; `stream-crossing` is data of one session told to another
//! because a client-made id is taken for a key (CWE-488, CWE-639), as in published incidents of chat services that
//! showed other users' conversations.

use std::{fmt, str::FromStr};

/// One thing that can be wrong with the clinic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Defect {
    /// Private answers are cached under a key that forgets the user.
    SharedCache,
    /// Log-ins at the same moment are handed the same session token.
    SessionMixup,
    /// Objects are readable by anybody who is logged in.
    BrokenAccess,
    /// A pooled back-end connection that lost its user answers everybody after that one question late.
    CrossedReplies,
    /// Who asks is kept in one place for all, and is somebody else after a wait.
    ContextBleed,
    /// The service stops for a second, again and again.
    Stall,
    /// Some requests fail.
    Errors,
    /// Every answer is late.
    Slow,
    /// A message for a room reaches somebody who is in another.
    WrongRoom,
    /// An answer told word by word is chosen by the id that the client made up.
    StreamCrossing,
}

impl Defect {
    /// Every defect, in the order in which help texts list them.
    pub const ALL: [Defect; 10] = [
        Defect::SharedCache,
        Defect::SessionMixup,
        Defect::BrokenAccess,
        Defect::CrossedReplies,
        Defect::ContextBleed,
        Defect::Stall,
        Defect::Errors,
        Defect::Slow,
        Defect::WrongRoom,
        Defect::StreamCrossing,
    ];

    /// Whether it shows only when clients give requests up in mid-flight.
    pub fn needs_abandoned_requests(self) -> bool {
        self == Defect::CrossedReplies
    }

    /// The name on the command line, such as `shared-cache`.
    pub fn name(self) -> &'static str {
        match self {
            Defect::SharedCache => "shared-cache",
            Defect::SessionMixup => "session-mixup",
            Defect::BrokenAccess => "broken-access",
            Defect::CrossedReplies => "crossed-replies",
            Defect::ContextBleed => "context-bleed",
            Defect::Stall => "stall",
            Defect::Errors => "errors",
            Defect::Slow => "slow",
            Defect::WrongRoom => "wrong-room",
            Defect::StreamCrossing => "stream-crossing",
        }
    }

    /// What it does, in one line without a full stop.
    pub fn description(self) -> &'static str {
        match self {
            Defect::SharedCache => "private answers are cached for half a second under a key that forgets the user",
            Defect::SessionMixup => "log-ins at the same moment are handed the same session token",
            Defect::BrokenAccess => "progress and sessions are readable by anybody who is logged in",
            Defect::CrossedReplies => {
                "after a request that was given up, a pooled connection answers the next ones one late"
            }
            Defect::ContextBleed => "the chat keeps who asks in one place for all, and a wait changes it",
            Defect::Stall => "the whole service stops answering for 1 s in each 10 s",
            Defect::Errors => "about 5 % of the requests answer 503",
            Defect::Slow => "each answer takes 300 ms more",
            Defect::WrongRoom => "a room's list keeps connections that are gone, and their numbers are given out again",
            Defect::StreamCrossing => "a streamed answer is looked up by the client's own id, which others use too",
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no defect; the message lists those that are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no defect named `{given}`; the defects are {}", all_names())]
pub struct UnknownDefect {
    given: String,
}

fn all_names() -> String {
    Defect::ALL.map(Defect::name).join(", ")
}

impl FromStr for Defect {
    type Err = UnknownDefect;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        Defect::ALL
            .into_iter()
            .find(|defect| defect.name() == given)
            .ok_or_else(|| UnknownDefect { given: given.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for defect in Defect::ALL {
            assert_eq!(defect.to_string().parse(), Ok(defect));
            assert!(!defect.description().is_empty());
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_all_names() {
        let message = "no-such".parse::<Defect>().expect_err("no such defect").to_string();
        for defect in Defect::ALL {
            assert!(message.contains(defect.name()), "{message}");
        }
    }
}
