//! Judging an answer: what was expected, what is saved. A failed check is data, never an error of ours.
//! In: a complete answer. Out: how it counts, and the first thing that was wrong.

use super::VirtualUser;
use super::isolation::Seen;
use super::json::{Wanted, is_deeper};
use crate::client::answer::Answer;
use crate::failure::Failure;
use crate::record::{Class, Recorder};
use scenarios::css::Page;
use scenarios::expr::EvalError;
use scenarios::program::{Condition, Control, Request, Save, SaveSource};
use scenarios::transport::MOST_DEPTH;
use scenarios::value::Value;
use serde_json::Value as Json;

/// The first thing that was wrong, and what came instead.
pub(super) struct Wrong(pub Failure, pub String);

impl VirtualUser {
    /// Judges a complete answer and takes from it what is to be saved.
    pub(super) fn judge(
        &mut self,
        request: usize,
        answer: &Answer<'_>,
        seen: Seen,
        recorder: &mut Recorder,
    ) -> (Class, Option<Failure>, String) {
        let run = std::rc::Rc::clone(&self.run);
        let plan = &run.program.requests[request];
        let outcome = self.check(plan, request, answer, seen, recorder);
        match outcome {
            Ok(()) => (Class::Ok, None, String::new()),
            Err(Wrong(failure, detail)) => (Class::Failed, Some(failure), detail),
        }
    }

    fn check(
        &mut self,
        plan: &Request,
        request: usize,
        answer: &Answer<'_>,
        seen: Seen,
        recorder: &mut Recorder,
    ) -> Result<(), Wrong> {
        let json = &self.run.prepared[request].wanted.read(answer.document());
        let mut are_identities_judged = false;
        let outcome = self.check_all(plan, request, (answer, json), seen, &mut are_identities_judged, recorder);
        if outcome.is_err() && !are_identities_judged && !plan.identities.is_empty() {
            self.check_identities_of_failed(plan, request, json, answer, recorder);
        }
        outcome
    }

    fn check_all(
        &mut self,
        plan: &Request,
        request: usize,
        (answer, json): (&Answer<'_>, &Json),
        seen: Seen,
        are_identities_judged: &mut bool,
        recorder: &mut Recorder,
    ) -> Result<(), Wrong> {
        self.check_crossed(plan, json, answer, recorder)?;
        check_status(plan, answer.status)?;
        self.check_depth(plan, request, answer)?;
        self.check_echo(plan, json, answer)?;
        if let Some(limit) = plan.expect.under_ns
            && self.last_latency_ns > limit
        {
            return Err(Wrong(Failure::Slow, format!("{:.1} ms", self.last_latency_ns as f64 / 1e6)));
        }
        self.check_headers(plan, answer, recorder)?;
        self.check_events(plan, answer, recorder)?;
        self.check_body(plan, request, answer, recorder)?;
        self.check_json(plan, json, answer, recorder)?;
        if plan.expect.marker == Some(Control::Latest) {
            self.check_latest(seen)?;
        } else if !self.is_control_met(plan, seen, answer).unwrap_or(true) {
            return Err(Wrong(Failure::Marker, no_marker(seen).into()));
        }
        *are_identities_judged = true;
        self.check_identities(plan, request, json, answer, recorder)?;
        self.save(plan, json, answer)?;
        self.check_that(plan, answer, recorder)?;
        self.check_credentials(plan, answer, recorder);
        Ok(())
    }

    /// Only where the file asks for less than can be read: then what is read as JSON, or says that it is some.
    fn check_depth(&self, plan: &Request, request: usize, answer: &Answer<'_>) -> Result<(), Wrong> {
        let most = self.run.program.targets[plan.target].transport.limits.json_depth;
        if most == MOST_DEPTH {
            return Ok(());
        }
        let kind = answer.headers.get(http::header::CONTENT_TYPE).map(|kind| kind.as_bytes());
        let is_json =
            self.run.prepared[request].wanted != Wanted::Nothing || kind.is_some_and(|k| contains(k, b"json"));
        let is_deeper = is_json && is_deeper(answer.document(), most);
        if is_deeper { Err(Wrong(Failure::JsonDepth, format!("more than {most}"))) } else { Ok(()) }
    }

    fn check_headers(&mut self, plan: &Request, answer: &Answer<'_>, recorder: &mut Recorder) -> Result<(), Wrong> {
        for (i, (name, condition)) in plan.expect.headers.iter().enumerate() {
            let value = answer.headers.get(name).map(|v| Value::text(String::from_utf8_lossy(v.as_bytes())));
            self.hold(condition, value.as_ref(), answer, recorder)
                .map_err(|came| Wrong(Failure::Header(i as u16), came))?;
        }
        Ok(())
    }

    fn check_body(
        &mut self,
        plan: &Request,
        request: usize,
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) -> Result<(), Wrong> {
        let missing = |i: usize, text: &[u8]| {
            Wrong(Failure::Contains(i as u16), format!("`{}` is not there", String::from_utf8_lossy(text)))
        };
        for (i, template) in plan.expect.contains.iter().enumerate() {
            if let Some(constant) = &self.run.prepared[request].contains[i] {
                constant.find(answer.said()).ok_or_else(|| missing(i, constant.needle()))?;
                continue;
            }
            let mut text = Vec::new();
            template
                .write_text(&mut self.scope(answer.times.done, Some(answer), recorder), &mut text)
                .map_err(scenario)?;
            if !text.is_empty() && !contains(answer.said(), &text) {
                return Err(missing(i, &text));
            }
        }
        for (i, pattern) in plan.expect.matches.iter().enumerate() {
            if !pattern.is_match(answer.said()) {
                return Err(Wrong(Failure::Matches(i as u16), String::new()));
            }
        }
        Ok(())
    }

    fn check_json(
        &mut self,
        plan: &Request,
        json: &Json,
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) -> Result<(), Wrong> {
        for (i, (path, condition)) in plan.expect.json.iter().enumerate() {
            let value = path.find(json);
            self.hold(condition, value.as_ref(), answer, recorder)
                .map_err(|came| Wrong(Failure::Json(i as u16), came))?;
        }
        Ok(())
    }

    fn check_that(&mut self, plan: &Request, answer: &Answer<'_>, recorder: &mut Recorder) -> Result<(), Wrong> {
        let Some(that) = &plan.expect.that else {
            return Ok(());
        };
        match that.eval_condition(&mut self.scope(answer.times.done, Some(answer), recorder)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Wrong(Failure::That, String::new())),
            Err(error) => Err(Wrong(Failure::That, error.0)),
        }
    }

    /// Whether a condition holds of a value that may be absent; if not, what came.
    pub(super) fn hold(
        &mut self,
        condition: &Condition,
        value: Option<&Value>,
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) -> Result<(), String> {
        let came = || value.map_or_else(|| "nothing there".into(), |v| format!("came: {v}"));
        let Some(operand) = condition.operand() else {
            return if condition.holds(None, value) { Ok(()) } else { Err(came()) };
        };
        let expected = operand.eval(&mut self.scope(answer.times.done, Some(answer), recorder)).map_err(|e| e.0)?;
        let Some(value) = value else {
            return Err(format!("expected {expected}; nothing there"));
        };
        let holds = condition.holds(Some(&expected), Some(value));
        if holds { Ok(()) } else { Err(format!("expected {expected}; {}", came())) }
    }

    /// Saves what is there, whatever is missing.
    pub(super) fn save_what_is_there(&mut self, plan: &Request, answer: &Answer<'_>) {
        if plan.saves.is_empty() {
            return;
        }
        let run = std::rc::Rc::clone(&self.run);
        let json = &run.prepared[self.outgoing.request].wanted.read(answer.body);
        let page = page(plan, answer);
        for save in &plan.saves {
            if let Some(value) = find(save, json, answer, page.as_ref()).or_else(|| self.cookie_on_the_way(save)) {
                self.slots[usize::from(save.slot)] = value;
            }
        }
    }

    fn save(&mut self, plan: &Request, json: &Json, answer: &Answer<'_>) -> Result<(), Wrong> {
        let page = page(plan, answer);
        for (i, save) in plan.saves.iter().enumerate() {
            let found = find(save, json, answer, page.as_ref()).or_else(|| self.cookie_on_the_way(save));
            match found.or_else(|| save.default.clone()) {
                Some(value) => self.slots[usize::from(save.slot)] = value,
                None => return Err(Wrong(Failure::Save(i as u16), String::new())),
            }
        }
        Ok(())
    }
}

/// What is said of an answer without a marker that the user may see.
fn no_marker(seen: Seen) -> &'static str {
    if seen.residue {
        "no marker came back that the user may see, but one of another run: what this run wrote is not there, or another \
         run plays with the same accounts"
    } else {
        "no marker came back that the user may see"
    }
}

/// A try of a poll whose answer is not the awaited one is as good as any other, unless the target broke.
pub(super) fn not_yet(status: u16) -> (Class, Option<Failure>, String) {
    if status < 500 {
        return (Class::Ok, None, String::new());
    }
    (Class::Failed, Some(Failure::Status(status)), String::new())
}

fn scenario(error: EvalError) -> Wrong {
    Wrong(Failure::Scenario, error.0)
}

/// The status against what is expected. For a probe being refused is right.
fn check_status(plan: &Request, status: u16) -> Result<(), Wrong> {
    let accepted = if !plan.expect.status.is_empty() {
        plan.expect.status.iter().any(|(low, high)| (*low..=*high).contains(&status))
    } else {
        let may_be_refused = plan.probe.is_some() || plan.guard.repeats.is_some();
        status < 400 || may_be_refused && matches!(status, 401 | 403 | 404)
    };
    if accepted { Ok(()) } else { Err(Wrong(Failure::Status(status), String::new())) }
}

/// The body as HTML, if something is saved from it by a selector.
pub(super) fn page(plan: &Request, answer: &Answer<'_>) -> Option<Page> {
    let by_selector = |save: &Save| matches!(save.source, SaveSource::Css(_));
    plan.saves.iter().any(by_selector).then(|| Page::read(answer.body))
}

/// The value of the last cookie of this name that the answer sets.
pub(super) fn cookie(name: &str, answer: &Answer<'_>) -> Option<Value> {
    let set = answer.headers.get_all(http::header::SET_COOKIE).iter().rev();
    let mut pairs = set.filter_map(|value| {
        let text = value.to_str().ok()?;
        text.split(';').next()?.split_once('=')
    });
    pairs.find(|(n, _)| n.trim() == name).map(|(_, value)| Value::text(value.trim().trim_matches('"')))
}

/// What `save` takes from an answer.
pub(super) fn find(save: &Save, json: &Json, answer: &Answer<'_>, page: Option<&Page>) -> Option<Value> {
    match &save.source {
        SaveSource::Cookie(name) => cookie(name, answer),
        SaveSource::Css(css) => page.and_then(|page| css.find(page)),
        SaveSource::Json(path) => path.find(json),
        SaveSource::Header(name) => {
            answer.headers.get(name).map(|v| Value::text(String::from_utf8_lossy(v.as_bytes())))
        }
        SaveSource::Regex(pattern) => {
            let captures = pattern.captures(answer.said())?;
            let found = captures.get(1).or_else(|| captures.get(0))?;
            Some(Value::text(String::from_utf8_lossy(found.as_bytes())))
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}
