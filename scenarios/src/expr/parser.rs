//! Tokens to a tree, by CEL's grammar and precedence.
//! In: text and the range of the expression in it. Out: [`Ast`], every node with its byte range.
//! Depth is bounded here, so everything after may recurse.

use super::lexer::{Spanned, Token, tokens};
use super::{ExprError, syntax_error};
use crate::value::Value;
use std::ops::Range;

/// How deep brackets, calls, signs and `?:` may nest.
const MAX_NESTING: usize = 64;
/// How high the tree may get, long chains such as `a + b + c …` included.
const MAX_HEIGHT: usize = 256;

#[derive(Clone, Debug)]
pub(super) struct Ast {
    pub kind: Kind,
    pub range: Range<usize>,
    height: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Literal(Value),
    Name(String),
    List(Vec<Ast>),
    Map(Vec<(Ast, Ast)>),
    Not(Box<Ast>),
    Negate(Box<Ast>),
    Binary(Binary, Box<Ast>, Box<Ast>),
    Conditional(Box<Ast>, Box<Ast>, Box<Ast>),
    Field(Box<Ast>, String),
    Index(Box<Ast>, Box<Ast>),
    /// The receiver of a method is the first argument.
    Call {
        name: String,
        name_range: Range<usize>,
        is_method: bool,
        arguments: Vec<Ast>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Or,
    And,
    In,
    Compare(Compare),
    Arithmetic(Arithmetic),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// Parses `text[within]` as one whole expression.
pub(super) fn parse(text: &str, within: Range<usize>) -> Result<Ast, ExprError> {
    if text[within.clone()].trim().is_empty() {
        return Err(syntax_error(
            within,
            "an expression is missing here".into(),
            "write a name, such as `account.id`, or a value",
        ));
    }
    let mut parser = Parser { tokens: tokens(text, within)?, at: 0, nesting: 0 };
    let ast = parser.expression()?;
    match &parser.peek().token {
        Token::End => Ok(ast),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    nesting: usize,
}

impl Parser {
    fn peek(&self) -> &Spanned {
        // The last token is `End` and is never passed.
        &self.tokens[self.at]
    }

    fn advance(&mut self) -> Spanned {
        let token = self.tokens[self.at].clone();
        if token.token != Token::End {
            self.at += 1;
        }
        token
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek().token, Token::Symbol(s) if s == symbol)
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<Range<usize>, ExprError> {
        if self.is_symbol(symbol) {
            return Ok(self.advance().range);
        }
        Err(self.unexpected(&format!("`{symbol}`")))
    }

    fn unexpected(&self, wanted: &str) -> ExprError {
        let Spanned { token, range } = self.peek();
        let found = match token {
            Token::End => "the expression ends here".to_owned(),
            Token::Name(name) => format!("found `{name}`"),
            Token::Symbol(symbol) => format!("found `{symbol}`"),
            Token::Int(_) | Token::Float(_) => "found a number".to_owned(),
            Token::Text(_) => "found a text".to_owned(),
        };
        let help = match token {
            Token::Name(name) => match name.as_str() {
                "and" | "AND" => "write `&&` for \"and\"",
                "or" | "OR" => "write `||` for \"or\"",
                "not" | "NOT" => "write `!` for \"not\"",
                "is" => "write `==` to compare",
                "if" | "else" => "write `condition ? this : that`",
                _ => "join texts with `+`, and quote text: 'like this'",
            },
            Token::End => "complete the expression",
            Token::Symbol("{" | "}") => "write no `{{ }}` inside an expression",
            _ => "check the brackets and operators before this place",
        };
        syntax_error(range.clone(), format!("expected {wanted}, {found}"), help)
    }

    /// Counts one level of nesting round `inner`.
    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Result<Ast, ExprError>) -> Result<Ast, ExprError> {
        if self.nesting == MAX_NESTING {
            return Err(too_deep(
                self.peek().range.clone(),
                format!("this expression nests deeper than {MAX_NESTING} levels"),
            ));
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    fn expression(&mut self) -> Result<Ast, ExprError> {
        self.nested(|p| {
            let condition = p.binary(1)?;
            if !p.accept("?") {
                return Ok(condition);
            }
            let yes = p.expression()?;
            p.expect(":")?;
            let no = p.expression()?;
            let range = condition.range.start..no.range.end;
            let height = condition.height.max(yes.height).max(no.height);
            node(Kind::Conditional(Box::new(condition), Box::new(yes), Box::new(no)), range, height)
        })
    }

    /// Operators of at least this binding strength, left to right.
    fn binary(&mut self, least: u8) -> Result<Ast, ExprError> {
        let mut left = self.unary()?;
        while let Some((operator, strength)) = binary_operator(&self.peek().token) {
            if strength < least {
                break;
            }
            self.advance();
            let right = self.binary(strength + 1)?;
            let range = left.range.start..right.range.end;
            let height = left.height.max(right.height);
            left = node(Kind::Binary(operator, Box::new(left), Box::new(right)), range, height)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Ast, ExprError> {
        let start = self.peek().range.start;
        if self.accept("!") {
            let inner = self.nested(Self::unary)?;
            let (range, height) = (start..inner.range.end, inner.height);
            return node(Kind::Not(Box::new(inner)), range, height);
        }
        if !self.accept("-") {
            return self.postfix();
        }
        // The smallest i64 exists only with its sign.
        if let Token::Int(n) = self.peek().token {
            let range = start..self.peek().range.end;
            let value = 0i64.checked_sub_unsigned(n).ok_or_else(|| {
                syntax_error(
                    range.clone(),
                    "this number is too small".into(),
                    "whole numbers go down to -9223372036854775808",
                )
            })?;
            self.advance();
            return Ok(literal(Value::Int(value), range));
        }
        let inner = self.nested(Self::unary)?;
        let (range, height) = (start..inner.range.end, inner.height);
        node(Kind::Negate(Box::new(inner)), range, height)
    }

    fn postfix(&mut self) -> Result<Ast, ExprError> {
        let mut base = self.primary()?;
        loop {
            let start = base.range.start;
            if self.accept(".") {
                let Token::Name(name) = self.peek().token.clone() else {
                    return Err(self.unexpected("a field's name"));
                };
                let name_range = self.advance().range;
                if self.accept("(") {
                    base = self.call(start, name, name_range, Some(base))?;
                } else {
                    let height = base.height;
                    base = node(Kind::Field(Box::new(base), name), start..name_range.end, height)?;
                }
            } else if self.accept("[") {
                let index = self.expression()?;
                let end = self.expect("]")?.end;
                let height = base.height.max(index.height);
                base = node(Kind::Index(Box::new(base), Box::new(index)), start..end, height)?;
            } else {
                return Ok(base);
            }
        }
    }

    fn primary(&mut self) -> Result<Ast, ExprError> {
        let Spanned { token, range } = self.peek().clone();
        match token {
            Token::Int(n) => {
                let value = i64::try_from(n).map_err(|_| {
                    syntax_error(
                        range.clone(),
                        "this number is too large".into(),
                        "whole numbers go up to 9223372036854775807",
                    )
                })?;
                self.advance();
                Ok(literal(Value::Int(value), range))
            }
            Token::Float(x) => {
                self.advance();
                Ok(literal(Value::Float(x), range))
            }
            Token::Text(text) => {
                self.advance();
                Ok(literal(Value::text(text), range))
            }
            Token::Name(name) => self.name(name, range),
            Token::Symbol("(") => {
                self.advance();
                let mut inner = self.expression()?;
                inner.range = range.start..self.expect(")")?.end;
                Ok(inner)
            }
            Token::Symbol("[") => {
                self.advance();
                let (items, end) = self.list_until("]")?;
                let height = highest(&items);
                node(Kind::List(items), range.start..end, height)
            }
            Token::Symbol("{") => self.map(range.start),
            Token::Symbol(_) | Token::End => Err(self.unexpected("a value")),
        }
    }

    fn name(&mut self, name: String, range: Range<usize>) -> Result<Ast, ExprError> {
        let constant = match name.as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            "in" => return Err(self.unexpected("a value")),
            _ => None,
        };
        self.advance();
        if let Some(value) = constant {
            return Ok(literal(value, range));
        }
        if self.accept("(") {
            return self.call(range.start, name, range, None);
        }
        Ok(Ast { kind: Kind::Name(name), range, height: 1 })
    }

    /// After the opening parenthesis.
    fn call(
        &mut self,
        start: usize,
        name: String,
        name_range: Range<usize>,
        receiver: Option<Ast>,
    ) -> Result<Ast, ExprError> {
        let is_method = receiver.is_some();
        let mut arguments: Vec<Ast> = receiver.into_iter().collect();
        let (rest, end) = self.list_until(")")?;
        arguments.extend(rest);
        let height = highest(&arguments);
        let kind = Kind::Call { name, name_range, is_method, arguments };
        node(kind, start..end, height)
    }

    /// Comma-separated expressions and the closing symbol; a comma before the end is allowed, as in CEL.
    fn list_until(&mut self, close: &str) -> Result<(Vec<Ast>, usize), ExprError> {
        let mut items = Vec::new();
        while !self.is_symbol(close) {
            items.push(self.expression()?);
            if !self.accept(",") {
                break;
            }
        }
        Ok((items, self.expect(close)?.end))
    }

    fn map(&mut self, start: usize) -> Result<Ast, ExprError> {
        self.advance();
        let mut entries = Vec::new();
        while !self.is_symbol("}") {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
            if !self.accept(",") {
                break;
            }
        }
        let end = self.expect("}")?.end;
        let height = entries.iter().map(|(k, v)| k.height.max(v.height)).max().unwrap_or(0);
        node(Kind::Map(entries), start..end, height)
    }
}

fn binary_operator(token: &Token) -> Option<(Binary, u8)> {
    let symbol = match token {
        Token::Symbol(symbol) => *symbol,
        Token::Name(name) if name == "in" => "in",
        _ => return None,
    };
    Some(match symbol {
        "||" => (Binary::Or, 1),
        "&&" => (Binary::And, 2),
        "in" => (Binary::In, 3),
        "==" => (Binary::Compare(Compare::Equal), 3),
        "!=" => (Binary::Compare(Compare::NotEqual), 3),
        "<" => (Binary::Compare(Compare::Less), 3),
        "<=" => (Binary::Compare(Compare::LessOrEqual), 3),
        ">" => (Binary::Compare(Compare::Greater), 3),
        ">=" => (Binary::Compare(Compare::GreaterOrEqual), 3),
        "+" => (Binary::Arithmetic(Arithmetic::Add), 4),
        "-" => (Binary::Arithmetic(Arithmetic::Subtract), 4),
        "*" => (Binary::Arithmetic(Arithmetic::Multiply), 5),
        "/" => (Binary::Arithmetic(Arithmetic::Divide), 5),
        "%" => (Binary::Arithmetic(Arithmetic::Remainder), 5),
        _ => return None,
    })
}

fn literal(value: Value, range: Range<usize>) -> Ast {
    Ast { kind: Kind::Literal(value), range, height: 1 }
}

fn highest(items: &[Ast]) -> usize {
    items.iter().map(|i| i.height).max().unwrap_or(0)
}

/// A node over children of at most `height`.
fn node(kind: Kind, range: Range<usize>, height: usize) -> Result<Ast, ExprError> {
    if height >= MAX_HEIGHT {
        return Err(too_deep(range, format!("this expression chains more than {MAX_HEIGHT} operations")));
    }
    Ok(Ast { kind, range, height: height + 1 })
}

fn too_deep(range: Range<usize>, message: String) -> ExprError {
    ExprError { range, message, help: Some("split it: save a part under a name with `set`".into()), code: "too-deep" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The tree with every operation in brackets.
    fn shape(ast: &Ast) -> String {
        let all = |items: &[Ast]| items.iter().map(shape).collect::<Vec<_>>().join(" ");
        match &ast.kind {
            Kind::Literal(value) => value.to_string(),
            Kind::Name(name) => name.clone(),
            Kind::List(items) => format!("[{}]", all(items)),
            Kind::Map(entries) => {
                let entries = entries.iter().map(|(k, v)| format!("{}:{}", shape(k), shape(v)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
            Kind::Not(x) => format!("(! {})", shape(x)),
            Kind::Negate(x) => format!("(- {})", shape(x)),
            Kind::Binary(operator, a, b) => format!("({operator:?} {} {})", shape(a), shape(b)),
            Kind::Conditional(a, b, c) => format!("(? {} {} {})", shape(a), shape(b), shape(c)),
            Kind::Field(base, name) => format!("{}.{name}", shape(base)),
            Kind::Index(base, index) => format!("{}[{}]", shape(base), shape(index)),
            Kind::Call { name, arguments, .. } => format!("{name}({})", all(arguments)),
        }
    }

    #[test]
    fn precedence() {
        let check = |text: &str, expected: &str| {
            let ast = parse(text, 0..text.len()).unwrap_or_else(|e| panic!("{text}: {e}"));
            let found = shape(&ast)
                .replace("Arithmetic(", "")
                .replace("Compare(", "")
                .replace("Add)", "+")
                .replace("Subtract)", "-")
                .replace("Multiply)", "*")
                .replace("Equal)", "==")
                .replace("Less)", "<");
            assert_eq!(found, expected, "{text}");
        };
        check("a - b - c", "(- (- a b) c)");
        check("a + b * c", "(+ a (* b c))");
        check("a * b + c", "(+ (* a b) c)");
        check("-a * b", "(* (- a) b)");
        check("-a.b", "(- a.b)");
        check("!a == b", "(== (! a) b)");
        check("a || b && c", "(Or a (And b c))");
        check("a && b == c + d", "(And a (== b (+ c d)))");
        check("a in b || c", "(Or (In a b) c)");
        check("a ? b : c ? d : e", "(? a b (? c d e))");
        check("a || b ? c : d", "(? (Or a b) c d)");
        check("a.b(c).d[e].f()", "f(b(a c).d[e])");
        check("[a, b,]", "[a b]");
        check("{'a': b ? c : d}", "{a:(? b c d)}");
        check("f()", "f()");
        check("inside", "inside");
    }

    #[test]
    fn mistakes_carry_their_place() {
        let check = |text: &str, marked: &str, hint: &str| {
            let error = parse(text, 0..text.len()).expect_err(text);
            assert_eq!(&text[error.range.clone()], marked, "{text}: {error}");
            assert_eq!(error.code, "expression-syntax", "{text}");
            let help = error.help.unwrap_or_default();
            assert!(error.message.contains(hint) || help.contains(hint), "{text}: {} / {help}", error.message);
        };
        check("", "", "missing");
        check("  ", "  ", "missing");
        check("a b", "b", "expected an operator or the end, found `b`");
        check("a and b", "and", "`&&`");
        check("not a", "a", "operator");
        check("(a", "", "`)`");
        check("a)", ")", "expected an operator");
        check("f(a", "", "`)`");
        check("[a, , b]", ",", "a value");
        check("{'a' 1}", "1", "`:`");
        check("a.", "", "a field's name");
        check("a.1", "1", "a field's name");
        check("a ? b", "", "`:`");
        check("a + ", "", "complete");
        check("* a", "*", "a value");
        check("9223372036854775808", "9223372036854775808", "too large");
        check("-9223372036854775809", "-9223372036854775809", "too small");
        check("a }} b", "}", "`{{ }}`");
    }

    #[test]
    fn depth_is_bounded() {
        let check = |text: &str, fits: bool| {
            let result = parse(text, 0..text.len());
            match result {
                Ok(_) => assert!(fits, "{} bytes", text.len()),
                Err(e) => {
                    assert_eq!(e.code, "too-deep", "{e}");
                    assert!(!fits, "{} bytes", text.len());
                }
            }
        };
        let around = |open: &str, n: usize, close: &str| format!("{}1{}", open.repeat(n), close.repeat(n));
        check(&around("(", 63, ")"), true);
        check(&around("(", 64, ")"), false);
        check(&around("[", 100_000, "]"), false);
        check(&around("{'a':", 100_000, "}"), false);
        check(&around("f(", 100_000, ")"), false);
        check(&around("a[", 100_000, "]"), false);
        check(&around("!", 100_000, ""), false);
        check(&around("- ", 100_000, ""), false);
        check(&around("a ? b : ", 100_000, ""), false);
        check(&around("1 + ", 200, ""), true);
        check(&around("1 + ", 100_000, ""), false);
        check(&format!("a{}", ".b".repeat(200)), true);
        check(&format!("a{}", ".b".repeat(100_000)), false);
        check(&format!("a{}", ".b()".repeat(100_000)), false);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            if let Err(error) = parse(&text, 0..text.len()) {
                // The place can be shown: within the text, on character boundaries.
                prop_assert!(text.get(error.range).is_some());
            }
        }

        #[test]
        fn no_expression_makes_it_panic(text in "[ab1.5+*/%<>=!&|?:,'\"\\\\()\\[\\]{} -]{0,40}") {
            if let Err(error) = parse(&text, 0..text.len()) {
                prop_assert!(text.get(error.range).is_some());
                prop_assert!(error.help.is_some());
            }
        }
    }
}
