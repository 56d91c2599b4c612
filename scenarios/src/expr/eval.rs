//! Evaluation of checked trees.
//! In: a [`Node`] and the [`Scope`] of whoever runs it. Out: a value; `write` appends text instead.
//! Recursion is bounded by the parser; memory by [`MAX_TEXT_BYTES`].

use super::node::Node;
use super::parser::{Arithmetic, Compare};
use super::write::{Encoding, MAX_TEXT_BYTES, text_value, too_large, write};
use super::{EvalError, Place, Scope, calls};
use crate::value::Value;
use std::cmp::Ordering;
use std::sync::Arc;

/// Deeper lists in lists than any parsed JSON has; freeing a value recurses, so depth must end somewhere.
const MAX_VALUE_DEPTH: usize = 192;

/// For folding constants: nothing that is folded asks the scope.
pub(super) struct NoScope;

impl Scope for NoScope {
    fn load(&mut self, _: &Place) -> Value {
        Value::Null
    }
    fn random_bits(&mut self) -> u64 {
        0
    }
    fn marker(&mut self, _: Option<&str>) -> String {
        String::new()
    }
    fn now_ms(&mut self) -> i64 {
        0
    }
    fn client_id(&mut self) -> String {
        String::new()
    }
}

pub(super) fn eval(node: &Node, scope: &mut dyn Scope) -> Result<Value, EvalError> {
    match node {
        Node::Const(value) => Ok(value.clone()),
        Node::Load { place, .. } => Ok(scope.load(place)),
        Node::Marker(audience, field) => Ok(Value::text(marker(audience.as_deref(), *field, scope)?)),
        Node::List(items) => list(items, scope),
        Node::Map(pairs) => map(pairs, scope),
        Node::Not(x) => Ok(Value::Bool(!condition(x, scope)?)),
        Node::Negate(x) => negate(x, scope),
        Node::Or(pair) => Ok(Value::Bool(condition(&pair[0], scope)? || condition(&pair[1], scope)?)),
        Node::And(pair) => Ok(Value::Bool(condition(&pair[0], scope)? && condition(&pair[1], scope)?)),
        Node::In(pair) => is_in(pair, scope),
        Node::Compare(operator, pair) => compare(*operator, pair, scope),
        Node::Arithmetic(operator, pair) => arithmetic(*operator, pair, scope),
        Node::Concat(_) => {
            let mut out = Vec::new();
            write(node, scope, Encoding::Plain, &mut out)?;
            text_value(out)
        }
        Node::Conditional(parts) => {
            let chosen = if condition(&parts[0], scope)? { 1 } else { 2 };
            eval(&parts[chosen], scope)
        }
        Node::Field(base, name) => field(base, name, scope),
        Node::Index(pair) => index(pair, scope),
        Node::Matches(x, regex) => match eval(x, scope)? {
            Value::Text(text) => Ok(Value::Bool(regex.is_match(&text))),
            other => Err(x.wrong_type(&other, "text")),
        },
        Node::Raw(x) => eval(x, scope),
        Node::Call(function, arguments) => calls::call(*function, arguments, scope),
    }
}

/// Evaluates and demands `true` or `false`.
pub(super) fn condition(node: &Node, scope: &mut dyn Scope) -> Result<bool, EvalError> {
    match eval(node, scope)? {
        Value::Bool(b) => Ok(b),
        other => Err(node.wrong_type(&other, "true or false")),
    }
}

pub(super) fn marker(audience: Option<&Node>, field: u8, scope: &mut dyn Scope) -> Result<String, EvalError> {
    let Some(node) = audience else {
        return Ok(scope.marker_in(None, field));
    };
    let audience = calls::scalar(node, scope)?;
    Ok(scope.marker_in(Some(&String::from_utf8_lossy(&audience)), field))
}

fn list(items: &[Node], scope: &mut dyn Scope) -> Result<Value, EvalError> {
    let values: Result<Arc<[Value]>, EvalError> = items.iter().map(|item| eval(item, scope)).collect();
    bounded(Value::List(values?))
}

fn map(pairs: &[(Node, Node)], scope: &mut dyn Scope) -> Result<Value, EvalError> {
    let mut entries: Vec<(Arc<str>, Value)> = Vec::with_capacity(pairs.len());
    for (key_node, value) in pairs {
        let key = match eval(key_node, scope)? {
            Value::Text(key) => key,
            other => return Err(key_node.wrong_type(&other, "text as the key of a map")),
        };
        if entries.iter().any(|(k, _)| *k == key) {
            return Err(EvalError("a key of the map is there twice".into()));
        }
        entries.push((key, eval(value, scope)?));
    }
    bounded(Value::Map(entries.into()))
}

/// Refuses a list or map that is too large or too deep once everything it shares is written out.
fn bounded(value: Value) -> Result<Value, EvalError> {
    fn weigh(value: &Value, left: &mut usize, depth: usize) -> bool {
        let cost = match value {
            Value::Text(text) => 8 + text.len(),
            _ => 8,
        };
        let Some(rest) = left.checked_sub(cost) else {
            return false;
        };
        *left = rest;
        match value {
            Value::List(items) => depth < MAX_VALUE_DEPTH && items.iter().all(|item| weigh(item, left, depth + 1)),
            Value::Map(pairs) => {
                depth < MAX_VALUE_DEPTH
                    && pairs.iter().all(|(key, item)| {
                        *left = left.saturating_sub(key.len());
                        weigh(item, left, depth + 1)
                    })
            }
            _ => true,
        }
    }
    let mut left = MAX_TEXT_BYTES;
    if weigh(&value, &mut left, 0) {
        Ok(value)
    } else {
        Err(EvalError(format!(
            "the list or map is larger than {} MiB or nests deeper than {MAX_VALUE_DEPTH} levels",
            MAX_TEXT_BYTES >> 20
        )))
    }
}

fn negate(x: &Node, scope: &mut dyn Scope) -> Result<Value, EvalError> {
    match eval(x, scope)? {
        Value::Int(n) => n.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Float(n) => Ok(Value::Float(-n)),
        other => Err(x.wrong_type(&other, "a number")),
    }
}

fn is_in(pair: &[Node; 2], scope: &mut dyn Scope) -> Result<Value, EvalError> {
    let wanted = eval(&pair[0], scope)?;
    match (eval(&pair[1], scope)?, &wanted) {
        (Value::List(items), _) => Ok(Value::Bool(items.iter().any(|item| item.equals(&wanted)))),
        (map @ Value::Map(_), Value::Text(key)) => Ok(Value::Bool(map.field(key).is_some())),
        (Value::Map(_), _) => Err(pair[0].wrong_type(&wanted, "text as the key of a map")),
        (other, _) => Err(pair[1].wrong_type(&other, "a list or a map after `in`")),
    }
}

fn compare(operator: Compare, pair: &[Node; 2], scope: &mut dyn Scope) -> Result<Value, EvalError> {
    let (left, right) = (eval(&pair[0], scope)?, eval(&pair[1], scope)?);
    let holds = match operator {
        Compare::Equal => left.equals(&right),
        Compare::NotEqual => !left.equals(&right),
        _ => {
            let order = left.order(&right).ok_or_else(|| {
                EvalError(format!(
                    "cannot tell which is larger, {} or {}",
                    pair[0].describe(&left),
                    pair[1].describe(&right)
                ))
            })?;
            match operator {
                Compare::Less => order == Ordering::Less,
                Compare::LessOrEqual => order != Ordering::Greater,
                Compare::Greater => order == Ordering::Greater,
                _ => order != Ordering::Less,
            }
        }
    };
    Ok(Value::Bool(holds))
}

fn arithmetic(operator: Arithmetic, pair: &[Node; 2], scope: &mut dyn Scope) -> Result<Value, EvalError> {
    let (left, right) = (eval(&pair[0], scope)?, eval(&pair[1], scope)?);
    match (&left, &right) {
        (Value::Int(a), Value::Int(b)) => int_arithmetic(operator, *a, *b),
        (Value::Int(a), Value::Float(b)) => float_arithmetic(operator, *a as f64, *b),
        (Value::Float(a), Value::Int(b)) => float_arithmetic(operator, *a, *b as f64),
        (Value::Float(a), Value::Float(b)) => float_arithmetic(operator, *a, *b),
        (Value::Text(a), Value::Text(b)) if operator == Arithmetic::Add => {
            if a.len() + b.len() > MAX_TEXT_BYTES {
                return Err(too_large());
            }
            Ok(Value::Text([&**a, &**b].concat().into()))
        }
        (Value::List(a), Value::List(b)) if operator == Arithmetic::Add => {
            bounded(Value::List(a.iter().chain(b.iter()).cloned().collect()))
        }
        _ => {
            let verb = match operator {
                Arithmetic::Add => "add",
                Arithmetic::Subtract => "subtract",
                Arithmetic::Multiply => "multiply",
                Arithmetic::Divide => "divide",
                Arithmetic::Remainder => "take the remainder of",
            };
            Err(EvalError(format!("cannot {verb} {} and {}", pair[0].describe(&left), pair[1].describe(&right))))
        }
    }
}

fn int_arithmetic(operator: Arithmetic, a: i64, b: i64) -> Result<Value, EvalError> {
    let result = match operator {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Subtract => a.checked_sub(b),
        Arithmetic::Multiply => a.checked_mul(b),
        Arithmetic::Divide | Arithmetic::Remainder if b == 0 => return Err(division_by_zero()),
        Arithmetic::Divide => a.checked_div(b),
        Arithmetic::Remainder => a.checked_rem(b),
    };
    result.map(Value::Int).ok_or_else(overflow)
}

/// Never gives an infinity or NaN: JSON cannot say them, and a body with `null` instead would hide the mistake.
fn float_arithmetic(operator: Arithmetic, a: f64, b: f64) -> Result<Value, EvalError> {
    let result = match operator {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a * b,
        Arithmetic::Divide | Arithmetic::Remainder if b == 0.0 => return Err(division_by_zero()),
        Arithmetic::Divide => a / b,
        Arithmetic::Remainder => a % b,
    };
    if result.is_finite() { Ok(Value::Float(result)) } else { Err(overflow()) }
}

fn division_by_zero() -> EvalError {
    EvalError("division by zero".into())
}

fn overflow() -> EvalError {
    EvalError("the number is too large".into())
}

fn field(base: &Node, name: &str, scope: &mut dyn Scope) -> Result<Value, EvalError> {
    let value = eval(base, scope)?;
    if let Some(found) = value.field(name) {
        return Ok(found.clone());
    }
    Err(no_field(base, &value, &format!(".{name}")))
}

fn index(pair: &[Node; 2], scope: &mut dyn Scope) -> Result<Value, EvalError> {
    let (base, at) = (eval(&pair[0], scope)?, eval(&pair[1], scope)?);
    match (&base, &at) {
        (Value::List(_), Value::Int(..0)) => Err(EvalError("an index counts from 0, it cannot be negative".into())),
        (Value::List(items), Value::Int(i)) => {
            usize::try_from(*i).ok().and_then(|i| items.get(i)).cloned().ok_or_else(|| {
                let name = pair[0].name().map_or_else(String::new, |n| format!(" `{n}`"));
                let (count, plural) = (items.len(), if items.len() == 1 { "" } else { "s" });
                EvalError(format!("no item {i}: the list{name} has {count} item{plural}"))
            })
        }
        (Value::Map(_), Value::Text(key)) => base.field(key).cloned().ok_or_else(|| no_field(&pair[0], &base, "[…]")),
        (Value::Null, _) => Err(no_field(&pair[0], &base, "[…]")),
        (Value::List(_), _) => Err(pair[1].wrong_type(&at, "a whole number as the index of a list")),
        (Value::Map(_), _) => Err(pair[1].wrong_type(&at, "text as the key of a map")),
        _ => Err(pair[0].wrong_type(&base, "a list or a map before `[`")),
    }
}

/// Why there is no `base` + `access` such as `.name`.
fn no_field(base: &Node, value: &Value, access: &str) -> EvalError {
    EvalError(match (base.name(), value) {
        (Some(name), Value::Null) => {
            format!("`{name}` is not there, so `{name}{access}` cannot be read")
        }
        (Some(name), Value::Map(_)) => format!("`{name}{access}` is not there"),
        (Some(name), _) => {
            format!("`{name}` is {} and has no fields, so `{name}{access}` cannot be read", value.type_name())
        }
        (None, Value::Map(_)) => format!("the map has no `{access}`"),
        (None, _) => format!("{} has no fields, so `{access}` cannot be read", value.type_name()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FakeNames, FakeScope};
    use super::super::{Expr, Type};
    use super::*;

    fn run(text: &str) -> Result<Value, EvalError> {
        Expr::compile(text, &FakeNames)
            .unwrap_or_else(|e| panic!("{text}: {e} {:?}", e.help))
            .eval(&mut FakeScope::default())
    }

    /// `expected` is JSON.
    fn check(text: &str, expected: &str) {
        let value = run(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let mut json = Vec::new();
        value.write_json(&mut json);
        assert_eq!(String::from_utf8_lossy(&json), expected, "{text}");
    }

    fn check_error(text: &str, expected: &str) {
        match run(text) {
            Err(error) => assert!(error.0.contains(expected), "{text}: {error}"),
            Ok(value) => panic!("{text}: expected an error, got {value}"),
        }
    }

    #[test]
    fn arithmetic_and_precedence() {
        check("1 + 2 * 3", "7");
        check("(1 + 2) * 3", "9");
        check("10 - 4 - 3", "3");
        check("7 / 2", "3");
        check("-7 % 3", "-1");
        check("7 / 2.0", "3.5");
        check("1 + 0.5", "1.5");
        check("5.5 % 2", "1.5");
        check("-user.index", "-7");
        check("--1", "1");
        check("-9223372036854775808", "-9223372036854775808");
        check("'a' + 'b' + account.id + ('c' + token)", r#""aba-7ctö/ k\"1""#);
        check("[1] + panel + []", r#"[1,"p1","p2",3]"#);
        check("mood + 1", "3");
        check("half + mood", "2.5");
        check("{'a': 1, 'b': [mood],}", r#"{"a":1,"b":[2]}"#);
    }

    #[test]
    fn arithmetic_never_panics() {
        check_error("9223372036854775807 + 1", "too large");
        check_error("-9223372036854775808 - 1", "too large");
        check_error("9223372036854775807 * mood", "too large");
        check_error("-9223372036854775808 / -1", "too large");
        check_error("-9223372036854775808 % -1", "too large");
        check_error("-(-9223372036854775808)", "too large");
        check_error("1e308 * 10", "too large");
        check_error("1 / 0", "division by zero");
        check_error("mood % (mood - 2)", "division by zero");
        check_error("1.0 / 0", "division by zero");
        check_error("mood + token", "cannot add `mood` (int) and `token` (text)");
        check_error("token + panel", "cannot add `token` (text) and `panel` (list)");
        check_error("account.id + mood", "cannot add text and `mood` (int)");
        check_error("-token", "expected a number, got `token` (text)");
        check_error("absent * 2", "`absent`, which is not there");
    }

    #[test]
    fn comparison() {
        check("1 == 1.0 && 1 != 1.5", "true");
        check("mood < 3 && mood <= 2 && mood >= 2 && !(mood > 2)", "true");
        check("half < mood", "true");
        check("9007199254740993 > 9007199254740992.0", "true");
        check("account.id == 'a-7'", "true");
        check("'a' < 'b'", "true");
        check("token == mood", "false");
        check("token != mood", "true");
        check("absent == null", "true");
        check("session.n == null", "true");
        check("[1, 2.0] == [1.0, 2]", "true");
        check("{'a': 1, 'b': 2} == {'b': 2.0, 'a': 1}", "true");
        check_error("token < mood", "which is larger, `token` (text) or `mood` (int)");
        check_error("absent > 1", "`absent`, which is not there");
    }

    #[test]
    fn logic_stops_early() {
        check("false && 1 / 0 == 0", "false");
        check("true || 1 / 0 == 0", "true");
        check("mood > 1 ? 'high' : 1 / 0", "\"high\"");
        check("mood > 5 ? 1 : mood > 1 ? 2 : 3", "2");
        check("!true || !!true", "true");
        check_error("mood && true", "expected true or false, got `mood` (int)");
        check_error("true && absent", "`absent`, which is not there");
    }

    #[test]
    fn membership_and_access() {
        check("'p1' in panel", "true");
        check("3.0 in panel", "true");
        check("!('p9' in panel)", "true");
        check("'user' in session && !('nobody' in session)", "true");
        check("session.user.name", "\"Ann\"");
        check("session['user']['tags'][1]", "\"b\"");
        check("session.user['na' + 'me']", "\"Ann\"");
        check("panel[mood]", "3");
        check("{'in': {'true': 1}}.in.true", "1");
        check("[[1, 2], [3]][0][1]", "2");
        check("last.headers['content-type']", "\"text/html\"");
        check("data['my-file'].text + data.questions.text", "\"otherwhy?\"");
        check_error("absent.id", "`absent` is not there, so `absent.id` cannot be read");
        check_error("session.n.x", "`session.n` is not there");
        check_error("session.nobody", "`session.nobody` is not there");
        check_error("session['no' + token]", "`session[…]` is not there");
        check_error("mood.x", "`mood` is int and has no fields");
        check_error("panel[3]", "no item 3: the list `panel` has 3 items");
        check_error("panel[mood - 3]", "negative");
        check_error("panel['a']", "`panel` is list and has no fields");
        check_error("panel['a' + token]", "a whole number as the index of a list");
        check_error("session[0]", "text as the key");
        check_error("absent[0]", "`absent` is not there");
        check_error("1 in token", "a list or a map after `in`");
        check_error("{token: 1, token + '': 2}", "twice");
    }

    #[test]
    fn values_stay_out_of_messages() {
        for text in ["int(token)", "token * 2", "json(token)", "session[token]", "token.x"] {
            let error = run(text).expect_err(text);
            assert!(!error.0.contains("k\"1"), "{text}: {error}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let doubled = (0..9).fold("text(1000000)".to_owned(), |x, _| x.clone() + "+" + &x);
        // 512 additions chain too far for the parser, so the doubling goes by lists.
        assert!(Expr::compile(&doubled, &FakeNames).is_err());
        let twenty = vec!["text(1000000)"; 20].join(" + ");
        check_error(&twenty, "larger than 16 MiB");
        check_error(&format!("[{}]", twenty.replace('+', ",")), "larger than 16 MiB");
        check_error(&format!("size({{'a': [{}]}})", twenty.replace('+', ",")), "larger than 16 MiB");
    }

    /// A list that holds itself again and again would overflow the stack when it is freed.
    #[test]
    fn depth_of_values_is_bounded() {
        struct Growing(Value);
        impl Scope for Growing {
            fn load(&mut self, _: &Place) -> Value {
                self.0.clone()
            }
            fn random_bits(&mut self) -> u64 {
                0
            }
            fn marker(&mut self, _: Option<&str>) -> String {
                String::new()
            }
            fn now_ms(&mut self) -> i64 {
                0
            }
            fn client_id(&mut self) -> String {
                String::new()
            }
        }
        for text in ["[mood]", "[mood, mood]", "{'a': mood}"] {
            let expr = Expr::compile(text, &FakeNames).expect(text);
            let mut scope = Growing(Value::Null);
            let mut steps = 0;
            while let Ok(value) = expr.eval(&mut scope) {
                scope.0 = value;
                steps += 1;
                assert!(steps < 1000, "{text} grows without end");
            }
            assert!(steps > 10, "{text}");
        }
    }

    #[test]
    fn conditions_must_be_bool() {
        let check = |text: &str, expected: Result<bool, &str>| {
            let expr = Expr::compile(text, &FakeNames).expect(text);
            let result = expr.eval_condition(&mut FakeScope::default());
            match (result, expected) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{text}"),
                (Err(e), Err(part)) => assert!(e.0.contains(part), "{text}: {e}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        };
        check("mood < 3", Ok(true));
        check("mood", Err("expected true or false, got `mood` (int)"));
        check("absent", Err("which is not there"));
    }

    #[test]
    fn result_types() {
        let check = |text: &str, expected| {
            let expr = Expr::compile(text, &FakeNames).expect(text);
            assert_eq!(expr.result_type(), expected, "{text}");
        };
        check("mood", Type::Any);
        check("account.id", Type::Text);
        check("user.index + 1", Type::Int);
        check("mood + 1.5", Type::Float);
        check("token + 'x'", Type::Text);
        check("mood < 3", Type::Bool);
        check("random(1, 3)", Type::Int);
        check("random(1, 3.5)", Type::Float);
        check("pick(['a', 'b'])", Type::Text);
        check("pick(['a', 1])", Type::Any);
        check("mood == 1 ? 'a' : 'b'", Type::Text);
        check("session.user", Type::Any);
        check("size(panel)", Type::Int);
        check("marker", Type::Text);
    }
}
