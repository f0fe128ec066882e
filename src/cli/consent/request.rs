//! `consentd consent request`

use crate::cli::{CliError, Context, Exit, output};
use crate::domain::consent::AskBasis;
use crate::service::Core;
use crate::store::{Tenant, TenantKey};
use clap::{Args, ValueEnum};
use serde_json::json;

/// See [`super::ConsentCommand::Request`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Request {
    /// The address.
    email: String,
    /// For what; the default purpose when left out.
    #[arg(long, value_name = "SLUG")]
    purpose: Option<String>,
    /// What makes it lawful to ask.
    #[arg(long, value_enum)]
    basis: Ground,
    /// Where and when the form was filled in, or who vouches and why.
    #[arg(long, value_name = "TEXT", required_if_eq_any([("basis", "form"), ("basis", "vouched")]))]
    note: Option<String>,
}

/// What makes it lawful to ask.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Ground {
    /// An existing customer relation.
    Customer,
    /// The person filled in a form; --note says where and when.
    Form,
    /// Somebody vouches for it; --note says who and why.
    Vouched,
}

impl Request {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let email = Context::email(&self.email)?;
        let address = core.find_address(tenant, key, &email).await?;
        let purpose = core.purpose(tenant, self.purpose.as_deref()).await?;
        let note = self.note.unwrap_or_default();
        let basis = match self.basis {
            Ground::Customer => AskBasis::ExistingCustomer,
            Ground::Form => AskBasis::Form { source: note },
            Ground::Vouched => AskBasis::Vouched { note },
        };
        let asked = std::slice::from_ref(&address);
        let links = core.request_consent(tenant, key, &purpose, asked, &basis, &context.who()).await?;
        for link in links {
            let link = link?;
            let expires = output::instant(core.now() + core.rules.consent_link);
            let data = json!({
                "address": address.email.as_str(), "purpose": purpose.slug, "link": link, "expires_at": expires,
            });
            output::data(context, &data, || link.clone());
        }
        output::hint(
            context,
            "No mail was sent. Hand this link over to that person alone: whoever opens it can decide.",
        );
        Ok(Exit::Done)
    }
}
