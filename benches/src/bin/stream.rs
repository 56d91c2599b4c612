//! The gap between events, next to the truth: a chat told in so many pieces so far apart by the practice clinic.
//! In: `stream [--users 10] [--for 5s] [--events 20] [--gap 5ms] [--workers 1]`.
//! Out: streams heard, the gaps' p50 and p99 and how far the p50 is off, the first event's p50; exit code 1 if the p50 is
//! more than 1 ms off. The clinic runs in this process: what either is late by is in the figure.
//!
//! cargo run --release -p benches --bin stream

use engine::{HeaderFacts, Setup, Unobserved};
use practice::{Clinic, Options, PoolLimits, Port, Timing};
use scenarios::Source;
use scenarios::units::{format_duration, parse_duration};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How far the p50 of the gaps may be from the truth.
const GOAL_NS: u64 = 1_000_000;

struct Wanted {
    users: u64,
    length_ns: u64,
    events: usize,
    gap_ns: u64,
    workers: usize,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match wanted(&args).and_then(|wanted| measure(&wanted)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("stream: {why}");
            ExitCode::from(2)
        }
    }
}

fn wanted(args: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted { users: 10, length_ns: 5_000_000_000, events: 20, gap_ns: 5_000_000, workers: 1 };
    for pair in args.chunks(2) {
        let [flag, value] = pair else {
            return Err(format!("`{}` wants a value", pair[0]));
        };
        let number = || value.parse::<u64>().map_err(|e| format!("{flag} {value}: {e}"));
        let time = || parse_duration(value).map_err(|e| format!("{flag} {value}: {e}"));
        match flag.as_str() {
            "--users" => wanted.users = number()?.clamp(1, 2_000),
            "--for" => wanted.length_ns = time()?.max(100_000_000),
            // The text that is told has more letters than that.
            "--events" => wanted.events = number()?.clamp(2, 100) as usize,
            "--gap" => wanted.gap_ns = time()?.clamp(1_000_000, 10_000_000_000),
            "--workers" => wanted.workers = number()?.clamp(1, 64) as usize,
            _ => return Err(format!("`{flag}` is none of --users, --for, --events, --gap, --workers")),
        }
    }
    Ok(wanted)
}

/// What the users play: they log in, and ask again and again.
fn scenario(url: &str, wanted: &Wanted) -> String {
    let letters = "word ".repeat(30);
    format!(
        r#"watertight: 1
name: stream
targets: {{ ai: "{url}" }}
roles: {{ patient: {{ accounts: {{ count: 2000, values: {{ username: "patient-{{{{ index }}}}", password: "pw-{{{{ index }}}}" }} }} }} }}
journeys:
  chat:
    as: patient
    before:
      - POST /auth/login: {{ json: {{ username: "{{{{ account.username }}}}", password: "{{{{ account.password }}}}" }}, save: {{ token: $.token }} }}
    headers: {{ authorization: "Bearer {{{{ token }}}}" }}
    steps:
      - POST /chat/stream:
          json: {{ session_id: "{{{{ user.id }}}}", message: "{letters}" }}
          events: {{ text: "$.choices[0].delta.content", until: "[DONE]" }}
          expect: {{ events: {} }}
profiles: {{ p: {{ users: {}, for: {}ms }} }}
"#,
        wanted.events + 1,
        wanted.users,
        wanted.length_ns / 1_000_000
    )
}

fn measure(wanted: &Wanted) -> Result<bool, String> {
    let timing = Timing { events: wanted.events, event_gap: Duration::from_nanos(wanted.gap_ns), ..Timing::default() };
    let options = Options { port: Port::One(0), defects: Vec::new(), seed: 0 };
    let clinic = Clinic::start_with(options, PoolLimits::default(), timing).map_err(|e| e.to_string())?;
    let text = scenario(&clinic.urls().ai, wanted);
    let source = Source { name: "stream.yaml".into(), text, folder: ".".into() };
    let wrong = |found: Vec<scenarios::Diagnostic>| scenarios::render(&found, &source, false);
    let (plan, _) = scenarios::parse(&source, &|_| None).map_err(wrong)?;
    let program = Arc::new(scenarios::compile(&plan).map_err(wrong)?);
    let setup = Setup {
        profile: 0,
        facts: HeaderFacts::default(),
        seed: 1,
        workers: wanted.workers,
        key: [1; 32],
        folder: None,
        stop: Arc::default(),
        health_requests: 0,
    };
    let result = engine::run(&program, setup, &mut Unobserved).map_err(|e| e.to_string())?.result;
    clinic.stop();
    let chat = result.header.steps.iter().zip(&result.steps).find(|(header, _)| header.name == "POST /chat/stream");
    let chat = chat.map(|(_, step)| step).ok_or("the program has lost its step")?;
    if !result.errors.is_empty() || chat.counts.ok == 0 {
        return Err(format!("{} streams were right, and there were errors: {:?}", chat.counts.ok, result.errors));
    }
    let at = |recording: &engine::record::interval::Recording, p| recording.times().and_then(|t| t.percentile_ns(p));
    let (Some(p50), Some(p99)) = (at(&chat.event_gap, 50.0), at(&chat.event_gap, 99.0)) else {
        return Err("no gap was measured".into());
    };
    let off = p50.abs_diff(wanted.gap_ns);
    println!(
        "{} streams of {} events, {} gaps: p50 {:.3} ms, p99 {:.3} ms; truth {}; p50 off by {:.3} ms (goal 1 ms)",
        chat.counts.ok,
        wanted.events + 1,
        chat.event_gap.count(),
        p50 as f64 / 1e6,
        p99 as f64 / 1e6,
        format_duration(wanted.gap_ns),
        off as f64 / 1e6
    );
    println!("first event: p50 {:.3} ms", at(&chat.first_event, 50.0).unwrap_or(0) as f64 / 1e6);
    Ok(off <= GOAL_NS)
}
