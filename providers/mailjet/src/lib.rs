//! Mailjet as a provider of consentd. Its limits and quirks are listed in `README.md`.

#[cfg(feature = "emulator")]
pub mod emulator;
mod list;
mod mail;
mod push;
mod registration;
mod single;
#[cfg(test)]
#[cfg(feature = "emulator")]
mod tests;
mod webhook;
mod wire;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use consentd_provider::{
    AccountFacts, AccountSettings, AudienceRef, Capability, Change, CredentialSpec, Cursor, Delivery, Descriptor,
    EmailAddress, Gateway, HookMode, HookSpec, HookState, Intake, JobState, Look, OptionSpec, Outcome, OutgoingMail,
    Page, Provider, ProviderError, ProviderEvent, Push, Quota, Receipt, RemoteField, RemoteJob, RemoteList,
    SettingsError, Verified, WebhookError,
};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// No numbers are published; five a second is what integrators live with (Mailjet sheet 2).
const RATE: OptionSpec = OptionSpec {
    name: "rate",
    help: "calls a second to the contact API, 1 to 100; Mailjet publishes no limit",
    default: "5",
};

/// The Mailjet adapter.
pub static DESCRIPTOR: Descriptor = Descriptor {
    id: "mailjet",
    name: "Mailjet",
    default_base_url: "https://api.mailjet.com",
    credentials: &[
        CredentialSpec { name: "api_key", help: "the public API key of the (sub-)account: Account, API keys" },
        CredentialSpec { name: "secret_key", help: "the secret key that belongs to it; Mailjet shows it once" },
    ],
    options: &[RATE],
    capabilities: &[Capability::Send, Capability::Erase, Capability::CreateList, Capability::CreateField],
    chunk: 1_000,
    look: 50,
    rate_headers: None,
    quotas,
    open,
};

/// Sending is staff-documented at 500 calls in ten seconds; everything else is one careful guess (Mailjet sheet 2).
fn quotas(settings: &AccountSettings) -> Vec<Quota> {
    let rest = rate(settings).unwrap_or(5);
    vec![
        Quota { family: wire::REST, limit: rest, per: Duration::from_secs(1) },
        Quota { family: wire::SEND, limit: 500, per: Duration::from_secs(10) },
    ]
}

fn rate(settings: &AccountSettings) -> Result<u32, SettingsError> {
    match settings.option(&RATE).parse() {
        Ok(rate @ 1..=100) => Ok(rate),
        _ => Err(SettingsError::Option { name: RATE.name, allowed: "1 to 100" }),
    }
}

fn open(settings: &AccountSettings) -> Result<Box<dyn Provider>, SettingsError> {
    rate(settings)?;
    let key = settings.credential("api_key")?;
    let secret = settings.credential("secret_key")?;
    let pair = STANDARD.encode(format!("{}:{}", key.expose_secret(), secret.expose_secret()));
    Ok(Box::new(Mailjet {
        api: wire::Api::new(SecretString::from(format!("Basic {pair}"))),
        hook_secrets: settings.hook_secrets.clone(),
    }))
}

/// One API key, which at Mailjet is one closed world of contacts and lists (Mailjet sheet 1.8).
struct Mailjet {
    api: wire::Api,
    hook_secrets: Vec<SecretString>,
}

#[async_trait]
impl Provider for Mailjet {
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
        push::push(&self.api, out, to, changes).await
    }

    async fn follow(&self, out: &dyn Gateway, of: &AudienceRef, job: &RemoteJob) -> Result<JobState, ProviderError> {
        push::follow(&self.api, out, of, job).await
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
        // Mailjet repeats anything but 200 for a day and then switches the URL off (Mailjet sheet 5.2).
        match intake {
            Intake::Stored | Intake::Quarantined => 200,
            Intake::Busy => 503,
            Intake::Unauthorised => 401,
            Intake::TooLarge => 413,
        }
    }
}
