//! Keeping `reach` in step: who can be reached for a purpose, flat enough to be filtered at once.

use crate::domain::ids::{MailboxId, RecordId, TenantId};
use crate::store::db::sql;
use crate::store::holding::id_list;
use crate::store::record::Keyed;
use crate::store::{Address, Kept, StoreError, Tx};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Mailboxes made anew in one go.
const PAGE: usize = 1_000;

/// A mailbox that nobody knew before, with everything there is about it.
#[derive(Default)]
struct Newcomer<'a> {
    /// The spelling with the lowest id speaks for it.
    speaker: Option<&'a Address>,
    spellings: usize,
    records: BTreeMap<RecordId, &'a Keyed<'a>>,
}

/// A row of the table, but for the tenant.
struct Reached<'a> {
    kept: &'a Kept,
    newcomer: &'a Newcomer<'a>,
    speaker: &'a Address,
    record: Option<&'a Keyed<'a>>,
}

/// The rows that `reach/fill` makes of the same.
fn reached<'a>(newcomers: &'a HashMap<MailboxId, Newcomer<'a>>, kept: &'a [Kept]) -> Vec<Reached<'a>> {
    let mut rows = Vec::with_capacity(kept.len());
    for kept in kept {
        let Some(newcomer) = newcomers.get(&kept.mailbox) else { continue };
        let Some(speaker) = newcomer.speaker.filter(|speaker| speaker.id == kept.address) else { continue };
        let row = |record| Reached { kept, newcomer, speaker, record };
        rows.extend(newcomer.records.values().map(|record| row(Some(*record))));
        if newcomer.records.is_empty() {
            rows.push(row(None));
        }
    }
    rows.sort_unstable_by_key(|row| (row.kept.purpose, row.kept.mailbox, row.record.map(|record| record.record.id)));
    rows
}

impl Tx {
    /// Makes the rows of mailboxes that nobody knew before: all there is about them are these spellings, these records
    /// (which may hold others as well) and where they stand. Reads nothing.
    pub(crate) async fn add_reach(
        &mut self,
        tenant: TenantId,
        mailboxes: impl Iterator<Item = MailboxId>,
        addresses: &[Address],
        records: &[Keyed<'_>],
        kept: &[Kept],
    ) -> Result<(), StoreError> {
        let mut newcomers: HashMap<MailboxId, Newcomer<'_>> =
            mailboxes.map(|mailbox| (mailbox, Newcomer::default())).collect();
        for address in addresses {
            if let Some(newcomer) = newcomers.get_mut(&address.mailbox) {
                newcomer.spellings += 1;
                let lower = |speaker: &&Address| speaker.id < address.id;
                newcomer.speaker = newcomer.speaker.filter(lower).or(Some(address));
            }
        }
        for record in records {
            for (_, mailbox) in &record.record.addresses {
                if let Some(newcomer) = newcomers.get_mut(mailbox) {
                    newcomer.records.insert(record.record.id, record);
                }
            }
        }
        let rows = reached(&newcomers, kept);
        self.insert_many(sql!("reach/insert"), 19, &rows, |row, reached| {
            let (kept, standing) = (reached.kept, &reached.kept.standing);
            let record = reached.record;
            let person = record.map(|record| &record.record.person);
            let search = record.map_or("", |record| &record.search);
            row.bind(tenant.0)?
                .bind(kept.purpose.0)?
                .bind(kept.mailbox.0)?
                .bind(record.map_or(Uuid::nil(), |record| record.record.id.0))?
                .bind(reached.newcomer.spellings > 1)?
                .bind(reached.newcomer.records.len() > 1)?
                .bind(reached.newcomer.records.values().any(|record| !record.record.bin))?
                .bind(standing.state.as_word())?
                .bind(standing.flags.bits())?
                .bind(standing.basis.and_then(|basis| basis.valid_until))?
                .bind(record.map_or("", |record| record.record.kind.word()))?
                .bind(person.is_some_and(|person| person.prospect))?
                .bind(person.is_some_and(|person| person.professional))?
                .bind(person.map_or("", |person| person.language.as_str()))?
                .bind(person.map_or("", |person| person.postcode.as_str()))?
                .bind(record.map_or("", |record| record.town_key.as_str()))?
                .bind(record.map_or("", |record| record.country_key.as_str()))?
                .bind(record.map_or("", |record| record.tag_keys.as_str()))?
                .bind(format!("{search} {}", reached.speaker.email.folded()))?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Makes the rows of these mailboxes anew, after addresses or records came, went or changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn refresh_reach(&mut self, tenant: TenantId, mailboxes: &[MailboxId]) -> Result<(), StoreError> {
        for page in mailboxes.chunks(PAGE) {
            let list = id_list(page);
            self.q(sql!(split "reach/clear")).bind(tenant.0).bind(list.clone()).exec().await?;
            self.q(sql!(split "reach/fill")).bind(tenant.0).bind(list).exec().await?;
        }
        Ok(())
    }

    /// Takes over the standings of these mailboxes; their addresses and records are as they were.
    pub(crate) async fn follow_reach(&mut self, tenant: TenantId, mailboxes: &[MailboxId]) -> Result<(), StoreError> {
        for page in mailboxes.chunks(PAGE) {
            self.q(sql!(split "reach/follow")).bind(tenant.0).bind(id_list(page)).exec().await?;
        }
        Ok(())
    }

    /// Makes the rows of all mailboxes anew, after a purpose was added or standings were rebuilt.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn refresh_all_reach(&mut self, tenant: TenantId) -> Result<(), StoreError> {
        let mut after = MailboxId(Uuid::nil());
        loop {
            let page = self.mailboxes_after(tenant, after, i64::try_from(PAGE).unwrap_or(1)).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = *last;
            self.refresh_reach(tenant, &page).await?;
        }
    }
}
