//! Changing a connection that daemons and other people may be changing too: each change is made to the row as it is,
//! locked until it is written back.

use crate::service::connection::to_json;
use crate::service::{Core, ServiceError};
use crate::store::{Connection, ConnectionState, StoreError, TenantKey};
use consentd_provider::{AccountSettings, RemoteList};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;

impl Core {
    /// New webhook secrets; the ones before stay valid until the next rotation.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn rotate_hooks(&self, connection: &Connection, key: &TenantKey) -> Result<Connection, ServiceError> {
        self.amend(connection, None, |changed| {
            let mut secrets = Self::hook_secrets(changed, key)?;
            secrets.rotate(&*self.random);
            let plain = to_json(&secrets)?;
            changed.sealed_hooks =
                key.seal(changed.id.0, "hooks", plain.as_bytes(), &*self.random).map_err(StoreError::from)?;
            Ok(())
        })
        .await
    }

    /// Replaces a connection's credentials; a connection that was suspended for the old ones works again.
    ///
    /// # Errors
    /// [`ServiceError::Settings`] when one is missing.
    pub async fn set_credentials(
        &self,
        connection: &Connection,
        key: &TenantKey,
        credentials: &BTreeMap<String, SecretString>,
    ) -> Result<Connection, ServiceError> {
        let settings = AccountSettings {
            credentials: credentials.clone(),
            hook_secrets: vec![],
            options: connection.options.clone(),
        };
        (self.descriptor(&connection.provider)?.open)(&settings)?;
        let plain = credentials_text(credentials)?;
        let opens = opened_by(&connection.provider, &connection.base_url, &plain);
        self.amend(connection, Some(&opens), |changed| {
            changed.sealed_credentials =
                key.seal(changed.id.0, "credentials", plain.as_bytes(), &*self.random).map_err(StoreError::from)?;
            if changed.state == ConnectionState::Suspended {
                changed.state = ConnectionState::Active;
                changed.state_reason = String::new();
            }
            Ok(())
        })
        .await
    }

    /// Binds a connection that still writes nothing to a list, and has it walked.
    pub(crate) async fn bind(&self, connection: &Connection, list: &RemoteList) -> Result<(), ServiceError> {
        let now = self.now();
        self.amend(connection, None, |changed| {
            need_shadow(changed)?;
            changed.list.clone_from(&list.id);
            changed.walk_wanted_at = Some(now);
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Changes a connection. `opens` is what opens its account from now on, if that changes: whoever owns the account
    /// before is deposed, so that nothing more is written for the connection under the old one.
    pub(crate) async fn amend(
        &self,
        connection: &Connection,
        opens: Option<&str>,
        change: impl FnOnce(&mut Connection) -> Result<(), ServiceError>,
    ) -> Result<Connection, ServiceError> {
        let mut tx = self.store.begin().await?;
        let mut account = connection.account;
        if let Some(opens) = opens {
            account = self.store.account(&mut tx, opens, &*self.random).await?;
        }
        if account != connection.account {
            // Owners write with their account locked first, so it comes first here too.
            tx.depose(connection.account).await?;
        }
        let Some(mut changed) = tx.lock_connection(connection).await? else {
            return Err(ServiceError::NotFound("such connection"));
        };
        let before = |of: &Connection| (of.account, of.base_url.clone(), of.sealed_credentials.clone());
        if opens.is_some() && before(&changed) != before(connection) {
            return Err(ServiceError::Conflict(
                "somebody else has just changed the connection's account; look at it and try again".into(),
            ));
        }
        if opens.is_some() {
            changed.account = account;
        }
        change(&mut changed)?;
        tx.update_connection(&changed).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// What opens a connection's account at another place.
    pub(crate) fn opened_by_at(connection: &Connection, key: &TenantKey, url: &str) -> Result<String, ServiceError> {
        let plain =
            key.open(connection.id.0, "credentials", &connection.sealed_credentials).map_err(StoreError::from)?;
        let corrupt = |_| StoreError::Corrupt { table: "connection", column: "sealed_credentials" };
        let plain = String::from_utf8(plain).map_err(corrupt)?;
        Ok(opened_by(&connection.provider, url, &plain))
    }
}

/// What is sealed as the credentials of a connection.
pub(crate) fn credentials_text(credentials: &BTreeMap<String, SecretString>) -> Result<String, ServiceError> {
    let plain: BTreeMap<&str, &str> =
        credentials.iter().map(|(name, secret)| (name.as_str(), secret.expose_secret())).collect();
    to_json(&plain)
}

/// What makes two connections speak to one account: the same provider, place and credentials.
pub(crate) fn opened_by(provider: &str, base_url: &str, credentials: &str) -> String {
    [provider, base_url, credentials].join("\n")
}

/// Refuses a connection that has begun to write: its list stays.
pub(crate) fn need_shadow(connection: &Connection) -> Result<(), ServiceError> {
    if connection.state == ConnectionState::Shadow {
        return Ok(());
    }
    Err(ServiceError::Conflict("the list of a working connection cannot be changed; add a second connection".into()))
}
