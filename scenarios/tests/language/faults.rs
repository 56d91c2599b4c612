//! Faults: what a profile and a step say of them, and what they are when nobody says anything.

use crate::file::{FILE, program};
use scenarios::faults::{Abandon, Faults, GiveUp, Place};

const MS: u64 = 1_000_000;

fn faults(profile: &str) -> Faults {
    program(&FILE.replacen("{ users: 10, for: 10m }", profile, 1)).profiles.remove(0).faults
}

fn abandon(chance: f64, after_ns: Option<(u64, u64)>, how: GiveUp) -> Option<Abandon> {
    Some(Abandon { chance, after_ns, how, at: None })
}

#[test]
fn nothing_is_provoked_unless_the_file_says_so() {
    for profile in ["{ users: 10, for: 10m }", "{ preset: soak }", "{ users: 1, for: 1m, faults: { abandon: 0% } }"] {
        assert!(faults(profile).is_off(), "{profile}");
        assert!(faults(profile).in_words().is_empty(), "{profile}");
    }
    assert!(program(FILE).requests.iter().all(|r| r.abandon.is_none()));
}

#[test]
fn shares_are_read_as_written() {
    let read = faults(
        "{ users: 1, for: 1m, faults: { abandon: 5%, reconnect: 2%, slow_reader: 1%, think_zero: 10%, large_body: 3%, malformed: 4%, oversize_headers: 0.5%, equal_ids: true, switch_account: 6%, same_url_burst: 7%, reload_burst: 8%, swap_connection: 9% } }",
    );
    let expected = Faults {
        abandon: abandon(0.05, None, GiveUp::Reset),
        reconnect: 0.02,
        slow_reader: 0.01,
        think_zero: 0.1,
        large_body: 0.03,
        malformed: 0.04,
        oversize_headers: 0.005,
        equal_ids: true,
        switch_account: 0.06,
        switch_unplayed: false,
        same_url_burst: 0.07,
        cohort: None,
        reload_burst: 0.08,
        swap_connection: 0.09,
    };
    assert_eq!(read, expected);
    let words = read.in_words();
    assert_eq!(words[0], ("abandon", "5% by reset".into()));
    assert_eq!(words[6], ("oversize_headers", "0.5%".into()));
    assert_eq!(words[7], ("switch_account", "6%".into()));
    assert_eq!(words[8], ("same_url_burst", "7%".into()));
    assert_eq!(words[9], ("reload_burst", "8%".into()));
    assert_eq!(words[10], ("swap_connection", "9%".into()));
    assert_eq!(words[11], ("equal_ids", "on".into()));
}

#[test]
fn giving_up_can_be_said_in_full() {
    for (written, expected) in [
        ("{ chance: 5%, after: 2ms..20ms, how: reset }", abandon(0.05, Some((2 * MS, 20 * MS)), GiveUp::Reset)),
        ("{ after: 3ms, how: close }", abandon(0.05, Some((3 * MS, 3 * MS)), GiveUp::Close)),
        ("{ chance: 100% }", abandon(1.0, None, GiveUp::Reset)),
    ] {
        let profile = format!("{{ users: 1, for: 1m, faults: {{ abandon: {written} }} }}");
        assert_eq!(faults(&profile).abandon, expected, "{written}");
        let step = FILE.replacen("expect: { status: 201 }", &format!("abandon: {written}"), 1);
        let found: Vec<_> = program(&step).requests.iter().filter_map(|r| r.abandon).collect();
        assert_eq!(found, [expected.expect("it says something")], "{written}");
    }
    let all = abandon(0.25, Some((2 * MS, 20 * MS)), GiveUp::Close).expect("there is one");
    assert_eq!(all.in_words(), "25% by close, 2ms to 20ms after sending");
}

#[test]
fn giving_up_can_be_bound_to_a_place() {
    for (word, at, said) in [
        ("head", Place::Head, "5% by close, before the head, 1ms to 2ms after sending"),
        ("body", Place::Body, "5% by close, in the body, 1ms to 2ms after its first piece"),
        ("stream", Place::Stream, "5% by close, in the stream, 1ms to 2ms after the first event"),
        ("message", Place::Message, "5% by close, after a message, 1ms to 2ms after the message"),
    ] {
        assert_eq!(at.word(), word);
        let read = faults(&format!(
            "{{ users: 1, for: 1m, faults: {{ abandon: {{ how: close, after: 1ms..2ms, at: {word} }} }} }}"
        ));
        let expected = Abandon { chance: 0.05, after_ns: Some((MS, 2 * MS)), how: GiveUp::Close, at: Some(at) };
        assert_eq!((read.abandon, expected.in_words().as_str()), (Some(expected), said));
    }
}

#[test]
fn chaos_provokes_modestly_and_every_number_is_open_to_change() {
    let chaos = faults("{ preset: chaos }");
    assert_eq!(chaos.abandon, abandon(0.1, None, GiveUp::Reset));
    let shares = [
        chaos.reconnect,
        chaos.slow_reader,
        chaos.think_zero,
        chaos.large_body,
        chaos.malformed,
        chaos.oversize_headers,
        chaos.switch_account,
        chaos.same_url_burst,
    ];
    assert_eq!((chaos.reload_burst, chaos.swap_connection), (0.1, 0.1));
    assert!(shares.iter().all(|s| (0.01..=0.05).contains(s)), "{shares:?}");
    assert!(!chaos.equal_ids, "ids that clash would change what the scenario means");
    let changed = faults("{ preset: chaos, faults: { abandon: 0%, reconnect: 9% } }");
    assert_eq!(changed, Faults { abandon: None, reconnect: 0.09, ..chaos });
    assert!(chaos.switch_unplayed, "a journey may do things that go once per account");
    let changed = faults("{ preset: chaos, faults: { switch_account: 10% } }");
    assert!(changed.switch_account == 0.1 && !changed.switch_unplayed, "as it is asked for");
    let alone = faults("{ preset: chaos, users: 1 }");
    assert!(alone.switch_account == 0.0 && !alone.switch_unplayed, "a single user stays alone");
}

#[test]
fn containment_needs_faults_healthy_users_and_time() {
    let found = |profile: &str, objective: &str| {
        let text = FILE.replacen("users: 10, for: 10m", profile, 1).replacen("errors: < 1%", objective, 1);
        crate::file::diagnostics(&text).into_iter().map(|d| (d.code, d.message)).collect::<Vec<_>>()
    };
    let (long, both) = ("users: 10, for: 10m, faults: { abandon: 5% }", "containment: { errors: < 1pp, mean: < 20% }");
    assert_eq!(found(long, both), []);
    assert_eq!(found(&long.replace("5%", "5%, cohort: 30%"), "containment: { mean: <= 20% }, name: contained"), []);
    for cohort in ["0%", "100%"] {
        let found = found(&long.replace("5%", &format!("5%, cohort: {cohort}")), both);
        assert_eq!(found, [("bad-value", format!("`{cohort}` leaves nobody on one of the two sides"))]);
    }
    let short = found(&long.replace("10m", "6m"), both);
    assert!(short.len() == 1 && short[0].0 == "too-short" && short[0].1.contains("need 6m40s of load"), "{short:?}");
    let program = program(&FILE.replacen("users: 10, for: 10m", long, 1).replacen(
        "errors: < 1%",
        "containment: { errors: < 1pp, mean: < 20% }, name: contained",
        1,
    ));
    let ids: Vec<&str> = program.objectives.iter().map(|o| o.id.as_str()).collect();
    assert!(ids.contains(&"contained (errors)") && ids.contains(&"contained (mean)"), "{ids:?}");
}
