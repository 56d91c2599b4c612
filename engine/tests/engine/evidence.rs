//! Evidence stays small and tells no secret, whatever a target leaks and however often.

use super::loopback::{listen, request};
use super::{assert_laws, program};
use engine::run_result::{RunResult, Tier};
use engine::{HeaderFacts, Setup, Unobserved};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

const FILE: &str = "watertight: 1
name: everything leaks
targets: { t: { url: 'http://127.0.0.1:PORT', timeout: 5s } }
roles:
  u: { accounts: { count: 4, values: { id: 'u-{{ index }}', pin: 'p1n/of-{{ index }}-x' }, columns: { pin: { secret: true } } } }
journeys:
  j:
    as: u
    target: t
    on_failure: continue
    before:
      - POST /login: { json: { user: '{{ account.id }}', pin: '{{ account.pin }}' }, save: { token: { json: $.t, credential: true } } }
    headers: { authorization: 'Bearer {{ token }}' }
    steps:
      - POST /notes: { json: { note: '{{ marker }}', pin: '{{ account.pin }}' } }
      - GET /all: { identity: { $.owner: '{{ account.id }}' }, expect: { marker: own } }
      - GET /rare
profiles: { p: { users: 4, for: 2s } }
";

/// Says everything that anybody ever said at each read, in each place; `/rare` leaks only after a hundred others.
fn target() -> u16 {
    let said: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let (count, asked) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    listen(move |mut stream| {
        while let Some(text) = request(&mut stream) {
            let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
            let who = head.lines().find_map(|l| l.strip_prefix("authorization: ")).unwrap_or_default().to_owned();
            let mut said = said.lock().expect("nobody panics with it");
            let answer = if head.starts_with("POST /login") {
                format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{{\"t\":\"t0k3n-{:04}\"}}",
                    count.fetch_add(1, Relaxed)
                )
            } else if head.starts_with("POST /notes") {
                said.insert(who, body.to_owned());
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned()
            } else if head.starts_with("GET /rare") && asked.load(Relaxed) < 100 {
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned()
            } else {
                let other = said.iter().find(|(other, _)| **other != who);
                let (token, note) = other.map_or(("", "0"), |(token, note)| (token.as_str(), note.as_str()));
                let marker = note.split('"').find(|word| word.starts_with("wtq7zx")).unwrap_or_default();
                // One place after the other: of several in one answer the first is told.
                let (header, note) = match asked.fetch_add(1, Relaxed) % 3 {
                    0 => (String::new(), note),
                    1 => (format!("set-cookie: session=c00k1e-{marker}-c00k1e\r\n"), "0"),
                    _ => (format!("x-access-token: a.{marker}.s1gn4ture\r\n"), "0"),
                };
                let body = format!(
                    "{{\"owner\":\"p1n/of-3-x\",\"next\":\"/of?who=p1n%2Fof-2-x\",\"said\":{note},\"by\":\"{token}\"}}"
                );
                format!("HTTP/1.1 200 OK\r\n{header}content-length: {}\r\n\r\n{body}", body.len())
            };
            drop(said);
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

fn played() -> (RunResult, Vec<serde_json::Value>) {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = Setup {
        profile: 0,
        facts: HeaderFacts::default(),
        seed: 1,
        workers: 2,
        key: [1; 32],
        folder: Some(folder.path().to_path_buf()),
        stop: Arc::default(),
        health_requests: 0,
    };
    let text = FILE.replace("PORT", &target().to_string());
    let result = engine::run(&program(&text), setup, &mut Unobserved).expect("it starts").result;
    assert_laws(&result);
    let stored = std::fs::read_to_string(folder.path().join("leaks.jsonl")).expect("it is stored");
    (result, stored.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect())
}

#[test]
fn a_target_that_leaks_in_every_answer_fills_no_disk_and_tells_no_secret() {
    let (result, lines) = played();
    let proven: Vec<_> = result.isolation.groups.iter().filter(|g| g.key.tier == Tier::Proven).collect();
    assert!(proven.iter().any(|g| g.count > 100), "{:?}", proven.iter().map(|g| (&g.key, g.count)).collect::<Vec<_>>());
    let mut kept = BTreeMap::<u64, usize>::new();
    for line in &lines {
        *kept.entry(line["group"].as_u64().expect("a number")).or_default() += 1;
    }
    assert!(kept.values().all(|n| *n <= 20) && kept.values().any(|n| *n == 20), "{kept:?}");
    // What leaks later and less is shown as well.
    assert!(result.isolation.groups.iter().all(|g| !g.examples.is_empty()));
    assert!(proven.iter().any(|g| result.header.steps[g.key.step].name == "GET /rare"), "{kept:?}");
    for place in ["body", "header", "cookie"] {
        assert!(proven.iter().any(|g| g.key.place == place), "{place}");
    }
    for line in &lines {
        let text = line.to_string();
        for secret in ["t0k3n-", "p1n/of-", "p1n%2Fof-", "c00k1e", "s1gn4ture"] {
            assert!(!text.contains(secret), "`{secret}` in {text}");
        }
        assert!(line["excerpt"].as_str().is_some_and(|e| e.len() <= 256 * 4), "{text}");
    }
}
