//! Taking the body of a webhook apart.

use crate::WebhookError;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

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
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
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
