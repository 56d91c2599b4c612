//! What a virtual user looks for in each answer: markers it may not see, identities that are not its own,
//! credentials that another account holds, forbidden reads that succeed.
//! In: an answer. Out: leaks with their evidence to the recorder, and whether a permitted marker was seen.

use super::VirtualUser;
use crate::client::answer::{Answer, Ending};
use crate::clock::SECOND;
use crate::excerpt;
use crate::failure::Failure;
use crate::isolation::credentials::Issue;
use crate::isolation::entitlement::may_see;
use crate::isolation::marker::{Decoded, HEAD, Kind, Marker};
use crate::isolation::scanner::{Form, Hit};
use crate::record::Recorder;
use crate::run_result::{LeakKey, LeakRecord, Party, Tier};
use rand::RngExt;
use scenarios::program::{Probe, Request};
use serde_json::Value as Json;
use std::sync::atomic::Ordering::Relaxed;

/// Which markers an answer held.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// One of the reader's own.
    pub own: bool,
    /// One of another account that the reader may see.
    pub permitted: bool,
}

/// Owners reported from one answer at most; an answer full of strangers is still a handful of leaks.
const MOST_OWNERS_PER_ANSWER: usize = 16;

/// Where in an answer something stood.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) place: &'a str,
    pub(super) text: &'a [u8],
}

impl Spot<'_> {
    /// What groups leaks: a server that makes up header names must not make up groups.
    fn kind(self) -> &'static str {
        match self.place {
            "body" => "body",
            "event" => "event",
            "joined text" => "joined text",
            "message" => "message",
            "close reason" => "close reason",
            "status line" => "status line",
            _ => "header",
        }
    }

    /// The place in evidence: `body`, `status line`, `header x-user`.
    fn name(self) -> String {
        if self.kind() == "header" { format!("header {}", self.place) } else { self.place.to_owned() }
    }
}

/// A foreign marker in an answer.
struct Foreign<'a> {
    owner: u32,
    marker: Option<Marker>,
    spot: Spot<'a>,
    offset: usize,
    form: Form,
}

impl VirtualUser {
    /// Scans status line, headers and body.
    pub(super) fn scan(&mut self, plan: &Request, answer: &Answer<'_>, recorder: &mut Recorder) -> Seen {
        if answer.status == 0 {
            // A probe that was never answered says nothing.
            recorder.interval().isolation.probes_indeterminate +=
                u64::from(plan.probe.is_some() && answer.ending != Ending::Cut);
            return Seen::default();
        }
        let run = std::sync::Arc::clone(&self.run);
        let mut seen = Seen::default();
        let mut foreign: Vec<Foreign<'_>> = Vec::new();
        let mut residue = 0;
        let status_line = Spot { place: "status line", text: answer.reason };
        let headers = answer.headers.iter().map(|(n, v)| Spot { place: n.as_str(), text: v.as_bytes() });
        // An event may join what lines cut, and the pieces what events cut: both are read besides the bytes.
        let streamed = answer.heard.into_iter().flat_map(|heard| {
            [Spot { place: "event", text: &heard.data }, Spot { place: "joined text", text: &heard.text }]
        });
        let body = Spot { place: answer.place, text: answer.body };
        let spots = std::iter::once(body).chain(streamed).chain(Some(status_line)).chain(headers);
        for spot in spots.filter(|s| s.text.len() >= HEAD) {
            run.scanner.scan(spot.text, |hit| match hit.decoded {
                Decoded::Authentic(marker) if marker.kind == Kind::Account => {
                    self.sort_hit(marker.owner, Some(marker), spot, hit, &mut seen, &mut foreign);
                }
                // A damaged marker proves nothing about coverage.
                Decoded::Fragment { kind: Kind::Account, owner } if owner != self.account => {
                    self.sort_hit(owner, None, spot, hit, &mut Seen::default(), &mut foreign);
                }
                Decoded::Residue => residue += 1,
                _ => {}
            });
        }
        recorder.interval().isolation.residue += residue;
        for leak in &foreign {
            self.report_foreign(plan, answer, leak, recorder);
        }
        if plan.probe.is_some() {
            self.judge_probe(plan, answer, &foreign, recorder);
        }
        if answer.place == "body" {
            self.lint_cache(plan, answer, seen, recorder);
        }
        self.count_coverage(plan, answer, seen, recorder);
        seen
    }

    fn sort_hit<'a>(
        &self,
        owner: u32,
        marker: Option<Marker>,
        spot: Spot<'a>,
        hit: Hit,
        seen: &mut Seen,
        foreign: &mut Vec<Foreign<'a>>,
    ) {
        if owner == self.account {
            seen.own = true;
        } else if may_see(&self.run.program, self.account, owner) {
            seen.permitted |= marker.is_some();
        } else if !self.sent_myself(spot.text, hit) {
            let found = Foreign { owner, marker, spot, offset: hit.offset, form: hit.form };
            // One finding per owner, and a proof is worth more than any number of damaged markers.
            let place = match foreign.iter().position(|f| f.owner == owner) {
                None if foreign.len() < MOST_OWNERS_PER_ANSWER => return foreign.push(found),
                None => foreign.iter().position(|f| f.marker.is_none()),
                known => known.filter(|at| foreign[*at].marker.is_none()),
            };
            if let Some(at) = place.filter(|_| marker.is_some()) {
                foreign[at] = found;
            }
        }
    }

    /// What I sent myself and get back (reflected in an error, say) is no leak.
    fn sent_myself(&self, text: &[u8], hit: Hit) -> bool {
        if hit.form == Form::Base64 {
            return false;
        }
        let word = &text[hit.offset..text.len().min(hit.offset + HEAD)].to_ascii_lowercase();
        let holds = |text: &[u8]| memchr::memmem::find(&text.to_ascii_lowercase(), word).is_some();
        self.outgoing.uri.path_and_query().is_some_and(|p| holds(p.as_str().as_bytes()))
            || holds(&self.outgoing.sent_body)
            || self.outgoing.sent_headers.iter().any(|value| holds(value.as_bytes()))
    }

    fn count_coverage(&mut self, plan: &Request, answer: &Answer<'_>, seen: Seen, recorder: &mut Recorder) {
        let used = &self.run.target_use[plan.target];
        let me = u64::from(self.account) + 1;
        let before = used.load(Relaxed);
        // 0: nobody yet; an account's number plus one: only that one; all ones: several.
        let after_others = before != 0 && before != me;
        if before == 0 {
            let _ = used.compare_exchange(0, me, Relaxed, Relaxed);
        } else if before != me && before != u64::MAX {
            used.store(u64::MAX, Relaxed);
        }
        recorder.target_used(plan.target, self.account);
        if answer.ending != Ending::Complete {
            return;
        }
        recorder.scanned(plan.step, seen.own || seen.permitted, after_others);
        if seen.own && !self.controls[plan.step] {
            self.controls[plan.step] = true;
            recorder.controls[plan.step].push(self.account);
        }
    }

    /// An account whose data this user may not see, and whose own request of the probed template has returned its own
    /// marker in this run: so a silence of the probe means something.
    pub(super) fn draw_stranger(&mut self, probe: &Probe, recorder: &Recorder) -> Option<u32> {
        let candidates = &recorder.controls[probe.control_step?];
        for _ in 0..8 {
            if candidates.is_empty() {
                return None;
            }
            let candidate = candidates[self.random.random_range(0..candidates.len())];
            let its_role = self.run.program.account(candidate as usize).map(|(role, _)| role);
            if its_role == Some(probe.role)
                && candidate != self.account
                && !may_see(&self.run.program, self.account, candidate)
            {
                return Some(candidate);
            }
        }
        None
    }

    fn judge_probe(&self, plan: &Request, answer: &Answer<'_>, foreign: &[Foreign<'_>], recorder: &mut Recorder) {
        let Some(stranger) = self.stranger else {
            return;
        };
        match answer.status {
            200..=299 if answer.ending == Ending::Complete => {
                // With the stranger's marker it has been reported as proven already.
                if foreign.iter().all(|f| f.owner != stranger || f.marker.is_none()) {
                    let why = "the forbidden read was answered with success, but without a marker of the stranger";
                    let spot = Spot { place: "body", text: answer.body };
                    let key = self.key("probe", Tier::Suspect, plan, spot.place);
                    recorder.leak(key.clone(), || {
                        self.evidence(
                            &key,
                            plan,
                            answer,
                            spot,
                            (0, 0),
                            self.party(stranger, None),
                            why,
                            "access control hole",
                        )
                    });
                }
            }
            401 | 403 | 404 => {}
            _ => recorder.interval().isolation.probes_indeterminate += 1,
        }
    }

    fn report_foreign(&self, plan: &Request, answer: &Answer<'_>, leak: &Foreign<'_>, recorder: &mut Recorder) {
        let is_probed = self.stranger == Some(leak.owner) && plan.probe.is_some();
        // Users without a role have no account: nobody could say in the file whose data they may see.
        let is_anonymous = leak.owner as usize >= self.run.program.account_count();
        let (detector, tier) = match (leak.marker.is_some(), is_probed) {
            (true, _) if is_anonymous => ("foreign-marker", Tier::Suspect),
            (true, true) => ("probe", Tier::Proven),
            (true, false) => ("foreign-marker", Tier::Proven),
            (false, _) => ("fragment", Tier::Suspect),
        };
        let key = self.key(detector, tier, plan, leak.spot.kind());
        recorder.leak(key.clone(), || {
            let owner = self.party(leak.owner, leak.marker);
            let why = format!("no `may_see` condition lets {} see data of {}", self.name(self.account), owner.account);
            let why =
                if is_probed { format!("a forbidden read was answered with the stranger's data; {why}") } else { why };
            let hint = if is_probed { "access control hole" } else { hint(answer) };
            let mut record = self.evidence(&key, plan, answer, leak.spot, (leak.offset, 38), owner, &why, hint);
            record.decode.extend(leak.form.decoder().map(str::to_owned));
            record.place = leak.spot.name();
            record
        });
    }

    /// Declared identities: the answer must be about me.
    pub(super) fn check_identities(
        &mut self,
        plan: &Request,
        request: usize,
        json: &Json,
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) -> Result<(), super::checks::Wrong> {
        let run = std::sync::Arc::clone(&self.run);
        for (i, identity) in plan.identities.iter().enumerate() {
            let wrong = |failure, detail: String| super::checks::Wrong(failure, detail);
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
            let spot = Spot { place: "body", text: answer.body };
            let key = self.key("identity", tier, plan, spot.place);
            recorder.leak(key.clone(), || {
                let party = owner
                    .map_or_else(|| Party { account: value.to_string(), ..Party::default() }, |o| self.party(o, None));
                let why = format!("{} says {value}, but the request was made by {expected}", identity.path.text());
                let found = value.to_string();
                let at = memchr::memmem::find(answer.body, found.as_bytes()).unwrap_or(0);
                self.evidence(&key, plan, answer, spot, (at, found.len()), party, &why, hint(answer))
            });
        }
        Ok(())
    }

    /// Declared credentials: never issued to two accounts.
    pub(super) fn check_credentials(&mut self, plan: &Request, answer: &Answer<'_>, recorder: &mut Recorder) {
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
            let spot = Spot { place: "body", text: b"" };
            let key = self.key("credential", Tier::Proven, plan, spot.place);
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
                self.evidence(&key, plan, answer, spot, (0, 0), owner, &why, "credential handed to two users")
            });
        }
    }

    fn key(&self, detector: &str, tier: Tier, plan: &Request, place: &str) -> LeakKey {
        LeakKey { detector: detector.into(), tier, step: plan.step, place: place.into() }
    }

    fn name(&self, account: u32) -> String {
        self.run.account_name(account)
    }

    /// The owner's side of the evidence.
    pub(super) fn party(&self, account: u32, marker: Option<Marker>) -> Party {
        let program = &self.run.program;
        let mut party = Party {
            user: self.run.accounts.user_of(account).map(u64::from),
            account: self.name(account),
            kind: program.account(account as usize).map_or("user", |(role, _)| &program.roles[role].name).to_owned(),
            ..Party::default()
        };
        let accounts = &self.run.accounts;
        let Some(marker) = marker else {
            // Without a marker nobody can say which request it came from; the latest one is the likeliest.
            if let Some((step, ms)) = accounts.latest_request(account) {
                self.place(&mut party, step);
                party.request =
                    format!("{}, its latest request, at {:.3} s", self.filled(&party.step, account), ms as f64 / 1e3);
            }
            return party;
        };
        self.place(&mut party, usize::from(marker.step));
        let request = self.filled(&party.step, account);
        party.request = match accounts.written_ms(account, marker.count) {
            Some(ms) => format!("{request} wrote marker {} at {:.3} s", marker.count, ms as f64 / 1e3),
            None => format!("{request} wrote marker {}, time no longer known", marker.count),
        };
        party
    }

    fn place(&self, party: &mut Party, step: usize) {
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
    pub(super) fn evidence(
        &self,
        key: &LeakKey,
        plan: &Request,
        answer: &Answer<'_>,
        spot: Spot<'_>,
        (offset, length): (usize, usize),
        owner: Party,
        why: &str,
        hint: &str,
    ) -> LeakRecord {
        let program = &self.run.program;
        let step = &program.steps[plan.step];
        let reader = Party {
            user: Some(u64::from(self.index)),
            journey: program.journeys[step.journey].name.clone(),
            step: step.name.clone(),
            request: format!(
                "{}, status {}, request {} of the user",
                self.request_line(self.outgoing.request),
                answer.status,
                self.requests_sent
            ),
            ..self.party(self.account, None)
        };
        // What leaked is the owner's, and a password may be part of it.
        let seat = owner.user.and_then(|user| self.run.seats.get(usize::try_from(user).ok()?));
        let owner_account = seat.map(|seat| seat.account);
        let via = answer.via;
        LeakRecord {
            detector: key.detector.clone(),
            tier: key.tier,
            group: 0,
            reader: Party { request: self.mask(&reader.request), ..reader },
            owner,
            t_s: answer.times.done as f64 / SECOND as f64,
            place: key.place.clone(),
            decode: answer.codings.iter().rev().map(|c| c.name().to_owned()).collect(),
            offset: offset as u64,
            excerpt: self.mask_with(&excerpt::around(spot.text, offset, length), owner_account),
            connection: format!(
                "local port {}, request {} on it, open for {:.3} s",
                via.local_port,
                via.ordinal,
                answer.times.done.saturating_sub(via.since) as f64 / 1e9
            ),
            why: why.to_owned(),
            hint: hint.to_owned(),
        }
    }
}

/// What the answer's signature suggests.
fn hint(answer: &Answer<'_>) -> &'static str {
    let header = |name: &str| answer.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
    let age = header("age").trim().parse::<u64>().is_ok();
    let hit = ["x-cache", "cf-cache-status", "x-cache-status", "cache-status"]
        .iter()
        .any(|name| header(name).to_ascii_lowercase().contains("hit"));
    if hit || age {
        "cached copy: the answer says that it comes from a cache"
    } else if answer.ending != Ending::Complete {
        "memory of another answer in a broken one"
    } else {
        "no signature: a shared variable, a crossed connection or a session handed over"
    }
}
