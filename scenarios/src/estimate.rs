//! What a profile will ask for, before it runs: length, users, requests to expect if every answer is fast.
//! In: a program. Out: [`Estimate`]; where only the target's speed limits the load, that is said instead.

use crate::expr::{EvalError, Place, Scope};
use crate::program::{Journey, Load, Op, Pc, Profile, Program};
use crate::shape::Shape;
use crate::streams::SocketOp;
use crate::value::Value;

/// What to expect of a profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Planned length in seconds, warm-up included, graceful stop not.
    pub duration_s: f64,
    /// Most virtual users at once.
    pub users: usize,
    /// Requests to expect if answers take no time; `None` when nothing but the target's speed limits them.
    pub requests: Option<u64>,
}

/// Iterations that are played through to estimate one.
const SAMPLES: usize = 200;
/// Operations after which an iteration counts as endless.
const MAX_OPS: usize = 200_000;

impl Program {
    /// What to expect of the profile of this name; `None` when there is none.
    pub fn estimate(&self, profile: &str) -> Option<Estimate> {
        let profile = self.profiles.iter().find(|p| p.name == profile)?;
        Some(Estimate {
            duration_s: profile.planned_ns() as f64 / 1e9,
            users: profile.load.most_users(),
            requests: self.requests_of(profile).map(|n| n.round() as u64),
        })
    }

    fn requests_of(&self, profile: &Profile) -> Option<f64> {
        if matches!(profile.shape, Shape::Capacity(_)) {
            return None;
        }
        let total: f64 = self.journeys.iter().map(|j| f64::from(j.weight)).sum();
        let volume = volume(&profile.load);
        let mut requests = 0.0;
        for journey in self.journeys.iter().filter(|j| j.weight > 0) {
            let share = f64::from(journey.weight) / total;
            let before = play(journey, journey.before)?;
            let mut each = play(journey, journey.steps)?;
            each.seconds = each.seconds.max(journey.flow.pace.map_or(0.0, |pace| pace.mean_ns() / 1e9));
            let users = profile.load.most_users() as f64 * share;
            match profile.load {
                Load::Closed(_) if each.seconds > 0.0 => {
                    requests += volume * share / each.seconds * each.requests;
                    requests += users * before.requests;
                }
                Load::Closed(_) => return None,
                Load::Open { .. } => {
                    requests += volume * share * each.requests;
                    requests += users.min(volume * share) * before.requests;
                }
            }
        }
        Some(requests)
    }
}

/// The area under the load: user-seconds, or arrivals.
fn volume(load: &Load) -> f64 {
    let mut from = 0.0;
    let mut area = 0.0;
    for stage in load.stages() {
        let ramp_s = stage.ramp_ns as f64 / 1e9;
        let hold_s = (stage.duration_ns - stage.ramp_ns) as f64 / 1e9;
        area += (from + stage.level) / 2.0 * ramp_s + stage.level * hold_s;
        from = stage.level;
    }
    area
}

/// Requests and thinking of one iteration on average.
struct Iteration {
    requests: f64,
    seconds: f64,
}

/// Plays a section a number of times with drawn branches; `None` if it does not end.
fn play(journey: &Journey, entry: Pc) -> Option<Iteration> {
    let mut chance = Chance(0x57A7_E5EE_D000_0001);
    let mut sum = Iteration { requests: 0.0, seconds: 0.0 };
    let mut samples = 0;
    let mut drawn = true;
    while drawn && samples < SAMPLES {
        drawn = play_once(journey, entry, &mut chance, &mut sum)?;
        samples += 1;
    }
    Some(Iteration { requests: sum.requests / samples as f64, seconds: sum.seconds / samples as f64 })
}

/// Plays once, adding to `sum`; answers whether anything was drawn.
fn play_once(journey: &Journey, entry: Pc, chance: &mut Chance, sum: &mut Iteration) -> Option<bool> {
    let mut counters = vec![0_i64; journey.counters];
    let mut lists = vec![0; journey.flow.lists];
    let mut pc = entry as usize;
    let mut drawn = false;
    for _ in 0..MAX_OPS {
        pc += 1;
        match journey.ops.get(pc - 1)? {
            Op::End => return Some(drawn),
            Op::Request(_) => sum.requests += 1.0,
            Op::Think(delay) => sum.seconds += delay.mean_ns() / 1e9,
            Op::Jump(to) => pc = *to as usize,
            Op::JumpUnless { to, .. } => {
                drawn = true;
                if chance.random_bits() & 1 == 0 {
                    pc = *to as usize;
                }
            }
            Op::Count { counter, times } => {
                counters[*counter] = match times.as_constant() {
                    Some(Value::Int(n)) => *n,
                    _ => match times.eval(chance) {
                        Ok(Value::Int(n)) => n.clamp(0, 1_000),
                        Ok(_) | Err(EvalError(_)) => 1,
                    },
                };
            }
            Op::Round { counter, done } => {
                if counters[*counter] <= 0 {
                    pc = *done as usize;
                } else {
                    counters[*counter] -= 1;
                }
            }
            Op::Choose(branches) => {
                drawn = true;
                pc = chance.choose(branches)? as usize;
            }
            Op::Each { list, each } => {
                lists[*each] = match list.eval(chance) {
                    Ok(Value::List(items)) => items.len(),
                    _ => 1,
                };
            }
            Op::Next { each, done, .. } => {
                if lists[*each] == 0 {
                    pc = *done as usize;
                } else {
                    lists[*each] -= 1;
                }
            }
            Op::Parallel(requests) => sum.requests += requests.len() as f64,
            Op::Stop(_) => return Some(drawn),
            Op::Log(_) => {}
            Op::Socket(SocketOp::Open(_)) => sum.requests += 1.0,
            Op::Join(_) | Op::Leave(_) | Op::SwitchAccount | Op::Meet(_) => {}
            Op::Set { .. } | Op::GroupStart(_) | Op::GroupEnd(_) | Op::Socket(_) => {}
        }
    }
    None
}

/// Chance that is the same for every estimate.
struct Chance(u64);

impl Chance {
    fn choose(&mut self, branches: &[(u32, Pc)]) -> Option<Pc> {
        let total: u64 = branches.iter().map(|(w, _)| u64::from(*w)).sum();
        let mut at = self.random_bits() % total.max(1);
        for (weight, pc) in branches {
            if at < u64::from(*weight) {
                return Some(*pc);
            }
            at -= u64::from(*weight);
        }
        None
    }
}

impl Scope for Chance {
    fn load(&mut self, _place: &Place) -> Value {
        Value::Null
    }

    fn random_bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn marker(&mut self, _audience: Option<&str>) -> String {
        String::new()
    }

    fn now_ms(&mut self) -> i64 {
        0
    }

    fn client_id(&mut self) -> String {
        String::new()
    }
}
