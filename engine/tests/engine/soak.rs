//! Long runs: what a run holds must not grow with its length. A whole day is played by the benchmark `soak`.

use super::{assert_laws, play};
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::simulate::Reply;

const FIVE_MINUTES: Nanos = 300 * SECOND;

/// Resident memory of this process in kB; `None` where the system does not say.
fn resident_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
}

#[test]
fn an_hour_takes_no_more_memory_than_its_first_minutes() {
    let mut readings: Vec<u64> = Vec::new();
    let text = "watertight: 1\nname: hour\ntargets: { t: 'http://127.0.0.1:1' }\n\
        journeys: { j: { target: t, steps: [ GET /x, think: 10s..30s ] } }\n\
        profiles: { p: { users: 10, for: 1h } }\nsla: [ { errors: < 1%, each: 10s }, { p95: < 200ms, each: 1m } ]\n";
    let result = play(text, 1, |_: &_, now: Nanos| {
        if readings.len() < (now / FIVE_MINUTES) as usize {
            readings.extend(resident_kb());
        }
        Reply::ok(20 * MILLISECOND)
    });
    assert_laws(&result);
    assert!(result.totals().ok > 1_500, "{:?}", result.totals());
    assert!(result.timeline.len() <= 3_600, "{} points", result.timeline.len());
    if let (Some(early), Some(late)) = (readings.get(1), readings.last()) {
        assert!(late.saturating_sub(*early) < 8_000, "from {early} kB after ten minutes to {late} kB at the end");
    }
}
