//! Stale access: once a credential is revoked, the last answer with an own marker is asked for once more with it.
//! If it comes again, and does not come without the credential, the credential still works.
//! In: a step that `revokes`. Out: the repetition, and a proven leak with its evidence.

use super::{Origin, Seen, Spot};
use crate::client::answer::{Answer, Ending};
use crate::clock::SECOND;
use crate::faults::Orders;
use crate::isolation::marker::LENGTH;
use crate::record::Recorder;
use crate::run_result::{LeakKey, LeakRecord, Tier};
use crate::user::{Effect, VirtualUser};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use memchr::memmem::find;
use scenarios::expr::Slot;
use scenarios::program::{Program, Request};

/// Shorter values are in every request by chance.
const SHORTEST: usize = 4;

/// What is kept for the repetition.
#[derive(Debug, Default)]
pub(in crate::user) struct Stale {
    /// Some step of the journey revokes a credential; without one nothing is kept.
    keeps: bool,
    /// Headers of the GET under way.
    pub(in crate::user) sending: Option<HeaderMap>,
    last: Option<Kept>,
    /// The revocation was answered as expected.
    is_confirmed: bool,
    /// The repetition found something; what remains is to ask without the credential.
    finding: Option<(Kept, LeakKey, Box<LeakRecord>)>,
}

/// A request whose answer held an own marker.
#[derive(Debug)]
struct Kept {
    target: usize,
    uri: Uri,
    /// Its scheme, host and port, if they are none of a target's.
    elsewhere: Option<Box<str>>,
    headers: HeaderMap,
    cookies: Option<HeaderValue>,
}

impl Stale {
    /// For the users of `journey`.
    pub(in crate::user) fn new(program: &Program, journey: usize) -> Self {
        let mut requests = program.requests.iter();
        let keeps = requests.any(|r| r.guard.repeats.is_some() && program.steps[r.step].journey == journey);
        Self { keeps, ..Self::default() }
    }

    /// Another person, or another account.
    pub(in crate::user) fn forget(&mut self) {
        *self = Self { keeps: self.keeps, ..Self::default() };
    }
}

impl Kept {
    fn is_in(value: &HeaderValue, credential: &str) -> bool {
        find(value.as_bytes(), credential.as_bytes()).is_some()
    }

    fn is_in_uri(&self, credential: &str) -> bool {
        self.uri.path_and_query().is_some_and(|text| text.as_str().contains(&in_a_path(credential)))
    }

    fn carries(&self, credential: &str) -> bool {
        credential.len() >= SHORTEST
            && (self.headers.values().chain(&self.cookies).any(|value| Self::is_in(value, credential))
                || self.is_in_uri(credential))
    }

    /// The same with the revoked credential as the only one.
    fn with(&self, credential: &str) -> (Uri, HeaderMap) {
        let mut headers = self.headers.clone();
        headers.remove(header::COOKIE);
        if headers.get(header::AUTHORIZATION).is_some_and(|value| !Self::is_in(value, credential)) {
            headers.remove(header::AUTHORIZATION);
        }
        if let Some(cookies) = self.cookies.as_ref().filter(|cookies| Self::is_in(cookies, credential)) {
            headers.insert(header::COOKIE, cookies.clone());
        }
        (self.uri.clone(), headers)
    }

    /// The same without any credential.
    fn without(&self, credential: &str) -> (Uri, HeaderMap) {
        let mut headers: HeaderMap = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            if name != header::COOKIE && name != header::AUTHORIZATION && !Self::is_in(value, credential) {
                headers.append(name.clone(), value.clone());
            }
        }
        let text = self.uri.to_string().replace(&in_a_path(credential), "0");
        (text.parse().unwrap_or_else(|_| self.uri.clone()), headers)
    }
}

/// A value as it stands in a path or query.
fn in_a_path(value: &str) -> String {
    let mut text = Vec::new();
    crate::user::render::percent_encode(value.as_bytes(), &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

impl VirtualUser {
    /// A request was rendered: its headers are kept until it is known whether its answer is worth repeating.
    pub(in crate::user) fn note_sending(&mut self) {
        if self.stale.keeps && self.outgoing.method == Method::GET {
            self.stale.sending = Some(self.outgoing.headers.clone());
        }
    }

    /// An answer came: kept if it holds an own marker.
    pub(in crate::user) fn note_own_answer(&mut self, plan: &Request, answer: &Answer<'_>, seen: Seen) {
        if plan.guard.repeats.is_some() {
            return;
        }
        let Some(headers) = self.stale.sending.take() else { return };
        let is_whole = answer.ending == Ending::Complete && (200..300).contains(&answer.status);
        if seen.own && is_whole && plan.probe.is_none() && self.is_under_base() {
            let cookies = self.outgoing.sent_cookies.clone();
            let (target, uri) = (self.outgoing.target, self.outgoing.uri.clone());
            let elsewhere = self.outgoing.elsewhere.clone();
            self.stale.last = Some(Kept { target, uri, elsewhere, headers, cookies });
        }
    }

    /// The step that revokes was answered.
    pub(in crate::user) fn note_revocation(&mut self, is_ok: bool) {
        self.stale.is_confirmed = is_ok;
    }

    /// Asks again with the revoked credential; `None` and counted where that would mean nothing: it was not revoked,
    /// the answer was got with another one, or other users are logged in to the same account.
    pub(in crate::user) fn repeat_revoked(
        &mut self,
        request: usize,
        slot: Slot,
        recorder: &mut Recorder,
    ) -> Option<Effect> {
        let credential = self.slots[usize::from(slot)].to_string();
        let program = &self.run.program;
        let is_shared = program.account(self.account as usize).is_some_and(|(role, _)| program.roles[role].wrap);
        let is_confirmed = std::mem::take(&mut self.stale.is_confirmed);
        let kept = self.stale.last.take().filter(|kept| is_confirmed && !is_shared && kept.carries(&credential));
        let Some(kept) = kept else {
            recorder.interval().isolation.probes_skipped += 1;
            return None;
        };
        let (uri, headers) = kept.with(&credential);
        let place = (kept.target, kept.elsewhere.clone());
        let effect = self.send_aside(request, place, uri, headers, recorder);
        self.stale.last = Some(kept);
        Some(effect)
    }

    fn send_aside(
        &mut self,
        request: usize,
        (target, elsewhere): (usize, Option<Box<str>>),
        uri: Uri,
        headers: HeaderMap,
        recorder: &mut Recorder,
    ) -> Effect {
        let run = std::rc::Rc::clone(&self.run);
        let plan = &run.program.requests[request];
        recorder.planned(plan.step, self.due);
        self.requests_sent += 1;
        let out = &mut self.outgoing;
        (out.request, out.target, out.method) = (request, target, Method::GET);
        (out.uri, out.headers, out.timeout_ns) = (uri, headers, plan.timeout_ns);
        (out.sent_headers, out.sent_body, out.orders) = (Vec::new(), Bytes::new(), Orders::default());
        (out.sent_cookies, out.aside) = (None, true);
        // Nothing is left of what the log-out was or where it led. Only a request that names no host gets its own.
        (out.hops, out.events, out.upgrade) = (None, None, None);
        (out.elsewhere, out.names_host) = (elsewhere, false);
        out.body.clear();
        out.own = 1;
        Effect::Send(self.due)
    }

    /// Judges the answer to the repetition, or to the counter-test without a credential.
    pub(in crate::user) fn repeat_answered(
        &mut self,
        plan: &Request,
        slot: Slot,
        answer: &Answer<'_>,
        seen: Seen,
        recorder: &mut Recorder,
    ) -> Option<Effect> {
        let is_whole = answer.ending == Ending::Complete;
        let is_readable = is_whole && (200..300).contains(&answer.status) && seen.own;
        if let Some((_, key, record)) = self.stale.finding.take() {
            match answer.status {
                _ if is_readable => recorder.interval().isolation.repeats_public += 1,
                200..=499 if is_whole && !matches!(answer.status, 408 | 425 | 429) => {
                    recorder.leak(key, || *record);
                }
                _ => recorder.interval().isolation.probes_indeterminate += 1,
            }
            return None;
        }
        let kept = self.stale.last.take()?;
        if !is_readable {
            // Refused, or sent to the log-in page: as it should be.
            let is_refused = is_whole && matches!(answer.status, 300..=399 | 401 | 403 | 404);
            recorder.interval().isolation.probes_indeterminate +=
                u64::from(!is_refused && answer.ending != Ending::Cut);
            return None;
        }
        let credential = self.slots[usize::from(slot)].to_string();
        let key = self.key("stale-access", Tier::Proven, plan.step, "body");
        let record = self.stale_evidence(&key, plan, slot, answer);
        let (uri, headers) = kept.without(&credential);
        let (request, place) = (self.outgoing.request, (kept.target, kept.elsewhere.clone()));
        self.stale.finding = Some((kept, key, Box::new(record)));
        Some(self.send_aside(request, place, uri, headers, recorder))
    }

    fn stale_evidence(&self, key: &LeakKey, plan: &Request, slot: Slot, answer: &Answer<'_>) -> LeakRecord {
        let name = self.plan().slot_names.get(usize::from(slot)).map_or("credential", String::as_str);
        let at = find(answer.body, &self.head);
        let (origin, spot) = (Origin::of(plan, answer), Spot::one("body", answer.body));
        let why = format!(
            "`{name}` was revoked and the target had confirmed it before this request was sent at {:.3} s, yet the answer \
             holds the account's own data; without the credential it does not come",
            self.due as f64 / SECOND as f64
        );
        let owner = self.party(self.account, None);
        let place = (at.unwrap_or(0), at.map_or(0, |_| LENGTH));
        self.evidence(key, &origin, spot, place, owner, &why, "a session or token that outlives its log-out")
    }
}
