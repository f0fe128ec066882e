//! The command line: one file a command, nouns then verbs. Data goes to standard output, everything else to standard
//! error; exit codes are listed at [`Exit`].

#![expect(clippy::doc_markdown, reason = "the help shows these comments as they are")]

mod audience;
mod completions;
mod connection;
mod consent;
mod context;
mod demo;
mod doctor;
mod error;
mod import;
mod incident;
mod init;
mod key;
mod migrate;
mod output;
mod purpose;
mod sandbox;
mod serve;
mod sync;
mod tenant;
mod verify;
mod webhook;

pub use context::Context;
pub use error::{CliError, Exit};

use crate::domain::consent::Language;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Holds the consent store between a CRM and a tenant's own Mailjet or Brevo account.
///
/// Begin with `consentd init`, or watch everything at work with `consentd demo`.
///
/// Exit codes: 0 done, 1 unexpected, 2 usage or confirmation missing, 3 not found, 4 not allowed now, 5 not authorised,
/// 6 unreachable, try again, 7 finished with some errors, 8 history broken, 9 differences found, 130 interrupted.
///
/// Example: consentd init
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
    #[arg(long, global = true, value_name = "LANG", default_value = "en", value_parser = tenant::language)]
    pub lang: Language,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Serve(serve::Serve),
    Migrate(migrate::Migrate),
    Sandbox(sandbox::Sandbox),
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    #[command(subcommand)]
    Purpose(purpose::PurposeCommand),
    #[command(subcommand)]
    Connection(connection::ConnectionCommand),
    #[command(subcommand)]
    Consent(consent::ConsentCommand),
    #[command(subcommand)]
    Import(import::ImportCommand),
    #[command(subcommand)]
    Audience(audience::AudienceCommand),
    #[command(subcommand)]
    Sync(sync::SyncCommand),
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    #[command(subcommand)]
    Incident(incident::IncidentCommand),
    Verify(verify::Verify),
    #[command(subcommand)]
    Key(key::KeyCommand),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
    Demo(demo::Demo),
}

/// Parses, runs, and turns what came of it into an exit code.
pub async fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(words) => return not_parsed(&words, json),
    };
    let context = Context::new(cli.global);
    let result = match cli.command {
        Command::Init(command) => command.run(&context),
        Command::Serve(command) => command.run(&context).await,
        Command::Migrate(command) => command.run(&context).await,
        Command::Sandbox(command) => command.run(&context).await,
        Command::Tenant(command) => command.run(&context).await,
        Command::Purpose(command) => command.run(&context).await,
        Command::Connection(command) => Box::pin(command.run(&context)).await,
        Command::Consent(command) => Box::pin(command.run(&context)).await,
        Command::Import(command) => Box::pin(command.run(&context)).await,
        Command::Doctor(command) => Box::pin(command.run(&context)).await,
        Command::Audience(command) => Box::pin(command.run(&context)).await,
        Command::Sync(command) => Box::pin(command.run(&context)).await,
        Command::Webhook(command) => Box::pin(command.run(&context)).await,
        Command::Incident(command) => Box::pin(command.run(&context)).await,
        Command::Verify(command) => command.run(&context).await,
        Command::Key(command) => command.run(&context).await,
        Command::Completions(command) => Ok(command.run()),
        Command::Demo(command) => command.run(&context).await,
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::failure(context.global.json, &error);
            error.exit.into()
        }
    }
}

/// Help and version are data; everything else was a wrong word.
fn not_parsed(words: &clap::Error, json: bool) -> ExitCode {
    let help = !words.use_stderr() || words.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if json && !help {
        let text = words.to_string();
        let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
        let message = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        let message = message.trim_start_matches("error: ");
        output::failure(true, &CliError::usage(message).hint("Nothing was changed. Next: consentd --help"));
    } else {
        // Without a terminal to print to there is nobody to tell.
        drop(words.print());
    }
    if words.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}

/// All commands, for completions and for the tests of their help.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}
