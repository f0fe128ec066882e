//! Runs: their plan, their progress, their outcome row by row.

use crate::clock::Timestamp;
use crate::domain::ids::{AddressId, ConnectionId, MailboxId, RunId, TenantId};
use crate::store::db::sql;
use crate::store::holding::number_list;
use crate::store::{Store, StoreError, Tx};
use uuid::Uuid;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// Asked for; nothing was looked at yet.
    Requested,
    /// Comparing what should be with what we believe there is.
    Planning,
    /// The plan is complete and a person must say yes.
    AwaitingConfirmation,
    /// Writing.
    Applying,
    /// Waiting for the provider's bulk jobs.
    Following,
    /// Reading back what the jobs claim to have done.
    ReadingBack,
    /// Complete.
    Done,
    /// Given up; the reason is kept.
    Failed,
    /// Stopped by a person.
    Cancelled,
}

impl RunState {
    /// The stored word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Planning => "planning",
            Self::AwaitingConfirmation => "awaiting_confirmation",
            Self::Applying => "applying",
            Self::Following => "following",
            Self::ReadingBack => "reading_back",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state stored under that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "requested" => Self::Requested,
            "planning" => Self::Planning,
            "awaiting_confirmation" => Self::AwaitingConfirmation,
            "applying" => Self::Applying,
            "following" => Self::Following,
            "reading_back" => Self::ReadingBack,
            "done" => Self::Done,
            "failed" => Self::Failed,
            "cancelled" => Self::Cancelled,
            _ => return None,
        })
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// One synchronisation of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Whose.
    pub tenant: TenantId,
    /// Of which connection.
    pub connection: ConnectionId,
    /// Its id.
    pub id: RunId,
    /// Why it was asked for: `schedule`, `operator`, `consent`, `settled`, `first`.
    pub cause: String,
    /// Plans only.
    pub dry: bool,
    /// How far it is.
    pub state: RunState,
    /// A person asked for it to stop.
    pub cancelling: bool,
    /// Who confirmed its plan.
    pub confirmed_by: String,
    /// Why it needs a confirmation.
    pub guard: String,
    /// Why it failed.
    pub error: String,
    /// The last mailbox that was planned.
    pub cursor: Option<MailboxId>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// How often the provider was read back.
    pub tries: i64,
    /// Nothing more before this instant.
    pub resume_at: Timestamp,
    /// When its plan was complete.
    pub planned_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Run {
    /// Whether it looks only at people whose consent was raised lately.
    #[must_use]
    pub fn is_delta(&self) -> bool {
        self.cause == "consent"
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    tenant_id: Uuid,
    connection_id: Uuid,
    id: Uuid,
    cause: String,
    dry: bool,
    state: String,
    cancelling: bool,
    confirmed_by: String,
    guard: String,
    error: String,
    cursor: Option<Vec<u8>>,
    requested_at: i64,
    tries: i64,
    resume_at: i64,
    planned_at: Option<i64>,
    finished_at: Option<i64>,
}

impl TryFrom<Row> for Run {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: TenantId(row.tenant_id),
            connection: ConnectionId(row.connection_id),
            id: RunId(row.id),
            cause: row.cause,
            dry: row.dry,
            state: RunState::parse(&row.state).ok_or(StoreError::Corrupt { table: "run", column: "state" })?,
            cancelling: row.cancelling,
            confirmed_by: row.confirmed_by,
            guard: row.guard,
            error: row.error,
            cursor: row.cursor.and_then(|bytes| Uuid::from_slice(&bytes).ok()).map(MailboxId),
            requested_at: row.requested_at,
            tries: row.tries,
            resume_at: row.resume_at,
            planned_at: row.planned_at,
            finished_at: row.finished_at,
        })
    }
}

/// What a run will do about one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem {
    /// Its number within the run.
    pub n: i64,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The address to name.
    pub address: AddressId,
    /// `add`, `update`, `restore`, `withdraw` or `leave`.
    pub action: &'static str,
    /// Why, a stable word.
    pub reason: &'static str,
}

/// An item that is still to be done.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OpenItem {
    /// Its number within the run.
    pub n: i64,
    /// The mailbox.
    pub mailbox_id: Uuid,
    /// The address to name.
    pub address_id: Uuid,
    /// What is to be done.
    pub action: String,
}

/// An item that takes somebody off.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Removal {
    /// Its number within the run.
    pub n: i64,
    /// The mailbox.
    pub mailbox_id: Uuid,
    /// The address to name.
    pub address_id: Uuid,
    /// `withdraw` or `leave`.
    pub action: String,
    /// Why, a stable word.
    pub reason: String,
}

/// An item whose bulk job is to be read back.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PendingItem {
    /// Its number within the run.
    pub n: i64,
    /// The mailbox.
    pub mailbox_id: Uuid,
    /// The address.
    pub address_id: Uuid,
    /// The keyed digest of the address.
    pub mac: Vec<u8>,
}

/// An item for people to read.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ShownItem {
    /// Its number within the run.
    pub n: i64,
    /// The address's id.
    pub address_id: Uuid,
    /// The address.
    pub exact: String,
    /// What was to be done.
    pub action: String,
    /// Why.
    pub reason: String,
    /// What came of it; empty while open.
    pub outcome: String,
    /// The provider's code.
    pub code: String,
    /// The provider's words.
    pub message: String,
}

impl Store {
    /// The open run of a connection.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_run(&self, tenant: TenantId, connection: ConnectionId) -> Result<Option<Run>, StoreError> {
        let row: Option<Row> = self.db.q(sql!("run/open")).bind(tenant.0).bind(connection.0).opt().await?;
        row.map(Run::try_from).transpose()
    }

    /// The latest runs of a connection, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn runs(&self, tenant: TenantId, connection: ConnectionId, limit: i64) -> Result<Vec<Run>, StoreError> {
        let rows: Vec<Row> = self.db.q(sql!("run/latest")).bind(tenant.0).bind(connection.0).bind(limit).all().await?;
        rows.into_iter().map(Run::try_from).collect()
    }

    /// A run by its id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn run(&self, tenant: TenantId, id: RunId) -> Result<Option<Run>, StoreError> {
        let row: Option<Row> = self.db.q(sql!("run/by_id")).bind(tenant.0).bind(id.0).opt().await?;
        row.map(Run::try_from).transpose()
    }

    /// How many items of a run have which outcome, by action.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn item_counts(&self, tenant: TenantId, run: RunId) -> Result<Vec<(String, String, i64)>, StoreError> {
        self.db.q(sql!("run_item/counts")).bind(tenant.0).bind(run.0).all().await
    }

    /// How many items of a run have which action for which reason.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn item_reasons(&self, tenant: TenantId, run: RunId) -> Result<Vec<(String, String, i64)>, StoreError> {
        self.db.q(sql!("run_item/reasons")).bind(tenant.0).bind(run.0).all().await
    }

    /// How many people a run leaves alone, by reason.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn skip_counts(&self, tenant: TenantId, run: RunId) -> Result<Vec<(String, i64)>, StoreError> {
        self.db.q(sql!("run_skip/all")).bind(tenant.0).bind(run.0).all().await
    }

    /// A run's items after a number, of one outcome or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn items(
        &self,
        tenant: TenantId,
        run: RunId,
        after: i64,
        outcome: &str,
        limit: i64,
    ) -> Result<Vec<ShownItem>, StoreError> {
        self.db.q(sql!("run_item/page")).bind(tenant.0).bind(run.0).bind(after).bind(outcome).bind(limit).all().await
    }

    /// Items whose outcome hangs on a bulk job, after a number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pending_items(
        &self,
        tenant: TenantId,
        run: RunId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<PendingItem>, StoreError> {
        self.db.q(sql!("run_item/pending")).bind(tenant.0).bind(run.0).bind(after).bind(limit).all().await
    }
}

impl Tx {
    /// Asks for a run. False when one is open already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn request_run(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        id: Uuid,
        cause: &str,
        dry: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let query = self.q(sql!("run/request"));
        let query = query.bind(tenant.0).bind(connection.0).bind(id).bind(cause).bind(dry).bind(now);
        Ok(query.exec().await? > 0)
    }

    /// Writes back how far a run is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_run(&mut self, run: &Run) -> Result<(), StoreError> {
        self.q(sql!("run/save"))
            .bind(run.tenant.0)
            .bind(run.id.0)
            .bind(run.state.word())
            .bind(!run.state.is_over())
            .bind(&*run.confirmed_by)
            .bind(&*run.guard)
            .bind(&*run.error)
            .bind(run.cursor.map(|mailbox| mailbox.0.as_bytes().to_vec()))
            .bind(run.tries)
            .bind(run.resume_at)
            .bind(run.planned_at)
            .bind(run.finished_at)
            .exec()
            .await?;
        Ok(())
    }

    /// Asks an open run to stop. False when it is over already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cancel_run(&mut self, tenant: TenantId, run: RunId) -> Result<bool, StoreError> {
        Ok(self.q(sql!("run/cancel")).bind(tenant.0).bind(run.0).exec().await? > 0)
    }

    /// Lets a run that waits for a person go on. False when it does not wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn confirm_run(&mut self, tenant: TenantId, run: RunId, who: &str) -> Result<bool, StoreError> {
        Ok(self.q(sql!("run/confirm")).bind(tenant.0).bind(run.0).bind(who).exec().await? > 0)
    }

    /// Adds a page of the plan.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_items(&mut self, tenant: TenantId, run: RunId, items: &[NewItem]) -> Result<(), StoreError> {
        self.insert_many(sql!("run_item/insert"), 10, items, |row, item| {
            row.bind(tenant.0)?
                .bind(run.0)?
                .bind(item.n)?
                .bind(item.mailbox.0)?
                .bind(item.address.0)?
                .bind(item.action)?
                .bind(item.reason)?
                .bind("")?
                .bind("")?
                .bind("")?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// The highest item number of a run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_item(&mut self, tenant: TenantId, run: RunId) -> Result<i64, StoreError> {
        Ok(self.q(sql!("run_item/last")).bind(tenant.0).bind(run.0).one::<(i64,)>().await?.0)
    }

    /// Items that put somebody on the list and are still to be done: those that restore somebody, or the others.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_items(
        &mut self,
        tenant: TenantId,
        run: RunId,
        restoring: bool,
        limit: i64,
    ) -> Result<Vec<OpenItem>, StoreError> {
        self.q(sql!("run_item/open")).bind(tenant.0).bind(run.0).bind(restoring).bind(limit).all().await
    }

    /// Items that take somebody off and are still to be queued, with or without those who merely left the CRM.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_removals(
        &mut self,
        tenant: TenantId,
        run: RunId,
        leavers: bool,
        limit: i64,
    ) -> Result<Vec<Removal>, StoreError> {
        let other = if leavers { "leave" } else { "withdraw" };
        self.q(sql!("run_item/removals")).bind(tenant.0).bind(run.0).bind(other).bind(limit).all().await
    }

    /// Notes what came of items; alike for all of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn resolve_items(
        &mut self,
        tenant: TenantId,
        run: RunId,
        items: &[i64],
        outcome: &str,
        code: &str,
        message: &str,
    ) -> Result<(), StoreError> {
        if items.is_empty() {
            return Ok(());
        }
        self.q(sql!(split "run_item/resolve"))
            .bind(tenant.0)
            .bind(run.0)
            .bind(number_list(items))
            .bind(outcome)
            .bind(code)
            .bind(message)
            .exec()
            .await?;
        Ok(())
    }

    /// Opens items again that a crash caught in the middle; the re-check decides what becomes of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reopen_items(&mut self, tenant: TenantId, run: RunId) -> Result<u64, StoreError> {
        self.q(sql!("run_item/reopen")).bind(tenant.0).bind(run.0).exec().await
    }

    /// Counts people that a run leaves alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_skips(
        &mut self,
        tenant: TenantId,
        run: RunId,
        reason: &str,
        people: i64,
    ) -> Result<(), StoreError> {
        self.q(sql!("run_skip/add")).bind(tenant.0).bind(run.0).bind(reason).bind(people).exec().await?;
        Ok(())
    }
}
