//! Rate limits that the target states for each user: whether an answer 429 was due, and whether one was missing.
//! In: the objectives' rates, and when one user's requests were sent and answered. Out: a [`Finding`] per answer. Pure.
//!
//! A target counts a request somewhere between its sending and its answer, so nothing is found that another moment in
//! between would excuse. A refusal is wrong if, at the latest moments that earlier requests may have been counted at, the
//! window before this one held no more than the limit. Something was let through wrongly if more came through than any
//! usual way of counting allows: over every length of time the rate, and twice the limit besides (a bucket of tokens starts
//! full, and a window that begins anew at each full second lets two lots in around its edge).

use crate::clock::{Nanos, SECOND};
use scenarios::objective::{Objective, Stat};
use scenarios::program::{Profile, Program};
use scenarios::rate_limit::RateLimit;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The window is taken longer by this part of it: clocks tick apart, and edges are rounded.
const EDGE: u64 = 100;
/// The longest `Retry-After` that is remembered.
const LONGEST_WAIT: Nanos = 24 * 3600 * SECOND;

/// One stated limit and the steps that it counts. Stored with the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The rate.
    pub limit: RateLimit,
    /// As written.
    pub text: String,
    /// Steps whose requests it counts, ascending.
    pub steps: Vec<usize>,
}

/// The limits of a run.
#[derive(Debug, Default)]
pub struct Rules {
    /// Each once.
    pub rules: Vec<Rule>,
    /// By step: which limits count it. Empty where there is no limit.
    by_step: Vec<Vec<usize>>,
}

impl Rules {
    /// The limits that hold in `profile`.
    pub fn new(program: &Program, profile: &Profile) -> Self {
        let is_here = |o: &&Objective| {
            o.stat == Stat::RateLimit && o.profiles.as_ref().is_none_or(|names| names.contains(&profile.name))
        };
        let mut rules: Vec<Rule> = Vec::new();
        for objective in program.objectives.iter().filter(is_here) {
            let Ok(limit) = RateLimit::parse(&objective.limit.text) else { continue };
            let rule = Rule { limit, text: objective.limit.text.clone(), steps: objective.of.step_ids.clone() };
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        if rules.is_empty() {
            return Self::default();
        }
        let of = |step| (0..rules.len()).filter(|rule| rules[*rule].steps.contains(&step)).collect();
        Self { by_step: (0..program.steps.len()).map(of).collect(), rules }
    }

    /// Which limits count requests of `step`.
    pub fn of_step(&self, step: usize) -> &[usize] {
        self.by_step.get(step).map_or(&[], Vec::as_slice)
    }
}

/// What came of a request that may have been counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// 429, with the wait that it asks for.
    Refused(Option<Nanos>),
    /// An answer below 400.
    Through,
    /// Anything else: another refusal, no answer.
    Else,
}

/// What one answer says about the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finding {
    /// Nothing.
    #[default]
    Nothing,
    /// Let through, and no more than the limit came before it.
    Within,
    /// Let through above the limit, where some ways of counting still do.
    Between,
    /// Let through where no way of counting does.
    LetThrough,
    /// Refused above the limit; so many requests were in the window, this one among them.
    Limited(u64),
    /// Refused although no more than the limit were in the window.
    Early(u64),
    /// Refused within the limit, but before the wait was over that the refusal before it asked for.
    Told,
}

/// One user's pace against one limit.
#[derive(Debug, Default)]
pub struct Pace {
    /// When its latest requests were answered, or given up; as many as the limit allows.
    done: VecDeque<Nanos>,
    /// How many more came through than the rate allows since the worst moment to begin at.
    excess: f64,
    last_done: Nanos,
    told_until: Nanos,
    /// What its latest answer said.
    pub found: Finding,
}

impl Pace {
    /// Takes in a request that was sent and done then.
    pub fn note(&mut self, limit: RateLimit, (sent, done): (Nanos, Nanos), came: Came) -> Finding {
        let most = limit.requests as usize;
        let window = limit.per_ns + limit.per_ns / EDGE;
        let in_window = match sent.checked_sub(window) {
            None => self.done.len(),
            Some(from) => self.done.len() - self.done.partition_point(|at| *at <= from),
        };
        let count = in_window as u64 + 1;
        if self.done.len() == most {
            self.done.pop_front();
        }
        // Branches of a `parallel` may be told out of order.
        let done = done.max(self.done.back().copied().unwrap_or(0)).max(self.last_done);
        self.done.push_back(done);
        match came {
            Came::Else => Finding::Nothing,
            Came::Through => self.through(limit, (sent, done), count),
            Came::Refused(wait) => {
                let was_told = sent < self.told_until;
                if let Some(wait) = wait {
                    self.told_until = self.told_until.max(done + wait.min(LONGEST_WAIT));
                }
                match (count > limit.requests, was_told) {
                    (true, _) => Finding::Limited(count),
                    (false, true) => Finding::Told,
                    (false, false) => Finding::Early(count),
                }
            }
        }
    }

    fn through(&mut self, limit: RateLimit, (sent, done): (Nanos, Nanos), count: u64) -> Finding {
        // Who lets in before the wait is over does not mean it.
        self.told_until = 0;
        let allowed = |from: Nanos| done.saturating_sub(from) as f64 / limit.per_ns as f64 * limit.requests as f64;
        let most = 2.0 * limit.requests as f64;
        let excess = (self.excess - allowed(self.last_done)).max(-allowed(sent)) + 1.0;
        self.last_done = done;
        self.excess = excess;
        if excess > most + 1e-6 {
            // It is counted once, and not held against what comes later.
            self.excess -= 1.0;
            Finding::LetThrough
        } else if count > limit.requests {
            Finding::Between
        } else {
            Finding::Within
        }
    }
}

/// The wait that `Retry-After` asks for. Its other form, a date, is taken for the limit's own time: the wall clock of the
/// target is not ours.
pub fn retry_after(value: Option<&str>, limit: RateLimit) -> Option<Nanos> {
    let value = value?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(seconds.saturating_mul(SECOND).min(LONGEST_WAIT));
    }
    let is_date = value.len() == 29 && value.ends_with(" GMT") && value.as_bytes()[3] == b',';
    is_date.then_some(limit.per_ns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MILLISECOND;

    const TEN: RateLimit = RateLimit { requests: 10, per_ns: SECOND };

    /// A user that sends every `gap`, answered after a millisecond by a target that counts in its own way.
    fn play(gap: Nanos, requests: u64, mut target: impl FnMut(Nanos) -> bool) -> Vec<Finding> {
        let mut pace = Pace::default();
        (0..requests)
            .map(|i| {
                let sent = 5 * SECOND + i * gap;
                let came = if target(sent) { Came::Through } else { Came::Refused(Some(SECOND)) };
                pace.note(TEN, (sent, sent + MILLISECOND), came)
            })
            .collect()
    }

    fn wrong(findings: &[Finding]) -> usize {
        findings.iter().filter(|f| matches!(f, Finding::Early(_) | Finding::LetThrough)).count()
    }

    /// A bucket of tokens.
    fn bucket(rate: f64, size: f64) -> impl FnMut(Nanos) -> bool {
        let (mut tokens, mut last) = (size, 0);
        move |now| {
            tokens = (tokens + (now - last) as f64 / 1e9 * rate).min(size);
            last = now;
            let is_let_in = tokens >= 1.0 - 1e-9;
            tokens -= f64::from(u8::from(is_let_in));
            is_let_in
        }
    }

    /// At most so many in each full second, refused ones counted or not.
    fn full_seconds(most: u64, counts_refused: bool) -> impl FnMut(Nanos) -> bool {
        let (mut second, mut count) = (0, 0);
        move |now| {
            if now / SECOND != second {
                (second, count) = (now / SECOND, 0);
            }
            let is_let_in = count < most;
            count += u64::from(is_let_in || counts_refused);
            is_let_in
        }
    }

    /// At most so many let in over any second.
    fn sliding(most: usize) -> impl FnMut(Nanos) -> bool {
        let mut let_in: Vec<Nanos> = Vec::new();
        move |now| {
            let_in.retain(|at| at + SECOND > now);
            let is_let_in = let_in.len() < most;
            if is_let_in {
                let_in.push(now);
            }
            is_let_in
        }
    }

    #[test]
    fn every_usual_way_of_counting_is_right_at_every_pace() {
        for gap_ms in [0, 1, 7, 33, 50, 80, 90, 95, 99, 100, 101, 120, 300, 2000] {
            for way in 0..5 {
                let target: Box<dyn FnMut(Nanos) -> bool> = match way {
                    0 => Box::new(bucket(10.0, 10.0)),
                    1 => Box::new(full_seconds(10, false)),
                    2 => Box::new(full_seconds(10, true)),
                    3 => Box::new(sliding(10)),
                    _ => Box::new(bucket(10.0, 15.0)),
                };
                let findings = play(gap_ms * MILLISECOND, 3000, target);
                assert_eq!(wrong(&findings), 0, "way {way}, one every {gap_ms} ms: {findings:?}");
                let limited = findings.iter().any(|f| matches!(f, Finding::Limited(_)));
                assert_eq!(limited, gap_ms < 100, "way {way}, one every {gap_ms} ms");
            }
        }
    }

    #[test]
    fn a_limit_that_is_too_low_refuses_early_and_says_from_where_on() {
        for target in [play(20 * MILLISECOND, 300, bucket(5.0, 5.0)), play(20 * MILLISECOND, 300, sliding(5))] {
            assert_eq!(target.iter().find(|f| matches!(f, Finding::Early(_))), Some(&Finding::Early(6)));
            // The rest comes after the wait that each refusal asks for was not kept, or above the rate.
            assert_eq!(wrong(&target), 1, "{target:?}");
        }
        let patient = play(150 * MILLISECOND, 300, full_seconds(5, false));
        assert!(wrong(&patient) > 30, "{patient:?}");
    }

    #[test]
    fn what_is_not_limited_at_all_is_seen_as_soon_as_no_way_of_counting_allows_it() {
        let at_once = play(0, 100, |_| true);
        assert_eq!(wrong(&at_once), 80, "twenty may come through at once");
        let at_a_pace = play(66 * MILLISECOND, 300, |_| true);
        assert!((70..100).contains(&wrong(&at_a_pace)), "five a second after four seconds: {}", wrong(&at_a_pace));
        assert_eq!(wrong(&play(101 * MILLISECOND, 1000, |_| true)), 0);
        let twice_as_much = play(10 * MILLISECOND, 3000, bucket(20.0, 20.0));
        assert!(wrong(&twice_as_much) > 200, "{}", wrong(&twice_as_much));
    }

    #[test]
    fn slow_answers_excuse_what_may_have_been_counted_late() {
        let mut pace = Pace::default();
        // Ten requests that were sent long ago, and answered just now: the target may have counted them only then.
        for i in 0..10 {
            let sent = i * 300 * MILLISECOND;
            assert_eq!(pace.note(TEN, (sent, 3 * SECOND), Came::Through), Finding::Within);
        }
        let late = (3 * SECOND + 500 * MILLISECOND, 4 * SECOND);
        assert_eq!(pace.note(TEN, late, Came::Refused(None)), Finding::Limited(11));
        let later = (4 * SECOND + 100 * MILLISECOND, 4 * SECOND + 101 * MILLISECOND);
        assert_eq!(pace.note(TEN, later, Came::Refused(Some(SECOND))), Finding::Early(2));
        let told = (4 * SECOND + 200 * MILLISECOND, 4 * SECOND + 201 * MILLISECOND);
        assert_eq!(pace.note(TEN, told, Came::Refused(Some(SECOND))), Finding::Told);
    }

    #[test]
    fn no_more_times_are_kept_than_the_limit_counts() {
        let mut pace = Pace::default();
        (0..1000).for_each(|i| assert_eq!(pace.note(TEN, (i, i + 1), Came::Else), Finding::Nothing));
        assert_eq!(pace.done.len(), 10);
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let read = |text| retry_after(text, TEN);
        assert_eq!(read(Some("3")), Some(3 * SECOND));
        assert_eq!(read(Some("0")), Some(0));
        assert_eq!(read(Some("99999999999")), Some(LONGEST_WAIT));
        assert_eq!(read(Some("Wed, 21 Oct 2026 07:28:00 GMT")), Some(SECOND));
        for wrong in [None, Some(""), Some("soon"), Some("-1"), Some("1.5")] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
