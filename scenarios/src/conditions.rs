//! Under which conditions a profile or journey plays, besides its load: the users' network, visitors that come anew,
//! moments on the timeline, and what is kept of the latest answer.
//! In: the plan. Out: plain values of the program.

use crate::units::format_duration;

/// What each iteration starts without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fresh {
    /// `cookies: per_iteration`: a new visitor. No cookies, no variables, `before` is played again.
    pub cookies: bool,
    /// `connections: per_iteration`: all connections are closed first.
    pub connections: bool,
}

impl Fresh {
    /// What either asks for.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { cookies: self.cookies || other.cookies, connections: self.connections || other.connections }
    }
}

/// What is kept of the latest answer once its step is over, because the journey's later steps use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeps {
    /// `last.headers`.
    pub headers: bool,
    /// `last.body` or `last.json`.
    pub body: bool,
}

/// `network:` of a profile: how far away and how narrow the users' lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Added when connecting and to the first byte of each direction of a request, ns.
    pub delay_ns: u64,
    /// Most bytes a second in each direction of a connection; 0: as fast as it goes.
    pub rate: u64,
}

impl Network {
    /// In words: `50ms of delay, 1 MB/s`.
    pub fn in_words(&self) -> String {
        let mut parts = Vec::new();
        if self.delay_ns > 0 {
            parts.push(format!("{} of delay each way", format_duration(self.delay_ns)));
        }
        match self.rate {
            0 => {}
            rate if rate.is_multiple_of(1_000_000) => parts.push(format!("{} MB/s", rate / 1_000_000)),
            rate if rate.is_multiple_of(1_000) => parts.push(format!("{} kB/s", rate / 1_000)),
            rate => parts.push(format!("{rate} B/s")),
        }
        parts.join(", ")
    }
}

/// `at:` of a profile: a moment that the timeline shows, with a command if one is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// From the start of the run, warm-up included, ns.
    pub at_ns: u64,
    /// What the timeline says.
    pub mark: String,
    /// Program and arguments; run without a shell.
    pub run: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_in_words() {
        let words = |delay_ns, rate| Network { delay_ns, rate }.in_words();
        assert_eq!(words(50_000_000, 1_000_000), "50ms of delay each way, 1 MB/s");
        assert_eq!(words(0, 64_000), "64 kB/s");
        assert_eq!(words(1_000_000, 0), "1ms of delay each way");
        assert_eq!(words(0, 1_500), "1500 B/s");
    }
}
