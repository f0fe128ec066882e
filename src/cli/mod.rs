//! The command line: one file a command, nouns then verbs. Data goes to standard output, everything else to standard
//! error; exit codes are listed at [`Exit`].

mod context;
mod error;
mod init;
mod migrate;
mod output;
mod serve;

pub use context::Context;
pub use error::{CliError, Exit};

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Holds the consent store between a CRM and a tenant's own Mailjet or Brevo account.
///
/// Begin with `consentd init`, or watch everything at work with `consentd demo`.
#[derive(Debug, Parser)]
#[command(name = "consentd", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub struct Global {
    /// The configuration file; consentd.toml in this folder when there is one.
    #[arg(long, global = true, value_name = "FILE", env = "CONSENTD_CONFIG")]
    pub config: Option<PathBuf>,
    /// The tenant, by its short name; may be left out when there is only one.
    #[arg(long, global = true, value_name = "SLUG", env = "CONSENTD_TENANT")]
    pub tenant: Option<String>,
    /// One JSON document on standard output instead of tables.
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress and no hints.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// More log lines on standard error.
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// Never ask; commands that need a confirmation end with code 2 unless --yes is given.
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Answer every confirmation with yes.
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// Who acts, for the history; the name of the system's user when left out.
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub who: Option<String>,
    /// The language of names that people see: de, fr, en, es.
    #[arg(long, global = true, value_name = "LANG", default_value = "en")]
    pub lang: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a configuration and a master key to begin with.
    Init(init::Init),
    /// Run the daemon.
    Serve(serve::Serve),
    /// Bring the database schema up to date.
    Migrate(migrate::Migrate),
}

/// Parses, runs, and turns what came of it into an exit code.
pub async fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(words) => {
            let exit = if words.use_stderr() { Exit::Usage } else { Exit::Done };
            // Without a terminal to print to there is nobody to tell.
            drop(words.print());
            return exit.into();
        }
    };
    let context = Context::new(cli.global);
    let result = match cli.command {
        Command::Init(command) => command.run(&context),
        Command::Serve(command) => command.run(&context).await,
        Command::Migrate(command) => command.run(&context).await,
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::failure(&context, &error);
            error.exit.into()
        }
    }
}
