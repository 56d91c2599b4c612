//! The running clinic's parts and its routes. In: the options. Out: a router for each service;
//! all three hold every route, so that they can also share one port.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, middleware};
use rusqlite::Connection;

use crate::{
    Options, Timing,
    accounts::Account,
    backend::Pool,
    batch::Batch,
    cache::{ANSWER_TIME_TO_LIVE, KeptAnswer, TtlCache},
    database::{CreateError, Database, PoolLimits},
    defects::Defect,
    door::{self, Door},
    faults::Faults,
    gate::Gate,
    metrics::Metrics,
    refusal::Refusal,
    rooms::Rooms,
    routes,
    tokens::{self, Bearer, TokenKey},
};

/// How long an article is kept; articles never change while the clinic runs.
const ARTICLE_TIME_TO_LIVE: Duration = Duration::from_secs(60);

/// The most tokens that the faulty log-out leaves behind.
const MOST_TOKENS: usize = 100_000;

/// The most values in each cache.
const MOST_CACHED: usize = 256;

/// Everything that requests share.
pub(crate) struct App {
    pub(crate) database: Database,
    /// Shared with the [`Clinic`](crate::Clinic), which tells the count after the end as well.
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) faults: Faults,
    /// The chatbot's articles by topic, the same for everybody.
    pub(crate) articles: TtlCache<String>,
    /// Whole answers, kept only under [`Defect::SharedCache`].
    pub(crate) answers: TtlCache<KeptAnswer>,
    pub(crate) token_key: TokenKey,
    pub(crate) seed: u64,
    /// Connections to the records system, used only under [`Defect::CrossedReplies`].
    pub(crate) records: Pool,
    /// Whose message the chat is answering, used only under [`Defect::ContextBleed`].
    pub(crate) asking: Mutex<routes::chat::Asking>,
    /// Who talks to whom.
    pub(crate) rooms: Arc<Rooms>,
    /// Which answer a stream tells, used only under [`Defect::StreamCrossing`].
    pub(crate) telling: routes::chat_stream::Telling,
    pub(crate) timing: Timing,
    /// When each clinic's monitor last made an alert of its own.
    pub(crate) reminders: Mutex<HashMap<u32, tokio::time::Instant>>,
    /// Notes that wait to be written, used only under [`Defect::WriteMixup`].
    pub(crate) batch: Batch,
    /// Accounts by their tokens, used only under [`Defect::StaleSession`].
    pub(crate) known_tokens: TtlCache<Account>,
    /// Limits how often each user may ask for the tariff.
    pub(crate) tariff_gate: Gate,
    defects: Vec<Defect>,
}

impl App {
    pub(crate) fn create(options: Options, pool: PoolLimits) -> Result<App, CreateError> {
        Ok(App {
            database: Database::create(pool)?,
            metrics: Arc::default(),
            faults: Faults::new(&options.defects, options.seed),
            articles: TtlCache::new(ARTICLE_TIME_TO_LIVE, MOST_CACHED),
            answers: TtlCache::new(ANSWER_TIME_TO_LIVE, MOST_CACHED),
            token_key: TokenKey::draw(),
            seed: options.seed,
            records: Pool::default(),
            asking: Mutex::default(),
            rooms: Arc::new(Rooms::new(options.defects.contains(&Defect::WrongRoom))),
            telling: Default::default(),
            timing: Timing::default(),
            reminders: Mutex::default(),
            batch: Batch::default(),
            known_tokens: TtlCache::new(tokens::KNOWN_FOR, MOST_TOKENS),
            tariff_gate: Gate::new(routes::pages::RATE),
            defects: options.defects,
        })
    }

    pub(crate) fn has(&self, defect: Defect) -> bool {
        self.defects.contains(&defect)
    }

    /// Reads as the account that the token stands for: the check and what it guards are one
    /// piece of work and see the same moment.
    pub(crate) async fn read_as<T, W>(&self, bearer: Bearer, work: W) -> Result<T, Refusal>
    where
        T: Send + 'static,
        W: FnOnce(&Connection, Account) -> Result<T, Refusal> + Send + 'static,
    {
        if self.has(Defect::StaleSession) {
            let account = tokens::look_up_in_cache(self, bearer).await?;
            return self.database.read(move |db| work(db, account)).await;
        }
        let work = move |db: &Connection| work(db, tokens::look_up(db, &bearer)?);
        self.database.read(work).await
    }

    /// Writes as the account that the token stands for.
    pub(crate) async fn write_as<T, W>(&self, bearer: Bearer, work: W) -> Result<T, Refusal>
    where
        T: Send + 'static,
        W: FnOnce(&Connection, Account) -> Result<T, Refusal> + Send + 'static,
    {
        if self.has(Defect::StaleSession) {
            let account = tokens::look_up_in_cache(self, bearer).await?;
            return self.database.write(move |db| work(db, account)).await;
        }
        let work = move |db: &Connection| work(db, tokens::look_up(db, &bearer)?);
        self.database.write(work).await
    }
}

/// Every route, behind the door of `service`.
pub(crate) fn router(app: Arc<App>, service: &'static str) -> Router {
    let door = Door { app: app.clone(), service };
    Router::new()
        .merge(routes::log_in::routes())
        .merge(routes::patient::routes(&app))
        .merge(routes::clinical::routes(&app))
        .merge(routes::chat::routes())
        .merge(routes::live::routes())
        .merge(routes::operations::routes())
        .merge(routes::files::routes())
        .merge(routes::pages::routes())
        .fallback(async || Refusal::Unknown("path"))
        .method_not_allowed_fallback(async || Refusal::WrongMethod)
        .layer(middleware::from_fn_with_state(door, door::enter))
        .with_state(app)
}
