//! `consentd connection …`

mod account;
mod add;
mod credentials;
mod show;

use crate::cli::{CliError, Context, Exit};
use clap::Subcommand;

/// A tenant's accounts at Mailjet or Brevo.
///
/// Example: consentd connection list
#[derive(Debug, Subcommand)]
pub(super) enum ConnectionCommand {
    /// Add a connection. It reads and plans, and writes nothing before its first plan was confirmed.
    ///
    /// Credentials come from --key-file, from standard input, or are asked for; never from the command line.
    ///
    /// Example: consentd connection add mail --provider mailjet --key-file mailjet.key --map first_name=firstname
    Add(add::Add),
    /// List the tenant's connections.
    ///
    /// Example: consentd connection list --json
    List,
    /// Show a connection: its state, its list, its schedule, what the provider holds.
    ///
    /// Example: consentd connection show mail
    Show(show::Show),
    /// Prove credentials, list and field mapping with calls that change nothing.
    ///
    /// Ends with code 7 when something is wrong with the list or the fields.
    ///
    /// Example: consentd connection test mail
    Test(account::Test),
    /// Change a connection's schedule, guard, mapping, options or address.
    ///
    /// Example: consentd connection set mail --cron "0 2 * * *" --guard-percent 5
    Set(add::Set),
    /// Bind the list that a connection manages: one of the account's, or a new one.
    ///
    /// Best is a list of its own: everybody on it who has not consented here is taken off.
    ///
    /// Example: consentd connection bind mail --create "Consent given"
    Bind(account::Bind),
    /// List the account's lists.
    ///
    /// Example: consentd connection lists mail
    Lists(account::Lists),
    /// Show which mapped contact fields the account lacks, and create them.
    ///
    /// Ends with code 7 when some are missing.
    ///
    /// Example: consentd connection fields mail --create
    Fields(account::Fields),
    /// Replace a connection's credentials. The old ones are forgotten.
    ///
    /// Example: consentd connection credentials mail --key-file mailjet.key
    Credentials(credentials::Credentials),
    /// Look at the account's webhook registrations, put them right, or change their secrets.
    ///
    /// Ends with code 7 when they are not healthy.
    ///
    /// Example: consentd connection hooks mail --repair
    Hooks(account::Hooks),
    /// Stop a connection's runs. Withdrawals keep going.
    ///
    /// Example: consentd connection pause mail --reason "moving to a new list"
    Pause(account::Pause),
    /// Let a paused connection work again.
    ///
    /// Example: consentd connection resume mail
    Resume(account::Resume),
}

impl ConnectionCommand {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let core = context.core().await?;
        let (tenant, key) = context.tenant(&core).await?;
        match self {
            Self::Add(command) => command.run(context, &core, &tenant, &key).await,
            Self::List => show::list(context, &core, &tenant).await,
            Self::Show(command) => command.run(context, &core, &tenant).await,
            Self::Test(command) => command.run(context, &core, &tenant, &key).await,
            Self::Set(command) => command.run(context, &core, &tenant, &key).await,
            Self::Bind(command) => command.run(context, &core, &tenant, &key).await,
            Self::Lists(command) => command.run(context, &core, &tenant, &key).await,
            Self::Fields(command) => command.run(context, &core, &tenant, &key).await,
            Self::Credentials(command) => command.run(context, &core, &tenant, &key).await,
            Self::Hooks(command) => command.run(context, &core, &tenant, &key).await,
            Self::Pause(command) => command.run(context, &core, &tenant).await,
            Self::Resume(command) => command.run(context, &core, &tenant).await,
        }
    }
}
