//! `save:`: what is taken from an answer.
//! In: the map. Out: [`SavePlan`]s.

use super::check_header_name;
use crate::diagnostic::Diagnostic;
use crate::plan::reader::{Fields, Reader, Spec, constant};
use crate::plan::{SavePlan, SavedFrom};
use crate::syntax::{Entry, Node};

pub(super) const SAVE: Spec = Spec {
    what: "a saved value",
    keys: &["json", "header", "regex", "cookie", "css", "attribute", "credential", "secret", "default"],
    not_yet: &[],
};

pub(super) fn read(reader: &mut Reader<'_>, request: Fields<'_>) -> Vec<SavePlan> {
    let Some(entry) = request.entry("save") else {
        return Vec::new();
    };
    let entries = reader.entries(&entry.value, entry.key.span, "`save`");
    let mut saves = Vec::new();
    for entry in entries.unwrap_or_default() {
        if !reader.variable_name(&entry.key, "a variable") {
            continue;
        }
        match saved(reader, entry) {
            Some(save) => saves.push(save),
            None => {
                reader.ghosts.insert(entry.key.text.clone());
            }
        }
    }
    saves
}

fn saved(reader: &mut Reader<'_>, entry: &Entry) -> Option<SavePlan> {
    let mut save = SavePlan {
        name: entry.key.clone(),
        source: SavedFrom::Json(entry.key.clone()),
        default: None,
        credential: false,
        secret: false,
    };
    if !matches!(entry.value, Node::Map(..)) {
        let path = reader.text(&entry.value, entry.key.span, "a saved value")?;
        if !path.text.starts_with('$') {
            reader.push(
                Diagnostic::error(
                    "bad-path",
                    path.span,
                    format!("`{}` is no JSONPath: that starts with `$`", path.shown()),
                )
                .help(format!("write `$.{}`; a header is `{{ header: … }}`, a cookie `{{ cookie: … }}`, a pattern `{{ regex: … }}`", path.text)),
            );
            return None;
        }
        save.source = SavedFrom::Json(path.clone());
        return Some(save);
    }
    let fields = reader.fields(&entry.value, entry.key.span, &SAVE)?;
    save.credential = reader.flag_at(fields, "credential").unwrap_or(false);
    // What a cookie holds is what lets somebody in, unless the file says otherwise.
    let silent = fields.entry("cookie").is_some();
    save.secret = reader.flag_at(fields, "secret").unwrap_or(silent) || save.credential;
    if let Some(Node::Scalar(text)) = fields.get("default") {
        reader.plain(text, "`default`");
    }
    save.default = fields.get("default").map(constant);
    save.source = source(reader, fields)?;
    Some(save)
}

fn source(reader: &mut Reader<'_>, fields: Fields<'_>) -> Option<SavedFrom> {
    let places = ["json", "header", "regex", "cookie", "css"];
    if let (Some(entry), None) = (fields.entry("attribute"), fields.entry("css")) {
        reader.bad_value(entry.key.span, "`attribute` goes with `css` only");
    }
    let given: Vec<&Entry> = places.iter().filter_map(|key| fields.entry(key)).collect();
    match given.as_slice() {
        [] => {
            reader.missing(fields.at, "a saved value", "json", "$.id");
            None
        }
        [one] => {
            let text = reader.text_at(fields, &one.key.text)?.clone();
            Some(match one.key.text.as_str() {
                "json" => SavedFrom::Json(text),
                "header" => {
                    check_header_name(reader, &text);
                    SavedFrom::Header(text)
                }
                "cookie" => SavedFrom::Cookie(text),
                "css" => SavedFrom::Css { selector: text, attribute: reader.text_at(fields, "attribute").cloned() },
                _ => SavedFrom::Regex(text),
            })
        }
        [first, second, ..] => {
            let message = format!("a value is saved from one place, and this one has `{}` already", first.key.text);
            reader.push(Diagnostic::error("two-places", second.key.span, message));
            None
        }
    }
}
