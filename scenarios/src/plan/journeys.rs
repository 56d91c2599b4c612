//! `journeys:`, `fragments:` and `mix:`.
//! In: the maps. Out: [`JourneyPlan`]s and [`FragmentPlan`]s with their steps, and the shares of the mix.

use super::reader::{Fields, Reader, Spec};
use super::{FragmentPlan, JourneyPlan, requests, steps};
use crate::conditions::Fresh;
use crate::diagnostic::Diagnostic;
use crate::syntax::{Entry, Node, Scalar};
use crate::units;

const JOURNEY: Spec = Spec {
    what: "a journey",
    keys: &[
        "as",
        "target",
        "before",
        "headers",
        "steps",
        "after",
        "on_failure",
        "after_failure",
        "cookies",
        "auth",
        "connections",
    ],
    not_yet: &[],
};

const BEFORE: Spec = Spec { what: "`before`", keys: &["steps", "again", "on_status"], not_yet: &[] };

const SECOND_NS: u64 = 1_000_000_000;

pub(super) fn read_fragments(reader: &mut Reader<'_>, file: Fields<'_>) -> Vec<FragmentPlan> {
    let Some(entry) = file.entry("fragments") else {
        return Vec::new();
    };
    let entries = reader.entries(&entry.value, entry.key.span, "`fragments`");
    entries
        .unwrap_or_default()
        .iter()
        .map(|entry| {
            reader.plain_name(&entry.key, "a fragment");
            FragmentPlan { name: entry.key.clone(), steps: steps::read(reader, entry) }
        })
        .collect()
}

pub(super) fn read(reader: &mut Reader<'_>, file: Fields<'_>) -> Vec<JourneyPlan> {
    let Some(entry) = file.entry("journeys") else {
        reader.missing(file.at, "a scenario file", "journeys", "{ visitor: { steps: [GET /] } }");
        return Vec::new();
    };
    let Some(entries) = reader.entries(&entry.value, entry.key.span, "`journeys`") else {
        return Vec::new();
    };
    if entries.is_empty() {
        reader.bad_value(entry.key.span, "there is no journey to play");
    }
    entries.iter().map(|entry| journey(reader, entry)).collect()
}

fn journey(reader: &mut Reader<'_>, entry: &Entry) -> JourneyPlan {
    reader.plain_name(&entry.key, "a journey");
    let mut journey = JourneyPlan {
        name: entry.key.clone(),
        role: None,
        target: None,
        before: Vec::new(),
        headers: Vec::new(),
        steps: Vec::new(),
        after: Vec::new(),
        continue_on_failure: false,
        after_failure_ns: (SECOND_NS, 30 * SECOND_NS),
        again_ns: None,
        again_on: Vec::new(),
        auth: None,
        fresh: Fresh::default(),
    };
    let Some(fields) = reader.fields(&entry.value, entry.key.span, &JOURNEY) else {
        return journey;
    };
    journey.role = reader.text_at(fields, "as").cloned();
    journey.target = reader.text_at(fields, "target").cloned();
    if let Some(before) = fields.entry("before") {
        read_before(reader, before, &mut journey);
    }
    journey.headers = requests::headers(reader, fields);
    match fields.entry("steps") {
        Some(entry) => {
            journey.steps = steps::read(reader, entry);
            if matches!(&entry.value, Node::List(items, _) if items.is_empty()) {
                reader.bad_value(entry.key.span, "a journey has at least one step");
            }
        }
        None => reader.missing(entry.key.span, "a journey", "steps", "[GET /]"),
    }
    if let Some(entry) = fields.entry("after") {
        journey.after = steps::read(reader, entry);
    }
    journey.continue_on_failure =
        reader.word_at(fields, "on_failure", &["continue", "give_up"], &[]) == Some("continue");
    journey.fresh = fresh(reader, fields);
    journey.auth = requests::auth::read(reader, fields);
    if let (Some(_), Some(entry)) = (&journey.auth, fields.entry("auth"))
        && journey.headers.iter().any(|(name, _)| name.text == "authorization")
    {
        let message = "`auth` is the header `authorization`, which stands in `headers` too";
        reader.push(Diagnostic::error("two-places", entry.key.span, message).help("remove one of them"));
    }
    if let Some(bounds) = after_failure(reader, fields) {
        journey.after_failure_ns = bounds;
    }
    journey
}

/// `cookies` and `connections`: per user, or new with each iteration.
pub(super) fn fresh(reader: &mut Reader<'_>, fields: Fields<'_>) -> Fresh {
    let mut is_new =
        |key: &str| reader.word_at(fields, key, &["per_user", "per_iteration"], &[]) == Some("per_iteration");
    Fresh { cookies: is_new("cookies"), connections: is_new("connections") }
}

/// `before` is a list, or a map with `steps`.
fn read_before(reader: &mut Reader<'_>, entry: &Entry, journey: &mut JourneyPlan) {
    if !matches!(entry.value, Node::Map(..)) {
        journey.before = steps::read(reader, entry);
        return;
    }
    let Some(fields) = reader.fields(&entry.value, entry.key.span, &BEFORE) else {
        return;
    };
    match fields.entry("steps") {
        Some(entry) => journey.before = steps::read(reader, entry),
        None => reader.missing(entry.key.span, "`before`", "steps", "[{ call: log_in }]"),
    }
    journey.again_ns = reader.duration_at(fields, "again", SECOND_NS);
    if let Some(entry) = fields.entry("on_status") {
        journey.again_on = requests::expect::statuses(reader, entry);
    }
}

/// `1s..30s`: first and largest wait; a single duration is both.
fn after_failure(reader: &mut Reader<'_>, fields: Fields<'_>) -> Option<(u64, u64)> {
    let entry = fields.entry("after_failure")?;
    reader.unit(&entry.value, entry.key.span, "`after_failure`", "`1s..30s`", |text| match units::parse_range(text)? {
        Some(bounds) => Ok(bounds),
        None => units::parse_duration(text).map(|ns| (ns, ns)),
    })
}

pub(super) fn read_mix(reader: &mut Reader<'_>, file: Fields<'_>) -> Option<Vec<(Scalar, u32)>> {
    let entry = file.entry("mix")?;
    let entries = reader.entries(&entry.value, entry.key.span, "`mix`")?;
    let mut mix = Vec::new();
    let mut good = true;
    for share in entries {
        let what = format!("the share of `{}`", share.key.text);
        match reader.whole(&share.value, share.key.span, &what, 0, 1_000_000) {
            Some(weight) => mix.push((share.key.clone(), weight as u32)),
            None => good = false,
        }
    }
    if good && mix.iter().all(|(_, weight)| *weight == 0) {
        reader.push(
            Diagnostic::error("bad-value", entry.key.span, "this mix gives no journey any user")
                .help("give at least one journey a share above 0"),
        );
    }
    good.then_some(mix)
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] = &[("journey", &JOURNEY), ("before", &BEFORE)];
