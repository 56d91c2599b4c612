//! `preset: capacity`: the range of rates in which the highest one that holds is looked for.
//! In: `arrivals` as a range, `hold`. Out: the load of one trial, at the lower end, and the range.

use super::super::reader::{Fields, Reader};
use super::{MAX_RATE, open_options};
use crate::diagnostic::Diagnostic;
use crate::program::{Load, Stage};
use crate::shape::Range;
use crate::units;

const SECOND_NS: u64 = super::SECOND_NS;
/// How long a trial is held when the profile is silent.
const HOLD_NS: u64 = 30 * SECOND_NS;
/// Shortest hold: a queue that grows has to show.
const LEAST_HOLD_NS: u64 = 5 * SECOND_NS;
/// Longest warm-up of a trial when the profile is silent.
const MOST_WARM_UP_NS: u64 = 5 * SECOND_NS;

/// The load of a trial and the range; the warm-up is not contained.
pub(super) fn load(reader: &mut Reader<'_>, fields: Fields<'_>) -> Option<(Load, Range)> {
    for (key, instead) in [
        ("users", "`arrivals` as a range: users that wait for answers cannot overload anything"),
        ("stages", "`arrivals` as a range"),
        ("for", "`hold`, the length of a trial"),
        ("ramp", "`warm_up`, which every trial starts with"),
    ] {
        if let Some(entry) = fields.entry(key) {
            reader.bad_value(entry.key.span, format!("a search for the capacity has no `{key}`, but {instead}"));
        }
    }
    let range = match fields.entry("arrivals") {
        None => {
            reader.missing(fields.at, "a search for the capacity", "arrivals", "1/s..100/s");
            None
        }
        Some(entry) => {
            let read = reader.unit(&entry.value, entry.key.span, "`arrivals`", "`1/s..40/s`", units::parse_rate_range);
            read.filter(|&(low, high)| {
                let good = low > 0.0 && low < high && high <= MAX_RATE;
                if !good {
                    let message = "`arrivals` goes from above 0 up to more, at most 1000000/s";
                    reader.push(
                        Diagnostic::error("bad-value", entry.value.span(), message)
                            .help("write for example `arrivals: 1/s..40/s`"),
                    );
                }
                good
            })
        }
    };
    let hold_ns = match fields.entry("hold") {
        Some(_) => reader.duration_at(fields, "hold", LEAST_HOLD_NS),
        None => Some(HOLD_NS),
    };
    let open = open_options(reader, fields);
    let (low, high) = range?;
    let trial = Stage { level: low, duration_ns: hold_ns?, ramp_ns: 0 };
    Some((open(vec![trial]), Range { low, high }))
}

/// The warm-up of each trial when the profile is silent: a fifth of the hold.
pub(super) fn warm_up_ns(load: &Load) -> u64 {
    (load.duration_ns() / 5).min(MOST_WARM_UP_NS)
}
