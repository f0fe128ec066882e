//! The real program in child processes: the sandbox, the daemon that is ended at once again and again, and its commands.

use crate::crash::oracle::Fact;
use crate::served::{client, hook};
use crate::world::{Database, Engine};
use consentd::clock::{Clock, SystemClock};
use consentd::config::Config;
use consentd::domain::consent::Kind;
use consentd::service::Core;
use consentd::service::connection::NewConnection;
use consentd::store::{ConnectionState, Tenant, TenantKey};
use consentd_provider::HookMode;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest that a daemon may take until it is ready.
pub const START_UP: Duration = Duration::from_secs(10);

/// A child process that does not outlive its owner.
pub struct Process(pub Child);

impl Process {
    /// Ends it without a word, as a power cut or the kernel would.
    pub fn kill(mut self) {
        let early = self.0.try_wait().expect("the child can be asked");
        assert!(early.is_none(), "it ended by itself: {early:?}");
        self.end();
    }

    /// Asks it to go and waits for it.
    pub fn terminate(mut self) -> ExitStatus {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
        self.0.wait().expect("it ends")
    }

    fn end(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// An account at an emulated provider, seen from outside.
#[derive(Clone)]
pub struct Shop {
    pub provider: &'static str,
    /// Where the sandbox's own calls are.
    control: String,
    pub list: String,
    /// Where its webhooks go, and the secret that they show.
    pub hook: (String, String),
}

/// A folder with a configuration, a database, a sandbox, and a tenant connected to both providers.
pub struct House {
    pub folder: TempDir,
    pub database: Option<Database>,
    pub url: String,
    pub shops: Vec<Shop>,
    pub http: reqwest::Client,
    listen: String,
    sandbox: Option<Process>,
}

/// The tenant of every house.
pub const TENANT: &str = "pool";

impl House {
    /// On a database of its own of that engine.
    pub async fn new(engine: Engine) -> Self {
        let mut folder = tempfile::tempdir().expect("a temporary folder");
        if std::env::var_os("KILL_KEEP").is_some() {
            folder.disable_cleanup(true);
            eprintln!("{engine:?} stays in {}", folder.path().display());
        }
        // On a disk, since it is looked at whether the disk keeps its word.
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Database::create(engine).await),
        };
        let url = database.as_ref().map(|database| database.url.clone());
        let mut house = Self::bare(folder, url, "");
        house.database = database;
        house
    }

    /// In that folder; `more` is added to the configuration.
    pub fn bare(folder: TempDir, database: Option<String>, more: &str) -> Self {
        let held = TcpListener::bind("127.0.0.1:0").expect("a port");
        let listen = held.local_addr().expect("an address").to_string();
        let url = format!("http://{listen}");
        let path = folder.path().display();
        let database = database.unwrap_or_else(|| format!("sqlite://{path}/consentd.db"));
        let mut config: toml::Table = toml::from_str(&format!(
            "[database]\nurl = \"{database}\"\nconnections = 4\n[keys]\nfile = \"{path}/consentd.key\"\n\
             [http]\nlisten = \"{listen}\"\npublic_url = \"{url}\"\n[gateway]\ntimeout_seconds = 2\n\
             patience_seconds = 1\n[rules]\nsettle_seconds = 4\nlease_seconds = 5\n[log]\nfilter = \"consentd=info\"\n"
        ))
        .expect("a configuration");
        for (section, values) in toml::from_str::<toml::Table>(more).expect("more of it") {
            let own = config.entry(section).or_insert_with(|| toml::Table::new().into()).as_table_mut().unwrap();
            own.extend(values.as_table().expect("a section").clone());
        }
        fs::write(folder.path().join("consentd.key"), format!("{}\n", "5e".repeat(32))).expect("a key");
        fs::write(folder.path().join("consentd.toml"), config.to_string()).expect("the configuration");
        Self { folder, database: None, url, shops: Vec::new(), http: client(), listen, sandbox: None }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program as a service in this process, to set things up and to read what is kept. While it is open, a daemon that
    /// ends leaves no SQLite database for its follower to recover.
    pub async fn core(&self) -> Core {
        let config = Config::load(Some(&self.path("consentd.toml")), |_| None).expect("a configuration");
        consentd::app::open(&config).await.expect("it opens")
    }

    /// Starts the sandbox, and connects a new tenant to an account at each provider.
    pub async fn furnish(&mut self) {
        let mut sandbox = self.command(&["sandbox", "--json"]);
        let mut sandbox =
            Process(sandbox.stdout(Stdio::piped()).stderr(self.log("sandbox")).spawn().expect("a sandbox"));
        let mut line = String::new();
        BufReader::new(sandbox.0.stdout.take().expect("a pipe")).read_line(&mut line).expect("its addresses");
        let told: Value = serde_json::from_str(&line).expect("JSON");
        self.sandbox = Some(sandbox);

        self.run(&["tenant", "create", TENANT, "--legal-name", "Pool GmbH"]);
        let core = self.core().await;
        let (tenant, key) = core.tenant(TENANT).await.expect("the tenant");
        for descriptor in consentd::registry::providers() {
            let base_url = told["data"]["base_urls"][descriptor.id].as_str().expect("a base URL").to_owned();
            let secret = |name: &str| SecretString::from(format!("{name}-of-the-house"));
            let new = NewConnection {
                slug: descriptor.id.into(),
                provider: descriptor.id.into(),
                base_url: base_url.clone(),
                credentials: descriptor.credentials.iter().map(|spec| (spec.name.into(), secret(spec.name))).collect(),
                options: BTreeMap::new(),
                list: String::new(),
                purpose: core.purpose(&tenant, None).await.expect("a purpose").id,
                mapping: BTreeMap::new(),
                cron: String::new(),
                time_zone: "Europe/Berlin".into(),
                guard_percent: 100,
                guard_count: 1_000_000,
            };
            let connection = core.add_connection(&tenant, &key, new).await.expect("a connection");
            core.bind_list(&connection, &key, "Campaigns").await.expect("a list");
            let connection = core.find_connection(&tenant, descriptor.id).await.expect("the connection");
            assert!(core.hooks(&connection, &key, HookMode::Repair).await.expect("webhooks").healthy);
            let mut tx = core.store.begin().await.expect("a transaction");
            tx.set_connection_state(&connection, ConnectionState::Active, "").await.expect("it is confirmed");
            tx.commit().await.expect("a commit");
            let origin: String = base_url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            let hook = hook(&core, &connection, &key);
            let control = format!("{origin}/_sandbox");
            self.shops.push(Shop { provider: descriptor.id, control, list: connection.list, hook });
        }
        core.store.db.close().await;
    }

    /// The program with these words.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consentd"));
        self.dress(&mut command);
        command.args(words);
        command
    }

    /// The environment that the program runs in, for those who start it by another.
    pub fn dress(&self, command: &mut Command) {
        for name in ["TENANT", "DATABASE_URL", "MASTER_KEY", "LISTEN", "PUBLIC_URL"] {
            command.env_remove(format!("CONSENTD_{name}"));
        }
        command.env("CONSENTD_CONFIG", self.path("consentd.toml")).env("USER", "mia").stdin(Stdio::null());
    }

    /// A command that must succeed. Returns what it printed.
    pub fn run(&self, words: &[&str]) -> String {
        let done = self.output(words);
        let err = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{words:?}: {:?} {err}", done.status);
        String::from_utf8(done.stdout).expect("text")
    }

    pub fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the program starts")
    }

    pub fn log(&self, name: &str) -> File {
        File::options().create(true).append(true).open(self.path(&format!("{name}.log"))).expect("a log")
    }

    /// The end of what daemons wrote.
    pub fn told(&self) -> String {
        let log = fs::read_to_string(self.path("daemon.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Starts a daemon.
    pub fn start(&self) -> Process {
        let mut command = self.command(&["serve"]);
        command.stdout(Stdio::null()).stderr(self.log("daemon"));
        Process(command.spawn().expect("a daemon"))
    }

    /// Waits until it says that it can do its work. Returns how long that took.
    pub async fn ready(&self) -> Duration {
        let begun = Instant::now();
        let url = format!("{}/readyz", self.url);
        while begun.elapsed() < START_UP {
            // Asking for a connection first keeps the client from trying again by itself.
            if tokio::net::TcpStream::connect(&self.listen).await.is_ok()
                && self.http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success())
            {
                return begun.elapsed();
            }
            pause(20).await;
        }
        panic!("no daemon is ready after {START_UP:?}:\n{}", self.told());
    }

    /// One of the sandbox's own calls.
    pub async fn control(&self, shop: &Shop, call: &str, body: &Value) -> Option<Value> {
        let post = self.http.post(format!("{}/{call}", shop.control)).body(body.to_string());
        let answer = post.send().await.expect("the sandbox answers");
        let good = answer.status().is_success();
        good.then_some(serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON"))
    }

    /// Whom a campaign would reach now.
    pub async fn mailable(&self, shop: &Shop) -> BTreeSet<String> {
        let get = self.http.get(format!("{}/mailable?list={}", shop.control, shop.list)).send();
        let told: Value = serde_json::from_str(&get.await.expect("an answer").text().await.expect("a body")).unwrap();
        told["addresses"].as_array().expect("addresses").iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    }

    /// No faults any more.
    pub async fn heal(&self) {
        for shop in &self.shops {
            self.control(shop, "heal", &json!({})).await.expect("healed");
        }
    }

    /// Checks the history by the program's own command.
    pub fn verify(&self) {
        let told: Value = serde_json::from_str(&self.run(&["verify", "--json"])).expect("JSON");
        assert_eq!(told["data"][0]["sound"], true, "{told}");
    }

    /// Ends the house, its processes and its database.
    pub async fn end(mut self) {
        self.sandbox.take();
        if let Some(database) = self.database.take() {
            database.drop().await;
        }
    }
}

/// The only way to wait for a process that tells nobody when it is ready.
pub async fn pause(milliseconds: u64) {
    SystemClock.sleep(Duration::from_millis(milliseconds)).await;
}

/// Everything that the history holds.
pub async fn facts(core: &Core, tenant: &Tenant, key: &TenantKey) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut seen = Vec::new();
    let mut known = HashMap::new();
    let mut after = 0;
    loop {
        let lines = core.store.lines_after(tenant.id, after, 2_000).await.expect("lines");
        let Some(last) = lines.last() else { break };
        after = last.header.seq;
        for line in lines {
            let id = line.header.address;
            if let std::collections::hash_map::Entry::Vacant(place) = known.entry(id) {
                let address = core.store.address(tenant.id, id).await.expect("an address").expect("it is there");
                place.insert(address.email.as_str().to_owned());
            }
            let mut mark = None;
            if line.header.actor.as_word() == "provider" {
                let person = core.store.person_key(tenant.id, key, id).await.expect("a key").expect("it is there");
                let payload = core.store.payload(&line, &person).expect("a payload");
                mark = payload["evidence"]["message_id"].as_str().map(str::to_owned);
                if payload["evidence"]["found_by"] == "walk" {
                    seen.push(Fact { address: known[&id].clone(), kind: line.header.kind, mark });
                    continue;
                }
            }
            facts.push(Fact { address: known[&id].clone(), kind: line.header.kind, mark });
        }
    }
    // What a walk reads before the event about it is delivered again is in the history from both: two sources, not one
    // word that counted twice. A walk may say so once; what only a walk claims must be true as well.
    let told: HashSet<(String, Kind)> = facts.iter().map(|fact| (fact.address.clone(), fact.kind)).collect();
    let mut forgiven = HashSet::new();
    for one in seen {
        let name = (one.address.clone(), one.kind);
        if !told.contains(&name) || !forgiven.insert(name) {
            facts.push(one);
        }
    }
    facts
}

/// Writes a CSV file of records, one a person.
pub fn records(file: &Path, people: impl Iterator<Item = (usize, String)>) {
    let mut text = "Kunden-Nr.;E-Mail\n".to_owned();
    for (number, email) in people {
        writeln!(text, "{number};{email}").expect("a line");
    }
    fs::write(file, text).expect("a file");
}
