//! When it was up and when it was down: `uptime`, `longest_outage`, `recovery`. Down from the first of two bad beats on,
//! up again from the first of three good ones on, so that one odd second is no outage and one lucky one no recovery.
//! In: beats of a run. Out: an [`Assessment`].

use super::claim::Assessment;
use super::times;
use crate::figures::{self, counted};
use crate::verdict::ObjectiveOutcome;
use engine::run_result::{Beat, BeatSeries, MarkHeader, RunResult};
use scenarios::objective::{Limit, Objective, Stat};

/// Bad beats in a row from which on it is down.
const DOWN_AFTER: usize = 2;
/// Good beats in a row from which on it is up.
const UP_AFTER: usize = 3;
/// Share of its requests that fail in a bad beat, more than.
const BAD_SHARE: f64 = 0.5;
/// … and of a beat that is not good yet after a spike or a fault.
const UNWELL_SHARE: f64 = 0.05;

/// What a beat says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    Bad,
    /// Nobody asked anything.
    Silent,
}

/// A time in which it was down: first beat, and the one after the last.
type Outage = (usize, usize);

/// Judges an objective about outages.
pub fn assess(result: &RunResult, objective: &Objective, limit: &Limit) -> Assessment {
    let series = result.beats.iter().find(|s| s.objective == objective.id);
    let Some(series) = series.filter(|s| s.beats.iter().any(|b| b.ok + b.bad > 0)) else {
        return Assessment::nothing("no request was answered or failed, so nothing says whether it was up");
    };
    match objective.stat {
        Stat::Recovery => recovery(result, series, limit),
        stat => outages_against(result, series, stat, limit),
    }
}

/// The state of each beat. One without an answer while requests are under way is what the next one with an answer is:
/// slow targets answer late, dead ones fail late.
fn states(beats: &[Beat], is_bad: impl Fn(&Beat) -> bool) -> Vec<State> {
    let mut states = vec![State::Silent; beats.len()];
    let mut next = State::Bad;
    for (place, beat) in beats.iter().enumerate().rev() {
        if beat.ok + beat.bad > 0 {
            next = if is_bad(beat) { State::Bad } else { State::Good };
            states[place] = next;
        } else if beat.waiting {
            states[place] = next;
        }
    }
    states
}

/// The outages among these states. A silent beat changes nothing and breaks no row.
fn outages(states: &[State]) -> Vec<Outage> {
    let mut found = Vec::new();
    let mut down_since = None;
    let (mut row, mut row_from) = (0, 0);
    for (place, state) in states.iter().enumerate() {
        let (against, need) = if down_since.is_some() { (State::Good, UP_AFTER) } else { (State::Bad, DOWN_AFTER) };
        if *state == State::Silent {
            continue;
        }
        if *state != against {
            row = 0;
            continue;
        }
        if row == 0 {
            row_from = place;
        }
        row += 1;
        if row == need {
            row = 0;
            match down_since.take() {
                Some(since) => found.push((since, row_from)),
                None => down_since = Some(row_from),
            }
        }
    }
    found.extend(down_since.map(|since| (since, states.len())));
    found
}

fn outages_against(result: &RunResult, series: &BeatSeries, stat: Stat, limit: &Limit) -> Assessment {
    let states = states(&series.beats, |b| b.bad as f64 > BAD_SHARE * (b.ok + b.bad) as f64);
    let outages = outages(&states);
    let every_s = series.every_s;
    let whole_s = result.duration_s.min(states.len() as f64 * every_s).max(every_s);
    let length_s = |o: &Outage| (o.1 as f64 * every_s).min(whole_s) - (o.0 as f64 * every_s).min(whole_s);
    let down_s: f64 = outages.iter().map(length_s).sum();
    let longest = outages.iter().max_by(|a, b| length_s(a).total_cmp(&length_s(b)));
    let measured = match stat {
        Stat::Uptime => (1.0 - down_s / whole_s).clamp(0.0, 1.0),
        _ => longest.map_or(0.0, |o| length_s(o) * 1e9),
    };
    let is_open = outages.last().is_some_and(|o| o.1 == states.len());
    let reason = match longest {
        None => format!(
            "no outage in {}: with 95% confidence the mean time between failures is at least {}",
            figures::duration(whole_s),
            figures::duration(whole_s / 3.0)
        ),
        Some(longest) => format!(
            "down for {} of {} in {}; the longest, from {} on, took {}{}",
            figures::duration(down_s),
            figures::duration(whole_s),
            counted(outages.len() as u64, "outage"),
            figures::duration(longest.0 as f64 * every_s),
            figures::duration(length_s(longest)),
            if is_open { "; it was down at the end" } else { "" },
        ),
    };
    let holds = limit.op.holds(measured, limit.value);
    let known = series.beats.iter().filter(|b| b.ok + b.bad > 0).count();
    let (outcome, reason) = if !holds {
        (ObjectiveOutcome::Fail, reason)
    } else if known < UP_AFTER {
        let beats = counted(known as u64, "stretch").replace("stretchs", "stretches");
        (ObjectiveOutcome::Inconclusive, format!("{beats} of {} with answers are too few", figures::duration(every_s)))
    } else {
        (ObjectiveOutcome::Pass, reason)
    };
    Assessment {
        measured: Some(measured),
        is_at_least: is_open && stat == Stat::LongestOutage,
        n: known as u64,
        interval: None,
        outcome,
        reason,
    }
}

fn is_unwell(series: &BeatSeries, beat: &Beat) -> bool {
    let late = series.limits.iter().zip(&beat.times).any(|((p, limit), &(n, within))| {
        // So few as a beat holds have to prove that a limit is missed.
        n > 0
            && times::claim(Stat::Percentile(*p), *p, limit, (n, within.min(n), 0), 1.0).decide().0
                == ObjectiveOutcome::Fail
    });
    late || beat.bad as f64 > UNWELL_SHARE * (beat.ok + beat.bad) as f64
}

fn recovery(result: &RunResult, series: &BeatSeries, limit: &Limit) -> Assessment {
    if result.header.marks.is_empty() {
        return Assessment::nothing("this profile has no spike and no mark to recover from; say `in: [ … ]`");
    }
    let states = states(&series.beats, |b| is_unwell(series, b));
    let found: Vec<(&MarkHeader, Recovered)> =
        result.header.marks.iter().filter_map(|mark| Some((mark, after(result, series, &states, mark)?))).collect();
    let Some((mark, worst)) = found.iter().max_by(|a, b| a.1.rank().total_cmp(&b.1.rank())) else {
        return Assessment::nothing("the run ended before the moment from which on it has to recover");
    };
    let known = series.beats.iter().filter(|b| b.ok + b.bad > 0).count() as u64;
    let holds = limit.op.holds(worst.after_s * 1e9, limit.value);
    let every = figures::duration(series.every_s);
    let (outcome, reason) = match (worst.is_well, holds) {
        (true, true) => {
            (ObjectiveOutcome::Pass, format!("well {} after {}", figures::duration(worst.after_s), mark.name))
        }
        (true, false) => {
            (ObjectiveOutcome::Fail, format!("well only {} after {}", figures::duration(worst.after_s), mark.name))
        }
        (false, false) => (
            ObjectiveOutcome::Fail,
            format!("not well {} after {}, when the load ended", figures::duration(worst.after_s), mark.name),
        ),
        (false, true) => (
            ObjectiveOutcome::Inconclusive,
            format!(
                "the load ended {} after {}, before three good stretches of {every} in a row could show it was well",
                figures::duration(worst.after_s),
                mark.name
            ),
        ),
    };
    Assessment {
        measured: Some(worst.after_s * 1e9),
        is_at_least: !worst.is_well,
        n: known,
        interval: None,
        outcome,
        reason,
    }
}

/// How long after a mark it was well, or how long it was watched in vain.
#[derive(Clone, Copy, Debug)]
struct Recovered {
    after_s: f64,
    is_well: bool,
}

impl Recovered {
    fn rank(self) -> f64 {
        self.after_s + if self.is_well { 0.0 } else { 1e12 }
    }
}

fn after(result: &RunResult, series: &BeatSeries, states: &[State], mark: &MarkHeader) -> Option<Recovered> {
    let mark_s = mark.at_ns.saturating_sub(result.header.warm_up_ns) as f64 / 1e9;
    let first = (mark_s / series.every_s).floor() as usize;
    let later = states.get(first..).filter(|later| !later.is_empty())?;
    let (mut row, mut from) = (0, 0);
    for (place, state) in later.iter().enumerate() {
        match state {
            State::Silent => continue,
            State::Bad => row = 0,
            State::Good => {
                if row == 0 {
                    from = place;
                }
                row += 1;
            }
        }
        if row == UP_AFTER {
            let well_s = (first + from) as f64 * series.every_s;
            return Some(Recovered { after_s: (well_s - mark_s).max(0.0), is_well: true });
        }
    }
    let watched_s = (states.len() as f64 * series.every_s).min(result.duration_s) - mark_s;
    Some(Recovered { after_s: watched_s.max(0.0), is_well: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn down_after_two_bad_beats_up_after_three_good_ones() {
        let of = |text: &str| {
            let states: Vec<State> = text
                .chars()
                .map(|c| match c {
                    '+' => State::Good,
                    '-' => State::Bad,
                    _ => State::Silent,
                })
                .collect();
            outages(&states)
        };
        assert_eq!(of(""), []);
        assert_eq!(of("+++-+++"), [], "one odd beat is no outage");
        assert_eq!(of("++--+++"), [(2, 4)]);
        assert_eq!(of("++--++-+++"), [(2, 7)], "two good ones are no recovery");
        assert_eq!(of("++- -  +++"), [(2, 7)], "silence breaks no row");
        assert_eq!(of("+++--"), [(3, 5)], "down at the end");
        assert_eq!(of("--+++--+++"), [(0, 2), (5, 7)]);
        assert_eq!(of("     "), []);
    }

    #[test]
    fn a_beat_without_an_answer_is_what_comes_of_its_requests() {
        let beat = |ok, bad, waiting| Beat { ok, bad, waiting, times: Vec::new() };
        let bad = |b: &Beat| b.bad > 0;
        let dead = [beat(5, 0, true), beat(0, 0, true), beat(0, 0, true), beat(0, 5, false)];
        assert_eq!(states(&dead, bad), [State::Good, State::Bad, State::Bad, State::Bad]);
        let slow = [beat(5, 0, true), beat(0, 0, true), beat(5, 0, false), beat(0, 0, false)];
        assert_eq!(states(&slow, bad), [State::Good, State::Good, State::Good, State::Silent]);
        let never = [beat(5, 0, true), beat(0, 0, true)];
        assert_eq!(states(&never, bad), [State::Good, State::Bad], "no answer came to the very end");
    }
}
