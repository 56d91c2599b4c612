//! The tables, and how a connection is set up. In: a file. Out: a ready connection.
//!
//! Sums are kept beside what they sum, in the same transaction, so that no read is longer than
//! its answer; of turns, notes and messages only what an answer can show is kept. The file grows
//! by some 200 bytes for each log-in, session, alert, intervention and conversation.

use std::path::Path;

use rusqlite::Connection;

use crate::accounts::CLINICS;

const TABLES: &str = "
CREATE TABLE tokens (
    token TEXT PRIMARY KEY, account TEXT NOT NULL, issued_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tokens_by_account ON tokens (account, issued_ms);
CREATE TABLE sequences (name TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO sequences VALUES ('token', 1);

CREATE TABLE clinics (
    clinic INTEGER PRIMARY KEY, patients INTEGER NOT NULL DEFAULT 0,
    open_alerts INTEGER NOT NULL DEFAULT 0,
    moods INTEGER NOT NULL DEFAULT 0, mood_sum INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE patients (
    id TEXT PRIMARY KEY, clinic INTEGER NOT NULL, active_ms INTEGER NOT NULL,
    sessions INTEGER NOT NULL DEFAULT 0, turns INTEGER NOT NULL DEFAULT 0,
    moods INTEGER NOT NULL DEFAULT 0, mood_sum INTEGER NOT NULL DEFAULT 0, last_mood INTEGER,
    notes INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX patients_by_activity ON patients (clinic, active_ms);
CREATE TABLE notes (
    patient TEXT NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (patient, number)
) WITHOUT ROWID;
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, patient TEXT NOT NULL, story TEXT NOT NULL,
    turns INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE turns (
    session TEXT NOT NULL, number INTEGER NOT NULL,
    choice INTEGER NOT NULL, note TEXT NOT NULL, mood INTEGER NOT NULL,
    PRIMARY KEY (session, number)
) WITHOUT ROWID;
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY, clinic INTEGER NOT NULL, patient TEXT NOT NULL,
    text TEXT NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX alerts_open ON alerts (clinic, id) WHERE acknowledged = 0;
CREATE TABLE interventions (
    id INTEGER PRIMARY KEY, patient TEXT NOT NULL, clinician TEXT NOT NULL, text TEXT NOT NULL
);
CREATE TABLE messages (
    account TEXT NOT NULL, session TEXT NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (account, session, number)
) WITHOUT ROWID;
CREATE TABLE files (
    id TEXT NOT NULL UNIQUE, account TEXT NOT NULL, name TEXT NOT NULL, note TEXT NOT NULL, content BLOB NOT NULL
);
CREATE INDEX files_by_account ON files (account);

CREATE TABLE articles (topic TEXT PRIMARY KEY, advice TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO articles VALUES
    ('sleep', 'A fixed hour to rise helps more than a fixed hour to bed.'),
    ('fear', 'Name what you see, hear and touch, slowly, one after the other.'),
    ('medicine', 'Please ask your clinician before you change a dose.'),
    ('appointment', 'You can move an appointment until the evening before.'),
    ('pain', 'Write down when it comes and how long it stays.'),
    ('story', 'You can go on with your story where you left it.'),
    ('general', 'Tell me a little more, and I shall look for what helps.');
";

/// Statements a connection keeps prepared; more than the clinic has.
const PREPARED_STATEMENTS: usize = 64;

/// Opens one connection to the file of the database.
pub(crate) fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // The file lives as long as the process: a crash of the machine has nothing to lose.
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    Ok(connection)
}

/// Creates the tables and the rows that exist from the start.
pub(crate) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let all = connection.transaction()?;
    all.execute_batch(TABLES)?;
    for clinic in 0..CLINICS {
        all.execute("INSERT INTO clinics (clinic) VALUES (?1)", [clinic])?;
    }
    all.commit()
}
