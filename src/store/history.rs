//! A tenant's history: its head, its lines, and reading them. [`Tx::append`] writes it.

use crate::domain::chain::{self, Header};
use crate::domain::consent::{Actor, Kind};
use crate::domain::fold::Event;
use crate::domain::ids::{AddressId, MailboxId, PurposeId, StatementId, TenantId};
use crate::store::db::{Sql, sql};
use crate::store::{Store, StoreError, TenantKey, Tx};
use uuid::Uuid;

// Read inside and outside of transactions.
const OF_ADDRESS: Sql = sql!("statement/of_address");
const PAGE: Sql = sql!("statement/page");

/// A line to be written.
#[derive(Debug, Clone)]
pub struct NewLine {
    /// The address spoken of.
    pub address: AddressId,
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// The purpose, or all of them.
    pub purpose: Option<PurposeId>,
    /// What is said.
    pub kind: Kind,
    /// By whom.
    pub actor: Actor,
    /// The number that the fold needs.
    pub detail: Option<i64>,
    /// Evidence; encrypted under the person's key.
    pub payload: serde_json::Value,
    /// The caller has just created this address, so it has neither key nor standing.
    pub new_address: bool,
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its open columns.
    pub header: Header,
    /// Its payload, encrypted.
    pub sealed_payload: Vec<u8>,
    /// The keyed digest of its payload.
    pub payload_mac: chain::Hash,
    /// Its link of the chain.
    pub hash: chain::Hash,
}

impl Line {
    /// What the fold sees of it.
    #[must_use]
    pub const fn event(&self) -> Event {
        let h = &self.header;
        Event { seq: h.seq, id: h.id, kind: h.kind, actor: h.actor, at: h.at, detail: h.detail }
    }

    /// Whether it speaks about that purpose.
    #[must_use]
    pub fn concerns(&self, purpose: PurposeId) -> bool {
        self.header.purpose.is_none_or(|own| own == purpose)
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    seq: i64,
    id: Uuid,
    address_id: Uuid,
    purpose_id: Option<Uuid>,
    kind: String,
    actor: String,
    recorded_at: i64,
    detail: Option<i64>,
    payload: Vec<u8>,
    payload_mac: Vec<u8>,
    hash: Vec<u8>,
}

impl Row {
    fn line(self, tenant: TenantId) -> Result<Line, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "statement", column };
        Ok(Line {
            header: Header {
                tenant,
                seq: self.seq,
                id: StatementId(self.id),
                address: AddressId(self.address_id),
                purpose: self.purpose_id.map(PurposeId),
                kind: Kind::parse(&self.kind).ok_or_else(|| corrupt("kind"))?,
                actor: Actor::parse_word(&self.actor).ok_or_else(|| corrupt("actor"))?,
                at: self.recorded_at,
                detail: self.detail,
            },
            sealed_payload: self.payload,
            payload_mac: hash(&self.payload_mac).ok_or_else(|| corrupt("payload_mac"))?,
            hash: hash(&self.hash).ok_or_else(|| corrupt("hash"))?,
        })
    }
}

fn hash(bytes: &[u8]) -> Option<chain::Hash> {
    bytes.try_into().ok()
}

/// The newest line's position and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many lines there are.
    pub seq: i64,
    /// The last link.
    pub hash: chain::Hash,
}

impl TryFrom<(i64, Vec<u8>)> for Head {
    type Error = StoreError;
    fn try_from((seq, bytes): (i64, Vec<u8>)) -> Result<Self, StoreError> {
        Ok(Self { seq, hash: hash(&bytes).ok_or(StoreError::Corrupt { table: "chain_head", column: "hash" })? })
    }
}

impl Tx {
    /// Takes the head of a tenant's history; nobody else appends until this transaction ends.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lock_head(&mut self, tenant: TenantId) -> Result<Head, StoreError> {
        self.q(sql!(split "chain_head/lock")).bind(tenant.0).one::<(i64, Vec<u8>)>().await?.try_into()
    }

    /// The lines about one address, inside this transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lines_of(&mut self, tenant: TenantId, address: AddressId) -> Result<Vec<Line>, StoreError> {
        let rows: Vec<Row> = self.q(OF_ADDRESS).bind(tenant.0).bind(address.0).all().await?;
        rows.into_iter().map(|row| row.line(tenant)).collect()
    }

    /// The lines after a position, inside this transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lines_after(&mut self, tenant: TenantId, seq: i64, limit: i64) -> Result<Vec<Line>, StoreError> {
        let rows: Vec<Row> = self.q(PAGE).bind(tenant.0).bind(seq).bind(limit).all().await?;
        rows.into_iter().map(|row| row.line(tenant)).collect()
    }

    /// Addresses that lines without a purpose speak of, a page after `after`; for folding a new purpose.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn addresses_with_common_lines(
        &mut self,
        tenant: TenantId,
        after: AddressId,
        limit: i64,
    ) -> Result<Vec<(AddressId, MailboxId)>, StoreError> {
        let rows: Vec<(Uuid, Uuid)> = self
            .q(sql!("statement/addresses_with_common_lines"))
            .bind(tenant.0)
            .bind(after.0)
            .bind(limit)
            .all()
            .await?;
        Ok(rows.into_iter().map(|(address, mailbox)| (AddressId(address), MailboxId(mailbox))).collect())
    }
}

impl Store {
    /// The newest position of a tenant's history.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn head(&self, tenant: TenantId) -> Result<Head, StoreError> {
        self.db.q(sql!("chain_head/read")).bind(tenant.0).one::<(i64, Vec<u8>)>().await?.try_into()
    }

    /// The lines after a position, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lines_after(&self, tenant: TenantId, seq: i64, limit: i64) -> Result<Vec<Line>, StoreError> {
        let rows: Vec<Row> = self.db.q(PAGE).bind(tenant.0).bind(seq).bind(limit).all().await?;
        rows.into_iter().map(|row| row.line(tenant)).collect()
    }

    /// The lines about one address, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lines_of(&self, tenant: TenantId, address: AddressId) -> Result<Vec<Line>, StoreError> {
        let rows: Vec<Row> = self.db.q(OF_ADDRESS).bind(tenant.0).bind(address.0).all().await?;
        rows.into_iter().map(|row| row.line(tenant)).collect()
    }

    /// Reads a line's payload with the person's key and checks it against the line's digest.
    ///
    /// # Errors
    /// [`StoreError::Vault`] when it was changed.
    pub fn payload(&self, line: &Line, person: &[u8; 32]) -> Result<serde_json::Value, StoreError> {
        let plain = TenantKey::for_person(line.header.tenant, *person).open(
            line.header.id.0,
            "payload",
            &line.sealed_payload,
        )?;
        if chain::payload_mac(person, &plain) != line.payload_mac {
            return Err(StoreError::Corrupt { table: "statement", column: "payload_mac" });
        }
        serde_json::from_slice(&plain).map_err(|_| StoreError::Corrupt { table: "statement", column: "payload" })
    }
}
