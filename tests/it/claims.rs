//! One owner an account: whoever was deposed, at whichever call, changes nothing any more (I1, I2, I9), and people's
//! changes of a connection do not undo each other.

use crate::world::{Account, Engine, World, on_both_engines};
use async_trait::async_trait;
use consentd::clock::{Clock, MINUTE, SECOND, Timestamp};
use consentd::domain::ids::{AccountId, ConnectionId};
use consentd::service::claim::Claim;
use consentd::service::steer::ConnectionChange;
use consentd::service::{Core, Gateways, Rules, ServiceError};
use consentd::store::{ConnectionState, Db, Store};
use consentd_provider::emulator::Happening;
use consentd_provider::{Gateway, ProviderError, Quota, RateHeaders, Repeat, Request, Response};
use secrecy::SecretString;
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use uuid::Uuid;

on_both_engines!(
    whoever_is_deposed_during_a_call_writes_nothing_and_the_next_owner_mends_it,
    a_claim_that_ran_out_makes_no_call,
    tenants_with_the_same_credentials_share_one_owner,
    other_credentials_depose_the_owner,
    changes_of_a_connection_do_not_undo_each_other,
    a_push_that_finds_no_place_in_the_quota_is_made_later,
);

const ADA: &str = "ada@example.org";
const BOB: &str = "bob@example.org";
const EVE: &str = "eve@example.org";

/// Everything that is stored, or for SQLite how often its one writer has changed a row.
async fn state(db: &Db) -> String {
    match db {
        Db::Sqlite { write, .. } => {
            let changes: i64 = sqlx::query_scalar("SELECT total_changes()").fetch_one(write).await.unwrap();
            changes.to_string()
        }
        Db::Pg(pool) => {
            let tables = "SELECT table_name::text FROM information_schema.tables
                          WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY 1";
            let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(pool).await.unwrap();
            let mut all = String::new();
            for table in tables {
                let text = format!("SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t");
                let rows: Option<String> = sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(pool).await.unwrap();
                writeln!(all, "{table} {rows:?}").unwrap();
            }
            all
        }
    }
}

/// When the account is taken away, and what was stored right then.
#[derive(Default)]
struct Plot {
    calls_left: Option<usize>,
    stored: Option<String>,
}

/// Ways out on which somebody else takes the account over, right before a call leaves.
struct Thieves {
    inner: Arc<dyn Gateways>,
    store: Store,
    plot: Arc<Mutex<Plot>>,
}

struct Thief {
    inner: Arc<dyn Gateway>,
    store: Store,
    plot: Arc<Mutex<Plot>>,
    account: AccountId,
}

impl Gateways for Thieves {
    fn open(
        &self,
        connection: ConnectionId,
        account: AccountId,
        base_url: &str,
        quotas: &[Quota],
        headers: Option<RateHeaders>,
    ) -> Result<Arc<dyn Gateway>, String> {
        let inner = self.inner.open(connection, account, base_url, quotas, headers)?;
        Ok(Arc::new(Thief { inner, store: self.store.clone(), plot: self.plot.clone(), account }))
    }
}

impl Thief {
    async fn strike(&self) {
        let now = {
            let mut plot = self.plot.lock().unwrap();
            plot.calls_left = plot.calls_left.map(|left| left.saturating_sub(1));
            plot.calls_left == Some(0) && plot.stored.is_none()
        };
        if now {
            let mut tx = self.store.begin().await.unwrap();
            tx.lease(self.account, Uuid::max(), 0, 1).await.unwrap().expect("the lease ran out");
            tx.commit().await.unwrap();
            self.plot.lock().unwrap().stored = Some(state(&self.store.db).await);
        }
    }
}

#[async_trait]
impl Gateway for Thief {
    async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        self.strike().await;
        self.inner.send(request).await
    }

    async fn send_before(&self, request: Request, deadline: Timestamp) -> Result<Response, ProviderError> {
        self.strike().await;
        self.inner.send_before(request, deadline).await
    }
}

/// A working account with Bob and Eve on its list; then Ada says yes, Bob says no, and Eve leaves at the provider.
async fn busy(engine: Engine, provider: &str) -> (World, Account) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let account = world.connect(&tenant, provider, provider).await;
    world.customers(&tenant, &key, &[ADA, BOB, EVE]).await;
    world.accept(&tenant, &key, &[BOB, EVE]).await;
    world.activate(&account).await;
    assert_eq!(account.mailable(world.clock.now()), [BOB, EVE]);
    world.accept(&tenant, &key, &[ADA]).await;
    world.withdraw_by_link(&tenant, &key, BOB).await;
    account.happen(world.clock.now(), EVE, &Happening::UnsubscribedByStaff(account.connection.list.clone()));
    let mut tx = world.core.store.begin().await.unwrap();
    tx.want_walk(&account.connection, world.core.now() + SECOND).await.unwrap();
    tx.commit().await.unwrap();
    world.clock.advance(2 * SECOND);
    (world, account)
}

/// I1, I17.
async fn whoever_is_deposed_during_a_call_writes_nothing_and_the_next_owner_mends_it(engine: Engine) {
    let calls: &[usize] = if engine == Engine::Sqlite { &[1, 2, 3, 4, 6, 8] } else { &[2, 4] };
    for provider in ["brevo", "mailjet"] {
        for calls in calls {
            let (mut world, account) = busy(engine, provider).await;
            let plot = Arc::new(Mutex::new(Plot { calls_left: Some(*calls), stored: None }));
            let (inner, store) = (world.core.gateways.clone(), world.core.store.clone());
            world.core.gateways = Arc::new(Thieves { inner, store, plot: plot.clone() });
            let id = account.connection.id;
            let mut steps = 0;
            let error = loop {
                steps += 1;
                assert!(steps < 1_000, "{provider}, call {calls}: nobody is told that the account is taken");
                match world.work(id).await {
                    Ok(true) => {}
                    Ok(false) => world.clock.advance(5 * SECOND),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, ServiceError::TakenOver), "{error:?}");
            let stolen = plot.lock().unwrap().stored.clone().expect("the account was taken");
            assert_eq!(stolen, state(&world.core.store.db).await, "{provider}, call {calls}: written after it");
            assert!(matches!(world.work(id).await, Err(ServiceError::TakenOver)), "and never again");

            world.adopt(id).await.unwrap();
            world.settle().await;
            assert_eq!(account.mailable(world.clock.now()), [ADA], "{provider}, call {calls}");
            assert!(world.core.verify(&account.tenant, &account.key).await.unwrap().is_sound());
            world.end().await;
        }
    }
}

fn heard(account: &Account) -> usize {
    account.provider().log().len()
}

async fn a_claim_that_ran_out_makes_no_call(engine: Engine) {
    let (world, account) = busy(engine, "brevo").await;
    let (core, id) = (&world.core, account.connection.id);
    let claim = core.claim(account.connection.account, Uuid::max()).await.unwrap().expect("nobody has it");
    core.adopt(id, &claim).await.unwrap();
    let before = heard(&account);
    // A fifth of the lease is left: too little to begin anything.
    world.clock.advance(core.rules.lease * 4 / 5 + SECOND);
    for _ in 0..20 {
        core.work(id, &claim).await.unwrap();
    }
    assert_eq!(heard(&account), before);
    assert!(core.renew(&claim).await.unwrap(), "nobody else had a turn");
    while core.work(id, &claim).await.unwrap() {}
    assert!(heard(&account) > before);
    world.end().await;
}

async fn tenants_with_the_same_credentials_share_one_owner(engine: Engine) {
    let world = World::new(engine).await;
    let mut connections = Vec::new();
    for slug in ["pool", "ofen"] {
        let (tenant, key) = world.tenant(slug).await;
        connections.push(world.connect(&tenant, "mail", "brevo").await.connection);
        // The world gives every account a place of its own; here both are at one.
        let url = connections[0].base_url.clone();
        let change = ConnectionChange { base_url: Some(url), ..ConnectionChange::default() };
        let last = connections.pop().unwrap();
        connections.push(world.core.change_connection(&last, &key, change).await.unwrap());
    }
    let core = &world.core;
    assert_eq!(connections[0].account, connections[1].account);
    let (tenant, _) = world.tenant("sauna").await;
    let other = world.connect(&tenant, "mail", "mailjet").await.connection;
    assert_ne!(other.account, connections[0].account);

    let [first, second] = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let claim = core.claim(connections[0].account, first).await.unwrap().unwrap();
    assert!(core.claim(connections[1].account, second).await.unwrap().is_none(), "it is the same account");
    assert!(core.claim(other.account, second).await.unwrap().is_some());
    let due = core.store.working_connections(second, core.now(), core.now()).await.unwrap();
    let due: Vec<ConnectionId> = due.into_iter().map(|(id, _, _)| id).collect();
    assert!(due.contains(&other.id) && connections.iter().all(|one| !due.contains(&one.id)), "{due:?}");

    // Whoever is gone is followed within a minute, by the numbers that the program comes with.
    let idle = Timestamp::try_from(crate::served::config("").workers.idle().as_micros()).unwrap();
    assert!(core.rules.lease == Rules::default().lease && core.rules.lease + idle < MINUTE);
    world.clock.advance(core.rules.lease);
    assert!(core.claim(claim.account(), second).await.unwrap().is_none(), "not a moment before");
    world.clock.advance(1);
    let next = core.claim(claim.account(), second).await.unwrap().unwrap();
    assert_eq!(next.epoch(), claim.epoch() + 1);
    assert!(!core.renew(&claim).await.unwrap());
    core.release(second).await.unwrap();
    assert!(core.claim(claim.account(), first).await.unwrap().is_some(), "what was given back is free at once");
    assert!(!core.renew(&claim).await.unwrap(), "another turn of the same owner is not the one that was lost");
    world.end().await;
}

fn secrets(value: &str) -> BTreeMap<String, SecretString> {
    BTreeMap::from([("api_key".to_owned(), SecretString::from(value.to_owned()))])
}

async fn other_credentials_depose_the_owner(engine: Engine) {
    let (world, account) = busy(engine, "brevo").await;
    let (core, id) = (&world.core, account.connection.id);
    let claim: Claim = world.claim(id).await;
    let connection = core.find_connection(&account.tenant, "brevo").await.unwrap();
    let same = core.set_credentials(&connection, &account.key, &secrets("api_key-of-brevo")).await.unwrap();
    assert_eq!(same.account, connection.account);
    assert!(core.work(id, &claim).await.is_ok(), "the same once more changes nothing");

    let moved = core.set_credentials(&same, &account.key, &secrets("another")).await.unwrap();
    assert_ne!(moved.account, connection.account);
    let before = heard(&account);
    assert!(matches!(core.work(id, &claim).await, Err(ServiceError::TakenOver)));
    assert_eq!(heard(&account), before, "nothing was called under the old claim");
    assert!(!core.renew(&claim).await.unwrap());
    assert!(matches!(core.adopt(id, &claim).await, Err(ServiceError::TakenOver)));
    // Two people at once: the second sees that what they looked at is no more.
    let late = core.set_credentials(&same, &account.key, &secrets("third")).await;
    assert!(matches!(late, Err(ServiceError::Conflict(_))), "{late:?}");
    world.end().await;
}

async fn changes_of_a_connection_do_not_undo_each_other(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let account = world.connect(&tenant, "mail", "brevo").await;
    let core = &world.core;
    // Everybody below looks at the connection now and acts later.
    let seen = core.find_connection(&tenant, "mail").await.unwrap();
    let now = async || core.find_connection(&tenant, "mail").await.unwrap();
    world.activate(&account).await;
    let bound = core.bind_existing_list(&seen, &key, &seen.list).await;
    assert!(matches!(bound, Err(ServiceError::Conflict(_))), "{bound:?}");
    assert_eq!(now().await.state, ConnectionState::Active);

    core.pause_connection(&now().await, "holidays").await.unwrap();
    let rotated = core.rotate_hooks(&seen, &key).await.unwrap();
    let cron = ConnectionChange { cron: Some("0 3 * * *".into()), ..ConnectionChange::default() };
    core.change_connection(&seen, &key, cron).await.unwrap();
    let guard = ConnectionChange { guard_count: Some(77), ..ConnectionChange::default() };
    core.change_connection(&seen, &key, guard).await.unwrap();
    core.set_credentials(&seen, &key, &secrets("new")).await.unwrap();
    let end = now().await;
    assert_eq!((end.state, &*end.state_reason), (ConnectionState::Paused, "holidays"));
    assert_eq!((&*end.cron, end.guard_count, end.next_at.is_some()), ("0 3 * * *", 77, true));
    assert_eq!(end.sealed_hooks, rotated.sealed_hooks);
    assert_eq!(end.list, seen.list);

    // At the same time: both changes are there, and the newest webhook secret is one that was handed out.
    let (one, other) = (core.rotate_hooks(&seen, &key), core.rotate_hooks(&seen, &key));
    let map = ConnectionChange { guard_percent: Some(3), ..ConnectionChange::default() };
    let (one, other, changed) = tokio::join!(one, other, core.change_connection(&seen, &key, map));
    let (one, other) = (Core::hook_spec(core, &one.unwrap(), &key), Core::hook_spec(core, &other.unwrap(), &key));
    let url = core.hook_spec(&now().await, &key).unwrap().url;
    assert!(url == one.unwrap().url || url == other.unwrap().url);
    assert_eq!((changed.unwrap().guard_percent, now().await.guard_percent), (3, 3));
    world.end().await;
}

/// Ways out whose quota is used up by others, for so many calls that write.
struct Crowded(Arc<dyn Gateways>, Arc<Mutex<usize>>);

struct Crowd(Arc<dyn Gateway>, Arc<Mutex<usize>>);

impl Gateways for Crowded {
    fn open(
        &self,
        connection: ConnectionId,
        account: AccountId,
        base_url: &str,
        quotas: &[Quota],
        headers: Option<RateHeaders>,
    ) -> Result<Arc<dyn Gateway>, String> {
        Ok(Arc::new(Crowd(self.0.open(connection, account, base_url, quotas, headers)?, self.1.clone())))
    }
}

#[async_trait]
impl Gateway for Crowd {
    async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        self.0.send(request).await
    }

    async fn send_before(&self, request: Request, deadline: Timestamp) -> Result<Response, ProviderError> {
        let others = {
            let mut left = self.1.lock().unwrap();
            let others = request.repeat == Repeat::Never && *left > 0;
            *left -= usize::from(others);
            others
        };
        if others {
            return Err(ProviderError::Throttled { retry_after: Some(Duration::ZERO) });
        }
        self.0.send_before(request, deadline).await
    }
}

/// I20: connections that share an account share its quota; who consents is mailable all the same.
async fn a_push_that_finds_no_place_in_the_quota_is_made_later(engine: Engine) {
    for provider in ["brevo", "mailjet"] {
        let (mut world, account) = busy(engine, provider).await;
        world.core.gateways = Arc::new(Crowded(world.core.gateways.clone(), Arc::new(Mutex::new(5))));
        world.settle().await;
        assert_eq!(account.mailable(world.clock.now()), [ADA]);
        world.end().await;
    }
}
