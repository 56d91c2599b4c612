//! `init`: a commented starter scenario from nothing, an OpenAPI description, a HAR recording or a curl command.
//! In: flags. Out: a file that `check` accepts, on stdout or in a new file; no credential of the source is in it.

mod curl;
mod har;
mod openapi;
mod sample;
mod starter;
mod words;

use crate::args::Init;
use crate::outcome::Problem;
use crate::screen;
use starter::Starter;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// Largest source that is read: a recording of an hour is some 100 MB.
const LARGEST: u64 = 512 << 20;

/// Writes a starter.
///
/// # Errors
/// The source cannot be read or understood, or the file to write is already there.
pub fn init(args: &Init) -> Result<u8, Problem> {
    let text = match (&args.openapi, &args.har, &args.curl) {
        (Some(file), _, _) => from_file(file, openapi::read)?,
        (_, Some(file), _) => from_file(file, har::read)?,
        (_, _, Some(command)) => curl::read(command).map_err(|e| Problem::usage(format!("--curl: {e}")))?.yaml(),
        (None, None, None) => starter::MODEL.to_owned(),
    };
    match &args.out {
        None => screen::out(&text),
        Some(path) => {
            write_new(path, &text)?;
            screen::err(&format!("{} is written; `watertight check {0}` says what it does\n", path.display()));
        }
    }
    Ok(reports::exit_codes::GO)
}

fn from_file(path: &Path, read: fn(&str) -> Result<Starter, String>) -> Result<String, Problem> {
    let wrong = |why: String| Problem::usage(format!("{}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?.len();
    if size > LARGEST {
        return Err(wrong(format!("it is larger than {} MiB", LARGEST >> 20)));
    }
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    Ok(read(text.trim_start_matches('\u{feff}')).map_err(wrong)?.yaml())
}

/// Writes a file that is not there yet; one that is there is never touched.
fn write_new(path: &Path, text: &str) -> Result<(), Problem> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Problem::usage(format!("{} is there already and stays as it is: choose another --out", path.display()))
        }
        _ => Problem::run(format!("{} cannot be written: {e}", path.display())),
    })?;
    file.write_all(text.as_bytes()).map_err(|e| Problem::run(format!("{} cannot be written: {e}", path.display())))
}
