//! `events:`: an answer read as server-sent events.
//! In: the map. Out: [`EventsPlan`].

use super::expect;
use crate::plan::reader::{Fields, Reader, Spec};
use crate::plan::{EventsPlan, UntilPlan};
use crate::syntax::Node;

pub(super) const EVENTS: Spec = Spec { what: "`events`", keys: &["text", "until"], not_yet: &[] };

pub(super) fn read(reader: &mut Reader<'_>, request: Fields<'_>) -> Option<EventsPlan> {
    let entry = request.entry("events")?;
    let fields = reader.fields(&entry.value, entry.key.span, &EVENTS)?;
    let text = reader.text_at(fields, "text").cloned();
    let until = fields.entry("until").and_then(|entry| match &entry.value {
        Node::Map(..) => Some(UntilPlan::Json(expect::conditions(reader, fields, "until", "`until`"))),
        other => {
            let text = reader.text(other, entry.key.span, "`until`")?;
            reader.plain(text, "`until`").then(|| UntilPlan::Text(text.clone()))
        }
    });
    Some(EventsPlan { text, until })
}
