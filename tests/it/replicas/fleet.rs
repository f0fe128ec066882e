//! Real daemons in child processes on the database of a world.

use crate::replicas::front::Front;
use crate::world::{Account, Engine, World};
use consentd::clock::SystemClock;
use consentd::gateway::{HttpGateways, Limits};
use consentd::random::{SeededRandom, SystemRandom};
use consentd::service::Gateways;
use consentd::service::connection::NewConnection;
use consentd::store::{ConnectionState, MasterKey, Tenant, TenantKey};
use consentd_provider::HookMode;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;

/// Seconds of the lease that these daemons are configured with.
pub const LEASE: u64 = 5;

/// A world on the machine's clock and network, whose database real daemons share.
pub struct Fleet {
    pub world: World,
    folder: TempDir,
}

impl Fleet {
    pub async fn new(engine: Engine) -> Self {
        const SEED: u64 = 11;
        let mut world = World::seeded(engine, SEED).await;
        let limits = Limits { timeout: Duration::from_secs(10), answer: 32 << 20, patience: Duration::from_secs(10) };
        let out = HttpGateways::new(limits, Arc::new(SystemClock), Arc::new(SystemRandom)).expect("a way out");
        world.core.clock = Arc::new(SystemClock);
        world.core.gateways = Arc::new(out) as Arc<dyn Gateways>;
        let folder = tempfile::tempdir().expect("a folder");
        // The first that a world draws is its key.
        let key = MasterKey::generate(&SeededRandom::new(SEED)).to_hex();
        std::fs::write(folder.path().join("consentd.key"), key).expect("a key");
        let fleet = Self { world, folder };
        let config = format!(
            "[database]\nurl = \"{}\"\nconnections = 4\n[keys]\nfile = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
             public_url = \"{}\"\n[gateway]\ntimeout_seconds = 3\n[rules]\nsettle_seconds = 4\nlease_seconds = {LEASE}\n",
            fleet.world.url(),
            fleet.path("consentd.key").display(),
            fleet.world.core.public_url,
        );
        std::fs::write(fleet.path("consentd.toml"), config).expect("a configuration");
        fleet
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A connection of the tenant to the account that the secret opens.
    pub async fn connect(&self, of: &(Tenant, TenantKey), slug: &str, provider: &str, front: &Front) -> Account {
        let core = &self.world.core;
        let (tenant, key) = core.tenant(&of.0.slug).await.expect("the tenant");
        let descriptor = core.descriptor(provider).expect("a provider");
        let path = descriptor.default_base_url.splitn(4, '/').nth(3).unwrap_or_default();
        let secret = |name: &str| (name.to_owned(), SecretString::from("opens-it"));
        let new = NewConnection {
            slug: slug.into(),
            provider: provider.into(),
            base_url: format!("{}/{path}", front.url),
            credentials: descriptor.credentials.iter().map(|spec| secret(spec.name)).collect(),
            options: BTreeMap::new(),
            list: String::new(),
            purpose: core.purpose(&tenant, None).await.expect("a purpose").id,
            mapping: BTreeMap::new(),
            cron: String::new(),
            time_zone: "Europe/Berlin".into(),
            guard_percent: 100,
            guard_count: 1_000,
        };
        let connection = core.add_connection(&tenant, &key, new).await.expect("a connection");
        core.bind_list(&connection, &key, &format!("of {}", tenant.slug)).await.expect("a list");
        let connection = core.find_connection(&tenant, slug).await.expect("the connection");
        assert!(core.hooks(&connection, &key, HookMode::Repair).await.expect("webhooks").healthy);
        Account { tenant, key, connection, provider: front.provider.clone() }
    }

    /// As if a person had confirmed the first plan.
    pub async fn activate(&self, account: &Account) {
        let mut tx = self.world.core.store.begin().await.unwrap();
        tx.set_connection_state(&account.connection, ConnectionState::Active, "").await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The program with these words.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consentd"));
        for name in ["TENANT", "DATABASE_URL", "MASTER_KEY", "LISTEN", "PUBLIC_URL"] {
            command.env_remove(format!("CONSENTD_{name}"));
        }
        command.env("CONSENTD_CONFIG", self.path("consentd.toml")).env("USER", "mia").stdin(Stdio::null());
        command.args(words);
        command
    }

    /// A daemon that serves.
    pub async fn start(&self) -> Daemon {
        let mut child =
            self.command(&["serve"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a daemon");
        let said = Arc::new(watch::channel(Vec::new()).0);
        let (lines, pipe) = (said.clone(), child.stderr.take().expect("a pipe"));
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                lines.send_modify(|all| all.push(line));
            }
        });
        let mut daemon = Daemon { child, said, url: String::new() };
        let line = daemon.until_it_says("consentd serves").await;
        let address = line.rsplit_once("address=").expect("where it listens").1;
        daemon.url = format!("http://{}", address.trim());
        daemon
    }

    pub async fn end(self) {
        self.world.end().await;
    }
}

/// A daemon in a process of its own. Does not outlive its owner.
pub struct Daemon {
    child: Child,
    said: Arc<watch::Sender<Vec<String>>>,
    pub url: String,
}

impl Daemon {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args([name, &self.pid().to_string()]).status().expect("kill");
        assert!(done.success(), "{name}");
    }

    /// Waits for a line of its log.
    pub async fn until_it_says(&self, words: &str) -> String {
        let mut said = self.said.subscribe();
        let has = |all: &Vec<String>| all.iter().any(|line| line.contains(words));
        let wait = tokio::time::timeout(Duration::from_mins(2), said.wait_for(has));
        assert!(wait.await.is_ok(), "it never says {words}: {:#?}", self.said.borrow());
        let all = self.said.borrow();
        all.iter().find(|line| line.contains(words)).expect("it was said").clone()
    }

    /// As the kernel or a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it is gone");
    }

    /// Asks it to go and waits for it.
    pub async fn terminate(mut self) -> ExitStatus {
        self.signal("-TERM");
        tokio::task::spawn_blocking(move || self.child.wait().expect("it ends")).await.expect("a thread")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
