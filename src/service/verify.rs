//! Checking a tenant's history and rebuilding what is derived from it.

use crate::domain::chain;
use crate::domain::fold::Standing;
use crate::domain::ids::{AddressId, MailboxId, PurposeId};
use crate::service::{Core, ServiceError};
use crate::store::{Kept, Tenant, TenantKey};
use std::collections::{BTreeMap, HashMap};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// Lines read.
    pub lines: i64,
    /// The first line that does not fit, if any.
    pub broken_at: Option<i64>,
    /// What is wrong with it.
    pub fault: Option<String>,
    /// Payloads that were opened and compared with their digest.
    pub payloads: i64,
    /// Payloads whose key was destroyed.
    pub erased: i64,
    /// Kept standings that differ from the fold.
    pub standings_wrong: i64,
    /// The last link, in hexadecimal.
    pub head: String,
}

impl Verified {
    /// Whether nothing was found wrong.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.broken_at.is_none() && self.standings_wrong == 0
    }
}

/// Lines read in one go.
const PAGE: i64 = 2_000;

impl Core {
    /// Reads a tenant's whole history, recomputes every link, opens every payload whose key is there, folds everything
    /// anew and compares with the kept standings.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the history cannot be read at all.
    pub async fn verify(&self, tenant: &Tenant, key: &TenantKey) -> Result<Verified, ServiceError> {
        let purposes = self.store.purposes(tenant.id).await?;
        let head = self.store.head(tenant.id).await?;
        let mut found = Verified {
            lines: 0,
            broken_at: None,
            fault: None,
            payloads: 0,
            erased: 0,
            standings_wrong: 0,
            head: String::new(),
        };
        let mut link = chain::genesis(tenant.id);
        let mut persons: HashMap<AddressId, Option<[u8; 32]>> = HashMap::new();
        let mut folded: BTreeMap<(AddressId, PurposeId), Standing> = BTreeMap::new();
        'pages: loop {
            let page = self.store.lines_after(tenant.id, found.lines, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for line in page {
                let expected = chain::link(&link, &line.header, &line.payload_mac);
                if line.header.seq != found.lines + 1 || line.hash != expected {
                    found.broken_at = Some(found.lines + 1);
                    found.fault = Some("the line does not follow from the one before it".into());
                    break 'pages;
                }
                link = line.hash;
                found.lines += 1;
                let address = line.header.address;
                let person = if let Some(person) = persons.get(&address) {
                    *person
                } else {
                    let person = self.store.person_key(tenant.id, key, address).await?;
                    persons.insert(address, person);
                    person
                };
                match person.map(|person| self.store.payload(&line, &person)) {
                    None => found.erased += 1,
                    Some(Ok(_)) => found.payloads += 1,
                    Some(Err(_)) => {
                        found.broken_at = Some(found.lines);
                        found.fault = Some("the payload is not the one that was recorded".into());
                        break 'pages;
                    }
                }
                for purpose in purposes.iter().filter(|purpose| line.concerns(purpose.id)) {
                    let standing = folded.entry((address, purpose.id)).or_default();
                    *standing = standing.after(&line.event());
                }
            }
        }
        if found.broken_at.is_none() && (head.seq != found.lines || head.hash != link) {
            found.broken_at = Some(found.lines + 1);
            found.fault = Some("the history ends before its recorded head".into());
        }
        found.standings_wrong = self.wrong_standings(tenant, &folded).await?;
        found.head = link.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        Ok(found)
    }

    async fn wrong_standings(
        &self,
        tenant: &Tenant,
        folded: &BTreeMap<(AddressId, PurposeId), Standing>,
    ) -> Result<i64, ServiceError> {
        let mut wrong = 0;
        let mut address = None;
        let mut kept: HashMap<PurposeId, Kept> = HashMap::new();
        for ((id, purpose), standing) in folded {
            if address != Some(*id) {
                address = Some(*id);
                let all = self.store.standings(tenant.id, *id).await?;
                kept = all.into_iter().map(|kept| (kept.purpose, kept)).collect();
            }
            if kept.get(purpose).map(|kept| &kept.standing) != Some(standing) {
                wrong += 1;
            }
        }
        Ok(wrong)
    }

    /// Drops the kept standings and folds them anew from the history.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; the old standings stay then.
    pub async fn rebuild(&self, tenant: &Tenant) -> Result<i64, ServiceError> {
        let purposes = self.store.purposes(tenant.id).await?;
        let mut tx = self.store.begin().await?;
        let head = tx.lock_head(tenant.id).await?;
        let mut folded: BTreeMap<(AddressId, PurposeId), Kept> = BTreeMap::new();
        let mut mailboxes: HashMap<AddressId, MailboxId> = HashMap::new();
        let mut seq = 0;
        while seq < head.seq {
            let page = tx.lines_after(tenant.id, seq, PAGE).await?;
            let Some(last) = page.last() else { break };
            seq = last.header.seq;
            for line in &page {
                let address = line.header.address;
                let mailbox = if let Some(mailbox) = mailboxes.get(&address) {
                    *mailbox
                } else {
                    let found = tx.mailbox_of(tenant.id, address).await?;
                    mailboxes.insert(address, found);
                    found
                };
                for purpose in purposes.iter().filter(|purpose| line.concerns(purpose.id)) {
                    let kept = folded.entry((address, purpose.id)).or_insert_with(|| Kept {
                        address,
                        mailbox,
                        purpose: purpose.id,
                        standing: Standing::default(),
                    });
                    kept.standing = kept.standing.after(&line.event());
                }
            }
        }
        let kept: Vec<Kept> = folded.into_values().collect();
        tx.clear_standings(tenant.id).await?;
        tx.keep(tenant.id, &kept).await?;
        tx.refresh_all_reach(tenant.id).await?;
        tx.commit().await?;
        Ok(i64::try_from(kept.len()).unwrap_or(i64::MAX))
    }
}
