//! Whatever bytes an answer holds, the user that judges it stays upright, and nothing is lost from the counts.

use super::{assert_laws, play};
use engine::client::answer::Ending;
use engine::client::decode;
use engine::clock::MILLISECOND;
use engine::simulate::Reply;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

const SCENARIO: &str = r#"watertight: 1
name: answers
targets: { it: "http://127.0.0.1:1" }
roles: { user: { accounts: { count: 3, values: { id: "u-{{ index }}", password: "pw-{{ index }}-long" } } } }
journeys:
  all:
    as: user
    target: it
    on_failure: continue
    steps:
      - POST /a:
          json: { text: "{{ marker }}" }
          expect: { status: 2xx, json: { $.n: "< 3", "$.list[*].x": { exists: true } }, header: { x-h: { matches: "^a+$" } }, body: { contains: ok } }
          save: { t: { json: "$..token", credential: true, default: x }, r: { regex: "id=(\\w+)", default: 1 }, h: { header: x-h, default: 2 } }
          identity: { $.owner: "{{ account.id }}" }
      - GET /b/{{ t }}: { expect: { marker: own, that: last.status < 600 }, save: { whole: { json: $, default: null } } }
      - GET /c/{{ account.id }}: { expect: { marker: own } }
      - probe: GET /c/{{ stranger.id }}
      - think: 1s
profiles: { p: { users: 2, for: 3s, graceful_stop: 1s } }
"#;

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        r#"[\[\]{}":,0-9a-z\\u. -]{0,120}"#.prop_map(String::into_bytes),
        ("[a-z]{0,8}", any::<i64>(), any::<String>()).prop_map(|(owner, n, token)| {
            serde_json::json!({ "owner": owner, "n": n, "token": token, "list": [{ "x": n }], "ok": "id=7" })
                .to_string()
                .into_bytes()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_upsets_a_user(
        status in 100u16..600,
        headers in proptest::collection::vec(("(content-encoding|content-type|set-cookie|x-h|location|[a-z]{1,6})", "(gzip|br|zstd, deflate|aaa|[ -~]{0,30})"), 0..4),
        body in body(),
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in &headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                map.append(name, value);
            }
        }
        let mut reply = Reply::ok(MILLISECOND);
        reply.status = status;
        reply.body = body;
        match decode::codings(&map).and_then(|codings| decode::decode(&codings, &reply.body, 1 << 20)) {
            Ok(Some(decoded)) => reply.body = decoded,
            Ok(None) => {}
            Err(why) => reply.ending = Ending::Failed(why),
        }
        reply.headers = map;
        let result = play(SCENARIO, 7, move |_: &engine::client::answer::Outgoing, _| reply.clone());
        assert_laws(&result);
        prop_assert!(result.totals().sent() > 0);
    }
}

#[test]
fn json_that_is_nested_deeper_than_the_file_allows_fails_by_name() {
    let played = |body: &str, kind: &'static str| {
        let text = "watertight: 1\ntargets: { t: { url: 'http://127.0.0.1:1', limits: { json_depth: 2 } } }\n\
                    journeys: { j: { steps: [ GET /a: { save: { n: $.n } }, GET /b, think: 1s ] } }\n\
                    profiles: { p: { users: 1, for: 3s } }\n";
        let body = body.as_bytes().to_vec();
        let result = play(text, 1, move |_: &engine::client::answer::Outgoing, _| {
            let mut reply = Reply::ok(MILLISECOND);
            reply.headers.insert("content-type", HeaderValue::from_static(kind));
            reply.body.clone_from(&body);
            reply
        });
        assert_laws(&result);
        let failed = result.header.steps.iter().zip(&result.steps).map(|(h, s)| (h.name.clone(), s.counts.failed > 0));
        let kinds: Vec<_> = result.errors.iter().map(|e| e.kind.clone()).collect();
        (failed.filter(|(_, failed)| *failed).map(|(name, _)| name).collect::<Vec<_>>(), kinds)
    };
    let named = vec!["answer json nested too deep".to_owned()];
    assert_eq!(played(r#"{"n":[1,"[[["]}"#, "application/json"), (vec![], vec![]));
    assert_eq!(played(r#"{"n":1,"x":[[]]}"#, "application/json"), (vec!["GET /a".into()], named.clone()));
    // What is read as JSON is some, whatever its type says; what nobody reads has to say so itself.
    assert_eq!(played(r#"{"n":1,"x":[[]]}"#, "text/plain"), (vec!["GET /a".into()], named));
}
