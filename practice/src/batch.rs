//! Notes that are written together: a short wait gathers those of several patients, one transaction stores them.
//!
//! In: a patient and an entry. Out: once it is stored, whether that worked.
//! Used only with [`Defect::WriteMixup`], whose bug lives here: whose records are touched is a sorted list without
//! repetitions, what is to be written is in the order of arrival, and the two are matched by position. That is right
//! as long as only one patient's notes are in a batch, so a user alone never sees it.
//!
//! [`Defect::WriteMixup`]: crate::Defect::WriteMixup

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    accounts::Account,
    records::{self, Entry},
    refusal::Refusal,
    server::App,
};

/// How long the first note of a batch waits for others.
const GATHERING: Duration = Duration::from_millis(60);

/// Notes that wait to be written.
#[derive(Default)]
pub(crate) struct Batch {
    waiting: Mutex<Vec<Waiting>>,
}

struct Waiting {
    patient: String,
    mood: Option<i64>,
    note: String,
    stored: oneshot::Sender<bool>,
}

/// Adds a note and waits until it is stored.
pub(crate) async fn store(app: &Arc<App>, patient: Account, mood: Option<i64>, note: String) -> Result<(), Refusal> {
    let (stored, done) = oneshot::channel();
    let is_first = {
        let mut waiting = app.batch.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(Waiting { patient: patient.id(), mood, note, stored });
        waiting.len() == 1
    };
    if is_first {
        // On its own: the first one's client may go away, and the others' notes are to be stored all the same.
        let app = app.clone();
        tokio::spawn(async move {
            tokio::time::sleep(GATHERING).await;
            write(&app).await;
        });
    }
    match done.await {
        Ok(true) => Ok(()),
        _ => Err(Refusal::Internal("the notes could not be stored")),
    }
}

/// Writes what has gathered.
async fn write(app: &App) {
    let waiting = std::mem::take(&mut *app.batch.waiting.lock().unwrap_or_else(PoisonError::into_inner));
    let (written, answers): (Vec<_>, Vec<_>) =
        waiting.into_iter().map(|w| ((w.patient, w.mood, w.note), w.stored)).unzip();
    let work = move |db: &rusqlite::Connection| {
        let patients: BTreeSet<&String> = written.iter().map(|(patient, _, _)| patient).collect();
        // The mistake: the first patient of the sorted list is not the one who wrote first.
        for (patient, (_, mood, note)) in patients.iter().cycle().zip(&written) {
            let patient = Account::patient_by_id(patient).ok_or(Refusal::Unknown("patient"))?;
            records::add(db, patient, &Entry { mood: *mood, note, ..Entry::default() })?;
        }
        Ok(())
    };
    let is_stored = app.database.write(work).await.is_ok();
    for answer in answers {
        // Whoever gave up waiting is not told.
        let _ = answer.send(is_stored);
    }
}
