//! A suite's files into its folder.
//! In: a judged suite, a folder that exists. Out: `suite.json`, `junit.xml`, `summary.md`, `report.html`.

use super::{Suite, html, json, texts};
use crate::write::put;
use std::io;
use std::path::{Path, PathBuf};

/// Writes the files of a suite; answers the path of the report. Each appears whole or not at all.
///
/// # Errors
/// A file cannot be written; the message names it.
pub fn write(suite: &Suite, dir: &Path) -> io::Result<PathBuf> {
    put(dir, "suite.json", &json::render(suite))?;
    put(dir, "junit.xml", &texts::junit(suite))?;
    put(dir, "summary.md", &texts::summary(suite))?;
    put(dir, "report.html", &html::render(suite))
}
