//! Watched series: expressions over what a target tells about itself in Prometheus' text, as objectives name them.
//! In: text such as `rate(patient.query_seconds_sum) / rate(patient.query_seconds_count)` and the names of the watched
//! targets. Out: [`WatchExpr`], evaluated against [`Readings`].

use std::collections::BTreeMap;

/// Longest expression, bytes.
const LONGEST: usize = 1000;
/// Deepest nesting of parentheses and signs.
const DEEPEST: u32 = 32;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchExpr {
    /// A number.
    Number(f64),
    /// The sum over all label sets of a series.
    Value(SeriesRef),
    /// Its growth a second since the reading before.
    Rate(SeriesRef),
    /// A quantile (0..1) of a histogram's observations since the reading before.
    Quantile(f64, SeriesRef),
    /// Arithmetic.
    Binary(char, Box<(Self, Self)>),
    /// Minus.
    Negative(Box<Self>),
}

/// A series of a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesRef {
    /// Index into the names that the expression was read with.
    pub target: usize,
    /// Name of the series.
    pub name: String,
    /// Labels that have to be so.
    pub labels: Vec<(String, String)>,
}

/// A histogram: upper bound of each bucket (as bits, so that they are ordered and alike) and its count so far.
pub type Buckets = BTreeMap<u64, f64>;

/// What was read of the series of an expression; `None` where nothing can be told (a first reading has no rate).
pub trait Readings {
    /// The sum over all label sets.
    fn value(&self, series: &SeriesRef) -> Option<f64>;
    /// Growth a second since the reading before.
    fn rate(&self, series: &SeriesRef) -> Option<f64>;
    /// By upper bound, ascending: observations in all since the reading before, up to it.
    fn observed(&self, series: &SeriesRef) -> Vec<(f64, f64)>;
}

/// Why a text is no expression: at which byte, and in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchError {
    /// Byte.
    pub at: usize,
    /// What is wrong.
    pub message: String,
}

impl WatchExpr {
    /// Reads an expression; `targets` are the names of the targets that are watched.
    ///
    /// # Errors
    /// It is none, or names a target that is not watched.
    pub fn parse(text: &str, targets: &[&str]) -> Result<Self, WatchError> {
        let mut parser = Parser { text, at: 0, targets, depth: 0 };
        if text.len() > LONGEST {
            return parser.fail(format!("an expression has at most {LONGEST} bytes"));
        }
        let expr = parser.sum()?;
        parser.blanks();
        if parser.at < text.len() {
            return parser.fail("this does not belong here".into());
        }
        if expr.series().is_empty() {
            parser.at = 0;
            return parser.fail("it names no series".into());
        }
        Ok(expr)
    }

    /// All series that it names.
    pub fn series(&self) -> Vec<&SeriesRef> {
        match self {
            Self::Number(_) => Vec::new(),
            Self::Value(series) | Self::Rate(series) | Self::Quantile(_, series) => vec![series],
            Self::Binary(_, sides) => [sides.0.series(), sides.1.series()].concat(),
            Self::Negative(inner) => inner.series(),
        }
    }

    /// Its value; `None` where it has none: a first rate, a division by zero, a histogram without observations.
    pub fn value(&self, readings: &dyn Readings) -> Option<f64> {
        let value = match self {
            Self::Number(n) => *n,
            Self::Value(series) => readings.value(series)?,
            Self::Rate(series) => readings.rate(series)?,
            Self::Quantile(q, series) => quantile(*q, &readings.observed(series))?,
            Self::Negative(inner) => -inner.value(readings)?,
            Self::Binary(sign, sides) => {
                let (a, b) = (sides.0.value(readings)?, sides.1.value(readings)?);
                match sign {
                    '+' => a + b,
                    '-' => a - b,
                    '*' => a * b,
                    _ => a / b,
                }
            }
        };
        value.is_finite().then_some(value)
    }
}

/// As Prometheus does it: straight inside a bucket, from 0 below the first bound; the last bound for what lies above it.
fn quantile(q: f64, buckets: &[(f64, f64)]) -> Option<f64> {
    let total = buckets.last().map(|b| b.1).filter(|n| *n > 0.0)?;
    let rank = q * total;
    let mut below = (0.0, 0.0);
    for &(bound, count) in buckets {
        if count >= rank {
            if bound.is_infinite() {
                return Some(below.0);
            }
            let inside = count - below.1;
            let low = if bound <= 0.0 { bound } else { below.0 };
            return Some(if inside > 0.0 { low + (bound - low) * (rank - below.1) / inside } else { bound });
        }
        below = (bound, count.max(below.1));
    }
    Some(below.0)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    targets: &'a [&'a str],
    depth: u32,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn fail<T>(&self, message: String) -> Result<T, WatchError> {
        Err(WatchError { at: self.at, message })
    }

    fn takes(&mut self, wanted: &[char]) -> Option<char> {
        self.blanks();
        let next = self.rest().chars().next().filter(|c| wanted.contains(c))?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn sum(&mut self) -> Result<WatchExpr, WatchError> {
        let mut left = self.product()?;
        while let Some(sign) = self.takes(&['+', '-']) {
            left = WatchExpr::Binary(sign, Box::new((left, self.product()?)));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<WatchExpr, WatchError> {
        let mut left = self.factor()?;
        while let Some(sign) = self.takes(&['*', '/']) {
            left = WatchExpr::Binary(sign, Box::new((left, self.factor()?)));
        }
        Ok(left)
    }

    fn factor(&mut self) -> Result<WatchExpr, WatchError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.fail("it is nested too deeply".into());
        }
        let expr = if self.takes(&['(']).is_some() {
            let inner = self.sum()?;
            self.closing()?;
            inner
        } else if self.takes(&['-']).is_some() {
            WatchExpr::Negative(Box::new(self.factor()?))
        } else {
            self.blanks();
            if self.rest().starts_with(|c: char| c.is_ascii_digit()) { self.number()? } else { self.named()? }
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn closing(&mut self) -> Result<(), WatchError> {
        if self.takes(&[')']).is_some() { Ok(()) } else { self.fail("here a `)` is missing".into()) }
    }

    fn number(&mut self) -> Result<WatchExpr, WatchError> {
        let rest = self.rest();
        let mut end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        if let Some(exponent) = rest[end..].strip_prefix(['e', 'E']) {
            let sign = usize::from(exponent.starts_with(['+', '-']));
            let digits = exponent[sign..].bytes().take_while(u8::is_ascii_digit).count();
            end += if digits > 0 { 1 + sign + digits } else { 0 };
        }
        match rest[..end].parse() {
            Ok(number) => {
                self.at += end;
                Ok(WatchExpr::Number(number))
            }
            Err(_) => self.fail("this is no number".into()),
        }
    }

    /// A series, `rate(…)`, or a quantile such as `p95(…)`.
    fn named(&mut self) -> Result<WatchExpr, WatchError> {
        let rest = self.rest();
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').map_or("", |end| &rest[..end]);
        if !word.is_empty() && rest[word.len()..].trim_start().starts_with('(') {
            let quantile = word.strip_prefix('p').and_then(|n| n.parse::<f64>().ok());
            let quantile = match (word, quantile) {
                ("rate", _) => None,
                (_, Some(p)) if (0.0..=100.0).contains(&p) => Some(p / 100.0),
                _ => return self.fail(format!("there is no function `{word}`; there are `rate(…)` and `p95(…)`")),
            };
            self.at += word.len();
            self.takes(&['(']);
            self.blanks();
            let series = self.series()?;
            self.closing()?;
            return Ok(match quantile {
                None => WatchExpr::Rate(series),
                Some(q) => WatchExpr::Quantile(q, series),
            });
        }
        self.series().map(WatchExpr::Value)
    }

    /// `patient.http_requests_total{status="500"}`; the target may be left out if only one is watched.
    fn series(&mut self) -> Result<SeriesRef, WatchError> {
        let rest = self.rest();
        let named = self
            .targets
            .iter()
            .enumerate()
            .filter(|(_, t)| rest.strip_prefix(**t).is_some_and(|after| after.starts_with('.')));
        let target = match (named.max_by_key(|(_, t)| t.len()), self.targets) {
            (Some((index, name)), _) => {
                self.at += name.len() + 1;
                index
            }
            (None, [_]) => 0,
            (None, []) => return self.fail("no target is watched: add for example `watch: /metrics` to one".into()),
            (None, all) => {
                return self.fail(format!("it starts with the name of a watched target: `{}`", all.join("`, `")));
            }
        };
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return self.fail("here the name of a series is missing".into());
        }
        if rest[end..].starts_with('.') {
            let all = self.targets.join("`, `");
            return self.fail(format!("`{name}` is no target with `watch`; watched are `{all}`"));
        }
        self.at += end;
        let labels = if self.takes(&['{']).is_some() { self.labels()? } else { Vec::new() };
        Ok(SeriesRef { target, name, labels })
    }

    fn labels(&mut self) -> Result<Vec<(String, String)>, WatchError> {
        let mut labels = Vec::new();
        loop {
            if self.takes(&['}']).is_some() {
                return Ok(labels);
            }
            self.blanks();
            let rest = self.rest();
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let name = rest[..end].to_owned();
            self.at += end;
            if name.is_empty() || self.takes(&['=']).is_none() {
                return self.fail("a label is written `name=\"value\"`".into());
            }
            let Some(quote) = self.takes(&['"', '\'']) else {
                return self.fail("the value of a label stands in quotes".into());
            };
            let Some(length) = self.rest().find(quote) else {
                return self.fail("the quotes are not closed".into());
            };
            labels.push((name, self.rest()[..length].to_owned()));
            self.at += length + 1;
            self.takes(&[',']);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Fixed;

    impl Readings for Fixed {
        fn value(&self, series: &SeriesRef) -> Option<f64> {
            match series.name.as_str() {
                "hits" => Some(60.0),
                "misses" => Some(40.0),
                "zero" => Some(0.0),
                _ => None,
            }
        }
        fn rate(&self, series: &SeriesRef) -> Option<f64> {
            self.value(series).map(|v| v / 10.0)
        }
        fn observed(&self, _: &SeriesRef) -> Vec<(f64, f64)> {
            vec![(0.1, 50.0), (0.2, 90.0), (0.5, 100.0), (f64::INFINITY, 100.0)]
        }
    }

    fn value(text: &str) -> Option<f64> {
        WatchExpr::parse(text, &["api", "api-2"]).unwrap_or_else(|e| panic!("{text}: {e:?}")).value(&Fixed)
    }

    #[test]
    fn arithmetic_rates_and_quantiles() {
        assert_eq!(value("api.hits / (api.hits + api.misses)"), Some(0.6));
        assert_eq!(value("-api.hits + 2 * api-2.misses - 1e1"), Some(10.0));
        assert_eq!(value("rate(api.hits) / rate( api.misses )"), Some(1.5));
        assert_eq!(value("api.hits / api.zero"), None, "a division by zero has no value");
        assert_eq!(value("api.gone + 1"), None);
        assert_eq!(value("p50(api.x_bucket)"), Some(0.1));
        assert!((value("p95(api.x_bucket)").expect("a value") - 0.35).abs() < 1e-12);
        assert_eq!(value("p100(api.x_bucket{a=\"b, }\", c='d'})"), Some(0.5));
        assert_eq!(WatchExpr::parse("hits", &["api"]).expect("one is enough").value(&Fixed), Some(60.0));
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, at, part) in [
            ("hits", 0, "starts with the name of a watched target: `api`, `api-2`"),
            ("api.hits +", 10, "name of a watched target"),
            ("(api.hits", 9, "`)`"),
            ("sum(api.hits)", 0, "no function `sum`"),
            ("api.hits api.misses", 9, "does not belong here"),
            ("api.hits{a=b}", 11, "in quotes"),
            ("1 + 1", 0, "names no series"),
            ("api.", 4, "the name of a series is missing"),
        ] {
            let error = WatchExpr::parse(text, &["api", "api-2"]).expect_err(text);
            assert!(error.at == at && error.message.contains(part), "{text}: {error:?}");
        }
        assert!(WatchExpr::parse("hits", &[]).expect_err("none").message.contains("watch: /metrics"));
        assert!(WatchExpr::parse(&"(".repeat(900), &["api"]).expect_err("deep").message.contains("nested"));
        assert!(WatchExpr::parse("a.b", &["api"]).expect_err("dotted").message.contains("no target with `watch`"));
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,80}", word in "[a-z0-9.(){}+*/ \"=,_-]{0,60}") {
            let _ = WatchExpr::parse(&text, &["api"]).map(|e| e.value(&Fixed));
            let _ = WatchExpr::parse(&word, &["a", "api"]).map(|e| e.value(&Fixed));
        }
    }
}
