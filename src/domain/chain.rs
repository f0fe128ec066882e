//! The hash chain over a tenant's history.
//!
//! A line commits to the line before it, to its own open columns and to a keyed digest of its payload. The payload is encrypted
//! under a key of the person; when that key is destroyed the chain still verifies, and nobody can read the payload.

use crate::clock::Timestamp;
use crate::domain::consent::{Actor, Kind};
use crate::domain::ids::{AddressId, PurposeId, StatementId, TenantId};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// A link of the chain.
pub type Hash = [u8; 32];

/// Names the layout of the hashed bytes; a new layout gets a new name.
const LAYOUT: &[u8] = b"consentd.statement.1";

/// The open columns of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whose history.
    pub tenant: TenantId,
    /// Position, from 1, without gaps.
    pub seq: i64,
    /// Id of the line.
    pub id: StatementId,
    /// The address spoken of.
    pub address: AddressId,
    /// The purpose, or all of them.
    pub purpose: Option<PurposeId>,
    /// What was said.
    pub kind: Kind,
    /// By whom.
    pub actor: Actor,
    /// When it was recorded.
    pub at: Timestamp,
    /// The number that the fold needs, see [`crate::domain::fold::Event::detail`].
    pub detail: Option<i64>,
}

/// The hash before the first line of a tenant.
#[must_use]
pub fn genesis(tenant: TenantId) -> Hash {
    Sha256::new().chain_update(LAYOUT).chain_update(tenant.0.as_bytes()).finalize().into()
}

/// The hash of a line. Every field has a fixed width or a length before it, so that no two lines share their bytes.
#[must_use]
pub fn link(previous: &Hash, header: &Header, payload_mac: &Hash) -> Hash {
    let optional = |value: Option<i64>| {
        let mut bytes = [0_u8; 9];
        if let (Some(value), [flag, rest @ ..]) = (value, &mut bytes) {
            *flag = 1;
            rest.copy_from_slice(&value.to_be_bytes());
        }
        bytes
    };
    let word = |text: &str| {
        let mut bytes = vec![u8::try_from(text.len()).unwrap_or(u8::MAX)];
        bytes.extend_from_slice(text.as_bytes());
        bytes
    };
    Sha256::new()
        .chain_update(LAYOUT)
        .chain_update(previous)
        .chain_update(header.tenant.0.as_bytes())
        .chain_update(header.seq.to_be_bytes())
        .chain_update(header.id.0.as_bytes())
        .chain_update(header.address.0.as_bytes())
        .chain_update([u8::from(header.purpose.is_some())])
        .chain_update(header.purpose.map_or([0; 16], |purpose| purpose.0.into_bytes()))
        .chain_update(word(header.kind.word()))
        .chain_update(word(header.actor.as_word()))
        .chain_update(header.at.to_be_bytes())
        .chain_update(optional(header.detail))
        .chain_update(payload_mac)
        .finalize()
        .into()
}

/// The keyed digest of a payload. Without the person's key it says nothing about the payload.
#[must_use]
#[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "HMAC takes keys of every length")]
pub fn payload_mac(person_key: &[u8; 32], payload: &[u8]) -> Hash {
    let mut mac = Hmac::<Sha256>::new_from_slice(person_key).expect("HMAC takes keys of every length");
    mac.update(payload);
    mac.finalize().into_bytes().into()
}
