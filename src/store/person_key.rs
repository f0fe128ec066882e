//! The keys that payloads about a person are sealed under. Destroying one is the erasure.

use crate::domain::ids::{AddressId, TenantId};
use crate::store::address::hex_list;
use crate::store::db::sql;
use crate::store::{Store, StoreError, TenantKey, Tx};
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
    /// The keys of persons, as far as they have one.
    pub(crate) async fn known_keys(
        &mut self,
        tenant: TenantId,
        key: &TenantKey,
        addresses: &[AddressId],
    ) -> Result<HashMap<AddressId, [u8; 32]>, StoreError> {
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
