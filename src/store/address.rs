//! Addresses, the mailboxes they share, and the suppression list.

use crate::clock::Timestamp;
use crate::domain::ids::{AddressId, MailboxId, PurposeId, TenantId};
use crate::store::db::{Ask, Sql, sql};
use crate::store::holding::id_list;
use crate::store::{Store, StoreError, TenantKey, Tx};
use consentd_provider::EmailAddress;
use std::collections::HashMap;
use uuid::Uuid;

// Read inside and outside of transactions.
const BY_ID: Sql = sql!("address/by_id");
const OF_MAILBOX: Sql = sql!("address/of_mailbox");

/// An address as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Its id.
    pub id: AddressId,
    /// The mailbox it belongs to.
    pub mailbox: MailboxId,
    /// The address.
    pub email: EmailAddress,
    /// It reaches a role (info@, office@) rather than a person.
    pub role: bool,
}

#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    id: Uuid,
    mailbox_id: Uuid,
    exact: String,
    role: bool,
}

impl TryFrom<Row> for Address {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: AddressId(row.id),
            mailbox: MailboxId(row.mailbox_id),
            email: EmailAddress::parse(&row.exact)
                .map_err(|_| StoreError::Corrupt { table: "address", column: "exact" })?,
            role: row.role,
        })
    }
}

/// The purpose under which a suppression for everything is kept, beside one line for each purpose there is.
pub const EVERY_PURPOSE: PurposeId = PurposeId(Uuid::nil());

/// Someone who must not be asked or mailed, recognisable by the keyed digest of the address only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// For what.
    pub purpose: PurposeId,
    /// `refused`, `withdrawn`, `complaint`, `erased` or `opt_out`.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// Which of these keyed digests are mailboxes of the tenant.
pub(crate) async fn mailboxes_by_mac<A: Ask>(
    ask: &mut A,
    tenant: TenantId,
    macs: &[[u8; 32]],
) -> Result<HashMap<[u8; 32], MailboxId>, StoreError> {
    let list = hex_list(macs.iter().map(<[u8; 32]>::as_slice));
    let rows: Vec<(Uuid, Vec<u8>)> = ask.ask(sql!(split "mailbox/macs")).bind(tenant.0).bind(list).all().await?;
    Ok(rows.into_iter().filter_map(|(id, mac)| Some((<[u8; 32]>::try_from(mac).ok()?, MailboxId(id)))).collect())
}

/// The addresses of mailboxes, in the order of their ids.
pub(crate) async fn addresses_of_mailboxes<A: Ask>(
    ask: &mut A,
    tenant: TenantId,
    mailboxes: &[MailboxId],
) -> Result<HashMap<MailboxId, Vec<Address>>, StoreError> {
    let list = id_list(mailboxes);
    let rows: Vec<Row> = ask.ask(sql!(split "address/of_mailboxes")).bind(tenant.0).bind(list).all().await?;
    let mut addresses: HashMap<MailboxId, Vec<Address>> = HashMap::new();
    for row in rows {
        let address = Address::try_from(row)?;
        addresses.entry(address.mailbox).or_default().push(address);
    }
    Ok(addresses)
}

/// Which of these keyed digests are on the suppression list, and for what.
pub(crate) async fn suppressed<A: Ask>(
    ask: &mut A,
    tenant: TenantId,
    macs: &[[u8; 32]],
) -> Result<HashMap<[u8; 32], Vec<PurposeId>>, StoreError> {
    let list = hex_list(macs.iter().map(<[u8; 32]>::as_slice));
    let rows: Vec<(Vec<u8>, Uuid)> = ask.ask(sql!(split "suppression/of_macs")).bind(tenant.0).bind(list).all().await?;
    let mut found: HashMap<[u8; 32], Vec<PurposeId>> = HashMap::new();
    for (mac, purpose) in rows {
        if let Ok(mac) = <[u8; 32]>::try_from(mac) {
            found.entry(mac).or_default().push(PurposeId(purpose));
        }
    }
    Ok(found)
}

impl Store {
    /// All addresses of the mailbox that an address belongs to; empty when it is not known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn variants(
        &self,
        tenant: TenantId,
        key: &TenantKey,
        email: &EmailAddress,
    ) -> Result<Vec<Address>, StoreError> {
        let mac = key.address_mac(&email.folded());
        let Some((mailbox,)) =
            self.db.q(sql!("mailbox/by_mac")).bind(tenant.0).bind(mac.to_vec()).opt::<(Uuid,)>().await?
        else {
            return Ok(Vec::new());
        };
        self.addresses_of(tenant, MailboxId(mailbox)).await
    }

    /// The addresses of a mailbox.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn addresses_of(&self, tenant: TenantId, mailbox: MailboxId) -> Result<Vec<Address>, StoreError> {
        let rows: Vec<Row> = self.db.q(OF_MAILBOX).bind(tenant.0).bind(mailbox.0).all().await?;
        rows.into_iter().map(Address::try_from).collect()
    }

    /// An address by its id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn address(&self, tenant: TenantId, id: AddressId) -> Result<Option<Address>, StoreError> {
        let row: Option<Row> = self.db.q(BY_ID).bind(tenant.0).bind(id.0).opt().await?;
        row.map(Address::try_from).transpose()
    }

    /// What the suppression list says about an address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn suppressions(&self, tenant: TenantId, mac: &[u8; 32]) -> Result<Vec<Suppression>, StoreError> {
        let rows: Vec<(Uuid, String, i64)> =
            self.db.q(sql!("suppression/of_mac")).bind(tenant.0).bind(mac.to_vec()).all().await?;
        Ok(rows
            .into_iter()
            .map(|(purpose, reason, since)| Suppression { purpose: PurposeId(purpose), reason, since })
            .collect())
    }
}

impl Tx {
    /// An address by its id, inside this transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn address(&mut self, tenant: TenantId, id: AddressId) -> Result<Option<Address>, StoreError> {
        let row: Option<Row> = self.q(BY_ID).bind(tenant.0).bind(id.0).opt().await?;
        row.map(Address::try_from).transpose()
    }

    /// The addresses of a mailbox, inside this transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn addresses_of(&mut self, tenant: TenantId, mailbox: MailboxId) -> Result<Vec<Address>, StoreError> {
        let rows: Vec<Row> = self.q(OF_MAILBOX).bind(tenant.0).bind(mailbox.0).all().await?;
        rows.into_iter().map(Address::try_from).collect()
    }

    /// The mailbox of an address.
    ///
    /// # Errors
    /// [`StoreError::Database`] when there is no such address.
    pub async fn mailbox_of(&mut self, tenant: TenantId, address: AddressId) -> Result<MailboxId, StoreError> {
        let row: Row = self.q(BY_ID).bind(tenant.0).bind(address.0).one().await?;
        Ok(MailboxId(row.mailbox_id))
    }

    /// Which of these keyed digests are mailboxes of the tenant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mailboxes_by_mac(
        &mut self,
        tenant: TenantId,
        macs: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], MailboxId>, StoreError> {
        mailboxes_by_mac(self, tenant, macs).await
    }

    /// New mailboxes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_mailboxes(
        &mut self,
        tenant: TenantId,
        mailboxes: &[(MailboxId, [u8; 32])],
    ) -> Result<(), StoreError> {
        self.insert_many(sql!("mailbox/insert"), 3, mailboxes, |row, (id, mac)| {
            row.bind(tenant.0)?.bind(id.0)?.bind(mac.to_vec())?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// New addresses.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_addresses(
        &mut self,
        tenant: TenantId,
        addresses: &[Address],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.insert_many(sql!("address/insert"), 6, addresses, |row, address| {
            row.bind(tenant.0)?
                .bind(address.id.0)?
                .bind(address.mailbox.0)?
                .bind(address.email.as_str())?
                .bind(address.role)?
                .bind(now)?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Puts people on the suppression list; who is there already stays as they are. Returns how many
    /// entries are new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn suppress(&mut self, tenant: TenantId, entries: &[([u8; 32], Suppression)]) -> Result<u64, StoreError> {
        self.insert_many(sql!("suppression/insert"), 5, entries, |row, (mac, entry)| {
            row.bind(tenant.0)?.bind(mac.to_vec())?.bind(entry.purpose.0)?.bind(&*entry.reason)?.bind(entry.since)?;
            Ok(())
        })
        .await
    }

    /// Takes a person off the suppression list for one purpose. Only a recipient's acceptance may lead here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lift_suppression(
        &mut self,
        tenant: TenantId,
        mac: &[u8; 32],
        purpose: PurposeId,
    ) -> Result<(), StoreError> {
        self.q(sql!("suppression/lift")).bind(tenant.0).bind(mac.to_vec()).bind(purpose.0).exec().await?;
        Ok(())
    }

    /// Extends suppressions for everything to a new purpose.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn spread_suppressions(&mut self, tenant: TenantId, purpose: PurposeId) -> Result<(), StoreError> {
        self.q(sql!(split "suppression/spread")).bind(tenant.0).bind(EVERY_PURPOSE.0).bind(purpose.0).exec().await?;
        Ok(())
    }
}

/// Byte strings as a JSON array of hexadecimal text, which both engines can take apart.
pub(crate) fn hex_list<'a>(values: impl Iterator<Item = &'a [u8]>) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    let mut text = String::from("[");
    for (index, value) in values.enumerate() {
        text.push_str(if index == 0 { "\"" } else { ",\"" });
        for byte in value {
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        text.push('"');
    }
    text.push(']');
    text
}
