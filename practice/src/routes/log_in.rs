//! Logging in and out, the same at every service. In: a user name and password. Out: a token.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    accounts::Account,
    body::{Given, private},
    refusal::Refusal,
    server::App,
    tokens::{self, Bearer},
};

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/auth/login", post(log_in)).route("/auth/logout", post(log_out))
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

async fn log_in(State(app): State<Arc<App>>, Given(given): Given<Credentials>) -> Result<Response, Refusal> {
    let account = Account::by_log_in(&given.username, &given.password).ok_or(Refusal::WrongPassword)?;
    let token = tokens::issue(&app, account).await?;
    let answer = json!({
        "token": token,
        // OAuth 2.0 calls it so, and most clients look for it there.
        "access_token": token,
        "account_id": account.id(),
        "role": account.role.word(),
    });
    Ok(private(StatusCode::OK, answer))
}

async fn log_out(State(app): State<Arc<App>>, bearer: Bearer) -> Result<Response, Refusal> {
    app.database.write(move |db| tokens::take_back(db, &bearer)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
