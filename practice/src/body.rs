//! What comes and goes as JSON, and ids from the path.
//!
//! In: requests whose body has been received (see [`receive`], run before every route).
//! Out: typed values, or a refusal in JSON; private answers that no cache may keep.

use axum::{
    Json,
    body::{Body, Bytes, HttpBody},
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;

/// The largest body that is taken, in bytes.
const LARGEST_BODY: usize = 1 << 20;

/// How much of a body that is too large is still read and thrown away, in bytes, so that the
/// client is through with sending and reads the 413 instead of a reset connection.
const LARGEST_DISCARD: usize = 8 << 20;

/// Receives the whole body before the request is served. Every answer, a 401 as well, then
/// leaves the connection in order for the next request.
pub(crate) async fn receive(request: Request) -> Result<Request, Refusal> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (parts, mut body) = request.into_parts();
    let announced = body.size_hint().lower();
    let mut kept = Vec::with_capacity(usize::try_from(announced).map_or(LARGEST_BODY, |size| size.min(LARGEST_BODY)));
    let mut received = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::Malformed("the body ends too early".to_owned()))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        received += data.len();
        if received <= LARGEST_BODY {
            kept.extend_from_slice(data);
        } else if received > LARGEST_DISCARD {
            break;
        }
    }
    if received > LARGEST_BODY {
        return Err(Refusal::TooLarge);
    }
    Ok(Request::from_parts(parts, Body::from(kept)))
}

/// A JSON body, whatever the content type says.
pub(crate) struct Given<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Given<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes =
            Bytes::from_request(request, state).await.map_err(|rejection| Refusal::Malformed(rejection.body_text()))?;
        serde_json::from_slice(&bytes).map(Given).map_err(|mistake| Refusal::Malformed(mistake.to_string()))
    }
}

/// The one id in the path.
pub(crate) struct PathId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(id)| PathId(id))
            .map_err(|rejection| Refusal::Malformed(rejection.body_text()))
    }
}

/// An answer for one person: no cache between here and there may keep it.
pub(crate) fn private(status: StatusCode, value: serde_json::Value) -> Response {
    let mut response = (status, Json(value)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}
