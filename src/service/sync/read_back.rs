//! Reading back what a run wrote: a success is what the provider shows, not what it said.

use crate::clock::{SECOND, Timestamp};
use crate::domain::ids::{AddressId, MailboxId};
use crate::domain::plan::Held;
use crate::service::ServiceError;
use crate::service::sync::Session;
use crate::service::sync::settle::BY_NAME;
use crate::store::{Holding, PendingItem, Run, Tx};
use consentd_provider::Look;
use std::collections::HashMap;

/// Waits before looking again at what is not there yet: providers show their own writes late.
const WAITS: [Timestamp; 4] = [5 * SECOND, 30 * SECOND, 120 * SECOND, 600 * SECOND];

/// Items looked at in one transaction.
const PAGE: i64 = 2_000;

impl Session<'_> {
    /// Looks at everything that is pending. True when the run can end, false when it has to wait.
    pub(super) async fn read_back(&self, run: &mut Run) -> Result<bool, ServiceError> {
        let (tenant, now) = (self.tenant.id, self.now());
        let first = self.core.store.pending_items(tenant, run.id, 0, PAGE).await?;
        if first.is_empty() {
            return Ok(true);
        }
        let by_name = first.len() <= BY_NAME;
        if !by_name && !self.walked_since(run.resume_at).await? {
            if self.connection.walk_wanted_at.is_none_or(|since| since < run.resume_at) {
                self.want_walk().await?;
            }
            return Ok(false);
        }
        let last_try = usize::try_from(run.tries).unwrap_or(usize::MAX) >= WAITS.len();
        let mut missing = false;
        let mut page = first;
        while let Some(last) = page.last().map(|item| item.n) {
            let looks = self.looks(&page, by_name).await?;
            let mut tx = self.begin().await?;
            let look_of = |item: &PendingItem| looks.get(&MailboxId(item.mailbox_id)).copied().unwrap_or_default();
            let (there, rest): (Vec<&PendingItem>, Vec<&PendingItem>) =
                page.iter().partition(|item| look_of(item).mailable());
            self.confirm_items(&mut tx, run, &there).await?;
            let mailboxes: Vec<MailboxId> = rest.iter().map(|item| MailboxId(item.mailbox_id)).collect();
            let mut holdings = tx.holdings(tenant, self.connection.id, &mailboxes).await?;
            let withdrawing = tx.withdrawing(tenant, self.connection.id, &mailboxes).await?;
            let (mut kept, mut overtaken) = (Vec::new(), Vec::new());
            for item in rest {
                if withdrawing.contains(&MailboxId(item.mailbox_id)) {
                    // Off because the person left meanwhile; the withdrawal sees to the rest.
                    overtaken.push(item.n);
                    continue;
                }
                let mailbox = MailboxId(item.mailbox_id);
                let known = holdings.remove(&mailbox).unwrap_or(Holding::never(mailbox, AddressId(item.address_id)));
                match self.judge_item(&mut tx, run, item, look_of(item), known, last_try).await? {
                    Some(holding) => kept.push(holding),
                    None => missing = true,
                }
            }
            tx.resolve_items(tenant, run.id, &overtaken, "overtaken", "", "").await?;
            tx.keep_holdings(tenant, self.connection.id, &kept).await?;
            tx.commit().await?;
            // Whoever leaves does not wait until all are looked at.
            self.send_withdrawals().await?;
            page = self.core.store.pending_items(tenant, run.id, last, PAGE).await?;
        }
        if missing {
            let index = usize::try_from(run.tries).unwrap_or(usize::MAX);
            run.tries += 1;
            run.resume_at = now + WAITS.get(index).copied().unwrap_or(SECOND);
            let mut tx = self.begin().await?;
            tx.save_run(run).await?;
            tx.commit().await?;
        }
        Ok(!missing)
    }

    async fn looks(&self, page: &[PendingItem], by_name: bool) -> Result<HashMap<MailboxId, Look>, ServiceError> {
        if by_name {
            let named: Vec<Holding> = page
                .iter()
                .map(|item| Holding::never(MailboxId(item.mailbox_id), AddressId(item.address_id)))
                .collect();
            return self.look_at(&named).await;
        }
        let mailboxes: Vec<MailboxId> = page.iter().map(|item| MailboxId(item.mailbox_id)).collect();
        let mut tx = self.begin().await?;
        let looks = tx.walked(self.tenant.id, self.connection.id, &mailboxes).await?;
        tx.commit().await?;
        Ok(looks)
    }

    /// Items whose people were seen mailable are done.
    async fn confirm_items(&self, tx: &mut Tx, run: &Run, items: &[&PendingItem]) -> Result<(), ServiceError> {
        let numbers: Vec<i64> = items.iter().map(|item| item.n).collect();
        let mailboxes: Vec<MailboxId> = items.iter().map(|item| MailboxId(item.mailbox_id)).collect();
        tx.resolve_items(self.tenant.id, run.id, &numbers, "applied", "", "").await?;
        let (now, settle) = (self.now(), self.core.rules.settle);
        tx.seen_mailable(self.tenant.id, self.connection.id, &mailboxes, now, now - settle).await?;
        Ok(())
    }

    /// What a look at somebody who is not mailable means for one item; `None` when it must be looked at again.
    // race model: `Action::Weigh` after `Look(_, ReadBack)` in tests/it/race/steps.rs
    async fn judge_item(
        &self,
        tx: &mut Tx,
        run: &Run,
        item: &PendingItem,
        look: Look,
        known: Holding,
        last_try: bool,
    ) -> Result<Option<Holding>, ServiceError> {
        let (tenant, now) = (self.tenant.id, self.now());
        if known.held == Held::Withdrawn {
            tx.resolve_items(tenant, run.id, &[item.n], "overtaken", "", "").await?;
            return Ok(Some(known));
        }
        if known.held == Held::Blocked {
            return self.judge_refused(tx, run, item, look, known).await.map(Some);
        }
        if look.unsubscribed || look.blocked {
            let words = "the provider keeps the address unsubscribed or blocked";
            tx.resolve_items(tenant, run.id, &[item.n], "refused", "blocked_at_provider", words).await?;
            tx.keep_holdings(tenant, self.connection.id, &[Holding { unsettled_until: 0, ..known }]).await?;
            self.weigh(tx, known.mailbox, look).await?;
            return Ok(Some(Holding { held: Held::Blocked, unsettled_until: 0, ..known }));
        }
        if !last_try {
            return Ok(None);
        }
        let words = "the provider confirmed it, and does not show it";
        tx.resolve_items(tenant, run.id, &[item.n], "failed", "no_effect", words).await?;
        tx.raise(tenant, self.connection.id, "no_effect", self.connection.id.0, words, now).await?;
        let unsettled_until = now + self.core.rules.settle;
        Ok(Some(Holding { held: Held::Unknown, unsettled_until, add_unknown_at: now, ..known }))
    }

    /// The provider refused a yes, so what keeps it from mailing the person is newer than that yes, or not ours to
    /// lift. It is believed, and only another yes is tried.
    async fn judge_refused(
        &self,
        tx: &mut Tx,
        run: &Run,
        item: &PendingItem,
        look: Look,
        known: Holding,
    ) -> Result<Holding, ServiceError> {
        let words = "the provider keeps the address unsubscribed or blocked";
        tx.resolve_items(self.tenant.id, run.id, &[item.n], "refused", "blocked_at_provider", words).await?;
        let told = look.unsubscribed || look.blocked;
        if let (true, Some((address, standing))) = (told, self.best_of(tx, known.mailbox).await?) {
            self.believe(tx, &address, &standing, known, look).await?;
            return Ok(Holding { held: Held::Withdrawn, ..known });
        }
        Ok(known)
    }
}
