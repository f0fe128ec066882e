//! A run from request to end: walk, plan, guard, apply, follow, read back.

use crate::clock::Timestamp;
use crate::domain::ids::{AddressId, MailboxId, RunId};
use crate::domain::plan::Held;
use crate::service::sync::Session;
use crate::service::sync::withdraw::is_sendable;
use crate::service::{Core, ServiceError};
use crate::store::{Connection, ConnectionState, NewWithdrawal, Run, RunState};
use consentd_provider::Scope;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// A run in numbers that add up: people = items + skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunReport {
    /// The run.
    pub id: RunId,
    /// How far it is.
    pub state: String,
    /// Why it was asked for.
    pub cause: String,
    /// Plans only.
    pub dry: bool,
    /// Why it waits for a person.
    pub guard: String,
    /// Why it failed.
    pub error: String,
    /// People looked at.
    pub people: i64,
    /// What is to be done, by action.
    pub planned: BTreeMap<String, i64>,
    /// What came of it, by outcome; `open` for what is still to be done.
    pub outcomes: BTreeMap<String, i64>,
    /// Who is left alone, by reason.
    pub skipped: BTreeMap<String, i64>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Removals queued in one transaction.
const REMOVALS: i64 = 1_000;

impl Core {
    /// Asks for a run. The one that is open already, if there is one.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] for a connection without a list.
    pub async fn request_run(&self, connection: &Connection, cause: &str, dry: bool) -> Result<Run, ServiceError> {
        if connection.list.is_empty() {
            return Err(ServiceError::Conflict(
                "the connection has no list yet; bind one with `consentd connection bind`".into(),
            ));
        }
        let mut tx = self.store.begin().await?;
        tx.request_run(connection.tenant, connection.id, self.id(), cause, dry, self.now()).await?;
        tx.commit().await?;
        let open = self.store.open_run(connection.tenant, connection.id).await?;
        open.ok_or(ServiceError::NotFound("open run"))
    }

    /// Lets a run go on that waits for a person. The first confirmed run makes its connection active.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] when no run waits.
    pub async fn confirm_run(&self, connection: &Connection, who: &str) -> Result<Run, ServiceError> {
        let waiting = ServiceError::Conflict("no run of this connection waits for a confirmation".into());
        let Some(run) = self.store.open_run(connection.tenant, connection.id).await? else { return Err(waiting) };
        let mut tx = self.store.begin().await?;
        if !tx.confirm_run(connection.tenant, run.id, who).await? {
            return Err(waiting);
        }
        if connection.state == ConnectionState::Shadow {
            tx.set_connection_state(connection, ConnectionState::Active, "").await?;
            // What the walk found without consent here was only counted so far.
            tx.want_walk(connection, self.now()).await?;
        }
        tx.commit().await?;
        self.store.run(connection.tenant, run.id).await?.ok_or(ServiceError::NotFound("such run"))
    }

    /// Stops the open run of a connection. What was written stays; withdrawals are not stopped.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] when none is open.
    pub async fn cancel_run(&self, connection: &Connection) -> Result<(), ServiceError> {
        let none = ServiceError::Conflict("no run of this connection is open".into());
        let Some(run) = self.store.open_run(connection.tenant, connection.id).await? else { return Err(none) };
        let mut tx = self.store.begin().await?;
        tx.cancel_run(connection.tenant, run.id).await?;
        Ok(tx.commit().await?)
    }

    /// A run in numbers.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn report(&self, run: &Run) -> Result<RunReport, ServiceError> {
        let mut planned = BTreeMap::new();
        let mut outcomes = BTreeMap::new();
        let mut people = 0;
        for (action, outcome, count) in self.store.item_counts(run.tenant, run.id).await? {
            people += count;
            *planned.entry(action).or_insert(0) += count;
            let outcome = if outcome.is_empty() { "open".to_owned() } else { outcome };
            *outcomes.entry(outcome).or_insert(0) += count;
        }
        let skipped: BTreeMap<String, i64> = self.store.skip_counts(run.tenant, run.id).await?.into_iter().collect();
        Ok(RunReport {
            id: run.id,
            state: run.state.word().to_owned(),
            cause: run.cause.clone(),
            dry: run.dry,
            guard: run.guard.clone(),
            error: run.error.clone(),
            people: people + skipped.values().sum::<i64>(),
            planned,
            outcomes,
            skipped,
            requested_at: run.requested_at,
            finished_at: run.finished_at,
        })
    }
}

impl Session<'_> {
    /// Takes the open run one step further, or opens one for consents that were raised.
    pub(super) async fn run(&self) -> Result<bool, ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let Some(mut run) = self.core.store.open_run(tenant, connection).await? else {
            if self.is_active() && self.core.store.is_dirty(tenant, connection).await? {
                let mut tx = self.begin().await?;
                tx.request_run(tenant, connection, self.core.id(), "consent", false, self.now()).await?;
                tx.commit().await?;
                return Ok(true);
            }
            return Ok(false);
        };
        tracing::Span::current().record("run.id", tracing::field::display(run.id));
        if run.cancelling {
            self.end(&mut run, RunState::Cancelled, "").await?;
            return Ok(true);
        }
        if self.now() < run.resume_at && run.state == RunState::ReadingBack {
            return Ok(false);
        }
        match run.state {
            RunState::Requested => self.start(&mut run).await,
            RunState::Planning => {
                if !self.plan_page(&mut run).await? {
                    self.planned(&mut run).await?;
                }
                Ok(true)
            }
            RunState::Applying => {
                if !self.queue_removals(&run).await? && !self.push_chunk(&run).await? {
                    run.resume_at = self.now();
                    self.step(&mut run, RunState::Following).await?;
                }
                Ok(true)
            }
            RunState::Following => {
                if !self.core.store.open_jobs(tenant, connection).await?.is_empty() {
                    return Ok(false);
                }
                run.resume_at = self.now();
                self.step(&mut run, RunState::ReadingBack).await?;
                Ok(true)
            }
            RunState::ReadingBack => {
                if self.read_back(&mut run).await? {
                    self.end(&mut run, RunState::Done, "").await?;
                    return Ok(true);
                }
                Ok(false)
            }
            RunState::AwaitingConfirmation | RunState::Done | RunState::Failed | RunState::Cancelled => Ok(false),
        }
    }

    /// Before a plan: the mapping must fit, and what the provider holds must be known.
    async fn start(&self, run: &mut Run) -> Result<bool, ServiceError> {
        let missing = self.core.missing_fields(&self.connection, &self.account).await?;
        if !missing.is_empty() {
            let names: Vec<String> = missing.into_iter().map(|field| field.name).collect();
            let error = format!(
                "the account lacks the mapped contact fields {}; create them with `consentd connection fields --create`",
                names.join(", ")
            );
            self.end(run, RunState::Failed, &error).await?;
            return Ok(true);
        }
        if self.connection.walked_at.is_none() {
            if self.connection.walk_wanted_at.is_none() {
                self.want_walk().await?;
                return Ok(true);
            }
            return Ok(false);
        }
        self.step(run, RunState::Planning).await?;
        Ok(true)
    }

    /// After a plan: end a dry run, ask a person, or go on.
    async fn planned(&self, run: &mut Run) -> Result<(), ServiceError> {
        run.planned_at = Some(self.now());
        if run.dry {
            return self.end(run, RunState::Done, "").await;
        }
        run.guard = self.guard(run).await?;
        if run.guard.is_empty() {
            return self.step(run, RunState::Applying).await;
        }
        tracing::info!(connection.id = %self.connection.id, run.id = %run.id, "run waits for a confirmation");
        self.step(run, RunState::AwaitingConfirmation).await?;
        if self.is_active() {
            // A guard holds back people who merely left the CRM; it never holds back a withdrawal.
            self.queue_consent_removals(run).await?;
        }
        Ok(())
    }

    /// Why a person must look at the plan first; empty when nobody must.
    async fn guard(&self, run: &Run) -> Result<String, ServiceError> {
        if self.connection.state == ConnectionState::Shadow {
            return Ok("first run of this connection".to_owned());
        }
        let report = self.core.report(run).await?;
        let leaving = report.planned.get("leave").copied().unwrap_or(0);
        let held = self.core.store.held_counts(self.tenant.id, self.connection.id).await?;
        let subscribed: i64 =
            held.into_iter().filter(|(word, _)| word == Held::Subscribed.word()).map(|(_, count)| count).sum();
        let limit = self.connection.guard_count.max(subscribed * self.connection.guard_percent / 100);
        if leaving > limit || (leaving > 0 && leaving == subscribed) {
            return Ok(format!(
                "{leaving} of {subscribed} people would leave the list because the CRM no longer has them"
            ));
        }
        Ok(String::new())
    }

    /// Hands removals to the withdrawal queue. True while there are more.
    async fn queue_removals(&self, run: &Run) -> Result<bool, ServiceError> {
        self.queue_some(run, true).await
    }

    async fn queue_consent_removals(&self, run: &Run) -> Result<(), ServiceError> {
        while self.queue_some(run, false).await? {}
        Ok(())
    }

    async fn queue_some(&self, run: &Run, leavers: bool) -> Result<bool, ServiceError> {
        let mut tx = self.begin().await?;
        let removals = tx.open_removals(self.tenant.id, run.id, leavers, REMOVALS).await?;
        let mailboxes: Vec<MailboxId> = removals.iter().map(|removal| MailboxId(removal.mailbox_id)).collect();
        let people = tx.people(self.tenant.id, self.connection.purpose, &mailboxes).await?;
        // Who said yes after the plan was made.
        let consenting: HashSet<MailboxId> =
            people.iter().filter(|person| is_sendable(person, self.now())).map(|person| person.mailbox).collect();
        let (mut overtaken, mut queued) = (Vec::new(), Vec::new());
        for (removal, mailbox) in removals.iter().zip(mailboxes) {
            if removal.action == "withdraw" && consenting.contains(&mailbox) {
                overtaken.push(removal.n);
                continue;
            }
            let new = NewWithdrawal {
                mailbox,
                address: AddressId(removal.address_id),
                purpose: Some(self.connection.purpose),
                scope: Scope::Purpose,
                reason: &removal.reason,
                seq: 0,
            };
            tx.queue_withdrawal(self.tenant.id, &new, self.now()).await?;
            queued.push(removal.n);
        }
        tx.resolve_items(self.tenant.id, run.id, &overtaken, "overtaken", "", "").await?;
        tx.resolve_items(self.tenant.id, run.id, &queued, "queued", "", "").await?;
        tx.commit().await?;
        Ok(!removals.is_empty())
    }

    async fn step(&self, run: &mut Run, state: RunState) -> Result<(), ServiceError> {
        run.state = state;
        let mut tx = self.begin().await?;
        tx.save_run(run).await?;
        Ok(tx.commit().await?)
    }

    async fn end(&self, run: &mut Run, state: RunState, error: &str) -> Result<(), ServiceError> {
        error.clone_into(&mut run.error);
        run.finished_at = Some(self.now());
        tracing::info!(connection.id = %self.connection.id, run.id = %run.id, run.state = state.word(), "run ended");
        metrics::counter!("consentd_runs_total", "provider" => self.connection.provider.clone(), "state" => state.word())
            .increment(1);
        self.step(run, state).await
    }
}
