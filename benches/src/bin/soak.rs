//! A day's soak in virtual time: what the generator holds at each third hour, and how long the day took.
//! In: `soak [HOURS]`, default 24. Out: a table of resident memory; the last line says whether it grew.

use engine::clock::{Clock, MILLISECOND, Nanos, SECOND};
use engine::simulate::{Reply, simulate};
use std::process::ExitCode;
use std::time::Duration;

const HOUR: Nanos = 3_600 * SECOND;
/// How far memory may move between the third hour and the last, kB: the allocator's own breathing.
const BREATHING_KB: u64 = 20_000;

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

fn main() -> ExitCode {
    let hours = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(24u64).max(4);
    let text = format!(
        "watertight: 1\nname: day\ntargets: {{ t: 'http://127.0.0.1:1' }}\n\
         journeys: {{ j: {{ target: t, steps: [ GET /x, think: 1s..3s ] }} }}\n\
         profiles: {{ p: {{ users: 100, for: {hours}h }} }}\nsla: [ {{ errors: < 1%, each: 10s }}, {{ p95: < 200ms }} ]\n"
    );
    let program = benches::program(&text);
    let wall = Clock::starting_in(Duration::ZERO);
    let mut readings = Vec::new();
    println!("virtual hour    requests so far    resident");
    let mut requests = 0u64;
    let result = simulate(&program, 0, 1, &mut |_: &_, now: Nanos| {
        requests += 1;
        if readings.len() < (now / (3 * HOUR)) as usize {
            readings.push(resident_kb());
            println!("{:>12}    {requests:>15}    {:>5.1} MB", now / HOUR, *readings.last().unwrap_or(&0) as f64 / 1e3);
        }
        Reply::ok(20 * MILLISECOND)
    });
    let Ok(result) = result else {
        eprintln!("the day could not be played");
        return ExitCode::FAILURE;
    };
    let (first, last) = (readings.first().copied().unwrap_or(0), resident_kb());
    println!(
        "{} requests in {hours} h of virtual time took {:.1} s; {} points of the timeline; memory {} ({:+.1} MB since hour 3)",
        result.totals().sent(),
        wall.now() as f64 / SECOND as f64,
        result.timeline.len(),
        if last <= first + BREATHING_KB { "is flat" } else { "GREW" },
        (last as f64 - first as f64) / 1e3
    );
    ExitCode::from(u8::from(last > first + BREATHING_KB))
}
