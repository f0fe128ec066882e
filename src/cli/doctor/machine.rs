//! This machine: the configuration's sources, who may read its files, and what the system gives the process.

use super::Findings;
use crate::cli::Context;
use crate::config::Config;
use crate::store::Reserve;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Options that the environment can set over the file.
const OVERRIDES: [&str; 4] = ["CONSENTD_DATABASE_URL", "CONSENTD_MASTER_KEY", "CONSENTD_LISTEN", "CONSENTD_PUBLIC_URL"];
/// Files and sockets that the daemon needs besides its connections: database, log, providers.
const OTHER_FILES: usize = 256;

/// Where the configuration comes from. A forgotten variable that goes before the file costs people hours.
pub(super) fn configuration(context: &Context, found: &mut Findings) {
    let mut source = match file(context) {
        Some(path) => path.display().to_string(),
        None => "defaults; there is no file".to_owned(),
    };
    let set: Vec<&str> = OVERRIDES.into_iter().filter(|name| std::env::var_os(name).is_some()).collect();
    if !set.is_empty() {
        source = format!("{source}, then {} from the environment", set.join(", "));
    }
    found.ok("configuration", source);
}

pub(super) fn examine(context: &Context, config: &Config, found: &mut Findings) {
    if config.keys.from_environment.is_none() {
        secret("master key", &config.keys.file, found);
    }
    config.keys.old_files.iter().for_each(|old| secret("master key", old, found));
    if let Some(path) = file(context).filter(|_| config.database.url.contains('@')) {
        secret("configuration", &path, found);
    }
    if let Some(path) = sqlite_file(config) {
        secret("database", Path::new(path), found);
        if Reserve::beside(&config.database.url, config.database.reserve_mib).is_spent() {
            let detail = "was full: the emergency area is given up, and nothing is taken in, imported or added";
            found.wrong("disk", detail, "free space; a running daemon goes on by itself within seconds");
        }
        disk(Path::new(path), found);
    }
    listen(config, found);
    open_files(config, found);
}

/// The file of a SQLite database.
pub(super) fn sqlite_file(config: &Config) -> Option<&str> {
    let path = config.database.url.strip_prefix("sqlite://")?;
    path.split('?').next()
}

fn file(context: &Context) -> Option<PathBuf> {
    let usual = Path::new("consentd.toml");
    context.global.config.clone().or_else(|| usual.exists().then(|| usual.to_owned()))
}

/// Whether others on this machine can read what only the daemon's user should.
#[cfg(unix)]
fn secret(check: &str, path: &Path, found: &mut Findings) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(data) = std::fs::metadata(path) else { return };
    if data.permissions().mode() & 0o007 != 0 {
        let remedy = format!("run `chmod o= {}`", path.display());
        found.wrong(check, format!("everybody on this machine can read {}", path.display()), remedy);
    }
}

/// Other systems have other rights.
#[cfg(not(unix))]
fn secret(_: &str, _: &Path, _: &mut Findings) {}

/// Kind of file system and free space where the database is. `df` knows; where there is none, nothing is said.
fn disk(path: &Path, found: &mut Findings) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(answer) = Command::new("df").arg("-PTk").arg(folder).output() else { return };
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let Some(line) = text.lines().nth(1) else { return };
    let mut words = line.split_whitespace().skip(1);
    let kind = words.next().unwrap_or_default();
    if ["nfs", "cifs", "smb", "fuse.sshfs", "9p", "glusterfs"].iter().any(|remote| kind.starts_with(remote)) {
        let remedy = "put the SQLite file on a local disk: locks and syncs of network file systems cannot be relied on";
        found.wrong("disk", format!("{} is on a network file system ({kind})", path.display()), remedy);
    }
    if kind == "tmpfs" {
        let remedy = "put the SQLite file on a disk";
        found.warn(
            "disk",
            format!("{} is in memory (tmpfs); a restart of the machine loses it", path.display()),
            remedy,
        );
    }
    let Some(free) = words.nth(2).and_then(|kib| kib.parse::<u64>().ok()).map(|kib| kib / 1024) else { return };
    let remedy = format!("free space below {}", folder.display());
    match free {
        0..100 => found.wrong("disk", format!("{free} MiB free"), remedy),
        100..1_024 => found.warn("disk", format!("{free} MiB free"), remedy),
        _ => found.ok("disk", format!("{} GiB free", free / 1_024)),
    }
}

/// Plain HTTP belongs behind a proxy.
fn listen(config: &Config, found: &mut Findings) {
    let Ok(address) = config.http.listen.parse::<SocketAddr>() else { return };
    if address.ip().is_loopback() {
        return;
    }
    let detail = format!("http.listen is {address}: the network reaches plain HTTP and /metrics there");
    found.warn(
        "listening",
        detail,
        "listen on 127.0.0.1 behind the TLS proxy, or let a firewall admit the proxy alone",
    );
}

/// Every connection is a file to the system.
fn open_files(config: &Config, found: &mut Findings) {
    let Ok(limits) = std::fs::read_to_string("/proc/self/limits") else { return };
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let Some(limit) = line.and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok()) else { return };
    let needed = config.http.connections.saturating_add(OTHER_FILES);
    if limit < needed {
        let detail =
            format!("this user may open {limit} files; http.connections = {} needs {needed}", config.http.connections);
        found.warn(
            "open files",
            detail,
            "raise the limit (LimitNOFILE= in the systemd unit), or lower http.connections",
        );
    }
}
