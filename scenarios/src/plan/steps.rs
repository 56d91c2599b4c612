//! Steps of a journey or fragment: requests, thinking, loops, branches, groups, calls, probes.
//! In: a list of steps. Out: [`StepPlan`]s; a step that cannot be read is reported and left out.

use super::reader::{Fields, Reader, Spec};
use super::{StepKind, StepPlan, requests, sockets};
use crate::diagnostic::{Diagnostic, Span, did_you_mean};
use crate::program::Halt;
use crate::syntax::{Entry, Node, Scalar};
use crate::units;

/// Steps that work, besides requests.
const WORDS: &[&str] = &[
    "think",
    "repeat",
    "while",
    "if",
    "choose",
    "set",
    "group",
    "probe",
    "call",
    "pace",
    "for_each",
    "poll",
    "log",
    "stop",
    "parallel",
    "join",
    "leave",
    "switch_account",
    "rendezvous",
];

/// Rounds of a `while` without `max`.
const WHILE_MAX: u64 = 1_000;

/// How long users wait for one another when a `rendezvous` does not say.
const RENDEZVOUS_WITHIN_NS: u64 = 30_000_000_000;
const MILLISECOND_NS: u64 = 1_000_000;

macro_rules! step_spec {
    ($name:ident, $what:literal, $($key:literal),+) => {
        const $name: Spec = Spec { what: $what, keys: &[$($key),+], not_yet: &[] };
    };
}
step_spec!(THINK, "a `think` step", "think");
step_spec!(REPEAT, "a `repeat` step", "repeat", "steps");
step_spec!(WHILE, "a `while` step", "while", "max", "steps");
step_spec!(IF, "an `if` step", "if", "then", "else");
step_spec!(CHOOSE, "a `choose` step", "choose");
step_spec!(BRANCH, "a branch of `choose`", "weight", "steps");
step_spec!(SET, "a `set` step", "set");
step_spec!(GROUP, "a `group` step", "group", "steps", "on_failure");
step_spec!(PACE, "a `pace` step", "pace");
step_spec!(FOR_EACH, "a `for_each` step", "for_each", "as", "steps");
step_spec!(LOG, "a `log` step", "log");
step_spec!(PARALLEL, "a `parallel` step", "parallel");
step_spec!(STOP, "a `stop` step", "stop");
step_spec!(CALL, "a `call` step", "call");
step_spec!(JOIN, "a `join` step", "join");
step_spec!(LEAVE, "a `leave` step", "leave");
step_spec!(SWITCH, "a `switch_account` step", "switch_account");
step_spec!(RENDEZVOUS, "a `rendezvous` step", "rendezvous");
step_spec!(MEETING, "a rendezvous", "name", "users", "within");
step_spec!(PROBE, "a `probe` step", "probe");
step_spec!(PROBE_FORM, "a probe", "request", "stranger");

/// The steps under `entry`.
pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry) -> Vec<StepPlan> {
    let Node::List(items, _) = &entry.value else {
        let span = if entry.value.is_null() { entry.key.span } else { entry.value.span() };
        let rule = format!("`{}` is a list of steps, each with a `-`", entry.key.shown());
        reader.expected(span, &rule, &entry.value);
        return Vec::new();
    };
    items.iter().filter_map(|item| step(reader, item)).collect()
}

fn step(reader: &mut Reader<'_>, node: &Node) -> Option<StepPlan> {
    match node {
        Node::Scalar(text) if text.broken => None,
        Node::Scalar(text) if !text.is_null() => text_step(reader, text),
        Node::Map(entries, span) if !entries.is_empty() => {
            let step = map_step(reader, node, entries);
            if step.is_none() {
                reader.remember_ghosts(node);
            }
            step.map(|kind| StepPlan { span: *span, kind })
        }
        other => {
            reader.expected(
                other.span(),
                "a step is a request such as `GET /path`, or a map such as `think: 2s`",
                other,
            );
            None
        }
    }
}

/// A request without options may stand as plain text.
fn text_step(reader: &mut Reader<'_>, text: &Scalar) -> Option<StepPlan> {
    let word = first_word(&text.text);
    if sockets::WORDS.contains(&word) {
        sockets::no_options(reader, text, word);
        return None;
    }
    if WORDS.contains(&word) {
        reader.push(
            Diagnostic::error("bad-step", text.span, format!("the step `{word}` needs a value"))
                .help(format!("write `{word}: …`, with a colon and a space")),
        );
        return None;
    }
    let request = requests::read(reader, text, None, text.span, false)?;
    Some(StepPlan { span: text.span, kind: StepKind::Request(Box::new(request)) })
}

fn first_word(text: &str) -> &str {
    text.split([' ', ':']).next().unwrap_or("")
}

fn map_step(reader: &mut Reader<'_>, node: &Node, entries: &[Entry]) -> Option<StepKind> {
    let known = |word: &str| entries.iter().find(|e| e.key.text == word);
    if let Some(entry) = WORDS.iter().find_map(|word| known(word)) {
        return keyword_step(reader, node, entry);
    }
    if let Some(entry) = entries.iter().find(|e| sockets::WORDS.contains(&first_word(&e.key.text))) {
        return sockets::read(reader, node, entry);
    }
    let first = &entries[0];
    if !requests::looks_like_request(&first.key.text) {
        unknown_step(reader, &first.key);
        return None;
    }
    if let Some(second) = entries.get(1) {
        let message = if first.value.is_null() {
            "the options of a request stand under it, further in"
        } else {
            "a request is one key; another step starts with its own `-`"
        };
        reader.push(
            Diagnostic::error("bad-step", second.key.span, message)
                .help("indent this key by four more spaces than the `-` of its request"),
        );
    }
    let request = requests::read(reader, &first.key, Some(&first.value), first.key.span, false)?;
    Some(StepKind::Request(Box::new(request)))
}

fn unknown_step(reader: &mut Reader<'_>, key: &Scalar) {
    let word = first_word(&key.text);
    let methods = requests::METHODS.iter().copied();
    let all = WORDS.iter().chain(sockets::WORDS).copied().chain(methods);
    let help = did_you_mean(word, all).map_or_else(
        || format!("a step is `GET /path` and the like, or one of {}", [WORDS, sockets::WORDS].concat().join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    reader.push(Diagnostic::error("unknown-step", key.span, format!("there is no step `{}`", key.shown())).help(help));
}

fn keyword_step(reader: &mut Reader<'_>, node: &Node, entry: &Entry) -> Option<StepKind> {
    let at = entry.key.span;
    match entry.key.text.as_str() {
        "think" => {
            reader.fields(node, at, &THINK)?;
            let delay = reader.unit(&entry.value, at, "`think`", "`1s..4s`", units::parse_delay)?;
            Some(StepKind::Think(delay))
        }
        "repeat" => {
            let fields = reader.fields(node, at, &REPEAT)?;
            let times = reader.text_at(fields, "repeat").cloned();
            let steps = nested(reader, fields, "steps", "a `repeat` step");
            let times = check_times(reader, times?)?;
            Some(StepKind::Repeat { times, steps })
        }
        "while" => {
            let fields = reader.fields(node, at, &WHILE)?;
            let condition = reader.text_at(fields, "while").cloned();
            let most = reader.whole_at(fields, "max", 1, 1_000_000);
            let steps = nested(reader, fields, "steps", "a `while` step");
            Some(StepKind::While { condition: condition?, most: most.unwrap_or(WHILE_MAX), steps })
        }
        "if" => {
            let fields = reader.fields(node, at, &IF)?;
            let condition = reader.text_at(fields, "if").cloned();
            let then = nested(reader, fields, "then", "an `if` step");
            let otherwise = match fields.entry("else") {
                Some(entry) => read(reader, entry),
                None => Vec::new(),
            };
            Some(StepKind::If { condition: condition?, then, otherwise })
        }
        "choose" => {
            reader.fields(node, at, &CHOOSE)?;
            choose(reader, entry)
        }
        "set" => {
            reader.fields(node, at, &SET)?;
            set(reader, entry)
        }
        "group" => {
            let fields = reader.fields(node, at, &GROUP)?;
            let name = reader.text_at(fields, "group").cloned();
            if let Some(name) = &name {
                reader.plain(name, "the name of a group");
            }
            let steps = nested(reader, fields, "steps", "a `group` step");
            let continue_on_failure = requests::on_failure(reader, fields);
            Some(StepKind::Group { name: name?, steps, continue_on_failure })
        }
        "call" => {
            let fields = reader.fields(node, at, &CALL)?;
            Some(StepKind::Call(reader.text_at(fields, "call")?.clone()))
        }
        "probe" => {
            reader.fields(node, at, &PROBE)?;
            probe(reader, entry)
        }
        _ => flow_step(reader, node, entry),
    }
}

/// Steps that say how the journey flows.
fn flow_step(reader: &mut Reader<'_>, node: &Node, entry: &Entry) -> Option<StepKind> {
    let at = entry.key.span;
    match entry.key.text.as_str() {
        "join" => {
            let fields = reader.fields(node, at, &JOIN)?;
            Some(StepKind::Join(reader.text_at(fields, "join")?.clone()))
        }
        "leave" => {
            let fields = reader.fields(node, at, &LEAVE)?;
            Some(StepKind::Leave(reader.text_at(fields, "leave")?.clone()))
        }
        "switch_account" => {
            let fields = reader.fields(node, at, &SWITCH)?;
            reader.word_at(fields, "switch_account", &["next"], &[])?;
            Some(StepKind::SwitchAccount)
        }
        "rendezvous" => {
            reader.fields(node, at, &RENDEZVOUS)?;
            rendezvous(reader, entry)
        }
        "pace" => {
            reader.fields(node, at, &PACE)?;
            let delay = reader.unit(&entry.value, at, "`pace`", "`10s`", units::parse_delay)?;
            Some(StepKind::Pace(delay))
        }
        "for_each" => {
            let fields = reader.fields(node, at, &FOR_EACH)?;
            let list = match &entry.value {
                Node::List(..) => Some(entry.value.clone()),
                _ => reader.text_at(fields, "for_each").cloned().map(Node::Scalar),
            };
            let mut name = reader.text_at(fields, "as").cloned();
            if let Some(given) = &name
                && !reader.variable_name(given, "a variable")
            {
                name = None;
            } else if fields.entry("as").is_none() {
                let mut usual = entry.key.clone();
                usual.text = "item".into();
                name = Some(usual);
            }
            let steps = nested(reader, fields, "steps", "a `for_each` step");
            Some(StepKind::ForEach { list: list?, name: name?, steps })
        }
        "poll" => requests::poll::read(reader, node, entry).map(|request| StepKind::Request(Box::new(request))),
        "parallel" => {
            reader.fields(node, at, &PARALLEL)?;
            parallel(reader, entry)
        }
        "log" => {
            let fields = reader.fields(node, at, &LOG)?;
            Some(StepKind::Log(reader.text_at(fields, "log")?.clone()))
        }
        _ => {
            let fields = reader.fields(node, at, &STOP)?;
            let halt = match reader.word_at(fields, "stop", &["iteration", "user", "run"], &[])? {
                "iteration" => Halt::Iteration,
                "user" => Halt::User,
                _ => Halt::Run,
            };
            Some(StepKind::Stop(halt))
        }
    }
}

/// `{ name, users, within }`.
fn rendezvous(reader: &mut Reader<'_>, entry: &Entry) -> Option<StepKind> {
    let at = entry.key.span;
    let fields = reader.fields(&entry.value, at, &MEETING)?;
    let name = reader.text_at(fields, "name");
    let name = name.filter(|name| reader.plain_name(name, "the name of a rendezvous")).cloned();
    if fields.entry("name").is_none() {
        reader.missing(at, MEETING.what, "name", "start");
    }
    let users = reader.whole_at(fields, "users", 1, 1_000_000);
    if fields.entry("users").is_none() {
        reader.missing(at, MEETING.what, "users", "20");
    }
    let is_written = fields.entry("within").is_some();
    let within = reader.duration_at(fields, "within", MILLISECOND_NS);
    let within_ns = within.or_else(|| (!is_written).then_some(RENDEZVOUS_WITHIN_NS));
    Some(StepKind::Rendezvous { name: name?, users: users?, within_ns: within_ns? })
}

/// Branches of a `parallel` at most: each is a connection of every user.
const MOST_BRANCHES: usize = 64;

/// Branches are requests, with all their options.
fn parallel(reader: &mut Reader<'_>, entry: &Entry) -> Option<StepKind> {
    let Node::List(items, _) = &entry.value else {
        let rule = "`parallel` is a list of requests, such as `[ GET /a, GET /b ]`";
        reader.expected(entry.key.span, rule, &entry.value);
        return None;
    };
    if !(1..=MOST_BRANCHES).contains(&items.len()) {
        reader.bad_value(
            entry.key.span,
            format!("`parallel` has 1 to {MOST_BRANCHES} branches, here are {}", items.len()),
        );
        return None;
    }
    let mut branches = Vec::new();
    for item in items {
        let Some(branch) = step(reader, item) else { continue };
        if let StepKind::Request(request) = &branch.kind
            && let Some(revokes) = &request.guard.revokes
        {
            reader.push(
                Diagnostic::error(
                    "bad-step",
                    revokes.span,
                    "what revokes a credential stands alone, not in a `parallel`",
                )
                .help("move this request behind the `parallel`"),
            );
        }
        if matches!(&branch.kind, StepKind::Request(request) if request.poll.is_none()) {
            branches.push(branch);
            continue;
        }
        reader.push(
            Diagnostic::error("bad-step", branch.span, "a branch of `parallel` is a request")
                .help("move this step before or after the `parallel`"),
        );
    }
    Some(StepKind::Parallel(branches))
}

/// A number, or a template that gives one.
fn check_times(reader: &mut Reader<'_>, times: Scalar) -> Option<Scalar> {
    if times.text.contains("{{") {
        return Some(times);
    }
    let node = Node::Scalar(times.clone());
    reader.whole(&node, times.span, "`repeat`", 0, 1_000_000)?;
    Some(times)
}

fn nested(reader: &mut Reader<'_>, fields: Fields<'_>, key: &str, what: &str) -> Vec<StepPlan> {
    match fields.entry(key) {
        Some(entry) => read(reader, entry),
        None => {
            reader.missing(fields.at, what, key, "[GET /path]");
            Vec::new()
        }
    }
}

fn choose(reader: &mut Reader<'_>, entry: &Entry) -> Option<StepKind> {
    let Node::List(items, _) = &entry.value else {
        reader.expected(entry.key.span, "`choose` is a list of branches, each with `weight` and `steps`", &entry.value);
        return None;
    };
    let mut branches = Vec::new();
    for item in items {
        let at = first_key(item).unwrap_or(entry.key.span);
        let Some(fields) = reader.fields(item, at, &BRANCH) else {
            continue;
        };
        let weight = match fields.entry("weight") {
            Some(_) => reader.whole_at(fields, "weight", 0, 1_000_000),
            None => Some(1),
        };
        let steps = nested(reader, fields, "steps", "a branch of `choose`");
        branches.push((weight.unwrap_or(1) as u32, steps));
    }
    if branches.iter().all(|(weight, _)| *weight == 0) {
        reader.bad_value(entry.key.span, "`choose` needs a branch with a weight above 0");
        return None;
    }
    Some(StepKind::Choose(branches))
}

fn first_key(node: &Node) -> Option<Span> {
    match node {
        Node::Map(entries, _) => entries.first().map(|e| e.key.span),
        _ => None,
    }
}

fn set(reader: &mut Reader<'_>, entry: &Entry) -> Option<StepKind> {
    let entries = reader.entries(&entry.value, entry.key.span, "`set`")?;
    let mut values = Vec::new();
    for entry in entries {
        if reader.variable_name(&entry.key, "a variable") {
            values.push((entry.key.clone(), entry.value.clone()));
        }
    }
    Some(StepKind::Set(values))
}

/// `probe: GET /path`, or `{ request: …, stranger: ROLE }`.
fn probe(reader: &mut Reader<'_>, entry: &Entry) -> Option<StepKind> {
    let mut stranger = None;
    let mut written = &entry.value;
    if let Node::Map(entries, _) = &entry.value {
        let as_step = entries.first().is_some_and(|e| requests::looks_like_request(&e.key.text));
        if !as_step {
            let fields = reader.fields(&entry.value, entry.key.span, &PROBE_FORM)?;
            stranger = reader.text_at(fields, "stranger").cloned();
            match fields.get("request") {
                Some(node) => written = node,
                None => {
                    reader.missing(entry.key.span, "a probe", "request", "GET /path");
                    return None;
                }
            }
        }
    }
    let request = match written {
        Node::Map(entries, _) if entries.len() == 1 => {
            let first = &entries[0];
            requests::read(reader, &first.key, Some(&first.value), first.key.span, true)?
        }
        Node::Scalar(text) if !text.is_null() => requests::read(reader, text, None, text.span, true)?,
        other => {
            let rule = "a probe is a request such as `GET /patients/{{ stranger.id }}/notes`";
            reader.expected(entry.key.span, rule, other);
            return None;
        }
    };
    Some(StepKind::Probe { request: Box::new(request), stranger })
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] = &[
    ("step_think", &THINK),
    ("step_repeat", &REPEAT),
    ("step_while", &WHILE),
    ("step_if", &IF),
    ("step_choose", &CHOOSE),
    ("branch", &BRANCH),
    ("step_set", &SET),
    ("step_group", &GROUP),
    ("step_call", &CALL),
    ("step_probe", &PROBE),
    ("step_join", &JOIN),
    ("step_leave", &LEAVE),
    ("step_switch_account", &SWITCH),
    ("step_rendezvous", &RENDEZVOUS),
    ("rendezvous", &MEETING),
    ("probe_form", &PROBE_FORM),
    ("step_pace", &PACE),
    ("step_for_each", &FOR_EACH),
    ("step_log", &LOG),
    ("step_stop", &STOP),
    ("step_parallel", &PARALLEL),
];
