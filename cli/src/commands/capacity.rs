//! `preset: capacity`: trial after trial until the highest rate that holds is found and confirmed.
//! In: a profile with a range, how to play one trial. Out: the confirming run as the result in the folder, with every
//! trial beside it in `trials/NN`.

use super::play::{Played, Table, conclude, play_run};
use crate::outcome::Problem;
use crate::screen;
use crate::search::{Next, Tried, next};
use engine::Finished;
use engine::run_result::{Capacity, Ending, RunResult, Trial, TrialOutcome};
use reports::Verdict;
use reports::capacity::{Asked, trial};
use reports::verdict::IsolationState;
use scenarios::Range;
use scenarios::program::Profile;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between trials the target gets at least this long to come to rest.
const REST: Duration = Duration::from_secs(1);

/// Searches and stores; the confirming run is the result in `folder`.
///
/// # Errors
/// A target is not there, or the results cannot be stored.
pub(super) fn play(table: &Table, index: usize, range: Range, folder: &Path) -> Result<Played, Problem> {
    let profile = &table.program.profiles[index];
    crate::results::create(folder)?;
    let mut last: Option<(PathBuf, Finished)> = None;
    let mut best: Option<(PathBuf, Finished)> = None;
    let mut pause = Duration::ZERO;
    let capacity = search(range, profile, |asked, plan| {
        table.stop.wait(pause);
        let place = folder.join("trials").join(format!("{:02}", asked.number));
        let finished = play_run(table, index, plan, &place)?;
        let verdict = reports::judge(&finished.result, &finished.result.header.objectives);
        reports::write(&finished.result, &verdict, &place)
            .map_err(|e| Problem::run(format!("the report of a trial cannot be written: {e}")))?;
        pause = drain(&finished.result);
        let judged = trial(asked, &finished.result, &verdict);
        if !table.how.quiet {
            screen::err(&format!("{}\n", line(&judged)));
        }
        let end = cut_short(&finished.result, &verdict);
        let run = (place, finished);
        if judged.confirming && judged.outcome == TrialOutcome::Held {
            best = Some(run);
        } else {
            last = Some(run);
        }
        Ok((judged, end))
    })?;
    let (place, mut finished) = best.or(last).ok_or_else(|| Problem::run("the search played no trial"))?;
    finished.result.header.capacity = Some(capacity);
    promote(&place, folder, &finished.result)
        .map_err(|e| Problem::run(format!("{}: the confirming run cannot be stored: {e}", folder.display())))?;
    Ok(conclude(table, finished, folder))
}

/// The search itself: plays trials until there is an answer. `play` answers how a trial came out, and why no other may
/// follow it.
fn search(
    range: Range,
    profile: &Profile,
    mut play: impl FnMut(Asked, Profile) -> Result<(Trial, Option<String>), Problem>,
) -> Result<Capacity, Problem> {
    let mut trials: Vec<Trial> = Vec::new();
    loop {
        let tried: Vec<Tried> =
            trials.iter().map(|t| Tried { rate: t.rate, confirming: t.confirming, outcome: t.outcome }).collect();
        let (rate, confirming) = match next(range, &tried) {
            Next::Try(rate) => (rate, false),
            Next::Confirm(rate) => (rate, true),
            Next::Found { rate, missed } => return Ok(answer(range, trials, rate, missed)),
            Next::GiveUp => {
                let why = format!("after {} trials the outcomes still contradict each other", trials.len());
                return Ok(unanswered(range, trials, why));
            }
        };
        let plan = profile.trial(rate, if confirming { 2 } else { 1 });
        let hold_s = (plan.load.duration_ns() - plan.warm_up_ns) as f64 / 1e9;
        let (judged, end) = play(Asked { number: trials.len() + 1, rate, hold_s, confirming }, plan)?;
        trials.push(judged);
        if let Some(why) = end {
            return Ok(unanswered(range, trials, why));
        }
    }
}

fn answer(range: Range, trials: Vec<Trial>, rate: Option<f64>, missed: Option<usize>) -> Capacity {
    let missed = missed.and_then(|i| trials.get(i));
    let limited_by = missed.map_or_else(|| "the upper end of the range".into(), |t| t.limit.clone());
    let at_least = missed.is_none_or(|t| t.outcome == TrialOutcome::Generator);
    Capacity {
        rate,
        missed_at: missed.map(|t| t.rate),
        limited_by,
        at_least,
        cut_short: None,
        range: [range.low, range.high],
        trials,
    }
}

fn unanswered(range: Range, trials: Vec<Trial>, why: String) -> Capacity {
    Capacity { cut_short: Some(why), at_least: false, ..answer(range, trials, None, None) }
}

/// Why the search must not go on after this trial.
fn cut_short(result: &RunResult, verdict: &Verdict) -> Option<String> {
    match &result.ending {
        Ending::Interrupted => Some("the search was interrupted".into()),
        Ending::Aborted(why) | Ending::Stopped(why) => Some(why.clone()),
        Ending::Killed => Some("a trial never came to its end".into()),
        Ending::Finished if verdict.isolation.state == IsolationState::Leaking => {
            Some("a leak was proven, and its run is the result".into())
        }
        Ending::Finished => None,
    }
}

/// How long the target may still be busy with what was cut: as long as it takes for that many at the rate it had.
fn drain(result: &RunResult) -> Duration {
    let totals = result.totals();
    let left = (totals.unfinished + totals.timed_out) as f64;
    let rate = totals.ok as f64 / result.duration_s.max(1.0);
    let planned_s = result.header.planned_ns as f64 / 1e9;
    REST + Duration::from_secs_f64((left / rate.max(1e-3)).clamp(0.0, planned_s))
}

/// A trial in a line.
fn line(trial: &Trial) -> String {
    let (_, sign, word) = reports::capacity::outcome_words(trial);
    let kind = if trial.confirming { "confirming" } else { "trial" };
    let why = if trial.outcome == TrialOutcome::Held { String::new() } else { format!(": {}", trial.why) };
    format!("{sign} {kind} {}: {}/s for {:.0} s {word}{why}", trial.number, trial.rate, trial.hold_s)
}

/// Moves the run in `place` to `folder` and stores the answer with it.
fn promote(place: &Path, folder: &Path, result: &RunResult) -> std::io::Result<()> {
    for entry in std::fs::read_dir(place)? {
        let entry = entry?;
        std::fs::rename(entry.path(), folder.join(entry.file_name()))?;
    }
    std::fs::remove_dir(place)?;
    engine::rewrite_header(folder, &result.header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::clock::{MILLISECOND, Nanos};
    use engine::simulate::{Reply, simulate_profile};
    use scenarios::{Program, Shape, Source};
    use std::sync::Arc;

    fn program(range: &str, sla: &str) -> Arc<Program> {
        let text = format!(
            "watertight: 1\nname: capacity\ntargets: {{ t: 'http://127.0.0.1:1' }}\n\
             journeys: {{ j: {{ target: t, steps: [ GET /x ] }} }}\n\
             profiles: {{ p: {{ preset: capacity, arrivals: {range}, hold: 12s, warm_up: 2s, max_users: 200 }} }}\n\
             sla: [ {sla} ]\n"
        );
        let source = Source { name: "test.yaml".into(), text, folder: ".".into() };
        let (plan, _) = scenarios::parse(&source, &|_| None).expect("it is right");
        Arc::new(scenarios::compile(&plan).expect("it compiles"))
    }

    /// A server with one place and `service` a request, in virtual time; idle again before each trial.
    fn in_virtual_time(program: &Arc<Program>, asked: Asked, plan: Profile, service: Nanos) -> (RunResult, Trial) {
        let mut free_at = 0;
        let mut queue = move |_: &_, now: Nanos| {
            free_at = now.max(free_at) + service;
            Reply::ok(free_at - now)
        };
        let result = simulate_profile(program, plan, 1, &mut queue).expect("it can be said in HTTP");
        let judged = trial(asked, &result, &reports::judge(&result, &result.header.objectives));
        (result, judged)
    }

    fn found(range: &str, sla: &str, service: Nanos) -> (Capacity, RunResult) {
        let program = program(range, sla);
        let profile = &program.profiles[0];
        let Shape::Capacity(range) = profile.shape else { panic!("{:?}", profile.shape) };
        let mut last = None;
        let capacity = search(range, profile, |asked, plan| {
            let (result, judged) = in_virtual_time(&program, asked, plan, service);
            last = Some(result);
            Ok((judged, None))
        });
        let (capacity, mut result) = (capacity.expect("nothing can fail here"), last.expect("a trial was played"));
        result.header.capacity = Some(capacity.clone());
        (capacity, result)
    }

    #[test]
    fn a_server_of_two_milliseconds_bears_five_hundred_a_second() {
        let (capacity, result) = found("1/s..4000/s", "{ p95: < 100ms }", 2 * MILLISECOND);
        let rate = capacity.rate.expect("there is an answer");
        assert!((490.0..=510.0).contains(&rate), "{rate}");
        assert!(capacity.missed_at.is_some_and(|m| m > 500.0 && m - rate <= 0.0201 * m), "{capacity:?}");
        assert!(!capacity.at_least && !capacity.limited_by.is_empty());
        let last = capacity.trials.last().expect("there are trials");
        assert!(last.confirming && last.hold_s == 24.0 && result.totals().sent() > (23.0 * rate) as u64);
        assert!(
            capacity.trials.iter().all(|t| (t.outcome == TrialOutcome::Held) == (t.rate <= 500.0)),
            "{capacity:#?}"
        );
    }

    #[test]
    fn the_number_in_flight_tells_what_no_objective_asks() {
        // No time limit: only the growing queue speaks against more, and 200 users bear it for a while.
        let (capacity, _) = found("100/s..600/s", "{ errors: < 1% }", 2 * MILLISECOND);
        assert!(capacity.rate.is_some_and(|r| (485.0..=500.0).contains(&r)), "{:?}", capacity.rate);
        let limits: Vec<_> = capacity.trials.iter().map(|t| t.limit.as_str()).filter(|l| !l.is_empty()).collect();
        assert!(
            limits.contains(&"in flight") && limits.iter().all(|l| ["in flight", "done"].contains(l)),
            "{limits:?}"
        );
    }

    #[test]
    fn a_capacity_that_is_asked_for_gates_and_trials_do_not() {
        let outcome = |asked: &str| {
            let sla = format!("{{ p95: < 100ms }}, {{ capacity: \">= {asked}\" }}");
            let (_, result) = found("50/s..2000/s", &sla, 2 * MILLISECOND);
            let verdict = reports::judge(&result, &result.header.objectives);
            verdict
                .objectives
                .iter()
                .find(|o| o.id.starts_with("capacity"))
                .map(|o| (o.outcome.key(), o.reason.clone()))
        };
        let (held, why) = outcome("480/s").expect("it is judged");
        assert_eq!(held, "pass", "{why}");
        assert!(why.contains("confirmed over twice the hold"), "{why}");
        assert_eq!(outcome("600/s").map(|o| o.0), Some("fail"));
    }

    #[test]
    fn a_range_that_holds_proves_no_more_than_itself() {
        let (capacity, result) = found("1/s..40/s", "{ p95: < 100ms }, { capacity: \">= 100/s\" }", MILLISECOND);
        assert_eq!((capacity.rate, capacity.missed_at, capacity.at_least), (Some(40.0), None, true));
        let verdict = reports::judge(&result, &result.header.objectives);
        let asked = verdict.objectives.iter().find(|o| o.id.starts_with("capacity")).expect("it is judged");
        assert_eq!(asked.outcome.key(), "inconclusive");
        assert!(asked.reason.starts_with("at least 40.0/s"), "{}", asked.reason);
    }

    #[test]
    fn a_target_below_the_range_is_said_to_be() {
        let (capacity, _) = found("100/s..400/s", "{ p95: < 100ms }", 100 * MILLISECOND);
        assert_eq!((capacity.rate, capacity.missed_at, capacity.trials.len()), (None, Some(100.0), 2));
        assert_eq!(capacity.limited_by, "p95 < 100ms");
        assert!(reports::capacity::statement(&capacity).starts_with("below 100.0/s"), "{capacity:?}");
    }

    #[test]
    fn a_search_that_is_cut_short_has_no_answer() {
        let program = program("1/s..4/s", "{ errors: < 1% }");
        let profile = &program.profiles[0];
        let capacity = search(Range { low: 1.0, high: 4.0 }, profile, |asked, plan| {
            let (_, judged) = in_virtual_time(&program, asked, plan, MILLISECOND);
            Ok((judged, Some("the search was interrupted".into())))
        });
        let capacity = capacity.expect("nothing can fail here");
        assert_eq!((capacity.rate, capacity.trials.len()), (None, 1));
        assert_eq!(capacity.cut_short.as_deref(), Some("the search was interrupted"));
    }
}
