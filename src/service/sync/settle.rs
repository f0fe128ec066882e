//! Subscriptions without an answer, once they can no longer land.

use crate::domain::ids::MailboxId;
use crate::domain::plan::Held;
use crate::service::ServiceError;
use crate::service::sync::Session;
use crate::store::Holding;
use consentd_provider::Look;
use std::collections::HashMap;

/// Up to this many are asked for by name; more are found by a walk.
pub(super) const BY_NAME: usize = 50;

impl Session<'_> {
    /// Finds out what became of them. Who should be there and is not will be in the next plan.
    // race model: `Action::Settles`, then `Look(_, Settle)` and `Weigh` in tests/it/race/steps.rs
    pub(super) async fn settle_unknown(&self) -> Result<bool, ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let settled = self.core.store.settled_holdings(tenant, connection, self.now(), 2_000).await?;
        let Some(since) = settled.iter().map(|holding| holding.unsettled_until).max() else { return Ok(false) };
        let by_name = settled.len() <= BY_NAME;
        let looks = if by_name {
            self.look_at(&settled).await?
        } else if self.walked_since(since).await? {
            let mailboxes: Vec<MailboxId> = settled.iter().map(|holding| holding.mailbox).collect();
            let mut tx = self.begin().await?;
            let looks = tx.walked(tenant, connection, &mailboxes).await?;
            tx.commit().await?;
            looks
        } else {
            if self.connection.walk_wanted_at.is_none() {
                self.want_walk().await?;
            }
            return Ok(false);
        };
        let now = self.now();
        let mut kept = Vec::with_capacity(settled.len());
        let mut refused = Vec::new();
        let mut tx = self.begin().await?;
        for holding in settled {
            // Whom the provider would not tell about is asked after again.
            let look = match looks.get(&holding.mailbox) {
                Some(look) => *look,
                None if by_name => continue,
                None => Look::default(),
            };
            let mut holding = Holding { unsettled_until: 0, basis_seq: 0, digest: [0; 16], ..holding };
            if look.mailable() {
                holding.held = Held::Subscribed;
                holding.seen_mailable_at = now;
            } else if look.unsubscribed || look.blocked {
                holding.held = Held::Withdrawn;
                refused.push((holding.mailbox, look));
            } else {
                holding.held = Held::Never;
            }
            tx.mark_dirty(tenant, holding.mailbox, self.connection.purpose, now).await?;
            kept.push(holding);
        }
        tx.keep_holdings(tenant, connection, &kept).await?;
        for (mailbox, look) in refused {
            self.weigh(&mut tx, mailbox, look).await?;
        }
        tx.commit().await?;
        Ok(!kept.is_empty())
    }

    /// Asks for mailboxes by name.
    pub(super) async fn look_at(&self, holdings: &[Holding]) -> Result<HashMap<MailboxId, Look>, ServiceError> {
        let mut looks = HashMap::new();
        for chunk in holdings.chunks(self.account.descriptor.look.max(1)) {
            let mut named = Vec::with_capacity(chunk.len());
            for holding in chunk {
                if let Some(address) = self.core.store.address(self.tenant.id, holding.address).await? {
                    named.push(address);
                }
            }
            let emails: Vec<_> = named.iter().map(|address| address.email.clone()).collect();
            let found = self.looks_of(&emails).await?;
            let told = named.iter().map(|address| address.mailbox).zip(found);
            looks.extend(told.filter_map(|(mailbox, look)| Some((mailbox, look?))));
        }
        Ok(looks)
    }
}
