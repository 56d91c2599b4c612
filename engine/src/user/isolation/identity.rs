//! Declared identities: the answer must be about the one who asked.
//! In: a parsed answer. Out: an identity that is another account's (proven) or nobody's (suspect).

use super::evidence::hint;
use super::{Origin, Spot};
use crate::client::answer::Answer;
use crate::failure::Failure;
use crate::isolation::entitlement::may_see;
use crate::record::Recorder;
use crate::run_result::{Party, Tier};
use crate::user::{VirtualUser, checks};
use scenarios::program::Request;
use serde_json::Value as Json;

impl VirtualUser {
    /// Declared identities: the answer must be about me.
    pub(in crate::user) fn check_identities(
        &mut self,
        plan: &Request,
        request: usize,
        json: &Json,
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) -> Result<(), checks::Wrong> {
        let run = std::sync::Arc::clone(&self.run);
        for (i, identity) in plan.identities.iter().enumerate() {
            let wrong = |failure, detail: String| checks::Wrong(failure, detail);
            let expected = identity
                .expected
                .eval(&mut self.scope(answer.times.done, Some(answer), recorder))
                .map_err(|e| wrong(Failure::Scenario, e.0))?;
            let Some(value) = identity.path.find(json) else {
                return Err(wrong(Failure::Identity(i as u16), format!("expected {expected}; nothing there")));
            };
            if value == expected || value.to_string() == expected.to_string() {
                continue;
            }
            let role = run.program.account(self.account as usize).map_or(0, |(role, _)| role);
            let owner = run.identities[request][i].owner(&run.program, identity, role, &value);
            if owner == Some(self.account) || owner.is_some_and(|o| may_see(&run.program, self.account, o)) {
                continue;
            }
            let tier = if owner.is_some() { Tier::Proven } else { Tier::Suspect };
            let origin = Origin::of(plan, answer);
            let spot = Spot::one("body", answer.body);
            let key = self.key("identity", tier, plan.step, spot.kind);
            recorder.leak(key.clone(), || {
                let party = owner
                    .map_or_else(|| Party { account: value.to_string(), ..Party::default() }, |o| self.party(o, None));
                let why = format!("{} says {value}, but the request was made by {expected}", identity.path.text());
                let found = value.to_string();
                let at = memchr::memmem::find(answer.body, found.as_bytes()).unwrap_or(0);
                self.evidence(&key, &origin, spot, (at, found.len()), party, &why, hint(&origin))
            });
        }
        Ok(())
    }
}
