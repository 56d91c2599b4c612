//! What stays open: a room to talk in, and a clinic's alerts as they come, over WebSockets.
//!
//! In: an upgrade with a token in the `Authorization` header or as `?token=`. Out: JSON texts, until either side
//! closes or the clinic's time limit is over. HTTP/1.1 only, as the protocol's usual form is (RFC 6455).

use std::{
    collections::hash_map::Entry,
    sync::{Arc, PoisonError},
};

use axum::{
    Router,
    body::Body,
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    routing::get,
};
use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, Utf8Bytes,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role as Side, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::{
    accounts::{Account, Role},
    body::PathId,
    refusal::Refusal,
    rooms::Membership,
    server::App,
    tokens::{self, Bearer},
};

/// The largest message, and the longest name of a room, in bytes.
const LARGEST_MESSAGE: usize = 64 << 10;
const LONGEST_NAME: usize = 200;

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/ws/{room}", get(room)).route("/alerts/live", get(alerts))
}

/// The room in which a clinic's clinicians hear of alerts. No room of `/ws/…` has such a name.
pub(crate) fn alerts_of(clinic: u32) -> String {
    format!("alerts of clinic {clinic}")
}

/// The text of an alert, as it is pushed.
pub(crate) fn alert(number: i64, patient: &str, text: &str) -> Value {
    json!({ "type": "alert", "id": format!("a-{number}"), "patient": patient, "text": text })
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
}

async fn room(
    State(app): State<Arc<App>>,
    PathId(room): PathId,
    Query(token): Query<Token>,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let account = who(&app, token, request.headers()).await?;
    if room.len() > LONGEST_NAME {
        return Err(Refusal::Malformed("the name of a room is at most 200 bytes long".to_owned()));
    }
    let serving = app.clone();
    upgrade(request, move |socket| async move {
        let member = serving.rooms.join(&format!("/ws/{room}"));
        let talk = move |member: &Membership, text: &str| vec![answer(account, &room, member, text)];
        converse(serving, socket, member, Vec::new(), talk).await;
    })
}

async fn alerts(
    State(app): State<Arc<App>>,
    Query(token): Query<Token>,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let account = who(&app, token, request.headers()).await?;
    if account.role != Role::Clinician {
        return Err(Refusal::NotYours);
    }
    let serving = app.clone();
    upgrade(request, move |socket| async move {
        // Joined first: an alert between the two is told twice rather than never.
        let member = serving.rooms.join(&alerts_of(account.clinic()));
        let open = serving.database.read(move |db| newest_open(db, account)).await.unwrap_or_default();
        let talk = |_: &Membership, text: &str| vec![heartbeat_or(text, "this connection only tells")];
        tokio::select! {
            () = converse(serving.clone(), socket, member, open, talk) => {}
            () = keep_reminding(&serving, account.clinic()) => {}
        }
    })
}

/// As long as somebody listens, a clinic's monitor sees to it that there is an alert to answer now and then.
async fn keep_reminding(app: &App, clinic: u32) {
    let every = app.timing.reminder;
    loop {
        let now = crate::clock::now();
        let due = match app.reminders.lock().unwrap_or_else(PoisonError::into_inner).entry(clinic) {
            Entry::Occupied(last) if *last.get() + every > now => *last.get() + every,
            // The first listener waits as long as all the others.
            Entry::Vacant(first) => *first.insert(now) + every,
            Entry::Occupied(mut last) => {
                last.insert(now);
                now
            }
        };
        if due > now {
            tokio::time::sleep_until(due).await;
            continue;
        }
        // A database that is too busy for it now will be asked again.
        if let Ok(reminder) = app.database.write(move |db| store_reminder(db, clinic)).await {
            app.rooms.say(&alerts_of(clinic), &reminder.to_string(), None);
        }
    }
}

fn store_reminder(db: &Connection, clinic: u32) -> Result<Value, Refusal> {
    const LAST_ACTIVE: &str = "SELECT id FROM patients WHERE clinic = ?1 ORDER BY active_ms DESC LIMIT 1";
    const TEXT: &str = "please look in";

    let patient: Option<String> = db.prepare_cached(LAST_ACTIVE)?.query_row([clinic], |row| row.get(0)).optional()?;
    let patient = patient.or_else(|| Account::first_patients_of(clinic, 1).next().map(Account::id));
    let patient = patient.ok_or(Refusal::Unknown("patient"))?;
    Ok(alert(store_alert(db, clinic, &patient, TEXT)?, &patient, TEXT))
}

/// Stores an open alert; its number.
pub(crate) fn store_alert(db: &Connection, clinic: u32, patient: &str, text: &str) -> Result<i64, Refusal> {
    const ALERT: &str = "INSERT INTO alerts (clinic, patient, text) VALUES (?1, ?2, ?3)";
    const ONE_MORE: &str = "UPDATE clinics SET open_alerts = open_alerts + 1 WHERE clinic = ?1";

    let number = db.prepare_cached(ALERT)?.insert((clinic, patient, text))?;
    db.prepare_cached(ONE_MORE)?.execute([clinic])?;
    Ok(number)
}

/// Alerts that are open when somebody connects, the oldest first, so that nobody misses one by reconnecting.
fn newest_open(db: &Connection, account: Account) -> Result<Vec<Value>, Refusal> {
    const NEWEST_OPEN: &str = "
        SELECT id, patient, text FROM alerts
        WHERE clinic = ?1 AND acknowledged = 0 ORDER BY id DESC LIMIT 5";

    let mut alerts = db
        .prepare_cached(NEWEST_OPEN)?
        .query_map([account.clinic()], |row| {
            Ok(alert(row.get(0)?, &row.get::<_, String>(1)?, &row.get::<_, String>(2)?))
        })?
        .collect::<Result<Vec<Value>, _>>()?;
    alerts.reverse();
    Ok(alerts)
}

/// A browser cannot set headers on a WebSocket, so that the token may stand in the address.
async fn who(app: &App, token: Token, headers: &HeaderMap) -> Result<Account, Refusal> {
    let bearer = match token.token {
        Some(token) => Bearer(token),
        None => Bearer::of(headers)?,
    };
    app.database.read(move |db| tokens::look_up(db, &bearer)).await
}

/// Answers an upgrade and has the connection served.
fn upgrade<F>(mut request: Request, serve: impl FnOnce(Socket) -> F + Send + 'static) -> Result<Response<Body>, Refusal>
where
    F: Future<Output = ()> + Send + 'static,
{
    let says = |name: header::HeaderName, word: &str| {
        let values = request.headers().get_all(name);
        values.iter().any(|value| {
            value.to_str().unwrap_or_default().split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
        })
    };
    let asks = says(header::CONNECTION, "upgrade")
        && says(header::UPGRADE, "websocket")
        && says(header::SEC_WEBSOCKET_VERSION, "13");
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).filter(|_| asks);
    let key = key.ok_or_else(|| Refusal::Malformed("this address is a WebSocket: ask for an upgrade".to_owned()))?;
    let accept = derive_accept_key(key.as_bytes());
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        // Whoever goes away before the upgrade is done has nothing to be served.
        if let Ok(upgraded) = upgraded.await {
            let config = WebSocketConfig::default()
                .read_buffer_size(4 << 10)
                .write_buffer_size(0)
                .max_message_size(Some(LARGEST_MESSAGE))
                .max_frame_size(Some(LARGEST_MESSAGE));
            serve(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Side::Server, Some(config)).await).await;
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::try_from(accept).map_err(|_| Refusal::Internal("an accept key is no header"))?;
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// Serves one connection until it ends: what the room says goes out, what comes in is answered.
async fn converse(
    app: Arc<App>,
    mut socket: Socket,
    mut member: Membership,
    first: Vec<Value>,
    talk: impl Fn(&Membership, &str) -> Vec<Value>,
) {
    for text in first {
        app.rooms.count_message();
        if socket.send(Message::text(text.to_string())).await.is_err() {
            return;
        }
    }
    let limit = tokio::time::sleep(app.timing.longest_connection);
    tokio::pin!(limit);
    loop {
        let sent = tokio::select! {
            () = &mut limit => {
                let seconds = app.timing.longest_connection.as_secs_f64();
                let reason = Utf8Bytes::from(format!("a connection lasts {seconds} s at most; connect again"));
                let _ = socket.close(Some(CloseFrame { code: CloseCode::Away, reason })).await;
                return;
            }
            text = member.inbox.recv() => match text {
                Some(text) => socket.send(Message::text(&*text)).await,
                None => return,
            },
            came = socket.next() => match came {
                Some(Ok(Message::Text(text))) => {
                    app.rooms.count_message();
                    let mut sent = Ok(());
                    for answer in talk(&member, &text) {
                        app.rooms.count_message();
                        sent = sent.and(socket.send(Message::text(answer.to_string())).await);
                    }
                    sent
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    // What is queued, the answer to the close above all, still leaves.
                    let _ = socket.flush().await;
                    return;
                }
                Some(Ok(_)) => Ok(()),
            },
        };
        if sent.is_err() {
            return;
        }
    }
}

/// What a member is answered; a message goes to the others of the room as well.
fn answer(account: Account, room: &str, member: &Membership, text: &str) -> Value {
    let said: Value = serde_json::from_str(text).unwrap_or_default();
    match (said["type"].as_str(), said["text"].as_str()) {
        (Some("message"), Some(text)) => {
            let told = json!({ "type": "message", "room": room, "from": account.id(), "text": text });
            let to = member.say(&told.to_string());
            json!({ "type": "reply", "room": room, "account_id": account.id(), "text": text, "told": to })
        }
        _ => heartbeat_or(text, "say { type: message, text: … } or { type: heartbeat }"),
    }
}

fn heartbeat_or(text: &str, else_say: &str) -> Value {
    let said: Value = serde_json::from_str(text).unwrap_or_default();
    if said["type"] == "heartbeat" {
        json!({ "type": "heartbeat" })
    } else {
        json!({ "type": "error", "error": else_say })
    }
}
