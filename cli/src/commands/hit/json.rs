//! The figures of a hit as one JSON object. Times in milliseconds (`_ms`), shares 0..1, counts as integers; the keys of
//! `result.json` where both say the same.
//! In: [`Figures`]. Out: text.

use super::figures::{Figures, PERCENTILES};
use super::histogram;
use engine::run_result::{Ending, StepTotals, Times};
use serde_json::{Map, Value, json};

/// The object on one line.
pub fn json(figures: &Figures<'_>) -> String {
    let (order, counts, step, result) = (figures.order, figures.counts(), figures.step, figures.result);
    let mut errors = Map::new();
    for error in &result.errors {
        errors.insert(error.kind.clone(), error.count.into());
    }
    let statuses: Map<String, Value> = step.statuses.iter().map(|(s, n)| (s.to_string(), (*n).into())).collect();
    let bins: Vec<Value> = histogram::bins(&step.response)
        .iter()
        .map(|b| json!({ "from_ms": b.from_ns / 1e6, "to_ms": b.to_ns / 1e6, "count": b.count }))
        .collect();
    let object = json!({
        "format": 1,
        "url": order.url,
        "method": order.method,
        "load": {
            "users": order.users,
            "rate": order.rate,
            "duration_s": order.duration_ns.map(|ns| ns as f64 / 1e9),
            "requests": order.requests,
        },
        "ending": if result.ending == Ending::Finished { "finished" } else { "interrupted" },
        "duration_s": result.duration_s,
        "totals": {
            "planned": counts.planned + result.dropped,
            "sent": counts.sent(),
            "ok": counts.ok,
            "failed": counts.failed,
            "timed_out": counts.timed_out,
            "abandoned": counts.abandoned,
            "unfinished": counts.unfinished,
            "dropped": result.dropped,
            "generator_errors": counts.generator_errors,
            "not_delivered": counts.not_delivered,
            "bytes_sent": counts.bytes_sent,
            "bytes_received": counts.bytes_received,
        },
        "answered": figures.answered(),
        "success": figures.success(),
        "asked_per_s": figures.asked_per_s(),
        "done_per_s": figures.done_per_s(),
        "response": response(step),
        "service": times(&step.service),
        "failed_response": times(&step.failed_response),
        "connect": times(&step.connect),
        "histogram": bins,
        "statuses": statuses,
        "errors": errors,
        "validity": {
            "state": figures.validity.state.key(),
            "reasons": figures.validity.reasons,
            "lag_p99_ms": figures.validity.lag_p99_ns.map(|ns| ns as f64 / 1e6),
            "busy_max": figures.busy_max(),
        },
        "watertight": env!("CARGO_PKG_VERSION"),
    });
    format!("{object}\n")
}

/// Percentiles that fall among lower bounds are named in `at_least`.
fn response(step: &StepTotals) -> Value {
    let mut object = times(&step.response);
    let mut at_least: Vec<String> =
        PERCENTILES.iter().filter(|(p, _)| step.is_at_least(*p)).map(|(_, key)| format!("{key}_ms")).collect();
    if step.is_at_least(100.0) {
        at_least.push("max_ms".into());
    }
    object["at_least"] = at_least.into();
    object
}

fn times(times: &Times) -> Value {
    let mut object = Map::new();
    let ms = |ns: f64| Value::from(ns / 1e6);
    object.insert("count".into(), times.count().into());
    if times.count() > 0 {
        object.insert("min_ms".into(), ms(times.min_ns as f64));
        object.insert("mean_ms".into(), times.mean_ns().map_or(Value::Null, ms));
        for (p, key) in PERCENTILES {
            object.insert(format!("{key}_ms"), times.percentile_ns(p).map_or(Value::Null, |ns| ms(ns as f64)));
        }
        object.insert("max_ms".into(), ms(times.max_ns as f64));
    }
    Value::Object(object)
}
