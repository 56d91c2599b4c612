//! Figures as people read them, and text from strangers made harmless.
//! In: base units (ns, fractions, counts) and text that a hostile server may have chosen. Out: short strings.

use scenarios::containment::Harm;
use scenarios::objective::{Stat, Unit};

/// The factor by which a profile was scaled, to three digits that count.
pub fn factor(factor: f64) -> String {
    let digits = (2.0 - factor.log10().floor()).clamp(0.0, 12.0) as usize;
    let text = format!("{factor:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A time in the unit that needs no exponent: `0.42 ms`, `812 ms`, `5.94 s`, `3 min 20 s`, `24 h 0 min`.
pub fn time(ns: f64) -> String {
    let ms = ns / 1e6;
    // The thresholds are where rounding would otherwise print `1000 ms` or `60.00 s`.
    if ms == 0.0 {
        "0 ms".into()
    } else if ms < 9.995 {
        format!("{ms:.2} ms")
    } else if ms < 99.95 {
        format!("{ms:.1} ms")
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else if ms < 59_995.0 {
        format!("{:.2} s", ms / 1e3)
    } else {
        duration(ms / 1e3)
    }
}

/// A time in at most eight characters, for narrow columns: minutes stay seconds (`3600 s`).
pub fn short_time(ns: f64) -> String {
    if ns < 59_995e6 { time(ns) } else { format!("{:.0} s", ns / 1e9) }
}

/// A length of time in whole units: `45 s`, `2 min`, `3 min 20 s`, `24 h 10 min`; below 10 s with one digit.
pub fn duration(seconds: f64) -> String {
    if seconds < 9.95 {
        let text = format!("{seconds:.1}");
        return format!("{} s", text.strip_suffix(".0").unwrap_or(&text));
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes, rest) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// A count with thousands separated: `48,211`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 request`, `2 requests`.
pub fn counted(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(n))
}

/// A fraction as percent with as many digits as it needs: `0%`, `0.031%`, `1.25%`, `99.93%`.
pub fn share(fraction: f64) -> String {
    let percent = fraction * 100.0;
    let distance = percent.min(100.0 - percent).abs();
    let digits = if distance == 0.0 || distance >= 10.0 {
        1
    } else if distance >= 0.1 {
        2
    } else if distance >= 0.01 {
        3
    } else {
        4
    };
    let text = format!("{percent:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}%")
}

/// A rate: `0.42/s`, `12.5/s`, `1,204/s`.
pub fn rate(per_second: f64) -> String {
    if per_second < 9.995 {
        format!("{per_second:.2}/s")
    } else if per_second < 999.5 {
        format!("{per_second:.1}/s")
    } else {
        format!("{}/s", count(per_second.round() as u64))
    }
}

/// A number of unknown unit: `0.042`, `12.5`, `734,003,200`.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let sign = if value < 0.0 { "-" } else { "" };
    if size >= 1e15 {
        format!("{value:.3e}")
    } else if size >= 999.5 {
        format!("{sign}{}", count(size.round() as u64))
    } else if size == 0.0 {
        "0".into()
    } else {
        let digits = (3 - size.log10().floor() as i32 - 1).clamp(0, 9) as usize;
        let text = format!("{size:.digits$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        format!("{sign}{text}")
    }
}

/// A number of bytes: `512 B`, `110 MB`, `7.5 GB`; a thousand of one are one of the next.
pub fn bytes(value: f64) -> String {
    let steps = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match steps.iter().find(|(size, _)| value.abs() >= size * 0.9995) {
        Some((size, unit)) => format!("{} {unit}", number(value / size)),
        None => format!("{} B", number(value)),
    }
}

/// How the figures of a watched series are written: in the unit of the limit they are held to, as nothing else tells it.
pub fn like_limit(limit: &str) -> fn(f64) -> String {
    let value = limit.trim_start_matches(['<', '>', '=', ' ']);
    if value.ends_with('%') {
        share
    } else if value.ends_with('B') {
        bytes
    } else if value.parse::<f64>().is_err() && scenarios::units::parse_duration(value).is_ok() {
        |seconds| time(seconds * 1e9)
    } else {
        number
    }
}

/// A figure of `stat` given in its base unit.
pub fn of_stat(stat: Stat, value: f64) -> String {
    if stat == Stat::Containment(Harm::Errors) {
        return share(value).replace('%', "pp");
    }
    match stat.unit() {
        Unit::Time => time(value),
        Unit::Rate => rate(value),
        Unit::Share => share(value),
        Unit::Plain => number(value),
    }
}

/// The size of a difference of two figures of `stat`; shares differ in percentage points.
pub fn difference(stat: Stat, value: f64) -> String {
    of_stat(stat, value.abs()).replace('%', " pp")
}

/// A tiny share as people can picture it: `1 in 4,100`.
pub fn one_in(fraction: f64) -> String {
    if fraction <= 0.0 {
        return "none".into();
    }
    format!("1 in {}", count((1.0 / fraction).floor().max(1.0) as u64))
}

/// UTC time of a run start: `2026-11-21T02:00:00Z`.
pub fn utc(unix_ns: u64) -> String {
    let seconds = i64::try_from(unix_ns / 1_000_000_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "unknown".into(), |t| t.to_string())
}

/// Text from outside on one line: control characters and those that turn the direction of writing become visible
/// escapes, so that a server cannot paint over a terminal or reorder a report.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('␊'),
            '\r' => out.push('␍'),
            '\t' => out.push(' '),
            c if c.is_control() || is_invisible(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Direction marks, zero-width characters, byte-order marks.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{061c}')
}

/// `text` in at most `width` characters, the cut marked by `…`.
pub fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.into();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Words into lines of at most `width` characters, every line after the first indented by `indent` blanks. A word longer
/// than a line is cut.
pub fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let most = width.saturating_sub(indent).max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace().flat_map(|w| pieces(w, most)) {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(" ".repeat(indent));
            used = indent;
        } else if used > 0 {
            if let Some(line) = lines.last_mut() {
                line.push(' ');
            }
            used += 1;
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(&word);
        }
        used += length;
    }
    lines
}

fn pieces(word: &str, most: usize) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    chars.chunks(most).map(|c| c.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_has_three_digits_that_count() {
        for (value, text) in [
            (0.9, "0.9"),
            (0.107_142_857, "0.107"),
            (0.000_115_74, "0.000116"),
            (2.0, "2"),
            (1_440.0, "1440"),
            (1.0, "1"),
        ] {
            assert_eq!(factor(value), text);
        }
    }

    #[test]
    fn watched_figures_are_written_as_their_limit_is() {
        for (limit, value, written) in [
            ("> 50%", 0.946, "94.6%"),
            ("< 7GB", 110_383_104.0, "110 MB"),
            ("< 7GB", 999_960_000.0, "1 GB"),
            ("< 64kB", 12.0, "12 B"),
            ("< 50ms", 0.000_229, "0.23 ms"),
            (">= 500", 734.0, "734"),
            ("< 8", 0.0733, "0.0733"),
        ] {
            assert_eq!(like_limit(limit)(value), written, "{limit}");
        }
    }
}
