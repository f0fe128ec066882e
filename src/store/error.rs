//! What can go wrong with the database.

use crate::store::VaultError;

/// A failure of the database or of what was found in it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine's own words. Never shown to anybody outside: they may name columns and values.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The address of the database cannot be used.
    #[error("the database url must be sqlite://PATH or postgres://…")]
    Url,
    /// The schema cannot be brought up to date.
    #[error("the database schema cannot be migrated")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The schema is older than this program.
    #[error("the database schema is not current; run `consentd migrate`")]
    Outdated,
    /// A row holds a value that this program never wrote.
    #[error("the table {table} holds an unreadable value in column {column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A secret cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Somebody else holds the value already.
    #[error("{0} exists already")]
    Taken(&'static str),
}

impl StoreError {
    /// Whether trying again later may help: the database is busy, full, or gone for now.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Database(_))
    }

    /// Whether the disk is full (SQLite's `FULL`; PostgreSQL's `disk_full`).
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("13" | "53100")))
    }

    /// Whether a unique key was violated; both engines agree on this.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}
