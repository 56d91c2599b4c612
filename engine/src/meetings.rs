//! Where users of all workers wait for one another (`rendezvous`, and the faults `same_url_burst` and `reload_burst`). A lock is taken at the
//! meeting only.
//! In: users that come, with the time. Out: the moment at which all of a round go on, the same for each of them.

use crate::clock::{MILLISECOND, Nanos, SECOND};
use scenarios::program::{Meeting, Program};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

/// URLs for which a burst may gather at one time; two that fall into one corner take turns.
const CORNERS: usize = 64;
/// Users of one burst at most, and how long the first of them waits.
const BURST: u64 = 10;
const BURST_PATIENCE: Nanos = 250 * MILLISECOND;
/// Targets for which users who will reload may gather at one time.
const RELOAD_CORNERS: usize = 16;
/// How long the first of them waits, and how long after one has opened the next one may: under a large load, where each
/// would be complete at once, they stay rare.
const RELOAD_PATIENCE: Nanos = SECOND;

/// The meetings of a run, by `Program::meetings`; behind them the corners where bursts gather.
#[derive(Debug)]
pub struct Meetings {
    halls: Vec<Hall>,
    /// Index of the first corner.
    corners: usize,
    /// End of the load: whoever waits then goes on, for nobody comes any more.
    end: Nanos,
}

#[derive(Debug)]
struct Hall {
    plan: Meeting,
    gathering: Mutex<Option<Gathering>>,
    /// Nobody opens a gathering of users who reload before.
    rests_until: AtomicU64,
}

/// A round that is not complete.
#[derive(Debug)]
struct Gathering {
    round: Arc<Round>,
    came: u64,
    latest: Nanos,
    wakers: Vec<Waker>,
    /// Of a burst: which URL it is for.
    url: u64,
}

/// One meeting: who came to it goes on at its release.
#[derive(Debug)]
pub struct Round {
    /// When patience is over, or the load.
    pub until: Nanos,
    release: OnceLock<Release>,
}

/// When and why the users of a round go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// When; what follows is due then.
    pub at: Nanos,
    /// How many had come.
    pub came: u64,
    /// Too few had come when patience was over.
    pub is_missed: bool,
}

impl Round {
    /// The release, once there is one.
    pub fn release(&self) -> Option<Release> {
        self.release.get().copied()
    }
}

impl Hall {
    fn new(plan: &Meeting) -> Self {
        Self { plan: plan.clone(), gathering: Mutex::default(), rests_until: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Gathering>> {
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever waits no longer goes on.
    fn end_if_late(&self, lock: &mut Option<Gathering>, end: Nanos, now: Nanos) {
        if let Some(late) = lock.take_if(|gathering| now > gathering.round.until) {
            self.lapse(late, end);
        }
    }

    /// The users who are there go on without the others.
    fn lapse(&self, gathering: Gathering, end: Nanos) {
        let until = gathering.round.until;
        gathering.let_go(Release { at: until, came: gathering.came, is_missed: until < end });
    }
}

impl Gathering {
    fn let_go(&self, release: Release) {
        // The round is taken out of its hall before it is let go, so nobody has done it before.
        let _ = self.round.release.set(release);
        self.wakers.iter().for_each(Waker::wake_by_ref);
    }
}

impl Meetings {
    /// The meetings of `program` in a load that ends at `end`.
    pub fn new(program: &Program, end: Nanos) -> Self {
        let corner = |name: &str, within_ns| Meeting { name: name.into(), users: BURST, within_ns };
        let (urls, reloads) = (corner("same_url_burst", BURST_PATIENCE), corner("reload_burst", RELOAD_PATIENCE));
        let corners = std::iter::repeat_n(&urls, CORNERS).chain(std::iter::repeat_n(&reloads, RELOAD_CORNERS));
        let halls = program.meetings.iter().chain(corners).map(Hall::new).collect();
        Self { halls, corners: program.meetings.len(), end }
    }

    /// Whether `meeting` is no `rendezvous` but a burst's.
    pub fn is_burst(&self, meeting: usize) -> bool {
        meeting >= self.corners
    }

    /// Whether whoever comes from `meeting` reloads.
    pub fn is_reload(&self, meeting: usize) -> bool {
        meeting >= self.corners + CORNERS
    }

    /// A user is about to read something of a target, and may have to wait for others as in [`Self::gather`].
    pub fn gather_to_reload(&self, target: usize, opens: bool, now: Nanos) -> Option<(usize, Arc<Round>)> {
        let meeting = self.corners + CORNERS + target % RELOAD_CORNERS;
        let rests_until = &self.halls[meeting].rests_until;
        let opens = opens && now >= rests_until.load(Relaxed);
        if opens {
            rests_until.store(now.saturating_add(RELOAD_PATIENCE), Relaxed);
        }
        self.gather_at(meeting, target as u64, opens, now)
    }

    /// A user is about to ask for a URL. Whoever `opens` waits for others there; the others join who is waiting, and
    /// where nobody is (`None`) they go on.
    pub fn gather(&self, url: u64, opens: bool, now: Nanos) -> Option<(usize, Arc<Round>)> {
        self.gather_at(self.corners + (url % CORNERS as u64) as usize, url, opens, now)
    }

    fn gather_at(&self, meeting: usize, url: u64, opens: bool, now: Nanos) -> Option<(usize, Arc<Round>)> {
        let hall = &self.halls[meeting];
        let mut lock = hall.lock();
        hall.end_if_late(&mut lock, self.end, now);
        let may_come = lock.as_ref().map_or(opens && now < self.end, |gathering| gathering.url == url);
        may_come.then(|| (meeting, self.enter(hall, &mut lock, url, now)))
    }

    /// A user comes to a meeting. It waits until the round that it is given has a release.
    pub fn arrive(&self, meeting: usize, now: Nanos) -> Arc<Round> {
        let hall = &self.halls[meeting];
        let mut lock = hall.lock();
        hall.end_if_late(&mut lock, self.end, now);
        self.enter(hall, &mut lock, 0, now)
    }

    fn enter(&self, hall: &Hall, lock: &mut Option<Gathering>, url: u64, now: Nanos) -> Arc<Round> {
        let gathering = lock.get_or_insert_with(|| {
            let until = now.saturating_add(hall.plan.within_ns).min(self.end.max(now));
            let round = Arc::new(Round { until, release: OnceLock::new() });
            Gathering { round, came: 0, latest: now, wakers: Vec::new(), url }
        });
        gathering.came += 1;
        gathering.latest = gathering.latest.max(now);
        let round = Arc::clone(&gathering.round);
        let is_complete = gathering.came >= hall.plan.users;
        if let Some(gathering) = lock.take_if(|_| is_complete) {
            gathering.let_go(Release { at: gathering.latest, came: gathering.came, is_missed: false });
        }
        round
    }

    /// Wakes whoever waits when the round is released; answers with the release if it was already.
    pub fn watch(&self, meeting: usize, round: &Arc<Round>, waker: &Waker) -> Option<Release> {
        let mut lock = self.halls[meeting].lock();
        if let Some(gathering) = lock.as_mut().filter(|g| Arc::ptr_eq(&g.round, round))
            && !gathering.wakers.iter().any(|w| w.will_wake(waker))
        {
            gathering.wakers.push(waker.clone());
        }
        round.release()
    }

    /// Patience is over: releases the round unless it was already.
    pub fn lapse(&self, meeting: usize, round: &Arc<Round>) {
        let hall = &self.halls[meeting];
        if let Some(gathering) = hall.lock().take_if(|g| Arc::ptr_eq(&g.round, round)) {
            hall.lapse(gathering, self.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meetings(users: u64, end: Nanos) -> Meetings {
        let plan = Meeting { name: "start".into(), users, within_ns: 10 };
        let corner = Meeting { name: "burst".into(), users: BURST, within_ns: 10 };
        let plans = std::iter::once(&plan).chain(std::iter::repeat_n(&corner, CORNERS + RELOAD_CORNERS));
        let halls = plans.map(Hall::new).collect();
        Meetings { halls, corners: 1, end }
    }

    #[test]
    fn all_of_a_round_go_on_at_the_latest_arrival_whatever_the_order_of_the_locks() {
        let meetings = meetings(3, 1_000);
        let rounds = [5, 7, 6].map(|now| meetings.arrive(0, now));
        for round in &rounds {
            assert_eq!(round.release(), Some(Release { at: 7, came: 3, is_missed: false }));
        }
        assert_eq!(meetings.arrive(0, 8).release(), None, "the next one opens the next round");
    }

    #[test]
    fn patience_counts_from_the_first_and_whoever_comes_later_opens_a_round() {
        let meetings = meetings(3, 1_000);
        let (first, second) = (meetings.arrive(0, 0), meetings.arrive(0, 10));
        assert_eq!((first.until, first.release()), (10, None));
        let third = meetings.arrive(0, 11);
        let missed = Some(Release { at: 10, came: 2, is_missed: true });
        assert_eq!((first.release(), second.release(), third.release()), (missed, missed, None));
        meetings.lapse(0, &first);
        assert_eq!(third.release(), None, "a round that is over ends no other");
        meetings.lapse(0, &third);
        assert_eq!(third.release(), Some(Release { at: 21, came: 1, is_missed: true }));
    }

    #[test]
    fn the_end_of_the_load_releases_and_is_no_miss() {
        let meetings = meetings(2, 5);
        let round = meetings.arrive(0, 3);
        meetings.lapse(0, &round);
        assert_eq!(round.release(), Some(Release { at: 5, came: 1, is_missed: false }));
        assert_eq!(meetings.arrive(0, 9).until, 9, "behind the end nobody waits");
    }

    #[test]
    fn a_burst_is_opened_by_one_and_joined_by_whoever_asks_for_the_same_url() {
        let meetings = meetings(2, 1_000);
        assert!(meetings.gather(7, false, 0).is_none(), "nobody waits there");
        let (corner, first) = meetings.gather(7, true, 0).expect("it is opened");
        assert!(meetings.is_burst(corner) && !meetings.is_burst(0));
        assert!(meetings.gather(7 + CORNERS as u64, true, 1).is_none(), "the corner is taken by another URL");
        let (_, second) = meetings.gather(7, false, 4).expect("it is joined");
        assert!(Arc::ptr_eq(&first, &second));
        meetings.lapse(corner, &first);
        assert_eq!(second.release(), Some(Release { at: 10, came: 2, is_missed: true }));
        let rounds: Vec<_> = (0..BURST).map(|i| meetings.gather(7, true, 20 + i).expect("it goes on").1).collect();
        assert_eq!(
            rounds[0].release().map(|r| (r.at, r.came)),
            Some((20 + BURST - 1, BURST)),
            "a full one goes at once"
        );
        assert!(meetings.gather(7, true, 1_000).is_none(), "behind the end nobody waits");
    }

    #[test]
    fn those_who_reload_gather_by_target_and_open_once_a_second() {
        let meetings = meetings(2, 10 * SECOND);
        let (corner, first) = meetings.gather_to_reload(3, true, 5).expect("it is opened");
        assert!(meetings.is_burst(corner) && meetings.is_reload(corner));
        let (url, _) = meetings.gather(3, true, 5).expect("a corner of its own");
        assert!(meetings.is_burst(url) && !meetings.is_reload(url));
        let (_, second) = meetings.gather_to_reload(3, false, 6).expect("it is joined");
        assert!(Arc::ptr_eq(&first, &second));
        meetings.lapse(corner, &first);
        assert_eq!(second.release().map(|r| r.came), Some(2));
        assert!(meetings.gather_to_reload(3, true, SECOND).is_none(), "too soon");
        assert!(meetings.gather_to_reload(4, true, SECOND).is_some(), "another target's is its own");
        assert!(meetings.gather_to_reload(3, true, SECOND + 5).is_some());
    }
}
