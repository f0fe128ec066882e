//! Mailboxes with everything a plan asks about them: spellings, standings, and what the CRM knows.

use crate::clock::Timestamp;
use crate::domain::consent::State;
use crate::domain::contact::{Person, RecordKind};
use crate::domain::fold::{Flags, Standing};
use crate::domain::ids::{AddressId, MailboxId, PurposeId, RecordId, TenantId};
use crate::store::address::addresses_of_mailboxes;
use crate::store::db::{Ask, sql};
use crate::store::holding::id_list;
use crate::store::search::typical;
use crate::store::standing::standings_of_mailboxes;
use crate::store::{Address, Connection, StoreError, Tx};
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

/// Where the people of a stretch of mailboxes stand in front of a connection, as far as one statement can tell.
#[derive(Debug, Clone, Default)]
pub struct Census {
    /// People who must be looked at one by one.
    pub weigh: Vec<MailboxId>,
    /// How many are on the list with what would be pushed now.
    pub current: i64,
    /// People who may not be mailed and are not on the list: standing, whether the CRM has them, and how many they are.
    pub quiet: Vec<(Standing, bool, i64)>,
}

#[derive(sqlx::FromRow)]
struct CensusRow {
    class: String,
    state: String,
    flags: i64,
    in_crm: i64,
    lapsed: i64,
    weighed: Option<Uuid>,
    people: i64,
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

    /// The last of the next `count` mailboxes of a tenant in the order of their ids; the highest id there can be when no
    /// more than that are left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bound(&mut self, tenant: TenantId, after: MailboxId, count: i64) -> Result<MailboxId, StoreError> {
        let query = self.q(sql!("mailbox/bound")).bind(tenant.0).bind(after.0).bind(count - 1);
        let row: Option<(Uuid,)> = query.opt().await?;
        Ok(row.map_or(MailboxId(Uuid::max()), |(id,)| MailboxId(id)))
    }

    /// Counts the mailboxes after `after` up to `until` in front of a connection. `mapping` is
    /// [`mapping_digest`](crate::domain::contact::mapping_digest) of its mapping.
    ///
    /// Whoever is counted as current was compared with the standing and the record themselves; whoever is counted as quiet
    /// with what `reach` makes of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn census(
        &mut self,
        connection: &Connection,
        (after, until): (MailboxId, MailboxId),
        mapping: [u8; 16],
        now: Timestamp,
    ) -> Result<Census, StoreError> {
        let query = self.q(sql!("mailbox/census")).bind(connection.tenant.0).bind(connection.id.0);
        let query = query.bind(connection.purpose.0).bind(after.0).bind(until.0).bind(mapping.to_vec()).bind(now);
        let mut census = Census::default();
        for row in query.all::<CensusRow>().await? {
            match row.weighed {
                Some(id) => census.weigh.push(MailboxId(id)),
                None if row.class == "current" => census.current += row.people,
                None => {
                    let corrupt = StoreError::Corrupt { table: "reach", column: "state" };
                    let state = State::parse_word(&row.state).ok_or(corrupt)?;
                    let standing = typical(state, Flags::from_bits(row.flags), row.lapsed != 0, now);
                    census.quiet.push((standing, row.in_crm != 0, row.people));
                }
            }
        }
        Ok(census)
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
