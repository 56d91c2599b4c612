//! The judge of a whole run by tables: validity, isolation, the order of weight, exit codes.

use super::judging::{P95, requests};
use crate::exit_codes::{self, Cause, cause, combine, exit_code};
use crate::judge;
use crate::synthetic::*;
use crate::verdict::*;
use engine::run_result::*;
use scenarios::objective::Stat;

type Change = fn(&mut RunResult);

#[test]
fn where_no_time_is_judged_a_busy_machine_does_not_spoil_the_proof() {
    let judged_by = |statistic, limit: &str, wait_ms: u64| {
        let mut result = requests(1000, 50);
        result.health.workers[0].queue_wait_ns = wait_ms * MS;
        judge(&result, &[objective(statistic, limit)]).validity.state
    };
    assert_eq!(judged_by(P95, "< 200ms", 4_000), ValidityState::Void);
    assert_eq!(judged_by(Stat::Errors, "< 5%", 4_000), ValidityState::Degraded);
    assert_eq!(
        judged_by(Stat::Errors, "< 5%", 21_000),
        ValidityState::Void,
        "half of the time is too much for anything"
    );
}

#[rustfmt::skip] // a table reads by its rows
#[test]
fn validity() {
    use ValidityState::{Degraded, Ok, Void};
    let table: [(&str, Change, ValidityState, &str); 14] = [
        ("healthy", |_| {}, Ok, ""),
        ("late", |r| r.health.lag.record_many(6 * MS), Degraded, "1 in 100 requests left 6.00 ms late or more (limit 5.00 ms)"),
        ("too late", |r| r.health.lag.record_many(21 * MS), Void, "1 in 100 requests left 21.0 ms late or more, more than a tenth of the tightest limit 200 ms"),
        ("gaps", |r| r.health.workers[1].gaps_ns = 20 * MS, Void, "a worker stood still for 20.0 ms in pauses of 250 ms or more, 0.1% of the run (limit 0.1%)"),
        ("small gaps", |r| r.health.workers[1].gaps_ns = 19 * MS, Ok, ""),
        ("queue", |r| r.health.workers[0].queue_wait_ns = 1_700 * MS, Degraded, "the workers waited for a processor 21.8% as long as they computed (limit 20%), 4.35% of the time"),
        ("starved", |r| r.health.workers[0].queue_wait_ns = 4_000 * MS, Void, "the workers waited for a processor 50.5% as long as they computed (limit 20%), 10.1% of the time"),
        ("queue, idle", |r| { for w in &mut r.health.workers { w.cpu_ns = 400 * MS; w.queue_wait_ns = 400 * MS; } }, Ok, ""),
        ("asked", |r| r.health.started -= 11, Void, "989 of 1,000 starts that the schedule asked for came to be (limit: 1% off)"),
        ("asked, nearly", |r| r.health.started -= 10, Ok, ""),
        ("own errors", |r| { r.steps[0].counts.generator_errors = 2; r.steps[0].counts.planned += 2; }, Void, "2 requests could not leave this machine (descriptors or ports), 0.2% of all (limit 0.1%)"),
        ("busy, closed", |r| r.health.workers[0].busy_max = 0.99, Ok, ""),
        ("busy, open", |r| { r.header.open = true; r.health.workers[0].busy_max = 0.81; }, Degraded, "a worker was busy 81% of a second (limit 80%)"),
        ("law", |r| r.steps[0].counts.planned += 1, Void, "the counters do not add up: 1,001 requests fell due, 1,000 are accounted for"),
    ];
    for (name, change, state, reason) in table {
        let mut result = requests(1000, 50);
        change(&mut result);
        let verdict = judge(&result, &[objective(P95, "< 200ms")]);
        let reasons = verdict.validity.reasons.join("|");
        assert_eq!(
            (verdict.validity.state, reasons.as_str()),
            (state, reason),
            "{name}"
        );
        let outcome = match state {
            Ok => Outcome::Go,
            Degraded => Outcome::GoWithWarnings,
            Void => Outcome::Inconclusive,
        };
        assert_eq!(verdict.outcome, outcome, "{name}");
    }
}

trait RecordMany {
    fn record_many(&mut self, ns: u64);
}

impl RecordMany for Times {
    /// Every lag is `ns`.
    fn record_many(&mut self, ns: u64) {
        *self = Times::default();
        (0..1000).for_each(|_| self.record(ns));
    }
}

#[rustfmt::skip] // a table reads by its rows
#[test]
fn isolation() {
    use IsolationState::{Intact, Leaking, Unproven};
    let table: [(&str, Change, IsolationState, u64, &str); 13] = [
        ("intact", |_| {}, Intact, 1000, "No user received another user's data in 1,000 opportunities among 20 accounts; with 95% confidence at most 1 in 333 such answers leaks"),
        ("no marker", |r| r.isolation.planted = 0, Unproven, 1000, "Isolation is unproven: no marker was planted in anything a user wrote"),
        ("one account", |r| r.isolation.accounts = 1, Unproven, 1000, "Isolation is unproven: fewer than two accounts took part, so nobody else's data was there to receive"),
        ("not calibrated", |r| (r.isolation.injected, r.isolation.found) = (0, 0), Unproven, 1000, "Isolation is unproven: the leak scanner was not calibrated"),
        ("nobody at one moment", |r| r.isolation.steps[0].alone_controlled = 1000, Unproven, 1000, "Isolation is unproven: in none of 1,000 opportunities was a request of another user under way at the same target, and most leaks need two at one moment: play more users, shorter think times or `spacing: poisson`"),
        ("hardly anybody at one moment", |r| r.isolation.steps[0].alone_controlled = 991, Intact, 1000, "No user received another user's data in 1,000 opportunities among 20 accounts; with 95% confidence at most 1 in 333 such answers leaks; this says little of leaks that need two requests at one moment: in only 9 of 1,000 was another user's under way at the same target"),
        ("some at one moment", |r| r.isolation.steps[0].alone_controlled = 990, Intact, 1000, "No user received another user's data in 1,000 opportunities among 20 accounts; with 95% confidence at most 1 in 333 such answers leaks"),
        ("no others", |r| r.isolation.steps[0].after_others_controlled = 0, Unproven, 0, "Isolation is unproven: no answer came back in which another user's data could have been seen"),
        ("users wait for answers that went elsewhere", |r| { r.isolation.steps[0].after_others_controlled = 0; r.steps[0].counts.timed_out = 400; }, Unproven, 0, "Isolation is unproven: no answer came back in which another user's data could have been seen; 400 of 1,400 requests ran into the time limit: with a shorter `timeout` of the target users go on, and see whose answers come"),
        ("undeclared counts only controlled ones", |r| r.isolation.steps[0].after_others_controlled = 3, Intact, 3, "No user received another user's data in 3 opportunities among 20 accounts; with 95% confidence at most 1 in 1 such answers leaks"),
        ("good declared control", |r| { r.header.steps[0].declared_control = true; r.isolation.steps[0].controlled = 950; r.isolation.steps[0].after_others_controlled = 1; }, Intact, 1000, "No user received another user's data in 1,000 opportunities among 20 accounts; with 95% confidence at most 1 in 333 such answers leaks"),
        ("bad declared control", |r| { r.header.steps[0].declared_control = true; r.isolation.steps[0].controlled = 949; }, Unproven, 0, "Isolation is unproven: a step could not be observed: GET /a: its expected marker came back in 949 of 1,000 answers"),
        ("leak", |r| r.isolation.groups.push(leak(0, 42, "x")), Leaking, 1000, "Data leaked 42 times: alice@clinic.example received data of bob@clinic.example at GET /a, first after 3.2 s"),
    ];
    for (name, change, state, opportunities, statement) in table {
        let mut result = requests(1000, 50);
        change(&mut result);
        let found = judge(&result, &[objective(P95, "< 200ms")]).isolation;
        assert_eq!(
            (found.state, found.opportunities, found.statement.as_str()),
            (state, opportunities, statement),
            "{name}"
        );
        assert_eq!(
            found.bound95.is_some(),
            state != Leaking && opportunities > 0,
            "{name}"
        );
    }
}

#[rustfmt::skip] // a table reads by its rows
#[test]
fn order_of_weight_and_exit_codes() {
    let table: [(&str, Change, Outcome, u8); 15] = [
        ("go", |_| {}, Outcome::Go, 0),
        ("missed", slow, Outcome::NoGo, 1),
        ("leak", leaking, Outcome::NoGo, 1),
        ("leak, void", |r| { leaking(r); void(r); }, Outcome::NoGo, 1),
        ("void, missed", |r| { slow(r); void(r); }, Outcome::Inconclusive, 3),
        ("calibration, missed", |r| { slow(r); r.isolation.found = 63; }, Outcome::Inconclusive, 3),
        ("aborted", |r| r.ending = Ending::Aborted("errors > 50%".into()), Outcome::NoGo, 1),
        ("killed", |r| r.ending = Ending::Killed, Outcome::Inconclusive, 3),
        ("killed, missed", |r| { slow(r); r.ending = Ending::Killed; }, Outcome::NoGo, 1),
        ("interrupted", |r| r.ending = Ending::Interrupted, Outcome::Inconclusive, 130),
        ("interrupted, leak", |r| { leaking(r); r.ending = Ending::Interrupted; }, Outcome::NoGo, 130),
        ("isolation reported", |r| r.isolation.planted = 0, Outcome::Go, 0),
        ("isolation required", |r| { r.isolation.planted = 0; r.header.isolation_required = true; }, Outcome::Inconclusive, 3),
        ("suspect", |r| { leaking(r); r.isolation.groups[0].key.tier = Tier::Suspect; }, Outcome::GoWithWarnings, 0),
        ("risk", |r| { leaking(r); r.isolation.groups[0].key.tier = Tier::Risk; }, Outcome::Go, 0),
    ];
    for (name, change, outcome, code) in table {
        let mut result = requests(1000, 50);
        change(&mut result);
        let verdict = judge(&result, &[objective(P95, "< 200ms")]);
        assert_eq!(verdict.outcome, outcome, "{name}: {:?}", verdict.reasons);
        assert_eq!(exit_code(&verdict, &result), code, "{name}");
        assert!(!verdict.reasons.is_empty(), "{name}");
    }
}

fn slow(result: &mut RunResult) {
    let isolation = result.isolation.clone();
    *result = requests(1000, 2);
    result.isolation = isolation;
}

fn leaking(result: &mut RunResult) {
    result.isolation.groups.push(leak(0, 42, "x"));
}

fn void(result: &mut RunResult) {
    result.health.workers[0].gaps_ns = 1_000 * MS;
}

#[test]
fn nothing_sent_is_inconclusive() {
    let result = empty();
    let verdict = judge(&result, &[objective(Stat::Errors, "< 5%")]);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert_eq!(verdict.reasons[0], "no request was sent, so nothing was measured");
    assert_eq!(cause(&verdict, &result), Cause::Void);
    let verdict = judge(&requests(1000, 50), &[]);
    assert_eq!(verdict.outcome, Outcome::Inconclusive, "nothing judged is no pass");
}

#[test]
fn several_profiles_combine_by_precedence() {
    use Cause::*;
    let order = [Interrupted, Leak, CouldNotRun, Void, Missed, TooLittle, Go];
    for (i, &strong) in order.iter().enumerate() {
        for &weak in &order[i..] {
            assert_eq!(combine([weak, strong, Go]), strong);
        }
    }
    assert_eq!(combine([]), TooLittle, "no profile is no evidence");
    assert_eq!(order.map(Cause::code), [130, 1, 4, 3, 1, 3, 0]);
    assert_eq!(exit_codes::WRONG_INPUT, 2);
}

/// Each rule of the order, weakest first: what makes it true, and what it comes to.
const RULES: [(&str, Change, Outcome, Cause); 10] = [
    ("a warning", |r| r.health.lag.record_many(6 * MS), Outcome::GoWithWarnings, Cause::Go),
    ("isolation required, unproven", unproven, Outcome::Inconclusive, Cause::TooLittle),
    ("a must without evidence", few, Outcome::Inconclusive, Cause::TooLittle),
    ("killed", |r| r.ending = Ending::Killed, Outcome::Inconclusive, Cause::TooLittle),
    ("an abort rule", |r| r.ending = Ending::Aborted("errors > 50%".into()), Outcome::NoGo, Cause::Missed),
    ("a missed must", slow, Outcome::NoGo, Cause::Missed),
    ("calibration failed", |r| r.isolation.found = 63, Outcome::Inconclusive, Cause::Void),
    ("void", void, Outcome::Inconclusive, Cause::Void),
    ("a leak", leaking, Outcome::NoGo, Cause::Leak),
    ("interrupted", |r| r.ending = Ending::Interrupted, Outcome::Inconclusive, Cause::Interrupted),
];

fn unproven(result: &mut RunResult) {
    result.isolation.planted = 0;
    result.header.isolation_required = true;
}

/// Twenty requests prove no p95.
fn few(result: &mut RunResult) {
    let (isolation, health) = (result.isolation.clone(), result.health.clone());
    *result = requests(20, 20);
    (result.isolation, result.health) = (isolation, health);
    result.health.asked = 20;
    result.health.started = 20;
}

#[test]
fn every_rule_outweighs_the_weaker_ones() {
    let judged = |changes: &[Change]| {
        let mut result = requests(1000, 50);
        changes.iter().for_each(|change| change(&mut result));
        let verdict = judge(&result, &[objective(P95, "< 200ms")]);
        (verdict.outcome, cause(&verdict, &result), exit_code(&verdict, &result))
    };
    assert_eq!(judged(&[]), (Outcome::Go, Cause::Go, 0));
    // Changes that replace the whole result come first, or they would take the others back.
    let order = |name: &str| u8::from(!matches!(name, "a missed must" | "a must without evidence"));
    for (strong, &(name, change, outcome, reason)) in RULES.iter().enumerate() {
        assert_eq!(judged(&[change]), (outcome, reason, reason.code()), "{name} alone");
        for &(weaker, other, _, _) in &RULES[..strong] {
            // Two ways to replace the result, or two endings, are never true of one run.
            let is_ending = |n: &str| matches!(n, "killed" | "an abort rule" | "interrupted");
            if (order(name) == 0 && order(weaker) == 0) || (is_ending(name) && is_ending(weaker)) {
                continue;
            }
            let mut both = [(order(name), change), (order(weaker), other)];
            both.sort_by_key(|(order, _)| *order);
            let (got, why, code) = judged(&both.map(|(_, change)| change));
            assert_eq!((why, code), (reason, reason.code()), "{name} over {weaker}");
            // An interruption decides the exit code alone; what was found until then is still said.
            if reason != Cause::Interrupted {
                assert_eq!(got, outcome, "{name} over {weaker}");
            }
        }
    }
}
