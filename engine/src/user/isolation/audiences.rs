//! Data of an audience at somebody who is not of it.
//! In: markers of audiences in what arrived. Out: leaks, `wrong-recipient` and `stale-access`; overlaps with a join or a
//! leave are counted and never alarmed.

use super::{Origin, Spot};
use crate::isolation::audiences::{Audience, Standing};
use crate::isolation::marker::{LENGTH, Marker};
use crate::isolation::scanner::Hit;
use crate::record::Recorder;
use crate::run_result::{Party, Tier};
use crate::user::VirtualUser;
use std::sync::Arc;

/// Audiences whose names a user keeps at hand; further ones are looked up.
const AT_HAND: usize = 64;

/// A marker of an audience at a non-member.
pub(super) struct Misdirected<'a> {
    audience: Arc<Audience>,
    marker: Option<Marker>,
    left: Option<crate::clock::Nanos>,
    spot: Spot<'a>,
    hit: Hit,
}

/// What the markers of audiences in one answer came to.
#[derive(Default)]
pub(super) struct AudienceFinds<'a> {
    pub(super) misdirected: Vec<Misdirected<'a>>,
    /// Hits that overlap with a join or a leave.
    pub(super) unclear: u64,
    /// A whole marker of an audience that the reader is in.
    pub(super) permitted: bool,
    /// Where those stood, as in [`super::Seen`].
    pub(super) places: u8,
}

/// Audiences reported from one answer at most.
const MOST_AUDIENCES_PER_ANSWER: usize = 16;

impl VirtualUser {
    /// The audience of this name.
    pub(in crate::user) fn audience(&mut self, name: &str) -> Option<Arc<Audience>> {
        if let Some(known) = self.audiences.iter().find(|a| a.name == name) {
            return Some(Arc::clone(known));
        }
        let found = self.run.audiences.named(name, &self.run.mint)?;
        if self.audiences.len() < AT_HAND {
            self.audiences.push(Arc::clone(&found));
        }
        Some(found)
    }

    /// Sorts a marker of an audience.
    pub(super) fn sort_audience<'a>(
        &self,
        origin: &Origin<'_>,
        (number, marker): (u32, Option<Marker>),
        spot: Spot<'a>,
        hit: Hit,
        finds: &mut AudienceFinds<'a>,
    ) {
        let Some(audience) = self.run.audiences.numbered(number) else {
            finds.unclear += 1;
            return;
        };
        let under_way = (origin.from.min(origin.at), origin.at);
        let standing = |account| audience.standing(account, under_way, marker.map(|m| m.count));
        if self.was(origin).map(standing).is_some_and(|then| matches!(then, Standing::Member | Standing::Unclear)) {
            // It was asked for by who this user was then, and that one is let in.
            finds.unclear += 1;
            return;
        }
        let left = match standing(self.account) {
            Standing::Member => {
                if marker.is_some() {
                    finds.permitted = true;
                    finds.places |= crate::isolation::layers::bit(spot.kind);
                }
                return;
            }
            Standing::Unclear => {
                finds.unclear += 1;
                return;
            }
            Standing::Outsider => None,
            Standing::Former(left) => Some(left),
        };
        let is_mine = marker.and_then(|m| audience.written(m.count)).is_some_and(|(writer, _)| writer == self.account);
        if is_mine || self.sent_myself(origin, number, marker) {
            return;
        }
        let known = finds.misdirected.iter().position(|m| m.audience.number == number);
        let found = Misdirected { audience, marker, left, spot, hit };
        match known {
            None if finds.misdirected.len() < MOST_AUDIENCES_PER_ANSWER => finds.misdirected.push(found),
            Some(at) if finds.misdirected[at].marker.is_none() && marker.is_some() => finds.misdirected[at] = found,
            _ => {}
        }
    }

    pub(super) fn report_misdirected(&self, origin: &Origin<'_>, found: &Misdirected<'_>, recorder: &mut Recorder) {
        let (detector, tier) = match (found.marker.is_some(), found.left) {
            (false, _) => ("fragment", Tier::Suspect),
            (true, None) => ("wrong-recipient", Tier::Proven),
            (true, Some(_)) => ("stale-access", Tier::Proven),
        };
        let key = self.key(detector, tier, origin.step, found.spot.kind);
        recorder.leak(key.clone(), || {
            let audience = &found.audience;
            let mut owner = Party { account: audience.name.clone(), kind: "audience".into(), ..Party::default() };
            if let Some(marker) = found.marker {
                self.place(&mut owner, usize::from(marker.step));
                owner.request = match audience.written(marker.count) {
                    Some((writer, ms)) => {
                        owner.user = self.run.accounts.user_of(writer).map(u64::from);
                        let writer = self.name(writer);
                        format!("{writer} wrote marker {} to it at {:.3} s", marker.count, ms as f64 / 1e3)
                    }
                    None => format!("marker {} of it, time no longer known", marker.count),
                };
            }
            let me = self.name(self.account);
            let why = match found.left {
                None => format!("{me} never joined `{}` and never wrote to it", audience.name),
                Some(left) => format!(
                    "{me} had left `{}` at {:.3} s, and this was written to it more than 2 s later",
                    audience.name,
                    left as f64 / 1e9
                ),
            };
            let place = (found.hit.offset, LENGTH);
            let hint = "a message or a list that is addressed to the wrong people";
            let mut record = self.evidence(&key, origin, found.spot, place, owner, &why, hint);
            record.decode.extend(found.hit.form.decoder().map(str::to_owned));
            record.place = found.spot.words();
            record
        });
    }
}
