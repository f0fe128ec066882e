//! Connections: adding one, opening its account, changing its state.

use crate::domain::contact::MAPPABLE;
use crate::domain::ids::{ConnectionId, PurposeId};
use crate::random;
use crate::service::amend::{credentials_text, need_shadow, opened_by};
use crate::service::tenant::{need_slug, need_time_zone};
use crate::service::{Core, ServiceError};
use crate::store::{Connection, ConnectionState, Tenant, TenantKey};
use consentd_provider::{
    AccountSettings, AudienceRef, Capability, Descriptor, FieldKind, Gateway, HookMode, HookSpec, HookState, Provider,
    RemoteField, RemoteList,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is needed for a new connection.
#[derive(Debug, Clone)]
pub struct NewConnection {
    /// Short name.
    pub slug: String,
    /// The descriptor's id.
    pub provider: String,
    /// Where the API is; the provider's own address when empty.
    pub base_url: String,
    /// Credentials by the descriptor's names.
    pub credentials: BTreeMap<String, SecretString>,
    /// Switches by the descriptor's names.
    pub options: BTreeMap<String, String>,
    /// The list's id at the provider; empty to bind one later.
    pub list: String,
    /// What the people on the list consent to.
    pub purpose: PurposeId,
    /// Our field names to the provider's.
    pub mapping: BTreeMap<String, String>,
    /// Five-field cron expression; empty for none.
    pub cron: String,
    /// The time zone the expression is read in.
    pub time_zone: String,
    /// Guard: share of the list in percent.
    pub guard_percent: i64,
    /// Guard: number of people.
    pub guard_count: i64,
}

/// A connection's account, ready to be talked to.
pub struct Account {
    /// What the adapter says about itself.
    pub descriptor: &'static Descriptor,
    /// The adapter.
    pub provider: Box<dyn Provider>,
    /// The way to the provider.
    pub gateway: Arc<dyn Gateway>,
    /// The list bound to the connection.
    pub audience: AudienceRef,
}

/// The secrets of a connection's webhooks. Two of each are valid during a rotation; the first is the current one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HookSecrets {
    /// Last part of the URL.
    pub(crate) paths: Vec<String>,
    /// What the provider shows in a header.
    pub(crate) credentials: Vec<String>,
}

impl HookSecrets {
    fn generate(random: &dyn random::Random) -> Self {
        Self { paths: vec![token(random)], credentials: vec![token(random)] }
    }

    /// Puts new secrets in front and keeps the ones before them.
    pub(crate) fn rotate(&mut self, random: &dyn random::Random) {
        for secrets in [&mut self.paths, &mut self.credentials] {
            secrets.insert(0, token(random));
            secrets.truncate(2);
        }
    }
}

/// 256 random bits as text for a URL.
pub(crate) fn token(random: &dyn random::Random) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random::bytes::<32>(random))
}

impl Core {
    /// Adds a connection in shadow mode. No call is made.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a name, mapping, schedule or option that cannot be used,
    /// [`ServiceError::Settings`] for missing credentials.
    pub async fn add_connection(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        new: NewConnection,
    ) -> Result<Connection, ServiceError> {
        need_slug(&new.slug)?;
        let descriptor = self.descriptor(&new.provider)?;
        check_mapping(&new.mapping)?;
        for name in new.options.keys() {
            if !descriptor.options.iter().any(|spec| spec.name == name) {
                return Err(ServiceError::Invalid(format!("{} has no option `{name}`", descriptor.name)));
            }
        }
        let zone = need_time_zone(&new.time_zone)?;
        let next_at = super::schedule::next(&new.cron, zone, self.now())?;
        let base_url = if new.base_url.is_empty() { descriptor.default_base_url.to_owned() } else { new.base_url };
        let base_url = base_url.trim_end_matches('/').to_owned();
        let hooks = HookSecrets::generate(&*self.random);
        let settings = AccountSettings {
            credentials: new.credentials.clone(),
            hook_secrets: vec![],
            options: new.options.clone(),
        };
        (descriptor.open)(&settings)?;
        let id = ConnectionId(self.id());
        let plain = credentials_text(&new.credentials)?;
        let mut tx = self.store.begin().await?;
        let opened_by = opened_by(&new.provider, &base_url, &plain);
        let account = self.store.account(&mut tx, &opened_by, &*self.random).await?;
        let seal = |field, value: String| {
            Ok::<_, crate::store::StoreError>(key.seal(id.0, field, value.as_bytes(), &*self.random)?)
        };
        let connection = Connection {
            tenant: tenant.id,
            id,
            slug: new.slug,
            provider: new.provider,
            base_url,
            account,
            sealed_credentials: seal("credentials", plain)?,
            options: new.options,
            list: new.list,
            purpose: new.purpose,
            mapping: new.mapping,
            cron: new.cron,
            time_zone: new.time_zone,
            next_at,
            guard_percent: new.guard_percent.clamp(0, 100),
            guard_count: new.guard_count.max(0),
            state: ConnectionState::Shadow,
            state_reason: "new: confirm the first plan to begin".into(),
            hook_key: token(&*self.random),
            sealed_hooks: seal("hooks", to_json(&hooks)?)?,
            hooks_state: String::new(),
            walked_at: None,
            walk_wanted_at: Some(self.now()),
            backoff_until: 0,
            failures: 0,
            created_at: self.now(),
        };
        tx.insert_connection(&connection).await?;
        tx.commit().await?;
        Ok(connection)
    }

    /// A tenant's connection by its short name.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn find_connection(&self, tenant: &Tenant, slug: &str) -> Result<Connection, ServiceError> {
        let found = self.store.connection_by_slug(tenant.id, slug).await?;
        found.ok_or(ServiceError::NotFound("such connection"))
    }

    /// Opens the account of a connection. Makes no call.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the credentials cannot be opened, [`ServiceError::Invalid`] for an unusable URL.
    pub fn open(&self, connection: &Connection, key: &TenantKey) -> Result<Account, ServiceError> {
        let descriptor = self.descriptor(&connection.provider)?;
        let settings = Self::settings(connection, key)?;
        let quotas = (descriptor.quotas)(&settings);
        let gateway = self
            .gateways
            .open(connection.id, connection.account, &connection.base_url, &quotas, descriptor.rate_headers)
            .map_err(ServiceError::Invalid)?;
        let provider = (descriptor.open)(&settings)?;
        Ok(Account { descriptor, provider, gateway, audience: AudienceRef { list: connection.list.clone() } })
    }

    fn settings(connection: &Connection, key: &TenantKey) -> Result<AccountSettings, ServiceError> {
        let plain = key
            .open(connection.id.0, "credentials", &connection.sealed_credentials)
            .map_err(crate::store::StoreError::from)?;
        let credentials: BTreeMap<String, String> = from_json(&plain, "sealed_credentials")?;
        let hooks = Self::hook_secrets(connection, key)?;
        Ok(AccountSettings {
            credentials: credentials.into_iter().map(|(name, secret)| (name, SecretString::from(secret))).collect(),
            hook_secrets: hooks.credentials.into_iter().map(SecretString::from).collect(),
            options: connection.options.clone(),
        })
    }

    /// The adapter of a connection without a way out, for webhooks that only come in.
    ///
    /// # Errors
    /// As [`Core::open`].
    pub fn adapter(&self, connection: &Connection, key: &TenantKey) -> Result<Box<dyn Provider>, ServiceError> {
        Ok((self.descriptor(&connection.provider)?.open)(&Self::settings(connection, key)?)?)
    }

    /// The secrets of a connection's webhooks.
    pub(crate) fn hook_secrets(connection: &Connection, key: &TenantKey) -> Result<HookSecrets, ServiceError> {
        let plain =
            key.open(connection.id.0, "hooks", &connection.sealed_hooks).map_err(crate::store::StoreError::from)?;
        from_json(&plain, "sealed_hooks")
    }

    /// What the last part of a webhook's URL may be.
    ///
    /// # Errors
    /// As [`Core::open`].
    pub fn path_secrets(connection: &Connection, key: &TenantKey) -> Result<Vec<SecretString>, ServiceError> {
        Ok(Self::hook_secrets(connection, key)?.paths.into_iter().map(SecretString::from).collect())
    }

    /// Where a connection's webhooks come in, and what they must show.
    ///
    /// # Errors
    /// As [`Core::open`].
    pub fn hook_spec(&self, connection: &Connection, key: &TenantKey) -> Result<HookSpec, ServiceError> {
        let secrets = Self::hook_secrets(connection, key)?;
        let (Some(path), Some(credential)) = (secrets.paths.first(), secrets.credentials.first()) else {
            return Err(ServiceError::Conflict(
                "the connection has no webhook secret; rotate its webhook secrets".into(),
            ));
        };
        Ok(HookSpec {
            url: format!("{}/hooks/{}/{path}", self.public_url, connection.hook_key),
            secret: SecretString::from(credential.clone()),
        })
    }

    /// Looks at a connection's webhook registrations, or puts them right, and notes what was found.
    ///
    /// # Errors
    /// [`ServiceError::Provider`].
    pub async fn hooks(
        &self,
        connection: &Connection,
        key: &TenantKey,
        mode: HookMode,
    ) -> Result<HookState, ServiceError> {
        let account = self.open(connection, key)?;
        let spec = self.hook_spec(connection, key)?;
        let state = account.provider.hooks(&*account.gateway, &spec, mode).await?;
        let noted = serde_json::json!({
            "healthy": state.healthy, "missing": state.missing, "suspended": state.suspended,
            "foreign": state.foreign, "at": self.now(),
        });
        let mut tx = self.store.begin().await?;
        tx.set_hooks_state(connection, &noted.to_string()).await?;
        tx.commit().await?;
        Ok(state)
    }

    /// Proves a connection's credentials, list and mapping with calls that change nothing. Returns what is wrong, in
    /// sentences; empty when nothing is.
    ///
    /// # Errors
    /// [`ServiceError::Provider`].
    pub async fn test_connection(&self, connection: &Connection, key: &TenantKey) -> Result<Vec<String>, ServiceError> {
        let account = self.open(connection, key)?;
        account.provider.check(&*account.gateway).await?;
        let mut wrong = Vec::new();
        let lists = account.provider.lists(&*account.gateway).await?;
        if !lists.iter().any(|list| list.id == connection.list) {
            wrong.push(format!(
                "the account has no list `{}`; bind another with `consentd connection bind`",
                connection.list
            ));
        }
        for field in self.missing_fields(connection, &account).await? {
            wrong.push(format!(
                "the account has no contact field `{}`; create it with `consentd connection fields --create`",
                field.name
            ));
        }
        Ok(wrong)
    }

    /// The mapped fields that the account lacks.
    ///
    /// # Errors
    /// [`ServiceError::Provider`].
    pub async fn missing_fields(
        &self,
        connection: &Connection,
        account: &Account,
    ) -> Result<Vec<RemoteField>, ServiceError> {
        if connection.mapping.is_empty() {
            return Ok(Vec::new());
        }
        let schema = account.provider.schema(&*account.gateway).await?;
        Ok(connection
            .mapping
            .iter()
            .filter(|(_, theirs)| !schema.iter().any(|field| field.name.eq_ignore_ascii_case(theirs)))
            .map(|(ours, theirs)| RemoteField {
                name: theirs.clone(),
                kind: if matches!(ours.as_str(), "prospect" | "professional") {
                    FieldKind::Bool
                } else {
                    FieldKind::Text
                },
            })
            .collect())
    }

    /// Creates the mapped fields that the account lacks. Returns their names.
    ///
    /// # Errors
    /// [`ServiceError::Provider`].
    pub async fn create_missing_fields(
        &self,
        connection: &Connection,
        key: &TenantKey,
    ) -> Result<Vec<String>, ServiceError> {
        let account = self.open(connection, key)?;
        let missing = self.missing_fields(connection, &account).await?;
        for field in &missing {
            account.provider.create_field(&*account.gateway, field).await?;
        }
        Ok(missing.into_iter().map(|field| field.name).collect())
    }

    /// Binds a connection to a list of that name, created when the account has none.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] once a run has written to another list.
    pub async fn bind_list(
        &self,
        connection: &Connection,
        key: &TenantKey,
        name: &str,
    ) -> Result<RemoteList, ServiceError> {
        need_shadow(connection)?;
        let account = self.open(connection, key)?;
        if !account.descriptor.capabilities.contains(&Capability::CreateList) {
            return Err(ServiceError::Conflict(format!("{} cannot create lists", account.descriptor.name)));
        }
        let list = account.provider.create_list(&*account.gateway, name).await?;
        self.bind(connection, &list).await?;
        Ok(list)
    }
}

pub(crate) fn check_mapping(mapping: &BTreeMap<String, String>) -> Result<(), ServiceError> {
    for (ours, theirs) in mapping {
        if !MAPPABLE.contains(&ours.as_str()) {
            return Err(ServiceError::Invalid(format!("`{ours}` is not a field; there are: {}", MAPPABLE.join(", "))));
        }
        if theirs.eq_ignore_ascii_case("email") {
            return Err(ServiceError::Invalid(
                "the address itself cannot be mapped: changing it would lift blocks".into(),
            ));
        }
    }
    Ok(())
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, ServiceError> {
    serde_json::to_string(value).map_err(|_| ServiceError::Invalid("the settings cannot be stored".into()))
}

fn from_json<T: serde::de::DeserializeOwned>(bytes: &[u8], column: &'static str) -> Result<T, ServiceError> {
    serde_json::from_slice(bytes).map_err(|_| crate::store::StoreError::Corrupt { table: "connection", column }.into())
}
