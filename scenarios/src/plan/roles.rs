//! `roles:` and `data:`: who plays, whose data they may see, and what they say.
//! In: the maps. Out: [`RolePlan`]s and [`DataPlan`]s with their rows read.

use super::reader::{Fields, Reader, Spec};
use super::{DataPlan, RolePlan, Table, accounts};
use crate::program::DataOrder;
use crate::syntax::{Entry, Node, Scalar};
use std::collections::HashSet;

const ROLE: Spec = Spec { what: "a role", keys: &["accounts", "may_see", "reuse"], not_yet: &[] };

const DATA: Spec = Spec { what: "a data table", keys: &["file", "order"], not_yet: &[] };

pub(super) fn read(reader: &mut Reader<'_>, file: Fields<'_>) -> Vec<RolePlan> {
    let Some(entry) = file.entry("roles") else {
        return Vec::new();
    };
    let Some(entries) = reader.entries(&entry.value, entry.key.span, "`roles`") else {
        return Vec::new();
    };
    entries.iter().map(|entry| role(reader, entry)).collect()
}

fn role(reader: &mut Reader<'_>, entry: &Entry) -> RolePlan {
    reader.plain_name(&entry.key, "a role");
    let mut role =
        RolePlan { name: entry.key.clone(), accounts: None, secret: HashSet::new(), wrap: false, may_see: Vec::new() };
    let Some(fields) = reader.fields(&entry.value, entry.key.span, &ROLE) else {
        return role;
    };
    match fields.entry("accounts") {
        Some(node) => accounts::read(reader, node, &mut role),
        None => reader.missing(entry.key.span, "a role", "accounts", "patients.csv"),
    }
    if reader.word_at(fields, "reuse", &["wrap"], &[]).is_some() {
        role.wrap = true;
    }
    if let Some(seen) = fields.entry("may_see") {
        let entries = reader.entries(&seen.value, seen.key.span, "`may_see`");
        for rule in entries.unwrap_or_default() {
            if let Some(condition) = reader.text(&rule.value, rule.key.span, "a condition") {
                role.may_see.push((rule.key.clone(), condition.clone()));
            }
        }
    }
    role
}

pub(super) fn read_data(reader: &mut Reader<'_>, file: Fields<'_>) -> Vec<DataPlan> {
    let Some(entry) = file.entry("data") else {
        return Vec::new();
    };
    let Some(entries) = reader.entries(&entry.value, entry.key.span, "`data`") else {
        return Vec::new();
    };
    entries.iter().map(|entry| table(reader, entry)).collect()
}

fn table(reader: &mut Reader<'_>, entry: &Entry) -> DataPlan {
    reader.variable_name(&entry.key, "the name of a data table");
    let mut plan = DataPlan { name: entry.key.clone(), rows: None, order: DataOrder::InOrder };
    if let Node::Scalar(_) = &entry.value {
        if let Some(file) = reader.text(&entry.value, entry.key.span, "a data table") {
            plan.rows = data_file(reader, file);
        }
        return plan;
    }
    let Some(fields) = reader.fields(&entry.value, entry.key.span, &DATA) else {
        return plan;
    };
    match fields.get("file") {
        Some(_) => {
            if let Some(file) = reader.text_at(fields, "file") {
                plan.rows = data_file(reader, file);
            }
        }
        None => reader.missing(entry.key.span, "a data table", "file", "questions.csv"),
    }
    if reader.word_at(fields, "order", &["in_order", "random"], &[]) == Some("random") {
        plan.order = DataOrder::Random;
    }
    plan
}

fn data_file(reader: &mut Reader<'_>, file: &Scalar) -> Table {
    let mut table = accounts::csv_file(reader, file)?;
    accounts::number_columns(&mut table, &HashSet::new());
    Some(table)
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] = &[("role", &ROLE), ("data_table", &DATA)];
