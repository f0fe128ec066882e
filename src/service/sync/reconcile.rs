//! Weighing what a walk saw against what we believed: towards refusal only.

use crate::domain::consent::{Act, Actor, Kind, ProviderAct, State};
use crate::domain::fold::Standing;
use crate::domain::ids::{AddressId, MailboxId};
use crate::domain::mailbox::best;
use crate::domain::plan::Held;
use crate::service::ServiceError;
use crate::service::consent::Saying;
use crate::service::sync::Session;
use crate::store::{Address, EVERY_PURPOSE, Holding, NewLine, NewWithdrawal, StoreError, Stranger, Tx, suppressed};
use consentd_provider::{EmailAddress, Look, Scope};
use serde_json::json;
use uuid::Uuid;

/// Mailboxes weighed in one transaction.
const PAGE: i64 = 200;

impl Session<'_> {
    /// Weighs every difference that the last walk brought up.
    pub(super) async fn reconcile(&self) -> Result<(), ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let mut after = MailboxId(Uuid::nil());
        loop {
            let page = self.core.store.differences(tenant, connection, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.mailbox;
            let mut tx = self.begin().await?;
            for difference in &page {
                self.weigh(&mut tx, difference.mailbox, difference.look).await?;
            }
            tx.commit().await?;
        }
        self.look_for_vanished().await?;
        if self.is_active() {
            self.take_off_strangers().await?;
        }
        Ok(())
    }

    /// Brings our belief about one mailbox into line with a read, and says what follows from it.
    // race model: `Action::Weigh` after `Look(_, Walk)` in tests/it/race/steps.rs
    pub(super) async fn weigh(&self, tx: &mut Tx, mailbox: MailboxId, look: Look) -> Result<(), ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let now = self.now();
        let Some((address, standing)) = self.best_of(tx, mailbox).await? else { return Ok(()) };
        let known = tx.holdings(tenant, connection, &[mailbox]).await?.remove(&mailbox);
        let known = known.unwrap_or(Holding::never(mailbox, address.id));
        if known.unsettled_until > now {
            return Ok(());
        }
        // A job that still runs can land whatever the clock says.
        if known.held == Held::Unknown && tx.open_additions(tenant, connection, &[mailbox]).await?.contains(&mailbox) {
            return Ok(());
        }
        if look.mailable() {
            let holding = Holding { held: Held::Subscribed, seen_mailable_at: now, unsettled_until: 0, ..known };
            tx.keep_holdings(tenant, connection, &[holding]).await?;
            // Somebody may be known to be there from before the first plan was confirmed, or from before a no for which
            // no withdrawal is on its way any more.
            let new = known.held != Held::Subscribed;
            if self.is_active()
                && !standing.sendable(now)
                && (new || !tx.withdrawing(tenant, connection, &[mailbox]).await?.contains(&mailbox))
            {
                self.undo_subscription(tx, &address, &standing).await?;
            }
            return Ok(());
        }
        if !(look.unsubscribed || look.blocked) {
            return Ok(());
        }
        // An old unsubscription beside a newer yes that was not pushed yet is lifted by the push, not believed.
        let yes_after_no = standing.sendable(now)
            && standing.negative.is_some()
            && standing.basis.is_some_and(|basis| known.seen_mailable_at < basis.at);
        // We take people off list by list; a block of the whole account is ours only after a withdrawal from everything.
        let ours = known.is_taken_off_by_us()
            || tx.has_unanswered_removal(tenant, connection, mailbox, known.seen_mailable_at).await?;
        let by_us = ours && (!look.blocked || tx.taken_off_everything(tenant, connection, mailbox).await?);
        if yes_after_no || by_us {
            return Ok(());
        }
        self.believe(tx, &address, &standing, known, look).await
    }

    /// Believes an unsubscription or block at the provider: the person said no there.
    pub(super) async fn believe(
        &self,
        tx: &mut Tx,
        address: &Address,
        standing: &Standing,
        known: Holding,
        look: Look,
    ) -> Result<(), ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        tx.keep_holdings(tenant, connection, &[Holding { held: Held::Withdrawn, ..known }]).await?;
        let said_no = matches!(standing.state, State::Refused | State::Withdrawn);
        // A provider blocks who bounced or complained by itself; leaving a list is the person's own act.
        if !said_no && (standing.flags.is_empty() || look.unsubscribed) {
            self.provider_says(tx, address, ProviderAct::Unsubscribe, look).await?;
        }
        Ok(())
    }

    /// The address of a mailbox that counts, and where it stands for the connection's purpose.
    pub(super) async fn best_of(
        &self,
        tx: &mut Tx,
        mailbox: MailboxId,
    ) -> Result<Option<(Address, Standing)>, ServiceError> {
        let mut addresses = tx.addresses_of(self.tenant.id, mailbox).await?;
        let mut standings = Vec::with_capacity(addresses.len());
        for address in &addresses {
            let kept = tx.standings(self.tenant.id, address.id).await?;
            let own = kept.into_iter().find(|kept| kept.purpose == self.connection.purpose);
            standings.push(own.map(|kept| kept.standing).unwrap_or_default());
        }
        if addresses.is_empty() {
            return Ok(None);
        }
        let (index, standing) = best(&standings, self.now());
        Ok(Some((addresses.swap_remove(index), standing)))
    }

    async fn provider_says(
        &self,
        tx: &mut Tx,
        address: &Address,
        act: ProviderAct,
        look: Look,
    ) -> Result<(), ServiceError> {
        let evidence = json!({
            "found_by": "walk", "connection": self.connection.slug, "provider": self.connection.provider,
            "on_list": look.on_list, "unsubscribed": look.unsubscribed, "blocked": look.blocked,
        });
        let purpose = Some(self.connection.purpose);
        let saying = Saying { address, purpose, act: Act::Provider(act), evidence };
        self.core.say(tx, &self.tenant, &self.key, saying).await?;
        Ok(())
    }

    /// Somebody is subscribed there without consent here: an import, a click in the provider's console, a bug.
    async fn undo_subscription(&self, tx: &mut Tx, address: &Address, standing: &Standing) -> Result<(), ServiceError> {
        let look = Look { exists: true, on_list: true, ..Look::default() };
        self.resubscribed(tx, address, look).await?;
        self.queue(tx, address.mailbox, address.id, "drift", standing.seq).await
    }

    /// Notes that the provider mails somebody without consent here. The state stays as it is.
    pub(super) async fn resubscribed(&self, tx: &mut Tx, address: &Address, look: Look) -> Result<(), ServiceError> {
        self.provider_says(tx, address, ProviderAct::Resubscribe, look).await?;
        let (tenant, connection, subject) = (self.tenant.id, self.connection.id, address.mailbox.0);
        let detail = "found on the provider's list without consent here; taken off again";
        Ok(tx.raise(tenant, connection, "subscribed_without_consent", subject, detail, self.now()).await?)
    }

    async fn queue(
        &self,
        tx: &mut Tx,
        mailbox: MailboxId,
        address: AddressId,
        reason: &str,
        seq: i64,
    ) -> Result<(), ServiceError> {
        let purpose = Some(self.connection.purpose);
        let new = NewWithdrawal { mailbox, address, purpose, scope: Scope::Purpose, reason, seq };
        tx.queue_withdrawal(self.tenant.id, &new, self.now()).await?;
        Ok(())
    }

    /// A mailbox that the walk did not see is asked for by name before anything is believed.
    async fn look_for_vanished(&self) -> Result<(), ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let limit = i64::try_from(self.account.descriptor.look).unwrap_or(1);
        let mut after = MailboxId(Uuid::nil());
        loop {
            let page = self.core.store.vanished(tenant, connection, after, limit, self.now()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = *last;
            let mut named = Vec::new();
            for mailbox in page {
                let addresses = self.core.store.addresses_of(tenant, mailbox).await?;
                named.extend(addresses.into_iter().next());
            }
            let emails: Vec<EmailAddress> = named.iter().map(|address| address.email.clone()).collect();
            let looks = self.looks_of(&emails).await?;
            let mut tx = self.begin().await?;
            for (address, look) in named.iter().zip(looks) {
                let Some(look) = look else { continue };
                if look.mailable() || look.unsubscribed || look.blocked {
                    self.weigh(&mut tx, address.mailbox, look).await?;
                } else {
                    self.vanish(&mut tx, address, look).await?;
                }
            }
            tx.commit().await?;
        }
    }

    async fn vanish(&self, tx: &mut Tx, address: &Address, look: Look) -> Result<(), ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let known = tx.holdings(tenant, connection, &[address.mailbox]).await?.remove(&address.mailbox);
        let known = known.unwrap_or(Holding::never(address.mailbox, address.id));
        tx.keep_holdings(tenant, connection, &[Holding { held: Held::Missing, ..known }]).await?;
        self.provider_says(tx, address, ProviderAct::Delete, look).await?;
        let detail = "no longer on the provider's list; it is not put back without a decision";
        tx.raise(tenant, connection, "deleted_at_provider", address.mailbox.0, detail, self.now()).await?;
        Ok(())
    }

    /// People on the managed list whom nobody here knows have not consented here: they are taken off too.
    async fn take_off_strangers(&self) -> Result<(), ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let mut after = String::new();
        loop {
            let page = self.core.store.strangers(tenant, connection, &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.remote_id);
            let mut tx = self.begin().await?;
            // An import may be making the same mailbox known.
            tx.lock_head(tenant).await?;
            for stranger in page {
                self.adopt_stranger(&mut tx, &stranger).await?;
            }
            tx.commit().await?;
        }
    }

    async fn adopt_stranger(&self, tx: &mut Tx, stranger: &Stranger) -> Result<(), ServiceError> {
        let corrupt = StoreError::Corrupt { table: "remote_contact", column: "sealed_email" };
        let plain = self.key.open(self.connection.id.0, "remote", &stranger.sealed_email).map_err(StoreError::from)?;
        let Some(email) = std::str::from_utf8(&plain).ok().and_then(|text| EmailAddress::parse(text).ok()) else {
            return Err(corrupt.into());
        };
        let mac = self.key.address_mac(&email.folded());
        if !tx.mailboxes_by_mac(self.tenant.id, &[mac]).await?.is_empty() {
            return Ok(());
        }
        let mailbox = MailboxId(self.core.id());
        let address = Address { id: AddressId(self.core.id()), mailbox, email, role: false };
        tx.insert_mailboxes(self.tenant.id, &[(mailbox, mac)]).await?;
        tx.insert_addresses(self.tenant.id, std::slice::from_ref(&address), self.now()).await?;
        let line = |purpose, kind, actor| NewLine {
            address: address.id,
            mailbox,
            purpose,
            kind,
            actor,
            detail: None,
            payload: json!({
                "address": address.email.as_str(), "found_by": "walk", "connection": self.connection.slug,
            }),
            new_address: true,
        };
        let mut lines = vec![line(Some(self.connection.purpose), Kind::ProviderResubscribed, Actor::Provider)];
        // Whoever said no while nobody here knew them comes in as somebody who said no.
        for purpose in suppressed(tx, self.tenant.id, &[mac]).await?.remove(&mac).unwrap_or_default() {
            let purpose = (purpose != EVERY_PURPOSE).then_some(purpose);
            lines.push(line(purpose, Kind::SuppressionMatched, Actor::System));
        }
        let kept = tx.append(&self.tenant, &self.key, &lines, self.now(), &*self.core.random).await?;
        let holding =
            Holding { held: Held::Subscribed, seen_mailable_at: self.now(), ..Holding::never(mailbox, address.id) };
        tx.keep_holdings(self.tenant.id, self.connection.id, &[holding]).await?;
        let detail = "somebody unknown here was on the managed list; taken off";
        tx.raise(self.tenant.id, self.connection.id, "stranger_on_list", self.connection.id.0, detail, self.now())
            .await?;
        let seq = kept.iter().map(|kept| kept.standing.seq).max().unwrap_or(0);
        self.queue(tx, mailbox, address.id, "stranger", seq).await
    }
}
