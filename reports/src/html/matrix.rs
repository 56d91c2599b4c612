//! The coverage matrix of the isolation check on the page: fields in which markers were planted × steps that read them.
//! In: run result. Out: a table for the template, the readers that read most as its columns.

use super::evidence::text;
use crate::coverage;
use crate::figures::count;
use crate::rows;
use engine::run_result::RunResult;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Rows shown at most; `result.json` has all.
const MOST_ROWS: usize = 400;
/// Readers with a column of their own; the answers of further ones stand in one together.
const MOST_COLUMNS: usize = 12;

/// Field × step.
#[derive(Default)]
pub(crate) struct Matrix {
    /// Reading steps.
    pub columns: Vec<String>,
    /// Fields.
    pub rows: Vec<MatrixRow>,
    /// Rows left out.
    pub further: usize,
}

/// One field.
pub(crate) struct MatrixRow {
    pub name: String,
    pub planted: String,
    /// Aligned with the columns: answers, or a dash.
    pub cells: Vec<String>,
    /// Nobody read it back.
    pub is_lost: bool,
    /// In words, of which nobody knows where they were planted.
    pub in_words: bool,
}

impl Matrix {
    /// The matrix of a run; without rows where nothing was planted.
    pub(crate) fn of(result: &RunResult) -> Self {
        let planted = coverage::planted(result);
        let mut answers: BTreeMap<usize, u64> = BTreeMap::new();
        for (reader, n) in planted.iter().flat_map(|row| &row.read_at) {
            *answers.entry(*reader).or_default() += n;
        }
        let mut readers: Vec<(usize, u64)> = answers.into_iter().collect();
        readers.sort_by_key(|(reader, n)| (Reverse(*n), *reader));
        let shown: Vec<usize> = readers.iter().take(MOST_COLUMNS).map(|(reader, _)| *reader).collect();
        let more = readers.len() - shown.len();
        let mut columns: Vec<String> = shown.iter().map(|step| text(&rows::step_name(result, *step))).collect();
        if more > 0 {
            columns.push(format!("{more} more"));
        }
        let cell = |n: u64| if n > 0 { count(n) } else { "–".to_owned() };
        let row = |row: &coverage::Planted| {
            let at = |step: usize| row.read_at.iter().filter(|(reader, _)| *reader == step).map(|(_, n)| n).sum();
            let mut cells: Vec<String> = shown.iter().map(|step| cell(at(*step))).collect();
            if more > 0 {
                let rest = row.read_at.iter().filter(|(reader, _)| !shown.contains(reader));
                cells.push(cell(rest.map(|(_, n)| n).sum()));
            }
            MatrixRow {
                name: text(&row.name(result)),
                planted: count(row.planted),
                cells,
                is_lost: row.is_lost(),
                in_words: row.in_words,
            }
        };
        let rows: Vec<MatrixRow> = planted.iter().take(MOST_ROWS).map(row).collect();
        Self { columns, further: planted.len() - rows.len(), rows }
    }
}
