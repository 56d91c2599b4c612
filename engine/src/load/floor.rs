//! The floor of an open load: which users of a worker are free, and which arrivals are its own.
//! In: seats and arrivals. Out: the user that an arrival gets, or none, so that it is dropped and counted.

use super::arrivals::Arrivals;
use super::deal::{Seat, journey_of_arrival};
use crate::clock::Nanos;
use scenarios::program::{Program, Spacing, Stage};
use std::collections::VecDeque;

/// The user that an arrival gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// One that has not played yet.
    Fresh(usize),
    /// One that waits.
    Idle(usize),
}

/// The free users of one worker, by journey.
#[derive(Debug)]
pub struct Floor {
    journeys: Vec<Places>,
}

#[derive(Debug, Default)]
struct Places {
    fresh: VecDeque<usize>,
    /// The longest-idle first.
    idle: VecDeque<usize>,
}

impl Floor {
    /// Worker `index` of `of`: the k-th user of a journey sits at worker k mod `of`.
    pub fn new(seats: &[Seat], journeys: usize, index: usize, of: usize) -> Self {
        let mut floor = Self { journeys: (0..journeys).map(|_| Places::default()).collect() };
        let mut seen = vec![0; journeys];
        for (user, seat) in seats.iter().enumerate() {
            if seen[seat.journey] % of == index {
                floor.journeys[seat.journey].fresh.push_back(user);
            }
            seen[seat.journey] += 1;
        }
        floor
    }

    /// The longest-idle user of a journey, else one that has not played yet.
    pub fn take(&mut self, journey: usize) -> Option<Taken> {
        let places = &mut self.journeys[journey];
        places.idle.pop_front().map(Taken::Idle).or_else(|| places.fresh.pop_front().map(Taken::Fresh))
    }

    /// A user is free again.
    pub fn give_back(&mut self, journey: usize, user: usize) {
        self.journeys[journey].idle.push_back(user);
    }

    /// All users that wait.
    pub fn idle(&self) -> impl Iterator<Item = usize> + '_ {
        self.journeys.iter().flat_map(|p| p.idle.iter().copied())
    }
}

/// The arrivals of one worker: due time and journey. Every worker walks the same sequence and takes its own:
/// the k-th arrival of a journey goes to worker k mod n, where n workers hold a user of that journey.
pub fn own_arrivals<'a>(
    program: &'a Program,
    seats: &[Seat],
    load: (&[Stage], Spacing, u64),
    index: usize,
    of: usize,
) -> impl Iterator<Item = (Nanos, usize)> + use<'a> {
    own_first_arrivals(program, seats, load, u64::MAX, index, of)
}

/// As [`own_arrivals`], of the first `most` arrivals of the whole run.
pub fn own_first_arrivals<'a>(
    program: &'a Program,
    seats: &[Seat],
    (stages, spacing, seed): (&[Stage], Spacing, u64),
    most: u64,
    index: usize,
    of: usize,
) -> impl Iterator<Item = (Nanos, usize)> + use<'a> {
    let mut users = vec![0; program.journeys.len()];
    seats.iter().for_each(|seat| users[seat.journey] += 1);
    let mut arrived = vec![0; program.journeys.len()];
    (0..most).zip(Arrivals::new(stages, spacing, seed)).filter_map(move |(number, due)| {
        let journey = journey_of_arrival(program, seed, number);
        let turn = arrived[journey];
        arrived[journey] += 1;
        (turn % of.min(users[journey]).max(1) == index).then_some((due, journey))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(journeys: &[usize]) -> Vec<Seat> {
        journeys.iter().enumerate().map(|(i, journey)| Seat { journey: *journey, account: i as u32 }).collect()
    }

    #[test]
    fn the_longest_idle_comes_first_and_fresh_ones_last() {
        let mut floor = Floor::new(&seats(&[0, 0, 0]), 1, 0, 1);
        assert_eq!(floor.take(0), Some(Taken::Fresh(0)));
        assert_eq!(floor.take(0), Some(Taken::Fresh(1)));
        floor.give_back(0, 1);
        floor.give_back(0, 0);
        assert_eq!(floor.take(0), Some(Taken::Idle(1)));
        assert_eq!(floor.take(0), Some(Taken::Idle(0)));
        assert_eq!(floor.take(0), Some(Taken::Fresh(2)));
        assert_eq!(floor.take(0), None);
    }

    #[test]
    fn each_user_sits_at_one_worker() {
        let seats = seats(&[0, 1, 0, 1, 1]);
        let all: Vec<usize> = (0..2)
            .flat_map(|index| {
                let mut floor = Floor::new(&seats, 2, index, 2);
                let mut users = Vec::new();
                for journey in 0..2 {
                    while let Some(Taken::Fresh(user)) = floor.take(journey) {
                        users.push(user);
                    }
                }
                users
            })
            .collect();
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4]);
    }
}
