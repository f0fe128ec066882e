//! Comparing what a provider should hold with what it is believed to hold: everybody, and one in a hundred.

use crate::Options;
use crate::figure::{Figure, forget_peak, resident_peak};
use crate::stage::Stage;
use anyhow::Context;
use consentd::domain::contact::mapping_digest;
use consentd::store::{Connection, Db, Run, RunState};
use sqlx::AssertSqlSafe;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Mailboxes unless told otherwise.
const ROWS: u64 = 1_000_000;
/// One in so many is dirty.
const DIRTY: u64 = 100;
/// Between two looks at a run.
const LOOK: Duration = Duration::from_millis(5);

/// Measures the section.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let rows = options.rows.unwrap_or(ROWS);
    let descriptor = *consentd::registry::providers().iter().find(|one| one.id == "brevo").context("Brevo is there")?;
    let stage = Stage::build(options, descriptor).await?;
    let mut people = Vec::new();
    let mut from = 0;
    while from < rows {
        let part = stage.fill(from, 10_000.min(rows - from)).await?;
        people.extend(part.into_iter().map(|address| address.mailbox).step_by(usize::try_from(DIRTY)?));
        from += 10_000;
    }
    let mut tx = stage.core.store.begin().await?;
    tx.refresh_all_reach(stage.tenant.id).await?;
    tx.commit().await?;
    let connection = stage.connection().await?;
    believe(&stage, &connection).await?;

    forget_peak();
    let run = stage.core.request_run(&connection, "operator", true).await?;
    let full = planning(&stage, &run).await?;
    let peak = resident_peak();
    let report =
        stage.core.report(&stage.core.store.run(run.tenant, run.id).await?.context("the run is there")?).await?;
    anyhow::ensure!(u64::try_from(report.people)? == rows, "everybody is in the plan: {report:?}");
    let items: i64 = report.planned.values().sum();
    let bare = bare(&stage, &connection).await?;

    let mut tx = stage.core.store.begin().await?;
    tx.mark_all_dirty(stage.tenant.id, &people, stage.core.now()).await?;
    tx.commit().await?;
    let delta = loop {
        if let Some(run) = stage.core.store.open_run(connection.tenant, connection.id).await? {
            break planning(&stage, &run).await?;
        }
        stage.core.clock.sleep(LOOK).await;
    };
    stage.clear().await?;
    Ok(vec![
        Figure {
            work: format!("plan: all of {rows} compared, {items} changes found"),
            bar: "5 s, 150 MiB".into(),
            measured: format!("{:.2} s, {peak} MiB with daemon and emulator", full.as_secs_f64()),
            limit: format!("{:.2} s for one joined count of the same tables", bare.as_secs_f64()),
            ratio: Some(full.as_secs_f64() / bare.as_secs_f64()),
            met: Some(full <= Duration::from_secs(5) && peak <= 150),
        },
        Figure {
            work: format!("plan: {} dirty of {rows}", people.len()),
            bar: "200 ms".into(),
            measured: format!("{:.0} ms", delta.as_secs_f64() * 1e3),
            limit: "–".into(),
            ratio: None,
            met: Some(delta <= Duration::from_millis(200)),
        },
    ])
}

/// From the first sight of a plan being made to its end.
async fn planning(stage: &Stage, run: &Run) -> anyhow::Result<Duration> {
    let mut begun = Instant::now();
    loop {
        let now = stage.core.store.run(run.tenant, run.id).await?.context("the run is there")?;
        anyhow::ensure!(now.state != RunState::Failed, "the run failed: {}", now.error);
        if now.planned_at.is_some() {
            return Ok(begun.elapsed());
        }
        if now.state == RunState::Requested {
            begun = Instant::now();
        }
        stage.core.clock.sleep(LOOK).await;
    }
}

/// As if everybody had been pushed but one in two hundred, and one in a hundred had changed since; one in two hundred has
/// withdrawn since.
async fn believe(stage: &Stage, connection: &Connection) -> anyhow::Result<()> {
    let hex = Uuid::from_bytes(mapping_digest(&connection.mapping)).simple().to_string();
    let (id, mapping, zero) = match &stage.core.store.db {
        Db::Sqlite { .. } => (format!("X'{}'", connection.id.0.simple()), format!("X'{hex}'"), "zeroblob(16)"),
        Db::Pg(_) => (
            format!("CAST('{}' AS UUID)", connection.id.0),
            format!(r"'\x{hex}'"),
            r"'\x00000000000000000000000000000000'",
        ),
    };
    for text in [
        format!(
            "INSERT INTO holding (tenant_id, connection_id, mailbox_id, address_id, held, basis_seq, digest, person, mapping,
                                  unsettled_until, add_unknown_at, seen_mailable_at, taken_off_at)
             SELECT s.tenant_id, {id}, s.mailbox_id, s.address_id, 'subscribed', s.basis_seq, {zero},
                    CASE WHEN s.seq % 200 = 2 THEN {zero} ELSE r.person END, {mapping}, 0, 0, s.basis_at, 0
             FROM standing s JOIN record_address ra ON ra.tenant_id = s.tenant_id AND ra.mailbox_id = s.mailbox_id
             JOIN record r ON r.tenant_id = ra.tenant_id AND r.id = ra.record_id WHERE s.seq % 400 <> 4"
        ),
        "UPDATE standing SET state = 'withdrawn' WHERE seq % 400 = 6".into(),
        "UPDATE reach SET state = 'withdrawn' WHERE mailbox_id IN (SELECT mailbox_id FROM standing WHERE state = 'withdrawn')".into(),
        "DELETE FROM dirty".into(),
    ] {
        run(&stage.core.store.db, text).await?;
    }
    if matches!(stage.core.store.db, Db::Pg(_)) {
        // What autovacuum does within a minute after so many rows came.
        run(&stage.core.store.db, "VACUUM ANALYZE".into()).await?;
    }
    Ok(())
}

async fn run(db: &Db, text: String) -> anyhow::Result<()> {
    let text = AssertSqlSafe(text);
    match db {
        Db::Sqlite { write, .. } => sqlx::query(text).execute(write).await.map(drop)?,
        Db::Pg(pool) => sqlx::query(text).execute(pool).await.map(drop)?,
    }
    Ok(())
}

/// The same tables joined and counted, and nothing else.
async fn bare(stage: &Stage, connection: &Connection) -> anyhow::Result<Duration> {
    const COUNT: &str = "SELECT COUNT(*) FROM mailbox m
         JOIN standing s ON s.tenant_id = m.tenant_id AND s.mailbox_id = m.id
         JOIN record_address ra ON ra.tenant_id = m.tenant_id AND ra.mailbox_id = m.id
         JOIN record r ON r.tenant_id = ra.tenant_id AND r.id = ra.record_id
         LEFT JOIN holding h ON h.connection_id = $2 AND h.mailbox_id = m.id
         WHERE m.tenant_id = $1 AND (h.held IS NULL OR s.state <> 'accepted' OR h.person <> r.person)";
    let start = Instant::now();
    let (tenant, connection) = (stage.tenant.id.0, connection.id.0);
    let (count,): (i64,) = match &stage.core.store.db {
        Db::Sqlite { read, .. } => sqlx::query_as(COUNT).bind(tenant).bind(connection).fetch_one(read).await?,
        Db::Pg(pool) => sqlx::query_as(COUNT).bind(tenant).bind(connection).fetch_one(pool).await?,
    };
    anyhow::ensure!(count > 0, "there is something to find");
    Ok(start.elapsed())
}
