//! Units as people write them: durations, drawn delays, rates, shares, sizes, comparisons.
//! In: text of one scalar. Out: nanoseconds, per-second rates, fractions, bytes; or one sentence saying what is wrong.

use crate::objective::Comparison;
use crate::program::Delay;

const SECOND_NS: f64 = 1e9;

/// The longest duration that a file may name: 366 days.
pub const LONGEST_NS: u64 = 366 * 24 * 3600 * 1_000_000_000;

/// A duration such as `250ms`, `2s`, `1m30s`, `1.5h`, in nanoseconds; at most [`LONGEST_NS`].
pub fn parse_duration(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("a duration is missing".into());
    }
    if text == "0" {
        return Ok(0);
    }
    let mut total = 0.0_f64;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let unit_end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, tail) = after.split_at(unit_end);
        total += number * unit_ns(unit, text)?;
        rest = tail.trim_start();
    }
    if total > LONGEST_NS as f64 {
        return Err(format!("`{text}` is longer than 366 days"));
    }
    Ok(total.round() as u64)
}

fn unit_ns(unit: &str, text: &str) -> Result<f64, String> {
    Ok(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => SECOND_NS,
        "m" => 60.0 * SECOND_NS,
        "h" => 3600.0 * SECOND_NS,
        "d" => 86_400.0 * SECOND_NS,
        "" => {
            return Err(format!("`{text}` has no unit: write for example `{text}s` or `{text}ms`"));
        }
        other => {
            return Err(format!("`{other}` is no unit of time: use `ms`, `s`, `m`, `h` or `d`"));
        }
    })
}

/// A leading non-negative decimal number and what follows it.
fn split_number(text: &str) -> Result<(f64, &str), String> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    // In `1..4` the first dots belong to a range, never to a number.
    let end = text[..end].find("..").unwrap_or(end);
    let number = text[..end].parse::<f64>().map_err(|_| format!("`{text}` does not start with a number"))?;
    Ok((number, text[end..].trim_start()))
}

/// A time that is drawn: `2s`, `1s..4s`, `normal(2s, 500ms)`, `exponential(2s)`.
pub fn parse_delay(text: &str) -> Result<Delay, String> {
    let text = text.trim();
    if let Some(inside) = call_of(text, "normal") {
        let (mean, deviation) =
            inside.split_once(',').ok_or("`normal` needs a mean and a deviation: `normal(2s, 500ms)`")?;
        return Ok(Delay::Normal {
            mean_ns: parse_duration(mean)? as f64,
            deviation_ns: parse_duration(deviation)? as f64,
        });
    }
    if let Some(inside) = call_of(text, "exponential") {
        return Ok(Delay::Exponential(parse_duration(inside)? as f64));
    }
    if let Some((low, high)) = parse_range(text)? {
        return Ok(Delay::Uniform(low, high));
    }
    parse_duration(text).map(Delay::Fixed)
}

/// A range of durations `1s..4s`; `None` when there are no two dots.
pub fn parse_range(text: &str) -> Result<Option<(u64, u64)>, String> {
    let Some((low, high)) = text.split_once("..") else {
        return Ok(None);
    };
    let (low, high) = (parse_duration(low)?, parse_duration(high)?);
    if low > high {
        return Err(format!("`{text}` runs backwards: the smaller bound comes first"));
    }
    Ok(Some((low, high)))
}

fn call_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')')
}

/// A rate such as `200/s`, `1000/m`, `5/h`, per second.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let (number, unit) =
        text.split_once('/').ok_or_else(|| format!("`{text}` is no rate: write for example `{text}/s`"))?;
    let number = number
        .trim()
        .parse::<f64>()
        .ok()
        .filter(|n| n.is_finite() && *n >= 0.0)
        .ok_or_else(|| format!("`{text}` does not start with a number"))?;
    let per_s = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        other => {
            return Err(format!("a rate is per `s`, `m`, `h` or `d`, not per `{other}`"));
        }
    };
    Ok(number / per_s)
}

/// A range of rates such as `1/s..40/s`, per second.
pub fn parse_rate_range(text: &str) -> Result<(f64, f64), String> {
    let (low, high) = text
        .split_once("..")
        .ok_or_else(|| format!("`{text}` is no range of rates: write for example `1/s..{}`", text.trim()))?;
    Ok((parse_rate(low)?, parse_rate(high)?))
}

/// A share such as `5%` as a fraction 0..1.
pub fn parse_share(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let number = text.strip_suffix('%').ok_or_else(|| {
        let meant = if text.parse::<f64>().is_ok() { text } else { "5" };
        format!("`{text}` is no share: write for example `{meant}%`")
    })?;
    // Moving the point in the text is exact where dividing by 100 is not: 99.9% is 0.999, no hair above it.
    format!("{}e-2", number.trim())
        .parse::<f64>()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| format!("`{text}` is not between `0%` and `100%`"))
}

/// A size such as `64kB`, `1MB`, `4KiB`, `512B`, in bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (number, unit) = split_number(text)?;
    let factor: f64 = match unit {
        "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "" => {
            return Err(format!("`{text}` has no unit: write for example `{text}kB`"));
        }
        other => {
            return Err(format!("`{other}` is no unit of size: use `B`, `kB`, `MB` or `GB`"));
        }
    };
    let bytes = number * factor;
    if bytes > 1e15 {
        return Err(format!("`{text}` is too large"));
    }
    Ok(bytes.round() as u64)
}

/// A leading comparison sign and the text after it.
pub fn split_comparison(text: &str) -> Option<(Comparison, &str)> {
    let text = text.trim();
    [("<=", Comparison::AtMost), (">=", Comparison::AtLeast), ("<", Comparison::Less), (">", Comparison::More)]
        .into_iter()
        .find_map(|(sign, op)| text.strip_prefix(sign).map(|rest| (op, rest.trim())))
}

/// A duration as people write it, exact: `1m30s`, `250ms`.
pub fn format_duration(ns: u64) -> String {
    if ns == 0 {
        return "0s".into();
    }
    let mut rest = ns;
    let mut out = String::new();
    for (unit, size) in [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ] {
        if rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    out
}
