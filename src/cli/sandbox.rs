//! `consentd sandbox`

use crate::cli::{CliError, Context, Exit, output};
use crate::clock::SystemClock;
use crate::registry;
use crate::sandbox::{Accounts, CONTROL, Clockwork, Post, Sandbox as Listening};
use clap::Args;
use consentd_provider::Descriptor;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Run emulated providers on this machine, to try everything without an account.
///
/// Each provider listens on a port of its own at its own paths, so that consentd and the providers' own clients work
/// against it by their base URL. Any credentials are accepted; each is an account of its own that is empty at first and
/// forgotten at the end. Webhooks are really delivered. Ends on SIGINT.
///
/// Example: consentd sandbox --port brevo=3001 --port mailjet=3002
#[derive(Debug, Args)]
#[command(after_long_help = CONTROL)]
pub(super) struct Sandbox {
    /// A provider's port; a free one when left out. May be given once a provider.
    #[arg(long, value_name = "PROVIDER=N", value_parser = port)]
    port: Vec<(String, u16)>,
}

fn port(text: &str) -> Result<(String, u16), String> {
    let known = || registry::providers().iter().map(|provider| provider.id).collect::<Vec<_>>().join(", ");
    let (provider, number) = text.split_once('=').ok_or("write PROVIDER=N")?;
    if !registry::providers().iter().any(|known| known.id == provider) {
        return Err(format!("there is no provider `{provider}`; there are: {}", known()));
    }
    let number = number.parse().map_err(|_| "write a port from 0 to 65535 behind =")?;
    Ok((provider.to_owned(), number))
}

impl Sandbox {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let ports: BTreeMap<String, u16> = self.port.into_iter().collect();
        let mut running = Vec::new();
        for &provider in registry::providers() {
            let port = ports.get(provider.id).copied().unwrap_or(0);
            running.push((provider, open(provider, port).await?));
        }
        let urls: BTreeMap<&str, String> = running
            .iter()
            .map(|(provider, (sandbox, _))| (provider.id, sandbox.base_url(provider.default_base_url)))
            .collect();
        output::data(context, &json!({ "base_urls": urls }), || {
            running.iter().map(|(provider, (sandbox, _))| introduction(provider, sandbox)).collect()
        });
        output::hint(context, "`consentd sandbox --help` shows every call of /_sandbox/. Ctrl-C ends it.");
        tokio::signal::ctrl_c().await.map_err(|error| CliError::new(Exit::Unexpected, "signal", error.to_string()))?;
        for (_, (sandbox, _)) in running {
            sandbox.stop().await;
        }
        Ok(Exit::Done)
    }
}

/// One provider with its courier. Each port has a time of its own.
async fn open(provider: &'static Descriptor, port: u16) -> Result<(Listening, Post), CliError> {
    let cannot = |words: String| CliError::new(Exit::Unexpected, "sandbox", words);
    let emulator =
        registry::emulators(provider.id).ok_or_else(|| cannot(format!("{} has no emulator", provider.name)))?;
    let accounts = Arc::new(Accounts::new(Arc::new(Clockwork::new(Arc::new(SystemClock))), emulator));
    let sandbox = Listening::listen(port, Arc::clone(&accounts))
        .await
        .map_err(|error| cannot(format!("port {port} for {} cannot be had: {error}; choose another", provider.name)))?;
    Ok((sandbox, Post::start(accounts).map_err(|error| cannot(error.to_string()))?))
}

fn introduction(provider: &Descriptor, sandbox: &Listening) -> String {
    let base_url = sandbox.base_url(provider.default_base_url);
    let secrets: Vec<&str> = provider.credentials.iter().map(|spec| spec.name).collect();
    let here = sandbox.address();
    format!(
        "{name}
  base URL      {base_url}
  credentials   any: {secrets}
  connect       consentd connection add NAME --provider {id} --base-url {base_url} …
  accounts      curl -s http://{here}/_sandbox/accounts
  unsubscribe   curl -s http://{here}/_sandbox/happen -d '{{\"email\":\"someone@example.org\",\"what\":\"unsubscribes\"}}'
",
        name = provider.name,
        id = provider.id,
        secrets = secrets.join(", "),
    )
}
