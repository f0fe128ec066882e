//! Where a row ends, what its cells are, and what they may not hold.

use crate::source::csv::{CELL, COLUMNS, ROW, RowFault};

/// Finds the end of a row: a line break outside quotes. A quote opens only at the beginning of a cell, so that
/// `5" pipe` is text.
pub(super) struct Scan {
    delimiter: u8,
    pub(super) place: Place,
    pub(super) lines: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Begin,
    Plain,
    Quoted,
    /// After a quote inside quotes: its end, or the first half of a doubled one.
    Closing,
}

impl Scan {
    pub(super) const fn new(delimiter: u8) -> Self {
        Self { delimiter, place: Place::Begin, lines: 0 }
    }

    pub(super) const fn fault(&self) -> RowFault {
        if matches!(self.place, Place::Quoted) { RowFault::OpenQuote } else { RowFault::TooLong }
    }

    /// Takes one byte; true when it ends the row.
    pub(super) const fn step(&mut self, byte: u8) -> bool {
        if byte == b'\n' {
            self.lines += 1;
        }
        self.place = match (self.place, byte) {
            (Place::Quoted, b'"') => Place::Closing,
            (Place::Quoted, _) | (Place::Begin | Place::Closing, b'"') => Place::Quoted,
            (_, b'\n') => return true,
            (_, byte) if byte == self.delimiter => Place::Begin,
            (Place::Begin | Place::Plain | Place::Closing, _) => Place::Plain,
        };
        false
    }
}

/// Takes a row apart.
pub(super) fn split(text: &str, delimiter: u8) -> Result<Vec<String>, RowFault> {
    let delimiter = char::from(delimiter);
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut place = Place::Begin;
    let mut end = |cell: &mut String| {
        let cell = std::mem::take(cell);
        if cell.len() > CELL {
            return Err(RowFault::CellTooLong);
        }
        if cells.len() >= COLUMNS {
            return Err(RowFault::TooManyColumns);
        }
        cells.push(cell.trim().to_owned());
        Ok(())
    };
    for c in text.chars() {
        place = match (place, c) {
            (Place::Quoted, '"') => Place::Closing,
            (Place::Closing, '"') => {
                cell.push('"');
                Place::Quoted
            }
            (Place::Begin, '"') => Place::Quoted,
            (Place::Quoted, c) => {
                cell.push(c);
                Place::Quoted
            }
            (_, c) if c == delimiter => {
                end(&mut cell)?;
                Place::Begin
            }
            (_, c) => {
                cell.push(c);
                Place::Plain
            }
        };
    }
    end(&mut cell)?;
    Ok(cells)
}

pub(super) fn check_characters(text: &str) -> Result<(), RowFault> {
    for c in text.chars() {
        match c {
            '\t' | '\n' | '\r' => {}
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => return Err(RowFault::Control),
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                return Err(RowFault::Bidi);
            }
            '\u{00ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{180e}' => {
                return Err(RowFault::ZeroWidth);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The delimiter that the first line holds most of outside quotes.
pub(super) fn guess_delimiter(head: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b';', 0), (b',', 0), (b'\t', 0)];
    for byte in head.iter().take(ROW) {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            byte if !quoted => {
                for (_, count) in counts.iter_mut().filter(|(delimiter, _)| delimiter == byte) {
                    *count += 1;
                }
            }
            _ => {}
        }
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b';', |(delimiter, _)| delimiter)
}
