//! Declared credentials: never issued to two accounts.
//! In: an answer whose values were saved. Out: a credential that another account holds.

use super::{Origin, Spot};
use crate::client::answer::Answer;
use crate::isolation::credentials::Issue;
use crate::record::Recorder;
use crate::run_result::Tier;
use crate::user::VirtualUser;
use scenarios::program::Request;

impl VirtualUser {
    /// Declared credentials: never issued to two accounts.
    pub(in crate::user) fn check_credentials(&mut self, plan: &Request, answer: &Answer<'_>, recorder: &mut Recorder) {
        for save in plan.saves.iter().filter(|s| s.credential) {
            let value = &self.slots[usize::from(save.slot)];
            let text = value.to_string();
            if text.is_empty() || save.default.as_ref() == Some(value) {
                continue;
            }
            let digest = self.run.mint.digest(text.as_bytes());
            let before = self.run.credentials.evictions();
            let issue = Issue { account: self.account, step: plan.step, at: answer.times.done };
            let Some(earlier) = self.run.credentials.issue(digest, issue) else {
                recorder.interval().isolation.credential_evictions += self.run.credentials.evictions() - before;
                continue;
            };
            let spot = Spot::one("body", b"");
            let key = self.key("credential", Tier::Proven, plan.step, spot.kind);
            recorder.leak(key.clone(), || {
                let mut owner = self.party(earlier.account, None);
                self.place(&mut owner, earlier.step);
                owner.request = format!("{} issued it at {:.3} s", owner.step, earlier.at as f64 / 1e9);
                let why = format!(
                    "`{}` was issued to {} before and now to {}",
                    save.name,
                    owner.account,
                    self.name(self.account)
                );
                self.evidence(
                    &key,
                    &Origin::of(plan, answer),
                    spot,
                    (0, 0),
                    owner,
                    &why,
                    "credential handed to two users",
                )
            });
        }
    }
}
