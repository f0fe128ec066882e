//! `consentd sync plan`, `run`, `confirm`, `cancel`

use super::follow::Following;
use super::report::Report;
use crate::cli::{CliError, Context, Exit, output};
use crate::service::Core;
use crate::store::{RunState, Tenant};
use clap::Args;
use serde_json::json;

/// See [`super::SyncCommand::Plan`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Plan {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
    #[command(flatten)]
    following: Following,
}

/// See [`super::SyncCommand::Run`].
#[derive(Debug, Args)]
pub(in crate::cli) struct RunNow {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
    /// Plan only, as `sync plan` does.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    following: Following,
}

/// See [`super::SyncCommand::Confirm`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Confirm {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
    #[command(flatten)]
    following: Following,
}

/// See [`super::SyncCommand::Cancel`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Cancel {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
}

impl Plan {
    pub(super) async fn run(self, context: &Context, core: &Core, tenant: &Tenant) -> Result<Exit, CliError> {
        RunNow { connection: self.connection, dry_run: true, following: self.following }
            .run(context, core, tenant)
            .await
    }
}

impl RunNow {
    pub(super) async fn run(self, context: &Context, core: &Core, tenant: &Tenant) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        let run = core.request_run(&connection, "operator", self.dry_run).await?;
        if run.dry && !self.dry_run {
            return Err(CliError::new(Exit::NotAllowed, "conflict", "a dry run of this connection is open").hint(
                format!("Nothing was changed. Let it end, or stop it with `consentd sync cancel {}`.", connection.slug),
            ));
        }
        if self.dry_run && !run.dry {
            output::hint(context, "A run of this connection was open already; its plan is shown.");
        }
        self.following.see(context, core, tenant, &connection, run).await
    }
}

impl Confirm {
    pub(super) async fn run(self, context: &Context, core: &Core, tenant: &Tenant) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        let waiting = core.store.open_run(tenant.id, connection.id).await?;
        let Some(run) = waiting.filter(|run| run.state == RunState::AwaitingConfirmation) else {
            return Err(CliError::new(
                Exit::NotAllowed,
                "conflict",
                "no run of this connection waits for a confirmation",
            )
            .hint(format!("Nothing was changed. Next: consentd sync run {}", connection.slug)));
        };
        let report = Report::of(core, &connection, &run).await?;
        let warning = format!(
            "{}\nThis run waits for a person: {}. It writes {} changes at the provider.",
            report.plan(),
            run.guard,
            report.changes()
        );
        context.confirm(&warning, &report.changes().to_string())?;
        let run = core.confirm_run(&connection, &context.who()).await?;
        self.following.see(context, core, tenant, &connection, run).await
    }
}

impl Cancel {
    pub(super) async fn run(self, context: &Context, core: &Core, tenant: &Tenant) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        core.cancel_run(&connection).await?;
        output::data(context, &json!({ "connection": connection.slug, "cancelling": true }), || {
            format!("the open run of {} stops at the next opportunity; withdrawals go on", connection.slug)
        });
        Ok(Exit::Done)
    }
}
