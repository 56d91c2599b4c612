//! The arrival schedule: how fast due times come, so that a million a second are no burden.
//! In: stages. Out: arrivals per second of computing.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::clock::SECOND;
use engine::load::arrivals::Arrivals;
use scenarios::program::{Spacing, Stage};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: engine::allocator::Allocator = engine::allocator::Allocator;

fn arrivals(c: &mut Criterion) {
    // 10,000 arrivals each: flat, and on a ramp.
    let flat = [Stage { level: 1000.0, duration_ns: 10 * SECOND, ramp_ns: 0 }];
    let ramp = [Stage { level: 1000.0, duration_ns: 20 * SECOND, ramp_ns: 20 * SECOND }];
    let mut group = c.benchmark_group("arrivals");
    group.throughput(Throughput::Elements(10_000));
    for (name, stages, spacing) in
        [("even", flat, Spacing::Even), ("poisson", flat, Spacing::Poisson), ("even, on a ramp", ramp, Spacing::Even)]
    {
        group.bench_function(name, |b| b.iter(|| Arrivals::new(&stages, spacing, 1).sum::<u64>()));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    targets = arrivals
}
criterion_main!(benches);
