//! `summary.md`, the job summary of a CI run, and the annotations at the objectives' lines.
//! In: run result, verdict. Out: GitHub-flavoured Markdown well under 900 kB; text from outside cannot become markup.

use crate::figures::{self, count, fit, plain};
use crate::rows::{self, shown, tier_word};
use crate::terminal::{generator_figures, interval, measured, owner_did, party};
use crate::verdict::{ObjectiveOutcome, Outcome, Verdict};
use engine::run_result::{RunResult, Tier};
use std::fmt::Write;

/// Most rows of steps and of errors: 900 kB must hold whatever a scenario contains.
const MOST_ROWS: usize = 500;
/// Most characters of one cell.
const MOST_CELL: usize = 200;

/// Text from outside as Markdown text in one line: every character that could start markup becomes an entity.
pub(crate) fn md(text: &str) -> String {
    let mut out = String::new();
    for c in fit(&plain(text), MOST_CELL).chars() {
        if "&<>|`*_[]\\#~@:!$".contains(c) {
            let _ = write!(out, "&#{};", c as u32);
        } else {
            out.push(c);
        }
    }
    out
}

/// Renders `summary.md`.
pub fn render_summary(result: &RunResult, verdict: &Verdict) -> String {
    let mut out = String::new();
    head(&mut out, result, verdict);
    objectives(&mut out, verdict);
    canary(&mut out, result);
    leaks(&mut out, result, verdict);
    folded(&mut out, "Steps", &steps(result));
    folded(&mut out, "Errors", &errors(result));
    folded(&mut out, "Generator", &generator(result, verdict));
    out
}

fn head(out: &mut String, result: &RunResult, verdict: &Verdict) {
    let header = &result.header;
    let _ = writeln!(
        out,
        "## {} {}: {} / {}\n",
        verdict.outcome.sign(),
        verdict.outcome.words(),
        md(&header.scenario),
        md(&header.profile)
    );
    for reason in verdict.reasons.iter().take(MOST_ROWS) {
        let _ = writeln!(out, "- {}", md(reason));
    }
    let mut about = format!(
        "{}, measured {}, started {}, seed {}",
        header.load,
        figures::duration(result.duration_s),
        figures::utc(header.started_unix_ns),
        header.seed
    );
    if let Some(factor) = header.scaled {
        let _ = write!(about, ", scaled by {}: satisfies no gate", figures::factor(factor));
    }
    let _ = writeln!(out, "\n{}\n", md(&about));
}

fn objectives(out: &mut String, verdict: &Verdict) {
    if verdict.objectives.is_empty() {
        return;
    }
    out.push_str("| | objective | limit | measured | 95% interval | n |\n|---|---|---|---:|---|---:|\n");
    for o in verdict.objectives.iter().take(MOST_ROWS) {
        let _ = writeln!(
            out,
            "| {} {} | {} | {} | {} | {} | {} |",
            o.outcome.sign(),
            o.outcome.key(),
            md(&o.id),
            md(&o.limit.text),
            measured(o),
            o.interval.map_or_else(|| "–".into(), |i| interval(o.stat, i)),
            count(o.n)
        );
    }
    out.push('\n');
}

fn canary(out: &mut String, result: &RunResult) {
    let rows = crate::canary::rows(result);
    if rows.is_empty() {
        return;
    }
    out.push_str("| step | on the new version | sent, old | new | errors, old | new | p95, old | new |\n");
    out.push_str("|---|---|---:|---:|---:|---:|---:|---:|\n");
    for row in &rows {
        let _ = writeln!(out, "| {} | {} |", md(&row.name), row.cells().join(" | "));
    }
    out.push('\n');
}

fn leaks(out: &mut String, result: &RunResult, verdict: &Verdict) {
    let judged = &verdict.isolation;
    let _ = writeln!(out, "**Isolation: {}.** {}\n", judged.state.key(), md(&judged.statement));
    for group in result.isolation.groups.iter().take(20) {
        let _ = writeln!(
            out,
            "- {} {} × {} at {}, {}",
            tier_word(group.key.tier),
            md(&group.key.detector),
            count(group.count),
            md(&rows::step_name(result, group.key.step)),
            md(&group.key.place)
        );
        if let Some(e) = group.examples.first() {
            let who = rows::who(e);
            let who = if who.is_empty() { who } else { format!("{}; ", md(&who)) };
            let _ = write!(out, "  - {who}reader {}; asked {}", md(&party(&e.reader)), md(&e.reader.request));
            // A risk has no second party.
            if e.tier != Tier::Risk {
                let did = if owner_did(e) == "wrote" { "wrote it with" } else { owner_did(e) };
                let _ = write!(out, "; owner {did} {}", md(&e.owner.request));
            }
            out.push('\n');
        }
    }
    if !result.isolation.groups.is_empty() {
        out.push('\n');
    }
}

fn folded(out: &mut String, title: &str, body: &str) {
    if !body.is_empty() {
        let _ = writeln!(out, "<details><summary>{title}</summary>\n\n{body}\n</details>\n");
    }
}

fn steps(result: &RunResult) -> String {
    let mut out = String::from(
        "| journey | step | sent | ok | failed | timed out | p50 | p95 | p99 | p99.9 | max |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in rows::played_steps(result).iter().take(MOST_ROWS) {
        let _ = write!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            md(&row.journey),
            md(&row.step),
            count(row.counts.sent()),
            count(row.counts.ok),
            count(row.counts.failed),
            count(row.counts.timed_out)
        );
        for place in [0, 2, 3, 5] {
            let cell = row.response.as_ref().map(|r| shown(r.percentiles[place]));
            let _ = write!(out, " {} |", cell.unwrap_or_else(|| "–".into()));
        }
        let max = row.response.as_ref().map(|r| shown(r.max));
        let _ = writeln!(out, " {} |", max.unwrap_or_else(|| "–".into()));
    }
    out
}

fn errors(result: &RunResult) -> String {
    let rows = rows::errors(result);
    if rows.is_empty() {
        return String::new();
    }
    let mut out = String::from("| count | of the step | kind | step |\n|---:|---:|---|---|\n");
    for row in rows.iter().take(MOST_ROWS) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            count(row.count),
            figures::share(row.share),
            md(&row.kind),
            md(&row.step)
        );
    }
    out
}

fn generator(result: &RunResult, verdict: &Verdict) -> String {
    let mut out = format!("{}: {}\n", verdict.validity.state.key(), generator_figures(result, verdict));
    for reason in &verdict.validity.reasons {
        let _ = writeln!(out, "- {}", md(reason));
    }
    out
}

/// GitHub workflow commands that put each objective that did not pass at its line of the scenario file; empty if all
/// passed. To be printed on standard output inside a GitHub job.
pub fn github_annotations(result: &RunResult, verdict: &Verdict) -> String {
    let mut out = String::new();
    for o in &verdict.objectives {
        let level = match o.outcome {
            ObjectiveOutcome::Fail | ObjectiveOutcome::Inconclusive if o.must => "error",
            ObjectiveOutcome::Pass | ObjectiveOutcome::Waived => continue,
            _ => "warning",
        };
        let mut place = format!("file={}", property(&result.header.file));
        if o.line > 0 {
            let _ = write!(place, ",line={}", o.line);
        }
        let _ = writeln!(out, "::{level} {place}::{}", data(&format!("{}: {}: {}", o.outcome.key(), o.id, o.reason)));
    }
    if verdict.outcome == Outcome::NoGo && verdict.isolation.leaks > 0 {
        let file = property(&result.header.file);
        let _ = writeln!(out, "::error file={file}::{}", data(&verdict.isolation.statement));
    }
    out
}

/// Escapes the message of a workflow command.
fn data(text: &str) -> String {
    plain(text).replace('%', "%25")
}

/// Escapes a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
