//! Expression text to tokens.
//! In: the whole text and the byte range of the expression in it. Out: tokens with byte ranges in the whole text.

use super::{ExprError, syntax_error};
use std::ops::Range;

/// One token; keywords are names here, the parser tells them apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A whole number without its sign, so that the smallest `i64` can be written.
    Int(u64),
    Float(f64),
    Text(String),
    Name(String),
    Symbol(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub(super) struct Spanned {
    pub token: Token,
    pub range: Range<usize>,
}

/// Longer ones first: the first that fits is taken.
const SYMBOLS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "+", "-", "*", "/", "%", "<", ">", "!", "?", ":", ",", ".", "(", ")", "[", "]",
    "{", "}",
];

/// Splits `text[within]`; the last token is always [`Token::End`].
pub(super) fn tokens(text: &str, within: Range<usize>) -> Result<Vec<Spanned>, ExprError> {
    let mut lexer = Lexer { text, at: within.start, end: within.end };
    let mut tokens = Vec::new();
    loop {
        let next = lexer.next_token()?;
        let done = next.token == Token::End;
        tokens.push(next);
        if done {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..self.end]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn next_token(&mut self) -> Result<Spanned, ExprError> {
        self.skip_while(char::is_whitespace);
        let start = self.at;
        let token = match self.peek() {
            None => Token::End,
            Some('\'' | '"') => Token::Text(self.quoted(false)?),
            Some('r' | 'R') if self.rest()[1..].starts_with(['\'', '"']) => {
                self.at += 1;
                Token::Text(self.quoted(true)?)
            }
            Some(c) if c.is_ascii_digit() => self.number()?,
            Some(c) if is_name_start(c) => Token::Name(self.skip_while(|c| is_name_start(c) || c.is_numeric()).into()),
            Some(c) => self.symbol(c)?,
        };
        Ok(Spanned { token, range: start..self.at })
    }

    fn symbol(&mut self, first: char) -> Result<Token, ExprError> {
        let rest = self.rest();
        if let Some(symbol) = SYMBOLS.iter().find(|s| rest.starts_with(**s)) {
            self.at += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        let help = match first {
            '=' => "write `==` to compare",
            '&' => "write `&&` for \"and\"",
            '|' => "write `||` for \"or\"; there are no filters, functions are called as in `url(x)`",
            '$' => "save the value under a name first, then write the name",
            _ => "quote text: 'like this'",
        };
        let range = self.at..self.at + first.len_utf8();
        Err(syntax_error(range, format!("`{first}` does not belong here"), help))
    }

    fn number(&mut self) -> Result<Token, ExprError> {
        let start = self.at;
        if let Some(hex) = self.rest().strip_prefix("0x") {
            let digits = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
            self.at += 2 + digits;
            self.no_letters_after(start)?;
            return u64::from_str_radix(&hex[..digits], 16).map(Token::Int).map_err(|_| bad_number(start..self.at));
        }
        self.skip_while(|c| c.is_ascii_digit());
        let mut is_float = false;
        if let Some(fraction) = self.rest().strip_prefix('.')
            && fraction.starts_with(|c: char| c.is_ascii_digit())
        {
            is_float = true;
            self.at += 1;
            self.skip_while(|c| c.is_ascii_digit());
        }
        if let Some(exponent) = self.rest().strip_prefix(['e', 'E']) {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.starts_with(|c: char| c.is_ascii_digit()) {
                is_float = true;
                self.at = self.end - digits.len();
                self.skip_while(|c| c.is_ascii_digit());
            }
        }
        self.no_letters_after(start)?;
        let digits = &self.text[start..self.at];
        let token = if is_float {
            let parsed = digits.parse().ok().filter(|x: &f64| x.is_finite());
            parsed.map(Token::Float)
        } else {
            digits.parse().ok().map(Token::Int)
        };
        token.ok_or_else(|| bad_number(start..self.at))
    }

    /// `30s`, `5kB`, `1_000`: units and separators belong to other places of the file.
    fn no_letters_after(&mut self, start: usize) -> Result<(), ExprError> {
        if self.peek().is_some_and(is_name_start) {
            self.skip_while(|c| is_name_start(c) || c.is_numeric());
            let range = start..self.at;
            let message = format!("`{}` is not a number", &self.text[range.clone()]);
            return Err(syntax_error(range, message, "write a plain number; times are in milliseconds in expressions"));
        }
        Ok(())
    }

    /// Text from its opening quote on; in `raw` text a backslash is only a backslash.
    fn quoted(&mut self, raw: bool) -> Result<String, ExprError> {
        let start = self.at;
        let quote = self.peek().unwrap_or('\'');
        self.at += 1;
        let mut text = String::new();
        loop {
            text.push_str(self.skip_while(|c| c != quote && c != '\\'));
            match self.peek() {
                Some('\\') if raw => {
                    text.push('\\');
                    self.at += 1;
                }
                Some('\\') => text.push(self.escape()?),
                Some(_) => {
                    self.at += 1;
                    return Ok(text);
                }
                None => return Err(unclosed_quote(start..start + 1)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, ExprError> {
        let start = self.at;
        self.at += 1;
        let Some(letter) = self.peek() else {
            return Err(unclosed_quote(start..start + 1));
        };
        self.at += letter.len_utf8();
        let simple = match letter {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'v' => '\x0b',
            '\\' | '\'' | '"' | '`' | '?' => letter,
            'x' | 'X' => return self.code_point(start, 2, 16),
            'u' => return self.code_point(start, 4, 16),
            'U' => return self.code_point(start, 8, 16),
            '0'..='3' => {
                self.at -= 1;
                return self.code_point(start, 3, 8);
            }
            _ => {
                return Err(syntax_error(
                    start..self.at,
                    format!("`\\{letter}` is not an escape"),
                    "write `\\\\` for one backslash, or r'…' to take backslashes as they are",
                ));
            }
        };
        Ok(simple)
    }

    fn code_point(&mut self, start: usize, count: usize, radix: u32) -> Result<char, ExprError> {
        let digits = self.rest().get(..count).filter(|d| d.chars().all(|c| c.is_digit(radix)));
        let found = digits.and_then(|d| u32::from_str_radix(d, radix).ok()).and_then(char::from_u32);
        match found {
            Some(c) => {
                self.at += count;
                Ok(c)
            }
            None => Err(syntax_error(
                start..self.at,
                "this escape names no character".into(),
                "write the digits of one Unicode character, as in '\\u00e9' or '\\U0001F600'",
            )),
        }
    }
}

fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn bad_number(range: Range<usize>) -> ExprError {
    syntax_error(range, "this number is too large".into(), "whole numbers go up to 9223372036854775807")
}

pub(super) fn unclosed_quote(range: Range<usize>) -> ExprError {
    syntax_error(
        range,
        "this quote is not closed".into(),
        "put the same quote at the end of the text, or `\\` before a quote that belongs to it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[Token]) {
        let found: Vec<Token> = tokens(text, 0..text.len())
            .unwrap_or_else(|e| panic!("{text}: {e}"))
            .into_iter()
            .map(|t| t.token)
            .collect();
        assert_eq!(found[..found.len() - 1], *expected, "{text}");
    }

    fn check_error(text: &str, expected: Range<usize>) {
        let error = tokens(text, 0..text.len()).expect_err(text);
        assert_eq!(error.range, expected, "{text}: {error}");
        assert!(error.help.is_some(), "{text}");
    }

    fn text(s: &str) -> Token {
        Token::Text(s.into())
    }

    #[test]
    fn what_people_write() {
        use Token::{Float, Int, Name, Symbol};
        check("", &[]);
        check("1 2.5 1e3 1.5e-3 0x1F", &[Int(1), Float(2.5), Float(1000.0), Float(0.0015), Int(31)]);
        check("a.b", &[Name("a".into()), Symbol("."), Name("b".into())]);
        check("1.size", &[Int(1), Symbol("."), Name("size".into())]);
        check("a<=b", &[Name("a".into()), Symbol("<="), Name("b".into())]);
        check(r#"'it\'s' "a\"b" 'é\u00e9\x41\101'"#, &[text("it's"), text("a\"b"), text("ééAA")]);
        check(r"r'\d+' R'\'", &[text(r"\d+"), text("\\")]);
        check("größe_1", &[Name("größe_1".into())]);
        check("r", &[Name("r".into())]);
    }

    #[test]
    fn mistakes_carry_their_place() {
        check_error("a = 1", 2..3);
        check_error("a & b", 2..3);
        check_error("'abc", 0..1);
        check_error("x + 'abc\\", 8..9);
        check_error(r"'\d'", 1..3);
        check_error(r"'\ud800'", 1..3);
        check_error("30s", 0..3);
        check_error("99999999999999999999", 0..20);
        check_error("1e999", 0..5);
        check_error("0x", 0..2);
        check_error("é é 😀", 6..10);
    }
}
