//! Cohorts and blocks: who suffers a profile's faults, and when, so that it can be told what they do to the others.
//! In: program, profile, seed. Out: a pure function of user index and time.

use crate::clock::Nanos;
use crate::run_result::{BlockHeader, ContainmentHeader};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;
use scenarios::containment::{self, Blocks, LEAST_PAIRS, WASH_OUT_NS, is_faulty};
use scenarios::objective::Stat;
use scenarios::program::{Profile, Program};

/// Who suffers the faults of a run, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohorts {
    share: f64,
    declared: bool,
    /// Nothing without blocks: then the faults are on all the time.
    blocks: Option<(Blocks, Vec<bool>)>,
}

impl Cohorts {
    /// The cohorts of a profile; `None` if all its users suffer its faults all the time, or if there are none.
    pub fn plan(program: &Program, profile: &Profile, seed: u64) -> Option<Self> {
        if profile.faults.is_off() {
            return None;
        }
        let declared = program.objectives.iter().any(|o| {
            matches!(o.stat, Stat::Containment(_)) && o.profiles.as_ref().is_none_or(|p| p.contains(&profile.name))
        });
        if !declared && profile.faults.cohort.is_none() {
            return None;
        }
        let fits = containment::blocks(profile.warm_up_ns, profile.load.duration_ns());
        // Nobody asked for a judgement: the faults pause only if something can be told from it.
        let blocks = fits.filter(|b| declared || b.pairs >= LEAST_PAIRS).map(|blocks| (blocks, order(&blocks, seed)));
        let share = profile.faults.cohort.unwrap_or(if blocks.is_some() { containment::SHARE } else { 1.0 });
        Some(Self { share, declared, blocks })
    }

    /// Whether the user of this index is of the healthy cohort.
    pub fn is_healthy(&self, index: u32) -> bool {
        !is_faulty(index, self.share)
    }

    /// Whether the user of this index suffers the faults at `due`.
    pub fn suffers(&self, index: u32, due: Nanos) -> bool {
        !self.is_healthy(index)
            && self
                .blocks
                .as_ref()
                .is_none_or(|(blocks, order)| place(blocks, due).and_then(|at| order.get(at)).is_some_and(|on| *on))
    }

    /// The block to which a request that was due at `due` counts; `None` in a wash-out and outside all blocks.
    pub fn block(&self, due: Nanos) -> Option<usize> {
        let (blocks, order) = self.blocks.as_ref()?;
        let at = place(blocks, due).filter(|at| *at < order.len())?;
        ((due - blocks.from_ns) % blocks.each_ns >= WASH_OUT_NS).then_some(at)
    }

    /// What is stored of it with a run of so many users.
    pub fn header(&self, users: usize) -> ContainmentHeader {
        let healthy = (0..users).filter(|index| self.is_healthy(*index as u32)).count();
        let blocks = self.blocks.iter().flat_map(|(blocks, order)| {
            order.iter().enumerate().map(|(at, on)| {
                let from_ns = blocks.from_ns + at as u64 * blocks.each_ns;
                BlockHeader { from_ns: from_ns + WASH_OUT_NS, to_ns: from_ns + blocks.each_ns, on: *on }
            })
        });
        ContainmentHeader { declared: self.declared, faulty: users - healthy, healthy, blocks: blocks.collect() }
    }
}

fn place(blocks: &Blocks, due: Nanos) -> Option<usize> {
    Some((due.checked_sub(blocks.from_ns)? / blocks.each_ns) as usize)
}

/// As many on as off, shuffled by the seed: no rhythm of the target's can follow it.
fn order(blocks: &Blocks, seed: u64) -> Vec<bool> {
    let mut order: Vec<bool> = (0..2 * blocks.pairs).map(|at| at < blocks.pairs).collect();
    order.shuffle(&mut Pcg64::seed_from_u64(seed ^ 0xb10c));
    order
}
