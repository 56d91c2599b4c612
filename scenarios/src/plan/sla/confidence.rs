//! `mode:` of an objective: whether the figure has to keep the limit, or its whole interval.
//! In: the objective's keys. Out: whether it is `confident`.

use super::Fields;
use crate::diagnostic::Diagnostic;
use crate::objective::Stat;
use crate::plan::reader::Reader;

pub(super) fn read(reader: &mut Reader<'_>, fields: Fields<'_>, stat: Stat) -> bool {
    let Some("confident") = reader.word_at(fields, "mode", &["point", "confident"], &[]) else {
        return false;
    };
    let at = fields.entry("mode").map_or(fields.at, |e| e.key.span);
    let why = if !stat.has_interval() {
        format!("`{}` has no interval that could lie on the good side", stat.word())
    } else if fields.entry("each").is_some() {
        "a window is judged by its figure: `mode: confident` is of a whole run".to_owned()
    } else {
        return true;
    };
    reader.push(Diagnostic::error("bad-value", at, why).help("take `mode` out"));
    false
}
