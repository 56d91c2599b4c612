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
