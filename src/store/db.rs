//! One door to two engines: a pool or transaction of either, and one way to run a named statement on it.
//!
//! Repositories are written once. Reads take [`Db`], writes take [`Tx`], so a change and the work that it causes
//! commit together. A value that one of the engines lacks does not compile.

use crate::store::StoreError;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{
    Arguments, AssertSqlSafe, Connection as _, Encode, FromRow, PgConnection, Postgres, Sqlite, SqliteConnection,
    Transaction, Type,
};
use std::fs::OpenOptions;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Rows that SQLite's thread may be ahead of whoever takes them; each time it is further, both threads stop.
const ROWS_AHEAD: usize = 250;

/// Statements that the writer of SQLite keeps prepared; an import uses a hundred in turn.
const WRITER_STATEMENTS: usize = 250;

/// A named statement, usually one text for both engines.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    /// The text for SQLite.
    pub sqlite: &'static str,
    /// The text for PostgreSQL.
    pub pg: &'static str,
}

/// Reads `src/store/sql/<name>.sql`, or with `split` the pair `<name>.sqlite.sql` and `<name>.postgres.sql`.
macro_rules! sql {
    (split $name:literal) => {
        $crate::store::db::Sql {
            sqlite: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql/", $name, ".sqlite.sql")),
            pg: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql/", $name, ".postgres.sql")),
        }
    };
    ($name:literal) => {
        $crate::store::db::Sql {
            sqlite: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql/", $name, ".sql")),
            pg: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql/", $name, ".sql")),
        }
    };
}
pub(crate) use sql;

/// A value that both engines can bind.
pub trait Bind<'t>: Send + Encode<'t, Sqlite> + Type<Sqlite> + Encode<'t, Postgres> + Type<Postgres> {}
impl<'t, T> Bind<'t> for T where T: Send + Encode<'t, Sqlite> + Type<Sqlite> + Encode<'t, Postgres> + Type<Postgres> {}

/// A row that both engines can give.
pub trait Record: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> {}
impl<T> Record for T where T: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> {}

/// Somebody who waits for the writer, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn at(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pools of one database.
#[derive(Debug, Clone)]
pub enum Db {
    /// One writer, several readers, write-ahead log, every commit on disk before it returns.
    Sqlite {
        /// Readers.
        read: SqlitePool,
        /// The one writer.
        write: SqlitePool,
        /// How many wait for the writer.
        waiting: Arc<AtomicUsize>,
    },
    /// PostgreSQL.
    Pg(PgPool),
}

/// A transaction; rolled back when dropped.
#[derive(Debug)]
#[expect(missing_docs, reason = "one variant an engine")]
pub enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Pg(Transaction<'static, Postgres>),
}

/// Where a read runs: on the pools, or inside a transaction that will act on what it finds.
pub(crate) trait Ask: Send {
    /// A statement to run there.
    fn ask(&mut self, sql: Sql) -> Query<'_>;
}

impl Ask for Db {
    fn ask(&mut self, sql: Sql) -> Query<'_> {
        self.q(sql)
    }
}

impl Ask for Tx {
    fn ask(&mut self, sql: Sql) -> Query<'_> {
        self.q(sql)
    }
}

enum Exec<'e> {
    SqlitePool(&'e SqlitePool),
    Sqlite(&'e mut SqliteConnection),
    PgPool(&'e PgPool),
    Pg(&'e mut PgConnection),
}

pub(super) enum Args {
    Sqlite(SqliteArguments),
    Pg(PgArguments),
}

#[derive(Clone, Copy)]
pub(super) enum Engine {
    Sqlite,
    Pg,
}

impl Args {
    pub(super) fn none(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::Sqlite(SqliteArguments::default()),
            Engine::Pg => Self::Pg(PgArguments::default()),
        }
    }

    pub(super) fn reserve(&mut self, values: usize) {
        match self {
            Self::Sqlite(args) => args.reserve(values, 0),
            Self::Pg(args) => args.reserve(values, 0),
        }
    }

    pub(super) fn add<'t, T: Bind<'t>>(&mut self, value: T) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(args) => args.add(value),
            Self::Pg(args) => args.add(value),
        }
        .map_err(|error| StoreError::Database(sqlx::Error::Encode(error)))
    }
}

/// A statement with its values, ready to run.
pub struct Query<'e> {
    exec: Exec<'e>,
    pub(super) text: String,
    pub(super) args: Args,
    error: Option<StoreError>,
}

impl Db {
    /// Opens `sqlite://PATH` (created if absent) or `postgres://…`.
    ///
    /// # Errors
    /// [`StoreError::Url`] for another scheme, [`StoreError::Database`] when the database cannot be opened.
    pub async fn open(url: &str, connections: u32) -> Result<Self, StoreError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            // A daemon that stands still in the middle of a write must not hold its locks for ever: nobody could take over.
            // Our statements are short: compiling one takes longer than running it.
            let settings = [("idle_in_transaction_session_timeout", "15s"), ("jit", "off")];
            let options = PgConnectOptions::from_str(url)?.application_name("consentd").options(settings);
            // Who asks while the server is away hears so before giving up.
            let pool = PgPoolOptions::new().max_connections(connections.max(2)).acquire_timeout(Duration::from_secs(5));
            let pool = pool.connect_with(options).await?;
            return Ok(Self::Pg(pool));
        }
        if !url.starts_with("sqlite:") || url.contains(":memory:") {
            return Err(StoreError::Url);
        }
        let options = SqliteConnectOptions::from_str(url)?;
        private(options.get_filename())?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(30))
            .pragma("cache_size", "-24576")
            .pragma("wal_autocheckpoint", "4000")
            .pragma("temp_store", "memory")
            .row_buffer_size(ROWS_AHEAD);
        // SQLite ends a transaction by itself when the disk is full or fails. sqlx cannot roll it back then and takes the
        // connection for one in a transaction from then on, which nobody could begin another on.
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options.clone().statement_cache_capacity(WRITER_STATEMENTS))
            .await?;
        let read = SqlitePoolOptions::new()
            .max_connections(connections.max(1))
            .connect_with(options.create_if_missing(false).read_only(true).pragma("cache_size", "-4096"))
            .await?;
        Ok(Self::Sqlite { read, write, waiting: Arc::default() })
    }

    /// Whether several daemons may share this database.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Pg(_))
    }

    /// A read outside any transaction.
    #[must_use]
    pub fn q(&self, sql: Sql) -> Query<'_> {
        match self {
            Self::Sqlite { read, .. } => Query::new(Exec::SqlitePool(read), sql),
            Self::Pg(pool) => Query::new(Exec::PgPool(pool), sql),
        }
    }

    /// A read whose text was built by `store/search.rs`.
    pub(crate) fn built(&self, text: String) -> Query<'_> {
        match self {
            Self::Sqlite { read, .. } => Query {
                exec: Exec::SqlitePool(read),
                text,
                args: Args::Sqlite(SqliteArguments::default()),
                error: None,
            },
            Self::Pg(pool) => {
                Query { exec: Exec::PgPool(pool), text, args: Args::Pg(PgArguments::default()), error: None }
            }
        }
    }

    /// Begins a write. On SQLite the write lock is taken at once, so that no read-then-write can fail half way.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database is busy for too long or gone.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Sqlite { write, waiting, .. } => {
                let _waiting = Waiting::at(waiting);
                Tx::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?)
            }
            Self::Pg(pool) => Tx::Pg(pool.begin().await?),
        })
    }

    /// Whether somebody may be waiting for a transaction to end. PostgreSQL does not say, so there it is always so.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        match self {
            Self::Sqlite { waiting, .. } => waiting.load(Ordering::Relaxed) > 0,
            Self::Pg(_) => true,
        }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { read, write, .. } => {
                read.close().await;
                write.close().await;
            }
            Self::Pg(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// A statement inside this transaction.
    pub fn q(&mut self, sql: Sql) -> Query<'_> {
        match self {
            Self::Sqlite(tx) => Query::new(Exec::Sqlite(&mut *tx), sql),
            Self::Pg(tx) => Query::new(Exec::Pg(&mut *tx), sql),
        }
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// [`StoreError::Database`]. The outcome of a commit that failed is not known: look before doing it again.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await.inspect_err(end_if_unsynced)?,
            Self::Pg(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

/// SQLite's codes for a file and for a folder that could not be brought to the disk.
const UNSYNCED: [&str; 2] = ["1034", "1290"];

/// Ends the process when the system could not say that a commit is on the disk. It would say so the next time, whether or
/// not it is true, since it forgets what it could not write; only what is read from the disk by the next start is certain.
fn end_if_unsynced(error: &sqlx::Error) {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    if code.is_some_and(|code| UNSYNCED.contains(&&*code)) {
        tracing::error!("the disk did not keep a commit; ending, so that the next start reads what is really there");
        std::process::exit(1);
    }
}

/// Makes the file, if there is none, readable for its owner only; SQLite gives its log the same rights.
fn private(file: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map_err(sqlx::Error::Io)?;
    Ok(())
}

/// Runs the same body for each engine's executor; the types differ, the words do not.
macro_rules! on_engine {
    ($self:ident, |$exec:ident, $text:ident, $args:ident| $body:expr) => {{
        if let Some(error) = $self.error {
            return Err(error);
        }
        let $text = AssertSqlSafe($self.text);
        match ($self.exec, $self.args) {
            (Exec::SqlitePool($exec), Args::Sqlite($args)) => Ok($body),
            (Exec::Sqlite($exec), Args::Sqlite($args)) => Ok($body),
            (Exec::PgPool($exec), Args::Pg($args)) => Ok($body),
            (Exec::Pg($exec), Args::Pg($args)) => Ok($body),
            _ => Err(StoreError::Url),
        }
    }};
}

impl<'e> Query<'e> {
    fn new(exec: Exec<'e>, sql: Sql) -> Self {
        let (text, args) = match exec {
            Exec::SqlitePool(_) | Exec::Sqlite(_) => (sql.sqlite, Args::Sqlite(SqliteArguments::default())),
            Exec::PgPool(_) | Exec::Pg(_) => (sql.pg, Args::Pg(PgArguments::default())),
        };
        Self { exec, text: text.to_owned(), args, error: None }
    }

    /// The next value, `$1` first.
    #[must_use]
    pub fn bind<'t, T: Bind<'t>>(mut self, value: T) -> Self {
        if let Err(error) = self.args.add(value) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Runs it and returns how many rows changed.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn exec(self) -> Result<u64, StoreError> {
        on_engine!(self, |exec, text, args| sqlx::query_with(text, args).execute(exec).await?.rows_affected())
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn opt<T: Record>(self) -> Result<Option<T>, StoreError> {
        on_engine!(self, |exec, text, args| sqlx::query_as_with(text, args).fetch_optional(exec).await?)
    }

    /// The one row that must be there.
    ///
    /// # Errors
    /// [`StoreError::Database`], also when there is no row.
    pub async fn one<T: Record>(self) -> Result<T, StoreError> {
        on_engine!(self, |exec, text, args| sqlx::query_as_with(text, args).fetch_one(exec).await?)
    }

    /// All rows. The statement bounds how many.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn all<T: Record>(self) -> Result<Vec<T>, StoreError> {
        on_engine!(self, |exec, text, args| sqlx::query_as_with(text, args).fetch_all(exec).await?)
    }
}
