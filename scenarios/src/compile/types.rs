//! The types of a journey's variables, and the expressions that cannot work with them.
//! In: a compiled journey and the texts that read its variables. Out: the mistakes.
//!
//! A variable has a type if everything that sets it gives this type: a header, cookie, pattern or selector gives text, a
//! constant its own, an expression what its operands make of it. What comes out of JSON can be anything.

use super::names::{Role, Visible};
use super::templates::mistake;
use super::trail::{Text, Trail};
use crate::diagnostic::Diagnostic;
use crate::expr::{Expr, Template, Type};
use crate::plan::Plan;
use crate::program::{Journey, Op, Request, Save, SaveSource};
use crate::streams::SocketOp;

/// Rounds after which types that still change count as unknown.
const ROUNDS: usize = 8;

/// What cannot work with the types that the journey's variables have.
pub(super) fn check(
    plan: &Plan,
    played_by: Role,
    journey: &Journey,
    requests: &[Request],
    trail: &Trail,
) -> Vec<Diagnostic> {
    let types = types(plan, played_by, journey, requests);
    if types.iter().all(|kind| *kind == Type::Any) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for text in &trail.texts {
        let names = Visible::typed(plan, played_by, text.stranger, &journey.slot_names, &types);
        found.extend(again(plan, text, &names));
    }
    found
}

/// Compiles a text with the types known, which was right without them.
fn again(plan: &Plan, text: &Text, names: &Visible<'_>) -> Option<Diagnostic> {
    let error = if text.is_condition {
        match Expr::compile(&text.text, names) {
            Ok(expr) => return super::templates::no_condition(&text.scalar, expr.result_type()),
            Err(error) => error,
        }
    } else {
        Template::compile(&text.text, names).err()?
    };
    Some(mistake(plan, &text.scalar, text.offset, error))
}

/// The type of each variable, `Any` for what is not known.
fn types(plan: &Plan, played_by: Role, journey: &Journey, requests: &[Request]) -> Vec<Type> {
    let mut kinds: Vec<Option<Type>> = vec![None; journey.slots];
    let mut worked_out = Vec::new();
    journey.flow.given.iter().for_each(|(slot, _)| join(&mut kinds[usize::from(*slot)], Type::Any));
    for op in &journey.ops {
        match op {
            Op::Request(number) => {
                for save in &requests[*number].saves {
                    join(&mut kinds[usize::from(save.slot)], saved(save));
                }
            }
            Op::Set { slot, value } => match value.as_constant() {
                Some(value) => join(&mut kinds[usize::from(*slot)], Type::of(value)),
                None => worked_out.push((usize::from(*slot), value)),
            },
            Op::Parallel(numbers) => {
                for save in numbers.iter().flat_map(|number| &requests[*number].saves) {
                    join(&mut kinds[usize::from(save.slot)], saved(save));
                }
            }
            Op::Socket(SocketOp::Receive(receive)) => {
                receive.saves.iter().for_each(|save| join(&mut kinds[usize::from(save.slot)], saved(save)));
            }
            Op::Next { slot, .. } => join(&mut kinds[usize::from(*slot)], Type::Any),
            Op::Socket(_)
            | Op::Each { .. }
            | Op::Think(_)
            | Op::Jump(_)
            | Op::JumpUnless { .. }
            | Op::Count { .. }
            | Op::Round { .. }
            | Op::Choose(_)
            | Op::GroupStart(_)
            | Op::GroupEnd(_)
            | Op::Log(_)
            | Op::Stop(_)
            | Op::End
            | Op::Join(_)
            | Op::Leave(_)
            | Op::SwitchAccount
            | Op::Meet(_) => {}
        }
    }
    for _ in 0..ROUNDS {
        let known: Vec<Type> = kinds.iter().map(|kind| kind.unwrap_or(Type::Any)).collect();
        let names = Visible::typed(plan, played_by, None, &journey.slot_names, &known);
        let before = kinds.clone();
        for (slot, value) in &worked_out {
            let kind = Template::compile(value.written(), &names).map_or(Type::Any, |again| again.result_type());
            join(&mut kinds[*slot], kind);
        }
        if kinds == before {
            return known;
        }
    }
    vec![Type::Any; journey.slots]
}

fn join(known: &mut Option<Type>, kind: Type) {
    *known = Some(match known {
        Some(known) if *known != kind => Type::Any,
        _ => kind,
    });
}

fn saved(save: &Save) -> Type {
    let kind = match save.source {
        SaveSource::Json(_) => Type::Any,
        SaveSource::Header(_) | SaveSource::Regex(_) | SaveSource::Cookie(_) | SaveSource::Css(_) => Type::Text,
    };
    match &save.default {
        Some(value) if Type::of(value) != kind => Type::Any,
        _ => kind,
    }
}
