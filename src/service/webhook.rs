//! From a kept delivery to the history: read, weigh, record, tell the other providers.

use crate::clock::{MINUTE, Timestamp};
use crate::domain::consent::{Act, ProviderAct};
use crate::domain::fold::Standing;
use crate::domain::ids::{ConnectionId, InboxId, MailboxId, PurposeId, TenantId};
use crate::domain::mailbox::best;
use crate::domain::precedence::{Verdict, weigh_unsubscription};
use crate::service::consent::Saying;
use crate::service::{Core, ServiceError};
use crate::store::{Address, Connection, EVERY_PURPOSE, KeptDelivery, Suppression, Tenant, TenantKey, Tx};
use consentd_provider::{Affected, EmailAddress, EventKind, Provider, ProviderEvent, Verified};
use serde_json::json;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// How long one daemon may work on a delivery before another takes it over.
const LEASE: Timestamp = MINUTE / 2;

/// After so many failures a delivery is put aside; an operator can replay it.
const ATTEMPTS: i64 = 5;

/// A change that a provider reports so soon after our own writing is our own.
const ECHO: Timestamp = 15 * MINUTE;

/// Withdrawals within ten minutes that make an operator look (reliability A16): at least this many.
const FLOOD: i64 = 50;

/// What a batch of deliveries needs to know about a connection.
struct Desk {
    tenant: Tenant,
    key: TenantKey,
    connection: Connection,
    siblings: Vec<Connection>,
    provider: Box<dyn Provider>,
}

impl Core {
    /// Works through the next deliveries. Returns how many there were.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; what is wrong with a single delivery is kept with it.
    pub async fn sort_inbox(&self, limit: i64) -> Result<usize, ServiceError> {
        let now = self.now();
        let mut tx = self.store.begin().await?;
        let deliveries = tx.claim_deliveries(now, now + LEASE, limit).await?;
        tx.commit().await?;
        let mut desks = HashMap::new();
        for together in deliveries.chunk_by(|one, next| one.tenant == next.tenant) {
            // Many with one commit; what cannot be applied is found by trying them one by one.
            if together.len() > 1 && self.sort_some(together, &mut desks).await.is_ok() {
                continue;
            }
            for delivery in together {
                let outcome = self.sort_some(std::slice::from_ref(delivery), &mut desks).await;
                if let Err(error) = outcome {
                    tracing::warn!(error = %error, inbox.id = %delivery.id, "a delivery could not be applied");
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

    /// Applies deliveries of one tenant in one transaction.
    async fn sort_some(
        &self,
        deliveries: &[KeptDelivery],
        desks: &mut HashMap<ConnectionId, Desk>,
    ) -> Result<(), ServiceError> {
        for delivery in deliveries {
            if let Entry::Vacant(place) = desks.entry(delivery.connection) {
                place.insert(self.desk(delivery).await?);
            }
        }
        let Some(first) = deliveries.first() else { return Ok(()) };
        let mut tx = self.store.begin().await?;
        // Nobody may become known, or say anything, between our look and our line.
        tx.lock_head(first.tenant).await?;
        let mut seen = BTreeMap::new();
        for delivery in deliveries {
            let Some(desk) = desks.get(&delivery.connection) else { continue };
            self.sort_one(&mut tx, desk, delivery).await?;
            seen.insert(delivery.connection, delivery);
        }
        for delivery in seen.into_values() {
            self.watch_for_floods(&mut tx, delivery).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn sort_one(&self, tx: &mut Tx, desk: &Desk, delivery: &KeptDelivery) -> Result<(), ServiceError> {
        let events = match desk.provider.read(&Verified::stored(&delivery.body)) {
            Ok(events) => events,
            Err(error) => return self.put_aside(tx, delivery, "quarantined", &error.to_string()).await,
        };
        let mut unknown = 0;
        for event in &events {
            if !tx.keep_event(delivery, event.fingerprint, event.kind.word(), self.now()).await? {
                continue;
            }
            let disposition = self.apply(tx, desk, delivery, event).await?;
            unknown += usize::from(disposition == "unknown");
            tx.settle_event(delivery, event.fingerprint, disposition).await?;
            metrics::counter!("consentd_events_total", "provider" => desk.connection.provider.clone(), "kind" => event.kind.word(), "disposition" => disposition)
                .increment(1);
        }
        if unknown > 0 {
            let detail = format!("{unknown} events of a kind that this version does not know were kept, not applied");
            tx.raise(delivery.tenant, delivery.connection, "unknown_event", delivery.connection.0, &detail, self.now())
                .await?;
        }
        let note = if unknown > 0 { "holds events of an unknown kind" } else { "" };
        Ok(tx.finish_delivery(delivery.tenant, delivery.id, "done", note).await?)
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
        tx.finish_delivery(delivery.tenant, delivery.id, state, why).await?;
        let detail = format!("a delivery was kept and not applied: {why}");
        tx.raise(delivery.tenant, delivery.connection, "quarantine", delivery.connection.0, &detail, self.now())
            .await?;
        Ok(())
    }

    /// Applies one event to everybody it names. Returns the word for what came of it.
    async fn apply(
        &self,
        tx: &mut Tx,
        desk: &Desk,
        delivery: &KeptDelivery,
        event: &ProviderEvent,
    ) -> Result<&'static str, ServiceError> {
        match event.kind {
            EventKind::Traffic => return Ok("ignored"),
            EventKind::Unknown(_) => return Ok("unknown"),
            _ => {}
        }
        let mut disposition = "unaddressed";
        for email in &event.emails {
            let mac = desk.key.address_mac(&email.folded());
            let known = tx.mailboxes_by_mac(desk.tenant.id, &[mac]).await?;
            disposition = match known.get(&mac) {
                Some(mailbox) => self.apply_to(tx, desk, delivery, event, email, *mailbox).await?,
                None => self.suppress_stranger(tx, desk, event, mac).await?,
            };
        }
        Ok(disposition)
    }

    async fn apply_to(
        &self,
        tx: &mut Tx,
        desk: &Desk,
        delivery: &KeptDelivery,
        event: &ProviderEvent,
        email: &EmailAddress,
        mailbox: MailboxId,
    ) -> Result<&'static str, ServiceError> {
        let variants = tx.addresses_of(desk.tenant.id, mailbox).await?;
        let exact = variants.iter().position(|variant| variant.email == *email).unwrap_or(0);
        let Some(address) = variants.get(exact) else { return Ok("unaddressed") };
        let (tenant, connection) = (desk.tenant.id, desk.connection.id);
        let (act, purposes, disposition) = match event.kind {
            EventKind::Unsubscribed => {
                let mut disposition = "superseded";
                for purpose in concerned(desk, &event.affected) {
                    let verdict =
                        self.unsubscribe_by_provider(tx, desk, delivery, event, &variants, address, purpose).await?;
                    if verdict == Verdict::Withdraw {
                        disposition = "withdrawn";
                    }
                }
                return Ok(disposition);
            }
            EventKind::Complaint => (ProviderAct::Complain, None, "withdrawn"),
            EventKind::HardBounce => (ProviderAct::HardBounce, None, "flagged"),
            EventKind::SoftBounce => (ProviderAct::SoftBounce, None, "counted"),
            EventKind::Deleted => {
                tx.mark_missing(tenant, connection, mailbox).await?;
                let detail = "a contact was deleted at the provider; it is not put back by itself";
                tx.raise(tenant, connection, "deleted", mailbox.0, detail, self.now()).await?;
                (ProviderAct::Delete, Some(desk.connection.purpose), "noted")
            }
            EventKind::Touched => {
                let checked = tx.recheck_withdrawal(tenant, connection, mailbox, self.now()).await?
                    || tx.touch(tenant, connection, mailbox, self.now(), self.now() - ECHO).await?;
                return Ok(if checked { "checked" } else { "ignored" });
            }
            EventKind::Traffic | EventKind::Unknown(_) => return Ok("ignored"),
        };
        self.note(tx, desk, delivery, event, address, purposes, act).await?;
        Ok(disposition)
    }

    /// Records an unsubscription for one purpose, or for all. A yes may be newer for one purpose and not for another, so
    /// each is weighed by itself.
    #[expect(clippy::too_many_arguments, reason = "one event in full, seen by one private function")]
    async fn unsubscribe_by_provider(
        &self,
        tx: &mut Tx,
        desk: &Desk,
        delivery: &KeptDelivery,
        event: &ProviderEvent,
        variants: &[Address],
        named: &Address,
        purpose: Option<PurposeId>,
    ) -> Result<Verdict, ServiceError> {
        let every = tx.purposes(desk.tenant.id).await?;
        let mut verdicts = Vec::with_capacity(every.len());
        for id in every.into_iter().map(|every| every.id).filter(|id| purpose.is_none_or(|own| own == *id)) {
            verdicts.push((id, self.weigh(tx, desk, event, variants, named.mailbox, id).await?));
        }
        let withdrawn = verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Withdraw).count();
        let (overall, lines) = if withdrawn == verdicts.len() {
            (Verdict::Withdraw, vec![(purpose, Verdict::Withdraw)])
        } else if withdrawn == 0 {
            (Verdict::Superseded, vec![(purpose, Verdict::Superseded)])
        } else {
            (Verdict::Withdraw, verdicts.into_iter().map(|(id, verdict)| (Some(id), verdict)).collect())
        };
        for (purpose, verdict) in lines {
            let act = match verdict {
                Verdict::Withdraw => ProviderAct::Unsubscribe,
                Verdict::Superseded => ProviderAct::UnsubscribeSuperseded,
            };
            self.note(tx, desk, delivery, event, named, purpose, act).await?;
        }
        Ok(overall)
    }

    /// Weighs an unsubscription against what the person said about one purpose, and against what was last seen on the
    /// lists of that purpose.
    async fn weigh(
        &self,
        tx: &mut Tx,
        desk: &Desk,
        event: &ProviderEvent,
        variants: &[Address],
        mailbox: MailboxId,
        purpose: PurposeId,
    ) -> Result<Verdict, ServiceError> {
        let mut standings: Vec<Standing> = Vec::with_capacity(variants.len());
        for variant in variants {
            let kept = tx.standings(desk.tenant.id, variant.id).await?;
            let found = kept.into_iter().find(|kept| kept.purpose == purpose);
            standings.push(found.map(|kept| kept.standing).unwrap_or_default());
        }
        let (_, standing) = best(&standings, self.now());
        let accepted_at = standing.basis.filter(|_| standing.sendable(self.now())).map(|basis| basis.at);
        let mut seen_since = false;
        let same = |other: &&Connection| other.provider == desk.connection.provider && other.purpose == purpose;
        for (nth, connection) in desk.siblings.iter().filter(same).enumerate() {
            let holdings = tx.holdings(desk.tenant.id, connection.id, &[mailbox]).await?;
            let seen = holdings.get(&mailbox).map_or(0, |holding| holding.seen_mailable_at);
            seen_since = (nth == 0 || seen_since) && accepted_at.is_some_and(|at| seen > at);
        }
        Ok(weigh_unsubscription(event.occurred_at, accepted_at, seen_since))
    }

    #[expect(clippy::too_many_arguments, reason = "one event in full, seen by one private function")]
    async fn note(
        &self,
        tx: &mut Tx,
        desk: &Desk,
        delivery: &KeptDelivery,
        event: &ProviderEvent,
        address: &Address,
        purpose: Option<PurposeId>,
        act: ProviderAct,
    ) -> Result<(), ServiceError> {
        let evidence = json!({
            "inbox": delivery.id, "connection": desk.connection.slug, "provider": desk.connection.provider,
            "event": event.kind.word(), "detail": event.detail, "message_id": event.message_id,
            "occurred_at": event.occurred_at.map(|time| time.at), "received_at": delivery.received_at,
        });
        let saying = Saying { address, purpose, act: Act::Provider(act), evidence };
        self.say(tx, &desk.tenant, &desk.key, saying).await?;
        Ok(())
    }

    /// Somebody whom no record knows said no: they can never be added by a later import.
    async fn suppress_stranger(
        &self,
        tx: &mut Tx,
        desk: &Desk,
        event: &ProviderEvent,
        mac: [u8; 32],
    ) -> Result<&'static str, ServiceError> {
        let (reason, purposes) = match event.kind {
            EventKind::Unsubscribed => ("withdrawn", concerned(desk, &event.affected)),
            EventKind::Complaint => ("complaint", vec![None]),
            _ => return Ok("stranger"),
        };
        let mut entries = Vec::new();
        for purpose in purposes {
            let ids = match purpose {
                Some(purpose) => vec![purpose],
                None => tx.purposes(desk.tenant.id).await?.into_iter().map(|p| p.id).chain([EVERY_PURPOSE]).collect(),
            };
            let since = self.now();
            entries.extend(ids.into_iter().map(|purpose| (mac, Suppression { purpose, reason: reason.into(), since })));
        }
        tx.suppress(desk.tenant.id, &entries).await?;
        Ok("stranger")
    }

    /// A flood of unsubscriptions is applied all the same; but a person should look whether it is forged.
    async fn watch_for_floods(&self, tx: &mut Tx, delivery: &KeptDelivery) -> Result<(), ServiceError> {
        let now = self.now();
        let (tenant, connection): (TenantId, ConnectionId) = (delivery.tenant, delivery.connection);
        let recent = tx.recent_withdrawals(tenant, connection, now - 10 * MINUTE).await?;
        if recent < FLOOD {
            return Ok(());
        }
        let base = tx.held_count(tenant, connection).await?;
        if recent > FLOOD.max(base * 2 / 100) {
            let detail = format!("{recent} people were withdrawn by webhooks within ten minutes");
            tx.raise(tenant, connection, "unsubscribe_flood", connection.0, &detail, now).await?;
        }
        Ok(())
    }
}

/// Which purposes an unsubscription is about: those of the connections bound to the lists it names in the same
/// account. A list that no connection is bound to is taken for the connection's own, and where the provider names none
/// it is about all purposes: in doubt a person is mailed less.
fn concerned(desk: &Desk, affected: &Affected) -> Vec<Option<PurposeId>> {
    let Affected::Lists(lists) = affected else { return vec![None] };
    let mut purposes: Vec<PurposeId> =
        desk.siblings.iter().filter(|other| lists.contains(&other.list)).map(|other| other.purpose).collect();
    if purposes.is_empty() {
        purposes.push(desk.connection.purpose);
    }
    purposes.sort_unstable();
    purposes.dedup();
    purposes.into_iter().map(Some).collect()
}
