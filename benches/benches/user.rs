//! The virtual user without a network: rendering, checks, saves, scan and record of one journey step after another.
//! In: the side-by-side's scenarios and a scripted answer. Out: time per request, on one worker and on two, and of the
//! simulation (an hour at 1,000 requests a second in so many seconds).

use benches::{GET, JOURNEY, KEY, body, program, recorder, run};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::client::answer::{Answer, Ending, Times, Via};
use engine::clock::{MILLISECOND, Nanos, thread_cpu_ns};
use engine::isolation::marker::Mint;
use engine::isolation::scanner::{Blind, Scanner};
use engine::record::Recorder;
use engine::run::Run;
use engine::simulate::{Reply, simulate};
use engine::user::{Effect, Input, VirtualUser};
use engine::worker_run::WorkerRun;
use http::{HeaderMap, HeaderValue, header};
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: engine::allocator::Allocator = engine::allocator::Allocator;

/// A user and all that it needs to play without a network.
struct Stage {
    user: VirtualUser,
    body: Vec<u8>,
    headers: HeaderMap,
    now: Nanos,
}

impl Stage {
    fn new(run: &Arc<Run>, seat: usize) -> Self {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::CONTENT_LENGTH, HeaderValue::from_static("900")),
        ];
        let (journey, account) = (run.seats[seat].journey, run.seats[seat].account);
        Self {
            user: VirtualUser::new(WorkerRun::new(Arc::clone(run)), journey, seat as u32, account),
            body: body(900),
            headers: headers.into_iter().collect(),
            now: MILLISECOND,
        }
    }

    /// One iteration: a request rendered, its answer judged, scanned and recorded.
    fn play(&mut self, recorder: &mut Recorder) {
        let mut effect = self.user.step(self.now, Input::Begin(self.now), recorder);
        while let Effect::Send(due) = effect {
            // The client takes them; here they are only dropped.
            black_box(&self.user.outgoing);
            self.now = due + MILLISECOND;
            let answer = Answer {
                ending: Ending::Complete,
                delivered: true,
                status: 200,
                reason: b"",
                headers: &self.headers,
                body: &self.body,
                undecoded: &[],
                codings: &[],
                times: Times { ready: due, sent: Some(due + 10_000), done: self.now, ..Times::default() },
                via: Via::default(),
                bytes_sent: 400,
                bytes_received: 1000,
                heard: None,
            };
            effect = self.user.step(self.now, Input::Answer(&answer), recorder);
        }
        assert!(matches!(effect, Effect::IterationOver(next) if next == self.now), "the step failed: {effect:?}");
    }
}

fn one_worker(c: &mut Criterion) {
    let mut group = c.benchmark_group("user");
    group.throughput(Throughput::Elements(1));
    for (name, text) in [("bare GET", GET), ("full journey step", JOURNEY)] {
        let program = program(text);
        let run = run(&program);
        let (mut recorder, _messages) = recorder(&program);
        let mut stage = Stage::new(&run, 0);
        group.bench_function(name, |b| b.iter(|| stage.play(&mut recorder)));
    }
    group.finish();
}

/// CPU time of `rounds` steps on each of so many workers at once, the slowest worker's. If nothing shared is written
/// it is the same for two as for one; on the wall clock a busy machine would look like contention.
fn side_by_side(run: &Arc<Run>, workers: usize, rounds: u64) -> Duration {
    let start = Barrier::new(workers);
    let times = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                let (run, start) = (Arc::clone(run), &start);
                scope.spawn(move || {
                    let (mut recorder, _messages) = recorder(&run.program);
                    let mut stage = Stage::new(&run, worker);
                    start.wait();
                    let began = thread_cpu_ns();
                    (0..rounds).for_each(|_| stage.play(&mut recorder));
                    Duration::from_nanos(thread_cpu_ns() - began)
                })
            })
            .collect();
        threads.into_iter().filter_map(|t| t.join().ok()).max()
    });
    times.unwrap_or_default()
}

fn workers(c: &mut Criterion) {
    let mut group = c.benchmark_group("CPU per step");
    for (name, text) in [("bare GET", GET), ("full journey step", JOURNEY)] {
        let run = run(&program(text));
        for workers in [1, 2] {
            group.bench_function(format!("{name}, {workers} workers"), |b| {
                b.iter_custom(|rounds| side_by_side(&run, workers, rounds));
            });
        }
    }
    group.finish();
}

/// CPU per step with the scanner against one that sees nothing, which exists only here: on and off by turns, so that a
/// busy machine meets both, and the median of the ratios.
fn scan_share(_: &mut Criterion) {
    const ROUNDS: usize = 41;
    const STEPS: usize = 4000;
    for (name, text, bytes) in
        [("bare GET, 900 B", GET, 900), ("full journey step, 900 B", JOURNEY, 900), ("bare GET, 64 kB", GET, 65_536)]
    {
        let program = program(text);
        let blind = Run {
            scanner: Scanner::blinded(Mint::new(KEY), Blind::Everything),
            ..Arc::into_inner(run(&program)).expect("nobody else holds it")
        };
        let mut stages = [run(&program), Arc::new(blind)].map(|run| Stage::new(&run, 0));
        let (mut recorder, _messages) = recorder(&program);
        let mut time = |stage: &mut Stage| {
            let began = thread_cpu_ns();
            (0..STEPS).for_each(|_| stage.play(&mut recorder));
            (thread_cpu_ns() - began) as f64
        };
        stages.iter_mut().for_each(|stage| stage.body = body(bytes));
        let mut ratios: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let [on, off] = stages.each_mut().map(&mut time);
                on / off
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        let [low, median, high] = [ROUNDS / 4, ROUNDS / 2, ROUNDS * 3 / 4].map(|i| ratios[i]);
        println!("scanning on / off, {name}: CPU × {median:.3} (quartiles {low:.3} … {high:.3})");
    }
}

/// Ten seconds of virtual time at 1,000 arrivals a second; an hour is 360 of them.
fn simulation(c: &mut Criterion) {
    let text = GET.replace("{ users: 50, for: 5s,", "{ arrivals: 1000/s, max_users: 50, for: 10s,");
    let program = program(&text);
    let mut group = c.benchmark_group("simulation");
    group.throughput(Throughput::Elements(10_000));
    group.sample_size(10);
    group.bench_function("10,000 requests", |b| {
        b.iter(|| simulate(&program, 0, 1, &mut |_: &_, _| Reply::ok(MILLISECOND)));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = one_worker, workers, scan_share, simulation
}
criterion_main!(benches);
