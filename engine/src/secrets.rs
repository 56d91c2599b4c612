//! Variables that no output may show.
//! In: a program. Out: by journey, the slots whose values are secret: what is saved as a secret of an answer or a message,
//! what the run's `setup` left as one, and what `set` and `for_each` make of either or of a secret column.

use scenarios::expr::{Place, Slot};
use scenarios::program::{Journey, Op, Program};
use std::collections::BTreeSet;

/// By journey: its secret slots, ascending.
pub fn slots(program: &Program) -> Vec<Vec<Slot>> {
    let setup = program.around.setup.as_ref().map_or_else(Vec::new, |setup| of(setup, 0, &[]));
    (0..program.journeys.len()).map(|journey| of(program, journey, &setup)).collect()
}

fn of(program: &Program, number: usize, setup: &[Slot]) -> Vec<Slot> {
    let journey = &program.journeys[number];
    let saved = program.saves(number).filter(|save| save.secret || save.credential).map(|save| save.slot);
    let given = journey.flow.given.iter().filter(|(_, left)| setup.contains(left)).map(|(slot, _)| *slot);
    let mut secret: BTreeSet<Slot> = saved.chain(given).collect();
    let columns = journey.role.map_or(&[][..], |role| &program.roles[role].secret);
    // What is made of a secret may be made into something else further up, in a loop.
    while spread(journey, columns, &mut secret) {}
    secret.into_iter().collect()
}

/// Adds what is made of secrets; answers whether there was anything new.
fn spread(journey: &Journey, columns: &[bool], secret: &mut BTreeSet<Slot>) -> bool {
    let before = secret.len();
    let mut lists = BTreeSet::new();
    for op in &journey.ops {
        let mut is_secret = false;
        let mut look = |place: &Place| {
            is_secret |= match place {
                Place::Slot(slot) => secret.contains(slot),
                Place::Account(column) => columns.get(*column).copied().unwrap_or(false),
                _ => false,
            };
        };
        match op {
            Op::Set { slot, value } => {
                value.sources(&mut look);
                is_secret.then(|| secret.insert(*slot));
            }
            Op::Each { list, each } => {
                list.sources(&mut look);
                is_secret.then(|| lists.insert(*each));
            }
            Op::Next { each, slot, .. } if lists.contains(each) => {
                secret.insert(*slot);
            }
            _ => {}
        }
    }
    secret.len() > before
}
