//! Withdrawals: sent at once, believed by the Settle rule, read back.
//!
//! A withdrawal is in effect when it was issued while no subscription of the mailbox was unsettled, was answered, and a
//! read says *not mailable*. One issued earlier goes out all the same, and again after everything has settled.

use crate::clock::{HOUR, MINUTE, SECOND, Timestamp};
use crate::domain::consent::{Act, SystemAct};
use crate::domain::plan::{self, Held};
use crate::service::ServiceError;
use crate::service::consent::Saying;
use crate::service::sync::Session;
use crate::store::{Entry, Holding, Phase, Withdrawal};
use consentd_provider::{Change, Look, Outcome, Scope};
use serde_json::json;

/// How many go out together at the first attempt, and how many once one has failed: the small number makes
/// adapters use calls that answer at once.
const FIRST: usize = 1_000;
const AGAIN: usize = 100;

/// The least wait before a withdrawal is repeated that went out while a subscription could still land.
const UNSETTLED: Timestamp = 30 * SECOND;

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
        let mut tx = self.core.store.begin().await?;
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
        let mut tx = self.core.store.begin().await?;
        tx.answer_batch(tenant, connection, batch, "ok", "", now).await?;
        let mut taken_off = Vec::new();
        for ((n, w), outcome) in (0..).zip(&mut due).zip(&push.outcomes) {
            let answered = match outcome {
                Outcome::Applied => "ok",
                Outcome::Pending(_) => "pending",
                Outcome::Refused(_) => "refused",
                Outcome::Untouched => "untouched",
                Outcome::Unknown => "unknown",
            };
            if answered != "ok" {
                let job = if let Outcome::Pending(job) = outcome { &*job.0 } else { "" };
                tx.answer(tenant, connection, batch, n, answered, job, now).await?;
            }
            match outcome {
                Outcome::Applied | Outcome::Refused(_) => {
                    w.phase = Phase::Confirm;
                    w.run_at = now;
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
        let limit = i64::try_from(self.account.descriptor.look).unwrap_or(1);
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let due = self.core.store.due_withdrawals(tenant, connection, phase, self.now(), limit).await?;
        if due.is_empty() {
            return Ok(false);
        }
        let emails: Vec<_> = due.iter().map(|w| w.email.clone()).collect();
        let looks = self.looks_of(&emails).await?;
        let now = self.now();
        let mut tx = self.core.store.begin().await?;
        let mailboxes: Vec<_> = due.iter().map(|w| w.mailbox).collect();
        let mut holdings = tx.holdings(tenant, connection, &mailboxes).await?;
        let mut kept = Vec::new();
        for (mut w, look) in due.into_iter().zip(looks) {
            let Some(look) = look else {
                w.attempts += 1;
                w.run_at = now + self.jittered(w.attempts);
                tx.save_withdrawal(tenant, connection, &w, None, None).await?;
                continue;
            };
            let holding = holdings.remove(&w.mailbox).unwrap_or(Holding::never(w.mailbox, w.address));
            let before = w.phase;
            let (w, in_effect) = self.judge(w, look, &holding, &mut tx).await?;
            let in_effect_at = in_effect.then_some(now);
            // Somebody who is found mailable again is late from now on.
            let reopened_at = (before == Phase::Watch && w.phase == Phase::Send).then_some(now);
            if !tx.save_withdrawal(tenant, connection, &w, in_effect_at, reopened_at).await? || !in_effect {
                continue;
            }
            let taken_off_at = if before == Phase::Confirm { now } else { holding.taken_off_at };
            kept.push(Holding { held: Held::Withdrawn, taken_off_at, ..holding });
            if before == Phase::Confirm {
                self.receipt(&mut tx, &w, now).await?;
            }
            if self.wanted_again(&mut tx, &w).await? {
                // A plan made meanwhile left the person alone, because the withdrawal was underway.
                tx.mark_dirty(tenant, w.mailbox, self.connection.purpose, now).await?;
            }
        }
        tx.keep_holdings(tenant, connection, &kept).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// What a read means for a withdrawal, and whether it is in effect.
    // race model: `Action::Weigh` after `Look(_, Confirm | Watch)` in tests/it/race/steps.rs
    async fn judge(
        &self,
        mut w: Withdrawal,
        look: Look,
        holding: &Holding,
        tx: &mut crate::store::Tx,
    ) -> Result<(Withdrawal, bool), ServiceError> {
        let now = self.now();
        let off = match w.scope {
            Scope::Purpose => !look.mailable(),
            Scope::Everything => !look.exists || (look.blocked && !look.mailable()),
        };
        // Who said yes again is the next plan's; what this read shows may be older than what that plan has sent.
        if w.phase == Phase::Watch && self.wanted_again(tx, &w).await? {
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
    async fn found_again(&self, tx: &mut crate::store::Tx, w: &Withdrawal, look: Look) -> Result<(), ServiceError> {
        let Some(address) = tx.address(self.tenant.id, w.address).await? else { return Ok(()) };
        self.resubscribed(tx, &address, look).await
    }

    /// The person has said yes again since, so being mailable is right.
    async fn wanted_again(&self, tx: &mut crate::store::Tx, w: &Withdrawal) -> Result<bool, ServiceError> {
        let found = self.best_of(tx, w.mailbox).await?;
        Ok(found.is_some_and(|(_, standing)| standing.sendable(self.now())))
    }

    /// Notes in the history that the provider no longer mails the person.
    async fn receipt(&self, tx: &mut crate::store::Tx, w: &Withdrawal, now: Timestamp) -> Result<(), ServiceError> {
        let Some(address) = tx.address(self.tenant.id, w.address).await? else { return Ok(()) };
        let saying = Saying {
            address: &address,
            purpose: Some(self.connection.purpose),
            act: Act::System(SystemAct::ConfirmInEffect),
            evidence: json!({
                "connection": self.connection.slug, "provider": self.connection.provider,
                "wanted_at": w.requested_at, "in_effect_at": now,
            }),
        };
        self.core.say(tx, &self.tenant, &self.key, saying).await?;
        #[expect(clippy::cast_precision_loss, reason = "a histogram of seconds")]
        metrics::histogram!("consentd_withdrawal_seconds").record((now - w.requested_at) as f64 / 1e6);
        Ok(())
    }
}
