//! `consentd tenant …`

use crate::cli::{CliError, Context, Exit, output};
use crate::domain::consent::Language;
use crate::store::{NewTenant, Tenant};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

/// The companies whose consents this installation holds.
///
/// Example: consentd tenant list
#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Create a tenant with its key, an empty history and the purpose "campaigns".
    ///
    /// Its identity is what people see who are asked for their consent.
    ///
    /// Example: consentd tenant create lindner --legal-name "Lindner Poolbau GmbH" --contact datenschutz@lindner.example --locale de
    Create(Create),
    /// List the tenants.
    ///
    /// Example: consentd tenant list --json
    List,
    /// Show a tenant.
    ///
    /// Example: consentd tenant show --tenant lindner
    Show,
    /// Change a tenant's identity, language, time zone or policies.
    ///
    /// What is not named stays as it is.
    ///
    /// Example: consentd tenant set --tenant lindner --privacy-url https://lindner.example/datenschutz
    Set(Set),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Short name: a-z, 0-9 and -.
    slug: String,
    /// Who is responsible for the data, as the commercial register names it.
    #[arg(long, value_name = "NAME")]
    legal_name: String,
    /// Its postal address.
    #[arg(long, value_name = "TEXT", default_value = "")]
    address: String,
    /// How people reach it about their data.
    #[arg(long, value_name = "TEXT", default_value = "")]
    contact: String,
    /// Where its privacy notice is.
    #[arg(long, value_name = "URL", default_value = "")]
    privacy_url: String,
    /// The language of its office: de, fr, en, es.
    #[arg(long, value_parser = language, default_value = "de")]
    locale: Language,
    /// Its time zone.
    #[arg(long, value_name = "ZONE", default_value = "Europe/Berlin")]
    time_zone: String,
}

#[derive(Debug, Args)]
pub(super) struct Set {
    /// Who is responsible for the data.
    #[arg(long, value_name = "NAME")]
    legal_name: Option<String>,
    /// Its postal address.
    #[arg(long, value_name = "TEXT")]
    address: Option<String>,
    /// How people reach it about their data.
    #[arg(long, value_name = "TEXT")]
    contact: Option<String>,
    /// Where its privacy notice is.
    #[arg(long, value_name = "URL")]
    privacy_url: Option<String>,
    /// The language of its office: de, fr, en, es.
    #[arg(long, value_parser = language)]
    locale: Option<Language>,
    /// Its time zone.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Whether acceptances from before may be imported, each with its evidence and two approvers.
    #[arg(long, value_name = "on|off")]
    allow_legacy_proof: Option<Switch>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// A language as it is typed.
pub(super) fn language(text: &str) -> Result<Language, String> {
    Some(text)
        .filter(|text| text.len() == 2)
        .and_then(Language::parse)
        .ok_or_else(|| "there are: de, fr, en, es".to_owned())
}

impl TenantCommand {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let core = context.core().await?;
        match self {
            Self::Create(new) => {
                let new = NewTenant {
                    slug: new.slug,
                    legal_name: new.legal_name,
                    postal_address: new.address,
                    contact: new.contact,
                    privacy_url: new.privacy_url,
                    locale: new.locale,
                    time_zone: new.time_zone,
                };
                let tenant = core.create_tenant(&new).await?;
                output::data(context, &shown(&tenant), || format!("created the tenant {}", tenant.slug));
                output::hint(context, "Next: consentd connection add NAME --provider PROVIDER");
            }
            Self::List => {
                let tenants = core.store.tenants().await?;
                output::data(context, &tenants.iter().map(shown).collect::<Vec<_>>(), || {
                    let mut table = output::table(&["TENANT", "LEGAL NAME", "LOCALE", "TIME ZONE"]);
                    for t in &tenants {
                        table.add_row([&*t.slug, &t.legal_name, t.locale.code(), &t.time_zone]);
                    }
                    output::lines(&table)
                });
            }
            Self::Show => {
                let (tenant, _) = context.tenant(&core).await?;
                output::data(context, &shown(&tenant), || describe(&tenant));
            }
            Self::Set(set) => {
                let (mut tenant, _) = context.tenant(&core).await?;
                set.apply(&mut tenant, context)?;
                core.change_tenant(&tenant).await?;
                output::data(context, &shown(&tenant), || describe(&tenant));
            }
        }
        Ok(Exit::Done)
    }
}

impl Set {
    fn apply(self, tenant: &mut Tenant, context: &Context) -> Result<(), CliError> {
        if self.allow_legacy_proof == Some(Switch::On) && !tenant.legacy_proof {
            let warning = "Imported acceptances weigh less than the recipients' own answers: each line needs its own evidence, \
                           and two people vouch for it.";
            context.confirm(warning, &tenant.slug)?;
        }
        let put = |place: &mut String, value: Option<String>| {
            if let Some(value) = value {
                *place = value;
            }
        };
        if self.legal_name.as_deref().is_some_and(|name| name.trim().is_empty()) {
            return Err(CliError::usage("a tenant needs its legal name: people must know who asks them")
                .hint("Nothing was changed."));
        }
        put(&mut tenant.legal_name, self.legal_name);
        put(&mut tenant.postal_address, self.address);
        put(&mut tenant.contact, self.contact);
        put(&mut tenant.privacy_url, self.privacy_url);
        put(&mut tenant.time_zone, self.time_zone);
        tenant.locale = self.locale.unwrap_or(tenant.locale);
        tenant.legacy_proof = self.allow_legacy_proof.map_or(tenant.legacy_proof, |switch| switch == Switch::On);
        Ok(())
    }
}

fn shown(tenant: &Tenant) -> Value {
    json!({
        "tenant": tenant.slug, "id": tenant.id, "legal_name": tenant.legal_name, "address": tenant.postal_address,
        "contact": tenant.contact, "privacy_url": tenant.privacy_url, "locale": tenant.locale,
        "time_zone": tenant.time_zone, "allow_legacy_proof": tenant.legacy_proof,
        "created_at": output::instant(tenant.created_at),
    })
}

fn describe(tenant: &Tenant) -> String {
    output::facts(&[
        ("tenant", tenant.slug.clone()),
        ("legal name", tenant.legal_name.clone()),
        ("address", tenant.postal_address.clone()),
        ("contact", tenant.contact.clone()),
        ("privacy notice", tenant.privacy_url.clone()),
        ("locale", tenant.locale.code().to_owned()),
        ("time zone", tenant.time_zone.clone()),
        ("legacy proofs", if tenant.legacy_proof { "on" } else { "off" }.to_owned()),
        ("created", output::time(tenant.created_at, &tenant.time_zone)),
    ])
}
