//! Which connections have something to do, among many in every condition.

use crate::people::active;
use crate::served::with_toy;
use crate::world::{Engine, World, on_both_engines};
use consentd::clock::Timestamp;
use consentd::store::Db;
use sqlx::{AssertSqlSafe, Executor};
use std::collections::BTreeSet;
use std::fmt::Write;
use uuid::Uuid;

on_both_engines!(many_connections_are_looked_at_as_each_would_be_alone, who_is_in_a_running_job_is_not_due);

/// Connections in the first test.
const MANY: u64 = 3_000;

const COLUMNS: &str = "provider, base_url, sealed_credentials, options, purpose_id, mapping, cron, time_zone, next_at, guard_percent, \
    guard_count, state_reason, sealed_hooks, hooks_state, failures, created_at";

/// The same question, asked of each connection by itself.
const ALONE: &str = "SELECT c.id FROM connection c JOIN account a ON a.id = c.account_id
WHERE c.backoff_until <= 50 AND (a.lease_owner IS NULL OR a.lease_until < 50) AND (
    c.state = 'suspended'
    OR (c.state <> 'shadow' AND EXISTS (SELECT 1 FROM withdrawal w WHERE w.connection_id = c.id
            AND w.phase IN ('send', 'confirm', 'watch') AND w.run_at <= 50))
    OR (c.list_id <> '' AND (
        (c.state IN ('shadow', 'active') AND EXISTS (SELECT 1 FROM run r WHERE r.connection_id = c.id AND r.is_open
                AND (r.state <> 'awaiting_confirmation' OR r.cancelling)))
        OR EXISTS (SELECT 1 FROM touched t WHERE t.connection_id = c.id)
        OR EXISTS (SELECT 1 FROM walk k WHERE k.connection_id = c.id AND k.finished_at IS NOT NULL
                   AND (c.walked_at IS NULL OR c.walked_at < k.started_at))
        OR (c.state = 'active' AND EXISTS (SELECT 1 FROM dirty d WHERE d.connection_id = c.id))
        OR EXISTS (SELECT 1 FROM job j WHERE j.connection_id = c.id AND j.state = 'running' AND j.next_at <= 50)
        OR EXISTS (SELECT 1 FROM holding h WHERE h.connection_id = c.id AND h.held = 'unknown' AND h.unsettled_until <= 50
                   AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.connection_id = c.id AND l.mailbox_id = h.mailbox_id
                                   AND l.op = 'add' AND l.outcome = 'pending'))
        OR NOT EXISTS (SELECT 1 FROM walk k WHERE k.connection_id = c.id AND k.finished_at IS NOT NULL AND k.started_at > 20
                       AND (c.walk_wanted_at IS NULL OR k.started_at >= c.walk_wanted_at)))))";

/// Writes rows as the engine at hand spells them.
struct Writer {
    engine: Engine,
    tenant: Uuid,
    text: String,
}

impl Writer {
    fn id(&self, id: Uuid) -> String {
        match self.engine {
            Engine::Sqlite => format!("x'{}'", id.simple()),
            Engine::Postgres => format!("CAST('{id}' AS UUID)"),
        }
    }

    const fn bytes(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite => "zeroblob(16)",
            Engine::Postgres => "decode(repeat('00', 16), 'hex')",
        }
    }

    fn row(&mut self, table: &str, values: &str) {
        let tenant = self.id(self.tenant);
        writeln!(self.text, "INSERT INTO {table} VALUES ({tenant}, {values});").unwrap();
    }

    async fn run(&mut self, db: &Db) {
        let text = AssertSqlSafe(std::mem::take(&mut self.text));
        match db {
            Db::Sqlite { write, .. } => write.execute(text).await.map(drop),
            Db::Pg(pool) => pool.execute(text).await.map(drop),
        }
        .unwrap();
    }

    /// A withdrawal, a run, a job, a holding and so on of connection `number`, as the digits of chance say.
    fn furnish(&mut self, number: u64, first: &str) {
        let mut chance = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut one_of = |all: &[&'static str]| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(chance >> 33).unwrap() % all.len();
            all[at]
        };
        let quiet = "";
        let state = one_of(&["shadow", "active", "active", "paused", "suspended"]);
        let (list, backoff) = (one_of(&["1", "1", "1", ""]), one_of(&["0", "50", "0", "51"]));
        let (walked, wanted) = (one_of(&["30", "30", "30", "NULL", "29"]), one_of(&["NULL", "NULL", "30", "31"]));
        let lease = one_of(&["NULL, 0", "NULL, 0", "held, 49", "held, 50"]);
        let walk = one_of(&["30, 40", "30, 40", "30, 40", "30, NULL", "20, 40", "21, 40", quiet]);
        let withdrawal =
            one_of(&["'send', 50", "'confirm', 9", "'watch', 50", "'send', 51", "'done', 1", quiet, quiet, quiet]);
        let run = one_of(&["'planning', TRUE, FALSE", "'awaiting_confirmation', TRUE, FALSE", quiet, quiet, quiet]);
        let run =
            if run.is_empty() { one_of(&["'awaiting_confirmation', TRUE, TRUE", "'done', FALSE, FALSE"]) } else { run };
        let job = one_of(&["'running', 3, 50", "'running', 3, 51", "'done', 3, 1", quiet, quiet, quiet]);
        let holding = one_of(&["'unknown', 50", "'unknown', 51", "'subscribed', 0", quiet, quiet]);
        let call = one_of(&["'add', 'pending'", "'add', 'sent'", "'withdraw', 'pending'", quiet]);
        let (touched, dirty) = (one_of(&["1", quiet, quiet, quiet, quiet]), one_of(&["1", quiet, quiet, quiet]));

        let id = |part: u128| Uuid::from_u128((u128::from(number) << 64) | part);
        let (connection, account) = (self.id(id(1)), self.id(id(2)));
        let (mailbox, bytes, tenant) = (self.id(id(3)), self.bytes(), self.id(self.tenant));
        let lease = lease.replace("held", &self.id(Uuid::max()));
        writeln!(
            self.text,
            "INSERT INTO account VALUES ({account}, 1, {lease});
             INSERT INTO connection (tenant_id, id, slug, hook_key, account_id, state, list_id, backoff_until, walked_at, walk_wanted_at, {COLUMNS})
             SELECT tenant_id, {connection}, 'c{number}', 'k{number}', {account}, '{state}', '{list}', {backoff}, {walked}, {wanted}, {COLUMNS}
             FROM connection WHERE tenant_id = {tenant} AND id = {first};"
        )
        .unwrap();
        for (table, what, values) in [
            ("walk", walk, format!("{connection}, {account}, NULL, 1, {walk}")),
            (
                "withdrawal",
                withdrawal,
                format!("{connection}, {mailbox}, {mailbox}, 'list', '', 1, 1, {withdrawal}, 0, TRUE, 0, NULL"),
            ),
            ("run", run, format!("{connection}, {account}, '', FALSE, {run}, '', '', '', NULL, 1, 0, 0, NULL, NULL")),
            ("job", job, format!("{connection}, {account}, 'j', {job}, 1")),
            ("holding", holding, {
                let (held, until) = holding.split_once(", ").unwrap_or_default();
                format!("{connection}, {mailbox}, {mailbox}, {held}, 1, {bytes}, {bytes}, {bytes}, {until}, 0, 0, 0")
            }),
            ("ledger", call, {
                let (op, outcome) = call.split_once(", ").unwrap_or_default();
                format!(
                    "{connection}, {account}, 1, NULL, {mailbox}, {mailbox}, {op}, 1, 1, TRUE, {outcome}, '', {bytes}, 1, NULL"
                )
            }),
            ("touched", touched, format!("{connection}, {mailbox}, 1")),
            ("dirty", dirty, format!("{connection}, {mailbox}, 1")),
        ] {
            if !what.is_empty() {
                self.row(table, &values);
            }
        }
    }
}

async fn many_connections_are_looked_at_as_each_would_be_alone(engine: Engine) {
    let world = with_toy(World::new(engine).await);
    let (tenant, key) = world.tenant("pool").await;
    let first = active(&world.core, &tenant, &key, "first").await;
    let db = &world.core.store.db;
    let mut writer = Writer { engine, tenant: tenant.id.0, text: String::new() };
    let id = writer.id(first.id.0);
    for number in 0..MANY {
        writer.furnish(number, &id);
    }
    writer.run(db).await;

    let found = world.core.store.working_connections(Uuid::nil(), 50, 20).await.unwrap();
    let urgent = found.iter().filter(|(_, _, urgent)| *urgent).count();
    let found: BTreeSet<Uuid> = found.into_iter().map(|(id, _, _)| id.0).collect();
    let alone: Vec<Uuid> = match db {
        Db::Sqlite { read, .. } => sqlx::query_scalar(ALONE).fetch_all(read).await.unwrap(),
        Db::Pg(pool) => sqlx::query_scalar(ALONE).fetch_all(pool).await.unwrap(),
    };
    assert_eq!(found, alone.into_iter().collect());
    assert!((500..2_500).contains(&found.len()), "some have work and some have none: {}", found.len());
    assert!((100..1_000).contains(&urgent), "so it is with withdrawals: {urgent}");
    world.end().await;
}

async fn who_is_in_a_running_job_is_not_due(engine: Engine) {
    let world = with_toy(World::new(engine).await);
    let (tenant, key) = world.tenant("pool").await;
    let connection = active(&world.core, &tenant, &key, "job").await;
    let (core, mut writer) = (&world.core, Writer { engine, tenant: tenant.id.0, text: String::new() });
    let (own, mailbox, bytes) = (writer.id(connection.id.0), writer.id(Uuid::from_u128(7)), writer.bytes());
    writer.row("walk", &format!("{own}, {mailbox}, NULL, 1, 30, 40"));
    writer
        .row("holding", &format!("{own}, {mailbox}, {mailbox}, 'unknown', 1, {bytes}, {bytes}, {bytes}, 50, 0, 0, 0"));
    writer.row(
        "ledger",
        &format!(
            "{own}, {mailbox}, 1, NULL, {mailbox}, {mailbox}, 'add', 1, 1, TRUE, 'pending', 'j', {bytes}, 1, NULL"
        ),
    );
    writeln!(
        writer.text,
        "UPDATE connection SET walked_at = 30, walk_wanted_at = NULL, backoff_until = 0; DELETE FROM dirty;"
    )
    .unwrap();
    writer.run(&core.store.db).await;
    let both = async |now: Timestamp| {
        let settled = core.store.settled_holdings(tenant.id, connection.id, now, 10).await.unwrap().len();
        (core.store.working_connections(Uuid::nil(), now, 20).await.unwrap().len(), settled)
    };
    assert_eq!(both(60).await, (0, 0), "the job may still put them on the list");
    writer.text.push_str("UPDATE ledger SET outcome = 'unknown';");
    writer.run(&core.store.db).await;
    assert_eq!(both(60).await, (1, 1));
    assert_eq!(both(49).await, (0, 0), "not yet");
    world.end().await;
}
