//! Files of a patient, and everything that a patient wrote as one table.
//!
//! In: a form with the parts `note` and `file`, or the id of a file. Out: what was stored, to its owner only.
//! The newest [`FILES_KEPT`] of each account are kept.

use std::sync::Arc;

use axum::{
    Router,
    extract::{
        Multipart, State,
        multipart::{MultipartError, MultipartRejection},
    },
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use rand::RngExt;
use rusqlite::OptionalExtension;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    body::{PathId, private},
    refusal::Refusal,
    server::App,
    tokens::Bearer,
};

/// Files of an account that are kept.
const FILES_KEPT: i64 = 5;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/files", post(store)).route("/files/{file_id}", get(fetch)).route("/export", get(export))
}

/// What came in the form.
#[derive(Default)]
struct Upload {
    note: String,
    name: String,
    content: Option<Vec<u8>>,
}

async fn store(
    State(app): State<Arc<App>>,
    bearer: Bearer,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Refusal> {
    const STORE: &str = "INSERT INTO files (id, account, name, note, content) VALUES (?1, ?2, ?3, ?4, ?5)";
    const FORGET: &str = "DELETE FROM files WHERE account = ?1 AND rowid NOT IN
        (SELECT rowid FROM files WHERE account = ?1 ORDER BY rowid DESC LIMIT ?2)";

    let form = form.map_err(|mistake| Refusal::Malformed(mistake.body_text()))?;
    let upload = read(form).await?;
    let content = upload.content.ok_or_else(|| Refusal::Malformed("the form has no part `file`".to_owned()))?;
    let id = format!("f-{:032x}", rand::rng().random::<u128>());
    let digest = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let answer = app
        .write_as(bearer, move |db, account| {
            let owner = account.id();
            db.prepare_cached(STORE)?.execute((&id, &owner, &upload.name, &upload.note, &content))?;
            db.prepare_cached(FORGET)?.execute((&owner, FILES_KEPT))?;
            Ok(json!({
                "file_id": id,
                "account_id": owner,
                "name": upload.name,
                "note": upload.note,
                "bytes": content.len(),
                "sha256": digest,
            }))
        })
        .await?;
    Ok(private(StatusCode::CREATED, answer))
}

async fn read(mut form: Multipart) -> Result<Upload, Refusal> {
    let malformed = |mistake: MultipartError| Refusal::Malformed(mistake.body_text());
    let mut upload = Upload::default();
    while let Some(part) = form.next_field().await.map_err(malformed)? {
        match part.name() {
            Some("file") => {
                upload.name = part.file_name().unwrap_or_default().to_owned();
                upload.content = Some(part.bytes().await.map_err(malformed)?.to_vec());
            }
            Some("note") => upload.note = part.text().await.map_err(malformed)?,
            _ => {}
        }
    }
    Ok(upload)
}

async fn fetch(State(app): State<Arc<App>>, PathId(id): PathId, bearer: Bearer) -> Result<Response, Refusal> {
    const FIND: &str = "SELECT account, content FROM files WHERE id = ?1";

    let content = app
        .read_as(bearer, move |db, account| {
            let found: Option<(String, Vec<u8>)> =
                db.prepare_cached(FIND)?.query_row([&id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let (owner, content) = found.ok_or(Refusal::Unknown("file"))?;
            if owner == account.id() { Ok(content) } else { Err(Refusal::NotYours) }
        })
        .await?;
    Ok(download("application/octet-stream", content))
}

/// Every note of the caller's own record, newest first, as a table with the columns `account` and `note`.
async fn export(State(app): State<Arc<App>>, bearer: Bearer) -> Result<Response, Refusal> {
    const NOTES: &str = "SELECT text FROM notes WHERE patient = ?1 ORDER BY number DESC";

    let table = app
        .read_as(bearer, |db, account| {
            let owner = account.id();
            let mut table = "account,note\n".to_owned();
            for note in db.prepare_cached(NOTES)?.query_map([&owner], |row| row.get::<_, String>(0))? {
                table.push_str(&format!("{owner},\"{}\"\n", note?.replace('"', "\"\"")));
            }
            Ok(table)
        })
        .await?;
    Ok(download("text/csv; charset=utf-8", table.into_bytes()))
}

fn download(kind: &'static str, content: Vec<u8>) -> Response {
    let mut response = ([(header::CONTENT_TYPE, kind)], content).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}
