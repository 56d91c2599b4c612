//! Broken scenario files: every mistake at once, each with its place, and nothing is sent.

use crate::binary::Desk;
use crate::server;

/// Ten mistakes, each in a line of its own that ends in `# <what the message holds>`.
const BROKEN: &str = r#"watertight: 1
name: Broken
targets:
  it: { url: "URL", tiemout: 5s }                             # did you mean `timeout`
  other: 127.0.0.1:9                                          # http://127.0.0.1:9
roles:
  user: { accounts: { count: "5", values: { id: "u-{{ index }}" } } }  # remove the quotes
journeys:
  look:
    as: user
    target: it
    steps:
      - thnik: 1s                                             # did you mean `think`
      - think: soon                                           # 1s
      - GET /a: { expect: { status: "200" } }                 # status: 200
      - GET /b/{{ sesion }}                                   # sesion
      - if: "{{ 1 < 2 }}"                                     # braces
        then: [ GET /c ]
profiles:
  short: { users: 2 }                                         # for
sla:
  - { p95: < 200 }                                            # 200ms
"#;

#[test]
fn ten_mistakes_are_ten_diagnostics_and_nothing_is_sent() {
    let desk = Desk::new();
    let target = server::good();
    let text = BROKEN.replace("URL", &target.url);
    desk.write("broken.yaml", &text);
    for command in ["run", "check"] {
        let ended = desk.run(&[command, "broken.yaml"]);
        assert_eq!(ended.code, 2, "{ended}");
        let messages: Vec<&str> = ended.err.split("error[").skip(1).collect();
        assert_eq!(messages.len(), 10, "{ended}");
        assert!(ended.err.contains("10 mistakes") && ended.err.contains("nothing was sent"), "{ended}");
        for (number, line) in text.lines().enumerate() {
            let Some((_, holds)) = line.split_once("  # ") else { continue };
            let place = format!("broken.yaml:{}:", number + 1);
            let message = messages.iter().find(|m| m.contains(&place)).unwrap_or_else(|| panic!("{place}\n{ended}"));
            assert!(message.contains(holds), "{place} lacks `{holds}`:\n{message}");
        }
        assert_eq!(ended.out, "");
    }
    assert_eq!(target.connections(), 0);
    assert!(!desk.path("results").exists());
}

#[test]
fn an_unset_variable_is_a_mistake() {
    let desk = Desk::new();
    let text = crate::scenario::plain("${NOT_SET_ANYWHERE}", "{ status: 200 }", "{ errors: < 5% }");
    desk.write("s.yaml", &text);
    let ended = desk.run(&["run", "s.yaml"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.err.contains("NOT_SET_ANYWHERE") && ended.err.contains("s.yaml:3:"), "{ended}");
    assert_eq!(ended.err.matches("error[").count(), 1, "one mistake is one message: {ended}");
    let ended = desk.run(&["check", "s.yaml", "--env", "NOT_SET_ANYWHERE=http://127.0.0.1:1"]);
    assert_eq!(ended.code, 0, "{ended}");
}

#[test]
fn files_that_are_no_scenario_at_all() {
    let desk = Desk::new();
    std::fs::write(desk.path("binary.yaml"), [0xff, 0xfe, 0, 1]).unwrap();
    desk.write("empty.yaml", "").write("list.yaml", "- a\n- b\n").write("open.yaml", "watertight: 1\nname: [\n");
    desk.write("deep.yaml", &"[".repeat(50_000));
    desk.write("bomb.yaml", "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b]\n");
    for file in ["binary.yaml", "empty.yaml", "list.yaml", "open.yaml", "deep.yaml", "bomb.yaml", "missing.yaml", "."] {
        for command in ["check", "run"] {
            let ended = desk.run(&[command, file]);
            assert_eq!(ended.code, 2, "{file}: {ended}");
            assert!(ended.err.contains(file), "{file}: {ended}");
        }
    }
}

#[test]
fn missing_data_and_zero_users_are_mistakes_of_the_file() {
    let desk = Desk::new();
    let good = crate::scenario::notes("http://127.0.0.1:1", "{ errors: < 5% }");
    let cases = [
        ("users: 4", "users: 0", "users"),
        ("users: 4", "users: 9", "8"),
        ("count: 8, values: { id: \"w-{{ index }}\", password: \"pw-{{ index }}-secret\" }", "", ""),
        ("accounts: { count", "accounts: nobody.csv\n    x: { count", "nobody.csv"),
    ];
    for (from, to, holds) in cases {
        assert!(good.contains(from), "{from}");
        desk.write("s.yaml", &good.replace(from, to));
        let ended = desk.run(&["run", "s.yaml"]);
        assert_eq!(ended.code, 2, "{to}: {ended}");
        assert!(ended.err.contains(holds) && ended.err.contains("s.yaml:"), "{to}: {ended}");
    }
}

/// A right file; each of [`SLIPS`] breaks it in one place.
const RIGHT: &str = r#"watertight: 1
name: Right
targets:
  api: { url: "http://127.0.0.1:9", timeout: 5s }
roles:
  user:
    accounts: { count: 5, values: { id: "u-{{ index }}", clinic: "{{ index % 2 }}" } }
    may_see: { user: owner.clinic == account.clinic }
fragments:
  log_in:
    - POST /login: { json: { name: "{{ account.id }}" }, save: { token: { json: $.token, credential: true } } }
journeys:
  look:
    as: user
    target: api
    before: [ { call: log_in } ]
    headers: { authorization: "Bearer {{ token }}" }
    steps:
      - GET /a:
          query: { q: "{{ token }}" }
          expect: { status: [200, 4xx], json: { $.n: "< 3" }, under: 2s }
          save: { n: $.n }
          identity: { $.id: "{{ account.id }}" }
      - think: 1s..4s
      - if: n < 3
        then: [ GET /b ]
      - repeat: 2
        steps: [ GET /c ]
      - choose: [ { weight: 1, steps: [ GET /d ] } ]
      - POST /n: { json: { text: "{{ marker }}" } }
      - GET /e/{{ account.id }}: { expect: { marker: own } }
      - probe: GET /e/{{ stranger.id }}
mix: { look: 1 }
profiles:
  short: { users: 2, for: 10s, faults: { abandon: 5% } }
  open: { arrivals: 5/s, for: 10s, max_users: 5 }
sla:
  - { of: { target: api }, p95: < 200ms, in: [short] }
gate: { requires: [short], signoffs: [safety] }
"#;

/// What is right, and one slip in its place.
const SLIPS: &[(&str, &str)] = &[
    ("watertight: 1", "watertight: 2"),
    ("name: Right", "name: Right\nname: Twice"),
    ("mix:", "mixx:"),
    ("http://127.0.0.1:9", "127.0.0.1:9"),
    ("http://127.0.0.1:9", "http://me:pw@127.0.0.1:9"),
    ("timeout: 5s", "timeout: 5"),
    ("timeout: 5s", "timout: 5s"),
    ("count: 5", "count: \"5\""),
    ("count: 5", "count: 0"),
    ("owner.clinic ==", "owner.clinik =="),
    ("may_see: { user:", "may_see: { usr:"),
    ("POST /login", "post /login"),
    ("$.token, credential", "token, credential"),
    ("as: user", "as: usr"),
    ("target: api\n", "target: apy\n"),
    ("call: log_in", "call: login"),
    ("Bearer {{ token }}", "Bearer {{ tokn }}"),
    ("Bearer {{ token }}", "Bearer {{ token }"),
    ("headers: {", "\theaders: {"),
    ("status: [200, 4xx]", "status: \"200\""),
    ("status: [200, 4xx]", "status: 2000"),
    ("$.n: \"< 3\"", "$.[n: \"< 3\""),
    ("think: 1s..4s", "think: 4s..1s"),
    ("think: 1s..4s", "thnik: 1s..4s"),
    ("if: n < 3", "if: \"{{ n < 3 }}\""),
    ("if: n < 3", "if: n <"),
    ("repeat: 2", "repeat: -2"),
    ("weight: 1,", "weight: 0,"),
    ("GET /d", "GET d"),
    ("mix: { look: 1 }", "mix: { lok: 1 }"),
    ("users: 2", "users: 9"),
    ("for: 10s, faults", "faults"),
    ("abandon: 5%", "abandon: 5"),
    ("arrivals: 5/s", "arrivals: 5"),
    ("p95: < 200ms", "p95: < 200"),
    ("p95: < 200ms", "p95: > 200ms"),
    ("in: [short]", "in: [shrt]"),
    ("requires: [short]", "requires: [long]"),
    ("name: Right", "name: ${NOT_SET_ANYWHERE}"),
    ("GET /e/{{ stranger.id }}", "GET /e/{{ stranger.name }}"),
];

/// One mistake in a file is one message, at its place, with a way out. The snapshot is what people read.
#[test]
fn each_slip_has_one_message_with_its_place_and_its_help() {
    let desk = Desk::new();
    desk.write("right.yaml", RIGHT);
    let ended = desk.run(&["check", "right.yaml"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended}");
    let mut said = String::new();
    for (right, wrong) in SLIPS {
        assert!(RIGHT.contains(right), "`{right}` is not in the file");
        desk.write("s.yaml", &RIGHT.replacen(right, wrong, 1));
        let ended = desk.run(&["check", "s.yaml"]);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "`{wrong}`: {ended}");
        assert_eq!(ended.err.matches("error[").count(), 1, "`{wrong}`: {ended}");
        said.push_str(&format!("`{}`\n", wrong.escape_debug()));
        let shown = |line: &&str| {
            let line = line.trim_start();
            ["error[", "--> ", "= help", "help:", "= note"].iter().any(|start| line.starts_with(start))
        };
        for line in ended.err.lines().filter(shown) {
            said.push_str(&format!("    {}\n", line.trim()));
        }
    }
    insta::assert_snapshot!(said);
}
