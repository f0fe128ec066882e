//! Checking a tenant's history and rebuilding what is derived from it.

use crate::domain::chain;
use crate::domain::consent::Kind;
use crate::domain::fold::{Event, Standing, fold};
use crate::domain::ids::{AddressId, MailboxId, PurposeId};
use crate::service::{Core, ServiceError};
use crate::store::{Kept, Line, StoreError, Tenant, TenantKey};
use std::collections::{BTreeMap, HashMap, HashSet};

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

/// What has been read of a history so far.
struct Reading {
    found: Verified,
    link: chain::Hash,
    persons: HashMap<AddressId, Option<[u8; 32]>>,
    /// The first line of everybody whose key is gone.
    keyless: BTreeMap<AddressId, i64>,
    erased: HashSet<AddressId>,
    folded: BTreeMap<(AddressId, PurposeId), Standing>,
}

impl Reading {
    fn broken(&mut self, at: i64, fault: &str) {
        self.found.broken_at = Some(at);
        self.found.fault = Some(fault.to_owned());
    }
}

impl Core {
    /// Reads a tenant's whole history, recomputes every link, opens every payload whose key is there, folds everything
    /// anew and compares with the kept standings. Others may go on writing meanwhile.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the history cannot be read at all.
    pub async fn verify(&self, tenant: &Tenant, key: &TenantKey) -> Result<Verified, ServiceError> {
        let mut reading = Reading {
            found: Verified {
                lines: 0,
                broken_at: None,
                fault: None,
                payloads: 0,
                erased: 0,
                standings_wrong: 0,
                head: String::new(),
            },
            link: chain::genesis(tenant.id),
            persons: HashMap::new(),
            keyless: BTreeMap::new(),
            erased: HashSet::new(),
            folded: BTreeMap::new(),
        };
        let purposes = self.store.purposes(tenant.id).await?;
        while reading.found.broken_at.is_none() {
            // From the very first: a line slipped in before number 1 is a forgery too.
            let after = if reading.found.lines == 0 { i64::MIN } else { reading.found.lines };
            let page = self.store.lines_after(tenant.id, after, PAGE).await?;
            if page.is_empty() && self.is_whole(tenant, &mut reading).await? {
                break;
            }
            for line in page {
                if !self.read_line(tenant, key, &mut reading, &line).await? {
                    break;
                }
                for purpose in purposes.iter().filter(|purpose| line.concerns(purpose.id)) {
                    let standing = reading.folded.entry((line.header.address, purpose.id)).or_default();
                    *standing = standing.after(&line.event());
                }
            }
        }
        let lost =
            reading.keyless.iter().filter(|(address, _)| !reading.erased.contains(address)).map(|(_, at)| *at).min();
        if let Some(at) = lost.filter(|_| reading.found.broken_at.is_none()) {
            reading.broken(at, "the person's key is gone, but nobody recorded an erasure");
        }
        let mut found = reading.found;
        found.standings_wrong = self.wrong_standings(tenant, &reading.folded).await?;
        found.head = reading.link.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        Ok(found)
    }

    /// Whether what was read ends where the recorded head says. False while others have appended more.
    async fn is_whole(&self, tenant: &Tenant, reading: &mut Reading) -> Result<bool, ServiceError> {
        let lines = reading.found.lines;
        let head = self.store.head(tenant.id).await?;
        if head.seq > lines && !self.store.lines_after(tenant.id, lines, 1).await?.is_empty() {
            return Ok(false);
        }
        if head.seq != lines || head.hash != reading.link {
            reading.broken(lines + 1, "the history does not end at its recorded head");
        }
        Ok(true)
    }

    /// Checks one line: its place in the chain and its payload. False when it does not hold.
    async fn read_line(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        reading: &mut Reading,
        line: &Line,
    ) -> Result<bool, ServiceError> {
        let expected = chain::link(&reading.link, &line.header, &line.payload_mac);
        let seq = reading.found.lines + 1;
        if line.header.seq != seq || line.hash != expected {
            reading.broken(seq, "the line does not follow from the one before it");
            return Ok(false);
        }
        reading.link = line.hash;
        reading.found.lines = seq;
        let address = line.header.address;
        if line.header.kind == Kind::Erased {
            reading.erased.insert(address);
        }
        let person = match reading.persons.get(&address) {
            Some(person) => *person,
            None => match self.store.person_key(tenant.id, key, address).await {
                Ok(person) => *reading.persons.entry(address).or_insert(person),
                Err(StoreError::Vault(_)) => {
                    reading.broken(seq, "the person's key is not the one that was kept");
                    return Ok(false);
                }
                Err(other) => return Err(other.into()),
            },
        };
        match person.map(|person| self.store.payload(line, &person)) {
            None => {
                reading.found.erased += 1;
                reading.keyless.entry(address).or_insert(seq);
            }
            Some(Ok(_)) => reading.found.payloads += 1,
            Some(Err(_)) => {
                reading.broken(seq, "the payload is not the one that was recorded");
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn wrong_standings(
        &self,
        tenant: &Tenant,
        folded: &BTreeMap<(AddressId, PurposeId), Standing>,
    ) -> Result<i64, ServiceError> {
        let mut wrong = self.store.stray_standings(tenant.id).await?;
        let mut address = None;
        let mut kept: HashMap<PurposeId, Kept> = HashMap::new();
        for ((id, purpose), standing) in folded {
            if address != Some(*id) {
                address = Some(*id);
                let all = self.store.standings(tenant.id, *id).await?;
                kept = all.into_iter().map(|kept| (kept.purpose, kept)).collect();
            }
            let differs = kept.get(purpose).map(|kept| &kept.standing) != Some(standing);
            if differs && self.stands_wrong(tenant, *id, *purpose).await? {
                wrong += 1;
            }
        }
        Ok(wrong)
    }

    /// Looks again at one standing while nobody can append.
    async fn stands_wrong(
        &self,
        tenant: &Tenant,
        address: AddressId,
        purpose: PurposeId,
    ) -> Result<bool, ServiceError> {
        let mut tx = self.store.begin().await?;
        tx.lock_head(tenant.id).await?;
        let lines = tx.lines_of(tenant.id, address).await?;
        let events: Vec<Event> = lines.iter().filter(|line| line.concerns(purpose)).map(Line::event).collect();
        let kept = tx.standings(tenant.id, address).await?;
        Ok(kept.iter().find(|kept| kept.purpose == purpose).map(|kept| kept.standing) != Some(fold(&events)))
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
