//! The evidence of a finding: both sides, the connection, the bytes around it, and what the signature suggests.
//! In: where it stood and what it came with. Out: a record for the report, with secrets masked.

use super::{Origin, Spot};
use crate::clock::SECOND;
use crate::excerpt;
use crate::isolation::marker::{Marker, UNNUMBERED};
use crate::isolation::numbers::Field;
use crate::run_result::{LeakKey, LeakRecord, Party, Tier};
use crate::user::VirtualUser;

impl VirtualUser {
    pub(in crate::user) fn key(&self, detector: &str, tier: Tier, step: usize, place: &str) -> LeakKey {
        LeakKey { detector: detector.into(), tier, step, place: place.into() }
    }

    pub(super) fn name(&self, account: u32) -> String {
        self.run.account_name(account)
    }

    /// The owner's side of the evidence.
    pub(in crate::user) fn party(&self, account: u32, marker: Option<Marker>) -> Party {
        let program = &self.run.program;
        let mut party = Party {
            user: self.run.accounts.user_of(account).map(u64::from),
            number: Some(account),
            account: self.name(account),
            kind: program.account(account as usize).map_or("user", |(role, _)| &program.roles[role].name).to_owned(),
            ..Party::default()
        };
        let accounts = &self.run.accounts;
        let Some(marker) = marker.filter(|m| m.count != UNNUMBERED) else {
            // Without a marker nobody can say which request it came from; the latest one is the likeliest.
            if let Some((step, ms)) = accounts.latest_request(account) {
                self.place(&mut party, step);
                party.request =
                    format!("{}, its latest request, at {:.3} s", self.filled(&party.step, account), ms as f64 / 1e3);
            }
            return party;
        };
        if usize::from(marker.step) >= program.steps.len() {
            party.request = format!("a step beside the load, such as one of `setup`, wrote marker {}", marker.count);
            return party;
        }
        self.place(&mut party, usize::from(marker.step));
        let request = self.filled(&party.step, account);
        let field = self.field(marker);
        party.request = match accounts.written_ms(account, marker.count) {
            Some(ms) => format!("{request} wrote marker {}{field} at {:.3} s", marker.count, ms as f64 / 1e3),
            None => format!("{request} wrote marker {}{field}, time no longer known", marker.count),
        };
        party
    }

    /// In which field of its step it was planted, in words.
    fn field(&self, marker: Marker) -> String {
        let step = usize::from(marker.step);
        let field = Field::of_count(marker.count, self.run.program.field_count(step));
        let name = self.run.program.steps.get(step).and_then(|step| step.fields.get(usize::from(field)));
        name.map_or_else(String::new, |name| format!(" in `{name}`"))
    }

    pub(super) fn place(&self, party: &mut Party, step: usize) {
        if let Some(step) = self.run.program.steps.get(step) {
            party.journey.clone_from(&self.run.program.journeys[step.journey].name);
            party.step.clone_from(&step.name);
        }
    }

    /// A step's name with the account's own columns filled in, as far as they are not secret.
    fn filled(&self, step: &str, account: u32) -> String {
        let program = &self.run.program;
        let Some((role, row)) = program.account(account as usize) else {
            return step.to_owned();
        };
        let role = &program.roles[role];
        let mut text = step.to_owned();
        for ((column, value), secret) in role.columns.iter().zip(row).zip(&role.secret) {
            if !secret {
                text = text.replace(&format!("{{{{ account.{column} }}}}"), &value.to_string());
            }
        }
        text
    }

    #[expect(clippy::too_many_arguments, reason = "one call builds one record; a struct would only repeat it")]
    pub(in crate::user) fn evidence(
        &self,
        key: &LeakKey,
        origin: &Origin<'_>,
        spot: Spot<'_>,
        (offset, length): (usize, usize),
        owner: Party,
        why: &str,
        hint: &str,
    ) -> LeakRecord {
        let program = &self.run.program;
        let step = &program.steps[origin.step];
        let reader = Party {
            user: Some(u64::from(self.index)),
            journey: program.journeys[step.journey].name.clone(),
            step: step.name.clone(),
            request: format!(
                "{}, {}, request {} of the user",
                self.request_line(self.outgoing.request),
                origin.what,
                self.requests_sent
            ),
            ..self.party(self.account, None)
        };
        // What leaked is the owner's, and a password may be part of it.
        let owner_account = owner.number;
        let via = origin.via;
        let near = self.secrets_near(spot.text, offset);
        let secrets = [self.secrets_in(origin.step, spot.text), self.secrets(owner_account), near].concat();
        let lets_in = spot.kind == "cookie" || spot.kind == "header" && crate::run::is_secret_header(spot.name);
        let excerpt = match lets_in {
            true => excerpt::of_secret(spot.text, (offset, length), spot.kind == "cookie"),
            false => excerpt::around(spot.text, offset, length, &secrets),
        };
        let hide = |text: &str| secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"));
        LeakRecord {
            detector: key.detector.clone(),
            tier: key.tier,
            group: 0,
            reader: Party { request: self.mask(&reader.request), ..reader },
            owner: match owner.number {
                // An account is known by a name that is no secret.
                Some(_) => owner,
                None => Party { account: hide(&owner.account), ..owner },
            },
            t_s: origin.at as f64 / SECOND as f64,
            place: key.place.clone(),
            decode: origin.codings.iter().rev().map(|c| c.name().to_owned()).collect(),
            offset: offset as u64,
            excerpt: self.mask_with(&excerpt, owner_account),
            connection: format!(
                "local port {}, request {} on it, open for {:.3} s{}",
                via.local_port,
                via.ordinal,
                origin.at.saturating_sub(via.since) as f64 / 1e9,
                via.handed.map_or(String::new(), |handed| format!(", taken over from user {}", handed.by))
            ),
            why: hide(why),
            hint: hint.to_owned(),
        }
    }
}

impl VirtualUser {
    /// What the answer's signature suggests. `owner` is whose data came.
    pub(super) fn hint(&self, origin: &Origin<'_>, owner: Option<u32>) -> &'static str {
        let header = |name: &str| origin.headers.and_then(|h| h.get(name)?.to_str().ok()).unwrap_or("");
        let age = header("age").trim().parse::<u64>().is_ok();
        let hit = ["x-cache", "cf-cache-status", "x-cache-status", "cache-status"]
            .iter()
            .any(|name| header(name).to_ascii_lowercase().contains("hit"));
        let faults = &self.run.profile.faults;
        if hit || age {
            "cached copy: the answer says that it comes from a cache"
        } else if !origin.is_whole {
            "memory of another answer in a broken one"
        } else if owner
            .is_some_and(|o| self.switch.former() == Some(o) || self.run.accounts.user_of(o) == Some(self.index))
        {
            "kept over a change of account: the owner is who this user was before `switch_account`, so a context or \
             session of the connection outlives its user"
        } else if let Some(handed) = origin.via.handed
            && owner.is_some_and(|owner| self.run.accounts.user_of(owner) == Some(handed.by))
        {
            "kept with the connection: it was taken over from the owner, so a context or session of the connection \
             outlives its user, as it would behind a proxy that keeps its connections"
        } else if faults.equal_ids && self.client_ids > 0 {
            "no signature; ids of clients were equal in this run: an answer may be chosen by an id that clients count \
             themselves"
        } else if faults.abandon.is_some() || faults.reload_burst > 0.0 {
            "no signature; requests were given up in this run: a pooled connection may keep the answer of one. Play it \
             without `abandon` and `reload_burst` to tell that from a shared variable"
        } else {
            "no signature: a shared variable, a crossed connection or a session handed over"
        }
    }
}
