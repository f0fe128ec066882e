//! Who would be reached, and why everybody else would not.

use crate::clock::Timestamp;
use crate::domain::audience::{Behind, Filter, Member, MemberPage, RecordRef, Summary};
use crate::domain::fold::Standing;
use crate::domain::ids::{AddressId, MailboxId};
use crate::domain::mailbox::best;
use crate::domain::plan::{Reason, eligibility};
use crate::service::{Core, ServiceError};
use crate::source::csv::defused;
use crate::store::{PersonRow, Purpose, Tenant, people};
use std::io::Write;

/// How a list of members is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberFormat {
    /// With `;` and a heading line, safe to open in a spreadsheet.
    Csv,
    /// One JSON document a line.
    Ndjson,
}

/// Members looked at in one go while writing.
const PAGE: usize = 1_000;

impl Core {
    /// Counts the people that a filter finds, each under exactly one reason to be in or out. The numbers are those a
    /// plan would come to, since both ask [`eligibility`].
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn audience_summary(
        &self,
        tenant: &Tenant,
        purpose: &Purpose,
        filter: &Filter,
    ) -> Result<Summary, ServiceError> {
        let now = self.now();
        let mut summary = Summary::default();
        for group in self.store.audience_groups(tenant.id, purpose.id, filter, now).await? {
            summary.add(filter, &group.standing, group.in_crm, group.people, now);
        }
        for (standings, in_crm) in self.store.audience_spelled(tenant.id, purpose.id, filter).await? {
            let (_, standing) = best(&standings, now);
            summary.add(filter, &standing, in_crm, 1, now);
        }
        Ok(summary)
    }

    /// The people that a filter finds, in the order of their mailboxes, at most `limit` of those after `after`. Adding up
    /// all pages gives the numbers of [`Core::audience_summary`].
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn audience_page(
        &self,
        tenant: &Tenant,
        purpose: &Purpose,
        filter: &Filter,
        after: Option<MailboxId>,
        limit: usize,
    ) -> Result<MemberPage, ServiceError> {
        let now = self.now();
        let limit = limit.clamp(1, PAGE);
        let found = self.store.audience_mailboxes(tenant.id, purpose.id, filter, after, limit, now).await?;
        let next = if found.len() == limit { found.last().copied() } else { None };
        let mut db = self.store.db.clone();
        let mut members = Vec::with_capacity(found.len());
        let mut subjects = Vec::with_capacity(found.len());
        for person in people(&mut db, tenant.id, purpose.id, &found).await? {
            let standings: Vec<Standing> = person.variants.iter().map(|(_, standing)| *standing).collect();
            let (index, standing) = best(&standings, now);
            let reason = eligibility(&standing, person.in_crm, now);
            if !filter.fits(&standing, reason) {
                continue;
            }
            let spellings: Vec<AddressId> = person.variants.iter().map(|(address, _)| address.id).collect();
            if let Some(member) = member(person, index, &standing, reason) {
                members.push(member);
                subjects.push(spellings);
            }
        }
        let all: Vec<AddressId> = subjects.iter().flatten().copied().collect();
        let lines = self.store.lines_behind(tenant.id, purpose.id, &all).await?;
        for (member, subjects) in members.iter_mut().zip(subjects) {
            member.event = subjects
                .iter()
                .flat_map(|address| lines.get(address).into_iter().flatten())
                .filter(|line| Behind::explains(line.kind, member.reason))
                .max_by_key(|line| line.seq)
                .copied();
        }
        Ok(MemberPage { members, next })
    }

    /// Writes all people that a filter finds, page by page. Returns how many.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when the target cannot be written; [`ServiceError::Store`].
    pub async fn write_audience(
        &self,
        tenant: &Tenant,
        purpose: &Purpose,
        filter: &Filter,
        format: MemberFormat,
        target: &mut (dyn Write + Send),
    ) -> Result<u64, ServiceError> {
        let unwritable = |_| ServiceError::Invalid("the list cannot be written".into());
        let mut written = 0;
        let mut after = None;
        if format == MemberFormat::Csv {
            target.write_all(&csv_line(&HEADINGS)).map_err(unwritable)?;
        }
        loop {
            let page = self.audience_page(tenant, purpose, filter, after, PAGE).await?;
            for member in &page.members {
                let line = match format {
                    MemberFormat::Csv => csv_line(&cells(member).each_ref().map(String::as_str)),
                    MemberFormat::Ndjson => {
                        let mut line = serde_json::to_vec(member).unwrap_or_default();
                        line.push(b'\n');
                        line
                    }
                };
                target.write_all(&line).map_err(unwritable)?;
                written += 1;
            }
            after = page.next;
            if after.is_none() {
                return Ok(written);
            }
        }
    }
}

fn member(person: PersonRow, index: usize, standing: &Standing, reason: Reason) -> Option<Member> {
    let (address, _) = person.variants.into_iter().nth(index)?;
    let fields = person.person;
    let record = person.record.map(|record| RecordRef {
        id: record.id,
        kind: record.kind,
        crm_id: record.crm_id,
        last_name: fields.last_name,
        first_name: fields.first_name,
        company: fields.company,
        language: fields.language,
        postcode: fields.postcode,
        town: fields.town,
        country: fields.country,
        bin: record.bin,
    });
    Some(Member {
        mailbox: person.mailbox,
        address: address.email.as_str().to_owned(),
        role: address.role,
        record,
        status: standing.state.status(),
        reason,
        since: standing.since,
        event: None,
    })
}

const HEADINGS: [&str; 14] = [
    "address",
    "status",
    "reason",
    "since",
    "event",
    "actor",
    "kind",
    "crm_id",
    "last_name",
    "first_name",
    "company",
    "postcode",
    "town",
    "country",
];

fn cells(member: &Member) -> [String; 14] {
    let record = member.record.as_ref();
    let text = |field: fn(&RecordRef) -> &String| record.map(|record| field(record).clone()).unwrap_or_default();
    [
        member.address.clone(),
        member.status.word().to_owned(),
        member.reason.word().to_owned(),
        instant(member.since),
        member.event.map(|event| event.kind.word().to_owned()).unwrap_or_default(),
        member.event.map(|event| event.actor.as_word().to_owned()).unwrap_or_default(),
        record.map(|record| record.kind.word().to_owned()).unwrap_or_default(),
        text(|record| &record.crm_id),
        text(|record| &record.last_name),
        text(|record| &record.first_name),
        text(|record| &record.company),
        text(|record| &record.postcode),
        text(|record| &record.town),
        text(|record| &record.country),
    ]
}

/// RFC 3339 in UTC; empty for never.
fn instant(at: Timestamp) -> String {
    let time = if at == 0 { None } else { chrono::DateTime::from_timestamp_micros(at) };
    time.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)).unwrap_or_default()
}

fn csv_line(cells: &[&str]) -> Vec<u8> {
    let mut line = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            line.push(b';');
        }
        let cell = defused(cell);
        if cell.contains([';', '"', '\n', '\r']) {
            line.extend_from_slice(format!("\"{}\"", cell.replace('"', "\"\"")).as_bytes());
        } else {
            line.extend_from_slice(cell.as_bytes());
        }
    }
    line.extend_from_slice(b"\r\n");
    line
}
