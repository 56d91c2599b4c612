//! One mistake at a time: each is found at its line and column, has its code, and says how to mend it.

use crate::file::{self, FILE};

/// What is replaced in the good file, by what, and the one diagnostic that must come of it.
struct Case {
    from: &'static str,
    to: &'static str,
    place: &'static str,
    help: &'static str,
}

const fn case(from: &'static str, to: &'static str, place: &'static str, help: &'static str) -> Case {
    Case { from, to, place, help }
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("watertight: 1\n", "", "1:1 missing-key", "watertight: 1"),
    case("watertight: 1", "watertight: 2", "1:13 bad-value", "the version of the language is 1"),
    case("name: Model", "nmae: Model", "2:1 unknown-key", "name"),
    case("expect: { status: 201 }", "expct: { status: 201 }", "30:11 unknown-key", "did you mean `expect`"),
    case("timeout: 10s", "timeout: 10", "6:14 bad-value", "10s"),
    case("timeout: 10s", "timeout: [10s]", "6:14 wrong-type", "`timeout` is one value, such as `2s`"),
    case("timeout: 10s", "timeout: 0s", "6:14 bad-value", "`timeout` is at least 1ms"),
    case("timeout: 10s", "timeuot: 10s", "6:5 unknown-key", "did you mean `timeout`"),
    case("http://127.0.0.1:8001", "127.0.0.1:8001", "5:10 bad-url", "http://127.0.0.1:8001"),
    case("http://127.0.0.1:8001", "http://127.0.0.1:99999", "5:10 bad-url", "write for example `http://127.0.0.1:8001`"),
    case("http://127.0.0.1:8001", "http://me:secret@host", "5:10 bad-url", "write for example `http://127.0.0.1:8001`"),
    case("count: 50", "count: \"50\"", "11:14 wrong-type", "remove the quotes"),
    case("count: 50", "count: 0", "11:14 bad-value", "`count` is between 1 and 1000000"),
    case("\"p-{{ index }}\"", "\"p-{{ idx }}\"", "12:27 unknown-variable", "index"),
    case("owner.clinic", "owner.clinik", "14:16 unknown-variable", "did you mean `clinic`"),
    case("owner.clinic == account.clinic", "owner.clinic", "14:16 wrong-type", "a condition is true or false"),
    case("owner.clinic == account.clinic", "\"{{ owner.clinic == account.clinic }}\"", "14:16 bare-expression", "write `owner.clinic == account.clinic`"),
    case("      patient: owner", "      patent: owner", "14:7 unknown-name", "did you mean `patient`"),
    case("- think: 1s..4s", "- thnik: 1s..4s", "34:11 unknown-step", "did you mean `think`"),
    case("- think: 1s..4s", "- think: 4s..1s", "34:18 bad-value", "`4s..1s` runs backwards: the smaller bound comes first"),
    case("- think: 1s..4s", "- think: soon", "34:18 bad-value", "`soon` does not start with a number"),
    case("- think: 1s..4s", "- think", "34:11 bad-step", "think: "),
    case("- think: 1s..4s", "- pace: 10s", "34:11 bad-step", "move it to the top"),
    case("- POST /sessions:", "- pace: soon\n      - POST /sessions:", "28:15 bad-value", "`soon` does not start with a number"),
    case("- POST /sessions:", "- pace: 1s\n      - pace: 1s\n      - POST /sessions:", "29:9 bad-step", "stands there once"),
    case("- think: 1s..4s", "- poll: GET /x\n          evry: 2s", "35:11 unknown-key", "did you mean `every`"),
    case("- think: 1s..4s", "- poll: GET /x\n          until: lst.status == 200", "35:18 unknown-variable", "did you mean `last`"),
    case("- think: 1s..4s", "- poll: GET /x\n          within: 0s", "35:19 bad-value", "`within` is at least 1ms"),
    case("- think: 1s..4s", "- poll: { GET /x: {} }", "34:11 wrong-type", "its options stand beside it"),
    case("- think: 1s..4s", "- poll: /x", "34:17 bad-step", "GET"),
    case("- think: 1s..4s", "- for_each: 3\n          steps: [ GET /a ]", "34:21 wrong-type", "goes through a list"),
    case("- think: 1s..4s", "- for_each: \"{{ mood }}\"\n          steps: [ GET /a ]", "34:21 bare-expression", "write `mood`"),
    case("- think: 1s..4s", "- for_each: mood", "34:11 missing-key", "steps"),
    case("- think: 1s..4s", "- for_each: [\"{{ mood }}\"]\n          steps: [ GET /a ]", "34:22 bad-value", "as one expression"),
    case("- think: 1s..4s", "- for_each: moods\n          steps: [ GET /a ]", "34:21 unknown-variable", "did you mean `mood`"),
    case("- think: 1s..4s", "- for_each: mood\n          as: user\n          steps: [ GET /a ]", "35:15 reserved-name", "choose another name"),
    case("- think: 1s..4s", "- for_each: mood\n          steps: [ { for_each: [1], steps: [ GET /a ] } ]", "35:22 two-meanings", "as: NAME"),
    case("- think: 1s..4s", "- log: \"{{ mod }}\"", "34:20 unknown-variable", "did you mean `mood`"),
    case("- think: 1s..4s", "- parallel: [ GET /a, { think: 1s } ]", "34:31 bad-step", "a branch of `parallel` is a request"),
    case("- think: 1s..4s", "- parallel: [ GET /a, { poll: GET /b } ]", "34:31 bad-step", "a branch of `parallel` is a request"),
    case("- think: 1s..4s", "- parallel: [ { POST /out: { revokes: token } } ]", "34:47 bad-step", "stands alone"),
    case("- think: 1s..4s", "- parallel: []", "34:11 bad-value", "`parallel` has 1 to 64 branches, here are 0"),
    case("- think: 1s..4s", "- parallel: GET /a", "34:11 wrong-type", "[ GET /a, GET /b ]"),
    case("- think: 1s..4s", "- parallel: [ GET /a, GET b ]", "34:31 bad-step", "GET /b"),
    case("- think: 1s..4s", "- stop: users", "34:17 bad-value", "did you mean `user`"),
    case("- think: 1s..4s", "- stop", "34:11 bad-step", "stop: "),
    case("- think: 1s..4s", "- group: a\n          on_failure: go_on\n          steps: [ GET /a ]", "35:23 bad-value", "continue"),
    case("- think: 1s..4s", "- websocket ws:\n            steps: []", "34:11 bad-step", "write for example `websocket /"),
    case("- think: 1s..4s", "- websocket /ws:\n            hartbeat: 3s\n            steps: []", "35:13 unknown-key", "did you mean `heartbeat`?"),
    case("- think: 1s..4s", "- websocket /ws: { heartbeat: 3s }", "34:11 missing-key", "steps"),
    case("- think: 1s..4s", "- websocket /ws", "34:11 bad-step", "write `websocket /path:` and under it `steps:`"),
    case("- think: 1s..4s", "- send: hello", "34:11 bad-step", "it stands in the `steps` of a `websocket /path`"),
    case("- think: 1s..4s", "- websocket /ws: { steps: [ websocket /b: { steps: [] } ] }", "34:37 bad-step", "a `websocket` cannot stand inside another"),
    case("- think: 1s..4s", "- websocket /ws: { steps: [ { close: 1005 } ] }", "34:46 bad-value", "1000 is the usual end"),
    case("- think: 1s..4s", "- websocket /ws: { steps: [ { send: { base64: '###' } } ] }", "34:55 bad-value", "this is no base64"),
    case("- think: 1s..4s", "- websocket /ws: { steps: [ { receive: {}, within: 1 } ] }", "34:60 bad-value", "`1s`"),
    case("- think: 1s..4s", "- websocket /ws: { steps: [ { receive: {}, save: { x: { header: a } } } ] }", "34:60 bad-value", "save from a message by JSONPath"),
    case("- think: 1s..4s", "- join: \"{{ rom }}\"", "34:21 unknown-variable", "no step of this journey saves or sets it"),
    case("- think: 1s..4s", "- leave: [a]", "34:18 wrong-type", "`leave` is text"),
    case("- think: 1s..4s", "- switch_account: back", "34:27 bad-value", "next"),
    case("users: 10, for: 10m", "users: 10, for: 10m, faults: { same_url_burst: 5 }", "44:63 bad-value", "`5` is no share: write for example `5%`"),
    case("users: 10, for: 10m", "users: 10, for: 10m, faults: { same_url_bursts: 5% }", "44:47 unknown-key", "did you mean `same_url_burst`"),
    case("users: 10, for: 10m", "users: 10, for: 10m, faults: { switch_account: next }", "44:63 bad-value", "`next` is no share: write for example `5%`"),
    case("users: 10, for: 10m", "users: 10, for: 10m, faults: { abandon: { at: bodi } }", "44:62 bad-value", "did you mean `body`"),
    case("users: 10, for: 10m", "users: 10, for: 10m, faults: { abandon: { at: [body, head] } }", "44:62 wrong-type", "`at` is text"),
    case("- think: 1s..4s", "- call: log_on", "34:17 unknown-name", "did you mean `log_in`"),
    case("- think: 1s..4s", "- get /a", "34:11 bad-step", "GET"),
    case("- think: 1s..4s", "- GET a", "34:11 bad-step", "GET /a"),
    case("- think: 1s..4s", "- GET /a b", "34:11 bad-step", "%20"),
    case("- think: 1s..4s", "- GET /a:\n          expect: { status: 200 }", "35:11 bad-step", "indent this key by four more spaces than the `-` of its request"),
    case("- think: 1s..4s", "- while: mood < 3", "34:11 missing-key", "steps"),
    case("- think: 1s..4s", "- set: { account: 1 }", "34:18 reserved-name", "choose another name"),
    case("- think: 1s..4s", "- choose: [ { weight: 0, steps: [ GET /a ] } ]", "34:11 bad-value", "`choose` needs a branch with a weight above 0"),
    case("repeat: 5", "repeat: five", "32:17 wrong-type", "`repeat` is a whole number"),
    case("if: mood < 3", "if: mod < 3", "38:13 unknown-variable", "did you mean `mood`"),
    case("if: mood < 3", "if: mood <", "38:19 expression-syntax", "complete the expression"),
    case("if: mood < 3", "if: \"{{ mood < 3 }}\"", "38:13 bare-expression", "write `mood < 3`"),
    case("{{ session }}/turns", "{{ sesion }}/turns", "35:29 unknown-variable", "did you mean `session`"),
    case("{{ session }}/turns", "{{ session /turns", "35:26 unclosed-template", "put `}}` after the expression, or write `{{ '{{' }}` for the braces themselves"),
    case("{{ account.id }}/crisis", "{{ account.ident }}/crisis", "39:36 unknown-variable", "id"),
    case("save: { mood: $.mood }", "save: { mood: mood }", "37:27 bad-path", "$.mood"),
    case("save: { mood: $.mood }", "save: { mood: \"$.mood[\" }", "37:27 bad-path", "write for example `$.items[0].id`"),
    case("save: { mood: $.mood }", "save: { mood: { regex: \"(\" } }", "37:36 bad-pattern", "this pattern cannot be read: unclosed group"),
    case("save: { mood: $.mood }", "save: { mood: { json: $.a, header: b } }", "37:40 two-places", "a value is saved from one place, and this one has `json` already"),
    case("expect: { status: 201 }", "expect: { status: \"201\" }", "30:29 quoted-status", "status: 201"),
    case("expect: { status: 201 }", "expect: { status: 2000 }", "30:29 bad-value", "a status is between 100 and 599"),
    case("expect: { status: 201 }", "expect: { status: ok }", "30:29 bad-value", "2xx"),
    case("expect: { status: 201 }", "expect: { marker: mine }", "30:29 bad-value", "own"),
    case("expect: { status: 201 }", "echo: X-Request-Id", "30:17 wrong-type", "`echo` is a map of keys and values"),
    case("expect: { status: 201 }", "echo: { send: X-Request-Id }", "30:11 missing-key", "read: X-Request-Id"),
    case("expect: { status: 201 }", "echo: { send: Host, read: X-Id }", "30:25 bad-value", "`host` is not free to carry an id"),
    case("expect: { status: 201 }", "echo: { send: Authorization, read: X-Id }", "30:25 two-meanings", "remove it from `headers`"),
    case("expect: { status: 201 }", "echo: { send: X-Id, read: \"$.id[\" }", "30:37 bad-path", "write for example `$.items[0].id`"),
    case("expect: { status: 201 }", "revokes: tokn", "30:20 unknown-name", "did you mean `token`"),
    case("expect: { status: 201 }", "expect: { first_event: < 2s }", "28:9 missing-key", "add `events: { text: $.text"),
    case("expect: { status: 201 }", "events: { untill: x }", "30:21 unknown-key", "did you mean `until`?"),
    case("expect: { status: 201 }", "events: { until: '{{ account.id }}' }", "30:28 template-not-here", ""),
    case("expect: { status: 201 }", "events: { until: { $.a: '{{ account.id }}' } }", "30:30 template-not-here", "`until` is the same for every request"),
    case("expect: { status: 201 }", "expect: { body: hello }", "30:27 wrong-type", "contains"),
    case("expect: { status: 201 }", "retry: { times: 2 }", "30:11 missing-key", "on: [429, 503]"),
    case("expect: { status: 201 }", "retry: { on: [] }", "30:20 bad-value", "never tries again"),
    case("expect: { status: 201 }", "retry: { on: [503, timout] }", "30:30 bad-value", "200"),
    case("expect: { status: 201 }", "retry: { on: 503, times: 0 }", "30:36 bad-value", "`times` is between 1 and 100"),
    case("expect: { status: 201 }", "retry: { on: 503, wait: 1 }", "30:35 bad-value", "1s"),
    case("expect: { status: 201 }", "body: two", "30:11 two-bodies", "remove one"),
    case("authorization:", "\"author ization\":", "26:16 bad-name", "use letters, digits and `-`"),
    case("as: patient", "as: patiant", "23:9 unknown-name", "did you mean `patient`"),
    case("target: patient\n    before", "target: patients\n    before", "24:13 unknown-name", "did you mean `patient`"),
    case("    target: patient\n    before", "    before", "17:7 no-target", "target: NAME"),
    case("before: [ { call: log_in } ]", "before: { steps: [ { call: log_in } ], again: 5 }", "25:51 bad-value", "5s"),
    case("before: [ { call: log_in } ]", "before: { steps: [ { call: log_in } ], on_status: 4000 }", "25:55 bad-value", "a status is between 100 and 599"),
    case("- probe: GET /patients/{{ stranger.id }}/progress", "- GET /patients/{{ stranger.id }}/progress", "41:26 unknown-variable", "probe"),
    case("mix: { patient: 1 }", "mix: { patients: 1 }", "42:8 unknown-name", "patient"),
    case("mix: { patient: 1 }", "mix: { patient: 0 }", "42:1 bad-value", "give at least one journey a share above 0"),
    case("users: 10, for: 10m", "users: 51, for: 10m", "44:3 too-few-accounts", "reuse: wrap"),
    case("users: 10, for: 10m", "users: 10", "44:3 missing-key", "for"),
    case("users: 10, for: 10m", "for: 10m", "44:3 missing-key", "users"),
    case("users: 10, for: 10m", "users: 10, arrivals: 5/s, for: 10m", "44:27 two-loads", "keep one of them"),
    case("users: 10, for: 10m", "users: 10, for: 10m, ramp: 11m", "44:43 bad-value", "`for` is 10m"),
    case("users: 10, for: 10m", "users: 10, for: 10m, max_users: 5", "44:37 bad-value", "`max_users` goes with `arrivals` only"),
    case("users: 10, for: 10m", "arrivals: 5, for: 10m, max_users: 5", "44:26 bad-value", "5/s"),
    case("users: 10, for: 10m", "preset: ladder, users: 10, each: 1h", "44:39 wrong-type", "users: [10, 25, 50, 100]"),
    case("users: 10, for: 10m", "preset: ladder, arrivals: 5/s, each: 1h", "44:42 wrong-type", "arrivals: [5/s, 10/s, 20/s]"),
    case("users: 10, for: 10m", "preset: ladder, users: [10], each: 1h", "44:39 bad-value", "a ladder has 2 to 100 rungs, here are 1"),
    case("users: 10, for: 10m", "preset: ladder, users: [10, 0], each: 1h", "44:44 bad-value", "`users` is between 1 and 1000000"),
    case("users: 10, for: 10m", "preset: ladder, users: [1, 2], for: 1h", "44:47 bad-value", "a ladder has no `for`, but `each`, the length of a rung"),
    case("users: 10, for: 10m", "preset: ladder, users: [1, 2], arrivals: [1/s, 2/s]", "44:47 two-loads", "keep one of them"),
    case("users: 10, for: 10m", "preset: ladder, users: [1, 2], each: 1m, ramp: 2m", "44:63 bad-value", "`each` is 1m"),
    case("users: 10, for: 10m", "preset: ladder, users: [1, 2], max_users: 5", "44:47 bad-value", "`max_users` goes with `arrivals` only"),
    case("users: 10, for: 10m", "users: [10, 25], for: 10m", "44:23 wrong-type", "a list of `users` goes with `preset: ladder` only"),
    case("users: 10, for: 10m", "preset: canary, users: 10", "44:3 missing-key", "new: NAME_OF_A_TARGET"),
    case("users: 10, for: 10m", "preset: canary, users: 40, new: patent", "44:48 unknown-name", "did you mean `patient`"),
    case("users: 10, for: 10m", "preset: canary, users: 40, new: patient", "44:48 bad-value", "old: NAME"),
    case("users: 10, for: 10m", "preset: canary, users: 40, new: patient, old: patient", "44:48 bad-value", "`old` the one with the version before it"),
    case("users: 10, for: 10m", "preset: canary, users: 40, new: patient, steps: [50%, 25%]", "44:70 bad-value", "who is on the new version stays there"),
    case("users: 10, for: 10m", "preset: canary, users: 40, new: patient, steps: [50%, 0%]", "44:70 bad-value", "a step is above 0% and at most 100% of the users"),
    case("users: 10, for: 10m", "preset: canary, users: 40, new: patient, steps: [1%, 2%]", "44:69 bad-value", "raise `users`, or take larger steps"),
    case("users: 10, for: 10m", "preset: canary, users: 40, new: patient, steps: 25%", "44:64 wrong-type", "`steps` of a canary is a list of shares"),
    case("users: 10, for: 10m", "preset: canary, users: 40, new: patient, steps: [0.5]", "44:65 bad-value", "`0.5` is no share"),
    case("users: 10, for: 10m", "preset: canary, new: patient, arrivals: 5/s", "44:46 bad-value", "a user stays with its version"),
    case("users: 10, for: 10m", "preset: canary, new: patient, for: 5m", "44:46 bad-value", "a canary has no `for`, but `each`, the length of a step"),
    case("users: 10, for: 10m", "users: 10, for: 10m, new: patient", "44:37 bad-value", "`new` goes with `preset: canary` only"),
    case("errors: < 1%", "rate_limit: < 10/s", "47:19 bad-limit", "`rate_limit: 10/s`"),
    case("errors: < 1%", "rate_limit: 10", "47:19 bad-limit", "`rate_limit: 10/s`"),
    case("errors: < 1%", "rate_limit: 20000/s", "47:19 bad-limit", "`rate_limit: 10/s`"),
    case("errors: < 1%", "rate_limit: 10/s, warn: 9/s", "47:25 bad-value", "must: false"),
    case("errors: < 1%", "rate_limit: 10/s, each: 10s", "47:25 bad-value", "take `each` out"),
    case("errors: < 1%", "rate_limit: 10/s, mode: confident", "47:25 bad-value", "take `mode` out"),
    case("errors: < 1%", "errors: < 1%, mode: sure", "47:27 bad-value", "confident"),
    case("errors: < 1%", "max: < 1s, mode: confident", "47:18 bad-value", "take `mode` out"),
    case("errors: < 1%", "errors: < 1%, each: 10s, mode: confident", "47:32 bad-value", "take `mode` out"),
    case("users: 10, for: 10m", "users: 10, for: 10m, each: 1m", "44:37 bad-value", "`each` goes with `preset: ladder` only"),
    case("users: 10, for: 10m", "preset: capacity, hold: 30s", "44:3 missing-key", "arrivals: 1/s..100/s"),
    case("users: 10, for: 10m", "preset: capacity, arrivals: 5/s, max_users: 9", "44:44 bad-value", "write for example `1/s..5/s`"),
    case("users: 10, for: 10m", "preset: capacity, arrivals: 5/s..5/s, max_users: 9", "44:44 bad-value", "arrivals: 1/s..40/s"),
    case("users: 10, for: 10m", "preset: capacity, arrivals: 0/s..5/s, max_users: 9", "44:44 bad-value", "from above 0 up to more"),
    case("users: 10, for: 10m", "preset: capacity, arrivals: 1/s..5/s, hold: 1s, max_users: 9", "44:60 bad-value", "`hold` is at least 5s"),
    case("users: 10, for: 10m", "preset: capacity, arrivals: 1/s..5/s, for: 1m, max_users: 9", "44:54 bad-value", "`hold`, the length of a trial"),
    case("users: 10, for: 10m", "preset: capacity, arrivals: 1/s..5/s, hold: 30s", "44:3 too-few-accounts", "1000"),
    case("users: 10, for: 10m", "arrivals: 1/s..5/s, for: 10m, max_users: 9", "44:26 bad-value", "add `preset: capacity`"),
    case("users: 10, for: 10m", "users: 10, for: 10m, hold: 1m", "44:37 bad-value", "`hold` goes with `preset: capacity` only"),
    case("{ errors: < 1% }", "{ capacity: \">= 5/s\" }", "47:5 bad-value", "no profile looks for the capacity"),
    case("{ errors: < 1% }", "{ capacity: \">= 5\" }", "47:17 bad-limit", ">= 100/s"),
    case("users: 10, for: 10m", "preset: ladder, users: [10, 60], each: 1m", "44:3 too-few-accounts", "60"),
    case("users: 10, for: 10m", "preset: sustaind", "44:24 bad-value", "did you mean `sustained`"),
    case("users: 10, for: 10m", "users: 10, for: 10m, faults: { abandon: 5 }", "44:56 bad-value", "`5` is no share: write for example `5%`"),
    case("users: 10, for: 10m", "users: 10, for: 10m, faults: { abandon: 105% }", "44:56 bad-value", "`105%` is not between `0%` and `100%`"),
    case("users: 10, for: 10m", "users: 10, for: 10m, faults: { abandn: 5% }", "44:47 unknown-key", "did you mean `abandon`"),
    case("users: 10, for: 10m", "users: 10, for: 10m, faults: 5%", "44:45 wrong-type", "`faults` is a map of keys and values"),
    case("users: 10, for: 10m", "users: 10, for: 10m, faults: { reconnect: [2%] }", "44:58 wrong-type", "`reconnect` is one value, such as `5%`"),
    case("users: 10, for: 10m", "users: 10, for: 10m, faults: { equal_ids: 5% }", "44:58 wrong-type", "`equal_ids` is `true` or `false`"),
    case("users: 10, for: 10m", "users: 10, for: 10m, faults: { abandon: { chance: 5%, how: rest } }", "44:75 bad-value", "did you mean `reset`"),
    case("expect: { status: 201 }", "abandon: { chance: 5%, after: 20ms..2ms }", "30:41 bad-value", "`20ms..2ms` runs backwards: the smaller bound comes first"),
    case("expect: { status: 201 }", "abandon: { chanse: 5% }", "30:22 unknown-key", "did you mean `chance`"),
    case("p95: < 200ms", "p95: 200ms", "46:39 bad-limit", "< 200ms"),
    case("p95: < 200ms", "p95: < 200", "46:39 bad-limit", "200ms"),
    case("p95: < 200ms", "p105: < 200ms", "46:34 bad-value", "`p105` is no percentile that can be judged: p50 to p99.99"),
    case("p95: < 200ms", "p95 : < 200ms, p99: < 1s", "46:49 two-statistics", "entry of its own"),
    case("p95: < 200ms", "p95: < 200ms, warn: { p95: < 300ms }", "46:54 bad-value", "a warning that comes after the miss warns nobody"),
    case("p95: < 200ms", "first_event_p95: < 2s", "46:5 selects-nothing", "only a request with `events` has times of events"),
    case("p95: < 200ms", "event_gap_p105: < 2s", "46:34 bad-value", "`p105` is no percentile that can be judged: p50 to p99.99"),
    case("p95: < 200ms", "message_p95: < 2s", "46:5 selects-nothing", "only a `websocket` step has round trips of messages"),
    case("p95: < 200ms", "message_max: < 2s", "46:34 unknown-key", "`message_max`"),
    case("errors: < 1%", "watch: \"a.b\", growth: < 5% per 24h", "47:14 bad-value", "patient.process_resident_memory_bytes"),
    case("errors: < 1%", "growth: < 5% per 24h", "47:7 bad-value", "say which one: `watch: \"target.series_name\"`"),
    case("errors: < 1%", "watch: \"patient.x\", growth: < 5%", "47:35 bad-limit", "growth: < 5% per 24h"),
    case("errors: < 1%", "watch: \"patient.x\", returns: 10%", "47:36 bad-limit", "returns: within 10%"),
    case("errors: < 1%", "watch: \"patient.x\", max: < much", "47:32 bad-limit", "max: < 7GB"),
    case("errors: < 1%", "watch: \"patient.x\", mean: < 7, for: 5m", "47:38 bad-value", "only what lasts so long is a miss"),
    case("errors: < 1%", "watch: \"patient.x\", mxa: < 7", "47:27 unknown-key", "did you mean `max`"),
    case("timeout: 10s", "watch: metrics", "6:12 bad-value", "a plain path that starts with `/`, or a whole URL"),
    case("timeout: 10s", "watch: { path: /m, every: 10ms }", "6:31 bad-value", "at least 1s"),
    case("errors: < 1%", "errors: < 1%, each: 1500ms", "47:27 bad-value", "the window `1500ms` is not a whole number of seconds from 1s to 24h"),
    case("errors: < 1%", "errors: < 1%, each: 10", "47:27 bad-value", "write for example `each: 10s`"),
    case("errors: < 1%", "errors: < 1%, share: 99%", "47:21 bad-value", "say how long a window is: `each: 10s, share: 99%`"),
    case("errors: < 1%", "errors: < 1%, each: 10s, share: 0%", "47:39 bad-value", "in no window at all is nothing to hold: `share` is above 0%"),
    case("errors: < 1%", "uptime: \">= 99%\", each: 10s", "47:25 bad-value", "take `each` out"),
    case("errors: < 1%", "containment: {}", "47:7 no-statistic", "containment: { errors: < 1pp, mean: < 20% }"),
    case("errors: < 1%", "containment: { errors: < 1% }", "47:30 bad-limit", "write for example `errors: < 1pp`"),
    case("errors: < 1%", "containment: { mean: < 0% }", "47:28 bad-limit", "write for example `mean: < 20%`"),
    case("errors: < 1%", "containment: { mean: \"> 5%\" }", "47:28 bad-limit", "write for example `mean: < 20%`"),
    case("errors: < 1%", "containment: { p95: < 5% }", "47:22 unknown-key", "mean"),
    case("errors: < 1%", "containment: { mean: < 5% }", "47:5 bad-value", "faults: { abandon: 20%, cohort: 20% }"),
    case("errors: < 1%", "longest_outage: \">= 9s\"", "47:23 odd-direction", "did you mean `< 9s`"),
    case("errors: < 1%", "of: { step: POST /sessions }, dropped: < 1%", "47:5 bad-value", "use `of: { journey: … }`"),
    case("errors: < 1%", "service_p105: < 1s", "47:7 bad-value", "`p105` is no percentile that can be judged: p50 to p99.99"),
    case("errors: < 1%", "conect_p95: < 1s", "47:7 unknown-key", "did you mean `connect_p95`"),
    case("p95: < 200ms", "eror: < 2%", "46:34 unknown-key", "errors"),
    case("target: [patient]", "target: [ai]", "46:22 unknown-name", "patient"),
    case("target: [patient]", "step: GET /nothing", "46:19 unknown-name", "there are `GET /patients/{{ account.id }}/progress`, `GET /patients/{{ stranger.id }}/progress`, `POST /auth/login`, `POST /patients/{{ account.id }}/crisis`, `POST /sessions`, `POST /sessions/{{ session }}/turns`"),
    case("errors: < 1%", "errors: < 1", "47:15 bad-limit", "write for example `errors: < 1%`"),
    case("errors: < 1%", "errors: < 150%", "47:15 bad-limit", "write for example `errors: < 1%`"),
    case("errors: < 1%", "errors: \"> 1%\"", "47:15 odd-direction", "<"),
    case("errors: < 1% }", "errors: < 1%, in: [sustaned] }", "47:26 unknown-name", "sustained"),
    case("sla:", "import: [ gone.yaml ]\nsla:", "45:11 no-file", "the folder of the file that imports"),
    case("sla:", "import: { a: b }\nsla:", "45:1 wrong-type", "import: [common.yaml]"),
    case("users: 10, for: 10m", "extends: sustaned", "44:25 unknown-name", "there is no profile `sustaned`"),
    case("users: 10, for: 10m", "extends: sustained", "44:25 cycle", "`sustained` → `sustained`"),
    case("users: 10, for: 10m", "users: 10, for: 10m, network: {}", "44:37 missing-key", "delay: 50ms"),
    case("users: 10, for: 10m", "users: 10, for: 10m, network: { delay: 2m }", "44:55 bad-value", "at most 60s"),
    case("users: 10, for: 10m", "users: 10, for: 10m, network: { rate: 1MB }", "44:54 bad-value", "1MB/s"),
    case("users: 10, for: 10m", "users: 10, for: 10m, network: { rate: 10B/s }", "44:54 bad-value", "at least 1kB/s"),
    case("users: 10, for: 10m", "users: 10, for: 10m, network: { dely: 1ms, rate: 1MB/s }", "44:48 unknown-key", "did you mean `delay`"),
    case("users: 10, for: 10m", "users: 10, for: 10m, at: { soon: restart }", "44:43 bad-value", "2m: { mark: restart }"),
    case("users: 10, for: 10m", "users: 10, for: 10m, at: { 2m: { run: ./x.sh } }", "44:43 missing-key", "mark: restart"),
    case("users: 10, for: 10m", "users: 10, for: 10m, at: { 2m: { mark: a, run: ./x.sh > log } }", "44:63 no-shell", "[sh, -c"),
    case("users: 10, for: 10m", "users: 10, for: 10m, at: { 2m: { mark: a, run: [] } }", "44:58 bad-value", "names no program"),
    case("    as: patient", "\tas: patient", "23:1 tab", "spaces"),
    case("name: Model", "name: Model\nname: Other", "3:1 duplicate-key", "remove one, or rename it"),
    case("name: Model", "name: {{ x }}", "2:7 template-quotes", "quotes"),
    case("name: Model", "name: {{ x }} and more", "2:7 template-quotes", "quotes"),
    case("name: Model", "name: @home", "2:7 quotes", "quotes"),
    case("name: Model", "name: `home`", "2:7 quotes", "quotes"),
    case("name: Model", "name: *home", "2:7 quotes", "quotes"),
    case("name: Model", "name: &home Model", "2:7 quotes", "quotes"),
    case("name: Model", "name: !home", "2:7 quotes", "quotes"),
    case("name: Model", "name: %home", "2:7 quotes", "quotes"),
    case("name: Model", "name: >= 5", "2:7 quotes", "quotes"),
    case("name: Model", "name: | x", "2:7 quotes", "quotes"),
    case("name: Model", "name: 'the' model", "2:7 quotes", "quotes"),
    case("name: Model", "name: \"the\" model", "2:7 quotes", "quotes"),
    case("name: Model", "name: the: model", "2:10 quotes", "quotes"),
    case("name: Model", "name: the model #1", "2:17 comment-in-text", "quote"),
    case("name: Model", "name: [", "2:7 yaml", "close it, or put the text in quotes"),
    case("errors: < 1%", "availability: >= 99.9%", "47:21 quotes", "quotes"),
    case("errors: < 1%", "errors: > 1%", "47:15 quotes", "quotes"),
    case("json: { story: forest }", "json: { story: {{ user.id }} }", "29:26 template-quotes", "quotes"),
    case("json: { story: forest }", "json: { story: a {{ user.id }} }", "29:28 template-quotes", "quotes"),
    case("json: { story: forest }", "json: { story: one, two }", "29:31 comma", "quotes"),
    case("save: { session: $.session_id }", "save: { session: $.session_id[*].x }", "31:40 quotes", "quotes"),
    case("before: [ { call: log_in } ]", "before: [ GET /a/{{ account.id }} ]", "25:22 template-quotes", "quotes"),
    case("name: Model", "name: Model\n---\nname: Other", "3:1 several-documents", "remove the `---`, or make it a file of its own"),
    case("${API:-", "${API", "5:10 environment", "write `${NAME}` or `${NAME:-default}`; `$${` stands for a literal `${`"),
    case("${API:-http://127.0.0.1:8001}", "${API}", "5:10 unset-variable", "--env"),
    case("${API:-", "${A-PI:-", "5:10 environment", "write `${NAME}` or `${NAME:-default}`; `$${` stands for a literal `${`"),
    case("- think: 1s..4s", "- GET /a\n           - GET /b", "34:11 bad-step", "same indentation"),
    case("- POST /sessions:", "- POST /sessions", "28:22 yaml", "end this line with a `:`"),
    case("name: Model", "name: \"Model", "2:7 yaml", "close them"),
    case("expect: { status: 201 }", "expect: { status: 201", "30:19 yaml", "close it"),
    // Whole URLs.
    case("- think: 1s..4s", "- \"GET {{ session }}/x\"", "34:11 bad-step", "one template"),
    case("- think: 1s..4s", "- GET https://{{ session }}.org/x", "34:11 template-not-here", "GET {{ 'https://' + host + '/path' }}"),
    case("- think: 1s..4s", "- GET https:///x", "34:11 bad-url", "GET https://host/path"),
    case("- think: 1s..4s", "- GET https://a.org/x: { target: patient }", "34:42 two-places", "remove `target`"),
    // Who asks.
    case("expect: { status: 201 }", "auth: {}", "30:11 missing-key", "bearer"),
    case("expect: { status: 201 }", "auth: { basic: [a] }", "30:19 bad-value", "here are 1"),
    case("expect: { status: 201 }", "auth: { basic: a }", "30:19 wrong-type", "[user, password]"),
    case("expect: { status: 201 }", "auth: { basic: [a, \"{{ account.pasword }}\"] }", "30:34 unknown-variable", "did you mean `password`"),
    case("expect: { status: 201 }", "auth: { bearer: a, basic: [a, b] }", "30:30 two-places", "remove one"),
    case("expect: { status: 201 }", "auth: { berer: a }", "30:19 unknown-key", "did you mean `bearer`"),
    case("expect: { status: 201 }", "auth: { bearer: a }\n          headers: { Authorization: b }", "30:11 two-places", "remove one"),
    case("expect: { status: 201 }", "auth: { oauth2: { token_url: oauth, client_id: a, client_secret: b } }", "30:40 bad-url", "/oauth/token"),
    case("expect: { status: 201 }", "auth: { oauth2: { token_url: /o, client_id: a } }", "30:19 missing-key", "client_secret"),
    case("expect: { status: 201 }", "auth: { oauth2: { token_url: /o, grant: password, username: a } }", "30:19 missing-key", "password"),
    case("expect: { status: 201 }", "auth: { oauth2: { token_url: /o, client_id: a, client_secret: b, username: c } }", "30:76 bad-value", "`username` goes with `grant: password` only"),
    case("expect: { status: 201 }", "auth: { oauth2: { token_url: /o, grant: code } }", "30:51 bad-value", "client_credentials"),
    // Parts and files.
    case("json: { story: forest }", "multipart: { a: { file: gone.png } }", "29:35 no-file", "the file `gone.png` cannot be read"),
    case("json: { story: forest }", "multipart: { a: { file: . } }", "29:35 no-file", "is no file"),
    case("json: { story: forest }", "multipart: { a: { base64: \"&\" } }", "29:37 bad-value", "no base64"),
    case("json: { story: forest }", "multipart: { a: { text: x, type: png } }", "29:44 bad-value", "image/jpeg"),
    case("json: { story: forest }", "multipart: { a: { text: x, base64: eA== } }", "29:38 two-places", "remove one"),
    case("json: { story: forest }", "multipart: { a: {} }", "29:24 missing-key", "file"),
    case("json: { story: forest }", "multipart: [ { text: x } ]", "29:26 missing-key", "name"),
    case("json: { story: forest }", "multipart: x", "29:11 wrong-type", "list of parts"),
    case("json: { story: forest }", "body: { file: gone.bin }", "29:25 no-file", "cannot be read"),
    // Saves.
    case("save: { mood: $.mood }", "save: { mood: { css: \"h1[\" } }", "37:34 bad-pattern", "form input[name=csrf]"),
    case("save: { mood: $.mood }", "save: { mood: { json: $.a, attribute: b } }", "37:40 bad-value", "goes with `css` only"),
    case("save: { mood: $.mood }", "save: { mood: { cookie: a, css: b } }", "37:40 two-places", "already"),
    case("as: patient", "as: patient\n    cookies: per_week", "24:14 bad-value", "per_iteration"),
    // Templates where nothing is worked out.
    case("- think: 1s..4s", "- GET /a?{{ mood }}=1", "34:11 template-not-here", "after the `=`"),
    case("expect: { status: 201 }", "query: { \"{{ token }}\": 1 }", "30:20 template-not-here", "write it out"),
    case("expect: { status: 201 }", "name: \"a {{ token }}\"", "30:17 template-not-here", "write it out"),
    case("expect: { status: 201 }", "tags: [ \"{{ token }}\" ]", "30:19 template-not-here", "write it out"),
    case("{ story: forest }", "{ \"{{ token }}\": forest }", "29:19 template-not-here", "write it out"),
    case("save: { mood: $.mood }", "save: { mood: { json: $.mood, default: \"{{ token }}\" } }", "37:52 template-not-here", "write it out"),
    case("save: { mood: $.mood }", "save: { mood: { header: \"a b\" } }", "37:37 bad-name", "letters"),
    case("- think: 1s..4s", "- group: \"{{ token }}\"\n          steps: [ GET /a ]", "34:18 template-not-here", "write it out"),
];

#[test]
fn line_ends_and_byte_order_marks_change_nothing() {
    for text in [FILE.replace('\n', "\r\n"), format!("\u{feff}{FILE}")] {
        let found = file::diagnostics(&text);
        assert!(found.is_empty(), "{}", file::rendered(&text));
        let spoilt = text.replacen("name: Model", "nmae: Model", 1);
        let found = file::diagnostics(&spoilt);
        assert_eq!((found.len(), found[0].line, found[0].column), (1, 2, 1));
    }
}

#[test]
fn each_mistake_alone_has_its_place_its_code_and_its_help() {
    let mut wrong = String::new();
    for case in CASES {
        let shown = format!("{:?} -> {:?}", case.from, case.to);
        assert!(FILE.contains(case.from), "{shown}");
        let text = FILE.replacen(case.from, case.to, 1);
        let found = file::diagnostics(&text);
        let rendered = file::rendered(&text);
        let [one] = found.as_slice() else {
            wrong.push_str(&format!("{shown}: not one diagnostic\n{rendered}\n"));
            continue;
        };
        let place = format!("{}:{} {}", one.line, one.column, one.code);
        let said = format!("{} {}", one.message, one.help.as_deref().unwrap_or(""));
        let path = format!("model.yaml:{}:{}", one.line, one.column);
        if place != case.place || !said.contains(case.help) || !rendered.contains(&path) {
            wrong.push_str(&format!("{shown}: expected {} and `{}`\n{rendered}\n", case.place, case.help));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn ten_mistakes_in_one_file_are_ten_diagnostics_in_file_order() {
    let mut text = FILE.to_owned();
    for (from, to) in [
        ("timeout: 10s", "timeout: 10"),
        ("count: 50", "count: \"50\""),
        ("as: patient", "as: patiant"),
        ("status: 201", "status: \"201\""),
        ("think: 1s..4s", "think: 4s..1s"),
        ("{{ session }}/turns", "{{ sesion }}/turns"),
        ("if: mood < 3", "if: mod < 3"),
        ("mix: { patient: 1 }", "mix: { patients: 1 }"),
        ("for: 10m", "fro: 10m, for: 10m"),
        ("errors: < 1%", "errors: 1%"),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let found = file::diagnostics(&text);
    let places: Vec<String> = found.iter().map(|d| format!("{}:{} {}", d.line, d.column, d.code)).collect();
    insta::assert_snapshot!(places.join("\n"), @r#"
    6:14 bad-value
    11:14 wrong-type
    23:9 unknown-name
    30:29 quoted-status
    34:18 bad-value
    35:29 unknown-variable
    38:13 unknown-variable
    42:8 unknown-name
    44:27 unknown-key
    47:15 bad-limit
    "#);
}

#[test]
fn a_diagnostic_reads_like_rustcs() {
    let text = FILE.replacen("expect: { status: 201 }", "expct: { status: 201 }", 1);
    insta::assert_snapshot!(file::rendered(&text), @r#"
    error[unknown-key]: a request has no key `expct`
      --> model.yaml:30:11
       |
    30 |           expct: { status: 201 }
       |           ^^^^^
       |
       = help: did you mean `expect`?
    "#);
}

#[test]
fn a_diagnostic_inside_a_fragment_names_the_journey() {
    let text = FILE.replacen("account.password", "account.passwort", 1);
    insta::assert_snapshot!(file::rendered(&text), @r#"
    error[unknown-variable]: role `patient` has no column `passwort`
      --> model.yaml:18:57
       |
    18 |         json: { user: "{{ account.id }}", password: "{{ account.passwort }}" }
       |                                                         ^^^^^^^^^^^^^^^^
       |
       = note: called from journey `patient`
       = help: did you mean `password`?
    "#);
}

#[test]
fn a_cycle_of_fragments_names_its_path() {
    let text =
        FILE.replacen("fragments:\n", "fragments:\n  a:\n    - call: b\n  b:\n    - call: c\n  c:\n    - call: a\n", 1);
    let text = text.replacen("before: [ { call: log_in } ]", "before: [ { call: log_in }, { call: a } ]", 1);
    insta::assert_snapshot!(file::rendered(&text), @r#"
    error[cycle]: fragments call each other in a circle: `a` → `b` → `c` → `a`
      --> model.yaml:21:13
       |
    21 |     - call: a
       |             ^
       |
       = note: called from journey `patient`
       = help: use `repeat` or `while` to do something again
    "#);
}

#[test]
fn warnings_do_not_stop_the_file() {
    for (from, to, code) in [
        ("errors: < 1%", "errors: \"> 1%\"", "odd-direction"),
        ("name: Model", "name: the model #1", "comment-in-text"),
        ("fragments:\n", "fragments:\n  unused: [ GET /a ]\n", "unused"),
        ("- GET /patients/{{ account.id }}/progress: { expect: { marker: own } }", "- GET /x", "no-control"),
        ("- think: 1s..4s", "- rendezvous: { name: rush, users: 11 }", "too-few-users"),
    ] {
        let text = FILE.replacen(from, to, 1);
        let (_, warnings) = file::parsed(&text).expect("a warning is no error");
        let codes: Vec<&str> = warnings.iter().map(|w| w.code).collect();
        assert_eq!(codes, [code], "{from} -> {to}");
    }
}

/// What is replaced, and by what comes later.
#[rustfmt::skip]
const LATER: &[(&str, &str)] = &[
    ("errors: < 1%", "regress: { p95: < 10% }"),
];

#[test]
fn what_the_language_names_and_cannot_do_yet_is_refused_by_name() {
    for (from, to) in LATER {
        let text = FILE.replacen(from, to, 1);
        let found = file::diagnostics(&text);
        assert!(!found.is_empty(), "{to}");
        for one in &found {
            assert_eq!(one.code, "not-yet", "{to}\n{}", file::rendered(&text));
            assert!(one.message.ends_with("is part of the language but not built yet"), "{}", one.message);
        }
    }
}

#[test]
fn whoever_switches_needs_a_free_row_a_role_and_a_place_in_the_steps() {
    let only = |from: &str, to: &str| {
        let text = FILE.replacen(from, to, 1);
        let found = file::diagnostics(&text);
        assert_eq!(found.len(), 1, "{}", file::rendered(&text));
        (found[0].code, found[0].message.clone())
    };
    // At the end: what was saved as the account before is gone.
    let last = "- probe: GET /patients/{{ stranger.id }}/progress";
    let text = FILE.replacen(last, &format!("{last}\n      - switch_account: next"), 1);
    assert!(file::diagnostics(&text).is_empty(), "{}", file::rendered(&text));
    let all = text.replacen("users: 10", "users: 50", 1);
    let found = file::diagnostics(&all);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].message.contains("needs 51 accounts") && found[0].message.contains("there are 50"),
        "{}",
        found[0].message
    );
    assert_eq!(
        only("before: [ { call: log_in } ]", "before: [ { call: log_in }, switch_account: next ]").0,
        "bad-step"
    );
    let (code, message) = only("as: patient\n", "as: patient\n    after: [ switch_account: next ]\n");
    assert_eq!(code, "bad-step", "{message}");
}

#[test]
fn a_setup_has_steps_that_one_user_can_play_alone_and_leaves_its_variables_to_all() {
    for (section, code, at, message) in [
        ("setup: []", "bad-value", "setup", "`setup` has at least one step"),
        ("teardown: { within: 1s }", "missing-key", "teardown", "a setup or teardown needs the key `steps`"),
        ("setup: GET /seed", "wrong-type", "GET /seed", "is a list of steps"),
        ("setup: { target: patient, stepz: 1, steps: [ GET /a ] }", "unknown-key", "stepz", "has no key `stepz`"),
        ("setup: { target: patient, steps: [ GET /a ], within: 0s }", "bad-value", "0s", "`within` is at least 1ms"),
        ("setup: { target: patient, as: patent, steps: [ GET /a ] }", "unknown-name", "patent", "no role `patent`"),
        ("setup: [ GET /a ]", "no-target", "GET /a", "goes nowhere"),
        (
            "setup: { target: patient, steps: [ GET /a, { rendezvous: { name: a, users: 2 } } ] }",
            "bad-step",
            "setup",
            "needs other users",
        ),
        (
            "setup: { target: patient, steps: [ POST /a: { body: \"{{ marker }}\" } ] }",
            "no-role",
            "setup",
            "a `marker` says whose data it is",
        ),
        (
            "setup: { target: patient, steps: [ \"GET /{{ sead }}\" ] }",
            "unknown-variable",
            "sead",
            "there is no variable `sead` here",
        ),
        ("setup: [ { set: { a: 1 } } ]", "unused-variable", "a", "nothing reads `a`"),
    ] {
        let text = FILE.replacen("mix:", &format!("{section}\nmix:"), 1);
        let found = file::diagnostics(&text);
        let shown = file::rendered(&text);
        assert_eq!(found.len(), 1, "{section}\n{shown}");
        let span = found[0].span;
        assert_eq!((found[0].code, &text[span.start..span.end]), (code, at), "{section}\n{shown}");
        assert!(found[0].message.contains(message), "{section}\n{shown}");
    }
    // What the setup leaves is there in every journey and in the teardown, and read there.
    let around = "setup: { as: patient, target: patient, steps: [ POST /seed: { body: \"{{ marker }}\", save: { n: $.n } } ] }\n\
                  teardown: { target: patient, steps: [ \"DELETE /seed/{{ n }}\" ] }\nmix:";
    let text = FILE.replacen("mix:", around, 1);
    assert!(file::diagnostics(&text).is_empty(), "{}", file::rendered(&text));
    let text = FILE.replacen("mix:", "setup: [ { set: { n: 2 } } ]\nmix:", 1).replacen(
        "- think: 1s..4s",
        "- log: \"{{ n }}\"",
        1,
    );
    assert!(file::diagnostics(&text).is_empty(), "{}", file::rendered(&text));
}

#[test]
fn a_rendezvous_says_who_meets_and_says_the_same_everywhere() {
    for (step, code, message) in [
        ("rendezvous: { name: a }", "missing-key", "a rendezvous needs the key `users`"),
        ("rendezvous: { users: 2 }", "missing-key", "a rendezvous needs the key `name`"),
        ("rendezvous: { name: a, users: 0 }", "bad-value", ""),
        ("rendezvous: { name: a, users: 2, within: 0s }", "bad-value", "`within` is at least 1ms"),
        ("rendezvous: a", "", ""),
        (
            "rendezvous: { name: a, users: 2 }\n        - rendezvous: { name: a, users: 3 }",
            "two-meanings",
            "another step says of the rendezvous `a` other `users` or `within`",
        ),
    ] {
        let text = FILE.replacen("- think: 1s..4s", &format!("- {step}"), 1);
        let found = file::diagnostics(&text);
        assert_eq!(found.len(), 1, "{}", file::rendered(&text));
        assert!(code.is_empty() || found[0].code == code, "{}", file::rendered(&text));
        assert!(message.is_empty() || found[0].message == message, "{}", file::rendered(&text));
    }
}
