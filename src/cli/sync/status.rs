//! `consentd sync status`

use super::report::Report;
use crate::cli::{CliError, Context, Exit, output};
use crate::service::Core;
use crate::store::Tenant;
use clap::Args;
use serde_json::{Value, json};

/// See [`super::SyncCommand::Status`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Status {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
    /// How many runs to show.
    #[arg(long, value_name = "RUNS", default_value_t = 10, value_parser = clap::value_parser!(i64).range(1..=1_000))]
    last: i64,
}

impl Status {
    pub(super) async fn run(self, context: &Context, core: &Core, tenant: &Tenant) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        let mut reports = Vec::new();
        for run in core.store.runs(tenant.id, connection.id, self.last).await? {
            reports.push(Report::of(core, &connection, &run).await?);
        }
        let late = core.now() - core.rules.withdrawal_alert;
        let (late, oldest) = core.store.late_withdrawals(tenant.id, connection.id, late).await?;
        let served = core.store.leased_until(tenant.id, connection.id).await? > core.now();
        let data = json!({
            "connection": connection.slug, "state": connection.state.word(), "state_reason": connection.state_reason,
            "served_by_a_daemon": served, "next_at": connection.next_at.map(output::instant),
            "late_withdrawals": late, "oldest_late_withdrawal": (late > 0).then(|| output::instant(oldest)),
            "runs": reports.iter().map(Report::json).collect::<Vec<Value>>(),
        });
        output::data(context, &data, || {
            let zone = &*tenant.time_zone;
            let mut facts = vec![
                ("connection", connection.slug.clone()),
                ("state", connection.state.word().to_owned()),
                ("daemon", if served { "has it" } else { "none has it now" }.to_owned()),
            ];
            if late > 0 {
                facts.push(("late withdrawals", format!("{late}, the oldest since {}", output::time(oldest, zone))));
            }
            let heads = ["ASKED FOR", "WHY", "STATE", "ADD", "UPDATE", "WITHDRAW", "LEAVE", "ERRORS", "NOTE"];
            let mut table = output::table(&heads);
            for report in &reports {
                let run = &report.run;
                let count = |action: &str| run.planned.get(action).copied().unwrap_or(0).to_string();
                let state = if run.dry { format!("{} (dry)", run.state) } else { run.state.clone() };
                let note = if run.error.is_empty() { &run.guard } else { &run.error };
                table.add_row([
                    output::time(run.requested_at, zone),
                    run.cause.clone(),
                    state.replace('_', " "),
                    count("add"),
                    count("update"),
                    count("withdraw"),
                    count("leave"),
                    report.errors().to_string(),
                    note.clone(),
                ]);
            }
            format!("{}\n{}", output::facts(&facts), output::lines(&table))
        });
        Ok(Exit::Done)
    }
}
