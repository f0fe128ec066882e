//! A CRM's export: what its rows say of records and the addresses these hold.

use crate::domain::contact::RecordKind;
use crate::domain::ids::{AddressId, MailboxId, PurposeId, RecordId};
use crate::domain::triage::{Contact, Verdict, is_role, verdict_of};
use crate::service::import::known::Known;
use crate::service::import::read::Parsed;
use crate::service::import::{Import, short};
use crate::service::{Core, ServiceError};
use crate::store::{Address, Ask, Record, records_of_keys};
use consentd_provider::EmailAddress;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::vec::IntoIter;
use uuid::Uuid;

/// What a slice of records leads to.
pub(super) struct RecordWork<'c, 'r> {
    /// What became of each row.
    pub(super) verdicts: Vec<(Verdict, Option<String>)>,
    pub(super) new: Vec<Record>,
    pub(super) changed: Vec<Record>,
    pub(super) unchanged: u64,
    pub(super) mailboxes: Vec<(MailboxId, [u8; 32])>,
    /// New addresses with the row each was found in, and for what it is on the suppression list.
    pub(super) addresses: Vec<Address>,
    pub(super) found: Vec<(&'r Parsed, Vec<PurposeId>)>,
    /// Mailboxes whose records changed.
    pub(super) touched: BTreeSet<MailboxId>,
    fresh: Fresh,
    ids: Ids<'c>,
}

/// The addresses that a slice makes known, beside those the database knows.
#[derive(Default)]
struct Fresh {
    mailboxes: HashMap<[u8; 32], MailboxId>,
    addresses: HashMap<EmailAddress, AddressId>,
}

/// New ids of each kind. Those of one kind ascend, so that rows that are written one after another are neighbours.
struct Ids<'a> {
    core: &'a Core,
    count: usize,
    mailboxes: IntoIter<Uuid>,
    addresses: IntoIter<Uuid>,
    records: IntoIter<Uuid>,
}

impl<'a> Ids<'a> {
    fn new(core: &'a Core, count: usize) -> Self {
        let none = || Vec::new().into_iter();
        Self { core, count, mailboxes: none(), addresses: none(), records: none() }
    }

    fn next(&mut self, of: fn(&mut Self) -> &mut IntoIter<Uuid>) -> Uuid {
        if let Some(id) = of(self).next() {
            return id;
        }
        *of(self) = self.core.ids(self.count).into_iter();
        of(self).next().unwrap_or_else(|| self.core.id())
    }
}

impl RecordWork<'_, '_> {
    pub(super) fn is_nothing(&self) -> bool {
        self.new.is_empty() && self.changed.is_empty() && self.mailboxes.is_empty() && self.addresses.is_empty()
    }
}

impl<'c> Import<'c> {
    /// Notes which rows say again what earlier rows of the file said, in the order of the file.
    pub(super) fn note_repeats(&mut self, rows: &mut [Parsed]) {
        for row in rows {
            if !row.contact.as_ref().is_ok_and(|contact| !contact.crm_id.is_empty()) {
                continue;
            }
            row.record_again = !self.seen_records.insert(row.record);
            if row.record_again {
                continue;
            }
            for (n, (_, mac)) in row.people.iter().enumerate() {
                let again = !self.seen.insert(short(mac));
                row.mailbox_again |= again && n == 0;
            }
        }
    }

    /// Judges the rows of a slice and prepares what is to be written.
    pub(super) async fn weigh_records<'r, A: Ask>(
        &self,
        ask: &mut A,
        rows: &'r [Parsed],
    ) -> Result<RecordWork<'c, 'r>, ServiceError> {
        let known = self.known(ask, rows).await?;
        let mut records = self.records_of(ask, rows).await?;
        let mut work = RecordWork {
            verdicts: Vec::with_capacity(rows.len()),
            new: Vec::new(),
            changed: Vec::new(),
            unchanged: 0,
            mailboxes: Vec::new(),
            addresses: Vec::new(),
            found: Vec::new(),
            touched: BTreeSet::new(),
            fresh: Fresh::default(),
            ids: Ids::new(self.core, rows.len()),
        };
        for row in rows {
            let kept = match &row.contact {
                Ok(contact) if !row.record_again => records.remove(&key(contact)),
                _ => None,
            };
            let (verdict, why) = self.judge_record(row, &known, kept.as_ref());
            if let (Ok(contact), true) = (&row.contact, is_stored(row, verdict)) {
                self.add_record(&mut work, row, contact, kept, &known);
            }
            work.verdicts.push((verdict, why));
        }
        Ok(work)
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

    fn judge_record(&self, row: &Parsed, known: &Known, kept: Option<&Record>) -> (Verdict, Option<String>) {
        let contact = match &row.contact {
            Ok(contact) if contact.crm_id.is_empty() => {
                return (Verdict::Invalid, Some("the row lacks the CRM's id".into()));
            }
            Ok(contact) => contact,
            Err(why) => return (Verdict::Invalid, Some(why.clone())),
        };
        if row.record_again {
            return (Verdict::Duplicate, None);
        }
        let bin = contact.bin.or(kept.map(|record| record.bin)).unwrap_or(false);
        let Some((address, mac)) = row.people.first() else {
            let form = Self::judge_form(row).unwrap_or((Verdict::NoAddress, None));
            return if bin && form.0 == Verdict::NoAddress { (Verdict::InBin, None) } else { form };
        };
        let verdict = match known.mailbox(mac) {
            _ if bin => Verdict::InBin,
            Some(mailbox) => verdict_of(&known.standing(mailbox, self.purpose), true),
            None if self.is_suppressed(known, mac) => Verdict::Refused,
            None if row.mailbox_again => Verdict::NotAsked,
            None if is_role(address) => Verdict::Role,
            None => Verdict::New,
        };
        (verdict, None)
    }

    /// Compares a row with the kept record and notes what has to be written.
    fn add_record<'r>(
        &self,
        work: &mut RecordWork<'_, 'r>,
        row: &'r Parsed,
        contact: &Contact,
        kept: Option<Record>,
        known: &Known,
    ) {
        let addresses = row.people.iter().map(|(email, mac)| address(work, (email, mac), row, known)).collect();
        let id = || RecordId(work.ids.next(|ids| &mut ids.records));
        let record = merged(kept.as_ref(), contact, self.options.kind, addresses, id);
        match kept {
            Some(kept) if kept == record => work.unchanged += 1,
            Some(kept) => {
                work.touched.extend(kept.addresses.iter().chain(&record.addresses).map(|(_, mailbox)| *mailbox));
                work.changed.push(record);
            }
            None => {
                work.touched.extend(record.addresses.iter().map(|(_, mailbox)| *mailbox));
                work.new.push(record);
            }
        }
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
}

/// The subject of an address: the known one, or a new one that nobody ever asked.
fn address<'r>(
    work: &mut RecordWork<'_, 'r>,
    (email, mac): (&EmailAddress, &[u8; 32]),
    row: &'r Parsed,
    known: &Known,
) -> (AddressId, MailboxId) {
    let mailbox = known.mailbox(mac).unwrap_or_else(|| {
        *work.fresh.mailboxes.entry(*mac).or_insert_with(|| {
            let mailbox = MailboxId(work.ids.next(|ids| &mut ids.mailboxes));
            work.mailboxes.push((mailbox, *mac));
            mailbox
        })
    });
    if let Some(kept) = known.spellings(mailbox).iter().find(|spelling| spelling.email == *email) {
        return (kept.id, mailbox);
    }
    if let Some(id) = work.fresh.addresses.get(email) {
        return (*id, mailbox);
    }
    let id = AddressId(work.ids.next(|ids| &mut ids.addresses));
    let address = Address { id, mailbox, email: email.clone(), role: is_role(email) };
    work.fresh.addresses.insert(email.clone(), address.id);
    work.found.push((row, known.suppressed(mac).to_vec()));
    work.addresses.push(address);
    (id, mailbox)
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
