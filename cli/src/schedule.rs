//! `--every 6h --times 4`: when each round is due. The times are counted from the first start, never from the end of
//! the round before, so that four rounds a day stay at their hours however long a round takes.
//! In: the interval, a number of rounds, the time since the first start. Out: what to do now. No clock.

/// Rounds at fixed distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// From start to start, ns.
    pub every_ns: u64,
    /// Number of rounds.
    pub times: u32,
}

/// Up to this late is on time: setting up takes its moment.
const PUNCTUAL_NS: u64 = 1_000_000_000;

/// What to do with a round now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Now {
    /// Wait so long, ns.
    Wait(u64),
    /// Start on time.
    Start,
    /// Start, so late, ns: the round before took longer than the interval, or the machine slept.
    StartLate(u64),
}

impl Schedule {
    /// When `round` (from 0) is due, ns since the first start.
    pub fn due_ns(&self, round: u32) -> u64 {
        self.every_ns.saturating_mul(u64::from(round))
    }

    /// What to do with `round` at `since_ns` after the first start.
    pub fn at(&self, round: u32, since_ns: u64) -> Now {
        let due_ns = self.due_ns(round);
        match since_ns.checked_sub(due_ns) {
            None => Now::Wait(due_ns - since_ns),
            Some(late_ns) if late_ns > PUNCTUAL_NS => Now::StartLate(late_ns),
            Some(_) => Now::Start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;
    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn rounds_are_due_at_absolute_times() {
        let schedule = Schedule { every_ns: 6 * HOUR, times: 4 };
        let table = [
            (0, 0, Now::Start),
            (0, SECOND / 2, Now::Start),
            (1, HOUR, Now::Wait(5 * HOUR)),
            (1, 6 * HOUR - 1, Now::Wait(1)),
            (1, 6 * HOUR, Now::Start),
            (2, 7 * HOUR, Now::Wait(5 * HOUR)),
            // A round of seven hours: the second starts an hour late, the third is on its hour again.
            (1, 7 * HOUR, Now::StartLate(HOUR)),
            (2, 11 * HOUR, Now::Wait(HOUR)),
            (3, 30 * HOUR, Now::StartLate(12 * HOUR)),
            (1, 6 * HOUR + 2 * SECOND, Now::StartLate(2 * SECOND)),
        ];
        for (round, since_ns, expected) in table {
            assert_eq!(schedule.at(round, since_ns), expected, "round {round} at {since_ns}");
        }
    }

    #[test]
    fn endless_intervals_do_not_overflow() {
        let schedule = Schedule { every_ns: u64::MAX, times: 3 };
        assert_eq!(schedule.at(2, 0), Now::Wait(u64::MAX));
    }
}
