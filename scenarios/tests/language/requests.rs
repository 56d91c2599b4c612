//! Requests beyond method, path and body: whole URLs, who asks, parts and files, tokens, what is kept.

use crate::file::{FILE, parsed, program, source};
use scenarios::conditions::{Fresh, Keeps};
use scenarios::program::{Body, Op, SaveSource};

fn step(step: &str) -> String {
    FILE.replacen("- think: 1s..4s", &format!("- {step}"), 1)
}

#[test]
fn a_whole_url_goes_to_the_target_of_its_host_or_to_one_of_its_own() {
    let text = step("GET http://127.0.0.1:8002/a/{{ session }}?q={{ mood }}").replacen(
        "- if: mood < 3",
        "- POST https://Other.test/x\n      - GET https://other.test:443\n      - if: mood < 3",
        1,
    );
    let program = program(&text);
    let targets: Vec<&str> = program.targets.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(targets, ["patient", "clinical", "https://Other.test"]);
    let of = |name: &str| {
        let request = program.requests.iter().find(|r| program.steps[r.step].name == name).expect(name);
        assert_eq!(program.steps[request.step].target, request.target);
        (request.target, request.query.len(), request.timeout_ns / 1_000_000_000)
    };
    assert_eq!(of("GET http://127.0.0.1:8002/a/{{ session }}?q={{ mood }}"), (1, 1, 30));
    assert_eq!(of("POST https://Other.test/x"), (2, 0, 30));
    assert_eq!(of("GET https://other.test:443"), (2, 0, 30));
}

#[test]
fn a_key_that_is_one_template_is_an_address() {
    let program = program(&step("\"GET {{ session }}\": { query: { page: 2 } }"));
    let request = program.requests.iter().find(|r| r.whole_url).expect("the saved link");
    assert_eq!(program.steps[request.step].name, "GET {{ session }}");
    assert_eq!((request.target, request.query.len()), (0, 1));
}

#[test]
fn auth_is_a_header_and_the_steps_own_wins() {
    let text = FILE
        .replacen(
            "headers: { authorization: \"Bearer {{ token }}\" }",
            "auth: { basic: [\"{{ account.id }}\", pw-of-all-7] }",
            1,
        )
        .replacen("- think: 1s..4s", "- GET /b: { auth: { bearer: literal-99 } }\n        - GET /c: { auth: none }", 1);
    let program = program(&text);
    let header = |name: &str| {
        let request = program.requests.iter().find(|r| program.steps[r.step].name == name).expect(name);
        let found = request.headers.iter().find(|(n, _)| n == "authorization");
        found.map(|(_, t)| t.as_constant().map(ToString::to_string).unwrap_or_default())
    };
    assert_eq!(header("POST /auth/login"), None, "nothing of the journey's in `before`");
    assert_eq!(header("POST /sessions").as_deref(), Some(""), "made for each account");
    assert_eq!(header("GET /b").as_deref(), Some("Bearer literal-99"));
    assert_eq!(header("GET /c"), None);
    assert!(["pw-of-all-7", "literal-99"].iter().all(|s| program.secrets.iter().any(|known| known == s)));
    let (plan, _) = parsed(&text).expect("a good file");
    let stored = plan.stored_text();
    assert!(!stored.contains("pw-of-all-7") && !stored.contains("literal-99"), "{stored}");
    assert!(parsed(&stored).is_ok(), "{stored}");
}

#[test]
fn a_token_is_fetched_in_before_and_looked_at_before_each_request() {
    let text = FILE.replacen(
        "headers: { authorization: \"Bearer {{ token }}\" }",
        "auth: { oauth2: { token_url: https://login.test/token, grant: password, username: \"{{ account.id }}\", password: \"{{ account.password }}\", scope: a b } }",
        1,
    );
    let program = program(&text);
    let journey = &program.journeys[0];
    let name = |op: &Op| match op {
        Op::Request(n) => Some(program.steps[program.requests[*n].step].name.as_str()),
        _ => None,
    };
    let before: Vec<_> = journey.ops[..journey.steps as usize].iter().filter_map(name).collect();
    let token = "auth https://login.test/token";
    assert_eq!(before, [token, token, "POST /auth/login"]);
    let steps: Vec<_> = journey.ops[journey.steps as usize..].iter().filter_map(name).collect();
    assert_eq!(steps[..3], [token, token, "POST /sessions"]);
    let step = program.steps.iter().find(|s| s.name == token).expect("a step of its own");
    assert_eq!(program.targets[step.target].url, "https://login.test");
    let request = program.requests.iter().find(|r| program.steps[r.step].name == "POST /sessions").expect("there");
    assert_eq!(request.headers.iter().filter(|(n, _)| n == "authorization").count(), 1);
}

#[test]
fn parts_and_files_are_read_once() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.png"), b"\x89PNG").expect("written");
    let text = step("POST /a: { multipart: { note: \"x {{ marker }}\", photo: { file: a.png }, raw: { base64: AAE=, filename: r.bin } } }")
        .replacen("json: { story: forest }", "body: { file: a.png, type: image/x }", 1);
    let mut source = source(&text);
    source.folder = folder.path().to_path_buf();
    let (plan, _) = scenarios::parse(&source, &|_| None).expect("a good file");
    let program = scenarios::compile(&plan).expect("compiles");
    assert!(plan.digests().iter().any(|(name, _)| name == "a.png"));
    let of = |name: &str| program.requests.iter().find(|r| program.steps[r.step].name == name).expect(name);
    assert!(
        matches!(&of("POST /a").body, Body::Multipart(parts) if parts.uses_marker()) && of("POST /a").plants_marker
    );
    assert!(
        matches!(&of("POST /sessions").body, Body::Bytes { bytes, kind } if **bytes == *b"\x89PNG" && kind == "image/x")
    );
    let large = std::fs::File::create(folder.path().join("a.png")).expect("made");
    large.set_len((16 << 20) + 1).expect("grown");
    let found = scenarios::parse(&source, &|_| None).expect_err("too large");
    assert!(found.iter().all(|d| d.code == "too-large" && d.message.contains("16 MiB")), "{found:?}");
}

#[test]
fn cookies_are_secret_unless_the_file_says_otherwise() {
    let program = program(&step(
        "GET /a: { save: { a: { cookie: sid }, b: { cookie: lang, secret: false }, c: { css: \"input[name=x]\", attribute: value } } }",
    ));
    let saves = &program.requests.iter().find(|r| r.saves.len() == 3).expect("the step").saves;
    assert_eq!(saves.iter().map(|s| s.secret).collect::<Vec<_>>(), [true, false, false]);
    assert!(matches!(&saves[0].source, SaveSource::Cookie(name) if name == "sid"));
    assert!(matches!(&saves[2].source, SaveSource::Css(_)));
}

#[test]
fn only_what_later_steps_read_is_kept() {
    let keeps = |text: &str| program(text).journeys[0].keeps;
    assert_eq!(keeps(FILE), Keeps::default());
    assert_eq!(keeps(&step("GET /a: { expect: { that: last.json.a == 1 && last.body != '' } }")), Keeps::default());
    assert_eq!(keeps(&step("set: { n: \"{{ last.json.a }}\" }")), Keeps { headers: false, body: true });
    assert_eq!(keeps(&step("\"GET {{ last.headers.location }}\"")), Keeps { headers: true, body: false });
    assert_eq!(
        keeps(&step("if: last.status == 200 && last.latency < 5\n          then: [ GET /a ]")),
        Keeps::default()
    );
}

#[test]
fn a_new_visitor_each_iteration_is_asked_for_in_journey_or_profile() {
    let both = |text: String| {
        let program = program(&text);
        (program.journeys[0].fresh, program.profiles[0].fresh)
    };
    let none = Fresh::default();
    let journey = FILE.replacen("as: patient", "as: patient\n    cookies: per_iteration", 1);
    assert_eq!(both(journey), (Fresh { cookies: true, ..none }, none));
    let profile = FILE.replacen("for: 10m", "for: 10m, connections: per_iteration, cookies: per_user", 1);
    assert_eq!(both(profile), (none, Fresh { connections: true, ..none }));
}
