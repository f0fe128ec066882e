//! Subscribing people, a chunk at a time.
//!
//! Each chunk is checked again and written to the ledger, a page in one transaction. Only then does its first byte leave,
//! and not later than a second after the check: for pages that took longer it is asked who was spoken of since, and these
//! people go through the whole check again.

use crate::clock::{MINUTE, SECOND, Timestamp};
use crate::domain::contact::{digest, mapping_digest};
use crate::domain::ids::MailboxId;
use crate::domain::plan::{self, Confirmed, Held, Wish};
use crate::service::ServiceError;
use crate::service::sync::Session;
use crate::service::sync::follow::wait;
use crate::service::sync::plan::Candidate;
use crate::store::{Entry, Holding, Run, StoreError, Tx};
use async_trait::async_trait;
use consentd_provider::{Change, Gateway, Look, Outcome, Presence, ProviderError, Refusal, Repeat, Request, Response};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// How old a check may be when the first byte of what it allows leaves; a little less than the promised second.
const FRESH: Timestamp = SECOND * 9 / 10;

/// People restored with one check. Each takes calls of its own, so few can start while the check is fresh.
const RESTORED: i64 = 8;

/// The room of a push, of which each change takes its part.
const ROOM: usize = 1_000_000_000;

/// People checked in one transaction.
const PAGE: i64 = 1_000;

/// A change that is written in the ledger and not yet answered: its item, and the belief before and while it is under way.
#[derive(Clone, Copy)]
struct Issued {
    n: i64,
    before: Holding,
    during: Holding,
}

/// What goes out with one push, checked and written in the ledger a page at a time.
struct Chunk {
    batch: Uuid,
    /// The head of the history at the first check.
    head: i64,
    changes: Vec<(Issued, Change)>,
    /// How much more it takes, in parts of [`ROOM`].
    room: usize,
    full: bool,
}

/// Lets requests that write start only while the check behind them is fresh; an old check is made again.
struct Fresh<'a> {
    session: &'a Session<'a>,
    /// The head of the history at the last check.
    head: AtomicI64,
    mailboxes: HashSet<MailboxId>,
    until: AtomicI64,
}

impl Fresh<'_> {
    /// Until when what is allowed may start. Past that, nothing may have been said of anybody since the check.
    async fn until(&self) -> Result<Timestamp, ProviderError> {
        let until = self.until.load(Ordering::SeqCst);
        if self.session.now() <= until {
            return Ok(until);
        }
        let again = self.session.now() + FRESH;
        match self.session.spoken_since(self.head.load(Ordering::SeqCst)).await {
            Ok((head, spoken)) if spoken.is_disjoint(&self.mailboxes) => {
                self.head.store(head, Ordering::SeqCst);
                self.until.store(again, Ordering::SeqCst);
                Ok(again)
            }
            Ok(_) | Err(_) => Err(ProviderError::Throttled { retry_after: Some(Duration::ZERO) }),
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
        let mut chunk = Chunk { batch: self.core.id(), head: 0, changes: Vec::new(), room: ROOM, full: false };
        let mut found = self.issue(run, &mut chunk, false, PAGE).await?;
        if !found {
            return Ok(self.issue(run, &mut chunk, true, RESTORED).await? && self.send_chunk(run, chunk).await?);
        }
        while found && !chunk.full {
            // Whoever leaves does not wait until a large push is complete.
            if let Err(error) = self.send_withdrawals().await {
                self.give_back(run, chunk.batch, &chunk.changes).await?;
                return Err(error);
            }
            found = self.issue(run, &mut chunk, false, PAGE).await?;
        }
        self.send_chunk(run, chunk).await
    }

    /// Checks the next open items once more and writes those that still hold in the ledger. True when there were any.
    async fn issue(&self, run: &Run, chunk: &mut Chunk, restoring: bool, limit: i64) -> Result<bool, ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let mut tx = self.begin().await?;
        let head = tx.lock_head(tenant).await?;
        let open = tx.open_items(tenant, run.id, restoring, limit).await?;
        if open.is_empty() {
            return Ok(false);
        }
        if chunk.changes.is_empty() {
            chunk.head = head.seq;
        }
        let mailboxes: Vec<MailboxId> = open.iter().map(|item| MailboxId(item.mailbox_id)).collect();
        let people = tx.people(tenant, self.connection.purpose, &mailboxes).await?;
        let seen = tx.walked(tenant, connection, &mailboxes).await?;
        let mut candidates: HashMap<MailboxId, Candidate> =
            self.weigh_people(&mut tx, people).await?.into_iter().map(|found| (found.mailbox, found)).collect();
        let now = self.now();
        let (mut issued, mut overtaken) = (Vec::new(), Vec::new());
        for item in &open {
            let candidate = candidates.remove(&MailboxId(item.mailbox_id));
            let wanted = candidate.filter(|found| matches!(found.wish, Wish::Add | Wish::Update));
            let Some((one, change)) = wanted.and_then(|candidate| self.prepared(item.n, candidate, &seen, now)) else {
                overtaken.push(item.n);
                continue;
            };
            let Some(room) = chunk.room.checked_sub(self.part(&change)) else {
                chunk.full = true;
                break;
            };
            chunk.room = room;
            issued.push((one, change));
        }
        let entries: Vec<Entry> = issued.iter().map(|(one, _)| one.entry(run)).collect();
        let sending: Vec<i64> = issued.iter().map(|(one, _)| one.n).collect();
        let during: Vec<Holding> = issued.iter().map(|(one, _)| one.during).collect();
        tx.resolve_items(tenant, run.id, &overtaken, "overtaken", "", "").await?;
        tx.resolve_items(tenant, run.id, &sending, "sending", "", "").await?;
        tx.keep_holdings(tenant, connection, &during).await?;
        tx.issue(tenant, connection, chunk.batch, &entries, head.seq, now).await?;
        tx.commit().await?;
        chunk.changes.extend(issued);
        Ok(true)
    }

    /// The change for somebody who still consents, with the belief while it is under way.
    fn prepared(
        &self,
        n: i64,
        candidate: Candidate,
        seen: &HashMap<MailboxId, Look>,
        now: Timestamp,
    ) -> Option<(Issued, Change)> {
        let taken_off_at = candidate.taken_off_at();
        let before = candidate.holding;
        let known = before.held != Held::Never || seen.contains_key(&candidate.mailbox);
        let digest = digest(&candidate.fields);
        let during = Holding {
            address: candidate.address.id,
            held: Held::Unknown,
            basis_seq: candidate.standing.basis.map_or(0, |basis| basis.seq),
            digest,
            person: candidate.person,
            mapping: mapping_digest(&self.connection.mapping),
            unsettled_until: now + self.core.rules.settle,
            ..before
        };
        let confirmed = Confirmed {
            email: candidate.address.email,
            standing: candidate.standing,
            fields: candidate.fields,
            presence: if known { Presence::Known } else { Presence::New },
            taken_off_at,
            seen_mailable_at: before.seen_mailable_at,
        };
        let change = plan::subscribe(confirmed, now)?;
        Some((Issued { n, before, during }, change))
    }

    /// How much of a push's room a change takes.
    fn part(&self, change: &Change) -> usize {
        let chunk = self.account.descriptor.chunk;
        ROOM.div_ceil(self.account.provider.together(change).unwrap_or(chunk).max(chunk).max(1))
    }

    /// Sends a chunk and writes down what came of it. True while there is more.
    async fn send_chunk(&self, run: &Run, chunk: Chunk) -> Result<bool, ServiceError> {
        let until = AtomicI64::new(self.now() + FRESH);
        // The first check is as old as it took to write all pages; who has said anything since is checked again.
        let (head, spoken) = self.spoken_since(chunk.head).await?;
        let (again, changes): (Vec<_>, Vec<_>) =
            chunk.changes.into_iter().partition(|(one, _)| spoken.contains(&one.during.mailbox));
        if !again.is_empty() {
            self.give_back(run, chunk.batch, &again).await?;
        }
        if changes.is_empty() {
            return Ok(true);
        }
        let (issued, changes): (Vec<Issued>, Vec<Change>) = changes.into_iter().unzip();
        let mailboxes = issued.iter().map(|one| one.during.mailbox).collect();
        let fresh = Fresh { session: self, head: AtomicI64::new(head), mailboxes, until };
        let push = self.account.provider.push(&fresh, &self.account.audience, &changes).await;
        self.note(run, chunk.batch, &issued, &push.outcomes).await?;
        match push.stopped_by {
            None => Ok(true),
            Some(ProviderError::Throttled { retry_after: Some(Duration::ZERO) }) => {
                if push.outcomes.iter().all(|outcome| *outcome == Outcome::Untouched) {
                    // Nothing came of it; without a pause the same would be tried for ever.
                    let pause = Duration::from_micros(self.jittered(1).unsigned_abs());
                    return Err(ProviderError::Throttled { retry_after: Some(pause) }.into());
                }
                Ok(true)
            }
            Some(error) => Err(error.into()),
        }
    }

    /// The head of the history now, and who was spoken of since an older one.
    async fn spoken_since(&self, head: i64) -> Result<(i64, HashSet<MailboxId>), StoreError> {
        let store = &self.core.store;
        // Read first, so that nothing falls between this check and the next.
        let now = store.head(self.tenant.id).await?.seq;
        let spoken = if now > head { store.spoken_since(self.tenant.id, head).await? } else { HashSet::new() };
        Ok((now, spoken))
    }

    /// Opens the items of changes again of which no byte was sent.
    async fn give_back(&self, run: &Run, batch: Uuid, changes: &[(Issued, Change)]) -> Result<(), ServiceError> {
        let issued: Vec<Issued> = changes.iter().map(|(one, _)| *one).collect();
        self.note(run, batch, &issued, &vec![Outcome::Untouched; issued.len()]).await
    }

    /// Writes down what came of changes.
    // race model: `Action::Note` in tests/it/race/steps.rs
    async fn note(&self, run: &Run, batch: Uuid, issued: &[Issued], outcomes: &[Outcome]) -> Result<(), ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let now = self.now();
        // The settle time counts from here: the call may have left long after its ledger line.
        let unsettled_until = now + self.core.rules.settle;
        let mut kept = Vec::new();
        let mut answers: BTreeMap<(&str, &str), Vec<i64>> = BTreeMap::new();
        let mut items: BTreeMap<(&str, &str, &str), Vec<i64>> = BTreeMap::new();
        let mut tx = self.begin().await?;
        for (one, outcome) in issued.iter().zip(outcomes) {
            answers.entry(words(outcome)).or_default().push(one.n);
            let item = match outcome {
                Outcome::Applied => {
                    // An earlier call that got no answer may still land.
                    let unsettled_until = one.before.unsettled_until;
                    kept.push(Holding { held: Held::Subscribed, unsettled_until, ..one.during });
                    ("pending", "", "")
                }
                Outcome::Pending(_) => {
                    // Less than a minute is left as it is: a large job has many rows.
                    if one.during.unsettled_until < unsettled_until - MINUTE {
                        kept.push(Holding { unsettled_until, ..one.during });
                    }
                    ("pending", "", "")
                }
                Outcome::Refused(refusal) => {
                    kept.push(Holding { held: Held::Blocked, unsettled_until: 0, ..one.during });
                    self.human_task(&mut tx, one, refusal).await?;
                    let (code, message) = refused(refusal);
                    // A block is looked at: it may be a no of the person that we have not heard of.
                    (if *refusal == Refusal::Blocked { "pending" } else { "refused" }, code, message)
                }
                Outcome::Untouched => {
                    kept.push(one.before);
                    ("", "", "")
                }
                Outcome::Unknown => {
                    kept.push(Holding { unsettled_until, add_unknown_at: now, ..one.during });
                    ("unknown", "no_answer", "")
                }
            };
            items.entry(item).or_default().push(one.n);
        }
        for ((word, job), lines) in &answers {
            tx.answer(tenant, connection, batch, lines, word, job, now).await?;
            if !job.is_empty() {
                tx.insert_job(tenant, connection, run.id, job, now + wait(0), now).await?;
            }
        }
        for ((outcome, code, message), items) in &items {
            tx.resolve_items(tenant, run.id, items, outcome, code, message).await?;
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
pub(super) fn words(outcome: &Outcome) -> (&'static str, &str) {
    match outcome {
        Outcome::Applied => ("ok", ""),
        Outcome::Pending(job) => ("pending", &job.0),
        Outcome::Refused(_) => ("refused", ""),
        Outcome::Untouched => ("untouched", ""),
        Outcome::Unknown => ("unknown", ""),
    }
}

fn refused(refusal: &Refusal) -> (&str, &str) {
    match refusal {
        Refusal::Blocked => ("blocked_at_provider", ""),
        Refusal::AccountLimit => ("account_limit", ""),
        Refusal::Invalid { code, reason } => (code, reason),
    }
}

impl Issued {
    /// Its line of the ledger.
    const fn entry(&self, run: &Run) -> Entry {
        Entry {
            n: self.n,
            run: Some(run.id),
            mailbox: self.during.mailbox,
            address: self.during.address,
            op: "add",
            basis_seq: self.during.basis_seq,
            settled: true,
            digest: self.during.digest,
        }
    }
}
