//! Answers as Mailjet shapes them (Mailjet sheet 1.4 to 1.7).

use super::ask::Ask;
use consentd_provider::Response;
use serde_json::{Value, json};
use std::cmp::Ordering;

/// An answer, of which a refusal is the other half.
pub(super) type Answer = Result<Response, Response>;

/// The default page and the largest.
const PAGE: (usize, usize) = (10, 1_000);

pub(super) fn body(status: u16, content_type: &str, bytes: Vec<u8>) -> Response {
    Response { status, headers: vec![("content-type".into(), content_type.into())], body: bytes }
}

pub(super) fn json(status: u16, value: &Value) -> Response {
    body(status, "application/json; charset=utf-8", value.to_string().into_bytes())
}

/// The envelope around rows. `Count` and `Total` count these rows only.
pub(super) fn rows(status: u16, rows: &[Value]) -> Response {
    json(status, &json!({ "Count": rows.len(), "Data": rows, "Total": rows.len() }))
}

pub(super) fn row(status: u16, row: Value) -> Response {
    rows(status, &[row])
}

/// An answer without a body: 204 after a deletion, 304 after an update that changed nothing.
pub(super) const fn bare(status: u16) -> Response {
    Response { status, headers: Vec::new(), body: Vec::new() }
}

/// One page of items in the order that was asked for.
pub(super) fn page<T>(ask: &Ask, items: &[T], show: impl Fn(&T) -> Value) -> Response {
    if ask.flag("countonly") == Some(true) {
        return json(200, &json!({ "Count": items.len(), "Data": [], "Total": items.len() }));
    }
    let limit = match ask.filter("limit").map(str::parse::<usize>) {
        Some(Ok(0)) => PAGE.1,
        Some(Ok(limit)) => limit.min(PAGE.1),
        _ => PAGE.0,
    };
    let offset = ask.filter("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    let sort = ask.filter("sort").unwrap_or("ID");
    let (property, descending) = match sort.split_once(' ') {
        Some((property, order)) => (property, order.trim().eq_ignore_ascii_case("desc")),
        None => (sort, false),
    };
    // Items come in the order of their ids, so that only another order has to look at them all.
    if property.eq_ignore_ascii_case("id") && !descending {
        return rows(200, &items.iter().skip(offset).take(limit).map(show).collect::<Vec<_>>());
    }
    let mut all: Vec<Value> = items.iter().map(show).collect();
    all.sort_by(|a, b| {
        let order = compare(super::ask::member(a, property), super::ask::member(b, property));
        if descending { order.reverse() } else { order }
    });
    rows(200, &all.into_iter().skip(offset).take(limit).collect::<Vec<_>>())
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_u64().cmp(&b.as_u64()),
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

pub(super) fn refusal(status: u16, message: &str) -> Response {
    refusal_with(status, &Value::from(""), &Value::from(message))
}

/// Both members may be objects (Mailjet sheet 1.5).
pub(super) fn refusal_with(status: u16, info: &Value, message: &Value) -> Response {
    json(status, &json!({ "ErrorInfo": info, "ErrorMessage": message, "StatusCode": status }))
}

pub(super) fn not_found() -> Response {
    refusal(404, "Object not found")
}

pub(super) fn duplicate(resource: &str, value: &str, key: &str) -> Response {
    refusal(400, &format!("MJ18 A {resource} resource with value \"{value}\" for {key} already exists."))
}

/// A body's member that the resource does not have.
pub(super) fn strange(resource: &str, name: &str) -> Response {
    refusal(400, &format!("Invalid json input: object \"\"->\"{resource}\" has no property \"{name}\""))
}

pub(super) fn invalid(info: &Value) -> Response {
    refusal_with(400, info, &Value::from("Object properties invalid"))
}

pub(super) fn unauthorised(send: bool) -> Response {
    let words = "API key authentication/authorization failure. You may be unauthorized to access the API.";
    if send {
        return json(
            401,
            &json!({ "ErrorIdentifier": uuid(401), "ErrorCode": "mj-0015", "ErrorMessage": words, "StatusCode": 401 }),
        );
    }
    refusal(401, words)
}

pub(super) fn failure() -> Response {
    json(
        500,
        &json!({
            "ErrorIdentifier": uuid(500), "ErrorInfo": "", "StatusCode": 500,
            "ErrorMessage": "An Unexpected Error occurred during API request",
        }),
    )
}

/// Something shaped like a UUID that is always the same for the same number.
pub(super) fn uuid(number: u64) -> String {
    format!("{:08x}-5eed-4000-8000-{:012x}", number >> 48 ^ 0xe11a, number & 0xffff_ffff_ffff)
}
