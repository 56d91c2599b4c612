//! HTTP/2 against servers of the protocol's own library, and against raw frames where a server must misbehave.

use super::loopback::{assert_all, assert_good, listen, run, run_profile};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

type Answer = fn(Request<Vec<u8>>, SendResponse<Bytes>, usize);

/// An HTTP/2 server without TLS; `answer` also gets the number of the request. Answers port and count of connections.
fn server(answer: Answer) -> (u16, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let requests = AtomicUsize::new(0);
    let port = listen(move |stream| {
        count.fetch_add(1, SeqCst);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        stream.set_nonblocking(true).expect("a socket takes it");
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::from_std(stream).expect("a socket is a socket");
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                let number = requests.fetch_add(1, SeqCst);
                let (parts, body) = request.into_parts();
                tokio::spawn(async move {
                    let body = whole(body).await;
                    answer(Request::from_parts(parts, body), respond, number);
                });
            }
        });
    });
    (port, connections)
}

async fn whole(mut body: RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        all.extend(data);
    }
    all
}

/// Sends an answer; whoever asked may be gone.
fn say(mut respond: SendResponse<Bytes>, response: Response<()>, body: &[u8]) {
    if let Ok(mut stream) = respond.send_response(response, body.is_empty())
        && !body.is_empty()
    {
        let _ = stream.send_data(Bytes::copy_from_slice(body), true);
    }
}

fn target(port: u16) -> String {
    format!("url: 'http://127.0.0.1:{port}', http: h2c, timeout: 500ms")
}

#[test]
fn a_user_keeps_its_connection_and_says_the_whole_address() {
    let (port, connections) = server(|request, respond, _| {
        let right = request.uri().scheme_str() == Some("http")
            && request.uri().authority().is_some_and(|a| a.as_str().starts_with("127.0.0.1:"))
            && !request.headers().contains_key("host");
        let body =
            format!("{} {} {}", request.uri().path(), request.body().len(), if right { "right" } else { "wrong" });
        say(respond, Response::new(()), body.as_bytes());
    });
    let body = "x".repeat(300_000);
    let step =
        format!("{{ POST /a/b?c=d: {{ body: {body}, expect: {{ body: {{ contains: /a/b 300000 right }} }} }} }}");
    let result = run(&target(port), &step);
    assert_good(&result);
    assert_eq!(connections.load(SeqCst), 2);
    assert_eq!(result.health.transport.http2, 2);
    assert_eq!(result.steps[0].connect.count(), 2);
}

#[test]
fn trailers_are_read_and_large_bodies_flow() {
    let (port, _) = server(|_, mut respond, _| {
        let Ok(mut stream) = respond.send_response(Response::new(()), false) else { return };
        let _ = stream.send_data(Bytes::from(vec![b'a'; 2 << 20]), false);
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "17".parse().expect("digits"));
        let _ = stream.send_trailers(trailers);
    });
    let result = run_profile(
        &format!("url: 'http://127.0.0.1:{port}', http: h2c, timeout: 10s"),
        "{ GET /x: { expect: { header: { x-sum: '17' } } } }",
        "users: 2, for: 300ms, graceful_stop: 10s",
    );
    assert_good(&result);
    assert!(result.totals().bytes_received > result.totals().ok * (2 << 20));
}

#[test]
fn a_stream_that_is_reset_has_a_name_and_costs_no_connection() {
    let (port, connections) = server(|_, mut respond, number| match number % 2 {
        0 => respond.send_reset(Reason::REFUSED_STREAM),
        _ => say(respond, Response::new(()), b"ok"),
    });
    let steps = "{ GET /x: { on_failure: continue } }";
    let result = run(&target(port), steps);
    assert!(result.errors.iter().all(|e| e.kind == "http/2 stream reset: refused stream"), "{:?}", result.errors);
    assert!(result.totals().ok > 0 && result.totals().failed > 0);
    assert_eq!(connections.load(SeqCst), 2);
}

#[test]
fn a_goodbye_has_a_name_and_the_next_request_a_new_connection() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let port = listen(move |stream| {
        count.fetch_add(1, SeqCst);
        raw(stream, |stream, kind, id| match kind {
            SETTINGS => drop(stream.write_all(&settings(100))),
            // The first is answered, the second told that nothing after the first was looked at.
            HEADERS if id == 1 => drop(stream.write_all(&frame(HEADERS, 5, id, &[0x88]))),
            HEADERS => drop(stream.write_all(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 11]))),
            _ => {}
        });
    });
    let result = run(&target(port), "GET /fine, { GET /goodbye: { on_failure: continue } }");
    assert_eq!(result.steps[0].counts.failed, 0, "{:?}", result.errors);
    assert!(result.steps[0].counts.ok > 2 && result.steps[1].counts.ok == 0);
    let kind = "http/2 goaway: enhance your calm";
    assert!(result.errors.iter().all(|e| e.kind == kind), "{:?}", result.errors);
    assert_eq!(connections.load(SeqCst) as u64, result.steps[0].counts.ok);
}

#[test]
fn a_goodbye_between_two_requests_costs_a_connection_and_no_error() {
    let port = listen(|stream| {
        raw(stream, |stream, kind, id| match kind {
            SETTINGS => drop(stream.write_all(&settings(100))),
            HEADERS => {
                let farewell = [frame(HEADERS, 5, id, &[0x88]), frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])];
                let _ = stream.write_all(&farewell.concat());
            }
            _ => {}
        });
    });
    let result = run(&target(port), "GET /x");
    assert_good(&result);
    assert_eq!(result.steps[0].connect.count(), result.totals().ok);
}

#[test]
fn a_request_given_up_resets_its_stream_and_keeps_the_connection() {
    let (port, connections) = server(|request, respond, _| match request.uri().path() {
        "/never" => std::mem::forget(respond),
        _ => say(respond, Response::new(()), b"ok"),
    });
    let result = run(&target(port), "{ GET /never: { abandon: { chance: 100%, after: 1ms } } }, GET /fine");
    assert!(result.totals().abandoned > 2, "{:?}", result.totals());
    assert!(result.steps[1].counts.ok > 2 && result.errors.is_empty(), "{:?}", result.errors);
    assert_eq!(connections.load(SeqCst), 2);
    let (port, connections) = server(|_, respond, _| std::mem::forget(respond));
    let result = run(&target(port), "{ GET /never: { abandon: { chance: 100%, after: 1ms, how: close } } }");
    assert!(result.totals().abandoned > 2, "{:?}", result.totals());
    assert_eq!(connections.load(SeqCst) as u64, result.totals().sent());
}

#[test]
fn reading_slowly_takes_time_that_is_ours() {
    let (port, _) = server(|_, respond, _| say(respond, Response::new(()), &[b'a'; 4000]));
    let profile = "users: 1, for: 300ms, graceful_stop: 2s, faults: { slow_reader: 100% }";
    let result = run_profile(&target(port), "GET /x", profile);
    assert_good(&result);
    assert_eq!(result.faults.slow_reader, result.totals().sent());
}

#[test]
fn sizes_have_limits_here_too() {
    let (port, _) = server(|_, respond, _| {
        let mut response = Response::new(());
        (0..40).for_each(|i| {
            let name = http::HeaderName::try_from(format!("x-{i}")).expect("a name");
            response.headers_mut().insert(name, "x".repeat(300).parse().expect("letters"));
        });
        say(respond, response, b"ok");
    });
    let target = |limits: &str| format!("{}, limits: {{ {limits} }}", target(port));
    assert_all(&run(&target("head: 10kB"), "GET /x"), "answer head too large");
    assert_all(&run(&target("headers: 39"), "GET /x"), "answer head too large");
    assert_all(&run(&target("body: 1B"), "GET /x"), "answer body too large");
    assert_good(&run(&target("headers: 40, body: 2B"), "GET /x"));
}

/// A frame of HTTP/2: kind, flags, stream, payload.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Kinds of frames.
pub const HEADERS: u8 = 1;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;

/// The server's settings: how many streams it allows.
pub fn settings(most_streams: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&[0, 3][..], &most_streams.to_be_bytes()].concat())
}

/// Reads the preface, then hands each frame (kind, stream) to `on_frame`.
pub fn raw(mut stream: TcpStream, on_frame: impl Fn(&mut TcpStream, u8, u32)) {
    let mut preface = [0; 24];
    if stream.read_exact(&mut preface).is_err() {
        return;
    }
    let mut head = [0; 9];
    while stream.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if stream.read_exact(&mut payload).is_err() {
            return;
        }
        // What only acknowledges needs no answer.
        if head[3] == SETTINGS && head[4] == 1 {
            continue;
        }
        on_frame(&mut stream, head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
    }
}

#[test]
fn waiting_for_a_stream_is_the_targets_time_and_no_lateness_of_ours() {
    const PAUSE: Duration = Duration::from_millis(60);
    // No stream is allowed until the pause is over; then one is, and with its answer none again.
    let port = listen(|stream| {
        raw(stream, |stream, kind, id| {
            if kind == HEADERS {
                let _ = stream.write_all(&[settings(0), frame(HEADERS, 5, id, &[0x88])].concat());
                // Nobody will ever say anything: it is the server's pause.
                let (_nobody, silence) = std::sync::mpsc::channel::<()>();
                let _ = silence.recv_timeout(PAUSE);
                let _ = stream.write_all(&settings(1));
            } else if kind == SETTINGS && id == 0 {
                let _ = stream.write_all(&[settings(1), frame(SETTINGS, 1, 0, &[])].concat());
            }
        });
    });
    let profile = "users: 1, for: 700ms, graceful_stop: 2s";
    let result = run_profile(&format!("url: 'http://127.0.0.1:{port}', http: h2c"), "GET /x", profile);
    assert_good(&result);
    let (step, sent) = (&result.steps[0], result.totals().sent());
    assert!(sent > 2);
    let waited = step.response.sum_ns - step.service.sum_ns;
    // The first needs not wait.
    assert!(waited >= u128::from(sent - 1) * PAUSE.as_nanos() * 9 / 10, "{waited} ns over {sent}");
    let lag = result.health.lag.percentile_ns(50.0).expect("something was sent");
    assert!(u128::from(lag) < PAUSE.as_nanos() / 2, "{lag} ns");
}

#[test]
fn interim_answers_without_end_are_not_waited_for() {
    let port = listen(|stream| {
        raw(stream, |stream, kind, id| {
            if kind == SETTINGS {
                let _ = stream.write_all(&frame(SETTINGS, 0, 0, &[]));
            }
            if kind == HEADERS {
                // `:status: 103` as a literal under the static table's name 8.
                let interim = frame(HEADERS, 4, id, &[8, 3, b'1', b'0', b'3']);
                while stream.write_all(&interim).is_ok() {}
            }
        });
    });
    assert_all(&run(&target(port), "GET /x"), "endless interim answers");
}

#[test]
fn rubbish_and_silence_have_names() {
    let rubbish = listen(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        raw(stream, |_, _, _| {});
    });
    assert_all(&run(&target(rubbish), "GET /x"), "malformed answer");
    let closing = listen(drop);
    let result = run(&target(closing), "GET /x");
    assert!(result.totals().ok == 0 && !result.errors.is_empty());
    let closed = ["connection closed early", "connection reset", "connection broken"];
    assert!(result.errors.iter().all(|e| closed.contains(&e.kind.as_str())), "{:?}", result.errors);
    let silent = listen(|stream| raw(stream, |_, _, _| {}));
    assert_all(&run(&target(silent), "GET /x"), "timeout");
}
