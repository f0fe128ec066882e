//! What an operator may change about a connection, and when.

use crate::service::amend::need_shadow;
use crate::service::connection::check_mapping;
use crate::service::tenant::need_time_zone;
use crate::service::{Core, ServiceError};
use crate::store::{Connection, ConnectionState, TenantKey};
use consentd_provider::RemoteList;
use std::collections::BTreeMap;

/// What is to be changed; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "see Connection")]
pub struct ConnectionChange {
    pub base_url: Option<String>,
    pub options: BTreeMap<String, String>,
    pub mapping: Option<BTreeMap<String, String>>,
    pub cron: Option<String>,
    pub time_zone: Option<String>,
    pub guard_percent: Option<i64>,
    pub guard_count: Option<i64>,
}

impl Core {
    /// Changes a connection's address, options, mapping, schedule or guard.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for what cannot be used; nothing is changed then.
    pub async fn change_connection(
        &self,
        connection: &Connection,
        key: &TenantKey,
        change: ConnectionChange,
    ) -> Result<Connection, ServiceError> {
        let descriptor = self.descriptor(&connection.provider)?;
        let base_url = change.base_url.map(|url| {
            let url = if url.is_empty() { descriptor.default_base_url } else { &*url };
            url.trim_end_matches('/').to_owned()
        });
        if let Some(name) =
            change.options.keys().find(|name| !descriptor.options.iter().any(|spec| spec.name == **name))
        {
            return Err(ServiceError::Invalid(format!("{} has no option `{name}`", descriptor.name)));
        }
        if let Some(mapping) = &change.mapping {
            check_mapping(mapping)?;
        }
        let opens = base_url.as_ref().map(|url| Self::opened_by_at(connection, key, url)).transpose()?;
        let bell = change.cron.is_some() || change.time_zone.is_some();
        self.amend(connection, opens.as_deref(), |changed| {
            changed.base_url = base_url.unwrap_or_else(|| std::mem::take(&mut changed.base_url));
            changed.options.extend(change.options);
            changed.mapping = change.mapping.unwrap_or_else(|| std::mem::take(&mut changed.mapping));
            changed.cron = change.cron.unwrap_or_else(|| std::mem::take(&mut changed.cron));
            changed.time_zone = change.time_zone.unwrap_or_else(|| std::mem::take(&mut changed.time_zone));
            if bell {
                let zone = need_time_zone(&changed.time_zone)?;
                changed.next_at = super::schedule::next(&changed.cron, zone, self.now())?;
            }
            changed.guard_percent = change.guard_percent.unwrap_or(changed.guard_percent).clamp(0, 100);
            changed.guard_count = change.guard_count.unwrap_or(changed.guard_count).max(0);
            self.adapter(changed, key).map(drop)
        })
        .await
    }

    /// Binds a connection to a list that the account has, by the provider's id.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] once the connection works, [`ServiceError::NotFound`] for an unknown list.
    pub async fn bind_existing_list(
        &self,
        connection: &Connection,
        key: &TenantKey,
        id: &str,
    ) -> Result<RemoteList, ServiceError> {
        need_shadow(connection)?;
        let account = self.open(connection, key)?;
        let lists = account.provider.lists(&*account.gateway).await?;
        let list = lists.into_iter().find(|list| list.id == id).ok_or(ServiceError::NotFound("such list"))?;
        self.bind(connection, &list).await?;
        Ok(list)
    }

    /// Stops the runs of a working connection. Withdrawals keep going.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] for a connection that does not work yet.
    pub async fn pause_connection(&self, connection: &Connection, why: &str) -> Result<(), ServiceError> {
        match connection.state {
            ConnectionState::Shadow => Err(ServiceError::Conflict(
                "the connection writes nothing yet: no plan of it was ever confirmed".into(),
            )),
            _ => self.set_state(connection, ConnectionState::Paused, why).await,
        }
    }

    /// Lets a paused connection work again.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] unless it is paused.
    pub async fn resume_connection(&self, connection: &Connection) -> Result<(), ServiceError> {
        if connection.state != ConnectionState::Paused {
            return Err(ServiceError::Conflict("the connection is not paused".into()));
        }
        self.set_state(connection, ConnectionState::Active, "").await
    }

    async fn set_state(&self, connection: &Connection, state: ConnectionState, why: &str) -> Result<(), ServiceError> {
        let mut tx = self.store.begin().await?;
        tx.set_connection_state(connection, state, why).await?;
        Ok(tx.commit().await?)
    }
}
