//! What clinicians do: see their clinic, answer alerts, intervene.
//!
//! In: a clinician's token. Out: JSON about the clinician's own clinic, lists newest first.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;
use serde_json::{Value, json};

use super::patient::cached;
use crate::{
    accounts::{Account, Role},
    body::{Given, PathId, private},
    records,
    refusal::Refusal,
    server::App,
    tokens::Bearer,
};

/// Patients on a dashboard at least, whether active or not.
const SHORTEST_LIST: u32 = 3;

pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/dashboard", cached(app, get(dashboard)))
        .route("/overview", get(overview))
        .route("/alerts", get(alerts))
        .route("/alerts/{id}/ack", post(acknowledge))
        .route("/patients/{id}/intervention", post(intervene))
}

fn clinician_only(account: Account) -> Result<(), Refusal> {
    match account.role {
        Role::Clinician => Ok(()),
        Role::Patient => Err(Refusal::NotYours),
    }
}

async fn dashboard(State(app): State<Arc<App>>, bearer: Bearer) -> Result<Response, Refusal> {
    const NEWEST_ACTIVE: &str = "
        SELECT id, sessions, last_mood,
            (SELECT text FROM notes WHERE patient = id ORDER BY number DESC LIMIT 1)
        FROM patients WHERE clinic = ?1 ORDER BY active_ms DESC LIMIT 20";

    let answer = app
        .read_as(bearer, |db, account| {
            clinician_only(account)?;
            let mut patients = db
                .prepare_cached(NEWEST_ACTIVE)?
                .query_map([account.clinic()], |row| {
                    Ok(json!({
                        "id": row.get::<_, String>(0)?,
                        "sessions": row.get::<_, i64>(1)?,
                        "last_mood": row.get::<_, Option<i64>>(2)?,
                        "last_note": row.get::<_, Option<String>>(3)?,
                    }))
                })?
                .collect::<Result<Vec<Value>, _>>()?;
            add_quiet(&mut patients, account.clinic());
            Ok(json!({
                "account_id": account.id(),
                "clinic": account.clinic(),
                "patients": patients,
            }))
        })
        .await?;
    Ok(private(StatusCode::OK, answer))
}

/// A clinic has patients before the first of them is active: some of them stand on a list that would be short.
fn add_quiet(patients: &mut Vec<Value>, clinic: u32) {
    for patient in Account::first_patients_of(clinic, SHORTEST_LIST) {
        if patients.len() < SHORTEST_LIST as usize && patients.iter().all(|known| known["id"] != patient.id()) {
            let quiet = json!({ "id": patient.id(), "sessions": 0, "last_mood": null, "last_note": null });
            patients.push(quiet);
        }
    }
}

async fn overview(State(app): State<Arc<App>>, bearer: Bearer) -> Result<Response, Refusal> {
    const SUMS: &str = "SELECT patients, open_alerts, moods, mood_sum FROM clinics WHERE clinic = ?1";

    let answer = app
        .read_as(bearer, |db, account| {
            clinician_only(account)?;
            Ok(db.prepare_cached(SUMS)?.query_row([account.clinic()], |row| {
                Ok(json!({
                    "account_id": account.id(),
                    "clinic": account.clinic(),
                    "patients": row.get::<_, i64>(0)?,
                    "open_alerts": row.get::<_, i64>(1)?,
                    "average_mood": records::average(row.get(3)?, row.get(2)?),
                }))
            })?)
        })
        .await?;
    Ok(private(StatusCode::OK, answer))
}

async fn alerts(State(app): State<Arc<App>>, bearer: Bearer) -> Result<Response, Refusal> {
    const NEWEST_OPEN: &str = "
        SELECT id, patient, text FROM alerts
        WHERE clinic = ?1 AND acknowledged = 0 ORDER BY id DESC LIMIT 20";

    let answer = app
        .read_as(bearer, |db, account| {
            clinician_only(account)?;
            let alerts = db
                .prepare_cached(NEWEST_OPEN)?
                .query_map([account.clinic()], |row| {
                    Ok(json!({
                        "id": format!("a-{}", row.get::<_, i64>(0)?),
                        "patient": row.get::<_, String>(1)?,
                        "text": row.get::<_, String>(2)?,
                        "acknowledged": false,
                    }))
                })?
                .collect::<Result<Vec<Value>, _>>()?;
            Ok(json!({ "account_id": account.id(), "alerts": alerts }))
        })
        .await?;
    Ok(private(StatusCode::OK, answer))
}

async fn acknowledge(State(app): State<Arc<App>>, PathId(id): PathId, bearer: Bearer) -> Result<Response, Refusal> {
    let answer = app
        .write_as(bearer, move |db, account| {
            clinician_only(account)?;
            acknowledge_alert(db, account, &id)?;
            Ok(json!({ "id": id, "acknowledged": true }))
        })
        .await?;
    Ok(private(StatusCode::OK, answer))
}

/// Acknowledges an open alert; one that is acknowledged already stays so.
fn acknowledge_alert(db: &Connection, account: Account, id: &str) -> Result<(), Refusal> {
    const FIND: &str = "SELECT clinic FROM alerts WHERE id = ?1";
    const ACKNOWLEDGE: &str = "UPDATE alerts SET acknowledged = 1 WHERE id = ?1 AND acknowledged = 0";
    const ONE_LESS: &str = "UPDATE clinics SET open_alerts = open_alerts - 1 WHERE clinic = ?1";

    let number: i64 = id.strip_prefix("a-").and_then(|digits| digits.parse().ok()).ok_or(Refusal::Unknown("alert"))?;
    let clinic: u32 =
        db.prepare_cached(FIND)?.query_row([number], |row| row.get(0)).optional()?.ok_or(Refusal::Unknown("alert"))?;
    if clinic != account.clinic() {
        return Err(Refusal::NotYours);
    }
    if db.prepare_cached(ACKNOWLEDGE)?.execute([number])? == 1 {
        db.prepare_cached(ONE_LESS)?.execute([clinic])?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Intervention {
    text: String,
}

async fn intervene(
    State(app): State<Arc<App>>,
    PathId(id): PathId,
    bearer: Bearer,
    Given(given): Given<Intervention>,
) -> Result<Response, Refusal> {
    const STORE: &str = "INSERT INTO interventions (patient, clinician, text) VALUES (?1, ?2, ?3)";

    let answer = app
        .write_as(bearer, move |db, account| {
            clinician_only(account)?;
            let patient = Account::patient_by_id(&id).ok_or(Refusal::Unknown("patient"))?;
            if patient.clinic() != account.clinic() {
                return Err(Refusal::NotYours);
            }
            let number = db.prepare_cached(STORE)?.insert((&id, account.id(), &given.text))?;
            Ok(json!({ "id": format!("i-{number}"), "patient": id }))
        })
        .await?;
    Ok(private(StatusCode::CREATED, answer))
}
