//! Entitlement: who may see whose data, by the two account rows alone.
//! In: `may_see` conditions of the roles. Out: yes or no for a reader and an owner.

use super::audiences::GRACE;
use crate::clock::SECOND;
use scenarios::expr::{EvalError, Place, Scope};
use scenarios::program::{Op, Program};
use scenarios::value::Value;

/// Whether account `reader` may legitimately receive data of account `owner`.
/// A condition that cannot be evaluated does not entitle: the exemption must be explicit.
pub fn may_see(program: &Program, reader: u32, owner: u32) -> bool {
    if reader == owner {
        return true;
    }
    let (Some((reader_role, reader_row)), Some((owner_role, owner_row))) =
        (program.account(reader as usize), program.account(owner as usize))
    else {
        return false;
    };
    let mut scope = Rows { reader: reader_row, owner: owner_row };
    program.roles[reader_role]
        .may_see
        .iter()
        .filter(|(role, _)| *role == owner_role)
        .any(|(_, condition)| condition.eval_condition(&mut scope).unwrap_or(false))
}

/// The exemptions of a program in words, for the report.
pub fn exemptions(program: &Program) -> Vec<String> {
    let mut words = Vec::new();
    for role in &program.roles {
        for (owner, _) in &role.may_see {
            let owner = &program.roles[*owner].name;
            words.push(format!("{} may see {owner} where its `may_see` condition holds", role.name));
        }
        if role.wrap {
            words.push(format!("users of {} that share a row (`reuse: wrap`) are one owner", role.name));
        }
    }
    let ops = || program.journeys.iter().flat_map(|journey| &journey.ops);
    if ops().any(|op| matches!(op, Op::Join(_) | Op::Leave(_))) {
        words.push(format!(
            "data of an audience may reach whoever joined it until {} s after `leave`, and whoever wrote to it",
            GRACE / SECOND
        ));
    }
    if program.journeys.iter().any(|journey| journey.role.is_none() && journey.weight > 0) {
        words.push("users without a role have no account: their markers at others are suspect, never proven".into());
    }
    words
}

/// A scope that knows the two rows and nothing else.
struct Rows<'a> {
    reader: &'a [Value],
    owner: &'a [Value],
}

impl Scope for Rows<'_> {
    fn load(&mut self, place: &Place) -> Value {
        match place {
            Place::Account(column) => self.reader.get(*column).cloned().unwrap_or_default(),
            Place::Owner(column) => self.owner.get(*column).cloned().unwrap_or_default(),
            _ => Value::Null,
        }
    }
    fn random_bits(&mut self) -> u64 {
        0
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

/// Evaluates a template that depends on one account's row only.
pub fn of_account(template: &scenarios::expr::Template, row: &[Value]) -> Result<Value, EvalError> {
    template.eval(&mut Rows { reader: row, owner: &[] })
}
