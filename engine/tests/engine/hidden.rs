//! Somebody else's data where no answer is: instead of a head, in a body that is not coded as it says, behind a stream's
//! last event.

use super::loopback::{listen, ok, request, run_file};
use engine::run_result::Tier;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// Two users write a marker each and read; the server gives each what the other one wrote, as `form` puts it.
#[track_caller]
fn check(form: fn(&str) -> String, options: &str, place: &str) {
    let notes: Arc<Mutex<[String; 2]>> = Arc::default();
    let port = listen(move |mut stream| {
        while let Some(text) = request(&mut stream) {
            let user = usize::from(text.contains("/u-1"));
            let answer = match text.split_once("\r\n\r\n") {
                Some((head, body)) if head.starts_with("POST") => {
                    notes.lock().expect("nobody dies holding it")[user] = body.to_owned();
                    ok("{}")
                }
                _ => form(&notes.lock().expect("nobody dies holding it")[1 - user]),
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    let result = run_file(&format!(
        "watertight: 1\nname: hidden\ntargets: {{ t: 'http://127.0.0.1:{port}' }}\n\
         roles: {{ user: {{ accounts: {{ count: 2, values: {{ id: 'u-{{{{ index }}}}' }} }} }} }}\n\
         journeys: {{ j: {{ as: user, target: t, on_failure: continue, steps: [\n\
         'POST /{{{{ account.id }}}}': {{ body: '{{{{ marker }}}}' }}, 'GET /{{{{ account.id }}}}': {{ {options} }}, think: 20ms ] }} }}\n\
         profiles: {{ p: {{ users: 2, for: 300ms, graceful_stop: 2s }} }}\n"
    ));
    let groups = &result.isolation.groups;
    let found = |g: &engine::run_result::LeakGroup| {
        (g.key.detector.as_str(), g.key.tier, g.key.place.as_str()) == ("foreign-marker", Tier::Proven, place)
    };
    assert!(groups.iter().any(found), "{groups:?} {:?}", result.errors);
    assert!(groups.iter().all(|g| g.key.detector != "framing"), "{groups:?}");
}

#[test]
fn where_a_head_should_be() {
    check(|note| format!("\"note\":\"{note}\"}}\r\n\r\n"), "", "connection");
}

#[test]
fn in_a_body_that_is_not_coded_as_it_says() {
    let coded = |note: &str| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", note.len());
        head + note
    };
    check(coded, "", "body");
}

#[test]
fn in_a_body_of_a_coding_that_nobody_knows() {
    let coded = |note: &str| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: rot13\r\ncontent-length: {}\r\n\r\n", note.len());
        head + note
    };
    check(coded, "", "body");
}

#[test]
fn behind_the_last_event_of_a_stream() {
    let stream = |note: &str| {
        let (first, rest) = ("data: [DONE]\n\n", format!("data: {note}\n\n"));
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        format!("{head}{}{}0\r\n\r\n", chunk(first), chunk(&rest))
    };
    check(stream, "events: { until: '[DONE]' }", "connection");
}
