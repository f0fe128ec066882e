//! Taking in files: a CRM's export, a mailing list, refusals and acceptances from before.
//!
//! [`Core::check_import`] stores nothing and tells what [`Core::run_import`] would do; both judge rows by the same code.
//! A run writes 1,000 rows at a time and ends its transaction after these if somebody waits, so that deliveries and
//! withdrawals get their turn. It may be repeated: what is there already is left alone.

mod known;
mod legacy;
mod read;
mod records;
mod rejects;
mod report;
mod seen;
mod write;

pub use report::{FoundColumn, ImportMode, ImportOptions, ImportReport};

use crate::domain::consent::LegacyProof;
use crate::domain::ids::PurposeId;
use crate::domain::triage::{Field, Verdict, verdict_of};
use crate::service::{Core, ServiceError};
use crate::store::{Ask, EVERY_PURPOSE, Purpose, Tenant, TenantKey};
use known::Known;
use read::{Parsed, Understanding};
use rejects::Rejects;
use report::empty_report;
use seen::Seen;
use std::io::{Read, Write};
use std::ops::ControlFlow;

/// Rows that are judged and written together. Whoever waits for the database gets it after these.
const SLICE: usize = 1_000;

/// Slices that share a transaction while nobody waits.
const SLICES: usize = 4;

/// Slices that are looked up side by side where nothing is written.
const SLICES_AHEAD: usize = 2;

/// Rows of an export that are held and sorted by mailbox before they are written, so that a slice touches one part of an
/// index and not all of it. More would write less and hold more.
const WINDOW: usize = 8 * SLICE;

/// Called after every batch with what was done so far; says whether to go on.
pub type Progress<'a> = dyn Fn(&ImportReport) -> ControlFlow<()> + Send + Sync + 'a;

impl Core {
    /// Reads a file and tells what an import would do. Stores nothing.
    ///
    /// `rejects` gets every rejected line with its reason, as CSV.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when the file or its headings cannot be used at all, or the options do not fit;
    /// [`ServiceError::Store`].
    pub async fn check_import(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        file: Box<dyn Read + Send>,
        rejects: Option<&mut (dyn Write + Send)>,
        options: &ImportOptions,
        progress: &Progress<'_>,
    ) -> Result<ImportReport, ServiceError> {
        self.take_in(tenant, key, file, rejects, options, progress, true).await
    }

    /// Imports a file. A repetition changes nothing.
    ///
    /// # Errors
    /// As [`Core::check_import`]. What earlier batches stored stays.
    pub async fn run_import(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        file: Box<dyn Read + Send>,
        rejects: Option<&mut (dyn Write + Send)>,
        options: &ImportOptions,
        progress: &Progress<'_>,
    ) -> Result<ImportReport, ServiceError> {
        self.take_in(tenant, key, file, rejects, options, progress, false).await
    }

    #[expect(clippy::too_many_arguments, reason = "the two public forms differ in the last one only")]
    async fn take_in(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        file: Box<dyn Read + Send>,
        rejects: Option<&mut (dyn Write + Send)>,
        options: &ImportOptions,
        progress: &Progress<'_>,
        dry: bool,
    ) -> Result<ImportReport, ServiceError> {
        if !dry && self.store.reserve.is_spent() {
            return Err(ServiceError::Conflict(
                "the disk is full; free space and wait a moment, then import again".into(),
            ));
        }
        if options.mode == ImportMode::Proofs {
            let [first, second] = &options.approvers;
            LegacyProof::check(tenant.legacy_proof, "-", "-", "-", [first, second])
                .map_err(|error| ServiceError::Invalid(error.to_string()))?;
        }
        let purposes = self.store.purposes(tenant.id).await?;
        let purpose = match options.purpose {
            Some(id) => purposes.iter().find(|purpose| purpose.id == id),
            None => purposes.iter().find(|purpose| purpose.is_default),
        };
        let purpose = purpose.ok_or(ServiceError::NotFound("such purpose"))?.id;
        let needed: &[Field] = match options.mode {
            ImportMode::Records => &[Field::Email, Field::CrmId],
            ImportMode::List | ImportMode::OptOuts => &[Field::Email],
            ImportMode::Proofs => &[Field::Email, Field::AcceptedAt, Field::TextShown, Field::Evidence],
        };
        let understanding = Understanding {
            key: self.store.key_of(tenant)?,
            kind: options.kind,
            repeat: rejects.is_some(),
            batch: match options.mode {
                ImportMode::Records if dry => SLICES_AHEAD * SLICE,
                ImportMode::Records => WINDOW,
                _ => SLICE,
            },
        };
        let mut reading = read::start(file, &options.mapping, needed, understanding).await?;
        let mut import = Import {
            core: self,
            tenant,
            key,
            options,
            purpose,
            purposes,
            seen: Seen::default(),
            seen_records: Seen::default(),
            report: empty_report(options.mode, dry, &reading.columns, &reading.headings, reading.delimiter),
            rejects: Rejects::start(rejects, &reading.headings, reading.delimiter)?,
            quiet: false,
        };
        while let Some(batch) = reading.batches.recv().await {
            match batch {
                Ok(batch) => {
                    import.report.bytes = batch.bytes;
                    import.report.encoding = batch.encoding;
                    if import.batch(batch.rows, progress).await?.is_break() {
                        import.report.stopped = Some("stopped on request".into());
                        break;
                    }
                }
                Err(fault) => {
                    import.report.stopped = Some(fault.to_string());
                    break;
                }
            }
        }
        import.rejects.end()?;
        Ok(import.report)
    }
}

/// A file being taken in.
struct Import<'a> {
    core: &'a Core,
    tenant: &'a Tenant,
    key: &'a TenantKey,
    options: &'a ImportOptions,
    /// The purpose that statuses are about.
    purpose: PurposeId,
    purposes: Vec<Purpose>,
    /// The beginnings of the keyed digests of the mailboxes that earlier rows named.
    seen: Seen,
    /// The same of the records.
    seen_records: Seen,
    report: ImportReport,
    rejects: Rejects<'a>,
    /// The last rows changed nothing, so that it pays to look before taking the writer.
    quiet: bool,
}

impl Import<'_> {
    /// Works on the rows that were read together; says whether to go on.
    async fn batch(&mut self, mut rows: Vec<Parsed>, progress: &Progress<'_>) -> Result<ControlFlow<()>, ServiceError> {
        match (self.options.mode, self.report.dry) {
            (ImportMode::Records, dry) => {
                self.note_repeats(&mut rows);
                if !dry {
                    let flow = self.write_records(rows, progress).await;
                    self.rejects.settle()?;
                    return flow;
                }
                self.check_records(&rows).await?;
            }
            (ImportMode::List, _) => self.judge_list(&rows).await?,
            (ImportMode::OptOuts, dry) => self.take_opt_outs(&rows, dry).await?,
            (ImportMode::Proofs, dry) => self.take_proofs(&rows, dry).await?,
        }
        self.rejects.settle()?;
        Ok(progress(&self.report))
    }

    /// What the database knows about the addresses of these rows.
    async fn known<A: Ask>(&self, ask: &mut A, rows: &[Parsed]) -> Result<Known, ServiceError> {
        let purposes: Vec<PurposeId> = match self.options.mode {
            ImportMode::OptOuts if self.options.purpose.is_none() => {
                self.purposes.iter().map(|purpose| purpose.id).collect()
            }
            _ => vec![self.purpose],
        };
        let macs = rows.iter().flat_map(|row| row.people.iter().map(|(_, mac)| *mac));
        // An export says itself what the CRM holds.
        let places = self.options.mode != ImportMode::Records;
        Ok(Known::load(ask, self.tenant.id, &purposes, macs, places, self.core.now()).await?)
    }

    async fn judge_list(&mut self, rows: &[Parsed]) -> Result<(), ServiceError> {
        let known = self.known(&mut self.core.store.db.clone(), rows).await?;
        for row in rows {
            let (verdict, why) = self.judge_listed(row, &known);
            self.count(row, verdict, why.as_deref(), true);
        }
        Ok(())
    }

    /// Counts a row and, when it is rejected or partly unreadable, repeats it in the result file.
    fn count(&mut self, row: &Parsed, verdict: Verdict, why: Option<&str>, only_usable: bool) {
        self.report.rows += 1;
        self.report.addresses += row.addresses;
        self.report.unreadable += row.unreadable_count;
        self.report.repeated += row.repeated;
        self.report.ordering += row.contact.as_ref().map_or(0, |contact| contact.ordering);
        *self.report.verdicts.entry(verdict).or_default() += 1;
        let rejected = match verdict {
            Verdict::Invalid | Verdict::Duplicate => true,
            Verdict::External | Verdict::Refused | Verdict::Undeliverable | Verdict::InBin | Verdict::NoAddress => {
                only_usable
            }
            _ => false,
        };
        let partly = row.unreadable.map(|error| format!("an address of this row was left out: {error}"));
        let why = match (rejected, why, partly) {
            (true, Some(why), _) => why.to_owned(),
            (true, None, _) => verdict.sentence().to_owned(),
            (false, _, Some(partly)) => partly,
            (false, _, None) => return,
        };
        self.report.rejected += 1;
        self.rejects.note(row, verdict, &why);
    }

    /// What every mode refuses: a broken row, or one without any readable address.
    fn judge_form(row: &Parsed) -> Option<(Verdict, Option<String>)> {
        match (&row.contact, row.people.is_empty(), row.unreadable) {
            (Err(why), ..) => Some((Verdict::Invalid, Some(why.clone()))),
            (Ok(_), true, Some(error)) => Some((Verdict::Invalid, Some(error.to_string()))),
            (Ok(_), true, None) => Some((Verdict::NoAddress, None)),
            (Ok(_), false, _) => None,
        }
    }

    fn judge_listed(&mut self, row: &Parsed, known: &Known) -> (Verdict, Option<String>) {
        if let Some(form) = Self::judge_form(row) {
            return form;
        }
        let mut verdict = Verdict::Duplicate;
        for (_, mac) in &row.people {
            let new = self.seen.insert(short(mac));
            if new && verdict == Verdict::Duplicate {
                verdict = match known.mailbox(mac) {
                    Some(mailbox) => {
                        let place = known.in_crm.get(&mailbox);
                        match verdict_of(&known.standing(mailbox, self.purpose), place == Some(&true)) {
                            Verdict::InBin if place.is_none() => Verdict::External,
                            verdict => verdict,
                        }
                    }
                    None if self.is_suppressed(known, mac) => Verdict::Refused,
                    None => Verdict::External,
                };
            }
        }
        (verdict, None)
    }

    fn is_suppressed(&self, known: &Known, mac: &[u8; 32]) -> bool {
        known.suppressed(mac).iter().any(|purpose| *purpose == self.purpose || *purpose == EVERY_PURPOSE)
    }
}

/// Enough of a keyed digest to tell a million of them apart.
fn short(mac: &[u8; 32]) -> u64 {
    u64::from_be_bytes(*mac.first_chunk().unwrap_or(&[0; 8]))
}
