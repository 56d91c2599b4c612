//! Shapes of load: ladders, and the phases that stages make.

use crate::file::{FILE, program};
use scenarios::objective::Stat;
use scenarios::program::{Load, Profile, Stage};
use scenarios::{Overrides, Range, Shape};

const S: u64 = 1_000_000_000;

fn profile(written: &str) -> Profile {
    let text = FILE.replacen("{ users: 10, for: 10m }", written, 1);
    program(&text.replacen("count: 50", "count: 1000", 1)).profiles.remove(0)
}

fn rungs(levels: &[f64], first_s: u64, each_s: u64, ramp_s: u64) -> Vec<Stage> {
    let rung = |(i, level): (usize, &f64)| Stage {
        level: *level,
        duration_ns: S * if i == 0 { first_s } else { each_s },
        ramp_ns: ramp_s * S,
    };
    levels.iter().enumerate().map(rung).collect()
}

fn phases(profile: &Profile) -> Vec<(String, u64, u64)> {
    profile.phases().into_iter().map(|p| (p.name, p.from_ns / S, p.to_ns / S)).collect()
}

#[test]
fn a_ladder_is_one_stage_a_rung() {
    let written = "{ preset: ladder, users: [10, 25, 50], each: 1h, ramp: 1m, warm_up: 30s }";
    let ladder = profile(written);
    assert_eq!(ladder.shape, Shape::Ladder);
    assert_eq!(ladder.load, Load::Closed(rungs(&[10.0, 25.0, 50.0], 3630, 3600, 60)));
    let silent = profile("{ preset: ladder }");
    assert_eq!(silent.load, Load::Closed(rungs(&[10.0, 25.0, 50.0, 100.0, 150.0], 600, 600, 0)));
    let open = profile("{ preset: ladder, arrivals: [5/s, 30/m], each: 10s, max_users: 9 }");
    assert_eq!(open.load.stages(), rungs(&[5.0, 0.5], 10, 10, 0));
    assert_eq!(open.load.most_users(), 9);
    assert_eq!(profile("{ users: 10, for: 10m }").shape, Shape::Plain);
}

#[test]
fn phases_are_named_by_their_load_and_leave_out_the_warm_up() {
    let named = |n: &str, from, to| (n.to_owned(), from, to);
    let ladder = profile("{ preset: ladder, users: [1, 25], each: 1m, warm_up: 10s }");
    assert_eq!(phases(&ladder), [named("1 user", 10, 70), named("25 users", 70, 130)]);
    let spike = profile("{ preset: spike }");
    assert_eq!(phases(&spike), [named("5 users", 0, 30), named("100 users", 30, 90), named("5 users (2)", 90, 120)]);
    let open = profile("{ preset: ladder, arrivals: [5/s, 30/m], each: 10s }");
    assert_eq!(phases(&open), [named("5 arrivals/s", 0, 10), named("0.5 arrivals/s", 10, 20)]);
    assert_eq!(phases(&profile("{ users: 10, for: 10m }")), []);
}

#[test]
fn phases_follow_what_the_command_line_changes() {
    let text = FILE.replacen("{ users: 10, for: 10m }", "{ preset: ladder, users: [10, 25], each: 1h }", 1);
    let mut quick = program(&text);
    quick.with_overrides(&Overrides { time_scale: Some(0.01), ..Overrides::default() }).expect("it fits");
    let ends: Vec<_> = quick.profiles[0].phases().iter().map(|p| p.to_ns / S).collect();
    assert_eq!(ends, [36, 72]);
}

#[test]
fn a_search_for_the_capacity_is_one_trial_of_many() {
    let search = profile("{ preset: capacity, arrivals: 1/s..40/s, hold: 30s, max_users: 800 }");
    assert_eq!(search.shape, Shape::Capacity(Range { low: 1.0, high: 40.0 }));
    assert_eq!((search.warm_up_ns, search.load.duration_ns(), search.load.most_users()), (5 * S, 35 * S, 800));
    // 1 → 40 doubles six times: 1 + 6, six halvings to 2 %, and twice the hold.
    assert_eq!(search.planned_ns(), 15 * 35 * S);
    assert_eq!(search.phases(), []);
    let trial = search.trial(12.5, 2);
    assert_eq!((trial.shape, trial.load.stages()), (Shape::Plain, &rungs(&[12.5], 65, 0, 0)[..]));
    let own = profile("{ preset: capacity, arrivals: 60/m..2/s, hold: 10s, warm_up: 1s, spacing: poisson }");
    assert_eq!((own.warm_up_ns, own.load.duration_ns()), (S, 11 * S));
}

#[test]
fn the_command_line_sets_the_hold_of_a_search_and_not_its_rate() {
    let text = FILE.replacen("{ users: 10, for: 10m }", "{ preset: capacity, arrivals: 1/s..4/s, max_users: 9 }", 1);
    let with = |overrides| {
        let mut program = program(&text);
        program.with_overrides(&overrides).map(|()| program.profiles.remove(0).load.duration_ns() / S)
    };
    assert_eq!(with(Overrides { duration_ns: Some(10 * S), ..Overrides::default() }), Ok(15));
    assert_eq!(with(Overrides { time_scale: Some(0.001), ..Overrides::default() }), Ok(3));
    assert!(with(Overrides { users: Some(3), ..Overrides::default() }).is_err_and(|e| e.contains("--users")));
    assert!(with(Overrides { arrivals: Some(3.0), ..Overrides::default() }).is_err_and(|e| e.contains("--arrivals")));
}

#[test]
fn a_capacity_can_be_asked_for() {
    let search = "{ preset: capacity, arrivals: 1/s..4/s, max_users: 9 }";
    let text = FILE.replacen("{ users: 10, for: 10m }", search, 1);
    let asked = program(&text.replacen("{ errors: < 1% }", "{ capacity: \">= 120/m\" }", 1));
    let objective = asked.objectives.iter().find(|o| o.stat == Stat::Capacity).expect("it is there");
    assert_eq!((objective.id.as_str(), objective.limit.value), ("capacity >= 120/m", 2.0));
    let of = "{ of: { target: patient }, capacity: \">= 2/s\" }";
    let mistakes = crate::file::diagnostics(&text.replacen("{ errors: < 1% }", of, 1));
    assert!(mistakes[0].message.contains("of the whole run"), "{mistakes:?}");
}

/// The model file with a second version of its first target.
fn canary(written: &str) -> scenarios::Program {
    let target = "targets:\n";
    let next = format!("{target}  next: {{ url: \"http://127.0.0.1:9\" }}\n");
    let text = FILE.replacen(target, &next, 1).replacen("{ users: 10, for: 10m }", written, 1);
    program(&text)
}

#[test]
fn a_canary_is_a_constant_load_whose_requests_have_twins() {
    let plain = program(FILE);
    let with = canary("{ preset: canary, new: next, old: patient, each: 1m, warm_up: 10s }");
    let profile = &with.profiles[0];
    assert_eq!(profile.shape, Shape::Canary);
    let stages: Vec<_> = profile.load.stages().iter().map(|s| (s.level, s.duration_ns / S)).collect();
    assert_eq!(stages, [(40.0, 70), (40.0, 60), (40.0, 60), (40.0, 60)]);
    let named = |n: &str, from, to| (n.to_owned(), from, to);
    let expected = [named("5%", 10, 70), named("25%", 70, 130), named("50%", 130, 190), named("100%", 190, 250)];
    assert_eq!(phases(profile), expected);
    // Users move when a step begins, and none moves back.
    let on_new = |at_s: u64| (0..40).filter(|user| profile.is_on_new(*user, at_s * S)).count();
    assert_eq!([0, 69, 70, 130, 190, 9_000].map(on_new), [2, 2, 10, 20, 40, 40]);
    let next = with.targets.iter().position(|t| t.name == "next").unwrap();
    let patient = with.targets.iter().position(|t| t.name == "patient").unwrap();
    let own = with.requests.iter().filter(|r| r.target == patient).count();
    let twins: Vec<_> = with.requests.iter().filter(|r| r.target == next).collect();
    assert!(own > 0 && own == twins.len(), "{own} and {}", twins.len());
    for request in with.requests.iter().filter(|r| r.target == patient) {
        let [(0, twin)] = request.twins[..] else { panic!("{:?}", request.twins) };
        let (old, new) = (&with.steps[request.step], &with.steps[with.requests[twin].step]);
        assert_eq!((&old.name, old.journey, Some(request.step)), (&new.name, new.journey, new.twin_of));
    }
    assert_eq!(with.requests.len(), plain.requests.len() + own, "other targets have no twins");
    // What is of everything is of the twins too; what is of the old target is not.
    let everything = with.objectives.iter().find(|o| o.of.is_everything()).expect("the file has one");
    assert!(with.requests.iter().all(|r| everything.of.step_ids.contains(&r.step) || with.steps[r.step].probe));
}

#[test]
fn a_canary_of_other_steps_and_users() {
    let with = canary("{ preset: canary, users: 10, new: next, old: patient, steps: [20%, 100%], each: 10s }");
    assert_eq!(phases(&with.profiles[0]).len(), 2);
    let mut fewer = canary("{ preset: canary, users: 10, new: next, old: patient, steps: [100%], each: 10s }");
    assert_eq!(phases(&fewer.profiles[0]), [("100%".to_owned(), 0, 10)], "a single step is a phase too");
    fewer.with_overrides(&Overrides { users: Some(3), ..Overrides::default() }).expect("it fits");
    assert_eq!(fewer.profiles[0].load.most_users(), 3);
}
