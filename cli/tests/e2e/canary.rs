//! A canary through the binary, with two servers: a good new version, and a bad one that is stopped.

use crate::binary::{Desk, shared};
use crate::server::{self, Server};

fn scenario(old: &Server, new: &Server) -> String {
    format!(
        "watertight: 1
name: Release
targets:
  old: {{ url: \"{}\", timeout: 2s }}
  next: {{ url: \"{}\", timeout: 2s }}
journeys:
  look:
    target: old
    on_failure: continue
    steps:
      - GET /thing: {{ expect: {{ status: 200 }} }}
      - think: 20ms
profiles:
  release: {{ preset: canary, users: 8, new: next, steps: [25%, 100%], each: 2s, graceful_stop: 2s }}
sla:
  - {{ errors: < 5% }}
",
        old.url, new.url
    )
}

#[test]
fn a_good_version_takes_over_and_a_bad_one_is_stopped() {
    let _processors = shared();
    let desk = Desk::new();
    let (old, good) = (server::good(), server::good());
    desk.write("good.yaml", &scenario(&old, &good));
    let run = desk.run(&["run", "good.yaml", "--out", "good"]);
    assert_eq!(run.code, 0, "{run}");
    assert!(run.out.contains("Canary") && run.out.contains("8 of 8"), "{run}");
    let result = desk.result("good");
    let sent = |step: usize, side: &str| result["canary"][step][side]["sent"].as_u64().expect("a count");
    assert!(sent(0, "old") > 0 && sent(0, "new") > 0 && sent(1, "new") > 0, "{}", result["canary"]);
    let bad = Server::answering(|_| server::answer("503 Service Unavailable", "", "{}"));
    desk.write("bad.yaml", &scenario(&old, &bad));
    let run = desk.run(&["run", "bad.yaml", "--out", "bad"]);
    assert_eq!(run.code, 1, "{run}");
    assert!(run.out.contains("the canary's step 25% failed, the new version is to be rolled back"), "{run}");
    let result = desk.result("bad");
    assert_eq!((&result["run"]["ending"], &result["canary"][0]["played"]), (&"aborted".into(), &true.into()));
    let first = result["canary"][0]["new"]["errors"].as_f64().expect("a share");
    assert!(first > 0.99 && result["canary"][0]["old"]["errors"].as_f64() == Some(0.0), "{}", result["canary"]);
    // Judged again from the disk it is the same answer.
    let again = desk.run(&["report", "bad"]);
    assert_eq!(again.code, 1, "{again}");
    assert_eq!(desk.result("bad")["canary"], result["canary"]);
}
