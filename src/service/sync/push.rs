//! Subscribing people, a chunk at a time.
//!
//! Each chunk is checked again and written to the ledger in one transaction; only then does its first byte leave, and
//! not later than a second after that commit. What is late goes through the check again.

use crate::clock::{SECOND, Timestamp};
use crate::domain::contact::digest;
use crate::domain::ids::MailboxId;
use crate::domain::plan::{self, Confirmed, Held, Wish};
use crate::service::ServiceError;
use crate::service::sync::Session;
use crate::service::sync::follow::wait;
use crate::store::{Entry, Holding, Run, Tx};
use async_trait::async_trait;
use consentd_provider::{Gateway, Outcome, Presence, ProviderError, Push, Refusal, Repeat, Request, Response};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// How old a check may be when the first byte of what it allows leaves; a little less than the promised second.
const FRESH: Timestamp = SECOND * 9 / 10;

/// People restored with one check. Each takes calls of its own, so few can start while the check is fresh.
const RESTORED: i64 = 8;

/// A change that is written in the ledger and not yet sent.
struct Issued {
    n: i64,
    before: Holding,
    during: Holding,
}

/// Lets requests that write start only while the check behind them is fresh; an old check is made again.
struct Fresh<'a> {
    session: &'a Session<'a>,
    /// The head of the history when everybody was checked.
    head: i64,
    mailboxes: Vec<MailboxId>,
    until: AtomicI64,
}

impl Fresh<'_> {
    /// Until when what is allowed may start. Past that, nothing may have been said of anybody since the check.
    async fn until(&self) -> Result<Timestamp, ProviderError> {
        let until = self.until.load(Ordering::SeqCst);
        if self.session.now() <= until {
            return Ok(until);
        }
        let store = &self.session.core.store;
        let again = self.session.now() + FRESH;
        match store.spoken_since(self.session.tenant.id, self.head, &self.mailboxes).await {
            Ok(false) => {
                self.until.store(again, Ordering::SeqCst);
                Ok(again)
            }
            Ok(true) | Err(_) => Err(ProviderError::Throttled { retry_after: Some(Duration::ZERO) }),
        }
    }
}

#[async_trait]
impl Gateway for Fresh<'_> {
    async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        let inner = &self.session.account.gateway;
        match request.repeat {
            Repeat::Safe => inner.send(request).await,
            Repeat::Never => inner.send_before(request, self.until().await?).await,
        }
    }

    async fn send_before(&self, request: Request, deadline: Timestamp) -> Result<Response, ProviderError> {
        self.session.account.gateway.send_before(request, deadline.min(self.until().await?)).await
    }
}

impl Session<'_> {
    /// Pushes the next chunk of a run. True while there is more.
    // race model: `Action::IssueAdd` in tests/it/race/steps.rs; `Action::Send` is `Fresh::until`
    pub(super) async fn push_chunk(&self, run: &Run) -> Result<bool, ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let batch = self.core.id();
        let limit = i64::try_from(self.account.descriptor.chunk).unwrap_or(1);
        let mut tx = self.core.store.begin().await?;
        let head = tx.lock_head(tenant).await?;
        let mut open = tx.open_items(tenant, run.id, false, limit).await?;
        if open.is_empty() {
            open = tx.open_items(tenant, run.id, true, RESTORED.min(limit)).await?;
        }
        if open.is_empty() {
            return Ok(false);
        }
        let mailboxes: Vec<MailboxId> = open.iter().map(|item| MailboxId(item.mailbox_id)).collect();
        let people = tx.people(tenant, self.connection.purpose, &mailboxes).await?;
        let seen = tx.walked(tenant, connection, &mailboxes).await?;
        let mut candidates: std::collections::HashMap<MailboxId, _> =
            self.weigh_people(&mut tx, people).await?.into_iter().map(|found| (found.mailbox, found)).collect();
        let now = self.now();
        let (mut changes, mut issued, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for item in &open {
            let candidate = candidates.remove(&MailboxId(item.mailbox_id));
            let Some(candidate) = candidate.filter(|found| matches!(found.wish, Wish::Add | Wish::Update)) else {
                tx.resolve_item(tenant, run.id, item.n, "overtaken", "", "").await?;
                continue;
            };
            let taken_off_at = candidate.taken_off_at();
            let before = candidate.holding;
            let presence = if before.held == Held::Never && !seen.contains_key(&candidate.mailbox) {
                Presence::New
            } else {
                Presence::Known
            };
            let digest = digest(&candidate.fields);
            let basis_seq = candidate.standing.basis.map_or(0, |basis| basis.seq);
            let confirmed = Confirmed {
                email: candidate.address.email,
                standing: candidate.standing,
                fields: candidate.fields,
                presence,
                taken_off_at,
                seen_mailable_at: before.seen_mailable_at,
            };
            let Some(change) = plan::subscribe(confirmed, now) else {
                tx.resolve_item(tenant, run.id, item.n, "overtaken", "", "").await?;
                continue;
            };
            let during = Holding {
                address: candidate.address.id,
                held: Held::Unknown,
                basis_seq,
                digest,
                unsettled_until: now + self.core.rules.settle,
                // Should this daemon die before the answer, the withdrawal's later reads count from here.
                add_unknown_at: now,
                ..before
            };
            entries.push(Entry {
                n: item.n,
                run: Some(run.id),
                mailbox: candidate.mailbox,
                address: candidate.address.id,
                op: "add",
                basis_seq,
                settled: true,
                digest,
            });
            tx.resolve_item(tenant, run.id, item.n, "sending", "", "").await?;
            issued.push(Issued { n: item.n, before, during });
            changes.push(change);
        }
        let during: Vec<Holding> = issued.iter().map(|one| one.during).collect();
        tx.keep_holdings(tenant, connection, &during).await?;
        tx.issue(tenant, connection, batch, &entries, head.seq, now).await?;
        tx.commit().await?;
        if changes.is_empty() {
            return Ok(true);
        }
        let mailboxes = issued.iter().map(|one| one.during.mailbox).collect();
        let until = AtomicI64::new(self.now() + FRESH);
        let fresh = Fresh { session: self, head: head.seq, mailboxes, until };
        let push = self.account.provider.push(&fresh, &self.account.audience, &changes).await;
        self.note(run, batch, &issued, &push).await?;
        match push.stopped_by {
            None => Ok(true),
            Some(ProviderError::Throttled { retry_after: Some(Duration::ZERO) }) => {
                if push.outcomes.iter().all(|outcome| *outcome == Outcome::Untouched) {
                    // Nothing came of it; without a pause the same would be tried for ever.
                    let failures = self.connection.failures + 1;
                    self.back_off(self.jittered(failures), failures).await?;
                    return Ok(false);
                }
                Ok(true)
            }
            Some(error) => Err(error.into()),
        }
    }

    /// Writes down what came of a chunk.
    // race model: `Action::Note` in tests/it/race/steps.rs
    async fn note(&self, run: &Run, batch: Uuid, issued: &[Issued], push: &Push) -> Result<(), ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let now = self.now();
        // The settle time counts from here: the call may have left long after its ledger line.
        let unsettled_until = now + self.core.rules.settle;
        let mut kept = Vec::with_capacity(issued.len());
        let mut jobs = BTreeSet::new();
        let mut tx = self.core.store.begin().await?;
        let alike = match push.outcomes.as_slice() {
            [first, rest @ ..] if rest.iter().all(|outcome| outcome == first) => Some(first),
            _ => None,
        };
        if let Some(outcome) = alike {
            let (word, job) = words(outcome);
            tx.answer_batch(tenant, connection, batch, word, job, now).await?;
        }
        for (one, outcome) in issued.iter().zip(&push.outcomes) {
            let (word, job) = words(outcome);
            if alike.is_none() {
                tx.answer(tenant, connection, batch, one.n, word, job, now).await?;
            }
            let (holding, item, code, message) = match outcome {
                Outcome::Applied => {
                    // An earlier call that got no answer may still land.
                    let Holding { unsettled_until, add_unknown_at, .. } = one.before;
                    let known = Holding { held: Held::Subscribed, unsettled_until, add_unknown_at, ..one.during };
                    (known, "pending", "", String::new())
                }
                Outcome::Pending(job) => {
                    jobs.insert(job.0.clone());
                    let add_unknown_at = one.before.add_unknown_at;
                    (Holding { unsettled_until, add_unknown_at, ..one.during }, "pending", "", String::new())
                }
                Outcome::Refused(refusal) => {
                    let (code, message) = refused(refusal);
                    let add_unknown_at = one.before.add_unknown_at;
                    let holding = Holding { held: Held::Blocked, unsettled_until: 0, add_unknown_at, ..one.during };
                    self.human_task(&mut tx, one, refusal).await?;
                    // A block is looked at: it may be a no of the person that we have not heard of.
                    let item = if *refusal == Refusal::Blocked { "pending" } else { "refused" };
                    (holding, item, code, message)
                }
                Outcome::Untouched => (one.before, "", "", String::new()),
                Outcome::Unknown => {
                    let known = Holding { unsettled_until, add_unknown_at: now, ..one.during };
                    (known, "unknown", "no_answer", String::new())
                }
            };
            kept.push(holding);
            tx.resolve_item(tenant, run.id, one.n, item, code, &message).await?;
        }
        for job in jobs {
            tx.insert_job(tenant, connection, run.id, &job, now + wait(0), now).await?;
        }
        tx.keep_holdings(tenant, connection, &kept).await?;
        Ok(tx.commit().await?)
    }

    async fn human_task(&self, tx: &mut Tx, one: &Issued, refusal: &Refusal) -> Result<(), ServiceError> {
        let (kind, subject, detail) = match refusal {
            Refusal::Blocked => (
                "blocked_at_provider",
                one.during.mailbox.0,
                "consents here, and the provider keeps the address blocked",
            ),
            Refusal::AccountLimit => {
                ("account_limit", self.connection.id.0, "the provider's plan does not allow more contacts")
            }
            Refusal::Invalid { .. } => return Ok(()),
        };
        Ok(tx.raise(self.tenant.id, self.connection.id, kind, subject, detail, self.now()).await?)
    }
}

/// An outcome in the ledger's words.
fn words(outcome: &Outcome) -> (&'static str, &str) {
    match outcome {
        Outcome::Applied => ("ok", ""),
        Outcome::Pending(job) => ("pending", &job.0),
        Outcome::Refused(_) => ("refused", ""),
        Outcome::Untouched => ("untouched", ""),
        Outcome::Unknown => ("unknown", ""),
    }
}

fn refused(refusal: &Refusal) -> (&str, String) {
    match refusal {
        Refusal::Blocked => ("blocked_at_provider", String::new()),
        Refusal::AccountLimit => ("account_limit", String::new()),
        Refusal::Invalid { code, reason } => (code, reason.clone()),
    }
}
