//! `consentd migrate`

use crate::app;
use crate::cli::{CliError, Context, Exit, output};
use clap::Args;

/// Bring the database schema up to date.
///
/// Several daemons may be running; steps are applied once. Make a backup first.
///
/// Example: consentd migrate --check
#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Only show what is missing; code 4 when something is.
    #[arg(long)]
    check: bool,
}

impl Migrate {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let db = app::database(&context.config()?).await?;
        let pending = db.pending().await?;
        let names: Vec<String> = pending.iter().map(|step| format!("{:04} {}", step.version, step.name)).collect();
        if !self.check {
            db.migrate().await?;
        }
        output::data(context, &serde_json::json!({ "steps": names, "applied": !self.check }), || {
            match names.as_slice() {
                [] => "The schema is current.".to_owned(),
                names => format!("{} {}", if self.check { "missing:" } else { "applied:" }, names.join(", ")),
            }
        });
        Ok(if self.check && !names.is_empty() { Exit::NotAllowed } else { Exit::Done })
    }
}
