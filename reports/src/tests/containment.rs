//! Containment from end to end in virtual time: a target that lets the faults of some users reach the others, one that
//! does not, and runs that are too short to tell.

use crate::verdict::{JudgedObjective, ObjectiveOutcome, Outcome};
use crate::{judge, render_report, render_result_json, terminal_summary};
use engine::client::answer::Outgoing;
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::run_result::{HealthyBlock, RunResult};
use engine::simulate::{Reply, simulate};
use std::sync::Arc;

fn play(profile: &str, sla: &str, mut script: impl FnMut(&Outgoing, Nanos) -> Reply) -> RunResult {
    let text = format!(
        "watertight: 1\nname: contained\ntargets: {{ t: 'http://127.0.0.1:1' }}\n\
         journeys: {{ j: {{ target: t, steps: [ GET /a, {{ think: 500ms..1500ms }} ] }} }}\n\
         profiles: {{ p: {{ {profile} }} }}\nsla:\n  - errors: < 50%\n{sla}"
    );
    let source = scenarios::Source { name: "test.yaml".into(), text, folder: ".".into() };
    let rendered = |d: Vec<scenarios::Diagnostic>| scenarios::render(&d, &source, false);
    let (plan, _) = scenarios::parse(&source, &|_| None).map_err(rendered).unwrap_or_else(|text| panic!("{text}"));
    let program = scenarios::compile(&plan).map_err(rendered).unwrap_or_else(|text| panic!("{text}"));
    simulate(&Arc::new(program), 0, 3, &mut script).expect("the scenario can be said in HTTP")
}

const LONG: &str = "users: 20, warm_up: 10s, for: 410s, faults: { abandon: { chance: 30%, after: 1ms..5ms } }";
const BOTH: &str = "  - containment: { errors: < 1pp, mean: < 20% }\n";

/// Answers in 20 ms; for a second after each request that is given up in 60 ms, and every tenth not at all.
fn spreads() -> impl FnMut(&Outgoing, Nanos) -> Reply {
    let (mut sick_until, mut count, mut well) = (0, 0_u32, contains());
    move |out, now| {
        count += 1;
        if out.orders.abandon.is_some() {
            sick_until = now + SECOND;
        }
        match now < sick_until {
            true if count.is_multiple_of(10) => Reply { status: 503, ..Reply::ok(5 * MILLISECOND) },
            true => Reply::ok(60 * MILLISECOND),
            false => well(out, now),
        }
    }
}

/// One in a hundred fails, whatever the others do; some are slow.
fn contains() -> impl FnMut(&Outgoing, Nanos) -> Reply {
    let mut chance = crate::synthetic::Chance(5);
    move |_, _| match chance.next() % 100 {
        0 => Reply { status: 503, ..Reply::ok(5 * MILLISECOND) },
        other => Reply::ok((15 + other % 10) * MILLISECOND),
    }
}

fn of(result: &RunResult) -> Vec<JudgedObjective> {
    let judged = judge(result, &result.header.objectives).objectives;
    judged.into_iter().filter(|o| o.id.starts_with("containment")).collect()
}

#[test]
fn a_target_that_spreads_the_harm_fails() {
    let result = play(LONG, BOTH, spreads());
    let judged = of(&result);
    let ids: Vec<&str> = judged.iter().map(|o| o.id.as_str()).collect();
    assert_eq!(ids, ["containment errors < 1pp", "containment mean < 20%"]);
    for one in &judged {
        assert_eq!(one.outcome, ObjectiveOutcome::Fail, "{}", one.reason);
        assert!(one.measured > Some(one.limit.value) && one.interval.is_some() && one.n > 3500, "{one:?}");
    }
    let verdict = judge(&result, &result.header.objectives);
    assert_eq!(verdict.outcome, Outcome::NoGo);
    assert!(terminal_summary(&result, &verdict, false).contains("containment: "));
    assert!(render_report(&result, &verdict).contains("Containment"));
    let json: serde_json::Value = serde_json::from_str(&render_result_json(&result, &verdict)).expect("it is JSON");
    let seen = &json["isolation"]["containment"];
    assert_eq!((seen["declared"].as_bool(), seen["on"]["blocks"].as_u64()), (Some(true), Some(10)));
    assert!(seen["on"]["mean_ms"].as_f64() > seen["off"]["mean_ms"].as_f64(), "{seen}");
}

#[test]
fn a_target_that_contains_it_passes() {
    let result = play(LONG, BOTH, contains());
    assert!(result.faults.abandon > 20, "{:?}", result.faults);
    for one in of(&result) {
        assert_eq!(one.outcome, ObjectiveOutcome::Pass, "{}", one.reason);
    }
}

#[test]
fn faults_come_in_their_blocks_and_nowhere_else() {
    let (mut given_up, mut well) = (Vec::new(), contains());
    let result = play(LONG, BOTH, |out, now| {
        given_up.extend(out.orders.abandon.map(|_| now));
        well(out, now)
    });
    let header = result.header.containment.as_ref().expect("it was declared");
    assert_eq!((header.faulty + header.healthy, header.blocks.len()), (20, 20));
    assert_eq!(header.blocks.iter().filter(|b| b.on).count(), 10);
    let is_on = |now: &Nanos| {
        let wash_out = 5 * SECOND;
        header.blocks.iter().any(|b| b.on && (b.from_ns - wash_out..b.to_ns).contains(now))
    };
    assert!(given_up.len() > 100 && given_up.iter().all(is_on));
    // Healthy users ask about once a second, in 300 of 400 seconds.
    let requests: u64 = result.healthy.iter().map(HealthyBlock::requests).sum();
    let expected = header.healthy as u64 * 300;
    assert!((expected * 9 / 10..expected * 11 / 10).contains(&requests), "{requests} of about {expected}");
}

#[test]
fn too_little_is_inconclusive_and_says_what_is_needed() {
    let short = play(&LONG.replace("410s", "100s"), BOTH, spreads());
    for one in of(&short) {
        assert_eq!(one.outcome, ObjectiveOutcome::Inconclusive);
        assert!(one.reason.contains("10 of each are needed, 6 min 40 s of load"), "{}", one.reason);
    }
    let few = play(&LONG.replace("users: 20", "users: 4"), BOTH, spreads());
    for one in of(&few) {
        assert_eq!(one.outcome, ObjectiveOutcome::Inconclusive);
        assert!(one.reason.contains("of healthy users, and each needs 50"), "{}", one.reason);
    }
}

#[test]
fn what_nobody_asked_for_is_only_shown() {
    let cohort = LONG.replace("abandon:", "cohort: 20%, abandon:");
    let shown = play(&cohort, "", spreads());
    let verdict = judge(&shown, &shown.header.objectives);
    assert_eq!((verdict.outcome, of(&shown).len()), (Outcome::Go, 0), "{:?}", verdict.reasons);
    assert!(terminal_summary(&shown, &verdict, false).contains("containment: "));
    // Without blocks the cohort suffers all the time, and without a cohort everybody does.
    let short = play(&cohort.replace("410s", "100s"), "", contains());
    let everybody = play(&LONG.replace("410s", "100s"), "", contains());
    assert_eq!(everybody.header.containment, None);
    assert!(short.header.containment.as_ref().is_some_and(|c| c.blocks.is_empty()));
    assert!(short.faults.abandon > 50 && everybody.faults.abandon > 3 * short.faults.abandon);
}
