//! Abort rules in virtual time: they end a run when they should, and only then.

use super::{assert_laws, play};
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::run_result::{Ending, RunResult};
use engine::simulate::Reply;

fn scenario(rule: &str, more: &str) -> String {
    format!(
        "watertight: 1\nname: abort\ntargets: {{ t: {{ url: 'http://127.0.0.1:1', timeout: 5s }} }}\n\
         journeys: {{ j: {{ target: t, steps: [ GET /x ] }} }}\n\
         profiles: {{ p: {{ arrivals: 100/s, for: 60s, max_users: 20000{more} }} }}\n\
         sla:\n  - {{ errors: < 100% }}\n  - {{ abort_when: {rule} }}\n"
    )
}

/// Well until `from_s`, then answers by `bad`.
fn turns(rule: &str, more: &str, from_s: u64, bad: impl Fn(Nanos) -> Reply) -> RunResult {
    let result = play(
        &scenario(rule, more),
        3,
        |_: &_, now: Nanos| {
            if now < from_s * SECOND { Reply::ok(MILLISECOND) } else { bad(now) }
        },
    );
    assert_laws(&result);
    result
}

fn failing(_: Nanos) -> Reply {
    Reply { status: 503, ..Reply::ok(MILLISECOND) }
}

fn slow(_: Nanos) -> Reply {
    Reply::ok(3 * SECOND)
}

#[track_caller]
fn ended(result: &RunResult, at_s: std::ops::RangeInclusive<f64>, reason: &str) {
    let Ending::Aborted(why) = &result.ending else { panic!("{:?}", result.ending) };
    assert!(why.starts_with(reason), "{why}");
    assert!(at_s.contains(&result.duration_s), "{} s: {why}", result.duration_s);
}

#[test]
fn errors_end_the_run_when_the_window_is_full_of_them() {
    let result = turns("errors > 50% over 10s", "", 20, failing);
    // Failing from 20 s on: more than half of ten seconds is reached with the sixth.
    ended(&result, 25.9..=26.1, "errors > 50% over 10s: 600 of 1000 failed or timed out, 26 s after");
    assert!(result.totals().sent() < 2_700, "the rest was not sent: {}", result.totals().sent());
}

#[test]
fn percentiles_and_the_mean_end_it_too() {
    ended(&turns("p95 > 2s over 5s", "", 20, slow), 23.0..=24.1, "p95 > 2s over 5s: ");
    ended(&turns("p99 >= 3s over 5s", "", 20, slow), 23.0..=24.1, "p99 >= 3s over 5s: ");
    ended(&turns("mean > 1s over 10s", "", 20, slow), 25.0..=28.0, "mean > 1s over 10s: mean ");
    assert_eq!(turns("p95 > 3s over 5s", "", 20, slow).ending, Ending::Finished, "3 s is not beyond 3 s");
    assert_eq!(turns("mean > 4s over 10s", "", 20, slow).ending, Ending::Finished);
}

#[test]
fn what_is_never_answered_counts_as_slow() {
    let hangs = |_| Reply { after: None, ..Reply::ok(0) };
    ended(&turns("p95 > 2s over 5s", "", 20, hangs), 25.0..=26.1, "p95 > 2s over 5s: ");
}

#[test]
fn a_window_that_is_not_full_ends_nothing() {
    // A burst of errors shorter than half the window.
    let burst = |now: Nanos| if now < 24 * SECOND { failing(now) } else { Reply::ok(MILLISECOND) };
    assert_eq!(turns("errors > 50% over 10s", "", 20, burst).ending, Ending::Finished);
    // Bad from the start: the window has to be full first.
    ended(&turns("errors > 50% over 10s", "", 0, failing), 9.9..=10.1, "errors > 50% over 10s: 1000 of 1000");
    // The warm-up is not watched.
    ended(&turns("errors > 50% over 10s", ", warm_up: 20s", 0, failing), 9.9..=10.1, "errors > 50% over 10s");
}

#[test]
fn few_outcomes_end_nothing() {
    let text = scenario("errors > 50% over 2s", "").replace("100/s", "4/s");
    let result = play(&text, 3, |_: &_, now: Nanos| failing(now));
    assert_eq!(result.ending, Ending::Finished);
}

#[test]
fn a_rule_of_another_profile_or_step_does_not_fire() {
    let elsewhere = scenario("errors > 50% over 10s, in: q", "")
        .replace("profiles: { p:", "profiles: { p: { users: 1, for: 20s }, q:");
    assert_eq!(play(&elsewhere, 3, |_: &_, now: Nanos| failing(now)).ending, Ending::Finished);
    let two = scenario("errors > 50% over 10s, of: { step: GET /y }", "").replace("[ GET /x ]", "[ GET /x, GET /y ]");
    let script = |request: &engine::client::answer::Outgoing, now: Nanos| {
        if request.uri.path() == "/x" && now.is_multiple_of(2) { failing(now) } else { Reply::ok(MILLISECOND) }
    };
    assert_eq!(play(&two, 3, script).ending, Ending::Finished);
}
