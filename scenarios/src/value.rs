//! The values that expressions work on: what JSON can say, cheap to clone.
//! In: literals, account rows, saved answers. Out: text for templates, JSON for bodies.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// One value of an expression, a saved variable or an account column.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Absent or JSON `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction, or a whole one beyond 64 bits.
    Float(f64),
    /// Text.
    Text(Arc<str>),
    /// A list.
    List(Arc<[Value]>),
    /// A map in the order in which it was written.
    Map(Arc<[(Arc<str>, Value)]>),
}

impl Value {
    /// The JSON value `json` as an expression sees it.
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(b) => Self::Bool(*b),
            serde_json::Value::Number(n) => {
                n.as_i64().map_or_else(|| Self::Float(n.as_f64().unwrap_or(f64::NAN)), Self::Int)
            }
            serde_json::Value::String(s) => Self::Text(s.as_str().into()),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::from_json).collect()),
            serde_json::Value::Object(map) => {
                Self::Map(map.iter().map(|(k, v)| (k.as_str().into(), Self::from_json(v))).collect())
            }
        }
    }

    /// This value as JSON; a float that JSON cannot say (NaN, infinity) becomes `null`.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(b) => (*b).into(),
            Self::Int(n) => (*n).into(),
            Self::Float(x) => serde_json::Number::from_f64(*x).map_or(serde_json::Value::Null, Into::into),
            Self::Text(s) => serde_json::Value::String(s.to_string()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(pairs) => {
                serde_json::Value::Object(pairs.iter().map(|(k, v)| (k.to_string(), v.to_json())).collect())
            }
        }
    }

    /// Text from anything that reads as text.
    pub fn text(s: impl AsRef<str>) -> Self {
        Self::Text(Arc::from(s.as_ref()))
    }

    /// The word for this value's type in messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }

    /// Writes the value as a template shows it: text as it is, `null` as nothing, lists and maps as JSON.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(s) => out.extend_from_slice(s.as_bytes()),
            Self::Null => {}
            Self::Float(x) => {
                use std::io::Write;
                // Writing to a Vec cannot fail.
                let _ = write!(out, "{x}");
            }
            Self::Bool(_) | Self::Int(_) | Self::List(_) | Self::Map(_) => self.write_json(out),
        }
    }

    /// Writes the value as compact JSON; a float that JSON cannot say (NaN, infinity) becomes `null`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Int(n) => write_int(*n, out),
            Self::Float(x) => {
                // Writing a number to a Vec cannot fail.
                let _ = serde_json::to_writer(out, x);
            }
            Self::Text(s) => write_quoted(s, out),
            Self::List(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write_json(out);
                }
                out.push(b']');
            }
            Self::Map(pairs) => {
                out.push(b'{');
                for (i, (key, value)) in pairs.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    write_quoted(key, out);
                    out.push(b':');
                    value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }

    /// The entry of a map; `None` for a missing key and for anything that is no map.
    pub fn field(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(pairs) => pairs.iter().find(|(k, _)| &**k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Equality as `==` has it: numbers by value (`1 == 1.0`), maps in any order, different types never.
    pub fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.equals(b)),
            (Self::Map(a), Self::Map(b)) => {
                a.len() == b.len() && a.iter().all(|(key, a)| other.field(key).is_some_and(|b| a.equals(b)))
            }
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }

    /// Order as `<` has it: number with number by value, text with text by code point; `None` for anything else.
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Int(a), Self::Float(b)) => order_int_float(*a, *b),
            (Self::Float(a), Self::Int(b)) => order_int_float(*b, *a).map(Ordering::reverse),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// Exact: an `i64` beyond 2^53 has no `f64` of its own, so the float is taken apart instead.
fn order_int_float(int: i64, float: f64) -> Option<Ordering> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        return None;
    }
    if float >= TWO_TO_63 {
        return Some(Ordering::Less);
    }
    if float < -TWO_TO_63 {
        return Some(Ordering::Greater);
    }
    // In range, so the cast only drops the fraction.
    let whole = float.trunc() as i64;
    Some(int.cmp(&whole).then(if float.fract() > 0.0 {
        Ordering::Less
    } else if float.fract() < 0.0 {
        Ordering::Greater
    } else {
        Ordering::Equal
    }))
}

/// Appends decimal digits without the formatting machinery: this runs for every number of every request.
fn write_int(n: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    let mut rest = n.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if n < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[start..]);
}

fn write_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape_json(text, out);
    out.push(b'"');
}

/// Appends `text` as it stands between the quotes of a JSON string.
pub fn escape_json(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    // Without a way out in the middle the compiler looks at many at once, and most texts have nothing to escape.
    if !bytes.iter().fold(false, |any, &byte| any | (byte < 0x20) | (byte == b'"') | (byte == b'\\')) {
        return out.extend_from_slice(bytes);
    }
    let mut copied = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..0x20 => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..i]);
        copied = i + 1;
        if short == 0 {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        self.write_text(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::text(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            // Quarters: the JSON parser may miss the last bit of others.
            any::<i32>().prop_map(|n| Value::Float(f64::from(n) / 4.0)),
            any::<String>().prop_map(Value::text),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(|v| Value::List(v.into())),
                proptest::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|m| { Value::Map(m.into_iter().map(|(k, v)| (k.into(), v)).collect()) }),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_round_trips(value in any_value()) {
            let mut out = Vec::new();
            value.write_json(&mut out);
            let parsed: serde_json::Value = serde_json::from_slice(&out).expect("valid JSON");
            prop_assert!(Value::from_json(&parsed).equals(&value));
        }

        #[test]
        fn order_of_int_and_float_is_exact(a in any::<i64>(), b in -9_007_199_254_740_992i64..9_007_199_254_740_992) {
            // Every |b| up to 2^53 is exact as a float.
            prop_assert_eq!(Value::Int(a).order(&Value::Float(b as f64)), Some(a.cmp(&b)));
            prop_assert_eq!(Value::Float(b as f64).order(&Value::Int(a)), Some(b.cmp(&a)));
        }
    }

    #[test]
    fn order_at_the_edges() {
        let check = |a: Value, b: Value, expected| assert_eq!(a.order(&b), expected, "{a:?} {b:?}");
        let (int, float) = (Value::Int, Value::Float);
        check(int(i64::MAX), float(i64::MAX as f64), Some(Ordering::Less));
        check(int(i64::MIN), float(i64::MIN as f64), Some(Ordering::Equal));
        check(int(1), float(1.5), Some(Ordering::Less));
        check(int(-1), float(-1.5), Some(Ordering::Greater));
        check(int(0), float(f64::NAN), None);
        check(float(f64::INFINITY), int(i64::MAX), Some(Ordering::Greater));
        check(Value::text("10"), int(9), None);
        check(Value::text("10"), Value::text("9"), Some(Ordering::Less));
    }

    #[test]
    fn text_form() {
        let check = |value: Value, expected: &str| assert_eq!(value.to_string(), expected);
        check(Value::Null, "");
        check(Value::Int(i64::MIN), "-9223372036854775808");
        check(Value::Int(0), "0");
        check(Value::Int(1050), "1050");
        check(Value::Float(2.5), "2.5");
        check(Value::Float(3.0), "3");
        check(Value::Bool(true), "true");
        check(
            Value::List([Value::text("a\"\u{1}\n"), Value::Null, Value::Float(3.0)].into()),
            r#"["a\"\u0001\n",null,3.0]"#,
        );
    }
}
