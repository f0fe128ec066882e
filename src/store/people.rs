//! Mailboxes with everything a plan asks about them: spellings, standings, and what the CRM knows.

use crate::domain::contact::Person;
use crate::domain::fold::Standing;
use crate::domain::ids::{MailboxId, PurposeId, TenantId};
use crate::store::address::Row as AddressRow;
use crate::store::db::sql;
use crate::store::holding::id_list;
use crate::store::standing::{Kept, Row as StandingRow};
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
}

#[derive(sqlx::FromRow)]
struct RecordRow {
    mailbox_id: Uuid,
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
        let list = id_list(mailboxes);
        let standings: Vec<StandingRow> =
            self.q(sql!(split "standing/of_mailboxes")).bind(tenant.0).bind(purpose.0).bind(list.clone()).all().await?;
        let mut standings = standings
            .into_iter()
            .map(|row| Kept::try_from(row).map(|kept| (kept.address, kept.standing)))
            .collect::<Result<HashMap<_, _>, _>>()?;
        let records: Vec<RecordRow> =
            self.q(sql!(split "record_address/people")).bind(tenant.0).bind(list.clone()).all().await?;
        let mut people: HashMap<MailboxId, (bool, Person)> = HashMap::new();
        for row in records {
            people.entry(MailboxId(row.mailbox_id)).or_insert_with(|| (!row.bin, Person::from(row)));
        }
        let addresses: Vec<AddressRow> =
            self.q(sql!(split "address/of_mailboxes")).bind(tenant.0).bind(list).all().await?;
        let mut variants: HashMap<MailboxId, Vec<(Address, Standing)>> = HashMap::new();
        for row in addresses {
            let address = Address::try_from(row)?;
            let standing = standings.remove(&address.id).unwrap_or_default();
            variants.entry(address.mailbox).or_default().push((address, standing));
        }
        Ok(mailboxes
            .iter()
            .filter_map(|mailbox| {
                let variants = variants.remove(mailbox)?;
                let (in_crm, person) = people.remove(mailbox).unwrap_or_default();
                Some(PersonRow { mailbox: *mailbox, variants, in_crm, person })
            })
            .collect())
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

impl From<RecordRow> for Person {
    fn from(row: RecordRow) -> Self {
        Self {
            first_name: row.first_name,
            last_name: row.last_name,
            company: row.company,
            language: row.language,
            postcode: row.postcode,
            town: row.town,
            country: row.country,
            prospect: row.prospect,
            professional: row.professional,
        }
    }
}
