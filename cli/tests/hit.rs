//! `watertight hit` through the binary: exact numbers, what is sent, both outputs, exit codes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

/// What the server does with a request.
enum Reply {
    Answer(String),
    /// Closes the connection.
    Close,
    /// Keeps the connection and says nothing.
    Silence,
}

/// A server that answers each request by its number, counts them, and keeps the first.
struct Server {
    port: u16,
    served: Arc<AtomicU64>,
    first: Arc<Mutex<String>>,
    arrived: Receiver<()>,
}

impl Server {
    fn new(reply: impl Fn(u64) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (served, first) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(String::new())));
        let (tell, arrived) = channel();
        let (counter, kept, reply) = (Arc::clone(&served), Arc::clone(&first), Arc::new(reply));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (counter, kept, reply, tell) = (counter.clone(), kept.clone(), reply.clone(), tell.clone());
                std::thread::spawn(move || {
                    // A client that went away in the middle ends its connection, not the test.
                    serve(&stream.unwrap(), |request| {
                        let number = counter.fetch_add(1, SeqCst);
                        if number == 0 {
                            *kept.lock().unwrap() = request;
                        }
                        let _ = tell.send(());
                        reply(number)
                    });
                });
            }
        });
        Self { port, served, first, arrived }
    }

    fn good() -> Self {
        Self::new(|_| status(200))
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/x", self.port)
    }

    fn served(&self) -> u64 {
        self.served.load(SeqCst)
    }
}

fn status(code: u16) -> Reply {
    Reply::Answer(format!("HTTP/1.1 {code} Word\r\ncontent-length: 2\r\n\r\nok"))
}

fn serve(stream: &TcpStream, mut reply: impl FnMut(String) -> Reply) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        let mut length = 0;
        while !head.ends_with("\r\n\r\n") {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        match reply(head + &String::from_utf8_lossy(&body)) {
            Reply::Answer(text) => (&*stream).write_all(text.as_bytes()).ok()?,
            Reply::Close => return None,
            Reply::Silence => {}
        }
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watertight"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WATERTIGHT_")) {
        command.env_remove(name);
    }
    command.arg("hit").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn ended(output: Output) -> Ended {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ended = Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    ended
}

fn hit(args: &[&str]) -> Ended {
    ended(command(args).output().unwrap())
}

/// Hits with `--json`; the object obeys the laws.
#[track_caller]
fn hit_json(args: &[&str]) -> (i32, Value) {
    let ended = hit(&[args, &["--json"]].concat());
    assert_eq!(ended.out.lines().count(), 1, "{}{}", ended.out, ended.err);
    let value: Value = serde_json::from_str(&ended.out).unwrap();
    assert_laws(&value);
    (ended.code, value)
}

#[track_caller]
fn assert_laws(value: &Value) {
    let n = |name: &str| value["totals"][name].as_u64().unwrap_or_else(|| panic!("{name}: {value}"));
    assert_eq!(n("planned"), n("sent") + n("dropped") + n("generator_errors"), "{value}");
    let ends = ["ok", "failed", "timed_out", "abandoned", "unfinished"];
    assert_eq!(n("sent"), ends.iter().map(|e| n(e)).sum::<u64>(), "{value}");
    let statuses: u64 = value["statuses"].as_object().unwrap().values().map(|c| c.as_u64().unwrap()).sum();
    assert_eq!(value["answered"], statuses);
    assert!(n("ok") <= statuses && statuses <= n("ok") + n("failed"), "{value}");
    let response = &value["response"];
    assert_eq!(response["count"], n("ok") + n("timed_out") + n("unfinished"));
    let bins: u64 = value["histogram"].as_array().unwrap().iter().map(|b| b["count"].as_u64().unwrap()).sum();
    assert_eq!(response["count"], bins, "every time is in one bin");
    let rising = ["min_ms", "p50_ms", "p75_ms", "p90_ms", "p95_ms", "p99_ms", "p999_ms", "p9999_ms", "max_ms"];
    let times: Vec<f64> = rising.iter().filter_map(|key| response[key].as_f64()).collect();
    assert_eq!(times.len(), if bins > 0 { rising.len() } else { 0 });
    assert!(times.is_sorted(), "{value}");
}

#[test]
fn so_many_requests_and_not_one_more() {
    for (n, users, workers) in [("1", "50", "4"), ("1001", "7", "2"), ("64", "64", "3"), ("500", "3", "1")] {
        let server = Server::good();
        let (code, value) = hit_json(&[&server.url(), "-n", n, "-c", users, "--workers", workers]);
        // It is over with the last request, and might have lasted a year.
        assert!(value["duration_s"].as_f64().unwrap() < 600.0, "{value}");
        assert_eq!(code, 0);
        assert_eq!(server.served().to_string(), n, "the server's own count");
        assert_eq!(value["statuses"], json!({ "200": n.parse::<u64>().unwrap() }));
        assert_eq!((&value["success"], &value["ending"]), (&1.0.into(), &"finished".into()));
    }
}

#[test]
fn so_many_arrivals_and_not_one_more() {
    let server = Server::good();
    let (code, value) = hit_json(&[&server.url(), "-n", "301", "-q", "2000", "--workers", "3"]);
    assert_eq!(code, 0);
    assert_eq!(value["totals"]["planned"], 301);
    assert_eq!(value["totals"]["sent"], server.served());
    assert_eq!(value["load"]["rate"], 2000.0);
}

#[test]
fn the_request_is_sent_as_it_was_typed() {
    let server = Server::good();
    let url = format!("http://127.0.0.1:{}/p/a%20b?q=1&r={{x}}", server.port);
    let flags =
        ["-n", "1", "-m", "put", "-H", "X-A: one", "-H", "x-a: two", "-H", "Host: example.test", "-d", "{{ 1 }}"];
    assert_eq!(hit(&[&[url.as_str()], &flags[..]].concat()).code, 0);
    let sent = server.first.lock().unwrap().to_ascii_lowercase();
    assert!(sent.starts_with("put /p/a%20b?q=1&r=%7bx%7d http/1.1\r\n"), "{sent}");
    assert!(sent.contains("\r\nx-a: one, two\r\n") && sent.ends_with("\r\n\r\n{{ 1 }}"), "{sent}");
    assert!(sent.contains("\r\nhost: example.test\r\n"), "{sent}");
    assert_eq!(sent.matches("\r\nhost:").count(), 1, "{sent}");
}

#[test]
fn people_read_everything_on_one_screen() {
    let server = Server::good();
    let ended = hit(&[&server.url(), "-n", "300", "-c", "5"]);
    assert_eq!(ended.code, 0);
    let columns = ["response", "service", "connect"];
    let rows = ["min ", "mean ", "p50 ", "p75 ", "p90 ", "p95 ", "p99 ", "p99.9 ", "p99.99 ", "max "];
    let more = ["Success    100%", "Requests   300 in", "█", "Status\n  200", "Generator", "lag p99"];
    for part in [&columns[..], &rows, &more].concat() {
        assert!(ended.out.contains(part), "no `{part}` in\n{}", ended.out);
    }
    assert!(!ended.out.contains("Errors"), "{}", ended.out);
}

#[test]
fn json_stands_alone_on_stdout_and_the_words_on_stderr() {
    let server = Server::good();
    let ended = hit(&[&server.url(), "-n", "20", "-c", "2", "--json"]);
    assert_laws(&serde_json::from_str(&ended.out).unwrap());
    assert!(ended.err.contains("Success    100%"), "{}", ended.err);
}

#[test]
fn statuses_are_counted_and_errors_flatter_nobody() {
    let server = Server::new(|number| match number % 4 {
        0 => status(503),
        1 => status(302),
        2 => Reply::Answer("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort".into()),
        _ => status(200),
    });
    // One user asks in turn, so the server's numbers are the truth. A short answer keeps its user until the limit.
    let (code, value) = hit_json(&[&server.url(), "-n", "8", "-c", "1", "--timeout", "500ms"]);
    assert_eq!(code, 0);
    assert_eq!(value["statuses"], json!({ "200": 2, "302": 2, "503": 2 }));
    assert_eq!((&value["totals"]["ok"], &value["totals"]["failed"]), (&4.into(), &2.into()));
    assert_eq!((&value["totals"]["timed_out"], &value["success"]), (&2.into(), &0.5.into()));
    assert_eq!(value["failed_response"]["count"], 2);
    assert_eq!(value["errors"]["status 503"], 2);
}

#[test]
fn redirects_are_answers_unless_they_are_to_be_followed() {
    let moved = || Reply::Answer("HTTP/1.1 302 Found\r\nlocation: /y\r\ncontent-length: 0\r\n\r\n".into());
    let server = Server::new(move |_| moved());
    let (code, value) = hit_json(&[&server.url(), "-c", "1", "-n", "4"]);
    assert_eq!((code, &value["statuses"]), (0, &json!({ "302": 4 })), "{value}");
    assert_eq!(server.served.load(SeqCst), 4);
    let server = Server::new(move |number| if number % 2 == 0 { moved() } else { status(200) });
    let (code, value) = hit_json(&[&server.url(), "-c", "1", "-n", "4", "--redirects", "1"]);
    assert_eq!((code, &value["statuses"]), (0, &json!({ "200": 4 })), "{value}");
    assert_eq!(server.served.load(SeqCst), 8, "each request is two at the target");
    let server = Server::new(move |_| moved());
    let (_, value) = hit_json(&[&server.url(), "-c", "1", "-n", "4", "--redirects", "2"]);
    assert_eq!(value["totals"]["failed"], 4, "{value}");
}

#[test]
fn where_nothing_answers_the_code_is_4() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = hit(&[&format!("http://{nobody}/")]);
    assert_eq!(ended.code, 4);
    assert!(ended.err.contains(&nobody.to_string()) && ended.err.contains("refused"), "{}", ended.err);

    let rude = Server::new(|_| Reply::Close);
    let (code, value) = hit_json(&[&rude.url(), "-n", "10", "-c", "2"]);
    assert_eq!((code, &value["totals"]["failed"]), (4, &10.into()));
    assert_eq!(value["errors"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>(), 10);
}

#[test]
fn what_is_never_answered_is_a_lower_bound() {
    let silent = Server::new(|_| Reply::Silence);
    let url = silent.url();
    let args = [url.as_str(), "-n", "3", "-c", "3", "--timeout", "100ms"];
    let (code, value) = hit_json(&args);
    assert_eq!((code, &value["totals"]["timed_out"]), (4, &3.into()));
    assert!(value["response"]["at_least"].as_array().unwrap().contains(&"p50_ms".into()), "{value}");
    assert!(hit(&args).out.contains("≥ "), "the sign stands before the time");
}

#[test]
fn plain_bytes_on_a_tls_address_are_named() {
    let server = Server::good();
    let ended = hit(&[&server.url().replace("http:", "https:"), "-n", "1"]);
    assert_eq!(ended.code, 4);
    assert!(ended.err.contains("tls") && ended.err.contains("--insecure"), "{}", ended.err);
}

#[test]
fn wrong_input_is_refused_before_anything_is_sent() {
    let server = Server::good();
    let url = server.url();
    let bare = url.trim_start_matches("http://");
    for (args, part) in [
        (&[bare][..], format!("write `{url}`")),
        (&[&url, "-n", "0"], "--requests".into()),
        (&[&url, "-c", "0"], "--users".into()),
        (&[&url, "-z", "5"], "no unit".into()),
        (&[&url, "-H", "x"], "no colon".into()),
        (&[], "URL".into()),
    ] {
        let ended = hit(args);
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.err);
        assert!(ended.err.contains(&part), "{args:?}: {}", ended.err);
    }
    assert_eq!(server.served(), 0);
}

#[test]
fn an_interrupted_hit_keeps_its_figures() {
    let server = Server::good();
    let child = command(&[&server.url(), "-z", "10m", "-c", "2", "--json"]).spawn().unwrap();
    // The hundredth request of two users: at least 98 have been answered.
    assert_eq!(server.arrived.iter().take(100).count(), 100);
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(sent.success());
    let ended = ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 130, "{}", ended.err);
    let value: Value = serde_json::from_str(&ended.out).unwrap();
    assert_laws(&value);
    assert_eq!(value["ending"], "interrupted");
    assert!(value["answered"].as_u64().unwrap() >= 98);
}

#[test]
fn nothing_is_stored() {
    let server = Server::good();
    let folder = tempfile::tempdir().unwrap();
    let output = command(&[&server.url(), "-n", "5", "-c", "1"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
