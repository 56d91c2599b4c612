//! Declared identities: the answer must be about the one who asked.
//! In: a parsed answer. Out: an identity that is another account's (proven) or nobody's (suspect).

use super::{Origin, Spot};
use crate::client::answer::Answer;
use crate::failure::Failure;
use crate::isolation::entitlement::may_see;
use crate::record::Recorder;
use crate::run_result::{Party, Tier};
use crate::user::{VirtualUser, checks};
use scenarios::program::{Identity, Request};
use scenarios::value::Value;
use serde_json::Value as Json;

/// One value that an answer gave for a declared identity.
struct Claim<'a> {
    identity: &'a Identity,
    expected: &'a Value,
    value: &'a Value,
    owner: Option<u32>,
}

impl VirtualUser {
    /// Declared identities: the answer must be about me, each value of a list too.
    pub(in crate::user) fn check_identities(
        &mut self,
        plan: &Request,
        request: usize,
        json: &Json,
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) -> Result<(), checks::Wrong> {
        for (i, identity) in plan.identities.iter().enumerate() {
            let wrong = |failure, detail: String| checks::Wrong(failure, detail);
            let expected = identity
                .expected
                .eval(&mut self.scope(answer.times.done, Some(answer), recorder))
                .map_err(|e| wrong(Failure::Scenario, e.0))?;
            let Some(value) = identity.path.find(json) else {
                return Err(wrong(Failure::Identity(i as u16), format!("expected {expected}; nothing there")));
            };
            self.compare_identity(plan, (request, i), (&expected, &value), answer, recorder, false);
        }
        Ok(())
    }

    /// What an answer gives away that is wrong in other ways too: only what is another account's for certain. An
    /// error page about nobody is no finding, but one about somebody else is, and a missing marker must not hide it.
    pub(in crate::user) fn check_identities_of_failed(
        &mut self,
        plan: &Request,
        request: usize,
        json: &Json,
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) {
        for (i, identity) in plan.identities.iter().enumerate() {
            let expected = identity.expected.eval(&mut self.scope(answer.times.done, Some(answer), recorder));
            if let (Ok(expected), Some(value)) = (expected, identity.path.find(json)) {
                self.compare_identity(plan, (request, i), (&expected, &value), answer, recorder, true);
            }
        }
    }

    fn compare_identity(
        &mut self,
        plan: &Request,
        (request, i): (usize, usize),
        (expected, value): (&Value, &Value),
        answer: &Answer<'_>,
        recorder: &mut Recorder,
        is_known_only: bool,
    ) {
        let is_mine = |value: &Value| value == expected || value.to_string() == expected.to_string();
        if is_mine(value) {
            return;
        }
        let run = std::rc::Rc::clone(&self.run);
        let identity = &plan.identities[i];
        let role = run.program.account(self.account as usize).map_or(0, |(role, _)| role);
        let values = match value {
            Value::List(values) => values,
            value => std::slice::from_ref(value),
        };
        // One finding per answer, and of a known account if there is one.
        let mut claims: Vec<Claim<'_>> = Vec::new();
        for value in values.iter().filter(|value| !is_mine(value)) {
            let owner = run.identities[request][i].owner(&run.program, identity, role, value);
            if owner == Some(self.account) || owner.is_some_and(|o| may_see(&run.program, self.account, o)) {
                continue;
            }
            if owner.is_some() || (claims.is_empty() && !is_known_only) {
                claims.push(Claim { identity, expected, value, owner });
            }
            if owner.is_some() {
                break;
            }
        }
        if let Some(claim) = claims.last() {
            self.report_identity(plan, claim, answer, recorder);
            self.note_stranger(i, claim.value);
        }
    }

    fn report_identity(&self, plan: &Request, claim: &Claim<'_>, answer: &Answer<'_>, recorder: &mut Recorder) {
        let Claim { identity, expected, value, owner } = claim;
        let tier = if owner.is_some() { Tier::Proven } else { Tier::Suspect };
        let origin = Origin::of(plan, answer);
        let spot = Spot::one("body", answer.body);
        let key = self.key("identity", tier, plan.step, spot.kind);
        recorder.leak(key.clone(), || {
            let party =
                owner.map_or_else(|| Party { account: value.to_string(), ..Party::default() }, |o| self.party(o, None));
            let why = format!("{} says {value}, but the request was made by {expected}", identity.path.text());
            let found = value.to_string();
            let at = memchr::memmem::find(answer.body, found.as_bytes()).unwrap_or(0);
            let hint = self.hint(&origin, *owner);
            self.evidence(&key, &origin, spot, (at, found.len()), party, &why, hint)
        });
    }
}
