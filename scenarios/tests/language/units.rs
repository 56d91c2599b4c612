//! Units by tables.

use scenarios::program::Delay;
use scenarios::units::{format_duration, parse_delay, parse_duration, parse_rate, parse_share, parse_size};

const S: u64 = 1_000_000_000;

#[test]
fn durations() {
    let good: &[(&str, u64)] = &[
        ("0", 0),
        ("250ms", S / 4),
        ("2s", 2 * S),
        ("1m30s", 90 * S),
        ("24h", 86_400 * S),
        ("1.5s", 3 * S / 2),
        ("1 m 30 s", 90 * S),
        ("366d", 366 * 86_400 * S),
        ("10us", 10_000),
    ];
    for (text, ns) in good {
        assert_eq!(parse_duration(text), Ok(*ns), "{text}");
    }
    for text in ["", "5", "s", "-5s", "5 apples", "1e3s", "367d", "1..2s", "NaNs", "5s!", "٣s"] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    for ns in [0, 1, 999, S / 4, 90 * S, 86_400 * S, 3_661_001_000_001] {
        assert_eq!(parse_duration(&format_duration(ns)), Ok(ns));
    }
}

#[test]
fn drawn_times() {
    let good: &[(&str, Delay)] = &[
        ("2s", Delay::Fixed(2 * S)),
        ("1s..4s", Delay::Uniform(S, 4 * S)),
        ("1.5s..4s", Delay::Uniform(3 * S / 2, 4 * S)),
        ("normal(2s, 500ms)", Delay::Normal { mean_ns: 2e9, deviation_ns: 5e8 }),
        ("exponential(2s)", Delay::Exponential(2e9)),
    ];
    for (text, delay) in good {
        assert_eq!(parse_delay(text).as_ref(), Ok(delay), "{text}");
    }
    for text in ["4s..1s", "1s..", "..2s", "1..4s", "normal(2s)", "normal(2s, 1s", "gauss(1s)"] {
        assert!(parse_delay(text).is_err(), "{text}");
    }
}

#[test]
fn rates_shares_and_sizes() {
    for (text, per_s) in [("200/s", 200.0), ("1000/m", 1000.0 / 60.0), ("36/h", 0.01), ("0.5/s", 0.5)] {
        assert_eq!(parse_rate(text), Ok(per_s), "{text}");
    }
    for text in ["200", "/s", "-1/s", "1/fortnight", "inf/s"] {
        assert!(parse_rate(text).is_err(), "{text}");
    }
    for (text, share) in [("5%", 0.05), ("0%", 0.0), ("100%", 1.0), ("99.9 %", 0.999)] {
        assert_eq!(parse_share(text), Ok(share), "{text}");
    }
    for text in ["5", "101%", "-1%", "%", "NaN%"] {
        assert!(parse_share(text).is_err(), "{text}");
    }
    for (text, bytes) in [("64kB", 64_000), ("1MB", 1_000_000), ("4KiB", 4096), ("512B", 512)] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    for text in ["64", "64 parsecs", "kB", "99999999999GB"] {
        assert!(parse_size(text).is_err(), "{text}");
    }
}
