//! The chatbot. In: a patient's message in one of the patient's conversations. Out: a reply
//! that quotes it, with advice from the articles, and the last messages, newest first.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::post};
use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;
use serde_json::json;

use crate::{
    accounts::Account,
    body::{Given, private},
    defects::Defect,
    refusal::Refusal,
    server::App,
    tokens::{self, Bearer},
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
    Router::new().route("/api/chatbot", post(reply)).route("/chat/stream", post(super::chat_stream::reply))
}

/// How long the model thinks about an answer in the faulty chat.
const MODEL: Duration = Duration::from_millis(25);

/// Whose message is being answered; the faulty chat has one of these for all.
#[derive(Default, Clone)]
pub(crate) struct Asking(Option<(Account, Question)>);

#[derive(Deserialize, Clone)]
pub(super) struct Question {
    pub(super) message: String,
    pub(super) session_id: String,
}

async fn reply(
    State(app): State<Arc<App>>,
    bearer: Bearer,
    Given(asked): Given<Question>,
) -> Result<Response, Refusal> {
    let topic = topic_of(&asked.message);
    let advice = advice(&app, topic).await?;
    if app.has(Defect::ContextBleed) {
        return reply_from_context(&app, bearer, asked, &advice).await;
    }
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

/// The faulty reply. Who asks what is put where "the current request" is kept, the model is waited for, and then the
/// current request is read again: by then it is whoever asked last. A user alone is always the last.
async fn reply_from_context(app: &App, bearer: Bearer, asked: Question, advice: &str) -> Result<Response, Refusal> {
    let account = app.database.read(move |db| tokens::look_up(db, &bearer)).await?;
    app.asking.lock().unwrap_or_else(PoisonError::into_inner).0 = Some((account, asked));
    tokio::time::sleep(MODEL).await;
    let current = app.asking.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (account, asked) = current.0.ok_or(Refusal::Internal("nobody is asking"))?;
    let remembered = asked.clone();
    let history = app.database.write(move |db| remember(db, &account.id(), &remembered)).await?;
    let answer = json!({
        "reply": format!("You wrote: “{}”. {advice}", asked.message),
        "session_id": asked.session_id,
        "account_id": account.id(),
        "history": history,
    });
    Ok(private(StatusCode::OK, answer))
}

pub(super) fn topic_of(message: &str) -> &'static str {
    let message = message.to_lowercase();
    WORDS.iter().find(|(word, _)| message.contains(word)).map_or("general", |(_, topic)| topic)
}

/// The article of a topic. It is the same for everybody, so a cache may keep it.
pub(super) async fn advice(app: &App, topic: &'static str) -> Result<String, Refusal> {
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
pub(super) fn remember(db: &Connection, account: &str, asked: &Question) -> Result<Vec<String>, Refusal> {
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
