//! Brevo as a provider of consentd. Its limits and quirks are listed in `README.md`.

#[cfg(feature = "emulator")]
pub mod emulator;

mod bulk;
mod date;
mod lift;
mod list;
mod mail;
mod push;
mod registration;
mod webhook;
mod wire;

#[cfg(test)]
mod tests;

use crate::bulk::Imports;
use async_trait::async_trait;
use consentd_provider::{
    AccountFacts, AccountSettings, AudienceRef, Capability, Change, CredentialSpec, Cursor, Delivery, Descriptor,
    EmailAddress, Gateway, HookMode, HookSpec, HookState, Intake, JobState, Look, OptionSpec, Outcome, OutgoingMail,
    Page, Provider, ProviderError, ProviderEvent, Push, Quota, RateHeaders, Receipt, RemoteField, RemoteJob,
    RemoteList, SettingsError, Verified, WebhookError,
};
use secrecy::SecretString;
use std::time::Duration;

/// Which of the published tables of limits holds (Brevo sheet 2).
const PLAN: OptionSpec = OptionSpec {
    name: "plan",
    help: "the account's rate limits: general (all plans), advanced (Professional) or extended (Enterprise)",
    default: "general",
};

/// Nobody says whether an import lifts a block (Brevo sheet 3.8 and 11).
const IMPORTS: OptionSpec = OptionSpec {
    name: "imports",
    help: "what an import may do: create contacts only; update known ones too, if a trial showed that blocked ones stay \
           blocked; or off, one call for each new contact",
    default: "create",
};

/// The Brevo adapter.
pub static DESCRIPTOR: Descriptor = Descriptor {
    id: "brevo",
    name: "Brevo",
    default_base_url: "https://api.brevo.com/v3",
    credentials: &[CredentialSpec {
        name: "api_key",
        help: "an API key (xkeysib-…): Settings, SMTP and API, API keys; an SMTP key is refused",
    }],
    options: &[PLAN, IMPORTS],
    capabilities: &[Capability::Send, Capability::Erase, Capability::CreateList, Capability::CreateField],
    chunk: 1_000,
    look: 50,
    rate_headers: Some(RateHeaders { remaining: "x-sib-ratelimit-remaining", reset: "x-sib-ratelimit-reset" }),
    quotas,
    open,
};

/// Per account, a second and an hour at the same time (Brevo sheet 2).
fn quotas(settings: &AccountSettings) -> Vec<Quota> {
    let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
    let (contacts, hourly, mails, rest) = match settings.option(&PLAN) {
        "extended" => (60, 216_000, 6_000, 600),
        "advanced" => (20, 72_000, 2_000, 200),
        _ => (10, 36_000, 1_000, 100),
    };
    vec![
        Quota { family: wire::CONTACTS, limit: contacts, per: second },
        Quota { family: wire::CONTACTS, limit: hourly, per: hour },
        Quota { family: wire::MAIL, limit: mails, per: second },
        Quota { family: wire::REST, limit: rest, per: hour },
    ]
}

fn open(settings: &AccountSettings) -> Result<Box<dyn Provider>, SettingsError> {
    if !matches!(settings.option(&PLAN), "general" | "advanced" | "extended") {
        return Err(SettingsError::Option { name: PLAN.name, allowed: "general, advanced, extended" });
    }
    let imports = match settings.option(&IMPORTS) {
        "create" => Imports::Create,
        "update" => Imports::Update,
        "off" => Imports::Off,
        _ => return Err(SettingsError::Option { name: IMPORTS.name, allowed: "create, update, off" }),
    };
    Ok(Box::new(Brevo {
        api: wire::Api::new(settings.credential("api_key")?),
        hook_secrets: settings.hook_secrets.clone(),
        imports,
    }))
}

/// One account; contacts and blocks belong to the account, lists only group them (Brevo sheet 3.7).
struct Brevo {
    api: wire::Api,
    hook_secrets: Vec<SecretString>,
    imports: Imports,
}

#[async_trait]
impl Provider for Brevo {
    async fn check(&self, out: &dyn Gateway) -> Result<AccountFacts, ProviderError> {
        list::check(&self.api, out).await
    }

    async fn lists(&self, out: &dyn Gateway) -> Result<Vec<RemoteList>, ProviderError> {
        list::lists(&self.api, out).await
    }

    async fn create_list(&self, out: &dyn Gateway, name: &str) -> Result<RemoteList, ProviderError> {
        list::create_list(&self.api, out, name).await
    }

    async fn schema(&self, out: &dyn Gateway) -> Result<Vec<RemoteField>, ProviderError> {
        list::schema(&self.api, out).await
    }

    async fn create_field(&self, out: &dyn Gateway, field: &RemoteField) -> Result<(), ProviderError> {
        list::create_field(&self.api, out, field).await
    }

    async fn push(&self, out: &dyn Gateway, to: &AudienceRef, changes: &[Change]) -> Push {
        push::push(&self.api, out, to, changes, self.imports).await
    }

    fn together(&self, change: &Change) -> Option<usize> {
        bulk::together(change, self.imports)
    }

    async fn follow(&self, out: &dyn Gateway, _of: &AudienceRef, job: &RemoteJob) -> Result<JobState, ProviderError> {
        bulk::follow(&self.api, out, job).await
    }

    async fn look(
        &self,
        out: &dyn Gateway,
        at: &AudienceRef,
        emails: &[EmailAddress],
    ) -> Result<Vec<Look>, ProviderError> {
        list::look(&self.api, out, at, emails).await
    }

    async fn list(&self, out: &dyn Gateway, of: &AudienceRef, from: &Cursor) -> Result<Page, ProviderError> {
        list::walk(&self.api, out, of, from).await
    }

    async fn erase(&self, out: &dyn Gateway, email: &EmailAddress) -> Result<Outcome, ProviderError> {
        push::erase(&self.api, out, email).await
    }

    async fn send(&self, out: &dyn Gateway, mail: &OutgoingMail) -> Result<Receipt, ProviderError> {
        mail::send(&self.api, out, mail).await
    }

    async fn hooks(&self, out: &dyn Gateway, wanted: &HookSpec, mode: HookMode) -> Result<HookState, ProviderError> {
        registration::hooks(&self.api, out, wanted, mode).await
    }

    fn verify<'a>(&self, delivery: Delivery<'a>) -> Result<Verified<'a>, WebhookError> {
        webhook::verify(&self.hook_secrets, delivery)
    }

    fn read(&self, delivery: &Verified<'_>) -> Result<Vec<ProviderEvent>, WebhookError> {
        webhook::read(delivery.body())
    }

    fn answer(&self, intake: Intake) -> u16 {
        // Only 429 and silence make Brevo try again, four times in eleven hours; any other 4xx or 5xx throws the event
        // away (Brevo sheet 5.2). Wrong credentials may be our own slip, so they earn those hours too.
        match intake {
            Intake::Stored | Intake::Quarantined => 200,
            Intake::Busy | Intake::Unauthorised => 429,
            Intake::TooLarge => 413,
        }
    }
}
