//! The chatbot. In: a patient's message in one of the patient's conversations. Out: a reply
//! that quotes it, with advice from the articles, and the last messages, newest first.

use std::sync::Arc;

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::post};
use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;
use serde_json::json;

use crate::{
    body::{Given, private},
    refusal::Refusal,
    server::App,
    tokens::Bearer,
};

/// Messages of a conversation that are kept and shown.
const MESSAGES_KEPT: i64 = 3;

/// Words that lead to an article, and the topic of the article.
const WORDS: [(&str, &str); 12] = [
    ("sleep", "sleep"),
    ("night", "sleep"),
    ("afraid", "fear"),
    ("anxious", "fear"),
    ("panic", "fear"),
    ("medicine", "medicine"),
    ("dose", "medicine"),
    ("appointment", "appointment"),
    ("pain", "pain"),
    ("ache", "pain"),
    ("story", "story"),
    ("game", "story"),
];

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/chatbot", post(reply))
}

#[derive(Deserialize)]
struct Question {
    message: String,
    session_id: String,
}

async fn reply(
    State(app): State<Arc<App>>,
    bearer: Bearer,
    Given(asked): Given<Question>,
) -> Result<Response, Refusal> {
    let topic = topic_of(&asked.message);
    let advice = advice(&app, topic).await?;
    let answer = app
        .write_as(bearer, move |db, account| {
            let history = remember(db, &account.id(), &asked)?;
            Ok(json!({
                "reply": format!("You wrote: “{}”. {advice}", asked.message),
                "session_id": asked.session_id,
                "account_id": account.id(),
                "history": history,
            }))
        })
        .await?;
    Ok(private(StatusCode::OK, answer))
}

fn topic_of(message: &str) -> &'static str {
    let message = message.to_lowercase();
    WORDS.iter().find(|(word, _)| message.contains(word)).map_or("general", |(_, topic)| topic)
}

/// The article of a topic. It is the same for everybody, so a cache may keep it.
async fn advice(app: &App, topic: &'static str) -> Result<String, Refusal> {
    const FIND: &str = "SELECT advice FROM articles WHERE topic = ?1";

    if let Some((_, advice)) = app.articles.get(topic) {
        return Ok(advice);
    }
    let advice: String = app
        .database
        .read(move |db| {
            db.prepare_cached(FIND)?
                .query_row([topic], |row| row.get(0))
                .optional()?
                .ok_or(Refusal::Internal("an article is missing"))
        })
        .await?;
    app.articles.put(topic, advice.clone());
    Ok(advice)
}

/// Stores the message and gives the conversation's last ones, this one first.
fn remember(db: &Connection, account: &str, asked: &Question) -> Result<Vec<String>, Refusal> {
    const LAST: &str = "
        SELECT number, text FROM messages WHERE account = ?1 AND session = ?2
        ORDER BY number DESC LIMIT ?3";
    const STORE: &str = "INSERT INTO messages (account, session, number, text) VALUES (?1, ?2, ?3, ?4)";
    const FORGET: &str = "DELETE FROM messages WHERE account = ?1 AND session = ?2 AND number = ?3";

    let conversation = (account, &asked.session_id);
    let earlier = db
        .prepare_cached(LAST)?
        .query_map((conversation.0, conversation.1, MESSAGES_KEPT - 1), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(i64, String)>, _>>()?;
    let number = earlier.first().map_or(1, |(last, _)| last + 1);
    db.prepare_cached(STORE)?.execute((conversation.0, conversation.1, number, &asked.message))?;
    db.prepare_cached(FORGET)?.execute((conversation.0, conversation.1, number - MESSAGES_KEPT))?;
    let mut history = vec![asked.message.clone()];
    history.extend(earlier.into_iter().map(|(_, text)| text));
    Ok(history)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_find_their_article() {
        for (message, topic) in [("I cannot Sleep", "sleep"), ("what dose?", "medicine"), ("zzz", "general")] {
            assert_eq!(topic_of(message), topic);
        }
    }
}
