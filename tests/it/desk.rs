//! The real program in a folder of its own, as somebody uses it at a desk.

use consentd::store::{Db, MasterKey, Store, Vault};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub const SECRET: &str = "5ecret-that-nobody-prints";
pub const KEY: &str = "ke1-that-nobody-prints";

/// A folder with a configuration, where the program runs.
pub struct Desk {
    folder: TempDir,
}

/// What a command left behind.
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    /// Ends the test unless the command ended like that.
    #[track_caller]
    pub fn with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// The data of the one JSON document on standard output.
    #[track_caller]
    pub fn data(&self) -> Value {
        let document = self.document();
        document.get("data").cloned().unwrap_or_else(|| panic!("no data: {document}"))
    }

    #[track_caller]
    pub fn document(&self) -> Value {
        let document: Value = serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out));
        assert_eq!(document["v"], 1);
        assert_eq!(document.as_object().unwrap().len(), 2, "{document}");
        document
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Desk {
    /// An empty folder.
    pub fn bare() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// After `init`.
    pub fn new() -> Self {
        let desk = Self::bare();
        desk.run(&["init"]).with(0);
        desk
    }

    /// With the tenant `lindner`, its connection `mail`, and the records of Ada and Bob.
    pub fn furnished() -> Self {
        let desk = Self::new();
        desk.run(&["tenant", "create", "lindner", "--legal-name", "Lindner GmbH"]).with(0);
        desk.file("mail.key", &format!("api_key={KEY}\nsecret_key={SECRET}\n"));
        desk.run(&["connection", "add", "mail", "--provider", "mailjet", "--key-file", "mail.key", "--list", "17"])
            .with(0);
        desk.file(
            "crm.csv",
            "Kunden-Nr.;E-Mail;Vorname\n1;ada@example.org;Ada\n2;bob@example.org;Bob\n3;ADA@example.org;Ada\n",
        );
        desk.run(&["import", "run", "crm.csv"]).with(0);
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn file(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consentd"));
        command.args(words).current_dir(self.folder.path()).env("USER", "mia");
        for name in ["CONFIG", "TENANT", "DATABASE_URL", "MASTER_KEY", "LISTEN", "PUBLIC_URL"] {
            command.env_remove(format!("CONSENTD_{name}"));
        }
        command
    }

    pub fn run(&self, words: &[&str]) -> Done {
        self.command(words).stdin(Stdio::null()).output().expect("the program starts").into()
    }

    pub fn run_with_input(&self, words: &[&str], input: &str) -> Done {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the program reads");
        child.wait_with_output().expect("the program ends").into()
    }

    pub fn lines(&self) -> i64 {
        self.run(&["verify", "--json"]).with(0).data()[0]["found"]["lines"].as_i64().unwrap()
    }

    pub async fn store(&self) -> Store {
        let url = format!("sqlite://{}", self.path("consentd.db").display());
        let key = std::fs::read_to_string(self.path("consentd.key")).unwrap();
        Store::new(Db::open(&url, 1).await.unwrap(), Vault::new(MasterKey::from_hex(&key).unwrap(), vec![]))
    }

    /// Changes the database behind the program's back.
    pub async fn execute(&self, text: &'static str) {
        let store = self.store().await;
        crate::served::run_sql(&store.db, text).await;
        store.db.close().await;
    }
}
