//! Contacts as a file (Mailjet sheet 3.8).

use super::jobs::Wish;
use serde_json::{Map, Value};

/// A file that was read.
#[derive(Default)]
pub(super) struct Sheet {
    pub(super) columns: Vec<String>,
    pub(super) wishes: Vec<Wish>,
    /// Rows that could not be read, and why.
    pub(super) problems: Vec<(String, String)>,
}

impl Sheet {
    /// The first line names the columns, unless the options do. A column `name` is a property like any other.
    pub(super) fn read(text: &str, options: &str) -> Self {
        let options: Value = serde_json::from_str(options).unwrap_or_default();
        let named = super::ask::member(&options, "fieldnames").and_then(Value::as_array);
        let named: Option<Vec<String>> =
            named.map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let columns = named.unwrap_or_else(|| lines.next().map(cells).unwrap_or_default());
        let mut sheet = Self::default();
        for line in lines {
            let cells = cells(line);
            if cells.len() < columns.len() {
                sheet.problems.push((line.to_owned(), "Too few columns at line".into()));
                continue;
            }
            let mut wish = Wish::default();
            let mut properties = Map::new();
            for (column, cell) in columns.iter().zip(cells) {
                if column.eq_ignore_ascii_case("email") {
                    wish.email = cell;
                } else if !cell.is_empty() {
                    properties.insert(column.clone(), cell.into());
                }
            }
            wish.properties = properties;
            sheet.wishes.push(wish);
        }
        sheet.columns = columns;
        sheet
    }
}

/// The cells of a line; quotes may surround one and are doubled within.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut signs = line.trim_end_matches('\r').chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '"' if quoted && signs.peek() == Some(&'"') => {
                signs.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            sign => cell.push(sign),
        }
    }
    cells.push(cell.trim().to_owned());
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_options_and_short_lines_are_understood() {
        let sheet = Sheet::read("\"email\",name\n\"a@example.org\",\"Ada, \"\"A\"\"\"\nb@example.org\n\n", "");
        assert_eq!(sheet.columns, ["email", "name"]);
        assert_eq!(sheet.wishes.len(), 1);
        assert_eq!(sheet.wishes[0].properties["name"], "Ada, \"A\"");
        assert_eq!(sheet.problems, [("b@example.org".to_owned(), "Too few columns at line".to_owned())]);
        let sheet = Sheet::read("7,a@example.org", r#"{"FieldNames":["age","email"]}"#);
        assert_eq!(sheet.wishes[0].email, "a@example.org");
    }
}
