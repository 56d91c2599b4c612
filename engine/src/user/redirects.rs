//! Following redirects, as a browser does: all hops are one sample, and each hop's answer has been scanned like any other.
//! In: an answer. Out: where to go next, with what is left of method, body and headers; or why nowhere.

use super::checks::cookie;
use super::{Effect, VirtualUser};
use crate::client::answer::{Answer, Ending, Hops, Times};
use crate::failure::Transport;
use crate::faults::Orders;
use crate::record::Recorder;
use http::{Method, Uri, header};
use scenarios::program::{Request, Save, SaveSource, Target};
use scenarios::value::Value;
use url::Url;

/// What became of an answer that may be a redirect.
pub(super) enum Followed {
    /// It is none, or none that is followed.
    Not,
    /// Ask there.
    On(Effect),
    /// It leads nowhere; with the place that it named.
    Nowhere(Transport, String),
}

impl VirtualUser {
    /// Follows a redirect, if the answer is one and the step allows it.
    pub(super) fn follow(&mut self, plan: &Request, answer: &Answer<'_>, recorder: &mut Recorder) -> Followed {
        if self.outgoing.hops.is_some() {
            recorder.interval().overhead.redirect_hops += u64::from(answer.delivered);
        }
        if !matches!(answer.status, 301 | 302 | 303 | 307 | 308)
            || plan.redirects == 0
            || answer.ending != Ending::Complete
            || plan.expect.status.iter().any(|(low, high)| (*low..=*high).contains(&answer.status))
        {
            return Followed::Not;
        }
        let Some(location) = answer.headers.get(header::LOCATION) else { return Followed::Not };
        let place = String::from_utf8_lossy(location.as_bytes()).into_owned();
        let Some((target, uri, elsewhere)) = self.resolve(&place) else {
            return Followed::Nowhere(Transport::RedirectElsewhere, place);
        };
        let here = (self.outgoing.target, self.outgoing.uri.clone());
        let due = self.due;
        let hops = self.outgoing.hops.get_or_insert_with(|| first(due, plan, answer));
        hops.seen.push(here);
        if hops.seen.len() > plan.redirects as usize {
            let is_loop = hops.seen.contains(&(target, uri));
            let why = if is_loop { Transport::RedirectLoop } else { Transport::TooManyRedirects };
            return Followed::Nowhere(why, place);
        }
        keep_cookies(&mut hops.cookies, plan, answer);
        hops.bytes.0 += answer.bytes_sent;
        hops.bytes.1 += answer.bytes_received;
        hops.first.held += if hops.seen.len() > 1 { answer.times.held } else { 0 };
        let is_elsewhere = elsewhere.is_some();
        let leaves = target != self.outgoing.target || is_elsewhere != self.outgoing.elsewhere.is_some();
        self.outgoing.elsewhere = elsewhere;
        self.turn_to(target, uri, leaves, answer);
        Followed::On(Effect::Send(answer.times.done))
    }

    /// The target and path that `place` means, seen from where the user is; with the origin of a whole URL's host that is
    /// no target, as long as it sends nobody away.
    fn resolve(&self, place: &str) -> Option<(usize, Uri, Option<Box<str>>)> {
        let (out, targets) = (&self.outgoing, &self.run.program.targets);
        let base_here = match &out.elsewhere {
            Some(origin) => Url::parse(origin).ok()?,
            None => base(&targets[out.target])?,
        };
        let prefix = if out.hops.is_some() { "" } else { base_here.path().trim_end_matches('/') };
        let here = base_here.join(&format!("{prefix}{}", out.uri.path_and_query()?)).ok()?;
        let there = here.join(place).ok()?;
        let (target, elsewhere) = if there.origin() == here.origin() {
            (out.target, out.elsewhere.clone())
        } else {
            (targets.iter().position(|t| base(t).is_some_and(|b| b.origin() == there.origin()))?, None)
        };
        let query = there.query().map(|q| format!("?{q}")).unwrap_or_default();
        Some((target, format!("{}{query}", there.path()).parse().ok()?, elsewhere))
    }

    /// Makes the request that goes there out of the one that was sent.
    fn turn_to(&mut self, target: usize, uri: Uri, leaves: bool, answer: &Answer<'_>) {
        let prepared = &self.run.prepared[self.outgoing.request];
        let mut headers = prepared.headers(&self.outgoing.sent_headers, self.traceparent());
        let out = &mut self.outgoing;
        let becomes_get = match answer.status {
            303 => out.method != Method::HEAD,
            301 | 302 => out.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            out.method = Method::GET;
        }
        if leaves {
            // What is meant for one service is no other's business.
            for name in [header::AUTHORIZATION, header::COOKIE, header::HOST] {
                headers.remove(name);
            }
            out.names_host = false;
        }
        let Some(hops) = &mut out.hops else { return };
        hops.keeps_body = if hops.seen.len() == 1 { !becomes_get } else { hops.keeps_body && !becomes_get };
        if !hops.keeps_body {
            for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE] {
                headers.remove(name);
            }
        }
        out.timeout_ns = hops.deadline.saturating_sub(answer.times.done);
        if let Some(sending) = &mut self.stale.sending {
            sending.clone_from(&headers);
        }
        // What the request was to suffer, its first part has suffered.
        out.orders = Orders::default();
        (out.target, out.uri, out.headers) = (target, uri, headers);
    }

    /// Whether the address at hand can be asked for afresh. A redirect names whole paths; one beside its target's own
    /// path could not be told from one below it.
    pub(super) fn is_under_base(&self) -> bool {
        let out = &self.outgoing;
        if out.hops.is_none() || out.elsewhere.is_some() {
            return true;
        }
        let base = base(&self.run.program.targets[out.target]);
        let prefix = base.as_ref().map_or("", |base| base.path().trim_end_matches('/'));
        prefix.is_empty() || out.uri.path().strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The cookie that `save` names, if a redirect on the way to this answer set it.
    pub(super) fn cookie_on_the_way(&self, save: &Save) -> Option<Value> {
        let (SaveSource::Cookie(name), Some(hops)) = (&save.source, &self.outgoing.hops) else { return None };
        hops.cookies.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// Times and bytes (sent, received) of the whole sample that ends with `answer`, and whether any of it was delivered.
    pub(super) fn whole_sample(&self, answer: &Answer<'_>) -> (Times, (u64, u64), bool) {
        let bytes = (answer.bytes_sent, answer.bytes_received);
        let Some(hops) = &self.outgoing.hops else { return (answer.times, bytes, answer.delivered) };
        let first = hops.first;
        let times = Times {
            done: answer.times.done,
            connect: first.connect.or(answer.times.connect),
            held: first.held + answer.times.held,
            ..first
        };
        (times, (hops.bytes.0 + bytes.0, hops.bytes.1 + bytes.1), true)
    }
}

/// Keeps the cookies of this hop that the step saves: a log-in often sets its cookie and sends the user on.
fn keep_cookies(kept: &mut Vec<(String, Value)>, plan: &Request, answer: &Answer<'_>) {
    for save in &plan.saves {
        if let SaveSource::Cookie(name) = &save.source
            && let Some(value) = cookie(name, answer)
        {
            kept.retain(|(known, _)| known != name);
            kept.push((name.clone(), value));
        }
    }
}

fn first(due: u64, plan: &Request, answer: &Answer<'_>) -> Box<Hops> {
    let times = answer.times;
    let began = times.ready.saturating_sub(times.connect.unwrap_or(0) + times.waited).max(due);
    Box::new(Hops { first: times, deadline: began.saturating_add(plan.timeout_ns), ..Hops::default() })
}

fn base(target: &Target) -> Option<Url> {
    Url::parse(if target.url.starts_with("unix:") { "http://localhost" } else { &target.url }).ok()
}
