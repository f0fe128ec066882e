//! What a form holds: the fields of our own pages, and the mark of a mail program's one-click unsubscription (RFC 8058).

use std::collections::HashMap;

/// The fields of a posted form, urlencoded or multipart. What cannot be read holds no fields.
pub(super) struct Form(HashMap<String, String>);

impl Form {
    /// Reads a body by its content type.
    pub(super) fn read(content_type: &str, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let fields = match boundary(content_type) {
            Some(boundary) => parts(&text, boundary),
            None => pairs(&text),
        };
        Self(fields)
    }

    /// A field's value; empty when it is not there.
    pub(super) fn field(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Whether a mail program unsubscribes its user with one click (RFC 8058 3.1).
    pub(super) fn is_one_click(&self) -> bool {
        self.field("List-Unsubscribe").trim().eq_ignore_ascii_case("One-Click")
    }
}

fn pairs(text: &str) -> HashMap<String, String> {
    text.trim()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// The boundary of a multipart form (RFC 2046 5.1.1).
fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let own = parameters.split(';').map(str::trim).filter_map(|parameter| parameter.split_once('='));
    let (_, boundary) = own.filter(|(name, _)| name.eq_ignore_ascii_case("boundary")).next_back()?;
    Some(boundary.trim_matches('"'))
}

/// The parts of a multipart form (RFC 7578); line ends may be bare.
fn parts(text: &str, boundary: &str) -> HashMap<String, String> {
    let text = text.replace("\r\n", "\n");
    let mark = format!("--{boundary}");
    text.split(&mark).filter_map(|part| part.strip_prefix('\n')).filter_map(part).collect()
}

fn part(text: &str) -> Option<(String, String)> {
    let (head, value) = text.split_once("\n\n")?;
    let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let name = disposition.split(';').find_map(|piece| piece.trim().strip_prefix("name="))?;
    Some((name.trim_matches('"').to_owned(), value.strip_suffix('\n').unwrap_or(value).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_click_is_known_in_both_encodings() {
        let urlencoded = [
            ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"),
            ("application/x-www-form-urlencoded; charset=utf-8", "x=1&List-Unsubscribe=One%2DClick\r\n"),
            ("", "List-Unsubscribe=One-Click"),
        ];
        for (kind, body) in urlencoded {
            assert!(Form::read(kind, body.as_bytes()).is_one_click(), "{kind}");
        }
        for end in ["\r\n", "\n"] {
            let body =
                ["--b-1", "Content-Disposition: form-data; name=\"List-Unsubscribe\"", "", "One-Click", "--b-1--", ""]
                    .join(end);
            for kind in ["multipart/form-data; boundary=b-1", "Multipart/Form-Data; charset=utf-8; boundary=\"b-1\""] {
                assert!(Form::read(kind, body.as_bytes()).is_one_click(), "{kind}");
            }
        }
    }

    #[test]
    fn anything_else_is_not_one_click_and_breaks_nothing() {
        let long = "--".repeat(10_000);
        for (kind, body) in [
            ("application/x-www-form-urlencoded", "decision=refuse"),
            ("application/x-www-form-urlencoded", "List-Unsubscribe=Two-Clicks"),
            ("multipart/form-data; boundary=", "--\n\n"),
            ("multipart/form-data; boundary=x", "--x\nContent-Disposition: form-data\n\nOne-Click\n--x--"),
            ("multipart/form-data", "List-Unsubscribe"),
            ("multipart/form-data; boundary=-", &long),
            ("", ""),
        ] {
            assert!(!Form::read(kind, body.as_bytes()).is_one_click(), "{kind}");
        }
        assert!(!Form::read("", &[0xff, 0xfe, b'=', 0xff]).is_one_click());
    }

    #[test]
    fn fields_of_our_own_forms_are_read() {
        let form = Form::read("application/x-www-form-urlencoded", b"decision=accept&confirmed=yes");
        assert_eq!((form.field("decision"), form.field("confirmed"), form.field("x")), ("accept", "yes", ""));
    }
}
