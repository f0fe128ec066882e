//! Waiting for a run: while a daemon works on it, or by working on it here.

use super::report::Report;
use crate::cli::{CliError, Context, Exit, output};
use crate::clock::SECOND;
use crate::service::claim::Claim;
use crate::service::{Core, ServiceError};
use crate::store::{Connection, ConnectionState, Run, RunState, Tenant};
use clap::Args;
use std::time::Duration;

/// Who works, and whether this command waits for it.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Following {
    /// Wait until the run ends or needs a person, even when no daemon has the connection yet.
    #[arg(long)]
    wait: bool,
    /// Do the work in this process. Refused while a daemon has the connection.
    #[arg(long)]
    here: bool,
}

const TICK: Duration = Duration::from_millis(500);

/// Failed attempts in a row after which working here is given up.
const FAILURES: i64 = 3;

impl Following {
    /// Sees a run through, as far as that was asked for, and shows it.
    pub(super) async fn see(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        connection: &Connection,
        run: Run,
    ) -> Result<Exit, CliError> {
        let served = core.store.leased_until(tenant.id, connection.id).await? > core.now();
        if self.here {
            work(context, core, connection, &run).await?;
        } else if self.wait || served {
            watch(context, core, connection, &run).await?;
        }
        let run = core.store.run(tenant.id, run.id).await?.unwrap_or(run);
        let report = Report::of(core, connection, &run).await?;
        output::data(context, &report.json(), || report.text(&tenant.time_zone));
        match run.state {
            RunState::Failed => {
                let hint = format!("What was written stays. Next: consentd sync status {}", connection.slug);
                return if context.global.json {
                    Ok(Exit::NotAllowed)
                } else {
                    Err(CliError::new(Exit::NotAllowed, "run_failed", run.error).hint(hint))
                };
            }
            RunState::AwaitingConfirmation => {
                output::hint(context, &format!("Next: consentd sync confirm {}", connection.slug));
            }
            state if !state.is_over() && !served && !self.here => {
                let hint = "No daemon has this connection now: start `consentd serve`, or add --here to do the work in this command.";
                output::hint(context, hint);
            }
            _ => {}
        }
        if report.errors() > 0 {
            output::hint(context, &format!("Next: consentd sync errors {}", connection.slug));
            return Ok(Exit::SomeErrors);
        }
        Ok(Exit::Done)
    }
}

const fn is_at_rest(run: &Run) -> bool {
    run.state.is_over() || matches!(run.state, RunState::AwaitingConfirmation)
}

/// Looks until a daemon is done with the run.
async fn watch(context: &Context, core: &Core, connection: &Connection, run: &Run) -> Result<(), CliError> {
    let mut progress = output::Progress::new(context);
    loop {
        let Some(now) = core.store.run(run.tenant, run.id).await? else { return Ok(()) };
        if is_at_rest(&now) {
            progress.end();
            return Ok(());
        }
        tell(core, &mut progress, &now).await?;
        tokio::select! {
            () = core.clock.sleep(TICK) => {}
            _ = tokio::signal::ctrl_c() => {
                let hint = format!("The run goes on. Next: consentd sync status {}", connection.slug);
                return Err(CliError::new(Exit::Interrupted, "interrupted", "no longer waiting").hint(hint));
            }
        }
    }
}

/// Works on the connection here, under the lease that a daemon would hold.
async fn work(context: &Context, core: &Core, connection: &Connection, run: &Run) -> Result<(), CliError> {
    let owner = core.id();
    let Some(claim) = core.claim(connection.account, owner).await? else {
        return Err(CliError::new(Exit::NotAllowed, "leased", "a daemon works for this account already")
            .hint("The run was asked for and the daemon does it. Next: the same command without --here"));
    };
    core.adopt(connection.id, &claim).await?;
    let worked = tokio::select! {
        worked = rounds(context, core, connection, run, &claim) => worked,
        () = core.keep(&claim) => Err(ServiceError::TakenOver.into()),
        _ = tokio::signal::ctrl_c() => {
            let hint = format!("A daemon, or --here again, goes on with it. Next: consentd sync status {}", connection.slug);
            Err(CliError::new(Exit::Interrupted, "interrupted", "the run was left as it is").hint(hint))
        }
    };
    core.release(owner).await?;
    worked
}

async fn rounds(
    context: &Context,
    core: &Core,
    connection: &Connection,
    run: &Run,
    claim: &Claim,
) -> Result<(), CliError> {
    let mut progress = output::Progress::new(context);
    loop {
        let worked = core.work(connection.id, claim).await?;
        let Some(now) = core.store.run(run.tenant, run.id).await? else { return Ok(()) };
        if is_at_rest(&now) && !worked {
            progress.end();
            return Ok(());
        }
        tell(core, &mut progress, &now).await?;
        if !worked {
            give_up_on_trouble(core, connection).await?;
            core.clock.sleep(TICK).await;
        }
    }
}

/// Ends when the provider does not let us in or does not answer; the run stays open.
async fn give_up_on_trouble(core: &Core, connection: &Connection) -> Result<(), CliError> {
    let Some(now) = core.store.connection(connection.id).await? else { return Ok(()) };
    let incidents = core.store.incidents(connection.tenant, 1_000).await?;
    let refused = incidents.iter().any(|incident| incident.connection == now.id && incident.kind == "suspended");
    if refused || now.state == ConnectionState::Suspended {
        return Err(CliError::new(Exit::NotAuthorised, "credentials", "the provider refuses the credentials")
            .hint(format!("The run stays open. Next: consentd connection credentials {}", now.slug)));
    }
    if now.failures >= FAILURES {
        let wait = (now.backoff_until - core.now()).max(0) / SECOND;
        return Err(CliError::new(Exit::Unreachable, "provider", "the provider does not answer as it should").hint(
            format!("The run stays open; try again in {wait} seconds. Next: consentd connection test {}", now.slug),
        ));
    }
    Ok(())
}

async fn tell(core: &Core, progress: &mut output::Progress, run: &Run) -> Result<(), CliError> {
    let report = core.report(run).await?;
    let open = report.outcomes.get("open").copied().unwrap_or(0);
    let planned: i64 = report.planned.values().sum();
    let words = format!("{}: {} of {planned} done", run.state.word().replace('_', " "), planned - open);
    progress.tick(core.now(), &words);
    Ok(())
}
