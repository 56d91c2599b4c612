//! Identities: an answer that is about somebody else.
//! In: a declared identity, and what an answer said instead. Out: the account that the value belongs to, if any.

use super::entitlement::of_account;
use scenarios::program::{Identity, Program};
use scenarios::value::Value;
use std::collections::HashMap;
use std::sync::OnceLock;

/// For one declared identity: which account has which value. Made at the first mismatch, then kept.
#[derive(Debug, Default)]
pub struct Identities {
    table: OnceLock<HashMap<String, u32>>,
}

impl Identities {
    /// The account whose identity `value` is. Accounts of `role` are looked up by the declared expression,
    /// accounts of other roles by the name people know them by.
    pub fn owner(&self, program: &Program, identity: &Identity, role: usize, value: &Value) -> Option<u32> {
        let table = self.table.get_or_init(|| {
            let mut table = HashMap::new();
            for number in 0..program.account_count() {
                let Some((its_role, row)) = program.account(number) else {
                    break;
                };
                let key = if its_role == role {
                    of_account(&identity.expected, row).map(|v| v.to_string()).unwrap_or_default()
                } else {
                    program.account_name(number)
                };
                if !key.is_empty() {
                    table.entry(key).or_insert(number as u32);
                }
            }
            table
        });
        table.get(&value.to_string()).copied()
    }
}
