//! What a walk saw at a provider.

use crate::clock::Timestamp;
use crate::domain::ids::{ConnectionId, MailboxId, TenantId};
use crate::domain::plan::Held;
use crate::store::db::sql;
use crate::store::holding::id_list;
use crate::store::{Store, StoreError, Tx};
use consentd_provider::{Cursor, Look};
use std::collections::HashMap;
use uuid::Uuid;

/// A walk over what a provider holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// Its id.
    pub id: Uuid,
    /// Where it goes on.
    pub cursor: Cursor,
    /// Pages read.
    pub pages: i64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// A row of a walk, its address replaced by the keyed digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The provider's id.
    pub remote_id: String,
    /// The keyed digest of the address, when the row told it.
    pub mac: Option<[u8; 32]>,
    /// The sealed address of somebody who may be on the managed list.
    pub sealed_email: Option<Vec<u8>>,
    /// On the list.
    pub on_list: Option<bool>,
    /// Unsubscribed there.
    pub unsubscribed: Option<bool>,
    /// Blocked in the account.
    pub blocked: Option<bool>,
}

/// Numbers of the last walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct RemoteSummary {
    /// Contacts seen.
    pub contacts: i64,
    /// On the managed list.
    pub on_list: i64,
    /// On it and mailable.
    pub mailable: i64,
    /// Blocked in the account.
    pub blocked: i64,
}

/// A mailbox about which the provider and we differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// What the provider says.
    pub look: Look,
    /// What we believed.
    pub held: Held,
}

/// Somebody on the managed list whom no record and no history knows.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Stranger {
    /// The provider's id.
    pub remote_id: String,
    /// The keyed digest of the address.
    pub mac: Vec<u8>,
    /// The sealed address.
    pub sealed_email: Vec<u8>,
}

fn look(on_list: Option<bool>, unsubscribed: Option<bool>, blocked: Option<bool>) -> Look {
    Look {
        exists: true,
        on_list: on_list.unwrap_or(false),
        unsubscribed: unsubscribed.unwrap_or(false),
        blocked: blocked.unwrap_or(false),
    }
}

type LookRow = (Uuid, Option<bool>, Option<bool>, Option<bool>);

impl Store {
    /// The walk of a connection, under way or ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn walk(&self, tenant: TenantId, connection: ConnectionId) -> Result<Option<Walk>, StoreError> {
        type Row = (Uuid, Option<String>, i64, i64, Option<i64>);
        let row: Option<Row> = self.db.q(sql!("walk/one")).bind(tenant.0).bind(connection.0).opt().await?;
        Ok(row.map(|(id, cursor, pages, started_at, finished_at)| Walk {
            id,
            cursor: Cursor(cursor),
            pages,
            started_at,
            finished_at,
        }))
    }

    /// Numbers of the last walk.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remote_summary(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
    ) -> Result<RemoteSummary, StoreError> {
        let (contacts, on_list, mailable, blocked) =
            self.db.q(sql!("remote_contact/summary")).bind(tenant.0).bind(connection.0).one().await?;
        Ok(RemoteSummary { contacts, on_list, mailable, blocked })
    }

    /// Mailboxes about which the last walk and our beliefs differ, a page after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn differences(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        after: MailboxId,
        limit: i64,
    ) -> Result<Vec<Difference>, StoreError> {
        type Row = (Uuid, Option<bool>, Option<bool>, Option<bool>, Option<String>);
        let rows: Vec<Row> = self
            .db
            .q(sql!("remote_contact/differing"))
            .bind(tenant.0)
            .bind(connection.0)
            .bind(after.0)
            .bind(limit)
            .all()
            .await?;
        rows.into_iter()
            .map(|(id, on_list, unsubscribed, blocked, held)| {
                let held = held.map_or(Some(Held::Never), |word| Held::parse(&word));
                Ok(Difference {
                    mailbox: MailboxId(id),
                    look: look(on_list, unsubscribed, blocked),
                    held: held.ok_or(StoreError::Corrupt { table: "holding", column: "held" })?,
                })
            })
            .collect()
    }

    /// Mailboxes that we believe on the list and the last walk did not see there, a page after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn vanished(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        after: MailboxId,
        limit: i64,
        now: Timestamp,
    ) -> Result<Vec<MailboxId>, StoreError> {
        let rows: Vec<(Uuid,)> = self
            .db
            .q(sql!("remote_contact/vanished"))
            .bind(tenant.0)
            .bind(connection.0)
            .bind(after.0)
            .bind(limit)
            .bind(now)
            .all()
            .await?;
        Ok(rows.into_iter().map(|(id,)| MailboxId(id)).collect())
    }

    /// People on the managed list whom nobody here knows, a page after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn strangers(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Stranger>, StoreError> {
        let query = self.db.q(sql!("remote_contact/strangers"));
        query.bind(tenant.0).bind(connection.0).bind(after).bind(limit).all().await
    }
}

impl Tx {
    /// Begins a walk anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn start_walk(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        id: Uuid,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.q(sql!("walk/start")).bind(tenant.0).bind(connection.0).bind(id).bind(now).exec().await?;
        Ok(())
    }

    /// Keeps a page of a walk together with where it goes on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_page(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        walk: Uuid,
        seen: &[Seen],
        next: &Cursor,
    ) -> Result<(), StoreError> {
        self.insert_many(sql!("remote_contact/keep"), 9, seen, |row, seen| {
            row.bind(tenant.0)?
                .bind(connection.0)?
                .bind(&*seen.remote_id)?
                .bind(walk)?
                .bind(seen.mac.map(|mac| mac.to_vec()))?
                .bind(seen.sealed_email.clone())?
                .bind(seen.on_list)?
                .bind(seen.unsubscribed)?
                .bind(seen.blocked)?;
            Ok(())
        })
        .await?;
        self.q(sql!("walk/advance")).bind(tenant.0).bind(connection.0).bind(next.0.clone()).exec().await?;
        Ok(())
    }

    /// Ends a walk: what it did not see is no longer there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish_walk(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        walk: Uuid,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.q(sql!("remote_contact/forget")).bind(tenant.0).bind(connection.0).bind(walk).exec().await?;
        self.q(sql!("walk/finish")).bind(tenant.0).bind(connection.0).bind(now).exec().await?;
        Ok(())
    }

    /// What the last walk saw of these mailboxes; those it did not see are missing from the map.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn walked(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        mailboxes: &[MailboxId],
    ) -> Result<HashMap<MailboxId, Look>, StoreError> {
        let query = self.q(sql!(split "remote_contact/known"));
        let rows: Vec<LookRow> = query.bind(tenant.0).bind(connection.0).bind(id_list(mailboxes)).all().await?;
        Ok(rows
            .into_iter()
            .map(|(id, on_list, unsubscribed, blocked)| (MailboxId(id), look(on_list, unsubscribed, blocked)))
            .collect())
    }
}
