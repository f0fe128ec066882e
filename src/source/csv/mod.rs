//! Reading CSV files of any office: `;`, `,` or tab; UTF-8, Windows-1252 or UTF-16 with its mark; quoted or not.
//!
//! A file is read as a stream in bounded memory. A broken row is returned as such and the reading goes on with the next
//! line; an opening quote without its closing one costs the line it stands on, not the rest of the file.

mod rows;
#[cfg(test)]
mod tests;

use encoding_rs::{CoderResult, Decoder, UTF_16BE, UTF_16LE, WINDOWS_1252};
use rows::{Place, Scan, check_characters, guess_delimiter, split};
use std::borrow::Cow;
use std::io::Read;

/// The most columns of a row.
pub const COLUMNS: usize = 200;
/// The most bytes of a cell.
pub const CELL: usize = 8 * 1024;
/// The most bytes of a row.
pub const ROW: usize = 64 * 1024;
/// The most rows of a file.
pub const ROWS: u64 = 10_000_000;

/// How much is read in one go.
const CHUNK: usize = 64 * 1024;

/// Why a row cannot be used. The rows after it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// Longer than [`ROW`].
    #[error("the row is longer than 64 KiB")]
    TooLong,
    /// A quote opens and does not close within [`ROW`].
    #[error("an opening quote has no closing one")]
    OpenQuote,
    /// A cell is longer than [`CELL`].
    #[error("a cell is longer than 8 KiB")]
    CellTooLong,
    /// More cells than [`COLUMNS`].
    #[error("the row has more than 200 columns")]
    TooManyColumns,
    /// More cells than headings.
    #[error("the row has more cells than there are headings")]
    MoreCellsThanHeadings,
    /// Bytes that are not in the file's encoding.
    #[error("the row holds bytes that are not valid in the file's encoding")]
    Encoding,
    /// NUL and other control characters.
    #[error("the row holds a control character")]
    Control,
    /// Characters that change the direction of text.
    #[error("the row holds an invisible character that changes the direction of text")]
    Bidi,
    /// Characters of no width.
    #[error("the row holds an invisible character of no width")]
    ZeroWidth,
}

/// Why the rest of a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Io(#[from] std::io::Error),
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// More rows than [`ROWS`].
    #[error("the file has more than 10 million rows; split it")]
    TooManyRows,
    /// The headings cannot be read.
    #[error("the headings cannot be read: {0}")]
    Headings(RowFault),
    /// A spreadsheet or archive rather than text.
    #[error("this is not a text file but a spreadsheet or an archive; save it as CSV first")]
    NotText,
}

/// The encoding of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Nothing but ASCII so far; the first other byte decides between UTF-8 and Windows-1252.
    Ascii,
    /// UTF-8.
    Utf8,
    /// Windows-1252, which office programs write.
    #[serde(rename = "windows-1252")]
    Windows1252,
    /// UTF-16, told by its mark.
    Utf16,
}

/// One row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The number of the line it begins on, from 1.
    pub line: u64,
    /// Its cells, or why they cannot be used.
    pub cells: Result<Vec<String>, RowFault>,
    /// Its bytes as they stand in the file (at most the first [`CELL`] bytes of a row that is too long).
    pub raw: Vec<u8>,
}

/// A file being read.
pub struct Sheet {
    input: Box<dyn Read + Send>,
    /// Decodes UTF-16 into the buffer; other encodings stay bytes until a row is complete.
    utf16: Option<Decoder>,
    chunk: Vec<u8>,
    buffer: Vec<u8>,
    /// Where the next row begins in the buffer.
    start: usize,
    ended: bool,
    line: u64,
    rows: u64,
    bytes: u64,
    encoding: Encoding,
    delimiter: u8,
    headings: Vec<String>,
}

impl Sheet {
    /// Begins to read: looks at the mark, the encoding, the delimiter and the headings.
    ///
    /// # Errors
    /// [`FileFault`] when the file is empty, no text, or its headings are unreadable.
    pub fn open(input: Box<dyn Read + Send>) -> Result<Self, FileFault> {
        let mut sheet = Self {
            input,
            utf16: None,
            chunk: Vec::new(),
            buffer: Vec::with_capacity(2 * CHUNK),
            start: 0,
            ended: false,
            line: 1,
            rows: 0,
            bytes: 0,
            encoding: Encoding::Ascii,
            delimiter: b';',
            headings: Vec::new(),
        };
        sheet.fill()?;
        sheet.read_mark();
        let head = sheet.buffer.get(sheet.start..).unwrap_or_default();
        if [b"PK\x03\x04".as_slice(), b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"%PDF"]
            .iter()
            .any(|mark| head.starts_with(mark))
        {
            return Err(FileFault::NotText);
        }
        sheet.delimiter = guess_delimiter(head);
        let first = sheet.next_row()?.ok_or(FileFault::Empty)?;
        sheet.rows = 0;
        sheet.headings = first.cells.map_err(FileFault::Headings)?;
        Ok(sheet)
    }

    /// The first row.
    #[must_use]
    pub fn headings(&self) -> &[String] {
        &self.headings
    }

    /// The encoding as far as it is known.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What stands between two cells.
    #[must_use]
    pub const fn delimiter(&self) -> char {
        self.delimiter as char
    }

    /// How many bytes were taken from the file.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next row that is not blank; `None` at the end.
    ///
    /// # Errors
    /// [`FileFault`] when nothing after this can be read.
    pub fn next_row(&mut self) -> Result<Option<Row>, FileFault> {
        loop {
            let Some(end) = self.find_end()? else { return Ok(None) };
            let line = self.line;
            let (raw, fault) = match end {
                End::Whole { length, lines } => {
                    let raw = self.buffer.get(self.start..self.start + length).unwrap_or_default().to_vec();
                    self.start += length;
                    self.line += lines;
                    (raw, None)
                }
                End::Broken(fault) => (self.skip_line()?, Some(fault)),
            };
            let raw = without_line_break(raw);
            if raw.iter().all(|byte| *byte == self.delimiter || byte.is_ascii_whitespace()) {
                continue;
            }
            self.rows += 1;
            if self.rows > ROWS {
                return Err(FileFault::TooManyRows);
            }
            let cells = match fault {
                Some(fault) => Err(fault),
                None => self.cells(&raw),
            };
            return Ok(Some(Row { line, cells, raw }));
        }
    }

    /// The text of a row's bytes as well as it can be had, for repeating the row to a person.
    #[must_use]
    pub fn text<'a>(&self, raw: &'a [u8]) -> Cow<'a, str> {
        match std::str::from_utf8(raw) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => WINDOWS_1252.decode_without_bom_handling(raw).0,
        }
    }

    fn cells(&mut self, raw: &[u8]) -> Result<Vec<String>, RowFault> {
        let text = self.decode(raw)?;
        check_characters(&text)?;
        let cells = split(&text, self.delimiter)?;
        let headings = self.headings.len();
        let surplus = cells.get(headings..).unwrap_or_default();
        if headings > 0 && surplus.iter().any(|cell| !cell.is_empty()) {
            return Err(RowFault::MoreCellsThanHeadings);
        }
        Ok(cells)
    }

    /// The first row that is not ASCII decides between UTF-8 and Windows-1252 for the whole file.
    fn decode<'a>(&mut self, raw: &'a [u8]) -> Result<Cow<'a, str>, RowFault> {
        let utf8 = std::str::from_utf8(raw);
        if self.encoding == Encoding::Ascii && !raw.is_ascii() {
            self.encoding = if utf8.is_ok() { Encoding::Utf8 } else { Encoding::Windows1252 };
        }
        match (self.encoding, utf8) {
            (Encoding::Windows1252, _) => Ok(WINDOWS_1252.decode_without_bom_handling(raw).0),
            (_, Ok(text)) => Ok(Cow::Borrowed(text)),
            (_, Err(_)) => Err(RowFault::Encoding),
        }
    }

    fn read_mark(&mut self) {
        let head = self.buffer.get(self.start..).unwrap_or_default();
        let (decoder, skip) = if head.starts_with(b"\xef\xbb\xbf") {
            self.encoding = Encoding::Utf8;
            (None, 3)
        } else if head.starts_with(b"\xff\xfe") {
            (Some(UTF_16LE.new_decoder_without_bom_handling()), 2)
        } else if head.starts_with(b"\xfe\xff") {
            (Some(UTF_16BE.new_decoder_without_bom_handling()), 2)
        } else {
            (None, 0)
        };
        self.start += skip;
        if let Some(decoder) = decoder {
            self.encoding = Encoding::Utf16;
            self.utf16 = Some(decoder);
            let raw = self.buffer.split_off(self.start);
            self.buffer.clear();
            self.start = 0;
            self.take_in(&raw, false);
        }
    }

    /// Reads more into the buffer, dropping what was used.
    fn fill(&mut self) -> Result<(), FileFault> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.resize(CHUNK, 0);
        let count = loop {
            match self.input.read(&mut chunk) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.bytes += count as u64;
        if !self.ended {
            self.ended = count == 0;
            self.take_in(chunk.get(..count).unwrap_or_default(), count == 0);
        }
        self.chunk = chunk;
        Ok(())
    }

    fn take_in(&mut self, bytes: &[u8], last: bool) {
        let Some(decoder) = &mut self.utf16 else {
            self.buffer.extend_from_slice(bytes);
            return;
        };
        let mut text = String::with_capacity(decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(4 * CHUNK));
        let (result, _, _) = decoder.decode_to_string(bytes, &mut text, last);
        debug_assert_eq!(result, CoderResult::InputEmpty, "the text has room for everything");
        self.buffer.extend_from_slice(text.as_bytes());
    }

    /// Where the next row ends; `None` at the end of the file.
    fn find_end(&mut self) -> Result<Option<End>, FileFault> {
        let mut scan = Scan::new(self.delimiter);
        let mut at = 0;
        loop {
            let rest = self.buffer.get(self.start + at..).unwrap_or_default();
            for byte in rest {
                at += 1;
                if scan.step(*byte) {
                    return Ok(Some(End::Whole { length: at, lines: scan.lines }));
                }
                if at >= ROW {
                    return Ok(Some(End::Broken(scan.fault())));
                }
            }
            if self.ended {
                if at == 0 {
                    return Ok(None);
                }
                if scan.place == Place::Quoted {
                    return Ok(Some(End::Broken(scan.fault())));
                }
                return Ok(Some(End::Whole { length: at, lines: scan.lines + 1 }));
            }
            self.fill()?;
        }
    }

    /// Gives up on a row: drops the line it begins on and returns the line's beginning.
    fn skip_line(&mut self) -> Result<Vec<u8>, FileFault> {
        let mut kept = Vec::new();
        self.line += 1;
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            let end = rest.iter().position(|byte| *byte == b'\n').map(|index| index + 1);
            let length = end.unwrap_or(rest.len());
            let room = CELL.saturating_sub(kept.len());
            kept.extend_from_slice(rest.get(..length.min(room)).unwrap_or_default());
            self.start += length;
            if end.is_some() || self.ended {
                return Ok(kept);
            }
            self.fill()?;
        }
    }
}

enum End {
    Whole { length: usize, lines: u64 },
    Broken(RowFault),
}

fn without_line_break(mut raw: Vec<u8>) -> Vec<u8> {
    while matches!(raw.last(), Some(b'\n' | b'\r')) {
        raw.pop();
    }
    raw
}

/// A cell that no spreadsheet takes for a formula.
#[must_use]
pub fn defused(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\0']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}
