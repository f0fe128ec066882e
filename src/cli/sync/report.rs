//! A run as it is shown.

use crate::cli::{CliError, output};
use crate::service::Core;
use crate::service::sync::{Outlook, RunReport};
use crate::store::{Connection, Run};
use serde_json::{Value, json};

/// A run with its plan.
pub(super) struct Report {
    connection: String,
    pub(super) run: RunReport,
    pub(super) outlook: Outlook,
}

impl Report {
    pub(super) async fn of(core: &Core, connection: &Connection, run: &Run) -> Result<Self, CliError> {
        Ok(Self {
            connection: connection.slug.clone(),
            run: core.report(run).await?,
            outlook: core.outlook(connection, run).await?,
        })
    }

    /// People to whom something would be done.
    pub(super) fn changes(&self) -> i64 {
        self.run.planned.values().sum()
    }

    /// People whom the provider or the read-back refused.
    pub(super) fn errors(&self) -> i64 {
        ["refused", "failed"].iter().filter_map(|word| self.run.outcomes.get(*word)).sum()
    }

    pub(super) fn json(&self) -> Value {
        let r = &self.run;
        json!({
            "connection": self.connection, "run": r.id, "state": r.state, "cause": r.cause, "dry": r.dry,
            "guard": r.guard, "error": r.error, "people": r.people, "planned": self.outlook.actions,
            "skipped": r.skipped, "outcomes": r.outcomes, "seen_at_provider": self.outlook.provider,
            "strangers": self.outlook.strangers, "on_list_without_consent": self.outlook.without_consent,
            "requested_at": output::instant(r.requested_at), "finished_at": r.finished_at.map(output::instant),
        })
    }

    /// The plan in plain numbers.
    pub(super) fn plan(&self) -> String {
        let mut table = output::table(&["ACTION", "REASON", "PEOPLE"]);
        for (action, reasons) in &self.outlook.actions {
            for (reason, people) in reasons {
                table.add_row([action.clone(), reason.replace('_', " "), people.to_string()]);
            }
        }
        for (reason, people) in &self.outlook.skipped {
            table.add_row(["leave alone".to_owned(), reason.replace('_', " "), people.to_string()]);
        }
        let seen = &self.outlook.provider;
        format!(
            "{}\npeople looked at: {}\non the provider's list: {}, of them mailable: {}\non the list without consent here: {}\n",
            output::lines(&table),
            self.run.people,
            seen.on_list,
            seen.mailable,
            self.outlook.without_consent,
        )
    }

    /// The run from its state to its outcome.
    pub(super) fn text(&self, zone: &str) -> String {
        let r = &self.run;
        let what = if r.dry { "dry run" } else { "run" };
        let begun = output::time(r.requested_at, zone);
        let mut text =
            format!("{what} {} of {}: {}, asked for {begun}\n", r.id, self.connection, r.state.replace('_', " "));
        if !r.guard.is_empty() {
            let waits = if r.state == "awaiting_confirmation" { "waits for a person" } else { "needed a person" };
            let more = format!("{waits}: {}\n", r.guard);
            text += &more;
        }
        if !r.error.is_empty() {
            let more = format!("failed: {}\n", r.error);
            text += &more;
        }
        let more = format!("\n{}", self.plan());
        text += &more;
        if !r.dry && !r.outcomes.is_empty() {
            let outcomes: Vec<String> = r.outcomes.iter().map(|(word, people)| format!("{word} {people}")).collect();
            let more = format!("outcome: {}\n", outcomes.join(", "));
            text += &more;
        }
        text
    }
}
