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
    Arguments, AssertSqlSafe, Encode, FromRow, PgConnection, Postgres, Sqlite, SqliteConnection, Transaction, Type,
};
use std::str::FromStr;
use std::time::Duration;

/// Rows that SQLite's thread hands over before it waits for their reader: each wait costs two changes of threads.
const ROWS: usize = 1_000;

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

/// The pools of one database.
#[derive(Debug, Clone)]
pub enum Db {
    /// One writer, several readers, write-ahead log, every commit on disk before it returns.
    Sqlite {
        /// Readers.
        read: SqlitePool,
        /// The one writer.
        write: SqlitePool,
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

enum Args {
    Sqlite(SqliteArguments),
    Pg(PgArguments),
}

impl Args {
    fn add<'t, T: Bind<'t>>(&mut self, value: T) -> Result<(), StoreError> {
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
    text: String,
    args: Args,
    error: Option<StoreError>,
}

impl Db {
    /// Opens `sqlite://PATH` (created if absent) or `postgres://…`.
    ///
    /// # Errors
    /// [`StoreError::Url`] for another scheme, [`StoreError::Database`] when the database cannot be opened.
    pub async fn open(url: &str, connections: u32) -> Result<Self, StoreError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url)?.application_name("consentd");
            let pool = PgPoolOptions::new().max_connections(connections.max(2)).connect_with(options).await?;
            return Ok(Self::Pg(pool));
        }
        if !url.starts_with("sqlite:") || url.contains(":memory:") {
            return Err(StoreError::Url);
        }
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(30))
            .row_buffer_size(ROWS)
            .pragma("cache_size", "-65536")
            .pragma("wal_autocheckpoint", "4000")
            .pragma("temp_store", "memory");
        let write = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        let read = SqlitePoolOptions::new()
            .max_connections(connections.max(1))
            .connect_with(options.create_if_missing(false).read_only(true).pragma("cache_size", "-8192"))
            .await?;
        Ok(Self::Sqlite { read, write })
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
            Self::Sqlite { write, .. } => Tx::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?),
            Self::Pg(pool) => Tx::Pg(pool.begin().await?),
        })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { read, write } => {
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

    /// Inserts many rows with few statements. The text marks the place of the rows with `/*rows*/`; `columns` is the number of values
    /// a row binds. Returns how many rows the engine counted.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn insert_many<T>(
        &mut self,
        sql: Sql,
        columns: usize,
        rows: &[T],
        mut bind: impl FnMut(&mut Row<'_>, &T) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        /// The most values that one SQLite statement takes.
        const VALUES: usize = 32_766;
        let mut count = 0;
        for chunk in rows.chunks((VALUES / columns.max(1)).clamp(1, 2_000)) {
            let mut query = self.q(sql);
            query.text = query.text.replacen("/*rows*/", &query.args.placeholders(columns, chunk.len()), 1);
            for row in chunk {
                bind(&mut Row(&mut query.args), row)?;
            }
            count += query.exec().await?;
        }
        Ok(count)
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// [`StoreError::Database`]. The outcome of a commit that failed is not known: look before doing it again.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Pg(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

/// One row of [`Tx::insert_many`].
pub struct Row<'a>(&'a mut Args);

impl Row<'_> {
    /// The next value.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the value cannot be encoded.
    pub fn bind<'t, T: Bind<'t>>(&mut self, value: T) -> Result<&mut Self, StoreError> {
        self.0.add(value)?;
        Ok(self)
    }
}

impl Args {
    /// `(?,?),(?,?)` for SQLite, which looks numbered names up one by one; `($1,$2),($3,$4)` for PostgreSQL.
    fn placeholders(&self, columns: usize, rows: usize) -> String {
        let mut text = String::with_capacity(rows * columns * 6);
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ",(" });
            for column in 0..columns {
                if column > 0 {
                    text.push(',');
                }
                match self {
                    Self::Sqlite(_) => text.push('?'),
                    Self::Pg(_) => {
                        text.push('$');
                        text.push_str(&(row * columns + column + 1).to_string());
                    }
                }
            }
            text.push(')');
        }
        text
    }
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
