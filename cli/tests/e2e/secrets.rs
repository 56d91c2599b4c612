//! Secrets never reach a file or a screen, whatever a target does with them.

use crate::binary::{Desk, Ended, shared};
use crate::scenario;
use crate::server::{Server, answer};

fn assert_nowhere(desk: &Desk, ended: &Ended, secrets: &[&str]) {
    let mut found = Vec::new();
    let mut look = |place: &str, bytes: &[u8]| {
        for secret in secrets {
            if let Some(at) = bytes.windows(secret.len()).position(|w| w == secret.as_bytes()) {
                let around = String::from_utf8_lossy(&bytes[at.saturating_sub(60)..bytes.len().min(at + 40)]);
                found.push(format!("{place} holds `{secret}`: …{around}…"));
            }
        }
    };
    for (path, bytes) in desk.files("r") {
        look(&path.display().to_string(), &bytes);
    }
    look("stdout", ended.out.as_bytes());
    look("stderr", ended.err.as_bytes());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Every account has a password; the target sends all that it got back, as a debug page does.
#[test]
fn a_target_that_echoes_everything_gives_nothing_away() {
    let _processors = shared();
    let desk = Desk::new();
    let echo = Server::answering(|request| {
        let token = "\"token\": \"tok-0123456789-issued\"";
        let body = format!("{{{token}, \"echo\": {:?}}}", format!("{}{}", request.head, request.body));
        answer(if request.head.starts_with("POST /login") { "200 OK" } else { "500 Oops" }, "", body)
    });
    let text = scenario::notes(&echo.url, "{ errors: < 5% }")
        .replace("- POST /notes: { json: { text: \"mine {{ marker }}\" } }", LOG_IN_AND_NOTES)
        .replace("    on_failure", "    headers: { authorization: \"Bearer ${API_KEY}\" }\n    on_failure");
    desk.write("s.yaml", &text);
    let ended = desk.run(&["run", "s.yaml", "--for", "300ms", "--out", "r", "--env", "API_KEY=key-9876543210"]);
    // On a machine with no time to spare the run judges its own generator first: that is 3, with the same evidence.
    assert!([1, 3].contains(&ended.code), "{ended}");
    assert_ne!(desk.text("r/failures.jsonl"), "", "the target failed and echoed");
    assert_nowhere(
        &desk,
        &ended,
        &["pw-0-secret", "pw-1-secret", "pw-2-secret", "pw-3-secret", "tok-0123456789", "key-9876543210"],
    );
}

const LOG_IN_AND_NOTES: &str = "- POST /login:
          json: { name: \"{{ account.id }}\", password: \"{{ account.password }}\" }
          save: { token: { json: $.token, secret: true } }
      - POST /notes:
          headers: { x-session: \"{{ token }}\" }
          json: { text: \"mine {{ marker }}\" }";

/// The evidence of a leak shows the owner's data, and the owner's password may be among it.
#[test]
fn the_evidence_of_a_leak_does_not_leak() {
    let _processors = shared();
    let desk = Desk::new();
    let target = crate::server::leaking();
    let text = scenario::notes(&target.url, "{ errors: < 5% }")
        .replace("{ text: ", "{ password: \"{{ account.password }}\", text: ");
    desk.write("s.yaml", &text);
    let ended = desk.run(&["run", "s.yaml", "--for", "300ms", "--out", "r"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert_eq!(desk.result("r")["isolation"]["state"], "leaking");
    assert_nowhere(&desk, &ended, &["pw-0-secret", "pw-1-secret", "pw-2-secret", "pw-3-secret"]);
}

/// What stands in the file itself is masked in the stored copy.
#[test]
fn the_stored_scenario_is_masked() {
    let _processors = shared();
    let desk = Desk::new();
    let target = crate::server::good();
    let text = scenario::notes(&target.url, "{ errors: < 50% }")
        .replace("    on_failure", "    headers: { authorization: \"Bearer literal-token-12345\" }\n    on_failure")
        .replace("pw-{{ index }}-secret", "the-same-for-all-999");
    desk.write("s.yaml", &text);
    let ended = desk.run(&["run", "s.yaml", "--for", "100ms", "--out", "r"]);
    assert_nowhere(&desk, &ended, &["literal-token-12345", "the-same-for-all-999"]);
    assert!(desk.text("r/scenario.yaml").contains("POST /notes"), "the rest is there");
}

/// The practice clinic's log-ins, under a defect that fills the evidence.
#[test]
fn the_demos_passwords_and_tokens_stay_inside() {
    let _processors = shared();
    let desk = Desk::new();
    let ended = desk.run(&["demo", "--for", "200ms", "--defect", "session-mixup", "--defect", "errors", "--out", "r"]);
    assert_eq!(ended.code, 1, "{ended}");
    for (path, bytes) in desk.files("r") {
        let text = String::from_utf8_lossy(&bytes);
        let digit = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
        assert!(!text.split("pw-").skip(1).any(digit), "{} holds a password", path.display());
        assert!(
            !text.split("Bearer ").skip(1).any(|rest| !rest.starts_with(['{', '*'])),
            "{} holds a token",
            path.display()
        );
        assert!(!text.contains("\"token\":\"") || text.contains("\"token\":\"***"), "{} holds a token", path.display());
    }
}

/// Commands at moments of the run are noted in the result, without the secrets that they were given or print.
#[test]
fn a_command_at_a_moment_is_noted_and_gives_nothing_away() {
    let _processors = shared();
    let desk = Desk::new();
    let target = crate::server::good();
    let text = scenario::notes(&target.url, "{ errors: < 50% }");
    let at = text.find("profiles:").expect("there are profiles");
    let moments = "at: { 100ms: { mark: roll, run: [sh, say.sh, \"${ROLL_KEY}\"] }, 200ms: { mark: gone, run: ./gone.sh }, 9h: { mark: never, run: [sh, say.sh] } }";
    let users = at + text[at..].find("users:").expect("a closed profile");
    desk.write("s.yaml", &format!("{}{moments}, {}", &text[..users], &text[users..]));
    desk.write("say.sh", "echo first\necho \"done with $1\"\nexit 7\n");
    let ended = desk.run(&["run", "s.yaml", "--for", "1s", "--out", "r", "--env", "ROLL_KEY=roll-9876543210"]);
    let result = desk.result("r");
    let marks = result["marks"].as_array().unwrap_or_else(|| panic!("{ended}"));
    assert_eq!(marks.iter().map(|m| m["mark"].as_str().unwrap()).collect::<Vec<_>>(), ["roll", "gone"], "{ended}");
    assert_eq!(marks[0]["command"]["exit_code"], 7, "{ended}");
    assert_eq!(marks[0]["command"]["last_line"], "done with ***");
    assert!(marks[1]["command"]["outcome"].as_str().unwrap().starts_with("could not be started"), "{result}");
    assert!(ended.out.contains("roll at "), "{ended}");
    assert_nowhere(&desk, &ended, &["roll-9876543210"]);
    let again = desk.run(&["report", "r"]);
    assert_eq!(desk.result("r")["marks"], result["marks"], "{again}");
}
