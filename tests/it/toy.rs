//! A provider that lives in this process: it holds one list, answers at once, and panics on request.

use async_trait::async_trait;
use consentd_provider::{
    AccountFacts, AccountSettings, AudienceRef, Change, CredentialSpec, Cursor, Delivery, Descriptor, EmailAddress,
    EventKind, Gateway, HookMode, HookSpec, HookState, Intake, JobState, Look, Outcome, OutgoingMail, Page, Provider,
    ProviderError, ProviderEvent, Push, Receipt, RemoteField, RemoteJob, RemoteList, Sighting, Verified, WebhookError,
};
use consentd_provider::{Affected, Capability, SettingsError};
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};
use tokio::sync::watch;

/// What an account holds: addresses, and whether each may be mailed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    pub contacts: BTreeMap<String, bool>,
    /// Subscriptions that were carried out.
    pub adds: usize,
    /// Looks at the webhook registrations that put something right.
    pub repairs: usize,
    pub hooks_lost: bool,
}

pub type Account = Arc<watch::Sender<Held>>;

static ACCOUNTS: LazyLock<Mutex<HashMap<String, Account>>> = LazyLock::new(Mutex::default);

/// The account with that credential; it begins empty.
pub fn account(name: &str) -> Account {
    ACCOUNTS
        .lock()
        .unwrap()
        .entry(name.to_owned())
        .or_insert_with(|| Arc::new(watch::channel(Held::default()).0))
        .clone()
}

pub static DESCRIPTOR: Descriptor = Descriptor {
    id: "toy",
    name: "Toy",
    default_base_url: "http://toy.test",
    credentials: &[CredentialSpec { name: "account", help: "the account's name" }],
    options: &[],
    capabilities: &[],
    chunk: 100,
    look: 50,
    rate_headers: None,
    quotas: |_| vec![],
    open,
};

/// The toy beside everything that was built in.
pub static PROVIDERS: LazyLock<Vec<&'static Descriptor>> =
    LazyLock::new(|| consentd::registry::providers().iter().copied().chain([&DESCRIPTOR]).collect());

fn open(settings: &AccountSettings) -> Result<Box<dyn Provider>, SettingsError> {
    let name = settings.credential("account")?;
    Ok(Box::new(Toy { account: account(name.expose_secret()), secrets: settings.hook_secrets.clone() }))
}

struct Toy {
    account: Account,
    secrets: Vec<SecretString>,
}

#[async_trait]
impl Provider for Toy {
    async fn check(&self, _: &dyn Gateway) -> Result<AccountFacts, ProviderError> {
        Ok(AccountFacts { label: "toy".into() })
    }

    async fn lists(&self, _: &dyn Gateway) -> Result<Vec<RemoteList>, ProviderError> {
        Ok(vec![RemoteList { id: "1".into(), name: "one".into() }])
    }

    async fn create_list(&self, _: &dyn Gateway, _: &str) -> Result<RemoteList, ProviderError> {
        Err(ProviderError::Unsupported(Capability::CreateList))
    }

    async fn schema(&self, _: &dyn Gateway) -> Result<Vec<RemoteField>, ProviderError> {
        Ok(vec![])
    }

    async fn create_field(&self, _: &dyn Gateway, _: &RemoteField) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported(Capability::CreateField))
    }

    async fn push(&self, _: &dyn Gateway, _: &AudienceRef, changes: &[Change]) -> Push {
        self.account.send_modify(|held| {
            for change in changes {
                let subscribes = matches!(change, Change::Subscribe { .. });
                held.adds += usize::from(subscribes);
                held.contacts.insert(change.email().as_str().to_owned(), subscribes);
            }
        });
        Push { outcomes: vec![Outcome::Applied; changes.len()], stopped_by: None }
    }

    async fn follow(&self, _: &dyn Gateway, _: &AudienceRef, _: &RemoteJob) -> Result<JobState, ProviderError> {
        Ok(JobState::Done)
    }

    async fn look(
        &self,
        _: &dyn Gateway,
        _: &AudienceRef,
        emails: &[EmailAddress],
    ) -> Result<Vec<Look>, ProviderError> {
        let held = self.account.borrow();
        Ok(emails
            .iter()
            .map(|email| {
                let mailable = held.contacts.get(email.as_str()).copied();
                Look {
                    exists: mailable.is_some(),
                    on_list: mailable == Some(true),
                    unsubscribed: mailable == Some(false),
                    blocked: mailable == Some(false),
                }
            })
            .collect())
    }

    async fn list(&self, _: &dyn Gateway, _: &AudienceRef, _: &Cursor) -> Result<Page, ProviderError> {
        let held = self.account.borrow();
        let sightings = held.contacts.iter().map(|(email, mailable)| Sighting {
            remote_id: email.clone(),
            email: EmailAddress::parse(email).ok(),
            on_list: Some(*mailable),
            unsubscribed: Some(!mailable),
            blocked: Some(!mailable),
        });
        Ok(Page { sightings: sightings.collect(), next: None })
    }

    async fn erase(&self, _: &dyn Gateway, _: &EmailAddress) -> Result<Outcome, ProviderError> {
        Err(ProviderError::Unsupported(Capability::Erase))
    }

    async fn send(&self, _: &dyn Gateway, _: &OutgoingMail) -> Result<Receipt, ProviderError> {
        Err(ProviderError::Unsupported(Capability::Send))
    }

    async fn hooks(&self, _: &dyn Gateway, _: &HookSpec, mode: HookMode) -> Result<HookState, ProviderError> {
        let mut changed = false;
        self.account.send_modify(|held| {
            changed = held.hooks_lost && mode == HookMode::Repair;
            held.repairs += usize::from(changed);
            held.hooks_lost &= !changed;
        });
        let lost = self.account.borrow().hooks_lost;
        let missing = if lost { vec!["unsubscribed".to_owned()] } else { vec![] };
        Ok(HookState { healthy: !lost, missing, suspended: vec![], foreign: vec![], changed })
    }

    fn verify<'a>(&self, delivery: Delivery<'a>) -> Result<Verified<'a>, WebhookError> {
        assert!(!delivery.body.starts_with(b"panic"), "a panic was asked for");
        let shown = delivery.authorization.unwrap_or_default().trim_start_matches("Bearer ");
        if consentd_provider::credential_matches(shown.as_bytes(), &self.secrets) {
            Ok(delivery.trusted())
        } else {
            Err(WebhookError::Credentials)
        }
    }

    /// An address a line: it unsubscribed.
    fn read(&self, delivery: &Verified<'_>) -> Result<Vec<ProviderEvent>, WebhookError> {
        let text = std::str::from_utf8(delivery.body()).map_err(|_| WebhookError::Unreadable("not UTF-8"))?;
        Ok(text
            .lines()
            .map(|line| ProviderEvent {
                kind: EventKind::Unsubscribed,
                emails: EmailAddress::parse(line).into_iter().collect(),
                occurred_at: None,
                affected: Affected::Account,
                detail: String::new(),
                message_id: None,
                fingerprint: <sha2::Sha256 as sha2::Digest>::digest(line).into(),
            })
            .collect())
    }

    /// As strict as the strictest: anything but 200 and 429 and the event is lost.
    fn answer(&self, intake: Intake) -> u16 {
        match intake {
            Intake::Stored | Intake::Quarantined => 200,
            Intake::Busy | Intake::Unauthorised => 429,
            Intake::TooLarge => 413,
        }
    }
}
