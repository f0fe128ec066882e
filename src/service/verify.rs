//! Checking a tenant's history and rebuilding what is derived from it.

use crate::domain::chain;
use crate::domain::consent::Kind;
use crate::domain::fold::{Event, Standing, fold};
use crate::domain::ids::{AddressId, MailboxId, PurposeId, TenantId};
use crate::service::{Core, ServiceError};
use crate::store::{Kept, Line, LinesPage, OpenedKeys, Place, Tenant, TenantKey, WholeLine};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use tokio::sync::mpsc;
use uuid::Uuid;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
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
    /// Kept standings that differ from the fold; looked at where all lines hold.
    pub standings_wrong: i64,
    /// The check was stopped before it had seen everything.
    pub stopped: bool,
    /// The last link, in hexadecimal.
    pub head: String,
}

impl Verified {
    /// Whether everything was looked at and nothing was found wrong.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.broken_at.is_none() && self.standings_wrong == 0 && !self.stopped
    }
}

/// Asked with the number of lines read so far whether to go on.
pub type Watch<'w> = &'w (dyn Fn(i64) -> ControlFlow<()> + Sync);

/// Lines or standings read in one go.
const PAGE: i64 = 2_000;

/// Pages that are read ahead while others are checked.
const AHEAD: usize = 2;

/// Standings folded in one reading of the history, at about 170 bytes each. Where there are more, it is read again for the rest.
const FOLDED: usize = 900_000;

/// What has been read of a history so far. Checked beside the reading, on a thread of its own.
struct Reading {
    tenant: TenantId,
    key: TenantKey,
    purposes: Vec<PurposeId>,
    found: Verified,
    link: chain::Hash,
    opened: OpenedKeys,
    /// The first line of everybody whose key is gone.
    keyless: BTreeMap<AddressId, i64>,
    erased: HashSet<AddressId>,
    share: Share,
    folded: HashMap<Place, Standing>,
}

/// Which of the addresses are folded in this reading.
#[derive(Clone, Copy)]
struct Share {
    number: usize,
    of: usize,
}

impl Share {
    fn holds(self, address: AddressId) -> bool {
        // The end of an id is chance.
        let [.., high, low] = *address.0.as_bytes();
        usize::from(u16::from_be_bytes([high, low])) % self.of == self.number
    }
}

impl Reading {
    fn new(tenant: &Tenant, key: &TenantKey, purposes: &[PurposeId]) -> Self {
        Self {
            tenant: tenant.id,
            key: key.clone(),
            purposes: purposes.to_vec(),
            found: Verified::default(),
            link: chain::genesis(tenant.id),
            opened: OpenedKeys::default(),
            keyless: BTreeMap::new(),
            erased: HashSet::new(),
            share: Share { number: 0, of: 1 },
            folded: HashMap::new(),
        }
    }

    /// Back to before the first line, to fold that share of the addresses.
    fn begin(&mut self, share: Share) {
        self.share = share;
        self.found.lines = 0;
        self.link = chain::genesis(self.tenant);
        self.folded.clear();
    }

    /// Whether there is no use in reading on.
    const fn has_ended(&self) -> bool {
        self.found.broken_at.is_some() || self.found.stopped
    }

    fn broken(&mut self, at: i64, fault: &str) {
        self.found.broken_at = Some(at);
        self.found.fault = Some(fault.to_owned());
    }

    /// Checks a page. Stops at the first line that does not hold.
    fn take(&mut self, page: &LinesPage) {
        for line in page.lines() {
            let seq = self.found.lines + 1;
            let checked = match &line {
                Ok(line) => self.check(line, seq),
                Err(_) => Err("the line cannot be read"),
            };
            match (checked, line) {
                (Err(fault), _) => return self.broken(seq, fault),
                (Ok(()), Ok(line)) => self.fold(&line),
                (Ok(()), Err(_)) => {}
            }
        }
    }

    /// Checks one line: its place in the chain, and in the first reading its payload.
    fn check(&mut self, line: &WholeLine<'_>, seq: i64) -> Result<(), &'static str> {
        let expected = chain::link(&self.link, &line.header, &line.payload_mac);
        if line.header.seq != seq || line.hash != expected {
            return Err("the line does not follow from the one before it");
        }
        self.link = line.hash;
        self.found.lines = seq;
        let address = line.header.address;
        if line.header.kind == Kind::Erased {
            self.erased.insert(address);
        }
        if self.share.number > 0 {
            return Ok(());
        }
        match line.person(&self.key, &mut self.opened) {
            Err(_) => Err("the person's key is not the one that was kept"),
            Ok(None) => {
                self.found.erased += 1;
                self.keyless.entry(address).or_insert(seq);
                Ok(())
            }
            Ok(Some(person)) if line.opens(person) => {
                self.found.payloads += 1;
                Ok(())
            }
            Ok(Some(_)) => Err("the payload is not the one that was recorded"),
        }
    }

    fn fold(&mut self, line: &WholeLine<'_>) {
        let address = line.header.address;
        if !self.share.holds(address) {
            return;
        }
        for purpose in &self.purposes {
            if line.header.purpose.is_none_or(|own| own == *purpose) {
                let standing = self.folded.entry((address, *purpose)).or_default();
                *standing = standing.after(&line.event());
            }
        }
    }

    /// Whoever has no key must have been erased.
    fn look_for_lost_keys(&mut self) {
        if self.has_ended() {
            return;
        }
        let lost = self.keyless.iter().filter(|(address, _)| !self.erased.contains(address)).map(|(_, at)| *at).min();
        if let Some(at) = lost {
            self.broken(at, "the person's key is gone, but nobody recorded an erasure");
        }
    }
}

impl Core {
    /// Reads a tenant's whole history, recomputes every link, opens every payload whose key is there, folds everything
    /// anew and compares with the kept standings. Others may go on writing meanwhile.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the history cannot be read at all.
    pub async fn verify(&self, tenant: &Tenant, key: &TenantKey) -> Result<Verified, ServiceError> {
        self.verify_watched(tenant, key, &|_| ControlFlow::Continue(())).await
    }

    /// As [`Core::verify`], telling how far it is, and stopping when told so.
    ///
    /// # Errors
    /// As [`Core::verify`].
    pub async fn verify_watched(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        watch: Watch<'_>,
    ) -> Result<Verified, ServiceError> {
        let purposes: Vec<PurposeId> =
            self.store.purposes(tenant.id).await?.into_iter().map(|purpose| purpose.id).collect();
        let standings = usize::try_from(self.store.standing_count(tenant.id).await?).unwrap_or(0);
        let of = standings.div_ceil(FOLDED).max(1);
        let mut reading = Reading::new(tenant, key, &purposes);
        for number in 0..of {
            reading.begin(Share { number, of });
            reading.folded.reserve(standings / of);
            reading = self.read_whole(tenant, reading, watch).await?;
            if number == 0 {
                reading.look_for_lost_keys();
            }
            if reading.has_ended() {
                break;
            }
            reading.found.standings_wrong += self.wrong_standings(tenant, &mut reading).await?;
        }
        let mut found = reading.found;
        found.head = reading.link.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        Ok(found)
    }

    /// Reads to the end, which moves while others append.
    async fn read_whole(
        &self,
        tenant: &Tenant,
        mut reading: Reading,
        watch: Watch<'_>,
    ) -> Result<Reading, ServiceError> {
        loop {
            reading = self.read_on(tenant, reading, watch).await?;
            if reading.has_ended() || self.is_whole(tenant, &mut reading).await? {
                return Ok(reading);
            }
        }
    }

    /// Reads all lines there are now. While one page is checked, the next ones are read.
    async fn read_on(&self, tenant: &Tenant, reading: Reading, watch: Watch<'_>) -> Result<Reading, ServiceError> {
        // From the very first: a line slipped in before number 1 is a forgery too.
        let mut after = if reading.found.lines == 0 { i64::MIN } else { reading.found.lines };
        let (pages, mut arrived) = mpsc::channel::<LinesPage>(AHEAD);
        let checking = tokio::task::spawn_blocking(move || {
            let mut reading = reading;
            while let Some(page) = arrived.blocking_recv() {
                reading.take(&page);
                if reading.has_ended() {
                    break;
                }
            }
            reading
        });
        let mut stopped = false;
        let read = loop {
            let (page, last) = match self.store.whole_lines(tenant.id, after, PAGE).await {
                Ok(read) => read,
                Err(error) => break Err(error),
            };
            after = last;
            // Nobody takes a page any more once a line was found broken.
            if page.is_empty() || pages.send(page).await.is_err() {
                break Ok(());
            }
            stopped = watch(after).is_break();
            if stopped {
                break Ok(());
            }
        };
        drop(pages);
        let mut reading = match checking.await {
            Ok(reading) => reading,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        reading.found.stopped = stopped;
        // What was found broken before is worth more than why nothing further could be read.
        if reading.found.broken_at.is_none() {
            read?;
        }
        Ok(reading)
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

    /// Compares what is kept with what was folded; what differs is looked at again, since others may have appended meanwhile.
    async fn wrong_standings(&self, tenant: &Tenant, reading: &mut Reading) -> Result<i64, ServiceError> {
        let mut wrong = 0;
        let mut after = (AddressId(Uuid::nil()), PurposeId(Uuid::nil()));
        loop {
            let page = self.store.whole_standings(tenant.id, after, PAGE).await?.standings()?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (place @ (address, purpose), kept) in page {
                if reading.share.holds(address)
                    && reading.folded.remove(&place) != Some(kept)
                    && self.stands_wrong(tenant, address, purpose).await?
                {
                    wrong += 1;
                }
            }
        }
        for (address, purpose) in reading.folded.keys() {
            if self.stands_wrong(tenant, *address, *purpose).await? {
                wrong += 1;
            }
        }
        Ok(wrong)
    }

    /// Looks again at one standing while nobody can append. One that no line speaks of should not be there.
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
        let kept = kept.iter().find(|kept| kept.purpose == purpose).map(|kept| kept.standing);
        Ok(kept != (!events.is_empty()).then(|| fold(&events)))
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
