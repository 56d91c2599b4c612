//! Rows: read from a CSV file with a header line, or made up from the row's index.
//! In: `accounts:` or a file name. Out: columns and rows. A CSV column that holds nothing but plain whole numbers
//! is numbers, so that it compares with made-up ones; secret columns stay text.

use super::reader::{Fields, Reader, Spec};
use super::{RolePlan, Table, stored};
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{EvalError, ExprError, Names, Place, Scope, Template, Type};
use crate::syntax::{Entry, Node, Scalar};
use crate::value::Value;
use std::collections::HashSet;

/// Most rows of one table.
const MAX_ROWS: usize = 1_000_000;

const ACCOUNTS: Spec = Spec { what: "`accounts`", keys: &["file", "count", "values", "columns"], not_yet: &[] };

const COLUMN: Spec = Spec { what: "a column", keys: &["secret"], not_yet: &[] };

pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry, role: &mut RolePlan) {
    if let Node::Scalar(_) = &entry.value {
        if let Some(file) = reader.text(&entry.value, entry.key.span, "`accounts`") {
            role.accounts = csv_file(reader, file);
        }
        if let Some(table) = &mut role.accounts {
            number_columns(table, &role.secret);
        }
        return;
    }
    let Some(fields) = reader.fields(&entry.value, entry.key.span, &ACCOUNTS) else {
        return;
    };
    role.accounts = match (fields.entry("file"), fields.entry("count")) {
        (Some(_), None) => {
            if let Some(values) = fields.entry("values") {
                reader.bad_value(values.key.span, "`values` goes with `count`, not with `file`");
            }
            reader.text_at(fields, "file").and_then(|file| csv_file(reader, file))
        }
        (None, Some(_)) => made_up(reader, fields),
        (Some(_), Some(count)) => {
            reader.bad_value(count.key.span, "accounts come from a `file` or from `count` and `values`, not from both");
            None
        }
        (None, None) => {
            reader.missing(entry.key.span, "`accounts`", "count", "100");
            None
        }
    };
    columns(reader, fields, role);
    if let (Some(table), Some(_)) = (&mut role.accounts, fields.entry("file")) {
        number_columns(table, &role.secret);
    }
}

fn columns(reader: &mut Reader<'_>, fields: Fields<'_>, role: &mut RolePlan) {
    let Some(entry) = fields.entry("columns") else {
        return;
    };
    let entries = reader.entries(&entry.value, entry.key.span, "`columns`");
    for column in entries.unwrap_or_default() {
        if let Some((names, _)) = &role.accounts
            && !names.contains(&column.key.text)
        {
            let message = format!("there is no column `{}`", column.key.text);
            let help = crate::diagnostic::suggestion(&column.key.text, names.iter().map(String::as_str));
            reader.push(Diagnostic::error("unknown-column", column.key.span, message).maybe_help(help));
        }
        let Some(fields) = reader.fields(&column.value, column.key.span, &COLUMN) else {
            continue;
        };
        if reader.flag_at(fields, "secret") == Some(true) {
            role.secret.insert(column.key.text.clone());
        }
    }
}

/// Makes a column of plain whole numbers one of numbers. `007` and `+5` are no plain numbers: they stay text.
pub(super) fn number_columns((columns, rows): &mut (Vec<String>, Vec<Vec<Value>>), secret: &HashSet<String>) {
    let plain = |value: &Value| match value {
        Value::Text(text) => text.parse::<i64>().ok().filter(|n| n.to_string() == **text),
        _ => None,
    };
    for (i, column) in columns.iter().enumerate() {
        let keep = secret.contains(column) || stored::is_secret_name(column);
        if keep || !rows.iter().all(|row| plain(&row[i]).is_some()) {
            continue;
        }
        for row in rows.iter_mut() {
            if let Some(n) = plain(&row[i]) {
                row[i] = Value::Int(n);
            }
        }
    }
}

/// Reads a CSV file with a header line.
pub(super) fn csv_file(reader: &mut Reader<'_>, file: &Scalar) -> Table {
    let full = reader.path(file);
    let refuse = |reader: &mut Reader<'_>, code, message: String| {
        reader.push(Diagnostic::error(code, file.span, message).note("paths start from the scenario file's folder"));
        None
    };
    let bytes = match std::fs::read(&full) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("the file `{}` cannot be read: {error}", file.shown());
            return refuse(reader, "no-file", message);
        }
    };
    reader.digests.push((file.text.clone(), stored::sha256(&bytes)));
    match parse_csv(&bytes) {
        Ok(table) => Some(table),
        Err(message) => refuse(reader, "bad-csv", format!("`{}`: {message}", file.shown())),
    }
}

fn parse_csv(bytes: &[u8]) -> Result<(Vec<String>, Vec<Vec<Value>>), String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let columns: Vec<String> = csv.headers().map_err(|e| e.to_string())?.iter().map(str::to_owned).collect();
    if columns.iter().all(String::is_empty) {
        return Err("the first line must name the columns".into());
    }
    for (i, column) in columns.iter().enumerate() {
        if column.is_empty() {
            return Err(format!("column {} has no name in the first line", i + 1));
        }
        if columns[..i].contains(column) {
            return Err(format!("the first line names the column `{column}` twice"));
        }
    }
    let mut rows = Vec::new();
    for record in csv.records() {
        let record = record.map_err(|e| match e.kind() {
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                let line = pos.as_ref().map_or(0, csv::Position::line);
                format!("line {line} has {len} columns, the first line has {expected_len}")
            }
            _ => e.to_string(),
        })?;
        if rows.len() == MAX_ROWS {
            return Err(format!("more than {MAX_ROWS} rows"));
        }
        rows.push(record.iter().map(Value::from).collect());
    }
    if rows.is_empty() {
        return Err("there is no row after the first line".into());
    }
    Ok((columns, rows))
}

fn made_up(reader: &mut Reader<'_>, fields: Fields<'_>) -> Table {
    let count = reader.whole_at(fields, "count", 1, MAX_ROWS as u64);
    let Some(values) = fields.entry("values") else {
        reader.missing(fields.at, "`accounts` with `count`", "values", "{ id: \"p-{{ index }}\" }");
        return None;
    };
    let entries = reader.entries(&values.value, values.key.span, "`values`")?;
    if entries.is_empty() {
        reader.bad_value(values.key.span, "`values` names no column");
        return None;
    }
    let mut columns = Vec::new();
    let mut templates = Vec::new();
    let mut good = true;
    for entry in entries {
        columns.push(entry.key.text.clone());
        match template(reader, entry) {
            Some(template) => templates.push((entry.value.span(), template)),
            None => good = false,
        }
    }
    if !good {
        return None;
    }
    let rows = rows(reader, &templates, count?)?;
    Some((columns, rows))
}

fn template(reader: &mut Reader<'_>, entry: &Entry) -> Option<Template> {
    let scalar = reader.text(&entry.value, entry.key.span, "the value of a column")?;
    if !scalar.text.contains("{{") {
        return Some(Template::constant(scalar.value()));
    }
    for clock in ["now(", "client_id("] {
        if scalar.text.contains(clock) {
            reader
                .bad_value(scalar.span, format!("`{clock})` cannot be used here: accounts are the same in every run"));
            return None;
        }
    }
    match Template::compile(&scalar.text, &OnlyIndex) {
        Ok(template) => Some(template),
        Err(error) => {
            let span = scalar.locate(&reader.source.text, error.range);
            reader.push(Diagnostic::error(error.code, span, error.message).maybe_help(error.help));
            None
        }
    }
}

fn rows(reader: &mut Reader<'_>, templates: &[(Span, Template)], count: u64) -> Option<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for index in 0..count {
        let mut scope = Row { index, state: index ^ 0x5EED_0F0A_CC00_1234 };
        let mut row = Vec::with_capacity(templates.len());
        for (span, template) in templates {
            match template.eval(&mut scope) {
                Ok(value) => row.push(value),
                Err(EvalError(message)) => {
                    reader.bad_value(*span, format!("for index {index}: {message}"));
                    return None;
                }
            }
        }
        rows.push(row);
    }
    Some(rows)
}

/// While accounts are made up there is only `index`.
struct OnlyIndex;

impl Names for OnlyIndex {
    fn resolve(&self, path: &[&str]) -> Result<(Place, Type, usize), ExprError> {
        match path {
            ["index", ..] => Ok((Place::Index, Type::Int, 1)),
            other => Err(ExprError {
                range: 0..0,
                message: format!("there is no `{}` while accounts are made up", other.join(".")),
                help: Some("use `index`, which counts the rows from 0".into()),
                code: "unknown-variable",
            }),
        }
    }
}

/// What a row's templates see: the index, and chance that depends on nothing else.
struct Row {
    index: u64,
    state: u64,
}

impl Scope for Row {
    fn load(&mut self, place: &Place) -> Value {
        match place {
            Place::Index => Value::Int(i64::try_from(self.index).unwrap_or(i64::MAX)),
            _ => Value::Null,
        }
    }

    /// SplitMix64, so that the same file always makes the same accounts.
    fn random_bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn marker(&mut self, _audience: Option<&str>) -> String {
        String::new()
    }

    fn now_ms(&mut self) -> i64 {
        0
    }

    fn client_id(&mut self) -> String {
        String::new()
    }
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] = &[("accounts", &ACCOUNTS), ("column", &COLUMN)];
