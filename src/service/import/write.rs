//! Writing a CRM's export: slice by slice, in the order of the mailboxes.

use crate::domain::consent::{Actor, Kind};
use crate::domain::ids::{MailboxId, PurposeId, RecordId};
use crate::service::ServiceError;
use crate::service::import::read::Parsed;
use crate::service::import::records::RecordWork;
use crate::service::import::{Import, Progress, SLICE, SLICES, SLICES_AHEAD};
use crate::store::{Address, EVERY_PURPOSE, Kept, Keyed, NewLine, NewWithdrawal, Tx, Whose};
use consentd_provider::Scope;
use serde_json::{Map, Value};
use std::ops::ControlFlow;

/// Lines made ready before the database's answers get a turn.
const TURN: usize = 8;

/// Rows with what they lead to.
type Judged<'c, 'r> = (&'r [Parsed], RecordWork<'c, 'r>);

impl<'c> Import<'c> {
    /// Judges rows and stores nothing.
    pub(super) async fn check_records(&mut self, rows: &[Parsed]) -> Result<(), ServiceError> {
        for (rows, work) in self.weigh_beside(rows).await? {
            self.account(rows, work);
        }
        Ok(())
    }

    /// Judges the next two slices at a time, each on a reader of its own.
    async fn weigh_beside<'r>(&self, rows: &'r [Parsed]) -> Result<[Judged<'c, 'r>; SLICES_AHEAD], ServiceError> {
        let (first, rest) = rows.split_at(rows.len().min(SLICE));
        let (second, _) = rest.split_at(rest.len().min(SLICE));
        let mut readers = [(); SLICES_AHEAD].map(|()| self.core.store.db.clone());
        let [one, two] = &mut readers;
        let (one, two) = tokio::try_join!(self.weigh_records(one, first), self.weigh_records(two, second))?;
        Ok([(first, one), (second, two)])
    }

    /// Writes the rows in the order of their mailboxes. Says whether to go on.
    pub(super) async fn write_records(
        &mut self,
        mut rows: Vec<Parsed>,
        progress: &Progress<'_>,
    ) -> Result<ControlFlow<()>, ServiceError> {
        rows.sort_by_cached_key(|row| row.people.first().map(|(_, mac)| *mac));
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let known = if self.quiet { self.pass_known(rest).await? } else { 0 };
            let flow = if known == 0 {
                let (written, flow) = self.write_slices(rest, progress).await?;
                rest = rest.get(written..).unwrap_or_default();
                flow
            } else {
                rest = rest.get(known..).unwrap_or_default();
                progress(&self.report)
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Passes over the next slices if all they say is there already, so that no writer is kept waiting for nothing. Returns
    /// how many rows that were.
    async fn pass_known(&mut self, rows: &[Parsed]) -> Result<usize, ServiceError> {
        let mut passed = 0;
        for (rows, work) in self.weigh_beside(rows).await? {
            if !work.is_nothing() {
                break;
            }
            passed += rows.len();
            self.account(rows, work);
        }
        Ok(passed)
    }

    /// Writes slices with one transaction: one if somebody waits for it to end, else a few. Returns how many rows that were.
    async fn write_slices(
        &mut self,
        rows: &[Parsed],
        progress: &Progress<'_>,
    ) -> Result<(usize, ControlFlow<()>), ServiceError> {
        let mut tx = self.core.store.begin().await?;
        let mut written = 0;
        let mut flow = ControlFlow::Continue(());
        for slice in rows.chunks(SLICE).take(SLICES) {
            tx.lock_head(self.tenant.id).await?;
            let mut work = self.weigh_records(&mut tx, slice).await?;
            self.quiet = work.is_nothing();
            self.save_records(&mut tx, &mut work).await?;
            self.account(slice, work);
            written += slice.len();
            flow = progress(&self.report);
            if flow.is_break() || self.quiet || self.core.store.db.is_waited_for() {
                break;
            }
        }
        tx.commit().await?;
        Ok((written, flow))
    }

    /// Counts what became of these rows.
    fn account(&mut self, rows: &[Parsed], work: RecordWork<'_, '_>) {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        self.report.records_created += count(work.new.len());
        self.report.records_updated += count(work.changed.len());
        self.report.records_unchanged += work.unchanged;
        self.report.addresses_created += count(work.addresses.len());
        self.report.suppressed += count(work.found.iter().filter(|(_, purposes)| !purposes.is_empty()).count());
        for (row, (verdict, why)) in rows.iter().zip(work.verdicts) {
            self.count(row, verdict, why.as_deref(), false);
        }
    }

    async fn save_records(&self, tx: &mut Tx, work: &mut RecordWork<'_, '_>) -> Result<(), ServiceError> {
        let now = self.core.now();
        let tenant = self.tenant.id;
        let whose = Whose { tenant: self.tenant, key: self.key, random: &*self.core.random, now };
        let before = tx.before(whose, Vec::new()).await?;
        let records: Vec<Keyed<'_>> = work.new.iter().chain(&work.changed).map(Keyed::of).collect();
        let changed: Vec<RecordId> = work.changed.iter().map(|record| record.id).collect();
        // Lines are sealed while the database works on what does not need them.
        let stored = async {
            tx.insert_mailboxes(tenant, &work.mailboxes).await?;
            tx.insert_addresses(tenant, &work.addresses, now).await?;
            tx.save_records(tenant, &records, &changed, now).await
        };
        let sealed = async {
            let lines = self.lines(work).await;
            before.seal(whose, &lines).await
        };
        let (stored, sealed) = tokio::join!(stored, sealed);
        let ((), ready) = (stored?, sealed?);
        tx.write(tenant, &ready).await?;
        let mailboxes = work.mailboxes.iter().map(|(mailbox, _)| *mailbox);
        tx.add_reach(tenant, mailboxes, &work.addresses, &records, &ready.kept).await?;
        // Nobody was ever asked at a new mailbox, so no plan needs to look at it.
        for (mailbox, _) in &work.mailboxes {
            work.touched.remove(mailbox);
        }
        let touched: Vec<MailboxId> = work.touched.iter().copied().collect();
        tx.mark_all_dirty(tenant, &touched, now).await?;
        tx.refresh_reach(tenant, &touched).await?;
        for (address, (_, purposes)) in work.addresses.iter().zip(&work.found) {
            if !purposes.is_empty() {
                self.withdraw(tx, address, purposes, &ready.kept).await?;
            }
        }
        Ok(())
    }

    /// The lines that new addresses begin their history with.
    async fn lines(&self, work: &RecordWork<'_, '_>) -> Vec<NewLine> {
        let mut lines = Vec::with_capacity(work.addresses.len());
        for (n, (Address { id, mailbox, email, .. }, (row, suppressed))) in
            work.addresses.iter().zip(&work.found).enumerate()
        {
            if n % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
            let evidence = row.contact.as_ref().map_or(Value::Null, |contact| self.evidence(row, contact));
            let payload: Map<String, Value> = [
                ("address".to_owned(), email.as_str().into()),
                ("evidence".to_owned(), evidence),
                ("act".to_owned(), Value::Null),
            ]
            .into_iter()
            .collect();
            let line = |purpose, kind, actor, payload| NewLine {
                address: *id,
                mailbox: *mailbox,
                purpose,
                kind,
                actor,
                detail: None,
                payload,
                new_address: true,
            };
            let payload = Value::Object(payload);
            let purposes: Vec<Option<PurposeId>> = if suppressed.contains(&EVERY_PURPOSE) {
                vec![None]
            } else {
                suppressed.iter().copied().map(Some).collect()
            };
            let matched = purposes.into_iter().map(|purpose| (purpose, payload.clone())).collect::<Vec<_>>();
            lines.push(line(None, Kind::Imported, Actor::Operator, payload));
            lines.extend(
                matched
                    .into_iter()
                    .map(|(purpose, payload)| line(purpose, Kind::SuppressionMatched, Actor::System, payload)),
            );
        }
        lines
    }

    /// Has providers told that a new address belongs to somebody who said no.
    async fn withdraw(
        &self,
        tx: &mut Tx,
        address: &Address,
        purposes: &[PurposeId],
        kept: &[Kept],
    ) -> Result<(), ServiceError> {
        let seq = kept.iter().filter(|kept| kept.address == address.id).map(|kept| kept.standing.seq).max();
        let mut everything = self.purposes.iter().map(|purpose| &purpose.id).chain([&EVERY_PURPOSE]);
        let scopes: Vec<(Option<PurposeId>, Scope)> = if everything.all(|purpose| purposes.contains(purpose)) {
            vec![(None, Scope::Everything)]
        } else {
            purposes.iter().map(|purpose| (Some(*purpose), Scope::Purpose)).collect()
        };
        for (purpose, scope) in scopes {
            let new = NewWithdrawal {
                mailbox: address.mailbox,
                address: address.id,
                purpose,
                scope,
                reason: Kind::SuppressionMatched.word(),
                seq: seq.unwrap_or(0),
            };
            tx.queue_withdrawal(self.tenant.id, &new, self.core.now()).await?;
        }
        Ok(())
    }
}
