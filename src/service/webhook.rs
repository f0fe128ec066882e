//! From a kept delivery to its events: read, tell repeats apart, have the rest applied, a bounded number with one commit.

use crate::clock::{MINUTE, Timestamp};
use crate::domain::ids::{ConnectionId, InboxId, TenantId};
use crate::service::events::{Desk, Heard};
use crate::service::{Core, ServiceError};
use crate::store::{KeptDelivery, NewEvent, Tenant, Tx};
use consentd_provider::Verified;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use tracing::Instrument;
use tracing::field::Empty;

/// How long one daemon may work on a delivery before another takes it over.
const LEASE: Timestamp = MINUTE / 2;

/// After so many failures a delivery is put aside; an operator can replay it.
const ATTEMPTS: i64 = 5;

/// Bytes of deliveries that are in memory at the same time, if one alone is not larger.
const BYTES: i64 = 64 * 1024;

/// Events that share a commit, which webhooks that come in wait for. Those of one large delivery may need several; one
/// that was broken off in between is read again, and its first events are repeats then.
const TOGETHER: usize = 256;

/// What is applied with one commit.
#[derive(Default)]
struct Pile<'a> {
    heard: Vec<Heard<'a>>,
    /// Deliveries of which nothing is left after this.
    read: Vec<&'a KeptDelivery>,
    /// Deliveries that cannot be read, and why.
    unreadable: Vec<(&'a KeptDelivery, String)>,
}

impl Core {
    /// Works through the next deliveries. Returns how many there were.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; what is wrong with a single delivery is kept with it.
    pub async fn sort_inbox(&self, limit: i64) -> Result<usize, ServiceError> {
        let now = self.now();
        let mut tx = self.store.begin().await?;
        let deliveries = tx.claim_deliveries(now, now + LEASE, limit, BYTES).await?;
        tx.commit().await?;
        let mut desks = HashMap::new();
        for together in deliveries.chunk_by(|one, next| one.tenant == next.tenant) {
            let mut done = HashSet::new();
            // Many with one commit; what cannot be applied is found by trying them one by one.
            if together.len() > 1 && self.sort_some(together, &mut desks, &mut done).await.is_ok() {
                continue;
            }
            for delivery in together.iter().filter(|delivery| !done.contains(&delivery.id)) {
                let alone = std::slice::from_ref(delivery);
                let outcome = self.sort_some(alone, &mut desks, &mut HashSet::new()).await;
                if let Err(error) = outcome {
                    tracing::warn!(error = %error, delivery.id = %delivery.id, "a delivery could not be applied");
                    self.make_room(&error);
                    let passing = matches!(&error, ServiceError::Store(store) if store.is_passing());
                    if delivery.attempts >= ATTEMPTS && !passing {
                        let mut tx = self.store.begin().await?;
                        self.put_aside(&mut tx, delivery, "failed", &error.to_string()).await?;
                        tx.commit().await?;
                    }
                }
            }
        }
        Ok(deliveries.len())
    }

    /// Has deliveries read again: one, or all that could not be read. What was applied is not applied twice.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn replay(&self, tenant: &Tenant, id: Option<InboxId>) -> Result<u64, ServiceError> {
        let mut tx = self.store.begin().await?;
        let replayed = tx.replay(tenant.id, id).await?;
        tx.commit().await?;
        Ok(replayed)
    }

    /// Applies deliveries of one tenant. Those of which nothing is left are noted in `done`.
    async fn sort_some(
        &self,
        deliveries: &[KeptDelivery],
        desks: &mut HashMap<ConnectionId, Desk>,
        done: &mut HashSet<InboxId>,
    ) -> Result<(), ServiceError> {
        for delivery in deliveries {
            if let Entry::Vacant(place) = desks.entry(delivery.connection) {
                place.insert(self.desk(delivery).await?);
            }
        }
        let Some(first) = deliveries.first() else { return Ok(()) };
        let span = tracing::info_span!("webhook.apply", deliveries = deliveries.len());
        let piles = span.in_scope(|| piles(deliveries, desks));
        for pile in piles {
            self.sort_pile(first.tenant, &pile).instrument(span.clone()).await?;
            done.extend(pile.read.iter().map(|delivery| delivery.id));
            done.extend(pile.unreadable.iter().map(|(delivery, _)| delivery.id));
        }
        Ok(())
    }

    async fn sort_pile(&self, tenant: TenantId, pile: &Pile<'_>) -> Result<(), ServiceError> {
        let mut tx = self.store.begin().await?;
        // Nobody may become known, or say anything, between our look and our line.
        tx.lock_head(tenant).await?;
        for (delivery, why) in &pile.unreadable {
            self.put_aside(&mut tx, delivery, "quarantined", why).await?;
        }
        let (fresh, repeats) = apart(&mut tx, tenant, &pile.heard).await?;
        let words = self.apply(&mut tx, &fresh).await?;
        let events: Vec<NewEvent> = fresh
            .iter()
            .zip(&words)
            .map(|(heard, disposition)| NewEvent {
                connection: heard.delivery.connection,
                fingerprint: heard.event.fingerprint,
                inbox: heard.delivery.id,
                kind: heard.event.kind.word(),
                disposition,
            })
            .collect();
        tx.keep_events(tenant, &events, self.now()).await?;
        for (connection, fingerprints) in repeats {
            tx.repeat_events(tenant, connection, &fingerprints).await?;
        }
        self.finish(&mut tx, tenant, pile, &fresh, &words).await?;
        tx.commit().await?;
        count(&fresh, &words);
        Ok(())
    }

    /// Writes which deliveries are done, and tells of events that could not be applied.
    async fn finish(
        &self,
        tx: &mut Tx,
        tenant: TenantId,
        pile: &Pile<'_>,
        fresh: &[&Heard<'_>],
        words: &[&'static str],
    ) -> Result<(), ServiceError> {
        let mut lost: BTreeMap<ConnectionId, (usize, usize)> = BTreeMap::new();
        let mut notes: BTreeMap<InboxId, &'static str> = BTreeMap::new();
        for (heard, word) in fresh.iter().zip(words) {
            let (unknown, unaddressed) = match *word {
                "unknown" => (1, 0),
                "unaddressed" if heard.event.kind.is_grave() => (0, 1),
                _ => continue,
            };
            let sums = lost.entry(heard.delivery.connection).or_default();
            *sums = (sums.0 + unknown, sums.1 + unaddressed);
            let note = if unknown > 0 { "holds events of an unknown kind" } else { "holds events without an address" };
            notes.insert(heard.delivery.id, note);
        }
        for (connection, (unknown, unaddressed)) in lost {
            if unknown > 0 {
                let detail =
                    format!("{unknown} events of a kind that this version does not know were kept, not applied");
                tx.raise(tenant, connection, "unknown_event", connection.0, &detail, self.now()).await?;
            }
            if unaddressed > 0 {
                let detail = format!("{unaddressed} unsubscriptions or the like name no address that can be read");
                tx.raise(tenant, connection, "unaddressed_event", connection.0, &detail, self.now()).await?;
            }
        }
        let mut read: BTreeMap<&'static str, Vec<InboxId>> = BTreeMap::new();
        for delivery in &pile.read {
            read.entry(notes.get(&delivery.id).copied().unwrap_or("")).or_default().push(delivery.id);
        }
        for (note, ids) in read {
            tx.finish_deliveries(tenant, &ids, "done", note).await?;
        }
        Ok(())
    }

    async fn desk(&self, delivery: &KeptDelivery) -> Result<Desk, ServiceError> {
        let connection = self.store.connection(delivery.connection).await?;
        let connection = connection.ok_or(ServiceError::NotFound("such connection any more"))?;
        let (tenant, key) = self.tenant_by_id(delivery.tenant).await?;
        let provider = self.adapter(&connection, &key)?;
        let mut siblings = self.store.connections(tenant.id).await?;
        siblings.retain(|other| other.account == connection.account);
        Ok(Desk { tenant, key, connection, siblings, provider })
    }

    async fn put_aside(
        &self,
        tx: &mut Tx,
        delivery: &KeptDelivery,
        state: &str,
        why: &str,
    ) -> Result<(), ServiceError> {
        tx.finish_deliveries(delivery.tenant, &[delivery.id], state, why).await?;
        let detail = format!("a delivery was kept and not applied: {why}");
        tx.raise(delivery.tenant, delivery.connection, "quarantine", delivery.connection.0, &detail, self.now())
            .await?;
        Ok(())
    }
}

/// Reads deliveries and piles their events up in their order.
fn piles<'a>(deliveries: &'a [KeptDelivery], desks: &'a HashMap<ConnectionId, Desk>) -> Vec<Pile<'a>> {
    let mut piles = Vec::new();
    let mut pile = Pile::default();
    for delivery in deliveries {
        let Some(desk) = desks.get(&delivery.connection) else { continue };
        let span = tracing::info_span!(
            "webhook.read",
            delivery.id = %delivery.id,
            connection.id = %delivery.connection,
            provider = %desk.connection.provider,
            events = Empty,
        )
        .entered();
        match desk.provider.read(&Verified::stored(&delivery.body)) {
            Ok(events) => {
                span.record("events", events.len());
                for event in events {
                    if pile.heard.len() >= TOGETHER {
                        piles.push(std::mem::take(&mut pile));
                    }
                    pile.heard.push(Heard { delivery, desk, event });
                }
                pile.read.push(delivery);
            }
            Err(error) => pile.unreadable.push((delivery, error.to_string())),
        }
    }
    piles.push(pile);
    piles
}

/// Events that were never heard, and the fingerprints of the others by connection.
async fn apart<'a>(
    tx: &mut Tx,
    tenant: TenantId,
    heard: &'a [Heard<'a>],
) -> Result<(Vec<&'a Heard<'a>>, BTreeMap<ConnectionId, Vec<[u8; 32]>>), ServiceError> {
    let mut said: BTreeMap<ConnectionId, Vec<[u8; 32]>> = BTreeMap::new();
    for heard in heard {
        said.entry(heard.delivery.connection).or_default().push(heard.event.fingerprint);
    }
    let mut known = HashSet::new();
    for (connection, fingerprints) in said {
        let found = tx.known_events(tenant, connection, &fingerprints).await?;
        known.extend(found.into_iter().map(|fingerprint| (connection, fingerprint)));
    }
    let mut fresh = Vec::with_capacity(heard.len());
    let mut repeats: BTreeMap<ConnectionId, Vec<[u8; 32]>> = BTreeMap::new();
    for heard in heard {
        let (connection, fingerprint) = (heard.delivery.connection, heard.event.fingerprint);
        if known.insert((connection, fingerprint)) {
            fresh.push(heard);
        } else {
            repeats.entry(connection).or_default().push(fingerprint);
        }
    }
    Ok((fresh, repeats))
}

/// Counts what came of events, for `/metrics`.
fn count(fresh: &[&Heard<'_>], words: &[&'static str]) {
    let mut sums: HashMap<(&str, &'static str, &'static str), u64> = HashMap::new();
    for (heard, word) in fresh.iter().zip(words) {
        let kind = heard.event.kind.word();
        *sums.entry((&heard.desk.connection.provider, kind, word)).or_default() += 1;
    }
    for ((provider, kind, disposition), events) in sums {
        let provider = provider.to_owned();
        metrics::counter!("consentd_events_total", "provider" => provider, "kind" => kind, "disposition" => disposition)
            .increment(events);
    }
}
