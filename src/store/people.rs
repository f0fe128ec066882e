//! Mailboxes with everything a plan asks about them: spellings, standings, and what the CRM knows.

use crate::domain::contact::{Person, RecordKind};
use crate::domain::fold::Standing;
use crate::domain::ids::{AddressId, MailboxId, PurposeId, RecordId, TenantId};
use crate::store::address::addresses_of_mailboxes;
use crate::store::db::{Ask, sql};
use crate::store::holding::id_list;
use crate::store::standing::standings_of_mailboxes;
use crate::store::{Address, StoreError, Tx};
use std::collections::HashMap;
use uuid::Uuid;

/// One mailbox as a plan sees it.
#[derive(Debug, Clone)]
pub struct PersonRow {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its spellings, and where each stands for the purpose asked about.
    pub variants: Vec<(Address, Standing)>,
    /// Whether a record outside the bin holds it.
    pub in_crm: bool,
    /// The fields of the record that speaks for it: outside the bin first, then customer, address book, supplier.
    pub person: Person,
    /// Which record that is.
    pub record: Option<Speaking>,
}

/// The record that speaks for a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaking {
    /// Our id.
    pub id: RecordId,
    /// Where in the CRM it is.
    pub kind: RecordKind,
    /// The CRM's id.
    pub crm_id: String,
    /// In the CRM's bin.
    pub bin: bool,
}

#[derive(sqlx::FromRow)]
struct RecordRow {
    mailbox_id: Uuid,
    id: Uuid,
    kind: String,
    crm_id: String,
    first_name: String,
    last_name: String,
    company: String,
    language: String,
    postcode: String,
    town: String,
    country: String,
    prospect: bool,
    professional: bool,
    bin: bool,
}

/// What a plan or an audience needs to know about these mailboxes, in their order; unknown ones are left out.
pub(crate) async fn people<A: Ask>(
    ask: &mut A,
    tenant: TenantId,
    purpose: PurposeId,
    mailboxes: &[MailboxId],
) -> Result<Vec<PersonRow>, StoreError> {
    let mut standings: HashMap<AddressId, Standing> = standings_of_mailboxes(ask, tenant, purpose, mailboxes)
        .await?
        .into_iter()
        .map(|kept| (kept.address, kept.standing))
        .collect();
    let records: Vec<RecordRow> =
        ask.ask(sql!(split "record_address/people")).bind(tenant.0).bind(id_list(mailboxes)).all().await?;
    let mut speaking: HashMap<MailboxId, RecordRow> = HashMap::new();
    for row in records {
        speaking.entry(MailboxId(row.mailbox_id)).or_insert(row);
    }
    let mut addresses = addresses_of_mailboxes(ask, tenant, mailboxes).await?;
    let mut people = Vec::with_capacity(mailboxes.len());
    for mailbox in mailboxes {
        let Some(spellings) = addresses.remove(mailbox) else { continue };
        let variants = spellings
            .into_iter()
            .map(|address| {
                let standing = standings.remove(&address.id).unwrap_or_default();
                (address, standing)
            })
            .collect();
        let record = speaking.remove(mailbox).map(RecordRow::split).transpose()?;
        let in_crm = record.as_ref().is_some_and(|(record, _)| !record.bin);
        let (record, person) = record.map_or((None, Person::default()), |(record, person)| (Some(record), person));
        people.push(PersonRow { mailbox: *mailbox, variants, in_crm, person, record });
    }
    Ok(people)
}

impl Tx {
    /// What a plan needs to know about these mailboxes, in their order; unknown ones are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn people(
        &mut self,
        tenant: TenantId,
        purpose: PurposeId,
        mailboxes: &[MailboxId],
    ) -> Result<Vec<PersonRow>, StoreError> {
        people(self, tenant, purpose, mailboxes).await
    }

    /// The next mailboxes of a tenant in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mailboxes_after(
        &mut self,
        tenant: TenantId,
        after: MailboxId,
        limit: i64,
    ) -> Result<Vec<MailboxId>, StoreError> {
        let rows: Vec<(Uuid,)> = self.q(sql!("mailbox/after")).bind(tenant.0).bind(after.0).bind(limit).all().await?;
        Ok(rows.into_iter().map(|(id,)| MailboxId(id)).collect())
    }
}

impl RecordRow {
    fn split(self) -> Result<(Speaking, Person), StoreError> {
        let kind = RecordKind::parse(&self.kind).ok_or(StoreError::Corrupt { table: "record", column: "kind" })?;
        let record = Speaking { id: RecordId(self.id), kind, crm_id: self.crm_id, bin: self.bin };
        let person = Person {
            first_name: self.first_name,
            last_name: self.last_name,
            company: self.company,
            language: self.language,
            postcode: self.postcode,
            town: self.town,
            country: self.country,
            prospect: self.prospect,
            professional: self.professional,
        };
        Ok((record, person))
    }
}
