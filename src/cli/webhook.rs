//! `consentd webhook …`

use crate::cli::{CliError, Context, Exit, output};
use crate::domain::ids::InboxId;
use crate::service::ServiceError;
use crate::store::{Connection, KeptDelivery};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

/// What providers delivered.
///
/// Example: consentd webhook list --state quarantined
#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
    /// List the newest deliveries.
    ///
    /// Example: consentd webhook list --state failed --last 20
    List(List),
    /// Show one delivery exactly as it came. It may hold addresses.
    ///
    /// Example: consentd webhook show 0199f2c4-7d5e-7c3a-9b1f-2f6d1c0a8e55
    Show(Show),
    /// Have a delivery read again, or all that could not be read. What was applied is not applied twice.
    ///
    /// A daemon does the reading.
    ///
    /// Example: consentd webhook replay --all
    Replay(Replay),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only deliveries in this state.
    #[arg(long)]
    state: Option<DeliveryState>,
    /// How many.
    #[arg(long, value_name = "DELIVERIES", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    last: i64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DeliveryState {
    /// Waiting to be read.
    New,
    /// Read and applied.
    Done,
    /// Kept, not understood.
    Quarantined,
    /// Could not be applied.
    Failed,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The delivery's id.
    id: Uuid,
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The delivery's id.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<Uuid>,
    /// All that are quarantined or failed.
    #[arg(long)]
    all: bool,
}

impl WebhookCommand {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let core = context.core().await?;
        let (tenant, _) = context.tenant(&core).await?;
        let connections = core.store.connections(tenant.id).await?;
        match self {
            Self::List(list) => {
                let state = match list.state {
                    None => "",
                    Some(DeliveryState::New) => "new",
                    Some(DeliveryState::Done) => "done",
                    Some(DeliveryState::Quarantined) => "quarantined",
                    Some(DeliveryState::Failed) => "failed",
                };
                let deliveries = core.store.deliveries(tenant.id, state, list.last).await?;
                let data: Vec<Value> = deliveries.iter().map(|delivery| shown(delivery, &connections)).collect();
                output::data(context, &data, || {
                    let heads = ["DELIVERY", "RECEIVED", "CONNECTION", "STATE", "BYTES", "TRIES", "REPEATS", "NOTE"];
                    let mut table = output::table(&heads);
                    for d in &deliveries {
                        table.add_row([
                            d.id.to_string(),
                            output::time(d.received_at, &tenant.time_zone),
                            slug(d, &connections).to_owned(),
                            d.state.clone(),
                            d.body.len().to_string(),
                            d.attempts.to_string(),
                            d.repeats.to_string(),
                            d.note.clone(),
                        ]);
                    }
                    output::lines(&table)
                });
            }
            Self::Show(show) => {
                let found = core.store.delivery(tenant.id, InboxId(show.id)).await?;
                let delivery = found.ok_or(ServiceError::NotFound("such delivery"))?;
                let mut data = shown(&delivery, &connections);
                let body = String::from_utf8_lossy(&delivery.body).into_owned();
                if let Value::Object(fields) = &mut data {
                    fields.insert("body".into(), Value::String(body.clone()));
                }
                output::data(context, &data, || body);
            }
            Self::Replay(replay) => {
                let replayed = core.replay(&tenant, replay.id.map(InboxId)).await?;
                if let (0, Some(_)) = (replayed, replay.id) {
                    return Err(ServiceError::NotFound("such delivery that was read already").into());
                }
                output::data(context, &json!({ "replayed": replayed }), || {
                    format!("{replayed} deliveries are read again by the daemon")
                });
            }
        }
        Ok(Exit::Done)
    }
}

fn slug<'a>(delivery: &KeptDelivery, connections: &'a [Connection]) -> &'a str {
    connections.iter().find(|connection| connection.id == delivery.connection).map_or("", |connection| &connection.slug)
}

fn shown(delivery: &KeptDelivery, connections: &[Connection]) -> Value {
    json!({
        "delivery": delivery.id, "received_at": output::instant(delivery.received_at),
        "connection": slug(delivery, connections), "state": delivery.state, "note": delivery.note,
        "bytes": delivery.body.len(), "attempts": delivery.attempts, "repeats": delivery.repeats,
    })
}
