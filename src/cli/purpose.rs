//! `consentd purpose …`

use crate::cli::{CliError, Context, Exit, output};
use crate::store::Purpose;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// What a tenant's people may consent to.
///
/// Example: consentd purpose list
#[derive(Debug, Subcommand)]
pub(super) enum PurposeCommand {
    /// Add a purpose. What people said about everything counts for it too.
    ///
    /// Example: consentd purpose add newsletter --name Newsletter --text "News by e-mail from Lindner Poolbau GmbH, once a month."
    Add(Add),
    /// List the purposes; the default one first.
    ///
    /// Example: consentd purpose list --json
    List,
    /// Change a purpose's name, text or validity.
    ///
    /// With --major the text gets a new version: requests sent with the old one can only be refused from then on. What
    /// people accepted before stands.
    ///
    /// Example: consentd purpose set newsletter --text "News and offers by e-mail, twice a month." --major
    Set(Set),
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Short name: a-z, 0-9 and -.
    slug: String,
    /// Its name for people.
    #[arg(long)]
    name: String,
    /// The text that people consent to: products, company, channel, frequency.
    #[arg(long)]
    text: String,
    /// How many days an acceptance holds; 0 for ever.
    #[arg(long, value_name = "DAYS", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=36_500))]
    validity: i64,
}

#[derive(Debug, Args)]
pub(super) struct Set {
    /// Short name; the default purpose when left out.
    slug: Option<String>,
    /// Its name for people.
    #[arg(long)]
    name: Option<String>,
    /// The text that people consent to.
    #[arg(long)]
    text: Option<String>,
    /// How many days an acceptance given from now on holds; 0 for ever.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(0..=36_500))]
    validity: Option<i64>,
    /// The text means something else than before: count it as a new version.
    #[arg(long, requires = "text")]
    major: bool,
}

impl PurposeCommand {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let core = context.core().await?;
        let (tenant, _) = context.tenant(&core).await?;
        match self {
            Self::Add(add) => {
                let purpose = core.create_purpose(&tenant, &add.slug, &add.name, &add.text, add.validity).await?;
                output::data(context, &shown(&purpose), || format!("added the purpose {}", purpose.slug));
            }
            Self::List => {
                let purposes = core.store.purposes(tenant.id).await?;
                output::data(context, &purposes.iter().map(shown).collect::<Vec<_>>(), || table(&purposes));
            }
            Self::Set(set) => {
                let mut purpose = core.purpose(&tenant, set.slug.as_deref()).await?;
                purpose.name = set.name.unwrap_or(purpose.name);
                purpose.body = set.text.unwrap_or(purpose.body);
                purpose.validity_days = set.validity.unwrap_or(purpose.validity_days);
                if set.major {
                    context.confirm(
                        "Requests that were sent with the old text can only be refused from then on.",
                        &purpose.slug,
                    )?;
                }
                let purpose = core.change_purpose(&tenant, &purpose, set.major).await?;
                output::data(context, &shown(&purpose), || table(std::slice::from_ref(&purpose)));
            }
        }
        Ok(Exit::Done)
    }
}

fn shown(purpose: &Purpose) -> Value {
    json!({
        "purpose": purpose.slug, "id": purpose.id, "name": purpose.name, "text": purpose.body,
        "text_version": purpose.text_version, "validity_days": purpose.validity_days, "default": purpose.is_default,
    })
}

fn table(purposes: &[Purpose]) -> String {
    let mut table = output::table(&["PURPOSE", "DEFAULT", "NAME", "VALID", "VERSION", "TEXT"]);
    for p in purposes {
        let valid = if p.validity_days == 0 { "for ever".to_owned() } else { format!("{} days", p.validity_days) };
        let default = if p.is_default { "yes" } else { "" };
        table.add_row([&*p.slug, default, &p.name, &valid, &p.text_version.to_string(), &p.body]);
    }
    output::lines(&table)
}
