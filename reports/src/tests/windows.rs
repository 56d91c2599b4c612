//! Windows, outages and further statistics: whole profiles in virtual time against targets whose truth is known.

use crate::judge;
use crate::verdict::{JudgedObjective, JudgedWindow, ObjectiveOutcome};
use engine::client::answer::{Ending as Exchange, Outgoing};
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::failure::Transport;
use engine::run_result::RunResult;
use engine::simulate::{Reply, Script, simulate};
use scenarios::Source;
use std::sync::Arc;

/// Plays the profile and judges by these objectives.
fn played(profile: &str, sla: &str, mut script: impl Script) -> (RunResult, Vec<JudgedObjective>) {
    let text = format!(
        "watertight: 1\nname: windows\ntargets: {{ t: {{ url: 'http://127.0.0.1:1', timeout: 4s }} }}\n\
         journeys: {{ j: {{ target: t, steps: [ GET /x ] }} }}\nprofiles: {{ p: {profile} }}\nsla: [ {sla} ]\n"
    );
    let source = Source { name: "test.yaml".into(), text, folder: ".".into() };
    let told = |d: Vec<_>| -> ! { panic!("{}", scenarios::render(&d, &source, false)) };
    let (plan, _) = scenarios::parse(&source, &|_| None).unwrap_or_else(|d| told(d));
    let program = Arc::new(scenarios::compile(&plan).unwrap_or_else(|d| told(d)));
    let result = simulate(&program, 0, 1, &mut script).expect("the scenario can be said in HTTP");
    let objectives = judge(&result, &result.header.objectives).objectives;
    (result, objectives)
}

fn one(profile: &str, sla: &str, script: impl Script) -> JudgedObjective {
    played(profile, sla, script).1.remove(0)
}

/// 10 ms, and 500 ms for what is sent in these seconds.
fn slow_in(from_s: u64, to_s: u64) -> impl Fn(&Outgoing, Nanos) -> Reply {
    move |_, now| Reply::ok(if (from_s * SECOND..to_s * SECOND).contains(&now) { 500 } else { 10 } * MILLISECOND)
}

fn status(status: u16) -> Reply {
    Reply { status, ..Reply::ok(10 * MILLISECOND) }
}

fn windows(judged: &JudgedObjective) -> &[JudgedWindow] {
    &judged.windows.as_ref().expect("it has windows").all
}

const STEADY: &str = "{ arrivals: 20/s, for: 60s }";

#[test]
fn a_slow_stretch_that_the_whole_run_hides_fails_its_window() {
    let sla = "{ p95: < 100ms, each: 10s }, { p75: < 100ms }";
    let (_, judged) = played(STEADY, sla, slow_in(20, 30));
    assert_eq!(judged[1].outcome, ObjectiveOutcome::Pass, "a sixth of all is slow: {}", judged[1].reason);
    let [first, ..] = judged.as_slice() else { unreachable!() };
    let outcomes: Vec<_> = windows(first).iter().map(|w| (w.from_s, w.to_s, w.n, w.outcome)).collect();
    use ObjectiveOutcome::{Fail, Pass};
    // What was sent in the half second before the end of the slow stretch is answered in the next window.
    let expected = [
        (0.0, 10.0, 200, Pass),
        (10.0, 20.0, 200, Pass),
        (20.0, 30.0, 190, Fail),
        (30.0, 40.0, 210, Pass),
        (40.0, 50.0, 200, Pass),
        (50.0, 60.0, 200, Pass),
    ];
    let shown = format!("{outcomes:?}: {}", first.reason);
    assert_eq!(outcomes.iter().map(|w| w.3).collect::<Vec<_>>(), expected.map(|w| w.3), "{shown}");
    assert_eq!(outcomes.iter().map(|w| w.2).sum::<u64>(), 1200, "{shown}");
    assert_eq!(first.outcome, Fail);
    assert!(first.reason.starts_with("held in 5 of 6 windows of 10 s; the worst, 20 s – 30 s, had p95 "), "{shown}");
    assert!((first.measured.expect("a figure") / 5e8 - 1.0).abs() < 0.01, "{shown}");
}

#[test]
fn a_share_of_the_windows_may_be_asked_for() {
    let of = |share: &str| one(STEADY, &format!("{{ p95: < 100ms, each: 10s, share: {share} }}"), slow_in(20, 30));
    assert_eq!(of("80%").outcome, ObjectiveOutcome::Pass, "five of six");
    let strict = of("90%");
    assert_eq!(strict.outcome, ObjectiveOutcome::Fail);
    assert!(strict.reason.contains("; 90% of them have to hold"), "{}", strict.reason);
}

#[test]
fn windows_with_too_few_samples_are_merged() {
    let judged = one("{ arrivals: 2/s, for: 100s }", "{ p95: < 100ms, each: 10s }", slow_in(900, 901));
    let spans: Vec<_> = windows(&judged).iter().map(|w| (w.from_s, w.to_s, w.n)).collect();
    // p95 needs 59: three windows of 20; the rest is no window of its own.
    assert_eq!(spans, [(0.0, 30.0, 60), (30.0, 60.0, 60), (60.0, 100.0, 80)], "{}", judged.reason);
    assert_eq!(judged.outcome, ObjectiveOutcome::Pass);
    assert!(judged.reason.contains("3 merged to hold enough samples"), "{}", judged.reason);
    let few = one("{ arrivals: 2/s, for: 20s }", "{ p95: < 100ms, each: 10s }", slow_in(900, 901));
    assert_eq!(few.outcome, ObjectiveOutcome::Inconclusive, "no data is never a pass: {}", few.reason);
    assert!(few.reason.contains("p95 needs at least 59"), "{}", few.reason);
}

#[test]
fn errors_and_rates_have_windows_too() {
    let failing = |_: &Outgoing, now: Nanos| if now / SECOND == 25 { status(503) } else { status(200) };
    let judged = one("{ arrivals: 40/s, for: 60s }", "{ errors: < 2%, each: 10s }", failing);
    assert_eq!(judged.outcome, ObjectiveOutcome::Fail, "{}", judged.reason);
    assert!(judged.reason.contains("the worst, 20 s – 30 s, had errors 10%"), "{}", judged.reason);
    let silent = |_: &Outgoing, now: Nanos| Reply {
        after: (!(20..24).contains(&(now / SECOND))).then_some(10 * MILLISECOND),
        ..status(200)
    };
    let rate = one("{ users: 5, for: 40s }", "{ rate: \">= 50/s\", each: 2s }", silent);
    let missed: Vec<_> =
        windows(&rate).iter().filter(|w| w.outcome == ObjectiveOutcome::Fail).map(|w| w.from_s).collect();
    assert_eq!(missed, [20.0, 22.0], "nothing is answered while the users wait: {}", rate.reason);
    assert_eq!(rate.measured, Some(0.0));
}

#[test]
fn a_tighter_limit_warns_by_window() {
    let sla = "{ p95: < 1s, each: 10s, warn: { p95: < 100ms } }";
    let judged = one(STEADY, sla, slow_in(20, 30));
    assert_eq!(judged.outcome, ObjectiveOutcome::Warn, "{}", judged.reason);
    assert!(judged.reason.starts_with("misses the warning limit < 100ms: held in 5 of 6"), "{}", judged.reason);
}

fn refused_in(from_s: u64, to_s: u64) -> impl Fn(&Outgoing, Nanos) -> Reply {
    move |_, now| {
        let mut reply = status(200);
        if (from_s..to_s).contains(&(now / SECOND)) {
            reply.ending = Exchange::Failed(Transport::Refused);
        }
        reply
    }
}

#[test]
fn an_outage_lasts_from_the_first_bad_second_to_the_first_good_one() {
    let sla = "{ uptime: \">= 99%\" }, { longest_outage: < 5s }, { uptime: \">= 85%\" }, { longest_outage: < 9s }";
    let (_, judged) = played("{ arrivals: 10/s, for: 60s }", sla, refused_in(20, 28));
    let outcomes: Vec<_> = judged.iter().take(4).map(|o| (o.outcome, o.measured)).collect();
    let near = |measured: Option<f64>, truth: f64| (measured.expect("a figure") - truth).abs() < truth * 0.01;
    assert!(near(outcomes[0].1, 52.0 / 60.0) && near(outcomes[1].1, 8e9), "{outcomes:?}");
    use ObjectiveOutcome::{Fail, Pass};
    assert_eq!(outcomes.iter().map(|o| o.0).collect::<Vec<_>>(), [Fail, Fail, Pass, Pass]);
    assert_eq!(judged[0].reason, "down for 8 s of 1 min in 1 outage; the longest, from 20 s on, took 8 s");
    let none = one("{ arrivals: 10/s, for: 60s }", "{ uptime: \">= 99%\" }", refused_in(90, 91));
    assert_eq!(none.reason, "no outage in 1 min: with 95% confidence the mean time between failures is at least 20 s");
}

#[test]
fn recovery_counts_from_the_end_of_the_spike() {
    let spike =
        "{ stages: [ { arrivals: 20/s, for: 20s }, { arrivals: 60/s, for: 10s }, { arrivals: 20/s, for: 30s } ] }";
    let of = |sla: &str, until: u64| one(spike, sla, refused_in(22, until));
    let fast = of("{ recovery: < 10s }", 34);
    assert_eq!((fast.outcome, fast.measured), (ObjectiveOutcome::Pass, Some(4e9)), "{}", fast.reason);
    assert_eq!(fast.reason, "well 4 s after the end of 60 arrivals/s");
    let slow = of("{ recovery: < 10s }", 45);
    assert_eq!((slow.outcome, slow.measured), (ObjectiveOutcome::Fail, Some(15e9)), "{}", slow.reason);
    let never = of("{ recovery: < 1m }", 60);
    assert_eq!(never.outcome, ObjectiveOutcome::Inconclusive, "{}", never.reason);
    let late = one(spike, "{ recovery: < 5s }, { p90: < 100ms }", slow_in(22, 42));
    assert_eq!(late.outcome, ObjectiveOutcome::Fail, "slow is not well: {}", late.reason);
    let no_spike = one(STEADY, "{ recovery: < 5s }", slow_in(900, 901));
    assert_eq!(no_spike.outcome, ObjectiveOutcome::Inconclusive, "{}", no_spike.reason);
}

#[test]
fn connections_arrivals_and_iterations_are_counted() {
    let open = "{ arrivals: 20/s, for: 60s, max_users: 4 }";
    // A user takes every eighth arrival, of 50 ms each: 10 a second are served of 20.
    let busy = |_: &Outgoing, _: Nanos| Reply::ok(390 * MILLISECOND);
    let sla = "{ dropped: < 10% }, { iterations: \">= 9/s\" }, { service_p95: < 450ms }, { dropped: < 60%, each: 10s }, { iterations: \">= 9/s\", each: 10s }";
    let (_, judged) = played(open, sla, busy);
    let shown: Vec<_> = judged.iter().map(|o| (&o.id, o.outcome, o.measured, &o.reason)).collect();
    use ObjectiveOutcome::{Fail, Pass};
    let outcomes: Vec<_> = judged.iter().take(5).map(|o| o.outcome).collect();
    assert_eq!(outcomes, [Fail, Pass, Pass, Pass, Pass], "{shown:#?}");
    assert!((judged[0].measured.expect("a figure") - 0.5).abs() < 0.02, "{shown:#?}");
    let closed = one("{ users: 2, for: 20s }", "{ dropped: < 10% }", busy);
    assert_eq!(closed.outcome, ObjectiveOutcome::Inconclusive, "{}", closed.reason);
}
