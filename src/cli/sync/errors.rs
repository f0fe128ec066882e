//! `consentd sync errors` and `diff`

use crate::cli::{CliError, Context, Exit, output};
use crate::domain::ids::{MailboxId, RunId};
use crate::service::{Core, ServiceError};
use crate::store::{ShownItem, Tenant};
use clap::Args;
use serde_json::json;
use std::collections::BTreeMap;
use uuid::Uuid;

/// See [`super::SyncCommand::Errors`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Errors {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
    /// The run; the latest one when left out.
    #[arg(long, value_name = "ID")]
    run: Option<Uuid>,
}

/// See [`super::SyncCommand::Diff`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Diff {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
}

/// Rows read in one go.
const PAGE: i64 = 2_000;

impl Errors {
    pub(super) async fn run(self, context: &Context, core: &Core, tenant: &Tenant) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        let run = match self.run {
            Some(id) => core.store.run(tenant.id, RunId(id)).await?,
            None => core.store.runs(tenant.id, connection.id, 1).await?.pop(),
        };
        let run = run.filter(|run| run.connection == connection.id).ok_or(ServiceError::NotFound("such run"))?;
        let mut items: Vec<ShownItem> = Vec::new();
        for outcome in ["refused", "failed"] {
            let mut after = 0;
            loop {
                let page = core.store.items(tenant.id, run.id, after, outcome, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.n;
                items.extend(page);
            }
        }
        let data: Vec<_> = items
            .iter()
            .map(|item| {
                json!({
                    "address": item.exact, "action": item.action, "outcome": item.outcome, "code": item.code,
                    "message": item.message,
                })
            })
            .collect();
        output::data(context, &json!({ "run": run.id, "errors": data }), || {
            let mut table = output::table(&["ADDRESS", "ACTION", "OUTCOME", "CODE", "MESSAGE"]);
            for item in &items {
                table.add_row([&item.exact, &item.action, &item.outcome, &item.code, &item.message]);
            }
            output::lines(&table)
        });
        if items.is_empty() {
            output::hint(context, "That run had no errors.");
            return Ok(Exit::Done);
        }
        output::hint(context, "Next: consentd consent show ADDRESS");
        Ok(Exit::SomeErrors)
    }
}

impl Diff {
    pub(super) async fn run(self, context: &Context, core: &Core, tenant: &Tenant) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        let Some(walked_at) = connection.walked_at else {
            return Err(CliError::new(Exit::NotAllowed, "never_walked", "the provider was never read completely")
                .hint(format!("Next: consentd sync plan {}", connection.slug)));
        };
        let mut found: BTreeMap<&str, i64> = BTreeMap::new();
        let mut after = MailboxId(Uuid::nil());
        loop {
            let page = core.store.differences(tenant.id, connection.id, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.mailbox;
            for difference in page {
                let word =
                    if difference.look.mailable() { "mailable_there_not_put_by_us" } else { "unsubscribed_there" };
                *found.entry(word).or_default() += 1;
            }
        }
        after = MailboxId(Uuid::nil());
        loop {
            let page = core.store.vanished(tenant.id, connection.id, after, PAGE, core.now()).await?;
            let Some(last) = page.last() else { break };
            after = *last;
            *found.entry("put_by_us_and_gone").or_default() += i64::try_from(page.len()).unwrap_or(0);
        }
        let mut stranger = String::new();
        loop {
            let page = core.store.strangers(tenant.id, connection.id, &stranger, PAGE).await?;
            let Some(last) = page.last() else { break };
            stranger.clone_from(&last.remote_id);
            *found.entry("unknown_here").or_default() += i64::try_from(page.len()).unwrap_or(0);
        }
        let data = json!({
            "connection": connection.slug, "walked_at": output::instant(walked_at), "differences": found,
        });
        output::data(context, &data, || {
            let mut table = output::table(&["DIFFERENCE", "PEOPLE"]);
            for (word, people) in &found {
                table.add_row([word.replace('_', " "), people.to_string()]);
            }
            let when = output::time(walked_at, &tenant.time_zone);
            if found.is_empty() { format!("no differences at the walk of {when}") } else { output::lines(&table) }
        });
        Ok(if found.is_empty() { Exit::Done } else { Exit::Drift })
    }
}
