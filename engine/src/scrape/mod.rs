//! Watched series: what the targets tell about themselves while a run goes. Scraped on a thread of its own, beside all
//! figures; what objectives name is kept, nothing else.
//! In: the program, the clock. Out: readings inside intervals, and how many requests it took.

pub mod exposition;

use crate::client::answer::{Ending, Outgoing};
use crate::client::exchange::UserClient;
use crate::client::wire::Wire;
use crate::clock::{Clock, Nanos, SECOND};
use crate::record::collector::{Handover, Message};
use crate::record::interval::Interval;
use crate::runtime::Runtime;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use scenarios::diagnostic::did_you_mean;
use scenarios::program::{Profile, Program, Target};
use scenarios::watched::{Readings, SeriesRef, WatchExpr};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest time for one scrape, ns.
const PATIENCE: Nanos = 5 * SECOND;
/// Names of series kept to say which are near one that is missing.
const MOST_NAMES: usize = 5_000;
/// Buckets of a histogram.
const MOST_BUCKETS: usize = 1_000;

/// The expressions that the objectives of `profile` watch, each once.
pub fn expressions(program: &Program, profile: &Profile) -> Vec<String> {
    let objectives = program.objectives.iter();
    let here = objectives.filter(|o| o.profiles.as_ref().is_none_or(|names| names.contains(&profile.name)));
    let mut texts: Vec<String> = here.filter_map(|o| Some(o.watch.as_ref()?.text.clone())).collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// One target's series at one moment.
#[derive(Debug, Default)]
struct Reading {
    at: f64,
    /// Sum over all label sets.
    values: BTreeMap<SeriesRef, f64>,
    /// Histograms: counts by the bits of their upper bounds.
    buckets: BTreeMap<SeriesRef, BTreeMap<u64, f64>>,
}

/// A watched target.
struct Watched {
    /// Index among the watched targets of the program, as expressions count them.
    index: usize,
    name: String,
    path: Uri,
    every_ns: Nanos,
    next: Nanos,
    client: UserClient,
    now: Option<Reading>,
    before: Option<Reading>,
    /// Names that it told, for whoever misspelt one.
    names: BTreeSet<String>,
    /// Why the last scrape told nothing.
    problem: Option<String>,
}

/// Reads the series.
pub struct Scraper {
    program: Arc<Program>,
    /// By series: its expression.
    series: Vec<WatchExpr>,
    targets: Vec<Watched>,
    ends: Vec<Target>,
    runtime: Runtime,
    tls: Vec<Option<Arc<rustls::ClientConfig>>>,
    /// By series: what was said last about why it has no value.
    said: Vec<String>,
}

impl std::fmt::Debug for Scraper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scraper").field("series", &self.series).finish_non_exhaustive()
    }
}

impl Scraper {
    /// A scraper of what `profile` watches; `None` if that is nothing.
    ///
    /// # Errors
    /// Its connections cannot be prepared, in a sentence.
    pub fn new(program: &Arc<Program>, profile: &Profile) -> Result<Option<Self>, String> {
        let watched: Vec<&Target> = program.targets.iter().filter(|t| t.watch.is_some()).collect();
        let names: Vec<&str> = watched.iter().map(|t| t.name.as_str()).collect();
        let texts = expressions(program, profile);
        let parsed = texts.iter().map(|text| WatchExpr::parse(text, &names));
        let series: Vec<WatchExpr> = parsed.collect::<Result<_, _>>().map_err(|e| e.message)?;
        let used: BTreeSet<usize> = series.iter().flat_map(WatchExpr::series).map(|s| s.target).collect();
        if used.is_empty() {
            return Ok(None);
        }
        let mut targets = Vec::new();
        let mut ends = Vec::new();
        for index in used {
            let target = watched[index];
            let Some(scrape) = &target.watch else { continue };
            let path = scrape.path.parse().map_err(|e| format!("`watch: {}`: {e}", scrape.path))?;
            ends.push(Target { url: scrape.url.clone(), ..target.clone() });
            targets.push(Watched {
                index,
                name: target.name.clone(),
                path,
                every_ns: scrape.every_ns.max(SECOND),
                next: 0,
                client: UserClient::new(0),
                now: None,
                before: None,
                names: BTreeSet::new(),
                problem: None,
            });
        }
        let count = targets.len();
        targets.iter_mut().for_each(|t| t.client = UserClient::new(count));
        let runtime = Runtime::new().map_err(|e| format!("the runtime of the watched series cannot start: {e}"))?;
        let tls = Wire::tls_configs(&ends)?;
        let said = vec![String::new(); series.len()];
        Ok(Some(Self { program: Arc::clone(program), series, targets, ends, runtime, tls, said }))
    }

    /// Scrapes every target that is due at `now` (all if `now` is `None`) and answers what it came to, as a part of
    /// `second`. `at_s` is the moment, s since the start of the load; negative before it.
    fn scrape(&mut self, clock: Clock, now: Option<Nanos>, second: u64, at_s: f64) -> Interval {
        let mut part = Interval::new(second, &self.program);
        let wire = match Wire::new(clock, &self.ends, &self.tls) {
            Ok(wire) => wire,
            Err(problem) => {
                self.targets.iter_mut().for_each(|t| t.problem = Some(problem.clone()));
                return part;
            }
        };
        let mut read = BTreeSet::new();
        for place in 0..self.targets.len() {
            let target = &mut self.targets[place];
            if now.is_some_and(|now| now < target.next) {
                continue;
            }
            target.next = now.unwrap_or(0).max(target.next) + target.every_ns;
            let wanted: Vec<&WatchExpr> = self.series.iter().collect();
            part.overhead.scrapes += u64::from(self.runtime.block_on(target.read(&wire, place, &wanted, at_s)));
            read.insert(target.index);
        }
        for (index, expr) in self.series.iter().enumerate() {
            if !expr.series().iter().any(|s| read.contains(&s.target)) {
                continue;
            }
            let readings = All { targets: &self.targets };
            if let Some(value) = expr.value(&readings) {
                part.watched.push((index, at_s, value));
            } else if let Some(why) = why_not(expr, &self.targets).filter(|why| *why != self.said[index]) {
                part.unwatched.push((index, why.clone()));
                self.said[index] = why;
            }
        }
        part
    }

    /// Reads all before the load starts: the level to which it has to return.
    pub fn before(&mut self, clock: Clock) -> Interval {
        self.scrape(clock, None, 0, -1.0)
    }

    /// Reads all at the end of the run.
    pub fn after(&mut self, clock: Clock, second: u64) -> Interval {
        self.scrape(clock, None, second, clock.now() as f64 / SECOND as f64)
    }
}

impl Watched {
    /// Reads it once; answers whether a request went out.
    async fn read(&mut self, wire: &Wire, place: usize, series: &[&WatchExpr], at_s: f64) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/plain;version=0.0.4"));
        let mut request = Outgoing {
            target: place,
            method: Method::GET,
            uri: self.path.clone(),
            headers,
            timeout_ns: PATIENCE.min(self.every_ns),
            ..Outgoing::default()
        };
        let received = self.client.exchange(wire, &mut request, wire.clock.now()).await;
        let answer = received.answer();
        self.problem = match answer.ending {
            Ending::Complete if answer.status == 200 => {
                self.take(answer.body, series, at_s);
                None
            }
            Ending::Complete => Some(format!("GET {} answered {}", self.path, answer.status)),
            Ending::Failed(transport) => Some(format!("GET {}: {}", self.path, transport.name())),
            _ => Some(format!("GET {}: no answer in time", self.path)),
        };
        let delivered = answer.delivered;
        received.recycle(wire);
        delivered
    }

    fn take(&mut self, body: &[u8], series: &[&WatchExpr], at_s: f64) {
        let all = series.iter().flat_map(|expr| expr.series());
        let wanted: BTreeSet<&SeriesRef> = all.filter(|s| s.target == self.index).collect();
        let mut reading = Reading { at: at_s, ..Reading::default() };
        self.names.clear();
        exposition::samples(body, |sample| {
            if self.names.len() < MOST_NAMES && !self.names.contains(sample.name) {
                self.names.insert(sample.name.to_owned());
            }
            for wanted in wanted.iter().filter(|w| w.name == sample.name) {
                let has = |(k, v): &(String, String)| sample.labels.iter().any(|(name, value)| name == k && value == v);
                if !wanted.labels.iter().all(has) {
                    continue;
                }
                *reading.values.entry((*wanted).clone()).or_default() += sample.value;
                let bound = sample.labels.iter().find(|(name, _)| *name == "le").map(|(_, bound)| bound.as_str());
                let bound = match bound {
                    Some("+Inf") => Some(f64::INFINITY),
                    other => other.and_then(|b| b.parse::<f64>().ok()).filter(|b| !b.is_nan()),
                };
                if let Some(bound) = bound {
                    let buckets = reading.buckets.entry((*wanted).clone()).or_default();
                    if buckets.len() < MOST_BUCKETS {
                        *buckets.entry(bound.to_bits()).or_default() += sample.value;
                    }
                }
            }
        });
        self.before = self.now.replace(reading);
    }
}

/// Why an expression has no value, if it is a name's fault or the target's.
fn why_not(expr: &WatchExpr, targets: &[Watched]) -> Option<String> {
    expr.series().into_iter().find_map(|series| {
        let target = targets.iter().find(|t| t.index == series.target)?;
        if let Some(problem) = &target.problem {
            return Some(format!("target {} could not be read: {problem}", target.name));
        }
        if target.names.contains(&series.name) {
            let found = target.now.as_ref().is_some_and(|r| r.values.contains_key(series));
            return (!found).then(|| format!("{} has `{}`, but not with these labels", target.name, series.name));
        }
        Some(match near(&series.name, &target.names).as_slice() {
            [] => format!("{} has no series `{}`, nor any that is near", target.name, series.name),
            near => format!("{} has no series `{}`; near are `{}`", target.name, series.name, near.join("`, `")),
        })
    })
}

/// Names that whoever wrote `name` may have meant: one that reads alike first, then those that share a part with it.
fn near<'a>(name: &str, names: &'a BTreeSet<String>) -> Vec<&'a str> {
    let mut near: Vec<&str> = did_you_mean(name, names.iter().map(String::as_str)).into_iter().collect();
    let parts: Vec<&str> = name.split('_').filter(|part| part.len() > 3).collect();
    let shared = |other: &str| parts.iter().filter(|part| other.contains(**part)).count();
    let mut alike: Vec<(usize, &str)> = names.iter().map(|n| (shared(n), n.as_str())).filter(|(n, _)| *n > 0).collect();
    alike.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    for (_, other) in alike {
        if near.len() < 4 && !near.contains(&other) {
            near.push(other);
        }
    }
    near
}

struct All<'a> {
    targets: &'a [Watched],
}

impl All<'_> {
    fn of(&self, series: &SeriesRef) -> Option<&Watched> {
        self.targets.iter().find(|t| t.index == series.target && t.problem.is_none())
    }

    fn pair(&self, series: &SeriesRef) -> Option<(&Reading, &Reading)> {
        let target = self.of(series)?;
        target.before.as_ref().zip(target.now.as_ref())
    }
}

impl Readings for All<'_> {
    fn value(&self, series: &SeriesRef) -> Option<f64> {
        self.of(series)?.now.as_ref()?.values.get(series).copied()
    }

    fn rate(&self, series: &SeriesRef) -> Option<f64> {
        let (before, now) = self.pair(series)?;
        let (was, is) = (before.values.get(series)?, now.values.get(series)?);
        let length = now.at - before.at;
        // A counter that fell began anew: the target was restarted.
        let grown = if is < was { *is } else { is - was };
        (length > 0.0).then(|| grown / length)
    }

    fn observed(&self, series: &SeriesRef) -> Vec<(f64, f64)> {
        let Some((before, now)) = self.pair(series) else { return Vec::new() };
        let (Some(was), Some(is)) = (before.buckets.get(series), now.buckets.get(series)) else { return Vec::new() };
        let is_restarted = is.iter().any(|(bound, n)| was.get(bound).is_some_and(|before| n < before));
        let earlier = |bound| if is_restarted { 0.0 } else { was.get(bound).copied().unwrap_or(0.0) };
        let mut observed: Vec<(f64, f64)> =
            is.iter().map(|(bound, n)| (f64::from_bits(*bound), n - earlier(bound))).collect();
        observed.sort_by(|a, b| a.0.total_cmp(&b.0));
        observed
    }
}

/// A scraper at work beside the load.
#[derive(Debug)]
pub struct Beside {
    thread: JoinHandle<Scraper>,
    stop: Arc<(Mutex<bool>, Condvar)>,
}

impl Beside {
    /// Lets `scraper` read whatever is due until [`finish`](Self::finish).
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(mut scraper: Scraper, clock: Clock, handover: Handover) -> std::io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let asked = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("watch".into()).spawn(move || {
            let (lock, changed) = &*asked;
            // The level before the load was read a moment ago.
            scraper.targets.iter_mut().for_each(|t| t.next = t.every_ns);
            loop {
                let next = scraper.targets.iter().map(|t| t.next).min().unwrap_or(Nanos::MAX);
                let wait = Duration::from_nanos(next.saturating_sub(clock.now()));
                let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
                let waited = changed.wait_timeout_while(guard, wait, |stop| !*stop);
                if *waited.map_or_else(|e| e.into_inner().0, |(guard, _)| guard) {
                    return scraper;
                }
                let now = clock.now();
                let part = scraper.scrape(clock, Some(now), now / SECOND, now as f64 / SECOND as f64);
                handover.send(Message::Interval(Box::new(part)));
            }
        })?;
        Ok(Self { thread, stop })
    }

    /// Ends it and gives the scraper back; `None` if it died.
    pub fn finish(self) -> Option<Scraper> {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        self.thread.join().ok()
    }
}
