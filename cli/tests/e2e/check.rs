//! `check` of a file that is right: what it holds, what it compiles to, and its journeys as graphs.

use crate::binary::Desk;

const WORDY: &str = r##"watertight: 1
name: Wordy
targets: { api: "http://127.0.0.1:9" }
roles:
  user: { accounts: { count: 9, values: { id: "u-{{ index }}", password: "pw-{{ index }}" } } }
journeys:
  shop:
    as: user
    before:
      - POST /log_in:
          json: { name: "{{ account.id }}", password: "literal-password-9", key: "${THE_API_KEY}" }
          save: { token: { json: $.token, credential: true }, n: { json: $.n, default: 0 } }
    headers: { authorization: "Bearer {{ token }}", x-plain: "a" }
    steps:
      - repeat: "{{ random(1, 3) }}"
        steps:
          - think: 1s..4s
          - GET /items: { query: { q: "\"#;<x>&`{{ n }}`" }, expect: { status: [200, 4xx], json: { $.a: "< 3" }, under: 2s } }
      - while: n < 3
        max: 7
        steps: [ { set: { n: "{{ n + 1 }}" } } ]
      - if: n == 3 || true
        then: [ GET /yes ]
        else: [ GET /no ]
      - choose:
          - { weight: 30, steps: [ GET /a ] }
          - { weight: 70, steps: [ { group: "g|1", steps: [ { think: 5ms } ] } ] }
      - probe: GET /items/{{ stranger.id }}
profiles:
  short: { users: 3, for: 90s }
sla:
  - { errors: < 5% }
"##;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("s.yaml", WORDY);
    desk
}

const KEY: [&str; 2] = ["--env", "THE_API_KEY=k3y-of-the-house"];

#[test]
fn the_summary_names_journeys_steps_and_profiles() {
    let ended = desk().run(&[&["check", "s.yaml"], &KEY[..]].concat());
    assert_eq!(ended.code, 0, "{ended}");
    for line in [
        "shop (played by user, weight 1)",
        "    GET /items → api",
        "    probe GET /items",
        "short: 1m30s, up to 3 users, about",
    ] {
        assert!(ended.out.contains(line), "`{line}`: {ended}");
    }
}

#[test]
fn the_listing_shows_every_operation_and_no_secret() {
    let ended = desk().run(&[&["check", "s.yaml", "--explain"], &KEY[..]].concat());
    assert_eq!(ended.code, 0, "{ended}");
    for part in [
        "  before:\n       0  POST /log_in → api\n",
        r#"json {"name": "{{ account.id }}", "password": "***", "key": "***"}"#,
        "save token from $.token, a credential",
        "save n from $.n, else 0",
        "header authorization: Bearer {{ token }}",
        "  steps:\n       2  count 0 from {{ random(1, 3) }}\n       3  next round of 0, or go to 7\n       4  think 1s..4s\n",
        "expect status 200 or 400 to 499",
        "expect $.a < 3",
        "expect it under 2s",
        "unless n < 3 go to",
        "choose: 30 of 100 go to",
        "group `g|1` starts",
        "probe of another user: GET /items/{{ stranger.id }} → api",
        "expect status below 400, or refused with",
        "  after:\n",
    ] {
        assert!(ended.out.contains(part), "`{part}`: {ended}");
    }
    assert!(!ended.out.contains("literal-password-9") && !ended.out.contains("k3y-of-the-house"), "{ended}");
}

/// A line of the part of Mermaid's grammar that `--graph` uses.
fn is_mermaid(line: &str) -> bool {
    let line = line.trim();
    let node =
        |text: &str| text.strip_prefix("op").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let plain = |text: &str| !text.contains(['"', '<', '>', '&', '`', '|', '{', '}', '\\']);
    if line == "end" || line.starts_with("subgraph ") && line.ends_with("\"]") || line.ends_with("_start((\" \"))") {
        return true;
    }
    if let Some((from, to)) = line.split_once(" -->") {
        let to = match to.strip_prefix("|\"") {
            Some(rest) => match rest.split_once("\"|") {
                Some((label, to)) if plain(label) => to,
                _ => return false,
            },
            None => to,
        };
        return (node(from) || from.ends_with("_start")) && node(to.trim());
    }
    let Some(open) = line.find(['[', '(', '{']) else { return false };
    let (name, rest) = line.split_at(open);
    let shapes = [("[\"", "\"]"), ("((\"", "\"))"), ("{\"", "\"}"), ("(\"", "\")")];
    node(name) && shapes.iter().any(|(o, c)| rest.strip_prefix(o).and_then(|r| r.strip_suffix(c)).is_some_and(plain))
}

#[test]
fn the_graph_is_mermaid_and_every_arrow_ends_at_a_node() {
    let ended = desk().run(&[&["check", "s.yaml", "--graph", "shop"], &KEY[..]].concat());
    assert_eq!(ended.code, 0, "{ended}");
    let mut lines = ended.out.lines();
    assert_eq!(lines.next(), Some("flowchart TD"), "{ended}");
    for line in lines {
        assert!(is_mermaid(line), "`{line}`");
    }
    let drawn = |name: &str| ended.out.lines().any(|l| l.trim_start().starts_with(name) && !l.contains("-->"));
    for line in ended.out.lines().filter(|l| l.contains("-->")) {
        let to = line.split_whitespace().last().unwrap();
        assert!(["[", "(", "{"].iter().any(|shape| drawn(&format!("{to}{shape}"))), "`{line}` ends nowhere: {ended}");
    }
    assert!(ended.out.contains("|\"weight 30\"|") && ended.out.contains("|\"again\"|"), "{ended}");
    assert!(!ended.out.contains("k3y-of-the-house"), "{ended}");
}

#[test]
fn a_journey_that_is_not_there_is_named() {
    let ended = desk().run(&[&["check", "s.yaml", "--graph", "shopp"], &KEY[..]].concat());
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended}");
    assert!(ended.err.contains("shopp") && ended.err.contains("the file has shop"), "{ended}");
}
