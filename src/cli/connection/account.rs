//! `consentd connection test`, `bind`, `lists`, `fields`, `hooks`, `pause`, `resume`

use crate::cli::{CliError, Context, Exit, output};
use crate::service::Core;
use crate::store::{Tenant, TenantKey};
use clap::Args;
use consentd_provider::{HookMode, RemoteList};
use serde_json::json;

/// See [`super::ConnectionCommand::Test`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
}

/// See [`super::ConnectionCommand::Bind`].
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Bind {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
    /// A list of the account, by the provider's id.
    #[arg(long, value_name = "ID", required_unless_present = "create", conflicts_with = "create")]
    list: Option<String>,
    /// A list of that name, created unless the account has one.
    #[arg(long, value_name = "NAME")]
    create: Option<String>,
}

/// See [`super::ConnectionCommand::Lists`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Lists {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
}

/// See [`super::ConnectionCommand::Fields`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Fields {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
    /// Create what is missing.
    #[arg(long)]
    create: bool,
}

/// See [`super::ConnectionCommand::Hooks`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Hooks {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
    /// Create what is missing, revive what is suspended, update what is ours and wrong.
    #[arg(long)]
    repair: bool,
    /// Make new secrets and register them; the ones before stay valid until the next rotation.
    #[arg(long)]
    rotate: bool,
}

/// See [`super::ConnectionCommand::Pause`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Pause {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
    /// Why, for whoever looks at it next.
    #[arg(long, value_name = "TEXT", default_value = "paused by an operator")]
    reason: String,
}

/// See [`super::ConnectionCommand::Resume`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Resume {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
}

impl Test {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        let wrong = core.test_connection(&connection, key).await?;
        output::data(
            context,
            &json!({ "connection": connection.slug, "credentials": "accepted", "wrong": wrong }),
            || {
                let lines = wrong.iter().map(|sentence| format!("wrong: {sentence}\n"));
                "the provider accepts the credentials\n".to_owned() + &lines.collect::<String>()
            },
        );
        Ok(if wrong.is_empty() { Exit::Done } else { Exit::SomeErrors })
    }
}

impl Bind {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        let list = match (&self.list, &self.create) {
            (Some(id), _) => core.bind_existing_list(&connection, key, id).await?,
            (None, name) => core.bind_list(&connection, key, name.as_deref().unwrap_or_default()).await?,
        };
        let data = json!({ "connection": connection.slug, "list": { "id": list.id, "name": list.name } });
        output::data(context, &data, || format!("{} manages the list {} ({})", connection.slug, list.name, list.id));
        output::hint(context, &format!("Next: consentd sync plan {}", connection.slug));
        Ok(Exit::Done)
    }
}

impl Lists {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        let account = core.open(&connection, key)?;
        let lists = account.provider.lists(&*account.gateway).await.map_err(crate::service::ServiceError::from)?;
        let bound = |list: &RemoteList| list.id == connection.list;
        let data: Vec<_> =
            lists.iter().map(|list| json!({ "id": list.id, "name": list.name, "bound": bound(list) })).collect();
        output::data(context, &data, || {
            let mut table = output::table(&["LIST", "NAME", "BOUND"]);
            for list in &lists {
                table.add_row([&*list.id, &list.name, if bound(list) { "here" } else { "" }]);
            }
            output::lines(&table)
        });
        Ok(Exit::Done)
    }
}

impl Fields {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        let (missing, created) = if self.create {
            (Vec::new(), core.create_missing_fields(&connection, key).await?)
        } else {
            let account = core.open(&connection, key)?;
            let missing = core.missing_fields(&connection, &account).await?;
            (missing.into_iter().map(|field| field.name).collect(), Vec::new())
        };
        let mapped = connection.mapping.len();
        let data = json!({ "connection": connection.slug, "mapping": connection.mapping, "missing": missing, "created": created });
        output::data(context, &data, || match (missing.as_slice(), created.as_slice()) {
            ([], []) => format!("the account has all {mapped} mapped fields"),
            ([], created) => format!("created: {}", created.join(", ")),
            (missing, _) => format!("missing: {}", missing.join(", ")),
        });
        if missing.is_empty() {
            return Ok(Exit::Done);
        }
        output::hint(context, &format!("Next: consentd connection fields {} --create", connection.slug));
        Ok(Exit::SomeErrors)
    }
}

impl Hooks {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let mut connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        if self.rotate {
            connection = core.rotate_hooks(&connection, key).await?;
        }
        let mode = if self.repair || self.rotate { HookMode::Repair } else { HookMode::Inspect };
        let state = core.hooks(&connection, key, mode).await?;
        let data = json!({
            "connection": connection.slug, "healthy": state.healthy, "missing": state.missing,
            "suspended": state.suspended, "foreign": state.foreign, "changed": state.changed, "rotated": self.rotate,
        });
        output::data(context, &data, || {
            output::facts(&[
                ("webhooks", if state.healthy { "healthy" } else { "not healthy" }.to_owned()),
                ("missing", state.missing.join(", ")),
                ("suspended", state.suspended.join(", ")),
                ("taken by others", state.foreign.join(", ")),
                ("changed now", if state.changed { "yes" } else { "no" }.to_owned()),
            ])
        });
        if state.healthy {
            return Ok(Exit::Done);
        }
        if mode == HookMode::Inspect {
            output::hint(context, &format!("Next: consentd connection hooks {} --repair", connection.slug));
        }
        Ok(Exit::SomeErrors)
    }
}

impl Pause {
    pub(super) async fn run(self, context: &Context, core: &Core, tenant: &Tenant) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        core.pause_connection(&connection, &self.reason).await?;
        output::data(context, &json!({ "connection": connection.slug, "state": "paused" }), || {
            format!("paused {}; withdrawals keep going", connection.slug)
        });
        Ok(Exit::Done)
    }
}

impl Resume {
    pub(super) async fn run(self, context: &Context, core: &Core, tenant: &Tenant) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        core.resume_connection(&connection).await?;
        output::data(context, &json!({ "connection": connection.slug, "state": "active" }), || {
            format!("{} works again", connection.slug)
        });
        Ok(Exit::Done)
    }
}
