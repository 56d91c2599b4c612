//! Stored contamination: a foreign marker that comes back inside my own object, read after read.
//! In: foreign markers in answers to reads of my own objects. Out: whether this one has been there before.

use super::{Foreign, Origin, Seen};
use crate::user::VirtualUser;
use std::collections::VecDeque;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// Foreign markers remembered per user, with the object in which they stood.
const REMEMBERED: usize = 64;

/// What a user has seen in its objects.
#[derive(Debug, Default)]
pub(in crate::user) struct Contamination {
    /// Digest of the object's address; owner and running number of the marker.
    seen: VecDeque<(u64, u32, u16)>,
}

impl VirtualUser {
    /// Whether this foreign marker stood in the same object of mine before. The object is a GET that names me or an id
    /// that I saved and declares my own marker, which is there as well; a cached copy of an answer is no object.
    pub(super) fn is_stored(&mut self, origin: &Origin<'_>, leak: &Foreign<'_>, seen: Seen) -> bool {
        let request = &self.run.program.requests[self.outgoing.request];
        let Some(marker) = leak.marker.filter(|_| request.guard.reads_own && seen.own && !origin.is_probe) else {
            return false;
        };
        if leak.spot.kind != "body" || origin.headers.is_some_and(crate::user::cache_lint::is_kept) {
            return false;
        }
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let address = hasher.hash_one((self.outgoing.target, self.outgoing.uri.path()));
        let entry = (address, marker.owner, marker.count);
        if self.contamination.seen.contains(&entry) {
            return true;
        }
        if self.contamination.seen.len() == REMEMBERED {
            self.contamination.seen.pop_front();
        }
        self.contamination.seen.push_back(entry);
        false
    }
}
