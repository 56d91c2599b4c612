//! `parallel` on real sockets: branches are under way at one time, on connections that are kept, with one set of cookies.

use super::{assert_laws, program};
use engine::{HeaderFacts, Setup, Unobserved};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Barrier, Mutex};

/// Answers a request for `/a` or `/b` only when both have come; remembers how many connections there were and which
/// cookies came.
fn server(cookies: Arc<Mutex<Vec<String>>>, connections: Arc<Mutex<usize>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let both = Arc::new(Barrier::new(2));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let (both, cookies) = (Arc::clone(&both), Arc::clone(&cookies));
            *connections.lock().expect("nobody died") += 1;
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut head) {
                    let text = String::from_utf8_lossy(&head[..n]).to_lowercase();
                    let cookie = text.lines().find(|l| l.starts_with("cookie:")).unwrap_or("none").to_owned();
                    cookies.lock().expect("nobody died").push(cookie);
                    both.wait();
                    let set = if text.starts_with("get /a") { "set-cookie: sid=7\r\n" } else { "" };
                    let answer = format!("HTTP/1.1 200 OK\r\n{set}content-length: 2\r\n\r\nok");
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn branches_share_cookies_and_keep_their_connections() {
    let (cookies, connections) = (Arc::default(), Arc::default());
    let port = server(Arc::clone(&cookies), Arc::clone(&connections));
    let text = format!(
        "watertight: 1\nname: lanes\ntargets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: 10s }} }}\n\
         journeys: {{ j: {{ target: t, steps: [ {{ parallel: [ GET /a, GET /b ] }} ] }} }}\n\
         profiles: {{ p: {{ users: 1, for: 10s }} }}\n"
    );
    let setup = Setup {
        profile: 0,
        facts: HeaderFacts::default(),
        seed: 1,
        workers: 1,
        key: [1; 32],
        folder: None,
        stop: Arc::default(),
        health_requests: 0,
    };
    // Each answer waits for the other request: one after the other they would never come.
    let result = engine::run_at_most(&program(&text), setup, Some(3), &mut Unobserved).expect("the run starts").result;
    assert_laws(&result);
    assert_eq!((result.totals().ok, result.iterations.completed), (6, 3));
    assert_eq!(*connections.lock().expect("nobody died"), 2, "the second and third time no connection is made");
    let cookies = cookies.lock().expect("nobody died");
    assert_eq!(cookies[..2], ["none", "none"]);
    assert!(cookies[2..].iter().all(|c| c == "cookie: sid=7"), "{cookies:?}");
}
