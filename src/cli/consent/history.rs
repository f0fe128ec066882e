//! `consentd consent history`

use crate::cli::{CliError, Context, Exit, output};
use crate::service::Core;
use crate::service::history::Told;
use crate::store::{Tenant, TenantKey};
use clap::Args;
use serde_json::{Value, json};

/// See [`super::ConsentCommand::History`].
#[derive(Debug, Args)]
pub(in crate::cli) struct History {
    /// The address.
    email: String,
}

impl History {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let address = core.find_address(tenant, key, &Context::email(&self.email)?).await?;
        let purposes = core.store.purposes(tenant.id).await?;
        let told = core.history(tenant, key, &address).await?;
        let purpose = |line: &Told| {
            let own = purposes.iter().find(|purpose| Some(purpose.id) == line.purpose);
            own.map(|purpose| purpose.slug.clone())
        };
        let data: Vec<Value> = told
            .iter()
            .map(|line| {
                json!({
                    "seq": line.seq, "at": output::instant(line.at), "address": line.address.email.as_str(),
                    "said": line.kind.word(), "by": line.actor.as_word(), "purpose": purpose(line),
                    "erased": line.evidence.is_none(), "evidence": line.evidence,
                })
            })
            .collect();
        output::data(context, &data, || {
            let mut table = output::table(&["LINE", "WHEN", "ADDRESS", "SAID", "BY", "PURPOSE", "EVIDENCE"]);
            for line in &told {
                table.add_row([
                    line.seq.to_string(),
                    output::time(line.at, &tenant.time_zone),
                    line.address.email.as_str().to_owned(),
                    line.kind.word().replace('_', " "),
                    line.actor.as_word().to_owned(),
                    purpose(line).unwrap_or_else(|| "all".to_owned()),
                    line.evidence.as_ref().map_or_else(|| "erased".to_owned(), brief),
                ]);
            }
            output::lines(&table)
        });
        Ok(Exit::Done)
    }
}

/// Evidence in one line: what it says, without what it leaves open and without the address, which stands beside it.
fn brief(evidence: &Value) -> String {
    fn collect(value: &Value, name: &str, into: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| collect(value, name, into)),
            Value::Null => {}
            Value::Array(values) if values.is_empty() => {}
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => into.push(format!("{name}: {text}")),
            other => into.push(format!("{name}: {other}")),
        }
    }
    let mut parts = Vec::new();
    match evidence {
        Value::Object(fields) => {
            fields
                .iter()
                .filter(|(name, _)| *name != "address")
                .for_each(|(name, value)| collect(value, name, &mut parts));
        }
        other => collect(other, "evidence", &mut parts),
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_told_in_one_line() {
        let evidence = json!({
            "address": "ada@example.org", "evidence": { "operator": "mia", "reason": "by phone", "agent": "" }, "act": null,
        });
        assert_eq!(brief(&evidence), "operator: mia, reason: by phone");
    }
}
