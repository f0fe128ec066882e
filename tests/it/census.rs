//! A full comparison counts most people with one statement instead of looking at each. Both must come to the same.

use crate::served::run_sql;
use crate::world::{Account, Engine, World, on_both_engines};
use consentd::clock::DAY;
use consentd::domain::contact::{digest, mapping_digest};
use consentd::domain::ids::MailboxId;
use consentd::domain::mailbox::best;
use consentd::domain::plan::{self, Held, Situation, Wish};
use consentd::random::{SeededRandom, below};
use consentd::store::Db;
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

on_both_engines!(i1_i2_whoever_is_only_counted_is_counted_as_a_look_at_them_would);

/// People, enough for each to differ from the others in several ways.
const PEOPLE: usize = 60;
/// How often everything is mixed anew.
const ROUNDS: usize = 12;

/// How many people a plan leaves alone, by reason, and whom it does not.
type Decided = (BTreeMap<&'static str, i64>, HashSet<MailboxId>);

/// Looks at everybody.
async fn one_by_one(world: &World, at: &Account) -> Decided {
    let mut tx = world.core.store.begin().await.unwrap();
    let everybody = tx.mailboxes_after(at.tenant.id, MailboxId(Uuid::nil()), 10_000).await.unwrap();
    decided(world, at, &mut tx, &everybody).await
}

async fn decided(world: &World, at: &Account, tx: &mut consentd::store::Tx, mailboxes: &[MailboxId]) -> Decided {
    let now = world.core.now();
    let (tenant, connection) = (at.tenant.id, at.connection.id);
    let people = tx.people(tenant, at.connection.purpose, mailboxes).await.unwrap();
    let holdings = tx.holdings(tenant, connection, mailboxes).await.unwrap();
    let withdrawing = tx.withdrawing(tenant, connection, mailboxes).await.unwrap();
    let (mut skips, mut acted) = (BTreeMap::new(), HashSet::new());
    for person in people {
        let standings: Vec<_> = person.variants.iter().map(|(_, standing)| *standing).collect();
        let (_, standing) = best(&standings, now);
        let holding = holdings.get(&person.mailbox);
        let situation = Situation {
            standing: &standing,
            in_crm: person.in_crm,
            held: holding.map_or(Held::Never, |holding| holding.held),
            pushed: holding.map(|holding| (holding.basis_seq, holding.digest)),
            digest: digest(&person.person.mapped(&at.connection.mapping)),
            withdrawing: withdrawing.contains(&person.mailbox),
            unsettled_until: holding.map_or(0, |holding| holding.unsettled_until),
        };
        match plan::decide(&situation, now) {
            Wish::Skip(reason) => *skips.entry(reason.word()).or_default() += 1,
            _ => {
                acted.insert(person.mailbox);
            }
        }
    }
    (skips, acted)
}

/// What the statement says of everybody, in stretches of seven.
async fn counted(world: &World, at: &Account) -> (Decided, i64) {
    let now = world.core.now();
    let mut tx = world.core.store.begin().await.unwrap();
    let (mut skips, mut acted) = (BTreeMap::<&'static str, i64>::new(), HashSet::new());
    let (mut after, mut only_counted) = (MailboxId(Uuid::nil()), 0);
    while !after.0.is_max() {
        let until = tx.bound(at.tenant.id, after, 7).await.unwrap();
        let mapping = mapping_digest(&at.connection.mapping);
        let census = tx.census(&at.connection, (after, until), mapping, now).await.unwrap();
        after = until;
        *skips.entry("up_to_date").or_default() += census.current;
        only_counted += census.current;
        for (standing, in_crm, people) in census.quiet {
            *skips.entry(plan::eligibility(&standing, in_crm, now).word()).or_default() += people;
            only_counted += people;
        }
        let (more, others) = decided(world, at, &mut tx, &census.weigh).await;
        acted.extend(others);
        for (reason, people) in more {
            *skips.entry(reason).or_default() += people;
        }
    }
    skips.retain(|_, people| *people > 0);
    ((skips, acted), only_counted)
}

async fn i1_i2_whoever_is_only_counted_is_counted_as_a_look_at_them_would(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let emails: Vec<String> = (0..PEOPLE).map(|n| format!("p{n}@example.org")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    world.customers(&tenant, &key, &emails).await;
    let mut account = world.connect(&tenant, "main", "brevo").await;
    world.activate(&account).await;
    world.accept(&tenant, &key, &emails[..40]).await;
    world.settle().await;
    world.withdraw_by_link(&tenant, &key, emails[0]).await;
    // Another spelling of a mailbox that consents, and one that does not.
    world.customers(&tenant, &key, &["P1@example.org", "P50@example.org"]).await;

    let dice = SeededRandom::new(7);
    let (mut counted_alone, mut reasons) = (0, HashSet::new());
    for round in 0..ROUNDS {
        for _ in 0..6 {
            let deed = deed(&world.core.store.db, below(&dice, 14), below(&dice, 40), world.core.now());
            run_sql(&world.core.store.db, AssertSqlSafe(deed)).await;
        }
        let mut tx = world.core.store.begin().await.unwrap();
        tx.refresh_all_reach(tenant.id).await.unwrap();
        tx.commit().await.unwrap();
        if round == ROUNDS - 1 {
            account.connection.mapping = BTreeMap::from([("postcode".to_owned(), "ZIP".to_owned())]);
        }
        let looked = one_by_one(&world, &account).await;
        let (told, alone) = counted(&world, &account).await;
        assert_eq!(told, looked, "in round {round}");
        assert!(round < ROUNDS - 1 || looked.1.len() > 5, "another mapping is another push");
        counted_alone += alone;
        reasons.extend(looked.0.into_keys());
        world.clock.advance(DAY);
    }
    assert!(counted_alone > 100, "most people are only counted: {counted_alone}");
    assert!(reasons.len() > 7, "of many kinds: {reasons:?}");
    world.end().await;
}

/// Something that changes a few rows which begin at `from`.
fn deed(db: &Db, which: u64, from: u64, now: i64) -> String {
    let yes = if matches!(db, Db::Pg(_)) { "TRUE" } else { "1" };
    let zero = if matches!(db, Db::Pg(_)) { r"'\x00000000000000000000000000000000'" } else { "zeroblob(16)" };
    let some =
        |table: &str, key: &str| format!("{key} IN (SELECT {key} FROM {table} ORDER BY {key} LIMIT 4 OFFSET {from})");
    let (held, stands, record) = (some("holding", "mailbox_id"), some("standing", "address_id"), some("record", "id"));
    match which {
        0 => format!("UPDATE holding SET held = 'withdrawn' WHERE {held}"),
        1 => format!("UPDATE holding SET held = 'unknown', unsettled_until = {now} + basis_seq WHERE {held}"),
        2 => format!("UPDATE holding SET held = 'missing' WHERE {held}"),
        3 => format!("UPDATE holding SET held = 'blocked', basis_seq = basis_seq - 1 WHERE {held}"),
        4 => format!("UPDATE holding SET held = 'subscribed' WHERE {held}"),
        5 => format!("UPDATE holding SET digest = {zero}, person = {zero} WHERE {held}"),
        6 => format!("DELETE FROM holding WHERE {held}"),
        7 => format!("UPDATE standing SET state = 'withdrawn' WHERE {stands}"),
        8 => format!("UPDATE standing SET flags = 1 + seq % 15 WHERE {stands}"),
        9 => {
            format!("UPDATE standing SET valid_until = {now} + (seq % 3 - 1) WHERE {stands} AND basis_seq IS NOT NULL")
        }
        10 => format!("UPDATE standing SET basis_seq = basis_seq + 1 WHERE {stands}"),
        11 => format!("UPDATE record SET bin = {yes} WHERE {record}"),
        12 => format!("DELETE FROM record_address WHERE {}", some("record_address", "record_id")),
        _ => format!("UPDATE withdrawal SET phase = 'confirm' WHERE {}", some("withdrawal", "mailbox_id")),
    }
}
