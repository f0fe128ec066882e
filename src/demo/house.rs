//! One tenant of the story with its provider.

use crate::demo::cast::{Files, Role};
use crate::demo::crowd::Answers;
use crate::demo::stage::{Provider, held};
use crate::domain::consent::State;
use crate::domain::ids::MailboxId;
use crate::sandbox::Account;
use crate::service::{Core, ServiceError};
use crate::store::{Address, Connection, ConnectionState, PersonRow, Purpose, Run, RunState, Tenant, TenantKey};
use anyhow::{Context, bail, ensure};
use consentd_provider::ProviderError;
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

/// How long the story waits for anything.
const PATIENCE: u32 = 600;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// How much the provider's time is moved at every look, while it works on jobs.
const HURRY: Duration = Duration::from_secs(2);
/// People read in one go.
const PAGE: i64 = 2_000;

/// A tenant with its provider.
pub(super) struct House<'a> {
    pub(super) role: &'static Role,
    pub(super) provider: &'a Provider,
    pub(super) core: &'a Core,
    pub(super) tenant: Tenant,
    pub(super) key: TenantKey,
    pub(super) purpose: Purpose,
    pub(super) files: Files,
    pub(super) answers: Answers,
    /// Who left, how: by the story's own count.
    pub(super) gone: Gone,
}

/// People who were taken off after they had accepted.
#[derive(Debug, Clone, Default)]
pub(super) struct Gone {
    pub(super) unsubscribed: Vec<Address>,
    pub(super) complained: Vec<Address>,
    pub(super) bounced: Vec<Address>,
    pub(super) by_staff: Vec<Address>,
    pub(super) by_link: Vec<Address>,
}

impl Gone {
    pub(super) fn all(&self) -> impl Iterator<Item = &Address> {
        [&self.unsubscribed, &self.complained, &self.bounced, &self.by_staff, &self.by_link].into_iter().flatten()
    }
}

impl<'a> House<'a> {
    pub(super) async fn found(
        role: &'static Role,
        provider: &'a Provider,
        core: &'a Core,
        contacts: usize,
    ) -> anyhow::Result<Self> {
        core.create_tenant(&role.tenant()).await?;
        let (tenant, key) = core.tenant(role.slug).await?;
        let purpose = core.purpose(&tenant, None).await?;
        let files = role.files(contacts);
        Ok(Self {
            role,
            provider,
            core,
            tenant,
            key,
            purpose,
            files,
            answers: Answers::default(),
            gone: Gone::default(),
        })
    }

    /// The tenant's only connection, as it is now.
    pub(super) async fn connection(&self) -> anyhow::Result<Connection> {
        Ok(self.core.find_connection(&self.tenant, "main").await?)
    }

    pub(super) fn account(&self) -> anyhow::Result<Account> {
        self.provider.account()
    }

    /// Everybody whom the store knows.
    async fn people(&self) -> anyhow::Result<Vec<PersonRow>> {
        let mut all = Vec::new();
        let mut after = MailboxId(Uuid::nil());
        let mut tx = self.core.store.begin().await?;
        loop {
            let page = tx.mailboxes_after(self.tenant.id, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = *last;
            all.extend(tx.people(self.tenant.id, self.purpose.id, &page).await?);
        }
        tx.commit().await?;
        Ok(all)
    }

    /// People of the CRM who were never asked and said nothing; no roles, nobody in the bin.
    pub(super) async fn askable(&self) -> anyhow::Result<Vec<Address>> {
        let people = self.people().await?.into_iter().filter(|person| person.in_crm);
        let variants = people.flat_map(|person| person.variants);
        let open = variants.filter(|(address, standing)| {
            !address.role && standing.state == State::NotAsked && standing.flags.is_empty()
        });
        Ok(open.map(|(address, _)| address).collect())
    }

    /// Whom a campaign may reach, by the store.
    pub(super) async fn audience(&self) -> anyhow::Result<BTreeSet<String>> {
        let now = self.core.now();
        let people = self.people().await?.into_iter().filter(|person| person.in_crm);
        let variants = people.flat_map(|person| person.variants);
        let sendable = variants.filter(|(_, standing)| standing.sendable(now));
        Ok(sendable.map(|(address, _)| address.email.folded()).collect())
    }

    /// Whom a campaign would reach, by the provider.
    pub(super) async fn mailable(&self) -> anyhow::Result<BTreeSet<String>> {
        let list = self.connection().await?.list;
        let account = self.account()?;
        let addresses = held(&account).mailable(self.provider.now(), &list);
        Ok(addresses.into_iter().map(|address| address.to_lowercase()).collect())
    }

    /// Whom a campaign may reach, by the story.
    pub(super) fn expected(&self) -> BTreeSet<String> {
        let mut people: BTreeSet<String> = folded(self.answers.accepted.iter());
        for gone in folded(self.gone.all()) {
            people.remove(&gone);
        }
        people
    }

    /// Calls the provider again as long as its limits ask to wait; nothing was done then.
    pub(super) async fn patiently<T>(
        &self,
        mut call: impl AsyncFnMut() -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        for _ in 0..PATIENCE {
            match call().await {
                Err(ServiceError::Provider(ProviderError::Throttled { retry_after })) => {
                    self.core.clock.sleep(retry_after.unwrap_or(LOOK)).await;
                }
                other => return other,
            }
        }
        call().await
    }

    /// Waits until the open run is where it should be.
    pub(super) async fn run_until(&self, wanted: RunState, mut tick: impl FnMut(&Run)) -> anyhow::Result<Run> {
        let connection = self.connection().await?;
        let run = self.core.store.open_run(self.tenant.id, connection.id).await?.context("no run is open")?;
        for _ in 0..PATIENCE {
            let now = self.core.store.run(self.tenant.id, run.id).await?.context("the run is gone")?;
            if now.state == wanted {
                return Ok(now);
            }
            if matches!(now.state, RunState::Failed | RunState::Cancelled | RunState::Done) {
                bail!("the run of {} ended as {}: {}", self.role.slug, now.state.word(), now.error);
            }
            let connection = self.connection().await?;
            ensure!(
                connection.state != ConnectionState::Suspended,
                "the connection of {} is suspended: {}",
                self.role.slug,
                connection.state_reason
            );
            tick(&now);
            self.provider.hurry(HURRY);
            self.core.clock.sleep(LOOK).await;
        }
        bail!("the run of {} took too long", self.role.slug)
    }

    /// Waits until the provider holds exactly whom it should, and nothing is on its way.
    pub(super) async fn settle(&self) -> anyhow::Result<()> {
        let expected = self.expected();
        for _ in 0..PATIENCE {
            if self.is_quiet().await? && self.audience().await? == expected && self.mailable().await? == expected {
                return Ok(());
            }
            self.core.clock.sleep(LOOK).await;
        }
        bail!("{} did not come to rest in time", self.role.slug)
    }

    async fn is_quiet(&self) -> anyhow::Result<bool> {
        let connection = self.connection().await?;
        let withdrawals = self.core.store.withdrawal_counts(self.tenant.id, connection.id).await?;
        let on_their_way = withdrawals.iter().any(|(phase, count)| phase != "done" && phase != "watch" && *count > 0);
        let inbox = self.core.store.inbox_counts().await?;
        let unread = inbox.iter().any(|count| count.state == "new" && count.deliveries > 0);
        Ok(!on_their_way && !unread)
    }

    /// Waits for a complete walk that begins now.
    pub(super) async fn walk(&self) -> anyhow::Result<()> {
        let since = self.core.now();
        let connection = self.connection().await?;
        let mut tx = self.core.store.begin().await?;
        tx.want_walk(&connection, since).await?;
        tx.commit().await?;
        for _ in 0..PATIENCE {
            let walk = self.core.store.walk(self.tenant.id, connection.id).await?;
            if walk.is_some_and(|walk| walk.finished_at.is_some() && walk.started_at >= since) {
                return Ok(());
            }
            self.core.clock.sleep(LOOK).await;
        }
        bail!("the walk of {} took too long", self.role.slug)
    }
}

/// The folded addresses of people.
pub(super) fn folded<'b>(people: impl Iterator<Item = &'b Address>) -> BTreeSet<String> {
    people.map(|address| address.email.folded()).collect()
}
