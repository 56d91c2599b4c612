//! Small scenario files.

/// One user type without an account asks for one thing again and again; `expect` and `sla` as given.
pub fn plain(url: &str, expect: &str, sla: &str) -> String {
    format!(
        "watertight: 1
name: Small
targets: {{ it: {{ url: \"{url}\", timeout: 400ms }} }}
journeys:
  look:
    target: it
    on_failure: continue
    steps:
      - GET /thing: {{ expect: {expect} }}
      - think: 10ms
profiles:
  short: {{ users: 3, for: 1s, graceful_stop: 2s }}
sla:
  - {sla}
"
    )
}

/// Users with accounts write notes that carry markers, and read what comes back.
pub fn notes(url: &str, sla: &str) -> String {
    format!(
        "watertight: 1
name: Notes
targets: {{ it: {{ url: \"{url}\", timeout: 5s }} }}
roles:
  writer:
    accounts: {{ count: 8, values: {{ id: \"w-{{{{ index }}}}\", password: \"pw-{{{{ index }}}}-secret\" }} }}
journeys:
  write:
    as: writer
    target: it
    on_failure: continue
    steps:
      - POST /notes: {{ json: {{ text: \"mine {{{{ marker }}}}\" }} }}
      - think: 20ms
profiles:
  short: {{ users: 4, for: 1s, graceful_stop: 2s }}
sla:
  - {sla}
"
    )
}
