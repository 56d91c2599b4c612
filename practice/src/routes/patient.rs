//! What patients do: play a story, tell their mood, ask for help, look at their progress.
//!
//! In: a token and the patient's own object. Out: JSON, lists newest first. Everything but the
//! progress, which the patient's clinicians may read too, is the patient's alone, unless
//! [`Defect::BrokenAccess`] leaves that check out.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    middleware,
    response::Response,
    routing::{MethodRouter, get, post},
};
use rand::RngExt;
use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;
use serde_json::{Value, json};

use super::live;
use crate::{
    accounts::{Account, Role},
    backend::{Question, Reply},
    batch,
    body::{Given, PathId, private},
    cache,
    defects::Defect,
    records::{self, Entry},
    refusal::Refusal,
    server::App,
    tokens::Bearer,
};

/// The route of a session, under which the faulty cache keeps it.
const SESSION: &str = "/sessions/{session_id}";

/// Turns of a session that are kept and shown.
const TURNS_KEPT: i64 = 20;

const SCENES: [&str; 6] = [
    "A harbour at dusk. A boat without a name is waiting.",
    "A garden behind a wall. Somebody has left the gate open.",
    "A lighthouse. The keeper asks how you found the way.",
    "A market in the rain. A stranger offers you a lantern.",
    "A bridge over a quiet river. An old friend stands on it.",
    "A kitchen early in the morning. The kettle begins to sing.",
];

pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/sessions", post(begin_session))
        .route("/sessions/{session_id}/turns", post(take_turn))
        .route(SESSION, cached(app, get(read_session)))
        .route("/patients/{id}/mood", post(tell_mood))
        .route("/patients/{id}/crisis", post(call_for_help))
        .route("/patients/{id}/progress", cached(app, get(read_progress)))
}

/// Puts the faulty cache before a private GET, if the clinic has that defect.
pub(super) fn cached(app: &Arc<App>, route: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    if !app.has(Defect::SharedCache) {
        return route;
    }
    route.layer(middleware::from_fn_with_state(app.clone(), cache::shared_answers))
}

#[derive(Deserialize)]
struct NewSession {
    story: String,
}

async fn begin_session(
    State(app): State<Arc<App>>,
    bearer: Bearer,
    Given(given): Given<NewSession>,
) -> Result<Response, Refusal> {
    const BEGIN: &str = "INSERT INTO sessions (id, patient, story) VALUES (?1, ?2, ?3)";

    let session = format!("s-{:032x}", rand::rng().random::<u128>());
    let answer = app
        .write_as(bearer, move |db, account| {
            patient_only(account)?;
            db.prepare_cached(BEGIN)?.execute((&session, account.id(), &given.story))?;
            let entry = Entry { sessions: 1, ..Entry::default() };
            records::add(db, account, &entry)?;
            Ok(json!({
                "session_id": session,
                "scene": SCENES[0],
                "account_id": account.id(),
            }))
        })
        .await?;
    app.answers.forget(SESSION);
    Ok(private(StatusCode::CREATED, answer))
}

#[derive(Deserialize)]
struct Turn {
    choice: i64,
    #[serde(default)]
    note: String,
}

async fn take_turn(
    State(app): State<Arc<App>>,
    PathId(session): PathId,
    bearer: Bearer,
    Given(turn): Given<Turn>,
) -> Result<Response, Refusal> {
    let seed = app.seed;
    // The faulty clinic writes the note into the record later, together with others'.
    let apart = app.has(Defect::WriteMixup).then(|| turn.note.clone());
    let in_turn = apart.is_none();
    let (account, answer) = app
        .write_as(bearer, move |db, account| {
            let (owner, story, turns) = find_session(db, &session)?;
            if owner != account.id() {
                return Err(Refusal::NotYours);
            }
            let number = turns + 1;
            let mood = mood_after(seed, &story, number, turn.choice);
            store_turn(db, &session, number, &turn, mood)?;
            let note = if in_turn { turn.note.as_str() } else { "" };
            let entry = Entry { turns: 1, mood: Some(mood), note, ..Entry::default() };
            records::add(db, account, &entry)?;
            let answer = json!({
                "session_id": session,
                "account_id": owner,
                "scene": scene_after(number, turn.choice),
                "mood": mood,
                "note": turn.note,
            });
            Ok((account, answer))
        })
        .await?;
    if let Some(note) = apart {
        batch::store(&app, account, None, note).await?;
    }
    app.answers.forget(SESSION);
    Ok(private(StatusCode::OK, answer))
}

fn store_turn(db: &Connection, session: &str, number: i64, turn: &Turn, mood: i64) -> Result<(), Refusal> {
    const COUNT: &str = "UPDATE sessions SET turns = ?2 WHERE id = ?1";
    const STORE: &str = "INSERT INTO turns (session, number, choice, note, mood) VALUES (?1, ?2, ?3, ?4, ?5)";
    const FORGET: &str = "DELETE FROM turns WHERE session = ?1 AND number = ?2";

    db.prepare_cached(COUNT)?.execute((session, number))?;
    db.prepare_cached(STORE)?.execute((session, number, turn.choice, &turn.note, mood))?;
    db.prepare_cached(FORGET)?.execute((session, number - TURNS_KEPT))?;
    Ok(())
}

/// Moods follow from seed, story, turn and choice: the same story played again feels the same, another does not.
fn mood_after(seed: u64, story: &str, number: i64, choice: i64) -> i64 {
    let salt = i64::try_from(seed % 1_000).unwrap_or(0) + story.bytes().map(i64::from).sum::<i64>();
    let step = number.wrapping_mul(3).wrapping_add(choice).wrapping_add(salt);
    step.rem_euclid(10) + 1
}

fn scene_after(number: i64, choice: i64) -> &'static str {
    let scenes = i64::try_from(SCENES.len()).expect("six scenes");
    let scene = number.wrapping_add(choice).rem_euclid(scenes);
    SCENES[usize::try_from(scene).expect("a remainder is not negative")]
}

/// Owner, story and number of turns of a session.
fn find_session(db: &Connection, session: &str) -> Result<(String, String, i64), Refusal> {
    const FIND: &str = "SELECT patient, story, turns FROM sessions WHERE id = ?1";

    db.prepare_cached(FIND)?
        .query_row([session], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?
        .ok_or(Refusal::Unknown("session"))
}

async fn read_session(
    State(app): State<Arc<App>>,
    PathId(session): PathId,
    bearer: Bearer,
) -> Result<Response, Refusal> {
    if app.has(Defect::CrossedReplies) {
        return ask_records(&app, bearer, "session", session).await;
    }
    session_of(&app, bearer, session).await.map(|answer| private(StatusCode::OK, answer))
}

async fn session_of(app: &App, bearer: Bearer, session: String) -> Result<Value, Refusal> {
    const TURNS: &str = "SELECT choice, note, mood FROM turns WHERE session = ?1 ORDER BY number DESC";

    let checked = !app.has(Defect::BrokenAccess);
    app.read_as(bearer, move |db, account| {
        let (owner, story, _) = find_session(db, &session)?;
        if checked && owner != account.id() {
            return Err(Refusal::NotYours);
        }
        let turns = db
            .prepare_cached(TURNS)?
            .query_map([&session], |row| {
                Ok(json!({
                    "choice": row.get::<_, i64>(0)?,
                    "note": row.get::<_, String>(1)?,
                    "mood": row.get::<_, i64>(2)?,
                }))
            })?
            .collect::<Result<Vec<Value>, _>>()?;
        Ok(json!({
            "session_id": session,
            "account_id": owner,
            "story": story,
            "turns": turns,
        }))
    })
    .await
}

/// A private read by way of the records system, over its faulty pool.
async fn ask_records(app: &Arc<App>, bearer: Bearer, kind: &str, id: String) -> Result<Response, Refusal> {
    let question = Question { token: bearer.0, kind: kind.to_owned(), id };
    let records = app.clone();
    let serve = move |question| answer_of_records(records.clone(), question);
    let reply = app.records.ask(&question, serve).await;
    let reply = reply.map_err(|_| Refusal::Internal("the records system is away"))?;
    Ok(private(StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), reply.body))
}

/// The records system's own side: it checks the token and answers as the clinic would.
async fn answer_of_records(app: Arc<App>, question: Question) -> Reply {
    let bearer = Bearer(question.token);
    let answer = match question.kind.as_str() {
        "session" => session_of(&app, bearer, question.id).await,
        _ => progress_of(&app, bearer, question.id).await,
    };
    match answer {
        Ok(body) => Reply { status: 200, body },
        Err(refusal) => Reply { status: refusal.status().as_u16(), body: json!({ "error": refusal.to_string() }) },
    }
}

#[derive(Deserialize)]
struct Mood {
    mood: i64,
    #[serde(default)]
    note: String,
}

async fn tell_mood(
    State(app): State<Arc<App>>,
    PathId(id): PathId,
    bearer: Bearer,
    Given(given): Given<Mood>,
) -> Result<Response, Refusal> {
    if !(1..=10).contains(&given.mood) {
        let mistake = "a mood is a whole number from 1 to 10";
        return Err(Refusal::Malformed(mistake.to_owned()));
    }
    let apart = app.has(Defect::WriteMixup).then(|| given.note.clone());
    let at_once = apart.is_none();
    let (account, answer) = app
        .write_as(bearer, move |db, account| {
            own_record(&id, account)?;
            if at_once {
                let entry = Entry { mood: Some(given.mood), note: &given.note, ..Entry::default() };
                records::add(db, account, &entry)?;
            }
            let answer = json!({
                "account_id": account.id(),
                "patient_id": id,
                "mood": given.mood,
                "note": given.note,
            });
            Ok((account, answer))
        })
        .await?;
    if let Some(note) = apart {
        batch::store(&app, account, Some(given.mood), note).await?;
    }
    Ok(private(StatusCode::CREATED, answer))
}

#[derive(Deserialize)]
struct Crisis {
    text: String,
}

async fn call_for_help(
    State(app): State<Arc<App>>,
    PathId(id): PathId,
    bearer: Bearer,
    Given(given): Given<Crisis>,
) -> Result<Response, Refusal> {
    let (answer, pushed) = app
        .write_as(bearer, move |db, account| {
            own_record(&id, account)?;
            let alert = live::store_alert(db, account.clinic(), &account.id(), &given.text)?;
            let entry = Entry { note: &given.text, ..Entry::default() };
            records::add(db, account, &entry)?;
            let pushed = (account.clinic(), live::alert(alert, &account.id(), &given.text));
            Ok((json!({ "alert_id": format!("a-{alert}"), "account_id": account.id() }), pushed))
        })
        .await?;
    app.rooms.say(&live::alerts_of(pushed.0), &pushed.1.to_string(), None);
    Ok(private(StatusCode::ACCEPTED, answer))
}

async fn read_progress(State(app): State<Arc<App>>, PathId(id): PathId, bearer: Bearer) -> Result<Response, Refusal> {
    if app.has(Defect::CrossedReplies) {
        return ask_records(&app, bearer, "progress", id).await;
    }
    progress_of(&app, bearer, id).await.map(|answer| private(StatusCode::OK, answer))
}

async fn progress_of(app: &App, bearer: Bearer, id: String) -> Result<Value, Refusal> {
    let checked = !app.has(Defect::BrokenAccess);
    app.read_as(bearer, move |db, account| {
        let patient = Account::patient_by_id(&id).ok_or(Refusal::Unknown("patient"))?;
        let colleague = account.role == Role::Clinician && account.clinic() == patient.clinic();
        if checked && account != patient && !colleague {
            return Err(Refusal::NotYours);
        }
        progress(db, account, &id)
    })
    .await
}

fn progress(db: &Connection, reader: Account, id: &str) -> Result<Value, Refusal> {
    const SUMS: &str = "SELECT sessions, turns, moods, mood_sum FROM patients WHERE id = ?1";
    const NOTES: &str = "SELECT text FROM notes WHERE patient = ?1 ORDER BY number DESC";

    // A patient who has never logged in has an empty record.
    let (sessions, turns, moods, mood_sum) = db
        .prepare_cached(SUMS)?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?
        .unwrap_or((0, 0, 0, 0));
    let notes = db.prepare_cached(NOTES)?.query_map([id], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(json!({
        "account_id": reader.id(),
        "patient_id": id,
        "sessions": sessions,
        "turns": turns,
        "mood_average": records::average(mood_sum, moods),
        "notes": notes,
    }))
}

fn patient_only(account: Account) -> Result<(), Refusal> {
    match account.role {
        Role::Patient => Ok(()),
        Role::Clinician => Err(Refusal::NotYours),
    }
}

/// Only the patient writes into the patient's record.
fn own_record(id: &str, account: Account) -> Result<(), Refusal> {
    let patient = Account::patient_by_id(id).ok_or(Refusal::Unknown("patient"))?;
    if account == patient { Ok(()) } else { Err(Refusal::NotYours) }
}
