//! Rendered texts into the results folder.
//! In: run result, verdict, folder. Out: files; an error names the file that could not be written.

use crate::{Verdict, render_junit, render_report, render_result_json, render_summary};
use engine::run_result::RunResult;
use std::io;
use std::path::{Path, PathBuf};

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// `report.html`.
    pub report: PathBuf,
    /// `result.json`.
    pub result: PathBuf,
    /// `junit.xml`.
    pub junit: PathBuf,
    /// `summary.md`.
    pub summary: PathBuf,
}

/// Writes `result.json`, `junit.xml`, `summary.md` and `report.html` into `dir`, which is made if missing.
/// Every file appears whole or not at all, so that a reader never sees half a verdict.
///
/// # Errors
/// The folder or a file cannot be written; the message names it.
pub fn write(result: &RunResult, verdict: &Verdict, dir: &Path) -> io::Result<Written> {
    std::fs::create_dir_all(dir).map_err(|e| name_in(&e, dir))?;
    let put = |name: &str, text: &str| put(dir, name, text);
    Ok(Written {
        result: put("result.json", &render_result_json(result, verdict))?,
        junit: put("junit.xml", &render_junit(result, verdict))?,
        summary: put("summary.md", &render_summary(result, verdict))?,
        report: put("report.html", &render_report(result, verdict))?,
    })
}

/// Writes a file whole or not at all.
pub(crate) fn put(dir: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    let path = dir.join(name);
    let half = dir.join(format!(".{name}.part"));
    std::fs::write(&half, text).and_then(|()| std::fs::rename(&half, &path)).map_err(|e| name_in(&e, &path))?;
    Ok(path)
}

fn name_in(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
