//! `consentd serve`

use crate::cli::{CliError, Context, Exit};
use crate::store::Sole;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Run the daemon: web server, inbox, synchronisation and schedules.
///
/// Ends gracefully on SIGINT and SIGTERM.
///
/// Example: consentd serve --config /etc/consentd/consentd.toml
#[derive(Debug, Args)]
pub(super) struct Serve {}

impl Serve {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let config = context.config()?;
        crate::telemetry::logs(&config.log);
        // Held until the process ends.
        let _sole = Sole::claim(&config.database.url)?;
        let core = crate::app::open(&config).await?;
        let metrics = crate::telemetry::metrics().map_err(|error| {
            CliError::new(Exit::Unexpected, "metrics", format!("metrics cannot be collected: {error}"))
        })?;
        let listener = TcpListener::bind(&config.http.listen).await.map_err(|error| {
            let listen = &config.http.listen;
            let message = format!("cannot listen on {listen} (http.listen): {error}; choose another address or port");
            CliError::new(Exit::Unexpected, "cannot_listen", message)
        })?;
        let stop = signals().map_err(|error| {
            CliError::new(Exit::Unexpected, "signals", format!("signals cannot be listened to: {error}"))
        })?;
        let db = core.store.db.clone();
        let served = crate::app::serve(core, &config, listener, Some(metrics), stop).await;
        db.close().await;
        served.map_err(|error| CliError::new(Exit::Unexpected, "cannot_serve", error.to_string()))?;
        Ok(Exit::Done)
    }
}

/// Ends with the first signal that asks us to go.
fn signals() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
