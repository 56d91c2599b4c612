//! Conservation: nothing that was due is ever lost, whatever the target does.

use super::{assert_laws, play};
use engine::client::answer::Ending;
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::failure::Transport;
use engine::simulate::Reply;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

fn scenario(profile: &str) -> String {
    format!(
        "watertight: 1\nname: laws\ntargets: {{ t: 'http://127.0.0.1:1' }}\n\
         roles: {{ u: {{ accounts: {{ count: 500, values: {{ id: 'u-{{{{ index }}}}' }} }} }} }}\n\
         journeys:\n\
        \x20 a:\n    as: u\n    target: t\n    before: [ POST /in ]\n    steps:\n      - GET /one\n\
        \x20     - think: 100ms..2s\n      - repeat: 3\n        steps: [ GET /two ]\n    after: [ POST /out ]\n\
        \x20 b:\n    as: u\n    target: t\n    steps:\n      - group: pair\n        steps: [ GET /three, GET /four ]\n      - think: 1s\n\
         mix: {{ a: 3, b: 1 }}\nprofiles: {{ p: {profile} }}\n"
    )
}

/// A target that does everything wrong with given shares (per mille).
fn chaotic(
    seed: u64,
    fail: u32,
    hang: u32,
    reset: u32,
) -> impl FnMut(&engine::client::answer::Outgoing, Nanos) -> Reply {
    let mut random = Pcg64::seed_from_u64(seed);
    move |_, _| {
        let ticket = random.next_u32() % 1000;
        let after = u64::from(random.next_u32() % 700) * MILLISECOND;
        let mut reply = Reply::ok(after);
        if ticket < fail {
            reply.status = 503;
        } else if ticket < fail + hang {
            reply.after = None;
        } else if ticket < fail + hang + reset {
            reply.ending = Ending::Failed(Transport::Reset);
        }
        reply
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn closed_load_loses_nothing(seed in 0u64..1000, users in 1usize..60, fail in 0u32..400, hang in 0u32..200, reset in 0u32..300) {
        let profile = format!(
            "{{ stages: [ {{ users: {users}, for: 20s, ramp: 5s }}, {{ users: 1, for: 10s }}, {{ users: {users}, for: 10s }} ], graceful_stop: 3s, warm_up: 2s }}"
        );
        let result = play(&scenario(&profile), seed, chaotic(seed, fail, hang, reset));
        assert_laws(&result);
        prop_assert!(result.totals().sent() > 0);
        prop_assert_eq!(result.dropped, 0);
    }

    #[test]
    fn open_load_loses_nothing(seed in 0u64..1000, max_users in 1usize..80, fail in 0u32..400, hang in 0u32..200) {
        let profile = format!("{{ arrivals: 30/s, spacing: poisson, for: 20s, max_users: {max_users}, graceful_stop: 2s }}");
        let result = play(&scenario(&profile), seed, chaotic(seed, fail, hang, 50));
        assert_laws(&result);
        // Each arrival began an iteration or was dropped.
        prop_assert_eq!(result.health.asked, result.iterations.started + result.dropped);
        prop_assert_eq!(result.dropped_by_target(), result.dropped);
    }
}

trait DroppedByTarget {
    fn dropped_by_target(&self) -> u64;
}

impl DroppedByTarget for engine::run_result::RunResult {
    fn dropped_by_target(&self) -> u64 {
        self.health.dropped_by_target
    }
}

#[test]
fn users_that_fail_wait_longer_each_time() {
    let text = scenario("{ users: 1, for: 100s }");
    let result = play(&text, 1, |_: &_, _: Nanos| Reply { status: 500, ..Reply::ok(0) });
    assert_laws(&result);
    // Pauses of 1, 2, 4, 8, 16, 30, 30 s: eight attempts in a hundred seconds.
    assert_eq!(result.iterations.gave_up, 8);
    assert_eq!(result.iterations.failed_before, 8);
    assert_eq!(result.totals().failed, 8);
}

#[test]
fn before_is_played_once_and_after_at_the_end() {
    let text = scenario("{ users: 4, for: 60s }");
    let result = play(&text, 1, |_: &_, _: Nanos| Reply::ok(MILLISECOND));
    let count = |name: &str| {
        let index = result.header.steps.iter().position(|s| s.name == name).expect("the step is there");
        result.steps[index].counts.ok
    };
    assert_eq!((count("POST /in"), count("POST /out")), (3, 3));
    assert_eq!(count("GET /two"), 3 * count("GET /one"));
    assert_eq!(count("GET /three"), count("GET /four"));
    assert_eq!(result.groups[0].times.count(), count("GET /four"));
}

#[test]
fn warm_up_is_shown_apart() {
    let text = scenario("{ users: 4, for: 10s, warm_up: 5s }");
    let result = play(&text, 1, |_: &_, _: Nanos| Reply::ok(MILLISECOND));
    assert_laws(&result);
    assert!(result.overhead.warm_up > 0);
    assert_eq!(result.warm_up.count(), result.overhead.warm_up);
    assert!((9.0..=42.0).contains(&result.duration_s), "{}", result.duration_s);
}

#[test]
fn a_journey_that_runs_in_circles_is_a_failure_and_not_a_hang() {
    let text = "watertight: 1\nname: x\ntargets: { t: 'http://127.0.0.1:1' }\n\
        journeys: { j: { target: t, steps: [ { set: { n: 1 } }, { repeat: 1000000, steps: [ { set: { n: 0 } } ] }, GET /x ] } }\n\
        profiles: { p: { users: 1, for: 3s } }\n";
    let result = play(text, 1, |_: &_, _: Nanos| Reply::ok(SECOND));
    assert_eq!(result.totals().sent(), 0);
    assert!(result.iterations.gave_up > 0);
    assert!(result.errors.iter().any(|e| e.kind.contains("scenario")), "{:?}", result.errors);
}
