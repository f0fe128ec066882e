//! Withdrawals on their way to providers.

use crate::clock::Timestamp;
use crate::domain::ids::{AddressId, ConnectionId, MailboxId, PurposeId, TenantId};
use crate::store::db::sql;
use crate::store::holding::id_list;
use crate::store::{Store, StoreError, Tx};
use consentd_provider::{EmailAddress, Scope};
use serde_json::{Value, json};
use std::collections::HashSet;
use uuid::Uuid;

/// The stored word of a scope.
#[must_use]
pub const fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Purpose => "purpose",
        Scope::Everything => "everything",
    }
}

/// A mailbox that is to be taken off.
#[derive(Debug, Clone)]
pub struct NewWithdrawal<'a> {
    /// Which.
    pub mailbox: MailboxId,
    /// The address to name to the provider.
    pub address: AddressId,
    /// Only connections of this purpose, or all.
    pub purpose: Option<PurposeId>,
    /// How far.
    pub scope: Scope,
    /// Why, a stable word.
    pub reason: &'a str,
    /// The line of the history behind it.
    pub seq: i64,
}

impl Tx {
    /// Queues a withdrawal at every connection where the mailbox is, or may be. One that is under way starts over, and
    /// never shrinks its scope.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn queue_withdrawal(
        &mut self,
        tenant: TenantId,
        new: &NewWithdrawal<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.queue_withdrawals(tenant, std::slice::from_ref(new), now).await
    }

    /// As [`Tx::queue_withdrawal`] for several, in their order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn queue_withdrawals(
        &mut self,
        tenant: TenantId,
        new: &[NewWithdrawal<'_>],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // One statement may touch a row once only, so who is named twice waits for the next statement.
        let mut rest: Vec<&NewWithdrawal<'_>> = new.iter().collect();
        while !rest.is_empty() {
            let mut seen = HashSet::new();
            let (first, later): (Vec<_>, Vec<_>) = rest.into_iter().partition(|new| seen.insert(new.mailbox));
            let rows: Vec<Value> = first
                .into_iter()
                .map(|new| {
                    let hex = |id: Uuid| id.simple().to_string();
                    let purpose = new.purpose.map(|purpose| hex(purpose.0));
                    let (mailbox, address) = (hex(new.mailbox.0), hex(new.address.0));
                    json!([mailbox, address, purpose, scope_word(new.scope), new.reason, new.seq])
                })
                .collect();
            let list = Value::Array(rows).to_string();
            self.q(sql!(split "withdrawal/queue")).bind(tenant.0).bind(list).bind(now).exec().await?;
            rest = later;
        }
        Ok(())
    }

    /// Has a withdrawal that is in effect read back once more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recheck_withdrawal(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        mailbox: MailboxId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let query = self.q(sql!("withdrawal/recheck")).bind(tenant.0).bind(connection.0).bind(mailbox.0);
        Ok(query.bind(now).exec().await? > 0)
    }

    /// A job is over: whoever withdrew while it ran is taken off once more at once. To be called before the ledger says so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hurry_withdrawals(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        job: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let query = self.q(sql!("withdrawal/hurry")).bind(tenant.0).bind(connection.0).bind(job);
        query.bind(now).exec().await
    }

    /// Writes back how far a withdrawal is, unless a newer one has taken its place meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_withdrawal(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        w: &Withdrawal,
        in_effect_at: Option<Timestamp>,
        reopened_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let query = self
            .q(sql!("withdrawal/save"))
            .bind(tenant.0)
            .bind(connection.0)
            .bind(w.mailbox.0)
            .bind(w.basis_seq)
            .bind(w.phase.word())
            .bind(w.run_at)
            .bind(w.attempts)
            .bind(w.settled)
            .bind(w.watch)
            .bind(in_effect_at)
            .bind(reopened_at.is_some())
            .bind(reopened_at.unwrap_or(0));
        Ok(query.exec().await? > 0)
    }

    /// Whether the last withdrawal of a mailbox reached the whole account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn taken_off_everything(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        mailbox: MailboxId,
    ) -> Result<bool, StoreError> {
        let query = self.q(sql!("withdrawal/scope")).bind(tenant.0).bind(connection.0).bind(mailbox.0);
        let row: Option<(String,)> = query.opt().await?;
        Ok(row.is_some_and(|(scope,)| scope == scope_word(Scope::Everything)))
    }

    /// Which of these mailboxes have a withdrawal that is not known to be in effect.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn withdrawing(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        mailboxes: &[MailboxId],
    ) -> Result<HashSet<MailboxId>, StoreError> {
        let query = self.q(sql!(split "withdrawal/open"));
        let rows: Vec<(Uuid,)> = query.bind(tenant.0).bind(connection.0).bind(id_list(mailboxes)).all().await?;
        Ok(rows.into_iter().map(|(id,)| MailboxId(id)).collect())
    }
}

/// How far a withdrawal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// To be sent.
    Send,
    /// Answered; to be read back.
    Confirm,
    /// In effect; read again later, since a subscription without an answer was on its way.
    Watch,
    /// In effect.
    Done,
}

impl Phase {
    /// The stored word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Confirm => "confirm",
            Self::Watch => "watch",
            Self::Done => "done",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "send" => Some(Self::Send),
            "confirm" => Some(Self::Confirm),
            "watch" => Some(Self::Watch),
            "done" => Some(Self::Done),
            _ => None,
        }
    }
}

/// A withdrawal on its way to one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The address to name.
    pub address: AddressId,
    /// The same, readable.
    pub email: EmailAddress,
    /// How far it reaches.
    pub scope: Scope,
    /// The line of the history behind it.
    pub basis_seq: i64,
    /// Since when it is wanted.
    pub requested_at: Timestamp,
    /// How far it is.
    pub phase: Phase,
    /// Nothing before this instant.
    pub run_at: Timestamp,
    /// Failed attempts.
    pub attempts: i64,
    /// Its last answer can be believed.
    pub settled: bool,
    /// Which of the later reads comes next.
    pub watch: i64,
}

/// Withdrawals of one connection that are not in effect yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Whose.
    pub tenant: TenantId,
    /// Where.
    pub connection: ConnectionId,
    /// How many.
    pub count: i64,
    /// Since when the oldest is wanted.
    pub oldest: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    mailbox_id: Uuid,
    address_id: Uuid,
    exact: String,
    scope: String,
    basis_seq: i64,
    requested_at: i64,
    attempts: i64,
    settled: bool,
    watch: i64,
    run_at: i64,
    phase: String,
}

impl TryFrom<Row> for Withdrawal {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "withdrawal", column };
        Ok(Self {
            mailbox: MailboxId(row.mailbox_id),
            address: AddressId(row.address_id),
            email: EmailAddress::parse(&row.exact)
                .map_err(|_| StoreError::Corrupt { table: "address", column: "exact" })?,
            scope: if row.scope == "everything" { Scope::Everything } else { Scope::Purpose },
            basis_seq: row.basis_seq,
            requested_at: row.requested_at,
            phase: Phase::parse(&row.phase).ok_or_else(|| corrupt("phase"))?,
            run_at: row.run_at,
            attempts: row.attempts,
            settled: row.settled,
            watch: row.watch,
        })
    }
}

impl Store {
    /// Withdrawals of one phase that are due, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_withdrawals(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        phase: Phase,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Withdrawal>, StoreError> {
        let query = self.db.q(sql!("withdrawal/due")).bind(tenant.0).bind(connection.0).bind(phase.word());
        let rows: Vec<Row> = query.bind(now).bind(limit).all().await?;
        rows.into_iter().map(Withdrawal::try_from).collect()
    }

    /// When the next withdrawal of a connection has something to do.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next_withdrawal_at(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
    ) -> Result<Option<Timestamp>, StoreError> {
        let row: (Option<i64>,) = self.db.q(sql!("withdrawal/next_at")).bind(tenant.0).bind(connection.0).one().await?;
        Ok(row.0)
    }

    /// How many withdrawals wanted since before `since` are not in effect, and since when the oldest is wanted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn late_withdrawals(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        since: Timestamp,
    ) -> Result<(i64, Timestamp), StoreError> {
        self.db.q(sql!("withdrawal/late")).bind(tenant.0).bind(connection.0).bind(since).one().await
    }

    /// What is not in effect yet, a line a connection; those that nobody has confirmed yet are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn waiting_withdrawals(&self) -> Result<Vec<Waiting>, StoreError> {
        let rows: Vec<(Uuid, Uuid, i64, i64)> = self.db.q(sql!("withdrawal/waiting")).all().await?;
        Ok(rows
            .into_iter()
            .map(|(tenant, connection, count, oldest)| Waiting {
                tenant: TenantId(tenant),
                connection: ConnectionId(connection),
                count,
                oldest,
            })
            .collect())
    }

    /// How long withdrawals wanted since `since` took to be in effect, shortest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn withdrawal_times(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        since: Timestamp,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let rows: Vec<(i64,)> =
            self.db.q(sql!("withdrawal/times")).bind(tenant.0).bind(connection.0).bind(since).all().await?;
        Ok(rows.into_iter().map(|(time,)| time).collect())
    }

    /// How many withdrawals are in which phase.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn withdrawal_counts(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        self.db.q(sql!("withdrawal/counts")).bind(tenant.0).bind(connection.0).all().await
    }
}
