//! The clinic's cache in the process: values with a time to live, bounded, counting its hits.
//!
//! Used as it should be for the chatbot's articles, which are the same for everybody, and as
//! it should not be by [`Defect::SharedCache`]: whole private answers under a key that is made
//! from the route alone.
//!
//! [`Defect::SharedCache`]: crate::Defect::SharedCache

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::Instant;

use crate::{clock, refusal::Refusal, server::App, tokens, tokens::Bearer};

/// Values under text keys, each for a while.
pub(crate) struct TtlCache<V> {
    entries: Mutex<HashMap<String, (Instant, V)>>,
    time_to_live: Duration,
    most_entries: usize,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl<V: Clone> TtlCache<V> {
    pub(crate) fn new(time_to_live: Duration, most_entries: usize) -> Self {
        TtlCache {
            entries: Mutex::default(),
            time_to_live,
            most_entries,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The value and its age, unless it is missing or too old.
    pub(crate) fn get(&self, key: &str) -> Option<(Duration, V)> {
        let found = self.lock().get(key).and_then(|(stored, value)| {
            let age = clock::now().saturating_duration_since(*stored);
            (age < self.time_to_live).then(|| (age, value.clone()))
        });
        let counter = match found {
            Some(_) => &self.hits,
            None => &self.misses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Stores a value; a full cache first drops what is too old, then all.
    pub(crate) fn put(&self, key: &str, value: V) {
        let now = clock::now();
        let mut entries = self.lock();
        if entries.len() >= self.most_entries && !entries.contains_key(key) {
            entries.retain(|_, (stored, _)| now - *stored < self.time_to_live);
            if entries.len() >= self.most_entries {
                entries.clear();
            }
        }
        entries.insert(key.to_owned(), (now, value));
    }

    /// Drops a value.
    pub(crate) fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    /// Hits and misses since the start.
    pub(crate) fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Instant, V)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A whole answer, kept to be given again.
#[derive(Clone)]
pub(crate) struct KeptAnswer {
    headers: HeaderMap,
    body: Bytes,
}

/// How long the faulty cache keeps an answer.
pub(crate) const ANSWER_TIME_TO_LIVE: Duration = Duration::from_millis(500);

/// The faulty cache, in front of a private GET. It asks whether the caller is logged in, and
/// then makes its key from the route's template: neither who asks nor whose object is asked for
/// is part of it. A user alone meets only own answers, at worst half a second old.
pub(crate) async fn shared_answers(
    State(app): State<Arc<App>>,
    route: MatchedPath,
    bearer: Bearer,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    app.database.read(move |db| tokens::look_up(db, &bearer)).await?;
    let key = route.as_str();
    if let Some((age, kept)) = app.answers.get(key) {
        return Ok(again(age, kept));
    }
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|_| Refusal::Internal("an answer could not be read"))?;
    let kept = KeptAnswer { headers: parts.headers.clone(), body: body.clone() };
    app.answers.put(key, kept);
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn again(age: Duration, kept: KeptAnswer) -> Response {
    let mut response = kept.body.into_response();
    let headers = response.headers_mut();
    *headers = kept.headers;
    headers.insert("x-cache", HeaderValue::from_static("HIT"));
    headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_value_lives_as_long_as_it_should() {
        let cache = TtlCache::new(Duration::from_secs(1), 2);
        cache.put("a", 1);
        tokio::time::advance(Duration::from_millis(999)).await;
        assert_eq!(cache.get("a"), Some((Duration::from_millis(999), 1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(cache.get("a"), None);
        assert_eq!(cache.hits_and_misses(), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_cache_never_grows() {
        let cache = TtlCache::new(Duration::from_secs(1), 2);
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
            cache.put(key, value);
        }
        assert_eq!(cache.lock().len(), 1);
        assert_eq!(cache.get("c").map(|(_, value)| value), Some(3));
    }
}
