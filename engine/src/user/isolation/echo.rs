//! Crossed answers: each request carries a fresh id, and its answer has to repeat it. An answer with the id of another
//! request is another request's answer, also where both are of one user.
//! In: `echo` of a request. Out: the id to send; a failed check, and the evidence of a crossed answer.

use super::{Origin, Spot};
use crate::client::answer::Answer;
use crate::failure::Failure;
use crate::record::Recorder;
use crate::run_result::{Party, Tier};
use crate::user::VirtualUser;
use crate::user::checks::Wrong;
use http::HeaderValue;
use scenarios::guard::EchoFrom;
use scenarios::program::Request;
use serde_json::Value as Json;
use std::collections::VecDeque;

/// Ids remembered of what this user sent last: under equal ids they are all that tells whose answer came.
const REMEMBERED: usize = 16;

/// What a user knows of its ids.
#[derive(Debug, Default)]
pub(in crate::user) struct Echoes {
    /// Requests with an id so far.
    count: u64,
    /// The latest last.
    sent: VecDeque<String>,
    /// The id of the request at hand where several are under way; else it is the latest.
    pub(in crate::user) at_hand: Option<String>,
    /// The latest crossed answer: how late, on which of our ports, how often in a row.
    lag: Option<(u64, u16, u32)>,
}

/// Whose request an id names.
enum Whose {
    /// The one that was answered.
    Mine,
    /// An earlier one of the same user, so many requests before.
    Earlier(u64),
    /// One of another user.
    User(u32),
    /// Nobody's that is known.
    Unknown,
}

impl VirtualUser {
    /// A fresh id for the request that is rendered: 1, 2, 3 under equal ids, else a UUID that names run, user and
    /// request. It takes nothing from the user's random stream, so that declaring `echo` moves no draw.
    pub(in crate::user) fn fresh_echo(&mut self, recorder: &mut Recorder) -> HeaderValue {
        self.echoes.count += 1;
        let count = self.echoes.count;
        let id = if self.has_equal_ids() {
            self.count_fault(recorder, |c| c.equal_ids += 1);
            count.to_string()
        } else {
            written(self.run.trace, self.index, count)
        };
        let value = HeaderValue::from_str(&id).expect("digits, letters and dashes are a header value");
        if self.echoes.sent.len() == REMEMBERED {
            self.echoes.sent.pop_front();
        }
        self.echoes.at_hand = self.together.is_open.then(|| id.clone());
        self.echoes.sent.push_back(id);
        value
    }

    /// Fails an answer that is another request's. Looked at before everything else, as it explains all other misses.
    pub(in crate::user) fn check_crossed(
        &mut self,
        plan: &Request,
        json: &Json,
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) -> Result<(), Wrong> {
        let Some(came) = came_back(plan, json, answer) else { return Ok(()) };
        let whose = self.whose(&came);
        let (lag, user) = match whose {
            Whose::Mine => {
                self.echoes.lag = None;
                return Ok(());
            }
            // A number of the target's own, and a cache that kept the headers of the answer it stored, cross nothing.
            Whose::Unknown => return Ok(()),
            _ if crate::user::cache_lint::is_cached(answer) => return Ok(()),
            Whose::Earlier(lag) => (Some(lag), self.index),
            Whose::User(user) => (None, user),
        };
        let port = answer.via.local_port;
        let in_a_row = match (lag, self.echoes.lag) {
            (Some(lag), Some((before, on, times))) if before == lag && on == port => times + 1,
            _ => 1,
        };
        self.echoes.lag = lag.map(|lag| (lag, port, in_a_row));
        let hint = match lag {
            Some(lag) if in_a_row > 1 => {
                format!("pool desync: on this connection answers come {} late, {in_a_row} times in a row", number(lag))
            }
            Some(1) => "one late: the answer to this user's request before".to_owned(),
            Some(lag) => format!("{} late: the answer to an earlier request of this user", number(lag)),
            None => "crossed connection behind the target: the answer to another user's request".to_owned(),
        };
        self.report_crossed(plan, answer, (&came, user), &hint, recorder);
        Err(Wrong(Failure::Crossed, format!("sent {}, the answer is that of {came}", self.sent_echo())))
    }

    /// Fails an answer that names no request at all.
    pub(in crate::user) fn check_echo(
        &mut self,
        plan: &Request,
        json: &Json,
        answer: &Answer<'_>,
    ) -> Result<(), Wrong> {
        if plan.guard.echo.is_none() {
            return Ok(());
        }
        match came_back(plan, json, answer) {
            None => Err(Wrong(Failure::Echo, format!("sent {}; nothing there", self.sent_echo()))),
            Some(came) if matches!(self.whose(&came), Whose::Mine) => Ok(()),
            Some(came) => Err(Wrong(Failure::Echo, format!("sent {}; came: {came}", self.sent_echo()))),
        }
    }

    fn sent_echo(&self) -> &str {
        self.echoes.at_hand.as_ref().or(self.echoes.sent.back()).map_or("", String::as_str)
    }

    fn whose(&self, came: &str) -> Whose {
        let came = came.to_ascii_lowercase();
        if self.has_equal_ids() {
            if came == self.sent_echo() {
                return Whose::Mine;
            }
            return match self.echoes.sent.iter().rev().position(|id| *id == came) {
                Some(lag) => Whose::Earlier(lag as u64),
                None => Whose::Unknown,
            };
        }
        // A target may put something before or after the id.
        if came.contains(self.sent_echo()) {
            return Whose::Mine;
        }
        match read(self.run.trace, &came) {
            Some((user, count)) if user == self.index => Whose::Earlier(self.echoes.count.saturating_sub(count)),
            Some((user, _)) => Whose::User(user),
            None => Whose::Unknown,
        }
    }

    fn report_crossed(
        &self,
        plan: &Request,
        answer: &Answer<'_>,
        (came, user): (&str, u32),
        hint: &str,
        recorder: &mut Recorder,
    ) {
        let is_in_body = matches!(plan.guard.echo.as_ref().map(|e| &e.read), Some(EchoFrom::Json(_)));
        let place = if is_in_body { "body" } else { "header" };
        let key = self.key("crossed-answer", Tier::Correctness, plan.step, place);
        recorder.leak(key.clone(), || {
            let account = self.run.seats.get(user as usize).map(|seat| seat.account);
            let owner = if user == self.index {
                self.party(self.account, None)
            } else {
                account.map_or_else(Party::default, |account| self.party(account, None))
            };
            let owner =
                Party { user: Some(u64::from(user)), request: format!("the request with the id {came}"), ..owner };
            let why = format!("the request was sent with the id {}, its answer carries {came}", self.sent_echo());
            let (origin, spot) = (Origin::of(plan, answer), Spot::one("body", answer.body));
            let at = memchr::memmem::find(answer.body, came.as_bytes());
            self.evidence(&key, &origin, spot, (at.unwrap_or(0), at.map_or(0, |_| came.len())), owner, &why, hint)
        });
    }
}

/// The id that an answer carries; of several in one header the lot.
fn came_back(plan: &Request, json: &Json, answer: &Answer<'_>) -> Option<String> {
    let text = match &plan.guard.echo.as_ref()?.read {
        EchoFrom::Json(path) => path.find(json)?.to_string(),
        EchoFrom::Header(name) => {
            let values: Vec<_> =
                answer.headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
            values.join(", ")
        }
    };
    let text = text.trim().trim_matches('"');
    (!text.is_empty()).then(|| text.chars().take(200).collect())
}

fn number(n: u64) -> String {
    if n == 1 { "one".into() } else { n.to_string() }
}

/// A UUID (version 8): 48 bits of the run, 12 + 14 of the user, 48 of its running number.
fn written(run: u64, user: u32, count: u64) -> String {
    let user = user & 0x03ff_ffff;
    let (high, low) = (user >> 14, user & 0x3fff | 0x8000);
    let run = run & 0xffff_ffff_ffff;
    format!("{:08x}-{:04x}-8{high:03x}-{low:04x}-{:012x}", run >> 16, run & 0xffff, count & 0xffff_ffff_ffff)
}

/// User and running number of an id of this run, wherever it stands in `text`.
fn read(run: u64, text: &str) -> Option<(u32, u64)> {
    let run = run & 0xffff_ffff_ffff;
    let head = format!("{:08x}-{:04x}-8", run >> 16, run & 0xffff);
    let at = text.find(&head)?;
    let id = text.get(at..at + 36)?;
    let high = u32::from_str_radix(id.get(15..18)?, 16).ok()?;
    let low = u32::from_str_radix(id.get(19..23)?, 16).ok()?;
    let count = u64::from_str_radix(id.get(24..36)?, 16).ok()?;
    Some((high << 14 | low & 0x3fff, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_user_and_request_and_is_a_uuid() {
        for (user, count) in [(0, 1), (7, 70_000), (0x03ff_ffff, 0xffff_ffff_ffff)] {
            let id = written(0x1234_5678_9abc_def0, user, count);
            assert_eq!(id.len(), 36);
            assert_eq!(read(0x1234_5678_9abc_def0, &format!("req {id};n")), Some((user, count)));
            assert_eq!(read(0x1234_5678_9abc_0000, &id), None, "another run's");
        }
    }
}
