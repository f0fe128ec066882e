//! The CRM's records, the addresses they hold and their tags.

use crate::clock::Timestamp;
use crate::domain::contact::{Person, RecordKind, fold};
use crate::domain::ids::{AddressId, MailboxId, RecordId, TenantId};
use crate::store::address::hex_list;
use crate::store::db::{Ask, sql};
use crate::store::holding::id_list;
use crate::store::{StoreError, Tx};
use std::collections::HashMap;
use uuid::Uuid;

/// A record of the CRM as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Our id.
    pub id: RecordId,
    /// Where in the CRM it is.
    pub kind: RecordKind,
    /// The CRM's id.
    pub crm_id: String,
    /// Names and places.
    pub person: Person,
    /// In the CRM's bin.
    pub bin: bool,
    /// Tags and groups, sorted.
    pub tags: Vec<String>,
    /// The addresses it holds, in their order.
    pub addresses: Vec<(AddressId, MailboxId)>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    kind: String,
    crm_id: String,
    last_name: String,
    first_name: String,
    company: String,
    language: String,
    postcode: String,
    town: String,
    country: String,
    prospect: bool,
    professional: bool,
    bin: bool,
}

impl TryFrom<Row> for Record {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: RecordId(row.id),
            kind: RecordKind::parse(&row.kind).ok_or(StoreError::Corrupt { table: "record", column: "kind" })?,
            crm_id: row.crm_id,
            person: Person {
                first_name: row.first_name,
                last_name: row.last_name,
                company: row.company,
                language: row.language,
                postcode: row.postcode,
                town: row.town,
                country: row.country,
                prospect: row.prospect,
                professional: row.professional,
            },
            bin: row.bin,
            tags: Vec::new(),
            addresses: Vec::new(),
        })
    }
}

/// A record with the folded texts it is searched by.
pub struct Keyed<'a> {
    pub(crate) record: &'a Record,
    pub(crate) search: String,
    pub(crate) town_key: String,
    pub(crate) country_key: String,
    pub(crate) tag_keys: String,
}

impl<'a> Keyed<'a> {
    /// The texts of a record.
    #[must_use]
    pub fn of(record: &'a Record) -> Self {
        let person = &record.person;
        Self {
            record,
            search: [&person.last_name, &person.first_name, &person.company].map(|name| fold(name)).join(" "),
            town_key: fold(&person.town),
            country_key: fold(&person.country),
            tag_keys: tag_keys(&record.tags),
        }
    }
}

/// Tags as one folded text in which each stands between bars, so that one can be searched for whole.
#[must_use]
fn tag_keys(tags: &[String]) -> String {
    let mut keys: Vec<String> = tags.iter().map(|tag| fold(tag).replace('|', " ")).collect();
    keys.sort();
    keys.dedup();
    if keys.is_empty() { String::new() } else { format!("|{}|", keys.join("|")) }
}

fn record_list(ids: &[RecordId]) -> String {
    hex_list(ids.iter().map(|id| id.0.as_bytes().as_slice()))
}

/// The records of one kind with these ids of the CRM.
pub(crate) async fn records_of_keys<A: Ask>(
    ask: &mut A,
    tenant: TenantId,
    kind: RecordKind,
    crm_ids: &[&str],
) -> Result<HashMap<String, Record>, StoreError> {
    let list = serde_json::to_string(crm_ids).unwrap_or_default();
    let rows: Vec<Row> =
        ask.ask(sql!(split "record/of_keys")).bind(tenant.0).bind(kind.word()).bind(list).all().await?;
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let mut records = rows
        .into_iter()
        .map(|row| Record::try_from(row).map(|record| (record.id, record)))
        .collect::<Result<HashMap<_, _>, _>>()?;
    let ids: Vec<RecordId> = records.keys().copied().collect();
    let list = record_list(&ids);
    let links: Vec<(Uuid, Uuid, Uuid)> =
        ask.ask(sql!(split "record_address/of_records")).bind(tenant.0).bind(list.clone()).all().await?;
    for (record, address, mailbox) in links {
        if let Some(record) = records.get_mut(&RecordId(record)) {
            record.addresses.push((AddressId(address), MailboxId(mailbox)));
        }
    }
    let tags: Vec<(Uuid, String)> =
        ask.ask(sql!(split "record_tag/of_records")).bind(tenant.0).bind(list).all().await?;
    for (record, tag) in tags {
        if let Some(record) = records.get_mut(&RecordId(record)) {
            record.tags.push(tag);
        }
    }
    Ok(records.into_values().map(|record| (record.crm_id.clone(), record)).collect())
}

/// Mailboxes that records hold, and whether one of these records is outside the bin.
pub(crate) async fn mailboxes_in_crm<A: Ask>(
    ask: &mut A,
    tenant: TenantId,
    mailboxes: &[MailboxId],
) -> Result<HashMap<MailboxId, bool>, StoreError> {
    let rows: Vec<(Uuid, bool)> =
        ask.ask(sql!(split "record_address/bins")).bind(tenant.0).bind(id_list(mailboxes)).all().await?;
    let mut held = HashMap::new();
    for (mailbox, bin) in rows {
        *held.entry(MailboxId(mailbox)).or_insert(false) |= !bin;
    }
    Ok(held)
}

impl Tx {
    /// Writes records with their tags and addresses. Of those that were there before, `changed` names the ids.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_records(
        &mut self,
        tenant: TenantId,
        records: &[Keyed<'_>],
        changed: &[RecordId],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !changed.is_empty() {
            let list = record_list(changed);
            self.q(sql!(split "record_address/clear")).bind(tenant.0).bind(list.clone()).exec().await?;
            self.q(sql!(split "record_tag/clear")).bind(tenant.0).bind(list).exec().await?;
        }
        self.insert_many(sql!("record/upsert"), 20, records, |row, keyed| {
            let (record, person) = (keyed.record, &keyed.record.person);
            row.bind(tenant.0)?
                .bind(record.id.0)?
                .bind(record.kind.word())?
                .bind(&*record.crm_id)?
                .bind(&*person.last_name)?
                .bind(&*person.first_name)?
                .bind(&*person.company)?
                .bind(&*person.language)?
                .bind(&*person.postcode)?
                .bind(&*person.town)?
                .bind(&*person.country)?
                .bind(person.prospect)?
                .bind(person.professional)?
                .bind(record.bin)?
                .bind(&*keyed.search)?
                .bind(&*keyed.town_key)?
                .bind(&*keyed.country_key)?
                .bind(&*keyed.tag_keys)?
                .bind(person.digest().to_vec())?
                .bind(now)?;
            Ok(())
        })
        .await?;
        let records = || records.iter().map(|keyed| keyed.record);
        let tags: Vec<(RecordId, &str)> =
            records().flat_map(|record| record.tags.iter().map(|tag| (record.id, tag.as_str()))).collect();
        self.insert_many(sql!("record_tag/insert"), 3, &tags, |row, (record, tag)| {
            row.bind(tenant.0)?.bind(record.0)?.bind(*tag)?;
            Ok(())
        })
        .await?;
        let links: Vec<(RecordId, i64, AddressId, MailboxId)> = records()
            .flat_map(|record| {
                (0..).zip(&record.addresses).map(|(n, (address, mailbox))| (record.id, n, *address, *mailbox))
            })
            .collect();
        self.insert_many(sql!("record_address/insert"), 5, &links, |row, (record, position, address, mailbox)| {
            row.bind(tenant.0)?.bind(record.0)?.bind(*position)?.bind(address.0)?.bind(mailbox.0)?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Marks mailboxes whose record changed, for every connection of the tenant, so that the next plan looks at them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mark_all_dirty(
        &mut self,
        tenant: TenantId,
        mailboxes: &[MailboxId],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !mailboxes.is_empty() {
            let list = id_list(mailboxes);
            self.q(sql!(split "dirty/add_many")).bind(tenant.0).bind(list).bind(now).exec().await?;
        }
        Ok(())
    }
}
