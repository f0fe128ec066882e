//! Several real daemons on one database: who owns what, who follows whom, and what a daemon that stood still may do.

mod fleet;
mod front;

use crate::served::client;
use crate::world::{Account, Engine, World};
use consentd::clock::{Clock, SystemClock};
use consentd::domain::consent::Kind;
use consentd::domain::plan::Held;
use consentd::store::Db;
use consentd_provider::EmailAddress;
use consentd_provider::emulator::{Fault, FaultRule, Happening, Outgoing};
use fleet::{Daemon, Fleet, LEASE};
use front::Front;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

fn people(of: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{of}{n:03}@example.org")).collect()
}

async fn consent(world: &World, account: &Account, people: &[String]) {
    let emails: Vec<&str> = people.iter().map(String::as_str).collect();
    world.customers(&account.tenant, &account.key, &emails).await;
    world.accept(&account.tenant, &account.key, &emails).await;
}

async fn object(world: &World, account: &Account, email: &str) {
    let email = EmailAddress::parse(email).unwrap();
    let address = world.core.find_address(&account.tenant, &account.key, &email).await.unwrap();
    world.core.withdraw(&account.tenant, &account.key, &address, None, "office", "by phone").await.unwrap();
}

/// What the ledger says of the additions of a person that may have left, oldest first.
async fn additions(world: &World, email: &str) -> Vec<String> {
    let Db::Pg(pool) = &world.core.store.db else { panic!("PostgreSQL was asked for") };
    let text = "SELECT l.outcome FROM ledger l JOIN address a ON a.id = l.address_id
                WHERE a.exact = $1 AND l.op = 'add' AND l.outcome <> 'untouched' ORDER BY l.issued_at";
    sqlx::query_scalar(text).bind(email).fetch_all(pool).await.unwrap()
}

/// I1, I2, I17, I20: two tenants share one provider account; three daemons look after it.
#[tokio::test]
async fn one_daemon_at_a_time_owns_an_account_and_is_followed_when_it_dies_or_stands_still() {
    let fleet = Fleet::new(Engine::Postgres).await;
    let world = &fleet.world;
    let front = Front::open("brevo").await;
    let pool = fleet.connect(&world.tenant("pool").await, "mail", "brevo", &front).await;
    let ofen = fleet.connect(&world.tenant("ofen").await, "mail", "brevo", &front).await;
    assert_eq!(pool.connection.account, ofen.connection.account);
    let (bathers, heaters) = (people("pool", 20), people("ofen", 20));
    consent(world, &pool, &bathers).await;
    consent(world, &ofen, &heaters).await;
    let mut daemons = Vec::new();
    for _ in 0..3 {
        let daemon = fleet.start().await;
        front.admit(daemon.pid());
        daemons.push(daemon);
    }
    fleet.activate(&pool).await;
    fleet.activate(&ofen).await;
    let there = |account: &Account, people: &[String]| front.mailable(&account.connection.list) == people;
    front.until("all are on their lists", |_| there(&pool, &bathers) && there(&ofen, &heaters)).await;
    for email in bathers.iter().chain(&heaters) {
        assert_eq!(additions(world, email).await.len(), 1, "{email} is added once, by one daemon");
    }

    // The owner dies in the middle of a withdrawal: the next one sees it through.
    let gone = &bathers[3];
    let owner = front.owner();
    front.hold(owner);
    object(world, &pool, gone).await;
    front.until_held(owner).await;
    let index = daemons.iter().position(|daemon| daemon.pid() == owner).unwrap();
    daemons.remove(index).kill();
    let died = Instant::now();
    front
        .until("the withdrawal arrives", |front| {
            front.heard().iter().any(|call| call.pid != owner) && !front.mailable(&pool.connection.list).contains(gone)
        })
        .await;
    let took = died.elapsed();
    assert!(took >= Duration::from_secs(LEASE) / 2, "nobody waited for the lease: {took:?}");
    assert!(took < Duration::from_mins(1), "{took:?}");
    front.let_go();

    // The next one stands still in the middle of an addition.
    let late = people("late", 1);
    let owner = front.owner();
    let stalled = daemons.iter().find(|daemon| daemon.pid() == owner).unwrap();
    let follower = daemons.iter().find(|daemon| daemon.pid() != owner).unwrap();
    front.hold(owner);
    consent(world, &pool, &late).await;
    front.until_held(owner).await;
    stalled.signal("-STOP");
    let calls = front.heard().len();
    object(world, &pool, &bathers[4]).await;
    front
        .until("somebody follows", |front| front.heard().iter().skip(calls).any(|call| call.pid == follower.pid()))
        .await;
    assert_eq!(additions(world, &late[0]).await, ["unknown"], "whatever it was in the middle of is not known");
    // What it asked for lands after all, and it wakes to hear so.
    front.let_go();
    stalled.signal("-CONT");
    stalled.until_it_says("a lease was lost").await;
    assert_eq!(additions(world, &late[0]).await[0], "unknown", "it wrote nothing any more");
    front.until("who left is off", |front| !front.mailable(&pool.connection.list).contains(&bathers[4])).await;
    // After the settle time it is looked at by name, and believed.
    let by_name = format!("contacts/{}", late[0].replace('@', "%40"));
    front
        .until("it is looked at", |front| {
            front
                .heard()
                .iter()
                .any(|call| call.what.starts_with("GET") && call.what.ends_with(&by_name) && call.ended.is_some())
        })
        .await;
    while world.beliefs(&pool).await[&late[0]].held != Held::Subscribed {
        tokio::task::yield_now().await;
    }
    assert!(front.mailable(&pool.connection.list).contains(&late[0]));
    front.assert_one_caller_at_a_time();
    for account in [&pool, &ofen] {
        assert!(world.core.verify(&account.tenant, &account.key).await.unwrap().is_sound());
    }
    drop(daemons);
    fleet.end().await;
}

/// Where the daemons are that take webhooks now; a balancer in front of them.
type Doors = Arc<Mutex<Vec<String>>>;

/// Delivers until everything is acknowledged, as providers do, wherever somebody answers.
async fn deliver(doors: Doors, mut owed: VecDeque<Outgoing>, count: Arc<watch::Sender<usize>>) {
    let http = client();
    let mut turn = 0;
    while let Some(delivery) = owed.pop_front() {
        turn += 1;
        let door = {
            let doors = doors.lock().unwrap();
            doors[turn % doors.len()].clone()
        };
        let (_, rest) = delivery.url.split_once("://").unwrap();
        let (authority, path) = rest.split_once('/').unwrap();
        let mut post = http.post(format!("{door}/{path}")).body(delivery.body.clone());
        if let Some((pair, _)) = authority.rsplit_once('@') {
            let (user, password) = pair.split_once(':').unwrap();
            post = post.basic_auth(user, Some(password));
        }
        for (name, value) in &delivery.headers {
            post = post.header(name, value);
        }
        match post.send().await {
            Ok(answer) if answer.status().is_success() => count.send_modify(|count| *count += 1),
            other => {
                assert!(other.is_err() || other.is_ok_and(|answer| answer.status() == 429), "no event may be refused");
                owed.push_back(delivery);
                tokio::task::yield_now().await;
            }
        }
    }
}

/// I9, I10: daemons are restarted one after the other under load, beside imports and the command line.
#[tokio::test]
async fn a_rolling_restart_loses_no_webhook_and_doubles_none() {
    let fleet = Fleet::new(Engine::Postgres).await;
    let world = &fleet.world;
    let front = Front::open("brevo").await;
    let account = fleet.connect(&world.tenant("pool").await, "mail", "brevo", &front).await;
    let leaving = people("leaves", 300);
    let emails: Vec<&str> = leaving.iter().map(String::as_str).collect();
    world.customers(&account.tenant, &account.key, &emails).await;
    let now = SystemClock.now();
    let mut owed = Vec::new();
    for email in &emails {
        account.provider().happen(now, email, &Happening::HostileImport(account.connection.list.clone()));
        account.unsubscribes(now, email);
    }
    owed.extend(account.provider().due(now + consentd::clock::MINUTE));
    // The daemons hear of it by webhooks alone.
    account.provider().fault(FaultRule { matching: String::new(), times: u32::MAX, fault: Fault::Status(503) });
    assert!(owed.len() >= emails.len(), "{}", owed.len());
    let due = owed.len() * 2;

    let mut daemons = VecDeque::from([fleet.start().await, fleet.start().await]);
    let doors: Doors = Arc::new(Mutex::new(daemons.iter().map(|daemon| daemon.url.clone()).collect()));
    let count = Arc::new(watch::channel(0).0);
    let mut senders = JoinSet::new();
    for part in 0..4 {
        // Each is delivered twice, as a provider does that missed an answer.
        let own = owed.iter().skip(part).step_by(4).cloned();
        let twice: VecDeque<Outgoing> = own.clone().chain(own).collect();
        senders.spawn(deliver(doors.clone(), twice, count.clone()));
    }
    let rows: Vec<String> = people("new", 500).iter().map(|email| format!("{email};{email}")).collect();
    std::fs::write(fleet.path("export.csv"), format!("crm_id;email\n{}\n", rows.join("\n"))).unwrap();
    let file = fleet.path("export.csv").display().to_string();
    let import = fleet.command(&["import", "run", &file]).output();
    let import = tokio::task::spawn_blocking(move || import.expect("it runs"));
    for acknowledged in [40, 240] {
        count.subscribe().wait_for(|count| *count >= acknowledged).await.unwrap();
        let old = daemons.pop_front().unwrap();
        let url = old.url.clone();
        assert!(old.terminate().await.success(), "it goes in peace");
        let new = fleet.start().await;
        *doors.lock().unwrap().iter_mut().find(|door| **door == url).unwrap() = new.url.clone();
        daemons.push_back(new);
    }
    let import = import.await.unwrap();
    assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
    let withdrawn = fleet
        .command(&["consent", "withdraw", "new001@example.org", "--reason", "by phone", "--yes"])
        .output()
        .unwrap();
    assert!(withdrawn.status.success(), "{}", String::from_utf8_lossy(&withdrawn.stderr));
    senders.join_all().await;
    assert_eq!(*count.borrow(), due);
    let waiting = async || world.core.store.inbox_counts().await.unwrap().iter().any(|count| count.state == "new");
    while waiting().await {
        tokio::task::yield_now().await;
    }
    for daemon in daemons {
        assert!(daemon.terminate().await.success());
    }
    let counts = world.core.store.inbox_counts().await.unwrap();
    assert!(counts.iter().all(|count| count.state == "done"), "{counts:?}");
    for email in &emails {
        assert_eq!(world.said(&account, email, Kind::ProviderUnsubscribed).await, 1, "{email}");
    }
    assert!(world.core.verify(&account.tenant, &account.key).await.unwrap().is_sound());
    fleet.end().await;
}

/// SQLite serves one daemon: a second is refused before it touches anything, and a killed one is followed at once.
#[tokio::test]
async fn a_second_daemon_on_one_sqlite_file_is_refused() {
    let fleet = Fleet::new(Engine::Sqlite).await;
    let mut first: Daemon = fleet.start().await;
    let second = fleet.command(&["serve"]).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(4), "{said}");
    assert!(said.contains("another daemon serves the database") && said.contains("PostgreSQL"), "{said}");
    let beside = fleet.command(&["tenant", "list"]).output().unwrap();
    assert!(beside.status.success(), "the command line may be used beside it");
    first.kill();
    let next = fleet.start().await;
    assert!(next.terminate().await.success());
    fleet.end().await;
}
