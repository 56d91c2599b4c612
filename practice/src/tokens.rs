//! Log-in tokens: issued, looked up, taken back. They live in the database, as the sessions
//! of the three services do, so a token of one is good at all.
//!
//! In: an account, or the `Authorization` header. Out: a token, or the account it stands for.
//! [`Defect::SessionMixup`] and [`Defect::StaleSession`] live here.

use std::time::Duration;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use rand::RngExt;
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use crate::{accounts::Account, clock, defects::Defect, records, refusal::Refusal, server::App};

/// A token is good for a day; older ones of an account go at its next log-in.
const LIFETIME_MS: i64 = 24 * 60 * 60 * 1000;

/// How long the faulty log-in looks away between reading the sequence and storing it:
/// as long as the check of a well-hashed password takes.
const PASSWORD_CHECK: Duration = Duration::from_millis(60);

/// The token of a request, not yet looked up.
pub(crate) struct Bearer(pub(crate) String);

impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Bearer::of(&parts.headers)
    }
}

impl Bearer {
    /// The token that the headers hold.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| Bearer(token.trim().to_owned()))
            .ok_or(Refusal::NotLoggedIn)
    }
}

/// Issues a token to `account`.
pub(crate) async fn issue(app: &App, account: Account) -> Result<String, Refusal> {
    if app.has(Defect::SessionMixup) {
        return issue_from_sequence(app, account).await;
    }
    let token = format!("{:032x}", rand::rng().random::<u128>());
    app.database
        .write(move |db| {
            records::admit(db, account)?;
            store(db, &token, account)?;
            Ok(token)
        })
        .await
}

/// The faulty log-in. It reads the next number, waits, and only then writes that the number is
/// taken: whoever logs in meanwhile reads the same number, gets the same token, and the last
/// one's account is what the token stands for. One user alone always gets a fresh number.
async fn issue_from_sequence(app: &App, account: Account) -> Result<String, Refusal> {
    const NEXT: &str = "SELECT next FROM sequences WHERE name = 'token'";
    const TAKEN: &str = "UPDATE sequences SET next = ?1 WHERE name = 'token'";

    let number: i64 = app.database.read(|db| Ok(db.prepare_cached(NEXT)?.query_row([], |row| row.get(0))?)).await?;
    tokio::time::sleep(PASSWORD_CHECK).await;
    let token = app.token_key.derive(number);
    app.database
        .write(move |db| {
            records::admit(db, account)?;
            store(db, &token, account)?;
            db.prepare_cached(TAKEN)?.execute([number + 1])?;
            Ok(token)
        })
        .await
}

/// The secret from which the faulty log-in makes its tokens.
pub(crate) struct TokenKey([u8; 32]);

impl TokenKey {
    pub(crate) fn draw() -> Self {
        TokenKey(rand::rng().random())
    }

    fn derive(&self, number: i64) -> String {
        let digest = Sha256::new().chain_update(self.0).chain_update(number.to_le_bytes()).finalize();
        digest[..16].iter().map(|b| format!("{b:02x}")).collect()
    }
}

fn store(db: &Connection, token: &str, account: Account) -> Result<(), Refusal> {
    const STORE: &str = "INSERT OR REPLACE INTO tokens (token, account, issued_ms) VALUES (?1, ?2, ?3)";
    const FORGET_OLD: &str = "DELETE FROM tokens WHERE account = ?1 AND issued_ms < ?2";

    let (id, now_ms) = (account.id(), clock::unix_ms());
    db.prepare_cached(FORGET_OLD)?.execute((&id, now_ms - LIFETIME_MS))?;
    db.prepare_cached(STORE)?.execute((token, &id, now_ms))?;
    Ok(())
}

/// The account a token stands for.
pub(crate) fn look_up(db: &Connection, bearer: &Bearer) -> Result<Account, Refusal> {
    const LOOK_UP: &str = "SELECT account FROM tokens WHERE token = ?1 AND issued_ms >= ?2";

    db.prepare_cached(LOOK_UP)?
        .query_row((&bearer.0, clock::unix_ms() - LIFETIME_MS), |row| {
            let id = row.get_ref(0)?.as_str()?;
            Ok(Account::by_id(id))
        })
        .optional()?
        .flatten()
        .ok_or(Refusal::NotLoggedIn)
}

/// How long the faulty look-up believes that a token is still good.
pub(crate) const KNOWN_FOR: Duration = Duration::from_secs(30);

/// The faulty look-up: a token that was good a while ago is not looked up again. The log-out takes it out of the
/// database, where it is checked no more. Whoever still has the token, the user included, goes on as if logged in.
pub(crate) async fn look_up_in_cache(app: &App, bearer: Bearer) -> Result<Account, Refusal> {
    if let Some((_, account)) = app.known_tokens.get(&bearer.0) {
        return Ok(account);
    }
    let token = bearer.0.clone();
    let account = app.database.read(move |db| look_up(db, &bearer)).await?;
    app.known_tokens.put(&token, account);
    Ok(account)
}

/// Takes a token back; one that is not valid is refused.
pub(crate) fn take_back(db: &Connection, bearer: &Bearer) -> Result<(), Refusal> {
    const TAKE_BACK: &str = "DELETE FROM tokens WHERE token = ?1";

    match db.prepare_cached(TAKE_BACK)?.execute([&bearer.0])? {
        0 => Err(Refusal::NotLoggedIn),
        _ => Ok(()),
    }
}
