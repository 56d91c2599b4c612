//! What a browser asks for, and a path that is limited.
//!
//! In: nothing, or a token. Out: a page in HTML that is the same for everybody; 429 with `Retry-After` to a user who
//! asks for the tariff more than [`RATE`] times a second.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use crate::{refusal::Refusal, server::App, tokens::Bearer};

/// How often a user may ask for the tariff in a second; as many at once.
pub(crate) const RATE: u32 = 10;

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Practice clinic</title><meta name="form-token" content="same-for-everybody"></head>
<body>
<h1>Practice clinic</h1>
<nav><a class="next" href="/tariff">Tariff</a> <a class="next" href="/health">Health</a></nav>
<form action="/auth/login" method="post"><input name="username"><input name="password" type="password"></form>
</body>
</html>
"#;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/", get(page)).route("/tariff", get(tariff))
}

async fn page() -> Response {
    Html(PAGE).into_response()
}

async fn tariff(State(app): State<Arc<App>>, bearer: Bearer) -> Result<Response, Refusal> {
    let account = app.read_as(bearer, |_, account| Ok(account)).await?;
    let Err(wait_s) = app.tariff_gate.enter(&account.id()) else {
        return Ok(Json(json!({ "session": 40, "message": 2, "currency": "EUR" })).into_response());
    };
    let mut refusal = (StatusCode::TOO_MANY_REQUESTS, Json(json!({ "error": "more than 10 requests a second" })));
    refusal.1.0["retry_after_s"] = json!(wait_s);
    let mut response = refusal.into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
    Ok(response)
}
