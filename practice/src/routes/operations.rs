//! What operators ask: health, metrics, and the clinic's own count of its requests.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use crate::{door::COUNTS, metrics, refusal::Refusal, server::App};

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/health", get(health)).route("/metrics", get(exposition)).route(COUNTS, get(counts))
}

/// Says `connected` of what it has just asked: the database by a query, the index by finding
/// an article in it. The cache is in this process.
async fn health(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    const FIND: &str = "SELECT 1 FROM articles WHERE topic = 'general'";

    app.database.read(|db| Ok(db.prepare_cached(FIND)?.query_row([], |_| Ok(()))?)).await?;
    let answer = json!({
        "status": "ok",
        "database": "connected",
        "cache": "connected",
        "index": "connected",
    });
    Ok(Json(answer).into_response())
}

async fn exposition(State(app): State<Arc<App>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, metrics::exposition(&app)).into_response()
}

async fn counts(State(app): State<Arc<App>>) -> Response {
    Json(app.metrics.counts()).into_response()
}
