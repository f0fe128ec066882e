//! Each connection: what waits, what stands still, and what the provider says.

use super::Findings;
use crate::cli::CliError;
use crate::clock::{DAY, HOUR, Timestamp};
use crate::service::Core;
use crate::store::{Connection, ConnectionState, RunState, Tenant, TenantKey};
use consentd_provider::HookMode;

/// A connection that nobody confirmed for so long was forgotten.
const FORGOTTEN: Timestamp = 7 * DAY;

pub(super) async fn examine(
    core: &Core,
    tenant: &Tenant,
    key: &TenantKey,
    offline: bool,
    found: &mut Findings,
) -> Result<(), CliError> {
    let connections = core.store.connections(tenant.id).await?;
    twins(tenant, &connections, found);
    for connection in &connections {
        one(core, tenant, key, connection, offline, found).await?;
    }
    Ok(())
}

/// Two connections that manage one list take each other's people off.
fn twins(tenant: &Tenant, connections: &[Connection], found: &mut Findings) {
    let place = |c: &Connection| (c.provider.clone(), c.base_url.clone(), c.list.clone());
    for (n, one) in connections.iter().enumerate().filter(|(_, one)| !one.list.is_empty()) {
        for other in connections.iter().skip(n + 1).filter(|other| place(other) == place(one)) {
            let check = format!("connection {}/{}", tenant.slug, one.slug);
            let detail = format!(
                "{} has the same list; if the account is the same, each takes off the other's people",
                other.slug
            );
            found.warn(
                &check,
                detail,
                format!("give {} a list of its own with `consentd connection bind {}`", other.slug, other.slug),
            );
        }
    }
}

async fn one(
    core: &Core,
    tenant: &Tenant,
    key: &TenantKey,
    connection: &Connection,
    offline: bool,
    found: &mut Findings,
) -> Result<(), CliError> {
    let slug = &connection.slug;
    let check = format!("connection {}/{slug}", tenant.slug);
    let since = core.now() - core.rules.withdrawal_alert;
    let (late, _) = core.store.late_withdrawals(tenant.id, connection.id, since).await?;
    if late > 0 {
        let remedy = format!("see that a daemon runs and that `consentd connection test {slug}` succeeds");
        found.wrong(&check, format!("{late} withdrawals are not in effect in time"), remedy);
    }
    if connection.list.is_empty() {
        found.warn(&check, "it has no list", format!("bind one with `consentd connection bind {slug}`"));
    }
    standing(core, connection, &check, found).await?;
    if offline {
        return Ok(());
    }
    match core.test_connection(connection, key).await {
        Ok(wrong) if wrong.is_empty() => found.ok(&check, "the provider accepts credentials, list and fields"),
        Ok(wrong) => wrong.into_iter().for_each(|sentence| found.wrong(&check, sentence, "")),
        Err(error) => {
            let remedy = format!("see `consentd connection test {slug}`, or `consentd connection credentials {slug}`");
            found.wrong(&check, CliError::from(error).message, remedy);
            return Ok(());
        }
    }
    let remedy = format!("put them right with `consentd connection hooks {slug} --repair`");
    match core.hooks(connection, key, HookMode::Inspect).await {
        Ok(state) if state.healthy => found.ok(&check, "its webhooks are registered"),
        Ok(_) => found.wrong(&check, "its webhooks do not reach this daemon", remedy),
        Err(error) => found.wrong(&check, CliError::from(error).message, remedy),
    }
    Ok(())
}

/// What stands still: nobody confirmed it, somebody paused it, no daemon serves it.
async fn standing(core: &Core, connection: &Connection, check: &str, found: &mut Findings) -> Result<(), CliError> {
    let (slug, now) = (&connection.slug, core.now());
    match connection.state {
        ConnectionState::Shadow if now - connection.created_at > FORGOTTEN => {
            let remedy = format!("look at `consentd sync plan {slug}`, then `consentd sync confirm {slug}`");
            found.warn(check, "it only plans: its first run was never confirmed", remedy);
        }
        ConnectionState::Paused => {
            let remedy = format!("`consentd connection resume {slug}` when the reason is gone");
            found.warn(check, format!("it is paused: {}", connection.state_reason), remedy);
        }
        ConnectionState::Suspended => {
            let remedy = format!("`consentd connection credentials {slug}`");
            found.wrong(check, format!("the provider refuses it: {}", connection.state_reason), remedy);
        }
        ConnectionState::Shadow | ConnectionState::Active => {}
    }
    let open = core.store.open_run(connection.tenant, connection.id).await?;
    if let Some(run) = &open
        && run.state == RunState::AwaitingConfirmation
    {
        let remedy = format!("look at `consentd sync status {slug}`, then `consentd sync confirm {slug}` or cancel it");
        found.warn(check, "a run waits for a person to confirm it; new consents wait behind it", remedy);
    }
    if connection.state != ConnectionState::Active {
        return Ok(());
    }
    if open.is_none() && connection.next_at.is_some_and(|at| now - at > HOUR) {
        found.wrong(check, "its schedule is overdue for more than an hour", "see that a daemon runs: `consentd serve`");
    }
    if connection.walked_at.is_some_and(|at| now - at > 2 * core.rules.walk_every) {
        let remedy = format!("see that a daemon runs, and `consentd sync errors {slug}`");
        found.wrong(check, "the provider was not walked for twice the time of rules.walk_every_hours", remedy);
    }
    Ok(())
}
