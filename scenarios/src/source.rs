//! A scenario file as it was read: its name for messages, its text, and the folder that paths in it are relative to.
//! In: a path. Out: [`Source`], the only thing that parsing reads besides data files and the environment.

use std::io;
use std::path::{Path, PathBuf};

/// A scenario file's name, text and folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name that messages show, usually the path as the user typed it.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Folder that the file's relative paths (CSV files, certificates) start from.
    pub folder: PathBuf,
}

impl Source {
    /// Reads the file at `path`. Errors: as for reading a text file; text that is not UTF-8 is one of them.
    pub fn read(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)?;
        Ok(Self {
            name: path.display().to_string(),
            text,
            folder: path.parent().map(Path::to_path_buf).unwrap_or_default(),
        })
    }
}
