//! `schema`: the JSON Schema of a scenario file, for editors.

use crate::screen;

/// Prints the schema.
pub fn schema() -> u8 {
    let text = serde_json::to_string_pretty(&scenarios::plan::schema()).expect("a JSON value is JSON");
    screen::out(&format!("{text}\n"));
    reports::exit_codes::GO
}
