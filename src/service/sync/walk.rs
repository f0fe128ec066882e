//! Walking over everything that a provider holds, page by page, resumable.

use crate::clock::Timestamp;
use crate::service::ServiceError;
use crate::service::sync::Session;
use crate::store::Seen;
use consentd_provider::Sighting;

impl Session<'_> {
    /// Reads the next page of the walk that is wanted or due, and weighs the differences after the last one.
    pub(super) async fn walk(&self) -> Result<bool, ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let walk = self.core.store.walk(tenant, connection).await?;
        let walk = match walk {
            Some(walk) if walk.finished_at.is_none() => walk,
            // A crash or a failed call after the last page: the differences are still to be weighed.
            Some(walk) if self.connection.walked_at.is_none_or(|at| at < walk.started_at) => {
                self.conclude(walk.started_at).await?;
                return Ok(true);
            }
            other if self.is_walk_due(other.as_ref().map(|walk| walk.started_at)) => {
                let mut tx = self.begin().await?;
                tx.start_walk(tenant, connection, self.core.id(), self.now()).await?;
                tx.commit().await?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        let page = self.account.provider.list(&*self.account.gateway, &self.account.audience, &walk.cursor).await?;
        let seen = page.sightings.into_iter().map(|sighting| self.seen(sighting)).collect::<Result<Vec<_>, _>>()?;
        let mut tx = self.begin().await?;
        let next = page.next.clone().unwrap_or_default();
        tx.keep_page(tenant, connection, walk.id, &seen, &next).await?;
        if page.next.is_none() {
            tx.finish_walk(tenant, connection, walk.id, self.now()).await?;
        }
        tx.commit().await?;
        if page.next.is_none() {
            self.conclude(walk.started_at).await?;
        }
        Ok(true)
    }

    /// Weighs what a complete walk saw. Only then does the walk count.
    async fn conclude(&self, started_at: Timestamp) -> Result<(), ServiceError> {
        self.reconcile().await?;
        let mut tx = self.begin().await?;
        tx.set_walked(&self.connection, started_at).await?;
        Ok(tx.commit().await?)
    }

    fn is_walk_due(&self, last_started: Option<Timestamp>) -> bool {
        let wanted = self.connection.walk_wanted_at.is_some_and(|since| last_started.is_none_or(|at| at < since));
        let due = self.now() >= last_started.unwrap_or(0).saturating_add(self.core.rules.walk_every);
        wanted || due
    }

    /// Replaces the address by its keyed digest; keeps it sealed where the person may have to be taken off.
    fn seen(&self, sighting: Sighting) -> Result<Seen, ServiceError> {
        let sealed_email = match &sighting.email {
            Some(email) if sighting.on_list != Some(false) => Some(
                self.key
                    .seal(self.connection.id.0, "remote", email.as_str().as_bytes(), &*self.core.random)
                    .map_err(crate::store::StoreError::from)?,
            ),
            _ => None,
        };
        Ok(Seen {
            mac: sighting.email.as_ref().map(|email| self.key.address_mac(&email.folded())),
            remote_id: sighting.remote_id,
            sealed_email,
            on_list: sighting.on_list,
            unsubscribed: sighting.unsubscribed,
            blocked: sighting.blocked,
        })
    }

    /// Asks for a walk that begins no earlier than now.
    pub(super) async fn want_walk(&self) -> Result<(), ServiceError> {
        let mut tx = self.begin().await?;
        tx.want_walk(&self.connection, self.now()).await?;
        Ok(tx.commit().await?)
    }

    /// Whether a complete walk began at or after `since`.
    pub(super) async fn walked_since(&self, since: Timestamp) -> Result<bool, ServiceError> {
        let walk = self.core.store.walk(self.tenant.id, self.connection.id).await?;
        Ok(walk.is_some_and(|walk| walk.finished_at.is_some() && walk.started_at >= since))
    }
}
