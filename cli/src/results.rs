//! The results folder: where a run is stored.
//! In: scenario, profile, start time, `--out`. Out: an empty folder that can be written.

use crate::outcome::Problem;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of an invocation: `--out`, or `results/<scenario>-<profile>-<start time, UTC>`.
pub fn folder(out: Option<&Path>, scenario: &str, profile: &str) -> PathBuf {
    let stamp = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ");
    out.map_or_else(
        || Path::new("results").join(format!("{}-{}-{stamp}", slug(scenario), slug(profile))),
        Path::to_path_buf,
    )
}

/// Makes `folder`; one that holds a run already is not written over.
///
/// # Errors
/// It holds a run, or it cannot be made or written.
pub fn create(folder: &Path) -> Result<(), Problem> {
    refuse_taken(folder)?;
    let writable = fs::create_dir_all(folder).and_then(|()| {
        let probe = folder.join(".write-test");
        fs::write(&probe, b"")?;
        fs::remove_file(&probe)
    });
    writable.map_err(|e| Problem::run(format!("the results folder {} cannot be written: {e}", folder.display())))
}

/// # Errors
/// `folder` holds a run already.
pub fn refuse_taken(folder: &Path) -> Result<(), Problem> {
    if folder.join("run.json").exists() || folder.join("suite.json").exists() {
        return Err(Problem::usage(format!(
            "{} holds a run already; name another folder with --out, or remove it",
            folder.display()
        )));
    }
    Ok(())
}

fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "run".into() } else { slug.chars().take(60).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_folders() {
        assert_eq!(slug("Clinic go-live"), "clinic-go-live");
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!(slug("ÄÖÜ"), "run");
    }

    #[test]
    fn a_run_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        create(&dir.path().join("new")).unwrap();
        fs::write(dir.path().join("run.json"), "{}").unwrap();
        assert_eq!(create(dir.path()).unwrap_err().code(), 2);
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(create(&dir.path().join("file/below")).unwrap_err().code(), 4);
    }
}
