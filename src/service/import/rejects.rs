//! The result file: every rejected line with its reason, safe to open in a spreadsheet.

use crate::domain::triage::Verdict;
use crate::service::ServiceError;
use crate::service::import::read::Parsed;
use crate::source::csv::defused;
use std::io::Write;

pub(super) struct Rejects<'a>(Option<csv::Writer<Box<dyn Write + Send + 'a>>>);

impl<'a> Rejects<'a> {
    /// Writes the headings: those of the file, the line's number, the verdict's word and the reason.
    pub(super) fn start(
        target: Option<&'a mut (dyn Write + Send)>,
        headings: &[String],
        delimiter: char,
    ) -> Result<Self, ServiceError> {
        let Some(target) = target else { return Ok(Self(None)) };
        // Office programs take a file without this mark for Windows-1252.
        target.write_all("\u{feff}".as_bytes()).map_err(|_| unwritable())?;
        let delimiter = u8::try_from(delimiter).unwrap_or(b';');
        let writer = csv::WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(Box::new(target) as _);
        let mut rejects = Self(Some(writer));
        rejects.put(["line", "verdict", "reason"].into_iter().chain(headings.iter().map(String::as_str)))?;
        Ok(rejects)
    }

    pub(super) fn write(&mut self, row: &Parsed, verdict: Verdict, why: &str) -> Result<(), ServiceError> {
        let line = row.line.to_string();
        self.put([line.as_str(), verdict.word(), why].into_iter().chain(row.cells.iter().map(String::as_str)))
    }

    pub(super) fn end(mut self) -> Result<(), ServiceError> {
        self.0.as_mut().map_or(Ok(()), |writer| writer.flush().map_err(|_| unwritable()))
    }

    fn put<'t>(&mut self, cells: impl Iterator<Item = &'t str>) -> Result<(), ServiceError> {
        let Some(writer) = &mut self.0 else { return Ok(()) };
        let cells: Vec<_> = cells.map(defused).collect();
        writer.write_record(cells.iter().map(|cell| cell.as_bytes())).map_err(|_| unwritable())
    }
}

fn unwritable() -> ServiceError {
    ServiceError::Invalid("the result file cannot be written".into())
}
