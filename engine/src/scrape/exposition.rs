//! Prometheus' text format. What a target says is data: a line that makes no sense is passed over, and nothing grows
//! beyond its limit.
//! In: the bytes of an answer. Out: its samples, one after the other.

/// Lines that are looked at.
const MOST_LINES: usize = 500_000;
/// Labels of a sample.
const MOST_LABELS: usize = 64;

/// One sample; names and values as they stand, labels without their escapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// Name of the series.
    pub name: &'a str,
    /// Labels in their order.
    pub labels: Vec<(&'a str, String)>,
    /// Its value; never NaN.
    pub value: f64,
}

/// Hands each sample of `body` to `see`.
pub fn samples<'a>(body: &'a [u8], mut see: impl FnMut(Sample<'a>)) {
    for line in body.split(|b| *b == b'\n').take(MOST_LINES) {
        if let Some(sample) = std::str::from_utf8(line).ok().and_then(sample) {
            see(sample);
        }
    }
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let line = line.trim();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = line.find(|c| !is_part(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_start();
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    // After the value a time may stand, and in OpenMetrics an exemplar.
    let word = rest.split_whitespace().next()?;
    let value = match word {
        "+Inf" | "Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    (!value.is_nan()).then_some(Sample { name, labels, value })
}

/// The labels, and what follows the `}`.
fn labels(mut rest: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once('=')?;
        let quoted = after.trim_start().strip_prefix('"')?;
        let (value, after) = unquoted(quoted)?;
        if labels.len() == MOST_LABELS {
            return None;
        }
        labels.push((name.trim(), value));
        rest = after;
    }
}

/// Up to the closing quote, escapes taken off; and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &[u8]) -> Vec<Sample<'_>> {
        let mut found = Vec::new();
        samples(text, |s| found.push(s));
        found
    }

    #[test]
    fn what_the_format_allows_is_read() {
        let text = b"# HELP x a\n# TYPE x counter\nx 1\nx{a=\"b\",c=\"d \\\"e\\\" \\\\ \\n}\",} 2.5e3 1700000000\n\
            y_bucket{ le=\"+Inf\" } 7 # {trace=\"1\"} 0.2\nz NaN\nw +Inf\nv -3\r\n";
        let found = all(text);
        let names: Vec<_> = found.iter().map(|s| (s.name, s.value)).collect();
        assert_eq!(names, [("x", 1.0), ("x", 2500.0), ("y_bucket", 7.0), ("w", f64::INFINITY), ("v", -3.0)]);
        assert_eq!(found[1].labels, [("a", "b".to_owned()), ("c", "d \"e\" \\ \n}".to_owned())]);
        assert_eq!(found[2].labels, [("le", "+Inf".to_owned())]);
    }

    #[test]
    fn what_makes_no_sense_is_passed_over() {
        for line in ["", "x", "x y", "1x 2", "x{a=\"b\" 2", "x{a=b} 2", "x{a=\"b", "{a=\"b\"} 1", "\u{ff}x 1", "<html>"]
        {
            assert_eq!(all(line.as_bytes()), [], "{line}");
        }
        assert_eq!(all(b"\xff\xfe\nx 1").len(), 1, "a broken line breaks no other");
        let many = format!("x{{{}}} 1", "a=\"b\",".repeat(65));
        assert_eq!(all(many.as_bytes()), []);
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            all(&bytes);
        }

        #[test]
        fn no_line_is_a_panic(line in "[a-z_:]{0,4}[{]?([a-z]{0,3}=?\"?[a-z\\\\\"é]{0,4}\"?,?){0,4}[}]? ?[-+0-9.eInfNa]{0,6}") {
            all(line.as_bytes());
        }

        #[test]
        fn what_was_written_is_read(name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}", label in "\\PC{0,20}", value in -1e12f64..1e12) {
            let escaped = label.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("{name}{{l=\"{escaped}\"}} {value}\n");
            let found = all(text.as_bytes());
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].name, name);
            prop_assert_eq!(&found[0].labels, &vec![("l", label)]);
            prop_assert_eq!(found[0].value, value);
        }
    }
}
