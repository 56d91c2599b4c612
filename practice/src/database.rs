//! The database: SQLite in a temporary file behind a bounded pool of connections.
//!
//! In: a piece of work (a closure over a transaction). Out: its result, or a [`Refusal`] when
//! no connection became free in time. Work runs on the runtime's blocking threads and to its
//! end, also when the client that asked for it has gone away, so no connection is ever lost.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, TransactionBehavior};
use tempfile::TempDir;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::{clock, refusal::Refusal, schema};

/// How many database connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Connections that stay open between uses.
    pub kept: usize,
    /// Connections beyond those, opened when all are in use and closed after their use.
    pub overflow: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        PoolLimits { kept: 8, overflow: 0 }
    }
}

impl PoolLimits {
    /// The most connections in use at once; at least one.
    pub fn max(self) -> usize {
        self.kept.saturating_add(self.overflow).max(1)
    }
}

/// How long a request waits for a connection before it is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The pool; dropping the last handle closes the connections and removes the file.
pub(crate) struct Database {
    pool: Arc<Pool>,
    /// SQLite has one writer. Writers queue here, and not inside SQLite, where they would
    /// hold a connection each and sleep.
    writer: Arc<AsyncMutex<()>>,
}

struct Pool {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    limits: PoolLimits,
    use_: PoolCounters,
    file: PathBuf,
    /// Declared after `idle`: connections close before their folder goes.
    _folder: TempDir,
}

#[derive(Default)]
struct PoolCounters {
    active: AtomicUsize,
    waiting: AtomicUsize,
    queries: AtomicU64,
    query_nanos: AtomicU64,
}

/// How the pool is used at this moment, and since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolUse {
    pub(crate) active: usize,
    pub(crate) max: usize,
    pub(crate) waiting: usize,
    /// Pieces of work done; each is one transaction of one to nine statements.
    pub(crate) queries: u64,
    pub(crate) query_time: Duration,
}

/// One connection in use; goes back to the pool by itself.
struct Lease {
    connection: Option<Connection>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Database {
    /// Creates the file, its tables and the first connection.
    pub(crate) fn create(limits: PoolLimits) -> Result<Database, CreateError> {
        let folder = tempfile::Builder::new().prefix("watertight-practice-").tempdir()?;
        let file = folder.path().join("clinic.db");
        let mut first = schema::connect(&file)?;
        schema::create(&mut first)?;
        Ok(Database {
            pool: Arc::new(Pool {
                idle: Mutex::new(vec![first]),
                permits: Arc::new(Semaphore::new(limits.max())),
                limits,
                use_: PoolCounters::default(),
                file,
                _folder: folder,
            }),
            writer: Arc::new(AsyncMutex::new(())),
        })
    }

    /// Runs `work` in a read transaction: everything it reads is of one moment.
    pub(crate) async fn read<T, W>(&self, work: W) -> Result<T, Refusal>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    {
        self.run(TransactionBehavior::Deferred, None, work).await
    }

    /// Runs `work` in a write transaction: all of it is stored, or nothing when it refuses.
    pub(crate) async fn write<T, W>(&self, work: W) -> Result<T, Refusal>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    {
        let turn = tokio::time::timeout(LONGEST_WAIT, self.writer.clone().lock_owned())
            .await
            .map_err(|_| Refusal::PoolExhausted)?;
        self.run(TransactionBehavior::Immediate, Some(turn), work).await
    }

    async fn run<T, W>(
        &self,
        behavior: TransactionBehavior,
        turn: Option<OwnedMutexGuard<()>>,
        work: W,
    ) -> Result<T, Refusal>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    {
        let mut lease = self.pool.clone().lease().await?;
        let work = move || {
            // The writer's turn ends here with the work, not with the client's patience.
            let _turn = turn;
            let began = clock::now();
            let result = lease.transact(behavior, work);
            lease.pool.use_.finished(began.elapsed());
            result
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(Refusal::Internal("a piece of database work panicked")))
    }

    /// The use of the pool.
    pub(crate) fn pool_use(&self) -> PoolUse {
        let counters = &self.pool.use_;
        PoolUse {
            active: counters.active.load(Ordering::Relaxed),
            max: self.pool.limits.max(),
            waiting: counters.waiting.load(Ordering::Relaxed),
            queries: counters.queries.load(Ordering::Relaxed),
            query_time: Duration::from_nanos(counters.query_nanos.load(Ordering::Relaxed)),
        }
    }
}

impl PoolCounters {
    fn finished(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.query_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Pool {
    async fn lease(self: Arc<Self>) -> Result<Lease, Refusal> {
        let permits = self.permits.clone();
        let permit = match permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = Waiting::begin(&self.use_.waiting);
                tokio::time::timeout(LONGEST_WAIT, permits.acquire_owned())
                    .await
                    .map_err(|_| Refusal::PoolExhausted)?
                    .map_err(|_| Refusal::Internal("the pool is closed"))?
            }
        };
        self.use_.active.fetch_add(1, Ordering::Relaxed);
        let connection = self.lock_idle().pop();
        Ok(Lease { connection, pool: self, _permit: permit })
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A list of connections cannot be half changed: a panic elsewhere does not spoil it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one waiting request for as long as it lives, also when it is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lease {
    fn transact<T>(
        &mut self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Connection) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let connection = match self.connection.take() {
            Some(connection) => self.connection.insert(connection),
            None => self.connection.insert(schema::connect(&self.pool.file)?),
        };
        let transaction = connection.transaction_with_behavior(behavior)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let mut idle = self.pool.lock_idle();
            if idle.len() < self.pool.limits.kept.max(1) {
                idle.push(connection);
            }
        }
        self.pool.use_.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why the database could not be created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error(transparent)]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn no_more_connections_than_allowed_and_the_rest_waits() {
        let limits = PoolLimits { kept: 2, overflow: 1 };
        let database = Arc::new(Database::create(limits).expect("a temporary folder"));
        let mut holds = Vec::new();
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let (release, held) = mpsc::channel::<()>();
            holds.push(release);
            let database = database.clone();
            running.spawn(async move {
                // Ends when the test lets go of its side.
                database.read(move |_| Ok(held.recv().is_err())).await
            });
        }
        while database.pool_use().waiting < 2 {
            tokio::task::yield_now().await;
        }
        let busy = database.pool_use();
        assert_eq!((busy.active, busy.max, busy.waiting), (3, 3, 2));

        drop(holds);
        while let Some(done) = running.join_next().await {
            assert!(done.expect("no panic").expect("a connection"));
        }
        let idle = database.pool_use();
        assert_eq!((idle.active, idle.waiting, idle.queries), (0, 0, 5));
        assert_eq!(database.pool.lock_idle().len(), 2, "the overflow is closed again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_that_stays_exhausted_refuses() {
        let limits = PoolLimits { kept: 1, overflow: 0 };
        let database = Database::create(limits).expect("a temporary folder");
        let lease = database.pool.clone().lease().await.expect("the only one");
        let refused = database.read(|_| Ok(())).await;
        assert!(matches!(refused, Err(Refusal::PoolExhausted)));
        assert_eq!(database.pool_use().waiting, 0);
        drop(lease);
        assert!(database.read(|_| Ok(())).await.is_ok());
    }

    #[tokio::test]
    async fn refused_work_stores_nothing() {
        const STORE: &str = "UPDATE clinics SET patients = 9 WHERE clinic = 1";
        const READ: &str = "SELECT patients FROM clinics WHERE clinic = 1";

        let database = Database::create(PoolLimits::default()).expect("a temporary folder");
        let refused: Result<(), _> = database
            .write(|db| {
                db.execute(STORE, [])?;
                Err(Refusal::NotYours)
            })
            .await;
        assert!(matches!(refused, Err(Refusal::NotYours)));
        let patients: i64 =
            database.read(|db| Ok(db.query_row(READ, [], |row| row.get(0))?)).await.expect("the database is well");
        assert_eq!(patients, 0);
    }

    #[tokio::test]
    async fn the_file_goes_with_the_database() {
        let database = Database::create(PoolLimits::default()).expect("a temporary folder");
        let file = database.pool.file.clone();
        assert!(file.exists());
        drop(database);
        assert!(!file.parent().expect("its folder").exists());
    }
}
