//! `rate_limit: 10/s` as a number of requests in a length of time: ten in one second, which is not one in a tenth of it.
//! In: the rate as written. Out: [`RateLimit`], or one sentence saying what is wrong.

use crate::units;
use serde::{Deserialize, Serialize};

/// Most requests of one user that a limit counts: the times of so many are remembered for each user.
pub const MOST_REQUESTS: u64 = 10_000;
const MILLISECOND_NS: u64 = 1_000_000;
const LONGEST_NS: u64 = 24 * 3600 * 1000 * MILLISECOND_NS;

/// So many requests of a user in so long a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// How many, 1 to [`MOST_REQUESTS`].
    pub requests: u64,
    /// In what time, ns; 1 ms to 24 h.
    pub per_ns: u64,
}

impl RateLimit {
    /// Reads `10/s`, `600/m`, `1/100ms`.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let shown: String = text.chars().take(40).collect();
        let (requests, per) =
            text.split_once('/').ok_or_else(|| format!("`{shown}` is no rate: write for example `10/s`"))?;
        let requests = requests.trim().parse::<u64>().ok().filter(|n| (1..=MOST_REQUESTS).contains(n));
        let requests = requests
            .ok_or_else(|| format!("`{shown}` does not start with a whole number of requests, 1 to {MOST_REQUESTS}"))?;
        let per = per.trim();
        let is_word = per.starts_with(|c: char| c.is_alphabetic());
        let per_ns = units::parse_duration(&if is_word { format!("1{per}") } else { per.to_owned() })?;
        if !(MILLISECOND_NS..=LONGEST_NS).contains(&per_ns) {
            return Err(format!("`{shown}`: the time in which requests are counted is 1ms to 24h"));
        }
        Ok(Self { requests, per_ns })
    }

    /// Requests a second.
    pub fn per_second(self) -> f64 {
        self.requests as f64 * 1e9 / self.per_ns as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_time() {
        let read = |text: &str| RateLimit::parse(text).map(|r| (r.requests, r.per_ns / MILLISECOND_NS));
        assert_eq!(read("10/s"), Ok((10, 1000)));
        assert_eq!(read(" 600 / m "), Ok((600, 60_000)));
        assert_eq!(read("1/100ms"), Ok((1, 100)));
        assert_eq!(read("5/10s"), Ok((5, 10_000)));
        for wrong in ["10", "0/s", "0.5/s", "10001/s", "-1/s", "x/s", "10/", "10/y", "10/0s", "1/48h", "", "/"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
