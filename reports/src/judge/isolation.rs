//! Isolation judged: zero leaks is a statement only with opportunities, a positive control and a calibrated scanner.
//! In: run result. Out: [`IsolationVerdict`].

use crate::figures::{self, count, counted};
use crate::rows;
use crate::verdict::{IsolationState, IsolationVerdict};
use engine::run_result::{Isolation, IsolationStep, RunResult, Tier};
use std::collections::BTreeMap;

/// A declared control below this share makes its step unobservable.
const CONTROL_SHARE: f64 = 0.95;
/// With a smaller share of opportunities beside another user's request a silence is called weak.
const LEAST_BESIDE: f64 = 0.01;
/// −ln 0.05: with none seen in N, at most 3/N at 95 % (the rule of three).
const RULE_OF_THREE: f64 = 3.0;

/// Judges isolation.
pub fn judge(result: &RunResult) -> IsolationVerdict {
    let isolation = &result.isolation;
    let (by_step, beside_by_step, gaps) = coverage(result);
    let opportunities: u64 = by_step.iter().sum();
    let beside: u64 = beside_by_step.iter().sum();
    let leaks = occurrences(isolation, &[Tier::Proven]);
    let state = if leaks > 0 {
        IsolationState::Leaking
    } else if why_unproven(isolation, (opportunities, beside), &gaps).is_some() {
        IsolationState::Unproven
    } else {
        IsolationState::Intact
    };
    let is_bounded = leaks == 0 && opportunities > 0;
    let has_minutes = is_bounded && isolation.target_minutes > 0.0;
    let mut verdict = IsolationVerdict {
        state,
        statement: String::new(),
        leaks,
        suspects: occurrences(isolation, &[Tier::Suspect]),
        risks: occurrences(isolation, &[Tier::Risk]),
        opportunities,
        opportunities_by_step: by_step,
        beside_by_step,
        bound95: is_bounded.then(|| (RULE_OF_THREE / opportunities as f64).min(1.0)),
        bound95_minutes: has_minutes.then(|| RULE_OF_THREE / isolation.target_minutes),
        by_detector: by_detector(isolation, &[Tier::Proven]),
        unproven_by_detector: by_detector(isolation, &[Tier::Suspect, Tier::Risk, Tier::Correctness]),
        gaps,
        injected: isolation.injected,
        found: isolation.found,
    };
    verdict.statement = statement(result, &verdict);
    verdict
}

fn occurrences(isolation: &Isolation, tiers: &[Tier]) -> u64 {
    let groups = isolation.groups.iter();
    groups.filter(|g| tiers.contains(&g.key.tier)).map(|g| g.count).sum()
}

fn by_detector(isolation: &Isolation, tiers: &[Tier]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for group in &isolation.groups {
        if tiers.contains(&group.key.tier) {
            *sums.entry(group.key.detector.clone()).or_default() += group.count;
        }
    }
    sums
}

/// Opportunities by step, those of them beside another user's request, and the steps that were played but could not be
/// observed.
fn coverage(result: &RunResult) -> (Vec<u64>, Vec<u64>, Vec<String>) {
    let (mut gaps, mut beside) = (Vec::new(), Vec::new());
    let mut opportunities = Vec::with_capacity(result.steps.len());
    for (i, header) in result.header.steps.iter().enumerate() {
        let seen = result.isolation.steps.get(i).copied().unwrap_or_default();
        let was_played = result.steps[i].counts.sent() > 0;
        let is_good = is_control_good(&seen);
        if header.declared_control && was_played && !is_good {
            gaps.push(format!(
                "{}: its expected marker came back in {} of {} answers",
                header.name,
                count(seen.controlled),
                count(seen.scanned)
            ));
        }
        let (all, alone) = match (header.declared_control, is_good) {
            (true, true) => (seen.after_others, seen.alone),
            (true, false) => (0, 0),
            (false, _) => (seen.after_others_controlled, seen.alone_controlled),
        };
        opportunities.push(all);
        beside.push(all.saturating_sub(alone));
    }
    (opportunities, beside, gaps)
}

fn is_control_good(seen: &IsolationStep) -> bool {
    seen.scanned > 0 && seen.controlled as f64 / seen.scanned as f64 >= CONTROL_SHARE
}

/// Why finding nothing would mean nothing.
fn why_unproven(isolation: &Isolation, (opportunities, beside): (u64, u64), gaps: &[String]) -> Option<String> {
    if isolation.planted == 0 {
        Some("no marker was planted in anything a user wrote".into())
    } else if isolation.accounts < 2 {
        Some("fewer than two accounts took part, so nobody else's data was there to receive".into())
    } else if isolation.injected == 0 {
        Some("the leak scanner was not calibrated".into())
    } else if isolation.found != isolation.injected {
        Some(format!("the leak scanner found only {} of {} planted test markers", isolation.found, isolation.injected))
    } else if let Some(first) = gaps.first() {
        let more = match gaps.len() {
            1 => String::new(),
            n => format!(" (and {} more)", counted(n as u64 - 1, "step")),
        };
        Some(format!("a step could not be observed: {first}{more}"))
    } else if opportunities == 0 {
        Some("no answer came back in which another user's data could have been seen".into())
    } else if beside == 0 {
        Some(format!(
            "in none of {} was a request of another user under way at the same target, and most leaks need two at one \
             moment: play more users, shorter think times or `spacing: poisson`",
            opportunities_in_words(opportunities)
        ))
    } else {
        None
    }
}

fn opportunities_in_words(n: u64) -> String {
    counted(n, "opportunity").replace("opportunitys", "opportunities")
}

/// A silence without company is a weak one.
fn hardly_beside(verdict: &IsolationVerdict) -> String {
    let (all, beside) = (verdict.opportunities, verdict.beside());
    if beside as f64 >= LEAST_BESIDE * all as f64 {
        return String::new();
    }
    format!(
        "; this says little of leaks that need two requests at one moment: in only {} of {} was another user's under way \
         at the same target",
        count(beside),
        count(all)
    )
}

/// Users that wait for answers which went to somebody else see nobody's data.
fn waited_in_vain(result: &RunResult) -> String {
    let totals = result.totals();
    let asked = totals.ok + totals.failed + totals.timed_out;
    if totals.timed_out * 5 < asked || totals.timed_out == 0 {
        return String::new();
    }
    format!(
        "; {} of {} ran into the time limit: with a shorter `timeout` of the target users go on, and see whose answers come",
        count(totals.timed_out),
        counted(asked, "request")
    )
}

fn statement(result: &RunResult, verdict: &IsolationVerdict) -> String {
    let isolation = &result.isolation;
    match verdict.state {
        IsolationState::Leaking => leaking(result, verdict),
        IsolationState::Unproven => format!(
            "Isolation is unproven: {}{}",
            why_unproven(isolation, (verdict.opportunities, verdict.beside()), &verdict.gaps).unwrap_or_default(),
            waited_in_vain(result)
        ),
        IsolationState::Intact => {
            let bound = verdict.bound95.map_or(String::new(), |b| {
                format!("; with 95% confidence at most {} such answers leaks", figures::one_in(b))
            });
            format!(
                "No user received another user's data in {} among {}{bound}{}",
                opportunities_in_words(verdict.opportunities),
                counted(isolation.accounts, "account"),
                hardly_beside(verdict)
            )
        }
    }
}

/// Who saw whose data, where, how often, since when.
fn leaking(result: &RunResult, verdict: &IsolationVerdict) -> String {
    let proven = result.isolation.groups.iter();
    let Some(group) = proven.filter(|g| g.key.tier == Tier::Proven).max_by_key(|g| g.count) else {
        return "A user received another user's data".into();
    };
    let times = match verdict.leaks {
        1 => "once".into(),
        n => format!("{} times", count(n)),
    };
    let step = result.header.steps.get(group.key.step);
    let place = step.map_or_else(String::new, |s| format!(" at {}", s.name));
    let who = group.examples.first().map_or_else(|| "a user received another user's data".to_string(), rows::who);
    let what = match group.key.detector.as_str() {
        "framing" => "HTTP's framing broke",
        "stale-access" => "Access outlived its end",
        _ => "Data leaked",
    };
    format!("{what} {times}: {who}{place}, {}", rows::since(group.first_s))
}
