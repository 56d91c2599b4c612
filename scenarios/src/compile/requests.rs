//! A request of the plan to a request of the program: path and query taken apart, headers merged, checks compiled.
//! In: [`RequestPlan`] and the journey around it. Out: [`Request`] and the step that it is recorded under.

use super::Route;
use super::fields::Fields;
use super::journeys::Builder;
use super::names::Visible;
use super::trail::Read;
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{Expr, JsonTemplate, Template};
use crate::multipart::{Content, Multipart, Part};
use crate::plan::{BodyPlan, ConditionPlan, ExpectPlan, PartContent, RequestPlan, SavePlan, SavedFrom};
use crate::program::{Body, CompareOp, Condition, Expect, Identity, Poll, Probe, Request, Save, SaveSource, Step};
use crate::syntax::{Node, Scalar, Style};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::sync::Arc;

/// A section of a journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Before,
    Steps,
    After,
}

/// A name and its value.
type Pair = (String, Template);

impl Builder<'_, '_> {
    /// Compiles a request and answers its number; `stranger` is set in probes.
    pub(super) fn request(&mut self, plan: &RequestPlan, span: Span, stranger: Option<usize>) -> usize {
        self.tokens_for(plan);
        let slots = std::mem::take(&mut self.slots);
        let names = Visible::journey(self.lowering.plan, self.played_by, stranger, &slots);
        let target = self.request_target(plan);
        let step = self.record(plan, target, stranger.is_some());
        let (mut path, mut query) = self.path(plan, &names);
        for (key, value) in &plan.query {
            let value = self.lowering.typed(value, &names);
            query.push((key.text.clone(), value));
        }
        let mut headers = self.headers(plan, &names);
        if let Some(value) = self.authorization(plan, &names) {
            headers.retain(|(name, _)| name != "authorization");
            headers.push(("authorization".into(), value));
        }
        let whole_url = plan.key.text[plan.path_at..].starts_with("{{");
        let parts = ((&mut path, whole_url), &mut query[..], &mut headers[..]);
        let (body, plants_marker) = self.planted(plan, step, parts, &names);
        let events = self.events(plan, &names);
        let keeps = self.lowering.trail.keeps;
        let mut expect = self.expect(&plan.expect, &names);
        let (poll, mut awaited) = self.poll(plan, &names);
        let (that, asked) = self.that(&plan.expect, &names);
        expect.that = that;
        awaited.extend(asked);
        // What an answer is checked with is there; only later steps need it kept.
        self.lowering.trail.keeps = keeps;
        let identities = self.identities(plan, &names);
        self.slots = slots;
        let saves = self.saves(&plan.saves);
        let is_saved = |slot| saves.iter().any(|save: &Save| save.slot == slot);
        self.lowering.trail.places.extend(awaited.into_iter().filter(|read| !is_saved(read.slot)));
        let guard = self.guard(plan);
        let target_timeout = self.lowering.target_plan(target).map(|t| t.timeout_ns);
        let number = self.lowering.requests.len();
        let route = Route { journey: self.index, text: normalised(&plan.key.text, stranger.is_some()), step };
        if stranger.is_some() {
            self.lowering.probes.push((number, route, span));
        } else {
            self.lowering.routes.push(route);
        }
        self.lowering.requests.push(Request {
            step,
            target,
            method: plan.method.clone(),
            path,
            query,
            headers,
            body,
            timeout_ns: plan.timeout_ns.or(target_timeout).unwrap_or_default(),
            abandon: plan.abandon,
            redirects: self.redirects(plan, target, stranger.is_some()),
            expect,
            saves,
            identities,
            probe: stranger.map(|role| Probe { role, control_step: None }),
            continue_on_failure: plan
                .continue_on_failure
                .or(self.continues)
                .unwrap_or(self.plan.continue_on_failure && self.section != Section::Before),
            plants_marker,
            retry: plan.retry.clone(),
            poll,
            events,
            upgrade: None,
            guard,
            whole_url,
            twins: Vec::new(),
        });
        number
    }

    /// The body, and whether it or the rest makes a marker. What they plant is numbered by the step's fields, in the order
    /// of rendering.
    fn planted(
        &mut self,
        plan: &RequestPlan,
        step: usize,
        ((path, whole_url), query, headers): ((&mut Template, bool), &mut [Pair], &mut [Pair]),
        names: &Visible<'_>,
    ) -> (Body, bool) {
        // Moved out meanwhile, as the body needs the rest of `self`.
        let mut fields = std::mem::take(&mut self.lowering.steps[step].fields);
        let mut planted = Fields(&mut fields);
        planted.path(path, whole_url);
        planted.pairs("query ", query);
        planted.pairs("header ", headers);
        let body = self.body(plan, names, &mut planted);
        self.lowering.steps[step].fields = fields;
        let pairs = query.iter().chain(&*headers).map(|(_, value)| value);
        let plants_marker = [&*path].into_iter().chain(pairs).any(Template::uses_marker) || body_plants_marker(&body);
        (body, plants_marker)
    }

    /// A `poll` with what its `until` reads: what the answer saves is saved before it asks.
    fn poll(&mut self, plan: &RequestPlan, names: &Visible<'_>) -> (Option<Poll>, Vec<Read>) {
        let reads = self.lowering.trail.places.len();
        let poll = plan.poll.as_ref().map(|poll| Poll {
            every_ns: poll.every_ns,
            within_ns: poll.within_ns,
            until: poll.until.as_ref().and_then(|until| self.lowering.condition(until, names)),
        });
        (poll, self.lowering.trail.places.split_off(reads))
    }

    /// A probe's redirect is its answer: the page to log in at is no data of the stranger.
    fn redirects(&self, plan: &RequestPlan, target: usize, probe: bool) -> u32 {
        let of_target = self.lowering.plan.targets.get(target).map(|t| t.transport.redirects);
        let most = plan.redirects.or(of_target).unwrap_or_default();
        if probe { 0 } else { most.0 }
    }

    fn request_target(&mut self, plan: &RequestPlan) -> usize {
        if let Some(target) = self.whole_target(plan) {
            return target;
        }
        let found = match (&plan.target, self.target) {
            (Some(name), _) => self.lowering.find_target(name),
            (None, Some(target)) => Some(target),
            (None, None) => {
                // A journey's wrong `target:` has been reported already.
                let known = self.plan.target.is_some() || self.lowering.plan.targets.is_empty();
                if !known && !self.target_missed {
                    self.target_missed = true;
                    self.lowering.push(
                        Diagnostic::error(
                            "no-target",
                            plan.key.span,
                            format!("`{}` goes nowhere: there are several targets and neither the step nor its journey names one", plan.key.shown()),
                        )
                        .help("add `target: NAME` to the journey or the step"),
                    );
                }
                None
            }
        };
        found.unwrap_or(0)
    }

    /// Path and query of the key.
    fn path(&mut self, plan: &RequestPlan, names: &Visible<'_>) -> (Template, Vec<(String, Template)>) {
        let key = &plan.key;
        let mut path_at = plan.path_at;
        let mut whole = &key.text[path_at..];
        if whole.starts_with("{{") {
            return (self.lowering.text_from(key, path_at, names), Vec::new());
        }
        if whole.starts_with("http") {
            let (host, rest) = crate::plan::split_host(whole);
            path_at += host.len();
            whole = rest;
        }
        let (path, query) = match outside_templates(whole, '?').next() {
            Some(at) => (&whole[..at], Some((&whole[at + 1..], path_at + at + 1))),
            None => (whole, None),
        };
        let encoded = map_plain(path, |plain| utf8_percent_encode(plain, NON_ASCII).to_string());
        let path = match encoded.as_str() {
            // A whole URL may end with its host.
            "" => Template::constant(crate::value::Value::text("/")),
            encoded => self.lowering.template_of(key, encoded, path_at, names),
        };
        let mut pairs = Vec::new();
        if let Some((query, offset)) = query {
            for (from, part) in split_outside(query, '&') {
                if part.is_empty() {
                    continue;
                }
                let (name, value, value_at) = match outside_templates(part, '=').next() {
                    Some(at) => (&part[..at], &part[at + 1..], from + at + 1),
                    None => (part, "", from),
                };
                let value = map_plain(value, decoded);
                let value = self.lowering.template_of(key, &value, offset + value_at, names);
                pairs.push((decoded(name), value));
            }
        }
        (path, pairs)
    }

    /// The journey's headers, then the request's; a later one of the same name wins. None of the journey's in `before`.
    fn headers(&mut self, plan: &RequestPlan, names: &Visible<'_>) -> Vec<(String, Template)> {
        let journey = self.plan;
        let inherited = if self.section == Section::Before || plan.bare { &[][..] } else { &journey.headers };
        let own = |name: &Scalar| plan.headers.iter().any(|(n, _)| n.text == name.text);
        inherited
            .iter()
            .filter(|(name, _)| !own(name))
            .chain(&plan.headers)
            .map(|(name, value)| (name.text.clone(), self.lowering.text(value, names)))
            .collect()
    }

    fn body(&mut self, plan: &RequestPlan, names: &Visible<'_>, planted: &mut Fields<'_>) -> Body {
        match &plan.body {
            BodyPlan::Empty => Body::Empty,
            BodyPlan::Json(node) => {
                let mut node = self.lowering.json(node, names);
                planted.json("$", &mut node);
                Body::Json(JsonTemplate::new(node))
            }
            BodyPlan::Form(pairs) => {
                let pairs = pairs.iter().map(|(name, value)| (name.text.clone(), self.lowering.typed(value, names)));
                let mut pairs: Vec<_> = pairs.collect();
                planted.pairs("form ", &mut pairs);
                Body::Form(pairs)
            }
            BodyPlan::Text(text) => {
                let mut text = self.lowering.text(text, names);
                planted.text("body", &mut text);
                Body::Text(text)
            }
            BodyPlan::Bytes { bytes, kind } => Body::Bytes { bytes: Arc::clone(bytes), kind: kind.clone() },
            BodyPlan::Multipart(parts) => {
                let parts = parts.iter().map(|part| {
                    let content = match &part.content {
                        PartContent::Bytes(bytes) => Content::Bytes(Arc::clone(bytes)),
                        PartContent::Text(text) => Content::Text(self.lowering.text(text, names)),
                    };
                    Part::new(&part.name.text, part.filename.as_deref(), part.kind.as_deref(), content)
                });
                let mut parts: Vec<_> = parts.collect();
                planted.parts(&mut parts);
                Body::Multipart(Multipart::new(parts))
            }
        }
    }

    fn expect(&mut self, plan: &ExpectPlan, names: &Visible<'_>) -> Expect {
        let mut expect = Expect {
            status: plan.status.clone(),
            under_ns: plan.under_ns,
            marker: plan.marker,
            first_event_ns: plan.first_event_ns,
            event_gap_ns: plan.event_gap_ns,
            ..Expect::default()
        };
        for (path, condition) in &plan.json {
            let path = self.lowering.json_path(path);
            let condition = self.condition_of(condition, names);
            expect.json.extend(path.zip(condition));
        }
        for (name, condition) in &plan.headers {
            let condition = self.condition_of(condition, names);
            expect.headers.extend(condition.map(|c| (name.text.clone(), c)));
        }
        for text in &plan.contains {
            expect.contains.push(self.lowering.text(text, names));
        }
        for pattern in &plan.matches {
            expect.matches.extend(self.lowering.byte_pattern(pattern));
        }
        expect.events = plan.events.as_ref().and_then(|count| self.condition_of(count, names));
        expect
    }

    /// `that` with what it reads: it sees what the answer saved.
    fn that(&mut self, plan: &ExpectPlan, names: &Visible<'_>) -> (Option<Expr>, Vec<Read>) {
        let reads = self.lowering.trail.places.len();
        let that = plan.that.as_ref().and_then(|that| self.lowering.condition(that, names));
        (that, self.lowering.trail.places.split_off(reads))
    }

    pub(super) fn condition_of(&mut self, plan: &ConditionPlan, names: &Visible<'_>) -> Option<Condition> {
        match plan {
            ConditionPlan::Exists(exists) => Some(Condition::Exists(*exists)),
            ConditionPlan::Matches(pattern) => self.lowering.pattern(pattern).map(Condition::Matches),
            ConditionPlan::Value(node) => {
                if let Some((op, at)) = node.as_scalar().and_then(comparison) {
                    let scalar = node.as_scalar()?;
                    let operand = self.operand(scalar, at, names);
                    return Some(match op {
                        Some(op) => Condition::Compare(op, operand),
                        None => Condition::Equals(operand),
                    });
                }
                Some(Condition::Equals(self.lowering.typed(node, names)))
            }
        }
    }

    /// What a value is compared with: a template, or a constant with the type it would have in the file.
    fn operand(&mut self, scalar: &Scalar, at: usize, names: &Visible<'_>) -> Template {
        let text = &scalar.text[at..];
        if text.contains("{{") {
            return self.lowering.template_of(scalar, text, at, names);
        }
        Template::constant(Scalar::new(text, text, Style::Plain, Span::new(0..text.len())).value())
    }

    fn identities(&mut self, plan: &RequestPlan, names: &Visible<'_>) -> Vec<Identity> {
        let mut identities = Vec::new();
        for (path, expected) in &plan.identities {
            let expected = self.lowering.typed(&Node::Scalar(expected.clone()), names);
            if let Some(path) = self.lowering.json_path(path) {
                identities.push(Identity { path, expected });
            }
        }
        identities
    }

    pub(super) fn saves(&mut self, plans: &[SavePlan]) -> Vec<Save> {
        let mut saves = Vec::new();
        for plan in plans {
            let source = match &plan.source {
                SavedFrom::Json(path) => self.lowering.json_path(path).map(SaveSource::Json),
                SavedFrom::Header(name) => Some(SaveSource::Header(name.text.to_lowercase())),
                SavedFrom::Regex(pattern) => self.lowering.byte_pattern(pattern).map(SaveSource::Regex),
                SavedFrom::Cookie(name) => Some(SaveSource::Cookie(name.text.clone())),
                SavedFrom::Css { selector, attribute } => {
                    self.lowering.css(selector, attribute.as_ref()).map(SaveSource::Css)
                }
            };
            if let Some(source) = source {
                let slot = self.slot(&plan.name.text);
                // A credential is watched whether or not it is read; names with a blank are our own.
                if !plan.credential && !plan.name.text.contains(' ') {
                    self.lowering.trail.written.push((slot, plan.name.clone()));
                }
                saves.push(Save {
                    slot: self.slot(&plan.name.text),
                    name: plan.name.text.clone(),
                    source,
                    default: plan.default.clone(),
                    credential: plan.credential,
                    secret: plan.secret,
                });
            }
        }
        saves
    }

    /// The step of this name in this journey: the one that is there, or a new one.
    fn record(&mut self, plan: &RequestPlan, target: usize, probe: bool) -> usize {
        let name = plan.name.as_ref().unwrap_or(&plan.key);
        let tags = plan.tags.iter().map(|t| t.text.clone());
        let known = self.lowering.steps.iter().position(|s| s.journey == self.index && s.name == name.text);
        let Some(number) = known else {
            self.lowering.steps.push(Step {
                journey: self.index,
                name: name.text.clone(),
                target,
                tags: tags.collect(),
                probe,
                control: plan.expect.marker,
                twin_of: None,
                socket: false,
                fields: Vec::new(),
            });
            return self.lowering.steps.len() - 1;
        };
        let step = &mut self.lowering.steps[number];
        let differs = if step.target != target {
            Some("go to different targets")
        } else if step.probe != probe {
            Some("are a probe and an ordinary request")
        } else if step.control.is_some() && plan.expect.marker.is_some() && step.control != plan.expect.marker {
            Some("declare different markers")
        } else {
            None
        };
        for tag in tags {
            if !step.tags.contains(&tag) {
                step.tags.push(tag);
            }
        }
        step.control = step.control.or(plan.expect.marker);
        if let Some(differs) = differs {
            let message = format!("two requests named `{}` {differs}", name.shown());
            self.lowering.push(
                Diagnostic::error("two-meanings", name.span, message)
                    .help("give one of them a `name:`, as both would be one row in every table"),
            );
        }
        number
    }
}

fn body_plants_marker(body: &Body) -> bool {
    match body {
        Body::Empty | Body::Bytes { .. } => false,
        Body::Multipart(parts) => parts.uses_marker(),
        Body::Json(json) => json.uses_marker(),
        Body::Form(pairs) => pairs.iter().any(|(_, t)| t.uses_marker()),
        Body::Text(text) => text.uses_marker(),
    }
}

/// A leading comparison sign and where its operand starts; `None` in place of the sign stands for `==`.
fn comparison(scalar: &Scalar) -> Option<(Option<CompareOp>, usize)> {
    let text = &scalar.text;
    let signs = [
        ("<=", Some(CompareOp::AtMost)),
        (">=", Some(CompareOp::AtLeast)),
        ("!=", Some(CompareOp::Not)),
        ("==", None),
        ("<", Some(CompareOp::Less)),
        (">", Some(CompareOp::More)),
    ];
    let (sign, op) = signs.into_iter().find(|(sign, _)| text.starts_with(sign))?;
    let rest = &text[sign.len()..];
    let operand = rest.trim_start();
    // `<b>` is text to be compared as it is; `< 3` and `<3` are comparisons.
    let meant = rest.starts_with(' ')
        || operand.starts_with("{{")
        || operand.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    (meant && !operand.is_empty()).then_some((op, text.len() - operand.len()))
}

/// The template of a request with blanks inside `{{ }}` removed, and a probe's `stranger` read as `account`.
fn normalised(key: &str, probe: bool) -> String {
    let mut out = String::new();
    let mut rest = key;
    while let Some((plain, template)) = rest.split_once("{{") {
        let (inside, after) = template.split_once("}}").unwrap_or((template, ""));
        out.push_str(plain);
        out.push_str("{{ ");
        let inside: String = inside.split_whitespace().collect();
        out.push_str(&if probe { inside.replace("stranger.", "account.") } else { inside });
        out.push_str(" }}");
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Places of `sign` in `text` that are not inside `{{ }}`.
fn outside_templates(text: &str, sign: char) -> impl Iterator<Item = usize> {
    let mut depth = false;
    let mut previous = ' ';
    text.char_indices().filter_map(move |(at, c)| {
        if previous == '{' && c == '{' {
            depth = true;
        }
        if previous == '}' && c == '}' {
            depth = false;
        }
        previous = c;
        (!depth && c == sign).then_some(at)
    })
}

/// Parts of `text` between `sign`s outside `{{ }}`, each with its offset.
fn split_outside(text: &str, sign: char) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let mut from = 0;
    for at in outside_templates(text, sign) {
        parts.push((from, &text[from..at]));
        from = at + sign.len_utf8();
    }
    parts.push((from, &text[from..]));
    parts
}

/// Changes the parts of a template text that are not inside `{{ }}`.
fn map_plain(text: &str, change: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let close = rest[open..].find("}}").map_or(rest.len(), |i| open + i + 2);
        out.push_str(&change(&rest[..open]));
        out.push_str(&rest[open..close]);
        rest = &rest[close..];
    }
    out.push_str(&change(rest));
    out
}

/// What a path cannot hold as it is.
const NON_ASCII: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'#');

/// A query's plain text before it is encoded again; `{{` is never made out of `%7B%7B`.
fn decoded(text: &str) -> String {
    let plain = text.replace('+', " ");
    match percent_decode_str(&plain).decode_utf8() {
        Ok(decoded) if !decoded.contains("{{") => decoded.into_owned(),
        _ => plain,
    }
}
