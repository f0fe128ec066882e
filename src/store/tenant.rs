//! Tenants and their keys.

use crate::clock::Timestamp;
use crate::domain::chain;
use crate::domain::consent::Language;
use crate::domain::ids::TenantId;
use crate::random::Random;
use crate::store::db::sql;
use crate::store::{Store, StoreError, TenantKey, Tx};
use uuid::Uuid;

/// A company that uses consentd, as it introduces itself to the people it writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Short name for the command line.
    pub slug: String,
    /// Who is responsible for the data (GDPR Art. 4(7)).
    pub legal_name: String,
    /// Its postal address.
    pub postal_address: String,
    /// How to reach it.
    pub contact: String,
    /// Where its privacy notice is.
    pub privacy_url: String,
    /// The language of its office.
    pub locale: Language,
    /// Its IANA time zone.
    pub time_zone: String,
    /// Whether acceptances from before may be imported, line by line with evidence.
    pub legacy_proof: bool,
    /// When it was created.
    pub created_at: Timestamp,
    sealed_key: Vec<u8>,
}

/// What is needed for a new tenant.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "see Tenant")]
pub struct NewTenant {
    pub slug: String,
    pub legal_name: String,
    pub postal_address: String,
    pub contact: String,
    pub privacy_url: String,
    pub locale: Language,
    pub time_zone: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    slug: String,
    legal_name: String,
    postal_address: String,
    contact: String,
    privacy_url: String,
    locale: String,
    time_zone: String,
    legacy_proof: bool,
    sealed_key: Vec<u8>,
    created_at: i64,
}

impl TryFrom<Row> for Tenant {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: TenantId(row.id),
            slug: row.slug,
            legal_name: row.legal_name,
            postal_address: row.postal_address,
            contact: row.contact,
            privacy_url: row.privacy_url,
            locale: Language::parse(&row.locale).ok_or(StoreError::Corrupt { table: "tenant", column: "locale" })?,
            time_zone: row.time_zone,
            legacy_proof: row.legacy_proof,
            created_at: row.created_at,
            sealed_key: row.sealed_key,
        })
    }
}

impl Store {
    /// All tenants by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.db.q(sql!("tenant/all")).all::<Row>().await?.into_iter().map(Tenant::try_from).collect()
    }

    /// A tenant by its short name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tenant_by_slug(&self, slug: &str) -> Result<Option<Tenant>, StoreError> {
        self.db.q(sql!("tenant/by_slug")).bind(slug).opt::<Row>().await?.map(Tenant::try_from).transpose()
    }

    /// A tenant by its id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        self.db.q(sql!("tenant/by_id")).bind(id.0).opt::<Row>().await?.map(Tenant::try_from).transpose()
    }

    /// Opens a tenant's key.
    ///
    /// # Errors
    /// [`StoreError::Vault`] when the master key is missing or the row damaged.
    pub fn key_of(&self, tenant: &Tenant) -> Result<TenantKey, StoreError> {
        Ok(self.vault.tenant_key(tenant.id, &tenant.sealed_key)?)
    }

    /// A new tenant with its key and an empty history.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the short name is in use.
    pub async fn insert_tenant(
        &self,
        tx: &mut Tx,
        id: TenantId,
        new: &NewTenant,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<(), StoreError> {
        let sealed_key = self.vault.new_tenant_key(id, random)?;
        let inserted = tx
            .q(sql!("tenant/insert"))
            .bind(id.0)
            .bind(&*new.slug)
            .bind(&*new.legal_name)
            .bind(&*new.postal_address)
            .bind(&*new.contact)
            .bind(&*new.privacy_url)
            .bind(new.locale.code())
            .bind(&*new.time_zone)
            .bind(false)
            .bind(sealed_key)
            .bind(now)
            .exec()
            .await;
        match inserted {
            Err(error) if error.is_unique_violation() => return Err(StoreError::Taken("a tenant of that name")),
            other => other?,
        };
        tx.q(sql!("chain_head/insert")).bind(id.0).bind(0_i64).bind(chain::genesis(id).to_vec()).exec().await?;
        Ok(())
    }

    /// Writes back what may be changed about a tenant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn update_tenant(&self, tx: &mut Tx, tenant: &Tenant) -> Result<(), StoreError> {
        tx.q(sql!("tenant/update"))
            .bind(tenant.id.0)
            .bind(&*tenant.legal_name)
            .bind(&*tenant.postal_address)
            .bind(&*tenant.contact)
            .bind(&*tenant.privacy_url)
            .bind(tenant.locale.code())
            .bind(&*tenant.time_zone)
            .bind(tenant.legacy_proof)
            .exec()
            .await?;
        Ok(())
    }

    /// Seals every tenant's key, and the one that recognises accounts, with the current master key. May be repeated;
    /// returns how many tenants' keys were changed.
    ///
    /// # Errors
    /// [`StoreError::Vault`] when a key was sealed with a master key that was not given.
    pub async fn rewrap_tenants(&self, random: &dyn Random) -> Result<u64, StoreError> {
        self.rewrap_account_key(random).await?;
        let mut changed = 0;
        for tenant in self.tenants().await? {
            if let Some(sealed) = self.vault.rewrap(tenant.id, &tenant.sealed_key, random)? {
                let mut tx = self.begin().await?;
                changed += tx.q(sql!("tenant/rewrap")).bind(tenant.id.0).bind(sealed).exec().await?;
                tx.commit().await?;
            }
        }
        Ok(changed)
    }
}
