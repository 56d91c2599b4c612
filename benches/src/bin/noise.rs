//! How often the scanner cries wolf: gigabytes of text that holds no marker.
//! In: how many gigabytes (default 12). Out: a line per kind of text with speed and hits; exit code 1 if there was one.
//!
//! cargo run --release -p benches --bin noise -- 12

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use engine::clock::thread_cpu_ns;
use engine::isolation::marker::Mint;
use engine::isolation::scanner::Scanner;
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::process::ExitCode;

/// Scanned at once; no text is scanned twice.
const BLOCK: usize = 16 << 20;

/// A kind of text, and what writes a block of it.
type Kind = (&'static str, fn(&mut Pcg64, &mut Vec<u8>));

fn main() -> ExitCode {
    let gigabytes = match std::env::args().nth(1).map(|a| a.parse::<f64>()) {
        None => 12.0,
        Some(Ok(n)) if n > 0.0 => n,
        Some(_) => {
            eprintln!("how many gigabytes? A number above 0, such as 12");
            return ExitCode::from(2);
        }
    };
    let kinds: [Kind; 6] = [
        ("random bytes", random_bytes),
        ("base32, the marker's alphabet", base32),
        ("base32 in capitals", capitals),
        ("base64 and base64url", base64),
        ("hexadecimal", hexadecimal),
        ("JSON with names, ids and tokens", json),
    ];
    let scanner = Scanner::new(Mint::new([7; 32]));
    let blocks = (gigabytes * 1e9 / kinds.len() as f64 / BLOCK as f64).ceil() as usize;
    let (mut bytes, mut hits) = (0, 0);
    for (index, (name, write)) in kinds.iter().enumerate() {
        let mut random = Pcg64::seed_from_u64(index as u64);
        let (mut block, mut scanned, mut found, mut cpu) = (Vec::with_capacity(BLOCK + 4096), 0, 0_u64, 0);
        for _ in 0..blocks {
            block.clear();
            write(&mut random, &mut block);
            let began = thread_cpu_ns();
            scanner.scan(&block, |_| found += 1);
            cpu += thread_cpu_ns() - began;
            scanned += block.len();
        }
        let speed = scanned as f64 / cpu as f64;
        println!("{name:<32} {:>7.2} GB  {speed:>6.2} GB/s  {found} hits", scanned as f64 / 1e9);
        (bytes, hits) = (bytes + scanned, hits + found);
    }
    println!("{:<32} {:>7.2} GB  {hits} hits", "all", bytes as f64 / 1e9);
    ExitCode::from(u8::from(hits > 0))
}

fn random_bytes(random: &mut Pcg64, block: &mut Vec<u8>) {
    block.resize(BLOCK, 0);
    random.fill_bytes(block);
}

fn of_alphabet(random: &mut Pcg64, block: &mut Vec<u8>, alphabet: &[u8; 32]) {
    while block.len() < BLOCK {
        let mut bits = random.next_u64();
        for _ in 0..12 {
            block.push(alphabet[(bits & 31) as usize]);
            bits >>= 5;
        }
    }
}

fn base32(random: &mut Pcg64, block: &mut Vec<u8>) {
    of_alphabet(random, block, b"0123456789abcdefghjkmnpqrstvwxyz");
}

fn capitals(random: &mut Pcg64, block: &mut Vec<u8>) {
    of_alphabet(random, block, b"0123456789ABCDEFGHJKMNPQRSTVWXYZ");
}

fn base64(random: &mut Pcg64, block: &mut Vec<u8>) {
    let mut bytes = vec![0; BLOCK * 3 / 8];
    random.fill_bytes(&mut bytes);
    block.extend_from_slice(STANDARD.encode(&bytes).as_bytes());
    random.fill_bytes(&mut bytes);
    block.extend_from_slice(URL_SAFE_NO_PAD.encode(&bytes).as_bytes());
}

fn hexadecimal(random: &mut Pcg64, block: &mut Vec<u8>) {
    while block.len() < BLOCK {
        let mut bits = random.next_u64();
        for _ in 0..16 {
            block.push(b"0123456789abcdef"[(bits & 15) as usize]);
            bits >>= 4;
        }
    }
}

fn json(random: &mut Pcg64, block: &mut Vec<u8>) {
    use std::io::Write as _;
    const WORDS: [&str; 12] = [
        "sleep",
        "harbour",
        "today",
        "felt",
        "calm",
        "after",
        "Dr. O'Neill",
        "caf\\u00e9",
        "wtq",
        "story",
        "\\\"so\\\"",
        "7zx1",
    ];
    while block.len() < BLOCK {
        let (id, token): (u128, [u8; 24]) = (random.random(), random.random());
        let mut pick = || WORDS[random.random_range(0..WORDS.len())];
        // Writing to memory does not fail.
        let _ = writeln!(
            block,
            r#"{{"id":"{id:032x}","name":"{} {}","note":"{} {} {}","token":"{}","mood":{},"at":"2026-03-0{}T12:00:00Z"}}"#,
            pick(),
            pick(),
            pick(),
            pick(),
            pick(),
            URL_SAFE_NO_PAD.encode(token),
            id % 10,
            id % 9 + 1,
        );
    }
}
