//! What the clinic knows of a patient, and the sums that follow from it.
//!
//! In: an entry (a mood, a note, a turn …) of a patient, inside a write transaction.
//! Out: the stored rows with their sums kept in step. Both APIs read what is written here.

use rusqlite::Connection;

use crate::{
    accounts::{Account, Role},
    clock,
    refusal::Refusal,
};

/// Notes of a patient that are kept and shown.
pub(crate) const NOTES_KEPT: i64 = 10;

/// What one request adds to a patient's record.
#[derive(Default)]
pub(crate) struct Entry<'a> {
    pub(crate) sessions: i64,
    pub(crate) turns: i64,
    /// From 1 to 10.
    pub(crate) mood: Option<i64>,
    /// An empty note is none.
    pub(crate) note: &'a str,
}

/// Opens a patient's record at the first log-in.
pub(crate) fn admit(db: &Connection, account: Account) -> Result<(), Refusal> {
    const ADMIT: &str = "INSERT OR IGNORE INTO patients (id, clinic, active_ms) VALUES (?1, ?2, ?3)";
    const ONE_MORE: &str = "UPDATE clinics SET patients = patients + 1 WHERE clinic = ?1";

    if account.role != Role::Patient {
        return Ok(());
    }
    let clinic = account.clinic();
    let row = (account.id(), clinic, clock::unix_ms());
    if db.prepare_cached(ADMIT)?.execute(row)? == 1 {
        db.prepare_cached(ONE_MORE)?.execute([clinic])?;
    }
    Ok(())
}

/// Adds an entry to the record of `patient`.
pub(crate) fn add(db: &Connection, patient: Account, entry: &Entry<'_>) -> Result<(), Refusal> {
    const PATIENT: &str = "
        UPDATE patients SET sessions = sessions + ?2, turns = turns + ?3, moods = moods + ?4,
            mood_sum = mood_sum + coalesce(?5, 0), last_mood = coalesce(?5, last_mood),
            notes = notes + ?6, active_ms = ?7
        WHERE id = ?1 RETURNING notes";
    const CLINIC: &str = "UPDATE clinics SET moods = moods + 1, mood_sum = mood_sum + ?2 WHERE clinic = ?1";
    const NOTE: &str = "INSERT INTO notes (patient, number, text) VALUES (?1, ?2, ?3)";
    const FORGET: &str = "DELETE FROM notes WHERE patient = ?1 AND number = ?2";

    let id = patient.id();
    let noted = !entry.note.is_empty();
    let notes: i64 = db.prepare_cached(PATIENT)?.query_row(
        (
            &id,
            entry.sessions,
            entry.turns,
            i64::from(entry.mood.is_some()),
            entry.mood,
            i64::from(noted),
            clock::unix_ms(),
        ),
        |row| row.get(0),
    )?;
    if let Some(mood) = entry.mood {
        db.prepare_cached(CLINIC)?.execute((patient.clinic(), mood))?;
    }
    if noted {
        db.prepare_cached(NOTE)?.execute((&id, notes, entry.note))?;
        db.prepare_cached(FORGET)?.execute((&id, notes - NOTES_KEPT))?;
    }
    Ok(())
}

/// The mean of a sum, if there is anything to average.
pub(crate) fn average(sum: i64, number: i64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "moods are at most 10: exact up to 2^53 of them")]
    (number > 0).then(|| sum as f64 / number as f64)
}
