//! `consentd connection add` and `set`

use super::credentials::Source;
use super::show;
use crate::cli::{CliError, Context, Exit, output};
use crate::service::Core;
use crate::service::connection::NewConnection;
use crate::service::steer::ConnectionChange;
use crate::store::{Tenant, TenantKey};
use clap::Args;

/// See [`super::ConnectionCommand::Add`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Add {
    /// Short name: a-z, 0-9 and -.
    slug: String,
    /// The provider: mailjet or brevo.
    #[arg(long)]
    provider: String,
    /// What the people on the list consent to; the default purpose when left out.
    #[arg(long, value_name = "SLUG")]
    purpose: Option<String>,
    /// The list it manages, by the provider's id; bind one later when left out.
    #[arg(long, value_name = "ID", default_value = "")]
    list: String,
    /// Where the API is; the provider's own address when left out.
    #[arg(long, value_name = "URL", default_value = "")]
    base_url: String,
    /// A field of ours and the provider's field it is written to; may be repeated.
    #[arg(long, value_name = "OURS=THEIRS", value_parser = pair)]
    map: Vec<(String, String)>,
    /// A switch of the provider; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    option: Vec<(String, String)>,
    /// When to synchronise, as a cron expression; only on demand when left out.
    #[arg(long, value_name = "EXPRESSION", default_value = "")]
    cron: String,
    /// The time zone of the schedule; the tenant's when left out.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Runs stop and ask when more than this share of the list would leave it because the CRM lacks them.
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(i64).range(0..=100))]
    guard_percent: i64,
    /// … and more than this many people.
    #[arg(long, value_name = "PEOPLE", default_value_t = 50, value_parser = clap::value_parser!(i64).range(0..))]
    guard_count: i64,
    #[command(flatten)]
    source: Source,
}

/// See [`super::ConnectionCommand::Set`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Set {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
    /// Where the API is; empty for the provider's own address.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// A field of ours and the provider's field it is written to; replaces the whole mapping; may be repeated.
    #[arg(long, value_name = "OURS=THEIRS", value_parser = pair)]
    map: Vec<(String, String)>,
    /// Map no fields at all.
    #[arg(long, conflicts_with = "map")]
    no_map: bool,
    /// A switch of the provider; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    option: Vec<(String, String)>,
    /// When to synchronise, as a cron expression; empty for on demand only.
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// The time zone of the schedule.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Runs stop and ask when more than this share of the list would leave it because the CRM lacks them.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(i64).range(0..=100))]
    guard_percent: Option<i64>,
    /// … and more than this many people.
    #[arg(long, value_name = "PEOPLE", value_parser = clap::value_parser!(i64).range(0..))]
    guard_count: Option<i64>,
}

/// `name=value`
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl Add {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let descriptor = core.descriptor(&self.provider).map_err(|error| {
            let known: Vec<&str> = core.providers.iter().map(|known| known.id).collect();
            CliError::from(error).hint(format!("Nothing was changed. There are: {}", known.join(", ")))
        })?;
        let purpose = core.purpose(tenant, self.purpose.as_deref()).await?;
        let new = NewConnection {
            slug: self.slug,
            provider: self.provider,
            base_url: self.base_url,
            credentials: self.source.read(context, descriptor)?,
            options: self.option.into_iter().collect(),
            list: self.list,
            purpose: purpose.id,
            mapping: self.map.into_iter().collect(),
            cron: self.cron,
            time_zone: self.time_zone.unwrap_or_else(|| tenant.time_zone.clone()),
            guard_percent: self.guard_percent,
            guard_count: self.guard_count,
        };
        let connection = core.add_connection(tenant, key, new).await?;
        let shown = show::Shown { connection: &connection, purpose: &purpose };
        output::data(context, &shown.json(), || {
            format!("added the connection {} (shadow: it writes nothing)", connection.slug)
        });
        let next = if connection.list.is_empty() { "bind" } else { "test" };
        output::hint(context, &format!("Next: consentd connection {next} {}", connection.slug));
        Ok(Exit::Done)
    }
}

impl Set {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        let mapping = (self.no_map || !self.map.is_empty()).then(|| self.map.into_iter().collect());
        let change = ConnectionChange {
            base_url: self.base_url,
            options: self.option.into_iter().collect(),
            mapping,
            cron: self.cron,
            time_zone: self.time_zone,
            guard_percent: self.guard_percent,
            guard_count: self.guard_count,
        };
        let connection = core.change_connection(&connection, key, change).await?;
        let purpose = show::purpose_of(core, tenant, &connection).await?;
        let shown = show::Shown { connection: &connection, purpose: &purpose };
        output::data(context, &shown.json(), || shown.text(&tenant.time_zone));
        Ok(Exit::Done)
    }
}
