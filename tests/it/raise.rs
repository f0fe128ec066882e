//! No way into the program raises a status but the person's own act.
//!
//! Every public service function is in [`WALKED`] (it is called below on people who did not consent) or in [`ELSEWHERE`]
//! with the reason. A new one fails the test until it has a line in one of them.

use crate::tin;
use crate::tree;
use crate::webhook_rules::person;
use crate::world::{Engine, World, on_both_engines};
use consentd::clock::{Clock, DAY, HOUR, MINUTE, SimulatedClock};
use consentd::domain::consent::{Act, AskBasis, LegacyProof, OperatorAct, ProviderAct, RecipientAct, State, SystemAct};
use consentd::service::consent::Saying;
use consentd::service::link::Decision;
use consentd::store::{Address, Connection, Purpose, Tenant, TenantKey};
use consentd_provider::HookMode;
use consentd_provider::emulator::{EmulatedProvider, Happening};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

on_both_engines!(
    a_connection_raises_nothing,
    webhooks_raise_nothing,
    walks_and_runs_raise_nothing,
    requests_and_visits_raise_nothing,
    acts_of_others_raise_nothing,
    upkeep_raises_nothing,
    imports_and_corrections_raise_nothing,
);

/// Called by the tests below, as `file::function`.
const WALKED: [&str; 32] = [
    "connection::add_connection",
    "connection::bind_list",
    "connection::create_missing_fields",
    "connection::hooks",
    "amend::rotate_hooks",
    "amend::set_credentials",
    "consent::say",
    "consent::withdraw",
    "intake::keep",
    "intake::run",
    "link::open_link",
    "link::request_consent",
    "link::unsubscribe_link",
    "purpose::create_purpose",
    "schedule::ring",
    "sync::adopt",
    "sync::cancel_run",
    "sync::confirm_run",
    "sync::request_run",
    "sync::work",
    "tenant::change_tenant",
    "tenant::create_tenant",
    "verify::rebuild",
    "webhook::replay",
    "webhook::sort_inbox",
    "link::decide",
    "consent::say_many",
    "expiry::expire",
    "import::run_import",
    "person::annul",
    "person::clear_bounce",
    "person::erase",
];

/// Not called, because they say nothing of a person.
const ELSEWHERE: [(&str, &str); 31] = [
    ("link::show_link", "reads"),
    ("alarm::watch_hooks", "writes incidents"),
    ("claim::claim", "changes an owner"),
    ("claim::keep", "changes an owner"),
    ("claim::release", "changes an owner"),
    ("claim::renew", "changes an owner"),
    ("alarm::watch_floods", "writes incidents"),
    ("alarm::watch_withdrawals", "writes incidents"),
    ("alarm::shorten_waits", "changes when something is tried again"),
    ("audience::audience_page", "reads"),
    ("audience::audience_summary", "reads"),
    ("audience::write_audience", "reads"),
    ("history::history", "reads"),
    ("import::check_import", "reads"),
    ("person::dossier", "reads"),
    ("purpose::change_purpose", "changes the text that people are asked with"),
    ("steer::bind_existing_list", "changes a connection"),
    ("steer::change_connection", "changes a connection"),
    ("steer::pause_connection", "changes a connection"),
    ("steer::resume_connection", "changes a connection"),
    ("sync::outlook", "reads"),
    ("connection::find_connection", "reads"),
    ("connection::missing_fields", "reads"),
    ("connection::test_connection", "reads"),
    ("consent::find_address", "reads"),
    ("purpose::purpose", "reads"),
    ("sync::report", "reads"),
    ("tenant::tenant", "reads"),
    ("tenant::tenant_by_id", "reads"),
    ("verify::verify", "reads"),
    ("verify::verify_watched", "reads"),
];

fn services() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in tree::files("src/service", ".rs") {
        let path = file.path.trim_start_matches("src/service/").trim_end_matches(".rs");
        let noun = path.split('/').next().unwrap();
        let code = tree::source(&file.text).code;
        for after in code.split("pub async fn ").skip(1) {
            let name = after.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap();
            found.insert(format!("{noun}::{name}"));
        }
    }
    found
}

/// I5.
#[test]
fn every_service_has_its_place_in_the_walk() {
    let listed: BTreeSet<String> =
        WALKED.iter().chain(ELSEWHERE.iter().map(|(name, _)| name)).map(|name| (*name).to_owned()).collect();
    let found = services();
    let new: Vec<_> = found.difference(&listed).collect();
    assert!(new.is_empty(), "call these in one of the tests below and list them in WALKED: {new:?}");
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(gone.is_empty(), "these are gone: {gone:?}");
    let walk = ["raise.rs", "tin.rs", "world/mod.rs"].map(|name| tree::files("tests/it", name).remove(0).text).concat();
    for name in WALKED {
        let function = name.split("::").last().unwrap();
        assert!(walk.contains(&format!(".{function}(")), "{name} is listed, but not called");
    }
}

/// Everything that a write path could be called with.
struct Walk {
    world: World,
    provider: Arc<Mutex<EmulatedProvider>>,
    tenant: Tenant,
    key: TenantKey,
    purpose: Purpose,
    connection: Connection,
    people: Vec<(&'static str, Address, State)>,
}

impl Walk {
    async fn say(&self, address: &Address, act: Act) {
        let mut tx = self.world.core.store.begin().await.unwrap();
        let purpose = Some(self.purpose.id);
        let saying = Saying { address, purpose, act, evidence: json!({}) };
        // What the rules deny is rolled back; what they allow must not raise.
        if self.world.core.say(&mut tx, &self.tenant, &self.key, saying).await.is_ok() {
            tx.commit().await.unwrap();
        }
    }

    async fn state(&self, address: &Address) -> State {
        let kept = self.world.core.store.standings(self.tenant.id, address.id).await.unwrap();
        kept.iter().find(|kept| kept.purpose == self.purpose.id).unwrap().standing.state
    }

    /// Nobody has become accepted, nobody's no was lifted, and nothing may be sent to anybody.
    async fn check(&self, after: &str) {
        for (name, address, began) in &self.people {
            for kept in self.world.core.store.standings(self.tenant.id, address.id).await.unwrap() {
                let standing = kept.standing;
                assert_ne!(standing.state, State::Accepted, "{name} after {after}");
                assert!(!standing.sendable(self.world.core.now()), "{name} after {after}");
            }
            let state = self.state(address).await;
            if matches!(began, State::Refused | State::Withdrawn) {
                assert!(matches!(state, State::Refused | State::Withdrawn), "{name} is {state:?} after {after}");
            }
        }
    }

    /// Whom somebody put on the list without consent is taken off again.
    fn check_list(&self, after: &str) {
        let reached = self.provider.lock().unwrap().mailable(self.world.core.now(), "1");
        assert!(reached.is_empty(), "{reached:?} can be mailed after {after}");
    }

    async fn settle(&mut self) {
        tin::settle(&self.world, &self.connection).await;
        let slug = self.connection.slug.clone();
        self.connection = self.world.core.find_connection(&self.tenant, &slug).await.unwrap();
    }
}

/// People in every state but accepted, and a connection.
async fn walk(engine: Engine) -> Walk {
    let mut world = World::new(engine).await;
    let provider = tin::install(&mut world);
    let (tenant, key) = world.tenant("pool").await;
    let purpose = world.core.purpose(&tenant, None).await.unwrap();
    let connection = tin::connect(&world, &tenant, &key, "main", "1", purpose.id).await;
    let mut walk = Walk { world, provider, tenant, key, purpose, connection, people: Vec::new() };
    let ask = || Act::Operator(OperatorAct::Request(AskBasis::ExistingCustomer));
    for (name, acts) in [
        ("new@example.org", vec![]),
        ("asked@example.org", vec![ask()]),
        ("refused@example.org", vec![ask(), Act::Recipient(RecipientAct::Refuse)]),
        ("withdrawn@example.org", vec![ask(), Act::Recipient(RecipientAct::Withdraw)]),
        ("office@example.org", vec![Act::Operator(OperatorAct::Withdraw)]),
        ("unsubscribed@example.org", vec![Act::Provider(ProviderAct::Unsubscribe)]),
        ("complained@example.org", vec![Act::Provider(ProviderAct::Complain)]),
        ("optout@example.org", vec![Act::Operator(OperatorAct::ImportOptOut)]),
    ] {
        let address = walk.world.address(&walk.tenant, &walk.key, name).await;
        for act in acts {
            walk.say(&address, act).await;
        }
        let state = walk.state(&address).await;
        walk.people.push((name, address, state));
    }
    let states: BTreeSet<State> = walk.people.iter().map(|(_, _, state)| *state).collect();
    assert_eq!(
        states.into_iter().collect::<Vec<_>>(),
        [State::NotAsked, State::Pending, State::Refused, State::Withdrawn]
    );
    walk
}

/// Whatever anybody but the person can do. Evidence from before is tried against people who said no only.
fn acts() -> Vec<Act> {
    let mut acts: Vec<Act> = [
        ProviderAct::Unsubscribe,
        ProviderAct::UnsubscribeSuperseded,
        ProviderAct::HardBounce,
        ProviderAct::SoftBounce,
        ProviderAct::Resubscribe,
        ProviderAct::Delete,
    ]
    .map(Act::Provider)
    .into();
    acts.extend(
        [
            SystemAct::Remind,
            SystemAct::ExpireRequest,
            SystemAct::Lapse,
            SystemAct::MatchSuppression,
            SystemAct::ConfirmInEffect,
        ]
        .map(Act::System),
    );
    acts.extend([
        Act::Operator(OperatorAct::Import),
        Act::Operator(OperatorAct::ImportOptOut),
        Act::Operator(OperatorAct::Request(AskBasis::Form { source: "fair".into() })),
        Act::Operator(OperatorAct::ClearBounce),
        Act::Operator(OperatorAct::Withdraw),
    ]);
    acts
}

async fn a_connection_raises_nothing(engine: Engine) {
    let walk = walk(engine).await;
    let core = walk.world.core.clone();
    let second = tin::connect(&walk.world, &walk.tenant, &walk.key, "second", "2", walk.purpose.id).await;
    let second = core.rotate_hooks(&second, &walk.key).await.unwrap();
    let second = core.set_credentials(&second, &walk.key, &std::collections::BTreeMap::new()).await.unwrap();
    core.hooks(&second, &walk.key, HookMode::Repair).await.unwrap();
    core.create_missing_fields(&second, &walk.key).await.unwrap();
    core.bind_list(&second, &walk.key, "one").await.unwrap();
    walk.check("changes of a connection").await;
    walk.world.end().await;
}

/// I8.
async fn webhooks_raise_nothing(engine: Engine) {
    let walk = walk(engine).await;
    let mut n = 0;
    for kind in ["touched", "traffic", "soft_bounce", "deleted", "hard_bounce", "sneezed", "unsubscribed", "complaint"]
    {
        for (_, address, _) in walk.people.clone() {
            n += 1;
            let at = walk.world.core.now() - 90 * DAY;
            let word = json!([{ "kind": kind, "email": address.email.as_str(), "list": "1", "at": at, "n": n }]);
            tin::deliver(&walk.world, &walk.connection, &word.to_string()).await;
        }
        walk.check(kind).await;
    }
    tin::deliver(&walk.world, &walk.connection, "not even a list").await;
    walk.world.core.replay(&walk.tenant, None).await.unwrap();
    while walk.world.core.sort_inbox(100).await.unwrap() > 0 {}
    walk.check("a replay").await;
    walk.world.end().await;
}

/// I8.
async fn walks_and_runs_raise_nothing(engine: Engine) {
    let mut walk = walk(engine).await;
    let clock: Arc<SimulatedClock> = walk.world.clock.clone();
    let import = |walk: &Walk| {
        let mut provider = walk.provider.lock().unwrap();
        for (name, _, _) in &walk.people {
            provider.happen(clock.now(), name, &Happening::HostileImport("1".into()));
        }
    };
    import(&walk);
    walk.world.core.request_run(&walk.connection, "test", false).await.unwrap();
    walk.settle().await;
    walk.check("a plan in shadow mode").await;
    walk.world.core.confirm_run(&walk.connection, "office").await.unwrap();
    walk.settle().await;
    walk.check("a confirmed run").await;
    walk.check_list("a confirmed run");
    for what in [Happening::HostileImport("1".into()), Happening::Deleted, Happening::Blocked, Happening::Complains] {
        import(&walk);
        for (name, _, _) in &walk.people {
            walk.provider.lock().unwrap().happen(clock.now(), name, &what);
        }
        walk.world.clock.advance(2 * DAY);
        walk.world.core.ring().await.unwrap();
        walk.settle().await;
        walk.world.adopt(walk.connection.id).await.unwrap();
        walk.settle().await;
        walk.check(&format!("a walk that found {what:?}")).await;
        walk.check_list(&format!("a walk that found {what:?}"));
    }
    walk.world.core.request_run(&walk.connection, "test", false).await.unwrap();
    walk.world.core.cancel_run(&walk.connection).await.unwrap();
    walk.settle().await;
    walk.check("a cancelled run").await;
    walk.world.end().await;
}

async fn requests_and_visits_raise_nothing(engine: Engine) {
    let walk = walk(engine).await;
    let core = walk.world.core.clone();
    let addresses: Vec<Address> = walk.people.iter().map(|(_, address, _)| address.clone()).collect();
    for _ in 0..3 {
        walk.world.clock.advance(HOUR);
        let basis = AskBasis::Vouched { note: "on the phone".into() };
        let links = core.request_consent(&walk.tenant, &walk.key, &walk.purpose, &addresses, &basis, "office").await;
        for link in links.unwrap().into_iter().flatten() {
            let secret = link.rsplit('/').next().unwrap();
            core.open_link(secret, true).await.unwrap();
            core.decide(secret, Decision::Refuse, &person()).await.unwrap();
        }
    }
    walk.check("requests and visits").await;
    for address in &addresses {
        let mut tx = core.store.begin().await.unwrap();
        let link = core.unsubscribe_link(&mut tx, &walk.tenant, address, &walk.purpose).await.unwrap();
        tx.commit().await.unwrap();
        let secret = link.rsplit('/').next().unwrap();
        walk.world.clock.advance(10 * MINUTE);
        assert!(core.decide(secret, Decision::Accept, &person()).await.is_err());
    }
    walk.check("unsubscribe links").await;
    walk.world.end().await;
}

async fn acts_of_others_raise_nothing(engine: Engine) {
    let walk = walk(engine).await;
    for (name, address, _) in walk.people.clone() {
        for act in acts() {
            let words = format!("{act:?}");
            walk.say(&address, act).await;
            walk.check(&format!("{words} about {name}")).await;
        }
        let proof = LegacyProof::check(true, "2019", "Newsletter", "form 3", ["ada", "bob"]).unwrap();
        walk.say(&address, Act::Operator(OperatorAct::ImportProof(proof))).await;
        let head = walk.world.core.store.head(walk.tenant.id).await.unwrap().seq;
        for seq in 0..=head {
            if !matches!(name, "new@example.org" | "asked@example.org" | "office@example.org") {
                walk.say(&address, Act::Operator(OperatorAct::Annul(seq))).await;
            }
        }
        walk.check(&format!("old evidence and annulments about {name}")).await;
        walk.world.core.withdraw(&walk.tenant, &walk.key, &address, None, "office", "asked to").await.unwrap();
    }
    walk.check("withdrawals").await;
    walk.world.end().await;
}

async fn upkeep_raises_nothing(engine: Engine) {
    let walk = walk(engine).await;
    let core = walk.world.core.clone();
    core.rebuild(&walk.tenant).await.unwrap();
    walk.check("a rebuild").await;
    core.create_purpose(&walk.tenant, "events", "Events", "Invitations", 30).await.unwrap();
    walk.check("a new purpose").await;
    let mut changed = walk.tenant.clone();
    changed.legacy_proof = true;
    core.change_tenant(&changed).await.unwrap();
    walk.world.tenant("other").await;
    walk.check("a change of the tenant").await;
    let mut tx = core.store.begin().await.unwrap();
    let other = &walk.people[0].1;
    let saying = Saying { address: other, purpose: None, act: Act::Operator(OperatorAct::Erase), evidence: json!({}) };
    core.say(&mut tx, &walk.tenant, &walk.key, saying).await.unwrap();
    tx.commit().await.unwrap();
    walk.check("an erasure").await;
    assert!(core.verify(&walk.tenant, &walk.key).await.unwrap().is_sound());
    walk.world.end().await;
}

async fn imports_and_corrections_raise_nothing(engine: Engine) {
    use consentd::service::import::{ImportMode, ImportOptions};
    let walk = walk(engine).await;
    let core = walk.world.core.clone();
    let mut rows = String::from("crm_id;email;accepted_at;text;evidence\n");
    for (name, _, _) in &walk.people {
        rows.push_str(name);
        rows.push(';');
        rows.push_str(name);
        rows.push_str(";2024-01-01;yes please;form.pdf\n");
    }
    for mode in [ImportMode::Records, ImportMode::List, ImportMode::Proofs, ImportMode::OptOuts, ImportMode::Records] {
        let file = Box::new(std::io::Cursor::new(rows.clone().into_bytes()));
        let go_on = |_: &_| std::ops::ControlFlow::Continue(());
        let options = ImportOptions::new(mode, "file.csv", "office");
        // Evidence is refused as a whole while the tenant's policy is off.
        let taken = core.run_import(&walk.tenant, &walk.key, file, None, &options, &go_on).await;
        assert_eq!(taken.is_ok(), mode != ImportMode::Proofs, "{mode:?}: {taken:?}");
        walk.check(&format!("an import of {mode:?}")).await;
    }
    for (name, address, _) in &walk.people {
        if *name != "office@example.org" {
            let undone = core.annul(&walk.tenant, &walk.key, address, ["ann", "bob"], "wrong person").await;
            assert!(undone.is_err(), "{name}: only an operator's own entry can be taken back");
        }
        drop(core.clear_bounce(&walk.tenant, &walk.key, address, "office", "works again").await);
        let act = Act::Operator(OperatorAct::Import);
        let saying = Saying { address, purpose: None, act, evidence: json!({}) };
        let mut tx = core.store.begin().await.unwrap();
        core.say_many(&mut tx, &walk.tenant, &walk.key, &[saying]).await.unwrap();
        tx.commit().await.unwrap();
    }
    walk.check("corrections").await;
    walk.world.clock.advance(400 * DAY);
    core.expire().await.unwrap();
    walk.check("a year without an answer").await;
    for (_, address, _) in &walk.people {
        core.erase(&walk.tenant, &walk.key, address, "office", "asked for it").await.unwrap();
    }
    walk.check("erasure").await;
    walk.world.end().await;
}
