//! The flow of a journey in virtual time: attempts, polls, paces, lists, `before` again, ends before the end.

use super::{assert_laws, play};
use engine::client::answer::{Ending as Exchange, Outgoing};
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::failure::Transport;
use engine::run_result::{Ending, RunResult};
use engine::simulate::Reply;

/// A journey with these steps (indented by six), more keys of the journey, and a profile.
fn scenario(steps: &str, journey: &str, profile: &str) -> String {
    format!(
        "watertight: 1\nname: flow\ntargets: {{ t: {{ url: 'http://127.0.0.1:1', timeout: 5s }} }}\n\
         journeys:\n  j:\n    target: t\n{journey}    steps:\n{steps}profiles: {{ p: {profile} }}\n"
    )
}

fn steps(steps: &str, profile: &str) -> String {
    scenario(steps, "", profile)
}

fn status(status: u16, after: Nanos) -> Reply {
    Reply { status, ..Reply::ok(after) }
}

fn json(body: &str, after: Nanos) -> Reply {
    Reply { body: body.as_bytes().to_vec(), ..Reply::ok(after) }
}

/// Plays, and answers with the times at which each path was sent, in seconds.
fn timed(text: &str, mut answer: impl FnMut(&str, Nanos) -> Reply) -> (RunResult, Vec<(String, f64)>) {
    let mut log = Vec::new();
    let result = play(text, 1, |request: &Outgoing, now: Nanos| {
        let path = request.uri.to_string();
        log.push((path.clone(), now as f64 / SECOND as f64));
        answer(&path, now)
    });
    assert_laws(&result);
    (result, log)
}

/// When it was sent, to a hundredth of a second: users that begin together begin a moment after each other.
fn sent(log: &[(String, f64)], path: &str) -> Vec<f64> {
    log.iter().filter(|(p, _)| p == path).map(|(_, at)| (at * 100.0).round() / 100.0).collect()
}

fn count(result: &RunResult, name: &str) -> engine::run_result::Counts {
    let at = result.header.steps.iter().position(|s| s.name == name).expect("the step is there");
    result.steps[at].counts
}

fn errors(result: &RunResult) -> Vec<(String, u64)> {
    result.errors.iter().map(|e| (e.kind.clone(), e.count)).collect()
}

#[test]
fn each_attempt_is_a_sample_and_the_last_one_decides() {
    let text = steps(
        "      - GET /a: { retry: { on: [503], times: 2, wait: 1s } }\n      - GET /b\n      - think: 100s\n",
        "{ users: 1, for: 50s }",
    );
    let mut tries = 0;
    let (result, log) = timed(&text, |path, _| {
        tries += u32::from(path == "/a");
        if path == "/a" && tries < 3 { status(503, SECOND / 2) } else { Reply::ok(SECOND / 2) }
    });
    // Half a second each, a second in between, and on without a pause.
    assert_eq!(sent(&log, "/a"), [0.0, 1.5, 3.0]);
    assert_eq!(sent(&log, "/b"), [3.5]);
    let a = count(&result, "GET /a");
    assert_eq!((a.planned, a.ok, a.failed), (3, 1, 2));
    assert_eq!(errors(&result), [("status 503".to_owned(), 2)]);
    // A retry is due when its wait is over: what came before is none of its time.
    assert_eq!(result.steps[0].response.max_ns, SECOND / 2);
}

#[test]
fn attempts_come_to_an_end_and_then_the_user_gives_up() {
    let text =
        steps("      - GET /a: { retry: { on: 5xx, times: 3, wait: 0s } }\n      - GET /b\n", "{ users: 1, for: 1s }");
    let (result, log) = timed(&text, |_, _| status(500, SECOND / 10));
    assert_eq!(log.len(), 4, "{log:?}");
    assert_eq!((result.iterations.started, result.iterations.gave_up), (1, 1));
    assert_eq!(count(&result, "GET /b").planned, 0);
}

#[test]
fn what_is_not_named_is_not_tried_again() {
    for (on, reply, tries) in [
        ("[503]", status(500, 0), 1),
        ("[connection]", status(500, 0), 1),
        ("[connection]", Reply { ending: Exchange::Failed(Transport::Refused), ..Reply::ok(0) }, 2),
        ("[timeout]", Reply { ending: Exchange::Failed(Transport::Refused), ..Reply::ok(0) }, 1),
        ("[timeout]", Reply { after: None, ..Reply::ok(0) }, 2),
        ("[200]", Reply::ok(0), 2),
    ] {
        let text = steps(
            &format!("      - GET /a: {{ retry: {{ on: {on} }} }}\n      - think: 1h\n"),
            "{ users: 1, for: 500ms }",
        );
        // The user that gives up waits a second, so one iteration is all there is.
        let (result, _) = timed(&text.replace("for: 500ms", "for: 500ms, graceful_stop: 20s"), |_, _| reply.clone());
        assert_eq!(count(&result, "GET /a").planned, tries, "{on} {reply:?}");
    }
}

#[test]
fn a_pace_is_kept_from_start_to_start_and_never_drifts() {
    let text = steps("      - pace: 10s\n      - GET /a\n", "{ users: 1, for: 60s }");
    let mut calls = 0;
    let (result, log) = timed(&text, |_, _| {
        calls += 1;
        Reply::ok(calls * SECOND / 2)
    });
    assert_eq!(sent(&log, "/a"), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
    assert_eq!(result.iterations.completed, 6);
    // An iteration that overran is followed at once, and the pace counts from there.
    let mut calls = 0;
    let (result, log) = timed(&text, |_, _| {
        calls += 1;
        Reply { after: Some(if calls == 2 { 4 * SECOND + SECOND / 2 } else { SECOND }), ..Reply::ok(0) }
    });
    assert_eq!(sent(&log, "/a"), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
    let slow = text.replace("timeout: 5s", "timeout: 50s");
    let mut calls = 0;
    let (_, log) = timed(&slow, |_, _| {
        calls += 1;
        Reply::ok(if calls == 2 { 13 * SECOND } else { SECOND })
    });
    assert_eq!(sent(&log, "/a"), [0.0, 10.0, 23.0, 33.0, 43.0, 53.0]);
    assert_eq!(result.steps[0].response.max_ns, 4 * SECOND + SECOND / 2, "the wait for the pace is nobody's time");
}

#[test]
fn each_item_of_a_list_has_its_turn() {
    let text = steps(
        "      - GET /panel: { save: { panel: '$.ids', none: '$.none' } }\n      - for_each: panel\n        as: id\n        steps:\n          - for_each: [1, 2]\n            steps: [ 'GET /p/{{ id }}/{{ item }}' ]\n      - for_each: none\n        steps: [ GET /never ]\n      - GET /end\n      - think: 1h\n",
        "{ users: 1, for: 1s }",
    );
    let (result, log) =
        timed(&text, |path, _| if path == "/panel" { json(r#"{"ids":["x","y"],"none":[]}"#, 0) } else { Reply::ok(0) });
    let paths: Vec<&str> = log.iter().map(|(p, _)| p.as_str()).collect();
    assert_eq!(paths, ["/panel", "/p/x/1", "/p/x/2", "/p/y/1", "/p/y/2", "/end"]);
    assert_eq!(result.totals().failed, 0);
}

#[test]
fn what_is_no_list_or_too_long_a_list_ends_the_iteration_by_name() {
    let text = steps(
        "      - GET /panel: { save: { panel: '$.ids' } }\n      - for_each: panel\n        steps: [ GET /x ]\n",
        "{ users: 1, for: 500ms }",
    );
    let long = format!(r#"{{"ids":[{}1]}}"#, "1,".repeat(100_000));
    for body in [r#"{"ids":7}"#, long.as_str()] {
        let (result, _) = timed(&text, |_, _| json(body, 0));
        assert_eq!(count(&result, "GET /x").planned, 0);
        assert_eq!((result.iterations.gave_up, result.iterations.started), (1, 1));
        assert_eq!(errors(&result), [("scenario: expression failed".to_owned(), 1)]);
    }
}

#[test]
fn a_poll_tries_at_its_due_times_until_it_is_there() {
    let text = steps(
        "      - poll: GET /job\n        every: 2s\n        within: 20s\n        until: state == 'done'\n        save: { state: $.state, url: { json: $.url, default: none } }\n      - GET /end\n      - think: 1h\n",
        "{ users: 1, for: 30s }",
    );
    let (result, log) = timed(&text, |path, now| match path {
        "/job" if now < 3 * SECOND => status(404, SECOND / 2),
        "/job" if now < 7 * SECOND => json(r#"{"state":"busy"}"#, SECOND / 2),
        _ => json(r#"{"state":"done","url":"u"}"#, SECOND / 2),
    });
    assert_eq!(sent(&log, "/job"), [0.0, 2.0, 4.0, 6.0, 8.0]);
    assert_eq!(sent(&log, "/end"), [8.5]);
    let tries = count(&result, "GET /job");
    // Not there yet is no failure of the target.
    assert_eq!((tries.planned, tries.ok, tries.failed), (5, 5, 0));
    assert_eq!(result.steps[0].response.max_ns, SECOND / 2);
}

#[test]
fn a_slow_try_is_not_followed_by_a_burst() {
    let text = steps("      - poll: GET /job\n        every: 1s\n      - think: 1h\n", "{ users: 1, for: 30s }");
    let (_, log) = timed(&text, |_, now| match now / SECOND {
        0 => status(404, 3 * SECOND + SECOND / 2),
        4 => status(404, SECOND),
        5 => status(404, SECOND / 2),
        _ => Reply::ok(0),
    });
    assert_eq!(sent(&log, "/job"), [0.0, 4.0, 5.0, 6.0]);
}

#[test]
fn a_poll_that_finds_nothing_in_time_fails_by_name() {
    let text = steps(
        "      - poll: GET /job\n        every: 1s\n        within: 3s\n      - GET /end\n",
        "{ users: 1, for: 4s, graceful_stop: 0s }",
    );
    let (result, log) = timed(&text, |_, _| status(404, SECOND / 10));
    assert_eq!(sent(&log, "/job"), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(errors(&result), [("not there within 3s".to_owned(), 1)]);
    let tries = count(&result, "GET /job");
    assert_eq!((tries.ok, tries.failed), (3, 1));
    assert_eq!(result.iterations.gave_up, 1);
    // An answer that comes after the end is too late, broken answers are failures, and neither ends the polling.
    let (result, _) = timed(&text, |_, now| if now < 3 * SECOND { status(500, 0) } else { Reply::ok(SECOND / 2) });
    assert_eq!(errors(&result), [("status 500".to_owned(), 3), ("not there within 3s".to_owned(), 1)]);
    let (result, _) = timed(&text, |_, _| Reply { ending: Exchange::Failed(Transport::Reset), ..Reply::ok(0) });
    assert_eq!(errors(&result), [("connection reset".to_owned(), 3), ("not there within 3s".to_owned(), 1)]);
    let (result, log) = timed(&text.replace("GET /job\n", "GET /job\n        on_failure: continue\n"), |path, _| {
        status(if path == "/job" { 404 } else { 200 }, 0)
    });
    assert_eq!(sent(&log, "/end"), [3.0]);
    assert_eq!(result.iterations.gave_up, 0);
}

#[test]
fn before_is_played_again_when_it_is_old() {
    let text = scenario(
        "      - GET /a\n      - think: 4s\n",
        "    before: { steps: [ POST /in ], again: 10s }\n",
        "{ users: 1, for: 30s }",
    );
    let (result, log) = timed(&text, |_, _| Reply::ok(0));
    // Iterations at 0, 4, 8, 12, 16, 20, 24, 28: `before` is ten seconds old at 12, and again at 24.
    assert_eq!(sent(&log, "/in"), [0.0, 12.0, 24.0]);
    assert_eq!(sent(&log, "/a").len(), 8);
    assert_eq!(result.iterations.completed, 8);
}

fn expiring(profile: &str) -> String {
    scenario(
        "      - GET /a\n      - GET /b\n      - think: 4s\n",
        "    before:\n      steps: [ { POST /in: { save: { token: $.token } } } ]\n      on_status: 401\n",
        profile,
    )
}

#[test]
fn a_step_that_is_told_to_log_in_does_so_and_comes_back() {
    // A token lasts for ten seconds.
    let mut issued = 0;
    let (result, log) = timed(&expiring("{ users: 1, for: 24s }"), |path, now| {
        if path == "/in" {
            issued = now;
            return json(r#"{"token":"t"}"#, 0);
        }
        if path == "/b" && now >= issued + 10 * SECOND { status(401, 0) } else { Reply::ok(0) }
    });
    assert_eq!(sent(&log, "/in"), [0.0, 12.0]);
    assert_eq!(sent(&log, "/b"), [0.0, 4.0, 8.0, 12.0, 12.0, 16.0, 20.0]);
    assert_eq!(sent(&log, "/a").len(), 6, "only the step itself is repeated");
    assert_eq!((result.iterations.started, result.iterations.completed), (6, 6));
    assert_eq!(count(&result, "GET /b").failed, 1, "the refused attempt is a sample too");
}

#[test]
fn a_step_is_repeated_once_and_a_failed_before_is_tried_again_at_the_next_iteration() {
    let (result, log) = timed(&expiring("{ users: 1, for: 900ms }"), |path, _| match path {
        "/in" => json(r#"{"token":"t"}"#, 0),
        "/a" => Reply::ok(0),
        _ => status(401, 0),
    });
    let paths: Vec<&str> = log.iter().map(|(p, _)| p.as_str()).collect();
    assert_eq!(paths, ["/in", "/a", "/b", "/in", "/b"]);
    assert_eq!((result.iterations.gave_up, result.iterations.failed_before), (1, 0));
    // The second log-in fails: the iteration is given up, and the next one starts with logging in.
    let mut logins = 0;
    let (result, log) = timed(&expiring("{ users: 1, for: 1900ms }"), |path, now| match path {
        "/in" => {
            logins += 1;
            if logins == 2 { status(500, 0) } else { json(r#"{"token":"t"}"#, 0) }
        }
        "/b" if now < SECOND => status(401, 0),
        _ => Reply::ok(0),
    });
    let paths: Vec<&str> = log.iter().map(|(p, _)| p.as_str()).collect();
    assert_eq!(paths, ["/in", "/a", "/b", "/in", "/in", "/a", "/b"]);
    assert_eq!((result.iterations.started, result.iterations.completed, result.iterations.failed_before), (2, 1, 1));
}

#[test]
fn stopping_an_iteration_completes_it() {
    let text = steps(
        "      - GET /a\n      - if: user.iteration == 0\n        then: [ stop: iteration ]\n      - GET /b\n      - think: 10s\n",
        "{ users: 1, for: 5s }",
    );
    let (result, log) = timed(&text, |_, _| Reply::ok(SECOND));
    let paths: Vec<&str> = log.iter().map(|(p, _)| p.as_str()).collect();
    assert_eq!(paths, ["/a", "/a", "/b"]);
    assert_eq!((result.iterations.completed, result.iterations.gave_up), (2, 0));
    assert_eq!(result.ending, Ending::Finished);
}

#[test]
fn a_user_that_stops_goes_for_good_and_says_goodbye() {
    let text =
        steps("      - GET /a\n      - if: user.index < 2\n        then: [ stop: user ]\n", "{ users: 3, for: 5s }")
            .replace("profiles:", "    after: [ GET /bye ]\nprofiles:");
    let (result, log) = timed(&text, |_, _| Reply::ok(SECOND));
    assert_eq!(sent(&log, "/a").len(), 2 + 5);
    assert_eq!(sent(&log, "/bye"), [1.0, 1.0, 5.0]);
    assert_eq!(result.iterations.completed, 7);
    // In an open load somebody else sits down: nothing is dropped.
    let open =
        text.replace("users: 3, for: 5s", "arrivals: 1/s, for: 10s, max_users: 1").replace("Reply::ok(SECOND)", "");
    let (result, log) = timed(&open, |_, _| Reply::ok(SECOND / 10));
    assert_eq!((result.dropped, sent(&log, "/a").len(), sent(&log, "/bye").len()), (0, 10, 10));
}

#[test]
fn stopping_the_run_ends_it_at_once_and_says_who_asked() {
    let text = steps(
        "      - GET /a\n      - if: user.index == 1 && user.iteration == 2\n        then: [ stop: run ]\n      - think: 7s\n",
        "{ users: 3, for: 10m }",
    );
    let (result, _) = timed(&text, |_, _| Reply::ok(SECOND));
    let Ending::Stopped(who) = &result.ending else { panic!("{:?}", result.ending) };
    assert_eq!(who, "user 1 came to `stop: run` in the journey `j`");
    assert_eq!((result.iterations.started, result.iterations.completed, result.iterations.cut), (9, 7, 2));
    assert!((17.0..=18.0).contains(&result.duration_s), "{}", result.duration_s);
}

#[test]
fn a_failure_ends_the_iteration_unless_step_group_or_journey_go_on() {
    let played = |steps_text: &str, journey: &str| {
        let text = scenario(steps_text, journey, "{ users: 1, for: 500ms }");
        let (result, log) = timed(&text, |path, _| if path == "/end" { Reply::ok(SECOND) } else { status(500, 0) });
        (log.iter().any(|(p, _)| p == "/end"), result.iterations.gave_up)
    };
    let end = "      - GET /end\n";
    assert_eq!(played(&format!("      - GET /a\n{end}"), ""), (false, 1));
    assert_eq!(played(&format!("      - GET /a: {{ on_failure: continue }}\n{end}"), ""), (true, 0));
    assert_eq!(
        played(
            &format!("      - group: g\n        on_failure: continue\n        steps: [ GET /a, GET /b ]\n{end}"),
            ""
        ),
        (true, 0)
    );
    assert_eq!(played(&format!("      - GET /a\n{end}"), "    on_failure: continue\n"), (true, 0));
    assert_eq!(
        played(
            &format!("      - group: g\n        on_failure: give_up\n        steps: [ GET /a ]\n{end}"),
            "    on_failure: continue\n"
        ),
        (false, 1)
    );
    assert_eq!(
        played(end, "    on_failure: continue\n    before: [ GET /in ]\n"),
        (false, 1),
        "a failed `before` is no start"
    );
}

#[test]
fn the_pause_after_a_failure_doubles_between_its_bounds() {
    let text = scenario("      - GET /a\n", "    after_failure: 500ms..3s\n", "{ users: 1, for: 12s }");
    let (_, log) = timed(&text, |_, _| status(500, 0));
    assert_eq!(sent(&log, "/a"), [0.0, 0.5, 1.5, 3.5, 6.5, 9.5]);
    let fixed = scenario("      - GET /a\n", "    after_failure: 2s\n", "{ users: 1, for: 7s }");
    let (_, log) = timed(&fixed, |_, now| status(if now == 4 * SECOND { 200 } else { 500 }, MILLISECOND));
    assert_eq!(sent(&log, "/a").len(), 4);
}

#[test]
fn branches_go_out_at_one_time_and_the_latest_end_counts() {
    let text = steps(
        "      - parallel:\n          - GET /a: { save: { here: $.a } }\n          - GET /b: { save: { there: $.b } }\n          - GET /c\n      - GET /end/{{ here }}/{{ there }}\n      - think: 1h\n",
        "{ users: 1, for: 1s, graceful_stop: 20s }",
    );
    let (result, log) = timed(&text, |path, _| match path {
        "/a" => json(r#"{"a":1}"#, 3 * SECOND),
        "/b" => json(r#"{"b":2}"#, SECOND),
        _ => Reply::ok(2 * SECOND),
    });
    assert_eq!((sent(&log, "/a"), sent(&log, "/b"), sent(&log, "/c")), (vec![0.0], vec![0.0], vec![0.0]));
    assert_eq!(sent(&log, "/end/1/2"), [3.0], "what follows is due at the latest end");
    let longest: Vec<u64> = result.steps.iter().map(|s| s.response.max_ns / SECOND).collect();
    assert_eq!(longest, [3, 1, 2, 2], "each branch has its own time");
}

#[test]
fn the_first_failure_in_the_file_decides_after_all_have_ended() {
    let text = |b: &str| {
        steps(
            &format!("      - parallel: [ GET /a, {{ GET /b: {{ {b} }} }} ]\n      - GET /end\n      - think: 1h\n"),
            "{ users: 1, for: 900ms, graceful_stop: 20s }",
        )
    };
    let play = |text: &str, a: u16, b: u16| {
        let (result, log) = timed(text, |path, _| match path {
            "/a" => status(a, SECOND / 2),
            "/b" => status(b, SECOND / 4),
            _ => Reply::ok(0),
        });
        (sent(&log, "/end"), result.iterations.gave_up, result.totals().failed)
    };
    assert_eq!(play(&text("timeout: 5s"), 200, 200), (vec![0.5], 0, 0));
    assert_eq!(play(&text("timeout: 5s"), 200, 500), (vec![], 1, 1));
    assert_eq!(play(&text("timeout: 5s"), 500, 500), (vec![], 1, 2));
    assert_eq!(play(&text("on_failure: continue"), 200, 500), (vec![0.5], 0, 1));
    assert_eq!(play(&text("on_failure: continue"), 500, 500), (vec![], 1, 2));
}

#[test]
fn a_branch_is_tried_again_while_the_others_go_on() {
    let text = steps(
        "      - parallel:\n          - GET /a: { retry: { on: 503, times: 2, wait: 1s } }\n          - GET /b\n      - GET /end\n      - think: 1h\n",
        "{ users: 1, for: 1s, graceful_stop: 20s }",
    );
    let mut tries = 0;
    let (result, log) = timed(&text, |path, _| {
        tries += u32::from(path == "/a");
        if path == "/a" && tries < 3 { status(503, SECOND) } else { Reply::ok(SECOND / 2) }
    });
    assert_eq!(sent(&log, "/a"), [0.0, 2.0, 4.0]);
    assert_eq!(sent(&log, "/b"), [0.0]);
    assert_eq!(sent(&log, "/end"), [4.5]);
    let a = count(&result, "GET /a");
    assert_eq!((a.planned, a.ok, a.failed), (3, 1, 2));
}

#[test]
fn a_branch_that_is_told_to_log_in_repeats_the_whole_step_once() {
    let text = scenario(
        "      - parallel: [ GET /a, GET /b ]\n      - think: 1h\n",
        "    before: { steps: [ POST /in ], on_status: 401 }\n",
        "{ users: 1, for: 900ms }",
    );
    let (result, log) = timed(&text, |path, _| if path == "/b" { status(401, 0) } else { Reply::ok(0) });
    let paths: Vec<&str> = log.iter().map(|(p, _)| p.as_str()).collect();
    assert_eq!(paths, ["/in", "/a", "/b", "/in", "/a", "/b"]);
    assert_eq!((result.iterations.started, result.iterations.gave_up), (1, 1));
}

#[test]
fn branches_in_flight_and_waiting_are_cut_without_loss() {
    let text = steps(
        "      - parallel:\n          - GET /a\n          - GET /b: { retry: { on: 503, times: 9, wait: 2s } }\n          - GET /c\n",
        "{ users: 3, for: 3s, graceful_stop: 1s }",
    );
    let (result, _) = timed(&text, |path, _| match path {
        "/a" => Reply::ok(4 * SECOND + SECOND / 2),
        "/b" => status(503, SECOND),
        _ => Reply::ok(SECOND),
    });
    assert_eq!((result.iterations.started, result.iterations.cut), (3, 3));
    assert_eq!(count(&result, "GET /a").unfinished, 3);
    // The second attempt was sent at 3 s and ended at 4 s, when the cut came.
    assert_eq!((count(&result, "GET /b").planned, count(&result, "GET /c").ok), (6, 3));
}

#[test]
fn a_branch_that_cannot_be_written_is_a_failure_of_its_own() {
    let text = steps(
        "      - set: { n: 0 }\n      - parallel: [ 'GET /a/{{ 1 / n }}', GET /b ]\n      - GET /end\n",
        "{ users: 1, for: 900ms }",
    );
    let (result, log) = timed(&text, |_, _| Reply::ok(SECOND / 10));
    let paths: Vec<&str> = log.iter().map(|(p, _)| p.as_str()).collect();
    assert_eq!(paths, ["/b"]);
    assert_eq!((result.totals().failed, result.totals().ok, result.iterations.gave_up), (1, 1, 1));
}

/// A start at one moment: two journeys, so that users of both meet.
fn meeting(users: u32, within: &str, profile: &str) -> String {
    format!(
        "watertight: 1\nname: flow\ntargets: {{ t: {{ url: 'http://127.0.0.1:1', timeout: 5s }} }}\nfragments:\n  meet:\n\
         \x20   - rendezvous: {{ name: start, users: {users}, within: {within} }}\n\
         journeys:\n  quick: {{ target: t, steps: [ GET /a, {{ call: meet }}, GET /go, {{ think: 1h }} ] }}\n\
         \x20 slow: {{ target: t, steps: [ think: 2s, {{ call: meet }}, GET /go, {{ think: 1h }} ] }}\n\
         profiles: {{ p: {profile} }}\n"
    )
}

#[test]
fn who_meets_goes_on_at_one_moment_and_the_wait_is_nobodys_time() {
    let (result, log) = timed(&meeting(4, "10s", "{ users: 4, for: 30s }"), |_, _| Reply::ok(SECOND / 2));
    assert_eq!(sent(&log, "/go"), [2.0; 4]);
    for step in &result.steps {
        assert_eq!(step.response.max_ns, SECOND / 2);
    }
    assert_eq!(errors(&result), []);
    // Each is a round of its own, and nobody waits for nobody.
    let (_, log) = timed(&meeting(1, "10s", "{ users: 4, for: 30s }"), |_, _| Reply::ok(SECOND / 2));
    assert_eq!(sent(&log, "/go"), [0.5, 0.5, 2.0, 2.0]);
}

#[test]
fn a_meeting_that_is_missed_is_counted_by_name_and_holds_nobody_longer() {
    let (result, log) = timed(&meeting(3, "1s", "{ users: 4, for: 30s }"), |_, _| Reply::ok(SECOND / 2));
    // Two come at 0.5 s and wait a second; two come at 2 s.
    assert_eq!(sent(&log, "/go"), [1.5, 1.5, 3.0, 3.0]);
    let missed = || ("rendezvous `start` missed".to_owned(), 2);
    assert_eq!(errors(&result), [missed(), missed()], "named in both journeys");
    let totals = result.totals();
    assert_eq!((totals.failed, totals.ok), (0, totals.sent()));
    assert_eq!(result.steps[1].response.max_ns, SECOND / 2, "the wait is nobody's time");
}

#[test]
fn the_end_of_the_load_ends_a_wait_for_nobody() {
    let text = meeting(5, "1h", "{ users: 4, for: 5s, graceful_stop: 1s }");
    let (result, log) = timed(&text, |_, _| Reply::ok(SECOND / 2));
    assert_eq!(sent(&log, "/go"), [5.0; 4]);
    assert_eq!(errors(&result), [], "nobody was late: the load was over");
}

#[test]
fn users_of_two_workers_meet_before_any_of_them_goes_on() {
    use super::loopback::{answer_each, assert_good, listen, ok, run_file};
    use std::sync::{Arc, Mutex};
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let port = listen(move |stream| {
        answer_each(stream, |request| {
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            log.lock().expect("nobody panics").push(path);
            ok("")
        });
    });
    let text = format!(
        "watertight: 1\nname: flow\ntargets: {{ t: 'http://127.0.0.1:{port}' }}\njourneys:\n  j:\n    steps:\n\
         \x20     - GET /before\n      - rendezvous: {{ name: start, users: 8 }}\n      - GET /after\n\
         profiles: {{ p: {{ users: 8, for: 300ms, graceful_stop: 5s }} }}\n"
    );
    let result = run_file(&text);
    assert_good(&result);
    let seen = seen.lock().expect("nobody panics");
    let afters: Vec<usize> = (0..seen.len()).filter(|i| seen[*i] == "/after").collect();
    assert!(afters.len() >= 8, "{seen:?}");
    // Whoever is in the first round has asked for `/before` before any goes on.
    for (nth, at) in afters.iter().enumerate() {
        let before = seen[..*at].iter().filter(|path| *path == "/before").count();
        let is_whole_round = afters.len() - nth > 8 || nth < 8;
        assert!(!is_whole_round || before >= (nth / 8 + 1) * 8, "{seen:?}");
    }
}

#[test]
fn what_is_read_behind_a_parallel_is_of_its_last_branch_in_the_file() {
    let text = steps(
        "      - GET /first\n      - parallel:\n          - GET /a: { expect: { status: 201, that: last.json.n == 1 } }\n\
         \x20         - GET /b: { expect: { status: 202, that: last.json.n == 2 } }\n\
         \x20     - GET /said/{{ last.status }}/{{ last.json.n }}/{{ int(last.latency) }}\n      - think: 1h\n",
        "{ users: 1, for: 1s, graceful_stop: 9s }",
    );
    for (a, b) in [(1, 3), (3, 1)] {
        let (result, log) = timed(&text, |path, _| match path {
            "/a" => Reply { status: 201, ..json(r#"{"n":1}"#, a * SECOND) },
            "/b" => Reply { status: 202, ..json(r#"{"n":2}"#, b * SECOND) },
            _ => json(r#"{"n":0}"#, 0),
        });
        assert_eq!(log[3].0, format!("/said/202/2/{}", b * 1000), "{log:?}");
        assert_eq!(result.totals().failed, 0, "{:?}", result.errors);
    }
}
