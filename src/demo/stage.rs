//! Where the demo plays: a folder, a daemon and a sandbox for each provider, all in this process.

use crate::app;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::Config;
use crate::demo::Play;
use crate::random::{Random, SystemRandom, bytes};
use crate::registry;
use crate::sandbox::{Account, Accounts, Clockwork, Post, Sandbox};
use crate::service::Core;
use crate::store::MasterKey;
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use consentd_provider::Descriptor;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Everything that runs.
pub(super) struct Stage {
    pub(super) folder: PathBuf,
    pub(super) core: Core,
    pub(super) daemon: SocketAddr,
    pub(super) providers: Vec<Provider>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), app::ServeError>>,
}

/// An emulated provider that listens.
pub(super) struct Provider {
    pub(super) descriptor: &'static Descriptor,
    pub(super) sandbox: Sandbox,
    pub(super) accounts: Arc<Accounts>,
    _post: Post,
}

impl Stage {
    pub(super) async fn build(play: &Play) -> anyhow::Result<Self> {
        let folder = match &play.folder {
            Some(folder) => folder.clone(),
            None => std::env::temp_dir().join(format!("consentd-demo-{}", std::process::id())),
        };
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let folder = std::path::absolute(folder)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let daemon = listener.local_addr()?;
        let config = configuration(&folder, daemon)?;
        let core = app::open(&config).await?;
        let mut providers = Vec::new();
        for &descriptor in registry::providers() {
            providers.push(Provider::open(descriptor).await?);
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = core.clone();
        let served = tokio::spawn(async move {
            // Whoever drops the sender wants the daemon to stop, too.
            app::serve(serving, &config, listener, None, async { drop(stopped.await) }).await
        });
        Ok(Self { folder, core, daemon, providers, stop, served })
    }

    /// Puts a file into the folder.
    pub(super) fn file(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }

    /// Tells who stays to look around where everything is.
    pub(super) fn introduce(&self) {
        let config = self.folder.join("consentd.toml");
        println!("\nStill running, until Ctrl-C:");
        println!("   daemon     http://{}  (healthz, readyz, metrics)", self.daemon);
        for provider in &self.providers {
            let address = provider.sandbox.address();
            println!("   {:<10} http://{address}/_sandbox/accounts", provider.descriptor.name);
        }
        println!("   database   {}", self.folder.join("consentd.db").display());
        println!("   look       consentd --config {} tenant list", config.display());
    }

    /// Stops everything; the folder stays.
    pub(super) async fn clear(self) -> anyhow::Result<()> {
        drop(self.stop);
        self.served.await??;
        for provider in self.providers {
            provider.sandbox.stop().await;
        }
        self.core.store.db.close().await;
        Ok(())
    }
}

impl Provider {
    async fn open(descriptor: &'static Descriptor) -> anyhow::Result<Self> {
        let emulator = registry::emulators(descriptor.id).context("a provider without an emulator")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let accounts = Arc::new(Accounts::new(Arc::new(Clockwork::new(clock)), emulator));
        let sandbox = Sandbox::listen(0, Arc::clone(&accounts)).await?;
        let post = Post::start(Arc::clone(&accounts))?;
        Ok(Self { descriptor, sandbox, accounts, _post: post })
    }

    /// Credentials for a new account.
    pub(super) fn credentials(&self) -> BTreeMap<String, SecretString> {
        let specs = self.descriptor.credentials.iter();
        specs.map(|spec| (spec.name.to_owned(), SecretString::from(secret(&SystemRandom)))).collect()
    }

    /// Where nobody knows how fast the provider may be called, the emulated one is called faster than a cautious operator
    /// would call the real one.
    pub(super) fn options(&self) -> BTreeMap<String, String> {
        let rate = self.descriptor.options.iter().filter(|option| option.name == "rate");
        rate.map(|option| (option.name.to_owned(), "50".to_owned())).collect()
    }

    /// The account that was opened by the first call.
    pub(super) fn account(&self) -> anyhow::Result<Account> {
        self.accounts.all().into_iter().next().context("the account was not opened yet")
    }

    /// Now, at the provider.
    pub(super) fn now(&self) -> Timestamp {
        self.accounts.time.now()
    }

    /// Lets the provider's own time run faster, so that nobody waits for its jobs.
    pub(super) fn hurry(&self, by: Duration) {
        self.accounts.time.advance(crate::clock::micros(by));
    }
}

/// The emulator of an account.
pub(super) fn held(account: &Account) -> MutexGuard<'_, consentd_provider::emulator::EmulatedProvider> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

fn secret(random: &dyn Random) -> String {
    format!("demo-{}", STANDARD.encode(bytes::<18>(random)))
}

/// Writes key and configuration; the program's defaults for everything else.
fn configuration(folder: &Path, daemon: SocketAddr) -> anyhow::Result<Config> {
    let path = |name: &str| toml::Value::String(folder.join(name).display().to_string()).to_string();
    let database = toml::Value::String(format!("sqlite://{}", folder.join("consentd.db").display()));
    let text = format!(
        "[database]\nurl = {database}\n\n[keys]\nfile = {}\n\n[http]\nlisten = \"{daemon}\"\n\
         public_url = \"http://{daemon}\"\n\n[log]\nfilter = \"error\"\n",
        path("consentd.key"),
    );
    private(&folder.join("consentd.key"), &MasterKey::generate(&SystemRandom).to_hex())?;
    private(&folder.join("consentd.toml"), &text)?;
    Ok(Config::read(&text, &folder.join("consentd.toml"), |_| None)?)
}

/// Writes a new file that only its owner can read.
fn private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(|| format!("{} cannot be made; is it there?", path.display()))?;
    Ok(file.write_all(text.as_bytes())?)
}
