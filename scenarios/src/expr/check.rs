//! Names and types: a parsed tree to a tree that can be evaluated.
//! In: text, range, the names that exist. Out: [`Checked`]; everything constant is folded.
//! A type that is not known before the run is `Any` and is looked at when the expression runs.

use super::eval::{NoScope, eval};
use super::fields;
use super::functions::Accept;
use super::node::Node;
use super::parser::{Arithmetic, Ast, Binary, Compare, Kind, parse};
use super::{ExprError, Names, Place, Type};
use crate::value::Value;
use std::ops::Range;

/// A tree that can be evaluated and the type of its result.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub node: Node,
    pub kind: Type,
}

/// Compiles `text[within]`; ranges of mistakes are byte ranges of `text`.
pub(super) fn compile(text: &str, within: Range<usize>, names: &dyn Names) -> Result<Checked, ExprError> {
    let ast = parse(text, within)?;
    Checker { text, names }.check(&ast, true)
}

pub(super) struct Checker<'a> {
    text: &'a str,
    pub(super) names: &'a dyn Names,
}

impl Checker<'_> {
    /// `outermost` is where `raw(x)` has a meaning.
    pub(super) fn check(&self, ast: &Ast, outermost: bool) -> Result<Checked, ExprError> {
        match &ast.kind {
            Kind::Literal(value) => Ok(constant(value.clone())),
            Kind::Name(_) => self.path(ast),
            Kind::Field(base, name) => match leading_names(ast) {
                Some(_) => self.path(ast),
                None => self.field(self.check(base, false)?, name, base, ast),
            },
            Kind::Index(base, index) => match leading_names(ast) {
                Some(_) => self.path(ast),
                None => self.index(base, index),
            },
            Kind::List(items) => {
                let nodes: Result<_, _> = items.iter().map(|item| Ok(self.check(item, false)?.node)).collect();
                Ok(folded(Node::List(nodes?), Type::List))
            }
            Kind::Map(entries) => self.map(entries),
            Kind::Not(x) => {
                let node = self.condition(x)?;
                Ok(folded(Node::Not(Box::new(node)), Type::Bool))
            }
            Kind::Negate(x) => self.negate(x),
            Kind::Binary(operator, left, right) => self.binary(*operator, left, right, ast),
            Kind::Conditional(condition, yes, no) => self.conditional(condition, yes, no, outermost),
            Kind::Call { .. } => self.call(ast, outermost),
        }
    }

    fn source(&self, ast: &Ast) -> String {
        let source = &self.text[ast.range.clone()];
        if source.chars().count() <= 40 {
            return source.to_owned();
        }
        source.chars().take(39).chain(['…']).collect()
    }

    /// A name with its fields: as many of them as the name's place uses, the rest is field access.
    fn path(&self, ast: &Ast) -> Result<Checked, ExprError> {
        let parts = leading_names(ast).unwrap_or_default();
        let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
        let (place, mut kind, used) =
            self.names.resolve(&names).map_err(|error| self.unknown_name(error, &parts, ast.range.start))?;
        let used = used.clamp(1, parts.len());
        let mut end = parts[used - 1].1;
        let mut node = match place {
            Place::Marker => Node::Marker(None, fields::ELSEWHERE),
            place => Node::Load { place, name: names[..used].join(".").into(), at: ast.range.start },
        };
        for (name, field_end) in &parts[used..] {
            if !matches!(kind, Type::Any | Type::Map) {
                return Err(no_field(&self.text[ast.range.start..end], name, kind, end..*field_end));
            }
            node = Node::Field(Box::new(node), (*name).into());
            kind = Type::Any;
            end = *field_end;
        }
        Ok(Checked { node, kind })
    }

    /// Points at the shortest part of the path that already gives the same error.
    fn unknown_name(&self, error: ExprError, parts: &[(&str, usize)], start: usize) -> ExprError {
        let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
        let guilty = (1..=names.len())
            .find(|n| matches!(self.names.resolve(&names[..*n]), Err(e) if e.message == error.message))
            .unwrap_or(names.len());
        ExprError { range: start..parts[guilty - 1].1, ..error }
    }

    fn field(&self, base: Checked, name: &str, base_ast: &Ast, ast: &Ast) -> Result<Checked, ExprError> {
        if !matches!(base.kind, Type::Any | Type::Map) {
            let range = base_ast.range.end..ast.range.end;
            return Err(no_field(&self.source(base_ast), name, base.kind, range));
        }
        Ok(folded(Node::Field(Box::new(base.node), name.into()), Type::Any))
    }

    fn index(&self, base_ast: &Ast, index_ast: &Ast) -> Result<Checked, ExprError> {
        let base = self.check(base_ast, false)?;
        let index = self.check(index_ast, false)?;
        let wanted = match base.kind {
            Type::List => "a whole number, counted from 0",
            Type::Map => "text",
            Type::Any => "a whole number or text",
            other => {
                return Err(mismatch(
                    base_ast.range.clone(),
                    format!("`{}` is {} and has no items", self.source(base_ast), other.name()),
                    "only lists and maps are read with `[ ]`".into(),
                ));
            }
        };
        let fits = match index.kind {
            Type::Any => true,
            Type::Int => base.kind != Type::Map,
            Type::Text => base.kind != Type::List,
            _ => false,
        };
        if !fits {
            return Err(self.wrong(index_ast, index.kind, wanted));
        }
        if let Some(Value::Int(..0)) = index.node.as_const() {
            return Err(ExprError {
                range: index_ast.range.clone(),
                message: "an index cannot be negative".into(),
                help: Some("the first item is [0], the last of `x` is x[size(x) - 1]".into()),
                code: "out-of-range",
            });
        }
        Ok(folded(Node::Index(Box::new([base.node, index.node])), Type::Any))
    }

    fn map(&self, entries: &[(Ast, Ast)]) -> Result<Checked, ExprError> {
        let mut pairs: Vec<(Node, Node)> = Vec::with_capacity(entries.len());
        for (key_ast, value_ast) in entries {
            let key = self.check(key_ast, false)?;
            if !matches!(key.kind, Type::Any | Type::Text) {
                return Err(self.wrong(key_ast, key.kind, "text as the key of a map"));
            }
            if let Some(value) = key.node.as_const()
                && pairs.iter().any(|(k, _)| k.as_const() == Some(value))
            {
                return Err(ExprError {
                    range: key_ast.range.clone(),
                    message: format!("the key `{value}` is there twice"),
                    help: Some("remove one of them".into()),
                    code: "duplicate-key",
                });
            }
            pairs.push((key.node, self.check(value_ast, false)?.node));
        }
        Ok(folded(Node::Map(pairs), Type::Map))
    }

    fn condition(&self, ast: &Ast) -> Result<Node, ExprError> {
        let checked = self.check(ast, false)?;
        match checked.kind {
            Type::Any | Type::Bool => Ok(checked.node),
            kind => {
                let source = self.source(ast);
                let example = match kind {
                    Type::Int | Type::Float => format!("`{source} != 0`"),
                    Type::Text => format!("`{source} != ''`"),
                    _ => format!("`{source} != null`"),
                };
                Err(mismatch(
                    ast.range.clone(),
                    format!("`{source}` is {}, expected true or false", kind.name()),
                    format!("compare it, as in {example}"),
                ))
            }
        }
    }

    fn negate(&self, ast: &Ast) -> Result<Checked, ExprError> {
        let x = self.check(ast, false)?;
        if !Accept::Number.takes(x.kind) {
            return Err(self.wrong(ast, x.kind, Accept::Number.wanted()));
        }
        let kind = x.kind;
        Ok(folded(Node::Negate(Box::new(x.node)), kind))
    }

    fn conditional(&self, condition: &Ast, yes: &Ast, no: &Ast, outermost: bool) -> Result<Checked, ExprError> {
        let condition = self.condition(condition)?;
        let yes = self.check(yes, outermost)?;
        let no = self.check(no, outermost)?;
        match condition.as_const() {
            Some(Value::Bool(true)) => return Ok(yes),
            Some(Value::Bool(false)) => return Ok(no),
            _ => {}
        }
        Ok(Checked {
            kind: joined(yes.kind, no.kind),
            node: Node::Conditional(Box::new([condition, yes.node, no.node])),
        })
    }

    fn binary(&self, operator: Binary, left_ast: &Ast, right_ast: &Ast, whole: &Ast) -> Result<Checked, ExprError> {
        match operator {
            Binary::Or | Binary::And => {
                let pair = Box::new([self.condition(left_ast)?, self.condition(right_ast)?]);
                let node = match operator {
                    Binary::Or => Node::Or(pair),
                    _ => Node::And(pair),
                };
                Ok(folded(node, Type::Bool))
            }
            Binary::In => self.is_in(left_ast, right_ast),
            Binary::Compare(compare) => {
                let left = self.check(left_ast, false)?;
                let right = self.check(right_ast, false)?;
                if !may_compare(compare, left.kind, right.kind) {
                    return Err(self.cannot_compare(left_ast, &left, right_ast, &right, whole));
                }
                let pair = Box::new([left.node, right.node]);
                Ok(folded(Node::Compare(compare, pair), Type::Bool))
            }
            Binary::Arithmetic(arithmetic) => self.arithmetic(arithmetic, left_ast, right_ast),
        }
    }

    fn is_in(&self, left_ast: &Ast, right_ast: &Ast) -> Result<Checked, ExprError> {
        let left = self.check(left_ast, false)?;
        let right = self.check(right_ast, false)?;
        if right.kind == Type::Text {
            return Err(mismatch(
                right_ast.range.clone(),
                "`in` looks into lists and maps, not into text".into(),
                format!("write `{}.contains({})`", self.source(right_ast), self.source(left_ast)),
            ));
        }
        if !matches!(right.kind, Type::Any | Type::List | Type::Map) {
            return Err(self.wrong(right_ast, right.kind, "a list or a map after `in`"));
        }
        if right.kind == Type::Map && !Accept::Text.takes(left.kind) {
            return Err(self.wrong(left_ast, left.kind, "text as the key of a map"));
        }
        Ok(folded(Node::In(Box::new([left.node, right.node])), Type::Bool))
    }

    fn arithmetic(&self, operator: Arithmetic, left_ast: &Ast, right_ast: &Ast) -> Result<Checked, ExprError> {
        let left = self.check(left_ast, false)?;
        let right = self.check(right_ast, false)?;
        let adds = operator == Arithmetic::Add;
        let kind = match (left.kind, right.kind) {
            (Type::Int, Type::Int) => Type::Int,
            (Type::Float, Type::Int | Type::Float | Type::Any) | (Type::Int | Type::Any, Type::Float) => Type::Float,
            (Type::Any, Type::Any | Type::Int) | (Type::Int, Type::Any) => Type::Any,
            (Type::Text, Type::Text | Type::Any) | (Type::Any, Type::Text) if adds => {
                let mut parts = Vec::new();
                for node in [left.node, right.node] {
                    match node {
                        Node::Concat(more) => parts.extend(more),
                        one => parts.push(one),
                    }
                }
                return Ok(folded(Node::Concat(parts), Type::Text));
            }
            (Type::List, Type::List | Type::Any) | (Type::Any, Type::List) if adds => Type::List,
            (a, b) => return Err(self.cannot_calculate(adds, (left_ast, a), (right_ast, b))),
        };
        let pair = Box::new([left.node, right.node]);
        Ok(folded(Node::Arithmetic(operator, pair), kind))
    }

    fn cannot_calculate(&self, adds: bool, left: (&Ast, Type), right: (&Ast, Type)) -> ExprError {
        let joins = |kind| matches!(kind, Type::Text | Type::List);
        if adds && (joins(left.1) || joins(right.1)) {
            // The text or list stays, the other side has to become one.
            let (stays, guilty) = if joins(left.1) { (left.1, right) } else { (right.1, left) };
            let wanted = match stays {
                Type::Text => "text",
                _ => "a list on both sides of `+`",
            };
            return self.wrong(guilty.0, guilty.1, wanted);
        }
        let guilty = if Accept::Number.takes(left.1) { right } else { left };
        self.wrong(guilty.0, guilty.1, Accept::Number.wanted())
    }

    fn cannot_compare(
        &self,
        left_ast: &Ast,
        left: &Checked,
        right_ast: &Ast,
        right: &Checked,
        whole: &Ast,
    ) -> ExprError {
        let is_number = |kind| matches!(kind, Type::Int | Type::Float);
        let (text, number) = if left.kind == Type::Text {
            ((left_ast, left), (right_ast, right))
        } else {
            ((right_ast, right), (left_ast, left))
        };
        let help = if text.1.kind == Type::Text && is_number(number.1.kind) {
            match (text.1.node.as_const(), number.1.node.as_const()) {
                (Some(value), _) => format!("write a number without quotes instead of '{value}'"),
                (None, Some(value)) => {
                    format!("write `int({})` to compare numbers, or '{value}' to compare texts", self.source(text.0))
                }
                (None, None) => {
                    format!("write `int({})` to compare numbers", self.source(text.0))
                }
            }
        } else {
            "compare number with number or text with text".into()
        };
        mismatch(
            whole.range.clone(),
            format!(
                "`{}` is {} and `{}` is {}: they cannot be compared",
                self.source(left_ast),
                left.kind.name(),
                self.source(right_ast),
                right.kind.name()
            ),
            help,
        )
    }

    /// `ast` has a type that its place does not take.
    pub(super) fn wrong(&self, ast: &Ast, kind: Type, wanted: &str) -> ExprError {
        let source = self.source(ast);
        let help = match kind {
            Type::Int | Type::Float | Type::Bool if wanted.contains("text") => {
                format!("write `string({source})`")
            }
            Type::Text if wanted.contains("number") => format!("write `int({source})`"),
            Type::Float if wanted.contains("whole number") => format!("write `int({source})`"),
            _ => format!("this place takes {wanted}"),
        };
        mismatch(ast.range.clone(), format!("`{source}` is {}, expected {wanted}", kind.name()), help)
    }
}

/// `a.b["c"]` as names with the byte where each ends; `None` for what does not start with a name.
fn leading_names(ast: &Ast) -> Option<Vec<(&str, usize)>> {
    let (base, name) = match &ast.kind {
        Kind::Name(name) => return Some(vec![(name, ast.range.end)]),
        Kind::Field(base, name) => (base, name.as_str()),
        Kind::Index(base, index) => match &index.kind {
            Kind::Literal(Value::Text(name)) => (base, &**name),
            _ => return None,
        },
        _ => return None,
    };
    let mut names = leading_names(base)?;
    names.push((name, ast.range.end));
    Some(names)
}

fn constant(value: Value) -> Checked {
    Checked { kind: Type::of(&value), node: Node::Const(value) }
}

/// The node's value if all its parts are constant; a node that fails is left for the run to fail.
pub(super) fn folded(node: Node, kind: Type) -> Checked {
    let all_const = |items: &[Node]| items.iter().all(|item| item.as_const().is_some());
    let is_constant = match &node {
        Node::List(items) | Node::Concat(items) | Node::Call(_, items) => all_const(items),
        Node::Map(pairs) => pairs.iter().all(|(k, v)| k.as_const().is_some() && v.as_const().is_some()),
        Node::Not(x) | Node::Negate(x) | Node::Field(x, _) | Node::Matches(x, _) => x.as_const().is_some(),
        Node::Or(pair)
        | Node::And(pair)
        | Node::In(pair)
        | Node::Compare(_, pair)
        | Node::Arithmetic(_, pair)
        | Node::Index(pair) => all_const(pair.as_slice()),
        _ => false,
    };
    if is_constant && let Ok(value) = eval(&node, &mut NoScope) {
        return constant(value);
    }
    Checked { node, kind }
}

pub(super) fn joined(a: Type, b: Type) -> Type {
    if a == b { a } else { Type::Any }
}

fn may_compare(compare: Compare, a: Type, b: Type) -> bool {
    let class = |kind| match kind {
        Type::Int | Type::Float => Type::Float,
        other => other,
    };
    if matches!(compare, Compare::Equal | Compare::NotEqual) {
        return class(a) == class(b) || [a, b].iter().any(|k| matches!(k, Type::Any | Type::Null));
    }
    let ordered = |kind| matches!(kind, Type::Any | Type::Float | Type::Text);
    let (a, b) = (class(a), class(b));
    ordered(a) && ordered(b) && (a == b || a == Type::Any || b == Type::Any)
}

fn no_field(source: &str, name: &str, kind: Type, range: Range<usize>) -> ExprError {
    let help = match kind {
        Type::List => format!("read an item first, as in `{source}[0].{name}`"),
        Type::Text => format!("if the text is JSON, write `json({source}).{name}`"),
        _ => "only maps have fields".into(),
    };
    mismatch(range, format!("`{source}` is {} and has no field `{name}`", kind.name()), help)
}

fn mismatch(range: Range<usize>, message: String, help: String) -> ExprError {
    ExprError { range, message, help: Some(help), code: "type-mismatch" }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FakeNames, FakeScope};
    use super::*;

    /// `marked` is the part of `text` that the error points at.
    fn check(text: &str, marked: &str, code: &str, hint: &str) {
        let error = compile(text, 0..text.len(), &FakeNames).expect_err(text);
        assert_eq!(&text[error.range.clone()], marked, "{text}: {error}");
        assert_eq!(error.code, code, "{text}: {error}");
        let help = error.help.unwrap_or_else(|| panic!("{text}: no help"));
        assert!(error.message.contains(hint) || help.contains(hint), "{text}: {} / {help}", error.message);
    }

    #[test]
    fn names() {
        let check = |text: &str, marked: &str| check(text, marked, "unknown-variable", "did you");
        check("1 + moood", "moood");
        check("moood.a.b", "moood");
        check("account.nmae.x", "account.nmae");
        check("account + 1", "account");
        check("account['nmae']", "account['nmae']");
    }

    #[test]
    fn functions() {
        let unknown = |text: &str, marked, hint| check(text, marked, "unknown-function", hint);
        unknown("1 + sizee(panel)", "sizee", "did you mean `size`");
        unknown("token.startswith('a')", "startswith", "`startsWith`");
        unknown("len(panel)", "len", "size(x)");
        unknown("has(session.user)", "has", "'key' in map");
        unknown("xyzzy()", "xyzzy", "the functions are size, ");
        unknown("token.sha256()", "sha256", "`sha256(account.id)`");
        let arity = |text: &str, hint| check(text, text, "wrong-arity", hint);
        arity("random(1)", "takes 2 arguments, got 1");
        arity("uuid(1)", "takes no argument, got 1");
        arity("marker('a', 'b')", "takes 0 to 1 arguments, got 2");
        arity("token.contains()", "takes 1 argument, got 0");
        arity("token.size(1)", "takes no argument, got 1");
        arity("contains(token)", "takes 2 arguments, got 1");
    }

    #[test]
    fn types() {
        let check = |text: &str, marked, hint| check(text, marked, "type-mismatch", hint);
        check("account.clinic == 12", "account.clinic == 12", "int(account.clinic)");
        check("account.clinic < user.index", "account.clinic < user.index", "int(account.clinic)");
        check("user.index == '7'", "user.index == '7'", "without quotes instead of '7'");
        check("1 < 2 < 3", "1 < 2 < 3", "cannot be compared");
        check("mood < null", "mood < null", "cannot be compared");
        check("[1] == 'a'", "[1] == 'a'", "cannot be compared");
        check("'a' + 1", "1", "string(1)");
        check("user.index + 'a'", "user.index", "string(user.index)");
        check("account.id - 1", "account.id", "int(account.id)");
        check("2 * account.id", "account.id", "int(account.id)");
        check("[1] + 2", "2", "a list on both sides");
        check("true + 1", "true", "a number");
        check("-account.id", "account.id", "a number");
        check("account.id && true", "account.id", "account.id != ''");
        check("!user.index", "user.index", "user.index != 0");
        check("user.index ? 1 : 2", "user.index", "expected true or false");
        check("'a' in account.id", "account.id", "account.id.contains('a')");
        check("1 in 2", "2", "a list or a map");
        check("1 in {'a': 1}", "1", "text as the key");
        check("{1: 2}", "1", "text as the key");
        check("account.id.name", ".name", "json(account.id).name");
        check("(1 + 2).x", ".x", "only maps have fields");
        check("[1].x", ".x", "[1][0].x");
        check("account.id[0]", "account.id", "has no items");
        check("[1]['a']", "'a'", "a whole number");
        check("last.headers[0]", "0", "text");
        check("size(1)", "1", "text, a list or a map");
        check("pick('abc')", "'abc'", "a list");
        check("text('10')", "'10'", "int('10')");
        check("text(1.5)", "1.5", "int(1.5)");
        check("user.index.contains('a')", "user.index", "string(user.index)");
        check("json([1])", "[1]", "text");
        check("sha256([1])", "[1]", "text, a number or a bool");
    }

    #[test]
    fn values_that_can_never_be_right() {
        check("panel[-1]", "-1", "out-of-range", "cannot be negative");
        check("text(1000001)", "1000001", "out-of-range", "0 to 1000000");
        check("text(-1)", "-1", "out-of-range", "0 to 1000000");
        check("random(5, 1)", "1", "out-of-range", "random(5, 1)");
        check("{'a': 1, 'a': 2}", "'a'", "duplicate-key", "twice");
        check("token.matches('(a')", "'(a'", "bad-regex", "unclosed group");
        check("matches(token, '*')", "'*'", "bad-regex", "valid regex");
        check("token.matches('(a{1000}){1000}')", "'(a{1000}){1000}'", "bad-regex", "size limit");
        check("1 + raw(2)", "raw(2)", "misplaced-raw", "round the whole");
        check("[raw(2)]", "raw(2)", "misplaced-raw", "round the whole");
    }

    #[test]
    fn constants_are_folded() {
        let check = |text: &str, expected: bool| {
            let checked = compile(text, 0..text.len(), &FakeNames).expect(text);
            assert_eq!(checked.node.as_const().is_some(), expected, "{text}");
        };
        check("1 + 2 * 3 - size('abc')", true);
        check("{'a': [1, 2]}.a[1]", true);
        check("sha256('a') + base64('b') + string(1)", true);
        check("'abc'.matches('^a') ? json('[1]') : mood", true);
        check("1 in [1, 2] && !('a' == 'b')", true);
        check("now()", false);
        check("uuid()", false);
        check("random(1, 2)", false);
        check("pick([1])", false);
        check("text(3)", false);
        check("client_id()", false);
        check("marker('a')", false);
        check("[1, mood]", false);
    }

    /// The deepest trees that the parser lets through are checked, run and freed within a test thread's stack.
    #[test]
    fn deepest_trees_fit_the_stack() {
        let chain = format!("mood{}", " - mood".repeat(190));
        let mut texts = vec![chain.clone(), format!("mood{}", ".a".repeat(190))];
        texts.push(format!("{}{chain}{}", "(1 + ".repeat(60), ")".repeat(60)));
        texts.push(format!("{}{chain}{}", "[".repeat(60), "]".repeat(60)));
        texts.push(format!("{}true", "mood == 2 ? true : ".repeat(60)));
        for text in texts {
            let checked = compile(&text, 0..text.len(), &FakeNames).unwrap_or_else(|e| panic!("{}: {e}", &text[..40]));
            let _ = eval(&checked.node, &mut FakeScope::default());
        }
    }
}
