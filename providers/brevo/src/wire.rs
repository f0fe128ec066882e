//! Requests and answers of the Brevo API.

use consentd_provider::{AudienceRef, Body, Gateway, Method, ProviderError, Repeat, Request, Response, plain};
use secrecy::SecretString;
use serde_json::Value;
use std::time::Duration;

/// The quota of contacts, lists, folders, imports and attributes.
pub(crate) const CONTACTS: &str = "contacts";
/// The quota of transactional mail.
pub(crate) const MAIL: &str = "mail";
/// The small quota that everything else shares, jobs and webhooks included (Brevo sheet 2).
pub(crate) const REST: &str = "rest";
/// The code of an error that is about a value another contact holds.
pub(crate) const DUPLICATE: &str = "duplicate_identifiers";
/// No window of a quota is longer than an hour; larger numbers have been seen and mean nothing (Brevo sheet 2).
const LONGEST_WAIT: u64 = 3_600;
/// The largest page of lists and folders (Brevo sheet 3.13).
const PAGE: usize = 50;
/// More pages than any small collection can have.
const PAGES: usize = 400;

/// The way to one account.
pub(crate) struct Api {
    key: SecretString,
}

impl Api {
    pub(crate) const fn new(key: SecretString) -> Self {
        Self { key }
    }

    /// Sends a request and gives the answer of any status.
    pub(crate) async fn raw(
        &self,
        out: &dyn Gateway,
        method: Method,
        route: &'static str,
        path: String,
        body: Option<String>,
    ) -> Result<Response, ProviderError> {
        let family = match route {
            "/smtp/email" => MAIL,
            contacts if contacts.starts_with("/contacts") => CONTACTS,
            _ => REST,
        };
        let repeat = if method == Method::Get { Repeat::Safe } else { Repeat::Never };
        let headers = vec![("api-key", self.key.clone())];
        let body = body.map(|body| Body { content_type: "application/json", bytes: body.into_bytes() });
        out.send(Request { method, route, path, headers, body, family, repeat }).await
    }

    /// Reads an object.
    pub(crate) async fn get(
        &self,
        out: &dyn Gateway,
        route: &'static str,
        path: String,
    ) -> Result<Value, ProviderError> {
        let answer = self.raw(out, Method::Get, route, path, None).await?;
        accepted(&answer)?;
        object(&answer)
    }

    /// Writes; `Null` when the answer has no body.
    pub(crate) async fn write(
        &self,
        out: &dyn Gateway,
        method: Method,
        route: &'static str,
        path: String,
        body: Option<&Value>,
    ) -> Result<Value, ProviderError> {
        self.write_text(out, method, route, path, body.map(ToString::to_string)).await
    }

    /// Writes a body that is JSON already.
    pub(crate) async fn write_text(
        &self,
        out: &dyn Gateway,
        method: Method,
        route: &'static str,
        path: String,
        body: Option<String>,
    ) -> Result<Value, ProviderError> {
        let answer = self.raw(out, method, route, path, body).await?;
        accepted(&answer)?;
        match answer.status {
            // Most writes answer 204, and a new attribute answers 201 without a body (Brevo sheet 1 and 3.13).
            201 | 204 if answer.body.is_empty() => Ok(Value::Null),
            201 | 202 => object(&answer),
            _ => Err(ProviderError::Protocol("a write that was not confirmed")),
        }
    }

    /// Reads all pages of a small collection.
    pub(crate) async fn all(
        &self,
        out: &dyn Gateway,
        route: &'static str,
        member: &str,
    ) -> Result<Vec<Value>, ProviderError> {
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let path = format!("{route}?limit={PAGE}&offset={}&sort=asc", all.len());
            let page = rows(self.get(out, route, path).await?, member)?;
            let last = page.len() < PAGE;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
        Err(ProviderError::Protocol("a collection without an end"))
    }
}

/// The number of a list, which goes into paths and bodies.
pub(crate) fn list_id(list: &AudienceRef) -> Result<i64, ProviderError> {
    number(&list.list).ok_or_else(|| ProviderError::Rejected {
        status: 404,
        code: "list".into(),
        reason: "a Brevo list has a number".into(),
    })
}

/// A positive decimal number without sign.
pub(crate) fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|number| *number > 0)
}

/// An array of an answer. Absent and `null` were seen for empty ones (Brevo sheet 3.1 and 4).
pub(crate) fn rows(mut answer: Value, member: &str) -> Result<Vec<Value>, ProviderError> {
    match answer.get_mut(member).map(Value::take) {
        Some(Value::Array(rows)) => Ok(rows),
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(_) => Err(ProviderError::Protocol("an answer whose rows are no array")),
    }
}

fn object(answer: &Response) -> Result<Value, ProviderError> {
    match serde_json::from_slice(&answer.body) {
        Ok(object @ Value::Object(_)) => Ok(object),
        _ => Err(ProviderError::Protocol("an answer that is no JSON object")),
    }
}

/// Whether the provider took the request, or why not.
pub(crate) fn accepted(answer: &Response) -> Result<(), ProviderError> {
    let status = answer.status;
    if answer.is_success() {
        return Ok(());
    }
    Err(match status {
        // A valid key from an address that the account does not allow gives 401 as well (Brevo sheet 1).
        401 | 403 => ProviderError::Credentials { status },
        429 => ProviderError::Throttled { retry_after: answer.header("x-sib-ratelimit-reset").and_then(wait) },
        // Another change of the same contact is still going on (Brevo sheet 3.2).
        425 => ProviderError::Throttled { retry_after: None },
        408 | 500.. => ProviderError::Server { status },
        400..500 => rejected(answer),
        _ => ProviderError::Protocol("a status that the API does not have"),
    })
}

/// The time left in the window: a duration in seconds, not an instant (Brevo sheet 2).
fn wait(reset: &str) -> Option<Duration> {
    let seconds: u64 = reset.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

fn rejected(answer: &Response) -> ProviderError {
    let status = answer.status;
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        return ProviderError::Rejected { status, code: String::new(), reason: "no readable reason".into() };
    };
    // The code of this error has changed before, its metadata has not (Brevo sheet 1).
    if let Some(Value::Array(names)) = body.get("metadata").and_then(|metadata| metadata.get(DUPLICATE)) {
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        let reason = plain(&format!("another contact holds the same {}", names.join(" and ")));
        return ProviderError::Rejected { status, code: DUPLICATE.into(), reason };
    }
    ProviderError::Rejected { status, code: plain(text(&body, "code")), reason: plain(text(&body, "message")) }
}

/// Whether the provider itself says that there is no such contact. A bare 404 may come from anything on the way.
pub(crate) fn unknown_contact(error: &ProviderError) -> bool {
    let ProviderError::Rejected { status: 404, code, reason } = error else { return false };
    let reason = reason.to_ascii_lowercase();
    let absent = reason.contains("not exist") || reason.contains("not found");
    code == "document_not_found" || (!code.is_empty() && reason.contains("contact") && absent)
}

/// A positive id.
pub(crate) fn id(row: &Value, name: &str) -> Option<i64> {
    row.get(name).and_then(as_id)
}

/// A positive id as number or text.
pub(crate) fn as_id(value: &Value) -> Option<i64> {
    match value {
        Value::Number(id) => id.as_i64().filter(|id| *id > 0),
        Value::String(id) => number(id),
        _ => None,
    }
}

/// An id that must be there.
pub(crate) fn needed_id(row: &Value, name: &str) -> Result<i64, ProviderError> {
    id(row, name).ok_or(ProviderError::Protocol("a row without its id"))
}

/// A text, empty when absent.
pub(crate) fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, headers: &[(&str, &str)], body: &str) -> ProviderError {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        accepted(&Response { status, headers, body: body.into() }).unwrap_err()
    }

    #[test]
    fn every_status_has_its_meaning() {
        for (status, kind) in [
            (401, "credentials"),
            (403, "credentials"),
            (402, "rejected"),
            (404, "rejected"),
            (425, "throttled"),
            (429, "throttled"),
            (408, "server"),
            (500, "server"),
            (302, "protocol"),
        ] {
            assert_eq!(error(status, &[], "<html>").kind(), kind, "{status}");
        }
    }

    #[test]
    fn a_wish_to_wait_is_a_duration_of_at_most_an_hour() {
        let wish = |reset| match error(429, &[("x-sib-ratelimit-reset", reset)], "") {
            ProviderError::Throttled { retry_after } => retry_after.map(|wait| wait.as_secs()),
            other => panic!("{other}"),
        };
        assert_eq!(wish("45"), Some(45));
        assert_eq!(wish("1767225600"), Some(3_600));
        assert_eq!(wish("-1"), None);
        assert_eq!(wish("soon"), None);
    }

    #[test]
    fn a_duplicate_is_known_by_its_metadata_whatever_its_code() {
        for code in ["duplicate_parameter", "invalid_parameter"] {
            let body = format!(
                r#"{{"code":"{code}","message":"Unable to update contact","metadata":{{"duplicate_identifiers":["SMS"]}}}}"#
            );
            let ProviderError::Rejected { code, reason, .. } = error(400, &[], &body) else { panic!() };
            assert_eq!((code.as_str(), reason.as_str()), (DUPLICATE, "another contact holds the same SMS"));
        }
    }

    #[test]
    fn only_the_provider_can_say_that_a_contact_does_not_exist() {
        let said = r#"{"code":"document_not_found","message":"Contact does not exist"}"#;
        assert!(unknown_contact(&error(404, &[], said)));
        assert!(!unknown_contact(&error(404, &[], "<html>404</html>")));
        assert!(!unknown_contact(&error(404, &[], r#"{"message":"no Route matched"}"#)));
        assert!(!unknown_contact(&error(400, &[], said)));
    }
}
