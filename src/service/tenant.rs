//! Tenants.

use crate::domain::ids::{PurposeId, TenantId};
use crate::service::{Core, ServiceError};
use crate::store::{NewTenant, Purpose, Tenant, TenantKey};

/// Whether a short name can stand on a command line and in a path.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
}

/// Refuses what is no short name.
pub(crate) fn need_slug(text: &str) -> Result<(), ServiceError> {
    if is_slug(text) {
        return Ok(());
    }
    Err(ServiceError::Invalid(format!("`{text}` cannot be a short name; use a-z, 0-9 and -, at most 40 characters")))
}

/// Refuses what is no IANA time zone.
pub(crate) fn need_time_zone(name: &str) -> Result<chrono_tz::Tz, ServiceError> {
    name.parse().map_err(|_| ServiceError::Invalid(format!("`{name}` is not a time zone; an example is Europe/Berlin")))
}

impl Core {
    /// Creates a tenant with its default purpose "e-mail campaigns".
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a bad name or time zone, [`crate::store::StoreError::Taken`] for a used name.
    pub async fn create_tenant(&self, new: &NewTenant) -> Result<Tenant, ServiceError> {
        need_slug(&new.slug)?;
        need_time_zone(&new.time_zone)?;
        if new.legal_name.trim().is_empty() {
            return Err(ServiceError::Invalid("a tenant needs its legal name: people must know who asks them".into()));
        }
        let id = TenantId(self.id());
        let purpose = Purpose {
            id: PurposeId(self.id()),
            slug: "campaigns".into(),
            name: "E-mail campaigns".into(),
            body: format!("Advertising and information by e-mail from {}.", new.legal_name),
            text_version: 1,
            validity_days: 0,
            is_default: true,
        };
        let mut tx = self.store.begin().await?;
        self.store.insert_tenant(&mut tx, id, new, self.now(), &*self.random).await?;
        tx.insert_purpose(id, &purpose).await?;
        tx.commit().await?;
        self.store.tenant(id).await?.ok_or(ServiceError::NotFound("such tenant"))
    }

    /// A tenant and its key by its short name.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn tenant(&self, slug: &str) -> Result<(Tenant, TenantKey), ServiceError> {
        let tenant = self.store.tenant_by_slug(slug).await?.ok_or(ServiceError::NotFound("such tenant"))?;
        let key = self.store.key_of(&tenant)?;
        Ok((tenant, key))
    }

    /// A tenant and its key by its id.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn tenant_by_id(&self, id: TenantId) -> Result<(Tenant, TenantKey), ServiceError> {
        let tenant = self.store.tenant(id).await?.ok_or(ServiceError::NotFound("such tenant"))?;
        let key = self.store.key_of(&tenant)?;
        Ok((tenant, key))
    }

    /// Changes a tenant's details.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a bad time zone.
    pub async fn change_tenant(&self, tenant: &Tenant) -> Result<(), ServiceError> {
        need_time_zone(&tenant.time_zone)?;
        let mut tx = self.store.begin().await?;
        self.store.update_tenant(&mut tx, tenant).await?;
        Ok(tx.commit().await?)
    }
}
