//! `consentd demo`

use crate::cli::{CliError, Context, Exit};
use crate::config::{Format, Log};
use crate::demo::{Play, play};
use clap::Args;
use std::path::PathBuf;

/// Watch the main job happen: two tenants, two emulated providers, thousands of invented people.
///
/// Needs nothing and touches nothing but a folder, which it names. Ends by itself, with code 0 when all numbers agree.
///
/// Example: consentd demo --stay
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Go on running at the end, to look around; Ctrl-C ends it.
    #[arg(long)]
    stay: bool,
    /// Rows of each tenant's customer file.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(300..=200_000))]
    contacts: u32,
    /// Where to put database, key and files; a new temporary folder when left out.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Demo {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let filter = if context.global.verbose { "consentd=info,warn" } else { "error" };
        crate::telemetry::logs(&Log { format: Format::Human, filter: filter.into() });
        let asked = Play {
            contacts: usize::try_from(self.contacts).unwrap_or(usize::MAX),
            folder: self.folder,
            stay: self.stay,
            quiet: context.global.quiet,
        };
        match play(&asked).await {
            Ok(true) => Ok(Exit::Done),
            Ok(false) => Err(CliError::new(Exit::Unexpected, "numbers", "the numbers of the demo do not agree")),
            Err(error) => Err(CliError::new(Exit::Unexpected, "demo", format!("{error:#}"))),
        }
    }
}
