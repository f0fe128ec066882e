//! `consentd consent …`

mod act;
mod history;
mod request;
mod show;

use crate::cli::{CliError, Context, Exit};
use clap::Subcommand;

/// One person's consent: where it stands, asking for it, withdrawing it, its history.
///
/// Staff may ask and withdraw. Only the person can say yes, and only the person can take back a no.
///
/// Example: consentd consent show ada@example.org
#[derive(Debug, Subcommand)]
pub(super) enum ConsentCommand {
    /// Show where a person stands, since when, and what may be done next and by whom.
    ///
    /// Example: consentd consent show ada@example.org --lang de
    Show(show::Show),
    /// Record that a person is asked, and print the link to hand over to that person alone.
    ///
    /// The link can accept or refuse; whoever opens it decides for the person, so it belongs in a mail to that address.
    ///
    /// Example: consentd consent request ada@example.org --basis customer
    Request(request::Request),
    /// Withdraw a consent on the person's behalf. It cannot be undone by staff.
    ///
    /// The providers are told at once.
    ///
    /// Example: consentd consent withdraw ada@example.org --reason "objected by phone on 3 November"
    Withdraw(act::Withdraw),
    /// Show everything that was said about an address, with the evidence kept.
    ///
    /// Example: consentd consent history ada@example.org --json
    History(history::History),
    /// Say that a mailbox that bounced works again.
    ///
    /// Example: consentd consent clear-bounce ada@example.org --reason "confirmed by phone"
    ClearBounce(act::ClearBounce),
    /// Take back a withdrawal that staff entered by mistake. Needs two people.
    ///
    /// The person counts as not asked afterwards. What a recipient or a provider said cannot be taken back.
    ///
    /// Example: consentd consent annul ada@example.org --as mia --with jo --reason "meant another address"
    Annul(act::Annul),
    /// Destroy a person's data on request. It cannot be undone.
    ///
    /// The evidence becomes unreadable, the history still verifies, and the address stays on the suppression list.
    ///
    /// Example: consentd consent erase ada@example.org --reason "request of 3 November, ticket 812"
    Erase(act::Erase),
}

impl ConsentCommand {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let core = context.core().await?;
        let (tenant, key) = context.tenant(&core).await?;
        match self {
            Self::Show(command) => command.run(context, &core, &tenant, &key).await,
            Self::Request(command) => command.run(context, &core, &tenant, &key).await,
            Self::Withdraw(command) => command.run(context, &core, &tenant, &key).await,
            Self::History(command) => command.run(context, &core, &tenant, &key).await,
            Self::ClearBounce(command) => command.run(context, &core, &tenant, &key).await,
            Self::Annul(command) => command.run(context, &core, &tenant, &key).await,
            Self::Erase(command) => command.run(context, &core, &tenant, &key).await,
        }
    }
}
