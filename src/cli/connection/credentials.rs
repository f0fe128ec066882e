//! Credentials: from a file, from standard input, or asked for without showing what is typed.

use crate::cli::{CliError, Context, Exit, output};
use crate::service::Core;
use crate::store::{Tenant, TenantKey};
use clap::Args;
use consentd_provider::Descriptor;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where credentials come from.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// A file with one `name=value` a line, or with the one key alone; - for standard input.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// See [`super::ConnectionCommand::Credentials`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Credentials {
    /// The connection; may be left out when there is only one.
    connection: Option<String>,
    #[command(flatten)]
    source: Source,
}

impl Credentials {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let connection = context.connection(core, tenant, self.connection.as_deref()).await?;
        let credentials = self.source.read(context, core.descriptor(&connection.provider)?)?;
        let connection = core.set_credentials(&connection, key, &credentials).await?;
        let state = connection.state.word();
        output::data(context, &serde_json::json!({ "connection": connection.slug, "state": state }), || {
            format!("replaced the credentials of {} ({state})", connection.slug)
        });
        output::hint(context, &format!("Next: consentd connection test {}", connection.slug));
        Ok(Exit::Done)
    }
}

impl Source {
    /// Reads what the provider needs.
    pub(super) fn read(
        &self,
        context: &Context,
        descriptor: &Descriptor,
    ) -> Result<BTreeMap<String, SecretString>, CliError> {
        let input = std::io::stdin();
        match &self.key_file {
            Some(path) if path != Path::new("-") => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    CliError::usage(format!("{} cannot be read: {error}", path.display())).hint("Nothing was changed.")
                })?;
                parse(&SecretString::from(text), descriptor)
            }
            None if input.is_terminal() && !context.global.no_input => ask(descriptor),
            None if context.global.no_input => Err(CliError::usage("the credentials are missing")
                .hint("Nothing was changed. Give them with --key-file FILE.")),
            _ => {
                let mut text = String::new();
                input.lock().read_to_string(&mut text).map_err(|error| {
                    CliError::usage(format!("standard input cannot be read: {error}")).hint("Nothing was changed.")
                })?;
                parse(&SecretString::from(text), descriptor)
            }
        }
    }
}

/// Reads `name=value` lines, or the whole text where there is but one credential. Errors never repeat the text.
fn parse(text: &SecretString, descriptor: &Descriptor) -> Result<BTreeMap<String, SecretString>, CliError> {
    let names: Vec<&str> = descriptor.credentials.iter().map(|spec| spec.name).collect();
    let mut found = BTreeMap::new();
    let mut lines =
        text.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for (number, line) in lines.by_ref().enumerate() {
        let pair = line.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        match (pair, names.as_slice()) {
            (Some((name, value)), _) if names.contains(&name) => {
                found.insert(name.to_owned(), SecretString::from(value));
            }
            (_, [only]) if found.is_empty() => {
                found.insert((*only).to_owned(), SecretString::from(line));
            }
            _ => {
                let message = format!("entry {} of the credentials has none of the names expected", number + 1);
                return Err(CliError::usage(message).hint(wanted(descriptor)));
            }
        }
    }
    match names.iter().find(|name| !found.contains_key(**name)) {
        Some(name) => Err(CliError::usage(format!("the credential `{name}` is missing")).hint(wanted(descriptor))),
        None => Ok(found),
    }
}

fn wanted(descriptor: &Descriptor) -> String {
    let lines = descriptor.credentials.iter().map(|spec| format!("  {}=…  ({})\n", spec.name, spec.help));
    format!("Nothing was changed. {} needs:\n{}", descriptor.name, lines.collect::<String>()).trim_end().to_owned()
}

fn ask(descriptor: &Descriptor) -> Result<BTreeMap<String, SecretString>, CliError> {
    let mut found = BTreeMap::new();
    for spec in descriptor.credentials {
        eprintln!("{}: {}", spec.name, spec.help);
        eprint!("{} (not shown): ", spec.name);
        let mut typed = String::new();
        let hidden = echo(false);
        let read = std::io::stderr().flush().and_then(|()| std::io::stdin().lock().read_line(&mut typed));
        if hidden {
            echo(true);
        }
        eprintln!();
        read.map_err(|error| CliError::usage(format!("nothing could be read: {error}")))?;
        found.insert(spec.name.to_owned(), SecretString::from(typed.trim().to_owned()));
    }
    Ok(found)
}

/// Has the terminal show what is typed, or not. False when it could not be told.
fn echo(shown: bool) -> bool {
    let word = if shown { "echo" } else { "-echo" };
    Command::new("stty").arg(word).status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(names: &'static [consentd_provider::CredentialSpec]) -> Descriptor {
        Descriptor {
            id: "toy",
            name: "Toy",
            default_base_url: "http://127.0.0.1",
            credentials: names,
            options: &[],
            capabilities: &[],
            chunk: 1,
            look: 1,
            rate_headers: None,
            quotas: |_| Vec::new(),
            open: |_| Err(consentd_provider::SettingsError::MissingCredential("key")),
        }
    }

    const ONE: &[consentd_provider::CredentialSpec] =
        &[consentd_provider::CredentialSpec { name: "api_key", help: "" }];
    const TWO: &[consentd_provider::CredentialSpec] = &[
        consentd_provider::CredentialSpec { name: "api_key", help: "" },
        consentd_provider::CredentialSpec { name: "secret_key", help: "" },
    ];

    fn read(text: &str, names: &'static [consentd_provider::CredentialSpec]) -> Result<Vec<String>, CliError> {
        parse(&SecretString::from(text), &descriptor(names))
            .map(|found| found.values().map(|value| value.expose_secret().to_owned()).collect())
    }

    #[test]
    fn reads_names_and_a_key_alone() {
        assert_eq!(read("# account 7\napi_key = a=b\n\nsecret_key=c\n", TWO).unwrap(), ["a=b", "c"]);
        assert_eq!(read("xkeysib-1=\n", ONE).unwrap(), ["xkeysib-1="]);
        assert_eq!(read("api_key=x\n", ONE).unwrap(), ["x"]);
    }

    #[test]
    fn says_what_is_missing_and_never_what_was_given() {
        for text in ["topsecret", "api_key=topsecret", "api_key=topsecret\nsecret=topsecret", ""] {
            let error = read(text, TWO).unwrap_err();
            assert_eq!(error.exit, Exit::Usage);
            assert!(!format!("{error:?}").contains("topsecret"));
            assert!(error.hint.contains("secret_key=…"), "{}", error.hint);
        }
    }
}
