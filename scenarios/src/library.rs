//! The scenario files that are shipped inside the binary.
//! In: a name. Out: the file's text, ready to be parsed.

use crate::source::Source;
use std::path::PathBuf;

/// The practice clinic's scenario, the newcomers' model.
pub const CLINIC: &str = include_str!("../library/clinic.yaml");

/// Names of the shipped files.
pub const NAMES: &[&str] = &["clinic"];

/// The shipped file of this name, such as `clinic` or `clinic.yaml`.
pub fn source(name: &str) -> Option<Source> {
    let stem = name.strip_suffix(".yaml").unwrap_or(name);
    let text = match stem {
        "clinic" => CLINIC,
        _ => return None,
    };
    Some(Source { name: format!("{stem}.yaml"), text: text.to_owned(), folder: PathBuf::new() })
}
