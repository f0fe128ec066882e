//! A call as the emulator understands it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use consentd_provider::Timestamp;
use consentd_provider::emulator::Call;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// One call. Names in paths, queries and bodies are compared without regard to case (Mailjet sheet 1.1).
pub(super) struct Ask {
    pub(super) now: Timestamp,
    pub(super) method: String,
    /// The path's parts, decoded once; a `+` stays a `+`.
    pub(super) path: Vec<String>,
    query: Vec<(String, String)>,
    /// The body as JSON; `None` when it is something else.
    pub(super) body: Option<Value>,
    /// The body as text.
    pub(super) raw: String,
    /// The public key, when a pair of non-empty credentials came along.
    pub(super) key: Option<String>,
    pub(super) idempotency_key: Option<String>,
}

impl Ask {
    pub(super) fn read(now: Timestamp, call: &Call) -> Self {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let query = call.query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let pair = pair.replace('+', " ");
            let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
            (decoded(name).to_lowercase(), decoded(value))
        });
        Self {
            now,
            method: call.method.to_ascii_uppercase(),
            path: call.path.split('/').filter(|part| !part.is_empty()).map(decoded).collect(),
            query: query.collect(),
            body: if call.body.is_empty() { Some(Value::Null) } else { serde_json::from_slice(&call.body).ok() },
            raw: String::from_utf8_lossy(&call.body).into_owned(),
            key: call.header("authorization").and_then(public_key),
            idempotency_key: call.header("idempotency-key").map(str::to_owned),
        }
    }

    /// A part of the path.
    pub(super) fn part(&self, index: usize) -> &str {
        self.path.get(index).map_or("", String::as_str)
    }

    /// A number in the path.
    pub(super) fn id(&self, index: usize) -> Option<u64> {
        self.part(index).parse().ok()
    }

    /// A filter; of a repeated one the first counts (Mailjet sheet 1.7).
    pub(super) fn filter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A filter that holds a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.filter(name).and_then(|value| value.parse().ok())
    }

    /// A filter that holds a flag.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.filter(name).and_then(|value| flag(&Value::from(value)))
    }

    /// A member of the body.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.body.as_ref().and_then(|body| member(body, name))
    }

    /// A member of the body that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// The first member of the body that is not among these names, if any.
    pub(super) fn stranger(&self, known: &[&str]) -> Option<&str> {
        let body = self.body.as_ref().and_then(Value::as_object)?;
        body.keys().map(String::as_str).find(|key| !known.iter().any(|name| name.eq_ignore_ascii_case(key)))
    }
}

/// The user of Basic credentials; both halves must be there.
fn public_key(header: &str) -> Option<String> {
    let (scheme, pair) = header.split_once(' ')?;
    let pair = String::from_utf8(STANDARD.decode(pair.trim()).ok()?).ok()?;
    let (key, secret) = pair.split_once(':')?;
    (scheme.eq_ignore_ascii_case("basic") && !key.is_empty() && !secret.is_empty()).then(|| key.to_owned())
}

/// A member of an object, whatever the case of its name.
pub(super) fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A flag, which may come as text or number (Mailjet sheet 1.4).
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_u64().map(|number| number != 0),
        Value::String(text) if text.eq_ignore_ascii_case("true") || text == "1" => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") || text == "0" => Some(false),
        _ => None,
    }
}

/// A whole number, which may come as text (Mailjet sheet 1.4).
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
