//! The recorder: samples into the open second, and the second's end.
//! In: samples. Out: samples per second, time per second's hand-over and its JSON.

use benches::{JOURNEY, program, recorder};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::client::answer::Times;
use engine::clock::SECOND;
use engine::record::collector::Message;
use engine::record::{Class, Sample};
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: engine::allocator::Allocator = engine::allocator::Allocator;

/// A sample whose times wander through the histograms as real ones do.
fn sample(number: u64) -> Sample {
    let due = SECOND + number;
    let response = 200_000 + number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 5_000_000;
    let times = Times { ready: due, sent: Some(due + 20_000), done: due + response, ..Times::default() };
    Sample { step: 0, class: Class::Ok, due, times, delivered: true, bytes: (300, 1000) }
}

fn recording(c: &mut Criterion) {
    let program = program(JOURNEY);
    let (mut recorder, messages) = recorder(&program);
    let mut group = c.benchmark_group("recorder");
    group.throughput(Throughput::Elements(1));
    let mut number = 0;
    group.bench_function("one sample", |b| {
        b.iter(|| {
            number += 1;
            recorder.planned(0, SECOND);
            recorder.sample(black_box(&sample(number)));
        });
    });
    group.finish();
    let mut second = 0;
    c.bench_function("recorder: end of a second with 1,000 samples", |b| {
        b.iter_batched(
            || (0..1000).map(sample).collect::<Vec<_>>(),
            |samples| {
                samples.iter().for_each(|s| recorder.sample(s));
                second += 1;
                recorder.turn(second);
                messages.try_recv()
            },
            BatchSize::SmallInput,
        );
    });
    (0..1000).for_each(|i| recorder.sample(&sample(i)));
    recorder.turn(second + 1);
    let interval = messages.try_iter().find_map(|m| match m {
        (_, Message::Interval(interval)) => Some(interval),
        _ => None,
    });
    let interval = interval.expect("the second was handed over");
    c.bench_function("recorder: a second's line of JSON", |b| b.iter(|| serde_json::to_vec(black_box(&interval))));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    targets = recording
}
criterion_main!(benches);
