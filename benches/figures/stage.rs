//! A whole daemon with an emulated provider behind real HTTP, and a tenant full of people who consent.

use crate::Options;
use anyhow::Context;
use consentd::app;
use consentd::clock::{Clock, SystemClock, Timestamp};
use consentd::config::Config;
use consentd::domain::consent::{Actor, Kind, Language};
use consentd::domain::contact::{Person, RecordKind};
use consentd::domain::ids::{AddressId, MailboxId, RecordId};
use consentd::random::SystemRandom;
use consentd::sandbox::{Account, Accounts, Clockwork, Sandbox};
use consentd::service::Core;
use consentd::service::connection::NewConnection;
use consentd::store::{
    Address, Connection, ConnectionState, Keyed, MasterKey, NewLine, NewTenant, Purpose, Record, Run, RunState, Tenant,
    TenantKey,
};
use consentd_provider::emulator::EmulatedProvider;
use consentd_provider::{Descriptor, EmailAddress};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Between two looks at how far a run is.
const LOOK: Duration = Duration::from_millis(20);
/// The longest that a run may take.
const PATIENCE: Duration = Duration::from_mins(20);
/// People written in one transaction.
const PAGE: u64 = 1_000;

/// A daemon that serves, a tenant, and its account at a provider.
pub struct Stage {
    pub core: Core,
    pub tenant: Tenant,
    pub key: TenantKey,
    pub purpose: Purpose,
    pub descriptor: &'static Descriptor,
    account: Account,
    time: Arc<Clockwork>,
    sandbox: Sandbox,
    served: JoinHandle<Result<(), app::ServeError>>,
    stop: oneshot::Sender<()>,
    _folder: TempDir,
}

impl Stage {
    /// Opens everything; the connection is active, and nobody is there yet.
    pub async fn build(options: &Options, descriptor: &'static Descriptor) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let config = configuration(options, &folder, &listener.local_addr()?.to_string())?;
        let core = app::open(&config).await?;
        let emulator = consentd::registry::emulator(descriptor.id).context("a provider without an emulator")?;
        let mut emulated = EmulatedProvider::new(emulator);
        if descriptor.id == "mailjet" {
            // No limit is published; the emulator enforces the one that the adapter keeps to by default.
            for (name, value) in [("limit_calls", "5"), ("limit_seconds", "1")] {
                emulated.set(name, value).map_err(anyhow::Error::msg)?;
            }
        }
        let account: Account = Arc::new(Mutex::new(emulated));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let time = Arc::new(Clockwork::new(clock));
        let accounts = Arc::new(Accounts::shared(Arc::clone(&time), Arc::clone(&account)));
        let sandbox = Sandbox::listen(0, accounts).await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = core.clone();
        let served =
            tokio::spawn(
                async move { app::serve(serving, &config, listener, None, async { drop(stopped.await) }).await },
            );
        let slug = format!("sync-{}-{}", descriptor.id, core.id().as_fields().0);
        let new = NewTenant {
            slug: slug.clone(),
            legal_name: "Bench GmbH".into(),
            postal_address: "Hafenstraße 1, 20457 Hamburg".into(),
            contact: "bench@example.org".into(),
            privacy_url: "https://example.org".into(),
            locale: Language::De,
            time_zone: "Europe/Berlin".into(),
        };
        core.create_tenant(&new).await?;
        let (tenant, key) = core.tenant(&slug).await?;
        let purpose = core.purpose(&tenant, None).await?;
        let stage =
            Self { core, tenant, key, purpose, descriptor, account, time, sandbox, served, stop, _folder: folder };
        stage.connect().await?;
        Ok(stage)
    }

    /// An account with a list and fields, its first plan, of nobody, confirmed.
    async fn connect(&self) -> anyhow::Result<()> {
        let secret = || SecretString::from("bench-secret".to_owned());
        let fields = [("first_name", "FIRSTNAME"), ("last_name", "LASTNAME"), ("postcode", "PLZ"), ("town", "TOWN")];
        let new = NewConnection {
            slug: "main".into(),
            provider: self.descriptor.id.into(),
            base_url: self.sandbox.base_url(self.descriptor.default_base_url),
            credentials: self.descriptor.credentials.iter().map(|spec| (spec.name.into(), secret())).collect(),
            options: BTreeMap::new(),
            list: String::new(),
            purpose: self.purpose.id,
            mapping: fields.iter().map(|(own, theirs)| ((*own).to_owned(), (*theirs).to_owned())).collect(),
            cron: String::new(),
            time_zone: "Europe/Berlin".into(),
            guard_percent: 10,
            guard_count: 5,
        };
        let connection = self.core.add_connection(&self.tenant, &self.key, new).await?;
        self.core.bind_list(&connection, &self.key, "Campaigns").await?;
        let connection = self.connection().await?;
        self.core.create_missing_fields(&connection, &self.key).await?;
        let run = self.core.request_run(&connection, "operator", false).await?;
        self.run_until(&run, RunState::AwaitingConfirmation).await?;
        self.core.confirm_run(&self.connection().await?, "bench").await?;
        self.run_until(&run, RunState::Done).await?;
        anyhow::ensure!(self.connection().await?.state == ConnectionState::Active, "the connection is active");
        Ok(())
    }

    /// The connection as it is now.
    pub async fn connection(&self) -> anyhow::Result<Connection> {
        Ok(self.core.find_connection(&self.tenant, "main").await?)
    }

    /// Brings people in who are in the CRM and have said yes.
    pub async fn fill(&self, from: u64, people: u64) -> anyhow::Result<Vec<Address>> {
        let mut all = Vec::new();
        let mut next = from;
        while next < from + people {
            let end = (next + PAGE).min(from + people);
            all.extend(self.fill_page(next..end).await?);
            next = end;
        }
        Ok(all)
    }

    async fn fill_page(&self, numbers: std::ops::Range<u64>) -> anyhow::Result<Vec<Address>> {
        let (tenant, now) = (self.tenant.id, self.core.now());
        let (mut mailboxes, mut addresses, mut records, mut lines) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for n in numbers {
            let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let email = EmailAddress::parse(&format!("person{n}.{:04x}@example{}.org", mixed >> 48, n % 97))?;
            let mailbox = MailboxId(self.core.id());
            mailboxes.push((mailbox, self.key.address_mac(&email.folded())));
            let address = Address { id: AddressId(self.core.id()), mailbox, email, role: false };
            let person = Person {
                first_name: format!("Vorname{}", mixed % 1_000),
                last_name: format!("Müller{n}"),
                postcode: format!("{:05}", mixed % 100_000),
                town: "Hamburg".into(),
                ..Person::default()
            };
            records.push(Record {
                id: RecordId(self.core.id()),
                kind: RecordKind::Customer,
                crm_id: n.to_string(),
                person,
                bin: false,
                tags: Vec::new(),
                addresses: vec![(address.id, mailbox)],
            });
            let line = |purpose, kind, actor| NewLine {
                address: address.id,
                mailbox,
                purpose,
                kind,
                actor,
                detail: None,
                payload: serde_json::json!({ "address": address.email.as_str() }),
                new_address: true,
            };
            lines.push(line(None, Kind::Imported, Actor::Operator));
            lines.push(line(Some(self.purpose.id), Kind::Accepted, Actor::Recipient));
            addresses.push(address);
        }
        let mut tx = self.core.store.begin().await?;
        tx.insert_mailboxes(tenant, &mailboxes).await?;
        tx.insert_addresses(tenant, &addresses, now).await?;
        tx.save_records(tenant, &records.iter().map(Keyed::of).collect::<Vec<_>>(), &[], now).await?;
        tx.append(&self.tenant, &self.key, &lines, now, &*self.core.random).await?;
        tx.commit().await?;
        Ok(addresses)
    }

    /// Has the next plan look at people who said yes.
    pub async fn mark_dirty(&self, people: &[Address]) -> anyhow::Result<()> {
        let mailboxes: Vec<MailboxId> = people.iter().map(|address| address.mailbox).collect();
        let mut tx = self.core.store.begin().await?;
        tx.mark_all_dirty(self.tenant.id, &mailboxes, self.core.now()).await?;
        Ok(tx.commit().await?)
    }

    /// Waits until a run is where it should be.
    pub async fn run_until(&self, run: &Run, wanted: RunState) -> anyhow::Result<()> {
        let end = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < end {
            let now = self.core.store.run(self.tenant.id, run.id).await?.context("the run is gone")?;
            if now.state == wanted {
                return Ok(());
            }
            anyhow::ensure!(!now.state.is_over(), "the run ended as {}: {}", now.state.word(), now.error);
            self.core.clock.sleep(LOOK).await;
        }
        anyhow::bail!("the run took too long")
    }

    /// The emulated provider.
    pub fn provider(&self) -> MutexGuard<'_, EmulatedProvider> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now, at the provider.
    pub fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// Stops everything.
    pub async fn clear(self) -> anyhow::Result<()> {
        drop(self.stop);
        self.served.await??;
        self.sandbox.stop().await;
        self.core.store.db.close().await;
        Ok(())
    }
}

fn configuration(options: &Options, folder: &TempDir, daemon: &str) -> anyhow::Result<Config> {
    let quoted = |text: String| toml::Value::String(text).to_string();
    let own = || format!("sqlite://{}", folder.path().join("bench.db").display());
    let key = folder.path().join("consentd.key");
    std::fs::write(&key, MasterKey::generate(&SystemRandom).to_hex())?;
    let text = format!(
        "[database]\nurl = {}\n\n[keys]\nfile = {}\n\n[http]\nlisten = \"{daemon}\"\npublic_url = \"http://{daemon}\"\n\n\
         [webhooks]\nrepair = false\n\n[log]\nfilter = \"error\"\n",
        quoted(options.database.clone().unwrap_or_else(own)),
        quoted(key.display().to_string()),
    );
    Ok(Config::read(&text, &folder.path().join("consentd.toml"), |_| None)?)
}
