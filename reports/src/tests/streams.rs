//! Objectives about events and messages by tables, and what messages do to the share of errors.

use crate::judge;
use crate::synthetic::*;
use crate::verdict::*;
use engine::run_result::*;
use scenarios::objective::Stat;

/// 100 upgrades of a WebSocket over ten seconds of which every `refused_every`-th is refused; of 100 messages waited for
/// on them, `missed` did not come.
fn talk(refused_every: u64, missed: u64) -> RunResult {
    let upgrade = move |second: u64, i: u64, _: &mut Chance| match (second * 10 + i + 1).is_multiple_of(refused_every) {
        true => Sample::Failed(5 * MS, "status 403"),
        false => Sample::Ok(10 * MS),
    };
    let mut result = run(10, vec![Step::new("websocket /ws", 10, upgrade)]);
    result.header.steps[0].socket = true;
    result.steps[0].messages = Messages {
        sent: 5000,
        received: 100 - missed,
        expected: 100,
        matched: 100 - missed,
        missed,
        ..Messages::default()
    };
    for (i, point) in (0..).zip(&mut result.timeline) {
        point.steps[0].messages = 10;
        point.steps[0].messages_failed = missed / 10 + u64::from(i < missed % 10);
    }
    result
}

/// 100 times of each kind, 97 of them 100 ms and counted below 200 ms, the others 900 ms.
fn times() -> RunResult {
    let mut result = run(10, vec![Step::new("POST /chat", 10, |_, _, _| Sample::Ok(MS))]);
    let kinds = [StreamTime::FirstEvent, StreamTime::EventGap, StreamTime::Message];
    result.header.steps[0].stream_limits = kinds.map(|kind| (kind, 200 * MS)).into();
    let step = &mut result.steps[0];
    for i in 0..100 {
        let ns = if i < 97 { 100 * MS } else { 900 * MS };
        for recording in [&mut step.first_event, &mut step.event_gap, &mut step.message] {
            recording.record(ns);
        }
        for (kind, _) in &result.header.steps[0].stream_limits {
            kind.count(ns, &result.header.steps[0].stream_limits, &mut step.streams_within);
        }
    }
    result
}

#[track_caller]
fn check(result: &RunResult, stat: Stat, limit: &str, outcome: ObjectiveOutcome, reason: &str) {
    let judged = judge(result, &[objective(stat, limit)]).objectives.remove(0);
    let close = "; close: the interval reaches past the limit";
    let said = judged.reason.strip_suffix(close).unwrap_or(&judged.reason);
    assert_eq!((judged.outcome, said), (outcome, reason), "{} {limit}", stat.word());
}

#[rustfmt::skip] // a table reads by its rows
#[test]
fn times_of_events_and_messages() {
    use ObjectiveOutcome::{Fail, Inconclusive, Pass};
    let seen = times();
    for stat in [Stat::FirstEvent, Stat::EventGap, Stat::Message] {
        let word = |p| stat(p).word();
        check(&seen, stat(95.0), "< 200ms", Pass, &format!("97% of 100 samples within 200 ms; {} asks for 95%", word(95.0)));
        check(&seen, stat(98.0), "< 200ms", Inconclusive, &format!("100 samples; {} needs at least 149", word(98.0)));
        // At a limit that nobody counted the histogram tells.
        check(&seen, stat(95.0), "< 50ms", Fail, &format!("0% of 100 samples within 50.0 ms; {} asks for 95%", word(95.0)));
    }
    let nothing = run(10, vec![Step::new("GET /a", 10, |_, _, _| Sample::Ok(MS))]);
    check(&nothing, Stat::FirstEvent(95.0), "< 2s", Inconclusive, "no event came");
    check(&nothing, Stat::EventGap(95.0), "< 2s", Inconclusive, "no stream had two events");
    check(&nothing, Stat::Message(95.0), "< 2s", Inconclusive, "no message was answered");
}

#[test]
fn the_exact_counters_decide_and_not_the_histogram() {
    let mut seen = times();
    // What never came was waited for 100 ms: within no limit, however short the wait.
    seen.steps[0].streams_within = vec![0, 97, 50];
    check(
        &seen,
        Stat::FirstEvent(95.0),
        "< 200ms",
        ObjectiveOutcome::Fail,
        "0% of 100 samples within 200 ms; first_event_p95 asks for 95%",
    );
    check(
        &seen,
        Stat::Message(95.0),
        "< 200ms",
        ObjectiveOutcome::Fail,
        "50% of 100 samples within 200 ms; message_p95 asks for 95%",
    );
}

#[rustfmt::skip] // a table reads by its rows
#[test]
fn messages_that_do_not_come_are_errors() {
    use ObjectiveOutcome::{Fail, Pass};
    check(&talk(1000, 0), Stat::Errors, "< 5%", Pass, "0 of 200 outcomes failed or timed out (0 of 100 requests, 0 of 100 messages)");
    check(&talk(1000, 100), Stat::Errors, "< 5%", Fail, "100 of 200 outcomes failed or timed out (0 of 100 requests, 100 of 100 messages)");
    check(&talk(2, 0), Stat::Errors, "< 5%", Fail, "50 of 200 outcomes failed or timed out (50 of 100 requests, 0 of 100 messages)");
    check(&talk(1000, 100), Stat::Availability, ">= 90%", Fail, "100 of 200 outcomes answered as expected (100 of 100 requests, 0 of 100 messages)");
    check(&talk(1000, 0), Stat::Availability, ">= 90%", Pass, "200 of 200 outcomes answered as expected (100 of 100 requests, 100 of 100 messages)");
}

#[test]
fn an_upgrade_that_is_refused_is_no_connection() {
    use ObjectiveOutcome::{Fail, Pass};
    check(&talk(1000, 0), Stat::ConnectionsOk, ">= 90%", Pass, "100 of 100 connections made");
    check(&talk(2, 0), Stat::ConnectionsOk, ">= 90%", Fail, "50 of 100 connections made");
}
