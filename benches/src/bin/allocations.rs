//! How many times a request asks the allocator for memory, and for how much.
//! In: nothing. Out: allocations and bytes per request, of a bare GET and of a full journey step.
//!
//! Two runs of different length are played against a server in this process, whose threads are not counted; what the
//! longer one asks for beyond the shorter one is the requests' own. Start, connections and end cancel out, seconds
//! (histograms, lines of the journal) do not: they are in it as they are in a run.
//!
//! cargo run --release -p benches --bin allocations

use engine::allocator::Allocator;
use engine::record::collector::Observer;
use engine::record::interval::Interval;
use engine::{HeaderFacts, Setup};
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Iterations of the shorter run, and how many more the longer one has.
const SHORT: u64 = 2_000;
const MORE: u64 = 20_000;
const USERS: usize = 4;

static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_SERVER: Cell<bool> = const { Cell::new(false) };
}

/// The binary's allocator, counted.
struct Counted;

fn count(bytes: usize) {
    if !IS_SERVER.get() {
        COUNT.fetch_add(1, Relaxed);
        BYTES.fetch_add(bytes as u64, Relaxed);
    }
}

// SAFETY: counting touches no memory of the allocator's, so its contract is the inner one's.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { Allocator.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { Allocator.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { Allocator.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { Allocator.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("allocations: {why}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), String> {
    let address = serve().map_err(|e| e.to_string())?;
    println!("{:<20} {:>22} {:>16}", "", "allocations a request", "bytes a request");
    for (name, text) in [("bare GET", benches::GET), ("full journey step", benches::JOURNEY)] {
        let text = text.replace("${BARE:-http://127.0.0.1:8080}", &format!("http://{address}"));
        let text = text.replace("users: 50, for: 5s", &format!("users: {USERS}, for: 10m"));
        let (few, more) = (asked_by(&text, SHORT)?, asked_by(&text, SHORT + MORE)?);
        let each = |few: u64, more: u64| more.saturating_sub(few) as f64 / MORE as f64;
        println!("{name:<20} {:>22.2} {:>16.0}", each(few.0, more.0), each(few.1, more.1));
    }
    Ok(())
}

/// Plays so many iterations; answers how often memory was asked for meanwhile, and how much.
fn asked_by(text: &str, iterations: u64) -> Result<(u64, u64), String> {
    let program = benches::program(text);
    let setup = Setup {
        profile: 0,
        facts: HeaderFacts::default(),
        seed: 1,
        workers: 1,
        key: benches::KEY,
        folder: None,
        stop: Arc::default(),
        health_requests: 0,
    };
    let before = (COUNT.load(Relaxed), BYTES.load(Relaxed));
    let finished = engine::run_at_most(&program, setup, Some(iterations), &mut Nobody).map_err(|e| e.to_string())?;
    let after = (COUNT.load(Relaxed), BYTES.load(Relaxed));
    let totals = finished.result.totals();
    if totals.ok != iterations {
        return Err(format!("{} of {iterations} requests were answered as they should be", totals.ok));
    }
    Ok((after.0 - before.0, after.1 - before.1))
}

struct Nobody;

impl Observer for Nobody {
    fn interval(&mut self, _: &Interval) {}
}

/// A server whose threads are not counted; they end with the process.
fn serve() -> io::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let body = benches::body(900);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    let answer = Arc::new([head.into_bytes(), body].concat());
    std::thread::spawn(move || {
        IS_SERVER.set(true);
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                IS_SERVER.set(true);
                // What ends a connection is the client's business.
                let _ = answer_all(stream, &answer);
            });
        }
    });
    Ok(address)
}

/// Answers each request; one is sent in one piece, and a user waits for its answer.
fn answer_all(mut stream: TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 8192];
    while stream.read(&mut buffer)? > 0 {
        stream.write_all(answer)?;
    }
    Ok(())
}
