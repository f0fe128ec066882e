//! Withdrawals: sent at once, believed by the Settle rule, read back.
//!
//! A withdrawal is in effect when it was issued while no subscription of the mailbox was unsettled, was answered, and a
//! read says *not mailable*. One issued earlier goes out all the same, and again after everything has settled.

use crate::clock::{HOUR, MINUTE, SECOND, Timestamp};
use crate::domain::consent::{Act, SystemAct};
use crate::domain::mailbox::best;
use crate::domain::plan::{self, Held};
use crate::service::ServiceError;
use crate::service::consent::Saying;
use crate::service::sync::Session;
use crate::service::sync::push::words;
use crate::service::sync::settle::BY_NAME;
use crate::store::{Entry, Holding, PersonRow, Phase, RunState, Tx, Withdrawal, addresses_of_mailboxes};
use consentd_provider::{Change, Look, Outcome, Scope};
use serde_json::json;
use std::collections::{BTreeMap, HashSet};

/// How many go out together at the first attempt, and how many once one has failed: the small number makes
/// adapters use calls that answer at once.
const FIRST: usize = 1_000;
const AGAIN: usize = 100;

/// How many are read back together, if a walk has read them.
const READ: i64 = 2_000;

/// The least wait before a withdrawal is repeated that went out while a subscription could still land.
const UNSETTLED: Timestamp = 30 * SECOND;

/// How long people who were taken off wait for the walk of a run.
const PATIENCE: Timestamp = 5 * MINUTE;

/// When a withdrawn mailbox is read again after a subscription without an answer.
const WATCHES: [Timestamp; 3] = [5 * MINUTE, HOUR, 24 * HOUR];

impl Session<'_> {
    /// Sends what is due.
    // race model: `Action::IssueRemoval`, `Send` and `Note` in tests/it/race/steps.rs
    pub(super) async fn send_withdrawals(&self) -> Result<bool, ServiceError> {
        let limit = i64::try_from(FIRST.min(self.account.descriptor.chunk)).unwrap_or(1);
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let mut due = self.core.store.due_withdrawals(tenant, connection, Phase::Send, self.now(), limit).await?;
        if due.iter().any(|w| w.attempts > 0) {
            due.truncate(AGAIN);
        }
        if due.is_empty() {
            return Ok(false);
        }
        let batch = self.core.id();
        let now = self.now();
        let mut tx = self.begin().await?;
        let head = tx.lock_head(tenant).await?;
        let mailboxes: Vec<_> = due.iter().map(|w| w.mailbox).collect();
        let mut holdings = tx.holdings(tenant, connection, &mailboxes).await?;
        let adding = tx.open_additions(tenant, connection, &mailboxes).await?;
        let mut entries = Vec::with_capacity(due.len());
        for (n, w) in (0..).zip(&mut due) {
            // A job that still runs can land whatever the clock says.
            w.settled = !adding.contains(&w.mailbox)
                && holdings.get(&w.mailbox).is_none_or(|holding| holding.unsettled_until <= now);
            entries.push(Entry {
                n,
                run: None,
                mailbox: w.mailbox,
                address: w.address,
                op: "unsub",
                basis_seq: w.basis_seq,
                settled: w.settled,
                digest: [0; 16],
            });
        }
        tx.issue(tenant, connection, batch, &entries, head.seq, now).await?;
        tx.commit().await?;

        let changes: Vec<Change> = due.iter().map(|w| plan::withdraw(w.email.clone(), w.scope)).collect();
        let push = self.account.provider.push(&*self.account.gateway, &self.account.audience, &changes).await;

        let now = self.now();
        let mut tx = self.begin().await?;
        let mut taken_off = Vec::new();
        let mut answers: BTreeMap<(&str, &str), Vec<i64>> = BTreeMap::new();
        for ((n, w), outcome) in (0..).zip(&mut due).zip(&push.outcomes) {
            answers.entry(words(outcome)).or_default().push(n);
            match outcome {
                Outcome::Applied | Outcome::Refused(_) => {
                    w.phase = Phase::Confirm;
                    // While a subscription may still land, a read at once would show nothing that lasts.
                    w.run_at = if w.settled { now } else { now + UNSETTLED };
                }
                Outcome::Pending(_) => {
                    w.phase = Phase::Confirm;
                    w.attempts += 1;
                    w.run_at = now + 10 * SECOND;
                }
                Outcome::Untouched | Outcome::Unknown => {
                    w.attempts += 1;
                    w.run_at = now + self.jittered(w.attempts);
                }
            }
            if matches!(outcome, Outcome::Applied) {
                let known = holdings.remove(&w.mailbox).unwrap_or(Holding::never(w.mailbox, w.address));
                // While a subscription may still land, the belief stays "unknown".
                let belief = if w.settled { Held::Withdrawn } else { known.held };
                taken_off.push(Holding { held: belief, taken_off_at: now, ..known });
            }
            tx.save_withdrawal(tenant, connection, w, None, None).await?;
        }
        for ((word, job), lines) in &answers {
            tx.answer(tenant, connection, batch, lines, word, job, now).await?;
        }
        tx.keep_holdings(tenant, connection, &taken_off).await?;
        tx.commit().await?;
        metrics::counter!("consentd_withdrawals_sent_total", "provider" => self.connection.provider.clone())
            .increment(u64::try_from(due.len()).unwrap_or(0));
        match push.stopped_by {
            Some(error) => Err(error.into()),
            None => Ok(true),
        }
    }

    /// Reads back what was answered, and later what was in effect while a subscription was unsettled.
    pub(super) async fn confirm_withdrawals(&self, phase: Phase) -> Result<bool, ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let due = self.core.store.due_withdrawals(tenant, connection, phase, self.now(), READ).await?;
        let read = self.read_withdrawals(due).await?;
        if read.is_empty() {
            return Ok(false);
        }
        let now = self.now();
        let mut tx = self.begin().await?;
        let mailboxes: Vec<_> = read.iter().map(|(w, _)| w.mailbox).collect();
        let mut holdings = tx.holdings(tenant, connection, &mailboxes).await?;
        let people = tx.people(tenant, self.connection.purpose, &mailboxes).await?;
        // Whoever has said yes again since is rightly mailable.
        let wanted: HashSet<_> =
            people.iter().filter(|person| is_sendable(person, now)).map(|person| person.mailbox).collect();
        let (mut kept, mut confirmed) = (Vec::new(), Vec::new());
        for (mut w, look) in read {
            let Some(look) = look else {
                w.attempts += 1;
                w.run_at = now + self.jittered(w.attempts);
                tx.save_withdrawal(tenant, connection, &w, None, None).await?;
                continue;
            };
            let holding = holdings.remove(&w.mailbox).unwrap_or(Holding::never(w.mailbox, w.address));
            let before = w.phase;
            let again = wanted.contains(&w.mailbox);
            let (w, in_effect) = self.judge(w, look, &holding, again, &mut tx).await?;
            let in_effect_at = in_effect.then_some(now);
            // Somebody who is found mailable again is late from now on.
            let reopened_at = (before == Phase::Watch && w.phase == Phase::Send).then_some(now);
            if !tx.save_withdrawal(tenant, connection, &w, in_effect_at, reopened_at).await? || !in_effect {
                continue;
            }
            let taken_off_at = if before == Phase::Confirm { now } else { holding.taken_off_at };
            kept.push(Holding { held: Held::Withdrawn, taken_off_at, ..holding });
            if again {
                // A plan made meanwhile left the person alone, because the withdrawal was underway.
                tx.mark_dirty(tenant, w.mailbox, self.connection.purpose, now).await?;
            }
            if before == Phase::Confirm {
                confirmed.push(w);
            }
        }
        tx.keep_holdings(tenant, connection, &kept).await?;
        self.receipts(&mut tx, &confirmed, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// What the provider shows of people who withdrew, as far as it can be read now: a few by name, many by a walk that
    /// began after they were taken off, which takes fewer calls.
    async fn read_withdrawals(
        &self,
        mut due: Vec<Withdrawal>,
    ) -> Result<Vec<(Withdrawal, Option<Look>)>, ServiceError> {
        let walk = self.core.store.walk(self.tenant.id, self.connection.id).await?;
        let pages = walk.as_ref().map_or(0, |walk| usize::try_from(walk.pages).unwrap_or(0));
        // A look at one person takes a call or two.
        if due.len() > (pages / 2).max(BY_NAME) && !self.connection.list.is_empty() {
            let began = walk.as_ref().map_or(0, |walk| walk.started_at);
            let under_way = walk.is_some_and(|walk| walk.finished_at.is_none());
            if under_way || due.iter().all(|w| w.run_at > began) {
                let wanted = self.connection.walk_wanted_at.is_some_and(|since| since > began);
                if !under_way && !wanted && !self.run_walks_soon(&due).await? {
                    self.want_walk().await?;
                }
                return Ok(Vec::new());
            }
            let mailboxes: Vec<_> = due.iter().map(|w| w.mailbox).collect();
            let mut tx = self.begin().await?;
            let looks = tx.walked(self.tenant.id, self.connection.id, &mailboxes).await?;
            tx.commit().await?;
            let seen = |w: &Withdrawal| looks.get(&w.mailbox).copied().filter(|_| w.run_at <= began);
            if due.iter().any(|w| seen(w).is_some()) {
                return Ok(due.into_iter().filter_map(|w| seen(&w).map(|look| (w, Some(look)))).collect());
            }
            // A walk that shows nobody of them proves nothing about them.
        }
        due.truncate(self.account.descriptor.look.max(1));
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let emails: Vec<_> = due.iter().map(|w| w.email.clone()).collect();
        let looks = self.looks_of(&emails).await?;
        Ok(due.into_iter().zip(looks).collect())
    }

    /// Whether a run is about to read back what it writes, soon enough for these people: one walk does for both.
    async fn run_walks_soon(&self, due: &[Withdrawal]) -> Result<bool, ServiceError> {
        let (store, tenant, connection) = (&self.core.store, self.tenant.id, self.connection.id);
        let since = self.now() - PATIENCE;
        if !self.is_active() || due.iter().any(|w| w.run_at < since) {
            return Ok(false);
        }
        match store.open_run(tenant, connection).await? {
            Some(run) => Ok(!run.dry && run.state != RunState::AwaitingConfirmation),
            None => Ok(store.is_dirty(tenant, connection).await?),
        }
    }

    /// What a read means for a withdrawal, and whether it is in effect.
    // race model: `Action::Weigh` after `Look(_, Confirm | Watch)` in tests/it/race/steps.rs
    async fn judge(
        &self,
        mut w: Withdrawal,
        look: Look,
        holding: &Holding,
        again: bool,
        tx: &mut Tx,
    ) -> Result<(Withdrawal, bool), ServiceError> {
        let now = self.now();
        let off = match w.scope {
            Scope::Purpose => !look.mailable(),
            Scope::Everything => !look.exists || (look.blocked && !look.mailable()),
        };
        // Who said yes again is the next plan's; what this read shows may be older than what that plan has sent.
        if w.phase == Phase::Watch && again {
            w.phase = Phase::Done;
            return Ok((w, false));
        }
        if !off {
            if w.phase == Phase::Watch {
                self.found_again(tx, &w, look).await?;
            }
            w.phase = Phase::Send;
            w.attempts += 1;
            w.run_at = now + self.jittered(w.attempts.min(3));
            return Ok((w, false));
        }
        if w.phase == Phase::Confirm && !w.settled {
            w.phase = Phase::Send;
            w.run_at = holding.unsettled_until.max(now + UNSETTLED);
            return Ok((w, false));
        }
        let stage = usize::try_from(w.watch).unwrap_or(usize::MAX);
        let next = WATCHES
            .iter()
            .enumerate()
            .skip(stage)
            .map(|(index, after)| (index, holding.add_unknown_at + after))
            .find(|(_, at)| holding.add_unknown_at > 0 && *at > now);
        match next {
            Some((index, at)) => {
                w.phase = Phase::Watch;
                w.watch = i64::try_from(index).unwrap_or(0) + 1;
                w.run_at = at;
            }
            None => w.phase = Phase::Done,
        }
        Ok((w, true))
    }

    /// Somebody or something put a person back whom we had taken off: an import there, or an addition that landed late.
    async fn found_again(&self, tx: &mut Tx, w: &Withdrawal, look: Look) -> Result<(), ServiceError> {
        let Some(address) = tx.address(self.tenant.id, w.address).await? else { return Ok(()) };
        self.resubscribed(tx, &address, look).await
    }

    /// Notes in the history that the provider no longer mails these people.
    async fn receipts(&self, tx: &mut Tx, done: &[Withdrawal], now: Timestamp) -> Result<(), ServiceError> {
        let mailboxes: Vec<_> = done.iter().map(|w| w.mailbox).collect();
        let addresses = addresses_of_mailboxes(tx, self.tenant.id, &mailboxes).await?;
        let mut sayings = Vec::with_capacity(done.len());
        for w in done {
            let spellings = addresses.get(&w.mailbox).into_iter().flatten();
            let Some(address) = spellings.into_iter().find(|address| address.id == w.address) else { continue };
            sayings.push(Saying {
                address,
                purpose: Some(self.connection.purpose),
                act: Act::System(SystemAct::ConfirmInEffect),
                evidence: json!({
                    "connection": self.connection.slug, "provider": self.connection.provider,
                    "wanted_at": w.requested_at, "in_effect_at": now,
                }),
            });
            #[expect(clippy::cast_precision_loss, reason = "a histogram of seconds")]
            metrics::histogram!("consentd_withdrawal_seconds").record((now - w.requested_at) as f64 / 1e6);
        }
        if !sayings.is_empty() {
            self.core.say_many(tx, &self.tenant, &self.key, &sayings).await?;
        }
        Ok(())
    }
}

/// Whether the address of a mailbox that counts may be mailed.
pub(super) fn is_sendable(person: &PersonRow, now: Timestamp) -> bool {
    let standings: Vec<_> = person.variants.iter().map(|(_, standing)| *standing).collect();
    !standings.is_empty() && best(&standings, now).1.sendable(now)
}
