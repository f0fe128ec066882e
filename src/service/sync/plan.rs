//! Making a run's plan, a page of people at a time, each page durable before the next.

use crate::clock::Timestamp;
use crate::domain::contact::{digest, mapping_digest};
use crate::domain::fold::Standing;
use crate::domain::ids::MailboxId;
use crate::domain::mailbox::best;
use crate::domain::plan::{self, Held, Reason, Situation, Wish};
use crate::service::ServiceError;
use crate::service::sync::Session;
use crate::store::{Address, Holding, NewItem, PersonRow, Run, Tx};
use consentd_provider::Fields;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// People planned in one transaction.
pub(super) const PAGE: i64 = 2_000;
/// Mailboxes that a full comparison goes through in one transaction; most of them are only counted.
const STRETCH: i64 = 8_000;
/// People looked at one by one with one set of questions.
const CHUNK: usize = 2_000;

/// One person in front of one provider, as a transaction saw them.
pub(super) struct Candidate {
    pub(super) mailbox: MailboxId,
    pub(super) address: Address,
    pub(super) standing: Standing,
    pub(super) fields: Fields,
    /// [`Person::digest`](crate::domain::contact::Person::digest) of what the fields are made of.
    pub(super) person: [u8; 16],
    pub(super) holding: Holding,
    pub(super) wish: Wish,
}

impl Candidate {
    /// When we took the mailbox off ourselves, if the provider was not seen to mail it since.
    pub(super) fn taken_off_at(&self) -> Option<Timestamp> {
        self.holding.is_taken_off_by_us().then_some(self.holding.taken_off_at)
    }

    /// Whether subscribing this person lifts an unsubscription, which providers only let us do one by one.
    pub(super) fn restores(&self) -> bool {
        plan::lift(&self.standing, self.taken_off_at(), self.holding.seen_mailable_at).is_some()
    }
}

impl Session<'_> {
    /// Plans the next page. True while there is more.
    // race model: `Action::Plan` in tests/it/race/steps.rs
    pub(super) async fn plan_page(&self, run: &mut Run) -> Result<bool, ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let mut skips: BTreeMap<&'static str, i64> = BTreeMap::new();
        let mut tx = self.begin().await?;
        let page = if run.is_delta() {
            let dirty = tx.dirty(tenant, connection, PAGE).await?;
            if dirty.is_empty() {
                return Ok(false);
            }
            // Forgotten before it is read: a consent that comes in between waits for this row, and leaves a new one.
            tx.clear_dirty(tenant, connection, &dirty).await?;
            dirty
        } else {
            let after = run.cursor.unwrap_or(MailboxId(Uuid::nil()));
            if after.0.is_max() {
                return Ok(false);
            }
            let until = tx.bound(tenant, after, STRETCH).await?;
            run.cursor = Some(until);
            tx.clear_dirty_range(tenant, connection, (after, until)).await?;
            let now = self.now();
            let mapping = mapping_digest(&self.connection.mapping);
            let census = tx.census(&self.connection, (after, until), mapping, now).await?;
            *skips.entry(Reason::UpToDate.word()).or_default() += census.current;
            for (standing, in_crm, people) in census.quiet {
                *skips.entry(plan::eligibility(&standing, in_crm, now).word()).or_default() += people;
            }
            census.weigh
        };
        let mut n = tx.last_item(tenant, run.id).await?;
        for mailboxes in page.chunks(CHUNK) {
            let people = tx.people(tenant, self.connection.purpose, mailboxes).await?;
            let candidates = self.weigh_people(&mut tx, people).await?;
            let mut items = Vec::with_capacity(candidates.len());
            for candidate in &candidates {
                let (action, reason) = match candidate.wish {
                    Wish::Add | Wish::Update if candidate.restores() => ("restore", "consented"),
                    Wish::Add => ("add", "consented"),
                    Wish::Update => ("update", "consented"),
                    Wish::Withdraw(reason) => ("withdraw", reason.word()),
                    Wish::Leave => ("leave", "not_in_crm"),
                    Wish::Skip(reason) => {
                        *skips.entry(reason.word()).or_default() += 1;
                        continue;
                    }
                };
                n += 1;
                items.push(NewItem { n, mailbox: candidate.mailbox, address: candidate.address.id, action, reason });
            }
            tx.insert_items(tenant, run.id, &items).await?;
        }
        for (reason, people) in skips.into_iter().filter(|(_, people)| *people > 0) {
            tx.count_skips(tenant, run.id, reason, people).await?;
        }
        tx.save_run(run).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Decides about people as this transaction sees them.
    pub(super) async fn weigh_people(
        &self,
        tx: &mut Tx,
        people: Vec<PersonRow>,
    ) -> Result<Vec<Candidate>, ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let mailboxes: Vec<MailboxId> = people.iter().map(|person| person.mailbox).collect();
        let mut holdings = tx.holdings(tenant, connection, &mailboxes).await?;
        let withdrawing = tx.withdrawing(tenant, connection, &mailboxes).await?;
        let now = self.now();
        Ok(people
            .into_iter()
            .filter_map(|person| self.weigh_person(person, &mut holdings, &withdrawing, now))
            .collect())
    }

    fn weigh_person(
        &self,
        person: PersonRow,
        holdings: &mut HashMap<MailboxId, Holding>,
        withdrawing: &HashSet<MailboxId>,
        now: Timestamp,
    ) -> Option<Candidate> {
        let (mut addresses, standings): (Vec<Address>, Vec<Standing>) = person.variants.into_iter().unzip();
        if addresses.is_empty() {
            return None;
        }
        let (index, standing) = best(&standings, now);
        let address = addresses.swap_remove(index);
        let fields = person.person.mapped(&self.connection.mapping);
        let holding = holdings.remove(&person.mailbox).unwrap_or(Holding::never(person.mailbox, address.id));
        let situation = Situation {
            standing: &standing,
            in_crm: person.in_crm,
            held: holding.held,
            pushed: (holding.held != Held::Never).then_some((holding.basis_seq, holding.digest)),
            digest: digest(&fields),
            withdrawing: withdrawing.contains(&person.mailbox),
            unsettled_until: holding.unsettled_until,
        };
        let wish = plan::decide(&situation, now);
        let digest = person.person.digest();
        Some(Candidate { mailbox: person.mailbox, address, standing, fields, person: digest, holding, wish })
    }
}
