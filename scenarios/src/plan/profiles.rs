//! `profiles:`: how much load, for how long, and how it comes.
//! In: the map. Out: [`ProfilePlan`]s whose load is worked out into stages, warm-up contained.

mod canary;
mod capacity;
mod conditions;
mod extends;
mod ladder;

use super::faults;
use super::reader::{Fields, Reader, Spec};
use super::{CanaryPlan, ProfilePlan};
use crate::diagnostic::{Diagnostic, Span};
use crate::faults::Faults;
use crate::program::{Load, Spacing, Stage};
use crate::shape::Shape;
use crate::syntax::{Entry, Node};
use crate::units;

const PROFILE: Spec = Spec {
    what: "a profile",
    keys: &[
        "preset",
        "users",
        "arrivals",
        "stages",
        "for",
        "each",
        "hold",
        "spacing",
        "max_users",
        "warm_up",
        "ramp",
        "graceful_stop",
        "isolation",
        "faults",
        "cool_down",
        "cookies",
        "connections",
        "network",
        "at",
        "extends",
        "new",
        "old",
        "steps",
        "share_connections",
    ],
    not_yet: &[],
};

const STAGE: Spec = Spec { what: "a stage", keys: &["users", "arrivals", "for", "ramp"], not_yet: &[] };

const PRESETS: &[&str] = &["smoke", "sustained", "burst", "spike", "soak", "chaos", "ladder", "capacity", "canary"];

const MS_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000 * MS_NS;
const MINUTE_NS: u64 = 60 * SECOND_NS;

/// Most virtual users of a profile.
pub(crate) const MAX_USERS: u64 = 1_000_000;
/// `max_users` of open load when silent.
const OPEN_MAX_USERS: u64 = 1_000;
/// Most arrivals a second.
pub(crate) const MAX_RATE: f64 = 1e6;

/// What a preset says where the profile is silent.
struct Preset {
    users: f64,
    for_ns: u64,
    warm_up_ns: u64,
    spike: bool,
    faults: Faults,
}

fn preset(name: &str) -> Preset {
    let (users, for_ns, warm_up_ns) = match name {
        "smoke" => (1.0, 10 * SECOND_NS, 0),
        "sustained" => (10.0, 10 * MINUTE_NS, 30 * SECOND_NS),
        "burst" => (50.0, 2 * MINUTE_NS, 0),
        "spike" => (100.0, 2 * MINUTE_NS, 0),
        "chaos" => (20.0, 5 * MINUTE_NS, 0),
        _ => (5.0, 30 * MINUTE_NS, 30 * SECOND_NS),
    };
    let faults = if name == "chaos" { faults::chaos() } else { Faults::default() };
    Preset { users, for_ns, warm_up_ns, spike: name == "spike", faults }
}

/// The profiles, and the names of those that could not be read.
pub(super) fn read(reader: &mut Reader<'_>, file: Fields<'_>) -> (Vec<ProfilePlan>, Vec<String>) {
    let (mut profiles, mut broken) = (Vec::new(), Vec::new());
    let Some(entry) = file.entry("profiles") else {
        let example = "{ short: { users: 5, for: 30s } }";
        reader.missing(file.at, "a scenario file", "profiles", example);
        return (profiles, broken);
    };
    let entries = reader.entries(&entry.value, entry.key.span, "`profiles`");
    if entries.is_some_and(<[Entry]>::is_empty) {
        reader.bad_value(entry.key.span, "there is no profile to run");
    }
    let all = entries.unwrap_or_default();
    for entry in all {
        let whole = extends::resolve(reader, entry, all).map(|value| Entry { key: entry.key.clone(), value });
        match whole.and_then(|entry| profile(reader, &entry)) {
            Some(profile) => profiles.push(profile),
            None => broken.push(entry.key.text.clone()),
        }
    }
    (profiles, broken)
}

fn profile(reader: &mut Reader<'_>, entry: &Entry) -> Option<ProfilePlan> {
    reader.plain_name(&entry.key, "a profile");
    let fields = reader.fields(&entry.value, entry.key.span, &PROFILE)?;
    let word = reader
        .word_at(fields, "preset", PRESETS, &[])
        // A misspelt preset is one mistake: the rest is read as if some preset stood there.
        .or_else(|| fields.entry("preset").map(|_| "sustained"));
    let preset = word.filter(|w| !matches!(*w, "ladder" | "capacity" | "canary")).map(preset);
    let given_ns = reader.duration_at(fields, "warm_up", 0);
    let graceful_stop_ns = reader.duration_at(fields, "graceful_stop", 0);
    let cool_down_ns = reader.duration_at(fields, "cool_down", 0).unwrap_or(0);
    let isolation = reader.word_at(fields, "isolation", &["required", "report"], &[]);
    let silent = preset.as_ref().map(|p| p.faults.clone()).unwrap_or_default();
    let mut faults = faults::read(reader, fields, silent);
    let fresh = super::journeys::fresh(reader, fields);
    let network = conditions::network(reader, fields);
    let share_connections = super::ways::share_connections(reader, fields);
    let moments = conditions::moments(reader, fields);
    let (mut load, shape, canary) = shaped(reader, fields, word, preset.as_ref())?;
    if faults.switch_unplayed && load.most_users() <= 1 {
        // Alone means alone: a single user has nobody whose data it could receive.
        (faults.switch_account, faults.switch_unplayed) = (0.0, false);
    }
    let warm_up_ns = given_ns.unwrap_or_else(|| match (&shape, &preset) {
        (Shape::Capacity(_), _) => capacity::warm_up_ns(&load),
        (_, preset) => preset.as_ref().map_or(0, |p| p.warm_up_ns),
    });
    let stages = match &mut load {
        Load::Closed(stages) | Load::Open { stages, .. } => stages,
    };
    if let Some(first) = stages.first_mut() {
        first.duration_ns += warm_up_ns;
    }
    Some(ProfilePlan {
        soak: word == Some("soak") || entry.key.text.starts_with("soak"),
        name: entry.key.clone(),
        load,
        shape,
        warm_up_ns,
        graceful_stop_ns: graceful_stop_ns.unwrap_or(30 * SECOND_NS),
        isolation_required: isolation == Some("required"),
        faults,
        cool_down_ns,
        fresh,
        network,
        moments,
        canary,
        share_connections,
    })
}

/// The load and what its stages mean.
fn shaped(
    reader: &mut Reader<'_>,
    fields: Fields<'_>,
    word: Option<&str>,
    preset: Option<&Preset>,
) -> Option<(Load, Shape, Option<CanaryPlan>)> {
    refuse_shape_keys(reader, fields, word);
    match word {
        Some("ladder") => ladder::load(reader, fields).map(|load| (load, Shape::Ladder, None)),
        Some("capacity") => capacity::load(reader, fields).map(|(load, range)| (load, Shape::Capacity(range), None)),
        Some("canary") => canary::load(reader, fields).map(|(load, canary)| (load, Shape::Canary, Some(canary))),
        _ => load(reader, fields, preset).map(|load| (load, Shape::Plain, None)),
    }
}

fn load(reader: &mut Reader<'_>, fields: Fields<'_>, preset: Option<&Preset>) -> Option<Load> {
    let ways = ["users", "arrivals", "stages"];
    let given: Vec<&Entry> = ways.iter().filter_map(|key| fields.entry(key)).collect();
    if let [first, second, ..] = given.as_slice() {
        two_loads(reader, first, second);
        return None;
    }
    match given.first() {
        Some(entry) if entry.key.text == "stages" => staged(reader, fields, entry),
        Some(entry) if entry.key.text == "arrivals" => {
            let level = rate(reader, &entry.value, entry.key.span);
            let stage = single_stage(reader, fields, preset);
            let open = open_options(reader, fields);
            let stage = Stage { level: level?, ..stage? };
            Some(open(vec![stage]))
        }
        Some(entry) => {
            let level = users(reader, &entry.value, entry.key.span);
            closed(reader, fields, preset, level)
        }
        None => {
            if preset.is_none() {
                reader.push(
                    Diagnostic::error(
                        "missing-key",
                        fields.at,
                        "this profile does not say how much load: `users`, `arrivals` or `stages`",
                    )
                    .help("add for example `users: 10`, or `preset: sustained`"),
                );
            }
            closed(reader, fields, preset, preset.map(|p| p.users))
        }
    }
}

fn two_loads(reader: &mut Reader<'_>, first: &Entry, second: &Entry) {
    reader.push(
        Diagnostic::error(
            "two-loads",
            second.key.span,
            format!(
                "the load comes from one of `users`, `arrivals` and `stages`, and `{}` says it already",
                first.key.text
            ),
        )
        .help("keep one of them"),
    );
}

/// Keys that only one preset gives a meaning.
fn refuse_shape_keys(reader: &mut Reader<'_>, fields: Fields<'_>, word: Option<&str>) {
    for (key, owner) in [("each", "ladder"), ("hold", "capacity")] {
        let is_own = word == Some(owner) || (key == "each" && word == Some("canary"));
        if let Some(entry) = fields.entry(key).filter(|_| !is_own) {
            let message = format!("`{key}` goes with `preset: {owner}` only; the length of a profile is `for`");
            reader.bad_value(entry.key.span, message);
        }
    }
    for key in ["new", "old", "steps"] {
        if let Some(entry) = fields.entry(key).filter(|_| word != Some("canary")) {
            reader.bad_value(entry.key.span, format!("`{key}` goes with `preset: canary` only"));
        }
    }
}

fn closed(reader: &mut Reader<'_>, fields: Fields<'_>, preset: Option<&Preset>, level: Option<f64>) -> Option<Load> {
    refuse_open_keys(reader, fields);
    let stage = single_stage(reader, fields, preset);
    let (level, stage) = (level?, stage?);
    if !preset.is_some_and(|p| p.spike) {
        return Some(Load::Closed(vec![Stage { level, ..stage }]));
    }
    // Low for a quarter, high for half, low for a quarter; five in a hundred are the low level.
    let low = (level / 20.0).round().max(1.0);
    let quarter = stage.duration_ns / 4;
    let ramp_ns = (if stage.ramp_ns > 0 { stage.ramp_ns } else { 2 * SECOND_NS }).min(quarter);
    let part = |level, duration_ns, ramp_ns| Stage { level, duration_ns, ramp_ns };
    Some(Load::Closed(vec![
        part(low, quarter, 0),
        part(level, stage.duration_ns - 2 * quarter, ramp_ns),
        part(low, quarter, ramp_ns),
    ]))
}

fn refuse_open_keys(reader: &mut Reader<'_>, fields: Fields<'_>) {
    for key in ["spacing", "max_users"] {
        if let Some(entry) = fields.entry(key) {
            reader.bad_value(entry.key.span, format!("`{key}` goes with `arrivals` only"));
        }
    }
}

/// `for` and `ramp` of a load with a single level; the level itself is filled in by the caller.
fn single_stage(reader: &mut Reader<'_>, fields: Fields<'_>, preset: Option<&Preset>) -> Option<Stage> {
    let duration_ns = match (fields.entry("for"), preset) {
        (Some(_), _) => reader.duration_at(fields, "for", MS_NS),
        (None, Some(preset)) => Some(preset.for_ns),
        (None, None) => {
            reader.missing(fields.at, "a profile", "for", "2m");
            None
        }
    };
    let ramp_ns = reader.duration_at(fields, "ramp", 0).unwrap_or(0);
    let stage = Stage { level: 0.0, duration_ns: duration_ns?, ramp_ns };
    check_inside(reader, fields, stage, "for")
}

/// A ramp lies inside the length that `key` gives.
fn check_inside(reader: &mut Reader<'_>, fields: Fields<'_>, stage: Stage, key: &str) -> Option<Stage> {
    if stage.ramp_ns <= stage.duration_ns {
        return Some(stage);
    }
    let at = fields.get("ramp").map_or(fields.at, Node::span);
    reader.push(
        Diagnostic::error("bad-value", at, "`ramp` is longer than the time it lies inside")
            .help(format!("`{key}` is {}", units::format_duration(stage.duration_ns))),
    );
    None
}

fn staged(reader: &mut Reader<'_>, fields: Fields<'_>, entry: &Entry) -> Option<Load> {
    for key in ["for", "ramp"] {
        if let Some(other) = fields.entry(key) {
            reader.bad_value(other.key.span, format!("with `stages` each stage has its own `{key}`"));
        }
    }
    let Node::List(items, _) = &entry.value else {
        reader.expected(entry.key.span, "`stages` is a list of stages", &entry.value);
        return None;
    };
    if items.is_empty() {
        reader.bad_value(entry.key.span, "there is no stage");
    }
    let mut stages = Vec::new();
    let mut open = false;
    let mut good = !items.is_empty();
    for (i, item) in items.iter().enumerate() {
        match stage(reader, item, entry.key.span) {
            Some((stage, arrivals)) => {
                if i > 0 && arrivals != open {
                    reader.bad_value(item.span(), "the stages of a profile are all `users`, or all `arrivals`");
                    good = false;
                }
                open = arrivals;
                stages.push(stage);
            }
            None => good = false,
        }
    }
    if good && stages.iter().all(|s| s.level <= 0.0) {
        reader.bad_value(entry.key.span, "no stage has any load");
        good = false;
    }
    if open {
        let load = open_options(reader, fields);
        return good.then(|| load(stages));
    }
    refuse_open_keys(reader, fields);
    good.then_some(Load::Closed(stages))
}

fn stage(reader: &mut Reader<'_>, node: &Node, at: Span) -> Option<(Stage, bool)> {
    let at = match node {
        Node::Map(entries, _) => entries.first().map_or(at, |e| e.key.span),
        other => other.span(),
    };
    let fields = reader.fields(node, at, &STAGE)?;
    let level = match (fields.entry("users"), fields.entry("arrivals")) {
        (Some(entry), None) => stage_users(reader, &entry.value, entry.key.span).map(|n| (n, false)),
        (None, Some(entry)) => rate(reader, &entry.value, entry.key.span).map(|r| (r, true)),
        (Some(_), Some(entry)) => {
            reader.bad_value(entry.key.span, "a stage has `users` or `arrivals`, not both");
            None
        }
        (None, None) => {
            reader.missing(at, "a stage", "users", "10");
            None
        }
    };
    let duration_ns = match fields.entry("for") {
        Some(_) => reader.duration_at(fields, "for", MS_NS),
        None => {
            reader.missing(at, "a stage", "for", "30s");
            None
        }
    };
    let ramp_ns = reader.duration_at(fields, "ramp", 0).unwrap_or(0);
    let (level, open) = level?;
    let stage = Stage { level, duration_ns: duration_ns?, ramp_ns };
    Some((check_inside(reader, fields, stage, "for")?, open))
}

fn stage_users(reader: &mut Reader<'_>, node: &Node, at: Span) -> Option<f64> {
    reader.whole(node, at, "`users`", 0, MAX_USERS).map(|n| n as f64)
}

fn users(reader: &mut Reader<'_>, node: &Node, at: Span) -> Option<f64> {
    if matches!(node, Node::List(..)) {
        refuse_list(reader, node, "users");
        return None;
    }
    level_users(reader, node, at)
}

fn refuse_list(reader: &mut Reader<'_>, node: &Node, key: &str) {
    reader.push(
        Diagnostic::error("wrong-type", node.span(), format!("a list of `{key}` goes with `preset: ladder` only"))
            .help("add `preset: ladder`, or write the steps of the load as `stages`"),
    );
}

fn level_users(reader: &mut Reader<'_>, node: &Node, at: Span) -> Option<f64> {
    reader.whole(node, at, "`users`", 1, MAX_USERS).map(|n| n as f64)
}

fn rate(reader: &mut Reader<'_>, node: &Node, at: Span) -> Option<f64> {
    if let Some(scalar) = node.as_scalar().filter(|s| s.text.contains("..")) {
        reader.push(
            Diagnostic::error("bad-value", scalar.span, "a range of `arrivals` goes with `preset: capacity` only")
                .help("add `preset: capacity`, which looks for the highest rate of the range that holds"),
        );
        return None;
    }
    if matches!(node, Node::List(..)) {
        refuse_list(reader, node, "arrivals");
        return None;
    }
    level_rate(reader, node, at)
}

fn level_rate(reader: &mut Reader<'_>, node: &Node, at: Span) -> Option<f64> {
    let rate = reader.unit(node, at, "`arrivals`", "`20/s`", units::parse_rate)?;
    if rate <= 0.0 || rate > MAX_RATE {
        reader.bad_value(node.span(), "`arrivals` is above 0 and at most 1000000/s");
        return None;
    }
    Some(rate)
}

/// `spacing` and `max_users`, as a function that makes the load of its stages.
fn open_options(reader: &mut Reader<'_>, fields: Fields<'_>) -> impl Fn(Vec<Stage>) -> Load + use<> {
    let spacing = match reader.word_at(fields, "spacing", &["even", "poisson"], &[]) {
        Some("poisson") => Spacing::Poisson,
        _ => Spacing::Even,
    };
    let max_users = reader.whole_at(fields, "max_users", 1, MAX_USERS).unwrap_or(OPEN_MAX_USERS) as usize;
    move |stages| Load::Open { stages, spacing, max_users }
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] =
    &[("profile", &PROFILE), ("stage", &STAGE), ("network", &conditions::NETWORK), ("moment", &conditions::MOMENT)];
