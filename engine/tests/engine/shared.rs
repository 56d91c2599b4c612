//! `share_connections`: many users over few connections, HTTP/1.1 and HTTP/2.

use super::loopback::{answer_each, assert_good, listen, ok, run_profile};
use bytes::Bytes;
use engine::run_result::RunResult;
use http::Response;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const SIX: &str = "users: 6, for: 600ms, graceful_stop: 3s";

/// How many are doing something now, and how many at most.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
    connections: AtomicUsize,
}

impl Crowd {
    fn enter(&self) {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
    }

    fn leave(&self) {
        self.now.fetch_sub(1, SeqCst);
    }
}

/// Answers after 5 ms; a connection ends after `requests` of them, if so many come.
fn one(requests: usize) -> (u16, Arc<Crowd>) {
    let crowd: Arc<Crowd> = Arc::default();
    let seen = Arc::clone(&crowd);
    let port = listen(move |stream| {
        seen.connections.fetch_add(1, SeqCst);
        let count = AtomicUsize::new(0);
        let closer = stream.try_clone().expect("a socket can be cloned");
        answer_each(stream, |_| {
            seen.enter();
            pause();
            seen.leave();
            if count.fetch_add(1, SeqCst) + 1 == requests {
                let _ = closer.shutdown(std::net::Shutdown::Read);
            }
            ok("{}")
        });
    });
    (port, crowd)
}

#[expect(clippy::disallowed_methods, reason = "a target that takes its time")]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(5));
}

fn two() -> (u16, Arc<Crowd>) {
    let crowd: Arc<Crowd> = Arc::default();
    let seen = Arc::clone(&crowd);
    let port = listen(move |stream| {
        seen.connections.fetch_add(1, SeqCst);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        stream.set_nonblocking(true).expect("a socket takes it");
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::from_std(stream).expect("a socket is a socket");
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    seen.enter();
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    seen.leave();
                    if let Ok(mut stream) = respond.send_response(Response::new(()), false) {
                        let _ = stream.send_data(Bytes::from_static(b"{\"a\": 1}"), true);
                    }
                });
            }
        });
    });
    (port, crowd)
}

fn waited(result: &RunResult) -> bool {
    // Six users that never rest, two at a time, 5 ms each: the third waits for two others.
    let response = result.steps[0].response.percentile_ns(50.0).expect("there were answers");
    let service = result.steps[0].service.percentile_ns(50.0).expect("there were answers");
    response > service + service / 2
}

#[test]
fn over_http_1_a_connection_serves_one_request_at_a_time_and_waiting_is_response_time() {
    let (port, crowd) = one(usize::MAX);
    let target = format!("url: 'http://127.0.0.1:{port}', timeout: 3s, share_connections: 2");
    let result = run_profile(&target, "GET /", SIX);
    assert_good(&result);
    assert_eq!((crowd.connections.load(SeqCst), crowd.most.load(SeqCst)), (2, 2));
    assert!(waited(&result), "{:?}", result.steps[0]);
    assert_eq!(result.health.transport.http1, 2);
    assert!(result.header.notes.iter().any(|n| n.starts_with("all users share 2 connections to `t`")));
    assert_eq!(result.header.workers, 2);
}

#[test]
fn over_http_2_all_have_streams_of_the_same_few() {
    let (port, crowd) = two();
    let target = format!("url: 'http://127.0.0.1:{port}', http: h2c, timeout: 3s, share_connections: 1");
    let result = run_profile(&target, "GET /", SIX);
    assert_good(&result);
    assert_eq!(crowd.connections.load(SeqCst), 1);
    assert!(crowd.most.load(SeqCst) > 1, "streams run beside each other");
    // Each stream has its own bytes: eight of the body and a head.
    let counts = result.totals();
    assert!(counts.bytes_received / counts.ok < 500, "{counts:?}");
    assert_eq!(counts.not_delivered, 0);
    assert_eq!(result.header.workers, 1, "no more workers than connections");
}

#[test]
fn a_profile_says_it_for_all_targets_and_what_the_target_closes_is_replaced() {
    let (port, crowd) = one(3);
    let target = format!("url: 'http://127.0.0.1:{port}', timeout: 3s");
    let result = run_profile(&target, "GET /", &format!("{SIX}, share_connections: 2"));
    assert!(result.totals().ok > 6, "{:?} {:?}", result.totals(), result.errors);
    assert!(crowd.most.load(SeqCst) <= 2, "never more than two at a time");
    assert!(crowd.connections.load(SeqCst) > 2, "{:?}", result.errors);
}

#[test]
fn users_that_wait_for_a_connection_at_the_end_are_unfinished_and_a_dead_one_is_left() {
    let port = listen(|mut stream| while super::loopback::request(&mut stream).is_some() {});
    let target = format!("url: 'http://127.0.0.1:{port}', timeout: 100ms, share_connections: 1");
    let result = run_profile(&target, "GET /", "users: 3, for: 300ms, graceful_stop: 0s");
    let totals = result.totals();
    assert_eq!(totals.ok, 0);
    assert!(totals.timed_out >= 3, "{totals:?}");
    let nobody = "url: 'http://127.0.0.1:1', timeout: 300ms, share_connections: 1";
    let result = run_profile(nobody, "GET /", "users: 3, for: 200ms, graceful_stop: 1s");
    assert!(result.totals().failed >= 3, "{:?}", result.totals());
    assert_eq!(result.totals().not_delivered, result.totals().sent());
}
