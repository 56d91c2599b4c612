//! Every reason not to serve a request, and its answer: a status and `{"error": …}`.
//!
//! In: what went wrong in a handler, an extractor or the database. Out: the response.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("log in first: the token is missing or not valid")]
    NotLoggedIn,
    #[error("wrong user name or password")]
    WrongPassword,
    #[error("this belongs to somebody else")]
    NotYours,
    #[error("there is no such {0}")]
    Unknown(&'static str),
    #[error("this path does not take that method")]
    WrongMethod,
    #[error("the request is malformed: {0}")]
    Malformed(String),
    #[error("the body is larger than 1 MiB")]
    TooLarge,
    #[error("the service is not available just now")]
    Unavailable,
    #[error("every database connection is in use and none became free in time")]
    PoolExhausted,
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("the clinic failed inside: {0}")]
    Internal(&'static str),
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Refusal::NotLoggedIn | Refusal::WrongPassword => StatusCode::UNAUTHORIZED,
            Refusal::NotYours => StatusCode::FORBIDDEN,
            Refusal::Unknown(_) => StatusCode::NOT_FOUND,
            Refusal::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Unavailable | Refusal::PoolExhausted => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Database(_) | Refusal::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.to_string() }));
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        if matches!(self, Refusal::NotLoggedIn) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
