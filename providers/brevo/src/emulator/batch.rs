//! Many contacts with one call.

use super::account::Account;
use super::answer::{Asked, empty, error, failed, no_method};
use consentd_provider::Response;
use serde_json::Value;

impl Account {
    /// Updates only, and says nothing of a single row. Whether rows without a contact are refused or passed over is
    /// a switch; what was done before a refused row stays done (Brevo sheet 3.11).
    pub(super) fn batch(&mut self, asked: &Asked) -> Result<Response, Response> {
        if asked.method != "POST" {
            return no_method();
        }
        let body = asked.json()?;
        let rows = body.get("contacts").and_then(Value::as_array).filter(|rows| !rows.is_empty());
        let rows = rows.ok_or_else(|| error(400, "missing_parameter", "contacts is missing"))?;
        for row in rows {
            let by = |name: &str, kind: &'static str| match row.get(name) {
                Some(Value::String(identifier)) => Some((identifier.clone(), kind)),
                Some(Value::Number(identifier)) => Some((identifier.to_string(), kind)),
                _ => None,
            };
            let identifiers: Vec<_> = [by("email", "email_id"), by("id", "contact_id"), by("sms", "phone_id")]
                .into_iter()
                .flatten()
                .collect();
            let [(identifier, kind)] = identifiers.as_slice() else {
                return failed(400, "invalid_parameter", "Pass one identifier for each contact");
            };
            match self.find(identifier, Some(kind)) {
                Some(id) => self.change(id, row, "update")?,
                None if self.switches.is("batch_missing", "skip") => {}
                None => return failed(400, "document_not_found", "Contact does not exist"),
            }
        }
        empty(204)
    }
}
