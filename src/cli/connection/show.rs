//! `consentd connection list` and `show`

use crate::cli::{CliError, Context, Exit, output};
use crate::service::{Core, ServiceError};
use crate::store::{Connection, Purpose, Tenant};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// See [`super::ConnectionCommand::Show`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
}

/// A connection as it is shown: never its secrets.
pub(super) struct Shown<'a> {
    pub(super) connection: &'a Connection,
    pub(super) purpose: &'a Purpose,
}

impl Shown<'_> {
    pub(super) fn json(&self) -> Value {
        let c = self.connection;
        json!({
            "connection": c.slug, "id": c.id, "provider": c.provider, "base_url": c.base_url, "list": c.list,
            "purpose": self.purpose.slug, "options": c.options, "mapping": c.mapping, "cron": c.cron,
            "time_zone": c.time_zone, "next_at": c.next_at.map(output::instant), "guard_percent": c.guard_percent,
            "guard_count": c.guard_count, "state": c.state.word(), "state_reason": c.state_reason,
            "walked_at": c.walked_at.map(output::instant), "failures": c.failures,
            "created_at": output::instant(c.created_at),
        })
    }

    pub(super) fn text(&self, zone: &str) -> String {
        let c = self.connection;
        let pairs = |map: &BTreeMap<String, String>| {
            map.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        let schedule = match c.next_at {
            Some(next) => format!("{} ({}), next {}", c.cron, c.time_zone, output::time(next, &c.time_zone)),
            None => "on demand only".to_owned(),
        };
        let reason = if c.state_reason.is_empty() { String::new() } else { format!(" ({})", c.state_reason) };
        output::facts(&[
            ("connection", c.slug.clone()),
            ("provider", format!("{} at {}", c.provider, c.base_url)),
            ("credentials", "set, never shown".into()),
            ("state", format!("{}{reason}", c.state.word())),
            ("list", if c.list.is_empty() { "none yet".to_owned() } else { c.list.clone() }),
            ("purpose", self.purpose.slug.clone()),
            ("mapping", pairs(&c.mapping)),
            ("options", pairs(&c.options)),
            ("schedule", schedule),
            ("guard", format!("{} % and {} people", c.guard_percent, c.guard_count)),
            ("last walk", c.walked_at.map_or_else(|| "never".to_owned(), |at| output::time(at, zone))),
        ])
    }
}

/// The purpose of a connection.
pub(super) async fn purpose_of(core: &Core, tenant: &Tenant, connection: &Connection) -> Result<Purpose, CliError> {
    let purposes = core.store.purposes(tenant.id).await?;
    let own = purposes.into_iter().find(|purpose| purpose.id == connection.purpose);
    Ok(own.ok_or(ServiceError::NotFound("such purpose"))?)
}

pub(super) async fn list(context: &Context, core: &Core, tenant: &Tenant) -> Result<Exit, CliError> {
    let connections = core.store.connections(tenant.id).await?;
    let purposes = core.store.purposes(tenant.id).await?;
    let shown: Vec<Shown<'_>> = connections
        .iter()
        .filter_map(|connection| {
            let purpose = purposes.iter().find(|purpose| purpose.id == connection.purpose)?;
            Some(Shown { connection, purpose })
        })
        .collect();
    output::data(context, &shown.iter().map(Shown::json).collect::<Vec<_>>(), || {
        let mut table = output::table(&["CONNECTION", "PROVIDER", "STATE", "LIST", "PURPOSE", "SCHEDULE"]);
        for Shown { connection: c, purpose } in &shown {
            table.add_row([&*c.slug, &c.provider, c.state.word(), &c.list, &purpose.slug, &c.cron]);
        }
        output::lines(&table)
    });
    Ok(Exit::Done)
}

impl Show {
    pub(super) async fn run(self, context: &Context, core: &Core, tenant: &Tenant) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        let purpose = purpose_of(core, tenant, &connection).await?;
        let held: BTreeMap<String, i64> = core.store.held_counts(tenant.id, connection.id).await?.into_iter().collect();
        let withdrawals: BTreeMap<String, i64> =
            core.store.withdrawal_counts(tenant.id, connection.id).await?.into_iter().collect();
        let seen = core.store.remote_summary(tenant.id, connection.id).await?;
        let hooks: Value = serde_json::from_str(&connection.hooks_state).unwrap_or(Value::Null);
        let shown = Shown { connection: &connection, purpose: &purpose };
        let mut data = shown.json();
        if let Value::Object(fields) = &mut data {
            fields.insert("held".into(), json!(held));
            fields.insert("withdrawals".into(), json!(withdrawals));
            fields.insert("seen_at_provider".into(), json!(seen));
            fields.insert("webhooks".into(), hooks.clone());
        }
        output::data(context, &data, || {
            let words = |counts: &BTreeMap<String, i64>| {
                counts.iter().map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>().join(", ")
            };
            let healthy = match hooks.get("healthy").and_then(Value::as_bool) {
                Some(true) => "healthy at the last look",
                Some(false) => "not healthy; see `consentd connection hooks`",
                None => "never looked at; see `consentd connection hooks`",
            };
            let seen = format!(
                "{} contacts, {} on the list, {} of them mailable, {} blocked",
                seen.contacts, seen.on_list, seen.mailable, seen.blocked
            );
            shown.text(&tenant.time_zone)
                + &output::facts(&[
                    ("believed", words(&held)),
                    ("seen", seen),
                    ("withdrawals", words(&withdrawals)),
                    ("webhooks", healthy.to_owned()),
                ])
        });
        Ok(Exit::Done)
    }
}
