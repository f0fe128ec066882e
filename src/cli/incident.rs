//! `consentd incident …`

use crate::cli::{CliError, Context, Exit, output};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// What a person should see: drift, tasks, alarms.
///
/// Example: consentd incident list
#[derive(Debug, Subcommand)]
pub(super) enum IncidentCommand {
    /// List what is open.
    ///
    /// Example: consentd incident list --json
    List,
    /// Close what was looked at. What is still so is raised again.
    ///
    /// Example: consentd incident close mail deleted_at_provider
    Close(Close),
}

#[derive(Debug, Args)]
pub(super) struct Close {
    /// The connection.
    connection: String,
    /// The kind, as `incident list` names it.
    kind: String,
}

/// More incidents than anybody reads at once.
const MOST: i64 = 10_000;

impl IncidentCommand {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let core = context.core().await?;
        let (tenant, _) = context.tenant(&core).await?;
        let open = core.store.incidents(tenant.id, MOST).await?;
        match self {
            Self::List => {
                let connections = core.store.connections(tenant.id).await?;
                let slug = |id| connections.iter().find(|own| own.id == id).map_or("", |own| own.slug.as_str());
                let data: Vec<Value> = open
                    .iter()
                    .map(|incident| {
                        json!({
                            "connection": slug(incident.connection), "kind": incident.kind, "subject": incident.subject,
                            "detail": incident.detail, "count": incident.count,
                            "opened_at": output::instant(incident.opened_at), "seen_at": output::instant(incident.seen_at),
                        })
                    })
                    .collect();
                output::data(context, &data, || {
                    let mut table = output::table(&["SINCE", "LAST SEEN", "CONNECTION", "KIND", "TIMES", "WHAT"]);
                    for incident in &open {
                        table.add_row([
                            output::time(incident.opened_at, &tenant.time_zone),
                            output::time(incident.seen_at, &tenant.time_zone),
                            slug(incident.connection).to_owned(),
                            incident.kind.clone(),
                            incident.count.to_string(),
                            incident.detail.clone(),
                        ]);
                    }
                    if open.is_empty() { "nothing is open".to_owned() } else { output::lines(&table) }
                });
            }
            Self::Close(close) => {
                let connection = core.find_connection(&tenant, &close.connection).await?;
                let mine: Vec<_> = open
                    .iter()
                    .filter(|incident| incident.connection == connection.id && incident.kind == close.kind)
                    .collect();
                if mine.is_empty() {
                    return Err(CliError::new(Exit::NotFound, "not_found", "no such incident is open")
                        .hint("Nothing was changed. Next: consentd incident list"));
                }
                let mut tx = core.store.begin().await?;
                for incident in &mine {
                    tx.settle_incident(tenant.id, connection.id, &incident.kind, incident.subject, core.now()).await?;
                }
                tx.commit().await?;
                output::data(context, &json!({ "closed": mine.len() }), || format!("closed {}", mine.len()));
            }
        }
        Ok(Exit::Done)
    }
}
