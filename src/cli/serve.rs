//! `consentd serve`

use crate::cli::{CliError, Context, Exit};
use clap::Args;

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
        let _core = crate::app::open(&config).await?;
        Ok(Exit::Done)
    }
}
