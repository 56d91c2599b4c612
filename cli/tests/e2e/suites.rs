//! Several profiles in one invocation: a folder each, one exit code by precedence.

use crate::binary::{Desk, shared};
use crate::{scenario, server};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn two_profiles(text: &str) -> String {
    let line = text.lines().find(|l| l.starts_with("  short:")).unwrap();
    let both = line.replace("for: 1s", "for: 200ms");
    text.replace(line, &format!("{both}\n{}", both.replace("short", "second")))
}

#[test]
fn each_profile_has_its_folder_and_the_suite_its_verdict() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::leaking();
    desk.write("s.yaml", &two_profiles(&scenario::notes(&target.url, "{ errors: < 50% }")));
    let ended = desk.run(&["run", "s.yaml", "--all", "--out", "r"]);
    assert_eq!(ended.code, 1, "{ended}");
    let suite = desk.json("r/suite.json");
    assert_eq!(suite["format"], 1);
    assert_eq!(suite["verdict"], "no-go");
    assert_eq!(suite["profiles"].as_array().unwrap().len(), 2);
    for name in ["short", "second"] {
        assert_eq!(desk.result(&format!("r/{name}"))["run"]["profile"], name);
    }
    let ended = desk.run(&["report", "r"]);
    assert_eq!(ended.code, 1, "{ended}");
    // A suite that was killed before its end has its folders and no suite.json.
    std::fs::remove_file(desk.path("r/suite.json")).unwrap();
    let ended = desk.run(&["report", "r"]);
    assert_eq!(ended.code, 1, "{ended}");
    let ended = desk.run(&["run", "s.yaml", "--all", "--out", "r"]);
    assert_eq!(ended.code, 2, "{ended}");
}

/// The leak of the first profile is not forgotten because the target is gone before the second.
#[test]
fn a_target_that_is_gone_for_the_second_profile_does_not_hide_the_leak_of_the_first() {
    let _processors = shared();
    let desk = Desk::new();
    let healthy = Arc::new(AtomicBool::new(true));
    let last = std::sync::Mutex::new(String::from("{}"));
    let state = Arc::clone(&healthy);
    let target = server::Server::answering(move |request| {
        if request.head.starts_with("GET /health") {
            // Well for the first question only.
            let status = if state.swap(false, Ordering::SeqCst) { "200 OK" } else { "503 Gone" };
            return server::answer(status, "", "");
        }
        let mut last = last.lock().unwrap();
        server::answer("200 OK", "", std::mem::replace(&mut *last, request.body.clone()))
    });
    let text = two_profiles(&scenario::notes(&target.url, "{ errors: < 50% }"));
    desk.write("s.yaml", &text.replace("timeout: 5s", "timeout: 5s, health: /health"));
    let ended = desk.run(&["run", "s.yaml", "--all", "--out", "r"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.err.contains("not healthy"), "{ended}");
    assert_eq!(desk.result("r/short")["isolation"]["state"], "leaking");
    let suite = desk.json("r/suite.json");
    assert_eq!(suite["profiles"].as_array().unwrap().len(), 2, "{suite}");
    assert_eq!(suite["profiles"][1]["outcome"], "inconclusive", "{suite}");
}
