//! What each function does.
//! In: a [`Function`], its argument nodes, the scope. Out: a value, or text appended to a buffer.

use super::eval::eval;
use super::functions::{Accept, Function};
use super::node::Node;
use super::write::{Encoding, append as append_text, text_value};
use super::{EvalError, Scope};
use crate::value::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use regex::{Regex, RegexBuilder};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// Most letters of `text(n)`.
pub(super) const MAX_LETTERS: i64 = 1_000_000;
/// A pattern that compiles to more than this is a mistake or an attack.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// Calls with arguments whose number was checked when the file was read.
pub(super) fn call(function: Function, arguments: &[Node], scope: &mut dyn Scope) -> Result<Value, EvalError> {
    match (function, arguments) {
        (Function::Now, []) => Ok(Value::Int(scope.now_ms())),
        (Function::Size, [x]) => size(x, &eval(x, scope)?),
        (Function::Int, [x]) => to_int(x, &eval(x, scope)?),
        (Function::Float, [x]) => to_float(x, &eval(x, scope)?),
        (Function::String, [x]) => to_text(x, eval(x, scope)?),
        (Function::Pick, [list]) => pick(list, scope),
        (Function::Random, [from, to]) => random(from, to, scope),
        (Function::Base64, [x]) => {
            let bytes = scalar(x, scope)?;
            text_value(STANDARD.encode(bytes).into_bytes())
        }
        (Function::Sha256, [x]) => text_value(hex(&Sha256::digest(scalar(x, scope)?))),
        (Function::HmacSha256, [key, x]) => {
            let mut mac = Hmac::<Sha256>::new_from_slice(&scalar(key, scope)?)
                .map_err(|_| EvalError("hmac_sha256(): the key does not fit".into()))?;
            mac.update(&scalar(x, scope)?);
            text_value(hex(&mac.finalize().into_bytes()))
        }
        (Function::Json, [x]) => parse_json(x, scope),
        (Function::Url, [x]) => {
            let mut out = Vec::new();
            let bytes = scalar(x, scope)?;
            append_text(&String::from_utf8_lossy(&bytes), Encoding::Percent, &mut out);
            text_value(out)
        }
        (Function::Contains, [x, y]) => on_texts(x, y, scope, |x, y| Ok(x.contains(y))),
        (Function::StartsWith, [x, y]) => on_texts(x, y, scope, |x, y| Ok(x.starts_with(y))),
        (Function::EndsWith, [x, y]) => on_texts(x, y, scope, |x, y| Ok(x.ends_with(y))),
        (Function::Matches, [x, y]) => on_texts(x, y, scope, |x, y| {
            let regex =
                compile_regex(y).map_err(|_| EvalError("matches(): the pattern is not a valid regex".into()))?;
            Ok(regex.is_match(x))
        }),
        _ => {
            let mut out = Vec::new();
            if append(function, arguments, scope, Encoding::Plain, &mut out)? {
                return text_value(out);
            }
            Err(EvalError("a function has the wrong number of arguments".into()))
        }
    }
}

/// Whether [`append`] handles this function.
pub(super) fn appends(function: Function) -> bool {
    matches!(function, Function::Uuid | Function::Text | Function::ClientId | Function::MarkerWords)
}

/// Functions that make new text write it straight into the buffer; false for all others.
pub(super) fn append(
    function: Function,
    arguments: &[Node],
    scope: &mut dyn Scope,
    encoding: Encoding,
    out: &mut Vec<u8>,
) -> Result<bool, EvalError> {
    match (function, arguments) {
        (Function::Uuid, []) => {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&scope.random_bits().to_le_bytes());
            bytes[8..].copy_from_slice(&scope.random_bits().to_le_bytes());
            let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
            let mut buffer = uuid::Uuid::encode_buffer();
            out.extend_from_slice(uuid.hyphenated().encode_lower(&mut buffer).as_bytes());
        }
        (Function::Text, [count]) => append_letters(count, scope, out)?,
        (Function::MarkerWords, []) => append_text(&scope.marker_words(), encoding, out),
        (Function::ClientId, []) => append_text(&scope.client_id(), encoding, out),
        _ => return Ok(false),
    }
    Ok(true)
}

fn append_letters(count: &Node, scope: &mut dyn Scope, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let mut left = match eval(count, scope)? {
        Value::Int(n @ 0..=MAX_LETTERS) => n,
        Value::Int(_) => {
            return Err(EvalError(format!("text(n): n goes from 0 to {MAX_LETTERS}")));
        }
        other => return Err(count.wrong_type(&other, Accept::Int.wanted())),
    };
    out.reserve(usize::try_from(left).unwrap_or(0));
    while left > 0 {
        // The bits as a fraction of 1, multiplied by 26 for each letter: twelve letters use 57 of them.
        let mut fraction = scope.random_bits();
        for _ in 0..left.min(12) {
            let wide = u128::from(fraction) * 26;
            out.push(b'a' + (wide >> 64) as u8);
            fraction = wide as u64;
        }
        left -= left.min(12);
    }
    Ok(())
}

fn size(x: &Node, value: &Value) -> Result<Value, EvalError> {
    let count = match value {
        Value::Text(text) => text.chars().count(),
        Value::List(items) => items.len(),
        Value::Map(pairs) => pairs.len(),
        other => return Err(x.wrong_type(other, Accept::Sized.wanted())),
    };
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn to_int(x: &Node, value: &Value) -> Result<Value, EvalError> {
    let converted = match value {
        Value::Int(n) => Some(*n),
        // Beyond this the cast would only saturate.
        Value::Float(n) => (n.abs() < 9_223_372_036_854_775_808.0).then_some(n.trunc() as i64),
        Value::Text(text) => text.trim().parse().ok(),
        other => return Err(x.wrong_type(other, Accept::NumberOrText.wanted())),
    };
    converted
        .map(Value::Int)
        .ok_or_else(|| EvalError(format!("int(): {} is not a whole number of 64 bits", x.describe(value))))
}

fn to_float(x: &Node, value: &Value) -> Result<Value, EvalError> {
    let converted = match value {
        Value::Int(n) => Some(*n as f64),
        Value::Float(n) => Some(*n),
        Value::Text(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
        other => return Err(x.wrong_type(other, Accept::NumberOrText.wanted())),
    };
    converted.map(Value::Float).ok_or_else(|| EvalError(format!("float(): {} is not a number", x.describe(value))))
}

fn to_text(x: &Node, value: Value) -> Result<Value, EvalError> {
    match value {
        Value::Text(_) => Ok(value),
        Value::Null => Err(EvalError(format!("string(): got {}", x.describe(&value)))),
        other => {
            let mut out = Vec::new();
            other.write_text(&mut out);
            text_value(out)
        }
    }
}

/// A uniform number below `span`; 0 stands for 2^64. Lemire's method, without bias.
fn below(span: u64, scope: &mut dyn Scope) -> u64 {
    if span == 0 {
        return scope.random_bits();
    }
    let reject_below = span.wrapping_neg() % span;
    loop {
        let wide = u128::from(scope.random_bits()) * u128::from(span);
        if wide as u64 >= reject_below {
            return (wide >> 64) as u64;
        }
    }
}

fn pick(list: &Node, scope: &mut dyn Scope) -> Result<Value, EvalError> {
    match eval(list, scope)? {
        Value::List(items) if items.is_empty() => Err(EvalError("pick from an empty list".into())),
        Value::List(items) => {
            let chosen = below(items.len() as u64, scope) as usize;
            Ok(items.get(chosen).cloned().unwrap_or_default())
        }
        other => Err(list.wrong_type(&other, Accept::List.wanted())),
    }
}

fn random(from: &Node, to: &Node, scope: &mut dyn Scope) -> Result<Value, EvalError> {
    let (low, high) = (eval(from, scope)?, eval(to, scope)?);
    let as_float = |node: &Node, value: &Value| match value {
        Value::Int(n) => Ok(*n as f64),
        Value::Float(n) => Ok(*n),
        other => Err(node.wrong_type(other, Accept::Number.wanted())),
    };
    let wrong_order = || EvalError("random(a, b): a is larger than b".into());
    if let (Value::Int(a), Value::Int(b)) = (&low, &high) {
        if a > b {
            return Err(wrong_order());
        }
        let span = b.wrapping_sub(*a).cast_unsigned().wrapping_add(1);
        return Ok(Value::Int(a.wrapping_add_unsigned(below(span, scope))));
    }
    let (a, b) = (as_float(from, &low)?, as_float(to, &high)?);
    if a > b {
        return Err(wrong_order());
    }
    // 53 bits: every step of the unit interval that a float can hold evenly.
    let share = (scope.random_bits() >> 11) as f64 / (1u64 << 53) as f64;
    // Not `a + share * (b - a)`: the difference of two large floats may overflow.
    Ok(Value::Float((a * (1.0 - share) + b * share).clamp(a, b)))
}

fn parse_json(x: &Node, scope: &mut dyn Scope) -> Result<Value, EvalError> {
    match eval(x, scope)? {
        Value::Text(text) => serde_json::from_str::<serde_json::Value>(&text)
            .map(|json| Value::from_json(&json))
            // Line and column only: the parser's message may quote what it read.
            .map_err(|e| EvalError(format!("json(): the text is not JSON, line {} column {}", e.line(), e.column()))),
        other => Err(x.wrong_type(&other, "text that holds JSON")),
    }
}

fn on_texts(
    x: &Node,
    y: &Node,
    scope: &mut dyn Scope,
    test: impl FnOnce(&str, &str) -> Result<bool, EvalError>,
) -> Result<Value, EvalError> {
    let (a, b) = (eval(x, scope)?, eval(y, scope)?);
    match (&a, &b) {
        (Value::Text(a), Value::Text(b)) => test(a, b).map(Value::Bool),
        (Value::Text(_), _) => Err(y.wrong_type(&b, "text")),
        _ => Err(x.wrong_type(&a, "text")),
    }
}

/// The bytes of a scalar's text form.
pub(super) fn scalar(x: &Node, scope: &mut dyn Scope) -> Result<Arc<[u8]>, EvalError> {
    match eval(x, scope)? {
        Value::Text(text) => Ok(text.into()),
        value @ (Value::Bool(_) | Value::Int(_) | Value::Float(_)) => {
            let mut out = Vec::new();
            value.write_text(&mut out);
            Ok(out.into())
        }
        other => Err(x.wrong_type(&other, Accept::Scalar.wanted())),
    }
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).collect()
}

pub(super) fn compile_regex(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).build()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FakeNames, FakeScope};
    use super::super::{Expr, Template};
    use super::*;
    use proptest::prelude::*;

    fn run_in(text: &str, scope: &mut dyn Scope) -> Result<Value, EvalError> {
        Expr::compile(text, &FakeNames).unwrap_or_else(|e| panic!("{text}: {e} {:?}", e.help)).eval(scope)
    }

    /// `expected` is JSON.
    fn check(text: &str, expected: &str) {
        let value = run_in(text, &mut FakeScope::default());
        let value = value.unwrap_or_else(|e| panic!("{text}: {e}"));
        let mut json = Vec::new();
        value.write_json(&mut json);
        assert_eq!(String::from_utf8_lossy(&json), expected, "{text}");
    }

    fn check_error(text: &str, expected: &str) {
        match run_in(text, &mut FakeScope::default()) {
            Err(error) => assert!(error.0.contains(expected), "{text}: {error}"),
            Ok(value) => panic!("{text}: expected an error, got {value}"),
        }
    }

    #[test]
    fn texts() {
        check("size(token) + token.size()", "14");
        check("size('é😀') + size(panel) + size(session)", "7");
        check("token.contains('/') && !token.contains('x')", "true");
        check("contains(account.id, '-')", "true");
        check("account.id.startsWith('a-') && account.id.endsWith('7')", "true");
        check(r"account.id.matches(r'^[a-z]-\d$')", "true");
        check("account.id.matches('^b')", "false");
        check("account.id.matches(account.id)", "true");
        check("url('a b/ü')", r#""a%20b%2F%C3%BC""#);
        check("base64('Aladdin:open sesame')", r#""QWxhZGRpbjpvcGVuIHNlc2FtZQ==""#);
        check("sha256('abc')", r#""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#);
        // RFC 4231, test case 2.
        check(
            "hmac_sha256('Jefe', 'what do ya want for nothing?')",
            r#""5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843""#,
        );
        check("base64(user.index) == base64('7')", "true");
        check_error("token.matches('(' + '' + token)", "not a valid regex");
        check_error("absent.contains('a')", "`absent`, which is not there");
        check_error("token.contains(mood)", "expected text, got `mood` (int)");
        check_error("size(mood)", "text, a list or a map, got `mood` (int)");
        check_error("sha256(absent)", "`absent`, which is not there");
        check_error("url(panel)", "got `panel` (list)");
    }

    #[test]
    fn conversions() {
        check("int('12') + int(3.9) + int(account.clinic)", "27");
        check("int(-3.9)", "-3");
        check("float(1) + double('2.5')", "3.5");
        check("string(1.5) + string(true) + string([1])", r#""1.5true[1]""#);
        check("string(mood)", r#""2""#);
        check("json('{\"a\": [1, 2.5, null]}').a", "[1,2.5,null]");
        check_error("int('1.5')", "not a whole number");
        check_error("int(token)", "`token` (text) is not a whole number");
        check_error("int(1e30)", "not a whole number");
        check_error("int(9223372036854775808.0)", "not a whole number");
        check_error("float('inf')", "not a number");
        check_error("float('NaN')", "not a number");
        check_error("int(absent)", "`absent`, which is not there");
        check_error("string(absent)", "`absent`, which is not there");
        check_error("json('{')", "not JSON, line 1 column 1");
        check_error("json(mood)", "text that holds JSON");
    }

    #[test]
    fn what_is_new_each_time() {
        let scope = &mut FakeScope::default();
        let mut text = |text: &str| run_in(text, scope).expect(text).to_string();
        let (first, second) = (text("uuid()"), text("uuid()"));
        assert_ne!(first, second);
        let uuid = uuid::Uuid::parse_str(&first).expect("a UUID");
        assert_eq!(uuid.get_version_num(), 4);
        assert_eq!(text("client_id() + client_id()"), "12");
        assert_eq!(text("now()"), "1790000000000");
        assert_eq!(text("marker + marker('a')"), "m1m2@a");
        let letters = text("text(1000)");
        assert_eq!(letters.len(), 1000);
        assert!(letters.bytes().all(|b| b.is_ascii_lowercase()));
        let seen = |from: u8, to: u8| (from..=to).all(|b| letters.contains(char::from(b)));
        assert!(seen(b'a', b'z'), "{letters}");
        assert_eq!(text("text(0)"), "");
        assert_eq!(text("size(text(1000000))"), "1000000");
        check_error("text(mood - 3)", "0 to 1000000");
        check_error("text(token)", "a whole number, got `token` (text)");
    }

    #[test]
    fn same_seed_same_choices() {
        let all = "{{ uuid() }} {{ random(1, 1000000) }} {{ text(30) }} {{ pick(panel) }} {{ random(0, 1.5) }}";
        let template = Template::compile(all, &FakeNames).expect(all);
        let run = || template.eval(&mut FakeScope::default()).expect(all);
        assert_eq!(run(), run());
    }

    #[test]
    fn random_numbers_reach_both_ends_evenly() {
        let scope = &mut FakeScope::default();
        let dice = Expr::compile("random(1, 6)", &FakeNames).expect("dice");
        let mut counts = [0u32; 8];
        for _ in 0..60_000 {
            match dice.eval(scope) {
                Ok(Value::Int(n @ 0..8)) => counts[n as usize] += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((counts[0], counts[7]), (0, 0));
        // Five standard deviations of a fair dice.
        assert!(counts[1..7].iter().all(|n| n.abs_diff(10_000) < 460), "{counts:?}");
        let float = |text: &str, scope: &mut FakeScope| match run_in(text, scope) {
            Ok(Value::Float(x)) => x,
            other => panic!("{text}: {other:?}"),
        };
        assert!((0..1000).all(|_| (0.5..=2.0).contains(&float("random(half, 2)", scope))));
        assert!((0..100).all(|_| float("random(-1e308, 1e308)", scope).is_finite()));
        let full = "random(-9223372036854775808, 9223372036854775807)";
        assert_ne!(run_in(full, scope), run_in(full, scope));
        check("random(3, 3)", "3");
        check_error("random(mood, 1)", "a is larger than b");
        check_error("random(half, 0)", "a is larger than b");
        check_error("random(token, 1)", "a number, got `token` (text)");
    }

    #[test]
    fn picks_from_the_whole_list() {
        let scope = &mut FakeScope::default();
        let mut seen: Vec<String> =
            (0..100).map(|_| run_in("pick(panel)", scope).expect("picks").to_string()).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen, ["3", "p1", "p2"]);
        check_error("pick([])", "pick from an empty list");
        check_error("pick(mood)", "a list, got `mood` (int)");
    }

    proptest! {
        #[test]
        fn random_stays_in_its_range(a in any::<i64>(), b in any::<i64>(), seed in 0u8..20) {
            let (low, high) = (a.min(b), a.max(b));
            let scope = &mut FakeScope::default();
            for _ in 0..seed {
                scope.random_bits();
            }
            match run_in(&format!("random({low}, {high})"), scope) {
                Ok(Value::Int(n)) => prop_assert!((low..=high).contains(&n)),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
