//! The real program among people who mean it no good: it stays small, it stays up, and whoever says no is heard.

use crate::desk::Desk;
use crate::served::hook;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use consentd::config::Config;
use consentd::service::Core;
use consentd::store::{Connection, Tenant, TenantKey};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const MIB: usize = 1024 * 1024;
/// What the daemon may hold resident, whatever is done to it (reliability P18).
const RESIDENT: u64 = 512;
/// What makes Mailjet come back.
const COME_BACK: &[u8] = b"HTTP/1.1 503";
/// So long somebody who says no may have to wait while the house is full of others.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running daemon with a tenant, a connection and links.
struct Site {
    desk: Desk,
    daemon: Child,
    address: SocketAddr,
    core: Core,
    tenant: Tenant,
    key: TenantKey,
    connection: Connection,
}

impl Site {
    async fn open(changes: &[(&str, &str)]) -> Self {
        let desk = Desk::furnished();
        let mut config = std::fs::read_to_string(desk.path("consentd.toml")).unwrap();
        for (from, to) in changes {
            assert!(config.contains(from), "{from}");
            config = config.replace(from, to);
        }
        std::fs::write(desk.path("consentd.toml"), &config).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = desk.command(&["serve"]);
        command.env("CONSENTD_LISTEN", address.to_string()).stdin(Stdio::null()).stderr(Stdio::null());
        let daemon = command.spawn().unwrap();
        let started = Instant::now();
        while !ask(address, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"")
            .starts_with("HTTP/1.1 200")
        {
            assert!(started.elapsed() < PATIENCE, "the daemon does not become ready");
            std::thread::yield_now();
        }
        let url = format!("sqlite://{}", desk.path("consentd.db").display());
        let secret = std::fs::read_to_string(desk.path("consentd.key")).unwrap();
        let config = Config::read(&config, Path::new("consentd.toml"), |name| match name {
            "CONSENTD_DATABASE_URL" => Some(url.clone()),
            "CONSENTD_MASTER_KEY" => Some(secret.trim().to_owned()),
            _ => None,
        });
        let core = consentd::app::open(&config.unwrap()).await.unwrap();
        let (tenant, key) = core.tenant("lindner").await.unwrap();
        let connection = core.find_connection(&tenant, "mail").await.unwrap();
        Self { desk, daemon, address, core, tenant, key, connection }
    }

    /// The path of a fresh link by which that person decides.
    fn link(&self, email: &str) -> String {
        let link = self.desk.run(&["consent", "request", email, "--basis", "customer"]).with(0).out;
        format!("/c/{}", link.trim().rsplit('/').next().unwrap())
    }

    fn one_click(&self, path: &str) -> String {
        let body = "List-Unsubscribe=One-Click";
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        ask(self.address, &head, body.as_bytes())
    }

    /// The head of a webhook request with the right credentials and these further headers.
    fn webhook(&self, headers: &str) -> String {
        let (url, secret) = hook(&self.core, &self.connection, &self.key);
        let path = url.splitn(4, '/').nth(3).unwrap();
        let basic = STANDARD.encode(format!("consentd:{secret}"));
        format!("POST /{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\n{headers}\r\n")
    }

    fn deliver(&self, body: &[u8]) -> String {
        let head = self.webhook(&format!("Connection: close\r\nContent-Length: {}\r\n", body.len()));
        ask(self.address, &head, body)
    }

    async fn deliveries(&self) -> usize {
        self.core.store.deliveries(self.tenant.id, "", 10_000).await.unwrap().len()
    }

    /// MiB that the daemon held resident at the most.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.daemon.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    }

    /// It is small, answers, and hears a no.
    fn assert_well(&self) {
        let resident = self.resident();
        assert!(resident < RESIDENT, "{resident} MiB");
        let answer = self.one_click(&self.link("bob@example.org"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.daemon.kill());
        drop(self.daemon.wait());
    }
}

/// Sends a request and reads what comes back; empty when nothing does.
fn ask(address: SocketAddr, head: &str, body: &[u8]) -> String {
    let mut answer = Vec::new();
    if let Ok(mut stream) = TcpStream::connect(address) {
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        // Whoever is refused before having said everything may find the line dead.
        let said = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let read = stream.read_to_end(&mut answer);
        assert!(!matches!(&read, Err(error) if error.kind() == ErrorKind::WouldBlock), "no answer: {said:?}");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn whoever_merely_holds_a_connection_keeps_nobody_from_saying_no() {
    let site = Site::open(&[("connections = 1024", "connections = 300")]).await;
    let link = site.link("ada@example.org");
    let announced = site.webhook("Content-Length: 1000\r\n");
    let mut held = Vec::new();
    for n in 0..900 {
        let Ok(mut stream) = TcpStream::connect(site.address) else { continue };
        // Nothing; a head without an end; a body that never comes.
        let said = match n % 3 {
            0 => Ok(()),
            1 => stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "),
            _ => stream.write_all(announced.as_bytes()),
        };
        drop(said);
        held.push(stream);
    }
    assert!(held.len() > 300);
    let began = Instant::now();
    let answer = site.one_click(&link);
    assert!(answer.starts_with("HTTP/1.1 200") && began.elapsed() < PATIENCE, "{:?}: {answer}", began.elapsed());
    let answer = site.deliver(br#"{"event":"unsub","time":1,"email":"ada@example.org"}"#);
    assert!(answer.starts_with("HTTP/1.1 200") && began.elapsed() < 2 * PATIENCE, "{:?}: {answer}", began.elapsed());
    assert_eq!(site.deliveries().await, 1);
    site.assert_well();
}

#[tokio::test]
async fn a_body_that_drips_is_given_up_and_its_sender_may_come_again() {
    let site = Site::open(&[]).await;
    let mut stream = TcpStream::connect(site.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(site.webhook("Content-Length: 1000\r\n").as_bytes()).unwrap();
    stream.write_all(b"{").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, COME_BACK, "a webhook may be real: it is asked to come back");
    site.assert_well();
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let site = Site::open(&[]).await;
    let began = Instant::now();
    let answer = ask(site.address, &site.webhook("Content-Length: 10737418240\r\n"), b"");
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(began.elapsed() < PATIENCE, "nobody waits for ten gigabytes");

    // Without an announcement it is read up to the bound.
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; MIB], b"\r\n"].concat();
    let answer = ask(site.address, &site.webhook("Transfer-Encoding: chunked\r\n"), &chunk.repeat(12));
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");

    let long = format!("GET /c/{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "x".repeat(5_000));
    assert!(ask(site.address, &long, b"").starts_with("HTTP/1.1 414"));
    let many = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(MIB));
    let answer = ask(site.address, &many, b"");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(site.deliveries().await, 0);
    site.assert_well();
}

#[tokio::test]
async fn bodies_that_would_burst_a_reader_are_kept_as_they_came() {
    let site = Site::open(&[]).await;
    let deep = vec![b'['; 5 * MIB];
    let nested = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let twice = br#"[{"event":"unsub","email":"ada@example.org","email":"bob@example.org"}]"#;
    for body in [&deep, &nested, twice.as_slice(), b"\xff\xfe\x00"] {
        let answer = site.deliver(body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // Nothing is unpacked on the way in, whatever the header says.
    let bomb = b"\x1f\x8b\x08 ten gigabytes of zeros";
    let head =
        site.webhook(&format!("Connection: close\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n", bomb.len()));
    assert!(ask(site.address, &head, bomb).starts_with("HTTP/1.1 200"));
    let kept = site.core.store.deliveries(site.tenant.id, "", 10).await.unwrap();
    assert_eq!(kept.len(), 5);
    assert!(kept.iter().any(|delivery| delivery.body == bomb), "the exact bytes");
    site.assert_well();
    let shown = site.desk.run(&["consent", "history", "ada@example.org"]).with(0).out;
    assert!(!shown.contains("unsubscribed at the provider"), "which address is meant is not known: {shown}");
}

#[tokio::test]
async fn a_flood_of_large_bodies_stays_within_the_memory_for_them() {
    let site = Site::open(&[]).await;
    let body = vec![b' '; 5 * MIB];
    let answers: Vec<String> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..48).map(|_| scope.spawn(|| site.deliver(&body))).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    for answer in &answers {
        let asked_back = answer.is_empty() || answer.as_bytes().starts_with(COME_BACK);
        assert!(asked_back || answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert!(answers.iter().any(|answer| answer.starts_with("HTTP/1.1 200")));
    site.assert_well();
}

#[tokio::test]
async fn who_looks_too_often_may_still_decide() {
    let site = Site::open(&[("looks_per_minute = 600", "looks_per_minute = 5")]).await;
    let link = site.link("ada@example.org");
    let look = |client: &str| {
        let head = format!("GET {link} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: {client}\r\n\r\n");
        ask(site.address, &head, b"")
    };
    let looks: Vec<String> = (0..8).map(|_| look("192.0.2.7")).collect();
    assert!(looks[0].starts_with("HTTP/1.1 200"), "{}", looks[0]);
    let refused = looks.iter().find(|look| look.starts_with("HTTP/1.1 429")).expect("too often");
    assert!(refused.to_lowercase().contains("retry-after: 60"), "{refused}");
    assert!(look("192.0.2.8").starts_with("HTTP/1.1 200"), "somebody else");
    assert!(site.one_click(&link).starts_with("HTTP/1.1 200"), "a no is always heard");
}

#[tokio::test]
async fn one_address_has_its_own_bound_of_connections() {
    let changes =
        [("connections_per_client = 64", "connections_per_client = 4"), ("[\"127.0.0.1\", \"::1\"]", "[\"::1\"]")];
    let site = Site::open(&changes).await;
    let held: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(site.address).unwrap()).collect();
    let probe = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(site.address, probe, b""), "", "the fifth is closed at once");
    drop(held);
    let began = Instant::now();
    while !ask(site.address, probe, b"").starts_with("HTTP/1.1 200") {
        assert!(began.elapsed() < PATIENCE, "places of those who left are free again");
    }
}
