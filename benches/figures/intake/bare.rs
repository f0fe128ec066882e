//! The bare limit: the least server that keeps the promise. It checks the credentials and has one task write the raw
//! bodies that wait to SQLite with one commit, on disk before the answer.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

type Waiting = (String, oneshot::Sender<bool>);

/// A running bare server.
pub struct Bare {
    pub address: SocketAddr,
    pub path: String,
    pub authorization: String,
    pool: SqlitePool,
    tasks: Vec<JoinHandle<()>>,
    _folder: TempDir,
}

#[derive(Clone)]
struct Shared {
    secret: String,
    authorization: String,
    queue: mpsc::Sender<Waiting>,
}

impl Bare {
    /// Serves from an empty database.
    pub async fn start(authorization: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("bare.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("cache_size", "-65536")
            .pragma("wal_autocheckpoint", "4000");
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        sqlx::query("CREATE TABLE delivery (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT").execute(&pool).await?;
        let (queue, waiting) = mpsc::channel(4096);
        let writer = tokio::spawn(write(pool.clone(), waiting));
        let secret = "0123456789abcdef0123456789abcdef".to_owned();
        let path = format!("/hooks/account/{secret}");
        let shared = Shared { secret, authorization: authorization.to_owned(), queue };
        let router = Router::new().route("/hooks/{account}/{secret}", post(take)).with_state(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the bare server ended: {error}");
            }
        });
        let tasks = vec![writer, server];
        Ok(Self { address, path, authorization: authorization.to_owned(), pool, tasks, _folder: folder })
    }

    /// Bodies on disk.
    pub async fn rows(&self) -> anyhow::Result<u64> {
        let (rows,): (i64,) = sqlx::query_as("SELECT count(*) FROM delivery").fetch_one(&self.pool).await?;
        Ok(rows.unsigned_abs())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn take(
    State(shared): State<Shared>,
    Path((_, secret)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let shown = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
    if secret != shared.secret || shown != Some(shared.authorization.as_bytes()) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(body) = String::from_utf8(body.into()) else { return StatusCode::BAD_REQUEST };
    let (tell, told) = oneshot::channel();
    if shared.queue.send((body, tell)).await.is_ok() && told.await == Ok(true) {
        StatusCode::OK
    } else {
        StatusCode::TOO_MANY_REQUESTS
    }
}

async fn write(pool: SqlitePool, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting: Vec<Waiting> = Vec::new();
    while queue.recv_many(&mut waiting, 512).await > 0 {
        let (bodies, tellers): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        let kept = keep(&pool, &bodies).await.is_ok();
        for teller in tellers {
            // Whoever hung up is not told.
            teller.send(kept).unwrap_or_default();
        }
    }
}

async fn keep(pool: &SqlitePool, bodies: &[String]) -> anyhow::Result<()> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let list = serde_json::to_string(bodies)?;
    sqlx::query("INSERT INTO delivery (body) SELECT value FROM json_each(?)").bind(list).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}
