//! The real daemon on a real file, with people who accepted and whom both providers hold.

use super::events::Sender;
use crate::Options;
use crate::house::{House, email, write_export};
use consentd::app;
use consentd::config::Config;
use consentd::service::connection::NewConnection;
use consentd::service::import::{ImportMode, ImportOptions, ImportReport};
use consentd::store::{Connection, Db};
use secrecy::{ExposeSecret, SecretString};
use sqlx::SqlitePool;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// So long nobody waits for the worker at all.
const PATIENCE: usize = 600;

/// Deliveries come from both providers in turn.
pub const fn sender(nth: u64) -> Sender {
    if nth.is_multiple_of(2) { Sender::Mailjet } else { Sender::Brevo }
}

/// How requests to the product's webhooks begin.
#[derive(Clone)]
pub struct Heads {
    mailjet: String,
    brevo: String,
}

impl Heads {
    /// That of a sender's.
    pub fn of(&self, sender: Sender) -> String {
        match sender {
            Sender::Mailjet => self.mailjet.clone(),
            Sender::Brevo => self.brevo.clone(),
        }
    }
}

/// The running daemon.
pub struct Product {
    pub address: SocketAddr,
    pub heads: Heads,
    house: House,
    stop: oneshot::Sender<()>,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Product {
    /// Sets the scene and serves.
    pub async fn start(options: &Options, people: u64) -> anyhow::Result<Self> {
        let house = House::build(options).await?;
        settle(&house, people).await?;
        let heads = Heads {
            mailjet: head(&house, &connect(&house, "mailjet").await?)?,
            brevo: head(&house, &connect(&house, "brevo").await?)?,
        };
        let held = "INSERT INTO holding SELECT c.tenant_id, c.id, a.mailbox_id, a.id, 'subscribed', 1, zeroblob(16), zeroblob(16), zeroblob(16), 0, 0, a.created_at, 0 FROM connection c JOIN address a ON a.tenant_id = c.tenant_id";
        sqlx::query(held).execute(writer(&house)?).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (core, config) = (house.core.clone(), Config::read("", Path::new("bench.toml"), |_| None)?);
        let running = tokio::spawn(async move {
            let stop = async { drop(stopped.await) };
            Ok(app::serve(core, &config, listener, None, stop).await?)
        });
        Ok(Self { address, heads, house, stop, running })
    }

    /// What a sender shows, for the bare server too.
    pub fn authorization(&self) -> &str {
        let line = self.heads.mailjet.lines().find_map(|line| line.strip_prefix("authorization: "));
        line.unwrap_or_default()
    }

    /// Returns when nothing waits to be read any more.
    pub async fn sorted(&self) -> anyhow::Result<()> {
        for _ in 0..PATIENCE * 10 {
            let open = "SELECT count(*) FROM (SELECT 1 FROM inbox WHERE state = 'new' LIMIT 1)";
            let (open,): (i64,) = sqlx::query_as(open).fetch_one(reader(&self.house)?).await?;
            if open == 0 {
                return Ok(());
            }
            self.house.core.clock.sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("deliveries are not read after {PATIENCE} seconds")
    }

    /// Deliveries on disk.
    pub async fn rows(&self) -> anyhow::Result<u64> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT state, count(*) FROM inbox GROUP BY state").fetch_all(reader(&self.house)?).await?;
        anyhow::ensure!(rows.iter().all(|(state, _)| state == "done"), "not all were read: {rows:?}");
        Ok(rows.iter().map(|(_, count)| count.unsigned_abs()).sum())
    }

    /// Lines of the history that tell of an event.
    pub async fn events(&self) -> anyhow::Result<u64> {
        let told = "SELECT count(*) FROM statement WHERE actor = 'provider'";
        let (told,): (i64,) = sqlx::query_as(told).fetch_one(reader(&self.house)?).await?;
        Ok(told.unsigned_abs())
    }

    /// Ends it in order.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.send(()).map_err(|()| anyhow::anyhow!("the daemon ended before"))?;
        self.running.await?
    }
}

fn reader(house: &House) -> anyhow::Result<&SqlitePool> {
    match &house.core.store.db {
        Db::Sqlite { read, .. } => Ok(read),
        Db::Pg(_) => anyhow::bail!("intake is measured on SQLite"),
    }
}

fn writer(house: &House) -> anyhow::Result<&SqlitePool> {
    match &house.core.store.db {
        Db::Sqlite { write, .. } => Ok(write),
        Db::Pg(_) => anyhow::bail!("intake is measured on SQLite"),
    }
}

/// People of a CRM who said yes before.
async fn settle(house: &House, people: u64) -> anyhow::Result<()> {
    let mut tenant = house.tenant.clone();
    tenant.legacy_proof = true;
    house.core.change_tenant(&tenant).await?;
    let file = house.folder.path().join("people.csv");
    write_export(&file, people)?;
    import(house, Box::new(File::open(&file)?), ImportMode::Records).await?;
    let mut proofs = "email;accepted_at;text_shown;evidence\n".to_owned();
    for n in 0..people {
        writeln!(proofs, "{};2024-05-01;We may write to you;form {n}", email(n))?;
    }
    let report = import(house, Box::new(std::io::Cursor::new(proofs.into_bytes())), ImportMode::Proofs).await?;
    anyhow::ensure!(report.acceptances == people, "{} accepted", report.acceptances);
    Ok(())
}

async fn import(house: &House, file: Box<dyn Read + Send>, mode: ImportMode) -> anyhow::Result<ImportReport> {
    let mut options = ImportOptions::new(mode, "people.csv", "bench");
    options.approvers = ["Ada".into(), "Karl".into()];
    let tenant = house.core.tenant(&house.tenant.slug).await?.0;
    let go_on = |_: &ImportReport| ControlFlow::Continue(());
    Ok(house.core.run_import(&tenant, &house.key, file, None, &options, &go_on).await?)
}

async fn connect(house: &House, provider: &str) -> anyhow::Result<Connection> {
    let credentials: BTreeMap<String, SecretString> =
        ["api_key", "secret_key"].iter().map(|name| ((*name).to_owned(), SecretString::from("bench"))).collect();
    let new = NewConnection {
        slug: provider.into(),
        provider: provider.into(),
        base_url: "http://nowhere.test".into(),
        credentials,
        options: BTreeMap::new(),
        list: "1".into(),
        purpose: house.core.purpose(&house.tenant, None).await?.id,
        mapping: BTreeMap::new(),
        cron: String::new(),
        time_zone: "Europe/Berlin".into(),
        guard_percent: 100,
        guard_count: 1_000,
    };
    Ok(house.core.add_connection(&house.tenant, &house.key, new).await?)
}

/// The first lines of what a provider sends.
fn head(house: &House, connection: &Connection) -> anyhow::Result<String> {
    use base64::Engine;
    let spec = house.core.hook_spec(connection, &house.key)?;
    let secret = spec.secret.expose_secret();
    let path = spec.url.strip_prefix(&*house.core.public_url).unwrap_or(&spec.url);
    let shown = match connection.provider.as_str() {
        "brevo" => format!("Bearer {secret}"),
        _ => format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("consentd:{secret}"))),
    };
    let more = "user-agent: provider\r\naccept: */*\r\ncontent-type: application/json\r\n";
    Ok(format!("POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: {shown}\r\n{more}"))
}
