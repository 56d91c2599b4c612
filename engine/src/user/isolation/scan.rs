//! Markers in what arrived: own, permitted, foreign.
//! In: spots. Out: which kinds of marker were there; leaks of foreign ones.

use super::audiences::AudienceFinds;
use super::{Foreign, Origin, Seen, Spot};
use crate::client::answer::{Answer, Ending};
use crate::isolation::entitlement::may_see;
use crate::isolation::layers;
use crate::isolation::marker::{Decoded, HEAD, Kind, Marker, UNNUMBERED};
use crate::isolation::numbers::Field;
use crate::isolation::scanner::Hit;
use crate::record::Recorder;
use crate::run_result::Tier;
use crate::user::VirtualUser;
use scenarios::program::{Program, Request};

/// Owners reported from one answer at most; an answer full of strangers is still a handful of leaks.
const MOST_OWNERS_PER_ANSWER: usize = 16;

/// Steps that planted what one answer holds, as far as they are noted.
const MOST_WRITERS: usize = 8;

/// All that was found in the spots of one answer or message.
#[derive(Default)]
struct Finds<'a> {
    seen: Seen,
    foreign: Vec<Foreign<'a>>,
    residue: u64,
    audiences: AudienceFinds<'a>,
    writers: Writers,
}

/// Steps that planted what the reader may see, with the fields in which they did as bits; of one answer the first few.
#[derive(Default)]
struct Writers {
    steps: [(u16, u64); MOST_WRITERS],
    count: usize,
}

impl Writers {
    fn add(&mut self, program: &Program, marker: Option<Marker>) {
        let Some(marker) = marker.filter(|m| m.step != UNNUMBERED) else {
            return;
        };
        let field = 1 << Field::of_count(marker.count, program.field_count(usize::from(marker.step)));
        match self.steps[..self.count].iter_mut().find(|(step, _)| *step == marker.step) {
            Some((_, fields)) => *fields |= field,
            None if self.count < MOST_WRITERS => {
                self.steps[self.count] = (marker.step, field);
                self.count += 1;
            }
            None => {}
        }
    }
}

impl VirtualUser {
    /// Scans status line, headers and body.
    pub(in crate::user) fn scan(&mut self, plan: &Request, answer: &Answer<'_>, recorder: &mut Recorder) -> Seen {
        if answer.status == 0 {
            // A probe that was never answered says nothing.
            recorder.interval().isolation.probes_indeterminate +=
                u64::from(plan.probe.is_some() && answer.ending != Ending::Cut);
            return Seen::default();
        }
        let origin = Origin::of(plan, answer);
        let mut finds = Finds::default();
        for spot in layers::spots(answer) {
            self.scan_spot(&origin, spot, &mut finds);
        }
        finds.seen.permitted |= finds.audiences.permitted;
        finds.seen.places |= finds.audiences.places;
        finds.seen.residue = finds.residue > 0;
        self.report(&origin, &finds, recorder);
        if plan.probe.is_some() {
            self.judge_probe(plan, answer, &finds.foreign, recorder);
        }
        self.lint_cache(plan, answer, finds.seen, recorder);
        finds.seen
    }

    /// Scans what is no answer: a message, an event, a close reason.
    pub(in crate::user) fn scan_message(
        &mut self,
        origin: &Origin<'_>,
        spots: &[Spot<'_>],
        recorder: &mut Recorder,
    ) -> Seen {
        let mut finds = Finds::default();
        for spot in spots {
            self.scan_spot(origin, *spot, &mut finds);
        }
        finds.seen.permitted |= finds.audiences.permitted;
        finds.seen.places |= finds.audiences.places;
        finds.seen.residue = finds.residue > 0;
        self.report(origin, &finds, recorder);
        finds.seen
    }

    fn scan_spot<'a>(&self, origin: &Origin<'_>, spot: Spot<'a>, finds: &mut Finds<'a>) {
        if spot.text.len() < HEAD || !self.run.scanner.reads(spot.kind) {
            return;
        }
        self.run.scanner.scan(spot.text, |hit| match hit.decoded {
            Decoded::Authentic(marker) if marker.kind == Kind::Account => {
                self.sort_hit(origin, marker.owner, Some(marker), spot, hit, finds);
            }
            // A damaged marker proves nothing about coverage.
            Decoded::Fragment { kind: Kind::Account, owner } if owner != self.account => {
                self.sort_hit(origin, owner, None, spot, hit, finds);
            }
            Decoded::Authentic(marker) => {
                let was_permitted = std::mem::take(&mut finds.audiences.permitted);
                self.sort_audience(origin, (marker.owner, Some(marker)), spot, hit, &mut finds.audiences);
                if finds.audiences.permitted {
                    finds.writers.add(&self.run.program, Some(marker));
                }
                finds.audiences.permitted |= was_permitted;
            }
            Decoded::Fragment { kind: Kind::Audience, owner } => {
                self.sort_audience(origin, (owner, None), spot, hit, &mut finds.audiences);
            }
            Decoded::Residue => finds.residue += 1,
            _ => {}
        });
    }

    fn report(&mut self, origin: &Origin<'_>, finds: &Finds<'_>, recorder: &mut Recorder) {
        recorder.interval().isolation.residue += finds.residue;
        recorder.interval().isolation.audience_unclear += finds.audiences.unclear;
        for found in &finds.audiences.misdirected {
            self.report_misdirected(origin, found, recorder);
        }
        for (writer, fields) in &finds.writers.steps[..finds.writers.count] {
            recorder.carried(origin.step, *writer, *fields);
            self.run.writings.show(origin.step, usize::from(*writer));
        }
        for leak in &finds.foreign {
            self.report_foreign(origin, leak, finds.seen, recorder);
        }
    }

    fn sort_hit<'a>(
        &self,
        origin: &Origin<'_>,
        owner: u32,
        marker: Option<Marker>,
        spot: Spot<'a>,
        hit: Hit,
        finds: &mut Finds<'a>,
    ) {
        if owner == self.account {
            finds.seen.own = true;
            finds.seen.places |= layers::bit(spot.kind);
            finds.writers.add(&self.run.program, marker);
            finds.seen.latest |= marker.is_some_and(|m| self.writes.is_latest(m.count));
        } else if may_see(&self.run.program, self.account, owner) {
            if marker.is_some() {
                finds.writers.add(&self.run.program, marker);
                finds.seen.permitted = true;
                finds.seen.places |= layers::bit(spot.kind);
            }
        } else if !self.sent_myself(origin, owner, marker)
            && !self.was(origin).is_some_and(|former| may_see(&self.run.program, former, owner))
        {
            let foreign = &mut finds.foreign;
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

    /// What I sent myself and get back (reflected in an error, say) is no leak, in whatever form it went and came.
    pub(super) fn sent_myself(&self, origin: &Origin<'_>, owner: u32, marker: Option<Marker>) -> bool {
        let holds = |text: &[u8]| {
            let mut holds = false;
            self.run.scanner.scan(text, |hit| {
                holds |= match hit.decoded {
                    Decoded::Authentic(sent) => sent.owner == owner && marker.is_none_or(|came| came == sent),
                    Decoded::Fragment { owner: sent, .. } => sent == owner && marker.is_none(),
                    _ => false,
                };
            });
            holds
        };
        self.outgoing.uri.path_and_query().is_some_and(|p| holds(p.as_str().as_bytes()))
            || holds(&self.outgoing.sent_body)
            || origin.sent.iter().any(|text| holds(text))
            || self.outgoing.sent_headers.iter().any(|value| holds(value.as_bytes()))
    }

    fn report_foreign(&mut self, origin: &Origin<'_>, leak: &Foreign<'_>, seen: Seen, recorder: &mut Recorder) {
        let is_stored = self.is_stored(origin, leak, seen);
        let is_probed = self.stranger == Some(leak.owner) && origin.is_probe;
        // Users without a role have no account: nobody could say in the file whose data they may see.
        let is_anonymous = leak.owner as usize >= self.run.program.account_count();
        let (detector, tier) = match (leak.marker.is_some(), is_probed) {
            (true, _) if is_anonymous => ("foreign-marker", Tier::Suspect),
            (true, true) => ("probe", Tier::Proven),
            (true, false) if is_stored => ("write-contamination", Tier::Proven),
            (true, false) => ("foreign-marker", Tier::Proven),
            (false, _) => ("fragment", Tier::Suspect),
        };
        let key = self.key(detector, tier, origin.step, leak.spot.kind);
        recorder.leak(key.clone(), || {
            let owner = self.party(leak.owner, leak.marker);
            let why = format!("no `may_see` condition lets {} see data of {}", self.name(self.account), owner.account);
            let why =
                if is_probed { format!("a forbidden read was answered with the stranger's data; {why}") } else { why };
            let hint = match (is_probed, is_stored) {
                (true, _) => "access control hole",
                (_, true) => "stored contamination: it stands in the object itself, read after read",
                _ => self.hint(origin, Some(leak.owner)),
            };
            let mut record = self.evidence(&key, origin, leak.spot, (leak.offset, 38), owner, &why, hint);
            record.decode.extend(leak.form.decoder().map(str::to_owned));
            record.place = leak.spot.words();
            record
        });
    }
}
