//! Declared credentials: never issued to two accounts.
//! In: an answer whose values were saved. Out: a credential that another account holds.

use super::{Origin, Spot};
use crate::client::answer::Answer;
use crate::isolation::credentials::Issue;
use crate::record::Recorder;
use crate::run_result::Tier;
use crate::user::{VirtualUser, checks};
use scenarios::program::{Request, Save, SaveSource};
use scenarios::value::Value;

impl VirtualUser {
    /// Declared credentials: never issued to two accounts.
    pub(in crate::user) fn check_credentials(&mut self, plan: &Request, answer: &Answer<'_>, recorder: &mut Recorder) {
        // Cookies were looked at as they were set, unless a redirect led to a target of which none is declared.
        let known = &self.run.credential_cookies[self.outgoing.target];
        let is_new = |save: &&Save| match &save.source {
            SaveSource::Cookie(name) => !known.contains(name),
            _ => true,
        };
        let saves: Vec<_> = plan.saves.iter().filter(|s| s.credential).filter(is_new).collect();
        for save in saves {
            let value = self.slots[usize::from(save.slot)].clone();
            if save.default.as_ref() != Some(&value) {
                let is_cookie = matches!(save.source, SaveSource::Cookie(_));
                let spot = Spot::one(if is_cookie { "cookie" } else { "body" }, b"");
                self.check_issued(plan, (&save.name, &value), spot, answer, recorder);
            }
        }
    }

    /// Cookies that some step of the file saves as a credential: a cache hands them out at any step, so they are
    /// looked at wherever the target sets them: on the way of a redirect, in answers of which only the head came, and
    /// in those that are wrong in other ways.
    pub(in crate::user) fn check_issued_cookies(
        &mut self,
        plan: &Request,
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) {
        let run = std::rc::Rc::clone(&self.run);
        let names = &run.credential_cookies[self.outgoing.target];
        if answer.status == 0 || names.is_empty() || !answer.headers.contains_key(http::header::SET_COOKIE) {
            return;
        }
        for name in names {
            if let Some(value) = checks::cookie(name, answer) {
                self.check_issued(plan, (name, &value), Spot::one("cookie", b""), answer, recorder);
            }
        }
    }

    fn check_issued(
        &mut self,
        plan: &Request,
        (name, value): (&str, &Value),
        spot: Spot<'_>,
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) {
        let text = value.to_string();
        if is_no_credential(value, &text) {
            return;
        }
        let digest = self.run.mint.digest(text.as_bytes());
        if let Some(former) = self.switch.held(digest, self.account) {
            self.report_fixation(plan, (name, former), answer, recorder);
            return;
        }
        let before = self.run.credentials.evictions();
        let issue = Issue { account: self.account, step: plan.step, at: answer.times.done };
        let Some(earlier) = self.run.credentials.issue(digest, issue) else {
            recorder.interval().isolation.credential_evictions += self.run.credentials.evictions() - before;
            if spot.kind == "cookie" {
                self.switch.note_issued(digest);
            }
            return;
        };
        let key = self.key("credential", Tier::Proven, plan.step, spot.kind);
        recorder.leak(key.clone(), || {
            let mut owner = self.party(earlier.account, None);
            self.place(&mut owner, earlier.step);
            owner.request = format!("{} issued it at {:.3} s", owner.step, earlier.at as f64 / 1e9);
            let why = format!("`{name}` was issued to {} before and now to {}", owner.account, self.name(self.account));
            let hint = if earlier.step == plan.step && spot.kind == "cookie" {
                "credential handed to two users: a cached answer with its cookie, or a session shared by two log-ins"
            } else {
                "credential handed to two users"
            };
            self.evidence(&key, &Origin::of(plan, answer), spot, (0, 0), owner, &why, hint)
        });
    }

    /// A value that this user held as another account lives on: whoever planted it before the log-in is in.
    fn report_fixation(
        &self,
        plan: &Request,
        (name, former): (&str, u32),
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) {
        let spot = Spot::one("body", b"");
        let key = self.key("session-fixation", Tier::Suspect, plan.step, spot.kind);
        recorder.leak(key.clone(), || {
            let owner = self.party(former, None);
            let why =
                format!("`{name}` is the same as before the switch of account, when it belonged to {}", owner.account);
            let hint = "a session that outlives its user: the log-in does not make a new one";
            self.evidence(&key, &Origin::of(plan, answer), spot, (0, 0), owner, &why, hint)
        });
    }
}

/// What a target says when it issues nothing, or takes something back.
fn is_no_credential(value: &Value, text: &str) -> bool {
    let text = text.trim();
    matches!(value, Value::Null | Value::Bool(_))
        || text.is_empty()
        || ["null", "none", "undefined", "deleted", "expired"].iter().any(|word| text.eq_ignore_ascii_case(word))
}
