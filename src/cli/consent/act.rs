//! `consentd consent withdraw`, `clear-bounce`, `annul`, `erase`

use crate::cli::{CliError, Context, Exit, output};
use crate::domain::ids::PurposeId;
use crate::service::Core;
use crate::store::{Address, Kept, Tenant, TenantKey};
use clap::Args;
use serde_json::{Value, json};

/// See [`super::ConsentCommand::Withdraw`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Withdraw {
    /// The address.
    email: String,
    /// Withdraw from this purpose only; from everything when left out.
    #[arg(long, value_name = "SLUG")]
    purpose: Option<String>,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// See [`super::ConsentCommand::ClearBounce`].
#[derive(Debug, Args)]
pub(in crate::cli) struct ClearBounce {
    /// The address.
    email: String,
    /// How you know, for the history.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// See [`super::ConsentCommand::Annul`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Annul {
    /// The address.
    email: String,
    /// The second person who vouches for it.
    #[arg(long, value_name = "NAME")]
    with: String,
    /// What went wrong, for the history.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// See [`super::ConsentCommand::Erase`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Erase {
    /// The address.
    email: String,
    /// Whose request it is, for the history.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

async fn find(core: &Core, tenant: &Tenant, key: &TenantKey, email: &str) -> Result<Address, CliError> {
    Ok(core.find_address(tenant, key, &Context::email(email)?).await?)
}

impl Withdraw {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let address = find(core, tenant, key, &self.email).await?;
        let purpose: Option<PurposeId> = match &self.purpose {
            Some(slug) => Some(core.purpose(tenant, Some(slug)).await?.id),
            None => None,
        };
        let warning = "Warning: this cannot be undone. You will not be able to allow this address again or to ask again; \
                       only the recipient can change it, in the customer area.";
        context.confirm(warning, address.email.as_str())?;
        let kept = core.withdraw(tenant, key, &address, purpose, &context.who(), &self.reason).await?;
        done(context, core, tenant, &address, &kept, "withdrawn", "The providers are told at once while a daemon runs.")
            .await
    }
}

impl ClearBounce {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let address = find(core, tenant, key, &self.email).await?;
        let kept = core.clear_bounce(tenant, key, &address, &context.who(), &self.reason).await?;
        done(context, core, tenant, &address, &kept, "bounce_cleared", "").await
    }
}

impl Annul {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let address = find(core, tenant, key, &self.email).await?;
        context
            .confirm("The withdrawal that staff entered is taken back; both names are kept.", address.email.as_str())?;
        let kept = core.annul(tenant, key, &address, [&context.who(), &self.with], &self.reason).await?;
        let next = "The person counts as not asked. Providers and the suppression list keep their block until the person accepts.";
        done(context, core, tenant, &address, &kept, "annulled", next).await
    }
}

impl Erase {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let address = find(core, tenant, key, &self.email).await?;
        let warning = "Warning: this cannot be undone. All evidence about this address becomes unreadable, and the person \
                       can never be mailed or asked again.";
        context.confirm(warning, address.email.as_str())?;
        core.erase(tenant, key, &address, &context.who(), &self.reason).await?;
        let still = "the address itself, to keep the person off; records of the CRM's last import; contacts at providers, \
                     which are blocked and not deleted";
        let data = json!({
            "address": address.email.as_str(), "done": "erased",
            "destroyed": ["evidence"], "kept": ["address", "crm_records", "provider_contacts", "suppression"],
        });
        output::data(context, &data, || {
            format!("erased the evidence; the person is taken off everywhere\nstill there: {still}")
        });
        output::hint(
            context,
            "Next: delete the person in the CRM and, once the withdrawal is in effect, at the providers.",
        );
        Ok(Exit::Done)
    }
}

async fn done(
    context: &Context,
    core: &Core,
    tenant: &Tenant,
    address: &Address,
    kept: &[Kept],
    word: &str,
    next: &str,
) -> Result<Exit, CliError> {
    let purposes = core.store.purposes(tenant.id).await?;
    let mut stances: Vec<Value> = Vec::new();
    let mut lines = String::new();
    for purpose in &purposes {
        let own = kept.iter().find(|kept| kept.purpose == purpose.id && kept.address == address.id);
        let Some(own) = own.or_else(|| kept.iter().find(|kept| kept.purpose == purpose.id)) else { continue };
        let status = own.standing.state.status();
        stances
            .push(json!({ "purpose": purpose.slug, "status": status.word(), "state": own.standing.state.as_word() }));
        let more = format!("{}: {}\n", purpose.name, status.name(context.language()));
        lines += &more;
    }
    output::data(context, &json!({ "address": address.email.as_str(), "done": word, "purposes": stances }), || lines);
    if !next.is_empty() {
        output::hint(context, next);
    }
    Ok(Exit::Done)
}
