//! Links that people get by mail. The secret is in the mail only; here is its hash.

use crate::clock::Timestamp;
use crate::domain::ids::{AddressId, PurposeId, TenantId};
use crate::domain::token::{Claims, Class};
use crate::store::db::sql;
use crate::store::{Store, StoreError, Tx};
use uuid::Uuid;

/// A link, without its secret.
#[derive(Debug, Clone)]
pub struct Link {
    /// What it is bound to.
    pub claims: Claims,
    /// When it was handed to the mail system.
    pub handed_over_at: Option<Timestamp>,
    /// How often it was opened.
    pub opens: i64,
    /// Whether a prefetch or HEAD request was seen.
    pub prefetched: bool,
    /// The last decision by it: `accepted` or `refused`.
    pub decided: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
}

/// A link to be kept.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// What it is bound to.
    pub claims: Claims,
    /// When it was made.
    pub issued_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    tenant_id: Uuid,
    class: String,
    address_id: Uuid,
    purpose_id: Uuid,
    text_version: i64,
    handed_over_at: Option<i64>,
    expires_at: Option<i64>,
    opens: i64,
    prefetched: bool,
    decided: Option<String>,
    decided_at: Option<i64>,
}

impl TryFrom<Row> for Link {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let class = Class::parse(&row.class).ok_or(StoreError::Corrupt { table: "token", column: "class" })?;
        Ok(Self {
            claims: Claims {
                class,
                tenant: TenantId(row.tenant_id),
                address: AddressId(row.address_id),
                purpose: PurposeId(row.purpose_id),
                text_version: row.text_version,
                expires_at: row.expires_at,
            },
            handed_over_at: row.handed_over_at,
            opens: row.opens,
            prefetched: row.prefetched,
            decided: row.decided,
            decided_at: row.decided_at,
        })
    }
}

impl Store {
    /// The link with that hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link(&self, hash: &[u8; 32]) -> Result<Option<Link>, StoreError> {
        let row: Option<Row> = self.db.q(sql!("token/by_hash")).bind(hash.to_vec()).opt().await?;
        row.map(Link::try_from).transpose()
    }
}

impl Tx {
    /// New links.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_links(&mut self, links: &[NewLink]) -> Result<(), StoreError> {
        self.insert_many(sql!("token/insert"), 13, links, |row, link| {
            let claims = &link.claims;
            row.bind(claims.tenant.0)?
                .bind(link.hash.to_vec())?
                .bind(claims.class.word())?
                .bind(claims.address.0)?
                .bind(claims.purpose.0)?
                .bind(claims.text_version)?
                .bind(link.issued_at)?
                .bind(None::<i64>)?
                .bind(claims.expires_at)?
                .bind(0_i64)?
                .bind(false)?
                .bind(None::<String>)?
                .bind(None::<i64>)?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Counts an opening.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link_opened(&mut self, tenant: TenantId, hash: &[u8; 32], prefetch: bool) -> Result<(), StoreError> {
        self.q(sql!("token/opened")).bind(tenant.0).bind(hash.to_vec()).bind(prefetch).exec().await?;
        Ok(())
    }

    /// Notes the decision that a link was used for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link_decided(
        &mut self,
        tenant: TenantId,
        hash: &[u8; 32],
        decision: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = self.q(sql!("token/decided")).bind(tenant.0).bind(hash.to_vec());
        query.bind(decision).bind(now).exec().await?;
        Ok(())
    }
}
