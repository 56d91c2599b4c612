//! What the clinic counts about itself.
//!
//! In: every request as its head arrives, and its answer. Out: the exact counts for
//! `GET /practice/counts`, and the text of `GET /metrics` in Prometheus' format.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{clock, server::App};

/// Upper bounds of the duration histogram, in seconds.
const BOUNDS_S: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Counts of requests; every one exactly once, as its head arrives.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: AtomicU64,
    in_progress: AtomicU64,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    by_target: BTreeMap<&'static str, u64>,
    /// By method and route, such as `GET /health`: bounded by the routes there are.
    by_route: BTreeMap<String, RouteTally>,
    durations: [u64; BOUNDS_S.len() + 1],
    duration_sum_s: f64,
}

#[derive(Default)]
struct RouteTally {
    arrived: u64,
    /// By status; 0 for requests whose client went away before the answer.
    answered: BTreeMap<u16, u64>,
}

impl Metrics {
    /// Counts a request. The visit is to be told the answer's status; one that is dropped
    /// without is a client that went away.
    pub(crate) fn arrived(&self, service: &'static str, route: String) -> Visit<'_> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.in_progress.fetch_add(1, Ordering::Relaxed);
        let mut tally = self.lock();
        *tally.by_target.entry(service).or_default() += 1;
        match tally.by_route.get_mut(&route) {
            Some(counted) => counted.arrived += 1,
            None => tally.by_route.entry(route.clone()).or_default().arrived += 1,
        }
        drop(tally);
        Visit { metrics: self, route, began: clock::now(), status: 0 }
    }

    /// Requests that have arrived so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// The answer of `GET /practice/counts`.
    pub(crate) fn counts(&self) -> Value {
        let tally = self.lock();
        let by_route: BTreeMap<&str, u64> =
            tally.by_route.iter().map(|(route, counted)| (route.as_str(), counted.arrived)).collect();
        json!({
            "requests": by_route.values().sum::<u64>(),
            "by_target": tally.by_target,
            "by_route": by_route,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request between its head and its answer.
pub(crate) struct Visit<'a> {
    metrics: &'a Metrics,
    route: String,
    began: Instant,
    status: u16,
}

impl Visit<'_> {
    pub(crate) fn answered(mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let took_s = self.began.elapsed().as_secs_f64();
        let bucket = BOUNDS_S.partition_point(|bound_s| *bound_s < took_s);
        let mut tally = self.metrics.lock();
        tally.durations[bucket] += 1;
        tally.duration_sum_s += took_s;
        if let Some(counted) = tally.by_route.get_mut(&self.route) {
            *counted.answered.entry(self.status).or_default() += 1;
        }
        drop(tally);
        self.metrics.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The text of `GET /metrics`.
pub(crate) fn exposition(app: &App) -> String {
    let mut text = String::with_capacity(8 << 10);
    write_all(&mut text, app).expect("writing to a String cannot fail");
    text
}

fn write_all(text: &mut String, app: &App) -> fmt::Result {
    write_requests(text, &app.metrics.lock())?;
    let in_progress = app.metrics.in_progress.load(Ordering::Relaxed);
    write_one(text, "http_requests_in_progress", "gauge", in_progress)?;
    let (connections, messages) = app.rooms.figures();
    write_one(text, "websocket_connections_active", "gauge", connections)?;
    write_one(text, "websocket_messages_total", "counter", messages)?;

    let (articles, answers) = (app.articles.hits_and_misses(), app.answers.hits_and_misses());
    write_one(text, "cache_hits_total", "counter", articles.0 + answers.0)?;
    write_one(text, "cache_misses_total", "counter", articles.1 + answers.1)?;

    let pool = app.database.pool_use();
    write_one(text, "database_connections_active", "gauge", pool.active)?;
    write_one(text, "database_connections_max", "gauge", pool.max)?;
    write_one(text, "database_connections_waiting", "gauge", pool.waiting)?;
    write_one(text, "database_queries_total", "counter", pool.queries)?;
    writeln!(text, "# TYPE database_query_duration_seconds summary")?;
    let sum_s = pool.query_time.as_secs_f64();
    writeln!(text, "database_query_duration_seconds_sum {sum_s}")?;
    writeln!(text, "database_query_duration_seconds_count {}", pool.queries)?;

    // Where the system does not tell the memory in use, no value is better than a wrong one.
    let resident = resident_bytes().map_or("NaN".to_owned(), |bytes| bytes.to_string());
    write_one(text, "memory_usage_bytes", "gauge", &resident)?;
    write_one(text, "process_resident_memory_bytes", "gauge", &resident)?;
    let processor = processor_s().map_or("NaN".to_owned(), |seconds| seconds.to_string());
    write_one(text, "process_cpu_seconds_total", "counter", &processor)
}

fn write_requests(text: &mut String, tally: &Tally) -> fmt::Result {
    let mut errors = 0;
    writeln!(text, "# TYPE http_requests_total counter")?;
    for (route, counted) in &tally.by_route {
        let (method, path) = route.split_once(' ').unwrap_or(("", route));
        for (status, number) in &counted.answered {
            let labels = format_args!("method=\"{method}\",route=\"{path}\",status=\"{status}\"").to_string();
            writeln!(text, "http_requests_total{{{labels}}} {number}")?;
            errors += if *status >= 500 { *number } else { 0 };
        }
    }
    write_one(text, "errors_total", "counter", errors)?;

    let name = "http_request_duration_seconds";
    writeln!(text, "# TYPE {name} histogram")?;
    let mut up_to = 0;
    for (bound_s, number) in BOUNDS_S.iter().zip(&tally.durations) {
        up_to += number;
        writeln!(text, "{name}_bucket{{le=\"{bound_s}\"}} {up_to}")?;
    }
    let all: u64 = tally.durations.iter().sum();
    writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {all}")?;
    writeln!(text, "{name}_sum {}", tally.duration_sum_s)?;
    writeln!(text, "{name}_count {all}")
}

fn write_one(text: &mut String, name: &str, kind: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(text, "# TYPE {name} {kind}\n{name} {value}")
}

/// The memory of this process that is in use, where `/proc` tells it. Started inside a load
/// tester, the clinic shares the process, and this is the memory of both.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// The time that processors have spent on this process, where `/proc` tells it.
fn processor_s() -> Option<f64> {
    /// Linux tells these times in hundredths of a second to every program.
    const TICKS_PER_S: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program stands in brackets and may hold anything; user and system time are the 12th and 13th after it.
    let (_, after) = stat.rsplit_once(')')?;
    let mut times = after.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    Some((user + system) as f64 / TICKS_PER_S)
}
