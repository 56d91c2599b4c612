//! The chatbot that answers word by word, in the form that language models use: server-sent events.
//!
//! In: a patient's message in one of the patient's conversations. Out: `data: {"choices":[{"delta":{"content":"…"}}]}`
//! again and again, then `data: [DONE]`. [`Defect::StreamCrossing`] lives here.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, Response, header},
};
use futures_util::stream;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::chat::{Question, advice, remember, topic_of};
use crate::{body::Given, defects::Defect, refusal::Refusal, server::App, tokens::Bearer};

/// Answers that are being told, by the conversation's id, in the faulty chat. Bounded: old ones make room.
#[derive(Default)]
pub(crate) struct Telling(Mutex<HashMap<String, Arc<Vec<String>>>>);

const MOST_TELLING: usize = 10_000;

impl Telling {
    fn set(&self, session: &str, pieces: Arc<Vec<String>>) {
        let mut telling = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if telling.len() >= MOST_TELLING {
            telling.clear();
        }
        telling.insert(session.to_owned(), pieces);
    }

    fn get(&self, session: &str) -> Option<Arc<Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(session).cloned()
    }
}

/// A stream under way.
struct Told {
    app: Arc<App>,
    session: String,
    pieces: Arc<Vec<String>>,
    next: usize,
    at: Instant,
}

pub(super) async fn reply(
    State(app): State<Arc<App>>,
    bearer: Bearer,
    Given(asked): Given<Question>,
) -> Result<Response<Body>, Refusal> {
    let advice = advice(&app, topic_of(&asked.message)).await?;
    let text = format!("You wrote: “{}”. {advice}", asked.message);
    let session = asked.session_id.clone();
    app.write_as(bearer, move |db, account| remember(db, &account.id(), &asked)).await?;
    let pieces = Arc::new(cut(&text, app.timing.events));
    if app.has(Defect::StreamCrossing) {
        app.telling.set(&session, pieces.clone());
    }
    let told = Told { app, session, pieces, next: 0, at: crate::clock::now() };
    let events = stream::unfold(told, |mut told| async move {
        let text = told.next_event().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), told))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Ok(response)
}

impl Told {
    /// The next event when it is time; `None` after the last.
    async fn next_event(&mut self) -> Option<String> {
        // The faulty chat looks up by the client's own id which answer it is telling. Whoever else uses that id has
        // by then put another answer there.
        if self.app.has(Defect::StreamCrossing) {
            self.pieces = self.app.telling.get(&self.session).unwrap_or_else(|| self.pieces.clone());
        }
        let number = self.next;
        self.next += 1;
        if number > self.pieces.len() {
            return None;
        }
        if number > 0 {
            self.at += self.app.timing.event_gap;
            sleep_until(self.at).await;
        }
        Some(match self.pieces.get(number) {
            Some(piece) => {
                format!("data: {}\n\n", json!({ "choices": [{ "index": 0, "delta": { "content": piece } }] }))
            }
            None => "data: [DONE]\n\n".to_owned(),
        })
    }
}

/// `text` in so many pieces of nearly the same length, fewer if it is shorter.
fn cut(text: &str, pieces: usize) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let pieces = pieces.clamp(1, letters.len().max(1));
    (0..pieces)
        .map(|n| letters[n * letters.len() / pieces..(n + 1) * letters.len() / pieces].iter().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_text() {
        for (text, pieces, number) in [("“é”abcdefgh", 4, 4), ("ab", 20, 2), ("", 3, 1), ("abc", 0, 1)] {
            let cut = cut(text, pieces);
            assert_eq!((cut.concat().as_str(), cut.len()), (text, number));
        }
    }
}
