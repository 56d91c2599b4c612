//! Where the figures come from, and how to get them again.
//! In: run header. Out: a view for the template.

use crate::figures::plain;
use engine::run_result::RunResult;

/// Provenance.
pub(crate) struct ProvenanceView {
    /// What, figure.
    pub facts: Vec<(&'static str, String)>,
    /// File, SHA-256.
    pub digests: Vec<(String, String)>,
    /// A command line for a shell.
    pub again: String,
}

impl ProvenanceView {
    pub fn new(result: &RunResult) -> Self {
        let header = &result.header;
        Self {
            facts: vec![
                ("Run", plain(&header.id)),
                ("Seed", header.seed.to_string()),
                ("Version", format!("watertight {}", plain(&header.version))),
                ("Scenario file", plain(&header.file)),
                ("Workers", header.workers.to_string()),
                ("Most users", header.users.to_string()),
                ("Machine", plain(&header.machine)),
                ("Command", plain(&shell(&header.command))),
            ],
            digests: header.digests.iter().map(|(file, digest)| (plain(file), plain(digest))).collect(),
            again: plain(&again(result)),
        }
    }
}

/// The command with its seed fixed.
fn again(result: &RunResult) -> String {
    let command = &result.header.command;
    let has_seed = command.iter().any(|word| word == "--seed" || word.starts_with("--seed="));
    let mut words = command.clone();
    if !has_seed {
        words.push("--seed".into());
        words.push(result.header.seed.to_string());
    }
    shell(&words)
}

/// Words as a shell reads them.
fn shell(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let is_plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c));
        if is_plain { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
