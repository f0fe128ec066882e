//! `consentd doctor`

use crate::app;
use crate::cli::{CliError, Context, Exit, output};
use crate::clock::{Clock, MINUTE, SystemClock, Timestamp};
use crate::config::Config;
use crate::service::Core;
use crate::store::{Connection, Db, Reserve, Store, Tenant, TenantKey};
use clap::Args;
use consentd_provider::{HookMode, Method, Repeat, Request};
use serde::Serialize;
use std::path::Path;
use std::process::Command;
use uuid::Uuid;

/// Look whether everything is in order, and say what to do where it is not.
///
/// Calls the providers; changes nothing there. Ends with code 7 when something is wrong.
///
/// Example: consentd doctor --json
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Look at this machine only; call no provider.
    #[arg(long)]
    offline: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Wrong,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: String,
    verdict: Verdict,
    detail: String,
    remedy: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, check: &str, detail: impl Into<String>) {
        self.add(check, Verdict::Ok, detail, "");
    }

    fn warn(&mut self, check: &str, detail: impl Into<String>, remedy: impl Into<String>) {
        self.add(check, Verdict::Warning, detail, remedy);
    }

    fn wrong(&mut self, check: &str, detail: impl Into<String>, remedy: impl Into<String>) {
        self.add(check, Verdict::Wrong, detail, remedy);
    }

    fn add(&mut self, check: &str, verdict: Verdict, detail: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Finding { check: check.to_owned(), verdict, detail: detail.into(), remedy: remedy.into() });
    }
}

impl Doctor {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let mut found = Findings::default();
        self.examine(context, &mut found).await;
        let wrong = found.0.iter().any(|finding| finding.verdict == Verdict::Wrong);
        output::data(context, &found.0, || {
            let mut text = String::new();
            for finding in &found.0 {
                let word = match finding.verdict {
                    Verdict::Ok => "ok     ",
                    Verdict::Warning => "warning",
                    Verdict::Wrong => "WRONG  ",
                };
                let more = format!("{word}  {}: {}\n", finding.check, finding.detail);
                text += &more;
                if !finding.remedy.is_empty() {
                    let more = format!("         → {}\n", finding.remedy);
                    text += &more;
                }
            }
            text
        });
        Ok(if wrong { Exit::SomeErrors } else { Exit::Done })
    }

    async fn examine(&self, context: &Context, found: &mut Findings) {
        let config = match context.config() {
            Ok(config) => config,
            Err(error) => return found.wrong("configuration", error.message, error.hint),
        };
        found.ok("configuration", "read");
        match app::vault(&config.keys) {
            Ok(_) => found.ok("master key", "read"),
            Err(error) => {
                let error = CliError::from(error);
                found.wrong(
                    "master key",
                    error.message,
                    "put the key file back, or run `consentd init` for a first one",
                );
            }
        }
        disk(&config, found);
        let sqlite = config.database.url.strip_prefix("sqlite://").map(|path| path.split('?').next().unwrap_or(path));
        if sqlite.is_some_and(|path| !Path::new(path).exists()) {
            return found.warn("database", "not set up yet", "run `consentd migrate`, or create a tenant");
        }
        if !self.schema(&config, found).await {
            return;
        }
        let core = match context.core().await {
            Ok(core) => core,
            Err(error) => return found.wrong("start", error.message, error.hint),
        };
        self.public_url(&core, found).await;
        if let Err(error) = self.tenants(context, &core, found).await {
            found.wrong("store", error.message, error.hint);
        }
    }

    /// Whether the database answers and its schema is current.
    async fn schema(&self, config: &Config, found: &mut Findings) -> bool {
        let db: Db = match app::database(config).await {
            Ok(db) => db,
            Err(error) => {
                let error = CliError::from(error);
                found.wrong("database", error.message, "check database.url and that the server runs");
                return false;
            }
        };
        found.ok("database", if db.is_shared() { "PostgreSQL answers" } else { "SQLite opens" });
        match db.pending().await {
            Ok(pending) if pending.is_empty() => {
                found.ok("schema", "current");
                true
            }
            Ok(pending) => {
                found.wrong("schema", format!("lacks {} steps", pending.len()), "run `consentd migrate`");
                false
            }
            Err(error) => {
                let error = CliError::from(error);
                found.wrong("schema", error.message, "check the rights of the database user");
                false
            }
        }
    }

    async fn public_url(&self, core: &Core, found: &mut Findings) {
        let url = &*core.public_url;
        let host = url.split("://").nth(1).unwrap_or_default();
        let local = ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local));
        if local {
            let remedy = "set http.public_url to the https address of the proxy in front of the daemon";
            return found.warn("public address", format!("{url} is this machine; no provider reaches it"), remedy);
        }
        if !url.starts_with("https://") {
            return found.wrong("public address", format!("{url} is not encrypted"), "use an https address");
        }
        if self.offline {
            return found.ok("public address", format!("{url} (not called)"));
        }
        let health = Request {
            method: Method::Get,
            route: "/healthz",
            path: "/healthz".to_owned(),
            headers: Vec::new(),
            body: None,
            family: "doctor",
            repeat: Repeat::Safe,
        };
        let answer = match core.gateways.open(Uuid::nil(), url, &[], None) {
            Ok(gateway) => gateway.send(health).await.map(|answer| answer.status),
            Err(error) => return found.wrong("public address", error, "correct http.public_url"),
        };
        let remedy = "start `consentd serve`, and let the proxy forward everything but /metrics";
        match answer {
            Ok(200..=299) => found.ok("public address", format!("{url} reaches a daemon")),
            Ok(status) => found.wrong("public address", format!("{url}/healthz answers {status}"), remedy),
            Err(error) => found.wrong("public address", format!("{url} cannot be reached: {error}"), remedy),
        }
    }

    async fn tenants(&self, context: &Context, core: &Core, found: &mut Findings) -> Result<(), CliError> {
        inbox(core, found).await?;
        let tenants = match &context.global.tenant {
            Some(slug) => vec![core.tenant(slug).await?.0],
            None => core.store.tenants().await?,
        };
        if tenants.is_empty() {
            found.warn("tenants", "there is none", "create one with `consentd tenant create`");
        }
        for tenant in tenants {
            let check = format!("tenant {}", tenant.slug);
            let key = match core.store.key_of(&tenant) {
                Ok(key) => key,
                Err(error) => {
                    let remedy = "put the master key back that sealed it, or list it in keys.old_files";
                    found.wrong(&check, CliError::from(error).message, remedy);
                    continue;
                }
            };
            clock(&core.store, &tenant, found).await?;
            let open = core.store.incidents(tenant.id, 10_000).await?.len();
            match open {
                0 => found.ok(&check, "its key opens, and no incident is open"),
                open => found.warn(&check, format!("{open} incidents are open"), "see `consentd incident list`"),
            }
            for connection in core.store.connections(tenant.id).await? {
                self.connection(core, &tenant, &key, &connection, found).await?;
            }
        }
        Ok(())
    }

    async fn connection(
        &self,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
        connection: &Connection,
        found: &mut Findings,
    ) -> Result<(), CliError> {
        let slug = &connection.slug;
        let check = format!("connection {}/{slug}", tenant.slug);
        let since = core.now() - core.rules.withdrawal_alert;
        let (late, _) = core.store.late_withdrawals(tenant.id, connection.id, since).await?;
        if late > 0 {
            let remedy = format!("see that a daemon runs and that `consentd connection test {slug}` succeeds");
            found.wrong(&check, format!("{late} withdrawals are not in effect in time"), remedy);
        }
        if connection.list.is_empty() {
            found.warn(&check, "it has no list", format!("bind one with `consentd connection bind {slug}`"));
        }
        if self.offline {
            return Ok(());
        }
        match core.test_connection(connection, key).await {
            Ok(wrong) if wrong.is_empty() => found.ok(&check, "the provider accepts credentials, list and fields"),
            Ok(wrong) => wrong.into_iter().for_each(|sentence| found.wrong(&check, sentence, "")),
            Err(error) => {
                let remedy =
                    format!("see `consentd connection test {slug}`, or `consentd connection credentials {slug}`");
                found.wrong(&check, CliError::from(error).message, remedy);
                return Ok(());
            }
        }
        let remedy = format!("put them right with `consentd connection hooks {slug} --repair`");
        match core.hooks(connection, key, HookMode::Inspect).await {
            Ok(state) if state.healthy => found.ok(&check, "its webhooks are registered"),
            Ok(_) => found.wrong(&check, "its webhooks do not reach this daemon", remedy),
            Err(error) => found.wrong(&check, CliError::from(error).message, remedy),
        }
        Ok(())
    }
}

/// Deliveries that nobody reads, and deliveries that nobody could read.
async fn inbox(core: &Core, found: &mut Findings) -> Result<(), CliError> {
    let counts = core.store.inbox_counts().await?;
    let of = |word: &str| counts.iter().find(|count| count.state == word);
    match of("new") {
        Some(new) if core.now() - new.oldest > 5 * MINUTE => {
            let detail = format!("{} deliveries wait to be read, the oldest for minutes", new.deliveries);
            found.wrong("inbox", detail, "start `consentd serve`");
        }
        _ => found.ok("inbox", "nothing waits for long"),
    }
    let aside: i64 = ["quarantined", "failed"].iter().filter_map(|word| of(word)).map(|count| count.deliveries).sum();
    if aside > 0 {
        let remedy = "see `consentd webhook list --state quarantined` and `--state failed`";
        found.warn("inbox", format!("{aside} deliveries were put aside"), remedy);
    }
    Ok(())
}

/// A clock behind the history dates new lines before old ones.
async fn clock(store: &Store, tenant: &Tenant, found: &mut Findings) -> Result<(), CliError> {
    let head = store.head(tenant.id).await?;
    let newest = store.lines_after(tenant.id, head.seq - 1, 1).await?;
    let newest: Timestamp = newest.first().map_or(tenant.created_at, |line| line.header.at);
    if newest > SystemClock.now() + MINUTE {
        let detail = format!("it is behind the history of {}", tenant.slug);
        found.wrong("clock", detail, "synchronise this machine's clock (NTP)");
    } else {
        found.ok("clock", format!("not behind the history of {}", tenant.slug));
    }
    Ok(())
}

/// Free space where the database is. `df` knows; where there is none, nothing is said.
fn disk(config: &Config, found: &mut Findings) {
    let Some(path) = config.database.url.strip_prefix("sqlite://") else { return };
    let path = Path::new(path.split('?').next().unwrap_or(path));
    if Reserve::beside(&config.database.url, config.database.reserve_mib).is_spent() {
        let detail = "was full: the emergency area is given up, and nothing is taken in, imported or added";
        found.wrong("disk", detail, "free space; a running daemon goes on by itself within seconds");
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(answer) = Command::new("df").arg("-Pk").arg(folder).output() else { return };
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let free = text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    let Some(free) = free.map(|kib| kib / 1024) else { return };
    let remedy = format!("free space below {}", folder.display());
    match free {
        0..100 => found.wrong("disk", format!("{free} MiB free"), remedy),
        100..1_024 => found.warn("disk", format!("{free} MiB free"), remedy),
        _ => found.ok("disk", format!("{} GiB free", free / 1_024)),
    }
}
