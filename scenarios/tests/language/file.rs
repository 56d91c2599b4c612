//! A small good file to spoil, and ways to look at what comes of it.

use scenarios::{Diagnostic, Plan, Program, Source, compile, parse, render};
use std::path::PathBuf;

/// A file without a mistake.
pub const FILE: &str = r#"watertight: 1
name: Model
targets:
  patient:
    url: ${API:-http://127.0.0.1:8001}   # a comment may hold ${ANYTHING}
    timeout: 10s
  clinical: http://127.0.0.1:8002
roles:
  patient:
    accounts:
      count: 50
      values: { id: "p-{{ index }}", password: "pw-{{ index }}", clinic: "{{ index % 20 }}" }
    may_see:
      patient: owner.clinic == account.clinic
fragments:
  log_in:
    - POST /auth/login:
        json: { user: "{{ account.id }}", password: "{{ account.password }}" }
        save: { token: { json: $.token, credential: true } }
        identity: { $.account_id: "{{ account.id }}" }
journeys:
  patient:
    as: patient
    target: patient
    before: [ { call: log_in } ]
    headers: { authorization: "Bearer {{ token }}" }
    steps:
      - POST /sessions:
          json: { story: forest }
          expect: { status: 201 }
          save: { session: $.session_id }
      - repeat: 5
        steps:
        - think: 1s..4s
        - POST /sessions/{{ session }}/turns:
            json: { note: "calm {{ marker }}" }
            save: { mood: $.mood }
      - if: mood < 3
        then: [ "POST /patients/{{ account.id }}/crisis" ]
      - GET /patients/{{ account.id }}/progress: { expect: { marker: own } }
      - probe: GET /patients/{{ stranger.id }}/progress
mix: { patient: 1 }
profiles:
  sustained: { users: 10, for: 10m }
sla:
  - { of: { target: [patient] }, p95: < 200ms }
  - { errors: < 1% }
"#;

/// `text` as a file without a folder.
pub fn source(text: &str) -> Source {
    Source { name: "model.yaml".into(), text: text.into(), folder: PathBuf::new() }
}

/// The plan and warnings of `text`, or its mistakes.
pub fn parsed(text: &str) -> Result<(Plan, Vec<Diagnostic>), Vec<Diagnostic>> {
    parse(&source(text), &|_| None)
}

/// All diagnostics of `text`.
pub fn diagnostics(text: &str) -> Vec<Diagnostic> {
    match parsed(text) {
        Ok((_, warnings)) => warnings,
        Err(mistakes) => mistakes,
    }
}

/// All diagnostics of `text` as they are printed.
pub fn rendered(text: &str) -> String {
    render(&diagnostics(text), &source(text), false)
}

/// The program of a good `text`.
pub fn program(text: &str) -> Program {
    match parsed(text) {
        Ok((plan, _)) => compile(&plan).expect("an accepted plan compiles"),
        Err(_) => panic!("{}", rendered(text)),
    }
}
