//! `init`: whatever it is made from, the starter is a file without mistakes, and holds no credential of the source.

use crate::binary::Desk;

/// The starter that `args` give, checked.
#[track_caller]
fn starter(desk: &Desk, args: &[&str]) -> String {
    let ended = desk.run(&[&["init"], args].concat());
    assert_eq!(ended.code, 0, "{args:?}: {ended}");
    assert!(ended.out.starts_with("# yaml-language-server: $schema=watertight.schema.json\n"), "{ended}");
    desk.write("made.yaml", &ended.out);
    let checked = desk.run(&["check", "made.yaml"]);
    assert_eq!(checked.code, 0, "{checked}\n{}", ended.out);
    assert!(checked.out.contains("no mistakes") && checked.err.is_empty(), "{checked}\n{}", ended.out);
    ended.out
}

#[track_caller]
fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[track_caller]
fn hides(text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!text.contains(secret), "`{secret}` is in:\n{text}");
    }
}

#[test]
fn from_nothing() {
    let text = starter(&Desk::new(), &[]);
    holds(&text, &["{{ marker }}", "credential: true", "before:", "profiles:", "sla:"]);
}

#[test]
fn a_file_that_is_there_is_never_written_over() {
    let desk = Desk::new();
    let ended = desk.run(&["init", "--out", "new.yaml"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, ""), "{ended}");
    assert_eq!(desk.run(&["check", "new.yaml"]).code, 0);
    desk.write("mine.yaml", "mine");
    let ended = desk.run(&["init", "--out", "mine.yaml"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.err.contains("mine.yaml is there already"), "{ended}");
    assert_eq!(std::fs::read_to_string(desk.path("mine.yaml")).unwrap(), "mine");
}

#[test]
fn from_curl() {
    let desk = Desk::new();
    let chrome = r#"curl 'https://shop.example.org/api/cart?size=3&q=a%20b' \
  -H 'Accept: application/json' \
  -H 'Authorization: Bearer eyJhbGciOi.s3cret' \
  -H 'Cookie: sid=c00kie' \
  -H 'content-type: application/json' \
  --data-raw $'{"text":"it\'s {{ mine }} for ${1}","password":"hunter2","n":3}' \
  --compressed -sSk"#;
    let text = starter(&desk, &["--curl", chrome]);
    holds(
        &text,
        &[
            r#"url: "${API:-https://shop.example.org}""#,
            r#""POST /api/cart?size=3&q=a%20b""#,
            r#""authorization": "Bearer ${AUTHORIZATION:-replace-me}""#,
            r#""cookie": "${COOKIE:-replace-me}""#,
            r#"it's {{ '{{' }} mine }} for $${1}"#,
            r#""password": "${PASSWORD:-replace-me}""#,
            "insecure: true",
        ],
    );
    hides(&text, &["s3cret", "c00kie", "hunter2"]);
    let cases: &[(&str, &[&str])] = &[
        ("curl -X PUT -u me:pw http://h:8080/x -d 'a=1&b=two words'", &["PUT /x", "base64("]),
        (
            "curl http://h/x -d a=1 -d token=t0psecret",
            &["POST /x", r#"form: { "a": "1", "token": "${TOKEN:-replace-me}" }"#],
        ),
        ("curl -G http://h/x --data-urlencode 'q=a b&c'", &["GET /x", r#"query: { "q": "a b&c" }"#]),
        (
            "curl -F 'file=@a.txt' -F name=x http://h/up",
            &[
                "POST /up",
                r#"- { name: "file", base64: "aGVsbG8=", filename: "a.txt" }"#,
                r#"- { name: "name", text: "x" }"#,
            ],
        ),
        (
            "curl -F 'a=b;c;type=text/x' --form-string 'd=@e;type=f' http://h/up",
            &[r#"- { name: "a", text: "b;c", type: "text/x" }"#, r#"- { name: "d", text: "@e;type=f" }"#],
        ),
        ("curl -I h.example", &["HEAD /", "http://h.example"]),
        ("curl \"http://h/a b{c}\\\"d\" -HX-A:1 -XDELETE", &["DELETE /a%20b%7Bc%7D%22d", r#""x-a": "1""#]),
        (
            "curl http://user:pa55@h/?api_key=k3y --json '[1, {\"a\": null}]'",
            &["POST /", "API_KEY", r#"json: [1, { "a": null }]"#],
        ),
    ];
    for (command, parts) in cases {
        let text = starter(&desk, &["--curl", command]);
        holds(&text, parts);
        hides(&text, &["t0psecret", "pa55", "k3y", "me:pw"]);
    }
    for (command, why) in [
        ("", "no command"),
        ("curl", "no address"),
        ("curl 'http://h", "never closed"),
        ("curl http://h http://i", "second address"),
        ("curl http://h --weird", "--weird"),
        ("curl http://h -X", "needs a value"),
        ("curl ftp://h/x", "no address for HTTP"),
        ("curl http://h ; rm x", "one curl command"),
        ("curl http://h -X BREW", "BREW"),
    ] {
        let ended = desk.run(&["init", "--curl", command]);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{command}: {ended}");
        assert!(ended.err.contains(why), "{command}: {ended}");
    }
}

const HAR: &str = r#"{"log": {"version": "1.2", "entries": [
  {"startedDateTime": "2026-01-01T10:00:00.000Z", "time": 100, "request": {"method": "GET", "url": "https://app.example.org/", "headers": []}, "response": {"status": 200}},
  {"startedDateTime": "2026-01-01T10:00:00.200Z", "time": 10, "request": {"method": "GET", "url": "https://app.example.org/main.js?v=3", "headers": []}, "response": {"status": 200}},
  {"startedDateTime": "2026-01-01T10:00:00.300Z", "time": 10, "request": {"method": "POST", "url": "https://stats.example.com/collect", "headers": []}, "response": {"status": 204}},
  {"startedDateTime": "2026-01-01T10:00:05.100Z", "time": 50, "request": {"method": "POST", "url": "https://app.example.org/api/login",
    "headers": [{"name": "Cookie", "value": "sid=c00kie"}, {"name": "X-Requested-With", "value": "x"}, {"name": "Content-Type", "value": "application/json"}, {"name": ":authority", "value": "x"}],
    "postData": {"mimeType": "application/json", "text": "{\"user\":\"me\",\"password\":\"hunter2\"}"}}, "response": {"status": 201}},
  {"startedDateTime": "2026-01-01T10:00:05.200Z", "time": 50, "request": {"method": "GET", "url": "https://app.example.org/api/items?session_token=t0psecret&page=2",
    "headers": [{"name": "Authorization", "value": "Bearer s3cret"}, {"name": "X-App", "value": "7"}]}, "response": {"status": 304}},
  {"startedDateTime": "2026-01-01T10:00:06.000Z", "time": 50, "request": {"method": "OPTIONS", "url": "https://app.example.org/api/items", "headers": []}, "response": {"status": 204}}
]}}"#;

#[test]
fn from_a_recording() {
    let desk = Desk::new();
    desk.write("r.har", HAR);
    let text = starter(&desk, &["--har", "r.har"]);
    holds(
        &text,
        &[
            "https://app.example.org",
            "3 requests to",
            "1 static files, 1 requests to other hosts",
            r#"- "GET /""#,
            "- think: 5s\n      - \"POST /api/login\"",
            r#"json: { "user": "me", "password": "${PASSWORD:-replace-me}" }"#,
            "expect: { status: 201 }",
            r#"query: { "session_token": "${SESSION_TOKEN:-replace-me}", "page": "2" }"#,
            r#""authorization": "Bearer ${AUTHORIZATION:-replace-me}", "x-app": "7""#,
        ],
    );
    hides(&text, &["c00kie", "hunter2", "s3cret", "t0psecret", "main.js", "stats.example", "304", "OPTIONS"]);
    for (bad, why) in [("{", "no JSON"), ("[]", "no HAR"), (r#"{"log":{"entries":[{"x":1}]}}"#, "no request")] {
        desk.write("r.har", bad);
        let ended = desk.run(&["init", "--har", "r.har"]);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended}");
        assert!(ended.err.contains(why) && ended.err.contains("r.har"), "{ended}");
    }
}

const OPENAPI: &str = r##"openapi: 3.0.3
info: { title: "Pets & more: \"all\" of {{ them }}", version: "1" }
servers:
  - url: https://{region}.example.org/v1/
    variables: { region: { default: eu } }
paths:
  /auth/login:
    post:
      summary: Log in
      requestBody:
        content:
          application/json:
            schema:
              type: object
              properties: { username: { type: string }, password: { type: string, format: password } }
      responses: { "200": { description: ok } }
  /pets:
    get:
      tags: [Pet store]
      operationId: listPets
      parameters:
        - { name: limit, in: query, required: true, schema: { type: integer, minimum: 5 } }
        - { name: cursor, in: query, schema: { type: string } }
        - { name: X-Trace, in: header, required: true, example: "a\nb", schema: { type: string } }
      responses: { default: { description: x }, "200": { description: ok } }
    post:
      requestBody: { $ref: "#/components/requestBodies/Pet" }
      responses: { "201": { description: made } }
  /pets/{petId}/photos/{photo-no}.png:
    parameters:
      - { name: petId, in: path, required: true, schema: { type: string, example: "rex ${x} {{ y }}" } }
      - { name: photo-no, in: path, required: true, schema: { type: integer } }
    delete: { deprecated: true, responses: { "204": { description: gone } } }
    get: { responses: { "200": { description: ok } } }
  /in/{user}:
    put:
      requestBody: { content: { application/x-www-form-urlencoded: { schema: { type: object, properties: { a: { type: boolean }, api_key: { type: string, example: k3y } } } } } }
      responses: { 2XX: { description: any } }
components:
  requestBodies:
    Pet:
      content:
        application/json:
          schema: { $ref: "#/components/schemas/Pet" }
  schemas:
    Pet:
      allOf:
        - { type: object, properties: { name: { type: string, example: "{{ rex }}" }, id: { type: integer, readOnly: true } } }
        - { type: object, properties: { kind: { type: string, enum: [dog, cat] }, friend: { $ref: "#/components/schemas/Pet" }, born: { type: string, format: date } } }
  securitySchemes:
    jwt: { type: http, scheme: bearer }
    key: { type: apiKey, in: header, name: X-API-Key }
"##;

#[test]
fn from_an_openapi_description() {
    let desk = Desk::new();
    desk.write("api.yaml", OPENAPI);
    let text = starter(&desk, &["--openapi", "api.yaml"]);
    holds(
        &text,
        &[
            "https://eu.example.org",
            r#"- "POST /v1/auth/login":"#,
            r#"json: { "username": "{{ account.username }}", "password": "{{ account.password }}" }"#,
            "token: { json: $.token, credential: true }",
            r#""authorization": "Bearer {{ token }}""#,
            r#""x-api-key": "${KEY:-replace-me}""#,
            r#"- "GET /v1/pets":"#,
            "# listPets",
            "tags: [pet-store]",
            r#"query: { "limit": "5" }"#,
            r#""x-trace": "a b""#,
            r#"{{ petId }}/photos/{{ photo_no }}.png"#,
            "set: { photo_no: 1 }",
            "(deprecated)",
            r#""kind": "dog""#,
            r#""born": "2026-01-31""#,
            r#"form: { "a": "true", "api_key": "${API_KEY:-replace-me}" }"#,
            "/v1/in/{{ user_ }}",
        ],
    );
    hides(&text, &["k3y", "\"id\""]);
    let last = text.rfind("DELETE").unwrap();
    assert!(text[last..].find("\"GET").is_none(), "what deletes comes last:\n{text}");
    desk.write("api.json", r#"{"openapi":"3.1.0","info":{"title":"J"},"servers":[{"url":"/base"}],"paths":{"/a":{"get":{"responses":{"200":{}}}}}}"#);
    let text = starter(&desk, &["--openapi", "api.json"]);
    holds(&text, &["GET /base/a", "names no whole address"]);
    for (bad, why) in [
        ("swagger: '2.0'\npaths: {}\n", "Swagger 2"),
        ("a: 1\n", "no OpenAPI 3"),
        ("openapi: 3.0.0\npaths: {}\n", "no operation"),
        ("", "cannot be read"),
        ("{ [", "cannot be read"),
    ] {
        desk.write("bad.yaml", bad);
        let ended = desk.run(&["init", "--openapi", "bad.yaml"]);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended}");
        assert!(ended.err.contains(why) && ended.err.contains("bad.yaml"), "{why}: {ended}");
    }
    assert_eq!(desk.run(&["init", "--openapi", "none.yaml"]).code, 2);
    assert_eq!(desk.run(&["init", "--openapi", "api.yaml", "--har", "x"]).code, 2);
}
