//! Real databases for tests: a SQLite file in a temporary folder, or a schema of its own in the cluster at `TEST_PG_URL`.

use sqlx::{Connection, Executor, PgConnection};
use std::sync::atomic::{AtomicU32, Ordering};

/// Which engine a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Where the tests' PostgreSQL cluster is; `scripts/test` starts one and says so.
fn cluster() -> String {
    std::env::var("TEST_PG_URL").expect("TEST_PG_URL names a PostgreSQL cluster for tests; scripts/test starts one")
}

pub struct Database {
    pub url: String,
    schema: Option<String>,
    _folder: Option<tempfile::TempDir>,
}

/// A folder in memory where there is one: what these tests look at is not whether a disk keeps its word.
fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Database {
    pub async fn create(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let folder = folder();
                let url = format!("sqlite://{}", folder.path().join("consentd.db").display());
                Self { url, schema: None, _folder: Some(folder) }
            }
            Engine::Postgres => {
                let schema = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
                let cluster = cluster();
                let mut connection = PgConnection::connect(&cluster).await.expect("the test cluster answers");
                let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
                connection.execute(create).await.expect("a schema");
                let glue = if cluster.contains('?') { '&' } else { '?' };
                let url = format!("{cluster}{glue}options=-c%20search_path%3D{schema}");
                Self { url, schema: Some(schema), _folder: None }
            }
        }
    }

    pub async fn drop(self) {
        if let Some(schema) = &self.schema {
            let mut connection = PgConnection::connect(&cluster()).await.expect("the test cluster answers");
            let drop = sqlx::AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"));
            connection.execute(drop).await.expect("the schema goes");
        }
    }
}

/// Runs `async fn name(engine: Engine)` as two tests, one an engine.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $name() { super::$name($crate::world::Engine::Sqlite).await; })+
        }
        mod on_postgres {
            $(#[tokio::test] async fn $name() { super::$name($crate::world::Engine::Postgres).await; })+
        }
    };
}
pub(crate) use on_both_engines;
