//! A stated rate limit from end to end in virtual time: targets that keep it, that refuse too early, that let through,
//! and runs in which nobody asks fast enough to tell.

use crate::verdict::{JudgedObjective, ObjectiveOutcome, Outcome};
use crate::{judge, junit, render_report, render_result_json, terminal_summary};
use engine::client::answer::Outgoing;
use engine::clock::{MILLISECOND, Nanos};
use engine::run_result::RunResult;
use engine::simulate::{Reply, simulate};
use std::collections::HashMap;
use std::sync::Arc;

/// Ten within the limit, thirty more at once, and a pause; then at the leisurely pace of a request every 150 ms.
const HASTY: &str =
    "[ { repeat: 40, steps: [ GET /a ] }, { think: 2s }, { repeat: 10, steps: [ GET /a, { think: 150ms } ] } ]";
const LEISURELY: &str = "[ GET /a, { think: 110ms..2s } ]";

struct Target {
    /// Requests a second and user, as many at once; none: no limit.
    rate: Option<f64>,
    names_wait: bool,
}

fn play(steps: &str, rule: &str, target: Target) -> RunResult {
    let text = format!(
        "watertight: 1\nname: limited\ntargets: {{ t: 'http://127.0.0.1:1' }}\n\
         roles: {{ u: {{ accounts: {{ count: 5, values: {{ id: 'u-{{{{ index }}}}' }} }} REUSE }} }}\n\
         journeys:\n  j:\n    as: u\n    target: t\n    on_failure: continue\n    headers: {{ x-user: '{{{{ account.id }}}}' }}\n\
         \x20   steps: {steps}\n\
         profiles: {{ p: {{ users: 5, for: 60s }} }}\nsla: [ {{ errors: < 1% }}, {{ {rule} }} ]\n"
    );
    let reuse = if rule.contains("shared") { ", reuse: wrap" } else { "" };
    let text =
        text.replace(" REUSE", reuse).replace("count: 5", if reuse.is_empty() { "count: 5" } else { "count: 1" });
    let source = scenarios::Source { name: "test.yaml".into(), text, folder: ".".into() };
    let rendered = |d: Vec<scenarios::Diagnostic>| scenarios::render(&d, &source, false);
    let (plan, _) = scenarios::parse(&source, &|_| None).map_err(rendered).unwrap_or_else(|text| panic!("{text}"));
    let program = scenarios::compile(&plan).map_err(rendered).unwrap_or_else(|text| panic!("{text}"));
    let mut buckets: HashMap<String, (f64, Nanos)> = HashMap::new();
    let mut answer = |out: &Outgoing, now: Nanos| {
        let mut reply = Reply::ok(20 * MILLISECOND);
        let Some(rate) = target.rate else { return reply };
        let user = String::from_utf8_lossy(out.headers["x-user"].as_bytes()).into_owned();
        let (tokens, last) = buckets.entry(user).or_insert((rate, now));
        *tokens = (*tokens + (now - *last) as f64 / 1e9 * rate).min(rate);
        *last = now;
        if *tokens >= 1.0 {
            *tokens -= 1.0;
            return reply;
        }
        reply.after = Some(MILLISECOND);
        reply.status = 429;
        if target.names_wait {
            reply.headers.insert("retry-after", "1".parse().expect("a header"));
        }
        reply
    };
    simulate(&Arc::new(program), 0, 3, &mut answer).expect("the scenario can be said in HTTP")
}

fn of(result: &RunResult) -> JudgedObjective {
    judge(result, &result.header.objectives).objectives.remove(1)
}

#[test]
fn a_limit_that_is_kept_passes_and_its_refusals_are_no_errors() {
    let result = play(HASTY, "rate_limit: 10/s", Target { rate: Some(10.0), names_wait: true });
    let judged = of(&result);
    assert_eq!((judged.outcome, judged.measured), (ObjectiveOutcome::Pass, Some(10.0)), "{}", judged.reason);
    let totals = result.totals();
    assert!(totals.limited > 100 && totals.failed == 0, "{totals:?}");
    // A refusal after a millisecond would make the answers look quick.
    assert_eq!(result.steps[0].response.min_ns, 20 * MILLISECOND);
    assert_eq!(result.steps[0].response.count(), totals.ok - totals.limited + totals.unfinished);
    let verdict = judge(&result, &result.header.objectives);
    assert_eq!(verdict.outcome, Outcome::Go, "{:?}", verdict.reasons);
    let json: serde_json::Value = serde_json::from_str(&render_result_json(&result, &verdict)).expect("it is JSON");
    assert_eq!(json["objectives"][1]["measured"], 10.0);
    assert_eq!(json["steps"][0]["limited"], totals.limited);
    assert!(terminal_summary(&result, &verdict, false).contains("rate_limit 10/s"));
    assert!(render_report(&result, &verdict).contains("rate_limit 10/s"));
    assert!(junit::render_junit(&result, &verdict).contains("rate_limit 10/s"));
}

#[test]
fn each_way_to_break_it_is_named() {
    let broken = |rate, names_wait| of(&play(HASTY, "rate_limit: 10/s", Target { rate, names_wait }));
    for (judged, said) in [
        (broken(Some(5.0), true), "refused within 10/s, the first of them with 6 requests in 1 s"),
        (broken(None, true), "let through above 10/s; none refused above it"),
        (broken(Some(100.0), true), "let through above 10/s; none refused above it"),
        (broken(Some(10.0), false), "without Retry-After; "),
    ] {
        assert_eq!(judged.outcome, ObjectiveOutcome::Fail, "{said}: {}", judged.reason);
        assert!(judged.reason.contains(said), "{said}: {}", judged.reason);
    }
    let early = play(HASTY, "rate_limit: 10/s", Target { rate: Some(5.0), names_wait: true });
    assert!(early.totals().failed > 0, "a refusal that is not due is an error");
    let bare = play(HASTY, "rate_limit: 10/s", Target { rate: Some(10.0), names_wait: false });
    assert!(bare.totals().failed > 0, "and so is one that does not say how long to wait");
}

#[test]
fn where_nobody_asks_fast_enough_nothing_is_said() {
    let slow = of(&play(LEISURELY, "rate_limit: 10/s", Target { rate: None, names_wait: true }));
    assert_eq!(slow.outcome, ObjectiveOutcome::Inconclusive);
    assert!(slow.reason.contains("nobody asked faster than 10/s"), "{}", slow.reason);
    let between = of(&play(HASTY, "rate_limit: 15/s", Target { rate: None, names_wait: true }));
    assert_eq!(between.outcome, ObjectiveOutcome::Inconclusive);
    assert!(between.reason.contains("none so far above it that it had to be refused"), "{}", between.reason);
    // What was not counted while it ran cannot be judged afterwards.
    let mut result = play(HASTY, "rate_limit: 10/s", Target { rate: Some(10.0), names_wait: true });
    result.header.rate_limits.clear();
    assert!(of(&result).reason.contains("was not counted"), "{}", of(&result).reason);
}

#[test]
fn users_of_one_account_are_not_blamed_on_the_target() {
    let shared = play(HASTY, "rate_limit: 10/s, name: shared", Target { rate: Some(10.0), names_wait: true });
    let judged = of(&shared);
    assert_eq!(judged.outcome, ObjectiveOutcome::Pass, "{}", judged.reason);
    assert!(shared.limits[0].excused > 0 && shared.limits[0].early == 0, "{:?}", shared.limits[0]);
}
