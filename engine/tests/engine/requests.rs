//! Requests beyond method, path and body against real servers: where whole URLs go, who asks, what is saved and kept,
//! tokens that run out, visitors that come anew.

use super::{assert_laws, program};
use engine::run_result::RunResult;
use engine::{HeaderFacts, Setup, Unobserved};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it came: connection, head, body.
type Seen = (usize, String, Vec<u8>);

/// A server that remembers what it was asked.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    fn start(answer: impl Fn(&str, &[u8]) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, number, &log, &*answer));
            }
        });
        Self { port, seen }
    }

    /// What came: first lines of the heads.
    fn lines(&self) -> Vec<String> {
        let seen = self.seen.lock().expect("nobody panicked");
        seen.iter().map(|(_, head, _)| head.lines().next().unwrap_or_default().replace(" HTTP/1.1", "")).collect()
    }

    /// The first request whose first line starts so.
    fn asked(&self, line: &str) -> Seen {
        let seen = self.seen.lock().expect("nobody panicked");
        seen.iter()
            .find(|(_, head, _)| head.starts_with(line))
            .cloned()
            .unwrap_or_else(|| panic!("no {line}: {seen:?}"))
    }

    fn connections(&self) -> usize {
        let seen = self.seen.lock().expect("nobody panicked");
        let numbers: std::collections::BTreeSet<_> = seen.iter().map(|(number, ..)| number).collect();
        numbers.len()
    }
}

fn serve(mut stream: TcpStream, number: usize, log: &Mutex<Vec<Seen>>, answer: &dyn Fn(&str, &[u8]) -> String) {
    loop {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = header(&head, "content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).is_err() {
            return;
        }
        let reply = answer(&head, &body);
        log.lock().expect("nobody panicked").push((number, head, body));
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().filter_map(|l| l.split_once(": ")).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
}

fn ok(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

/// Plays `times` iterations of one user.
fn run(text: &str, times: u64) -> RunResult {
    shown(text, times).0
}

/// As [`run`], and all that is stored of it.
fn shown(text: &str, times: u64) -> (RunResult, String) {
    with_key(text, times, 1)
}

/// As [`shown`], of an invocation with a key of its own.
fn with_key(text: &str, times: u64, key: u8) -> (RunResult, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = Setup {
        profile: 0,
        facts: HeaderFacts::default(),
        seed: 1,
        workers: 1,
        key: [key; 32],
        folder: Some(folder.path().to_path_buf()),
        stop: Arc::default(),
        health_requests: 0,
    };
    let result = engine::run_at_most(&program(text), setup, Some(times), &mut Unobserved).expect("it starts").result;
    assert_laws(&result);
    let stored =
        ["run.json", "failures.jsonl", "leaks.jsonl"].map(|file| std::fs::read_to_string(folder.path().join(file)));
    (result, stored.map(|text| text.expect("it is stored")).concat())
}

/// A file of one journey: `more` goes into it, `steps` are its steps.
fn file(port: u16, more: &str, steps: &str) -> String {
    format!(
        "watertight: 1\ntargets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: 5s }} }}\n\
         roles: {{ r: {{ accounts: {{ count: 1, values: {{ id: 'u-{{{{ index }}}}', password: 'pw é:1' }} }} }} }}\n\
         journeys:\n  j:\n    as: r\n    target: t\n    after_failure: 1ms\n{more}    steps:\n{steps}\
         profiles: {{ p: {{ users: 1, for: 20s }} }}\n"
    )
}

#[track_caller]
fn assert_ok(result: &RunResult, requests: u64) {
    assert_eq!(result.totals().ok, requests, "{:?} {:?}", result.totals(), result.errors);
}

#[test]
fn saved_links_are_followed_wherever_they_lead() {
    let other = Server::start(|_, _| ok("set-cookie: here=1\r\n", ""));
    let link = format!("http://127.0.0.1:{}/there?x=%2F", other.port);
    let (to, own) = (link.replace("127.0.0.1", "localhost"), Arc::new(Mutex::new(String::new())));
    let said = Arc::clone(&own);
    let target = Server::start(move |_, _| {
        let own = said.lock().expect("nobody panicked").clone();
        ok("set-cookie: sid=7\r\n", &format!("{{\"next\": \"/a%20b?c=1\", \"own\": \"{own}\", \"far\": \"{to}\"}}"))
    });
    *own.lock().expect("nobody panicked") = format!("http://127.0.0.1:{}/own", target.port);
    let steps = format!(
        "      - GET /start: {{ save: {{ next: $.next, own: $.own, far: $.far }} }}\n\
         {0}      - \"GET {{{{ next }}}}\"\n{0}      - \"GET {{{{ own }}}}\"\n\
         {0}      - \"GET {{{{ far }}}}\": {{ query: {{ y: a b }} }}\n{0}      - GET {link}\n",
        ""
    );
    let result = run(&file(target.port, "", &steps), 2);
    assert_ok(&result, 10);
    assert_eq!(target.lines()[..3], ["GET /start", "GET /a%20b?c=1", "GET /own"]);
    assert_eq!(other.lines()[..2], ["GET /there?x=%2F&y=a%20b", "GET /there?x=%2F"]);
    let hosts = |i: usize| header(&other.seen.lock().unwrap()[i].1, "host").map(str::to_owned);
    assert_eq!(hosts(0), Some(format!("localhost:{}", other.port)));
    assert_eq!(hosts(1), Some(format!("127.0.0.1:{}", other.port)));
    assert_eq!(header(&target.asked("GET /own").1, "cookie"), Some("sid=7"));
    // One connection for the link that was known when the file was read, one for the one that was not.
    assert_eq!((target.connections(), other.connections()), (1, 2));
    assert!(result.header.steps.iter().any(|s| s.name == "GET {{ far }}"), "the name stays as written");
}

#[test]
fn an_address_that_is_none_fails_its_step_and_nothing_else() {
    let target = Server::start(|_, _| {
        ok("", "{\"a\": \"ftp://x/y\", \"b\": \"//evil/x\", \"c\": \"no\", \"d\": 7, \"e\": \"http://\"}")
    });
    let steps = "      - GET /start: { save: { a: $.a, b: $.b, c: $.c, d: $.d, e: $.e } }\n\
        \x20     - \"GET {{ a }}\"\n      - \"GET {{ b }}\"\n      - \"GET {{ c }}\"\n      - \"GET {{ d }}\"\n      - \"GET {{ e }}\"\n";
    let result = run(&file(target.port, "    on_failure: continue\n", steps), 1);
    assert_ok(&result, 1);
    assert_eq!((result.totals().failed, target.lines().len()), (5, 1));
}

#[test]
fn who_asks_is_said_and_shown_to_nobody() {
    // It echoes what it got, as a debug page does.
    let target = Server::start(|head, _| {
        let secret = header(head, "authorization").unwrap_or_default();
        format!("HTTP/1.1 500 Oops\r\ncontent-length: {}\r\n\r\n{secret}", secret.len())
    });
    let more = "    on_failure: continue\n    auth: { basic: [\"{{ account.id }}\", \"{{ account.password }}\"] }\n";
    let steps = "      - GET /a\n      - GET /b: { auth: { bearer: \"tok-{{ account.id }}-x\" } }\n      - GET /c: { auth: none }\n";
    let (_, shown) = shown(&file(target.port, more, steps), 1);
    let sent = |line: &str| header(&target.asked(line).1, "authorization").map(str::to_owned);
    // u-0:pw é:1 in UTF-8.
    assert_eq!(sent("GET /a").as_deref(), Some("Basic dS0wOnB3IMOpOjE="));
    assert_eq!(sent("GET /b").as_deref(), Some("Bearer tok-u-0-x"));
    assert_eq!(sent("GET /c"), None);
    assert!(shown.contains("500") && !shown.contains("dS0wOnB3") && !shown.contains("tok-u-0-x"), "{shown}");
}

#[test]
fn parts_arrive_as_they_were_written() {
    let target = Server::start(|_, _| ok("", ""));
    let steps = "      - POST /form:\n          multipart:\n            - { name: note, text: \"for {{ account.id }}\" }\n\
        \x20           - { name: raw, base64: AAEC/w==, filename: a.bin, type: image/x }\n";
    let result = run(&file(target.port, "", steps), 1);
    assert_ok(&result, 1);
    let (_, head, body) = target.asked("POST /form");
    let kind = header(&head, "content-type").expect("a content type");
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect(kind);
    let mut expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nfor u-0\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"raw\"; filename=\"a.bin\"\r\nContent-Type: image/x\r\n\r\n"
    )
    .into_bytes();
    expected.extend_from_slice(&[0, 1, 2, 255]);
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert_eq!(body, expected);
}

#[test]
fn values_are_saved_from_cookies_and_pages_and_the_latest_answer_is_kept() {
    let page = "<title>x</title><form><input name=csrf value='c&amp;1'></form>";
    let target = Server::start(move |head, _| match head.split(' ').nth(1) {
        Some("/page") => ok("set-cookie: sid=one; Path=/\r\nset-cookie: sid=\"two\"; HttpOnly\r\nx-next: /n\r\n", page),
        Some("/json") => ok("", "{\"a\": [1, 2]}"),
        Some("/large") => ok("", &format!("[\"{}\"]", "x".repeat(70_000))),
        _ => ok("", "none"),
    });
    let steps = "      - GET /page: { save: { sid: { cookie: sid }, csrf: { css: \"form input[name=csrf]\", attribute: value }, gone: { cookie: no, default: none } } }\n\
        \x20     - set: { next: \"{{ last.headers['x-next'] }}\" }\n      - \"GET {{ next }}\": { query: { s: \"{{ sid }}\", c: \"{{ csrf }}\", g: \"{{ gone }}\" } }\n\
        \x20     - GET /json\n      - if: last.json.a[1] == 2 && last.status == 200 && last.latency > 0.0\n        then: [ GET /was-json ]\n\
        \x20     - GET /large\n      - if: last.json == null && size(last.body) == 65536\n        then: [ GET /was-large ]\n";
    let result = run(&file(target.port, "", steps), 1);
    assert_ok(&result, 6);
    assert_eq!(
        target.lines(),
        ["GET /page", "GET /n?s=two&c=c%261&g=none", "GET /json", "GET /was-json", "GET /large", "GET /was-large"]
    );
}

/// A server of tokens: `t-0`, `t-1` …, each good for `seconds`; `refresh` ones are good once.
fn tokens(seconds: &'static str) -> Server {
    let count = std::sync::atomic::AtomicU64::new(0);
    Server::start(move |head, _| {
        if !head.starts_with("POST /token") {
            return ok("", "");
        }
        let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        ok(
            "",
            &format!(
                "{{\"access_token\": \"t-{n}-abc\", \"expires_in\": {seconds}, \"refresh_token\": \"r-{n}-abc\"}}"
            ),
        )
    })
}

fn form(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

#[test]
fn a_token_is_fetched_once_and_is_a_step_like_any_other() {
    let target = tokens("3600");
    let more = "    auth: { oauth2: { token_url: /token, client_id: me, client_secret: s&1, scope: a b } }\n";
    let result = run(&file(target.port, more, "      - GET /a\n      - GET /b\n"), 2);
    assert_ok(&result, 5);
    assert_eq!(target.lines(), ["POST /token", "GET /a", "GET /b", "GET /a", "GET /b"]);
    assert_eq!(
        form(&target.asked("POST /token").2),
        "grant_type=client_credentials&scope=a%20b&client_id=me&client_secret=s%261"
    );
    assert_eq!(header(&target.asked("GET /b").1, "authorization"), Some("Bearer t-0-abc"));
    let step = result.header.steps.iter().position(|s| s.name == "auth /token").expect("a step of its own");
    assert_eq!(result.steps[step].counts.ok, 1);
}

#[test]
fn a_token_that_is_due_is_renewed_before_it_is_used() {
    // It lives for no time at all: every request asks anew, with what the answer before brought.
    let target = tokens("\"0\"");
    let more = "    auth: { oauth2: { token_url: /token, grant: password, username: \"{{ account.id }}\", password: \"{{ account.password }}\", client_id: me, client_secret: s1, client_in: header } }\n";
    let result = run(&file(target.port, more, "      - GET /a\n"), 1);
    assert_ok(&result, 3);
    assert_eq!(target.lines(), ["POST /token", "POST /token", "GET /a"]);
    let seen = target.seen.lock().unwrap();
    assert_eq!(form(&seen[0].2), "grant_type=password&username=u-0&password=pw%20%C3%A9%3A1");
    assert_eq!(form(&seen[1].2), "grant_type=refresh_token&refresh_token=r-0-abc");
    assert_eq!(header(&seen[0].1, "authorization"), Some("Basic bWU6czE="));
    assert_eq!(header(&seen[2].1, "authorization"), Some("Bearer t-1-abc"));
}

#[test]
fn a_token_that_is_refused_fails_before_and_shows_nothing() {
    let target = Server::start(|_, body| {
        let body = String::from_utf8_lossy(body);
        format!("HTTP/1.1 400 No\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    });
    let more = "    auth: { oauth2: { token_url: /token, client_id: me, client_secret: literal-secret } }\n";
    let (result, shown) = shown(&file(target.port, more, "      - GET /a\n"), 2);
    assert_eq!((result.totals().failed, result.iterations.failed_before), (2, 2));
    assert!(shown.contains("400") && !shown.contains("literal-secret"), "{shown}");
}

#[test]
fn each_iteration_may_be_a_new_visitor_or_a_new_connection() {
    let cookies = |server: &Server| {
        let seen = server.seen.lock().unwrap();
        seen.iter().map(|(_, head, _)| header(head, "cookie").is_some()).collect::<Vec<_>>()
    };
    let start = || Server::start(|_, _| ok("set-cookie: a=1\r\n", "{\"t\": 1}"));
    let before = "    before: [ GET /in ]\n";
    let usual = start();
    assert_ok(&run(&file(usual.port, before, "      - GET /a\n"), 2), 3);
    assert_eq!((cookies(&usual), usual.connections()), (vec![false, true, true], 1));
    let visitor = start();
    let more = format!("{before}    cookies: per_iteration\n");
    assert_ok(&run(&file(visitor.port, &more, "      - GET /a\n"), 2), 4);
    assert_eq!((cookies(&visitor), visitor.connections()), (vec![false, true, false, true], 1));
    let fresh = start();
    let text = file(fresh.port, before, "      - GET /a\n").replace("for: 20s", "for: 20s, connections: per_iteration");
    assert_ok(&run(&text, 2), 3);
    assert_eq!((cookies(&fresh), fresh.connections()), (vec![false, true, true], 2));
}

/// The median of a step's times in ms.
fn median_ms(result: &RunResult, step: usize) -> f64 {
    result.steps[step].response.percentile_ns(50.0).unwrap_or(0) as f64 / 1e6
}

#[test]
fn the_users_network_is_felt_in_every_response() {
    let target = Server::start(|_, _| ok("", &"x".repeat(40_000)));
    let text = file(target.port, "", "      - GET /a\n");
    let slow = text.replace("for: 20s", "for: 20s, network: { delay: 20ms, rate: 400kB/s }");
    let (near, far) = (run(&text, 5), run(&slow, 5));
    assert_ok(&near, 5);
    assert_ok(&far, 5);
    // Twice 20 ms of delay, and 40 kB of which 20 kB go at once: 50 ms for the rest.
    let least = 2.0 * 20.0 + 0.9 * 50.0;
    assert!(median_ms(&far, 0) >= least, "{} ms", median_ms(&far, 0));
    assert!(far.header.notes.iter().any(|n| n.contains("20ms of delay each way, 400 kB/s")), "{:?}", far.header.notes);
    assert!(near.header.notes.is_empty());
}

#[test]
fn a_marker_of_another_run_that_comes_in_place_of_mine_is_named() {
    let kept = std::sync::OnceLock::new();
    let server = Server::start(move |head, body| {
        let body = String::from_utf8_lossy(body).into_owned();
        let first = if head.starts_with("PUT") { kept.get_or_init(|| body) } else { kept.get().expect("written") };
        ok("", first)
    });
    let steps = "    - PUT /note: { json: { note: '{{ marker }}' } }\n    - GET /note: { expect: { marker: own } }\n";
    let text = file(server.port, "", steps);
    let (result, _) = with_key(&text, 1, 1);
    assert_ok(&result, 2);
    let (result, stored) = with_key(&text, 1, 2);
    assert_eq!((result.totals().failed, result.isolation.residue), (1, 2), "{:?}", result.errors);
    assert!(stored.contains("but one of another run"), "{stored}");
}
