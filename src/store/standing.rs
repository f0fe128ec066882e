//! The kept fold of the history.

use crate::clock::Timestamp;
use crate::domain::consent::State;
use crate::domain::fold::{Basis, Flags, Negative, Standing};
use crate::domain::ids::{AddressId, MailboxId, PurposeId, StatementId, TenantId};
use crate::store::address::hex_list;
use crate::store::db::{Ask, Sql, sql};
use crate::store::holding::id_list;
use crate::store::{Store, StoreError, Tx};
use uuid::Uuid;

// Read inside and outside of transactions.
const OF_ADDRESS: Sql = sql!("standing/of_address");

/// Where an address stands for one purpose, with the keys it is kept under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The address.
    pub address: AddressId,
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// The purpose.
    pub purpose: PurposeId,
    /// Where it stands.
    pub standing: Standing,
}

#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    address_id: Uuid,
    purpose_id: Uuid,
    mailbox_id: Uuid,
    state: String,
    seq: i64,
    since: i64,
    basis_seq: Option<i64>,
    basis_id: Option<Uuid>,
    basis_at: Option<i64>,
    valid_until: Option<i64>,
    negative_seq: Option<i64>,
    annullable: bool,
    asked_at: Option<i64>,
    asked_since: Option<i64>,
    asks: i64,
    flags: i64,
}

impl TryFrom<Row> for Kept {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "standing", column };
        let basis = match (row.basis_seq, row.basis_id, row.basis_at) {
            (Some(seq), Some(id), Some(at)) => {
                Some(Basis { seq, id: StatementId(id), at, valid_until: row.valid_until })
            }
            _ => None,
        };
        let negative = row.negative_seq.map(|seq| Negative { seq, annullable: row.annullable });
        Ok(Self {
            address: AddressId(row.address_id),
            mailbox: MailboxId(row.mailbox_id),
            purpose: PurposeId(row.purpose_id),
            standing: Standing {
                state: State::parse_word(&row.state).ok_or_else(|| corrupt("state"))?,
                basis,
                negative,
                asked_at: row.asked_at,
                asks: row.asks,
                asked_since: row.asked_since,
                flags: Flags::from_bits(row.flags),
                seq: row.seq,
                since: row.since,
            },
        })
    }
}

/// Where every spelling of these mailboxes stands for one purpose.
pub(crate) async fn standings_of_mailboxes<A: Ask>(
    ask: &mut A,
    tenant: TenantId,
    purpose: PurposeId,
    mailboxes: &[MailboxId],
) -> Result<Vec<Kept>, StoreError> {
    let list = id_list(mailboxes);
    let rows: Vec<Row> =
        ask.ask(sql!(split "standing/of_mailboxes")).bind(tenant.0).bind(purpose.0).bind(list).all().await?;
    rows.into_iter().map(Kept::try_from).collect()
}

impl Store {
    /// Where an address stands, one entry a purpose.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standings(&self, tenant: TenantId, address: AddressId) -> Result<Vec<Kept>, StoreError> {
        let rows = self.db.q(OF_ADDRESS).bind(tenant.0).bind(address.0).all::<Row>().await?;
        rows.into_iter().map(Kept::try_from).collect()
    }

    /// How many addresses are in which state.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn state_counts(&self, tenant: TenantId, purpose: PurposeId) -> Result<Vec<(State, i64)>, StoreError> {
        let rows: Vec<(String, i64)> = self.db.q(sql!("standing/counts")).bind(tenant.0).bind(purpose.0).all().await?;
        rows.into_iter()
            .map(|(word, count)| {
                let state = State::parse_word(&word);
                Ok((state.ok_or(StoreError::Corrupt { table: "standing", column: "state" })?, count))
            })
            .collect()
    }
}

impl Store {
    /// Addresses that were asked at or before `asked_before`, have not answered, and are not noted as expired.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unanswered(
        &self,
        tenant: TenantId,
        purpose: PurposeId,
        asked_before: Timestamp,
        limit: i64,
    ) -> Result<Vec<AddressId>, StoreError> {
        let query = self.db.q(sql!("standing/unanswered")).bind(tenant.0).bind(purpose.0);
        let rows: Vec<(Uuid,)> = query.bind(asked_before).bind(limit).all().await?;
        Ok(rows.into_iter().map(|(id,)| AddressId(id)).collect())
    }

    /// Addresses whose acceptance is past its validity, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outdated(
        &self,
        tenant: TenantId,
        purpose: PurposeId,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<AddressId>, StoreError> {
        let query = self.db.q(sql!("standing/outdated")).bind(tenant.0).bind(purpose.0);
        let rows: Vec<(Uuid,)> = query.bind(now).bind(limit).all().await?;
        Ok(rows.into_iter().map(|(id,)| AddressId(id)).collect())
    }
}

impl Tx {
    /// As [`Store::standings`], inside this transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standings(&mut self, tenant: TenantId, address: AddressId) -> Result<Vec<Kept>, StoreError> {
        let rows = self.q(OF_ADDRESS).bind(tenant.0).bind(address.0).all::<Row>().await?;
        rows.into_iter().map(Kept::try_from).collect()
    }

    /// Where addresses stand, one entry an address and purpose.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standings_of(&mut self, tenant: TenantId, addresses: &[AddressId]) -> Result<Vec<Kept>, StoreError> {
        let list = hex_list(addresses.iter().map(|address| address.0.as_bytes().as_slice()));
        let rows: Vec<Row> = self.q(sql!(split "standing/of_addresses")).bind(tenant.0).bind(list).all().await?;
        rows.into_iter().map(Kept::try_from).collect()
    }

    /// Keeps new standings.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn keep(&mut self, tenant: TenantId, kept: &[Kept]) -> Result<(), StoreError> {
        self.insert_many(sql!("standing/upsert"), 17, kept, |row, kept| {
            let s = &kept.standing;
            row.bind(tenant.0)?
                .bind(kept.address.0)?
                .bind(kept.purpose.0)?
                .bind(kept.mailbox.0)?
                .bind(s.state.as_word())?
                .bind(s.seq)?
                .bind(s.since)?
                .bind(s.basis.map(|basis| basis.seq))?
                .bind(s.basis.map(|basis| basis.id.0))?
                .bind(s.basis.map(|basis| basis.at))?
                .bind(s.basis.and_then(|basis| basis.valid_until))?
                .bind(s.negative.map(|negative| negative.seq))?
                .bind(s.negative.is_some_and(|negative| negative.annullable))?
                .bind(s.asked_at)?
                .bind(s.asked_since)?
                .bind(s.asks)?
                .bind(s.flags.bits())?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Drops all kept standings of a tenant, before they are folded anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn clear_standings(&mut self, tenant: TenantId) -> Result<(), StoreError> {
        self.q(sql!("standing/clear")).bind(tenant.0).exec().await?;
        Ok(())
    }
}
