//! A file of lines that holds whole lines only, also when the disk is full now and has room again later.
//! In: lines. Out: a file; an error for each line that could not be stored.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// An open file of lines.
#[derive(Debug)]
pub struct Lines {
    file: File,
    /// Length up to the end of the last whole line.
    whole: u64,
    /// Part of a line may stand behind it.
    is_torn: bool,
}

impl Lines {
    /// Makes the file at `path`, or empties it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        File::create(path)?;
        // Appending, so that a cut file goes on at its new end.
        Ok(Self { file: OpenOptions::new().append(true).open(path)?, whole: 0, is_torn: false })
    }

    /// Stores `lines`, which end with a line break, all of them or none: what was written of them is taken back.
    ///
    /// # Errors
    /// They could not be stored; the next ones may be.
    pub fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.take_back()?;
        }
        // One write, so that another process sees a line whole or not at all but for a full disk.
        match self.file.write_all(lines) {
            Ok(()) => {
                self.whole += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.is_torn = true;
                // If this fails too, it is tried again before the next line.
                let _ = self.take_back();
                Err(error)
            }
        }
    }

    fn take_back(&mut self) -> io::Result<()> {
        match self.file.set_len(self.whole) {
            // A device or a pipe has no length: nothing of a line stays there.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => {}
            other => other?,
        }
        self.is_torn = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut lines = Lines::create(&path).unwrap();
        lines.write(b"one\n").unwrap();
        // Half a line, as a disk leaves it that runs full in the middle.
        lines.file.write_all(b"tw").unwrap();
        lines.is_torn = true;
        lines.write(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\nthree\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_each_time_and_no_more() {
        let mut lines = Lines::create(Path::new("/dev/full")).unwrap();
        for _ in 0..2 {
            assert_eq!(lines.write(b"x\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
    }
}
