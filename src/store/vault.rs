//! Secrets at rest: a master key wraps one key a tenant; that key wraps credentials and the keys of persons.
//!
//! Every ciphertext is bound to its place (tenant, row, field), so that moving it to another row makes it unreadable.

use crate::domain::ids::{AccountId, TenantId};
use crate::random::{self, Random};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Why a secret cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Sealed with a master key that was not given.
    #[error("a secret was sealed with another master key; give the old key too, or restore the right key file")]
    UnknownKey,
    /// Changed, or moved from another place.
    #[error("a stored secret is damaged or does not belong where it was found")]
    Damaged,
    /// The text of a master key is not 64 hexadecimal digits.
    #[error("a master key must be 64 hexadecimal digits; `consentd init` writes one")]
    KeyFormat,
}

/// Bytes that only the vault can read.
pub type Sealed = Vec<u8>;

const NONCE: usize = 24;
const KEY_ID: usize = 4;

fn seal(key: &[u8; 32], place: &[u8], plain: &[u8], random: &dyn Random) -> Result<Sealed, VaultError> {
    let nonce: [u8; NONCE] = random::bytes(random);
    let cipher = XChaCha20Poly1305::new(key.into());
    let sealed =
        cipher.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: place }).map_err(|_| VaultError::Damaged)?;
    Ok([&nonce[..], &sealed].concat())
}

fn open(key: &[u8; 32], place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE>().ok_or(VaultError::Damaged)?;
    XChaCha20Poly1305::new(key.into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: place })
        .map_err(|_| VaultError::Damaged)
}

fn place(tenant: TenantId, row: Uuid, field: &str) -> Vec<u8> {
    [b"consentd.sealed.1".as_slice(), tenant.0.as_bytes(), row.as_bytes(), field.as_bytes()].concat()
}

/// The key that opens everything. From the environment or a file, never from the database.
pub struct MasterKey(SecretBox<[u8; 32]>);

impl MasterKey {
    /// A new key, to be written to a file with [`MasterKey::to_hex`].
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        Self(SecretBox::new(Box::new(random::bytes(random))))
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`VaultError::KeyFormat`].
    pub fn from_hex(text: &str) -> Result<Self, VaultError> {
        let text = text.trim();
        if text.len() != 64 || !text.is_ascii() {
            return Err(VaultError::KeyFormat);
        }
        let mut key = Box::new([0_u8; 32]);
        for (index, byte) in key.iter_mut().enumerate() {
            let digits = text.get(index * 2..index * 2 + 2).ok_or(VaultError::KeyFormat)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| VaultError::KeyFormat)?;
        }
        Ok(Self(SecretBox::new(key)))
    }

    /// The text for the key file.
    #[must_use]
    pub fn to_hex(&self) -> String {
        use std::fmt::Write;
        self.0.expose_secret().iter().fold(String::new(), |mut text, byte| {
            if write!(text, "{byte:02x}").is_err() {
                text.clear();
            }
            text
        })
    }

    /// The first bytes of the key's digest; stands in front of what it sealed.
    fn id(&self) -> [u8; KEY_ID] {
        let digest: [u8; 32] = Sha256::digest(self.0.expose_secret()).into();
        *digest.first_chunk().unwrap_or(&[0; KEY_ID])
    }
}

/// A tenant's own key.
pub struct TenantKey {
    tenant: TenantId,
    key: SecretBox<[u8; 32]>,
}

impl Clone for TenantKey {
    fn clone(&self) -> Self {
        Self::for_person(self.tenant, *self.key.expose_secret())
    }
}

impl TenantKey {
    /// Seals a secret of this tenant for one place.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] when the secret is longer than the cipher takes.
    pub fn seal(&self, row: Uuid, field: &str, plain: &[u8], random: &dyn Random) -> Result<Sealed, VaultError> {
        seal(self.key.expose_secret(), &place(self.tenant, row, field), plain, random)
    }

    /// Opens a secret of this tenant from one place.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] when it was changed or comes from elsewhere.
    pub fn open(&self, row: Uuid, field: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        open(self.key.expose_secret(), &place(self.tenant, row, field), sealed)
    }

    /// A person's own key, which seals in the same way.
    #[must_use]
    pub fn for_person(tenant: TenantId, key: [u8; 32]) -> Self {
        Self { tenant, key: SecretBox::new(Box::new(key)) }
    }

    /// The keyed digest of a folded address: recognises an address without holding it.
    #[must_use]
    pub fn address_mac(&self, folded: &str) -> [u8; 32] {
        self.mac(b"consentd.address.1", folded)
    }

    /// The keyed digest of what opens an account at a provider.
    pub(super) fn account(&self, opened_by: &str) -> AccountId {
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.mac(b"consentd.account.1", opened_by);
        AccountId(Uuid::from_bytes(id))
    }

    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    fn mac(&self, domain: &[u8], text: &str) -> [u8; 32] {
        let mut mac =
            <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.key.expose_secret()).expect("any length is a key");
        mac.update(domain);
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// Whose key belongs to the whole installation: no tenant has this id.
pub(super) const HOST: TenantId = TenantId(Uuid::nil());

/// The master keys in use: one that seals, and during a rotation old ones that only open.
pub struct Vault {
    current: MasterKey,
    old: Vec<MasterKey>,
}

impl Vault {
    /// A vault with one key that seals and further ones that only open.
    #[must_use]
    pub const fn new(current: MasterKey, old: Vec<MasterKey>) -> Self {
        Self { current, old }
    }

    /// A key for a new tenant, sealed.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] never in practice; the cipher's own failure.
    pub fn new_tenant_key(&self, tenant: TenantId, random: &dyn Random) -> Result<Sealed, VaultError> {
        self.seal_tenant_key(tenant, &random::bytes(random), random)
    }

    fn seal_tenant_key(&self, tenant: TenantId, key: &[u8; 32], random: &dyn Random) -> Result<Sealed, VaultError> {
        let sealed = seal(self.current.0.expose_secret(), &place(tenant, tenant.0, "tenant_key"), key, random)?;
        Ok([&self.current.id()[..], &sealed].concat())
    }

    /// Opens a tenant's key.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`] when the master key is missing, [`VaultError::Damaged`].
    pub fn tenant_key(&self, tenant: TenantId, sealed: &[u8]) -> Result<TenantKey, VaultError> {
        let (id, body) = sealed.split_first_chunk::<KEY_ID>().ok_or(VaultError::Damaged)?;
        let master = std::iter::once(&self.current)
            .chain(&self.old)
            .find(|key| key.id() == *id)
            .ok_or(VaultError::UnknownKey)?;
        let plain = open(master.0.expose_secret(), &place(tenant, tenant.0, "tenant_key"), body)?;
        let key: [u8; 32] = plain.as_slice().try_into().map_err(|_| VaultError::Damaged)?;
        Ok(TenantKey { tenant, key: SecretBox::new(Box::new(key)) })
    }

    /// Seals a tenant's key again with the current master key; `None` when it already is.
    ///
    /// # Errors
    /// As [`Vault::tenant_key`].
    pub fn rewrap(&self, tenant: TenantId, sealed: &[u8], random: &dyn Random) -> Result<Option<Sealed>, VaultError> {
        if sealed.first_chunk::<KEY_ID>() == Some(&self.current.id()) {
            return Ok(None);
        }
        let key = self.tenant_key(tenant, sealed)?;
        self.seal_tenant_key(tenant, key.key.expose_secret(), random).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    fn tenant(n: u128) -> TenantId {
        TenantId(Uuid::from_u128(n))
    }

    #[test]
    fn a_secret_opens_only_where_it_was_sealed() {
        let random = SeededRandom::new(1);
        let vault = Vault::new(MasterKey::generate(&random), vec![]);
        let key = vault.tenant_key(tenant(1), &vault.new_tenant_key(tenant(1), &random).unwrap()).unwrap();
        let row = Uuid::from_u128(7);
        let sealed = key.seal(row, "credentials", b"xkeysib-1", &random).unwrap();
        assert_eq!(key.open(row, "credentials", &sealed).unwrap(), b"xkeysib-1");
        assert_eq!(key.open(row, "hooks", &sealed), Err(VaultError::Damaged));
        assert_eq!(key.open(Uuid::from_u128(8), "credentials", &sealed), Err(VaultError::Damaged));
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(key.open(row, "credentials", &changed), Err(VaultError::Damaged));
        }
        assert!(!sealed.windows(7).any(|window| window == b"xkeysib"));
    }

    #[test]
    fn a_tenant_key_does_not_open_for_another_tenant() {
        let random = SeededRandom::new(2);
        let vault = Vault::new(MasterKey::generate(&random), vec![]);
        let sealed = vault.new_tenant_key(tenant(1), &random).unwrap();
        assert!(matches!(vault.tenant_key(tenant(2), &sealed), Err(VaultError::Damaged)));
    }

    #[test]
    fn the_master_key_can_be_changed() {
        let random = SeededRandom::new(3);
        let old = MasterKey::generate(&random).to_hex();
        let new = MasterKey::generate(&random).to_hex();
        let read = |text: &str| MasterKey::from_hex(text).unwrap();
        let before = Vault::new(read(&old), vec![]);
        let sealed = before.new_tenant_key(tenant(1), &random).unwrap();
        let mac = before.tenant_key(tenant(1), &sealed).unwrap().address_mac("ada@example.org");

        let during = Vault::new(read(&new), vec![read(&old)]);
        let rewrapped = during.rewrap(tenant(1), &sealed, &random).unwrap().unwrap();
        assert_eq!(during.rewrap(tenant(1), &rewrapped, &random).unwrap(), None);

        let after = Vault::new(read(&new), vec![]);
        assert_eq!(after.tenant_key(tenant(1), &rewrapped).unwrap().address_mac("ada@example.org"), mac);
        assert!(matches!(after.tenant_key(tenant(1), &sealed), Err(VaultError::UnknownKey)));
    }

    #[test]
    fn a_key_that_is_no_key_is_refused() {
        for text in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
            assert!(matches!(MasterKey::from_hex(text), Err(VaultError::KeyFormat)));
        }
    }
}
