//! The checked tree: names resolved, constants folded, regexes compiled.
//! In: from `check`. Out: evaluated by `eval`. How nodes are called in messages lives here too.

use super::functions::Function;
use super::parser::{Arithmetic, Compare};
use super::{EvalError, Place};
use crate::value::Value;
use regex::Regex;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Const(Value),
    /// `name` as written, for messages.
    Load {
        place: Place,
        name: Box<str>,
        /// Byte of the text where the name starts.
        at: usize,
    },
    /// A new marker, of an audience if one is given, for this field of its step.
    Marker(Option<Box<Node>>, u8),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Or(Box<[Node; 2]>),
    And(Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    Compare(Compare, Box<[Node; 2]>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    /// Additions known to be of texts, flattened so that a chain is built in one buffer.
    Concat(Vec<Node>),
    /// Condition, then, else.
    Conditional(Box<[Node; 3]>),
    Field(Box<Node>, Box<str>),
    Index(Box<[Node; 2]>),
    Matches(Box<Node>, Box<Regex>),
    /// Inserted without encoding where it is the outermost call.
    Raw(Box<Node>),
    Call(Function, Vec<Node>),
}

impl Node {
    pub(super) fn as_const(&self) -> Option<&Value> {
        match self {
            Self::Const(value) => Some(value),
            _ => None,
        }
    }

    /// Whether evaluation makes a marker anywhere.
    pub(super) fn uses_marker(&self) -> bool {
        match self {
            Self::Marker(..) | Self::Call(Function::MarkerWords, _) => true,
            Self::Const(_) | Self::Load { .. } => false,
            Self::List(items) | Self::Concat(items) | Self::Call(_, items) => items.iter().any(Self::uses_marker),
            Self::Map(pairs) => pairs.iter().any(|(k, v)| k.uses_marker() || v.uses_marker()),
            Self::Not(x) | Self::Negate(x) | Self::Field(x, _) | Self::Matches(x, _) | Self::Raw(x) => x.uses_marker(),
            Self::Or(xs)
            | Self::And(xs)
            | Self::In(xs)
            | Self::Compare(_, xs)
            | Self::Arithmetic(_, xs)
            | Self::Index(xs) => xs.iter().any(Self::uses_marker),
            Self::Conditional(xs) => xs.iter().any(Self::uses_marker),
        }
    }

    /// Every place that evaluation may read.
    pub(super) fn places(&self, found: &mut dyn FnMut(&Place)) {
        match self {
            Self::Load { place, .. } => found(place),
            Self::Const(_) | Self::Marker(None, _) => {}
            Self::List(items) | Self::Concat(items) | Self::Call(_, items) => {
                items.iter().for_each(|x| x.places(found));
            }
            Self::Map(pairs) => pairs.iter().for_each(|(k, v)| {
                k.places(found);
                v.places(found);
            }),
            Self::Marker(Some(x), _)
            | Self::Not(x)
            | Self::Negate(x)
            | Self::Field(x, _)
            | Self::Matches(x, _)
            | Self::Raw(x) => x.places(found),
            Self::Or(xs)
            | Self::And(xs)
            | Self::In(xs)
            | Self::Compare(_, xs)
            | Self::Arithmetic(_, xs)
            | Self::Index(xs) => xs.iter().for_each(|x| x.places(found)),
            Self::Conditional(xs) => xs.iter().for_each(|x| x.places(found)),
        }
    }

    /// Every place whose value, or something made of it, may stand in the result. What is only asked about, as in a
    /// comparison or before a `?`, does not.
    pub(super) fn sources(&self, found: &mut dyn FnMut(&Place)) {
        match self {
            Self::Load { place, .. } => found(place),
            Self::Const(_)
            | Self::Marker(..)
            | Self::Not(_)
            | Self::Or(_)
            | Self::And(_)
            | Self::In(_)
            | Self::Compare(..)
            | Self::Matches(..) => {}
            Self::List(items) | Self::Concat(items) | Self::Call(_, items) => {
                items.iter().for_each(|x| x.sources(found));
            }
            Self::Map(pairs) => pairs.iter().for_each(|(k, v)| {
                k.sources(found);
                v.sources(found);
            }),
            Self::Negate(x) | Self::Field(x, _) | Self::Raw(x) => x.sources(found),
            Self::Arithmetic(_, pair) => pair.iter().for_each(|x| x.sources(found)),
            Self::Index(pair) => pair[0].sources(found),
            Self::Conditional(parts) => parts[1..].iter().for_each(|x| x.sources(found)),
        }
    }

    /// What the file calls this value, such as `session.user`; `None` for what is computed.
    /// Only names and constants of the file, never values: messages must not give secrets away.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Load { name, .. } => Some(name.to_string()),
            Self::Field(base, field) => Some(format!("{}.{field}", base.name()?)),
            Self::Index(pair) => match (&pair[0], &pair[1]) {
                (base, Node::Const(Value::Int(i))) => Some(format!("{}[{i}]", base.name()?)),
                (base, _) => Some(format!("{}[…]", base.name()?)),
            },
            _ => None,
        }
    }

    /// How a message speaks of this node and the value it gave.
    pub(super) fn describe(&self, value: &Value) -> String {
        match (self.name(), value) {
            (Some(name), Value::Null) => format!("`{name}`, which is not there"),
            (Some(name), _) => format!("`{name}` ({})", value.type_name()),
            (None, _) => value.type_name().to_owned(),
        }
    }

    /// The error of an operand that has the wrong type.
    pub(super) fn wrong_type(&self, value: &Value, wanted: &str) -> EvalError {
        EvalError(format!("expected {wanted}, got {}", self.describe(value)))
    }
}
