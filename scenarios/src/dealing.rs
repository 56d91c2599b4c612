//! Who plays what: users dealt to journeys by the mix, and whether there are accounts enough.
//! In: a program and a number of users. Out: users per journey; for each role that is short, both numbers.

use crate::program::{Journey, Op, Profile, Program};

/// Users per journey: shares by `mix`, the rest to the largest remainders, ties in file order.
pub fn deal_users(program: &Program, users: usize) -> Vec<usize> {
    let weights: Vec<u32> = program.journeys.iter().map(|j| j.weight).collect();
    deal(&weights, users)
}

fn deal(weights: &[u32], users: usize) -> Vec<usize> {
    let total: u128 = weights.iter().map(|w| u128::from(*w)).sum();
    if total == 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: u32| users as u128 * u128::from(weight);
    let mut dealt: Vec<usize> = weights.iter().map(|w| (exact(*w) / total) as usize).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(exact(weights[*i]) % total));
    let rest = users - dealt.iter().sum::<usize>();
    for i in order.into_iter().take(rest) {
        dealt[i] += 1;
    }
    dealt
}

/// A role with fewer accounts than a profile has users for it.
pub(crate) struct Shortage {
    /// Index of the role.
    pub role: usize,
    profile: String,
    needed: usize,
    rows: usize,
}

impl Shortage {
    /// The sentence with both numbers.
    pub fn message(&self, program: &Program) -> String {
        format!(
            "profile `{}` needs {} accounts of role `{}`, there are {}",
            self.profile, self.needed, program.roles[self.role].name, self.rows
        )
    }
}

/// Accounts that `profile` needs of each role, by role index; several journeys share a role's rows.
pub fn needed_accounts(program: &Program, profile: &Profile) -> Vec<usize> {
    let dealt = deal_users(program, profile.load.most_users());
    let mut needed = vec![0; program.roles.len()];
    let mut spare = vec![false; program.roles.len()];
    for (journey, users) in program.journeys.iter().zip(dealt) {
        if let Some(role) = journey.role {
            needed[role] += users;
            // Whoever switches takes a free row before it gives back its own.
            needed[role] += usize::from(users > 0 && !spare[role] && switches(journey, profile));
            spare[role] |= users > 0 && switches(journey, profile);
        }
    }
    needed
}

/// Whether users of a journey change their account, by a step or by a fault of the profile.
fn switches(journey: &Journey, profile: &Profile) -> bool {
    profile.faults.switch_account > 0.0 || journey.ops.iter().any(|op| matches!(op, Op::SwitchAccount))
}

/// The roles that are short of accounts in `profile`; a role with `reuse: wrap` never is, unless its users switch accounts.
pub(crate) fn shortages(program: &Program, profile: &Profile) -> Vec<Shortage> {
    needed_accounts(program, profile)
        .into_iter()
        .enumerate()
        .filter(|(number, needed)| {
            let role = &program.roles[*number];
            let is_switched = program.journeys.iter().any(|j| j.role == Some(*number) && switches(j, profile));
            (!role.wrap || is_switched) && *needed > role.accounts.len()
        })
        .map(|(role, needed)| Shortage {
            role,
            profile: profile.name.clone(),
            needed,
            rows: program.roles[role].accounts.len(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::deal;

    #[test]
    fn users_are_dealt_by_largest_remainder_with_ties_in_file_order() {
        let table: &[(&[u32], usize, &[usize])] = &[
            (&[60, 15, 25], 20, &[12, 3, 5]),
            (&[60, 15, 25], 1, &[1, 0, 0]),
            (&[60, 15, 25], 3, &[2, 0, 1]),
            (&[1, 1, 1], 4, &[2, 1, 1]),
            (&[1, 1, 1], 5, &[2, 2, 1]),
            (&[0, 1], 7, &[0, 7]),
            (&[0, 0], 7, &[0, 0]),
            (&[], 7, &[]),
            (&[3, 1], 2, &[2, 0]),
        ];
        for (weights, users, expected) in table {
            assert_eq!(&deal(weights, *users), expected, "{weights:?} for {users}");
        }
    }
}
