//! `result.json`, format 1: the stable contract for machines.
//! In: run result, verdict. Out: JSON text. Times `_ms`, durations `_s`, shares 0..1; additions are allowed, changes not.

use crate::capacity::outcome_words;
use crate::judge::{self, times::Shown};
use crate::laws::planned;
use crate::phases::{self, PhaseRow};
use crate::rows::{PERCENTILES, TimesRow, journey_name, target_name};
use crate::streams;
use crate::verdict::{JudgedObjective, JudgedRung, JudgedWindow, JudgedWindows, ObjectiveOutcome, Verdict};
use crate::{coverage, figures};
use engine::faults::{ABANDONED_AT, FaultCounts};
use engine::run_result::{Capacity, Counts, Ending, Point, RunResult, StepTotals, Times, Trial, WatchedSeries};
use scenarios::objective::{Selection, Stat, Unit};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Renders `result.json`.
pub fn render_result_json(result: &RunResult, verdict: &Verdict) -> String {
    let objectives: Vec<Value> = verdict.objectives.iter().map(objective).collect();
    let document = json!({
        "format": 1,
        "run": run(result),
        "verdict": {"outcome": verdict.outcome.key(), "reasons": verdict.reasons},
        "validity": {
            "state": verdict.validity.state.key(),
            "reasons": verdict.validity.reasons,
            "lag_p99_ms": verdict.validity.lag_p99_ns.map(|ns| ms(ns as f64)),
            "busy_max": verdict.validity.busy_max,
        },
        "objectives": objectives,
        "totals": totals(result),
        "steps": steps(result),
        "groups": groups(result),
        "messages": streams::messages_json(result, times),
        "cold_start": times(TimesRow::plain(&result.warm_up).as_ref()),
        "phases": phases::rows(result).iter().map(phase).collect::<Vec<_>>(),
        "capacity": result.header.capacity.as_ref().map_or_else(|| json!({}), capacity),
        "isolation": isolation(result, verdict),
        "faults": faults(result),
        "abandoned_at": ABANDONED_AT.iter().zip(result.faults.abandoned_at).filter(|(_, n)| *n > 0)
            .map(|(place, n)| ((*place).to_owned(), json!(n))).collect::<Map<_, _>>(),
        "timeline": result.timeline.iter().map(point).collect::<Vec<_>>(),
        "watched": result.watched.iter().map(watched).collect::<Vec<_>>(),
        "marks": crate::moments::json(result),
        "canary": crate::canary::rows(result).iter().map(crate::canary::StepRow::json).collect::<Vec<_>>(),
    });
    let mut text = serde_json::to_string_pretty(&document).expect("a JSON value always serialises");
    text.push('\n');
    text
}

/// Nanoseconds to milliseconds, to a tenth of a microsecond: more digits would be noise.
fn ms(ns: f64) -> f64 {
    (ns / 100.0).round() / 1e4
}

fn run(result: &RunResult) -> Value {
    let header = &result.header;
    let (ending, why) = match &result.ending {
        Ending::Finished => ("finished", None),
        Ending::Interrupted => ("interrupted", None),
        Ending::Aborted(why) => ("aborted", Some(why)),
        Ending::Killed => ("killed", None),
        Ending::Stopped(who) => ("stopped", Some(who)),
    };
    json!({
        "id": header.id,
        "scenario": header.scenario,
        "profile": header.profile,
        "seed": header.seed,
        "started": figures::utc(header.started_unix_ns),
        "duration_s": result.duration_s,
        "watertight": header.version,
        "workers": header.workers,
        "load": header.load,
        "open": header.open,
        "scaled": header.scaled,
        "ending": ending,
        "ending_reason": why,
        "targets": header.targets.iter().map(|t| json!({"name": t.name, "url": t.url})).collect::<Vec<_>>(),
        "digests": header.digests,
        "notes": header.notes,
    })
}

/// Divisor and name of a statistic's unit in JSON.
fn unit(stat: Stat) -> (fn(f64) -> f64, &'static str) {
    match stat.unit() {
        Unit::Time => (ms, "ms"),
        Unit::Rate => (|v| v, "/s"),
        Unit::Share => (|v| v, "share"),
        Unit::Plain => (|v| v, ""),
    }
}

fn objective(o: &JudgedObjective) -> Value {
    let (convert, unit) = unit(o.stat);
    let mut value = json!({
        "id": o.id,
        "of": selection(&o.of),
        "stat": o.stat.word(),
        "limit": o.limit.text,
        "warn": o.warn.as_ref().map(|w| &w.text),
        "must": o.must,
        "measured": o.measured.map(convert),
        "at_least": o.is_at_least,
        "unit": unit,
        "n": o.n,
        "interval": o.interval.map(|i| json!([convert(i.low), i.high.map(convert)])),
        "outcome": o.outcome.key(),
        "reason": o.reason,
        "line": o.line,
    });
    if let Some(waiver) = &o.waiver {
        value["waiver"] = json!(waiver);
    }
    if !o.rungs.is_empty() {
        let rung = |r: &JudgedRung| {
            json!({
                "phase": r.phase, "measured": r.measured.map(convert), "at_least": r.is_at_least, "n": r.n,
                "outcome": r.outcome.key(),
            })
        };
        value["phases"] = o.rungs.iter().map(rung).collect();
    }
    if let Some(windows) = &o.windows {
        value["windows"] = windows_of(windows, convert);
    }
    value
}

/// Missed and undecided windows that are listed; the counts tell of all.
const MOST_WINDOWS: usize = 200;

fn windows_of(windows: &JudgedWindows, convert: fn(f64) -> f64) -> Value {
    let window = |w: &JudgedWindow| {
        json!({
            "from_s": w.from_s, "to_s": w.to_s, "n": w.n, "measured": w.figure.map(convert), "at_least": w.is_at_least,
            "outcome": w.outcome.key(),
        })
    };
    let listed = windows.all.iter().filter(|w| w.outcome != ObjectiveOutcome::Pass).take(MOST_WINDOWS);
    json!({
        "every_s": windows.every_s,
        "share": windows.share,
        "count": windows.all.len(),
        "held": windows.held,
        "missed": windows.missed,
        "worst": windows.worst.as_ref().map(window),
        "not_held": listed.map(window).collect::<Vec<_>>(),
    })
}

/// Points of a series at most.
const MOST_POINTS: usize = 3600;

fn watched(series: &WatchedSeries) -> Value {
    let every = series.points.len().div_ceil(MOST_POINTS).max(1);
    let points: Vec<_> = series.points.iter().step_by(every).map(|(t, v)| json!([t, v])).collect();
    json!({"series": series.series, "points": points, "problem": series.problem})
}

fn capacity(c: &Capacity) -> Value {
    let trial = |t: &Trial| {
        let at = |i: usize| t.response_ns.map(|r| ms(r[i] as f64));
        json!({
            "number": t.number, "rate": t.rate, "hold_s": t.hold_s, "confirming": t.confirming,
            "outcome": outcome_words(t).2, "limit": t.limit, "why": t.why, "done": t.done,
            "p50_ms": at(0), "p95_ms": at(1), "p99_ms": at(2),
        })
    };
    json!({
        "rate": c.rate.unwrap_or(0.0),
        "limited_by": c.limited_by,
        "interval": [c.rate.unwrap_or(0.0), c.missed_at],
        "at_least": c.at_least,
        "cut_short": c.cut_short,
        "range": c.range,
        "trials": c.trials.iter().map(trial).collect::<Vec<_>>(),
    })
}

fn phase(row: &PhaseRow) -> Value {
    let time = |shown: Option<Shown>| shown.map(|s| ms(s.ns));
    let [p50, p95, p99] = row.percentiles;
    let named = [("mean_ms", row.mean), ("p50_ms", p50), ("p95_ms", p95), ("p99_ms", p99)];
    let at_least = named.iter().filter(|(_, s)| s.is_some_and(|s| s.is_at_least)).map(|(key, _)| *key);
    json!({
        "name": row.name,
        "from_s": row.from_s,
        "to_s": row.to_s,
        "sent": row.counts.sent(),
        "ok": row.counts.ok,
        "failed": row.counts.failed,
        "timed_out": row.counts.timed_out,
        "abandoned": row.counts.abandoned,
        "unfinished": row.counts.unfinished,
        "errors": row.errors,
        "rate": row.rate,
        "mean_ms": time(row.mean),
        "p50_ms": time(p50),
        "p95_ms": time(p95),
        "p99_ms": time(p99),
        "at_least": at_least.collect::<Vec<_>>(),
    })
}

/// One name as text, several as a list; everything is `{}`.
fn selection(of: &Selection) -> Value {
    let mut map = Map::new();
    for (key, names) in [("target", &of.targets), ("journey", &of.journeys), ("step", &of.steps), ("tag", &of.tags)] {
        match names.as_slice() {
            [] => {}
            [one] => {
                map.insert(key.into(), json!(one));
            }
            many => {
                map.insert(key.into(), json!(many));
            }
        }
    }
    Value::Object(map)
}

fn totals(result: &RunResult) -> Value {
    let sum = result.totals();
    let i = &result.iterations;
    let o = &result.overhead;
    let t = &result.health.transport;
    let mut errors: BTreeMap<&str, u64> = BTreeMap::new();
    for e in &result.errors {
        *errors.entry(&e.kind).or_default() += e.count;
    }
    json!({
        "planned": planned(result),
        "sent": sum.sent(),
        "ok": sum.ok,
        "failed": sum.failed,
        "timed_out": sum.timed_out,
        "abandoned": sum.abandoned,
        "unfinished": sum.unfinished,
        "dropped": result.dropped,
        "generator_errors": sum.generator_errors,
        "not_delivered": sum.not_delivered,
        "iterations": {
            "started": i.started, "completed": i.completed, "gave_up": i.gave_up, "cut": i.cut,
            "failed_before": i.failed_before,
        },
        "overhead": {
            "setup": o.setup, "teardown": o.teardown, "health": o.health, "scrapes": o.scrapes,
            "warm_up": o.warm_up, "redirect_hops": o.redirect_hops,
        },
        "transport": {
            "http1_connections": t.http1, "http2_connections": t.http2,
            "tls_full_handshakes": t.tls_full, "tls_resumed_handshakes": t.tls_resumed,
        },
        "bytes_sent": sum.bytes_sent,
        "bytes_received": sum.bytes_received,
        "limited": sum.limited,
        "errors": errors,
    })
}

fn counts(map: &mut Map<String, Value>, c: &Counts) {
    for (key, value) in [
        ("count", c.sent()),
        ("ok", c.ok),
        ("failed", c.failed),
        ("timed_out", c.timed_out),
        ("abandoned", c.abandoned),
        ("unfinished", c.unfinished),
        ("planned", c.planned),
        ("generator_errors", c.generator_errors),
        ("not_delivered", c.not_delivered),
        ("bytes_sent", c.bytes_sent),
        ("bytes_received", c.bytes_received),
        ("limited", c.limited),
    ] {
        map.insert(key.into(), json!(value));
    }
}

fn steps(result: &RunResult) -> Vec<Value> {
    let all = result.header.steps.iter().zip(&result.steps);
    all.map(|(header, totals)| {
        let mut map = Map::new();
        map.insert("journey".into(), json!(journey_name(result, header.journey)));
        map.insert("step".into(), json!(header.name));
        map.insert("target".into(), json!(target_name(result, header.target)));
        counts(&mut map, &totals.counts);
        step_times(&mut map, totals);
        Value::Object(map)
    })
    .collect()
}

fn step_times(map: &mut Map<String, Value>, totals: &StepTotals) {
    let plain = |t: &Times| times(TimesRow::plain(t).as_ref());
    map.insert("response".into(), times(TimesRow::of_response(totals).as_ref()));
    map.insert("service".into(), plain(&totals.service));
    map.insert("failed_response".into(), plain(&totals.failed_response));
    map.insert("connect".into(), plain(&totals.connect));
    map.insert("connects_failed".into(), json!(totals.connects_failed));
    map.insert("first_event".into(), times(streams::row(&totals.first_event).as_ref()));
    map.insert("event_gap".into(), times(streams::row(&totals.event_gap).as_ref()));
    if let Some(rate) = streams::per_second(&totals.event_gap) {
        map.insert("events_per_s".into(), json!(rate));
    }
}

/// Empty times are `{}`: a 0 would read as "very fast".
fn times(row: Option<&TimesRow>) -> Value {
    let mut map = Map::new();
    let Some(row) = row else {
        return Value::Object(map);
    };
    let mut at_least = Vec::new();
    let mut put = |key: &'static str, value: Shown| {
        map.insert(key.into(), json!(ms(value.ns)));
        if value.is_at_least {
            at_least.push(key);
        }
    };
    put("mean_ms", row.mean);
    for ((_, key), value) in PERCENTILES.iter().zip(row.percentiles) {
        put(key, value);
    }
    put("max_ms", row.max);
    map.insert("count".into(), json!(row.count));
    map.insert("at_least".into(), json!(at_least));
    Value::Object(map)
}

fn groups(result: &RunResult) -> Vec<Value> {
    let all = result.header.groups.iter().zip(&result.groups);
    all.map(|((journey, name), totals)| {
        json!({
            "journey": journey_name(result, *journey),
            "group": name,
            "response": times(TimesRow::plain(&totals.times).as_ref()),
        })
    })
    .collect()
}

fn isolation(result: &RunResult, verdict: &Verdict) -> Value {
    let judged = &verdict.isolation;
    let seen = &result.isolation;
    let played = result.header.steps.iter().enumerate();
    let steps: Vec<Value> = played
        // The warm-up is not judged, but what was received in it has been scanned.
        .filter(|(i, _)| result.steps[*i].counts.sent() > 0 || seen.steps.get(*i).is_some_and(|s| s.scanned > 0))
        .map(|(i, header)| {
            let step = seen.steps.get(i).copied().unwrap_or_default();
            let opportunities = judged.opportunities_by_step.get(i).copied().unwrap_or(0);
            let seconds = seen.step_seconds.get(i).copied().unwrap_or(0);
            json!({
                "journey": journey_name(result, header.journey),
                "step": header.name,
                "declared": header.declared_control,
                "scanned": step.scanned,
                "controlled": step.controlled,
                "opportunities": opportunities,
                "concurrent": judged.beside_by_step.get(i).copied().unwrap_or(0),
                "observable": coverage::is_observable(header.declared_control, &step, opportunities),
                "bound95": coverage::bound(result, i, opportunities),
                "minutes": seconds as f64 / 60.0,
                "bound95_minutes": coverage::bound(result, i, opportunities).and_then(|_| coverage::by_time(seconds)),
                "planted": step.planted,
                "seen_in": coverage::places(&step).map(|(place, n)| (place.to_owned(), json!(n))).collect::<Map<_, _>>(),
            })
        })
        .collect();
    json!({
        "state": judged.state.key(),
        "statement": judged.statement,
        "leaks": judged.leaks,
        "suspects": judged.suspects,
        "risks": judged.risks,
        "opportunities": judged.opportunities,
        "concurrent": judged.beside(),
        "bound95": judged.bound95,
        "bound95_minutes": judged.bound95_minutes,
        "by_detector": judged.by_detector,
        "unproven_by_detector": judged.unproven_by_detector,
        "coverage": steps,
        "written": coverage::written(result).into_iter().map(|w| written(result, w)).collect::<Vec<_>>(),
        "by_transport": coverage::json(coverage::by_transport(result, verdict)),
        "by_stressor": coverage::json(coverage::by_stressor(result, verdict)),
        "gaps": judged.gaps,
        "calibration": {"injected": judged.injected, "found": judged.found},
        "planted": seen.planted,
        "accounts": seen.accounts,
        "residue": seen.residue,
        "probes_indeterminate": seen.probes_indeterminate,
        "probes_skipped": seen.probes_skipped,
        "credential_evictions": seen.credential_evictions,
        "repeats_public": seen.repeats_public,
        "audience_unclear": seen.audience_unclear,
        "switches_skipped": seen.switches_skipped,
        "idle_timeouts": seen.idle_timeouts,
        "stray_line_ends": seen.stray_line_ends,
        "target_minutes": seen.target_minutes,
        "exemptions": result.header.exemptions,
        "containment": containment(result),
    })
}

/// What a step planted, and the steps at which it came back; the same by field.
fn written(result: &RunResult, written: coverage::Written) -> Value {
    let name = |step: usize| &result.header.steps[step].name;
    let readers = |read_at: &[(usize, u64)]| -> Vec<Value> {
        read_at.iter().map(|(step, answers)| json!({"step": name(*step), "answers": answers})).collect()
    };
    let (step, planted, read_at) = (written.step, written.planted, readers(&written.read_at));
    let fields = coverage::of_step(result, written).into_iter().filter_map(|row| {
        let field = row.field.as_ref()?;
        Some(json!({"field": field, "planted": row.planted, "read_at": readers(&row.read_at)}))
    });
    json!({
        "journey": journey_name(result, result.header.steps[step].journey),
        "step": name(step), "planted": planted, "read_at": read_at, "fields": fields.collect::<Vec<_>>(),
    })
}

/// The healthy users with the faults on and off; `{}` where the faults were not played in blocks.
fn containment(result: &RunResult) -> Value {
    let (Some(header), Some(sides)) = (&result.header.containment, judge::containment::sides(result)) else {
        return json!({});
    };
    let side = |at: usize| {
        json!({
            "blocks": sides.blocks[at], "requests": sides.requests[at], "errors": sides.errors[at],
            "mean_ms": sides.mean_ns[at].map(ms),
        })
    };
    json!({
        "declared": header.declared, "healthy_users": header.healthy, "faulty_users": header.faulty,
        "on": side(0), "off": side(1),
    })
}

/// Each fault that the run was asked for or provoked, with how often.
fn faults(result: &RunResult) -> Value {
    let asked = |name: &str| result.header.faults.iter().any(|(n, _)| n == name);
    let counts = result.faults.by_name().into_iter().filter(|(name, times)| *times > 0 || asked(name));
    Value::Object(counts.map(|(name, times)| (name.to_owned(), json!(times))).collect())
}

/// Those that were provoked, by name.
fn by_name(counts: &FaultCounts) -> Value {
    let counts = counts.by_name().into_iter().filter(|(_, times)| *times > 0);
    Value::Object(counts.map(|(name, times)| (name.to_owned(), json!(times))).collect())
}

fn point(p: &Point) -> Value {
    let at = |i: usize| p.response_ns.map(|r| ms(r[i] as f64));
    json!({
        "t_s": p.t_s,
        "planned": p.counts.planned + p.dropped,
        "sent": p.counts.sent(),
        "ok": p.counts.ok,
        "failed": p.counts.failed,
        "timed_out": p.counts.timed_out,
        "abandoned": p.counts.abandoned,
        "faults": p.faults.sum(),
        "faults_by_name": by_name(&p.faults),
        "dropped": p.dropped,
        "users": p.users,
        "in_flight": p.in_flight,
        "every_s": p.every_s,
        "p50_ms": at(0),
        "p95_ms": at(1),
        "p99_ms": at(2),
        "max_ms": at(3),
        "leaks": p.leaks,
    })
}
