//! Shares and rates against their limits: errors, availability, iterations completed, requests answered a second.
//! In: run result, steps, limit. Out: an [`Assessment`].

use super::claim::{Assessment, Claim};
use crate::blocks;
use crate::figures::{self, count, counted};
use crate::stats::{self, Block};
use crate::verdict::{Interval, ObjectiveOutcome};
use engine::run_result::{Counts, PointStep, RunResult};
use scenarios::objective::{Limit, Selection, Stat};

/// A share as counted.
struct Share {
    /// What a sample is.
    noun: &'static str,
    /// Word of the statistic.
    word: &'static str,
    /// What was counted, for the reason: `errors`, `ok`.
    counted: String,
    hits: u64,
    n: u64,
    /// The same by block; empty if not counted by interval.
    blocks: Vec<Block>,
}

fn sum(result: &RunResult, ids: &[usize]) -> Counts {
    let mut sum = Counts::default();
    for &i in ids {
        sum.add(&result.steps[i].counts);
    }
    sum
}

/// Requests with an outcome of the target's: sent − abandoned − unfinished.
fn settled(counts: &Counts) -> u64 {
    counts.ok + counts.failed + counts.timed_out
}

/// Blocks over the steps `ids`; `of` gives (hits, n) of a counter.
fn share_blocks(result: &RunResult, ids: &[usize], of: impl Fn(&PointStep) -> (u64, u64)) -> Vec<Block> {
    blocks::blocks(result, |point| {
        let steps = ids.iter().filter_map(|&i| point.steps.get(i));
        steps.fold((0.0, 0.0), |(hits, n), step| {
            let (h, m) = of(step);
            (hits + h as f64, n + m as f64)
        })
    })
}

/// Messages of WebSockets that have an outcome, and how many of them failed.
fn messages(result: &RunResult, ids: &[usize]) -> (u64, u64) {
    let each = ids.iter().map(|&i| &result.steps[i].messages);
    each.fold((0, 0), |(all, failed), m| (all + m.settled(), failed + m.failures()))
}

/// What was counted, with requests and messages told apart where there are messages.
fn in_words(counted: &str, requests: (u64, u64), messages: (u64, u64)) -> String {
    if messages.1 == 0 {
        return counted.to_owned();
    }
    let part = |(hits, n): (u64, u64), noun| format!("{} of {}", count(hits), self::counted(n, noun));
    format!("{counted} ({}, {})", part(requests, "request"), part(messages, "message"))
}

/// errors = (failed + timed out) / (sent − abandoned − unfinished). A message that was waited for, could not be said or
/// broke off counts like a request: a WebSocket on which nothing comes back is no success.
pub fn errors(result: &RunResult, ids: &[usize], limit: &Limit) -> Assessment {
    let counts = sum(result, ids);
    let (settled_messages, failed_messages) = messages(result, ids);
    let failed = counts.failed + counts.timed_out;
    let n = settled(&counts);
    let share = Share {
        noun: noun_of(settled_messages),
        word: "errors",
        counted: in_words("failed or timed out", (failed, n), (failed_messages, settled_messages)),
        hits: failed + failed_messages,
        n: n + settled_messages,
        blocks: share_blocks(result, ids, |s| {
            let failed = s.counts.failed + s.counts.timed_out;
            (failed + s.messages_failed, settled(&s.counts) + s.messages)
        }),
    };
    assess(&share, limit)
}

/// What a sample is called where messages are counted with requests.
fn noun_of(messages: u64) -> &'static str {
    if messages > 0 { "outcome" } else { "request" }
}

/// availability = ok / (sent − abandoned − unfinished + drops that the target caused). A drop belongs to no step, so
/// only an objective of everything counts it. Messages count as in [`errors`].
pub fn availability(result: &RunResult, ids: &[usize], is_everything: bool, limit: &Limit) -> Assessment {
    let counts = sum(result, ids);
    let drops = if is_everything { result.health.dropped_by_target } else { 0 };
    let (settled_messages, failed_messages) = messages(result, ids);
    let good = settled_messages - failed_messages;
    let mut blocks = share_blocks(result, ids, |s| {
        (s.counts.ok + s.messages - s.messages_failed.min(s.messages), settled(&s.counts) + s.messages)
    });
    if drops > 0 {
        let dropped = blocks::blocks(result, |p| (p.dropped as f64, 0.0));
        for (block, dropped) in blocks.iter_mut().zip(dropped) {
            block.n += dropped.sum;
        }
    }
    let share = Share {
        noun: noun_of(settled_messages),
        word: "availability",
        counted: in_words("answered as expected", (counts.ok, settled(&counts) + drops), (good, settled_messages)),
        hits: counts.ok + good,
        n: settled(&counts) + drops + settled_messages,
        blocks,
    };
    assess(&share, limit)
}

/// What a sample of a statistic is called.
pub fn noun(stat: Stat) -> &'static str {
    match stat {
        Stat::Completed | Stat::Iterations => "iteration",
        Stat::Dropped => "arrival",
        Stat::ConnectionsOk => "connection",
        stat if stat.is_time() => "sample",
        _ => "request",
    }
}

/// dropped = arrivals that found no free user / arrivals planned.
pub fn dropped(result: &RunResult, of: &Selection, limit: &Limit) -> Assessment {
    if !is_whole_run(result, of) {
        return Assessment::nothing("arrivals are counted for the whole run, not for a part of it");
    }
    if !result.header.open {
        return Assessment::nothing("a load of users has no arrivals that could be dropped; say `in: [ … ]`");
    }
    let share = Share {
        noun: "arrival",
        word: "dropped",
        counted: "found no free user".into(),
        hits: result.dropped,
        n: result.iterations.started + result.dropped,
        blocks: Vec::new(),
    };
    assess(&share, limit)
}

/// connections_ok = connections made / tried; of WebSockets, upgrades granted / asked for.
pub fn connections_ok(result: &RunResult, ids: &[usize], limit: &Limit) -> Assessment {
    let (made, tried) = ids.iter().fold((0, 0), |(made, tried), &i| {
        let step = &result.steps[i];
        // A WebSocket that is not granted is no connection, though bytes went to and fro.
        let own = if result.header.steps[i].socket {
            (step.counts.ok, settled(&step.counts))
        } else {
            (step.connect.count(), step.connect.count() + step.connects_failed)
        };
        (made + own.0, tried + own.1)
    });
    let share = Share {
        noun: "connection",
        word: "connections_ok",
        counted: "made".into(),
        hits: made,
        n: tried,
        blocks: Vec::new(),
    };
    assess(&share, limit)
}

/// Iterations completed a second.
pub fn iterations(result: &RunResult, of: &Selection, limit: &Limit) -> Assessment {
    if !is_whole_run(result, of) {
        return Assessment::nothing("iterations are counted for the whole run, not for a part of it");
    }
    let i = &result.iterations;
    if i.started == 0 || result.duration_s <= 0.0 {
        return Assessment::nothing("no iteration was started");
    }
    let measured = i.completed as f64 / result.duration_s;
    let holds = limit.op.holds(measured, limit.value);
    Assessment {
        measured: Some(measured),
        is_at_least: false,
        n: i.completed,
        interval: None,
        outcome: if holds { ObjectiveOutcome::Pass } else { ObjectiveOutcome::Fail },
        reason: format!("{} completed in {}", counted(i.completed, "iteration"), figures::duration(result.duration_s)),
    }
}

fn is_whole_run(result: &RunResult, of: &Selection) -> bool {
    let names = &result.header.journeys;
    let has_all = of.journeys.is_empty() || names.iter().all(|j| of.journeys.contains(j));
    of.targets.is_empty() && of.steps.is_empty() && of.tags.is_empty() && has_all
}

/// completed = iterations completed / (started − cut by the end of the run).
pub fn completed(result: &RunResult, of: &Selection, limit: &Limit) -> Assessment {
    if !is_whole_run(result, of) {
        return Assessment::nothing("iterations are counted for the whole run, not for a part of it");
    }
    let iterations = &result.iterations;
    let share = Share {
        noun: "iteration",
        word: "completed",
        counted: "completed".into(),
        hits: iterations.completed,
        n: iterations.started.saturating_sub(iterations.cut),
        blocks: Vec::new(),
    };
    assess(&share, limit)
}

fn assess(share: &Share, limit: &Limit) -> Assessment {
    if share.n == 0 {
        return Assessment::nothing(format!("no {} to judge", share.noun));
    }
    let dependence = blocks::of_share(&share.blocks);
    let measured = share.hits as f64 / share.n as f64;
    let holds = limit.op.holds(measured, limit.value);
    let is_upper = limit.op.is_upper();
    let claim = Claim {
        name: format!("{} {}", share.word, limit.text),
        noun: share.noun,
        n: share.n,
        bad: if is_upper { share.hits } else { share.n - share.hits.min(share.n) },
        unknown: 0,
        allowed: if is_upper { limit.value } else { 1.0 - limit.value },
        holds_at_best: holds,
        holds_at_worst: holds,
        design_effect: dependence.map_or(1.0, |d| d.design_effect),
        seen: format!("{} of {} {}", count(share.hits), counted(share.n, share.noun), share.counted),
    };
    let (outcome, reason) = claim.decide();
    let n = share.n as f64;
    let effective = match dependence {
        Some(dependence) => dependence.effective_n(n),
        // Iterations are not counted by interval; nothing is known of their dependence.
        None => share.blocks.is_empty().then_some(n),
    };
    let interval = effective.map(|effective| {
        let (low, high) = stats::clopper_pearson(measured * effective, effective);
        Interval { low, high: Some(high) }
    });
    Assessment { measured: Some(measured), is_at_least: false, n: share.n, interval, outcome, reason }
}

/// Requests answered a second: ok and failed ones that reached the target, over the measured time. Interval by batch
/// means over at most 20 blocks.
pub fn rate(result: &RunResult, ids: &[usize], limit: &Limit) -> Assessment {
    let answered = |c: &Counts| c.ok + c.failed - c.failed.min(c.not_delivered);
    if sum(result, ids).sent() == 0 || result.duration_s <= 0.0 {
        return Assessment::nothing("no request was sent");
    }
    // Answers of the graceful stop came when the load was over; they belong to no rate.
    let inside = result.timeline.iter().filter(|p| p.t_s + p.every_s / 2.0 < result.duration_s);
    let n: u64 = inside
        .flat_map(|point| ids.iter().filter_map(|&i| point.steps.get(i)))
        .map(|step| answered(&step.counts))
        .sum();
    let measured = n as f64 / result.duration_s;
    let blocks = blocks::blocks(result, |point| {
        let steps = ids.iter().filter_map(|&i| point.steps.get(i));
        let hits: u64 = steps.map(|s| answered(&s.counts)).sum();
        (hits as f64, point.every_s)
    });
    let interval = blocks::half_width(&blocks)
        .map(|half| Interval { low: (measured - half).max(0.0), high: Some(measured + half) });
    Assessment {
        measured: Some(measured),
        is_at_least: false,
        n,
        interval,
        outcome: if limit.op.holds(measured, limit.value) { ObjectiveOutcome::Pass } else { ObjectiveOutcome::Fail },
        reason: format!("{} answered in {}", counted(n, "request"), figures::duration(result.duration_s)),
    }
}
