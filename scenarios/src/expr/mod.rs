//! Expressions and templates: compiled once when the file is read, evaluated by virtual users.
//! In: the text between `{{ }}` (or a bare expression) and the names that exist there.
//! Out: [`Expr`], [`Template`], [`JsonTemplate`], evaluated against a [`Scope`].

mod calls;
mod check;
mod check_call;
mod eval;
mod fields;
mod functions;
mod json_template;
mod lexer;
mod node;
mod parser;
mod reads;
mod template;
#[cfg(test)]
mod testing;
mod write;

pub use fields::ELSEWHERE;
pub use json_template::{JsonNode, JsonTemplate};
pub use template::Template;

use crate::value::Value;
use std::fmt;
use std::ops::Range;

/// Number of a variable slot of a journey (saved or set values, loop variables).
pub type Slot = u16;

/// Where a name's value comes from, resolved when the file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A saved or set variable.
    Slot(Slot),
    /// A column of the virtual user's own account row.
    Account(usize),
    /// A column of the stranger's account row (in probes); columns of the stranger's role.
    Stranger(usize),
    /// A column of the owner's account row (in `may_see`).
    Owner(usize),
    /// A column of a data table: the row drawn for this iteration.
    Data {
        /// Index of the table in `Program::data`.
        table: usize,
        /// Index of the column.
        column: usize,
    },
    /// `user.id`: text, unique per virtual user and run.
    UserId,
    /// `user.index`: 0-based.
    UserIndex,
    /// `user.iteration`: 0-based.
    UserIteration,
    /// `run.id`.
    RunId,
    /// `index`: the row's index while accounts are made up.
    Index,
    /// `last.status`, `last.body`, `last.json`, `last.latency` (milliseconds).
    Last(Last),
    /// `marker`, each evaluation makes a new one.
    Marker,
}

/// The parts of the latest answer that expressions can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// Status code; 0 before any answer.
    Status,
    /// Body as text (lossy UTF-8).
    Body,
    /// Body parsed as JSON, null if it is none.
    Json,
    /// Response time in milliseconds.
    Latency,
    /// Headers as a map of lower-case names.
    Headers,
}

/// What evaluation needs from whoever runs it. Methods that make something new take `&mut self`.
pub trait Scope {
    /// The value at `place`; `Null` for what is not set. Never called with [`Place::Marker`].
    fn load(&mut self, place: &Place) -> Value;
    /// The next 64 random bits of this user's stream.
    fn random_bits(&mut self) -> u64;
    /// A new marker word owned by the user's account, or by `audience`.
    fn marker(&mut self, audience: Option<&str>) -> String;
    /// The same for this field of its step, [`ELSEWHERE`] where it stands in none; for whoever tells fields apart.
    fn marker_in(&mut self, audience: Option<&str>, field: u8) -> String {
        let _ = field;
        self.marker(audience)
    }
    /// The user's account in words, the form that language models repeat.
    fn marker_words(&mut self) -> String {
        self.marker(None)
    }
    /// Wall-clock time, milliseconds since 1970 (from the run's clock, virtual in simulation).
    fn now_ms(&mut self) -> i64;
    /// The next client-side id: a UUID, or 1, 2, 3 … under the fault `equal_ids`.
    fn client_id(&mut self) -> String;
}

/// Why an expression could not be evaluated; becomes the step's failure, never a crash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvalError(pub String);

/// A mistake in an expression or template, with its byte range in the text handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// Bytes of the text that are wrong.
    pub range: Range<usize>,
    /// What is wrong, one sentence, lower case, no full stop.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// Stable diagnostic code, such as `unknown-variable`.
    pub code: &'static str,
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What type a name has, as far as it is known when the file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Not known before the run.
    Any,
    /// Null.
    Null,
    /// Bool.
    Bool,
    /// Int.
    Int,
    /// Float.
    Float,
    /// Text.
    Text,
    /// List.
    List,
    /// Map.
    Map,
}

/// The names that exist at one place of the file.
pub trait Names {
    /// Resolves a name given with its leading fields, as in `["account", "id"]` or `["mood"]`.
    /// Answers the place, its type, and how many of the parts it used (the rest is field access).
    /// The error's `help` should hold a "did you mean"; its range is set by the caller.
    fn resolve(&self, path: &[&str]) -> Result<(Place, Type, usize), ExprError>;
}

impl Type {
    /// The type of `value`.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Int(_) => Self::Int,
            Value::Float(_) => Self::Float,
            Value::Text(_) => Self::Text,
            Value::List(_) => Self::List,
            Value::Map(_) => Self::Map,
        }
    }

    /// The word for this type in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "text",
            Self::List => "list",
            Self::Map => "map",
        }
    }
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expr {
    checked: check::Checked,
    written: Box<str>,
}

impl Expr {
    /// Compiles `text`; every mistake carries its byte range in `text`.
    ///
    /// # Errors
    /// The first mistake: syntax, an unknown name or function, a type that cannot fit.
    pub fn compile(text: &str, names: &dyn Names) -> Result<Self, ExprError> {
        let trimmed = text.trim();
        if trimmed.starts_with("{{") && trimmed.ends_with("}}") {
            let start = text.len() - text.trim_start().len();
            return Err(syntax_error(
                start..start + 2,
                "an expression stands here without `{{ }}`".into(),
                "remove the `{{` and the `}}`",
            ));
        }
        let checked = check::compile(text, 0..text.len(), names)?;
        Ok(Self { checked, written: text.trim().into() })
    }

    /// The expression as it stands in the file, `${}` expanded.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// An expression that always has this value.
    pub fn constant(value: Value) -> Self {
        let kind = Type::of(&value);
        let written = value.to_string().into();
        Self { checked: check::Checked { node: node::Node::Const(value), kind }, written }
    }

    /// The type of the result as far as it is known.
    pub fn result_type(&self) -> Type {
        self.checked.kind
    }

    /// The value, if it is the same at every evaluation.
    pub fn as_constant(&self) -> Option<&Value> {
        self.checked.node.as_const()
    }

    /// Evaluates against `scope`.
    ///
    /// # Errors
    /// Overflow, division by zero, a value that is not there or has the wrong type; never holds a value.
    pub fn eval(&self, scope: &mut dyn Scope) -> Result<Value, EvalError> {
        eval::eval(&self.checked.node, scope)
    }

    /// Evaluates and demands `true` or `false`.
    ///
    /// # Errors
    /// As [`eval`](Self::eval), and any other type of result.
    pub fn eval_condition(&self, scope: &mut dyn Scope) -> Result<bool, EvalError> {
        eval::condition(&self.checked.node, scope)
    }

    /// Every place that evaluation may read.
    pub fn places(&self, found: &mut dyn FnMut(&Place)) {
        self.checked.node.places(found);
    }

    /// Every place whose value, or something made of it, may stand in the result.
    pub fn sources(&self, found: &mut dyn FnMut(&Place)) {
        self.checked.node.sources(found);
    }

    /// Every read of a variable that may not be there as far as the expression itself knows, with the bytes of its name.
    pub(crate) fn reads(&self, found: &mut dyn FnMut(Slot, Range<usize>)) {
        self.checked.node.reads(&mut Vec::new(), found);
    }

    /// The variables that are there wherever the expression gives `outcome`.
    pub(crate) fn holds(&self, outcome: bool) -> Vec<Slot> {
        let mut known = Vec::new();
        self.checked.node.holds(outcome, &mut known);
        known
    }

    /// Whether any part evaluates `marker`.
    pub fn uses_marker(&self) -> bool {
        self.checked.node.uses_marker()
    }
}

fn syntax_error(range: Range<usize>, message: String, help: &str) -> ExprError {
    ExprError { range, message, help: Some(help.into()), code: "expression-syntax" }
}

#[cfg(test)]
mod tests {
    use super::testing::{FakeNames, FakeScope};
    use super::*;

    /// The engine shares one program between its workers.
    #[test]
    fn programs_can_be_shared_between_threads() {
        fn is_shared<T: Send + Sync>() {}
        is_shared::<Expr>();
        is_shared::<Template>();
        is_shared::<JsonTemplate>();
        is_shared::<crate::jsonpath::JsonPath>();
    }

    #[test]
    fn a_bare_expression_takes_no_braces() {
        let error = Expr::compile(" {{ mood < 3 }}", &FakeNames).expect_err("braces");
        assert_eq!((error.range, error.code), (1..3, "expression-syntax"));
        let map = Expr::compile("{'a': {'b': 1}}", &FakeNames).expect("a map");
        assert_eq!(map.result_type(), Type::Map);
        assert!(map.as_constant().is_some());
        assert!(map.eval(&mut FakeScope::default()).is_ok());
    }
}
