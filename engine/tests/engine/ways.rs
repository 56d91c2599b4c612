//! Ways out: sockets of this machine, our own addresses, proxies, base paths, limits.

use super::loopback::{answer_each, assert_all, assert_good, listen, ok, request, run};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

#[cfg(unix)]
#[test]
fn a_socket_of_this_machine_is_a_target() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let path = folder.path().join("clinic.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("a free name");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                answer_each(stream, |request| {
                    ok(if request.contains("\r\nhost: localhost\r\n") { "right" } else { "wrong" })
                });
            });
        }
    });
    let target = format!("url: 'unix:{}'", path.display());
    assert_good(&run(&target, "{ GET /x: { expect: { body: { contains: right } } } }"));
    let nobody = format!("url: 'unix:{}x'", path.display());
    let result = run(&nobody, "GET /x");
    assert_all(&result, "connection refused");
    assert_eq!(result.totals().not_delivered, result.totals().sent());
}

#[cfg(target_os = "linux")]
#[test]
fn our_own_addresses_are_taken_in_turn() {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let from = Arc::clone(&seen);
    let port = listen(move |stream| {
        let peer = stream.peer_addr().expect("it is connected").ip().to_string();
        from.lock().expect("nobody panics").insert(peer);
        answer_each(stream, |_| ok("x").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
    });
    let target = format!("url: 'http://127.0.0.1:{port}', source_addresses: [127.0.0.2, '::1', 127.0.0.3]");
    assert_good(&run(&target, "GET /x, { think: 5ms }"));
    let seen: Vec<_> = seen.lock().expect("nobody panics").iter().cloned().collect();
    assert_eq!(seen, ["127.0.0.2", "127.0.0.3"]);
    // An address that is not this machine's: our own mistake, not the target's.
    let result = run(&format!("url: 'http://127.0.0.1:{port}', source_addresses: 192.0.2.1"), "GET /x, { think: 5ms }");
    assert_eq!((result.totals().sent(), result.totals().generator_errors > 0), (0, true), "{:?}", result.totals());
}

#[test]
fn a_name_is_resolved_as_often_as_asked() {
    let port = listen(|stream| answer_each(stream, |_| ok("x").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")));
    for resolve in ["once", "per_connection"] {
        assert_good(&run(&format!("url: 'http://localhost:{port}', resolve: {resolve}"), "GET /x, { think: 10ms }"));
    }
    assert_all(&run("url: 'http://nobody.invalid'", "GET /x"), "name not resolved");
}

#[test]
fn a_base_path_stands_before_every_path() {
    let port = listen(|stream| {
        answer_each(stream, |request| match request.lines().next() {
            Some("GET /api/v1/x HTTP/1.1") => "HTTP/1.1 302 F\r\nlocation: y\r\ncontent-length: 0\r\n\r\n".into(),
            Some("GET /api/v1/y HTTP/1.1") => ok("right"),
            _ => ok("wrong"),
        });
    });
    let target = format!("url: 'http://127.0.0.1:{port}/api/v1/'");
    assert_good(&run(&target, "{ GET /x: { expect: { body: { contains: right } } } }"));
}

#[test]
fn a_proxy_reads_whole_addresses() {
    // `user:p@ss` in base64.
    let login = "proxy-authorization: Basic dXNlcjpwQHNz";
    let proxy = listen(move |stream| {
        answer_each(stream, |request| match request.lines().next() {
            Some("GET http://target.invalid/a?b=c HTTP/1.1")
                if request.contains("\r\nhost: target.invalid\r\n") && request.contains(login) =>
            {
                ok("right")
            }
            _ => ok("wrong"),
        });
    });
    let target = format!("url: 'http://target.invalid', proxy: 'http://user:p%40ss@127.0.0.1:{proxy}'");
    assert_good(&run(&target, "{ GET /a?b=c: { expect: { body: { contains: right } } } }"));
}

/// A proxy that opens tunnels to whatever port is asked for on this machine, once it has seen the login.
pub fn tunnels(answer: &'static str) -> u16 {
    listen(move |mut stream| {
        let Some(request) = request(&mut stream) else { return };
        let line = request.lines().next().unwrap_or_default();
        let port = line.strip_prefix("CONNECT localhost:").and_then(|rest| rest.split(' ').next());
        let Some(port) = port.and_then(|p| p.parse::<u16>().ok()).filter(|_| answer.contains(" 200 ")) else {
            let _ = stream.write_all(answer.as_bytes());
            return;
        };
        let Ok(there) = TcpStream::connect(("127.0.0.1", port)) else { return };
        let _ = stream.write_all(answer.as_bytes());
        let (Ok(back), Ok(away)) = (stream.try_clone(), there.try_clone()) else { return };
        std::thread::spawn(move || pour(there, back));
        pour(stream, away);
    })
}

fn pour(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..n]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_proxy_that_will_not_has_a_name() {
    for (answer, kind) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "proxy: login required"),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", "proxy: refused"),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "proxy: connection broken"),
        ("", "proxy: connection broken"),
    ] {
        let proxy = tunnels(answer);
        let result = run(&format!("url: 'https://localhost:1', proxy: 'http://127.0.0.1:{proxy}'"), "GET /x");
        assert_all(&result, kind);
        assert_eq!(result.totals().not_delivered, result.totals().sent());
    }
    let flood = listen(|mut stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    let result = run(&format!("url: 'https://localhost:1', proxy: 'http://127.0.0.1:{flood}'"), "GET /x");
    assert!(result.totals().ok == 0 && result.errors.iter().all(|e| e.kind != "timeout"), "{:?}", result.errors);
}

#[test]
fn limits_can_be_raised_and_lowered() {
    let port = listen(|stream| {
        answer_each(stream, |_| {
            let filler: String = (0..150).map(|i| format!("x-{i}: {}\r\n", "y".repeat(400))).collect();
            format!("HTTP/1.1 200 OK\r\n{filler}content-length: 2000\r\n\r\n{}", "z".repeat(2000))
        });
    });
    let target = |limits: &str| format!("url: 'http://127.0.0.1:{port}', limits: {{ {limits} }}");
    assert_all(&run(&target("body: 1MB"), "GET /x"), "answer head too large");
    assert_all(&run(&target("headers: 200, head: 10kB"), "GET /x"), "answer head too large");
    assert_all(&run(&target("headers: 200, body: 1999B"), "GET /x"), "answer body too large");
    assert_good(&run(&target("headers: 200, body: 2000B"), "GET /x"));
}
