//! Files of every kind of office.

use super::*;

fn read(bytes: &[u8]) -> (Sheet, Vec<Row>) {
    let mut sheet = Sheet::open(Box::new(std::io::Cursor::new(bytes.to_vec()))).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = sheet.next_row().unwrap() {
        rows.push(row);
    }
    (sheet, rows)
}

fn cells(row: &Row) -> Vec<&str> {
    row.cells.as_ref().unwrap().iter().map(String::as_str).collect()
}

#[test]
fn finds_the_delimiter() {
    for (text, delimiter) in [("a;b;c\n1;2;3", ';'), ("a,b,c\n1,2,3", ','), ("a\tb\tc\n1\t2\t3", '\t')] {
        let (sheet, rows) = read(text.as_bytes());
        assert_eq!(sheet.delimiter(), delimiter);
        assert_eq!(cells(&rows[0]), ["1", "2", "3"]);
    }
    let (sheet, _) = read(b"\"a,b,c\";d\n1;2");
    assert_eq!(sheet.delimiter(), ';');
}

#[test]
fn tells_utf_8_from_windows_1252_when_the_first_umlaut_comes() {
    let (sheet, rows) = read("name\nAda\nMüller\n".as_bytes());
    assert_eq!((sheet.encoding(), cells(&rows[1])), (Encoding::Utf8, vec!["Müller"]));
    let (sheet, rows) = read(b"name\nAda\nM\xfcller\n\x80\n");
    assert_eq!(
        (sheet.encoding(), cells(&rows[1]), cells(&rows[2])),
        (Encoding::Windows1252, vec!["Müller"], vec!["€"])
    );
    let (sheet, rows) = read("\u{feff}name\nMüller".as_bytes());
    assert_eq!((sheet.encoding(), sheet.headings()), (Encoding::Utf8, &["name".to_owned()][..]));
    assert_eq!(cells(&rows[0]), ["Müller"]);
}

#[test]
fn reads_utf_16_with_its_mark() {
    for big in [false, true] {
        let units = "\u{feff}name;town\nMüller;Köln\n".encode_utf16();
        let bytes: Vec<u8> = units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect();
        let (sheet, rows) = read(&bytes);
        assert_eq!(sheet.encoding(), Encoding::Utf16);
        assert_eq!(cells(&rows[0]), ["Müller", "Köln"]);
    }
}

#[test]
fn keeps_quoted_delimiters_line_breaks_and_quotes() {
    let (_, rows) = read(b"a;b\r\n\"x;y\";\"say \"\"hi\"\"\nthere\"\r\n5\" pipe;2\r\n");
    assert_eq!(cells(&rows[0]), ["x;y", "say \"hi\"\nthere"]);
    assert_eq!(cells(&rows[1]), ["5\" pipe", "2"]);
    assert_eq!((rows[0].line, rows[1].line), (2, 4));
}

#[test]
fn an_open_quote_costs_its_line_only() {
    let (_, rows) = read(b"a;b\n1;\"open\n2;x\n3;y\n");
    let faults: Vec<_> = rows.iter().map(|row| row.cells.clone().err()).collect();
    assert_eq!(faults, [Some(RowFault::OpenQuote), None, None]);
    assert_eq!(cells(&rows[2]), ["3", "y"]);
    let mut long = b"a;b\n1;\"open\n".to_vec();
    long.extend_from_slice("2;x\n".repeat(40_000).as_bytes());
    let (_, rows) = read(&long);
    assert_eq!(rows.len(), 40_001);
    assert_eq!(rows.iter().filter(|row| row.cells.is_err()).count(), 1);
}

#[test]
fn refuses_rows_out_of_bounds_and_goes_on() {
    let wide = "x;".repeat(COLUMNS + 1);
    let text = format!("a;b\n{};1\n{wide}\n{}\n1;2;3\n4;5\n", "y".repeat(CELL + 1), "z".repeat(3 * ROW));
    let (_, rows) = read(text.as_bytes());
    let faults: Vec<_> = rows.iter().map(|row| row.cells.clone().err()).collect();
    let expected =
        [RowFault::CellTooLong, RowFault::TooManyColumns, RowFault::TooLong, RowFault::MoreCellsThanHeadings];
    assert_eq!(faults, expected.into_iter().map(Some).chain([None]).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row.raw.len() <= ROW));
}

#[test]
fn refuses_what_cannot_be_seen() {
    let text = "a\nx\0y\nx\u{202e}y\nx\u{200b}y\nok\n";
    let (_, rows) = read(text.as_bytes());
    let faults: Vec<_> = rows.iter().map(|row| row.cells.clone().err()).collect();
    assert_eq!(faults, [Some(RowFault::Control), Some(RowFault::Bidi), Some(RowFault::ZeroWidth), None]);
    let (_, rows) = read(b"name\nM\xc3\xbcller\nM\xfcller\n");
    assert_eq!(rows[1].cells, Err(RowFault::Encoding));
}

#[test]
fn says_what_is_no_text() {
    assert!(matches!(Sheet::open(Box::new(&b""[..])), Err(FileFault::Empty)));
    assert!(matches!(Sheet::open(Box::new(&b"PK\x03\x04zip"[..])), Err(FileFault::NotText)));
}

#[test]
fn defuses_formulas() {
    for cell in ["=1+1", "+1", "-1", "@x", "\tx", "\rx"] {
        assert!(defused(cell).starts_with('\''), "{cell:?}");
    }
    assert_eq!(defused("ada@example.org"), "ada@example.org");
}
