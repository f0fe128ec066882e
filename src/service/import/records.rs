//! A CRM's export: records and the addresses they hold.

use crate::domain::consent::{Actor, Kind};
use crate::domain::contact::RecordKind;
use crate::domain::ids::{AddressId, MailboxId, PurposeId, RecordId};
use crate::domain::triage::{Contact, Verdict, is_role, verdict_of};
use crate::service::ServiceError;
use crate::service::import::known::Known;
use crate::service::import::read::Parsed;
use crate::service::import::{Import, Work, short};
use crate::store::{Address, Ask, EVERY_PURPOSE, NewLine, NewWithdrawal, Record, Tx, records_of_keys};
use consentd_provider::{EmailAddress, Scope};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};

/// What a batch of records leads to.
#[derive(Default)]
pub(super) struct RecordWork {
    new: Vec<Record>,
    changed: Vec<Record>,
    mailboxes: Vec<(MailboxId, [u8; 32])>,
    addresses: Vec<Address>,
    lines: Vec<NewLine>,
    /// New addresses on the suppression list: for what.
    suppressed: Vec<(Address, Vec<PurposeId>)>,
    /// Mailboxes whose records changed.
    touched: BTreeSet<MailboxId>,
}

/// The addresses that a batch makes known, beside those the database knows.
#[derive(Default)]
struct Fresh {
    mailboxes: HashMap<[u8; 32], MailboxId>,
    addresses: HashMap<EmailAddress, AddressId>,
}

impl Import<'_> {
    pub(super) async fn weigh_records<A: Ask>(
        &mut self,
        ask: &mut A,
        rows: &[Parsed],
        known: &Known,
    ) -> Result<Work, ServiceError> {
        let mut records = self.records_of(ask, rows).await?;
        let mut work = RecordWork::default();
        let mut fresh = Fresh::default();
        for row in rows {
            let kept = row.contact.as_ref().ok().and_then(|contact| records.remove(&key(contact)));
            let (verdict, why) = self.judge_record(row, known, kept.as_ref());
            if let (Ok(contact), true) = (&row.contact, is_stored(row, verdict)) {
                self.add_record(&mut work, &mut fresh, row, contact, kept, known);
            }
            self.count(row, verdict, why.as_deref(), false)?;
        }
        Ok(Work::Records(Box::new(work)))
    }

    async fn records_of<A: Ask>(
        &self,
        ask: &mut A,
        rows: &[Parsed],
    ) -> Result<HashMap<(RecordKind, String), Record>, ServiceError> {
        let mut wanted: HashMap<RecordKind, Vec<&str>> = HashMap::new();
        for contact in rows.iter().filter_map(|row| row.contact.as_ref().ok()) {
            wanted.entry(contact.kind.unwrap_or(self.options.kind)).or_default().push(&contact.crm_id);
        }
        let mut records = HashMap::new();
        for (kind, mut crm_ids) in wanted {
            crm_ids.sort_unstable();
            let found = records_of_keys(ask, self.tenant.id, kind, &crm_ids).await?;
            records.extend(found.into_iter().map(|(crm_id, record)| ((kind, crm_id), record)));
        }
        Ok(records)
    }

    fn judge_record(&mut self, row: &Parsed, known: &Known, kept: Option<&Record>) -> (Verdict, Option<String>) {
        let contact = match &row.contact {
            Ok(contact) if contact.crm_id.is_empty() => {
                return (Verdict::Invalid, Some("the row lacks the CRM's id".into()));
            }
            Ok(contact) => contact,
            Err(why) => return (Verdict::Invalid, Some(why.clone())),
        };
        if !self.seen_records.insert(row.record) {
            return (Verdict::Duplicate, None);
        }
        let mut first = None;
        for (address, mac) in &row.people {
            let new = self.seen.insert(short(mac));
            first.get_or_insert((address, mac, new));
        }
        let bin = contact.bin.or(kept.map(|record| record.bin)).unwrap_or(false);
        let Some((address, mac, new)) = first else {
            let form = Self::judge_form(row).unwrap_or((Verdict::NoAddress, None));
            return if bin && form.0 == Verdict::NoAddress { (Verdict::InBin, None) } else { form };
        };
        let verdict = match known.mailbox(mac) {
            _ if bin => Verdict::InBin,
            Some(mailbox) => verdict_of(&known.standing(mailbox, self.purpose), true),
            None if self.is_suppressed(known, mac) => Verdict::Refused,
            None if !new => Verdict::NotAsked,
            None if is_role(address) => Verdict::Role,
            None => Verdict::New,
        };
        (verdict, None)
    }

    /// Compares a row with the kept record and notes what has to be written.
    fn add_record(
        &mut self,
        work: &mut RecordWork,
        fresh: &mut Fresh,
        row: &Parsed,
        contact: &Contact,
        kept: Option<Record>,
        known: &Known,
    ) {
        let addresses = row
            .people
            .iter()
            .map(|(email, mac)| self.address(work, fresh, (email, mac), row, contact, known))
            .collect();
        let record = merged(kept.as_ref(), contact, self.options.kind, addresses, || RecordId(self.core.id()));
        match kept {
            Some(kept) if kept == record => self.report.records_unchanged += 1,
            Some(kept) => {
                self.report.records_updated += 1;
                work.touched.extend(kept.addresses.iter().chain(&record.addresses).map(|(_, mailbox)| *mailbox));
                work.changed.push(record);
            }
            None => {
                self.report.records_created += 1;
                work.touched.extend(record.addresses.iter().map(|(_, mailbox)| *mailbox));
                work.new.push(record);
            }
        }
    }

    /// The subject of an address: the known one, or a new one that nobody ever asked.
    fn address(
        &mut self,
        work: &mut RecordWork,
        fresh: &mut Fresh,
        (email, mac): (&EmailAddress, &[u8; 32]),
        row: &Parsed,
        contact: &Contact,
        known: &Known,
    ) -> (AddressId, MailboxId) {
        let mailbox = known.mailbox(mac).unwrap_or_else(|| {
            *fresh.mailboxes.entry(*mac).or_insert_with(|| {
                let mailbox = MailboxId(self.core.id());
                work.mailboxes.push((mailbox, *mac));
                mailbox
            })
        });
        if let Some(kept) = known.spellings(mailbox).iter().find(|spelling| spelling.email == *email) {
            return (kept.id, mailbox);
        }
        if let Some(id) = fresh.addresses.get(email) {
            return (*id, mailbox);
        }
        let address = Address { id: AddressId(self.core.id()), mailbox, email: email.clone(), role: is_role(email) };
        fresh.addresses.insert(email.clone(), address.id);
        self.report.addresses_created += 1;
        let evidence = self.evidence(row, contact);
        let line = |purpose, kind, actor| NewLine {
            address: address.id,
            mailbox,
            purpose,
            kind,
            actor,
            detail: None,
            payload: json!({ "address": email.as_str(), "evidence": evidence, "act": Value::Null }),
            new_address: true,
        };
        work.lines.push(line(None, Kind::Imported, Actor::Operator));
        let suppressed = known.suppressed(mac);
        if !suppressed.is_empty() {
            self.report.suppressed += 1;
            let purposes: Vec<Option<PurposeId>> = if suppressed.contains(&EVERY_PURPOSE) {
                vec![None]
            } else {
                suppressed.iter().copied().map(Some).collect()
            };
            work.lines
                .extend(purposes.into_iter().map(|purpose| line(purpose, Kind::SuppressionMatched, Actor::System)));
            work.suppressed.push((address.clone(), suppressed.to_vec()));
        }
        let id = address.id;
        work.addresses.push(address);
        (id, mailbox)
    }

    pub(super) fn evidence(&self, row: &Parsed, contact: &Contact) -> Value {
        let mut evidence = json!({ "file": self.options.file, "line": row.line, "operator": self.options.who });
        if let (Some(map), false) = (evidence.as_object_mut(), contact.crm_id.is_empty()) {
            map.insert("record".into(), json!({ "kind": contact.kind, "crm_id": contact.crm_id }));
        }
        if let (Some(map), false) = (evidence.as_object_mut(), contact.evidence.is_empty()) {
            map.insert("shown_by".into(), contact.evidence.clone().into());
        }
        evidence
    }

    pub(super) async fn save_records(&self, tx: &mut Tx, mut work: RecordWork) -> Result<(), ServiceError> {
        let now = self.core.now();
        let tenant = self.tenant.id;
        // Neighbours in an index are written together.
        work.mailboxes.sort_unstable_by_key(|(_, mac)| *mac);
        work.addresses.sort_unstable_by(|a, b| a.email.cmp(&b.email));
        tx.insert_mailboxes(tenant, &work.mailboxes).await?;
        tx.insert_addresses(tenant, &work.addresses, now).await?;
        tx.save_records(tenant, &work.new, &work.changed, now).await?;
        let kept = tx.append(self.tenant, self.key, &work.lines, now, &*self.core.random).await?;
        // Nobody was ever asked at a new mailbox, so no plan needs to look at it.
        for (mailbox, _) in &work.mailboxes {
            work.touched.remove(mailbox);
        }
        let dirty: Vec<MailboxId> = work.touched.iter().copied().collect();
        tx.mark_all_dirty(tenant, &dirty, now).await?;
        for line in &work.lines {
            work.touched.remove(&line.mailbox);
        }
        let stale: Vec<MailboxId> = work.touched.into_iter().collect();
        tx.refresh_reach(tenant, &stale).await?;
        for (address, purposes) in work.suppressed {
            let seq = kept.iter().filter(|kept| kept.address == address.id).map(|kept| kept.standing.seq).max();
            let everything = self.purposes.iter().map(|purpose| &purpose.id).chain([&EVERY_PURPOSE]);
            let everything = everything.into_iter().all(|purpose| purposes.contains(purpose));
            let scopes: Vec<(Option<PurposeId>, Scope)> = if everything {
                vec![(None, Scope::Everything)]
            } else {
                purposes.into_iter().map(|purpose| (Some(purpose), Scope::Purpose)).collect()
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
                tx.queue_withdrawal(tenant, &new, now).await?;
            }
        }
        Ok(())
    }
}

/// A row whose addresses are all unreadable still is a record: it must not keep an address that the CRM no longer has.
fn is_stored(row: &Parsed, verdict: Verdict) -> bool {
    let named = row.contact.as_ref().is_ok_and(|contact| !contact.crm_id.is_empty());
    named && verdict != Verdict::Duplicate
}

fn key(contact: &Contact) -> (RecordKind, String) {
    (contact.kind.unwrap_or(RecordKind::Customer), contact.crm_id.clone())
}

/// The record as the row leaves it. What the file has no column for stays as it was.
fn merged(
    kept: Option<&Record>,
    contact: &Contact,
    kind: RecordKind,
    addresses: Vec<(AddressId, MailboxId)>,
    id: impl FnOnce() -> RecordId,
) -> Record {
    let mut record = kept.cloned().unwrap_or_else(|| Record {
        id: id(),
        kind: contact.kind.unwrap_or(kind),
        crm_id: contact.crm_id.clone(),
        person: crate::domain::contact::Person::default(),
        bin: false,
        tags: Vec::new(),
        addresses: Vec::new(),
    });
    record.addresses = addresses;
    let texts = [
        (&mut record.person.last_name, &contact.last_name),
        (&mut record.person.first_name, &contact.first_name),
        (&mut record.person.company, &contact.company),
        (&mut record.person.language, &contact.language),
        (&mut record.person.postcode, &contact.postcode),
        (&mut record.person.town, &contact.town),
        (&mut record.person.country, &contact.country),
    ];
    for (field, said) in texts {
        if let Some(said) = said {
            field.clone_from(said);
        }
    }
    let flags = [
        (&mut record.person.prospect, contact.prospect),
        (&mut record.person.professional, contact.professional),
        (&mut record.bin, contact.bin),
    ];
    for (flag, said) in flags {
        *flag = said.unwrap_or(*flag);
    }
    if let Some(tags) = &contact.tags {
        record.tags.clone_from(tags);
    }
    record
}
