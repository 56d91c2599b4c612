//! The seeded defects by name. In: what the user typed. Out: a [`Defect`] or every name there is.
//!
//! Each is built where the real bug would live: the log-in in `tokens`, the cache in `cache`,
//! the missing check in `routes::patient`, the pool in `backend`, the writer of notes in `batch`, the shared context in
//! `routes::chat`, the rooms in `rooms`, the streams in `routes::chat_stream`, the others in `faults`.

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
    /// A token is good for a while after the log-out.
    StaleSession,
    /// Notes of several patients that are written together end up in each other's records.
    WriteMixup,
}

impl Defect {
    /// Every defect, in the order in which help texts list them.
    pub const ALL: [Defect; 12] = [
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
        Defect::StaleSession,
        Defect::WriteMixup,
    ];

    /// Whether it shows only when clients give requests up in mid-flight.
    pub fn needs_abandoned_requests(self) -> bool {
        self == Defect::CrossedReplies
    }

    /// Whether it shows only when clients make up the same ids.
    pub fn needs_equal_ids(self) -> bool {
        self == Defect::StreamCrossing
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
            Defect::StaleSession => "stale-session",
            Defect::WriteMixup => "write-mixup",
        }
    }

    /// The class of public incident that it is built after; `None` for those that leak nothing.
    pub fn models(self) -> Option<&'static str> {
        Some(match self {
            Defect::SharedCache => {
                "a content network or an application cache that keeps private pages under a key without the user"
            }
            Defect::SessionMixup => {
                "a session id that is read before it is taken, so that two log-ins at one moment share it"
            }
            Defect::BrokenAccess => {
                "an object that is found by its id, without a look at whose it is (OWASP API1, BOLA)"
            }
            Defect::CrossedReplies => {
                "a client library that gives a connection back to its pool although a cancelled request has left an \
                 answer in it, as a widely used Redis client did to a large chat service in March 2023"
            }
            Defect::ContextBleed => "a request's user in a global that another request overwrites across an await",
            Defect::StaleSession => {
                "tokens that are checked against a cache, or by their signature alone, and outlive the log-out"
            }
            Defect::WriteMixup => {
                "a batch whose answers or rows are matched to its keys by position, after the keys were sorted"
            }
            Defect::WrongRoom => {
                "a push gateway that writes to a connection number which the next client was given (CWE-672, use of a \
                 released resource)"
            }
            Defect::StreamCrossing => {
                "a stream that is found by an id the client made up, as if that were a key (CWE-488, CWE-639)"
            }
            Defect::Stall | Defect::Errors | Defect::Slow => return None,
        })
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
            Defect::StaleSession => "a token works for 30 s after the log-out, from a cache that nobody told",
            Defect::WriteMixup => "notes that are written together are matched to the wrong patients",
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
            assert_eq!(defect.models().is_none(), matches!(defect, Defect::Stall | Defect::Errors | Defect::Slow));
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
