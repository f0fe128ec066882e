//! Bringing the schema up to date, and what the engine says of itself.

use crate::store::db::sql;
use crate::store::{Db, StoreError};
use sqlx::migrate::Migrator;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// One step of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: String,
}

impl Db {
    fn migrator(&self) -> &'static Migrator {
        match self {
            Self::Sqlite { .. } => &SQLITE,
            Self::Pg(_) => &POSTGRES,
        }
    }

    /// Applies what is missing. Several daemons may do this at the same time.
    ///
    /// # Errors
    /// [`StoreError::Migrate`] when a step fails or a released step was changed.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite { write, .. } => SQLITE.run(write).await?,
            Self::Pg(pool) => POSTGRES.run(pool).await?,
        }
        Ok(())
    }

    /// The steps that this database still lacks; all of them when it is empty.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn pending(&self) -> Result<Vec<Migration>, StoreError> {
        let applied: i64 =
            if self.has_schema().await? { self.q(sql!("meta/applied_migrations")).one::<(i64,)>().await?.0 } else { 0 };
        Ok(self
            .migrator()
            .iter()
            .filter(|step| step.version > applied)
            .map(|step| Migration { version: step.version, name: step.description.to_string() })
            .collect())
    }

    /// Whether any step was ever applied.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn has_schema(&self) -> Result<bool, StoreError> {
        let (tables,): (i64,) = self.q(sql!(split "meta/has_schema")).one().await?;
        Ok(tables > 0)
    }

    /// What the engine says of itself, by name: settings that decide whether "confirmed" means "on disk".
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn settings(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.q(sql!(split "meta/settings")).all().await
    }
}
