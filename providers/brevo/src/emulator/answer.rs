//! Calls as the emulator reads them, and answers as Brevo words them.

use crate::date::date;
use consentd_provider::emulator::Call;
use consentd_provider::{Response, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// A call, taken apart.
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Asked {
    /// `None` when the path is not below the API. A `+` in a path or query is itself (Brevo sheet 3.14).
    pub(super) fn read(call: &Call) -> Option<Self> {
        let path = call.path.strip_prefix("/v3/")?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let path = path.trim_end_matches('/').split('/').map(decoded).collect();
        let pairs = call.query.split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Some(Self { method: call.method.clone(), path, query: query.collect(), body: call.body.clone() })
    }

    /// The body, which must be a JSON object.
    pub(super) fn json(&self) -> Result<Value, Response> {
        match serde_json::from_slice(&self.body) {
            Ok(object @ Value::Object(_)) => Ok(object),
            _ => Err(error(400, "bad_request", "Input must be a valid JSON object")),
        }
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Repeated keys and commas are both taken as an array.
    pub(super) fn ids(&self, name: &str) -> Vec<i64> {
        let values = self.query.iter().filter(|(key, _)| key == name);
        values.flat_map(|(_, value)| value.split(',')).filter_map(|id| id.trim().parse().ok()).collect()
    }

    /// The page that is asked for. Above the largest size Brevo answers `out_of_range`.
    pub(super) fn page(&self, default: usize, max: usize) -> Result<(usize, usize), Response> {
        let number = |name: &str, default| match self.query(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| error(400, "invalid_parameter", &format!("{name} is not valid"))),
        };
        let (limit, offset) = (number("limit", default)?, number("offset", 0)?);
        if limit > max {
            return Err(error(400, "out_of_range", &format!("Limit exceeds max value of {max}")));
        }
        Ok((limit, offset))
    }

    /// The page of some rows, which are given oldest first.
    pub(super) fn cut<T>(&self, mut rows: Vec<T>, page: (usize, usize), newest_first: bool) -> Vec<T> {
        let newest_first = match self.query("sort") {
            Some("asc") => false,
            Some("desc") => true,
            _ => newest_first,
        };
        if newest_first {
            rows.reverse();
        }
        rows.into_iter().skip(page.1).take(page.0).collect()
    }
}

pub(super) fn ok(body: &Value) -> Result<Response, Response> {
    answered(200, body)
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of every handler's answer")]
pub(super) fn answered(status: u16, body: &Value) -> Result<Response, Response> {
    Ok(json_response(status, body))
}

/// A status without a body.
#[expect(clippy::unnecessary_wraps, reason = "the shape of every handler's answer")]
pub(super) fn empty(status: u16) -> Result<Response, Response> {
    Ok(Response { status, headers: Vec::new(), body: Vec::new() })
}

pub(super) fn error(status: u16, code: &str, message: &str) -> Response {
    json_response(status, &json!({ "code": code, "message": message }))
}

pub(super) fn failed(status: u16, code: &str, message: &str) -> Result<Response, Response> {
    Err(error(status, code, message))
}

pub(super) fn no_method() -> Result<Response, Response> {
    failed(405, "method_not_allowed", "Method not allowed")
}

pub(super) fn no_contact() -> Response {
    error(404, "document_not_found", "Contact does not exist")
}

/// An identifier that another contact has.
pub(super) fn duplicate(verb: &str, code: &str, identifier: &str) -> Response {
    let message = format!("Unable to {verb} contact, {identifier} is already associated with another Contact");
    json_response(
        400,
        &json!({
            "code": code, "message": message, "metadata": { "duplicate_identifiers": [identifier] },
        }),
    )
}

pub(super) fn json_response(status: u16, body: &Value) -> Response {
    let headers = vec![("content-type".into(), "application/json".into())];
    Response { status, headers, body: body.to_string().into_bytes() }
}

/// An instant in the account's time zone, as contacts carry it.
pub(super) fn stamp(at: Timestamp, offset_minutes: i64) -> String {
    let local = at.saturating_add(offset_minutes.saturating_mul(60_000_000));
    let sign = if offset_minutes < 0 { '-' } else { '+' };
    let offset = offset_minutes.abs();
    let millis = local.div_euclid(1_000).rem_euclid(1_000);
    format!("{}.{millis:03}{sign}{:02}:{:02}", local_time(local, 'T'), offset / 60, offset % 60)
}

/// An instant in UTC, as events carry it.
pub(super) fn utc(at: Timestamp) -> String {
    format!("{}Z", local_time(at, 'T'))
}

/// Date and time without a zone.
pub(super) fn local_time(local: Timestamp, between: char) -> String {
    let seconds = local.div_euclid(1_000_000);
    let clock = seconds.rem_euclid(86_400);
    let day = date(seconds.div_euclid(86_400));
    format!("{day}{between}{:02}:{:02}:{:02}", clock / 3_600, clock / 60 % 60, clock % 60)
}
