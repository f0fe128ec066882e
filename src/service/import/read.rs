//! Reading and understanding rows on a thread of their own, a few batches ahead of the database.

use crate::domain::contact::RecordKind;
use crate::domain::triage::{Columns, Contact, Field};
use crate::service::ServiceError;
use crate::service::import::{BATCH, short};
use crate::source::csv::{Encoding, FileFault, Row, Sheet};
use crate::store::TenantKey;
use consentd_provider::{AddressError, EmailAddress};
use std::collections::BTreeMap;
use std::io::Read;
use tokio::sync::{mpsc, oneshot};

/// Batches read ahead.
const AHEAD: usize = 2;

/// A row as far as it can be understood without looking anything up.
pub(super) struct Parsed {
    pub(super) line: u64,
    /// The cells, for repeating the row; of a broken row its text.
    pub(super) cells: Vec<String>,
    /// What it says, or why it cannot be understood.
    pub(super) contact: Result<Contact, String>,
    /// The readable addresses with their keyed digests, each mailbox once.
    pub(super) people: Vec<(EmailAddress, [u8; 32])>,
    /// How many addresses there are in all.
    pub(super) addresses: u64,
    /// How many were in the row before.
    pub(super) repeated: u64,
    /// How many cannot be read, and what is wrong with the first.
    pub(super) unreadable_count: u64,
    pub(super) unreadable: Option<AddressError>,
    /// Tells the row's record from others of the file.
    pub(super) record: u64,
}

/// Rows that are worked on together.
pub(super) struct Batch {
    pub(super) rows: Vec<Parsed>,
    pub(super) bytes: u64,
    pub(super) encoding: Encoding,
}

/// A file whose rows arrive.
pub(super) struct Reading {
    pub(super) headings: Vec<String>,
    pub(super) columns: Columns,
    pub(super) delimiter: char,
    pub(super) batches: mpsc::Receiver<Result<Batch, FileFault>>,
}

/// Opens a file and begins to read it. The reading ends when the receiver is dropped.
pub(super) async fn start(
    file: Box<dyn Read + Send>,
    key: TenantKey,
    mapping: &BTreeMap<Field, Vec<String>>,
    needed: &'static [Field],
    kind: RecordKind,
) -> Result<Reading, ServiceError> {
    let (batch_sender, batches) = mpsc::channel(AHEAD);
    let (head_sender, head) = oneshot::channel();
    let mapping = mapping.clone();
    tokio::task::spawn_blocking(move || {
        let opened = open(file, &mapping, needed);
        let (sheet, columns) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                drop(head_sender.send(Err(error)));
                return;
            }
        };
        let facts = (sheet.headings().to_vec(), columns.clone(), sheet.delimiter());
        if head_sender.send(Ok(facts)).is_ok() {
            read_all(sheet, &columns, &key, kind, &batch_sender);
        }
    });
    let stopped = |_| ServiceError::Invalid("the file cannot be read".into());
    let (headings, columns, delimiter) = head.await.map_err(stopped)??;
    let headings = if columns.headless { Vec::new() } else { headings };
    Ok(Reading { headings, columns, delimiter, batches })
}

fn open(
    file: Box<dyn Read + Send>,
    mapping: &BTreeMap<Field, Vec<String>>,
    needed: &[Field],
) -> Result<(Sheet, Columns), ServiceError> {
    let sheet = Sheet::open(file).map_err(|fault| ServiceError::Invalid(fault.to_string()))?;
    let columns = Columns::find(sheet.headings(), mapping, needed);
    let columns = columns.map_err(|error| ServiceError::Invalid(error.to_string()))?;
    Ok((sheet, columns))
}

fn read_all(
    mut sheet: Sheet,
    columns: &Columns,
    key: &TenantKey,
    kind: RecordKind,
    batches: &mpsc::Sender<Result<Batch, FileFault>>,
) {
    let mut rows = Vec::with_capacity(BATCH);
    if columns.headless {
        let first = Row { line: 1, cells: Ok(sheet.headings().to_vec()), raw: Vec::new() };
        rows.push(parse(&sheet, first, columns, key, kind));
    }
    let fault = loop {
        match sheet.next_row() {
            Ok(Some(row)) => rows.push(parse(&sheet, row, columns, key, kind)),
            Ok(None) => break None,
            Err(fault) => break Some(fault),
        }
        if rows.len() == BATCH {
            let full = std::mem::replace(&mut rows, Vec::with_capacity(BATCH));
            let batch = Batch { rows: full, bytes: sheet.bytes(), encoding: sheet.encoding() };
            if batches.blocking_send(Ok(batch)).is_err() {
                return;
            }
        }
    };
    let rest = Batch { rows, bytes: sheet.bytes(), encoding: sheet.encoding() };
    for last in [Some(Ok(rest)), fault.map(Err)].into_iter().flatten() {
        if batches.blocking_send(last).is_err() {
            return;
        }
    }
}

fn parse(sheet: &Sheet, row: Row, columns: &Columns, key: &TenantKey, kind: RecordKind) -> Parsed {
    let mut parsed = Parsed {
        line: row.line,
        cells: Vec::new(),
        contact: Ok(Contact::default()),
        people: Vec::new(),
        addresses: 0,
        repeated: 0,
        unreadable_count: 0,
        unreadable: None,
        record: 0,
    };
    let mut contact = match row.cells {
        Err(fault) => {
            parsed.cells = vec![sheet.text(&row.raw).into_owned()];
            parsed.contact = Err(fault.to_string());
            return parsed;
        }
        Ok(cells) => {
            let contact = columns.read(&cells);
            parsed.cells = cells;
            match contact {
                Ok(contact) => contact,
                Err(fault) => {
                    parsed.contact = Err(fault.to_string());
                    return parsed;
                }
            }
        }
    };
    for (_, address) in contact.addresses.drain(..) {
        parsed.addresses += 1;
        match address {
            Ok(address) => {
                let mac = key.address_mac(&address.folded());
                if parsed.people.iter().any(|(_, known)| *known == mac) {
                    parsed.repeated += 1;
                } else {
                    parsed.people.push((address, mac));
                }
            }
            Err(error) => {
                parsed.unreadable_count += 1;
                parsed.unreadable.get_or_insert(error);
            }
        }
    }
    let kind = *contact.kind.get_or_insert(kind);
    // Digests of addresses hold an `@`, so that no record can be taken for one.
    parsed.record = short(&key.address_mac(&format!("{}/{}", kind.word(), contact.crm_id)));
    parsed.contact = Ok(contact);
    parsed
}
