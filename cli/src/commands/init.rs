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

#[cfg(test)]
mod tests {
    use super::{curl, har, openapi};
    use proptest::prelude::*;
    use scenarios::Source;

    /// Whatever a source holds, the starter made from it is a file without mistakes.
    fn assert_right(yaml: &str) -> Result<(), TestCaseError> {
        let source = Source { name: "made.yaml".into(), text: yaml.to_owned(), folder: "/nonexistent".into() };
        let parsed = scenarios::parse(&source, &|_| None);
        prop_assert!(parsed.is_ok(), "{}\n{yaml}", scenarios::render(&parsed.unwrap_err(), &source, false));
        Ok(())
    }

    /// Text with what means something to YAML, templates, the environment, shells and URLs.
    const SIGNS: &str =
        "([a-z0-9 ]|[{}$\"'\\\\:#&?=%/|<>,;*!@`~^()\\[\\]\n\t\u{1}\u{7f}\u{85}\u{feff}é😀-]|\\{\\{|\\$\\{){0,24}";

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_command_is_refused_or_right(text in "(curl )?(-[A-Za-z]|--[a-z-]{1,12}|[a-z:/.'\"$\\\\ ={}\n-]){0,20}", body in SIGNS, header in SIGNS) {
            if let Ok(starter) = curl::read(&text) {
                assert_right(&starter.yaml())?;
            }
            let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
            let command = format!("curl http://h/{} -H {} -d {}", quoted(&header), quoted(&format!("x-a: {header}")), quoted(&body));
            if let Ok(starter) = curl::read(&command) {
                assert_right(&starter.yaml())?;
            }
        }

        #[test]
        fn any_recording_is_refused_or_right(path in SIGNS, name in SIGNS, text in SIGNS, kind in "(application/json|application/x-www-form-urlencoded|text/plain|multipart/form-data)") {
            let json = serde_json::json!({ &name: &text, "list": [&text, { &text: null }] }).to_string();
            let body = if kind.contains("json") { json } else { text.clone() };
            let entry = serde_json::json!({
                "startedDateTime": &name, "time": 3,
                "request": { "method": "POST", "url": format!("http://h/{path}?{name}={text}"),
                    "headers": [{ "name": &name, "value": &text }, { "name": "x-b", "value": &text }],
                    "postData": { "mimeType": kind, "text": body, "params": [{ "name": &name, "value": &text }] } },
                "response": { "status": 200 } });
            let recording = serde_json::json!({ "log": { "entries": [entry.clone(), entry] } }).to_string();
            if let Ok(starter) = har::read(&recording) {
                assert_right(&starter.yaml())?;
            }
        }

        #[test]
        fn any_description_is_refused_or_right(path in SIGNS, name in SIGNS, text in SIGNS) {
            let operation = serde_json::json!({
                "summary": &text, "tags": [&text],
                "parameters": [
                    { "name": &name, "in": "path", "required": true, "example": &text },
                    { "name": &name, "in": "query", "required": true, "schema": { "enum": [&text] } },
                    { "name": &name, "in": "header", "required": true, "example": &text }],
                "requestBody": { "content": { "application/json": { "schema": { "type": "object", "properties": { &name: { "example": &text }, "b": { "allOf": [{ "$ref": "#/x" }] } } } } } },
                "responses": { "200": {} } });
            let document = serde_json::json!({
                "openapi": "3.1.0", "info": { "title": &text }, "servers": [{ "url": format!("http://h/{name}") }],
                "paths": { format!("/{path}/{{{name}}}"): { "post": operation.clone() }, "/login": { "post": operation } },
                "components": { "securitySchemes": { &name: { "type": "apiKey", "in": "header", "name": &text }, "b": { "type": "http", "scheme": "bearer" } } } });
            if let Ok(starter) = openapi::read(&document.to_string()) {
                assert_right(&starter.yaml())?;
            }
        }
    }
}
