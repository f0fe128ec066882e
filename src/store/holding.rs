//! What we believe a provider holds, and the ledger of what we asked it to do.

use crate::clock::Timestamp;
use crate::domain::ids::{AddressId, ConnectionId, MailboxId, RunId, TenantId};
use crate::domain::plan::Held;
use crate::store::address::hex_list;
use crate::store::db::sql;
use crate::store::{Store, StoreError, Tx};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// What we believe a provider holds about a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The address that was named last.
    pub address: AddressId,
    /// What we believe.
    pub held: Held,
    /// The acceptance that the last subscription stood on; 0 for none of ours.
    pub basis_seq: i64,
    /// The digest of the fields as pushed last.
    pub digest: [u8; 16],
    /// [`Person::digest`](crate::domain::contact::Person::digest) of the record that it was made of.
    pub person: [u8; 16],
    /// [`mapping_digest`](crate::domain::contact::mapping_digest) of the mapping that it was made with.
    pub mapping: [u8; 16],
    /// Until when an unanswered subscription may still land; 0 when there is none.
    pub unsettled_until: Timestamp,
    /// When the last subscription without an answer was sent; 0 for never.
    pub add_unknown_at: Timestamp,
    /// When a read last showed it mailable; 0 for never.
    pub seen_mailable_at: Timestamp,
    /// When we last took it off; 0 for never.
    pub taken_off_at: Timestamp,
}

impl Holding {
    /// A mailbox that the provider was never told about.
    #[must_use]
    pub const fn never(mailbox: MailboxId, address: AddressId) -> Self {
        Self {
            mailbox,
            address,
            held: Held::Never,
            basis_seq: 0,
            digest: [0; 16],
            person: [0; 16],
            mapping: [0; 16],
            unsettled_until: 0,
            add_unknown_at: 0,
            seen_mailable_at: 0,
            taken_off_at: 0,
        }
    }

    /// We took it off ourselves, and no read showed it mailable since.
    #[must_use]
    pub const fn is_taken_off_by_us(&self) -> bool {
        self.taken_off_at > self.seen_mailable_at
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    mailbox_id: Uuid,
    address_id: Uuid,
    held: String,
    basis_seq: i64,
    digest: Vec<u8>,
    person: Vec<u8>,
    mapping: Vec<u8>,
    unsettled_until: i64,
    add_unknown_at: i64,
    seen_mailable_at: i64,
    taken_off_at: i64,
}

impl TryFrom<Row> for Holding {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "holding", column };
        Ok(Self {
            mailbox: MailboxId(row.mailbox_id),
            address: AddressId(row.address_id),
            held: Held::parse(&row.held).ok_or_else(|| corrupt("held"))?,
            basis_seq: row.basis_seq,
            digest: row.digest.try_into().map_err(|_| corrupt("digest"))?,
            person: row.person.try_into().map_err(|_| corrupt("person"))?,
            mapping: row.mapping.try_into().map_err(|_| corrupt("mapping"))?,
            unsettled_until: row.unsettled_until,
            add_unknown_at: row.add_unknown_at,
            seen_mailable_at: row.seen_mailable_at,
            taken_off_at: row.taken_off_at,
        })
    }
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number within the batch.
    pub n: i64,
    /// The run behind it.
    pub run: Option<RunId>,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The address named.
    pub address: AddressId,
    /// `add` or `unsub`.
    pub op: &'static str,
    /// The acceptance or withdrawal that it stands on.
    pub basis_seq: i64,
    /// For a withdrawal: no subscription was unsettled when it was issued, so its answer can be believed.
    pub settled: bool,
    /// The digest of the fields.
    pub digest: [u8; 16],
}

/// A ledger line for people and checks to read.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct LedgerLine {
    /// `add` or `unsub`.
    pub op: String,
    /// What it stands on.
    pub basis_seq: i64,
    /// The head of the history in the transaction that wrote it.
    pub head_seq: i64,
    /// See [`Entry::settled`].
    pub settled: bool,
    /// `sent`, `ok`, `pending`, `refused`, `untouched` or `unknown`.
    pub outcome: String,
    /// When it was written.
    pub issued_at: Timestamp,
    /// When the answer was noted.
    pub answered_at: Option<Timestamp>,
}

/// Mailbox ids as a JSON array that both engines can take apart.
pub(crate) fn id_list(mailboxes: &[MailboxId]) -> String {
    hex_list(mailboxes.iter().map(|mailbox| mailbox.0.as_bytes().as_slice()))
}

/// Numbers as a JSON array that both engines can take apart.
pub(crate) fn number_list(numbers: &[i64]) -> String {
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("[{}]", texts.join(","))
}

impl Store {
    /// How many mailboxes we believe to be in which state at a provider.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn held_counts(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        self.db.q(sql!("holding/counts")).bind(tenant.0).bind(connection.0).all().await
    }

    /// Mailboxes of whom anything was said after that line of the history.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn spoken_since(&self, tenant: TenantId, seq: i64) -> Result<HashSet<MailboxId>, StoreError> {
        let rows: Vec<(Uuid,)> = self.db.q(sql!("statement/mailboxes_after")).bind(tenant.0).bind(seq).all().await?;
        Ok(rows.into_iter().map(|(id,)| MailboxId(id)).collect())
    }

    /// Mailboxes whose unanswered subscription can no longer land.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settled_holdings(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Holding>, StoreError> {
        let rows: Vec<Row> =
            self.db.q(sql!("holding/settled")).bind(tenant.0).bind(connection.0).bind(now).bind(limit).all().await?;
        rows.into_iter().map(Holding::try_from).collect()
    }

    /// What was asked of a provider about a mailbox, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ledger_of(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        mailbox: MailboxId,
    ) -> Result<Vec<LedgerLine>, StoreError> {
        self.db.q(sql!("ledger/of_mailbox")).bind(tenant.0).bind(connection.0).bind(mailbox.0).all().await
    }
}

impl Tx {
    /// Which of these mailboxes have a subscription under way that was not answered for good: on the wire, or in a job.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_additions(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        mailboxes: &[MailboxId],
    ) -> Result<HashSet<MailboxId>, StoreError> {
        let query = self.q(sql!(split "ledger/open_adds"));
        let rows: Vec<(Uuid,)> = query.bind(tenant.0).bind(connection.0).bind(id_list(mailboxes)).all().await?;
        Ok(rows.into_iter().map(|(id,)| MailboxId(id)).collect())
    }

    /// Whether a removal of this mailbox left after `since` and nobody knows whether it landed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_unanswered_removal(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        mailbox: MailboxId,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        let query = self.q(sql!("ledger/unanswered_removal")).bind(tenant.0).bind(connection.0).bind(mailbox.0);
        let (lines,): (i64,) = query.bind(since).one().await?;
        Ok(lines > 0)
    }

    /// What we believe about these mailboxes; those never spoken of are missing from the map.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn holdings(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        mailboxes: &[MailboxId],
    ) -> Result<HashMap<MailboxId, Holding>, StoreError> {
        let query = self.q(sql!(split "holding/of")).bind(tenant.0).bind(connection.0).bind(id_list(mailboxes));
        let rows: Vec<Row> = query.all().await?;
        rows.into_iter().map(|row| Holding::try_from(row).map(|holding| (holding.mailbox, holding))).collect()
    }

    /// Somebody deleted the contact at the provider.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mark_missing(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        mailbox: MailboxId,
    ) -> Result<bool, StoreError> {
        let query = self.q(sql!("holding/missing")).bind(tenant.0).bind(connection.0).bind(mailbox.0);
        Ok(query.exec().await? > 0)
    }

    /// Writes down new beliefs.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_holdings(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        holdings: &[Holding],
    ) -> Result<(), StoreError> {
        self.insert_many(sql!("holding/keep"), 13, holdings, |row, h| {
            row.bind(tenant.0)?
                .bind(connection.0)?
                .bind(h.mailbox.0)?
                .bind(h.address.0)?
                .bind(h.held.word())?
                .bind(h.basis_seq)?
                .bind(h.digest.to_vec())?
                .bind(h.person.to_vec())?
                .bind(h.mapping.to_vec())?
                .bind(h.unsettled_until)?
                .bind(h.add_unknown_at)?
                .bind(h.seen_mailable_at)?
                .bind(h.taken_off_at)?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Writes the ledger lines of a batch, before its first byte is sent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn issue(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        batch: Uuid,
        entries: &[Entry],
        head_seq: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.insert_many(sql!("ledger/insert"), 16, entries, |row, entry| {
            row.bind(tenant.0)?
                .bind(connection.0)?
                .bind(batch)?
                .bind(entry.n)?
                .bind(entry.run.map(|run| run.0))?
                .bind(entry.mailbox.0)?
                .bind(entry.address.0)?
                .bind(entry.op)?
                .bind(entry.basis_seq)?
                .bind(head_seq)?
                .bind(entry.settled)?
                .bind("sent")?
                .bind("")?
                .bind(entry.digest.to_vec())?
                .bind(now)?
                .bind(None::<i64>)?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Notes the answer to some lines of a batch; the same for all of them.
    ///
    /// # Errors
    /// [`StoreError`].
    #[expect(clippy::too_many_arguments, reason = "the key and the answer of ledger lines")]
    pub async fn answer(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        batch: Uuid,
        lines: &[i64],
        outcome: &str,
        job: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.q(sql!(split "ledger/answer"))
            .bind(tenant.0)
            .bind(connection.0)
            .bind(batch)
            .bind(number_list(lines))
            .bind(outcome)
            .bind(job)
            .bind(now)
            .exec()
            .await?;
        Ok(())
    }

    /// A read showed these mailboxes mailable: what was on its way has landed, unless a call had no answer after
    /// `doubted`. Whom we took off stays taken off.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn seen_mailable(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        mailboxes: &[MailboxId],
        now: Timestamp,
        doubted: Timestamp,
    ) -> Result<(), StoreError> {
        if !mailboxes.is_empty() {
            let query = self.q(sql!(split "holding/seen")).bind(tenant.0).bind(connection.0).bind(id_list(mailboxes));
            query.bind(now).bind(doubted).exec().await?;
        }
        Ok(())
    }

    /// Marks lines that were sent by somebody who is gone: nobody knows what came of them. The later reads of those who
    /// withdraw count from when they were sent; until `until` the subscriptions may land.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn orphan_ledger(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        until: Timestamp,
    ) -> Result<u64, StoreError> {
        self.q(sql!("ledger/doubt")).bind(tenant.0).bind(connection.0).bind(until).exec().await?;
        self.q(sql!("ledger/orphaned")).bind(tenant.0).bind(connection.0).exec().await
    }
}
