//! What a traced user remembers of its last step, and how that is told. A user that is not traced has no trail.
//! In: operations, the request, the answer and what was made of it. Out: [`Event`]s with secrets masked.

use super::{Effect, Section, VirtualUser};
use crate::client::answer::{self, Answer};
use crate::excerpt;
use crate::failure::Failure;
use crate::isolation::entitlement::may_see;
use crate::isolation::marker::{Decoded, Kind};
use crate::record::Class;
use crate::trace::{self, Body, Check, Event, Marker, Tracer};
use http::HeaderMap;
use scenarios::explain;
use scenarios::program::{Control, Op, Pc, Request, Save};
use scenarios::value::Value;

/// Most bytes and lines of a body that are shown.
const LONGEST_BODY: usize = 2_000;
const MOST_LINES: usize = 60;
/// Most bytes of a value that was saved or set.
const LONGEST_VALUE: usize = 200;

/// What happened since the last effect.
#[derive(Debug, Default)]
pub(super) struct Trail {
    section: Option<Section>,
    /// Operations with where the user stood afterwards.
    ops: Vec<Passed>,
    /// How the request that has just been answered counts.
    judged: Option<Judged>,
    /// Identities that were another's in the answer that is being judged: a leak is no failure, and yet no check that held.
    strangers: Vec<(usize, String)>,
    problems: Vec<String>,
}

#[derive(Debug)]
struct Passed {
    section: Section,
    pc: Pc,
    next: Pc,
    set: Option<Value>,
}

#[derive(Debug)]
struct Judged {
    request: usize,
    class: Class,
    failure: Option<Failure>,
    detail: String,
    saved: Vec<(usize, Value)>,
    strangers: Vec<(usize, String)>,
}

impl VirtualUser {
    /// A user that is watched. In a run nobody is: nothing is remembered and nothing told.
    pub(super) fn new_trail(is_traced: bool) -> Option<Box<Trail>> {
        is_traced.then(Box::default)
    }

    /// An operation was carried out.
    pub(super) fn note_op(&mut self, pc: Pc, section: Section) {
        let next = self.pc;
        let set = match &self.plan().ops[pc as usize] {
            Op::Set { slot, .. } => self.slots.get(usize::from(*slot)).cloned(),
            Op::Next { slot, .. } if next == pc + 1 => self.slots.get(usize::from(*slot)).cloned(),
            Op::Log(_) => self.flow.said.take(),
            _ => None,
        };
        if let Some(trail) = &mut self.trail {
            trail.ops.push(Passed { section, pc, next, set });
        }
    }

    /// An answer was judged.
    pub(super) fn note_judged(&mut self, request: usize, class: Class, failure: Option<Failure>, detail: &str) {
        let saves = &self.run.program.requests[request].saves;
        let value = |(i, save): (usize, &Save)| (i, self.slots[usize::from(save.slot)].clone());
        let saved = if class == Class::Ok { saves.iter().enumerate().map(value).collect() } else { Vec::new() };
        if let Some(trail) = &mut self.trail {
            let strangers = std::mem::take(&mut trail.strangers);
            trail.judged = Some(Judged { request, class, failure, detail: detail.to_owned(), saved, strangers });
        }
    }

    /// The answer that is being judged is about somebody else, as this identity says.
    pub(super) fn note_stranger(&mut self, identity: usize, came: &Value) {
        if let Some(trail) = &mut self.trail {
            trail.strangers.push((identity, came.to_string()));
        }
    }

    /// Something could not be worked out.
    pub(super) fn note_problem(&mut self, problem: &str) {
        if let Some(trail) = &mut self.trail {
            trail.problems.push(problem.to_owned());
        }
    }

    /// Somebody to ask for although nobody has been there: one user alone would never see what a probe is answered.
    pub(super) fn stranger_for_a_trace(&self, role: usize) -> Option<u32> {
        self.trail.as_ref()?;
        let program = &self.run.program;
        let first = program.first_account(role);
        let numbers = (first..first + program.roles[role].accounts.len()).filter_map(|n| u32::try_from(n).ok());
        numbers.filter(|n| *n != self.account).find(|n| !may_see(program, self.account, *n))
    }

    /// An answer as it is shown, before the user takes it in (afterwards secrets that it used may be forgotten).
    pub(crate) fn show_answer(&self, answer: &Answer<'_>) -> trace::Answer {
        let request = self.outgoing.request;
        let times = answer.times;
        let body = self.mask_answer(&shown_body(answer.body), request, Some(answer));
        let broken = match answer.ending {
            answer::Ending::Complete => None,
            answer::Ending::Failed(transport) => Some(transport.name().to_owned()),
            answer::Ending::TimedOut => Some("timeout".into()),
            answer::Ending::Abandoned => Some("given up on purpose".into()),
            answer::Ending::Cut => Some("the end of the trace".into()),
            answer::Ending::GeneratorError => Some("this machine could not (descriptors, ports)".into()),
        };
        let mut shown = trace::Answer {
            broken,
            status: answer.status,
            headers: shown_headers(answer.headers),
            body: Body { text: body, bytes: answer.body.len() },
            response_ns: times.done.saturating_sub(self.due).saturating_sub(times.held),
            service_ns: times.sent.map(|sent| times.done.saturating_sub(sent)),
            connect_ns: times.connect,
            checks: Vec::new(),
            saved: Vec::new(),
            seen: self.seen_markers(answer),
        };
        for (_, value) in &mut shown.headers {
            *value = self.mask_answer(value, request, Some(answer));
        }
        shown
    }

    /// As [`Self::show_answer`], of a branch of `parallel`.
    pub(crate) fn show_branch_answer(&mut self, number: usize, answer: &Answer<'_>) -> trace::Answer {
        self.in_branch(number, |user| user.show_answer(answer))
    }

    fn seen_markers(&self, answer: &Answer<'_>) -> Vec<Marker> {
        let mut seen: Vec<Marker> = Vec::new();
        let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        for (place, text) in std::iter::once(("body", answer.body)).chain(headers) {
            self.run.scanner.scan(text, |hit| {
                if let Decoded::Authentic(marker) = hit.decoded
                    && marker.kind == Kind::Account
                {
                    let allowed =
                        marker.owner == self.account || may_see(&self.run.program, self.account, marker.owner);
                    let owner = self.run.account_name(marker.owner);
                    let found = Marker { place: place.to_owned(), owner, allowed };
                    if !seen.contains(&found) {
                        seen.push(found);
                    }
                }
            });
        }
        seen
    }

    /// Tells what the last step did: the answer it took in, the operations after it, the request that comes next.
    pub(crate) fn tell_trail(&mut self, tracer: &Tracer, answer: Option<trace::Answer>, effect: &Effect) {
        let Some(mut trail) = self.trail.take() else { return };
        let judged = trail.judged.take();
        if let Some(mut answer) = answer {
            if let Some(judged) = &judged {
                self.complete(&mut answer, judged);
            }
            answer.body.text = self.mask(&answer.body.text);
            tracer.tell(Event::Answer(Box::new(answer)));
        } else if let Some(judged) = judged {
            tracer.tell(Event::Problem(self.mask(&judged.detail)));
        }
        for passed in trail.ops.drain(..) {
            if trail.section != Some(passed.section) {
                trail.section = Some(passed.section);
                tracer.tell(Event::Section(passed.section.title()));
            }
            if let Some(event) = self.operation(&passed) {
                tracer.tell(event);
            }
        }
        for problem in trail.problems.drain(..) {
            tracer.tell(Event::Problem(self.mask(&problem)));
        }
        match effect {
            Effect::Send(_) => tracer.tell(Event::Request(Box::new(self.show_request()))),
            Effect::SendAll(_) => {
                for number in self.branches_out() {
                    let shown = self.in_branch(number, |user| user.show_request());
                    tracer.tell(Event::Request(Box::new(shown)));
                }
            }
            Effect::IterationOver(_) | Effect::Quit => {
                tracer.tell(Event::IterationOver { number: self.iteration, gave_up: self.failures_in_a_row > 0 });
                trail.section = None;
            }
            _ => {}
        }
        self.trail = Some(trail);
    }

    /// An operation in words; requests and mere jumps are not told.
    fn operation(&self, passed: &Passed) -> Option<Event> {
        let journey = self.plan();
        let op = &journey.ops[passed.pc as usize];
        if matches!(op, Op::Request(_) | Op::Jump(_) | Op::Count { .. } | Op::End) {
            return None;
        }
        if let (Op::Log(_), Some(said)) = (op, &passed.set) {
            return Some(Event::Log(self.shown_value(said)));
        }
        let outcome = match &passed.set {
            Some(value) => self.shown_value(value),
            None => {
                let ways = explain::ways(passed.pc, op);
                ways.into_iter().find(|(to, _)| *to == passed.next).map(|(_, why)| why).unwrap_or_default()
            }
        };
        let what = self.mask(&explain::describe(&self.run.program, journey, op));
        Some(Event::Operation { pc: passed.pc, what, outcome })
    }

    fn shown_value(&self, value: &Value) -> String {
        shortened(&self.mask(&value.to_string()), LONGEST_VALUE)
    }

    fn show_request(&self) -> trace::Request {
        let run = &self.run;
        let plan = &run.program.requests[self.outgoing.request];
        let target = &run.program.targets[self.outgoing.target];
        let mask = |text: &str| self.mask_with(text, self.stranger);
        let mut planted = 0;
        let uri = self.outgoing.uri.to_string();
        let headers = self.outgoing.headers.values().map(|v| v.as_bytes());
        for text in headers.chain([uri.as_bytes(), self.outgoing.body.as_slice()]) {
            run.scanner.scan(text, |hit| planted += usize::from(matches!(hit.decoded, Decoded::Authentic(_))));
        }
        let mut headers = shown_headers(&self.outgoing.headers);
        for (_, value) in &mut headers {
            *value = mask(value);
        }
        trace::Request {
            step: run.program.steps[plan.step].name.clone(),
            target: target.name.clone(),
            url: mask(&target.url),
            line: mask(&format!("{} {uri}", self.outgoing.method)),
            headers,
            body: Body { text: mask(&shown_body(&self.outgoing.body)), bytes: self.outgoing.body.len() },
            planted,
            stranger: self.stranger.map(|account| run.account_name(account)),
        }
    }

    /// Adds checks and saved values to an answer.
    fn complete(&self, answer: &mut trace::Answer, judged: &Judged) {
        let plan = &self.run.program.requests[judged.request];
        for (i, value) in &judged.saved {
            let save = &plan.saves[*i];
            let value = if save.secret || save.credential { "***".into() } else { self.shown_value(value) };
            answer.saved.push((save.name.clone(), value));
        }
        let mut checks = if answer.broken.is_none() { expected(plan) } else { Vec::new() };
        let detail = shortened(&self.mask(&judged.detail), LONGEST_VALUE);
        let failed = judged.failure.map(|failure| checks.iter().position(|(_, f)| is_same(*f, failure)));
        if let (Some(None), Some(failure)) = (failed, judged.failure) {
            // Something that stands in no list of checks, such as a template that could not be worked out.
            checks.clear();
            let what = failure.name(&self.run.program, Some(judged.request));
            answer.checks.push(Check { what, holds: Some(false), detail: detail.clone() });
        }
        let failed = failed.flatten();
        for (i, (what, of)) in checks.into_iter().enumerate() {
            let stranger = judged.strangers.iter().find(|(identity, _)| of == Failure::Identity(*identity as u16));
            if let Some((_, came)) = stranger {
                let detail = format!("came: {}", shortened(&self.mask(came), LONGEST_VALUE));
                answer.checks.push(Check { what: self.mask(&what), holds: Some(false), detail });
                continue;
            }
            let holds = match failed {
                Some(at) if i > at => None,
                Some(at) => Some(i != at),
                None if judged.class == Class::Ok => Some(true),
                None => None,
            };
            let detail = match (failed == Some(i), judged.failure) {
                (true, Some(Failure::Status(status))) => format!("came: {status}"),
                (true, _) => detail.clone(),
                (false, _) => String::new(),
            };
            answer.checks.push(Check { what: self.mask(&what), holds, detail });
        }
    }
}

/// What must hold of an answer, in the order in which it is looked at, each with how its failure would be named.
fn expected(plan: &Request) -> Vec<(String, Failure)> {
    let expect = &plan.expect;
    let mut list = Vec::new();
    let lines = explain::expectations(plan);
    let mut add = |what: Option<String>, failure: Failure| list.extend(what.map(|what| (what, failure)));
    if plan.guard.echo.is_some() {
        add(Some("the answer is that of this request".into()), Failure::Crossed);
    }
    add(Some(lines.status), Failure::Status(0));
    if plan.guard.echo.is_some() {
        add(Some("the answer repeats the request's id".into()), Failure::Echo);
    }
    add(lines.under, Failure::Slow);
    let index = |i: usize| u16::try_from(i).unwrap_or(u16::MAX);
    for (i, what) in lines.headers.into_iter().enumerate() {
        add(Some(what), Failure::Header(index(i)));
    }
    for (i, what) in lines.contains.into_iter().enumerate() {
        add(Some(what), Failure::Contains(index(i)));
    }
    for (i, what) in lines.matches.into_iter().enumerate() {
        add(Some(what), Failure::Matches(index(i)));
    }
    for (i, what) in lines.json.into_iter().enumerate() {
        add(Some(what), Failure::Json(index(i)));
    }
    match expect.marker {
        Some(Control::Own) => add(Some("a marker of my own".into()), Failure::Marker),
        Some(Control::Permitted) => add(Some("a marker that I may see".into()), Failure::Marker),
        Some(Control::Latest) => add(Some("the marker of my newest acknowledged write".into()), Failure::LostWrite),
        None => {}
    }
    for (i, identity) in plan.identities.iter().enumerate() {
        let what = format!("identity {} is {}", identity.path.text(), identity.expected.written());
        add(Some(what), Failure::Identity(index(i)));
    }
    for (i, save) in plan.saves.iter().enumerate().filter(|(_, save)| save.default.is_none()) {
        add(Some(format!("there is something to save as {}", save.name)), Failure::Save(index(i)));
    }
    add(lines.that, Failure::That);
    list
}

/// The same check: which status came is no part of it.
fn is_same(a: Failure, b: Failure) -> bool {
    matches!((a, b), (Failure::Status(_), Failure::Status(_))) || a == b
}

/// Headers as text; what carries credentials is masked, its scheme stays.
fn shown_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let is_secret = ["authorization", "cookie", "token", "api-key", "secret", "password"]
            .iter()
            .any(|word| name.as_str().contains(word));
        let value = match value.split_once(' ') {
            Some((scheme, _)) if is_secret && name.as_str().contains("authorization") => format!("{scheme} ***"),
            _ if is_secret => "***".into(),
            _ => value,
        };
        (name.as_str().to_owned(), value)
    });
    shown.collect()
}

/// A body as a person reads it: JSON with line breaks, text as it is, other bytes as their number; bounded.
fn shown_body(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(bytes)
        && let Ok(pretty) = serde_json::to_string_pretty(&json)
    {
        return shortened(&excerpt::without_secrets(&pretty), LONGEST_BODY);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => shortened(&excerpt::without_secrets(text), LONGEST_BODY),
        Err(_) if bytes.iter().take(512).filter(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()).count() < 256 => {
            format!("({} bytes that are no text)", bytes.len())
        }
        Err(_) => shortened(&excerpt::without_secrets(&String::from_utf8_lossy(bytes)), LONGEST_BODY),
    }
}

/// At most so many bytes and [`MOST_LINES`] lines; control characters but line breaks and tabs become `·`.
fn shortened(text: &str, longest: usize) -> String {
    let mut out = String::new();
    let mut lines = 1;
    for c in text.chars() {
        lines += usize::from(c == '\n');
        if out.len() + c.len_utf8() > longest || lines > MOST_LINES {
            out.push_str(" …");
            break;
        }
        out.push(if c.is_control() && c != '\n' && c != '\t' { '·' } else { c });
    }
    out
}
