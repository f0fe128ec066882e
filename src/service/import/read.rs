//! Reading and understanding rows on a thread of their own, a few batches ahead of the database.

use crate::domain::contact::RecordKind;
use crate::domain::triage::{Columns, Contact, Field};
use crate::service::ServiceError;
use crate::service::import::short;
use crate::source::csv::{Encoding, FileFault, Row, Sheet};
use crate::store::TenantKey;
use consentd_provider::{AddressError, EmailAddress};
use std::collections::BTreeMap;
use std::io::Read;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// The cells of a row in one piece: many rows are held at once.
#[derive(Default)]
pub(super) struct Cells {
    text: String,
    ends: Box<[usize]>,
}

impl Cells {
    fn of(cells: &[String]) -> Self {
        let mut end = 0;
        let ends = cells.iter().map(|cell| {
            end += cell.len();
            end
        });
        Self { ends: ends.collect(), text: cells.concat() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.text.get(start..*end).unwrap_or_default())
    }
}

/// How rows are to be understood.
pub(super) struct Understanding {
    pub(super) key: TenantKey,
    /// The kind of records whose row does not say.
    pub(super) kind: RecordKind,
    /// Whether rows may have to be repeated to a person.
    pub(super) repeat: bool,
    /// Rows of a batch.
    pub(super) batch: usize,
}

/// A row as far as it can be understood without looking anything up.
pub(super) struct Parsed {
    pub(super) line: u64,
    /// The cells, for repeating the row; of a broken row its text.
    pub(super) cells: Cells,
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
    /// An earlier row is about the same record.
    pub(super) record_again: bool,
    /// An earlier row names the mailbox of the first address.
    pub(super) mailbox_again: bool,
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

/// Opens a file and begins to read it, one batch ahead of the one that was taken. The reading ends when the receiver is
/// dropped.
pub(super) async fn start(
    file: Box<dyn Read + Send>,
    mapping: &BTreeMap<Field, Vec<String>>,
    needed: &'static [Field],
    understanding: Understanding,
) -> Result<Reading, ServiceError> {
    let (batch_sender, batches) = mpsc::channel(1);
    let (head_sender, head) = oneshot::channel();
    let mapping = mapping.clone();
    let runtime = Handle::current();
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
            read_all(sheet, &columns, &understanding, &batch_sender, &runtime);
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
    understanding: &Understanding,
    batches: &mpsc::Sender<Result<Batch, FileFault>>,
    runtime: &Handle,
) {
    let mut first = columns.headless.then(|| Row { line: 1, cells: Ok(sheet.headings().to_vec()), raw: Vec::new() });
    loop {
        // There is room for one batch only, so that no more than two are held.
        let Ok(room) = runtime.block_on(batches.reserve()) else { return };
        let mut rows = Vec::with_capacity(understanding.batch);
        if let Some(first) = first.take() {
            rows.push(parse(&sheet, first, columns, understanding));
        }
        let mut end = None;
        while rows.len() < understanding.batch && end.is_none() {
            match sheet.next_row() {
                Ok(Some(row)) => rows.push(parse(&sheet, row, columns, understanding)),
                Ok(None) => end = Some(None),
                Err(fault) => end = Some(Some(fault)),
            }
        }
        room.send(Ok(Batch { rows, bytes: sheet.bytes(), encoding: sheet.encoding() }));
        if let Some(fault) = end {
            if let (Some(fault), Ok(room)) = (fault, runtime.block_on(batches.reserve())) {
                room.send(Err(fault));
            }
            return;
        }
    }
}

fn parse(sheet: &Sheet, row: Row, columns: &Columns, how: &Understanding) -> Parsed {
    let mut parsed = Parsed {
        line: row.line,
        cells: Cells::default(),
        contact: Ok(Contact::default()),
        people: Vec::new(),
        addresses: 0,
        repeated: 0,
        unreadable_count: 0,
        unreadable: None,
        record: 0,
        record_again: false,
        mailbox_again: false,
    };
    let mut contact = match row.cells {
        Err(fault) => {
            parsed.cells = Cells::of(&[sheet.text(&row.raw).into_owned()]);
            parsed.contact = Err(fault.to_string());
            return parsed;
        }
        Ok(cells) => {
            let contact = columns.read(&cells);
            if how.repeat {
                parsed.cells = Cells::of(&cells);
            }
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
                let mac = how.key.address_mac(&address.folded());
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
    let kind = *contact.kind.get_or_insert(how.kind);
    // Digests of addresses hold an `@`, so that no record can be taken for one.
    parsed.record = short(&how.key.address_mac(&format!("{}/{}", kind.word(), contact.crm_id)));
    parsed.contact = Ok(contact);
    parsed
}
