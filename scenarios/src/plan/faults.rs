//! `faults:` of a profile and `abandon:` of a step. Shapes and shares are checked here.
//! In: the map. Out: [`Faults`], [`Abandon`].

use super::reader::{Fields, Reader, Spec};
use crate::diagnostic::Span;
use crate::faults::{Abandon, Faults, GiveUp, Place};
use crate::syntax::{Entry, Node};
use crate::units;

const FAULTS: Spec = Spec {
    what: "`faults`",
    keys: &[
        "abandon",
        "reconnect",
        "slow_reader",
        "think_zero",
        "large_body",
        "malformed",
        "oversize_headers",
        "equal_ids",
        "switch_account",
        "same_url_burst",
        "cohort",
        "reload_burst",
        "swap_connection",
    ],
    not_yet: &[],
};

const ABANDON: Spec = Spec { what: "`abandon`", keys: &["chance", "after", "how", "at"], not_yet: &[] };

/// Chance of an `abandon` that does not say it.
const CHANCE: f64 = 0.05;

/// What `preset: chaos` provokes where the profile is silent.
pub(super) fn chaos() -> Faults {
    Faults {
        // Twice as often as a step's own: what a cancelled request leaves behind shows for a moment only.
        abandon: Some(Abandon { chance: 2.0 * CHANCE, after_ns: None, how: GiveUp::Reset, at: None }),
        reconnect: 0.02,
        slow_reader: 0.01,
        think_zero: 0.05,
        large_body: 0.05,
        malformed: 0.01,
        oversize_headers: 0.01,
        equal_ids: false,
        // Unplayed ones only: what a journey does once per account, such as to register, is still done once.
        switch_account: 0.05,
        switch_unplayed: true,
        same_url_burst: 0.02,
        cohort: None,
        // As seldom as a small load must have them to find a pool that is out of step for a tenth of a millisecond, and
        // what stays with a connection; under a large one bursts come once a second.
        reload_burst: 0.1,
        swap_connection: 0.1,
    }
}

/// `faults:` of a profile; `silent` is what holds where it says nothing.
pub(super) fn read(reader: &mut Reader<'_>, profile: Fields<'_>, silent: Faults) -> Faults {
    let mut faults = silent;
    let Some(entry) = profile.entry("faults") else {
        return faults;
    };
    let Some(fields) = reader.fields(&entry.value, entry.key.span, &FAULTS) else {
        return faults;
    };
    if let Some(entry) = fields.entry("abandon") {
        faults.abandon = abandon(reader, entry).filter(|a| a.chance > 0.0);
    }
    for (key, share) in [
        ("reconnect", &mut faults.reconnect),
        ("slow_reader", &mut faults.slow_reader),
        ("think_zero", &mut faults.think_zero),
        ("large_body", &mut faults.large_body),
        ("malformed", &mut faults.malformed),
        ("oversize_headers", &mut faults.oversize_headers),
        ("switch_account", &mut faults.switch_account),
        ("same_url_burst", &mut faults.same_url_burst),
        ("reload_burst", &mut faults.reload_burst),
        ("swap_connection", &mut faults.swap_connection),
    ] {
        if let Some(entry) = fields.entry(key) {
            *share = self::share(reader, &entry.value, entry.key.span, key).unwrap_or(*share);
        }
    }
    faults.switch_unplayed &= fields.entry("switch_account").is_none();
    if let Some(entry) = fields.entry("cohort") {
        faults.cohort = reader.unit(&entry.value, entry.key.span, "`cohort`", "`20%`", cohort).or(faults.cohort);
    }
    faults.equal_ids = reader.flag_at(fields, "equal_ids").unwrap_or(faults.equal_ids);
    faults
}

/// `abandon: 5%`, or `{ chance: 5%, after: 2ms..20ms, how: reset, at: body }`.
pub(super) fn abandon(reader: &mut Reader<'_>, entry: &Entry) -> Option<Abandon> {
    let at = entry.key.span;
    if !matches!(entry.value, Node::Map(..)) {
        let chance = share(reader, &entry.value, at, "abandon")?;
        return Some(Abandon { chance, after_ns: None, how: GiveUp::default(), at: None });
    }
    let fields = reader.fields(&entry.value, at, &ABANDON)?;
    let chance = match fields.entry("chance") {
        Some(entry) => share(reader, &entry.value, entry.key.span, "chance"),
        None => Some(CHANCE),
    };
    let after_ns = match fields.entry("after") {
        Some(entry) => Some(reader.unit(&entry.value, entry.key.span, "`after`", "`2ms..20ms`", span_of_time)?),
        None => None,
    };
    let how = match reader.word_at(fields, "how", &["reset", "close"], &[]) {
        Some("close") => GiveUp::Close,
        _ => GiveUp::Reset,
    };
    let at = match reader.word_at(fields, "at", &["head", "body", "stream", "message"], &[]) {
        Some("head") => Some(Place::Head),
        Some("body") => Some(Place::Body),
        Some("stream") => Some(Place::Stream),
        Some("message") => Some(Place::Message),
        _ => None,
    };
    Some(Abandon { chance: chance?, after_ns, how, at })
}

fn cohort(text: &str) -> Result<f64, String> {
    match units::parse_share(text)? {
        share if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err(format!("`{text}` leaves nobody on one of the two sides")),
    }
}

fn span_of_time(text: &str) -> Result<(u64, u64), String> {
    match units::parse_range(text)? {
        Some(range) => Ok(range),
        None => units::parse_duration(text).map(|at| (at, at)),
    }
}

fn share(reader: &mut Reader<'_>, node: &Node, at: Span, key: &str) -> Option<f64> {
    reader.unit(node, at, &format!("`{key}`"), "`5%`", units::parse_share)
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] = &[("faults", &FAULTS), ("abandon", &ABANDON)];
