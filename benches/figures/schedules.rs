//! Ten thousand schedules that are due at the same moment, beside the same rows written without any thought.

use crate::Options;
use crate::figure::Figure;
use crate::house::House;
use consentd::clock::HOUR;
use consentd::service::connection::NewConnection;
use consentd::store::{ConnectionState, Db};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Executor};
use std::collections::BTreeMap;
use std::time::Instant;
use uuid::Uuid;

/// Schedules unless told otherwise.
const BELLS: u64 = 10_000;

const COLUMNS: &str = "provider, base_url, account_id, sealed_credentials, options, list_id, purpose_id, mapping, cron, time_zone, \
    next_at, guard_percent, guard_count, state, state_reason, sealed_hooks, hooks_state, walked_at, walk_wanted_at, \
    backoff_until, failures, created_at";

/// Measures the section.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let bells = options.rows.unwrap_or(BELLS);
    let house = House::build(options).await?;
    hang(&house, bells).await?;
    let (core, db) = (&house.core, &house.core.store.db);

    // Without locks, zones and expressions: the rows moved on, and a run for each.
    let bare = Instant::now();
    run(db, "UPDATE connection SET next_at = next_at + 1").await?;
    run(
        db,
        "INSERT INTO run SELECT tenant_id, id, id, 'bare', FALSE, 'requested', TRUE, FALSE, '', '', '', NULL, 0, 0, 0, NULL, NULL
         FROM connection",
    )
    .await?;
    let bare = bare.elapsed();
    run(db, "DELETE FROM run").await?;

    let began = Instant::now();
    let rung = core.ring().await?;
    let took = began.elapsed();
    anyhow::ensure!(rung as u64 == bells, "{rung} of {bells} rang");
    let began = Instant::now();
    let (now, nobody) = (core.now(), Uuid::nil());
    let due = core.store.working_connections(nobody, now, now - core.rules.walk_every).await?;
    let look = began.elapsed();
    let millis = |time: std::time::Duration| format!("{} ms", time.as_millis());
    Ok(vec![
        Figure {
            work: format!("{bells} schedules due at once, asked for and set anew"),
            bar: "1 s".into(),
            measured: millis(took),
            limit: format!("{}, two statements", millis(bare)),
            ratio: Some(bare.as_secs_f64() / took.as_secs_f64()),
            met: Some(took.as_secs() < 1),
        },
        Figure {
            work: format!("one look for connections with work, {} of {bells}", due.len()),
            bar: "–".into(),
            measured: millis(look),
            limit: "–".into(),
            ratio: None,
            met: None,
        },
    ])
}

/// One connection, and as many more like it as are wanted, all due.
async fn hang(house: &House, bells: u64) -> anyhow::Result<()> {
    let core = &house.core;
    let purpose = core.purpose(&house.tenant, None).await?;
    let new = NewConnection {
        slug: "bell".into(),
        provider: "brevo".into(),
        base_url: String::new(),
        credentials: BTreeMap::from([("api_key".to_owned(), SecretString::from("none"))]),
        options: BTreeMap::new(),
        list: "1".into(),
        purpose: purpose.id,
        mapping: BTreeMap::new(),
        cron: "30 2 * * *".into(),
        time_zone: "Europe/Berlin".into(),
        guard_percent: 10,
        guard_count: 10,
    };
    let connection = core.add_connection(&house.tenant, &house.key, new).await?;
    let mut tx = core.store.begin().await?;
    tx.set_connection_state(&connection, ConnectionState::Active, "").await?;
    tx.commit().await?;
    let more = bells.saturating_sub(1);
    let (numbers, id) = match &core.store.db {
        Db::Sqlite { .. } => (
            format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {more})"),
            "randomblob(16)",
        ),
        Db::Pg(_) => (format!("WITH n(i) AS (SELECT generate_series(1, {more}))"), "gen_random_uuid()"),
    };
    let copies = format!(
        "{numbers} INSERT INTO connection (tenant_id, id, slug, hook_key, {COLUMNS})
         SELECT tenant_id, {id}, 'bell' || i, 'key' || i, {COLUMNS} FROM connection, n"
    );
    run(&core.store.db, copies).await?;
    run(&core.store.db, format!("UPDATE connection SET next_at = {}", core.now() - HOUR)).await
}

async fn run(db: &Db, text: impl Into<String>) -> anyhow::Result<()> {
    let text = AssertSqlSafe(text.into());
    match db {
        Db::Sqlite { write, .. } => write.execute(text).await.map(drop)?,
        Db::Pg(pool) => pool.execute(text).await.map(drop)?,
    }
    Ok(())
}
