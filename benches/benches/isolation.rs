//! Markers and the scanner: what the leak search adds to each request.
//! In: a mint and texts. Out: time per marker, bytes per second.

use benches::{KEY, body};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::isolation::marker::{Kind, Mint};
use engine::isolation::scanner::Scanner;
use rand::{Rng, SeedableRng};
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: engine::allocator::Allocator = engine::allocator::Allocator;

fn markers(c: &mut Criterion) {
    let mint = Mint::new(KEY);
    let head = mint.head(Kind::Account, 77);
    let word = mint.marker(&head, 5, 6);
    c.bench_function("marker: mint", |b| b.iter(|| mint.marker(black_box(&head), 5, 6)));
    c.bench_function("marker: decode", |b| b.iter(|| mint.decode(black_box(&word))));
}

fn scanning(c: &mut Criterion) {
    let mint = Mint::new(KEY);
    let scanner = Scanner::new(mint.clone());
    let mut random = rand_pcg::Pcg64::seed_from_u64(1);
    let base32: Vec<u8> =
        (0..4096).map(|_| b"0123456789abcdefghjkmnpqrstvwxyz"[(random.next_u32() & 31) as usize]).collect();
    let clean = body(4096);
    let mut marked = clean.clone();
    marked.splice(2000..2000, mint.marker(&mint.head(Kind::Account, 77), 5, 6));
    let mut group = c.benchmark_group("scanner");
    for (name, text) in
        [("4 kB of clean JSON", clean), ("4 kB of base32 noise", base32), ("4 kB with one marker", marked)]
    {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut hits = 0;
                scanner.scan(black_box(&text), |_| hits += 1);
                hits
            });
        });
    }
    // What most headers are: too short for anything but the call to count.
    group.throughput(Throughput::Elements(1));
    group.bench_function("a header's 16 bytes", |b| {
        b.iter(|| {
            let mut hits = 0;
            scanner.scan(black_box(b"application/json"), |_| hits += 1);
            hits
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    targets = markers, scanning
}
criterion_main!(benches);
