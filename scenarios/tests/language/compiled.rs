//! What a file compiles to: operations, slots, headers, probes.

use crate::file::{FILE, program};
use scenarios::Program;
use scenarios::program::{Body, Condition, Control, Delay, Journey, Op, Request, SaveSource};

/// One line per operation.
fn listing(program: &Program, journey: &Journey) -> String {
    let mut out = String::new();
    for (pc, op) in journey.ops.iter().enumerate() {
        let sections = [("before", journey.before), ("steps", journey.steps), ("after", journey.after)];
        for (name, entry) in sections {
            if entry as usize == pc {
                out.push_str(&format!("{name}:\n"));
            }
        }
        let text = match op {
            Op::Request(n) => program.steps[program.requests[*n].step].name.clone(),
            Op::Think(_) => "think".into(),
            Op::Set { slot, .. } => format!("set {}", journey.slot_names[usize::from(*slot)]),
            Op::Jump(to) => format!("jump {to}"),
            Op::JumpUnless { to, .. } => format!("unless {to}"),
            Op::Count { counter, .. } => format!("count c{counter}"),
            Op::Round { counter, done } => format!("round c{counter} else {done}"),
            Op::Choose(branches) => format!("choose {branches:?}"),
            Op::GroupStart(g) => format!("group {}", program.groups[*g].name),
            Op::GroupEnd(g) => format!("end of {}", program.groups[*g].name),
            Op::Each { each, .. } => format!("each l{each}"),
            Op::Next { each, slot, done } => {
                format!("next of l{each} to {} else {done}", journey.slot_names[usize::from(*slot)])
            }
            Op::Log(_) => "log".into(),
            Op::Stop(halt) => format!("stop {halt:?}"),
            Op::Parallel(requests) => {
                let names = requests.iter().map(|n| program.steps[program.requests[*n].step].name.as_str());
                format!("parallel {}", names.collect::<Vec<_>>().join(" and "))
            }
            Op::End => "end".into(),
            Op::Socket(op) => format!("{op:?}"),
            Op::Join(name) => format!("join {}", name.written()),
            Op::Leave(name) => format!("leave {}", name.written()),
            Op::Meet(number) => format!("meet {}", program.meetings[*number].name),
            Op::SwitchAccount => "switch account".into(),
        };
        out.push_str(&format!("{pc:3} {text}\n"));
    }
    out
}

fn steps(steps: &str) -> String {
    let from = FILE.find("      - POST /sessions:").expect("the first step");
    let to = FILE.find("mix:").expect("the mix");
    format!("{}{steps}{}", &FILE[..from], &FILE[to..])
}

fn request<'p>(program: &'p Program, step: &str) -> &'p Request {
    let found = program.requests.iter().find(|r| program.steps[r.step].name == step);
    found.expect("a request of this step")
}

#[test]
fn a_list_is_gone_through_and_a_pace_is_no_operation() {
    let program = program(&steps(
        "      - pace: 10s
      - for_each: [1, 2]
        steps: [ { log: \"{{ item }}\" } ]
      - for_each: token
        as: word
        steps:
          - GET /a/{{ word }}
          - stop: iteration
",
    ));
    let journey = &program.journeys[0];
    insta::assert_snapshot!(listing(&program, journey), @r"
    before:
      0 POST /auth/login
      1 end
    steps:
      2 each l0
      3 next of l0 to item else 6
      4 log
      5 jump 3
      6 each l1
      7 next of l1 to word else 11
      8 GET /a/{{ word }}
      9 stop Iteration
     10 jump 7
     11 end
    after:
     12 end
    ");
    assert_eq!((journey.flow.lists, journey.flow.pace), (2, Some(Delay::Fixed(10_000_000_000))));
}

#[test]
fn branches_are_requests_with_all_their_options() {
    let program = program(&steps(
        "      - parallel:
          - GET /a: { save: { here: $.a } }
          - GET /b: { on_failure: continue }
      - GET /c/{{ here }}
",
    ));
    let text = listing(&program, &program.journeys[0]);
    assert!(text.contains("  2 parallel GET /a and GET /b\n  3 GET /c/{{ here }}\n"), "{text}");
    assert!(request(&program, "GET /b").continue_on_failure);
}

#[test]
fn a_group_says_what_a_failure_in_it_means() {
    let program = program(&steps(
        "      - group: a
        on_failure: continue
        steps:
          - GET /goes-on
          - GET /gives-up: { on_failure: give_up }
          - group: b
            steps: [ GET /goes-on-too ]
      - GET /outside
",
    ));
    let goes_on: Vec<bool> = ["GET /goes-on", "GET /gives-up", "GET /goes-on-too", "GET /outside"]
        .map(|s| request(&program, s).continue_on_failure)
        .into();
    assert_eq!(goes_on, [true, false, true, false]);
}

#[test]
fn loops_branches_and_groups_become_jumps() {
    let program = program(&steps(
        "      - repeat: 2
        steps: [ GET /a, { think: 1s } ]
      - while: n < 3
        max: 7
        steps:
          - set: { n: \"{{ n + 1 }}\", m: [1, 2] }
      - if: n == 1
        then: [ GET /b ]
        else: [ GET /c ]
      - choose:
          - { weight: 70, steps: [ GET /a ] }
          - { weight: 30, steps: [ GET /b, GET /c ] }
      - group: checkout
        steps: [ GET /a ]
    after: [ GET /bye ]
",
    ));
    insta::assert_snapshot!(listing(&program, &program.journeys[0]), @r"
    before:
      0 POST /auth/login
      1 end
    steps:
      2 count c0
      3 round c0 else 7
      4 GET /a
      5 think
      6 jump 3
      7 count c1
      8 unless 13
      9 round c1 else 13
     10 set n
     11 set m
     12 jump 8
     13 unless 16
     14 GET /b
     15 jump 17
     16 GET /c
     17 choose [(70, 18), (30, 20)]
     18 GET /a
     19 jump 23
     20 GET /b
     21 GET /c
     22 jump 23
     23 group checkout
     24 GET /a
     25 end of checkout
     26 end
    after:
     27 GET /bye
     28 end
    ");
    // Requests of one name in one journey are one step, however often they stand in the file.
    let names: Vec<&str> = program.steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["POST /auth/login", "GET /a", "GET /b", "GET /c", "GET /bye"]);
    assert_eq!(program.requests.len(), 9);
    assert_eq!(program.journeys[0].counters, 2);
    assert_eq!(program.journeys[0].slot_names, ["token", "n", "m"]);
}

#[test]
fn journey_headers_reach_steps_and_after_but_not_before() {
    let program = program(&steps(
        "      - GET /a
      - GET /b: { headers: { Authorization: none, X-Trace: \"1\" } }
    after: [ GET /c ]
",
    ));
    let headers = |step: &str| -> Vec<(String, bool)> {
        let headers = &request(&program, step).headers;
        headers.iter().map(|(n, t)| (n.clone(), t.as_constant().is_some())).collect()
    };
    assert_eq!(headers("POST /auth/login"), []);
    assert_eq!(headers("GET /a"), [("authorization".to_owned(), false)]);
    assert_eq!(headers("GET /b"), [("authorization".to_owned(), true), ("x-trace".to_owned(), true)]);
    assert_eq!(headers("GET /c"), [("authorization".to_owned(), false)]);
}

#[test]
fn a_probe_knows_its_positive_control() {
    let program = program(FILE);
    let probe = request(&program, "GET /patients/{{ stranger.id }}/progress").probe.clone();
    let probe = probe.expect("it is a probe");
    assert_eq!(probe.role, 0);
    let control = probe.control_step.expect("the own request is there");
    assert_eq!(program.steps[control].name, "GET /patients/{{ account.id }}/progress");
    assert_eq!(program.steps[control].control, Some(Control::Own));
    // The last step is the probe itself.
    assert!(program.steps.last().is_some_and(|s| s.probe));
}

#[test]
fn the_query_is_taken_out_of_the_path() {
    let program = program(&steps(
        "      - GET /search?q=a%20b+c&id={{ account.id }}&flag: { query: { page: 2 }, timeout: 3s, tags: [read, slow] }\n",
    ));
    let request = &program.requests[1];
    let step = &program.steps[request.step];
    assert_eq!(request.path.as_constant().map(ToString::to_string).as_deref(), Some("/search"));
    let query: Vec<_> =
        request.query.iter().map(|(n, t)| (n.as_str(), t.as_constant().map(ToString::to_string))).collect();
    assert_eq!(
        query,
        [("q", Some("a b c".into())), ("id", None), ("flag", Some(String::new())), ("page", Some("2".into()))]
    );
    assert_eq!(request.timeout_ns, 3_000_000_000);
    assert_eq!(step.tags, ["read", "slow"]);
    assert_eq!(program.requests[0].timeout_ns, 10_000_000_000);
}

#[test]
fn expectations_and_saves() {
    let program = program(&steps(
        "      - POST /a:
          form: { n: 1, note: \"{{ marker }}\" }
          expect:
            status: [2xx, 404]
            json: { $.a: 1, $.b: \"< 3\", $.c: \"!= {{ token }}\", $.d: { exists: false }, $.e: { matches: \"^x\" }, $.f: \"<b>\" }
            body: { contains: [one, two], matches: x+ }
            header: { Content-Type: { matches: json } }
            under: < 5s
            that: last.status == 201 && x != null
            marker: permitted
          save:
            x: { header: X-Id, default: none }
            y: { regex: \"id=(.)\", secret: true }
            z: { json: \"$.a[*]\", credential: true }
          on_failure: continue
",
    ));
    let request = request(&program, "POST /a");
    assert!(matches!(request.body, Body::Form(_)) && request.plants_marker);
    assert_eq!(request.expect.status, [(200, 299), (404, 404)]);
    let kinds: Vec<&str> = request
        .expect
        .json
        .iter()
        .map(|(_, c)| match c {
            Condition::Equals(_) => "equals",
            Condition::Compare(..) => "compare",
            Condition::Matches(_) => "matches",
            Condition::Exists(_) => "exists",
        })
        .collect();
    assert_eq!(kinds, ["equals", "compare", "compare", "exists", "matches", "equals"]);
    assert_eq!(request.expect.headers[0].0, "content-type");
    assert_eq!(request.expect.under_ns, Some(5_000_000_000));
    assert_eq!(request.expect.contains.len(), 2);
    assert!(request.expect.that.is_some() && request.continue_on_failure);
    assert_eq!(request.expect.marker, Some(Control::Permitted));
    assert!(matches!(&request.saves[0].source, SaveSource::Header(h) if h == "x-id"));
    let flags: Vec<_> = request.saves.iter().map(|s| (s.credential, s.secret, s.default.is_some())).collect();
    assert_eq!(flags, [(false, false, true), (false, true, false), (true, true, false)]);
}

#[test]
fn accounts_are_made_up_alike_each_time_and_secrets_are_known() {
    let text = FILE.replacen("clinic: \"{{", "pin: \"{{ random(1, 1000000) }}\", clinic: \"{{", 1);
    let (one, two) = (program(&text), program(&text));
    let role = &one.roles[0];
    assert_eq!(role.accounts, two.roles[0].accounts);
    assert_eq!(role.columns, ["id", "password", "pin", "clinic"]);
    assert_eq!(role.secret, [false, true, false, false]);
    assert_eq!(one.account_name(7), "p-7");
    assert_eq!(role.accounts[27][3], scenarios::value::Value::Int(7));
    assert_eq!(role.may_see.len(), 1);
}

#[test]
fn a_journey_without_role_is_anonymous_and_one_target_needs_no_name() {
    let program = program(
        "watertight: 1\ntargets: { api: http://localhost }\njourneys: { visitor: { steps: [GET /] } }\nprofiles: { short: { users: 5000, for: 30s } }\n",
    );
    assert_eq!(program.name, "model");
    assert_eq!(program.journeys[0].role, None);
    assert_eq!(program.journeys[0].weight, 1);
    assert_eq!(program.requests[0].target, 0);
}
