//! Taking the body of a webhook apart.

use crate::WebhookError;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// The events of a body: an array of them, a bare one, or an array that is wrapped in an object under this name.
///
/// Each is read by itself. One that cannot be read is kept as a text, so that it costs none of those beside it.
///
/// # Errors
/// [`WebhookError::Unreadable`] when the body is not JSON, or neither an array nor an object.
pub fn elements(body: &[u8], wrapper: Option<&str>) -> Result<Vec<Value>, WebhookError> {
    let whole: &RawValue = serde_json::from_slice(body).map_err(|_| WebhookError::Unreadable("not JSON"))?;
    let text = whole.get();
    if text.starts_with('[') {
        return apart(text);
    }
    if !text.starts_with('{') {
        return Err(WebhookError::Unreadable("neither an array nor an object"));
    }
    if let Some(name) = wrapper {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
        if let Some(inner) = members.get(name).filter(|inner| inner.get().starts_with('[')) {
            return apart(inner.get());
        }
    }
    Ok(vec![one(text)])
}

fn apart(array: &str) -> Result<Vec<Value>, WebhookError> {
    let parts: Vec<&RawValue> =
        serde_json::from_str(array).map_err(|_| WebhookError::Unreadable("an array that cannot be taken apart"))?;
    Ok(parts.into_iter().map(|part| one(part.get())).collect())
}

fn one(text: &str) -> Value {
    serde_json::from_str::<Unambiguous>(text).map_or_else(|_| Value::String(text.to_owned()), |read| read.0)
}

/// A value in which no object has two members of one name: readers differ in which of them they believe (RFC 8259, 4).
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Once).map(Self)
    }
}

struct Once;

impl<'de> Visitor<'de> for Once {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value whose members have different names")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Unambiguous(part)) = parts.next_element()? {
            all.push(part);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((name, Unambiguous(value))) = members.next_entry::<String, _>()? {
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("two members of one name"));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_that_cannot_be_read_costs_none_beside_it() {
        let body = br#"[{"event":"unsub"},{"event":"\ud800"},{"event":"spam"}]"#;
        let found = elements(body, None).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!((found[0]["event"].as_str(), found[2]["event"].as_str()), (Some("unsub"), Some("spam")));
        assert!(found[1].is_string());
        let twice = br#"[{"email":"a@example.org","x":[{"email":1,"email":2}]},{"event":"spam","event":"open"},{"n":[1,-1,1.5,null,true]}]"#;
        let found = elements(twice, None).unwrap();
        assert!(found[0].is_string() && found[1].is_string(), "which of the two is meant?");
        assert_eq!(found[2], serde_json::json!({"n": [1, -1, 1.5, null, true]}));
        let deep = format!("[{}{},{{\"event\":\"unsub\"}}]", "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(elements(deep.as_bytes(), None).unwrap().len(), 2);
    }

    #[test]
    fn a_bare_object_and_a_wrapped_array_are_understood() {
        assert_eq!(elements(br#" {"event":"unsub"} "#, Some("events")).unwrap().len(), 1);
        assert_eq!(elements(br#"{"events":[{},{}]}"#, Some("events")).unwrap().len(), 2);
        assert_eq!(elements(br#"{"events":[{},{}]}"#, None).unwrap().len(), 1);
        for nothing in [&b""[..], b"7", b"\"x\"", b"[", b"{", b"\xff", b"null"] {
            assert!(elements(nothing, Some("events")).is_err(), "{nothing:?}");
        }
    }
}
