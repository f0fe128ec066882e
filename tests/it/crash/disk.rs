//! A disk that fails at the k-th call: whatever was acknowledged is there when the next daemon reads it.

use crate::crash::house::{House, Process, START_UP, pause};
use crate::crash::kill::rest;
use crate::crash::load::{Answer, Load};
use crate::world::Engine;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What fails, with what, and at how many places between the first call and the last.
const FAILURES: [(&str, &str, usize); 3] = [("fsync", "EIO", 8), ("pwrite64", "EIO", 5), ("pwrite64", "ENOSPC", 5)];

/// Daemons beyond those: one that does not fail, and further attempts.
const SPARE: usize = 40;

/// Starts a daemon whose calls are written to a file, and one of whose calls fails if `inject` says so.
fn traced(house: &House, file: &Path, inject: Option<&str>) -> Process {
    let mut command = Command::new("strace");
    house.dress(&mut command);
    // As a grandchild, so that the daemon itself is ours to end.
    command.args(["-D", "-f", "-o"]).arg(file).args(["-e", "trace=fsync,pwrite64"]);
    command.args(inject.map(|inject| format!("--inject={inject}")));
    command.arg(env!("CARGO_BIN_EXE_consentd")).arg("serve");
    Process(command.stdout(Stdio::null()).stderr(house.log("daemon")).spawn().expect("strace is there"))
}

fn can_trace() -> bool {
    let mut trace = Command::new("strace");
    trace.args(["-D", "-f", "-o", "/dev/null", "--inject=fsync:error=EIO:when=9", "true"]);
    trace.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// How it ended, if it did.
fn ended(daemon: &mut Process) -> Option<i32> {
    daemon.0.try_wait().expect("it can be asked").map(|status| status.code().unwrap_or(-1))
}

/// A few people and providers, until the daemon is gone. Returns how it ended, if by itself.
async fn ingest(load: &Load, mut daemon: Process) -> Option<i32> {
    let begun = Instant::now();
    let url = format!("{}/healthz", load.house.url);
    while load.house.http.get(&url).send().await.is_err() {
        assert!(begun.elapsed() < START_UP, "{}", load.house.told());
        if let Some(code) = ended(&mut daemon) {
            return Some(code);
        }
        pause(20).await;
    }
    for _ in 0..3 {
        load.newcomer().await;
        load.reports().await;
    }
    // A process that ends does so within a moment of the failure.
    let code = ended(&mut daemon);
    if code.is_none() {
        drop(daemon);
    }
    code
}

/// The most calls of each kind that one thread made.
fn calls(file: &Path) -> BTreeMap<String, usize> {
    let mut threads: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in fs::read_to_string(file).expect("a trace").lines() {
        let mut words = line.split_whitespace();
        let (Some(thread), Some(call)) = (words.next(), words.next().and_then(|word| word.split_once('('))) else {
            continue;
        };
        *threads.entry((thread.to_owned(), call.0.to_owned())).or_default() += 1;
    }
    let mut most = BTreeMap::new();
    for ((_, call), count) in threads {
        let own: &mut usize = most.entry(call).or_default();
        *own = count.max(*own);
    }
    most
}

// I10
#[tokio::test]
async fn whichever_call_of_the_disk_fails_nothing_acknowledged_is_lost() {
    if !can_trace() {
        eprintln!("SKIPPED: strace cannot make calls fail here; nothing was tested of a failing disk");
        return;
    }
    let begun = Instant::now();
    let runs: usize = FAILURES.iter().map(|(_, _, places)| places).sum();
    let mut house = House::new(Engine::Sqlite).await;
    house.furnish().await;
    let load = Load::new(house, (runs + SPARE) * 3 + 1, 23).await;
    let file = load.house.path("calls");
    assert_eq!(ingest(&load, traced(&load.house, &file, None)).await, None, "{}", load.house.told());
    let most = calls(&file);
    assert!(most["fsync"] >= 3, "a commit is brought to the disk before it is answered: {most:?}");

    let mut ends = BTreeMap::new();
    for (call, error, places) in FAILURES {
        let count = most.get(call).copied().unwrap_or(1);
        for place in 0..places {
            let when = 1 + place * count / places;
            let daemon = traced(&load.house, &file, Some(&format!("{call}:error={error}:when={when}")));
            let end = ingest(&load, daemon).await;
            *ends.entry((call, error, end)).or_insert(0) += 1;
            load.house.verify();
        }
    }
    // One call that fails may be one that nobody waits for; when all fail from some call on, a commit is among them.
    for from in (2..=most["fsync"]).rev() {
        if ends.contains_key(&("fsync", "EIO", Some(1))) {
            break;
        }
        let end = ingest(&load, traced(&load.house, &file, Some(&format!("fsync:error=EIO:when={from}+")))).await;
        *ends.entry(("fsync", "EIO", end)).or_insert(0) += 1;
        load.house.verify();
    }
    // What the disk may not have kept ends the daemon; a database that cannot be opened at all is unreachable (6).
    assert!(ends.keys().any(|(call, _, end)| *call == "fsync" && *end == Some(1)), "{ends:?}");
    assert!(ends.keys().all(|(_, _, end)| matches!(end, None | Some(1 | 6))), "{ends:?}");
    assert!(fs::read_to_string(load.house.path("daemon.log")).unwrap().contains("did not keep a commit"));

    let daemon = load.house.start();
    load.house.ready().await;
    load.finish().await;
    assert_eq!(load.newcomer().await.1, Answer::Acknowledged);
    rest(&load, Duration::from_mins(2), 23).await;
    load.house.verify();
    assert!(daemon.terminate().success());
    assert!(!fs::read_to_string(load.house.path("daemon.log")).unwrap().contains("panicked"), "{}", load.house.told());
    eprintln!("{runs} failures of the disk among {most:?} calls, {ends:?}, {:?}", begun.elapsed());
    Arc::into_inner(load).expect("nobody sends any more").house.end().await;
}
