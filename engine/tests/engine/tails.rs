//! What follows a stream's last event over HTTP/2: looked at while the user goes on, and not for ever.

use super::loopback::{listen, run_file};
use bytes::Bytes;
use engine::run_result::{LeakGroup, RunResult, Tier};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::Response;
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server knows.
#[derive(Default)]
struct Shelf {
    /// What each account wrote last.
    notes: Mutex<HashMap<String, String>>,
    connections: AtomicUsize,
    /// Streams that the client reset.
    resets: AtomicUsize,
}

impl Shelf {
    fn write(&self, path: &str, note: String) {
        self.notes.lock().expect("nobody dies holding it").insert(path.to_owned(), note);
    }

    fn own(&self, path: &str) -> String {
        self.notes.lock().expect("nobody dies holding it").get(path).cloned().unwrap_or_default()
    }

    /// The other one's, if there are two.
    fn others(&self, path: &str) -> String {
        let notes = self.notes.lock().expect("nobody dies holding it");
        notes.iter().find(|(of, _)| *of != path).map(|(_, note)| note.clone()).unwrap_or_default()
    }
}

/// How a stream goes on behind its last event.
#[derive(Clone, Copy, PartialEq)]
enum Behind {
    /// With somebody else's note, so much later.
    Others(Duration),
    /// With the user's own note.
    Own(Duration),
    /// Without a word, and without an end.
    Silence,
    /// With rubbish for ever.
    Flood,
}

/// Keeps what is posted; every GET is a stream of one event that is the last, and then of what is `behind` it.
fn server(behind: Behind) -> (u16, Arc<Shelf>) {
    let shelf: Arc<Shelf> = Arc::default();
    let of_all = Arc::clone(&shelf);
    let port = listen(move |stream| {
        of_all.connections.fetch_add(1, SeqCst);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        stream.set_nonblocking(true).expect("a socket takes it");
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::from_std(stream).expect("a socket is a socket");
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                let shelf = Arc::clone(&of_all);
                tokio::spawn(async move {
                    let path = request.uri().path().to_owned();
                    let is_post = request.method() == "POST";
                    let body = whole(request.into_body()).await;
                    if is_post && !body.is_empty() {
                        shelf.write(&path, body);
                    }
                    answer(&shelf, behind, respond, &path, is_post).await;
                });
            }
        });
    });
    (port, shelf)
}

async fn whole(mut body: RecvStream) -> String {
    let mut all = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        all.extend(data);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// A client that has gone is no failure of the server.
async fn answer(shelf: &Shelf, behind: Behind, mut respond: SendResponse<Bytes>, path: &str, is_post: bool) {
    let response = Response::builder().header("content-type", "text/event-stream").body(()).expect("it is whole");
    let Ok(mut stream) = respond.send_response(response, is_post) else { return };
    if is_post {
        return;
    }
    let event = |text: &str| Bytes::from(format!("data: {text}\n\n"));
    let _ = stream.send_data(event("DONE"), false);
    match behind {
        Behind::Own(later) => {
            tokio::time::sleep(later).await;
            let _ = stream.send_data(event(&shelf.own(path)), true);
        }
        Behind::Others(later) => {
            if !later.is_zero() {
                tokio::time::sleep(later).await;
            }
            let _ = stream.send_data(event(&shelf.others(path)), true);
        }
        Behind::Silence => {
            if let Ok(Reason::CANCEL) = poll_fn(|cx| stream.poll_reset(cx)).await {
                shelf.resets.fetch_add(1, SeqCst);
            }
        }
        Behind::Flood => loop {
            stream.reserve_capacity(1024);
            match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(Ok(_)) if stream.send_data(Bytes::from(vec![b'x'; 1024]), false).is_ok() => {}
                _ => {
                    shelf.resets.fetch_add(1, SeqCst);
                    return;
                }
            }
        },
    }
}

/// Longer than an exchange takes, shorter than the users think.
const LATER: Duration = Duration::from_millis(40);

const READ: &str = "GET /*: { events: { until: DONE } }";

fn run(target: &str, profile: &str, steps: &[&str]) -> RunResult {
    let lines: String = steps.iter().map(|s| format!("      - {}\n", s.replace('*', "{{ account.id }}"))).collect();
    let result = run_file(&format!(
        "watertight: 1\nname: tails\ntargets: {{ t: {{ {target}, timeout: 5s }} }}\n\
         roles: {{ user: {{ accounts: {{ count: 6, values: {{ id: 'u-{{{{ index }}}}' }} }} }} }}\n\
         journeys:\n  j:\n    as: user\n    target: t\n    before: {{ steps: [ POST /in ] }}\n    steps:\n{lines}\
         profiles: {{ p: {{ {profile}, graceful_stop: 5s }} }}\n"
    ));
    assert!(result.errors.is_empty() && result.totals().ok > 0, "{:?}", result.errors);
    result
}

fn two(port: u16) -> String {
    format!("url: 'http://127.0.0.1:{port}', http: h2c")
}

fn is_leak(group: &LeakGroup) -> bool {
    (group.key.detector.as_str(), group.key.tier) == ("foreign-marker", Tier::Proven)
}

#[test]
fn what_follows_the_last_event_is_scanned() {
    let post = "POST /*: { body: '{{ marker }}' }";
    for (later, steps) in [
        // With the event, or somewhat later, while the user thinks or asks on, or when it has gone.
        (Duration::ZERO, &[post, READ, "think: 20ms"][..]),
        (LATER, &[post, READ, "think: 100ms"]),
        (LATER, &[post, READ, post, "think: 100ms"]),
        (Duration::ZERO, &[post, READ]),
    ] {
        let (port, shelf) = server(Behind::Others(later));
        let result = run(&two(port), "users: 2, for: 300ms", steps);
        let found: Vec<_> =
            result.isolation.groups.iter().filter(|g| is_leak(g)).map(|g| (&g.key.place, g.key.step)).collect();
        let read = result.header.steps.iter().position(|s| s.name.starts_with("GET")).expect("it is there");
        assert_eq!(found, [(&"connection".to_owned(), read)], "{later:?} {steps:?}");
        assert!(result.isolation.groups.iter().all(|g| g.key.detector != "framing"), "it is no fault of the framing");
        assert_eq!(shelf.connections.load(SeqCst), 2, "the connections are kept");
        let example = &result.isolation.groups.iter().find(|g| is_leak(g)).expect("there is one").examples[0];
        assert!(example.reader.request.starts_with("GET /u-"), "{example:?}");
    }
    let (port, shelf) = server(Behind::Others(Duration::ZERO));
    let target = format!("{}, share_connections: 1", two(port));
    let result = run(&target, "users: 2, for: 300ms", &[post, READ, "think: 20ms"]);
    assert!(result.isolation.groups.iter().any(is_leak), "{:?}", result.isolation.groups);
    assert_eq!(shelf.connections.load(SeqCst), 1);
}

#[test]
fn a_stream_that_does_not_end_is_reset() {
    for (behind, pause) in [(Behind::Silence, "think: 2s"), (Behind::Flood, "think: 300ms")] {
        let (port, shelf) = server(behind);
        let result = run(&two(port), "users: 1, for: 100ms", &[READ, pause, "GET /*: { events: { until: DONE } }"]);
        assert_eq!(result.iterations.completed, 1);
        assert!(shelf.resets.load(SeqCst) > 0, "{pause}");
        assert_eq!(shelf.connections.load(SeqCst), 1, "only the stream");
        // What was kept of a flood, what a stream's window holds and a little.
        assert!(result.totals().bytes_received < 2 << 20, "{:?}", result.totals());
    }
}

#[test]
fn what_follows_a_stream_of_the_account_before_is_no_leak() {
    let (port, _) = server(Behind::Own(LATER));
    let post = "POST /*: { body: '{{ marker }}' }";
    let result = run(&two(port), "users: 2, for: 300ms", &[post, READ, "switch_account: next", "think: 100ms"]);
    assert!(result.faults.switch_account > 0);
    assert!(!result.isolation.groups.iter().any(is_leak), "{:?}", result.isolation.groups);
}

#[test]
fn what_the_account_before_may_see_is_no_leak_in_its_stream() {
    let (own, room) = ("{{ marker }}", "{{ marker('room') }}");
    for (may_see, note, first, leaks) in [
        ("account.id == 'r-0'", own, "", false),
        ("false", own, "", true),
        ("false", room, "{ join: room }, ", false),
        ("false", room, "", true),
    ] {
        let (port, _) = server(Behind::Own(LATER));
        let target = two(port);
        let result = run_file(&format!(
            "watertight: 1\nname: tails\ntargets: {{ t: {{ {target}, timeout: 5s }} }}\n\
             roles:\n  writer: {{ accounts: {{ count: 1, values: {{ id: w }} }} }}\n  \
             reader:\n    accounts: {{ count: 2, values: {{ id: 'r-{{{{ index }}}}' }} }}\n    \
             may_see: {{ writer: {may_see} }}\n\
             journeys:\n  write: {{ as: writer, target: t, steps: [ POST /note: {{ body: \"{note}\" }}, {{ think: 1s }} ] }}\n  \
             read: {{ as: reader, target: t, steps: [ {first}{{ think: 150ms }}, \
             GET /note: {{ events: {{ until: DONE }} }}, {{ switch_account: next }}, {{ think: 300ms }} ] }}\n\
             profiles: {{ p: {{ users: 2, for: 200ms, graceful_stop: 5s }} }}\n"
        ));
        assert!(result.errors.is_empty() && result.faults.switch_account == 1, "{:?}", result.errors);
        let groups = &result.isolation.groups;
        assert_eq!(groups.iter().any(|g| g.key.tier == Tier::Proven), leaks, "{may_see} {note} {first}: {groups:?}");
    }
}
