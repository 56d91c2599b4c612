//! Which templates plant a marker, and for which field of their step: so that a marker that comes back says from where.
//! In: a compiled template and a number for each of its holes. Out: the numbers, where the markers are made.

use super::functions::Function;
use super::node::Node;
use super::template::{Part, Template};

/// The field of a marker that stands in none: in a variable, say, which may go anywhere.
pub const ELSEWHERE: u8 = u8::MAX;

impl Template {
    /// Numbers the markers that are made in it. `number` is asked for each part that makes one, with the slashes before
    /// it: the segments of a path are fields of their own.
    pub(crate) fn number_markers(&mut self, number: &mut dyn FnMut(usize) -> u8) {
        let mut slashes = 0;
        for part in &mut self.parts {
            match part {
                Part::Fixed(fixed) => slashes += fixed.plain.iter().filter(|c| **c == b'/').count(),
                Part::Hole(node) if node.makes_word() => node.set_field(number(slashes)),
                Part::Hole(_) => {}
            }
        }
    }
}

impl Node {
    /// Whether evaluation makes a marker that can say its field: one in words has no room for that.
    fn makes_word(&self) -> bool {
        match self {
            Self::Marker(..) => true,
            Self::Call(Function::MarkerWords, _) => false,
            Self::List(items) | Self::Concat(items) | Self::Call(_, items) => items.iter().any(Self::makes_word),
            Self::Map(pairs) => pairs.iter().any(|(k, v)| k.makes_word() || v.makes_word()),
            Self::Not(x) | Self::Negate(x) | Self::Field(x, _) | Self::Matches(x, _) | Self::Raw(x) => x.makes_word(),
            Self::Or(xs)
            | Self::And(xs)
            | Self::In(xs)
            | Self::Compare(_, xs)
            | Self::Arithmetic(_, xs)
            | Self::Index(xs) => xs.iter().any(Self::makes_word),
            Self::Conditional(xs) => xs.iter().any(Self::makes_word),
            Self::Const(_) | Self::Load { .. } => false,
        }
    }

    fn set_field(&mut self, number: u8) {
        match self {
            Self::Marker(audience, field) => {
                *field = number;
                if let Some(audience) = audience {
                    audience.set_field(number);
                }
            }
            Self::List(items) | Self::Concat(items) | Self::Call(_, items) => {
                items.iter_mut().for_each(|x| x.set_field(number));
            }
            Self::Map(pairs) => pairs.iter_mut().for_each(|(k, v)| {
                k.set_field(number);
                v.set_field(number);
            }),
            Self::Not(x) | Self::Negate(x) | Self::Field(x, _) | Self::Matches(x, _) | Self::Raw(x) => {
                x.set_field(number);
            }
            Self::Or(xs)
            | Self::And(xs)
            | Self::In(xs)
            | Self::Compare(_, xs)
            | Self::Arithmetic(_, xs)
            | Self::Index(xs) => xs.iter_mut().for_each(|x| x.set_field(number)),
            Self::Conditional(xs) => xs.iter_mut().for_each(|x| x.set_field(number)),
            Self::Const(_) | Self::Load { .. } => {}
        }
    }
}
