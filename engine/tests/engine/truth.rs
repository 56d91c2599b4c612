//! Accuracy: servers whose truth is known by arithmetic, exact to a histogram's bucket (0.1 %).

use super::{assert_laws, play};
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::load::arrivals::Arrivals;
use engine::run_result::{RunResult, Times};
use engine::simulate::Reply;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use scenarios::program::{Spacing, Stage};

fn open(rate: &str, length: &str, more: &str) -> String {
    format!(
        "watertight: 1\nname: truth\ntargets: {{ t: {{ url: 'http://127.0.0.1:1', timeout: 5s }} }}\n\
         journeys: {{ j: {{ target: t, steps: [ GET /x ] }} }}\n\
         profiles: {{ p: {{ arrivals: {rate}, for: {length}, max_users: 20000{more} }} }}\n"
    )
}

fn response(result: &RunResult) -> &Times {
    &result.steps[0].response
}

#[track_caller]
fn check(times: &Times, p: f64, truth_ms: f64) {
    let measured = times.percentile_ns(p).expect("there are samples") as f64 / 1e6;
    let allowed = (truth_ms * 0.002).max(0.002);
    assert!((measured - truth_ms).abs() <= allowed, "p{p}: measured {measured} ms, truth {truth_ms} ms");
}

/// A server with one place: requests wait for those before them.
struct Queue {
    free_at: Nanos,
}

impl Queue {
    fn serve(&mut self, now: Nanos, service: Nanos) -> Nanos {
        self.free_at = self.free_at.max(now) + service;
        self.free_at - now
    }
}

#[test]
fn a_stall_is_felt_by_everyone_it_kept_waiting() {
    let result = play(&open("1000/s", "100s", ""), 1, |_: &_, now: Nanos| {
        let phase = now % (10 * SECOND);
        let stalled = phase.checked_sub(9 * SECOND).map_or(0, |into| SECOND - into);
        Reply::ok(stalled + MILLISECOND)
    });
    assert_laws(&result);
    let times = response(&result);
    assert_eq!(times.count(), 100_000);
    for (p, truth_ms) in [(50.0, 1.0), (90.0, 1.0), (95.0, 501.0), (99.0, 901.0), (99.9, 991.0)] {
        check(times, p, truth_ms);
    }
    let mean_ms = times.mean_ns().expect("there are samples") / 1e6;
    assert!((mean_ms - 51.05).abs() < 0.01, "mean {mean_ms}");
}

#[test]
fn one_queue_agrees_with_the_recursion_on_the_same_draws() {
    let draws = |seed| {
        let mut random = Pcg64::seed_from_u64(seed);
        move || (-(1.0 - (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64).ln() * 1e6) as Nanos
    };
    let (mut queue, mut service) = (Queue { free_at: 0 }, draws(9));
    let text = open("700/s", "60s", ", spacing: poisson");
    let result = play(&text, 5, move |_: &_, now: Nanos| Reply::ok(queue.serve(now, service())));
    assert_laws(&result);
    // Lindley: each request waits for what the one before left over.
    let stage = Stage { level: 700.0, duration_ns: 60 * SECOND, ramp_ns: 0 };
    let (mut waiting, mut service, mut truth) = (0i64, draws(9), Vec::new());
    let mut before: Option<(Nanos, i64)> = None;
    for due in Arrivals::new(&[stage], Spacing::Poisson, 5) {
        if let Some((then, served)) = before {
            waiting = (waiting + served - (due as i64 - then as i64)).max(0);
        }
        let served = service() as i64;
        truth.push((waiting + served) as f64 / 1e6);
        before = Some((due, served));
    }
    truth.sort_by(f64::total_cmp);
    assert_eq!(response(&result).count() as usize, truth.len());
    for p in [50.0, 90.0, 99.0, 99.9] {
        let rank = (p / 100.0 * truth.len() as f64).ceil() as usize;
        check(response(&result), p, truth[rank - 1]);
    }
}

#[test]
fn a_server_below_its_limit_keeps_nobody_waiting() {
    let mut queue = Queue { free_at: 0 };
    let result = play(&open("7000/s", "10s", ""), 1, move |_: &_, now: Nanos| Reply::ok(queue.serve(now, 100_000)));
    for p in [50.0, 99.0, 99.9] {
        check(response(&result), p, 0.1);
    }
}

#[test]
fn overload_grows_the_queue_by_the_difference() {
    let text = open("1200/s", "30s", ", graceful_stop: 60s").replace("timeout: 5s", "timeout: 60s");
    let mut queue = Queue { free_at: 0 };
    let result = play(&text, 1, move |_: &_, now: Nanos| Reply::ok(queue.serve(now, MILLISECOND)));
    assert_laws(&result);
    check(response(&result), 50.0, 3000.0);
    check(response(&result), 99.0, 5940.0);
    let max_ms = response(&result).max_ns as f64 / 1e6;
    assert!((max_ms - 6000.0).abs() < 2.0, "max {max_ms}");
}

#[test]
fn equally_frequent_latencies_give_their_own_percentiles() {
    let mut n = 0;
    let result = play(&open("1000/s", "20s", ""), 1, move |_: &_, _: Nanos| {
        n = n % 1000 + 1;
        Reply::ok(n * MILLISECOND)
    });
    for p in [10.0, 50.0, 90.0, 99.0, 99.9] {
        check(response(&result), p, 10.0 * p);
    }
}

#[test]
fn what_is_never_answered_is_a_lower_bound_and_not_left_out() {
    let mut n = 0;
    let result = play(&open("100/s", "60s", ""), 1, move |_: &_, _: Nanos| {
        n += 1;
        Reply { after: (n % 100 != 0).then_some(MILLISECOND), ..Reply::ok(0) }
    });
    assert_laws(&result);
    let step = &result.steps[0];
    assert_eq!(step.counts.timed_out, 60);
    check(&step.response, 99.5, 5000.0);
    assert!(step.is_at_least(99.5) && !step.is_at_least(98.0));
}

#[test]
fn littles_law_holds() {
    let result = play(&open("500/s", "60s", ""), 1, |_: &_, _: Nanos| Reply::ok(200 * MILLISECOND));
    let full: Vec<_> = result.timeline.iter().skip(1).take(58).collect();
    let in_flight = full.iter().map(|p| p.in_flight as f64).sum::<f64>() / full.len() as f64;
    assert!((in_flight - 100.0).abs() <= 1.0, "in flight {in_flight}");
}

#[test]
fn the_same_seed_gives_the_same_result_and_another_one_does_not() {
    let text = open("50/s", "20s", ", spacing: poisson");
    let sum = |seed| {
        let mut queue = Queue { free_at: 0 };
        let result = play(&text, seed, move |_: &_, now: Nanos| Reply::ok(queue.serve(now, 15 * MILLISECOND)));
        (response(&result).sum_ns, response(&result).count(), format!("{:?}", result.timeline))
    };
    assert_eq!(sum(3), sum(3));
    assert_ne!(sum(3), sum(4));
}
