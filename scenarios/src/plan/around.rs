//! `setup:` and `teardown:` of the file: steps that one user plays once, before the load and after it.
//! In: a list of steps, or a map with `steps`. Out: [`OncePlan`]s.

use super::reader::{Fields, Reader, Spec};
use super::{JourneyPlan, OncePlan, requests, steps};
use crate::conditions::Fresh;
use crate::syntax::Node;

const ONCE: Spec =
    Spec { what: "a setup or teardown", keys: &["steps", "as", "target", "headers", "auth", "within"], not_yet: &[] };

/// The most time that they take, unless the file says otherwise. What is not over by then is cut, so that a target that
/// hangs holds up no run for ever; after Ctrl-C somebody waits for the teardown.
const SETUP_WITHIN_NS: u64 = 300_000_000_000;
const TEARDOWN_WITHIN_NS: u64 = 60_000_000_000;
const LEAST_WITHIN_NS: u64 = 1_000_000;

/// `setup` of the file.
pub(super) fn read_setup(reader: &mut Reader<'_>, file: Fields<'_>) -> Option<OncePlan> {
    read(reader, file, "setup", SETUP_WITHIN_NS)
}

/// `teardown` of the file.
pub(super) fn read_teardown(reader: &mut Reader<'_>, file: Fields<'_>) -> Option<OncePlan> {
    read(reader, file, "teardown", TEARDOWN_WITHIN_NS)
}

fn read(reader: &mut Reader<'_>, file: Fields<'_>, key: &str, within_ns: u64) -> Option<OncePlan> {
    let entry = file.entry(key)?;
    let mut once = OncePlan {
        journey: JourneyPlan {
            name: entry.key.clone(),
            role: None,
            target: None,
            before: Vec::new(),
            headers: Vec::new(),
            steps: Vec::new(),
            after: Vec::new(),
            continue_on_failure: false,
            // Nobody tries it again.
            after_failure_ns: (0, 0),
            auth: None,
            fresh: Fresh::default(),
            again_ns: None,
            again_on: Vec::new(),
        },
        within_ns,
    };
    let before = reader.diagnostics.len();
    let journey = &mut once.journey;
    if !matches!(entry.value, Node::Map(..)) {
        journey.steps = steps::read(reader, entry);
    } else {
        let fields = reader.fields(&entry.value, entry.key.span, &ONCE)?;
        journey.role = reader.text_at(fields, "as").cloned();
        journey.target = reader.text_at(fields, "target").cloned();
        journey.headers = requests::headers(reader, fields);
        journey.auth = requests::auth::read(reader, fields);
        match fields.entry("steps") {
            Some(entry) => journey.steps = steps::read(reader, entry),
            None => reader.missing(entry.key.span, ONCE.what, "steps", "[POST /seed]"),
        }
        if let Some(ns) = reader.duration_at(fields, "within", LEAST_WITHIN_NS) {
            once.within_ns = ns;
        }
    }
    if journey.steps.is_empty() && reader.diagnostics.len() == before {
        reader.bad_value(entry.key.span, format!("`{key}` has at least one step"));
    }
    Some(once)
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] = &[("once", &ONCE)];
