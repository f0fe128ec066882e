//! The keys that payloads about a person are sealed under. Destroying one is the erasure.

use crate::domain::ids::{AddressId, TenantId};
use crate::random::{self, Random};
use crate::store::address::hex_list;
use crate::store::db::sql;
use crate::store::history::known_addresses;
use crate::store::{NewLine, Store, StoreError, TenantKey, Tx};
use std::collections::HashMap;
use uuid::Uuid;

pub(crate) fn open_person(key: &TenantKey, address: AddressId, sealed: &[u8]) -> Result<[u8; 32], StoreError> {
    let plain = key.open(address.0, "person", sealed)?;
    plain.as_slice().try_into().map_err(|_| StoreError::Corrupt { table: "subject_key", column: "sealed" })
}

impl Store {
    /// The key of a person's payloads; `None` after the erasure.
    ///
    /// # Errors
    /// [`StoreError::Vault`] when the stored key was tampered with.
    pub async fn person_key(
        &self,
        tenant: TenantId,
        key: &TenantKey,
        address: AddressId,
    ) -> Result<Option<[u8; 32]>, StoreError> {
        let sealed: Option<(Vec<u8>,)> =
            self.db.q(sql!("subject_key/one")).bind(tenant.0).bind(address.0).opt().await?;
        sealed.map(|(sealed,)| open_person(key, address, &sealed)).transpose()
    }
}

impl Tx {
    /// The keys of the persons spoken of. Persons without one get one; an erased person's lines are sealed under a key
    /// that is then forgotten.
    pub(crate) async fn person_keys(
        &mut self,
        tenant: TenantId,
        key: &TenantKey,
        lines: &[NewLine],
        random: &dyn Random,
    ) -> Result<HashMap<AddressId, [u8; 32]>, StoreError> {
        let mut keys = self.known_keys(tenant, key, &known_addresses(lines)).await?;
        let mut fresh = Vec::new();
        for line in lines.iter().filter(|line| line.new_address) {
            if keys.contains_key(&line.address) {
                continue;
            }
            let person: [u8; 32] = random::bytes(random);
            fresh.push((line.address, key.seal(line.address.0, "person", &person, random)?));
            keys.insert(line.address, person);
        }
        self.insert_many(sql!("subject_key/insert"), 3, &fresh, |row, (address, sealed)| {
            row.bind(tenant.0)?.bind(address.0)?.bind(&**sealed)?;
            Ok(())
        })
        .await?;
        Ok(keys)
    }

    async fn known_keys(
        &mut self,
        tenant: TenantId,
        key: &TenantKey,
        addresses: &[AddressId],
    ) -> Result<HashMap<AddressId, [u8; 32]>, StoreError> {
        if addresses.is_empty() {
            return Ok(HashMap::new());
        }
        let list = hex_list(addresses.iter().map(|address| address.0.as_bytes().as_slice()));
        let rows: Vec<(Uuid, Vec<u8>)> =
            self.q(sql!(split "subject_key/of_addresses")).bind(tenant.0).bind(list).all().await?;
        rows.into_iter()
            .map(|(address, sealed)| Ok((AddressId(address), open_person(key, AddressId(address), &sealed)?)))
            .collect()
    }

    /// Destroys a person's key: what was sealed under it can never be read again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn destroy_person_key(&mut self, tenant: TenantId, address: AddressId) -> Result<(), StoreError> {
        self.q(sql!("subject_key/destroy")).bind(tenant.0).bind(address.0).exec().await?;
        Ok(())
    }
}
