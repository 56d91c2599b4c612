//! Wrong command lines and wrong folders: exit code 2 or 4, a message that says what to do, nothing is sent.

use crate::binary::{Desk, shared};
use crate::laws::count;
use crate::{scenario, server};

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let desk = Desk::new();
    let target = server::good();
    desk.write("s.yaml", &scenario::plain(&target.url, "{ status: 200 }", "{ errors: < 5% }"));
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage"),
        (&["rnu", "s.yaml"], "rnu"),
        (&["run"], "<FILE>"),
        (&["run", "s.yaml", "--profil", "short"], "--profile"),
        (&["run", "s.yaml", "--profile", "sohrt"], "short"),
        (&["run", "s.yaml", "-p", "short,sohrt"], "sohrt"),
        (&["run", "s.yaml", "--target", "ti=http://127.0.0.1:1"], "`it`"),
        (&["run", "s.yaml", "--target", "it=127.0.0.1"], "http://"),
        (&["run", "s.yaml", "--target", "it"], "NAME=VALUE"),
        (&["run", "s.yaml", "--env", "K"], "NAME=VALUE"),
        (&["run", "s.yaml", "--users", "0"], "at least 1"),
        (&["run", "s.yaml", "--users", "-3"], "-3"),
        (&["run", "s.yaml", "--users", "many"], "many"),
        (&["run", "s.yaml", "--arrivals", "5/s"], "--users"),
        (&["run", "s.yaml", "--for", "soon"], "--for"),
        (&["run", "s.yaml", "--for", "0s"], "at least"),
        (&["run", "s.yaml", "--for", "5"], "5s"),
        (&["run", "s.yaml", "--time-scale", "0"], "above 0"),
        (&["run", "s.yaml", "--time-scale", "NaN"], "above 0"),
        (&["run", "s.yaml", "--quick", "--time-scale", "2"], "cannot be used"),
        (&["run", "s.yaml", "--all", "-p", "short"], "cannot be used"),
        (&["run", "s.yaml", "--workers", "0"], "workers"),
        (&["run", "s.yaml", "--seed=-1"], "seed"),
        (&["demo", "--defect", "no-such-defect"], "shared-cache"),
        (&["demo", "--users", "0"], "at least 1"),
        (&["demo", "--users", "5000"], "accounts"),
        (&["demo", "--for", "tomorrow"], "--for"),
        (&["practice", "--port", "70000"], "70000"),
        (&["report", "r", "--sla", "none.yaml"], "none.yaml"),
    ];
    for (args, holds) in cases {
        let ended = desk.run(args);
        assert_eq!(ended.code, 2, "{args:?}: {ended}");
        assert!(ended.err.contains(holds), "{args:?} lacks `{holds}`: {ended}");
        assert_eq!(ended.out, "", "{args:?}");
    }
    assert_eq!(target.connections(), 0);
    assert!(!desk.path("results").exists());
}

#[test]
fn a_results_folder_is_never_written_over() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    desk.write("s.yaml", &scenario::plain(&target.url, "{ status: 200 }", "{ errors: < 50% }"));
    desk.run(&["run", "s.yaml", "--for", "100ms", "--out", "r"]);
    let before = desk.files("r");
    let ended = desk.run(&["run", "s.yaml", "--for", "100ms", "--out", "r"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.err.contains("--out"), "{ended}");
    assert!(desk.files("r") == before, "the old run is untouched");
}

#[test]
fn a_results_folder_that_cannot_be_written_is_said_before_the_load() {
    let desk = Desk::new();
    let target = server::good();
    desk.write("s.yaml", &scenario::plain(&target.url, "{ status: 200 }", "{ errors: < 50% }"));
    desk.write("file", "in the way");
    for out in ["file", "file/below"] {
        let ended = desk.run(&["run", "s.yaml", "--out", out]);
        assert_eq!(ended.code, 4, "{ended}");
        assert!(ended.err.contains(out), "{ended}");
    }
    assert!(target.connections() <= 2, "at most the question whether it is there");
}

#[test]
fn the_environment_is_an_option_and_the_command_line_wins() {
    let _processors = shared();
    let desk = Desk::new();
    let target = server::good();
    desk.write("s.yaml", &scenario::plain(&target.url, "{ status: 200 }", "{ errors: < 50% }"));
    let mut command = desk.command(&["run", "s.yaml", "--for", "100ms"]);
    command
        .env("WATERTIGHT_USERS", "2")
        .env("WATERTIGHT_OUT", "from-env")
        .env("WATERTIGHT_FOR", "60s")
        .env("WATERTIGHT_SEED", "7");
    let ended = crate::binary::Running::new(command).end();
    let result = desk.result("from-env");
    assert_eq!(ended.code, crate::laws::exit_code(&result), "{ended}");
    assert_eq!(result["run"]["seed"], 7);
    assert!(result["run"]["load"].as_str().unwrap().starts_with("2 users for 0.1 s"), "{}", result["run"]);
    assert!(count(&result["totals"], "ok") > 0);
}

#[test]
fn help_and_completions_are_for_stdout() {
    let desk = Desk::new();
    for args in [&["--help"][..], &["run", "--help"], &["--version"], &["completions", "bash"], &["schema"]] {
        let ended = desk.run(args);
        assert_eq!(ended.code, 0, "{ended}");
        assert!(!ended.out.is_empty() && ended.err.is_empty(), "{ended}");
    }
    let help = desk.run(&["--help"]).out;
    assert!(help.contains("Exit codes") && help.contains("130"), "{help}");
}

/// What can be switched on is said where it is switched on: what it does, and what it is built after.
#[test]
fn the_help_describes_each_defect() {
    let desk = Desk::new();
    for command in ["demo", "practice"] {
        // Words as they are, however the terminal breaks the lines.
        let help = desk.run(&[command, "--help"]).out.split_whitespace().collect::<Vec<_>>().join(" ");
        for defect in practice::Defect::ALL {
            assert!(help.contains(&format!("{defect} {}", defect.description())), "{command}, {defect}: {help}");
            let models = defect.models().map(|incident| format!("models {incident}"));
            assert!(models.is_none_or(|text| help.contains(&text)), "{command}, {defect}: {help}");
        }
    }
}

/// More than a file may ask for; nobody listens at the target, so that nothing is tried.
#[test]
fn the_command_line_asks_for_no_more_than_a_file_may() {
    let desk = Desk::new();
    let text = scenario::plain("http://127.0.0.1:9", "{ status: 200 }", "{ errors: < 5% }");
    desk.write("closed.yaml", &text);
    desk.write("open.yaml", &text.replace("users: 3", "arrivals: 3/s, max_users: 5"));
    for args in [&["run", "closed.yaml", "--users", "1000001"], &["run", "open.yaml", "--arrivals", "1000001/s"]] {
        let ended = desk.run(args);
        assert_eq!(ended.code, 2, "{args:?}: {ended}");
    }
}
