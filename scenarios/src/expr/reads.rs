//! Which variables an expression reads although they may not be there, and which are there once it holds.
//! In: a checked tree. Out: slots with the bytes of their names. A comparison with `null` asks whether a variable is
//! there and is no read; what stands behind such a test (`x != null && x < 3`, `x == null ? 0 : x`) knows its answer.

use super::node::Node;
use super::parser::Compare;
use super::{Place, Slot};
use crate::value::Value;
use std::ops::Range;

/// What is told of each read: the variable and the bytes of its name.
pub(super) type Found<'a> = dyn FnMut(Slot, Range<usize>) + 'a;

impl Node {
    /// Tells of each read of a variable that is not in `known`.
    pub(super) fn reads(&self, known: &mut Vec<Slot>, found: &mut Found<'_>) {
        match self {
            Self::Load { place: Place::Slot(slot), name, at } => {
                if !known.contains(slot) {
                    found(*slot, *at..*at + name.len());
                }
            }
            Self::Load { .. } | Self::Const(_) | Self::Marker(None, _) => {}
            Self::Compare(Compare::Equal | Compare::NotEqual, pair) if null_test(pair).is_some() => {}
            Self::And(pair) => pair[0].then(true, &pair[1], known, found),
            Self::Or(pair) => pair[0].then(false, &pair[1], known, found),
            Self::Conditional(parts) => {
                parts[0].then(true, &parts[1], known, found);
                let before = known.len();
                parts[0].holds(false, known);
                parts[2].reads(known, found);
                known.truncate(before);
            }
            Self::List(items) | Self::Concat(items) | Self::Call(_, items) => {
                items.iter().for_each(|x| x.reads(known, found));
            }
            Self::Map(pairs) => pairs.iter().for_each(|(k, v)| {
                k.reads(known, found);
                v.reads(known, found);
            }),
            Self::Marker(Some(x), _)
            | Self::Not(x)
            | Self::Negate(x)
            | Self::Field(x, _)
            | Self::Matches(x, _)
            | Self::Raw(x) => x.reads(known, found),
            Self::In(pair) | Self::Compare(_, pair) | Self::Arithmetic(_, pair) | Self::Index(pair) => {
                pair.iter().for_each(|x| x.reads(known, found));
            }
        }
    }

    /// This, and `next`, which is evaluated only where this gives `outcome`.
    fn then(&self, outcome: bool, next: &Self, known: &mut Vec<Slot>, found: &mut Found<'_>) {
        self.reads(known, found);
        let before = known.len();
        self.holds(outcome, known);
        next.reads(known, found);
        known.truncate(before);
    }

    /// Adds the variables that are there wherever this gives `outcome`.
    pub(super) fn holds(&self, outcome: bool, known: &mut Vec<Slot>) {
        match self {
            Self::Compare(Compare::NotEqual, pair) if outcome => known.extend(null_test(pair)),
            Self::Compare(Compare::Equal, pair) if outcome => known.extend(equal_to_something(pair)),
            Self::Compare(Compare::Equal, pair) => known.extend(null_test(pair)),
            Self::Not(x) => x.holds(!outcome, known),
            Self::And(pair) if outcome => pair.iter().for_each(|x| x.holds(true, known)),
            Self::Or(pair) if !outcome => pair.iter().for_each(|x| x.holds(false, known)),
            _ => {}
        }
    }

    fn slot(&self) -> Option<Slot> {
        match self {
            Self::Load { place: Place::Slot(slot), .. } => Some(*slot),
            _ => None,
        }
    }
}

/// The variable of `x == null` or `null != x`.
fn null_test(pair: &[Node; 2]) -> Option<Slot> {
    match pair {
        [x, Node::Const(Value::Null)] | [Node::Const(Value::Null), x] => x.slot(),
        _ => None,
    }
}

/// The variable of `x == 'open'`.
fn equal_to_something(pair: &[Node; 2]) -> Option<Slot> {
    match pair {
        [_, Node::Const(Value::Null)] | [Node::Const(Value::Null), _] => None,
        [x, Node::Const(_)] | [Node::Const(_), x] => x.slot(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeNames;
    use super::super::{Expr, Template};

    fn reads(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let expr = Expr::compile(text, &FakeNames).expect(text);
        expr.reads(&mut |_, range| found.push(format!("{}@{}", &text[range.clone()], range.start)));
        found
    }

    #[test]
    fn what_is_asked_for_is_no_read_and_what_is_behind_knows_the_answer() {
        for (text, expected) in [
            ("mood < 3", &["mood@0"][..]),
            ("mood != null", &[]),
            ("null == mood", &[]),
            ("mood != null && mood < 3", &[]),
            ("mood == null || mood < 3", &[]),
            ("!(mood == null) && mood < 3", &[]),
            ("mood == null && mood < 3", &["mood@16"]),
            ("mood != null || mood < 3", &["mood@16"]),
            ("(mood == null ? 0 : mood) < 3", &[]),
            ("(mood != null ? 0 : mood) < 3", &["mood@20"]),
            ("mood == 3 && mood < token", &["mood@0", "token@20"]),
            ("mood != null && token != null && size(token) < mood", &[]),
            ("session.user != null", &["session@0"]),
            ("1 in [1, mood]", &["mood@9"]),
        ] {
            assert_eq!(reads(text), expected, "{text}");
        }
    }

    #[test]
    fn holes_of_a_template_are_told_by_their_place() {
        let text = "a {{ mood }} b {{ token == null ? '' : token }} {{ token }}";
        let mut found = Vec::new();
        let template = Template::compile(text, &FakeNames).expect("a template");
        template.reads(&mut |_, range| found.push((text[range.clone()].to_owned(), range.start)));
        assert_eq!(found, [("mood".to_owned(), 5), ("token".to_owned(), 51)]);
    }
}
