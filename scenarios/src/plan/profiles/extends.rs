//! `extends:` of a profile: what it does not say itself, another profile says.
//! In: a profile's entry and all profiles. Out: one map without `extends`.

use crate::diagnostic::{Diagnostic, suggestion};
use crate::plan::reader::Reader;
use crate::syntax::{Entry, Node, Scalar};

/// Keys that say how much load there is: whoever writes one takes none of the others over.
const LOADS: &[&str] = &["users", "arrivals", "stages"];

/// The profile with what it extends filled in; `None` when that cannot be found.
pub(super) fn resolve(reader: &mut Reader<'_>, profile: &Entry, all: &[Entry]) -> Option<Node> {
    let mut whole = profile.value.clone();
    let mut way = vec![profile.key.text.as_str()];
    let mut at = profile;
    while let Some(base) = base(reader, at)? {
        let Some(found) = all.iter().find(|e| e.key.text == base.text) else {
            let known = all.iter().map(|e| e.key.text.as_str()).filter(|name| *name != profile.key.text);
            let message = format!("there is no profile `{}`", base.shown());
            reader
                .push(Diagnostic::error("unknown-name", base.span, message).maybe_help(suggestion(&base.text, known)));
            return None;
        };
        way.push(&found.key.text);
        if way[..way.len() - 1].contains(&found.key.text.as_str()) {
            let way: Vec<String> = way.iter().map(|name| format!("`{name}`")).collect();
            let message = format!("profiles extend each other in a circle: {}", way.join(" → "));
            reader.push(Diagnostic::error("cycle", base.span, message).help("let one of them stand on its own"));
            return None;
        }
        fill(&mut whole, &found.value);
        at = found;
    }
    if let Node::Map(entries, _) = &mut whole {
        entries.retain(|e| e.key.text != "extends");
    }
    Some(whole)
}

/// The name after `extends`; the outer `None` when it is no name.
fn base<'n>(reader: &mut Reader<'_>, profile: &'n Entry) -> Option<Option<&'n Scalar>> {
    let Node::Map(entries, _) = &profile.value else {
        return Some(None);
    };
    match entries.iter().find(|e| e.key.text == "extends") {
        Some(entry) => reader.text(&entry.value, entry.key.span, "`extends`").map(Some),
        None => Some(None),
    }
}

/// Takes over what `whole` does not say.
fn fill(whole: &mut Node, base: &Node) {
    let (Node::Map(entries, _), Node::Map(more, _)) = (whole, base) else { return };
    let says = |key: &str| entries.iter().any(|e| e.key.text == key);
    let mut left_out: Vec<&str> = Vec::new();
    if LOADS.iter().any(|key| says(key)) {
        left_out.extend(LOADS);
        if !says("arrivals") {
            left_out.extend(["spacing", "max_users"]);
        }
        if says("stages") {
            left_out.extend(["for", "ramp"]);
        }
    }
    let taken: Vec<Entry> =
        more.iter().filter(|e| !says(&e.key.text) && !left_out.contains(&e.key.text.as_str())).cloned().collect();
    entries.extend(taken);
}
