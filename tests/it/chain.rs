//! The history under attack: whoever can write the database changes it, and `verify` says so.

use crate::world::{Engine, World, on_both_engines};
use consentd::clock::DAY;
use consentd::domain::consent::{Act, AskBasis, OperatorAct, ProviderAct, RecipientAct, State};
use consentd::domain::ids::PurposeId;
use consentd::service::consent::Saying;
use consentd::store::{Address, Db, Tenant, TenantKey};
use serde_json::json;
use sqlx::AssertSqlSafe;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI64, Ordering};

on_both_engines!(
    every_change_of_a_single_field_is_found,
    deletion_truncation_insertion_and_swaps_are_found,
    changes_of_keys_and_kept_standings_are_found,
    an_erasure_keeps_the_chain_and_takes_the_content,
    rebuilding_gives_identical_standings,
    a_history_that_grows_meanwhile_is_sound,
    a_check_tells_how_far_it_is_and_can_be_stopped,
);

const LINES: i64 = 8;

struct Attacked {
    world: World,
    tenant: Tenant,
    key: TenantKey,
    addresses: [Address; 2],
    second: PurposeId,
}

async fn run(world: &World, text: &str) {
    let statement = AssertSqlSafe(text.to_owned());
    match &world.core.store.db {
        Db::Sqlite { write, .. } => sqlx::query(statement).execute(write).await.map(drop),
        Db::Pg(pool) => sqlx::query(statement).execute(pool).await.map(drop),
    }
    .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// A small history of two people and two purposes, with its guards taken away and a copy to go back to.
async fn attacked(engine: Engine) -> Attacked {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let second = world.core.create_purpose(&tenant, "events", "Events", "Invitations", 0).await.unwrap().id;
    let first = world.core.purpose(&tenant, None).await.unwrap().id;
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    let bob = world.address(&tenant, &key, "bob@example.org").await;
    let ask = || Act::Operator(OperatorAct::Request(AskBasis::ExistingCustomer));
    for (address, purpose, act) in [
        (&ada, Some(first), ask()),
        (&bob, Some(second), ask()),
        (&ada, Some(first), Act::Recipient(RecipientAct::Refuse)),
        (&bob, None, Act::Provider(ProviderAct::HardBounce)),
        (&bob, None, Act::Operator(OperatorAct::ClearBounce)),
        (&bob, Some(second), Act::Operator(OperatorAct::Withdraw)),
    ] {
        world.clock.advance(DAY);
        let mut tx = world.core.store.begin().await.unwrap();
        world.core.say(&mut tx, &tenant, &key, Saying { address, purpose, act, evidence: json!({}) }).await.unwrap();
        tx.commit().await.unwrap();
    }
    let guards: &[&str] = match engine {
        Engine::Sqlite => &[
            "DROP TRIGGER statement_no_update",
            "DROP TRIGGER statement_no_delete",
            "DROP TRIGGER statement_no_replace",
        ],
        Engine::Postgres => {
            &["DROP TRIGGER statement_no_change ON statement", "DROP TRIGGER statement_no_truncate ON statement"]
        }
    };
    for guard in guards {
        run(&world, guard).await;
    }
    for table in ["statement", "chain_head", "standing", "subject_key"] {
        run(&world, &format!("CREATE TABLE {table}_copy AS SELECT * FROM {table}")).await;
    }
    let attacked = Attacked { world, tenant, key, addresses: [ada, bob], second };
    let found = attacked.world.core.verify(&attacked.tenant, &attacked.key).await.unwrap();
    assert!(found.is_sound() && found.lines == LINES && found.payloads == LINES, "{found:?}");
    attacked
}

impl Attacked {
    /// Whether verify takes the history as sound. Data that cannot even be read are not sound.
    async fn is_sound(&self) -> bool {
        self.world.core.verify(&self.tenant, &self.key).await.is_ok_and(|found| found.is_sound())
    }

    async fn restore(&self) {
        for table in ["statement", "chain_head", "standing", "subject_key"] {
            run(&self.world, &format!("DELETE FROM {table}")).await;
            run(&self.world, &format!("INSERT INTO {table} SELECT * FROM {table}_copy")).await;
        }
    }

    /// Carries out an attack, sees that it is found, and puts everything back.
    async fn finds(&self, attack: &[&str]) {
        for step in attack {
            run(&self.world, step).await;
        }
        assert!(!self.is_sound().await, "not found: {attack:?}");
        self.restore().await;
        assert!(self.is_sound().await, "the copy is whole again after {attack:?}");
    }

    fn is_sqlite(&self) -> bool {
        matches!(self.world.core.store.db, Db::Sqlite { .. })
    }

    /// An id as the engine writes it.
    fn id(&self, id: uuid::Uuid) -> String {
        if self.is_sqlite() { format!("X'{}'", id.simple()) } else { format!("'{id}'") }
    }

    /// The column with one byte changed.
    fn flipped(&self, column: &str) -> String {
        if self.is_sqlite() {
            let last = format!("substr({column}, -1)");
            format!(
                "{column} = CAST(substr({column}, 1, length({column}) - 1) || CASE {last} WHEN X'00' THEN X'01' ELSE X'00' END AS BLOB)"
            )
        } else {
            let last = format!("length({column}) - 1");
            format!("{column} = set_byte({column}, {last}, (get_byte({column}, {last}) + 1) % 256)")
        }
    }
}

/// I4.
async fn every_change_of_a_single_field_is_found(engine: Engine) {
    let attacked = attacked(engine).await;
    let other = attacked.id(uuid::Uuid::from_u128(77));
    let [ada, bob] = attacked.addresses.each_ref().map(|address| attacked.id(address.id.0));
    let second = attacked.id(attacked.second.0);
    let changes = [
        "seq = seq + 100".to_owned(),
        format!("id = {other}"),
        format!("address_id = CASE address_id WHEN {ada} THEN {bob} ELSE {ada} END"),
        format!("purpose_id = CASE WHEN purpose_id IS NULL THEN {second} ELSE NULL END"),
        "kind = CASE kind WHEN 'accepted' THEN 'imported' ELSE 'accepted' END".to_owned(),
        "kind = 'never_heard_of'".to_owned(),
        // What stands between the fields and lines of a page while it is read.
        "kind = kind || ';'".to_owned(),
        "actor = actor || ',1'".to_owned(),
        "actor = CASE actor WHEN 'recipient' THEN 'operator' ELSE 'recipient' END".to_owned(),
        "recorded_at = recorded_at + 1".to_owned(),
        "detail = COALESCE(detail, 0) + 1".to_owned(),
        attacked.flipped("payload"),
        attacked.flipped("payload_mac"),
        attacked.flipped("hash"),
    ];
    for seq in 1..=LINES {
        for change in &changes {
            let change = if engine == Engine::Postgres {
                change.replace("THEN '", "THEN uuid '").replace("ELSE '", "ELSE uuid '")
            } else {
                change.clone()
            };
            let change = if change.starts_with("kind") || change.starts_with("actor") {
                change.replace("uuid '", "'")
            } else {
                change
            };
            attacked.finds(&[&format!("UPDATE statement SET {change} WHERE seq = {seq}")]).await;
        }
    }
    attacked.world.end().await;
}

/// I4.
async fn deletion_truncation_insertion_and_swaps_are_found(engine: Engine) {
    let attacked = attacked(engine).await;
    let columns = "id, address_id, purpose_id, kind, actor, recorded_at, detail, payload, payload_mac, hash";
    for seq in 1..=LINES {
        attacked.finds(&[&format!("DELETE FROM statement WHERE seq = {seq}")]).await;
        attacked.finds(&[&format!("DELETE FROM statement WHERE seq >= {seq}")]).await;
        // A gap closed again by moving up what follows.
        let close = [
            format!("DELETE FROM statement WHERE seq = {seq}"),
            format!("UPDATE statement SET seq = -seq WHERE seq > {seq}"),
            "UPDATE statement SET seq = -seq - 1 WHERE seq < 0".to_owned(),
            format!("UPDATE chain_head SET seq = {}", LINES - 1),
        ];
        if seq < LINES {
            attacked.finds(&close.each_ref().map(String::as_str)).await;
        }
        // A line said once more, in the middle and at the end, with and without telling the head.
        let other = attacked.id(uuid::Uuid::from_u128(77));
        let copied = columns.replacen("id", &format!("{other}, ").replace(", ", ""), 1);
        let copied = if engine == Engine::Postgres { copied.replacen('\'', "uuid '", 1) } else { copied };
        let insert = |at: i64| {
            format!(
                "INSERT INTO statement (tenant_id, seq, {columns}) SELECT tenant_id, {at}, {copied} FROM statement WHERE seq = {seq}"
            )
        };
        attacked.finds(&[&insert(LINES + 1)]).await;
        attacked.finds(&[&insert(LINES + 1), &format!("UPDATE chain_head SET seq = {}", LINES + 1)]).await;
        attacked.finds(&[&insert(0)]).await;
        if seq < LINES {
            let next = seq + 1;
            let swap = [
                format!("UPDATE statement SET seq = -1 WHERE seq = {seq}"),
                format!("UPDATE statement SET seq = {seq} WHERE seq = {next}"),
                format!("UPDATE statement SET seq = {next} WHERE seq = -1"),
            ];
            attacked.finds(&swap.each_ref().map(String::as_str)).await;
            for columns in [&["payload"][..], &["payload", "payload_mac"][..]] {
                let moves = columns
                    .iter()
                    .map(|column| {
                        format!("{column} = (SELECT {column} FROM statement_copy c WHERE c.seq = {next} + {seq} - statement.seq)")
                    })
                    .collect::<Vec<_>>()
                    .join(", ");
                attacked.finds(&[&format!("UPDATE statement SET {moves} WHERE seq IN ({seq}, {next})")]).await;
            }
        }
    }
    attacked.finds(&[&format!("UPDATE chain_head SET {}", attacked.flipped("hash"))]).await;
    attacked.finds(&["UPDATE chain_head SET seq = seq + 1"]).await;
    attacked.finds(&["UPDATE chain_head SET seq = seq - 1"]).await;
    attacked.world.end().await;
}

async fn changes_of_keys_and_kept_standings_are_found(engine: Engine) {
    let attacked = attacked(engine).await;
    let [ada, bob] = attacked.addresses.each_ref().map(|address| attacked.id(address.id.0));
    attacked.finds(&["UPDATE standing SET state = 'accepted'"]).await;
    attacked.finds(&[&format!("UPDATE standing SET flags = 4 - flags WHERE address_id = {bob}")]).await;
    attacked.finds(&["UPDATE standing SET basis_seq = 1, basis_at = 1, basis_id = address_id"]).await;
    attacked.finds(&["UPDATE standing SET asks = 0, asked_at = NULL, asked_since = NULL"]).await;
    attacked.finds(&[&format!("DELETE FROM standing WHERE address_id = {ada}")]).await;
    let stranger = attacked.id(uuid::Uuid::from_u128(77));
    let stranger = if engine == Engine::Postgres { format!("uuid {stranger}") } else { stranger };
    let forged = format!(
        "INSERT INTO standing SELECT tenant_id, {stranger}, purpose_id, mailbox_id, 'accepted', seq, since, basis_seq, basis_id, basis_at,
                valid_until, negative_seq, annullable, asked_at, asked_since, asks, flags FROM standing_copy WHERE address_id = {ada}"
    );
    attacked.finds(&[&forged]).await;
    attacked.finds(&[&format!("UPDATE subject_key SET {} WHERE address_id = {ada}", attacked.flipped("sealed"))]).await;
    attacked.finds(&[&format!("DELETE FROM subject_key WHERE address_id = {bob}")]).await;
    let exchange =
        format!("UPDATE subject_key SET sealed = (SELECT sealed FROM subject_key_copy c WHERE c.address_id = {bob})");
    attacked.finds(&[&exchange]).await;
    attacked.world.end().await;
}

async fn an_erasure_keeps_the_chain_and_takes_the_content(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    let bob = world.address(&tenant, &key, "bob@example.org").await;
    let mut tx = world.core.store.begin().await.unwrap();
    let act = Act::Operator(OperatorAct::Erase);
    let saying = Saying { address: &ada, purpose: None, act, evidence: json!({ "why": "asked by letter" }) };
    world.core.say(&mut tx, &tenant, &key, saying).await.unwrap();
    tx.destroy_person_key(tenant.id, ada.id).await.unwrap();
    tx.commit().await.unwrap();
    // Something more happens to the person afterwards; it is recorded, and nobody can read it.
    let mut tx = world.core.store.begin().await.unwrap();
    let act = Act::Provider(ProviderAct::Complain);
    world
        .core
        .say(&mut tx, &tenant, &key, Saying { address: &ada, purpose: None, act, evidence: json!({}) })
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let found = world.core.verify(&tenant, &key).await.unwrap();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.lines, found.payloads, found.erased), (4, 1, 3));
    assert_eq!(world.core.store.person_key(tenant.id, &key, ada.id).await.unwrap(), None);
    let bobs_key = world.core.store.person_key(tenant.id, &key, bob.id).await.unwrap().unwrap();
    for line in world.core.store.lines_of(tenant.id, ada.id).await.unwrap() {
        assert!(world.core.store.payload(&line, &bobs_key).is_err(), "another person's key opens nothing");
    }
    let standing = world.core.store.standings(tenant.id, ada.id).await.unwrap()[0].standing;
    assert_eq!(standing.state, State::Withdrawn);
    let mac = key.address_mac(&ada.email.folded());
    assert!(!world.core.store.suppressions(tenant.id, &mac).await.unwrap().is_empty(), "the suppression stays");
    world.end().await;
}

/// I3.
async fn rebuilding_gives_identical_standings(engine: Engine) {
    let attacked = attacked(engine).await;
    let standings = || async {
        let mut all = Vec::new();
        for address in &attacked.addresses {
            all.extend(attacked.world.core.store.standings(attacked.tenant.id, address.id).await.unwrap());
        }
        all
    };
    let before = standings().await;
    assert_eq!(before.len(), 4);
    for damage in [
        "DELETE FROM standing",
        "UPDATE standing SET state = 'accepted', asks = 9, flags = 0",
        "UPDATE standing SET seq = 0",
    ] {
        run(&attacked.world, damage).await;
        assert_ne!(standings().await, before);
        assert_eq!(attacked.world.core.rebuild(&attacked.tenant).await.unwrap(), 4);
        assert_eq!(standings().await, before, "after {damage}");
    }
    assert!(attacked.is_sound().await);
    attacked.world.end().await;
}

async fn a_history_that_grows_meanwhile_is_sound(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    let write = async {
        for _ in 0..40 {
            let mut tx = world.core.store.begin().await.unwrap();
            let act = Act::Provider(ProviderAct::SoftBounce);
            let saying = Saying { address: &ada, purpose: None, act, evidence: json!({}) };
            world.core.say(&mut tx, &tenant, &key, saying).await.unwrap();
            tx.commit().await.unwrap();
        }
    };
    let check = async {
        for _ in 0..40 {
            let found = world.core.verify(&tenant, &key).await.unwrap();
            assert!(found.is_sound(), "{found:?}");
        }
    };
    tokio::join!(write, check);
    assert_eq!(world.core.verify(&tenant, &key).await.unwrap().lines, 41);
    world.end().await;
}

async fn a_check_tells_how_far_it_is_and_can_be_stopped(engine: Engine) {
    let attacked = attacked(engine).await;
    let told = AtomicI64::new(0);
    let found = attacked
        .world
        .core
        .verify_watched(&attacked.tenant, &attacked.key, &|line| {
            told.store(line, Ordering::SeqCst);
            ControlFlow::Break(())
        })
        .await
        .unwrap();
    assert!(found.stopped && !found.is_sound() && found.broken_at.is_none(), "{found:?}");
    assert_eq!(told.load(Ordering::SeqCst), LINES);
    attacked.world.end().await;
}
