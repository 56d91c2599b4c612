//! The last words on screen: verdict, objectives, steps, errors, isolation, generator.
//! In: run result, verdict, whether colours are wanted. Out: text of at most 100 columns, control characters escaped.

use crate::capacity::{outcome_words, statement};
use crate::figures::{self, count, counted, fit, plain, wrap};
use crate::phases;
use crate::rows::{self, shown, tier_word};
use crate::verdict::{Interval, IsolationState, JudgedObjective, ObjectiveOutcome, Outcome, ValidityState, Verdict};
use engine::run_result::{LeakGroup, LeakRecord, Party, RunResult, Tier};
use scenarios::objective::{Stat, Unit};
use std::fmt::Write;

const WIDTH: usize = 100;
/// Most kinds of error and most leak groups on screen; the report shows all.
const MOST_ERRORS: usize = 10;
const MOST_LEAKS: usize = 3;
/// Most further leak groups that are named.
const MOST_NAMED: usize = 7;

/// ANSI colours; all empty when colours are off.
#[derive(Clone, Copy)]
struct Paint {
    is_on: bool,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.is_on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
    }
    fn title(self, text: &str) -> String {
        self.with("1", text)
    }
    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }
    fn outcome(self, outcome: Outcome, text: &str) -> String {
        let code = match outcome {
            Outcome::Go => "1;32",
            Outcome::GoWithWarnings => "1;33",
            Outcome::NoGo => "1;31",
            Outcome::Inconclusive => "1;35",
        };
        self.with(code, text)
    }
    fn objective(self, outcome: ObjectiveOutcome, text: &str) -> String {
        let code = match outcome {
            ObjectiveOutcome::Pass => "32",
            ObjectiveOutcome::Warn | ObjectiveOutcome::Waived => "33",
            ObjectiveOutcome::Fail => "31",
            ObjectiveOutcome::Inconclusive => "35",
        };
        self.with(code, text)
    }
}

/// The summary after a run. The caller adds the path of the report.
pub fn terminal_summary(result: &RunResult, verdict: &Verdict, colour: bool) -> String {
    let paint = Paint { is_on: colour };
    let mut out = String::new();
    headline(&mut out, paint, result, verdict);
    objectives(&mut out, paint, verdict);
    capacity(&mut out, paint, result);
    canary(&mut out, paint, result);
    phases(&mut out, paint, result);
    steps(&mut out, paint, result);
    streams(&mut out, paint, result);
    errors(&mut out, paint, result);
    stressors(&mut out, paint, result);
    isolation(&mut out, paint, result, verdict);
    generator(&mut out, paint, result, verdict);
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

/// Wrapped text under an indent of `indent` blanks.
fn block(out: &mut String, indent: usize, text: &str) {
    let pad = " ".repeat(indent);
    for part in wrap(&plain(text), WIDTH - indent, 2) {
        line(out, &format!("{pad}{part}"));
    }
}

fn headline(out: &mut String, paint: Paint, result: &RunResult, verdict: &Verdict) {
    let words = format!("{} {}", verdict.outcome.sign(), verdict.outcome.words());
    let mut reasons = verdict.reasons.iter();
    let first = reasons.next().map_or("", String::as_str);
    let indent = words.chars().count() + 2;
    let first = wrap(&plain(first), WIDTH - indent, 0);
    for (i, part) in first.iter().enumerate() {
        if i == 0 {
            let word = paint.outcome(verdict.outcome, &words);
            line(out, &format!("{word}  {part}"));
        } else {
            line(out, &format!("{}{part}", " ".repeat(indent)));
        }
    }
    for reason in reasons.take(5) {
        block(out, 2, &format!("· {reason}"));
    }
    let more = verdict.reasons.len().saturating_sub(6);
    if more > 0 {
        line(out, &format!("  · and {}", counted(more as u64, "further reason")));
    }
    let header = &result.header;
    let mut about = format!(
        "{} · {} · {} · measured {} · seed {}",
        header.scenario,
        header.profile,
        header.load,
        figures::duration(result.duration_s),
        header.seed
    );
    if let Some(factor) = header.scaled {
        let _ = write!(about, " · scaled by {}: satisfies no gate", figures::factor(factor));
    }
    for part in wrap(&plain(&about), WIDTH - 2, 2) {
        line(out, &format!("  {}", paint.dim(&part)));
    }
    for note in header.notes.iter().chain(&crate::moments::lines(result)) {
        block(out, 2, &format!("note: {note}"));
    }
}

fn objectives(out: &mut String, paint: Paint, verdict: &Verdict) {
    if verdict.objectives.is_empty() {
        return;
    }
    let title = format!("{:<46} {:>11}  {:<24} {:>12}", "Objectives", "measured", "95% interval", "n");
    line(out, "");
    line(out, &paint.title(&title));
    for o in &verdict.objectives {
        let sign = paint.objective(o.outcome, o.outcome.sign());
        let name = fit(&plain(&o.id), 42);
        let row = format!(
            "{name:<42} {:>11}  {:<24} {:>12}",
            measured(o),
            o.interval.map_or_else(|| "–".into(), |i| interval(o.stat, i)),
            count(o.n)
        );
        line(out, &format!("  {sign} {row}"));
        if o.outcome != ObjectiveOutcome::Pass || o.windows.is_some() {
            block(out, 6, &o.reason);
        }
    }
}

/// The measured figure, `–` without samples.
pub fn measured(o: &JudgedObjective) -> String {
    let sign = if o.is_at_least { "≥" } else { "" };
    let figure = |v: f64| match o.stat.unit() {
        Unit::Plain => figures::like_limit(&o.limit.text)(v),
        _ => figures::of_stat(o.stat, v),
    };
    o.measured.map_or_else(|| "–".into(), |v| format!("{sign}{}", figure(v)))
}

/// `790 ms … 840 ms`; an end that the evidence does not set is `?`.
pub fn interval(stat: Stat, interval: Interval) -> String {
    let high = interval.high.map_or_else(|| "?".into(), |v| figures::of_stat(stat, v));
    format!("{} … {high}", figures::of_stat(stat, interval.low))
}

fn capacity(out: &mut String, paint: Paint, result: &RunResult) {
    let Some(capacity) = &result.header.capacity else {
        return;
    };
    line(out, "");
    line(out, &paint.title("Capacity"));
    block(out, 2, &statement(capacity));
    let title =
        format!("  {:>5} {:>10} {:>8} {:>7} {:>9} {:>9}  outcome", "trial", "asked", "hold", "done", "p95", "p99");
    line(out, &paint.title(&title));
    for trial in &capacity.trials {
        let (_, sign, word) = outcome_words(trial);
        let time = |i: usize| trial.response_ns.map_or_else(|| "–".into(), |r| figures::short_time(r[i] as f64));
        let confirms = if trial.confirming { ", confirming" } else { "" };
        let limit = if trial.limit.is_empty() { String::new() } else { format!(": {}", trial.limit) };
        let text = format!(
            "  {:>5} {:>10} {:>8} {:>7} {:>9} {:>9}  {sign} {word}{confirms}{limit}",
            trial.number,
            figures::rate(trial.rate),
            figures::duration(trial.hold_s),
            trial.done.map_or_else(|| "–".into(), figures::share),
            time(1),
            time(2),
        );
        line(out, &fit(&plain(&text), WIDTH));
    }
}

fn canary(out: &mut String, paint: Paint, result: &RunResult) {
    let rows = crate::canary::rows(result);
    if rows.is_empty() {
        return;
    }
    let title = format!(
        "{:<16}{:>14}{:>11}{:>9}{:>11}{:>9}{:>11}{:>9}",
        "Canary", "on the new", "sent: old", "new", "bad: old", "new", "p95: old", "new"
    );
    line(out, "");
    line(out, &paint.title(&title));
    for row in &rows {
        let [users, sent_old, sent_new, bad_old, bad_new, p95_old, p95_new] = row.cells();
        let name = fit(&row.name, 13);
        line(
            out,
            &format!(
                "  {name:<14}{users:>14}{sent_old:>11}{sent_new:>9}{bad_old:>11}{bad_new:>9}{p95_old:>11}{p95_new:>9}"
            ),
        );
    }
}

fn phases(out: &mut String, paint: Paint, result: &RunResult) {
    let rows = phases::rows(result);
    if rows.is_empty() {
        return;
    }
    let title = format!(
        "{:<24}{:>10}{:>10}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        if result.header.ladder { "Rungs" } else { "Phases" },
        "from",
        "sent",
        "errors",
        "rate",
        "mean",
        "p50",
        "p95",
        "p99"
    );
    line(out, "");
    line(out, &paint.title(&title));
    for row in &rows {
        let dash = || "–".to_string();
        let mut text = format!(
            "  {:<22}{:>10}{:>10}{:>9}{:>9}",
            fit(&row.name, 21),
            figures::duration(row.from_s.max(0.0)),
            count(row.counts.sent()),
            row.errors.map_or_else(dash, figures::share),
            row.rate.map_or_else(dash, figures::rate),
        );
        let [p50, p95, p99] = row.percentiles;
        for cell in [row.mean, p50, p95, p99] {
            let _ = write!(text, "{:>9}", cell.map_or_else(dash, shown));
        }
        line(out, &text);
    }
}

fn steps(out: &mut String, paint: Paint, result: &RunResult) {
    let rows = rows::played_steps(result);
    line(out, "");
    let title = format!(
        "{:<28}{:>9}{:>9}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "Steps", "sent", "ok", "bad", "p50", "p95", "p99", "p99.9", "max"
    );
    line(out, &paint.title(&title));
    let mut journey = None;
    for row in &rows {
        if journey != Some(&row.journey) {
            line(out, &format!("  {}", fit(&row.journey, WIDTH - 2)));
            journey = Some(&row.journey);
        }
        // A long name has a line of its own: two steps that differ at the end must not look the same.
        let is_long = row.step.chars().count() > 23;
        if is_long {
            line(out, &format!("    {}", fit(&row.step, WIDTH - 4)));
        }
        let mut text = format!(
            "    {:<24}{:>9}{:>9}{:>8}",
            if is_long { "" } else { row.step.as_str() },
            count(row.counts.sent()),
            count(row.counts.ok),
            count(row.counts.failed + row.counts.timed_out),
        );
        for place in [0, 2, 3, 5] {
            let cell = row.response.as_ref().map(|r| shown(r.percentiles[place]));
            let _ = write!(text, "{:>9}", cell.unwrap_or_else(|| "–".into()));
        }
        let max = row.response.as_ref().map(|r| shown(r.max));
        let _ = write!(text, "{:>9}", max.unwrap_or_else(|| "–".into()));
        line(out, &text);
    }
    let rest = result.steps.len() - rows.len();
    if rest > 0 {
        let text = format!("    {} not played in this profile", counted(rest as u64, "step"));
        line(out, &paint.dim(&text));
    }
    if rows.is_empty() {
        line(out, "    none was played");
    }
}

/// Event streams and WebSockets; nothing is said of a run without them.
fn streams(out: &mut String, paint: Paint, result: &RunResult) {
    for (is_title, text) in crate::streams::terminal(result, WIDTH) {
        if is_title {
            line(out, "");
            line(out, &paint.title(&text));
        } else {
            line(out, &text);
        }
    }
}

fn errors(out: &mut String, paint: Paint, result: &RunResult) {
    let rows = rows::errors(result);
    line(out, "");
    if rows.is_empty() {
        line(out, &format!("{} none", paint.title("Errors")));
        return;
    }
    line(out, &paint.title("Errors"));
    for row in rows.iter().take(MOST_ERRORS) {
        line(
            out,
            &format!(
                "  {:>9} {:>8}  {:<40} {}",
                count(row.count),
                figures::share(row.share),
                fit(&row.kind, 40),
                fit(&row.step, 37)
            ),
        );
    }
    if rows.len() > MOST_ERRORS {
        let rest = (rows.len() - MOST_ERRORS) as u64;
        line(out, &format!("  and {}", counted(rest, "further kind")));
    }
}

/// What was provoked on purpose; nothing is said of a run that provoked nothing.
fn stressors(out: &mut String, paint: Paint, result: &RunResult) {
    let stressors = rows::stressors(result);
    if stressors.is_empty() {
        return;
    }
    line(out, "");
    line(out, &paint.title("Provoked on purpose"));
    block(out, 2, &stressors.join(", "));
}

fn isolation(out: &mut String, paint: Paint, result: &RunResult, verdict: &Verdict) {
    let judged = &verdict.isolation;
    let (sign, outcome) = match judged.state {
        IsolationState::Intact => ("✓", ObjectiveOutcome::Pass),
        IsolationState::Leaking => ("✗", ObjectiveOutcome::Fail),
        IsolationState::Unproven => ("?", ObjectiveOutcome::Inconclusive),
    };
    line(out, "");
    let word = paint.objective(outcome, &format!("{sign} {}", judged.state.key()));
    line(out, &format!("{} {word}", paint.title("Isolation")));
    block(out, 2, &judged.statement);
    if let (Some(bound), IsolationState::Intact) = (judged.bound95_minutes, judged.state) {
        let text = format!("by time: at most {bound:.2} leaks per target-minute with 95% confidence");
        block(out, 2, &text);
    }
    for text in crate::coverage::in_words(result, verdict) {
        block(out, 2, &text);
    }
    if let Some(seen) = crate::judge::containment::words(result) {
        block(out, 2, &format!("containment: {seen}"));
    }
    for gap in judged.gaps.iter().take(MOST_LEAKS) {
        block(out, 2, &format!("not observable: {gap}"));
    }
    for group in result.isolation.groups.iter().take(MOST_LEAKS) {
        leak_group(out, paint, result, group);
    }
    // The others by name: which detectors spoke must be seen without opening the report.
    for group in result.isolation.groups.iter().skip(MOST_LEAKS).take(MOST_NAMED) {
        group_line(out, paint, result, group);
    }
    let rest = result.isolation.groups.len().saturating_sub(MOST_LEAKS + MOST_NAMED);
    if rest > 0 {
        line(out, &format!("  and {} in the report", counted(rest as u64, "further group")));
    }
}

fn leak_group(out: &mut String, paint: Paint, result: &RunResult, group: &LeakGroup) {
    group_line(out, paint, result, group);
    if let Some(example) = group.examples.first() {
        leak_example(out, example);
    }
}

fn group_line(out: &mut String, paint: Paint, result: &RunResult, group: &LeakGroup) {
    let text = format!(
        "{} {} × {} at {} ({}), {}",
        tier_word(group.key.tier),
        group.key.detector,
        count(group.count),
        rows::step_name(result, group.key.step),
        group.key.place,
        rows::since(group.first_s)
    );
    for part in wrap(&plain(&text), WIDTH - 2, 2) {
        line(out, &format!("  {}", paint.title(&part)));
    }
}

/// What the owner had to do with the request that is named: the write is not always known.
pub fn owner_did(leak: &LeakRecord) -> &'static str {
    if leak.owner.request.contains("its latest request") { "was at" } else { "wrote" }
}

fn leak_example(out: &mut String, example: &LeakRecord) {
    let mut say = |label: &str, text: &str| {
        if !text.is_empty() {
            for (i, part) in wrap(&plain(text), WIDTH - 13, 0).iter().enumerate() {
                let label = if i == 0 { label } else { "" };
                line(out, &format!("    {label:<9}{part}"));
            }
        }
    };
    say("reader", &party(&example.reader));
    say("asked", &example.reader.request);
    // A risk has no second party: it is the reader's own data that might reach somebody.
    if example.tier != Tier::Risk {
        say("owner", &party(&example.owner));
        say(owner_did(example), &example.owner.request);
    }
    say("received", &fit(&example.excerpt, 160));
    say("why", &example.why);
    say("hint", &example.hint);
    if example.tier != Tier::Risk && example.group > 0 {
        say("replay", &format!("watertight replay RESULTS_FOLDER {}", example.group));
    }
}

/// `alice (patient), user 17, journey care, step GET /records`.
pub fn party(party: &Party) -> String {
    let mut text = if party.account.is_empty() { "unknown account".to_string() } else { party.account.clone() };
    if !party.kind.is_empty() {
        let _ = write!(text, " ({})", party.kind);
    }
    if let Some(user) = party.user {
        let _ = write!(text, ", user {user}");
    }
    if !party.step.is_empty() {
        let _ = write!(text, ", {} {}", party.journey, party.step);
    }
    text
}

fn generator(out: &mut String, paint: Paint, result: &RunResult, verdict: &Verdict) {
    let validity = &verdict.validity;
    let outcome = match validity.state {
        ValidityState::Ok => ObjectiveOutcome::Pass,
        ValidityState::Degraded => ObjectiveOutcome::Warn,
        ValidityState::Void => ObjectiveOutcome::Inconclusive,
    };
    let state = paint.objective(outcome, &format!("{} {}", outcome.sign(), validity.state.key()));
    line(out, "");
    line(out, &format!("{} {state}", paint.title("Generator")));
    block(out, 2, &generator_figures(result, verdict));
    for reason in &validity.reasons {
        block(out, 2, &format!("· {reason}"));
    }
}

/// The generator's figures in one sentence; also used by the report.
pub fn generator_figures(result: &RunResult, verdict: &Verdict) -> String {
    let health = &result.health;
    let gaps_ns: u64 = health.workers.iter().map(|w| w.gaps_ns).sum();
    let lag = verdict.validity.lag_p99_ns.map_or_else(|| "–".into(), |ns| figures::time(ns as f64));
    let mut text = format!(
        "lag p99 {lag}, busiest second {}, pauses {}, {} dropped, {} not sent",
        figures::share(verdict.validity.busy_max),
        figures::time(gaps_ns as f64),
        count(result.dropped),
        count(result.totals().generator_errors)
    );
    if health.store_errors > 0 {
        let _ = write!(text, ", {} not stored", counted(health.store_errors, "interval"));
    }
    text
}
