//! `poll:`: a request that is made again and again until something is there.
//! In: the step's map. Out: [`RequestPlan`] with its [`PollPlan`].

use super::{read_options, read_outcome};
use crate::plan::reader::{Reader, Spec};
use crate::plan::{PollPlan, RequestPlan};
use crate::syntax::{Entry, Node};

pub(super) const POLL: Spec = Spec {
    what: "a `poll` step",
    keys: &[
        "poll",
        "every",
        "within",
        "until",
        "target",
        "headers",
        "query",
        "json",
        "form",
        "body",
        "timeout",
        "expect",
        "save",
        "identity",
        "tags",
        "name",
        "on_failure",
    ],
    not_yet: &[],
};

const SECOND_NS: u64 = 1_000_000_000;
const MILLISECOND_NS: u64 = 1_000_000;

/// Reads the step `node`, whose key `poll` is `entry`.
pub(in crate::plan) fn read(reader: &mut Reader<'_>, node: &Node, entry: &Entry) -> Option<RequestPlan> {
    let fields = reader.fields(node, entry.key.span, &POLL)?;
    let Node::Scalar(key) = &entry.value else {
        let rule = "`poll` is a request such as `GET /jobs/{{ id }}`; its options stand beside it";
        reader.expected(entry.key.span, rule, &entry.value);
        return None;
    };
    if key.is_null() {
        reader.expected(entry.key.span, "`poll` is a request such as `GET /jobs/{{ id }}`", &entry.value);
        return None;
    }
    let mut request = super::read(reader, key, None, key.span, false)?;
    read_options(reader, fields, &mut request);
    read_outcome(reader, fields, &mut request);
    request.poll = Some(PollPlan {
        every_ns: reader.duration_at(fields, "every", MILLISECOND_NS).unwrap_or(SECOND_NS),
        within_ns: reader.duration_at(fields, "within", MILLISECOND_NS).unwrap_or(30 * SECOND_NS),
        until: reader.text_at(fields, "until").cloned(),
    });
    Some(request)
}
