//! What becomes of a provider's words and of a person's visit, through the services, on both engines.

use crate::tin;
use crate::world::{Engine, World, on_both_engines};
use consentd::clock::{DAY, HOUR, MINUTE, Timestamp};
use consentd::domain::consent::{AskBasis, Kind, State};
use consentd::domain::fold::Flags;
use consentd::domain::ids::PurposeId;
use consentd::domain::plan::Held;
use consentd::domain::token::AcceptError;
use consentd::service::link::{DecideError, Decision, Visitor};
use consentd::store::{Address, Connection, Holding, Purpose, Tenant, TenantKey};
use consentd_provider::Intake;
use serde_json::json;

on_both_engines!(
    the_same_word_counts_once,
    an_unsubscription_older_than_a_newer_yes_is_superseded_beyond_the_doubt,
    an_unsubscription_from_an_unknown_list_counts_for_every_purpose_by_itself,
    a_complaint_is_never_superseded,
    bounces_flag_and_soft_bounces_only_count,
    a_no_of_one_spelling_is_a_no_of_all,
    a_list_that_nobody_manages_is_taken_for_the_connections_own,
    a_strangers_no_is_remembered,
    many_words_at_once_each_count_once_and_in_their_order,
    what_cannot_be_read_is_kept_and_replayed_without_a_second_effect,
    looking_at_a_link_decides_nothing,
    an_unsubscribe_link_only_ever_lowers,
    an_expired_link_can_only_refuse,
    a_scanner_needs_the_box_to_accept_and_nothing_to_refuse,
    a_renewed_yes_begins_a_new_validity,
);

/// A tenant with one connection, one purpose and one person.
struct Scene {
    world: World,
    tenant: Tenant,
    key: TenantKey,
    purpose: Purpose,
    connection: Connection,
    ada: Address,
}

async fn scene(engine: Engine) -> Scene {
    let mut world = World::new(engine).await;
    tin::install(&mut world);
    let (tenant, key) = world.tenant("pool").await;
    let purpose = world.core.purpose(&tenant, None).await.unwrap();
    let connection = tin::connect(&world, &tenant, &key, "main", "1", purpose.id).await;
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    Scene { world, tenant, key, purpose, connection, ada }
}

pub fn person() -> Visitor {
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into();
    Visitor { agent, confirmed: false, one_click: false }
}

/// The secret at the end of a link.
fn secret(link: &str) -> &str {
    link.rsplit('/').next().unwrap()
}

impl Scene {
    fn now(&self) -> Timestamp {
        self.world.core.now()
    }

    async fn ask(&self, purpose: &Purpose) -> String {
        let (core, basis) = (&self.world.core, AskBasis::ExistingCustomer);
        let people = std::slice::from_ref(&self.ada);
        let mut links = core.request_consent(&self.tenant, &self.key, purpose, people, &basis, "office").await.unwrap();
        links.remove(0).unwrap()
    }

    /// The person is asked and says yes ten minutes later. Returns the link.
    async fn accept(&self, purpose: &Purpose) -> String {
        let link = self.ask(purpose).await;
        self.world.clock.advance(10 * MINUTE);
        self.accept_by(&link).await;
        link
    }

    /// The person says yes, perhaps once more, by a link of before. After a no nobody may be asked again.
    async fn accept_by(&self, link: &str) {
        let state = self.world.core.decide(secret(link), Decision::Accept, &person()).await.unwrap();
        assert_eq!(state, State::Accepted);
    }

    /// Our own subscription was read back as mailable, now.
    async fn seen_mailable(&self, connection: &Connection) {
        let never = Holding::never(self.ada.mailbox, self.ada.id);
        let holding = Holding { held: Held::Subscribed, seen_mailable_at: self.now(), ..never };
        let mut tx = self.world.core.store.begin().await.unwrap();
        tx.keep_holdings(self.tenant.id, connection.id, &[holding]).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn deliver(&self, events: serde_json::Value) {
        let kept = tin::deliver(&self.world, &self.connection, &events.to_string()).await;
        assert_eq!(kept, Intake::Stored);
    }

    async fn state(&self, purpose: PurposeId) -> State {
        let kept = self.world.core.store.standings(self.tenant.id, self.ada.id).await.unwrap();
        kept.iter().find(|kept| kept.purpose == purpose).unwrap().standing.state
    }

    async fn flags(&self) -> Flags {
        self.world.core.store.standings(self.tenant.id, self.ada.id).await.unwrap()[0].standing.flags
    }

    async fn kinds(&self) -> Vec<Kind> {
        let lines = self.world.core.store.lines_of(self.tenant.id, self.ada.id).await.unwrap();
        lines.into_iter().map(|line| line.header.kind).collect()
    }

    async fn end(self) {
        let found = self.world.core.verify(&self.tenant, &self.key).await.unwrap();
        assert!(found.is_sound(), "{found:?}");
        self.world.end().await;
    }
}

/// I9.
async fn the_same_word_counts_once(engine: Engine) {
    let scene = scene(engine).await;
    let link = scene.accept(&scene.purpose).await;
    let word = json!({ "kind": "unsubscribed", "email": "ada@example.org", "list": "1", "n": 1 });
    scene.deliver(json!([word])).await;
    assert_eq!(scene.state(scene.purpose.id).await, State::Withdrawn);
    let lines = scene.kinds().await;
    scene.deliver(json!([word])).await;
    scene.deliver(json!([word, word])).await;
    assert_eq!(scene.kinds().await, lines, "the same delivery and the same event in another one");
    // A quick yes again stands, also when the old word comes once more.
    scene.accept_by(&link).await;
    scene.deliver(json!([{ "kind": "traffic", "email": "ada@example.org", "n": 2 }, word])).await;
    assert_eq!(scene.state(scene.purpose.id).await, State::Accepted);
    scene.end().await;
}

async fn an_unsubscription_older_than_a_newer_yes_is_superseded_beyond_the_doubt(engine: Engine) {
    for (before, seen, expected) in [
        (2 * HOUR + 1, true, State::Accepted),
        (2 * HOUR, true, State::Withdrawn),
        (2 * HOUR + 1, false, State::Withdrawn),
        (-1, true, State::Withdrawn),
    ] {
        let scene = scene(engine).await;
        scene.accept(&scene.purpose).await;
        let accepted_at = scene.now();
        scene.world.clock.advance(HOUR);
        if seen {
            scene.seen_mailable(&scene.connection).await;
        }
        let word = json!({ "kind": "unsubscribed", "email": "ada@example.org", "list": "1", "at": accepted_at - before, "n": 1 });
        scene.deliver(json!([word])).await;
        assert_eq!(scene.state(scene.purpose.id).await, expected, "{before} before, seen: {seen}");
        let told = scene.kinds().await.pop().unwrap();
        let kind =
            if expected == State::Accepted { Kind::ProviderUnsubscribeSuperseded } else { Kind::ProviderUnsubscribed };
        assert_eq!(told, kind, "recorded either way");
        scene.end().await;
    }
}

async fn an_unsubscription_from_an_unknown_list_counts_for_every_purpose_by_itself(engine: Engine) {
    let scene = scene(engine).await;
    let events = scene.world.core.create_purpose(&scene.tenant, "events", "Events", "Invitations", 0).await.unwrap();
    let other = tin::connect(&scene.world, &scene.tenant, &scene.key, "events", "2", events.id).await;
    scene.accept(&events).await;
    scene.seen_mailable(&other).await;
    scene.world.clock.advance(10 * DAY);
    let unsubscribed_at = scene.now();
    scene.world.clock.advance(10 * DAY);
    scene.accept(&scene.purpose).await;
    scene.world.clock.advance(HOUR);
    scene.seen_mailable(&scene.connection).await;
    scene.seen_mailable(&other).await;
    scene.deliver(json!([{ "kind": "unsubscribed", "email": "ada@example.org", "at": unsubscribed_at, "n": 1 }])).await;
    assert_eq!(scene.state(scene.purpose.id).await, State::Accepted, "said yes after it");
    assert_eq!(scene.state(events.id).await, State::Withdrawn, "said yes before it");
    scene.deliver(json!([{ "kind": "unsubscribed", "email": "ada@example.org", "n": 2 }])).await;
    assert_eq!(scene.state(scene.purpose.id).await, State::Withdrawn, "without a time the withdrawal wins");
    scene.end().await;
}

async fn a_complaint_is_never_superseded(engine: Engine) {
    let scene = scene(engine).await;
    scene.accept(&scene.purpose).await;
    let accepted_at = scene.now();
    scene.world.clock.advance(HOUR);
    scene.seen_mailable(&scene.connection).await;
    let word =
        json!({ "kind": "complaint", "email": "ada@example.org", "list": "1", "at": accepted_at - 99 * DAY, "n": 1 });
    scene.deliver(json!([word])).await;
    assert_eq!((scene.state(scene.purpose.id).await, scene.flags().await), (State::Withdrawn, Flags::COMPLAINT));
    scene.end().await;
}

async fn bounces_flag_and_soft_bounces_only_count(engine: Engine) {
    let scene = scene(engine).await;
    scene.accept(&scene.purpose).await;
    scene.deliver(json!([{ "kind": "soft_bounce", "email": "ada@example.org", "n": 1 }])).await;
    assert_eq!((scene.state(scene.purpose.id).await, scene.flags().await), (State::Accepted, Flags::NONE));
    scene.deliver(json!([{ "kind": "hard_bounce", "email": "ada@example.org", "n": 2 }])).await;
    assert_eq!((scene.state(scene.purpose.id).await, scene.flags().await), (State::Accepted, Flags::HARD_BOUNCE));
    scene.end().await;
}

async fn a_no_of_one_spelling_is_a_no_of_all(engine: Engine) {
    let scene = scene(engine).await;
    let loud = scene.world.address(&scene.tenant, &scene.key, "ADA@example.org").await;
    let link = scene.accept(&scene.purpose).await;
    scene.deliver(json!([{ "kind": "unsubscribed", "email": "Ada@Example.org", "list": "1", "n": 1 }])).await;
    for address in [&scene.ada, &loud] {
        let kept = scene.world.core.store.standings(scene.tenant.id, address.id).await.unwrap();
        assert_eq!(kept[0].standing.state, State::Withdrawn);
    }
    // And a yes is a yes of one.
    scene.accept_by(&link).await;
    let kept = scene.world.core.store.standings(scene.tenant.id, loud.id).await.unwrap();
    assert_eq!(kept[0].standing.state, State::Withdrawn);
    scene.end().await;
}

async fn a_list_that_nobody_manages_is_taken_for_the_connections_own(engine: Engine) {
    let scene = scene(engine).await;
    scene.accept(&scene.purpose).await;
    scene.deliver(json!([{ "kind": "unsubscribed", "email": "ada@example.org", "list": "77", "n": 1 }])).await;
    assert_eq!(scene.state(scene.purpose.id).await, State::Withdrawn);
    scene.end().await;
}

/// I13.
async fn a_strangers_no_is_remembered(engine: Engine) {
    let scene = scene(engine).await;
    scene
        .deliver(json!([
            { "kind": "unsubscribed", "email": "eve@example.org", "list": "1", "n": 1 },
            { "kind": "complaint", "email": "Mallory@example.org", "n": 2 },
            { "kind": "hard_bounce", "email": "bob@example.org", "n": 3 },
        ]))
        .await;
    for (email, entries) in [("eve@example.org", 1), ("mallory@example.org", 2), ("bob@example.org", 0)] {
        let mac = scene.key.address_mac(email);
        let found = scene.world.core.store.suppressions(scene.tenant.id, &mac).await.unwrap();
        assert_eq!(found.len(), entries, "{email}");
    }
    scene.end().await;
}

/// More than share a commit, with one person's words among many strangers'.
async fn many_words_at_once_each_count_once_and_in_their_order(engine: Engine) {
    let scene = scene(engine).await;
    scene.accept(&scene.purpose).await;
    let stranger = |n: u32| json!({ "kind": "complaint", "email": format!("s{n}@example.org"), "n": n });
    let mut words: Vec<serde_json::Value> = (1..=600).map(stranger).collect();
    let own = ["soft_bounce", "unsubscribed", "touched", "hard_bounce", "soft_bounce", "complaint"];
    for (n, kind) in (1_001..).zip(own) {
        words.insert((n - 1_001) * 120, json!({ "kind": kind, "email": "Ada@example.org", "n": n }));
    }
    words.push(json!({ "kind": "unsubscribed", "email": "no address", "n": 2_001 }));
    let before = scene.kinds().await.len();
    scene.deliver(json!(words)).await;
    let said = [Kind::SoftBounced, Kind::ProviderUnsubscribed, Kind::HardBounced, Kind::SoftBounced, Kind::Complained];
    assert_eq!(scene.kinds().await[before..], said);
    let (first, second) = words.split_at(300);
    scene.deliver(json!([first, second, first].concat())).await;
    assert_eq!(scene.kinds().await[before..], said, "grouped in another way");
    let counts = scene.world.core.store.event_counts(scene.tenant.id, scene.connection.id).await.unwrap();
    let sums = counts.iter().fold((0, 0), |sums, (_, _, events, repeats)| (sums.0 + events, sums.1 + repeats));
    assert_eq!(sums, (607, 607 + 300));
    let incidents = scene.world.core.store.incidents(scene.tenant.id, 10).await.unwrap();
    assert!(incidents.iter().any(|one| one.kind == "unaddressed_event"), "{incidents:?}");
    let mac = scene.key.address_mac("s600@example.org");
    assert_eq!(scene.world.core.store.suppressions(scene.tenant.id, &mac).await.unwrap().len(), 2);
    scene.end().await;
}

async fn what_cannot_be_read_is_kept_and_replayed_without_a_second_effect(engine: Engine) {
    let scene = scene(engine).await;
    let link = scene.accept(&scene.purpose).await;
    let word = json!([{ "kind": "unsubscribed", "email": "ada@example.org", "list": "1", "n": 1 }, { "kind": "sneezed", "n": 2 }]);
    tin::deliver(&scene.world, &scene.connection, "{ not a list").await;
    scene.deliver(word).await;
    let counts = scene.world.core.store.inbox_counts().await.unwrap();
    let count = |state: &str| counts.iter().find(|count| count.state == state).map_or(0, |count| count.deliveries);
    assert_eq!((count("quarantined"), count("done")), (1, 1));
    let lines = scene.kinds().await;
    scene.accept_by(&link).await;
    for state in ["quarantined", "done"] {
        let page = scene.world.core.store.deliveries(scene.tenant.id, state, 10).await.unwrap();
        assert_eq!(page.len(), 1, "{state}");
        assert_eq!(scene.world.core.replay(&scene.tenant, Some(page[0].id)).await.unwrap(), 1);
    }
    while scene.world.core.sort_inbox(10).await.unwrap() > 0 {}
    assert_eq!(scene.state(scene.purpose.id).await, State::Accepted, "what was applied is not applied twice");
    assert_eq!(scene.kinds().await.len(), lines.len() + 1, "only the newer yes was added");
    scene.end().await;
}

/// I14.
async fn looking_at_a_link_decides_nothing(engine: Engine) {
    let scene = scene(engine).await;
    let link = scene.ask(&scene.purpose).await;
    let lines = scene.kinds().await;
    for prefetch in [false, true, true] {
        let opened = scene.world.core.open_link(secret(&link), prefetch).await.unwrap();
        assert_eq!((opened.state, opened.can_accept), (State::Pending, true));
    }
    assert_eq!((scene.state(scene.purpose.id).await, scene.kinds().await), (State::Pending, lines));
    let unknown = scene.world.core.open_link("no-such-secret", false).await;
    assert!(matches!(unknown, Err(DecideError::Unknown)));
    scene.end().await;
}

/// I15.
async fn an_unsubscribe_link_only_ever_lowers(engine: Engine) {
    let scene = scene(engine).await;
    let core = &scene.world.core;
    let mut tx = core.store.begin().await.unwrap();
    let link = core.unsubscribe_link(&mut tx, &scene.tenant, &scene.ada, &scene.purpose).await.unwrap();
    tx.commit().await.unwrap();
    let ticked = Visitor { confirmed: true, ..person() };
    for _ in 0..2 {
        let tried = core.decide(secret(&link), Decision::Accept, &ticked).await;
        assert!(matches!(tried, Err(DecideError::Accept(AcceptError::WrongClass))), "{tried:?}");
    }
    assert_eq!(scene.state(scene.purpose.id).await, State::NotAsked);
    scene.accept(&scene.purpose).await;
    scene.world.clock.advance(900 * DAY);
    let one_click = Visitor { one_click: true, ..Visitor::default() };
    assert_eq!(core.decide(secret(&link), Decision::Refuse, &one_click).await.unwrap(), State::Withdrawn);
    let lines = scene.kinds().await;
    assert_eq!(core.decide(secret(&link), Decision::Refuse, &one_click).await.unwrap(), State::Withdrawn);
    assert_eq!(scene.kinds().await, lines, "saying the same again adds nothing");
    let tried = core.decide(secret(&link), Decision::Accept, &ticked).await;
    assert!(tried.is_err());
    assert_eq!(scene.state(scene.purpose.id).await, State::Withdrawn);
    scene.end().await;
}

/// I15.
async fn an_expired_link_can_only_refuse(engine: Engine) {
    let scene = scene(engine).await;
    let link = scene.ask(&scene.purpose).await;
    scene.world.clock.advance(scene.world.core.rules.consent_link);
    assert!(!scene.world.core.open_link(secret(&link), false).await.unwrap().can_accept);
    let tried =
        scene.world.core.decide(secret(&link), Decision::Accept, &Visitor { confirmed: true, ..person() }).await;
    assert!(matches!(tried, Err(DecideError::Accept(AcceptError::Expired))), "{tried:?}");
    assert_eq!(scene.state(scene.purpose.id).await, State::Pending);
    let refused = scene.world.core.decide(secret(&link), Decision::Refuse, &person()).await.unwrap();
    assert_eq!(refused, State::Refused);
    scene.end().await;
}

async fn a_scanner_needs_the_box_to_accept_and_nothing_to_refuse(engine: Engine) {
    let scene = scene(engine).await;
    let scanner = Visitor { agent: "Barracuda Sentinel".into(), ..person() };
    let link = scene.ask(&scene.purpose).await;
    let tried = scene.world.core.decide(secret(&link), Decision::Accept, &scanner).await;
    assert!(matches!(tried, Err(DecideError::Accept(AcceptError::ConfirmationNeeded))), "{tried:?}");
    assert_eq!(scene.state(scene.purpose.id).await, State::Pending);
    let refused = scene.world.core.decide(secret(&link), Decision::Refuse, &scanner).await.unwrap();
    assert_eq!(refused, State::Refused);
    // Two opposite decisions within a minute: the second needs the box, from a person too.
    let tried = scene.world.core.decide(secret(&link), Decision::Accept, &person()).await;
    assert!(matches!(tried, Err(DecideError::Accept(AcceptError::ConfirmationNeeded))), "{tried:?}");
    let ticked = Visitor { confirmed: true, ..person() };
    let accepted = scene.world.core.decide(secret(&link), Decision::Accept, &ticked).await.unwrap();
    assert_eq!(accepted, State::Accepted, "a person may change their mind");
    scene.end().await;
}

async fn a_renewed_yes_begins_a_new_validity(engine: Engine) {
    let scene = scene(engine).await;
    let core = &scene.world.core;
    let purpose = core.create_purpose(&scene.tenant, "yearly", "Yearly", "Renewed each year", 365).await.unwrap();
    let basis = async || {
        let kept = core.store.standings(scene.tenant.id, scene.ada.id).await.unwrap();
        kept.iter().find(|kept| kept.purpose == purpose.id).unwrap().standing.basis.unwrap()
    };
    scene.accept(&purpose).await;
    let first = basis().await;
    scene.world.clock.advance(300 * DAY);
    let renewal = scene.ask(&purpose).await;
    assert_eq!(scene.state(purpose.id).await, State::Accepted, "a renewal leaves the yes standing until the answer");
    core.decide(secret(&renewal), Decision::Accept, &person()).await.unwrap();
    let second = basis().await;
    assert!(second.seq > first.seq && second.valid_until > first.valid_until, "{first:?} {second:?}");
    core.decide(secret(&renewal), Decision::Accept, &person()).await.unwrap();
    assert_eq!(basis().await, second, "the same link says the same only once");
    scene.end().await;
}
