//! What the program costs while it does nothing: memory of the idle daemon, size of the binary.

use crate::figure::{Figure, rate};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// So long the daemon lives before it is looked at; its workers go round several times.
const LIFE: Duration = Duration::from_secs(10);
/// So long it may take to become ready.
const START: Duration = Duration::from_secs(10);

/// Measures the section.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let program = env!("CARGO_BIN_EXE_consentd");
    let folder = tempfile::tempdir()?;
    anyhow::ensure!(Command::new(program).arg("init").current_dir(folder.path()).output()?.status.success(), "init");
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let start = Instant::now();
    let mut daemon = Daemon::start(program, folder.path(), address)?;
    while !is_ready(address) {
        anyhow::ensure!(start.elapsed() < START, "the daemon is not ready in time");
        sleep(Duration::from_millis(5));
    }
    let ready = start.elapsed().as_secs_f64();
    sleep(LIFE);
    let peak = daemon.resident_peak()?;
    let size = rate(fs::metadata(program)?.len(), 1e6);
    let figure = |work: &str, bar: &str, measured: String, met: bool| Figure {
        work: work.into(),
        bar: bar.into(),
        measured,
        limit: "–".into(),
        ratio: None,
        met: Some(met),
    };
    Ok(vec![
        figure("memory of the idle daemon, resident at the most", "60 MiB", format!("{peak} MiB"), peak <= 60),
        figure("from the start of the daemon to ready, new database", "10 s", format!("{ready:.2} s"), ready <= 10.0),
        figure("release binary", "40 MB", format!("{size:.1} MB"), size <= 40.0),
    ])
}

struct Daemon(Child);

impl Daemon {
    fn start(program: &str, folder: &Path, address: SocketAddr) -> std::io::Result<Self> {
        let mut command = Command::new(program);
        command.arg("serve").current_dir(folder).env("CONSENTD_LISTEN", address.to_string());
        command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().map(Self)
    }

    fn resident_peak(&mut self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: u64 = line.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default().parse()?;
        Ok(kib / 1024)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
