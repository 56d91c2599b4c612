//! Connections of thinking users: parked while nobody speaks, the same ones afterwards, and never blind meanwhile.

use super::{assert_laws, program};
use engine::run_result::{RunResult, Tier};
use engine::{HeaderFacts, Setup, Unobserved};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Two users who ask, think for longer than parking needs, and ask again. The server plays `after` when it has answered.
fn run(after: fn(&mut TcpStream, usize)) -> (RunResult, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            count.fetch_add(1, SeqCst);
            std::thread::spawn(move || {
                let mut answered = 0;
                while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                    answered += 1;
                    after(&mut stream, answered);
                }
            });
        }
    });
    let text = format!(
        "watertight: 1\nname: parked\ntargets: {{ t: 'http://127.0.0.1:{port}' }}\n\
         journeys: {{ j: {{ target: t, steps: [ GET /a, think: 250ms, GET /b, think: 250ms ] }} }}\n\
         profiles: {{ p: {{ users: 2, for: 1200ms, graceful_stop: 2s }} }}\n"
    );
    let setup = Setup {
        profile: 0,
        facts: HeaderFacts::default(),
        seed: 1,
        workers: 2,
        key: [1; 32],
        folder: None,
        stop: Arc::default(),
        health_requests: 0,
    };
    let result = engine::run(&program(&text), setup, &mut Unobserved).expect("the run starts").result;
    assert_laws(&result);
    (result, connections.load(SeqCst))
}

#[test]
fn a_connection_outlives_its_users_thinking() {
    let (result, connections) = run(|_, _| {});
    let totals = result.totals();
    assert!(totals.ok >= 4 && totals.failed == 0, "{totals:?}");
    assert_eq!(connections, 2);
}

#[test]
fn one_that_is_closed_meanwhile_costs_a_connection_and_no_error() {
    let (result, connections) = run(|stream, _| {
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    let totals = result.totals();
    assert_eq!((totals.failed, totals.ok), (0, connections as u64), "{totals:?}");
    assert!(totals.ok >= 4, "{totals:?}");
}

#[test]
fn bytes_that_come_meanwhile_are_found() {
    let (result, _) = run(|stream, answered| {
        if answered == 1 {
            let mut late = stream.try_clone().expect("a handle");
            std::thread::spawn(move || {
                // Long after the answer and before the next request: the user thinks for 250 ms.
                std::thread::park_timeout(std::time::Duration::from_millis(100));
                let _ = late.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray");
            });
        }
    });
    assert_eq!(result.totals().failed, 0, "{:?}", result.errors);
    let found: Vec<_> = result.isolation.groups.iter().map(|g| (g.key.detector.as_str(), g.key.tier)).collect();
    // One for each step whose answer was the last one before them.
    assert!(!found.is_empty() && found.iter().all(|f| *f == ("framing", Tier::Proven)), "{found:?}");
}
