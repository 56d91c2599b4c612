//! `rate_limit:` of an objective: the rate that the target states, not a comparison.
//! In: its text. Out: a limit, or what is wrong with it.

use crate::diagnostic::{Diagnostic, Span};
use crate::objective::{Comparison, Limit};
use crate::plan::reader::{Fields, Reader};
use crate::rate_limit::RateLimit;
use crate::units;

const EXAMPLE: &str = "write the rate that the target states for each user, for example `rate_limit: 10/s`";

pub(super) fn read(reader: &mut Reader<'_>, span: Span, text: &str) -> Option<Limit> {
    let rate = match units::split_comparison(text) {
        Some(_) => {
            Err("`rate_limit` is a rate, without a sign: 429 has to come above it, and only above it".to_owned())
        }
        None => RateLimit::parse(text),
    };
    match rate {
        Ok(rate) => {
            let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            Some(Limit { op: Comparison::AtMost, value: rate.per_second(), text })
        }
        Err(message) => {
            reader.push(Diagnostic::error("bad-limit", span, message).help(EXAMPLE));
            None
        }
    }
}

/// A limit is kept or not: there is nothing that only warns.
pub(super) fn refuse_warn(reader: &mut Reader<'_>, fields: Fields<'_>) {
    if let Some(warn) = fields.entry("warn") {
        let message = "a rate limit has no tighter limit that only warns";
        reader
            .push(Diagnostic::error("bad-value", warn.key.span, message).help("take `warn` out, or say `must: false`"));
    }
}
