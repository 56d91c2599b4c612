//! Any bytes as an answer: two bytes of status, header lines up to an empty one, the body. Decoded, scanned, checked and
//! saved by a virtual user in virtual time; the counts of the run hold whatever it says.
#![no_main]

use engine::client::answer::{Ending, Outgoing};
use engine::client::decode;
use engine::simulate::{Reply, simulate};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use scenarios::{Program, Source};
use std::sync::{Arc, LazyLock};

const SCENARIO: &str = r#"watertight: 1
targets: { it: { url: "http://127.0.0.1:1", timeout: 1s } }
roles:
  user: { accounts: { count: 3, values: { id: "u-{{ index }}", password: "pw-{{ index }}-long" } } }
journeys:
  all:
    as: user
    target: it
    on_failure: continue
    steps:
      - POST /a:
          json: { text: "{{ marker }}" }
          expect: { status: 2xx, json: { $.n: "< 3", "$.list[*].x": { exists: true } }, header: { x-h: { matches: "^a+$" } }, body: { contains: ok, matches: "[a-z]+" } }
          save: { t: { json: "$..token", credential: true, default: x }, r: { regex: "id=(\\w+)", default: 1 }, h: { header: x-h, default: 2 } }
          identity: { $.owner: "{{ account.id }}" }
      - GET /b/{{ t }}: { expect: { marker: own, that: last.status < 600 }, save: { whole: { json: $, default: null } } }
      - GET /c: { expect: { status: [200, 404] } }
      - probe: GET /d/{{ stranger.id }}
      - think: 1s
profiles: { p: { users: 2, for: 2s, graceful_stop: 1s } }
"#;

static PROGRAM: LazyLock<Arc<Program>> = LazyLock::new(|| {
    let source = Source { name: "s.yaml".into(), text: SCENARIO.into(), folder: "/nonexistent".into() };
    let plan = scenarios::parse(&source, &|_| None);
    let (plan, _) = plan.unwrap_or_else(|e| panic!("{}", scenarios::render(&e, &source, false)));
    Arc::new(scenarios::compile(&plan).expect("an accepted plan compiles"))
});

/// What a body may unfold to.
const LIMIT: usize = 1 << 20;

fn reply(data: &[u8]) -> Reply {
    let mut reply = Reply::ok(1_000_000);
    let Some((status, rest)) = data.split_first_chunk::<2>() else { return reply };
    reply.status = 100 + u16::from_le_bytes(*status) % 500;
    let mut headers = HeaderMap::new();
    let mut rest = rest;
    while let Some(end) = rest.iter().position(|b| *b == b'\n') {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    reply.body = rest.to_vec();
    match decode::codings(&headers) {
        Err(why) => reply.ending = Ending::Failed(why),
        Ok(codings) => {
            let part = decode::decode_part(&codings, rest, LIMIT);
            match decode::decode(&codings, rest, LIMIT) {
                Ok(Some(body)) => {
                    assert!(body.len() <= LIMIT);
                    assert_eq!(part.as_deref(), Some(body.as_slice()), "a whole body is all of its parts");
                    reply.body = body;
                }
                Ok(None) => assert!(codings.is_empty()),
                Err(why) => reply.ending = Ending::Failed(why),
            }
        }
    }
    reply.headers = headers;
    reply
}

fuzz_target!(|data: &[u8]| {
    let reply = reply(data);
    let mut answer = |_: &Outgoing, _: u64| reply.clone();
    let result = simulate(&PROGRAM, 0, 7, &mut answer).expect("it can be said in HTTP");
    let totals = result.totals();
    let iterations = &result.iterations;
    assert_eq!(iterations.started, iterations.completed + iterations.gave_up + iterations.cut);
    assert_eq!(totals.planned, totals.sent() + totals.generator_errors);
});
