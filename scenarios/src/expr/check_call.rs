//! Calls: which function, how many arguments, of which types, with which constants.
//! In: a parsed call. Out: its node with constant regexes compiled, or the mistake.

use super::calls::{MAX_LETTERS, compile_regex};
use super::check::{Checked, Checker, folded, joined};
use super::fields;
use super::functions::{self, Function, Signature};
use super::node::Node;
use super::parser::{Ast, Kind};
use super::{ExprError, Type};
use crate::value::Value;
use std::cmp::Ordering;
use std::ops::Range;

impl Checker<'_> {
    pub(super) fn call(&self, ast: &Ast, outermost: bool) -> Result<Checked, ExprError> {
        let Kind::Call { name, name_range, is_method, arguments } = &ast.kind else {
            return self.check(ast, outermost);
        };
        let signature = functions::find(name, *is_method, name_range)?;
        check_arity(signature, arguments.len(), *is_method, &ast.range)?;
        let mut checked = Vec::with_capacity(arguments.len());
        for (argument, accept) in arguments.iter().zip(signature.parameters) {
            let found = self.check(argument, false)?;
            if !accept.takes(found.kind) {
                return Err(self.wrong(argument, found.kind, accept.wanted()));
            }
            checked.push(found);
        }
        self.check_ranges(signature, arguments, &checked)?;
        let kinds: Vec<Type> = checked.iter().map(|c| c.kind).collect();
        let nodes: Vec<Node> = checked.into_iter().map(|c| c.node).collect();
        let kind = result_type(signature, &kinds, &nodes);
        match signature.function {
            Function::Marker => {
                self.names.resolve(&["marker"]).map_err(|error| ExprError { range: name_range.clone(), ..error })?;
                let audience = nodes.into_iter().next().map(Box::new);
                Ok(Checked { node: Node::Marker(audience, fields::ELSEWHERE), kind })
            }
            Function::MarkerWords => {
                self.names.resolve(&["marker"]).map_err(|error| ExprError { range: name_range.clone(), ..error })?;
                Ok(Checked { node: Node::Call(Function::MarkerWords, nodes), kind })
            }
            Function::Raw => raw(nodes, kind, ast, outermost),
            Function::Matches => matches(nodes, arguments),
            function if signature.is_pure => Ok(folded(Node::Call(function, nodes), kind)),
            function => Ok(Checked { node: Node::Call(function, nodes), kind }),
        }
    }

    /// Constant arguments that can never be right.
    fn check_ranges(&self, signature: &Signature, arguments: &[Ast], checked: &[Checked]) -> Result<(), ExprError> {
        let constants: Vec<Option<&Value>> = checked.iter().map(|c| c.node.as_const()).collect();
        let (guilty, message) = match (signature.function, constants.as_slice()) {
            (Function::Text, [Some(Value::Int(n))]) if !(0..=MAX_LETTERS).contains(n) => {
                (0, format!("text(n) gives 0 to {MAX_LETTERS} letters, not {n}"))
            }
            (Function::Random, [Some(a), Some(b)]) if a.order(b) == Some(Ordering::Greater) => {
                (1, format!("random({a}, {b}) has no numbers to draw from"))
            }
            _ => return Ok(()),
        };
        Err(ExprError {
            range: arguments[guilty].range.clone(),
            message,
            help: Some(format!("write it as in `{}`", signature.usage)),
            code: "out-of-range",
        })
    }
}

fn check_arity(signature: &Signature, count: usize, is_method: bool, range: &Range<usize>) -> Result<(), ExprError> {
    let (least, most) = (signature.least, signature.parameters.len());
    if (least..=most).contains(&count) {
        return Ok(());
    }
    // In `x.contains(y)` people count what stands in the parentheses.
    let receiver = usize::from(is_method);
    let (least, most, count) = (least.saturating_sub(receiver), most - receiver.min(most), count - receiver.min(count));
    let wanted = match (least, most) {
        (0, 0) => "no argument".to_owned(),
        (1, 1) => "1 argument".to_owned(),
        (a, b) if a == b => format!("{a} arguments"),
        (a, b) => format!("{a} to {b} arguments"),
    };
    Err(ExprError {
        range: range.clone(),
        message: format!("`{}` takes {wanted}, got {count}", signature.name),
        help: Some(format!("write it as in `{}`", signature.usage)),
        code: "wrong-arity",
    })
}

fn result_type(signature: &Signature, kinds: &[Type], nodes: &[Node]) -> Type {
    match signature.function {
        Function::Random => match kinds {
            [Type::Int, Type::Int] => Type::Int,
            [a, b] if *a == Type::Float || *b == Type::Float => Type::Float,
            _ => Type::Any,
        },
        Function::Pick => match nodes.first().and_then(Node::as_const) {
            Some(Value::List(items)) => items.iter().map(Type::of).reduce(joined).unwrap_or(Type::Any),
            _ => Type::Any,
        },
        Function::Raw => kinds.first().copied().unwrap_or(Type::Any),
        _ => signature.result,
    }
}

fn raw(nodes: Vec<Node>, kind: Type, ast: &Ast, outermost: bool) -> Result<Checked, ExprError> {
    if !outermost {
        return Err(ExprError {
            range: ast.range.clone(),
            message: "`raw` works only round the whole of a `{{ }}`".into(),
            help: Some("write it as in `{{ raw(link + '?page=2') }}`".into()),
            code: "misplaced-raw",
        });
    }
    let inner = nodes.into_iter().next().unwrap_or(Node::Const(Value::Null));
    Ok(Checked { node: Node::Raw(Box::new(inner)), kind })
}

/// A constant pattern is compiled now.
fn matches(nodes: Vec<Node>, arguments: &[Ast]) -> Result<Checked, ExprError> {
    let Some(Value::Text(pattern)) = nodes.get(1).and_then(Node::as_const) else {
        return Ok(Checked { node: Node::Call(Function::Matches, nodes), kind: Type::Bool });
    };
    let regex = compile_regex(pattern).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        ExprError {
            range: arguments.get(1).map_or(0..0, |a| a.range.clone()),
            message: format!("this is not a valid regex: {}", reason.trim_start_matches("error: ")),
            help: Some("put `\\\\` before a character that is meant as it is, as in 'a\\\\.b'".into()),
            code: "bad-regex",
        }
    })?;
    let subject = nodes.into_iter().next().unwrap_or(Node::Const(Value::Null));
    Ok(folded(Node::Matches(Box::new(subject), Box::new(regex)), Type::Bool))
}
