//! What the command line may change, and what it may not.

use crate::file::{FILE, program};
use scenarios::program::Load;
use scenarios::{Overrides, deal_users};

const S: u64 = 1_000_000_000;

fn with(profile: &str, overrides: Overrides) -> Result<Load, String> {
    let mut program = program(&FILE.replacen("{ users: 10, for: 10m }", profile, 1));
    program.with_overrides(&overrides)?;
    Ok(program.profiles.remove(0).load)
}

fn users(n: usize) -> Overrides {
    Overrides { users: Some(n), ..Overrides::default() }
}

#[test]
fn users_change_a_single_level_only() {
    let load = with("{ users: 10, for: 10m }", users(20)).expect("one level");
    assert_eq!(load.most_users(), 20);
    let staged = "{ stages: [ { users: 5, for: 30s }, { users: 9, for: 30s } ] }";
    assert!(with(staged, users(20)).is_err_and(|e| e.contains("stages")));
    assert!(with("{ arrivals: 1/s, for: 9s, max_users: 9 }", users(2)).is_err_and(|e| e.contains("--arrivals")));
    assert!(with("{ users: 10, for: 10m }", users(0)).is_err());
    let short = with("{ users: 10, for: 10m }", users(51)).expect_err("50 rows");
    assert_eq!(short, "profile `sustained` needs 51 accounts of role `patient`, there are 50");
}

#[test]
fn arrivals_change_open_load_only() {
    let rate = Overrides { arrivals: Some(2.5), ..Overrides::default() };
    let load = with("{ arrivals: 1/s, for: 9s, max_users: 9 }", rate.clone()).expect("open");
    assert_eq!(load.stages()[0].level, 2.5);
    assert!(with("{ users: 10, for: 10m }", rate).is_err_and(|e| e.contains("--users")));
}

#[test]
fn lengths_scale_and_the_warm_up_comes_on_top() {
    let shorter = Overrides { duration_ns: Some(30 * S), ..Overrides::default() };
    let load = with("{ users: 10, for: 10m, warm_up: 5s, ramp: 1m }", shorter.clone()).expect("fits");
    assert_eq!(load.duration_ns(), 35 * S);
    assert_eq!(load.stages()[0].ramp_ns, 35 * S);
    let staged = "{ stages: [ { users: 5, for: 30s }, { users: 9, for: 60s, ramp: 6s } ] }";
    let load = with(staged, shorter).expect("fits");
    assert_eq!(load.stages()[1].duration_ns, 20 * S);
    assert_eq!(load.stages()[1].ramp_ns, 2 * S);
    let half = Overrides { time_scale: Some(0.5), ..Overrides::default() };
    assert_eq!(with(staged, half).expect("fits").duration_ns(), 45 * S);
    let never = Overrides { time_scale: Some(0.0), ..Overrides::default() };
    assert!(with(staged, never).is_err());
}

#[test]
fn targets_must_exist_and_be_addresses() {
    let to = |name: &str, url: &str| {
        let mut program = program(FILE);
        let overrides = Overrides { targets: vec![(name.into(), url.into())], ..Overrides::default() };
        program.with_overrides(&overrides)?;
        Ok::<_, String>(program.targets[0].url.clone())
    };
    assert_eq!(to("patient", "https://[::1]:8443/x/"), Ok("https://[::1]:8443/x".into()));
    assert_eq!(to("patient", "http://localhost"), Ok("http://localhost".into()));
    assert!(to("patience", "http://localhost").is_err_and(|e| e.contains("`patient`")));
    for url in
        ["", "localhost", "ftp://x", "http://", "http://a b", "http://a:0", "http://a:b", "http://a?x", "http://[::1"]
    {
        assert!(to("patient", url).is_err(), "{url}");
    }
}

#[test]
fn rows_are_counted_over_all_journeys_of_a_role() {
    let text = FILE.replacen(
        "mix: { patient: 1 }",
        "  other: { as: patient, target: clinical, steps: [ GET /a ] }\nmix: { patient: 3, other: 1 }",
        1,
    );
    let text = text.replacen("users: 10", "users: 50", 1);
    let mut good = program(&text);
    assert_eq!(deal_users(&good, 50), [38, 12]);
    assert!(good.with_overrides(&users(51)).is_err());
    let wrapped = text.replacen("    may_see:", "    reuse: wrap\n    may_see:", 1);
    assert_eq!(program(&wrapped).with_overrides(&users(5000)), Ok(()));
}
