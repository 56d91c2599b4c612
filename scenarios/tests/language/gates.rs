//! The gate and the waivers: read, resolved, and each mistake at its place.

use crate::file::{self, FILE, program};
use jiff::civil::date;

fn with(text: &str) -> String {
    FILE.replacen("sla:\n", &format!("{text}\nsla:\n"), 1)
}

#[test]
fn a_gate_names_profiles_isolation_and_sign_offs() {
    let gate =
        program(&with("gate: { requires: [sustained], isolation: required, signoffs: [clinical-safety, security] }"))
            .gate
            .expect("there is one");
    assert_eq!(gate.requires, ["sustained"]);
    assert!(gate.isolation_required);
    assert_eq!(gate.signoffs, ["clinical-safety", "security"]);
    assert_eq!(program(FILE).gate, None);
    assert!(
        !program(&with("gate: { requires: sustained, isolation: report }"))
            .gate
            .expect("it is there")
            .isolation_required
    );
}

#[test]
fn a_waiver_belongs_to_its_objective() {
    let text = with("waivers:\n  - { objective: errors < 1%, reason: known, by: Ada, until: 2026-12-31 }");
    let objectives = program(&text).objectives;
    let waiver = objectives[1].waiver.clone().expect("it is waived");
    assert_eq!((waiver.reason.as_str(), waiver.by.as_str(), waiver.until.as_str()), ("known", "Ada", "2026-12-31"));
    assert_eq!(objectives[0].waiver, None);
}

/// `until`, and the code that it has on 2026-11-21.
const DAYS: &[(&str, Option<&str>)] = &[
    ("2026-11-20", Some("expired-waiver")),
    ("2026-11-21", None),
    ("2027-02-19", None),
    ("2027-02-20", Some("long-waiver")),
    ("2020-01-01", Some("expired-waiver")),
];

#[test]
fn a_waiver_holds_for_ninety_days_at_most() {
    for (until, code) in DAYS {
        let text = with(&format!("waivers:\n  - {{ objective: errors < 1%, reason: r, by: b, until: {until} }}"));
        let (plan, _) = file::parsed(&text).expect("the file itself is right");
        let found = plan.waivers_out_of_date(date(2026, 11, 21));
        assert_eq!(found.first().map(|d| d.code), *code, "{until}");
        if let Some(one) = found.first() {
            assert_eq!((one.line, one.column), (46, 56), "{until}");
            assert!(one.help.is_some());
        }
    }
}

/// What stands before `sla:` in line 45, the one diagnostic that comes of it, and a part of what it says.
#[rustfmt::skip]
const CASES: &[(&str, &str, &str)] = &[
    ("gate: {}", "45:1 missing-key", "requires: [sustained, burst]"),
    ("gate: [sustained]", "45:7 wrong-type", "`gate` is a map"),
    ("gate: { require: [sustained] , isolation: required }", "45:9 unknown-key", "did you mean `requires`"),
    ("gate: { requires: [sustaned] }", "45:20 unknown-name", "did you mean `sustained`"),
    ("gate: { requires: [sustained, sustained] }", "45:31 duplicate-name", "remove one"),
    ("gate: { requires: [sustained], isolation: yes please }", "45:43 bad-value", "required"),
    ("gate: { signoffs: [clinical safety] }", "45:20 bad-name", "use letters"),
    ("waivers: { objective: a }", "45:1 wrong-type", "`waivers` is a list"),
    ("waivers: [ { objective: p95 < 1s, reason: r, by: b, until: 2026-12-31 } ]", "45:25 unknown-name", "there is no objective"),
    ("waivers: [ { objective: errors < 1%, reason: r, by: b } ]", "45:12 missing-key", "until: 2026-12-31"),
    ("waivers: [ { objective: errors < 1%, reason: r, until: 2026-12-31 } ]", "45:12 missing-key", "by: Ada"),
    ("waivers: [ { objective: errors < 1%, by: b, until: 2026-12-31 } ]", "45:12 missing-key", "reason:"),
    ("waivers: [ { objective: errors < 1%, reason: r, by: b, until: soon } ]", "45:63 bad-value", "`soon` is no day"),
    ("waivers: [ { objective: errors < 1%, reason: r, by: b, until: 2026-13-01 } ]", "45:63 bad-value", "2026-12-31"),
    ("waivers: [ { objective: errors < 1%, reason: r, by: b, until: 2026-12-31, note: x } ]", "45:75 unknown-key", "objective"),
];

#[test]
fn each_mistake_has_its_place_and_its_help() {
    for (text, place, said) in CASES {
        let text = with(text);
        let found = file::diagnostics(&text);
        let rendered = file::rendered(&text);
        assert_eq!(found.len(), 1, "{rendered}");
        let one = &found[0];
        assert_eq!(format!("{}:{} {}", one.line, one.column, one.code), *place, "{rendered}");
        assert!(rendered.contains(said), "{rendered}");
    }
}
