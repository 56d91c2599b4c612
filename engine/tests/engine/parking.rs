//! Connections of thinking users: parked while nobody speaks, the same ones afterwards, and never blind meanwhile.

use super::{assert_laws, program};
use engine::run_result::{RunResult, Tier};
use engine::{HeaderFacts, Setup, Unobserved};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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

#[test]
fn an_upload_that_is_still_going_out_is_not_cut_off_by_parking() {
    // Answered before it is read, as by a server that refuses by the head: most of it still waits to be written while
    // the user thinks for longer than parking needs. The server reads on and must get every byte, and what follows.
    const SIZE: usize = 4_096_000;
    let read: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
    let log = Arc::clone(&read);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    // As little as the system grants: all the rest is with the client.
    let _ = socket2::SockRef::from(&listener).set_recv_buffer_size(4096);
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Some(head) = head(&mut stream) else { return };
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            let (_nobody, silence) = channel::<()>();
            assert_eq!(silence.recv_timeout(Duration::from_millis(400)), Err(RecvTimeoutError::Timeout));
            let length =
                head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap_or(0));
            let mut body = vec![0; length];
            let whole =
                if stream.read_exact(&mut body).is_ok() { body.iter().filter(|b| **b == b'x').count() } else { 0 };
            let next = self::head(&mut stream).unwrap_or_default();
            log.lock().expect("nobody dies holding it").push((whole, next));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let result = super::loopback::run_file(&format!(
        "watertight: 1\nname: upload\ntargets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: 5s }} }}\n\
         journeys: {{ j: {{ target: t, steps: [\n\
         set: {{ long: {} }}, {{ repeat: 12, steps: [ set: {{ long: '{{{{ long }}}}{{{{ long }}}}' }} ] }},\n\
         POST /upload: {{ body: '{{{{ long }}}}' }}, think: 1s, GET /next ] }} }}\n\
         profiles: {{ p: {{ users: 1, for: 50ms, graceful_stop: 9s }} }}\n",
        "x".repeat(1000)
    ));
    assert_eq!((result.totals().ok, result.iterations.completed), (2, 1), "{:?}", result.errors);
    let read = read.lock().expect("nobody dies holding it");
    let [(whole, next)] = &read[..] else { panic!("one connection: {read:?}") };
    assert_eq!(*whole, SIZE);
    assert!(next.starts_with("get /next"), "{next}");
}

/// The head of a request, in lower case.
fn head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).to_lowercase())
}
