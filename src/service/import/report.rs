//! How a file is to be taken in, and what came of it.

use crate::domain::contact::RecordKind;
use crate::domain::ids::PurposeId;
use crate::domain::triage::{Columns, Field, Verdict};
use crate::source::csv::Encoding;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportMode {
    /// A CRM's export: creates and updates records and their addresses. Never a consent.
    Records,
    /// A mailing list: creates nothing. Tells who of it is known; everybody else is external.
    List,
    /// Refusals from before. Addresses in no record are kept on the suppression list.
    OptOuts,
    /// Acceptances from before, each row with its evidence; only where the tenant's policy allows it.
    Proofs,
}

/// How a file is to be taken in.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// What it is.
    pub mode: ImportMode,
    /// Headings by field, where the well-known ones do not fit. A field that is named here is found by no other heading.
    pub mapping: BTreeMap<Field, Vec<String>>,
    /// The kind of records whose row does not say.
    pub kind: RecordKind,
    /// The purpose that statuses, refusals and acceptances are about. Without one: the default purpose, and for
    /// refusals every purpose.
    pub purpose: Option<PurposeId>,
    /// The file's name, kept as evidence.
    pub file: String,
    /// Who imports, kept as evidence.
    pub who: String,
    /// Two different people who vouch for acceptances from before; empty otherwise.
    pub approvers: [String; 2],
}

impl ImportOptions {
    /// Options for a file of that mode, with nothing out of the ordinary.
    #[must_use]
    pub fn new(mode: ImportMode, file: &str, who: &str) -> Self {
        Self {
            mode,
            mapping: BTreeMap::new(),
            kind: RecordKind::Customer,
            purpose: None,
            file: file.to_owned(),
            who: who.to_owned(),
            approvers: [String::new(), String::new()],
        }
    }
}

/// A column that was recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundColumn {
    /// Its heading; empty in a file without headings.
    pub heading: String,
    /// What it holds.
    pub field: Field,
}

/// What a file held and what was, or would be, done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// What the file was taken for.
    pub mode: ImportMode,
    /// Nothing was stored.
    pub dry: bool,
    /// Rows read; blank ones do not count.
    pub rows: u64,
    /// Bytes read so far, for showing progress.
    pub bytes: u64,
    /// Each row under exactly one verdict; adds up to `rows`.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Addresses found in all rows; those under `unreadable` and `repeated` among them.
    pub addresses: u64,
    /// Addresses that cannot be read.
    pub unreadable: u64,
    /// Addresses that stand in their row twice.
    pub repeated: u64,
    /// Suppliers' ordering addresses, left out.
    pub ordering: u64,
    /// Records created.
    pub records_created: u64,
    /// Records that changed.
    pub records_updated: u64,
    /// Records that are as the file says.
    pub records_unchanged: u64,
    /// Addresses that became known, never asked.
    pub addresses_created: u64,
    /// New addresses that are on the suppression list, and so neither sendable nor askable.
    pub suppressed: u64,
    /// Refusals recorded for known mailboxes.
    pub refusals: u64,
    /// Unknown addresses put on the suppression list.
    pub suppressions: u64,
    /// Acceptances recorded.
    pub acceptances: u64,
    /// Rows written to the result file: those rejected, and those of which an address was left out.
    pub rejected: u64,
    /// The file's encoding.
    pub encoding: Encoding,
    /// What stands between two cells.
    pub delimiter: char,
    /// The columns that were recognised.
    pub columns: Vec<FoundColumn>,
    /// Why the rest of the file was not read. What was read before is stored; the file may be imported again.
    pub stopped: Option<String>,
}

/// The report of a file of which nothing was read yet.
pub(super) fn empty_report(
    mode: ImportMode,
    dry: bool,
    columns: &Columns,
    headings: &[String],
    delimiter: char,
) -> ImportReport {
    let columns = columns
        .found()
        .map(|(column, field)| FoundColumn { heading: headings.get(column).cloned().unwrap_or_default(), field });
    ImportReport {
        mode,
        dry,
        rows: 0,
        bytes: 0,
        verdicts: BTreeMap::new(),
        addresses: 0,
        unreadable: 0,
        repeated: 0,
        ordering: 0,
        records_created: 0,
        records_updated: 0,
        records_unchanged: 0,
        addresses_created: 0,
        suppressed: 0,
        refusals: 0,
        suppressions: 0,
        acceptances: 0,
        rejected: 0,
        encoding: Encoding::Ascii,
        delimiter,
        columns: columns.collect(),
        stopped: None,
    }
}
