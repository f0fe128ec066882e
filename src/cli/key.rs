//! `consentd key …`

use crate::cli::{CliError, Context, Exit, output};
use clap::Subcommand;
use serde_json::json;

/// The master key that opens all stored secrets.
///
/// Example: consentd key rotate
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Seal every tenant's key with the current master key.
    ///
    /// Before: stop the daemons; move the old key file aside, for example to consentd.key.old; run `consentd init` in the
    /// same folder, which writes a new consentd.key and leaves the configuration alone; list the old file in
    /// keys.old_files. Then run this command; it may be repeated. After: take the old file out of keys.old_files, start
    /// the daemons, and keep the old file as long as backups from before are kept: only it opens them.
    ///
    /// Example: consentd key rotate
    Rotate,
}

impl KeyCommand {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let core = context.core().await?;
        let old_files = context.config()?.keys.old_files;
        let Self::Rotate = self;
        let changed = core.store.rewrap_tenants(&*core.random).await?;
        output::data(context, &json!({ "rewrapped": changed, "old_files": old_files }), || match changed {
            0 => "every tenant's key is sealed with the current master key already".to_owned(),
            changed => format!("sealed the keys of {changed} tenants with the current master key"),
        });
        for file in old_files {
            let hint = format!(
                "Next: take {} out of keys.old_files; keep the file as long as backups from before are kept.",
                file.display()
            );
            output::hint(context, &hint);
        }
        Ok(Exit::Done)
    }
}
