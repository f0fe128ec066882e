//! Purposes.

use crate::domain::fold::{Event, fold};
use crate::domain::ids::{AddressId, PurposeId};
use crate::service::tenant::need_slug;
use crate::service::{Core, ServiceError};
use crate::store::{Kept, Purpose, Tenant};
use uuid::Uuid;

impl Core {
    /// Adds a purpose. What people said about everything counts for it too.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a bad name, [`crate::store::StoreError::Taken`] for a used one.
    pub async fn create_purpose(
        &self,
        tenant: &Tenant,
        slug: &str,
        name: &str,
        body: &str,
        validity_days: i64,
    ) -> Result<Purpose, ServiceError> {
        need_slug(slug)?;
        if body.trim().is_empty() {
            return Err(ServiceError::Invalid("a purpose needs the text that people consent to".into()));
        }
        let purpose = Purpose {
            id: PurposeId(self.id()),
            slug: slug.to_owned(),
            name: name.to_owned(),
            body: body.to_owned(),
            text_version: 1,
            validity_days: validity_days.max(0),
            is_default: false,
        };
        let mut tx = self.store.begin().await?;
        tx.lock_head(tenant.id).await?;
        tx.insert_purpose(tenant.id, &purpose).await?;
        tx.spread_suppressions(tenant.id, purpose.id).await?;
        let mut after = AddressId(Uuid::nil());
        loop {
            let page = tx.addresses_with_common_lines(tenant.id, after, 1_000).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            let mut kept = Vec::with_capacity(page.len());
            for (address, mailbox) in page {
                let lines = tx.lines_of(tenant.id, address).await?;
                let common: Vec<Event> =
                    lines.iter().filter(|line| line.header.purpose.is_none()).map(crate::store::Line::event).collect();
                kept.push(Kept { address, mailbox, purpose: purpose.id, standing: fold(&common) });
            }
            tx.keep(tenant.id, &kept).await?;
        }
        tx.refresh_all_reach(tenant.id).await?;
        tx.commit().await?;
        Ok(purpose)
    }

    /// Changes a purpose. A new version of its text makes links that were sent with the old one unable to accept; what
    /// people accepted before stands.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for an empty text.
    pub async fn change_purpose(
        &self,
        tenant: &Tenant,
        purpose: &Purpose,
        new_version: bool,
    ) -> Result<Purpose, ServiceError> {
        if purpose.body.trim().is_empty() {
            return Err(ServiceError::Invalid("a purpose needs the text that people consent to".into()));
        }
        let changed = Purpose {
            text_version: purpose.text_version + i64::from(new_version),
            validity_days: purpose.validity_days.max(0),
            ..purpose.clone()
        };
        let mut tx = self.store.begin().await?;
        tx.update_purpose(tenant.id, &changed).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// A tenant's purpose by its short name, or the default one.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn purpose(&self, tenant: &Tenant, slug: Option<&str>) -> Result<Purpose, ServiceError> {
        let purposes = self.store.purposes(tenant.id).await?;
        purposes
            .into_iter()
            .find(|purpose| slug.map_or(purpose.is_default, |slug| purpose.slug == slug))
            .ok_or(ServiceError::NotFound("such purpose"))
    }
}
