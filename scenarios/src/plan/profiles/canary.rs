//! `preset: canary`: a constant load of which a new version gets more and more.
//! In: `users`, `new`, `old`, `steps`, `each`. Out: one stage a step, and what is replaced by what.

use super::super::reader::{Fields, Reader, is_broken};
use super::{MINUTE_NS, SECOND_NS, check_inside, refuse_open_keys};
use crate::canary::users_of;
use crate::diagnostic::Diagnostic;
use crate::plan::CanaryPlan;
use crate::program::{Load, Stage};
use crate::syntax::Node;
use crate::units;

/// Users when the profile is silent.
const USERS: f64 = 40.0;
/// Shares of the users when the profile is silent.
const SHARES: [f64; 4] = [0.05, 0.25, 0.5, 1.0];
/// Length of a step when the profile is silent.
const EACH_NS: u64 = 2 * MINUTE_NS;
/// Most steps: each holds its own figures of every step of the journeys.
const MOST_STEPS: usize = 100;

/// The load of a canary, and which target takes over from which.
pub(super) fn load(reader: &mut Reader<'_>, fields: Fields<'_>) -> Option<(Load, CanaryPlan)> {
    let mut is_constant = true;
    for (key, instead) in [
        ("stages", "the constant load of `users`"),
        ("arrivals", "the constant load of `users`: a user stays with its version"),
        ("for", "`each`, the length of a step"),
    ] {
        if let Some(entry) = fields.entry(key) {
            reader.bad_value(entry.key.span, format!("a canary has no `{key}`, but {instead}"));
            is_constant = false;
        }
    }
    refuse_open_keys(reader, fields);
    let level = match fields.entry("users") {
        Some(entry) => super::users(reader, &entry.value, entry.key.span),
        None => Some(USERS),
    };
    let each_ns = match fields.entry("each") {
        Some(_) => reader.duration_at(fields, "each", SECOND_NS),
        None => Some(EACH_NS),
    };
    let new = reader.text_at(fields, "new").cloned();
    if fields.entry("new").is_none() {
        reader.missing(fields.at, "a canary", "new", "NAME_OF_A_TARGET");
    }
    let old = reader.text_at(fields, "old").cloned();
    let shares = shares(reader, fields, level);
    let ramp_ns = reader.duration_at(fields, "ramp", 0).unwrap_or(0);
    let level = level.filter(|_| is_constant)?;
    let first = check_inside(reader, fields, Stage { level, duration_ns: each_ns?, ramp_ns }, "each")?;
    let (shares, new) = (shares?, new?);
    // The users come within the ramp of the first step; from then on the load is constant.
    let stages = (0..shares.len()).map(|i| Stage { ramp_ns: if i == 0 { ramp_ns } else { 0 }, ..first }).collect();
    Some((Load::Closed(stages), CanaryPlan { new, old, shares }))
}

/// The shares, each larger than the one before, in users too.
fn shares(reader: &mut Reader<'_>, fields: Fields<'_>, users: Option<f64>) -> Option<Vec<f64>> {
    let Some(entry) = fields.entry("steps") else {
        let at = fields.entry("users").map_or(fields.at, |e| e.value.span());
        return growing(reader, &SHARES.map(|share| (share, at)), users);
    };
    let Node::List(items, _) = &entry.value else {
        if !is_broken(&entry.value) {
            let rule = "`steps` of a canary is a list of shares";
            reader.expected(entry.value.span(), rule, &entry.value);
        }
        return None;
    };
    if !(1..=MOST_STEPS).contains(&items.len()) {
        let message = format!("a canary has 1 to {MOST_STEPS} steps, here are {}", items.len());
        reader.push(
            Diagnostic::error("bad-value", entry.value.span(), message)
                .help("write for example `[5%, 25%, 50%, 100%]`"),
        );
        return None;
    }
    let mut read = Vec::new();
    let mut good = true;
    for item in items {
        match reader.unit(item, entry.key.span, "a step", "`25%`", units::parse_share) {
            Some(share) if share > 0.0 && share <= 1.0 => read.push((share, item.span())),
            Some(_) => {
                reader.bad_value(item.span(), "a step is above 0% and at most 100% of the users");
                good = false;
            }
            None => good = false,
        }
    }
    if good { growing(reader, &read, users) } else { None }
}

fn growing(reader: &mut Reader<'_>, shares: &[(f64, crate::diagnostic::Span)], users: Option<f64>) -> Option<Vec<f64>> {
    for pair in shares.windows(2) {
        let ((before, _), (share, at)) = (pair[0], pair[1]);
        if share <= before {
            reader.push(
                Diagnostic::error("bad-value", at, "the steps of a canary grow: each is larger than the one before")
                    .help("who is on the new version stays there"),
            );
            return None;
        }
        let of = |share| users.map(|n| users_of(share, n as usize));
        if let (Some(few), Some(more)) = (of(before), of(share))
            && few == more
        {
            let percent = |share: f64| format!("{}%", (share * 1e6).round() / 1e4);
            let message = format!(
                "of {} users, {} and {} are both {more}: this step would try nothing new",
                users.unwrap_or_default(),
                percent(before),
                percent(share)
            );
            reader.push(Diagnostic::error("bad-value", at, message).help("raise `users`, or take larger steps"));
            return None;
        }
    }
    Some(shares.iter().map(|(share, _)| *share).collect())
}
