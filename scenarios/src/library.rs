//! The scenario files that are shipped inside the binary.
//! In: a name. Out: the file's text, ready to be parsed.

use crate::source::Source;
use std::path::PathBuf;

/// The practice clinic's scenario, the newcomers' model.
pub const CLINIC: &str = include_str!("../library/clinic.yaml");

/// The shipped files by name; the practice clinic's comes first, then one for each kind of plan.
const FILES: &[(&str, &str)] = &[
    ("clinic", CLINIC),
    ("therapeutic-storytelling", include_str!("../library/therapeutic-storytelling.yaml")),
    ("agent-platform", include_str!("../library/agent-platform.yaml")),
    ("support-chatbot", include_str!("../library/support-chatbot.yaml")),
    ("realtime-app", include_str!("../library/realtime-app.yaml")),
    ("release-gate", include_str!("../library/release-gate.yaml")),
];

/// Names of the shipped files.
pub const NAMES: &[&str] =
    &["clinic", "therapeutic-storytelling", "agent-platform", "support-chatbot", "realtime-app", "release-gate"];

/// The shipped file of this name, such as `clinic` or `clinic.yaml`.
pub fn source(name: &str) -> Option<Source> {
    let stem = name.strip_suffix(".yaml").unwrap_or(name);
    let (_, text) = FILES.iter().find(|(known, _)| *known == stem)?;
    Some(Source { name: format!("{stem}.yaml"), text: (*text).to_owned(), folder: PathBuf::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_file() {
        assert!(NAMES.iter().copied().eq(FILES.iter().map(|(name, _)| *name)));
    }
}
