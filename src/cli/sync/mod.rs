//! `consentd sync …`

mod errors;
mod follow;
mod report;
mod request;
mod status;

use crate::cli::{CliError, Context, Exit};
use clap::Subcommand;

/// Keep a provider in step with consent: plan, run, look, confirm.
///
/// Example: consentd sync plan mail
#[derive(Debug, Subcommand)]
pub(super) enum SyncCommand {
    /// Show what a run would do, by action and reason. Writes nothing at the provider.
    ///
    /// Example: consentd sync plan mail --here
    Plan(request::Plan),
    /// Ask for a run. The first one of a connection, and any beyond its guard, waits for `sync confirm`.
    ///
    /// A daemon does the work; with --here this command does, if no daemon has the connection.
    ///
    /// Example: consentd sync run mail --wait
    Run(request::RunNow),
    /// Let the run go on that waits for a person. The first confirmed run makes its connection active.
    ///
    /// Example: consentd sync confirm mail
    Confirm(request::Confirm),
    /// Stop the open run. What was written stays; withdrawals are not stopped.
    ///
    /// Example: consentd sync cancel mail
    Cancel(request::Cancel),
    /// Show a connection's latest runs and what it is waiting for.
    ///
    /// Example: consentd sync status mail --last 5
    Status(status::Status),
    /// List the people whom a run could not write, with the provider's words.
    ///
    /// Example: consentd sync errors mail --json
    Errors(errors::Errors),
    /// Count where the provider and consentd differed at the last walk.
    ///
    /// Ends with code 9 when they did.
    ///
    /// Example: consentd sync diff mail
    Diff(errors::Diff),
}

impl SyncCommand {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let core = context.core().await?;
        let (tenant, _) = context.tenant(&core).await?;
        match self {
            Self::Plan(command) => command.run(context, &core, &tenant).await,
            Self::Run(command) => command.run(context, &core, &tenant).await,
            Self::Confirm(command) => command.run(context, &core, &tenant).await,
            Self::Cancel(command) => command.run(context, &core, &tenant).await,
            Self::Status(command) => command.run(context, &core, &tenant).await,
            Self::Errors(command) => command.run(context, &core, &tenant).await,
            Self::Diff(command) => command.run(context, &core, &tenant).await,
        }
    }
}
