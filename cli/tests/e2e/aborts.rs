//! Abort rules through the binary: the run ends early, the answer is NO-GO, the suite goes on.

use crate::binary::{Desk, shared};
use crate::{scenario, server};

#[test]
fn a_run_that_is_lost_ends_early_with_no_go_and_the_next_profile_still_runs() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    let text = scenario::plain(&target.url, "{ status: 404 }", "{ errors: < 100%, must: false }");
    let line = text.lines().find(|l| l.starts_with("  short:")).unwrap();
    let long = line.replace("for: 1s", "for: 10m").replace("short", "long");
    let text = text.replace(line, &format!("{long}\n{line}"));
    desk.write("a.yaml", &format!("{text}  - {{ abort_when: errors > 50% over 1s, in: long }}\n"));
    // A generator that a busy machine makes late says no to nobody: then it is played again.
    let play = |folder: &String| desk.run(&["run", "a.yaml", "--all", "--out", folder]);
    let is_void = |folder: &String| desk.result(&format!("{folder}/long"))["validity"]["state"] == "void";
    let folders: Vec<String> = (1..=4).map(|round| format!("r{round}")).collect();
    let (folder, ended) = folders
        .iter()
        .map(|folder| (folder, play(folder)))
        .find(|(folder, _)| !is_void(folder) || *folder == folders.last().unwrap())
        .unwrap();
    let (long, short) = (format!("{folder}/long"), format!("{folder}/short"));
    assert_eq!(ended.code, 1, "{ended}");
    let result = desk.result(&long);
    assert_eq!(result["run"]["ending"], "aborted");
    assert_eq!(result["verdict"]["outcome"], "no-go");
    let reason = result["run"]["ending_reason"].as_str().unwrap();
    assert!(reason.starts_with("errors > 50% over 1s: "), "{reason}");
    assert!(result["run"]["duration_s"].as_f64().unwrap() < 120.0, "{result}");
    assert_eq!(desk.result(&short)["run"]["ending"], "finished");
    // Judged again from the disk it is the same.
    let again = desk.run(&["report", &long]);
    assert_eq!(again.code, 1, "{again}");
    assert!(again.out.contains("stopped early by its own rule"), "{again}");
}
