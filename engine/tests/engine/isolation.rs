//! Isolation: what is found, what is not an alarm, and what a silence is worth; against a scripted target.

use super::{assert_laws, play};
use engine::client::answer::Outgoing;
use engine::clock::{MILLISECOND, Nanos};
use engine::run_result::{RunResult, Tier};
use engine::simulate::Reply;
use std::collections::HashMap;

const SCENARIO: &str = "watertight: 1
name: isolation
targets: { t: 'http://127.0.0.1:1' }
roles:
  patient:
    accounts: { count: 20, values: { id: 'p-{{ index }}', clinic: '{{ index % 2 }}' } }
  clinician:
    accounts: { count: 4, values: { id: 'c-{{ index }}', clinic: '{{ index % 2 }}' } }
    may_see: { patient: owner.clinic == account.clinic }
journeys:
  patient:
    as: patient
    target: t
    before:
      - POST /login:
          json: { user: '{{ account.id }}' }
          save: { token: { json: $.token, credential: true } }
    steps:
      - POST /notes/{{ account.id }}: { json: { note: 'hello {{ marker }}' } }
      - GET /notes/{{ account.id }}: { expect: { marker: own }, identity: { $.id: '{{ account.id }}' } }
      - probe: GET /notes/{{ stranger.id }}
      - think: 1s
  clinician:
    as: clinician
    target: t
    steps:
      - GET /clinic/{{ account.clinic }}: { expect: { marker: permitted } }
      - think: 1s
mix: { patient: 5, clinician: 1 }
profiles: { p: { users: USERS, for: 30s } }
";

/// A small hospital in memory, right unless a defect is switched on.
struct Hospital {
    defect: &'static str,
    notes: HashMap<String, String>,
    latest: String,
    requests: u64,
}

impl Hospital {
    fn new(defect: &'static str) -> Self {
        Self { defect, notes: HashMap::new(), latest: String::new(), requests: 0 }
    }

    fn answer(&mut self, request: &Outgoing) -> Reply {
        self.requests += 1;
        let path = request.uri.path().to_owned();
        let id = path.rsplit('/').next().unwrap_or_default().to_owned();
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let is_probe = request.request == 3;
        let mut reply = Reply::ok(MILLISECOND);
        if self.defect != "cacheable" {
            reply.headers.insert("cache-control", "private, no-store".parse().expect("a header"));
        }
        let text = match (request.method.as_str(), self.defect) {
            ("POST", "one-token") if path == "/login" => r#"{"token":"same-for-all"}"#.to_owned(),
            ("POST", _) if path == "/login" => format!("{{\"token\":\"token-{}\"}}", self.requests),
            ("POST", _) => {
                self.latest = id.clone();
                self.notes.insert(id, body);
                "{}".into()
            }
            (_, "latest-copy") if !is_probe && path.starts_with("/notes") => {
                format!("{{\"id\":\"{id}\",\"notes\":{}}}", self.note(&self.latest.clone()))
            }
            (_, "cut-copy") if !is_probe && path.starts_with("/notes") => {
                let note = self.note(&self.latest.clone());
                let at = note.find("wtq7zx").unwrap_or(0);
                let preview = note.get(at..at + 30).unwrap_or_default();
                format!("{{\"id\":\"{id}\",\"preview\":\"{preview}\",\"notes\":{note},\"mine\":{}}}", self.note(&id))
            }
            (_, "wrong-person") if !is_probe && path.starts_with("/notes") => {
                format!("{{\"id\":\"p-0\",\"notes\":{}}}", self.note(&id))
            }
            (_, defect) if is_probe => {
                if defect == "open-door" {
                    format!("{{\"notes\":{}}}", self.note(&id))
                } else if defect == "open-empty" {
                    "{}".into()
                } else {
                    reply.status = 403;
                    "{}".into()
                }
            }
            (_, "blind") if path.starts_with("/clinic") => "[]".into(),
            (_, defect) if path.starts_with("/clinic") => {
                let clinic: usize = id.parse().unwrap_or(0);
                let wanted = if defect == "other-clinic" { 1 - clinic } else { clinic };
                let notes: Vec<_> = (wanted..20).step_by(2).map(|i| self.note(&format!("p-{i}"))).collect();
                format!("[{}]", notes.join(","))
            }
            (_, "in-a-header") => {
                let value = self.note(&self.latest.clone()).to_ascii_uppercase();
                reply.headers.insert("x-debug", value.parse().expect("JSON is printable"));
                format!("{{\"id\":\"{id}\",\"notes\":{}}}", self.note(&id))
            }
            _ => format!("{{\"id\":\"{id}\",\"notes\":{}}}", self.note(&id)),
        };
        reply.body = text.into_bytes();
        reply
    }

    fn note(&self, id: &str) -> String {
        self.notes.get(id).cloned().unwrap_or_else(|| "null".into())
    }
}

fn visit(defect: &'static str, users: &str) -> RunResult {
    let mut hospital = Hospital::new(defect);
    let result =
        play(&SCENARIO.replace("USERS", users), 1, move |request: &Outgoing, _: Nanos| hospital.answer(request));
    assert_laws(&result);
    result
}

fn found(result: &RunResult) -> Vec<(&str, Tier)> {
    result.isolation.groups.iter().map(|g| (g.key.detector.as_str(), g.key.tier)).collect()
}

#[test]
fn a_right_hospital_raises_nothing_and_the_silence_means_something() {
    let result = visit("none", "12");
    assert_eq!(found(&result), []);
    assert!(result.isolation.planted > 100);
    assert_eq!(result.isolation.accounts, 12);
    let own = result.header.steps.iter().position(|s| s.declared_control).expect("declared");
    let coverage = result.isolation.steps[own];
    assert_eq!(coverage.scanned, coverage.controlled);
    assert!(coverage.after_others > 100);
    // The clinicians ask at the first moment, when nobody has written anything: there is nothing to come back yet.
    assert!(result.errors.is_empty(), "{:?}", result.errors);
}

#[test]
fn a_reader_of_others_must_be_shown_what_they_wrote() {
    let result = visit("blind", "12");
    let step = result.header.steps.iter().position(|s| s.name.starts_with("GET /clinic")).expect("it is in the file");
    let coverage = result.isolation.steps[step];
    assert!(coverage.scanned > 0 && coverage.controlled == 0, "{coverage:?}");
    assert!(
        !result.errors.is_empty() && result.errors.iter().all(|e| e.kind == "marker missing"),
        "{:?}",
        result.errors
    );
    let missed: u64 = result.errors.iter().map(|e| e.count).sum();
    assert_eq!(missed, coverage.scanned, "each that could have shown something, and no other");
}

/// Patients write notes, slowly, and chat messages; clinicians are shown notes only.
const TWO_WAYS: &str = "watertight: 1
name: two ways to write
targets: { t: 'http://127.0.0.1:1' }
roles:
  patient:
    accounts: { count: 20, values: { id: 'p-{{ index }}' } }
  clinician:
    accounts: { count: 4, values: { id: 'c-{{ index }}' } }
    may_see: { patient: 'true' }
journeys:
  notes: { as: patient, target: t, steps: [ { think: 3s }, { POST /notes: { json: { note: '{{ marker }}' } } } ] }
  chat: { as: patient, target: t, steps: [ { POST /chat: { json: { text: '{{ marker }}' } } }, { think: 1s } ] }
  alarm:
    as: patient
    target: t
    steps: [ { POST /alarm: { json: { text: '{{ marker }}' }, expect: { status: 202 } } }, { think: 1s } ]
  clinician: { as: clinician, target: t, steps: [ { GET /dashboard: { expect: { marker: permitted } } }, { think: 500ms } ] }
mix: { notes: 1, chat: 1, alarm: 1, clinician: 1 }
profiles: { p: { users: 12, for: 30s } }
";

fn two_ways(shows: bool) -> RunResult {
    let mut newest = String::new();
    let result = play(TWO_WAYS, 1, move |out: &Outgoing, _: Nanos| {
        let mut reply = Reply::ok(20 * MILLISECOND);
        match out.uri.path() {
            "/dashboard" if shows => reply.body = newest.clone().into_bytes(),
            "/alarm" => reply.status = 202,
            path if path.starts_with("/notes") => newest = String::from_utf8_lossy(&out.body).into_owned(),
            _ => {}
        }
        reply
    });
    assert_laws(&result);
    result
}

#[test]
fn a_reader_of_others_is_owed_only_what_is_shown_there() {
    let result = two_ways(true);
    // For three seconds there are chat messages and no notes, and the dashboard is rightly empty.
    assert!(result.errors.is_empty(), "{:?}", result.errors);
    let step = result.header.steps.iter().position(|s| s.name == "GET /dashboard").expect("it is in the file");
    let coverage = result.isolation.steps[step];
    assert!(coverage.scanned > 100 && coverage.controlled == coverage.scanned, "{coverage:?}");
    assert!(coverage.scanned < result.steps[step].counts.ok, "what could show nothing yet says nothing");
    // Where nothing is ever shown, what was written in every way was left out.
    let result = two_ways(false);
    assert!(!result.errors.is_empty() && result.errors.iter().all(|e| e.kind == "marker missing"));
    let coverage = result.isolation.steps[step];
    assert!(coverage.scanned > 10 && coverage.controlled == 0, "{coverage:?}");
}

#[test]
fn each_leak_is_named_with_both_sides() {
    for (defect, detector, tier) in [
        ("latest-copy", "foreign-marker", Tier::Proven),
        ("in-a-header", "foreign-marker", Tier::Proven),
        ("cut-copy", "foreign-marker", Tier::Proven),
        ("other-clinic", "foreign-marker", Tier::Proven),
        ("wrong-person", "identity", Tier::Proven),
        ("one-token", "credential", Tier::Proven),
        ("open-door", "probe", Tier::Proven),
        ("open-empty", "probe", Tier::Suspect),
    ] {
        let result = visit(defect, "12");
        let found = found(&result);
        assert!(found.contains(&(detector, tier)), "{defect}: {found:?}");
        assert!(found.iter().all(|f| *f == (detector, tier)), "{defect}: {found:?}");
        let group = &result.isolation.groups[0];
        assert!(group.count >= group.examples.len() as u64);
        let leak = &group.examples[0];
        assert_ne!(leak.reader.account, leak.owner.account, "{defect}");
        for party in [&leak.reader, &leak.owner] {
            assert!(party.user.is_some() && !party.request.is_empty() && !party.step.is_empty(), "{defect}: {party:?}");
        }
    }
}

#[test]
fn private_answers_that_a_cache_may_keep_are_a_risk_and_no_leak() {
    let result = visit("cacheable", "12");
    let found = found(&result);
    assert!(!found.is_empty() && found.iter().all(|f| *f == ("cache-lint", Tier::Risk)), "{found:?}");
    let steps: Vec<_> = result.isolation.groups.iter().map(|g| result.header.steps[g.key.step].name.as_str()).collect();
    assert_eq!(steps.len(), 2, "one group each step: {steps:?}");
    for group in &result.isolation.groups {
        assert_eq!(group.examples.len(), 1, "one example says it all");
        assert!(group.count > 10 && group.examples[0].why.contains("cache-control"), "{:?}", group.examples[0]);
    }
    assert_eq!(result.timeline.iter().map(|p| p.leaks).sum::<u64>(), 0);
}

#[test]
fn one_user_alone_raises_nothing_where_the_defect_needs_two() {
    for defect in ["none", "latest-copy", "in-a-header", "one-token", "open-door"] {
        let result = visit(defect, "1");
        assert_eq!(found(&result), [], "{defect}");
    }
}

#[test]
fn what_i_sent_myself_is_no_leak() {
    // A search that repeats its question: the clinician asks for a text that holds a patient's marker.
    let text = "watertight: 1
name: echo
targets: { t: 'http://127.0.0.1:1' }
roles: { u: { accounts: { count: 4, values: { id: 'u-{{ index }}' } } } }
journeys:
  j:
    as: u
    target: t
    steps:
      - POST /notes: { json: { note: '{{ marker }}' } }
      - GET /shared: { save: { found: $.note } }
      - GET /search: { query: { q: '{{ found }}' } }
      - think: 1s
profiles: { p: { users: 3, for: 5s } }
";
    let mut latest = String::from("none");
    let result = play(text, 1, move |request: &Outgoing, _: Nanos| {
        let mut reply = Reply::ok(MILLISECOND);
        reply.headers.insert("cache-control", "private".parse().expect("a header"));
        reply.body = match request.uri.path() {
            "/notes" => {
                let json: serde_json::Value = serde_json::from_slice(&request.body).expect("we sent JSON");
                latest = json["note"].as_str().unwrap_or_default().to_owned();
                b"{}".to_vec()
            }
            "/shared" => format!("{{\"note\":\"{latest}\"}}").into_bytes(),
            _ => {
                format!("{{\"error\":\"nothing like {} here\"}}", request.uri.query().unwrap_or_default()).into_bytes()
            }
        };
        reply
    });
    let steps: Vec<_> = result.isolation.groups.iter().map(|g| result.header.steps[g.key.step].name.as_str()).collect();
    assert!(steps.iter().all(|s| *s == "GET /shared"), "only the answer that first brought it is a leak: {steps:?}");
}

#[test]
fn exposure_counts_the_seconds_in_which_a_leak_could_have_been_seen_and_what_came_back_where() {
    let result = visit("none", "6");
    let step =
        |name: &str| result.header.steps.iter().position(|s| s.name.starts_with(name)).expect("the step is there");
    let (write, read, panel) = (step("POST /notes"), step("GET /notes/{{ account"), step("GET /clinic"));
    let seen = &result.isolation;
    // Everybody writes and reads once a second, for thirty seconds; of the very first answers none came after others.
    assert!((29..=31).contains(&seen.step_seconds[read]), "{:?}", seen.step_seconds);
    assert!((29..=31).contains(&seen.transport_seconds[0]) && seen.transport_seconds[1] == 0);
    assert_eq!(seen.stressor_seconds, [0; engine::faults::FAULTS]);
    assert_eq!(seen.steps[write].planted, seen.planted, "only notes are planted");
    assert_eq!(seen.carried.get(&(write, read)), Some(&seen.steps[read].controlled));
    assert!(seen.carried[&(write, panel)] > 10, "{:?}", seen.carried);
    assert!(seen.carried.keys().all(|(writer, _)| *writer == write), "{:?}", seen.carried);
}

#[test]
fn of_two_fields_of_one_step_the_matrix_says_which_came_back() {
    // The target keeps the note and forgets the title; the tag of the query comes back in a header.
    let steps = "      - POST /notes/{{ account.id }}?tag={{ marker }}:
          json: { title: 'about {{ marker }}', note: 'hello {{ marker }}', to: [ '{{ marker(\"ward\") }}' ] }
      - GET /notes/{{ account.id }}: { expect: { marker: own } }
      - GET /ward
      - think: 1s
";
    let from = SCENARIO.find("      - POST /notes").expect("the write");
    let to = SCENARIO.find("  clinician:\n    as").expect("the second journey");
    let text = format!("{}{steps}{}", &SCENARIO[..from], &SCENARIO[to..]).replace("USERS", "6");
    let mut notes: HashMap<String, (String, String)> = HashMap::new();
    let mut ward = String::new();
    let result = play(&text, 1, move |request: &Outgoing, _: Nanos| {
        let path = request.uri.path().to_owned();
        let mut reply = Reply::ok(5 * MILLISECOND);
        if request.method == "POST" && path.starts_with("/notes") {
            let json: serde_json::Value = serde_json::from_slice(&request.body).expect("we sent JSON");
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            ward = text(&json["to"][0]);
            notes.insert(path, (text(&json["note"]), request.uri.query().unwrap_or_default().to_owned()));
        } else if let Some((note, tag)) = notes.get(&path) {
            reply.headers.insert("x-tag", tag.parse().expect("it came as a query"));
            reply.body = note.clone().into_bytes();
        } else if path == "/ward" {
            reply.body = ward.clone().into_bytes();
        } else if path == "/login" {
            let json: serde_json::Value = serde_json::from_slice(&request.body).expect("we sent JSON");
            reply.body = serde_json::json!({ "token": format!("token of {}", json["user"]) }).to_string().into_bytes();
        }
        reply
    });
    assert_laws(&result);
    let step = |name: &str| result.header.steps.iter().position(|s| s.name.starts_with(name)).expect("it is there");
    let (write, read, shared) = (step("POST /notes"), step("GET /notes"), step("GET /ward"));
    assert_eq!(result.header.steps[write].fields, ["query tag", "$.title", "$.note", "$.to[0]"]);
    let seen = &result.isolation;
    let planted: Vec<u64> = (0..4).map(|field| seen.planted_fields[&(write, field)]).collect();
    assert_eq!(planted, [seen.planted / 4; 4], "each of them once a request");
    let answers = seen.steps[read].controlled;
    assert!(answers > 100, "{answers}");
    let at = |field, reader| seen.carried_fields.get(&(write, field, reader)).copied().unwrap_or(0);
    assert_eq!([0, 1, 2, 3].map(|field| at(field, read)), [answers, 0, answers, 0]);
    assert_eq!([0, 1, 2].map(|field| at(field, shared)), [0; 3]);
    assert!(at(3, shared) > 100, "{:?}", seen.carried_fields);
    assert!(result.isolation.groups.iter().all(|g| g.key.tier == Tier::Risk), "{:?}", result.isolation.groups);
}

#[test]
fn a_marker_in_a_variable_is_of_no_field() {
    let text = SCENARIO
        .replace("      - POST /notes", "      - set: { word: '{{ marker }}' }\n      - POST /notes")
        .replace("hello {{ marker }}", "{{ word }}', other: '{{ marker }}")
        .replace("USERS", "6");
    let mut hospital = Hospital::new("none");
    let result = play(&text, 1, move |out: &Outgoing, _: Nanos| hospital.answer(out));
    let names: Vec<&str> = result.header.steps.iter().flat_map(|s| &s.fields).map(String::as_str).collect();
    assert_eq!(names.iter().filter(|n| **n == "a variable").count(), result.header.steps.len());
    let named = |step: usize, field: usize| result.header.steps[step].fields[field].as_str();
    let planted = |name: &str| {
        let of = result.isolation.planted_fields.iter().filter(|((step, field), _)| named(*step, *field) == name);
        of.map(|(_, n)| n).sum::<u64>()
    };
    assert!(planted("$.other") > 50 && planted("a variable") >= planted("$.other"));
    assert_eq!(planted("$.other") + planted("a variable"), result.isolation.planted);
    assert!(
        result.isolation.carried_fields.iter().any(|((w, field, _), n)| named(*w, *field) == "a variable" && *n > 50)
    );
}

#[test]
fn who_was_under_way_at_one_moment_is_counted() {
    let seen = |load: &str| {
        let mut hospital = Hospital::new("none");
        let text = SCENARIO.replace("users: USERS, for: 30s", load);
        let result = play(&text, 1, move |out: &Outgoing, _: Nanos| hospital.answer(out));
        assert_laws(&result);
        let sum =
            |of: fn(&engine::run_result::IsolationStep) -> u64| result.isolation.steps.iter().map(of).sum::<u64>();
        assert!(sum(|s| s.alone_controlled) <= sum(|s| s.alone));
        (sum(|s| s.alone), sum(|s| s.after_others))
    };
    let (alone, all) = seen("arrivals: 4/s, max_users: 20, for: 30s");
    assert!(all > 100 && alone == all, "evenly spaced, they never meet: {alone} of {all}");
    let (alone, all) = seen("arrivals: 4/s, spacing: poisson, max_users: 20, for: 30s");
    assert!(alone < all && alone * 2 > all, "some meet: {alone} of {all}");
    let (alone, all) = seen("users: 1, for: 30s");
    assert_eq!((alone, all), (0, 0), "nobody else is there");
}

#[test]
fn a_right_target_stays_intact_beside_every_fault_with_twenty_seeds() {
    let faults = "faults: { abandon: { chance: 10%, after: 0ms..2ms }, reconnect: 5%, slow_reader: 5%, think_zero: 10%, \
                  large_body: 5%, malformed: 5%, oversize_headers: 5%, same_url_burst: 20%, switch_account: 10%, reload_burst: 10%, \
                  swap_connection: 5% }";
    let text = SCENARIO.replace("users: USERS, for: 30s", &format!("users: 12, for: 30s, {faults}"));
    let mut bursts = 0;
    for seed in 0..20 {
        let mut hospital = Hospital::new("none");
        let result = play(&text, seed, move |out: &Outgoing, _: Nanos| hospital.answer(out));
        assert_laws(&result);
        assert_eq!(result.isolation.groups.iter().filter(|g| g.key.tier == Tier::Proven).count(), 0, "seed {seed}");
        assert!(result.faults.abandon > 0 && result.faults.switch_account > 0, "seed {seed}: {:?}", result.faults);
        assert!(result.isolation.planted > 0, "seed {seed}");
        bursts += result.faults.same_url_burst;
        assert!(result.isolation.stressor_seconds.iter().all(|s| *s <= 31), "{:?}", result.isolation.stressor_seconds);
    }
    // Few URLs are shared here: a seed may bring none together.
    assert!(bursts > 20, "{bursts}");
}
