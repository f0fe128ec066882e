//! The queues, and each tenant: its key, its text, its history against the clock, its incidents.

use super::{Findings, connections};
use crate::cli::{CliError, Context};
use crate::clock::{Clock, MINUTE, SystemClock, Timestamp};
use crate::service::Core;
use crate::store::{Store, Tenant};

pub(super) async fn examine(
    context: &Context,
    core: &Core,
    offline: bool,
    found: &mut Findings,
) -> Result<(), CliError> {
    inbox(core, found).await?;
    let tenants = match &context.global.tenant {
        Some(slug) => vec![core.tenant(slug).await?.0],
        None => core.store.tenants().await?,
    };
    if tenants.is_empty() {
        found.warn("tenants", "there is none", "create one with `consentd tenant create`");
    }
    for tenant in tenants {
        let check = format!("tenant {}", tenant.slug);
        let key = match core.store.key_of(&tenant) {
            Ok(key) => key,
            Err(error) => {
                let remedy = "put the master key back that sealed it, or list it in keys.old_files";
                found.wrong(&check, CliError::from(error).message, remedy);
                continue;
            }
        };
        clock(&core.store, &tenant, found).await?;
        purposes(core, &tenant, &check, found).await?;
        let open = core.store.incidents(tenant.id, 10_000).await?.len();
        match open {
            0 => found.ok(&check, "its key opens, and no incident is open"),
            open => found.warn(&check, format!("{open} incidents are open"), "see `consentd incident list`"),
        }
        connections::examine(core, &tenant, &key, offline, found).await?;
    }
    Ok(())
}

/// What people are asked must be written.
async fn purposes(core: &Core, tenant: &Tenant, check: &str, found: &mut Findings) -> Result<(), CliError> {
    for purpose in core.store.purposes(tenant.id).await? {
        if purpose.body.trim().is_empty() {
            let remedy = format!("write it with `consentd purpose set {}`", purpose.slug);
            found.wrong(check, format!("purpose {} has no text to agree to", purpose.slug), remedy);
        }
    }
    Ok(())
}

/// Deliveries that nobody reads, and deliveries that nobody could read.
async fn inbox(core: &Core, found: &mut Findings) -> Result<(), CliError> {
    let counts = core.store.inbox_counts().await?;
    let of = |word: &str| counts.iter().find(|count| count.state == word);
    match of("new") {
        Some(new) if core.now() - new.oldest > 5 * MINUTE => {
            let detail = format!("{} deliveries wait to be read, the oldest for minutes", new.deliveries);
            found.wrong("inbox", detail, "start `consentd serve`");
        }
        _ => found.ok("inbox", "nothing waits for long"),
    }
    let aside: i64 = ["quarantined", "failed"].iter().filter_map(|word| of(word)).map(|count| count.deliveries).sum();
    if aside > 0 {
        let remedy = "see `consentd webhook list --state quarantined` and `--state failed`";
        found.warn("inbox", format!("{aside} deliveries were put aside"), remedy);
    }
    Ok(())
}

/// A clock behind the history dates new lines before old ones.
async fn clock(store: &Store, tenant: &Tenant, found: &mut Findings) -> Result<(), CliError> {
    let head = store.head(tenant.id).await?;
    let newest = store.lines_after(tenant.id, head.seq - 1, 1).await?;
    let newest: Timestamp = newest.first().map_or(tenant.created_at, |line| line.header.at);
    if newest > SystemClock.now() + MINUTE {
        let detail = format!("it is behind the history of {}", tenant.slug);
        found.wrong("clock", detail, "synchronise this machine's clock (NTP)");
    } else {
        found.ok("clock", format!("not behind the history of {}", tenant.slug));
    }
    Ok(())
}
