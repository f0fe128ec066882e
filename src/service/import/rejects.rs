//! The result file: every rejected line with its reason, safe to open in a spreadsheet.

use crate::domain::triage::Verdict;
use crate::service::ServiceError;
use crate::service::import::read::Parsed;
use crate::source::csv::defused;
use std::io::Write;

pub(super) struct Rejects<'a> {
    writer: Option<csv::Writer<Box<dyn Write + Send + 'a>>>,
    /// Lines that are not yet written: rows are judged in another order than the file's.
    waiting: Vec<(u64, Vec<String>)>,
}

impl<'a> Rejects<'a> {
    /// Writes the headings: those of the file, the line's number, the verdict's word and the reason.
    pub(super) fn start(
        target: Option<&'a mut (dyn Write + Send)>,
        headings: &[String],
        delimiter: char,
    ) -> Result<Self, ServiceError> {
        let Some(target) = target else { return Ok(Self { writer: None, waiting: Vec::new() }) };
        // Office programs take a file without this mark for Windows-1252.
        target.write_all("\u{feff}".as_bytes()).map_err(|_| unwritable())?;
        let delimiter = u8::try_from(delimiter).unwrap_or(b';');
        let writer = csv::WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(Box::new(target) as _);
        let mut rejects = Self { writer: Some(writer), waiting: Vec::new() };
        rejects.put(["line", "verdict", "reason"].into_iter().chain(headings.iter().map(String::as_str)))?;
        Ok(rejects)
    }

    /// Notes a line, to be written by [`Rejects::settle`].
    pub(super) fn note(&mut self, row: &Parsed, verdict: Verdict, why: &str) {
        if self.writer.is_some() {
            let line = [row.line.to_string(), verdict.word().to_owned(), why.to_owned()];
            self.waiting.push((row.line, line.into_iter().chain(row.cells.iter().map(str::to_owned)).collect()));
        }
    }

    /// Writes what was noted, in the order of the file.
    pub(super) fn settle(&mut self) -> Result<(), ServiceError> {
        let mut lines = std::mem::take(&mut self.waiting);
        lines.sort_by_key(|(line, _)| *line);
        lines.iter().try_for_each(|(_, cells)| self.put(cells.iter().map(String::as_str)))
    }

    pub(super) fn end(mut self) -> Result<(), ServiceError> {
        self.settle()?;
        self.writer.as_mut().map_or(Ok(()), |writer| writer.flush().map_err(|_| unwritable()))
    }

    fn put<'t>(&mut self, cells: impl Iterator<Item = &'t str>) -> Result<(), ServiceError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let cells: Vec<_> = cells.map(defused).collect();
        writer.write_record(cells.iter().map(|cell| cell.as_bytes())).map_err(|_| unwritable())
    }
}

fn unwritable() -> ServiceError {
    ServiceError::Invalid("the result file cannot be written".into())
}
