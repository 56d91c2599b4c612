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
        if plan.saves.is_empty() {
            return;
        }
        let origin = Origin::of(plan, answer);
        self.check_saved_credentials(&plan.saves, "body", &origin, recorder);
        // Cookies were looked at as they were set, unless a redirect led to a target of which none is declared.
        for save in plan.saves.iter().filter(|save| save.credential) {
            if let SaveSource::Cookie(name) = &save.source
                && !self.run.credential_cookies[self.outgoing.target].contains(name)
                && save.default.as_ref() != Some(&self.slots[usize::from(save.slot)])
            {
                let value = self.slots[usize::from(save.slot)].clone();
                self.check_issued((&save.name, &value), Spot::one("cookie", b""), &origin, recorder);
            }
        }
    }

    /// What was just saved as a credential of an answer's body or of a message, which is the `kind` of place.
    pub(in crate::user) fn check_saved_credentials(
        &mut self,
        saves: &[Save],
        kind: &'static str,
        origin: &Origin<'_>,
        recorder: &mut Recorder,
    ) {
        for save in saves.iter().filter(|s| s.credential && !matches!(s.source, SaveSource::Cookie(_))) {
            let value = self.slots[usize::from(save.slot)].clone();
            if save.default.as_ref() != Some(&value) {
                self.check_issued((&save.name, &value), Spot::one(kind, b""), origin, recorder);
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
                self.check_issued((name, &value), Spot::one("cookie", b""), &Origin::of(plan, answer), recorder);
            }
        }
    }

    fn check_issued(
        &mut self,
        (name, value): (&str, &Value),
        spot: Spot<'_>,
        origin: &Origin<'_>,
        recorder: &mut Recorder,
    ) {
        let text = value.to_string();
        if is_no_credential(value, &text) {
            return;
        }
        let digest = self.run.mint.digest(text.as_bytes());
        if let Some(former) = self.switch.held(digest, self.account) {
            self.report_fixation((name, former), spot, origin, recorder);
            return;
        }
        let before = self.run.credentials.evictions();
        let issue = Issue { account: self.account, step: origin.step, at: origin.at };
        let Some(earlier) = self.run.credentials.issue(digest, issue) else {
            recorder.interval().isolation.credential_evictions += self.run.credentials.evictions() - before;
            if spot.kind == "cookie" {
                self.switch.note_issued(digest);
            }
            return;
        };
        let key = self.key("credential", Tier::Proven, origin.step, spot.kind);
        recorder.leak(key.clone(), || {
            let mut owner = self.party(earlier.account, None);
            self.place(&mut owner, earlier.step);
            owner.request = format!("{} issued it at {:.3} s", owner.step, earlier.at as f64 / 1e9);
            let why = format!("`{name}` was issued to {} before and now to {}", owner.account, self.name(self.account));
            let hint = if earlier.step == origin.step && spot.kind == "cookie" {
                "credential handed to two users: a cached answer with its cookie, or a session shared by two log-ins"
            } else {
                "credential handed to two users"
            };
            self.evidence(&key, origin, spot, (0, 0), owner, &why, hint)
        });
    }

    /// A value that this user held as another account lives on: whoever planted it before the log-in is in.
    fn report_fixation(
        &self,
        (name, former): (&str, u32),
        spot: Spot<'_>,
        origin: &Origin<'_>,
        recorder: &mut Recorder,
    ) {
        let key = self.key("session-fixation", Tier::Suspect, origin.step, spot.kind);
        recorder.leak(key.clone(), || {
            let owner = self.party(former, None);
            let why =
                format!("`{name}` is the same as before the switch of account, when it belonged to {}", owner.account);
            let hint = "a session that outlives its user: the log-in does not make a new one";
            self.evidence(&key, origin, spot, (0, 0), owner, &why, hint)
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
