//! Text for the two screens, stdout and stderr. A reader that went away (`watertight run … | head`) must change
//! neither what a command does nor its exit code, so a failed write is let go.

use std::io::Write;

/// Writes `text` to stdout as it is.
pub fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes `text` to stderr as it is.
pub fn err(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
