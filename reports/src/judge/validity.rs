//! Is the generator itself the problem? Thresholds as the design of the measurement fixes them.
//! In: run result, tightest judged time limit. Out: [`Validity`].

use crate::figures;
use crate::laws::{broken_laws, planned};
use crate::verdict::{Validity, ValidityState};
use engine::run_result::{Health, RunResult, WorkerHealth};

/// Lag p99 above this is suspicious whatever the limits are.
const LAG_NS: f64 = 5e6;
/// Lag p99 above this spoils a run whatever it is judged by.
const UNJUDGED_LAG_NS: f64 = 100e6;
/// Lag p99 above this share of the tightest judged time limit spoils it.
const LAG_SHARE: f64 = 0.10;
/// Pauses of a worker's loop, as a share of its time, from which on the run is void.
const GAPS_SHARE: f64 = 0.001;
/// The same where no time is judged.
const UNJUDGED_GAPS_SHARE: f64 = 0.10;
/// Waiting for a processor, as a share of the CPU time used, from which on the run is under strain.
const QUEUE_SHARE: f64 = 0.20;
/// The same as a share of all time: then users are kept waiting by us, and the run is void. A generator that is mostly
/// idle may wait as long as it computes and still be on time; its lag tells.
const STARVED_SHARE: f64 = 0.10;
/// The same where no time is judged: what is counted then, leaks above all, does not change because we were late.
const UNJUDGED_STARVED_SHARE: f64 = 0.50;
/// Below this CPU time in all, the share of waiting says nothing.
const QUEUE_LEAST_CPU_NS: u64 = 1_000_000_000;
/// Share of the asked starts that may be missing through us.
const ASKED_SHARE: f64 = 0.01;
/// Share of requests that our own side may fail to send.
const ERRORS_SHARE: f64 = 0.001;
/// Busy share of a worker above which an open load is under strain.
const BUSY_SHARE: f64 = 0.80;

/// Judges the generator.
pub fn judge(result: &RunResult, tightest_ns: Option<f64>) -> Validity {
    let health = &result.health;
    let lag_p99_ns = health.lag.percentile_ns(99.0);
    let busy_max = health.workers.iter().map(|w| w.busy_max).fold(0.0, f64::max);
    let mut void = broken_laws(result);
    let mut degraded = Vec::new();
    lag(lag_p99_ns, tightest_ns, &mut void, &mut degraded);
    void.extend(gaps(health, if tightest_ns.is_some() { GAPS_SHARE } else { UNJUDGED_GAPS_SHARE }));
    let starved = if tightest_ns.is_some() { STARVED_SHARE } else { UNJUDGED_STARVED_SHARE };
    queue(health, starved, &mut void, &mut degraded);
    void.extend(asked(health));
    void.extend(generator_errors(result));
    if result.header.open && busy_max > BUSY_SHARE {
        degraded.push(format!(
            "a worker was busy {} of a second (limit {})",
            figures::share(busy_max),
            figures::share(BUSY_SHARE)
        ));
    }
    let state = if !void.is_empty() {
        ValidityState::Void
    } else if !degraded.is_empty() {
        ValidityState::Degraded
    } else {
        ValidityState::Ok
    };
    void.append(&mut degraded);
    Validity { state, reasons: void, lag_p99_ns, busy_max }
}

fn lag(p99: Option<u64>, tightest: Option<f64>, void: &mut Vec<String>, degraded: &mut Vec<String>) {
    let Some(p99) = p99.map(|ns| ns as f64).filter(|&ns| ns > LAG_NS) else {
        return;
    };
    let late = format!("1 in 100 requests left {} late or more", figures::time(p99));
    match tightest {
        Some(limit) if p99 > LAG_NS.max(limit * LAG_SHARE) => {
            void.push(format!("{late}, more than a tenth of the tightest limit {}", figures::time(limit)))
        }
        None if p99 > UNJUDGED_LAG_NS => void.push(format!("{late} (limit {})", figures::time(UNJUDGED_LAG_NS))),
        _ => degraded.push(format!("{late} (limit {})", figures::time(LAG_NS))),
    }
}

/// The worst worker decides: its users stood still, however well the others ran.
fn gaps(health: &Health, most: f64) -> Option<String> {
    let worst = health.workers.iter().filter(|w| w.wall_ns > 0 && w.gaps_ns > 0).max_by_key(|w| w.gaps_ns)?;
    let share = worst.gaps_ns as f64 / worst.wall_ns as f64;
    (share >= most).then(|| {
        format!(
            "a worker stood still for {} in pauses of 250 ms or more, {} of the run (limit {})",
            figures::time(worst.gaps_ns as f64),
            figures::share(share),
            figures::share(most)
        )
    })
}

fn queue(health: &Health, starved: f64, void: &mut Vec<String>, degraded: &mut Vec<String>) {
    let sum = |of: fn(&WorkerHealth) -> u64| health.workers.iter().map(of).sum::<u64>();
    let (cpu, wait, wall) = (sum(|w| w.cpu_ns), sum(|w| w.queue_wait_ns), sum(|w| w.wall_ns));
    let of_cpu = wait as f64 / cpu.max(1) as f64;
    if cpu < QUEUE_LEAST_CPU_NS || of_cpu <= QUEUE_SHARE {
        return;
    }
    let of_wall = wait as f64 / wall.max(1) as f64;
    let reason = format!(
        "the workers waited for a processor {} as long as they computed (limit {}), {} of the time",
        figures::share(of_cpu),
        figures::share(QUEUE_SHARE),
        figures::share(of_wall)
    );
    if of_wall > starved { void.push(reason) } else { degraded.push(reason) }
}

fn asked(health: &Health) -> Option<String> {
    let off = health.asked.abs_diff(health.started);
    let share = off as f64 / health.asked.max(1) as f64;
    (share > ASKED_SHARE).then(|| {
        format!(
            "{} of {} starts that the schedule asked for came to be (limit: {} off)",
            figures::count(health.started),
            figures::count(health.asked),
            figures::share(ASKED_SHARE)
        )
    })
}

fn generator_errors(result: &RunResult) -> Option<String> {
    let errors = result.totals().generator_errors;
    let share = errors as f64 / planned(result).max(1) as f64;
    (share > ERRORS_SHARE).then(|| {
        format!(
            "{} could not leave this machine (descriptors or ports), {} of all (limit {})",
            figures::counted(errors, "request"),
            figures::share(share),
            figures::share(ERRORS_SHARE)
        )
    })
}
