//! The results folder: where a run is stored.
//! In: scenario, profile, start time, `--out`. Out: an empty folder that can be written.

use crate::outcome::Problem;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The folder of an invocation: `--out`, or `results/<scenario>-<profile>-<start time, UTC>`, with a number behind it if
/// another invocation that began in the same second has taken that. A folder without `--out` is made at once, so that
/// nobody else takes it; [`leave`] removes it again if nothing came to stand in it.
pub fn folder(out: Option<&Path>, scenario: &str, profile: &str) -> PathBuf {
    let stamp = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ");
    out.map_or_else(
        || own(Path::new("results"), &format!("{}-{}-{stamp}", slug(scenario), slug(profile))),
        Path::to_path_buf,
    )
}

/// A folder in `parent` that nobody else has. One that cannot be made is told of when it is to be written.
fn own(parent: &Path, name: &str) -> PathBuf {
    let first = parent.join(name);
    if fs::create_dir_all(parent).is_err() {
        return first;
    }
    let mut folder = first.clone();
    for number in 2..1000 {
        match fs::create_dir(&folder) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => folder = parent.join(format!("{name}-{number}")),
            _ => return folder,
        }
    }
    first
}

/// Nothing is to be stored after all: an empty folder goes.
pub fn leave(folder: &Path) {
    // One that holds anything stays, and one that cannot be removed harms nobody.
    if fs::remove_dir(folder).is_ok()
        && let Some(parent) = folder.parent().filter(|parent| parent.as_os_str() == "results")
    {
        let _ = fs::remove_dir(parent);
    }
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
    fn who_begins_in_the_same_second_has_a_folder_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let results = dir.path().join("results");
        let names: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| own(&results, "clinic-quick-now"))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), 8, "{names:?}");
        assert!(names.iter().all(|name| name.is_dir()) && different.contains(&results.join("clinic-quick-now-8")));
        fs::write(names[0].join("run.json"), "{}").unwrap();
        names.iter().for_each(|name| leave(name));
        assert_eq!(names.iter().filter(|name| name.exists()).collect::<Vec<_>>(), [&names[0]]);
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
