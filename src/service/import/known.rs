//! What the database knows about the addresses of a batch.

use crate::clock::Timestamp;
use crate::domain::fold::Standing;
use crate::domain::ids::{MailboxId, PurposeId, TenantId};
use crate::domain::mailbox::best;
use crate::store::{
    Address, Ask, StoreError, addresses_of_mailboxes, mailboxes_by_mac, mailboxes_in_crm, standings_of_mailboxes,
    suppressed,
};
use std::collections::{BTreeSet, HashMap};

pub(super) struct Known {
    mailboxes: HashMap<[u8; 32], MailboxId>,
    standings: HashMap<(MailboxId, PurposeId), Standing>,
    spellings: HashMap<MailboxId, Vec<Address>>,
    suppressed: HashMap<[u8; 32], Vec<PurposeId>>,
    /// Mailboxes that records hold, and whether one of these is outside the bin; looked up where `places` asked for it.
    pub(super) in_crm: HashMap<MailboxId, bool>,
}

impl Known {
    pub(super) async fn load<A: Ask>(
        ask: &mut A,
        tenant: TenantId,
        purposes: &[PurposeId],
        macs: impl Iterator<Item = [u8; 32]>,
        places: bool,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let macs: Vec<[u8; 32]> = macs.collect::<BTreeSet<_>>().into_iter().collect();
        let mailboxes = mailboxes_by_mac(ask, tenant, &macs).await?;
        let suppressed = suppressed(ask, tenant, &macs).await?;
        let mut known = Self {
            mailboxes,
            standings: HashMap::new(),
            spellings: HashMap::new(),
            suppressed,
            in_crm: HashMap::new(),
        };
        if known.mailboxes.is_empty() {
            return Ok(known);
        }
        let ids: Vec<MailboxId> = known.mailboxes.values().copied().collect::<BTreeSet<_>>().into_iter().collect();
        for purpose in purposes {
            let mut of_mailbox: HashMap<MailboxId, Vec<Standing>> = HashMap::new();
            for kept in standings_of_mailboxes(ask, tenant, *purpose, &ids).await? {
                of_mailbox.entry(kept.mailbox).or_default().push(kept.standing);
            }
            let best = of_mailbox.into_iter().map(|(mailbox, all)| ((mailbox, *purpose), best(&all, now).1));
            known.standings.extend(best);
        }
        known.spellings = addresses_of_mailboxes(ask, tenant, &ids).await?;
        if places {
            known.in_crm = mailboxes_in_crm(ask, tenant, &ids).await?;
        }
        Ok(known)
    }

    pub(super) fn mailbox(&self, mac: &[u8; 32]) -> Option<MailboxId> {
        self.mailboxes.get(mac).copied()
    }

    /// Where the spelling that speaks for a mailbox stands.
    pub(super) fn standing(&self, mailbox: MailboxId, purpose: PurposeId) -> Standing {
        self.standings.get(&(mailbox, purpose)).copied().unwrap_or_default()
    }

    pub(super) fn spellings(&self, mailbox: MailboxId) -> &[Address] {
        self.spellings.get(&mailbox).map_or(&[], Vec::as_slice)
    }

    /// For what an address is on the suppression list.
    pub(super) fn suppressed(&self, mac: &[u8; 32]) -> &[PurposeId] {
        self.suppressed.get(mac).map_or(&[], Vec::as_slice)
    }
}
